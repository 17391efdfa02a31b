"""One organ's reading in one frame, in the image's own unit: mean, maximum and peak, with what noise, limits and borders do to them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracker.image import OrganMap
from tracker.quantify.boundary import BoundarySd
from tracker.quantify.ceiling import Ceiling
from tracker.quantify.noise import Noise
from tracker.quantify.peak import organ_peak, peak_cells
from tracker.quantify.plan import Organ, Plan
from tracker.quantify.statistics import LabelStatistics
from tracker.study.model import Context


@dataclass(frozen=True, slots=True)
class Level:
    """One organ's reading in the image's own unit; ``bound`` and ``bound_high`` instead of mean and maximum where it is above the limit.

    ``border`` and ``border_amount`` [unit × mL]: standard deviation because the border may lie elsewhere, NaN where it is not known.
    """

    mean: float | None
    sd_mean: float | None
    high: float | None
    sd_high: float | None
    top: float | None = None
    sd_top: float | None = None
    censored: bool = False
    bound: float | None = None
    bound_high: float | None = None
    border: float = 0.0
    border_amount: float = 0.0


def read_level(values: np.ndarray, organ_map: OrganMap, plan: Plan, found: LabelStatistics, spread: Noise, i: int) -> Level:
    """Mean, maximum and peak of one organ, all None where it cannot be measured."""
    if not plan.organs[i].measurable or not found.n[i] > 0:
        return Level(None, None, None, None)
    sd_voxel = _sd(spread.variance[i])
    sd_mean = _sd(spread.variance[i] * spread.cells[i] / found.n[i])
    top = sd_top = None
    if plan.ball is not None:
        top = organ_peak(values, organ_map.labels, int(plan.wanted[i]), plan.box[i], plan.ball)
        sd_top = scaled(sd_voxel, float(np.sqrt(peak_cells(plan.ball, spread.length))))
    return Level(float(found.mean[i]), sd_mean, float(found.high[i]), sd_voxel, top, sd_top)


def bounded(level: Level, n: int, ceiling: Ceiling, organ: Organ, context: Context) -> Level:
    """The reading with the voxels above the limit counted as the least they must hold; a lower bound unless the config allows as many."""
    if not organ.measurable:
        return level
    allowed = float(context.constants.get("saturated_share_allowed_percent", 0.0)) / 100
    least, seen = ceiling.least, 0.0 if level.mean is None else level.mean * n
    bound = None if least is None else (seen + ceiling.n * least) / (n + ceiling.n)
    high = None if least is None else least if level.high is None else max(level.high, least)
    if ceiling.n <= allowed * organ.n and bound is not None:
        return replace(level, mean=bound, high=high)
    return replace(level, censored=True, bound=bound, bound_high=high)


def with_border(level: Level, doubt: BoundarySd, i: int) -> Level:
    """The reading with what the border's doubt does to it."""
    return replace(level, border=float(doubt.mean[i]), border_amount=float(doubt.amount[i]))


def _sd(variance: Any) -> float | None:
    return float(np.sqrt(variance)) if np.isfinite(variance) else None


def scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def both(noise: float | None, border: float | None) -> float | None:
    """Two independent standard deviations together: None where one is not known, the first to the last bit where the other is 0.

    >>> both(3.0, 4.0), both(0.1, 0.0), both(0.1, float("nan"))
    (5.0, 0.1, None)
    """
    if noise is None or border is None or math.isnan(border):
        return None
    return math.hypot(noise, border) if border else noise
