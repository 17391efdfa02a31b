"""What an MR scan's files state beside their voxels, and the numbers they are stored as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

# A little below 65535, so that a slope rounded to a DS of 16 characters cannot overflow.
_LARGEST = 65530


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What the header states. ``with_phase`` writes phase images beside the magnitudes, in a series of their own.

    ``edit`` is called with every DICOM data set before it is written, for tests of damaged headers.
    """

    scan_start: datetime
    duration_s: float = 600.0
    field_t: float = 9.4
    nucleus: str = "1H"
    repetition_time_ms: float = 60.0
    flip_angle_deg: float = 15.0
    receiver_gain: float = 101.0
    patient_id: str = "phantom"
    session: str = "scan"
    weight_kg: float | None = None
    with_phase: bool = False
    seed: int = 0
    edit: Callable[[Any], None] | None = None


def quantise(magnitude: np.ndarray) -> tuple[float, np.ndarray]:
    """One slope for all echoes, and uint16 numbers with slope · number = magnitude within half a slope; slope 1 for zeros."""
    peak = float(magnitude.max())
    slope = float(f"{peak / _LARGEST:.9e}") if peak > 0 else 1.0
    return slope, np.rint(magnitude / slope).astype("<u2")
