"""``pk/pixi_biodistribution.csv``: the table that PIXI (XNAT for preclinical imaging) imports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from tracker.exports.common import number_text, write_table
from tracker.study.model import Study
from tracker.table import Row

COLUMNS = ("subject_id", "sample_type", "subject_group", "%_id_g", "tracer", "experiment_datetime", "injection_datetime")


def write_pixi(path: Path, study: Study, rows: Sequence[Row]) -> None:
    """Writes one line for each value of ``injected_percent_per_g``; a missing value has no line.

    ``sample_type`` is the organ, ``tracer`` the label, ``injection_datetime`` the subject's first dose.
    """
    # One subject's times are comparable; another's may be the ones that state no offset from UTC.
    times = {s.subject: [d.dose_time for d in study.doses if d.subject == s.subject] for s in study.subjects}
    first = {subject: min(own) for subject, own in times.items() if own}
    lines = []
    for row in rows:
        if row.quantity == "injected_percent_per_g" and row.value is not None and row.time_h is not None and row.subject in first:
            injected = first[row.subject]
            at = injected + timedelta(seconds=round(row.time_h * 3600))
            moments = (at.isoformat(sep=" "), injected.isoformat(sep=" "))
            lines.append((row.subject, row.organ, row.group, number_text(row.value), row.label, *moments))
    write_table(path, COLUMNS, lines)
