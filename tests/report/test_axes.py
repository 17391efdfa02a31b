"""Ticks stand where they say, and people can read them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.report.axes import exponent, pixel, scaled_unit, time_axis, value_axis

HOURS = {"min": 1 / 60, "h": 1.0, "d": 24.0}


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_value_axis_holds_its_values_and_zero(low: float, span: float) -> None:
    axis = value_axis(low, low + span, 150.0, 10.0)
    # One part in 10⁹ of the axis: rounding of k × step.
    room = 1e-9 * (axis.high - axis.low)
    assert axis.low <= min(low, 0.0) + room and axis.high >= max(low + span, 0.0) - room
    assert 2 <= len(axis.ticks) <= 7
    assert axis.ticks[0][0] == axis.low and axis.ticks[-1][0] == axis.high


@given(st.floats(1e-7, 1e12))
def test_tick_texts_are_the_values_over_the_power(high: float) -> None:
    axis = value_axis(0.0, high, 150.0, 10.0)
    power = exponent(axis.high)
    for value, text in axis.ticks:
        assert float(text) * 10.0**power == pytest.approx(value, rel=1e-5)
        assert len(text) <= 6


@given(st.lists(st.floats(0.01, 2000.0), min_size=1, max_size=8))
def test_time_axis_is_monotone_and_inside(times: list[float]) -> None:
    axis = time_axis(times, 40.0, 290.0)
    places = [pixel(axis, t) for t in sorted(times)]
    assert places == sorted(places) and all(39.99 <= p <= 290.01 for p in places)
    ticks = [pixel(axis, value) for value, _ in axis.ticks]
    assert all(b - a >= 30 for a, b in pairwise(ticks)), "tick texts would touch"


def test_early_scans_get_a_log_axis_with_units_on_ticks() -> None:
    axis = time_axis([1.0, 4.0, 24.0, 168.0], 40.0, 290.0)
    assert axis.log and "log" in axis.title
    for value, text in axis.ticks:
        number, unit = text.split()
        assert float(number) * HOURS[unit] == pytest.approx(value, rel=1e-2)  # "7 d", "15 min": three digits
    assert {"1 h", "1 d", "7 d"} <= {text for _, text in axis.ticks}


@pytest.mark.parametrize(
    ("times", "unit", "per_h"), [([0.0, 0.2, 1.0], "min", 60.0), ([0.0, 4.0, 48.0], "h", 1.0), ([24.0, 96.0, 240.0], "days", 1 / 24)]
)
def test_linear_axis_states_its_unit(times: list[float], unit: str, per_h: float) -> None:
    axis = time_axis(times, 40.0, 290.0)
    assert not axis.log and f"({unit})" in axis.title
    assert all(float(text) == pytest.approx(value * per_h) for value, text in axis.ticks) and len(axis.ticks) >= 3


def test_log_axis_spaces_ratios_evenly() -> None:
    axis = time_axis([0.5, 100.0], 0.0, 300.0)
    assert pixel(axis, 8.0) - pixel(axis, 4.0) == pytest.approx(pixel(axis, 80.0) - pixel(axis, 40.0))
    assert pixel(axis, 2.0) - pixel(axis, 1.0) == pytest.approx(300.0 * math.log(2) / math.log(axis.high / axis.low))


def test_time_zero_or_before_needs_a_linear_axis() -> None:
    assert not time_axis([0.0, 1.0, 500.0], 0.0, 300.0).log
    assert time_axis([-24.0, 48.0], 0.0, 300.0).low < -24.0
    assert time_axis([-2.0], 0.0, 300.0).high > 0.0


def test_units_take_prefixes_only_where_they_can() -> None:
    assert [scaled_unit("Bq/mL", p) for p in (0, 3, 6, 9)] == ["Bq/mL", "kBq/mL", "MBq/mL", "GBq/mL"]
    assert scaled_unit("%/g", -3) == "10⁻³ %/g" and scaled_unit("cells", 6) == "10⁶ cells" and scaled_unit("Bq", -3) == "10⁻³ Bq"


@pytest.mark.parametrize(("times", "unit"), [([-24.0, 1.0], "h"), ([-168.0, 0.5, 24.0], "days"), ([-0.5, 1.0], "min")])
def test_times_before_the_dose_set_the_unit_too(times: list[float], unit: str) -> None:
    axis = time_axis(times, 40.0, 290.0)
    assert f"({unit})" in axis.title and 2 <= len(axis.ticks) <= 8
    assert axis.ticks[0][1].startswith("−") and all(len(text) <= 4 for _, text in axis.ticks)
    places = [pixel(axis, value) for value, _ in axis.ticks]
    assert all(b - a >= 25 for a, b in pairwise(places)) and all(40 <= pixel(axis, t) <= 290 for t in times)
