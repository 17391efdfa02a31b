"""The stages over a whole study: all subjects' rows into the curves, and what does not add up into the quality table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracker.curves import biodistribution, flag_recovery, group_summary, recovery_findings, write_groups
from tracker.datapackage import write_descriptions
from tracker.qc import QcRow, read_qc, write_qc
from tracker.table import Row, read_rows, write_rows


@dataclass(frozen=True, slots=True)
class CurveFiles:
    """Where the gathered tables go."""

    curves: Path
    groups: Path
    qc: Path


def _recovery(rows: Sequence[Row]) -> list[QcRow]:
    scans: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        scans.setdefault((row.study, row.subject, row.session, row.modality), []).append(row)
    return [QcRow(*key, "curves", f.check, f.status, f.reason) for key, own in scans.items() for f in recovery_findings(own)]


def gather(study: str, tables: Iterable[Path], checks: Iterable[Path], files: CurveFiles) -> None:
    """Writes ``biodistribution.csv``, ``groups.csv`` and their descriptions, and the quality table with failures first."""
    rows = flag_recovery(biodistribution(row for path in tables for row in read_rows(path)))
    write_rows(files.curves, rows)
    write_groups(files.groups, group_summary(rows))
    write_descriptions(files.curves.parent, study)
    found = [row for path in checks for row in read_qc(path)] + _recovery(rows)
    severity = {"fail": 0, "warn": 1, "ok": 2}
    write_qc(files.qc, sorted(found, key=lambda r: (severity[r.status], r.subject, r.session, r.modality)))
