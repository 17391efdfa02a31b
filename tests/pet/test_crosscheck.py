"""The header against the sheets, function by function: the sheets count, disagreements are told, the undecidable refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pet.pet_cases import INJECTION, START, context_of
from tracker.errors import InputError
from tracker.nuclides import nuclide
from tracker.pet.crosscheck import administered, branching, check_corrections, check_delay, check_dose, check_weight, scanner_half_life
from tracker.pet.header import PetHeader, Tracer
from tracker.pet.units import header_dose_bq

ONE = np.zeros((1, 1))
TRACER = Tracer(("^18^Fluorine", "77004003"), 6586.2, 0.9673, 8e6, "Bq", time(10, 0), INJECTION)
HERE = Path("scan")


def header(tracer: Tracer | None = TRACER, **more: Any) -> PetHeader:
    plain = PetHeader("", "", "BQML", "", "START", None, START, ONE, ONE + 600, ONE, ONE, ("DECY",), tracer, 0.025, None, "")
    return replace(plain, **more)


def given_at(tracer: Tracer, dose_time: datetime | None = INJECTION, scan: datetime = START, **context: Any) -> tuple[datetime | None, str]:
    moment, (finding,) = administered(header(tracer), context_of(HERE, dose_time=dose_time, **context), scan)
    return moment, finding.status


@pytest.mark.parametrize(
    ("clock", "dated", "dose_time", "moment", "status"),
    [
        (time(10), INJECTION, INJECTION, INJECTION, "ok"),
        (time(10), None, INJECTION, INJECTION, "ok"),
        (None, INJECTION, INJECTION, INJECTION, "ok"),
        (None, None, INJECTION, None, "warn"),
        # within a minute they agree
        (None, INJECTION + timedelta(seconds=59), INJECTION, INJECTION + timedelta(seconds=59), "ok"),
        (None, INJECTION + timedelta(seconds=61), INJECTION, INJECTION + timedelta(seconds=61), "warn"),
        # the sheet's is another time: the scanner used its own
        (time(10), INJECTION, INJECTION - timedelta(hours=2), INJECTION, "warn"),
        # two of the header's: only a confirmed one
        (time(9), INJECTION, INJECTION, INJECTION, "warn"),
        (time(9), INJECTION, INJECTION.replace(hour=9), INJECTION.replace(hour=9), "warn"),
        (time(9), INJECTION, INJECTION.replace(hour=8), None, "warn"),
        # a date after the scan is none
        (None, INJECTION + timedelta(days=1), INJECTION, None, "warn"),
        (None, INJECTION + timedelta(days=1), INJECTION + timedelta(days=1), None, "warn"),
    ],
)
def test_administrations(clock, dated, dose_time, moment, status):
    assert given_at(replace(TRACER, start_time=clock, start_datetime=dated), dose_time) == (moment, status)


def test_no_tracer_no_administration():
    assert administered(header(None), context_of(HERE), START) == (None, ())


def test_no_dose_in_the_sheet():
    assert given_at(TRACER, None) == (INJECTION, "warn")


@pytest.mark.parametrize("name", ["64Cu", "89Zr", "111In"])
@pytest.mark.parametrize("days", [0, 1, 7])
def test_long_lived_nuclides_need_a_date_or_a_confirmed_time(name, days):
    undated = replace(TRACER, start_datetime=None)
    dose = INJECTION - timedelta(days=days)
    moment, status = given_at(undated, dose, nuclide=name)
    assert (moment, status) == ((INJECTION, "ok") if days == 0 else (None, "warn"))


def test_offsets_from_utc_are_moments():
    cet = timezone(timedelta(hours=1))
    aware = replace(TRACER, start_datetime=INJECTION.replace(tzinfo=cet))
    scan = START.replace(tzinfo=cet)
    moment, status = given_at(aware, datetime(2026, 3, 2, 9, tzinfo=UTC), scan)
    assert status == "ok" and moment == INJECTION.replace(tzinfo=cet)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 24 * 3600 - 1), st.floats(0, 5.9))
def test_an_undated_time_is_on_the_last_day_before_the_scan(second, earlier_h):
    scan = datetime(2026, 3, 2) + timedelta(seconds=second)
    injection = (scan - timedelta(hours=earlier_h)).replace(microsecond=0)
    undated = replace(TRACER, start_datetime=None, start_time=injection.time())
    moment, status = given_at(undated, injection, scan)
    assert (moment, status) == (injection, "ok")
    # A sheet that is a quarter of an hour off neither moves it nor makes it undecidable.
    assert given_at(undated, injection - timedelta(minutes=15), scan) == (injection, "warn")


@pytest.mark.parametrize(("stated", "status"), [(6586.2, "ok"), (6588.0, "ok"), (6600.0, "ok"), (6700.0, "warn"), (None, "warn")])
def test_half_lives(stated, status):
    used, finding = scanner_half_life(header(replace(TRACER, half_life_s=stated)), nuclide("18F"), context_of(HERE))
    assert used == (stated or 6586.2) and finding.status == status


def test_half_life_without_any_tracer():
    assert scanner_half_life(header(None), nuclide("18F"), context_of(HERE))[0] == 6586.2


@pytest.mark.parametrize(("kg", "status"), [(0.025, "ok"), (0.0274, "ok"), (0.028, "warn"), (25.0, "warn")])
def test_row_02_weights_are_compared_and_never_rescaled(kg, status):
    finding = check_weight(header(weight_kg=kg), context_of(HERE))
    assert finding and finding.status == status and f"{kg:g} kg" in finding.reason and "25 g" in finding.reason


def test_weight_of_the_day_counts():
    context = context_of(HERE)
    context = replace(context, acquisition=replace(context.acquisition, body_weight_g=30.0))
    finding = check_weight(header(weight_kg=0.030), context)
    assert finding and finding.status == "ok"
    assert check_weight(header(weight_kg=None), context) is None


@pytest.mark.parametrize(("bq", "status"), [(8e6, "ok"), (8.3e6, "ok"), (8.5e6, "warn"), (8.0, "warn")])
def test_doses_are_compared(bq, status):
    finding = check_dose(bq, context_of(HERE))
    assert finding and finding.status == status


def test_doses_are_compared_at_the_dose_time():
    # Assayed two half-lives before the injection: the scanner knows the quarter.
    assay = INJECTION - timedelta(seconds=2 * 6586.2)
    finding = check_dose(2e6, context_of(HERE, assay_time=assay))
    assert finding and finding.status == "ok"
    assert check_dose(None, context_of(HERE)) is None and check_dose(8e6, context_of(HERE, dose_time=None)) is None
    assert check_dose(8e6, context_of(HERE, amount_bq=0.0)) is None


@pytest.mark.parametrize(
    ("dose", "unit", "sheet", "bq"),
    [
        (8e6, "Bq", (), 8e6),
        (8.0, "MBq", (), 8e6),
        (8.0, "Bq", (8e6,), 8e6),
        (4.5, "Bq", (8e6,), 4.5e6),
        (8000.0, "Bq", (8000.0,), 8000.0),
        (8e6, "MBq", (), 8e6),  # an NM writer that wrote Bq all the same
        (None, "Bq", (8e6,), None),
    ],
)
def test_row_11_units_of_the_headers_dose(dose, unit, sheet, bq):
    assert header_dose_bq(header(replace(TRACER, dose=dose, dose_unit=unit)), sheet)[0] == bq


@pytest.mark.parametrize("sheet", [(), (300e6,), (0.0,)])
def test_row_11_a_dose_of_no_known_unit_is_refused(sheet):
    with pytest.raises(InputError, match="dose_unit_unclear"):
        header_dose_bq(header(replace(TRACER, dose=8.0)), sheet)


def test_corrections():
    every = ("ATTN", "SCAT", "RAN", "NORM", "DTIM", "DECY")
    assert [f.status for f in check_corrections(header(corrected=every))] == ["ok"]
    # GE's word for randoms by singles.
    assert [f.status for f in check_corrections(header(corrected=tuple("RANSNG" if w == "RAN" else w for w in every)))] == ["ok"]
    with pytest.raises(InputError, match="decay_contradiction"):
        check_corrections(header(corrected=every[:-1]))


def test_a_gamma_camera_is_not_asked_for_randoms():
    spect = header(source="nm", decay_correction="NONE")
    assert [f.status for f in check_corrections(replace(spect, corrected=("ATTN", "SCAT")))] == ["ok"]
    (one,) = check_corrections(replace(spect, corrected=("ATTN",)))
    assert (one.status, one.reason) == ("warn", "not corrected for scatter")


@pytest.mark.parametrize(
    ("name", "inside", "constants", "factor", "status"),
    [
        ("18F", 0.9673, {}, 1.0, "ok"),
        ("18F", 0.97, {}, 1.0, "ok"),  # a rounded 18F is no other fraction
        ("64Cu", 0.184, {}, 1.0, "warn"),
        ("64Cu", None, {}, 1.0, "warn"),
        ("64Cu", 0.184, {"branching_fraction_scanner": 0.184}, 0.184 / 0.1741, "ok"),
        ("64Cu", None, {"branching_applied": "no"}, 1 / 0.1741, "ok"),
        ("99mTc", None, {"branching_applied": "no"}, 1.0, None),
        ("111In", None, {"branching_fraction_scanner": 0.2}, 1.0, None),
    ],
)
def test_row_24_branching(name, inside, constants, factor, status):
    found, finding = branching(header(replace(TRACER, positron_fraction=inside)), nuclide(name), context_of(HERE, constants=constants))
    assert found == pytest.approx(factor, rel=1e-12) and (finding.status if finding else None) == status


def test_delay_counts_days():
    zr = nuclide("89Zr")
    check_delay(context_of(HERE, "89Zr"), zr, INJECTION + timedelta(days=60))
    with pytest.raises(InputError, match="uptake_too_long"):
        check_delay(context_of(HERE, "89Zr"), zr, INJECTION + timedelta(days=70))
