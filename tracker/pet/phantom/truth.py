"""The image a scanner would see: known activity per organ → mean concentration per frame, blurred, noisy, off by a factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.image import Grid, OrganMap, voxel_size_mm, voxel_volume_ml
from tracker.pet.phantom.options import mean_over_frame

# Voxels are cut into this many along each axis where the scanner's blur is simulated.
FINER = 3
_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True, slots=True)
class PetTruth:
    """What is in the animal: ``activity_bq`` (organ), decay-corrected to the dose time, evenly spread over ``fractions``.

    ``fractions`` (organ, z, y, x): the share of each voxel an organ fills; ``half_life_s`` is nature's, whatever a header says.
    """

    grid: Grid
    names: tuple[str, ...]
    fractions: np.ndarray
    activity_bq: np.ndarray
    half_life_s: float


@dataclass(frozen=True, slots=True)
class Slot:
    """When something was measured: ``start_s`` after the dose time and ``duration_s``; ``z_first``, ``z_last`` the slices of a
    bed position (array order, both included; None: all)."""

    start_s: float
    duration_s: float
    z_first: int | None = None
    z_last: int | None = None


@dataclass(frozen=True, slots=True)
class Degradation:
    """How the scanner spoils the image: Gaussian blur, correlated noise, a wrong calibration factor.

    The noise of a voxel with concentration C has sd = ``noise_percent``/100 · sqrt(C · C_mean), C_mean the mean over the
    animal: a voxel of mean concentration has ``noise_percent`` %. White noise smoothed with a Gaussian of ``noise_fwhm_mm`` has the
    correlation exp(-d² / 4σ²) at a distance d.
    """

    psf_fwhm_mm: float = 0.0
    noise_percent: float = 0.0
    noise_fwhm_mm: float = 0.0
    calibration_error: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PetImage:
    """What the writers take: ``values`` (t, z, y, x) [Bq/mL], the mean over each frame with no decay correction.

    ``start_s`` and ``duration_s`` (t, z) [s after the scan's start]: beds of one frame may be measured one after the other.
    """

    values: np.ndarray
    start_s: np.ndarray
    duration_s: np.ndarray
    grid: Grid


def map_fractions(organs: OrganMap) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and fractions (organ, z, y, x) of an organ map: 1 where the voxel is the organ's, 0 elsewhere."""
    return tuple(organs.names.values()), np.stack([organs.labels == n for n in organs.names]).astype(np.float32)


def concentration_at_dose(truth: PetTruth) -> np.ndarray:
    """Concentration (z, y, x) [Bq/mL] as of the dose time: Σ activity · fraction ÷ organ's volume on this grid.

    Raises ValueError where an organ with activity has no voxel: its activity would be lost.
    """
    volume_ml = truth.fractions.sum(axis=(1, 2, 3), dtype=float) * voxel_volume_ml(truth.grid)
    lost = [n for n, v, a in zip(truth.names, volume_ml, truth.activity_bq, strict=True) if a != 0 and v == 0]
    if lost:
        raise ValueError(f"organs {lost} have activity and no voxel")
    level = np.divide(truth.activity_bq, volume_ml, out=np.zeros(len(truth.names)), where=volume_ml > 0)
    concentration: np.ndarray = np.einsum("n,nzyx->zyx", level, truth.fractions)
    return concentration


def frame_mean(at_dose: np.ndarray, half_life_s: float, slot: Slot) -> np.ndarray:
    """Mean concentration over a frame: C_dose · 2^(-t_s/T½) · (1 - e^-λT) / λT, exact."""
    mean: np.ndarray = at_dose * (2.0 ** (-slot.start_s / half_life_s) * mean_over_frame(half_life_s, slot.duration_s))
    return mean


def _kernel(n: int, sigma: float, periodic: bool) -> np.ndarray:
    apart = np.abs(np.arange(n)[:, None] - np.arange(n)[None, :])
    apart = np.minimum(apart, n - apart) if periodic else apart
    weights = np.exp(-0.5 * (np.arange(-n, n + 1) / sigma) ** 2)
    return np.asarray(np.exp(-0.5 * (apart / sigma) ** 2) / weights.sum())


def _blur(volume: np.ndarray, fwhm_mm: float, grid: Grid, *, periodic: bool) -> np.ndarray:
    # One dense matrix an axis: a plain Gaussian, nowhere truncated, and not the code that models the blur in the analysis.
    for axis, size_mm in enumerate(voxel_size_mm(grid)) if fwhm_mm > 0 else ():
        matrix = _kernel(grid.shape[axis], fwhm_mm / _FWHM_PER_SIGMA / size_mm, periodic)
        volume = np.moveaxis(np.tensordot(matrix, volume, axes=(1, axis)), 0, axis)
    return volume


def unit_noise(grid: Grid, fwhm_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise (z, y, x) of variance 1 and correlation exp(-d² / 4σ²): smoothed white noise over the kernel's own norm.

    Periodic at the edges, so that the variance is the same everywhere.
    """
    delta = np.zeros(grid.shape)
    delta[0, 0, 0] = 1.0
    norm = np.sqrt(np.sum(_blur(delta, fwhm_mm, grid, periodic=True) ** 2))
    noise: np.ndarray = _blur(rng.standard_normal(grid.shape), fwhm_mm, grid, periodic=True) / norm
    return noise


def finer(grid: Grid) -> Grid:
    """The grid with each voxel cut into `FINER`³: its first small voxels lie in the corner of the first large one."""
    affine = grid.affine.copy()
    affine[:3, :3] /= FINER
    affine[:3, 3] += affine[:3, :3] @ np.full(3, -(FINER - 1) / 2)
    z, y, x = grid.shape
    return Grid((z * FINER, y * FINER, x * FINER), affine, grid.frame_of_reference_uid)


def blurred_at_dose(truth: PetTruth, fwhm_mm: float) -> np.ndarray:
    """Concentration (z, y, x) as of the dose in a scanner's voxels: ``truth``, on the `finer` grid, blurred there, then averaged.

    Organs have their true, smooth surfaces and a voxel its size: on one coarse grid both would be missing from the blur.
    """
    seen = _blur(concentration_at_dose(truth), fwhm_mm, truth.grid, periodic=False)
    z, y, x = (n // FINER for n in truth.grid.shape)
    mean: np.ndarray = seen.reshape(z, FINER, y, FINER, x, FINER).mean(axis=(1, 3, 5))
    return mean


def degrade(volume: np.ndarray, how: Degradation, grid: Grid, rng: np.random.Generator, blurred: np.ndarray | None = None) -> np.ndarray:
    """A concentration image (z, y, x) as the scanner gives it: blurred, with noise, times the calibration error. Input untouched.

    ``blurred`` is the same image blurred already, on a finer grid.
    """
    seen = _blur(volume, how.psf_fwhm_mm, grid, periodic=False) if blurred is None else blurred
    if how.noise_percent > 0 and volume.any():
        level = np.maximum(seen, 0.0)
        sd = how.noise_percent / 100.0 * np.sqrt(level * volume[volume > 0].mean())
        seen = seen + sd * unit_noise(grid, how.noise_fwhm_mm, rng)
    return seen * how.calibration_error


def scan(
    truth: PetTruth,
    frames: Sequence[Sequence[Slot]],
    scan_start_s: float,
    how: Degradation | None = None,
    blurred: np.ndarray | None = None,
) -> PetImage:
    """The image of a scan: ``frames`` of one or more bed positions each, timed from the dose; ``scan_start_s`` after the dose.

    Slices that no bed covers stay 0. The seed of ``how`` fixes the noise of all frames. ``blurred`` is from `blurred_at_dose`; without
    it the blur is that of ``how`` on the truth's own voxels.
    """
    how = how or Degradation()
    rng = np.random.default_rng(how.seed)
    at_dose = concentration_at_dose(truth)
    nz = truth.grid.shape[0]
    values = np.zeros((len(frames), *truth.grid.shape))
    start_s, duration_s = np.zeros((len(frames), nz)), np.zeros((len(frames), nz))
    for t, beds in enumerate(frames):
        for bed in beds:
            z = slice(bed.z_first or 0, nz if bed.z_last is None else bed.z_last + 1)
            seen = None if blurred is None else frame_mean(blurred, truth.half_life_s, bed)
            values[t, z] = degrade(frame_mean(at_dose, truth.half_life_s, bed), how, truth.grid, rng, seen)[z]
            start_s[t, z], duration_s[t, z] = bed.start_s - scan_start_s, bed.duration_s
    return PetImage(values, start_s, duration_s, truth.grid)
