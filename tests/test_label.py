"""Net doses against sums done by hand, over midnight and over days; what is missing is said, not guessed."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import InputError
from tracker.label import NetDose, dose_at, elapsed_s, half_life_s, net_dose, share_left
from tracker.study.model import Corrections
from tracker.study.rows import Dose, Label

ZR = Label("zr", "radionuclide", nuclide="89Zr")
CU = Label("cu", "radionuclide", nuclide="Cu-64")
SPIO = Label("spio", "iron")
NOON = datetime(2026, 3, 2, 12)
PLAIN = Corrections()


def _dose(**changes: object) -> Dose:
    base = Dose("m1", NOON, "cu", 1e6, "iv", amount=10e6, amount_unit="Bq", residual_amount=0.0, residual_time=NOON)
    return replace(base, **changes)  # type: ignore[arg-type]


def _lambda(half_life_h: float) -> float:
    return math.log(2) / half_life_h


def test_net_dose_by_hand() -> None:
    dose = _dose(
        assay_time=NOON - timedelta(hours=2), residual_amount=0.5e6, residual_time=NOON + timedelta(minutes=30), free_label_percent=4.0
    )
    drawn, left = 10e6 * math.exp(-_lambda(12.7) * 2), 0.5e6 * math.exp(_lambda(12.7) * 0.5)
    net = net_dose(dose, CU, Corrections(dose_sd_percent=3.0))
    assert net.amount == pytest.approx((drawn - left) * 0.96, rel=1e-12)
    assert net.sd == pytest.approx((drawn - left) * 0.96 * 0.03, rel=1e-12)
    assert (net.unit, net.time, net.cells, net.flags, net.findings) == ("Bq", NOON, 1e6, (), ())


def test_assay_the_evening_before_counts_the_night() -> None:
    # 23:30 to 00:30: an hour of decay, not minus 23 hours.
    dose = _dose(dose_time=datetime(2026, 3, 3, 0, 30), assay_time=datetime(2026, 3, 2, 23, 30), residual_amount=0.0)
    assert net_dose(dose, CU, PLAIN).amount == pytest.approx(10e6 * math.exp(-_lambda(12.7)), rel=1e-12)


def test_assay_after_the_injection_looks_back() -> None:
    dose = _dose(assay_time=NOON + timedelta(hours=12.7))
    assert net_dose(dose, CU, PLAIN).amount == pytest.approx(20e6, rel=1e-12)


def test_iron_does_not_decay() -> None:
    dose = _dose(label="spio", amount=30.0, amount_unit="ug", assay_time=NOON - timedelta(days=9), residual_amount=2.0, residual_time=NOON)
    assert net_dose(dose, SPIO, PLAIN).amount == 28.0
    assert share_left(NOON, NOON + timedelta(days=365), SPIO) == 1.0
    assert half_life_s(SPIO) is None


def test_missing_residual_is_zero_and_said() -> None:
    net = net_dose(_dose(residual_amount=None, residual_time=None), CU, PLAIN)
    assert net.amount == 10e6
    assert net.flags == ("no_residual",)
    assert [(f.check, f.status) for f in net.findings] == [("no_residual", "warn")]
    assert "taken as 0" in net.findings[0].reason


def test_residual_without_a_time_is_said() -> None:
    net = net_dose(_dose(residual_amount=1e6, residual_time=None), CU, PLAIN)
    assert net.amount == 9e6
    assert [f.check for f in net.findings] == ["no_residual_time"]


def test_missing_amount_is_none_never_zero() -> None:
    net = net_dose(_dose(amount=None, amount_unit=""), CU, PLAIN)
    assert net.amount is None and net.sd is None
    assert [(f.check, f.status) for f in net.findings] == [("no_dose_amount", "warn")]
    # A reporter is given as cells: nothing is missing.
    assert net_dose(_dose(amount=None, amount_unit=""), Label("luc", "reporter"), PLAIN).findings == ()


def test_no_dose_sd_is_none() -> None:
    assert net_dose(_dose(), CU, PLAIN).sd is None


def test_free_label_is_taken_off_cells_only() -> None:
    assert net_dose(_dose(free_label_percent=25.0), CU, PLAIN).amount == 7.5e6
    assert net_dose(_dose(free_label_percent=25.0, cells=0.0), CU, PLAIN).amount == 10e6


def test_viability_gives_live_cells() -> None:
    assert net_dose(_dose(viability_percent=80.0), CU, PLAIN).cells == 8e5


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_unit": "ug"}, "dose_unit"),
        ({"residual_amount": 10e6}, "dose_not_positive"),
        ({"residual_amount": 11e6}, "dose_not_positive"),
        ({"free_label_percent": 100.0}, "dose_not_positive"),
        ({"assay_time": NOON.replace(tzinfo=UTC)}, "clock_mismatch"),
    ],
)
def test_a_dose_that_cannot_be_right_is_refused(changes: dict[str, object], code: str) -> None:
    with pytest.raises(InputError) as caught:
        net_dose(_dose(**changes), CU, PLAIN)
    assert caught.value.code == code
    assert caught.value.do


def test_unknown_nuclide_has_no_default() -> None:
    with pytest.raises(InputError) as caught:
        net_dose(_dose(assay_time=NOON), Label("x", "radionuclide"), PLAIN)
    assert caught.value.code == "unknown_nuclide"


def test_clocks_with_offsets_agree_across_a_change_of_summer_time() -> None:
    winter, summer = timezone(timedelta(hours=1)), timezone(timedelta(hours=2))
    assert elapsed_s(datetime(2026, 3, 28, 12, tzinfo=winter), datetime(2026, 3, 29, 12, tzinfo=summer)) == 23 * 3600


def test_repeated_doses_add_up() -> None:
    doses = [
        NetDose(10e6, "Bq", NOON, 1e6),
        NetDose(4e6, "Bq", NOON + timedelta(days=2), 1e6),
        NetDose(9e6, "Bq", NOON + timedelta(days=9), 1e6),
    ]
    at = NOON + timedelta(days=3)
    by_hand = 10e6 * math.exp(-_lambda(78.41) * 72) + 4e6 * math.exp(-_lambda(78.41) * 24)  # the third is yet to come
    assert dose_at(doses, ZR, at) == pytest.approx(by_hand, rel=1e-12)
    assert dose_at(doses, ZR, NOON) == 10e6
    assert dose_at(doses, ZR, NOON - timedelta(seconds=1)) == 0.0


def test_a_dose_without_amount_spoils_the_sum_only_once_given() -> None:
    doses = [NetDose(10e6, "Bq", NOON, 1e6), NetDose(None, "", NOON + timedelta(days=2), 1e6)]
    assert dose_at(doses, ZR, NOON + timedelta(days=1)) is not None
    assert dose_at(doses, ZR, NOON + timedelta(days=2)) is None


@given(st.floats(0, 400), st.floats(1.0, 1e9))
def test_net_dose_of_an_early_assay_is_what_was_left(hours: float, amount: float) -> None:
    dose = _dose(amount=amount, assay_time=NOON - timedelta(hours=hours))
    # timedelta keeps microseconds: 1e-6 s against 64Cu is 1.5e-11.
    assert net_dose(dose, CU, PLAIN).amount == pytest.approx(amount * math.exp(-_lambda(12.7) * hours), rel=1e-9)
