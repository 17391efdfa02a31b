"""The correct stage against numbers done by hand, published factors, and properties any study obeys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.correct import Corrected, correct
from tracker.errors import InputError
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Dose, Label, RetentionPoint, Subject
from tracker.table import Row, check_row, read_rows, write_rows

T0 = datetime(2026, 3, 2, 22)
CU = Label("cu", "radionuclide", nuclide="64Cu", dilutes=True, doubling_time_h=48.0, doubling_time_sd_h=4.8)
ZR = replace(CU, label="zr", nuclide="89Zr")
SPIO = Label("spio", "iron", dilutes=True, doubling_time_h=48.0)
DOSE = Dose("m1", T0, "cu", 2e6, "iv", amount=10e6, amount_unit="Bq", residual_amount=0.0, residual_time=T0)
KNOWN = Corrections(dose_sd_percent=3.0, body_weight_sd_percent=4.0)


def _context(label: Label = CU, doses: tuple[Dose, ...] = (DOSE,), corrections: Corrections = KNOWN, role: str = "followup") -> Context:
    acquisition = Acquisition("m1", "d1", "any", Path("/scan"), "m1_d1", role=role, label=label.label)
    first = min((d.dose_time for d in doses), default=T0)
    return Context("s", acquisition, Subject("m1", "mouse", 25.0), doses, label, first, {}, Organs(), corrections)


def _row(value: float | None = 1e5, hours: float = 3.0, **changes: object) -> Row:
    base = Row(
        "s", "m1", "g", "d1", "any", "cu", "liver", hours, hours - 0.05, hours + 0.05, "signal", value, "Bq", method="ingest>quantify"
    )
    return replace(base, **{"sd_noise": 1e3, "sd_scale": 2e3, "mass_g": 1.5, "volume_ml": 1.4, **changes})  # type: ignore[arg-type]


def _conc(value: float | None = 1.0, hours: float = 3.0, quantity: str = "concentration", **changes: object) -> Row:
    return _row(value, hours, quantity=quantity, unit="Bq/mL", **changes)


def _of(done: Corrected, quantity: str) -> Row:
    (row,) = [r for r in done.rows if r.quantity == quantity]
    return row


def _checks(done: Corrected) -> list[str]:
    return [f.check for f in done.findings]


def test_suv_factor_is_the_published_one() -> None:
    # 25 g, 10 MBq of 64Cu (45 720 s), 3 h after the dose.
    done = correct([_conc(1.0), _conc(2.0, quantity="concentration_max"), _conc(1.5, quantity="concentration_peak")], _context())
    assert f"{_of(done, 'suv').value:.7e}" == "2.9447570e-06"
    assert _of(done, "suv_max").value == pytest.approx(2 * 2.944757e-6, rel=1e-7)
    assert _of(done, "suv_peak").value == pytest.approx(1.5 * 2.944757e-6, rel=1e-7)
    assert _of(done, "suv").method == "ingest>quantify>decay>dose>weight"


def test_weight_of_the_day_comes_first() -> None:
    context = _context()
    heavier = replace(context, acquisition=replace(context.acquisition, body_weight_g=50.0))
    assert _of(correct([_conc()], heavier), "suv").value == 2 * _of(correct([_conc()], context), "suv").value  # type: ignore[operator]


@pytest.mark.parametrize(("label", "hours", "half_life_h", "missed"), [(ZR, 168.0, 78.41, 4.4), (CU, 48.0, 12.7, 13.7)])
def test_days_after_the_dose(label: Label, hours: float, half_life_h: float, missed: float) -> None:
    done = correct([_row(1e5, hours, label=label.label)], _context(label))
    grown = math.exp(math.log(2) * hours / half_life_h)
    assert _of(done, "label_amount").value == pytest.approx(1e5 * grown, rel=1e-9)
    assert _of(done, "injected_percent").value == pytest.approx(1.0 * grown, rel=1e-9)
    # Reading the time of day only, the scan at the hour of the injection would be taken as 0 h: these ratios, published to 0.1.
    assert _of(done, "label_amount").value / 1e5 == pytest.approx(missed, abs=0.05)  # type: ignore[operator]


def test_past_midnight() -> None:
    # Dose at 22:00, scan at 01:00 the next day: 3 h.
    assert _of(correct([_row(1e5, 3.0)], _context()), "label_amount").value == pytest.approx(1e5 * 2 ** (3 / 12.7), rel=1e-12)


def test_all_quantities_by_hand() -> None:
    done = correct([_row(2e6, 12.7, lloq=1e4, uloq=1e9, cens=0)], _context())
    amount, percent, per_g, cells = (
        _of(done, q) for q in ("label_amount", "injected_percent", "injected_percent_per_g", "cells_equivalent")
    )
    assert amount.value == pytest.approx(4e6, rel=1e-12)
    assert (amount.sd_noise, amount.sd_scale) == (pytest.approx(2e3), pytest.approx(4e3))
    assert (amount.lloq, amount.uloq, amount.cens) == (pytest.approx(2e4), pytest.approx(2e9), 0)
    assert percent.value == pytest.approx(40.0, rel=1e-12)
    assert percent.sd_noise == pytest.approx(0.02)
    assert percent.sd_scale == pytest.approx(math.hypot(0.04, 40 * 0.03))
    assert per_g.value == pytest.approx(40 / 1.5, rel=1e-12)
    assert per_g.sd_scale == pytest.approx(math.hypot(0.04, 1.2) / 1.5)
    # 5 Bq a cell at the dose, thinned by 12.7 h of division.
    assert cells.value == pytest.approx(4e6 / (5.0 * 2 ** (-12.7 / 48)), rel=1e-12)
    relative = math.sqrt((2e3 / 2e6) ** 2 + 0.03**2 + (math.log(2) * 12.7 / 48 * 0.1) ** 2)
    assert cells.sd_scale == pytest.approx(cells.value * relative)  # type: ignore[operator]
    assert [r.method for r in (amount, percent, per_g, cells)] == [
        f"ingest>quantify>{chain}" for chain in ("decay", "decay>dose", "decay>dose>mass", "decay>dilution>cells")
    ]
    assert cells.flag == ("assumed_all_live",)
    assert done.findings == ()
    for row in done.rows:
        check_row(row)


def test_whole_body_at_the_dose_is_the_cells_given() -> None:
    done = correct([_row(10e6, 0.0)], _context())
    assert _of(done, "cells_equivalent").value == pytest.approx(2e6, rel=1e-12)
    viable = correct([_row(10e6, 0.0)], _context(doses=(replace(DOSE, viability_percent=90.0),)))
    assert _of(viable, "cells_equivalent").value == pytest.approx(1.8e6, rel=1e-12)


def test_iron_has_no_decay_and_no_suv() -> None:
    dose = replace(DOSE, label="spio", amount=40.0, amount_unit="ug", residual_time=None)
    rows = [_row(4.0, 96.0, unit="ug", label="spio"), replace(_conc(1.0, 96.0), unit="ug/mL")]
    done = correct(rows, _context(SPIO, (dose,)))
    assert _of(done, "label_amount").value == 4.0
    assert _of(done, "label_amount").method == "ingest>quantify"
    assert _of(done, "injected_percent").value == pytest.approx(10.0)
    assert _of(done, "injected_percent").method == "ingest>quantify>dose"
    assert _of(done, "cells_equivalent").value == pytest.approx(2e5 * 4, rel=1e-12)
    assert not [r for r in done.rows if r.quantity.startswith("suv")]


def test_light_has_an_amount_and_nothing_from_a_dose() -> None:
    dose = replace(DOSE, label="luc", amount=None, amount_unit="", residual_amount=None)
    done = correct([_row(5e6, 24.0, unit="photons/s", label="luc", mass_g=None)], _context(Label("luc", "reporter"), (dose,)))
    assert [r.quantity for r in done.rows] == ["signal", "label_amount"]
    assert _of(done, "label_amount").value == 5e6
    (finding,) = done.findings
    assert finding.check == "no_amount_per_cell" and "photons_per_s_per_cell" in finding.reason


def test_a_dose_in_another_unit_than_the_scan_gives_no_share() -> None:
    dose = replace(DOSE, label="dye1", amount=20.0, amount_unit="ug")
    done = correct([_row(5e6, 24.0, unit="photons/s", label="dye1")], _context(Label("dye1", "dye"), (dose,)))
    assert [r.quantity for r in done.rows] == ["signal", "label_amount"]
    assert _checks(done) == ["no_amount_per_cell"]


def test_decay_off_leaves_the_amount_and_not_the_share() -> None:
    off = correct([_row(1e5, 30.0)], _context(corrections=replace(KNOWN, decay=False)))
    on = correct([_row(1e5, 30.0)], _context())
    assert _of(off, "label_amount").value == 1e5
    assert _of(off, "label_amount").method == "ingest>quantify"
    for quantity in ("injected_percent", "injected_percent_per_g", "cells_equivalent"):
        assert _of(off, quantity) == _of(on, quantity)


def test_dilution_and_retention_only_while_asked_for() -> None:
    label = replace(CU, retention_half_time_h=24.0, retention_sd_h=2.4)
    row = _row(1e5, 24.0)
    plain = _of(correct([row], _context(label, corrections=replace(KNOWN, dilution=False, retention=False))), "cells_equivalent")
    both = _of(correct([row], _context(label)), "cells_equivalent")
    assert plain.method == "ingest>quantify>decay>cells"
    assert both.method == "ingest>quantify>decay>dilution>retention>cells"
    assert both.value == pytest.approx(plain.value * 2**0.5 * 2, rel=1e-12)  # type: ignore[operator]


def test_beyond_the_retention_table_cells_have_no_value() -> None:
    label = replace(CU, retention_table=(RetentionPoint(0.0, 1.0, 0.0), RetentionPoint(24.0, 0.8, 0.01)))
    cells = _of(correct([_row(1e5, 25.0, lloq=1e3, cens=0)], _context(label)), "cells_equivalent")
    assert (cells.value, cells.sd_noise, cells.sd_scale, cells.lloq, cells.cens) == (None, None, None, None, None)
    assert set(cells.flag) == {"assumed_all_live", "retention_extrapolated"}


def test_missing_stays_missing_and_keeps_its_flag() -> None:
    done = correct([_row(None, flag=("fit_failed",), sd_noise=None, sd_scale=None, cens=None)], _context())
    derived = [r for r in done.rows if r.quantity != "signal"]
    assert len(derived) == 4
    assert all(r.value is None and r.cens is None and r.sd_noise is None and r.sd_scale is None for r in derived)
    assert all("fit_failed" in r.flag for r in derived)


def test_negative_values_survive() -> None:
    done = correct([_row(-1e3, cens=1, lloq=5e3)], _context())
    derived = [r for r in done.rows if r.quantity != "signal"]
    assert len(derived) == 4
    assert all(r.value < 0 and r.cens == 1 and r.sd_scale > 0 for r in derived)  # type: ignore[operator]


def test_sd_that_is_not_stated_is_none_with_one_finding() -> None:
    bare = correct([_row(), _conc()], _context(replace(CU, doubling_time_sd_h=None), corrections=Corrections()))
    assert _of(bare, "label_amount").sd_scale is not None
    assert all(_of(bare, q).sd_scale is None for q in ("injected_percent", "injected_percent_per_g", "suv", "cells_equivalent"))
    assert all(_of(bare, q).sd_noise is not None for q in ("injected_percent", "injected_percent_per_g", "suv", "cells_equivalent"))
    assert _checks(bare) == ["sd_scale_missing"]
    for word in ("dose_sd_percent", "body_weight_sd_percent", "doubling_time_sd_h"):
        assert word in bare.findings[0].reason
    uncalibrated = correct([_row(sd_scale=None)], _context())
    assert all(r.sd_scale is None for r in uncalibrated.rows)
    (one,) = uncalibrated.findings
    iron = correct([_row(sd_scale=None, unit="ug")], _context(SPIO, (replace(DOSE, label="spio", amount=10.0, amount_unit="ug"),)))
    assert any("relaxivity_sd_per_s_per_mmolar" in f.reason for f in iron.findings)
    assert one.check == "sd_scale_missing" and one.reason.endswith("give the scanner's calibration_sd_percent in the config")


def test_sheet_amount_per_cell_with_its_sd() -> None:
    label = replace(CU, amount_per_cell=4.0, amount_per_cell_unit="Bq", amount_per_cell_sd=0.8, dilutes=False)
    cells = _of(correct([_row(4e5, 0.0, sd_scale=0.0)], _context(label)), "cells_equivalent")
    assert (cells.value, cells.sd_scale) == (pytest.approx(1e5), pytest.approx(2e4))


def test_missing_dose_amount_leaves_rows_out() -> None:
    done = correct([_row(), _conc()], _context(doses=(replace(DOSE, amount=None, amount_unit="", residual_amount=None),)))
    assert {r.quantity for r in done.rows} == {"signal", "concentration", "label_amount"}
    assert {"no_dose_amount", "no_amount_per_cell"} == set(_checks(done))


def test_missing_residual_flags_what_the_dose_made() -> None:
    done = correct([_row(), _conc()], _context(doses=(replace(DOSE, residual_amount=None),)))
    flagged = {r.quantity for r in done.rows if "no_residual" in r.flag}
    assert flagged == {"injected_percent", "injected_percent_per_g", "suv", "cells_equivalent"}
    assert _checks(done) == ["no_residual"]


@pytest.mark.parametrize(
    ("label", "check"),
    [
        (replace(CU, doubling_time_h=None), "no_doubling_time"),
        (replace(CU, amount_per_cell=1e-6, amount_per_cell_unit="ug"), "no_amount_per_cell"),
    ],
)
def test_cells_that_cannot_be_counted_are_left_out_with_a_reason(label: Label, check: str) -> None:
    done = correct([_row()], _context(label))
    assert "cells_equivalent" not in {r.quantity for r in done.rows}
    assert "injected_percent" in {r.quantity for r in done.rows}
    assert _checks(done) == [check]


def test_an_empty_dilutes_is_said() -> None:
    done = correct([_row()], _context(replace(CU, dilutes=None)))
    assert _checks(done) == ["dilution_unknown"]
    assert _of(done, "cells_equivalent").method == "ingest>quantify>decay>cells"


def test_a_free_tracer_has_no_cells() -> None:
    done = correct([_row()], _context(doses=(replace(DOSE, cells=0.0),)))
    assert "cells_equivalent" not in {r.quantity for r in done.rows}
    assert done.findings == ()


def test_repeated_doses() -> None:
    second = replace(DOSE, dose_time=T0 + timedelta(hours=24), amount=6e6, cells=1e6)
    done = correct([_row(3e6, 12.0), _row(3e6, 36.0)], _context(doses=(DOSE, second)))
    first, both = (r for r in done.rows if r.quantity == "injected_percent")
    assert first.value == pytest.approx(100 * 3e6 / (10e6 * 2 ** (-12 / 12.7)), rel=1e-12)
    assert both.value == pytest.approx(100 * 3e6 / (10e6 * 2 ** (-36 / 12.7) + 6e6 * 2 ** (-12 / 12.7)), rel=1e-12)
    amounts = [r.value for r in done.rows if r.quantity == "label_amount"]
    assert amounts == pytest.approx([3e6 * 2 ** (12 / 12.7), 3e6 * 2 ** (36 / 12.7)], rel=1e-12)  # both to the first dose
    assert _checks(done) == ["repeated_doses"]


def test_a_second_dose_later_than_the_first_of_another_label() -> None:
    # time_h counts from the subject's first dose of any label, 10 h before this label's.
    context = replace(_context(), first_dose_time=T0 - timedelta(hours=10))
    assert _of(correct([_row(1e5, 22.7)], context), "label_amount").value == pytest.approx(2e5, rel=1e-12)


def test_scan_before_the_dose_names_both_stamps() -> None:
    with pytest.raises(InputError) as caught:
        correct([_row(hours=-20.0)], _context())
    assert caught.value.code == "scan_before_dose"
    assert "2026-03-02T22:00:00" in str(caught.value) and "2026-03-02T01:57:00" in str(caught.value)


def test_baseline_keeps_what_was_measured() -> None:
    rows = [_row(hours=-20.0), _conc(hours=-20.0)]
    assert correct(rows, _context(role="baseline")) == Corrected(tuple(rows), ())


def test_a_dynamic_scan_may_start_just_before() -> None:
    rows = [
        _row(0.0, -0.02, time_start_h=-0.04, time_end_h=0.0),
        _row(1e5, 0.02, time_start_h=0.0, time_end_h=0.04),
    ]
    done = correct(rows, _context())
    assert [r.time_h for r in done.rows if r.quantity == "label_amount"] == [0.02]
    late = [replace(rows[0], time_start_h=-0.2), rows[1]]
    with pytest.raises(InputError):
        correct(late, _context())


def test_a_wrong_label_is_noticed() -> None:
    with pytest.raises(InputError) as caught:
        correct([_row(unit="ug")], _context())
    assert caught.value.code == "label_unit"


def test_no_dose_at_all() -> None:
    rows = [_row(hours=1.0, time_h=None, time_start_h=None, time_end_h=None)]
    done = correct(rows, _context(doses=()))
    assert done.rows == tuple(rows)
    assert _checks(done) == ["no_dose"]


def test_no_mass_no_percent_per_g() -> None:
    done = correct([_row(mass_g=None), _row(mass_g=None, organ="lung")], _context())
    assert "injected_percent_per_g" not in {r.quantity for r in done.rows}
    mixed = correct([_row(), _row(mass_g=None, organ="lung")], _context())
    per_g = [r for r in mixed.rows if r.quantity == "injected_percent_per_g"]
    assert [r.value is None for r in per_g] == [False, True]


def test_other_quantities_pass_through() -> None:
    other = _row(quantity="r2star", unit="1/s")
    done = correct([other], _context())
    assert done.rows == (other,)


values = st.floats(-1e9, 1e9, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-3)


@settings(max_examples=50)
@given(values, st.floats(0.0, 400.0), st.floats(1e-3, 1e3))
def test_twice_the_signal_is_twice_everything(value: float, hours: float, factor: float) -> None:
    once = correct([_row(value, hours)], _context()).rows[1:]
    scaled = correct([_row(value * factor, hours, sd_noise=1e3 * factor, sd_scale=2e3 * factor)], _context()).rows[1:]
    for a, b in zip(once, scaled, strict=True):
        # One extra rounding a factor.
        assert b.value == pytest.approx(a.value * factor, rel=1e-12)  # type: ignore[operator]
        assert b.sd_noise == pytest.approx(a.sd_noise * factor, rel=1e-12)  # type: ignore[operator]
        assert b.sd_scale == pytest.approx(a.sd_scale * factor, rel=1e-12)  # type: ignore[operator]


@settings(max_examples=50)
@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=8), st.floats(0.0, 200.0))
def test_a_body_that_holds_the_whole_dose_sums_to_100(shares: list[float], hours: float) -> None:
    left = 10e6 * math.exp(-math.log(2) * hours / 12.7)
    rows = [_row(left * s / math.fsum(shares), hours, organ=f"o{i}") for i, s in enumerate(shares)]
    done = correct(rows, _context())
    # Microsecond time stamps: 1e-6 s against 64Cu is 1.5e-11.
    assert math.fsum(r.value for r in done.rows if r.quantity == "injected_percent") == pytest.approx(100, rel=1e-9)  # type: ignore[misc]


def test_input_rows_are_unchanged_and_come_first() -> None:
    rows = [_row(), _conc(), _row(None, organ="lung")]
    before = [replace(r) for r in rows]
    done = correct(rows, _context())
    assert rows == before
    assert list(done.rows[:3]) == before


def test_csv_round_trip_keeps_nine_digits(tmp_path: Path) -> None:
    done = correct([_row(123456.789012345, 7.123456789), _conc(3.3e4, 7.123456789)], _context())
    write_rows(tmp_path / "b.csv", done.rows)
    for before, after in zip(done.rows, read_rows(tmp_path / "b.csv"), strict=True):
        assert after.value == pytest.approx(before.value, rel=5e-9)  # half a unit in the ninth digit
        assert (after.quantity, after.flag, after.method) == (before.quantity, before.flag, before.method)
    write_rows(tmp_path / "c.csv", done.rows, digits=17)
    assert tuple(read_rows(tmp_path / "c.csv")) == done.rows


def test_a_background_that_is_asked_for_and_not_there_is_said() -> None:
    asked = correct([_row()], _context(corrections=replace(KNOWN, background="baseline")))
    assert "no_baseline" in _checks(asked)
    assert "no_baseline" not in _checks(correct([_row()], _context()))


def _lit(label: Label, constants: Mapping[str, Any], mass_g: float | None = None) -> Corrected:
    dose = replace(DOSE, label="luc", cells=1e6, amount=None, amount_unit="", residual_amount=None)
    context = replace(_context(label, (dose,)), constants=constants)
    row = _row(6e6, 24.0, unit="photons/s", label="luc", mass_g=mass_g)
    return correct([replace(row, sd_noise=6e4, sd_scale=0.0)], context)


def test_a_reporter_counts_living_cells() -> None:
    done = _lit(Label("luc", "reporter"), {"photons_per_s_per_cell": 120.0, "photons_per_s_per_cell_sd": 18.0}, 2.0)
    cells = _of(done, "cells_viable")
    assert cells.value == pytest.approx(5e4) and cells.sd_noise == pytest.approx(500) and cells.sd_scale == pytest.approx(5e4 * 0.15)
    # It is copied at each division and goes out with its cell: nothing is assumed alive, nothing is asked for dilution.
    assert "assumed_all_live" not in cells.flag and not done.findings
    assert _of(done, "cells_viable_per_g").value == pytest.approx(2.5e4)
    assert not any(r.quantity == "cells_equivalent" for r in done.rows)


def test_the_labels_sheet_goes_before_the_config_for_light_per_cell() -> None:
    label = Label("luc", "reporter", amount_per_cell=60.0, amount_per_cell_unit="photons/s", amount_per_cell_sd=6.0)
    assert _of(_lit(label, {"photons_per_s_per_cell": 120.0}), "cells_viable").value == pytest.approx(1e5)


def test_light_per_cell_without_its_error_is_asked_for() -> None:
    (finding,) = _lit(Label("luc", "reporter"), {"photons_per_s_per_cell": 120.0}).findings
    assert finding.check == "sd_scale_missing" and "photons_per_s_per_cell_sd" in finding.reason


def test_a_reporter_that_is_not_copied_is_thinned_where_the_sheet_says_so() -> None:
    label = Label("luc", "reporter", dilutes=True, doubling_time_h=24.0, doubling_time_sd_h=0.0)
    done = _lit(label, {"photons_per_s_per_cell": 120.0, "photons_per_s_per_cell_sd": 0.0})
    # A day after the dose each cell has half of its light: twice the cells.
    assert _of(done, "cells_viable").value == pytest.approx(1e5)
