"""Depth from two filters: the truth back, its noise, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tracker.bli.depth import BandFlux, depth_from_two_filters
from tracker.bli.diffusion import escape_share, extrapolation_mm, surface_fluence
from tracker.bli.optics import FLUENCE_PER_FLUX, TISSUES, attenuation_per_mm, tissue_optics
from tracker.bli.spectrum import Band, filter_band
from tracker.errors import InputError

MUSCLE = TISSUES["muscle"]
ORANGE, RED = Band("600", (600.0,), (0.20,)), Band("660", (660.0,), (0.10,))


def seen(band: Band, depth: float, cv: float = 0.05, blood: float = 1.0, emitted: float = 1e6) -> BandFlux:
    """Flux from a point by integrating the half-space's radiance over the skin: not the closed form that the depth is read from."""
    away = depth * np.sinh(np.linspace(0.0, 6.0, 4001))
    flux = 0.0
    for nm, share in zip(band.wavelengths_nm, band.shares, strict=True):
        outward = surface_fluence(np.full_like(away, depth), away, tissue_optics(MUSCLE, nm, blood)) / FLUENCE_PER_FLUX
        flux += share * emitted * float(np.trapezoid(outward * 2 * np.pi * away, away))
    return BandFlux(band, flux, cv * flux, 10.0)


@pytest.mark.parametrize("depth", [0.5, 2.0, 5.0, 9.0])
def test_depth_and_light_come_back(depth: float) -> None:
    found = depth_from_two_filters(seen(ORANGE, depth), seen(RED, depth), MUSCLE)
    # The integral over the skin is right to 0.5 %, which is 0.01 mm here.
    assert found.depth_mm == pytest.approx(depth, abs=0.03)
    assert found.emitted_ph_per_s == pytest.approx(1e6, rel=0.02)
    assert found.findings == ()


def test_depth_is_the_closed_form_for_two_wavelengths() -> None:
    one, two = seen(ORANGE, 3.0), seen(RED, 3.0)
    k = [float(attenuation_per_mm(tissue_optics(MUSCLE, nm))) for nm in (600.0, 660.0)]
    factor = [
        w / (1 + a * float(extrapolation_mm(tissue_optics(MUSCLE, nm)))) for w, a, nm in zip((0.2, 0.1), k, (600.0, 660.0), strict=True)
    ]
    closed = (math.log(factor[0] / factor[1]) - math.log(one.flux_ph_per_s / two.flux_ph_per_s)) / (k[0] - k[1])
    assert depth_from_two_filters(one, two, MUSCLE).depth_mm == pytest.approx(closed, abs=1e-6)


def test_noise_of_5_percent_is_the_designs_figure() -> None:
    # sqrt(2) · 0.05 / (0.700 - 0.222) = 0.148 mm.
    found = depth_from_two_filters(seen(ORANGE, 3.0), seen(RED, 3.0), MUSCLE)
    assert found.sd_noise_mm == pytest.approx(0.148, abs=0.002)
    assert found.sd_blood_mm is not None and found.sd_blood_mm > found.sd_noise_mm


def test_noise_and_blood_cover_the_truth() -> None:
    rng = np.random.default_rng(5)
    one, two = seen(ORANGE, 4.0), seen(RED, 4.0)
    off = []
    for _ in range(200):
        noisy = [BandFlux(f.band, f.flux_ph_per_s * (1 + 0.05 * rng.standard_normal()), f.sd_ph_per_s, 10.0) for f in (one, two)]
        found = depth_from_two_filters(noisy[0], noisy[1], MUSCLE)
        assert found.depth_mm is not None and found.sd_noise_mm is not None
        off.append((found.depth_mm - 4.0) / found.sd_noise_mm)
    # 200 draws: the sd of a standard deviation is 5 %.
    assert 0.85 < float(np.std(off)) < 1.15
    for blood in (math.exp(-0.3), math.exp(0.3)):
        other = depth_from_two_filters(seen(ORANGE, 4.0, blood=blood), seen(RED, 4.0, blood=blood), MUSCLE)
        assert other.depth_mm is not None and other.sd_blood_mm is not None
        assert abs(other.depth_mm - 4.0) < 1.3 * other.sd_blood_mm


def test_wide_filters_are_no_single_wavelength() -> None:
    wide = [filter_band(name, nm, 20) for name, nm in (("600", 600), ("660", 660))]
    fluxes = [seen(band, 4.0) for band in wide]
    assert depth_from_two_filters(fluxes[0], fluxes[1], MUSCLE).depth_mm == pytest.approx(4.0, abs=0.05)
    as_one = [
        BandFlux(Band(b.name, (nm,), (sum(b.shares),)), f.flux_ph_per_s, f.sd_ph_per_s, 10.0)
        for b, nm, f in zip(wide, (600.0, 660.0), fluxes, strict=True)
    ]
    assert abs(depth_from_two_filters(as_one[0], as_one[1], MUSCLE).depth_mm - 4.0) > 0.15


@pytest.mark.parametrize("flux", [9.0, 0.0, -3.0, float("nan")])
def test_a_filter_under_its_limit_gives_no_depth(flux: float) -> None:
    blue = BandFlux(Band("560", (560.0,), (0.1,)), flux, 3.0, 10.0)
    found = depth_from_two_filters(blue, seen(RED, 4.0), MUSCLE)
    assert found.depth_mm is None and found.emitted_ph_per_s is None
    assert [f.check for f in found.findings] == ["depth_unknown"] and "560" in found.findings[0].reason


def test_at_560_nothing_arrives_from_4_mm() -> None:
    assert float(escape_share(4.0, tissue_optics(MUSCLE, 560.0))) < 3e-6


def test_filters_of_one_colour_are_refused() -> None:
    with pytest.raises(InputError, match="filters_alike"):
        depth_from_two_filters(seen(RED, 3.0), seen(Band("661", (661.0,), (0.1,)), 3.0), MUSCLE)


def test_light_that_is_too_blue_or_too_red_is_said() -> None:
    red = seen(RED, 0.5)
    bluish = BandFlux(ORANGE, red.flux_ph_per_s * 4, red.flux_ph_per_s * 0.01, 10.0)
    assert [f.check for f in depth_from_two_filters(bluish, seen(RED, 0.5, cv=0.01), MUSCLE).findings] == ["above_skin"]
    reddish = BandFlux(ORANGE, red.flux_ph_per_s * 1e-6, red.flux_ph_per_s * 1e-8, 1e-4)
    assert depth_from_two_filters(reddish, red, MUSCLE).depth_mm is None
