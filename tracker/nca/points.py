"""From the table's rows to the points of one curve: what is measured, what is censored, and random draws of it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tracker.errors import InputError
from tracker.table import Row


class CurveKey(NamedTuple):
    """What makes points one curve; ``subject`` is empty for a naive-pooled one."""

    study: str
    subject: str
    group: str
    modality: str
    label: str
    organ: str
    quantity: str
    unit: str


@dataclass(frozen=True, slots=True)
class Point:
    """One usable value of a curve at ``time_h`` ≥ 0; ``below`` and ``above`` say it is censored; None is an unknown deviation."""

    time_h: float
    value: float
    sd_noise: float | None
    sd_scale: float | None
    below: bool = False
    above: bool = False
    session: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one key in time order."""

    key: CurveKey
    points: tuple[Point, ...]


def curves(rows: Iterable[Row]) -> list[Curve]:
    """The curves of rows, by key, then pooled ones of serial sacrifice.

    A row without a value or a time is left out (missing is not zero), and so is one before the first dose.
    """
    found: dict[CurveKey, list[Point]] = {}
    for row in rows:
        key = CurveKey(row.study, row.subject, row.group, row.modality, row.label, row.organ, row.quantity, row.unit)
        points = found.setdefault(key, [])
        if row.value is not None and row.time_h is not None and row.time_h >= 0:
            points.append(Point(row.time_h, row.value, row.sd_noise, row.sd_scale, row.cens == 1, row.cens == -1, row.session))
    single = [Curve(key, tuple(sorted(points, key=lambda p: p.time_h))) for key, points in found.items()]
    return sorted(single + _pooled(single), key=lambda curve: curve.key)


def check_times(curve: Curve) -> None:
    """Raises `InputError` ``duplicate_time`` where a subject's curve has two values at one time: which is right is not known."""
    times = [p.time_h for p in curve.points]
    twice = sorted({t for t in times if times.count(t) > 1})
    if twice:
        key = curve.key
        raise InputError(
            "duplicate_time",
            "a curve has two values at the same time",
            found=", ".join(f"{t:g} h" for t in twice),
            expected="one value a time",
            where=f"subject {key.subject}, {key.modality}, {key.label}, {key.organ}, {key.quantity}",
            do="leave one of the scans out of the acquisitions sheet",
        )


def _pooled(single: Sequence[Curve]) -> list[Curve]:
    """One curve a group where no animal was measured twice: all animals' points as if they came from one."""
    groups: dict[CurveKey, list[Curve]] = defaultdict(list)
    for curve in single:
        groups[curve.key._replace(subject="")].append(curve)
    return [
        Curve(key, _means([p for m in members for p in m.points]))
        for key, members in groups.items()
        if len(members) > 1 and all(len(m.points) == 1 for m in members)
    ]


def _means(points: Sequence[Point]) -> tuple[Point, ...]:
    """Mean of the animals of one session (or one time, without sessions): the nominal time that a plan of sacrifice has."""
    at: dict[object, list[Point]] = defaultdict(list)
    for p in points:
        at[p.session or p.time_h].append(p)
    return tuple(sorted((_mean(same) for same in at.values()), key=lambda p: p.time_h))


def _mean(same: Sequence[Point]) -> Point:
    """Mean time and value; ``sd_noise`` is the standard error over animals, unknown for one animal."""
    values = np.array([p.value for p in same])
    scales = [p.sd_scale for p in same if p.sd_scale is not None]
    error = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else None
    # Raw values below the limit scatter around the truth, so a mean with some of them is right; only all below is below.
    below, above = all(p.below for p in same), any(p.above for p in same)
    scale = float(np.mean(scales)) if len(scales) == len(same) else None
    return Point(float(np.mean([p.time_h for p in same])), float(values.mean()), error, scale, below, above)


def measured_span(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points up to the last measured one: censored points after it are dropped."""
    last = max((i for i, p in enumerate(points) if not p.below), default=-1)
    return tuple(points[: last + 1])


def draw(curve: Curve, points: Sequence[Point], draws: int) -> np.ndarray:
    """Values of ``points`` as ``(draws + 1, n)``: row 0 as measured, the others with ``sd_noise`` per point and ``sd_scale`` shared.

    The seed is a hash of the curve's key: the same in every run, in any order of curves, on any machine.
    An unknown deviation counts as none here; the caller says so.
    """
    seed = int.from_bytes(hashlib.sha256("\0".join(curve.key).encode()).digest()[:8], "big")
    random = np.random.default_rng(seed)
    value, noise, scale = (np.array([getattr(p, name) or 0.0 for p in points]) for name in ("value", "sd_noise", "sd_scale"))
    shared = random.standard_normal((draws, 1))
    moved = value + scale * shared + noise * random.standard_normal((draws, len(points)))
    return fill_censored(points, np.vstack([value, moved]))


def fill_censored(points: Sequence[Point], values: np.ndarray) -> np.ndarray:
    """``values`` ``(draws, n)`` with 0 for censored points before the first measured one, and the log line for those between two.

    The line is straight where a neighbour is not positive, since it has no logarithm. ``points`` end with a measured one.
    """
    known = np.array([i for i, p in enumerate(points) if not p.below])
    t, out = np.array([p.time_h for p in points]), values.copy()
    out[:, : known[0]] = 0.0
    for i in (i for i, p in enumerate(points) if p.below and i > known[0]):
        left, right = known[known < i][-1], known[known > i][0]
        a, b, share = values[:, left], values[:, right], (t[i] - t[left]) / (t[right] - t[left])
        logs = (a > 0) & (b > 0)
        ratio = np.divide(b, a, out=np.ones_like(a), where=logs)
        out[:, i] = np.where(logs, a * ratio**share, a + share * (b - a))
    return out
