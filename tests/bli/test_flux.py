"""Flux of a region: by hand, in its limits, and in properties."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tracker.bli.flux import Image, region_flux

SHAPE = (6, 8)


def _image(radiance: np.ndarray, sd: float = 1.0, limit: float = 1e9) -> Image:
    return Image(radiance, np.full(SHAPE, sd), np.zeros(SHAPE, bool), np.full(SHAPE, limit), 0.04)


def _share() -> np.ndarray:
    share = np.zeros(SHAPE)
    share[1:3, 1:4] = 1.0
    share[3, 1:4] = 0.25
    return share


def test_by_hand() -> None:
    radiance = np.zeros(SHAPE)
    radiance[1, 1], radiance[3, 2], radiance[5, 5] = 100.0, 40.0, 1e6
    found = region_flux(_image(radiance), _share())
    # 100 and a quarter of 40, over pixels of 0.04 cm2.
    assert found.flux_ph_per_s == pytest.approx(4 * math.pi * 110 * 0.04)
    assert found.mean == pytest.approx(110 / 6.75) and found.area_cm2 == pytest.approx(6.75 * 0.04)
    assert found.high == 100.0
    assert found.sd_ph_per_s == pytest.approx(4 * math.pi * 0.04 * math.sqrt(6 + 3 / 16))


def test_negative_radiance_is_kept() -> None:
    assert region_flux(_image(np.full(SHAPE, -3.0)), _share()).flux_ph_per_s < 0


def test_two_halves_are_the_whole() -> None:
    radiance = np.random.default_rng(1).normal(10, 5, SHAPE)
    share = _share()
    left, right = share.copy(), share.copy()
    left[:, 2:], right[:, :2] = 0, 0
    parts = [region_flux(_image(radiance), half).flux_ph_per_s for half in (left, right)]
    assert sum(parts) == pytest.approx(region_flux(_image(radiance), share).flux_ph_per_s)


def test_a_saturated_pixel_counts_as_the_least_it_can_hold() -> None:
    image = _image(np.full(SHAPE, 5.0), limit=50.0)
    saturated = image.saturated.copy()
    saturated[1, 1] = True
    found = region_flux(replace(image, saturated=saturated), _share())
    assert found.saturated and found.flux_ph_per_s == pytest.approx(4 * math.pi * 0.04 * (5.75 * 5 + 50))
    elsewhere = np.zeros(SHAPE, bool)
    elsewhere[5, 5] = True
    assert not region_flux(replace(image, saturated=elsewhere), _share()).saturated


def test_a_pixel_without_a_value_is_left_out_of_the_mean_and_said() -> None:
    radiance = np.full(SHAPE, 7.0)
    radiance[1, 1] = np.nan
    found = region_flux(_image(radiance), _share())
    assert found.mean == pytest.approx(7.0) and found.lost_share == pytest.approx(1 / 6.75)
    nothing = region_flux(_image(np.full(SHAPE, np.nan)), _share())
    assert math.isnan(nothing.flux_ph_per_s) and nothing.lost_share == 1.0


def test_the_stated_error_is_the_scatter() -> None:
    rng = np.random.default_rng(7)
    found = [region_flux(_image(rng.normal(10, 2, SHAPE), sd=2.0), _share()) for _ in range(4000)]
    scatter = np.std([f.flux_ph_per_s for f in found])
    # The scatter of 4000 draws is known to 1.1 %.
    assert found[0].sd_ph_per_s == pytest.approx(scatter, rel=0.04)


def test_input_is_not_changed() -> None:
    image, share = _image(np.ones(SHAPE)), _share()
    before = [a.copy() for a in (image.radiance, image.sd, share)]
    region_flux(image, share)
    assert all((a == b).all() for a, b in zip(before, (image.radiance, image.sd, share), strict=True))
