"""Rows of many scans → the curves of a study: one order, summaries by group, and whether the organs add up to the dose."""

from __future__ import annotations

import csv
import math
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from tracker.errors import Finding
from tracker.table import QUANTITIES, Row

RECOVERY_PERCENT = (90.0, 110.0)
EXTRAVASATION_PERCENT = 10.0
REST_ORGANS = ("rest", "carcass", "body")  # a map that has one of these covers the whole body
INJECTION_SITES = ("tail", "injection_site")

_ORDER = {quantity: place for place, quantity in enumerate(QUANTITIES)}


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One line of ``groups.csv``: a group's subjects at one nominal time; ``time_h`` [h], values in ``unit``.

    ``n`` counts values that are there; ``n_missing`` rows without one; ``n_censored`` those of ``n`` beyond a limit, whose raw
    values are in the mean. ``sd`` has n - 1 below; None for one subject. ``cv`` = sd / mean, None where the mean is not above 0.
    """

    study: str
    group: str
    session: str
    modality: str
    label: str
    organ: str
    time_h: float | None
    quantity: str
    unit: str
    n: int
    mean: float | None
    sd: float | None
    cv: float | None
    median: float | None
    n_censored: int
    n_missing: int


GROUP_COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(GroupRow))


def biodistribution(rows: Iterable[Row]) -> list[Row]:
    """All rows in the table's stable order: study, subject, time of the session, modality, label, organ, time, quantity, method.

    The time of a session is the earliest of the subject's rows in it. Rows without a time come last. The order does not depend
    on that of the input.
    """
    rows = list(rows)
    session_h: dict[tuple[str, str, str], float] = defaultdict(lambda: math.inf)
    for row in rows:
        key = (row.study, row.subject, row.session)
        session_h[key] = min(session_h[key], _or_last(row.time_h))

    def place(row: Row) -> tuple[object, ...]:
        session = (session_h[row.study, row.subject, row.session], row.session)
        names = (row.modality, row.label, row.organ)
        return (row.study, row.subject, *session, *names, _or_last(row.time_h), _ORDER[row.quantity], row.method)

    return sorted(rows, key=place)


def _or_last(time_h: float | None) -> float:
    return math.inf if time_h is None else time_h


def nominal_times(rows: Sequence[Row]) -> dict[tuple[str, str, str, int], float]:
    """Time that stands for a frame in a group [h], by (session, modality, label, number of the frame).

    The median over subjects of their frame's middle, to 3 significant digits (23.87 h is 23.9 h); not rounded where two frames
    of the session would then share a time. A session of one name is one time point, whatever the clock said; frames are
    numbered by time in each subject's session.
    """
    times: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for (_, *scan), frames in _frames(rows).items():
        session, modality, label = scan
        for number, time_h in enumerate(frames):
            times[session, modality, label, number].append(time_h)
    exact = {key: statistics.median(values) for key, values in times.items()}
    rounded = {key: float(f"{time_h:.3g}") for key, time_h in exact.items()}
    crowded = _sessions_with_equal_times(rounded)
    return {key: exact[key] if key[:3] in crowded else time_h for key, time_h in rounded.items()}


def _frames(rows: Iterable[Row]) -> dict[tuple[str, str, str, str], list[float]]:
    found: dict[tuple[str, str, str, str], set[float]] = defaultdict(set)
    for row in rows:
        if row.time_h is not None:
            found[row.subject, row.session, row.modality, row.label].add(row.time_h)
    return {key: sorted(times) for key, times in found.items()}


def _sessions_with_equal_times(times: Mapping[tuple[str, str, str, int], float]) -> set[tuple[str, str, str]]:
    by_session: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for (session, modality, label, _), time_h in times.items():
        by_session[session, modality, label].append(time_h)
    return {key for key, values in by_session.items() if len(set(values)) < len(values)}


def group_summary(rows: Iterable[Row]) -> list[GroupRow]:
    """One row a group, session, modality, label, organ, quantity and nominal time (`nominal_times`), in the table's order.

    Missing values are counted and left out, never taken as 0; censored ones enter with their raw value. A plain mean over
    subjects: neither weighted by ``sd_noise`` nor a model of the group.
    """
    rows = list(rows)
    nominal, frames = nominal_times(rows), _frames(rows)
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    time_of: dict[tuple[object, ...], float | None] = {}
    for row in rows:
        time_h = None
        if row.time_h is not None:
            number = frames[row.subject, row.session, row.modality, row.label].index(row.time_h)
            time_h = nominal[row.session, row.modality, row.label, number]
        key = (row.study, row.group, row.session, row.modality, row.label, row.organ, time_h, row.quantity, row.unit)
        groups[key].append(row)
        time_of[key] = time_h
    return sorted((_summary(members, time_of[key]) for key, members in groups.items()), key=_group_place)


def _group_place(row: GroupRow) -> tuple[object, ...]:
    names = (row.modality, row.label, row.organ)
    return (row.study, row.group, *names, _or_last(row.time_h), row.session, _ORDER[row.quantity], row.unit)


def _summary(members: Sequence[Row], time_h: float | None) -> GroupRow:
    values = [row.value for row in members if row.value is not None]
    mean = statistics.fmean(values) if values else None
    sd = statistics.stdev(values) if len(values) > 1 else None
    row = members[0]
    return GroupRow(
        study=row.study,
        group=row.group,
        session=row.session,
        modality=row.modality,
        label=row.label,
        organ=row.organ,
        time_h=time_h,
        quantity=row.quantity,
        unit=row.unit,
        n=len(values),
        mean=mean,
        sd=sd,
        cv=sd / mean if sd is not None and mean is not None and mean > 0 else None,
        median=statistics.median(values) if values else None,
        n_censored=sum(1 for r in members if r.value is not None and r.cens),
        n_missing=len(members) - len(values),
    )


def write_groups(path: Path, rows: Iterable[GroupRow], digits: int = 9) -> None:
    """Writes ``groups.csv`` (UTF-8, comma, LF, ``digits`` significant, empty = missing), whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(GROUP_COLUMNS)
        for row in rows:
            out.writerow(["" if v is None else f"{v:.{digits}g}" if isinstance(v, float) else v for v in astuple(row)])
    os.replace(part, path)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The ``injected_percent`` rows of one scan and frame."""

    rows: tuple[Row, ...]

    @property
    def where(self) -> str:
        row = self.rows[0]
        time = "" if row.time_h is None else f", {row.time_h:.4g} h"
        return f"{row.subject}, session {row.session}, {row.modality}, label {row.label}{time}"


def _dose_frames(rows: Iterable[Row]) -> list[_Frame]:
    frames: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row.quantity == "injected_percent":
            frames[row.study, row.subject, row.session, row.modality, row.label, row.time_h].append(row)
    return [_Frame(tuple(members)) for members in frames.values()]


def _imbalance(frame: _Frame) -> str:
    """Why the organs of a frame do not add up to the dose; empty where they do, or where that cannot be told."""
    total = math.fsum(row.value for row in frame.rows if row.value is not None)
    low, high = RECOVERY_PERCENT
    if total > high:
        return f"organs sum to {total:.4g} % of the dose, above {high:g} %"
    whole = any(row.organ.lower() in REST_ORGANS for row in frame.rows) and all(row.value is not None for row in frame.rows)
    if whole and total < low:
        return f"organs and rest of the body sum to {total:.4g} % of the dose, below {low:g} %: excreted, out of the field, or a wrong dose"
    return ""


def _left_at_site(frame: _Frame) -> str:
    sites = {row.organ: row.value for row in frame.rows if row.organ.lower() in INJECTION_SITES and row.value is not None}
    high = [f"{organ} holds {value:.4g} % of the dose" for organ, value in sites.items() if value > EXTRAVASATION_PERCENT]
    return f"{', '.join(high)}, above {EXTRAVASATION_PERCENT:g} %" if high else ""


def recovery_findings(rows: Iterable[Row]) -> list[Finding]:
    """What does not add up to the dose: ``mass_balance`` and ``extravasation`` warnings, one a scan and frame.

    The sum of ``injected_percent`` over organs must not pass 110 %; where the organ map covers the body (it has an organ rest,
    carcass or body) and no organ is missing, it should not be below 90 % either. An organ tail or injection_site should not hold
    more than 10 %. Excreta are not in the sum, so a low one need not be a fault.
    """
    found = []
    for frame in _dose_frames(rows):
        for check, why in (("mass_balance", _imbalance(frame)), ("extravasation", _left_at_site(frame))):
            if why:
                found.append(Finding(check, "warn", f"{frame.where}: {why}"))
    return found


def flag_recovery(rows: Sequence[Row]) -> list[Row]:
    """The rows, those of the frames that `recovery_findings` names with its flag: all that stem from the dose are in doubt there."""
    doubts: dict[tuple[object, ...], tuple[str, ...]] = {}
    for frame in _dose_frames(rows):
        flags = [flag for flag, why in (("mass_balance", _imbalance(frame)), ("extravasation", _left_at_site(frame))) if why]
        if flags:
            doubts[_scan_frame(frame.rows[0])] = tuple(flags)
    from_dose = ("injected_percent", "injected_percent_per_g", "suv", "suv_max", "suv_peak")
    flagged = []
    for row in rows:
        new = doubts.get(_scan_frame(row), ()) if row.quantity in from_dose else ()
        flagged.append(replace(row, flag=tuple(dict.fromkeys(row.flag + new))) if new else row)
    return flagged


def _scan_frame(row: Row) -> tuple[object, ...]:
    return row.study, row.subject, row.session, row.modality, row.label, row.time_h
