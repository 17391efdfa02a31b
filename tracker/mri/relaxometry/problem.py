"""What an estimator works on: magnitudes as (echo, voxel), echo times and noise, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.errors import InputError
from tracker.mri.header import Noise

# A signal counts as seen above this many standard deviations of the noise (times the root of the number of coils).
SEEN_SD = 3.0
# Echoes that a background gradient has dephased below this share are left out: the profile of the slice then matters too much.
LEAST_FACTOR = 0.3


@dataclass(frozen=True, slots=True)
class Problem:
    """``magnitude`` (echo, voxel) float32 in stored order; ``times_s`` (echo,) rising; ``sigma`` [image unit] of one channel; ``coils``
    summed as squares; ``n_averaged`` repeats in each value; ``factor`` (echo, voxel) float32, the known share of signal that is left
    of background dephasing, 0 for an echo to leave out, or None; ``reference`` (voxel,) float32, S0 where it is known, else NaN."""

    magnitude: np.ndarray
    times_s: np.ndarray
    sigma: float
    coils: int
    n_averaged: int
    factor: np.ndarray | None
    reference: np.ndarray

    @property
    def seen(self) -> float:
        """The least signal that counts as seen: 3 sigma sqrt(N) [image unit]."""
        return SEEN_SD * self.sigma * math.sqrt(self.coils)


def problem(
    magnitude: np.ndarray,
    echo_times_s: Sequence[float] | np.ndarray,
    noise: Noise,
    extra: tuple[np.ndarray | None, int, np.ndarray | None],
) -> Problem:
    """The checked problem of a volume (echo, z, y, x); ``extra`` is S0 reference, number of repeats averaged, dephasing.

    Raises `InputError`: ``magnitude_not_real``, ``too_few_echoes``, ``echo_times_do_not_match``, ``echo_times_not_rising``,
    ``noise_unknown``, ``coils_out_of_range``, ``repeats_out_of_range``, ``shape_mismatch``.
    """
    reference, n_averaged, dephasing = extra
    magnitude, times = np.asarray(magnitude), np.asarray(echo_times_s, np.float64)
    _check_echoes(magnitude, times)
    _check_noise(noise, n_averaged)
    volume = magnitude.shape[1:]
    for name, array, shape in (("S0 reference", reference, volume), ("dephasing", dephasing, magnitude.shape)):
        if array is not None and np.shape(array) != shape:
            raise InputError("shape_mismatch", f"{name} and image differ in shape", found=np.shape(array), expected=shape)
    flat = _flat(magnitude)
    known = np.full(flat.shape[1], np.nan, np.float32) if reference is None else np.ascontiguousarray(reference, np.float32).reshape(-1)
    factor = None if dephasing is None else _factor(_flat(dephasing))
    return Problem(flat, times, float(noise.sigma), noise.coils, n_averaged, factor, known)


def _flat(array: np.ndarray) -> np.ndarray:
    """(echo, voxel) float32: a view of an array that is so already, a copy of any other."""
    return np.ascontiguousarray(array, np.float32).reshape(len(array), -1)


def _factor(dephasing: np.ndarray) -> np.ndarray:
    # A factor that is not finite stays: the voxel is then NOT_FINITE.
    return np.where(dephasing < LEAST_FACTOR, np.float32(0), dephasing)


def _check_echoes(magnitude: np.ndarray, times: np.ndarray) -> None:
    if magnitude.dtype.kind not in "fiu":
        raise InputError(
            "magnitude_not_real", "R2* needs magnitudes", found=magnitude.dtype, expected="real numbers", do="use estimator complex"
        )
    if magnitude.ndim != 4 or times.ndim != 1 or len(magnitude) != len(times):
        raise InputError(
            "echo_times_do_not_match",
            "echoes and echo times differ",
            found=f"{magnitude.shape}, {len(times)} times",
            expected="(echo, z, y, x), one time an echo",
        )
    if len(times) < 2:
        raise InputError("too_few_echoes", "a decay rate needs two echoes", found=len(times), expected="2 or more")
    if not (np.isfinite(times).all() and times[0] > 0 and (np.diff(times) > 0).all()):
        raise InputError(
            "echo_times_not_rising", "echo times are not above 0 and rising", found=f"{times.tolist()} s", expected="0 < TE1 < TE2 …"
        )


def _check_noise(noise: Noise, n_averaged: int) -> None:
    if not (np.isfinite(noise.sigma) and noise.sigma > 0):
        raise InputError(
            "noise_unknown", "the fit needs the noise of the image", found=noise.sigma, expected="sigma > 0", do="give noise_sd"
        )
    if noise.coils < 1:
        raise InputError("coils_out_of_range", "number of coils", found=noise.coils, expected="1 or more")
    if n_averaged < 1:
        raise InputError("repeats_out_of_range", "number of repeats averaged", found=n_averaged, expected="1 or more")
