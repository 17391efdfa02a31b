"""Which rows of the table are handed over, and why the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracker.errors import Finding
from tracker.study.model import PkTarget, Study
from tracker.table import Row

ALL = ""  # a target's modality that means any; only the default target has it
DEFAULT_QUANTITIES = ("cells_equivalent", "injected_percent")


@dataclass(frozen=True, slots=True)
class Observation:
    """One row as an observation: ``value`` is the row's own, or the limit where ``cens`` says 1 (below) or -1 (above)."""

    row: Row
    time_h: float
    value: float
    cens: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that a target asks for and that cannot be an observation, with the reason."""

    row: Row
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What the targets ask for: observations, rows left out, and targets without any row."""

    observations: tuple[Observation, ...]
    left_out: tuple[LeftOut, ...]
    findings: tuple[Finding, ...]


def targets_of(study: Study, rows: Sequence[Row]) -> tuple[PkTarget, ...]:
    """The config's ``pk.targets``; without any, the first of `DEFAULT_QUANTITIES` that the table has, of all modalities."""
    if study.config.pk_targets:
        return study.config.pk_targets
    present = {row.quantity for row in rows}
    return tuple(PkTarget(q, ALL) for q in DEFAULT_QUANTITIES if q in present)[:1]


def select(study: Study, rows: Sequence[Row]) -> Selection:
    """The observations of all targets in the table's order, each row once; a target without rows is a warning, never replaced."""
    targets = targets_of(study, rows)
    subjects = {s.subject for s in study.subjects}
    wanted = [row for row in rows if any(_matches(t, row) for t in targets)]
    judged = [_judge(row, subjects) for row in wanted]
    left_out = tuple(one for one in judged if isinstance(one, LeftOut))
    findings = [_empty(t) for t in targets if not any(_matches(t, row) for row in wanted)]
    if left_out:
        why = ", ".join(sorted({one.reason for one in left_out}))
        findings.append(Finding("pk_left_out", "warn", f"{len(left_out)} rows are not in the PK files ({why}): pk/left_out.csv"))
    return Selection(tuple(one for one in judged if isinstance(one, Observation)), left_out, tuple(findings))


def _matches(target: PkTarget, row: Row) -> bool:
    return (
        row.quantity == target.quantity
        and target.modality in (ALL, row.modality)
        and (not target.organs or row.organ in target.organs)
        and (not target.subjects or row.subject in target.subjects)
    )


def _judge(row: Row, subjects: set[str]) -> Observation | LeftOut:
    if row.subject not in subjects:
        return LeftOut(row, "unknown_subject")
    if row.value is None:
        return LeftOut(row, "missing_value")
    if row.time_h is None:
        return LeftOut(row, "missing_time")
    if row.time_h < 0:
        return LeftOut(row, "before_dose")
    if row.cens == 1:
        return LeftOut(row, "no_lloq") if row.lloq is None else Observation(row, row.time_h, row.lloq, 1)
    if row.cens == -1:
        return LeftOut(row, "no_uloq") if row.uloq is None else Observation(row, row.time_h, row.uloq, -1)
    return Observation(row, row.time_h, row.value, 0)


def _empty(target: PkTarget) -> Finding:
    return Finding("pk_target_empty", "warn", f"no rows for target {target.quantity}, modality {target.modality or 'any'}")
