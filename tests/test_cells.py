"""Label per live cell against populations counted cell by cell."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tracker.cells import label_per_cell
from tracker.errors import InputError
from tracker.label import NetDose
from tracker.study.model import Corrections
from tracker.study.rows import Label, RetentionPoint

T0 = datetime(2026, 3, 2, 12)
LABEL = Label("cu", "radionuclide", nuclide="64Cu", dilutes=True, doubling_time_h=24.0, doubling_time_sd_h=2.4)
ONE = NetDose(5e6, "Bq", T0, 1e6)


def test_one_dose_is_the_closed_form() -> None:
    found = label_per_cell([ONE], LABEL, Corrections(dose_sd_percent=5.0), T0 + timedelta(hours=36))
    assert found.amount == pytest.approx(5.0 * 2 ** (-36 / 12.7) * 2 ** (-36 / 24), rel=1e-12)
    assert found.sd_relative == pytest.approx(math.hypot(0.05, math.log(2) * 1.5 * 0.1), rel=1e-12)
    assert (found.unit, found.stages, found.flags) == ("Bq", ("dilution",), ())


def test_the_sheet_beats_the_dose() -> None:
    label = replace(LABEL, amount_per_cell=4.0, amount_per_cell_unit="Bq", amount_per_cell_sd=0.8)
    found = label_per_cell([replace(ONE, flags=("no_residual",))], label, Corrections(), T0)
    assert (found.amount, found.sd_relative, found.flags) == (4.0, pytest.approx(0.2), ())


def test_flags_of_the_dose_reach_what_is_made_of_it() -> None:
    found = label_per_cell([replace(ONE, flags=("no_residual",))], LABEL, Corrections(), T0)
    assert found.flags == ("no_residual",)
    assert found.sd_relative is None  # the dose's sd is not stated


def test_two_doses_by_counting() -> None:
    # At 48 h: 1e6 cells in their 4-fold number with label loaded at 0 h, 3e6 cells doubled with label loaded at 24 h.
    second = NetDose(6e6, "Bq", T0 + timedelta(hours=24), 3e6)
    at = T0 + timedelta(hours=48)
    label_left = 5e6 * 2 ** (-48 / 12.7) + 6e6 * 2 ** (-24 / 12.7)
    cells_now = 1e6 * 4 + 3e6 * 2
    found = label_per_cell([ONE, second], LABEL, Corrections(dose_sd_percent=0.0), at)
    assert found.amount == pytest.approx(label_left / cells_now, rel=1e-12)
    # d ln Σ N 2^(t/Td): each dose's own term weighted by its cells, 40 % and 60 %.
    assert found.sd_relative == pytest.approx(math.log(2) * (2.0 * 0.4 + 1.0 * 0.6) * 0.1, rel=1e-12)


def test_two_doses_lose_label_each_since_its_own_time() -> None:
    label = replace(LABEL, dilutes=False, retention_half_time_h=24.0, retention_sd_h=2.4)
    second = NetDose(6e6, "Bq", T0 + timedelta(hours=24), 3e6)
    old, new = 5e6 * 2 ** (-48 / 12.7) * 0.25, 6e6 * 2 ** (-24 / 12.7) * 0.5
    found = label_per_cell([ONE, second], label, Corrections(dose_sd_percent=0.0), T0 + timedelta(hours=48))
    assert found.amount == pytest.approx((old + new) / 4e6, rel=1e-12)
    assert found.sd_relative == pytest.approx(math.log(2) * 0.1 * (2 * old + new) / (old + new), rel=1e-12)


def test_a_dose_yet_to_come_does_not_count() -> None:
    later = NetDose(6e6, "Bq", T0 + timedelta(hours=24), 3e6)
    at = T0 + timedelta(hours=12)
    assert label_per_cell([ONE, later], LABEL, Corrections(), at) == label_per_cell([ONE], LABEL, Corrections(), at)


def test_a_dose_split_in_two_is_the_same_dose() -> None:
    halves = [replace(ONE, amount=2e6, cells=4e5), replace(ONE, amount=3e6, cells=6e5)]
    at = T0 + timedelta(hours=30)
    whole = label_per_cell([ONE], LABEL, Corrections(), at).amount
    assert label_per_cell(halves, LABEL, Corrections(), at).amount == pytest.approx(whole, rel=1e-12)


def test_loss_that_is_not_known_gives_none() -> None:
    label = replace(LABEL, retention_table=(RetentionPoint(24.0, 0.9, 0.0),))
    found = label_per_cell([ONE], label, Corrections(), T0 + timedelta(hours=25))
    assert (found.amount, found.sd_relative, found.flags) == (None, None, ("retention_extrapolated",))


@pytest.mark.parametrize(
    ("doses", "label", "code"),
    [
        ([replace(ONE, amount=None, unit="")], LABEL, "no_amount_per_cell"),
        ([replace(ONE, cells=0.0)], LABEL, "dose_without_cells"),
        ([ONE, replace(ONE, cells=0.0)], LABEL, "dose_without_cells"),
        ([], LABEL, "dose_without_cells"),
        ([ONE], replace(LABEL, amount_per_cell=0.0), "no_amount_per_cell"),
        ([ONE], replace(LABEL, doubling_time_h=None), "no_doubling_time"),
    ],
)
def test_what_cannot_be_counted_is_refused(doses: list[NetDose], label: Label, code: str) -> None:
    with pytest.raises(InputError) as caught:
        label_per_cell(doses, label, Corrections(), T0 + timedelta(hours=1))
    assert caught.value.code == code


def test_after_a_thousand_doublings_no_label_is_left_in_a_cell() -> None:
    label = replace(LABEL, nuclide="125I", doubling_time_h=0.01)
    assert label_per_cell([ONE], label, Corrections(), T0 + timedelta(hours=1000)).amount == 0.0
