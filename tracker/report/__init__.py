"""What a person reads: one page that opens offline, and the pictures of quality control. Nothing else imports this folder."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tracker.qc import QcRow
from tracker.report.summary import Table, number_text
from tracker.table import Row

_NAMES = {"study", "subject", "group", "session", "modality", "label", "organ", "quantity", "unit", "flag", "method"}
_SEVERITY = {"fail": 0, "warn": 1, "ok": 2}
SHOWN_REASONS = 12
# Checks that say where a scan's organs are from and how well they fit it.
_FIT = {
    *("organs_from", "registration", "session_registration", "session_frame", "pose", "suspected_pose", "suspected_flip", "pose_unclear"),
    *("suspected_swap", "body_volume", "organ_agreement", "atlas_fit", "atlas_body_weight", "carried_volume", "organ_volume"),
}
_FITTED = {"registration", "session_registration", "organ_agreement", "pose", "suspected_pose", "suspected_flip", "atlas_fit"}


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """All that the page shows, and nothing of the machine or the day it is written.

    ``overlays`` are (title, PNG file); ``nca`` and ``truth`` tables of cells (values, or the text of a CSV), their header first;
    ``truth`` compares a digital study with what its phantoms were made from. Texts may hold anything: the page escapes them.
    """

    study: str
    rows: tuple[Row, ...]
    findings: tuple[QcRow, ...] = ()
    overlays: tuple[tuple[str, Path], ...] = ()
    nca: Table = ()
    methods: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    truth: Table = ()
    version: str = ""


def write_report(path_html: Path, inputs: ReportInputs) -> None:
    """Writes the study's page: verdict, curves, latest values, pictures, checks, methods and assumptions, in one HTML file.

    It holds no script and loads nothing (its own policy forbids both), so it opens offline and can be sent on. The same inputs
    give the same bytes. It shows what the tables hold and decides nothing. Raises OSError where a picture cannot be read.
    """
    part = path_html.with_name(path_html.name + ".part")
    part.write_text(render(inputs), encoding="utf-8", errors="backslashreplace", newline="\n")
    os.replace(part, path_html)


def render(inputs: ReportInputs) -> str:
    """The page as text; see `write_report`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from tracker.report.charts import charts, group_class
    from tracker.report.summary import latest, ordered, verdict

    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    groups = ordered(row.group for row in inputs.rows)
    # Beside named groups, an animal without one is not "all".
    ungrouped = "no group" if any(groups) else "all subjects"
    return pages.get_template("page.html.j2").render(
        inputs=inputs,
        verdict=verdict(inputs.rows, inputs.findings),
        groups=[(group or ungrouped, group_class(groups, group), group) for group in groups],
        organs=ordered(row.organ for row in inputs.rows),
        charts=charts(inputs.rows),
        latest=latest(inputs.rows),
        overlays=[(title, b64encode(path.read_bytes()).decode("ascii")) for title, path in inputs.overlays],
        findings=sorted(inputs.findings, key=lambda f: _SEVERITY[f.status]),
        fits=_fits(inputs.findings),
        nca=_cells(inputs.nca),
        truth=_cells(inputs.truth),
        shown_reasons=SHOWN_REASONS,
    )


def _fits(findings: Sequence[QcRow]) -> list[QcRow]:
    """How the organs of carried maps fit, scan by scan; empty where every scan has organs drawn on itself, and nothing was registered."""
    if not any(f.check in _FITTED for f in findings):
        return []
    return sorted((f for f in findings if f.check in _FIT), key=lambda f: (f.subject, f.modality, f.session))


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell as text; a column of numbers stands right."""

    text: str
    number: bool


def _cells(table: Table) -> tuple[tuple[_Cell, ...], ...]:
    if not table:
        return ()
    numeric = [_is_numeric(str(name), [row[k] for row in table[1:]]) for k, name in enumerate(table[0])]
    head = tuple(_Cell(str(name), number) for name, number in zip(table[0], numeric, strict=True))
    return (head, *(tuple(_Cell(_text(c, number), number) for c, number in zip(row, numeric, strict=True)) for row in table[1:]))


def _is_numeric(name: str, column: Sequence[object]) -> bool:
    # An id such as 1E5 or 007 is a name, whatever it looks like.
    stated = [cell for cell in column if cell not in (None, "")]
    return name not in _NAMES and bool(stated) and all(_number(cell) is not None for cell in stated)


def _number(cell: object) -> float | None:
    if not isinstance(cell, str | int | float):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _text(cell: object, number: bool) -> str:
    if cell is None or cell == "":
        return ""
    if isinstance(cell, tuple):
        return "; ".join(map(str, cell))
    value = _number(cell) if number else None
    whole = isinstance(cell, int) or str(cell).isdigit()
    return str(cell) if value is None or whole else number_text(value)
