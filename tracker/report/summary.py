"""What the report counts and shows as numbers: scans, the verdict, the latest values."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tracker.curves import GroupRow, group_summary
from tracker.qc import QcRow
from tracker.report.axes import SUPERSCRIPT
from tracker.table import Row

Item = TypeVar("Item", bound=Hashable)

LATEST = (
    *("injected_percent_per_g", "injected_percent", "suv", "cells_equivalent", "cells_viable", "label_amount"),
    *("delta_r2star", "hypointense_volume", "cells_focal"),
)
Table = tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The page's first line: ``status`` (ok, warn, fail) and the sentence for it, with the counts it rests on."""

    status: str
    text: str
    subjects: int
    scans: int
    aside: int
    set_aside: tuple[QcRow, ...]
    warnings: int

    @property
    def failures(self) -> int:
        """How many checks failed; a scan that was set aside may have failed several."""
        return len(self.set_aside)


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest values of one modality and label: ``header`` and text ``rows``; † marks a mean with a value beyond a limit, ≥ above it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def ordered(items: Iterable[Item]) -> tuple[Item, ...]:
    """The different items in the order of their first appearance."""
    return tuple(dict.fromkeys(items))


def duration_text(time_h: float) -> str:
    """A time as people say it: minutes, hours up to four days, then days.

    >>> duration_text(0.25), duration_text(24.03), duration_text(168.2)
    ('15 min', '24 h', '7.01 d')
    """
    if abs(time_h) < 1:
        return f"{time_h * 60:.3g} min"
    return f"{time_h:.3g} h" if abs(time_h) < 96 else f"{time_h / 24:.3g} d"


def number_text(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits, thousands apart by a thin space; very large or small ones as a×10ⁿ.

    >>> number_text(183456.0), number_text(0.01234), number_text(4.0, 2), number_text(0.0), number_text(1.5e-7, 2)
    ('183\\u2009000', '0.0123', '4.0', '0', '1.5×10⁻⁷')
    """
    if value == 0:
        return "0"
    text = f"{value:#.{digits}g}".removesuffix(".")
    if "e" not in text:
        return text
    if 1 <= abs(value) < 1e7:
        return f"{float(text):,.0f}".replace(",", "\u2009")
    mantissa, power = text.split("e")
    return f"{mantissa}×10{str(int(power)).translate(SUPERSCRIPT)}"


def _with_bounds(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The rows, a missing value above a limit taken as that limit: the least that it was, where a mean would leave it out."""
    return tuple(replace(r, value=r.uloq) if r.value is None and r.cens == -1 else r for r in rows)


def latest(rows: Sequence[Row]) -> tuple[Latest, ...]:
    """For each modality and label: a line per organ and group with mean ± sd between subjects, at the organ's latest time.

    A mean with a value above its limit is a lower bound, written ``≥``, and has no sd.
    """
    tables = []
    shown = [r for r in _with_bounds(rows) if r.quantity in LATEST]
    summaries = [g for g in group_summary(shown) if g.mean is not None and g.time_h is not None]
    bounds = lower_bounds(shown)
    for modality, label in ordered((g.modality, g.label) for g in summaries):
        own = [g for g in summaries if (g.modality, g.label) == (modality, label)]
        columns = [(q, u) for q in LATEST for u in ordered(g.unit for g in own if g.quantity == q)]
        names = tuple(f"{quantity.replace('_', ' ')} [{unit}]" for quantity, unit in columns)
        lanes = [(o, g) for o in ordered(r.organ for r in rows) for g in ordered(r.group for r in rows)]
        lines = [_latest_line([g for g in own if (g.organ, g.group) == lane], columns, bounds) for lane in lanes]
        tables.append(Latest(f"{modality}, {label}", ("organ", "group", "time", "n", *names), tuple(line for line in lines if line)))
    return tuple(tables)


def lower_bounds(rows: Iterable[Row]) -> frozenset[tuple[object, ...]]:
    """The `place` of each group summary that has a value above its limit, so that its mean is a lower bound."""
    # The share of such values among the same rows is above 0 there.
    return frozenset(place(g) for g in group_summary(replace(r, value=float(r.cens == -1)) for r in rows) if g.mean)


def place(group: GroupRow) -> tuple[object, ...]:
    """What tells one group summary from all others."""
    who = (group.study, group.group, group.session, group.modality, group.label)
    return (*who, group.organ, group.time_h, group.quantity, group.unit)


def _latest_line(own: Sequence[GroupRow], columns: Sequence[tuple[str, str]], bounds: frozenset[tuple[object, ...]]) -> tuple[str, ...]:
    if not own:
        return ()
    newest = max(g.time_h for g in own if g.time_h is not None)
    # A quantity that stopped earlier has an empty cell: its older value must not stand under the later time.
    shown = {(g.quantity, g.unit): g for g in own if g.time_h == newest}
    count = max(g.n for g in shown.values())
    cells = (_mean_text(shown[c], count, place(shown[c]) in bounds) if c in shown else "" for c in columns)
    return (own[0].organ, own[0].group, duration_text(newest), str(count), *cells)


def _mean_text(group: GroupRow, expected: int, bound: bool) -> str:
    if group.mean is None:
        return ""
    text = f"≥ {number_text(group.mean)}" if bound else number_text(group.mean)
    text += f" ± {number_text(group.sd, 2)}" if group.sd is not None and not bound else ""
    return text + (f" (n = {group.n})" if group.n < expected else "") + (" †" if group.n_censored else "")


def verdict(rows: Sequence[Row], findings: Sequence[QcRow]) -> Verdict:
    """What the study came to: counts of animals and scans, of warnings, and what was set aside.

    A scan is a subject, session and modality that has a row in the table or a finding; a subject's own findings have no session.
    """
    scans = {(r.subject, r.session, r.modality) for r in rows} | {(f.subject, f.session, f.modality) for f in findings if f.session}
    failed = tuple(f for f in findings if f.status == "fail")
    aside = {(f.subject, f.session, f.modality) for f in failed}
    warnings = sum(f.status == "warn" for f in findings)
    subjects = {s for s, _, _ in scans} | {f.subject for f in findings if f.subject}
    bounds = {(r.subject, r.session, r.modality, r.label, r.organ, r.time_h) for r in rows if r.cens == -1}
    if failed:
        status, text = "fail", f"{len(aside)} of {len(scans)} scans set aside: no value of theirs is in the curves."
    elif warnings:
        status, text = "warn", f"All {len(scans)} scans gave values; {warnings} warning(s) to look at."
    else:
        status, text = "ok", f"All {len(scans)} scans gave values, and no check complains."
    if bounds:
        text += f" {len(bounds)} organ reading(s) are lower bounds: part of the organ was above what could be told."
    return Verdict(status, text, len(subjects), len(scans), len(aside), failed, warnings)
