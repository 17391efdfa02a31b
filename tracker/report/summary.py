"""What the report counts and averages: group means, latest values, scans, the verdict."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeVar

from tracker.qc import QcRow
from tracker.table import Row

Item = TypeVar("Item", bound=Hashable)

LATEST = ("injected_percent_per_g", "injected_percent", "suv", "cells_equivalent", "cells_viable", "label_amount")
# Animals of one nominal time are scanned one after another: within this share (and 3 min) their times count as the same.
SAME_TIME_SHARE, SAME_TIME_H = 0.15, 0.05
Table = tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean and standard deviation between animals (``sd`` None for one) at one nominal time; how many were beyond a limit."""

    time_h: float
    mean: float
    sd: float | None
    n: int
    n_below: int
    n_above: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page's first line: ``status`` (ok, warn, fail) and the sentence for it, with the counts it rests on."""

    status: str
    text: str
    subjects: int
    scans: int
    set_aside: tuple[QcRow, ...]
    warnings: int


@dataclass(frozen=True, slots=True)
class Latest:
    """A table of the latest values of one modality and label: ``header`` and text ``rows``, and what the marks in them mean."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def ordered(items: Iterable[Item]) -> tuple[Item, ...]:
    """The different items in the order of their first appearance."""
    return tuple(dict.fromkeys(items))


def mean_by_time(rows: Iterable[Row]) -> tuple[Mean, ...]:
    """Means over the subjects of ``rows`` (one organ, quantity and group) at each nominal time, in time order.

    Times within 15 % count as one where no subject comes twice. A value below the limit counts as it was measured: leaving it
    out, or a limit in its place, would raise the mean. A value above a limit counts too, so that mean is a lower bound.
    Rows without value or time do not count: missing is not zero.
    """
    means: list[Mean] = []
    cluster: list[Row] = []
    for row in sorted((r for r in rows if r.value is not None and r.time_h is not None), key=lambda r: (r.time_h, r.subject)):
        if cluster and not _same_time(cluster, row):
            means.append(_mean(cluster))
            cluster = []
        cluster.append(row)
    return tuple(means + ([_mean(cluster)] if cluster else []))


def _same_time(cluster: Sequence[Row], row: Row) -> bool:
    start, now = cluster[0].time_h or 0.0, row.time_h or 0.0
    return now - start <= SAME_TIME_SHARE * abs(start) + SAME_TIME_H and row.subject not in {r.subject for r in cluster}


def _mean(rows: Sequence[Row]) -> Mean:
    values = [r.value for r in rows if r.value is not None]
    time_h = fmean(r.time_h for r in rows if r.time_h is not None)
    below, above = (sum(r.cens == sign for r in rows) for sign in (1, -1))
    return Mean(time_h, fmean(values), stdev(values) if len(values) > 1 else None, len(values), below, above)


def duration_text(time_h: float) -> str:
    """A time as people say it: minutes, hours up to four days, then days.

    >>> duration_text(0.25), duration_text(24.03), duration_text(168.2)
    ('15 min', '24 h', '7 d')
    """
    if abs(time_h) < 1:
        return f"{time_h * 60:.3g} min"
    return f"{time_h:.3g} h" if abs(time_h) < 96 else f"{time_h / 24:.3g} d"


def number_text(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits, thousands apart by a thin space; very large or small ones as a × 10ⁿ.

    >>> number_text(183456.0), number_text(0.01234), number_text(0.0)
    ('183\\u2009000', '0.0123', '0')
    """
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    if 1 <= abs(value) < 1e7:
        return f"{float(text):,.0f}".replace(",", "\u2009")
    mantissa, power = text.split("e")
    return f"{mantissa}×10^{int(power)}"


def latest(rows: Sequence[Row]) -> tuple[Latest, ...]:
    """For each modality and label: a line per organ and group with mean ± sd of each quantity at its latest time."""
    tables = []
    for key in ordered((r.modality, r.label) for r in rows if r.quantity in LATEST):
        own = [r for r in rows if (r.modality, r.label) == key]
        columns = [(q, u) for q in LATEST for u in ordered(r.unit for r in own if r.quantity == q and r.value is not None)]
        if columns:
            tables.append(_latest(f"{key[0]}, {key[1]}", own, columns))
    return tuple(tables)


def _latest(title: str, rows: Sequence[Row], columns: Sequence[tuple[str, str]]) -> Latest:
    lines = []
    for organ, group in ordered((o, g) for o in ordered(r.organ for r in rows) for g in ordered(r.group for r in rows if r.organ == o)):
        own = [r for r in rows if r.organ == organ and r.group == group]
        last = [mean_by_time(r for r in own if (r.quantity, r.unit) == column)[-1:] for column in columns]
        newest = max((m[0].time_h for m in last if m), default=None)
        # A quantity that stopped earlier must not stand under the later time.
        shown = [m[0] if m and newest is not None and newest - m[0].time_h <= 1e-6 + SAME_TIME_SHARE * abs(newest) else None for m in last]
        count = max((m.n for m in shown if m), default=0)
        time = "" if newest is None else duration_text(newest)
        lines.append((organ, group, time, str(count), *(_mean_text(m, count) for m in shown)))
    names = tuple(f"{quantity.replace('_', ' ')} [{unit}]" for quantity, unit in columns)
    return Latest(title, ("organ", "group", "time", "n", *names), tuple(lines))


def _mean_text(mean: Mean | None, expected: int) -> str:
    if mean is None:
        return ""
    text = ("≥ " if mean.n_above else "") + number_text(mean.mean)
    if mean.sd is not None:
        text += f" ± {number_text(mean.sd, 2)}"
    if mean.n < expected:
        text += f" (n = {mean.n})"
    return text + (" †" if mean.n_below else "")


def verdict(rows: Sequence[Row], findings: Sequence[QcRow]) -> Verdict:
    """What the study came to: counts of animals and scans, of warnings, and what was set aside.

    A scan is a subject, session and modality that has a row in the table or a finding; a subject's own findings have no session.
    """
    scans = {(r.subject, r.session, r.modality) for r in rows} | {(f.subject, f.session, f.modality) for f in findings if f.session}
    failed = tuple(f for f in findings if f.status == "fail")
    aside = {(f.subject, f.session, f.modality) for f in failed}
    warnings = sum(f.status == "warn" for f in findings)
    subjects = {s for s, _, _ in scans} | {f.subject for f in findings if f.subject}
    if failed:
        status, text = "fail", f"{len(aside)} of {len(scans)} scans set aside: no value of theirs is in the curves."
    elif warnings:
        status, text = "warn", f"All {len(scans)} scans gave values; {warnings} checks want a look."
    else:
        status, text = "ok", f"All {len(scans)} scans gave values, and no check complains."
    return Verdict(status, text, len(subjects), len(scans), failed, warnings)
