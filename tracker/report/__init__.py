"""What a person reads: one page that opens offline, and the pictures of quality control. Nothing else imports this folder."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from tracker.qc import QcRow
from tracker.report.summary import Table, number_text
from tracker.table import Row

_SEVERITY = {"fail": 0, "warn": 1, "ok": 2}
SHOWN_REASONS = 12


@dataclass(frozen=True, slots=True)
class ReportInputs:
    """All that the page shows, and nothing of the machine or the day it is written.

    ``overlays`` are (title, PNG file); ``nca`` and ``truth`` tables of cells, their header first, empty where there is none;
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
    return pages.get_template("page.html.j2").render(
        inputs=inputs,
        verdict=verdict(inputs.rows, inputs.findings),
        groups=[(group or "all subjects", group_class(groups, group)) for group in groups],
        organs=ordered(row.organ for row in inputs.rows),
        charts=charts(inputs.rows),
        latest=latest(inputs.rows),
        overlays=[(title, b64encode(path.read_bytes()).decode("ascii")) for title, path in inputs.overlays],
        findings=sorted(inputs.findings, key=lambda f: _SEVERITY[f.status]),
        nca=_cells(inputs.nca),
        truth=_cells(inputs.truth),
        shown_reasons=SHOWN_REASONS,
    )


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell as text; a column of numbers stands right."""

    text: str
    number: bool


def _cells(table: Table) -> tuple[tuple[_Cell, ...], ...]:
    body = table[1:]
    numeric = [any(isinstance(row[k], int | float) for row in body) for k in range(len(table[0]) if table else 0)]
    return tuple(tuple(_Cell(_text(cell), number) for cell, number in zip(row, numeric, strict=True)) for row in table)


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, tuple):
        return "; ".join(map(str, cell))
    return number_text(cell) if isinstance(cell, float) else str(cell)
