"""The verdict counts what was set aside, and the latest values are the means of the latest scan."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from tracker.qc import QcRow
from tracker.report.summary import duration_text, latest, number_text, verdict
from tracker.table import Row


def _value(rows: tuple[Row, ...], subject: str, organ: str, session: str = "168h") -> float:
    (row,) = [r for r in rows if (r.subject, r.organ, r.session, r.quantity) == (subject, organ, session, "injected_percent_per_g")]
    assert row.value is not None
    return row.value


def _line(rows: tuple[Row, ...], organ: str, group: str) -> dict[str, str]:
    (table,) = latest(rows)
    (line,) = [line for line in table.rows if line[:2] == (organ, group)]
    return dict(zip(table.header, line, strict=True))


def test_latest_value_is_mean_and_sd_of_the_last_scan(rows: tuple[Row, ...]) -> None:
    line = _line(rows, "liver", "MSC")
    values = [_value(rows, s, "liver") for s in ("m01", "m02")]
    mean, sd = line["injected percent per g [%/g]"].split(" ± ")
    # three and two significant digits
    assert float(mean) == pytest.approx(statistics.mean(values), rel=5e-3) and float(sd) == pytest.approx(
        statistics.stdev(values), rel=0.05
    )
    assert line["n"] == "2" and line["time"] == "7.08 d"


def test_one_animal_has_no_sd(rows: tuple[Row, ...]) -> None:
    line = _line(rows, "liver", "control")  # the last scan of m04 was set aside
    assert line["n"] == "1" and "±" not in line["injected percent per g [%/g]"]
    assert float(line["injected percent per g [%/g]"]) == pytest.approx(_value(rows, "m03", "liver"), rel=5e-3)


def test_censored_values_are_marked(rows: tuple[Row, ...]) -> None:
    assert _line(rows, "brain", "MSC")["suv [g/mL]"].endswith("†") and "†" not in "".join(_line(rows, "liver", "MSC").values())


def test_a_quantity_that_stopped_earlier_is_empty(rows: tuple[Row, ...]) -> None:
    stopped = tuple(replace(r, value=None) if r.quantity == "suv" and r.session == "168h" else r for r in rows)
    assert _line(stopped, "liver", "MSC")["suv [g/mL]"] == "" and _line(stopped, "liver", "MSC")["injected percent [%]"] != ""


def test_a_missing_animal_is_counted_in_its_cell(rows: tuple[Row, ...]) -> None:
    gone = tuple(replace(r, value=None) if (r.quantity, r.subject, r.session) == ("suv", "m02", "168h") else r for r in rows)
    assert _line(gone, "liver", "MSC")["suv [g/mL]"].endswith("(n = 1)")


def test_verdict_names_what_was_set_aside(rows: tuple[Row, ...], findings: tuple[QcRow, ...]) -> None:
    bad = verdict(rows, findings)
    assert (bad.status, bad.subjects, bad.scans, bad.aside, bad.warnings, bad.failures) == ("fail", 4, 20, 1, 1, 1)
    assert "1 of 20 scans" in bad.text
    fine = tuple(f for f in findings if f.status != "fail")
    assert verdict(rows, fine).status == "warn"
    assert verdict(rows, tuple(f for f in fine if f.status == "ok")).status == "ok"


def test_a_scan_that_failed_twice_is_one_scan(rows: tuple[Row, ...], findings: tuple[QcRow, ...]) -> None:
    twice = (*findings, replace(findings[-1], check="other"))
    assert (verdict(rows, twice).aside, verdict(rows, twice).failures) == (1, 2)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 3, "0"),
        (-1.234, 3, "-1.23"),
        (4.0, 2, "4.0"),
        (89.0, 2, "89"),
        (999.6, 3, "1\u2009000"),
        (1e9, 2, "1.0×10⁹"),
        (2e-9, 2, "2.0×10⁻⁹"),
    ],
)
def test_numbers_are_read_as_people_write_them(value: float, digits: int, text: str) -> None:
    assert number_text(value, digits) == text


def test_durations() -> None:
    assert [duration_text(t) for t in (0.5, 1.0, 72.0, 96.0, 336.0)] == ["30 min", "1 h", "72 h", "4 d", "14 d"]


def _above(rows: tuple[Row, ...], value: float | None) -> tuple[Row, ...]:
    """The spleen of m02 above its limit of 5 in the last scan."""
    return tuple(
        replace(r, value=value, cens=-1, uloq=5.0) if (r.subject, r.organ, r.session) == ("m02", "spleen", "168h") else r for r in rows
    )


@pytest.mark.parametrize("value", [5.0, None])
def test_a_mean_with_a_lower_bound_is_one(rows: tuple[Row, ...], value: float | None) -> None:
    cell = _line(_above(rows, value), "spleen", "MSC")["injected percent per g [%/g]"]
    other = _value(rows, "m01", "spleen")
    assert cell.startswith("≥ ") and cell.endswith(" †") and "±" not in cell and "n =" not in cell
    assert float(cell[2:-2]) == pytest.approx((other + 5.0) / 2, rel=5e-3)
    assert "≥" not in _line(_above(rows, value), "spleen", "control")["injected percent per g [%/g]"]
    assert "≥" not in _line(_above(rows, value), "brain", "MSC")["suv [g/mL]"]  # below a limit is not above one


def test_two_modalities_are_two_tables(rows: tuple[Row, ...]) -> None:
    iron = tuple(
        replace(r, modality="mri", label="fe", unit="ug", value=-0.5, cens=0) for r in rows if r.quantity == "label_amount" and r.value
    )
    pet, mri = latest((*rows, *iron))
    assert (pet.title, mri.title) == ("pet, zr89", "mri, fe") or (mri.title, pet.title) == ("pet, zr89", "mri, fe")
    (table,) = (t for t in (pet, mri) if t.title == "mri, fe")
    assert table.header[4:] == ("label amount [ug]",) and {line[4].split()[0] for line in table.rows} == {"-0.500"}


def test_scans_before_the_dose_alone_have_a_time(rows: tuple[Row, ...]) -> None:
    before = tuple(replace(r, time_h=-20.0) for r in rows if r.session == "1h")
    assert _line(before, "liver", "MSC")["time"] == "-20 h"


def test_verdict_counts_organs_that_are_lower_bounds(rows: tuple[Row, ...], findings: tuple[QcRow, ...]) -> None:
    assert "1 organ reading(s) are lower bounds" in verdict(_above(rows, None), findings).text
    assert "lower bound" not in verdict(rows, findings).text
