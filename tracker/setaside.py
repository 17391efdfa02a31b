"""What a run set aside: the scans whose input could not give a correct answer, with their reasons."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tracker.qc import QcRow, read_qc


def set_aside(rows: Iterable[QcRow]) -> tuple[QcRow, ...]:
    """The rows with status ``fail``: each names a scan that has no values, and why."""
    return tuple(row for row in rows if row.status == "fail")


def set_aside_text(checks: Path) -> str:
    """The scans set aside in a run, a line each, for the end of its output; empty where there were none or no table."""
    rows = set_aside(read_qc(checks)) if checks.is_file() else ()
    if not rows:
        return ""
    lines = [f"  {r.subject}, session {r.session}, {r.modality} ({r.stage}): {r.reason}" for r in rows]
    count = len({(r.subject, r.session, r.modality) for r in rows})
    return f"{count} scan(s) set aside; all others are in the curves:\n" + "\n".join(lines)
