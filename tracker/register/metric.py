"""How well two scans agree, and how that changes with each value of the moving one: mutual information, correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled_unguarded as compiled
from tracker.errors import InputError
from tracker.register.slabs import SLABS, in_slabs

BINS = 32
# Cubic B-splines of the moving value reach two bins further on either side.
_PAD = 2
_TINY = 1e-12
METRICS = ("mutual_information", "correlation")


@dataclass(frozen=True, slots=True)
class Agreement:
    """``value`` of the metric (more is better), its derivative ``slope`` (z, y, x) float32 by each moving value (0 where either is
    NaN), and ``overlap``, the share of the fixed voxels with a value that have one in the moving scan as well."""

    value: float
    slope: np.ndarray
    overlap: float


@compiled
def _spline(t):  # type: ignore[no-untyped-def]
    """Weights of the four bins around a value whose distance from the second of them is t in [0, 1)."""
    s = 1.0 - t
    return s * s * s / 6, (4 - 6 * t * t + 3 * t * t * t) / 6, (4 - 6 * s * s + 3 * s * s * s) / 6, t * t * t / 6


@compiled
def spline_slope(t):  # type: ignore[no-untyped-def]
    s = 1.0 - t
    return -s * s / 2, (-4 * t + 3 * t * t) / 2, (4 * s - 3 * s * s) / 2, t * t / 2


@compiled
def _histogram(fixed, moving, joint, slab, first, last):  # type: ignore[no-untyped-def]
    """Adds to joint[slab] (fixed bin, moving bin): linear weights along fixed, cubic B-splines along moving."""
    table = joint[slab]
    for z in range(first, last):
        for y in range(fixed.shape[1]):
            for x in range(fixed.shape[2]):
                f, m = fixed[z, y, x], moving[z, y, x, 0]
                if f != f or m != m:
                    continue
                a, b = f * (BINS - 1), m * (BINS - 1)
                i, j = min(int(a), BINS - 2), min(int(b), BINS - 2)
                u, (w0, w1, w2, w3) = a - i, _spline(b - j)
                for k, share in ((i, 1.0 - u), (i + 1, u)):
                    row = table[k]
                    row[j + 1] += share * w0
                    row[j + 2] += share * w1
                    row[j + 3] += share * w2
                    row[j + 4] += share * w3


@compiled
def _slopes(fixed, moving, log_ratio, scale, slope, slab, first, last):  # type: ignore[no-untyped-def]
    """slope = scale · Σ over bins of d(weight)/d(moving) · log_ratio."""
    for z in range(first, last):
        for y in range(fixed.shape[1]):
            for x in range(fixed.shape[2]):
                f, m = fixed[z, y, x], moving[z, y, x, 0]
                if f != f or m != m:
                    slope[z, y, x] = 0.0
                    continue
                a, b = f * (BINS - 1), m * (BINS - 1)
                i, j = min(int(a), BINS - 2), min(int(b), BINS - 2)
                u, (w0, w1, w2, w3) = a - i, spline_slope(b - j)
                total = 0.0
                for k, share in ((i, 1.0 - u), (i + 1, u)):
                    row = log_ratio[k]
                    total += share * (w0 * row[j + 1] + w1 * row[j + 2] + w2 * row[j + 3] + w3 * row[j + 4])
                slope[z, y, x] = scale * total


def joint_histogram(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Weights of pairs of values from 0 to 1, (fixed bin, moving bin); pairs with a NaN are left out.

    ``fixed`` (z, y, x), ``moving`` (z, y, x, 1 or more), the value first.
    """
    joint = np.zeros((SLABS, BINS, BINS + 2 * _PAD), np.float64)
    in_slabs(_histogram, fixed.shape[0], fixed, moving, joint)
    return np.asarray(joint.sum(axis=0))


def information(joint: np.ndarray) -> tuple[float, np.ndarray]:
    """Mutual information [nat] of a joint histogram, and log(p(f, m) / p(m)) for every bin.

    MI = Σ p(f, m) log( p(f, m) / (p(f) p(m)) ).
    """
    p = joint / joint.sum()
    by_fixed, by_moving = p.sum(axis=1, keepdims=True), p.sum(axis=0, keepdims=True)
    ratio = np.log((p + _TINY) / (by_moving + _TINY))
    return float((p * (ratio - np.log(by_fixed + _TINY))).sum()), ratio


def normalised(joint: np.ndarray) -> tuple[float, np.ndarray]:
    """Mutual information as a share of the joint entropy, I / H(f, m) from 0 to 1, and its derivative by each bin's share.

    It is Studholme's normalised mutual information less 1. Plain mutual information grows where more of the animal and less air is
    sampled, which draws an affine fit to a wrong size.
    Source: Studholme 1999, doi:10.1016/S0031-3203(98)00091-0.
    """
    p = joint / joint.sum()
    by_moving, by_fixed = np.log(p.sum(axis=0, keepdims=True) + _TINY), np.log(p.sum(axis=1, keepdims=True) + _TINY)
    log = np.log(p + _TINY)
    both = -float((p * log).sum())
    if both <= _TINY:
        return 0.0, np.zeros_like(p)
    ratio = -float((p * (by_moving + by_fixed)).sum()) / both
    return ratio - 1.0, (ratio * log - by_moving) / both


def _overlap(fixed: np.ndarray, n: float) -> float:
    return n / max(int(np.count_nonzero(fixed == fixed)), 1)


def mutual_information_slope(fixed: np.ndarray, moving: np.ndarray) -> Agreement:
    """Mutual information as a share of the joint entropy, with its slope.

    Viola, Wells 1997, doi:10.1023/A:1007958904918; Mattes 2003, doi:10.1109/TMI.2003.809072.
    """
    joint = joint_histogram(fixed, moving)
    n = float(joint.sum())
    slope = np.zeros(fixed.shape, np.float32)
    if n < 1:
        return Agreement(0.0, slope, 0.0)
    value, ratio = normalised(joint)
    in_slabs(_slopes, fixed.shape[0], fixed, moving, ratio, (BINS - 1) / n, slope)
    return Agreement(value, slope, _overlap(fixed, n))


def correlation_slope(fixed: np.ndarray, moving: np.ndarray) -> Agreement:
    """Pearson's correlation of the overlap with its slope."""
    value = moving[..., 0]
    both = (fixed == fixed) & (value == value)
    n = int(np.count_nonzero(both))
    if n < 2:
        return Agreement(0.0, np.zeros(fixed.shape, np.float32), 0.0)
    f, m = np.where(both, fixed, np.float32(0)), np.where(both, value, np.float32(0))
    f, m = np.where(both, f - f.sum(dtype=np.float64) / n, 0.0), np.where(both, m - m.sum(dtype=np.float64) / n, 0.0)
    ff, mm, fm = float((f * f).sum()), float((m * m).sum()), float((f * m).sum())
    scale = 1 / max(np.sqrt(ff * mm), _TINY)
    slope = (scale * (f - fm / max(mm, _TINY) * m)).astype(np.float32)
    return Agreement(fm * scale, slope, _overlap(fixed, n))


def agreement(metric: str, fixed: np.ndarray, moving: np.ndarray) -> Agreement:
    """Value and slope of the metric of that name; raises `InputError` ``register_metric`` for another name."""
    if metric not in METRICS:
        raise InputError("register_metric", "no such metric", found=metric, expected=" or ".join(METRICS))
    return mutual_information_slope(fixed, moving) if metric == METRICS[0] else correlation_slope(fixed, moving)
