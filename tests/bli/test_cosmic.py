"""Cosmic hits: found and replaced, and nothing else taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bli.click_files import C, Click, context_of, counts_of, reason, spots, statuses, write_click
from tracker.bli.calibrate import calibrate
from tracker.bli.cosmic import replace_hits
from tracker.bli.read import read

SHAPE = (120, 120)


def light(seed: int, *places: tuple[float, float, float, float]) -> np.ndarray:
    """Counts without bias of sources of a given height in counts, with noise."""
    image = spots(SHAPE, [(r, c, s, p * C[22.4, 1] / (40 * 64)) for r, c, s, p in places])
    return counts_of(image, Click(seed=seed, dark=0.0)) - 400


def noise(values: np.ndarray) -> np.ndarray:
    from scipy.ndimage import median_filter

    return np.sqrt(np.maximum(median_filter(values, 5), 0) / 1.2 + 9)


def test_hits_are_found_and_what_was_under_them_comes_back():
    net = light(1, (60, 60, 5, 2000))
    hit = net.copy()
    places = [(10, 10), (0, 119), (100, 20), (101, 20), (60, 62)]
    for row, column in places:
        hit[row, column] += 9000
    cleaned = replace_hits(hit, noise(hit))
    assert {tuple(p) for p in np.argwhere(cleaned.hits)} == set(places)
    for row, column in places:
        # Within five times the noise of one pixel at that level, and what the source bends within three pixels.
        assert cleaned.values[row, column] == pytest.approx(
            net[row, column], abs=5 * noise(net)[row, column] + 0.06 * max(net[row, column], 0)
        )
    assert (cleaned.values[~cleaned.hits] == hit[~cleaned.hits]).all()


@pytest.mark.parametrize("sd", [1.0, 1.5, 3.0, 8.0])
@pytest.mark.parametrize("height", [50, 3000, 60000])
def test_sources_spread_over_pixels_are_kept(sd, height):
    for seed in range(3):
        net = light(seed, (60.5, 40.2, sd, height))
        assert replace_hits(net, noise(net)).hits.sum() == 0


def test_noise_alone_is_no_hit():
    found = sum(int(replace_hits(net, noise(net)).hits.sum()) for net in (light(seed) for seed in range(10)))
    # 144 000 pixels: 5 standard deviations above the median of eight are passed by chance once in some 10^6.
    assert found <= 2


def test_they_are_logged_and_can_be_kept(tmp_path):
    truth = spots(SHAPE, [(60, 60, 4, 1e6)])
    folder = write_click(tmp_path / "c", truth, hits=((10, 12, 5000.0), (90, 30, 800.0)))
    context = context_of(folder)
    q = calibrate(read(folder, "", context), context)
    assert statuses(q.findings)["cosmic_hits"] == "ok" and ">cosmic>" in q.method
    assert reason(q.findings, "cosmic_hits").startswith("2 pixel(s) replaced as cosmic hits, 58") and "row 11, column 13" in reason(
        q.findings, "cosmic_hits"
    )
    context = context_of(folder, constants={"cosmic_hits": "keep"})
    kept = calibrate(read(folder, "", context), context)
    assert "cosmic" not in kept.method and kept.values[0, 0, 10, 12] > 100 * abs(q.values[0, 0, 10, 12])


def test_a_hit_that_fills_a_pixel_is_no_saturation(tmp_path):
    folder = write_click(tmp_path / "c", spots(SHAPE, [(60, 60, 4, 1e6)]), hits=((10, 12, 70000.0),))
    context = context_of(folder)
    assert not calibrate(read(folder, "", context), context).censored.any()


def test_more_hits_than_a_sky_has_are_a_warning(tmp_path):
    rng = np.random.default_rng(5)
    hits = tuple((int(r), int(c), 4000.0) for r, c in rng.integers(0, 120, (80, 2)))
    folder = write_click(tmp_path / "c", np.zeros(SHAPE), hits=hits)
    context = context_of(folder)
    assert statuses(calibrate(read(folder, "", context), context).findings)["cosmic_hits"] == "warn"


def test_far_more_are_no_cosmic_rays_and_nothing_is_replaced(tmp_path):
    rng = np.random.default_rng(5)
    hits = tuple((int(r), int(c), 4000.0) for r, c in rng.integers(0, 120, (400, 2)))
    folder = write_click(tmp_path / "c", np.zeros(SHAPE), hits=hits)
    context = context_of(folder)
    q = calibrate(read(folder, "", context), context)
    assert "none is replaced" in reason(q.findings, "cosmic_hits") and "cosmic" not in q.method
    assert (q.values > 1e6).sum() > 350
