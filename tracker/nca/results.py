"""All results of one curve: the measured values as row 0 of an array, its Monte-Carlo draws as the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from tracker.nca import NcaRow
from tracker.nca.integrate import Slope, auc, aumc, decayed_auc, terminal_slope
from tracker.nca.points import Curve, Point, draw, measured_span

LARGE_PERCENT = 20.0
_ENOUGH = 0.9  # of the draws must have a result: the spread of a lucky few is not that of all


@dataclass(frozen=True, slots=True)
class _Draws:
    """``t`` [h] and values ``c`` from t = 0 on; ``seen`` marks measured points; ``held`` says that the point at 0 was added."""

    t: np.ndarray
    c: np.ndarray
    seen: np.ndarray
    held: bool


@dataclass(frozen=True, slots=True)
class _Results:
    """The columns of `NcaRow` that have a standard deviation, each ``(draws,)``, nan where there is none."""

    cmax: np.ndarray
    tmax_h: np.ndarray
    auc_last: np.ndarray
    auc_inf: np.ndarray
    extrapolated_percent: np.ndarray
    lambda_z_per_h: np.ndarray
    half_life_h: np.ndarray
    mrt_h: np.ndarray
    residence_time_h: np.ndarray


def results(empty: NcaRow, curve: Curve, flags: Sequence[str], half_life_s: float | None, draws: int) -> NcaRow:
    """``empty`` with its results and flags; ``half_life_s`` None leaves the residence time out."""
    points = measured_span(curve.points)
    noise_known = all(p.sd_noise is not None for p in points if not p.below)
    scale_known = all(p.sd_scale is not None for p in points if not p.below)
    d = _from_zero(points, draw(curve, points, draws if noise_known else 0))
    slope = terminal_slope(d.t[d.seen], d.c[:, d.seen])
    residence, tail_percent = _residence(d, half_life_s)
    found = _results(d, slope, residence)
    noted = {
        "no_terminal_phase": math.isnan(slope.rate_per_h[0]),
        "extrapolated": found.extrapolated_percent[0] > LARGE_PERCENT,
        "c0_assumed": _held_percent(d) > LARGE_PERCENT,
        "censored": any(p.below for p in curve.points),
        "above_uloq": any(p.above for p in points),
        "residence_extrapolated": tail_percent > LARGE_PERCENT,
        "sd_missing": not noise_known,
        "sd_without_scale": noise_known and not scale_known,
    }
    columns: dict[str, Any] = {"lambda_z_points": int(slope.points[0]) or None, "lambda_z_adj_r2": _number(slope.adj_r2[0])}
    for one in fields(found):
        drawn = getattr(found, one.name)
        columns |= {one.name: _number(drawn[0]), f"{one.name}_sd": _sd(drawn[1:])}
    return replace(empty, **columns, flag=(*flags, *(name for name, on in noted.items() if on)))


def _from_zero(points: Sequence[Point], c: np.ndarray) -> _Draws:
    t = np.array([p.time_h for p in points])
    seen = np.array([not p.below for p in points])
    if t[0] > 0:
        return _Draws(np.r_[0.0, t], np.column_stack([c[:, 0], c]), np.r_[False, seen], True)
    return _Draws(t, c, seen, False)


def _results(d: _Draws, slope: Slope, residence_time_h: np.ndarray) -> _Results:
    last, t_last, rate, seen = d.c[:, -1], d.t[-1], slope.rate_per_h, d.c[:, d.seen]
    area = auc(d.t, d.c)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = area + last / rate
        moment = aumc(d.t, d.c) + last * t_last / rate + last / rate**2
        return _Results(
            cmax=seen.max(axis=1),
            tmax_h=d.t[d.seen][seen.argmax(axis=1)],
            auc_last=area,
            auc_inf=whole,
            extrapolated_percent=100 * (1 - area / whole),
            lambda_z_per_h=rate,
            half_life_h=math.log(2.0) / rate,
            mrt_h=moment / whole,
            residence_time_h=residence_time_h,
        )


def _held_percent(d: _Draws) -> float:
    """Share of the measured auc_last that lies before the first point [%]."""
    area = float(auc(d.t, d.c[:1])[0])
    return 100 * float(d.t[1] * d.c[0, 0]) / area if d.held and area > 0 else 0.0


def _residence(d: _Draws, half_life_s: float | None) -> tuple[np.ndarray, float]:
    """Time-integrated activity coefficient of each draw [h], and the share of its tail in the measured one [%]; nan without a half-life."""
    if half_life_s is None:
        return np.full(d.c.shape[0], np.nan), math.nan
    decay_per_h = math.log(2.0) * 3600 / half_life_s
    seen_t = d.t[d.seen]
    physical = terminal_slope(seen_t, d.c[:, d.seen] * np.exp(-decay_per_h * seen_t))
    rate = np.fmin(physical.rate_per_h, decay_per_h)  # fmin passes over nan: no terminal phase leaves physical decay
    last = d.c[:, -1] * math.exp(-decay_per_h * d.t[-1])
    tail = np.where(last > 0, last / rate, np.nan) / 100
    whole = decayed_auc(d.t, d.c, decay_per_h) / 100 + tail
    return whole, float(100 * tail[0] / whole[0])


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _sd(drawn: np.ndarray) -> float | None:
    finite = drawn[np.isfinite(drawn)]
    if finite.size < 2 or finite.size < _ENOUGH * drawn.size:
        return None
    return float((finite - finite[0]).std(ddof=1))  # from the first, so that equal draws have exactly no spread
