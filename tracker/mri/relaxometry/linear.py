"""R2* without iteration: ARLO and the weighted log-linear fit. Neither knows of the noise floor: both come out low near it."""

from __future__ import annotations

import numpy as np

from tracker.errors import InputError
from tracker.mri.relaxometry.problem import Problem


def triples(times_s: np.ndarray) -> np.ndarray:
    """Weights (triple, 4) of every three neighbouring echoes: ∫ S dt = c1·y1 + c2·y2 + c3·y3 by a parabola through them, and beta.

    For a uniform spacing D this is Simpson's rule, D/3·(1, 4, 1), with beta D/3. For one exponential
    y1 - y3 = R2*·∫ S dt.

    >>> triples(np.array([1.0, 2.0, 3.0])) * 3
    array([[1., 4., 1., 1.]])
    """
    t1, t2, t3 = times_s[:-2], times_s[1:-1], times_s[2:]
    alpha = (t3 - t1) ** 2 / (2 * (t2 - t1))
    q = (2 * t3**2 - t1 * t3 - t1**2 + 3 * t1 * t2 - 3 * t2 * t3) / 6
    beta, gamma = q / (t3 - t2), q / (t2 - t1)
    return np.stack([t3 - t1 - alpha + gamma, alpha - beta - gamma, beta, beta], axis=1)


def arlo(p: Problem, first: int, status: np.ndarray) -> np.ndarray:
    """Rows R2* by auto-regression on linear operations, its standard error, S0 of the voxels from ``first`` on (as many as ``status``).

    With s the integral of the signal over three echoes and x = y1 - y3: R2* = (Σ s x + Σ beta x²) / (Σ beta s x + Σ s²). The standard
    error carries sigma of every echo through that formula. Raises `InputError`: ``arlo_needs_three_echoes``, ``arlo_without_dephasing``.

    Source: Pei et al. 2015, doi:10.1002/mrm.25137.
    """
    if len(p.times_s) < 3:
        raise InputError(
            "arlo_needs_three_echoes", "ARLO needs three echoes", found=len(p.times_s), expected="3 or more", do="use second_moment"
        )
    if p.factor is not None:
        # Its integral equation holds for one exponential alone.
        raise InputError("arlo_without_dephasing", "ARLO cannot take B0 dephasing", do="use second_moment, or no B0 correction")
    y, weights = p.magnitude[:, first : first + status.size].astype(np.float64), triples(p.times_s)
    c1, c2, c3, beta = (weights[:, i, None] for i in range(4))
    s, x = c1 * y[:-2] + c2 * y[1:-1] + c3 * y[2:], y[:-2] - y[2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        bottom = (s * (beta * x + s)).sum(axis=0)
        rate = (x * (s + beta * x)).sum(axis=0) / bottom
        by_s = (x - rate * (beta * x + 2 * s)) / bottom
        by_x = (s + 2 * beta * x - rate * beta * s) / bottom
    slopes = np.zeros_like(y)
    slopes[:-2] += c1 * by_s + by_x
    slopes[1:-1] += c2 * by_s
    slopes[2:] += c3 * by_s - by_x
    sd = p.sigma * np.sqrt((slopes**2).sum(axis=0) / p.n_averaged)
    return np.stack([rate, sd, _amplitude(y, rate, p.times_s)])


def _amplitude(y: np.ndarray, rate: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Least-squares S0 for a known rate."""
    # Rates of voxels without signal may be anything; the judge refuses those that overflow.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        e = np.exp(-times_s[:, None] * rate)
        return np.asarray((y * e).sum(axis=0) / (e * e).sum(axis=0))


def weighted_loglinear(p: Problem, first: int, status: np.ndarray) -> np.ndarray:
    """Rows R2* as the slope of ln y with weights y², its standard error, S0 of the voxels from ``first`` on (as many as ``status``).

    var(ln y) = sigma²/y², hence the weights. Known dephasing F is taken off as ln F, its echoes weighted as they are.
    """
    y = p.magnitude[:, first : first + status.size].astype(np.float64)
    factor = 1.0 if p.factor is None else p.factor[:, first : first + status.size].astype(np.float64)
    usable = (y > 0) & (factor > 0)
    w = np.where(usable, y * y, 0.0)
    log = np.log(np.where(usable, y, 1.0)) - np.log(np.where(usable, factor, 1.0))
    # Times about their weighted mean: no loss of digits where they lie close together.
    t = p.times_s[:, None]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        total = w.sum(axis=0)
        middle, level = (w * t).sum(axis=0) / total, (w * log).sum(axis=0) / total
        spread = (w * (t - middle) ** 2).sum(axis=0)
        rate = -(w * (t - middle) * log).sum(axis=0) / spread
        return np.stack([rate, p.sigma / np.sqrt(p.n_averaged * spread), np.exp(level + rate * middle)])
