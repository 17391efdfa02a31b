"""Phase images in radians: what scale a maker wrote them with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError

# Largest value -> what it stands for. Philips writes radians or milliradians, GE milliradians, Siemens ±4096 (±2048 before its rescale).
_KNOWN = {np.pi: "radians", 1000 * np.pi: "milliradians", 4096.0: "±4096", 2048.0: "±2048", 180.0: "degrees"}
_NEAR = 0.02  # noise fills ±pi to within a percent even in a small image; the next known scale is 30 % away
_FILLED = 1e-3  # both ends of a wrapped phase differ by less: an unwrapped or masked one does not
_UNSIGNED = 4095.0  # Siemens' stored values, where a converter has dropped the intercept


@dataclass(frozen=True, slots=True)
class PhaseScale:
    """phase [rad] = value × ``factor`` + ``offset_rad``; ``words`` say what it was taken for, ``sure`` whether the files say so."""

    factor: float
    offset_rad: float
    words: str
    sure: bool = True


def phase_scale(low: float, high: float, unit: str = "") -> PhaseScale | None:
    """How values between ``low`` and ``high`` become radians; None where that cannot be told.

    Known ends: ±pi, ±1000 pi, ±4096, ±2048, ±180, 0 to 4095. Other values that reach from -h to h exactly are wrapped phase: ±h is ±pi.

    >>> phase_scale(-4096, 4094).words, round(phase_scale(-4096, 4094).factor * 4096, 4), phase_scale(0, 300)
    ('±4096', 3.1416, None)
    """
    half = max(abs(low), abs(high))
    if unit.strip().lower() in ("rad", "radian", "radians"):
        return PhaseScale(1.0, 0.0, "radians")
    if not np.isfinite(half) or half == 0:
        return None
    symmetric = abs(low + high) <= _NEAR * 2 * half
    for end, words in _KNOWN.items():
        if symmetric and abs(half / end - 1) <= _NEAR:
            return PhaseScale(np.pi / end, 0.0, words)
    if low == 0 and abs(high / _UNSIGNED - 1) <= _NEAR:
        return PhaseScale(2 * np.pi / (_UNSIGNED + 1), -np.pi, "0 to 4095")
    if 1.0 <= half <= 1.01 * np.pi and low < 0:
        return PhaseScale(1.0, 0.0, "radians")
    if abs(low + high) <= _FILLED * 2 * half:
        return PhaseScale(np.pi / half, 0.0, f"±{half:.4g}", sure=False)
    return None


def extent(values: Any) -> tuple[float, float]:
    """Lowest and highest value of a lazy array, read chunk by chunk."""
    from dask.base import compute

    low, high = compute(values.min(), values.max())
    return float(low), float(high)


def check_magnitude(values: Any, where: object) -> None:
    """Raises `InputError` where magnitude images (repeat × echo, z, y, x) are as negative as positive: phase under a wrong name.

    Only the first image is read. A few negative values, as resampling leaves them, are kept.
    """
    low, high = extent(values[0])
    if low < -0.5 * abs(high):
        raise InputError(
            "magnitude_negative",
            "magnitude images have negative values: magnitude and phase may be swapped",
            found=f"{low:.4g} to {high:.4g}",
            expected="values from 0 up",
            where=where,
            do="export magnitude and phase again, or correct the names of the files",
        )


def in_radians(values: Any, scale: PhaseScale) -> Any:
    """Lazy values × factor + offset, float32."""
    return values * np.float32(scale.factor) + np.float32(scale.offset_rad)


def scale_finding(scale: PhaseScale | None, low: float, high: float) -> Finding:
    """What was made of the phase images, for the QC table."""
    if scale is None:
        return Finding("phase_scale_unclear", "warn", f"phase images reach from {low:.4g} to {high:.4g}: no known scale, left out")
    if scale.sure:
        return Finding("phase", "ok", f"phase images in {scale.words}")
    return Finding("phase_scaled", "warn", f"phase images reach {scale.words}, which is taken as one turn: the files do not say")
