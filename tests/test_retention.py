"""Retention against first-order loss and against tables read by hand; beyond a table there is no value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import InputError
from tracker.retention import Factor, retained
from tracker.study.rows import Label, RetentionPoint

TABLE = (RetentionPoint(0.0, 1.0, 0.0), RetentionPoint(24.0, 0.81, 0.04), RetentionPoint(72.0, 0.64, 0.05))


def _label(**changes: object) -> Label:
    return Label("in", "radionuclide", nuclide="111In", **changes)  # type: ignore[arg-type]


def test_nothing_known_is_exactly_one_with_no_stage() -> None:
    assert retained(48.0, _label()) == Factor(1.0, 0.0, (), ())


def test_published_rates_are_met() -> None:
    # 111In-oxine keeps 43-52 % at 24 h (Charoenphun 2015), first-order rates 0.0352-0.0272 /h.
    for kept, rate_per_h in ((0.43, 0.0352), (0.52, 0.0272)):
        # Rates are printed with three digits: 0.5 in the last is 0.2 % of the rate, 0.12 % of the share.
        assert retained(24.0, _label(retention_half_time_h=math.log(2) / rate_per_h)).value == pytest.approx(kept, rel=3e-3)


def test_half_time_and_its_sd() -> None:
    factor = retained(36.0, _label(retention_half_time_h=24.0, retention_sd_h=3.0))
    assert factor.value == pytest.approx(math.exp(-math.log(2) * 1.5), rel=1e-14)
    # Against a finite difference of the closed form, not the formula in the code; h² error about 1e-8.
    step = 1e-3
    slope = (math.log(2 ** (-36 / (24 + step))) - math.log(2 ** (-36 / (24 - step)))) / (2 * step)
    assert factor.sd_relative == pytest.approx(slope * 3.0, rel=1e-6)
    assert factor.stages == ("retention",)


def test_no_sd_is_none_not_zero() -> None:
    assert retained(36.0, _label(retention_half_time_h=24.0)).sd_relative is None
    bare = (RetentionPoint(0.0, 1.0, None), RetentionPoint(24.0, 0.5, None))
    assert retained(12.0, _label(retention_table=bare)).sd_relative is None
    half = (RetentionPoint(0.0, 1.0, None), RetentionPoint(24.0, 0.5, 0.05))
    assert retained(12.0, _label(retention_table=half)).sd_relative is None
    assert retained(24.0, _label(retention_table=half)).sd_relative == pytest.approx(0.1)  # the other point has no part in it


def test_table_points_and_the_geometric_mean_between() -> None:
    label = _label(retention_table=TABLE)
    assert [retained(p.time_h, label).value for p in TABLE] == pytest.approx([p.retained for p in TABLE], rel=1e-14)
    assert retained(12.0, label).value == pytest.approx(0.9, rel=1e-12)  # sqrt(1 · 0.81)
    assert retained(48.0, label).value == pytest.approx(0.72, rel=1e-12)  # sqrt(0.81 · 0.64)
    assert retained(48.0, label).sd_relative == pytest.approx((0.04 / 0.81 + 0.05 / 0.64) / 2, rel=1e-12)
    assert retained(24.0, label).sd_relative == pytest.approx(0.04 / 0.81, rel=1e-12)


def test_order_of_the_table_does_not_matter() -> None:
    assert retained(30.0, _label(retention_table=TABLE[::-1])) == retained(30.0, _label(retention_table=TABLE))


def test_beyond_the_table_there_is_no_value() -> None:
    factor = retained(72.1, _label(retention_table=TABLE))
    assert factor.value is None and factor.sd_relative is None
    assert factor.flags == ("retention_extrapolated",)


def test_a_table_that_starts_late_starts_from_all_label() -> None:
    late = (RetentionPoint(24.0, 0.64, 0.0),)
    assert retained(12.0, _label(retention_table=late)).value == pytest.approx(0.8, rel=1e-12)
    assert retained(0.0, _label(retention_table=late)).value == 1.0


@given(st.floats(0.0, 72.0), st.floats(0.0, 72.0))
def test_a_falling_table_never_rises(a: float, b: float) -> None:
    early, late = sorted((a, b))
    label = _label(retention_table=TABLE)
    # Rounding of two powers: a few units in the last place.
    assert (retained(late, label).value or 0) <= (retained(early, label).value or 0) * (1 + 1e-14)


@given(st.floats(1.0, 1e3), st.floats(0.0, 500.0))
def test_a_table_made_of_a_half_time_agrees_with_it(half_time_h: float, time_h: float) -> None:
    points = tuple(RetentionPoint(t, 0.5 ** (t / half_time_h), 0.0) for t in (0.0, 100.0, 500.0))
    expected = retained(time_h, _label(retention_half_time_h=half_time_h)).value
    assert retained(time_h, _label(retention_table=points)).value == pytest.approx(expected, rel=1e-9)


def test_refusals() -> None:
    gone = (RetentionPoint(0.0, 1.0, 0.0), RetentionPoint(24.0, 0.0, 0.0))
    for label in (_label(retention_table=gone), _label(retention_half_time_h=0.0)):
        with pytest.raises(InputError) as caught:
            retained(1.0, label)
        assert caught.value.code == "retention_not_positive"
    with pytest.raises(ValueError, match="elapsed_h"):
        retained(-1.0, _label())
