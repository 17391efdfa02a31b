"""A straight line through gels of known iron, the error its few points allow, and whether it is straight."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Gels:
    """One point a gel, by concentration: ``mmolar``, ``r2star_per_s`` (mean of its readings), ``sd_per_s`` or None, each (n,)."""

    mmolar: np.ndarray
    r2star_per_s: np.ndarray
    sd_per_s: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Line:
    """R2* = ``intercept`` + ``slope`` · C with standard errors, their ``covariance`` and ``freedom`` (gels - 2).

    ``linear_p`` is how likely a straight line would scatter like this, by the test named in ``linear_by``; None where none is possible.
    """

    slope: float
    slope_se: float
    intercept: float
    intercept_se: float
    covariance: float
    freedom: int
    linear_p: float | None
    linear_by: str


def fit_line(gels: Gels) -> Line:
    """The straight line through the gels by least squares, weighted by 1/sd² where all have an sd.

    One gel is one point, however often it was read: what makes gels of one concentration differ (pipetting, settling, air) is in the
    scatter between gels, not between readings. The error is read from the gels' scatter about the line, s² = Σ w r²/(n - 2), and
    cov = s² (XᵀWX)⁻¹; a stated sd sets weights only. Linearity: where gels share a concentration, the F test of lack of fit against
    their own scatter; else the t test of a quadratic term, from four gels on. It does not see what moves all gels alike: a wrong stock
    concentration scales the slope by as much.

    >>> line = fit_line(Gels(np.array([0.0, 1.0, 2.0, 3.0]), np.array([10.0, 109.0, 211.0, 310.0]), None))
    >>> round(line.slope, 2), round(line.intercept, 2), line.freedom
    (100.2, 9.7, 2)
    """
    x, y = gels.mmolar, gels.r2star_per_s
    weight = np.ones(len(x)) if gels.sd_per_s is None else (1 / gels.sd_per_s) ** 2
    beta, covariance, squares = _least_squares(np.stack([np.ones(len(x)), x], axis=1), y, weight)
    p, by = _lack_of_fit(x, y, weight, squares)
    errors = np.sqrt(np.diag(covariance))
    return Line(float(beta[1]), float(errors[1]), float(beta[0]), float(errors[0]), float(covariance[0, 1]), len(x) - 2, p, by)


def _least_squares(design: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, their covariance and the weighted sum of squared residuals; columns scaled so that none drowns in rounding."""
    root = np.sqrt(weight)[:, None]
    scale = np.abs(design).max(axis=0)
    pseudo = np.linalg.pinv(design / scale * root)
    beta = pseudo @ (y * root[:, 0])
    squares = float((((design / scale) @ beta - y) ** 2 * weight).sum())
    covariance = pseudo @ pseudo.T * squares / (len(y) - design.shape[1])
    return beta / scale, covariance / np.outer(scale, scale), squares


def _lack_of_fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray, squares: float) -> tuple[float | None, str]:
    from scipy import stats

    levels = np.unique(x)
    if len(x) > len(levels):
        within = 0.0
        for level in levels:
            here = x == level
            within += float((weight[here] * (y[here] - np.average(y[here], weights=weight[here])) ** 2).sum())
        freedom = len(levels) - 2, len(x) - len(levels)
        if within > 0:
            f = max(squares - within, 0.0) / freedom[0] / (within / freedom[1])
            return float(stats.f.sf(f, *freedom)), "scatter between gels of one concentration"
    if len(x) < 4:
        return None, ""
    beta, covariance, left = _least_squares(np.stack([np.ones(len(x)), x, x**2], axis=1), y, weight)
    if left <= 1e-24 * float((weight * y**2).sum()):
        # Points on a curve without any scatter: rounding would decide.
        return (1.0 if squares <= 1e-20 * float((weight * y**2).sum()) else 0.0), "a quadratic term"
    return float(2 * stats.t.sf(abs(beta[2]) / math.sqrt(covariance[2, 2]), len(x) - 3)), "a quadratic term"


def widening(freedom: int) -> float:
    """How much wider a 95 % interval of so few degrees of freedom is than a normal one."""
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975))
