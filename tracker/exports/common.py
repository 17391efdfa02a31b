"""What all formats share: codes for texts, records in one order, and files that are whole or not there."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracker.exports.doses import DoseRecord
from tracker.exports.selection import Observation
from tracker.study.model import Study
from tracker.study.rows import Subject
from tracker.table import Row

MISSING = -99  # NONMEM reads "." as 0; a deviation or limit that is not known must not be read as 0


@dataclass(frozen=True, slots=True)
class Code:
    """One text and its number: ``kind`` is what is numbered, ``name`` the text in letters, digits and underscores."""

    kind: str
    text: str
    number: int
    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Handover:
    """All that a format needs: observations and doses, the subjects' rows by id, and the codes by kind and text."""

    observations: tuple[Observation, ...]
    doses: tuple[DoseRecord, ...]
    subjects: Mapping[str, Subject]
    codes: Mapping[tuple[str, str], Code]
    quantities: int

    def dvid(self, row: Row) -> Code:
        """The code of a row's DVID: its organ, or quantity and organ where several quantities are handed over."""
        return self.codes["dvid", dvid_text(row.quantity, row.organ, self.quantities)]


def handover(study: Study, observations: Sequence[Observation], doses: Sequence[DoseRecord]) -> Handover:
    """Numbers every text from 1 in alphabetical order; compartments count the ways of dosing first, then the organs."""
    rows = [o.row for o in observations]
    groups = {s.subject: s.group for s in study.subjects}
    units = {r.quantity: r.unit for r in rows}
    ways = {d.into: d.unit for d in doses}
    codes = [
        *_numbered("subject", {r.subject for r in rows}),
        *_numbered("group", {groups[r.subject] for r in rows}),
        *_numbered("label", {r.label for r in rows}),
        *_numbered("modality", {r.modality for r in rows}),
        *_numbered("quantity", set(units), units),
        *_numbered("dvid", {dvid_text(r.quantity, r.organ, len(units)) for r in rows}),
        *_numbered("cmt", set(ways), ways),
        *_numbered("cmt", {r.organ for r in rows}, start=len(ways) + 1),
    ]
    by_text = {(c.kind, c.text): c for c in codes}
    return Handover(tuple(observations), tuple(doses), {s.subject: s for s in study.subjects}, by_text, len(units))


def dvid_text(quantity: str, organ: str, quantities: int) -> str:
    """What one DVID stands for: the organ, or quantity and organ where several quantities are handed over.

    >>> dvid_text("cells_viable", "lung", 1), dvid_text("cells_viable", "lung", 2)
    ('lung', 'cells_viable lung')
    """
    return organ if quantities == 1 else f"{quantity} {organ}"


def _numbered(kind: str, texts: Iterable[str], units: dict[str, str] | None = None, start: int = 1) -> list[Code]:
    codes: list[Code] = []
    for number, text in enumerate(sorted(texts), start):
        name, taken = re.sub(r"[^0-9A-Za-z]", "_", text), {c.name for c in codes}
        # "left-lung" and "left lung" are two organs: the second gets its number behind the name.
        codes.append(Code(kind, text, number, f"{name}_{number}" if name in taken else name, (units or {}).get(text, "")))
    return codes


def number_text(value: float) -> str:
    """A number with 9 significant digits, at most 16 characters.

    >>> number_text(1 / 3), number_text(500000.0)
    ('0.333333333', '500000')
    """
    return f"{value:.9g}"


def write_table(path: Path, header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Writes one header line and the lines as CSV (UTF-8, comma, LF), whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(header)
        out.writerows(lines)
    os.replace(part, path)
