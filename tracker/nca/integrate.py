"""Areas under curves and their terminal slope, for many draws of one curve at once.

``t`` is ``(n,)`` [h], strictly rising; ``c`` is ``(draws, n)`` in any one unit; a result is ``(draws,)``, nan where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Windows whose adjusted R² is this close to the best are as good: the longest of them is taken (PKNCA adj.r.squared.factor).
R2_TIE = 1e-4
R2_LEAST = 0.8
LEAST_POINTS = 3
_EQUAL = 1e-8  # a smaller relative fall is a straight line to 1e-9, where the logarithms would cancel
_SMALL = 1e-3  # below this many mean lives the series of the two decay integrals is exact to 1e-14


@dataclass(frozen=True, slots=True)
class Slope:
    """Terminal log-linear fit of each draw: ``rate_per_h`` λz [1/h], its ``points`` and ``adj_r2``; nan (0 points) where none."""

    rate_per_h: np.ndarray
    points: np.ndarray
    adj_r2: np.ndarray


def auc(t: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Area under each curve from its first to its last time [unit·h], linear up and log down.

    A segment that falls between two positive values is an exponential: (c1 - c2) / k with k = ln(c1/c2) / dt; any other is
    a straight line. What it does not mean: nothing before the first or after the last time is in it.
    Reference: Gabrielsson and Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis, 5th ed. 2016.

    >>> round(float(auc(np.array([0.0, 1.0]), np.array([[2.0, 1.0]]))[0] * np.log(2.0)), 12)
    1.0
    """
    dt, c1, c2, falls, k = _segments(t, c)
    area: np.ndarray = np.where(falls, (c1 - c2) / k, dt * (c1 + c2) / 2).sum(axis=1)
    return area


def aumc(t: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Area under t·c(t) of each curve [unit·h²]: (t1·c1 - t2·c2)/k + (c1 - c2)/k² where it falls, else the trapezoid of t·c.

    The straight segments follow the convention of all NCA programs (a trapezoid of the product, not the product of t and a line).

    >>> float(aumc(np.array([0.0, 2.0]), np.array([[1.0, 3.0]]))[0])
    6.0
    """
    dt, c1, c2, falls, k = _segments(t, c)
    m1, m2 = t[:-1] * c1, t[1:] * c2
    moment: np.ndarray = np.where(falls, (m1 - m2) / k + (c1 - c2) / k**2, dt * (m1 + m2) / 2).sum(axis=1)
    return moment


def decayed_auc(t: np.ndarray, c: np.ndarray, decay_per_h: float) -> np.ndarray:
    """∫ c(t)·e^(-λt) dt of each curve from its first to its last time [unit·h], c(t) linear up and log down, exact between points.

    Puts the physical decay ``decay_per_h`` λ [1/h] back into a curve that was decay-corrected to t = 0.

    >>> bool(np.isclose(decayed_auc(np.array([0.0, 1.0]), np.array([[1.0, 1.0]]), 2.0)[0], (1 - np.exp(-2.0)) / 2))
    True
    """
    dt, c1, c2, falls, k = _segments(t, c)
    start = np.exp(-decay_per_h * t[:-1])
    both = (np.where(falls, k, 0.0) + decay_per_h) * dt
    x = np.broadcast_to(decay_per_h * dt, c1.shape)
    log_part = c1 * dt * -np.expm1(-both) / both
    line_part = dt * (c1 * -np.expm1(-x) / x + (c2 - c1) * _first_moment(x))
    area: np.ndarray = (start * np.where(falls, log_part, line_part)).sum(axis=1)
    return area


def terminal_slope(t: np.ndarray, c: np.ndarray) -> Slope:
    """λz of each draw: least squares on ln(c) over the last n ≥ 3 points, all after the maximum and all positive.

    n is that of the highest adjusted R², windows within 1e-4 of it count as equal and the longest is taken; there is none
    where the slope is not falling or adjusted R² < 0.8. It says how the last points fall, not that the organ goes on so.
    ``t``, ``c`` hold measured points only. Reference: PKNCA, doi:10.32614/CRAN.package.PKNCA.

    >>> fit = terminal_slope(np.arange(5.0), np.exp(-0.3 * np.arange(5.0))[None])
    >>> round(float(fit.rate_per_h[0]), 9), int(fit.points[0])
    (0.3, 4)
    """
    draws, n = c.shape
    if n <= LEAST_POINTS:
        return Slope(np.full(draws, np.nan), np.zeros(draws, dtype=int), np.full(draws, np.nan))
    slope, adj_r2 = _windows(t, c)
    best = adj_r2.max(axis=1)
    first = np.argmax(adj_r2 > best[:, None] - R2_TIE, axis=1)  # the earliest start is the longest window
    rate, fit = -slope[np.arange(draws), first], adj_r2[np.arange(draws), first]
    good = (fit >= R2_LEAST) & (rate > 0)
    return Slope(np.where(good, rate, np.nan), np.where(good, n - first, 0), np.where(good, fit, np.nan))


def _segments(t: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    dt, c1, c2 = np.diff(t), c[:, :-1], c[:, 1:]
    falls = (c2 < c1 * (1 - _EQUAL)) & (c2 > 0)
    near = falls & (c1 < 2 * c2)
    far = falls & ~near
    k = np.ones_like(c1)
    k[near] = np.log1p((c1[near] - c2[near]) / c2[near])
    k[far] = np.log(c1[far]) - np.log(c2[far])  # a ratio to the smallest of floats would overflow
    k = k / dt
    return dt, c1, c2, falls, k


def _first_moment(x: np.ndarray) -> np.ndarray:
    """∫ s·e^(-x·s) ds over 0…1; near x = 0 by its series, where the closed form would cancel."""
    safe = np.where(x < _SMALL, 1.0, x)
    exact = (-np.expm1(-safe) - safe * np.exp(-safe)) / safe**2
    return np.where(x < _SMALL, 0.5 - x / 3 + x**2 / 8 - x**3 / 30, exact)


def _windows(t: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and adjusted R² of the fit from each start to the last point; adjusted R² is -inf where a window is not allowed."""
    n = t.size
    after_peak = np.arange(n) > np.argmax(c, axis=1)[:, None]
    positive = np.logical_and.accumulate((c > 0)[:, ::-1], axis=1)[:, ::-1]
    # Sums from the end make every window in one pass; times and logs are taken from the last point so that nothing cancels.
    x = np.broadcast_to(t - t[-1], c.shape)
    y = np.log(np.where(positive, c, 1.0))
    y = np.where(positive, y - y[:, -1:], 0.0)
    count = np.arange(n, 0, -1.0)
    sx, sy, sxx, sxy, syy = (np.cumsum(v[:, ::-1], axis=1)[:, ::-1] for v in (x, y, x * x, x * y, y * y))
    vx, vxy, vy = sxx - sx * sx / count, sxy - sx * sy / count, syy - sy * sy / count
    allowed = after_peak & positive & (count >= LEAST_POINTS) & (vy > 0)
    slope = np.divide(vxy, vx, out=np.zeros_like(vx), where=allowed)
    r2 = np.divide(vxy * vxy, vx * vy, out=np.zeros_like(vx), where=allowed)
    adjusted = 1 - (1 - r2) * (count - 1) / np.maximum(count - 2, 1)
    return slope, np.where(allowed, adjusted, -np.inf)
