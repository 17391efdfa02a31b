"""The peak of the light after luciferin: fitted where it is bracketed, else said why not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tracker.bli.luciferin import Peak, bateman, peak_flux
from tracker.errors import InputError

RISE, FALL, LAG = 0.006, 0.0009, 45.0
PEAK_S = LAG + math.log(RISE / FALL) / (RISE - FALL)


def truth(time: np.ndarray, scale: float = 1e7) -> np.ndarray:
    """Two compartments by small steps in time: not the formula that is fitted."""
    step, out = 0.05, []
    for end in time:
        depot, place = 1.0, 0.0
        for _ in range(int(max(end - LAG, 0.0) / step)):
            moved = RISE * depot * step
            depot, place = depot - moved, place + moved - FALL * place * step
        out.append(scale * place)
    return np.array(out)


MINUTES = np.arange(2.0, 42.0, 3.0)
CURVE = truth(60 * MINUTES)
TOP = float(truth(np.array([PEAK_S]))[0])


def test_bateman_is_two_compartments() -> None:
    np.testing.assert_allclose(bateman(60 * MINUTES, 1e7, RISE, FALL, LAG), CURVE, rtol=1e-3)


def test_bateman_with_equal_rates_is_gamma() -> None:
    time = np.array([100.0, 1000.0, 4000.0])
    np.testing.assert_allclose(bateman(time, 1.0, 1e-3, 1e-3, 0.0), 1e-3 * time * np.exp(-1e-3 * time), rtol=1e-9)


def test_peak_is_fitted_between_frames() -> None:
    found = peak_flux(60 * MINUTES, CURVE, 0.02 * CURVE)
    assert found.method == "fitted" and found.flags == ()
    assert found.flux_ph_per_s == pytest.approx(TOP, rel=0.005)
    assert found.time_s == pytest.approx(PEAK_S, rel=0.05)


def test_five_frames_suffice_and_the_order_does_not_matter() -> None:
    some = np.array([8, 0, 3, 5, 12])
    found = peak_flux(60 * MINUTES[some], CURVE[some], 0.02 * CURVE[some])
    assert found.method == "fitted" and found.flux_ph_per_s == pytest.approx(TOP, rel=0.02)


def test_the_fits_noise_covers() -> None:
    rng = np.random.default_rng(3)
    off = []
    for _ in range(60):
        sd = 0.05 * CURVE
        found = peak_flux(60 * MINUTES, CURVE + sd * rng.standard_normal(CURVE.size), sd)
        assert found.method == "fitted" and found.flux_ph_per_s is not None and found.sd_ph_per_s is not None
        assert found.sd_ph_per_s < 0.05 * TOP, "a fit of 14 frames knows the peak better than one frame does"
        off.append((found.flux_ph_per_s - TOP) / found.sd_ph_per_s)
    # 60 draws, sd widened where the fit happens to be bad: 0.7 to 1.2; no bias beyond 0.4 of an sd (3 of its own).
    assert 0.65 < float(np.std(off)) < 1.25 and abs(float(np.mean(off))) < 0.4


def why(found: Peak) -> str:
    return found.findings[0].reason


def test_few_frames_take_the_highest_of_8_to_20_min() -> None:
    minutes = np.array([4.0, 10.0, 14.0, 30.0])
    flux = truth(60 * minutes)
    found = peak_flux(60 * minutes, np.array([9e9, *flux[1:]]), 0.02 * flux)
    assert (found.method, found.time_s, found.flags) == ("highest_frame", 600.0, ("peak_not_fitted",))
    assert found.flux_ph_per_s == flux[1] and "4 frames" in why(found)


@pytest.mark.parametrize(("part", "words"), [(slice(4, None), "before the first"), (slice(0, 3), "3 frames")])
def test_a_peak_that_is_not_bracketed_is_not_fitted(part: slice, words: str) -> None:
    found = peak_flux(60 * MINUTES[part], CURVE[part], 0.02 * CURVE[part])
    assert found.method != "fitted" and words in why(found)


def test_a_flux_that_still_rises() -> None:
    minutes = np.array([2.0, 3.0, 4.0, 5.0, 6.0, 8.5])
    found = peak_flux(60 * minutes, minutes * 1e6, np.full(6, 1e4))
    assert (found.method, found.time_s) == ("highest_frame", 510.0) and "after the last" in why(found)


def test_noise_alone_is_no_peak() -> None:
    flux = np.array([10.0, 12.0, 9.0, 13.0, 11.0, 10.0])
    assert peak_flux(60 * np.arange(6.0, 24.0, 3.0), flux, np.full(6, 8.0)).method == "highest_frame"


def test_no_frame_in_time_gives_no_value() -> None:
    found = peak_flux(np.array([120.0, 240.0]), np.array([1e6, 2e6]), np.array([1e4, 1e4]))
    assert (found.flux_ph_per_s, found.sd_ph_per_s, found.time_s, found.method) == (None, None, None, "none")
    assert found.flags == ("no_peak",) and "8 to 20 min" in why(found)


def test_unknown_times_give_no_value() -> None:
    found = peak_flux(np.full(6, np.nan), np.ones(6), np.ones(6))
    assert found.flux_ph_per_s is None and "time after luciferin" in why(found)


def test_frames_without_a_value_are_left_out() -> None:
    holes = CURVE.copy()
    holes[[1, 7]] = np.nan
    assert peak_flux(60 * MINUTES, holes, 0.02 * CURVE).flux_ph_per_s == pytest.approx(TOP, rel=0.01)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="shape_mismatch"):
        peak_flux(np.ones(3), np.ones(2), np.ones(2))
    with pytest.raises(InputError, match="sd_not_positive"):
        peak_flux(np.ones(2), np.ones(2), np.zeros(2))
