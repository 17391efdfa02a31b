"""Radioactive decay over a time and within a frame; every function takes a half-life, none knows who measured."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

# A float gives a float, an array an array of the same shape.
Number = TypeVar("Number", float, np.ndarray)

_SMALL = 1e-2  # below this many mean lives the series of ln(x / (1 - e^-x)) is exact to double precision


def decay_constant_per_s(half_life_s: float) -> float:
    """Decay constant λ = ln 2 / T½ [1/s].

    Raises ValueError where the half-life is not a positive finite number: there is no default.

    >>> round(decay_constant_per_s(6586.2) * 6586.2, 12)
    0.69314718056
    """
    if not 0.0 < half_life_s < math.inf:
        raise ValueError(f"half_life_s is {half_life_s}: it must be positive and finite")
    return math.log(2.0) / half_life_s


def decay_factor(elapsed_s: Number, half_life_s: float) -> Number:
    """Share of the nuclei left after ``elapsed_s`` [s]: 2^(-t/T½); a negative time looks back and gives more than 1.

    ``elapsed_s`` is a float or an array of any shape, whole days included: differences of dated times, never of times of day.
    Raises ValueError for a half-life that is not positive.

    >>> decay_factor(2 * 45720.0, 45720.0), decay_factor(-45720.0, 45720.0)
    (0.25, 2.0)
    """
    decay_constant_per_s(half_life_s)
    factor: Number = 2.0 ** (-elapsed_s / half_life_s)
    return factor


def frame_mean_factor(duration_s: Number, half_life_s: float) -> Number:
    """Activity at a frame's start over its mean over the frame: λT / (1 - e^(-λT)), at least 1.

    ``duration_s`` [s] is a float or an array; 0 gives 1 (the limit). Exact: unlike the middle of the frame, which is
    0.6 % off for 18F over an hour. Holds for tracer that stays put while the frame runs, not for fast kinetics within it.
    Raises ValueError for a negative duration or a half-life that is not positive.
    Reference: DICOM PS3.3 C.8.9.4.1.5, Decay Factor.

    >>> round(frame_mean_factor(3600.0, 6586.2), 8)
    1.20136974
    """
    x = _mean_lives(duration_s, half_life_s)
    factor = np.divide(x, -np.expm1(-x), out=np.ones_like(x), where=x > 0)
    return _like(duration_s, factor)


def mean_time_s(duration_s: Number, half_life_s: float) -> Number:
    """Time after a frame's start when the activity equals its mean over the frame [s]: ln(λT / (1 - e^(-λT))) / λ.

    Always before the middle T/2, which is its limit for a short frame. ``duration_s`` [s] is a float or an array.
    Raises ValueError for a negative duration or a half-life that is not positive.
    Reference: DICOM PS3.3 C.8.9.4.1.5.

    >>> round(mean_time_s(3600.0, 6586.2), 4)
    1743.237
    """
    x = _mean_lives(duration_s, half_life_s)
    # ln(1 + x/2 + ...) of a tiny x loses digits: the series x/2 - x²/24 + x⁴/2880 does not.
    series = x / 2 - x**2 / 24 + x**4 / 2880
    safe = np.where(x < _SMALL, 1.0, x)
    log_factor = np.where(x < _SMALL, series, np.log(safe) - np.log(-np.expm1(-safe)))
    return _like(duration_s, log_factor / decay_constant_per_s(half_life_s))


def _mean_lives(duration_s: Any, half_life_s: float) -> np.ndarray:
    duration = np.asarray(duration_s, dtype=float)
    if not np.all(duration >= 0):
        raise ValueError(f"duration_s is {duration_s}: a frame cannot last less than 0 s")
    return duration * decay_constant_per_s(half_life_s)


def _like(given: Number, result: np.ndarray) -> Number:
    return result if isinstance(given, np.ndarray) else float(result)
