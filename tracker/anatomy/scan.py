"""An anatomical scan as read, and what its numbers are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding
from tracker.image import Grid

CONTRASTS = ("ct", "mr", "other")
# Air [HU] in a scan whose numbers are Hounsfield units: scanners are off by a few tens, beam hardening and noise add to it.
_AIR_HU = (-1200.0, -800.0)
_LEAST_AIR = 0.01


@dataclass(frozen=True, slots=True)
class Anatomy:
    """One volume of an anatomical scan: ``values`` (z, y, x) float32, NaN where nothing was reconstructed, on ``grid``.

    ``contrast``: ``ct`` (Hounsfield units), ``mr`` (magnitude, arbitrary unit) or ``other``; ``findings`` what reading noted.
    """

    values: np.ndarray
    grid: Grid
    contrast: str
    findings: tuple[Finding, ...] = ()


def in_hounsfield(values: np.ndarray) -> bool:
    """Whether a volume's numbers look like Hounsfield units: its darker side is air at about -1000.

    >>> in_hounsfield(np.repeat([-1000.0, 40.0], 50)), in_hounsfield(np.repeat([0.0, 800.0], 50))
    (True, False)
    """
    step = max(values.size // 1_000_000, 1)
    some = values.ravel()[::step]
    some = some[np.isfinite(some)]
    dark = some[(some > -2000.0) & (some < -500.0)]
    if dark.size < _LEAST_AIR * some.size:
        return False
    low, high = _AIR_HU
    return bool(low <= float(np.median(dark)) <= high)


def judged_contrast(stated: str, values: np.ndarray) -> tuple[str, tuple[Finding, ...]]:
    """The contrast by what was stated ("" where nothing was), held against the numbers: CT that is not in Hounsfield units is ``other``."""
    hounsfield = in_hounsfield(values)
    if stated == "ct" and not hounsfield:
        reason = "no air at about -1000: the numbers are not Hounsfield units, and are used as intensities alone"
        return "other", (Finding("ct_numbers", "warn", reason),)
    return stated or ("ct" if hounsfield else "other"), ()
