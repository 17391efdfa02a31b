"""What the files of an MR scan say beyond its voxels, and the words for how a voxel's fit went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class MriHeader:
    """An MR scan's own facts. `Scan.values` is (repeat × echo, z, y, x), magnitudes, repeats slowest.

    ``echo_times_s`` (echo,) rising; ``phase_rad`` as the values, in radians, or None where the scan has no phase images;
    ``nucleus`` as 1H or 19F, empty where the file does not say; ``field_t``, ``repetition_time_s``, ``flip_angle_deg`` and
    ``receiver_gain`` None where it does not say. ``source`` is the format: classic, enhanced, nifti, paravision.
    ``planar`` says whether slices were excited one by one (2D), None where unknown.
    """

    echo_times_s: tuple[float, ...]
    n_repeats: int
    phase_rad: Any | None
    nucleus: str
    field_t: float | None
    source: str
    repetition_time_s: float | None = None
    flip_angle_deg: float | None = None
    receiver_gain: float | None = None
    planar: bool | None = None


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise of a scan's magnitude images: ``sigma`` of one channel's real part [image unit], ``coils`` summed as squares.

    ``source``: background, repeats, residuals or config. ``per_echo`` (echo,) the same from each echo alone, where that was possible.
    """

    sigma: float
    coils: int
    source: str
    per_echo: tuple[float, ...] = ()


# How a voxel's fit went: the codes of the fit-status map.
MEASURED = 1  # a number, with its standard error
VOID = 2  # no echo above the noise: no signal at all, or faster than the first echo can tell. Above the limit, or empty.
SATURATED = 3  # fewer than two echoes above the noise, or faster than R2*max: above the limit
NOT_DECAYING = 4  # the signal does not fall with echo time: no rate
FAILED = 5  # the fit did not converge
NOT_FINITE = 6  # a value is NaN or infinite
STATUS_NAMES = {
    MEASURED: "measured",
    VOID: "void",
    SATURATED: "saturated",
    NOT_DECAYING: "not_decaying",
    FAILED: "failed",
    NOT_FINITE: "not_finite",
}


@dataclass(frozen=True, slots=True)
class Fit:
    """Maps (z, y, x), float32, of one estimator: ``r2star_per_s`` and its standard error ``sd_per_s`` [1/s] and ``s0`` [image unit],
    all NaN unless ``status`` (uint8) is `MEASURED`; ``limit_per_s`` the highest rate the voxel could have shown (R2*max), NaN where
    its S0 is not known."""

    r2star_per_s: np.ndarray
    sd_per_s: np.ndarray
    s0: np.ndarray
    status: np.ndarray
    limit_per_s: np.ndarray
