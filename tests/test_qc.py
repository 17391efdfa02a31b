"""The quality table is safe to open in a spreadsheet and exact to read back."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.qc import COLUMNS, QcRow, guard_formula, read_qc, write_qc


def _row(reason: str, status: str = "warn", subject: str = "007") -> QcRow:
    return QcRow("s", subject, "1E5", "pet", "calibrate", "half_life", status, reason)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_formula_in_reason_is_guarded_on_disk(tmp_path: Path, start: str) -> None:
    path = tmp_path / "qc.csv"
    write_qc(path, [_row(f"{start}HYPERLINK()")])
    with path.open(newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file))[1]
    assert cells[COLUMNS.index("reason")] == f"'{start.strip()}HYPERLINK()"


def test_ids_stay_text_and_unguarded(tmp_path: Path) -> None:
    # "+1" is an id that the sheets allow; a quote before it would make another animal of it.
    path = tmp_path / "qc.csv"
    write_qc(path, [_row("x", subject="+1"), _row("y", subject="NA")])
    assert [r.subject for r in read_qc(path)] == ["+1", "NA"]
    assert b",+1,1E5," in path.read_bytes()


@given(st.lists(st.text(st.characters(codec="utf-8")) | st.from_regex(r"'*[=+@-].*"), max_size=4))
def test_read_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, reasons: list[str]) -> None:
    path = tmp_path_factory.mktemp("qc") / "qc.csv"
    rows = [_row(" ".join(reason.splitlines()).strip()) for reason in reasons]
    write_qc(path, rows)
    assert read_qc(path) == rows


@given(st.text())
def test_no_guarded_text_starts_a_formula(text: str) -> None:
    assert guard_formula(text)[:1] not in tuple("=+-@\t\r")


@pytest.mark.parametrize("text", ["two\r\nlines", "two\rlines", "two\nlines", "\ntwo lines\n"])
def test_reason_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "qc.csv"
    write_qc(path, [_row(text)])
    assert read_qc(path)[0].reason == "two lines" and path.read_bytes().count(b"\n") == 2


def test_file_name_that_is_no_utf8_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "qc.csv"
    write_qc(path, [_row("no such file: \udce9.dcm")])
    assert read_qc(path)[0].reason == r"no such file: \udce9.dcm"


def test_file_is_utf8_with_lf_only(tmp_path: Path) -> None:
    path = tmp_path / "qc.csv"
    write_qc(path, [_row("T½ is wrong", "fail"), _row("fine", "ok")])
    raw = path.read_bytes()
    assert b"\r" not in raw and not raw.startswith(b"\xef\xbb\xbf") and "T½".encode() in raw
    assert raw.count(b"\n") == 3 and not list(tmp_path.glob("*.part"))


def test_other_columns_and_statuses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="status"):
        _row("x", status="maybe")
    path = tmp_path / "qc.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="columns"):
        read_qc(path)
    path.write_text("")
    with pytest.raises(ValueError, match="columns"):
        read_qc(path)
