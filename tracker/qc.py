"""The quality table: one row a check, with its status and reason; reading and writing ``qc/*.csv``."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tracker.errors import STATUSES

# A spreadsheet runs a cell that starts with one of these as a formula; quotes before it are counted so that reading is exact.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class QcRow:
    """One check of one scan (or, with ``session`` empty, of one subject) and how it went.

    ``check`` is a short stable id, ``status`` one of ``ok``, ``warn``, ``fail``; ``fail`` means that the scan was set aside.
    ``reason`` is the only free text.
    """

    study: str
    subject: str
    session: str
    modality: str
    stage: str
    check: str
    status: str
    reason: str

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} is not one of {STATUSES}")


COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(QcRow))


def guard_formula(text: str) -> str:
    """The text as a spreadsheet shows it and does not run it: a quote in front where it would start a formula.

    >>> guard_formula("=HYPERLINK(1)"), guard_formula("19 slices")
    ("'=HYPERLINK(1)", '19 slices')
    """
    return "'" + text if _FORMULA.match(text) else text


def _one_line(text: str) -> str:
    # A line break in a cell breaks tools that read CSV line by line; a file name may hold bytes that are no UTF-8.
    return " ".join(text.splitlines()).strip().encode("utf-8", "backslashreplace").decode("utf-8")


def _unguard(text: str) -> str:
    return text[1:] if _GUARDED.match(text) else text


def write_qc(path: Path, rows: Iterable[QcRow]) -> None:
    """Writes rows as CSV (UTF-8, comma, LF), whole or not at all; ``reason`` on one line and guarded against spreadsheet formulas.

    The other columns are ids and words of a closed list and stay as they are: ``+1`` is a valid subject.
    """
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for row in rows:
            *words, reason = astuple(row)
            out.writerow([*words, guard_formula(_one_line(reason))])
    os.replace(part, path)


def read_qc(path: Path) -> list[QcRow]:
    """The rows of a CSV that `write_qc` wrote; raises ValueError where the columns or a status are others."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = tuple(next(reader, ()))
        if header != COLUMNS:
            raise ValueError(f"{path}: columns {header} are not {COLUMNS}")
        return [QcRow(*(_unguard(cell) if name == "reason" else cell for name, cell in zip(COLUMNS, line, strict=True))) for line in reader]
