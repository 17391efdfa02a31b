"""Decay against closed forms, published figures and the limits that any half-life obeys."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.decay import decay_constant_per_s, decay_factor, frame_mean_factor, mean_time_s
from tracker.nuclides import nuclide

HALF_LIVES = st.floats(1.0, 1e7)
TIMES = st.floats(-1e6, 1e6)


def test_a_half_life_halves() -> None:
    assert decay_factor(282276.0, 282276.0) == 0.5
    assert decay_factor(0.0, 282276.0) == 1.0
    assert decay_factor(-282276.0, 282276.0) == 2.0
    assert decay_constant_per_s(100.0) == pytest.approx(0.00693147180559945, rel=1e-14)


def test_zr89_at_day_seven_and_cu64_at_48_hours() -> None:
    day7 = (datetime(2026, 3, 9, 15) - datetime(2026, 3, 2, 9)).total_seconds()
    two_days = (datetime(2026, 3, 4, 9) - datetime(2026, 3, 2, 9)).total_seconds()
    assert decay_factor(day7, nuclide("89Zr").half_life_s) == pytest.approx(math.exp(-math.log(2) * 174 / 78.41), rel=1e-9)
    assert decay_factor(two_days, nuclide("64Cu").half_life_s) == pytest.approx(math.exp(-math.log(2) * 48 / 12.7), rel=1e-9)


def test_what_a_time_of_day_would_miss() -> None:
    # A tool that reads only the time of day takes a scan on day 7 (or after 48 h) at the hour of the injection as 0 h.
    missed_zr = 1 / decay_factor(7 * 86400.0, nuclide("89Zr").half_life_s)
    missed_cu = 1 / decay_factor(48 * 3600.0, nuclide("64Cu").half_life_s)
    assert missed_zr == pytest.approx(4.4, abs=0.05)  # published with one decimal
    assert missed_cu == pytest.approx(13.7, abs=0.05)


@pytest.mark.parametrize(
    ("half_life_s", "duration_s", "printed"),
    [
        (6586.2, 3600, "1.20136974"),
        (1223.4, 600, "1.17958404"),
        (45720, 1800, "1.01370669"),
        (282276, 1200, "1.00147406"),
        (21654, 2400, "1.03890393"),
        (242326.08, 3600, "1.00515754"),
        (122.24, 120, "1.37851211"),
    ],
)
def test_frame_factor_to_all_printed_digits(half_life_s: float, duration_s: float, printed: str) -> None:
    assert f"{frame_mean_factor(float(duration_s), half_life_s):.8f}" == printed


def test_mean_time_and_the_middle_of_the_frame() -> None:
    assert f"{mean_time_s(3600.0, 6586.2):.4f}" == "1743.2370"
    assert f"{1 / decay_factor(1800.0, 6586.2):.8f}" == "1.20856806"  # what the middle of the frame would give
    assert 1 / decay_factor(60.0, 122.24) / frame_mean_factor(120.0, 122.24) - 1 == pytest.approx(0.0194, abs=5e-5)


def test_frame_factor_is_the_mean_of_the_activity() -> None:
    # Independent of the formula: the midpoint rule with 1e5 steps, whose error here is below 1e-11.
    half_life_s, duration_s, steps = 4062.6, 5400.0, 100_000
    t = (np.arange(steps) + 0.5) * duration_s / steps
    mean = float(np.mean(0.5 ** (t / half_life_s)))
    assert frame_mean_factor(duration_s, half_life_s) == pytest.approx(1 / mean, rel=1e-9)


@given(HALF_LIVES, st.floats(1e-3, 1e4))
def test_activity_at_the_mean_time_is_the_mean(half_life_s: float, share: float) -> None:
    duration_s = half_life_s * min(share, 50.0)
    at_mean = decay_factor(mean_time_s(duration_s, half_life_s), half_life_s)
    assert at_mean * frame_mean_factor(duration_s, half_life_s) == pytest.approx(1.0, rel=1e-12)
    assert mean_time_s(duration_s, half_life_s) < duration_s / 2


@pytest.mark.parametrize("exponent", range(-16, -1))
def test_short_frames_keep_their_digits(exponent: int) -> None:
    half_life_s = 1e6
    duration_s = 10.0**exponent * half_life_s / math.log(2)
    x = 10.0**exponent
    assert frame_mean_factor(duration_s, half_life_s) == pytest.approx(1 + x / 2 + x**2 / 12 - x**4 / 720, rel=1e-13)
    # At x = 0.01 the logarithm of 1.005 carries 2e-16 absolute, 4e-14 relative.
    assert mean_time_s(duration_s, half_life_s) / duration_s == pytest.approx(0.5 - x / 24 + x**3 / 2880, rel=2e-13)


@given(HALF_LIVES, TIMES, TIMES)
def test_decay_in_two_steps_is_decay_in_one(half_life_s: float, first_s: float, second_s: float) -> None:
    first_s, second_s = (math.remainder(t, 100 * half_life_s) for t in (first_s, second_s))
    together = decay_factor(first_s + second_s, half_life_s)
    # The exponent is up to 100: one rounding of it moves the power by up to 100 · ln 2 · 2e-16.
    assert decay_factor(first_s, half_life_s) * decay_factor(second_s, half_life_s) == pytest.approx(together, rel=1e-12)


def test_arrays_are_taken_element_by_element_and_left_alone() -> None:
    durations = np.array([[0.0, 60.0], [600.0, 1e5]])
    before = durations.copy()
    for function in (decay_factor, frame_mean_factor, mean_time_s):
        out = function(durations, 1223.4)
        assert isinstance(out, np.ndarray) and out.shape == (2, 2)
        assert [[function(float(v), 1223.4) for v in line] for line in durations] == pytest.approx(out, rel=1e-14)
    assert np.array_equal(durations, before)
    assert type(frame_mean_factor(60.0, 1223.4)) is float
    assert frame_mean_factor(0.0, 1223.4) == 1.0
    assert mean_time_s(0.0, 1223.4) == 0.0


@pytest.mark.parametrize("half_life_s", [0.0, -1.0, math.nan, math.inf])
def test_a_half_life_that_is_none_is_refused(half_life_s: float) -> None:
    for function in (decay_factor, frame_mean_factor, mean_time_s):
        with pytest.raises(ValueError, match="half_life_s"):
            function(60.0, half_life_s)


@pytest.mark.parametrize("duration_s", [-1.0, math.nan])
def test_a_negative_frame_is_refused(duration_s: float) -> None:
    with pytest.raises(ValueError, match="duration_s"):
        frame_mean_factor(duration_s, 60.0)
    with pytest.raises(ValueError, match="duration_s"):
        mean_time_s(duration_s, 60.0)
