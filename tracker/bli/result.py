"""What undoing depth gives: values by organ, notes, and pictures to compare."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.bli.measure import FLUX
from tracker.errors import Finding
from tracker.quantify import OrganValue


@dataclass(frozen=True, slots=True)
class Unmixed:
    """Values that label is derived from, by organ; what was noted; ``pictures`` (y, x) by title, to be shown side by side."""

    values: tuple[OrganValue, ...]
    findings: tuple[Finding, ...]
    pictures: tuple[tuple[str, np.ndarray], ...] = ()


def unseen(name: str, limit: float | None) -> OrganValue:
    """An organ whose light cannot be told: no value, and what would have been seen."""
    return OrganValue(name, "signal", FLUX, None, flag=("not_observable",), lloq=limit)


def with_scale(value: OrganValue, cv: float | None) -> float | None:
    """The error that all scans share, with the camera's calibration; None where that is not stated."""
    return None if value.value is None or cv is None else math.hypot(value.sd_scale or 0.0, value.value * cv)
