"""The images a scanner would see: known R2* and iron per voxel → magnitude and phase of each echo, with noise.

    S = gain · density · shading · exp(-(R2*_0 + r2* C_Fe) TE) · exp(i (φ_0 + 2π f TE))      plus complex noise in each channel

Voxels belong wholly to one organ, so that what is in an organ is exact. **The tissues' numbers are invented**, chosen to look like
published ones at high field; they say nothing about any real animal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.image import Grid, OrganMap, voxel_size_mm, voxel_volume_ml

# Molar mass of iron [g/mol]: 1 mmol/L is 55.845 ug/mL.
IRON_G_PER_MOL = 55.845
# Organ -> proton density (water is 1) and own R2* [1/s] at 9.4 T. The lung is air for the most part: little signal, gone at once.
TISSUES: dict[str, tuple[float, float]] = {
    "brain": (0.85, 30.0),
    "heart": (0.80, 45.0),
    "lung_left": (0.25, 700.0),
    "lung_right": (0.25, 700.0),
    "liver": (0.75, 75.0),
    "spleen": (0.85, 70.0),
    "stomach": (0.75, 50.0),
    "gut": (0.75, 50.0),
    "kidney_left": (0.90, 45.0),
    "kidney_right": (0.90, 45.0),
    "bladder": (1.00, 10.0),
    "bone": (0.30, 140.0),
    "rest": (0.80, 40.0),
}
TISSUE_FIELD_T = 9.4
# Signal of a voxel of water at TE 0 and gain 1 [image unit].
_WATER = 1000.0
_FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True, slots=True)
class MriTruth:
    """What is in the field of view, each (z, y, x): ``density`` (0 is air), ``r2star_per_s`` and ``off_resonance_hz``."""

    grid: Grid
    density: np.ndarray
    r2star_per_s: np.ndarray
    off_resonance_hz: np.ndarray


@dataclass(frozen=True, slots=True)
class Receiver:
    """How the scanner listens: ``snr`` is the signal of water at TE 0 over the noise of one channel's real part; None: no noise.

    ``coils`` channels of equal weight are combined as the root of the sum of squares. ``gain`` multiplies signal and noise.
    """

    echo_times_s: tuple[float, ...]
    snr: float | None = None
    coils: int = 1
    gain: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class MriImage:
    """What the writers take: ``magnitude`` [image unit] and ``phase_rad``, both (echo, z, y, x)."""

    magnitude: np.ndarray
    phase_rad: np.ndarray
    echo_times_s: tuple[float, ...]
    grid: Grid


@dataclass(frozen=True, slots=True)
class Deposit:
    """A dense spot: ``share`` of an organ's iron in the voxels nearest to its middle, as many as fill ``volume_ml`` (at least one)."""

    organ: str
    share: float
    volume_ml: float


def smooth_noise(grid: Grid, fwhm_mm: float, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian random field (z, y, x) of mean 0 and variance 1 over the grid; its grain is a Gaussian of ``fwhm_mm``."""
    noise = np.fft.fftn(rng.standard_normal(grid.shape))
    sigma_mm = fwhm_mm / _FWHM_PER_SIGMA
    for axis, (n, size_mm) in enumerate(zip(grid.shape, voxel_size_mm(grid), strict=True)):
        keep = np.exp(-2.0 * (np.pi * sigma_mm * np.fft.fftfreq(n, size_mm)) ** 2)
        noise = noise * np.expand_dims(keep, [a for a in range(3) if a != axis])
    field = np.fft.ifftn(noise).real
    return np.asarray((field - field.mean()) / field.std())


def spread_iron(organs: OrganMap, amount_ug: np.ndarray, texture: np.ndarray, deposit: Deposit | None = None) -> np.ndarray:
    """Iron in each voxel (z, y, x) [ug/mL]: each organ's ``amount_ug`` in proportion to ``texture`` (z, y, x, positive) within it.

    The sum over an organ's voxels times their volume is its amount exactly.
    """
    voxel_ml = voxel_volume_ml(organs.grid)
    iron = np.zeros(organs.grid.shape)
    for (index, name), amount in zip(organs.names.items(), amount_ug, strict=True):
        inside = organs.labels == index
        dense = amount * deposit.share if deposit is not None and deposit.organ == name else 0.0
        weight = texture[inside]
        iron[inside] = (amount - dense) * weight / weight.sum() / voxel_ml
        if deposit is not None and dense > 0:
            spot = _middle(organs, inside, deposit.volume_ml)
            iron[spot] += dense / voxel_ml / len(spot[0])
    return iron


def _middle(organs: OrganMap, inside: np.ndarray, volume_ml: float) -> tuple[np.ndarray, ...]:
    index = np.argwhere(inside)
    away_mm = np.linalg.norm((index - index.mean(axis=0)) * voxel_size_mm(organs.grid), axis=1)
    n = max(1, round(volume_ml / voxel_volume_ml(organs.grid)))
    return tuple(index[np.argsort(away_mm, kind="stable")[:n]].T)


def shading(grid: Grid, percent: float) -> np.ndarray:
    """How unevenly the coil hears (z, y, x): a slope along z and y, from 1 - ``percent``/100 to 1 + ``percent``/100 over the grid."""
    nz, ny, _ = grid.shape
    along = np.linspace(-1.0, 1.0, nz)[:, None, None] + np.linspace(-1.0, 1.0, ny)[None, :, None]
    return np.broadcast_to(1.0 + percent / 100.0 * along / 2.0, grid.shape)


def scan(truth: MriTruth, how: Receiver) -> MriImage:
    """The echoes of one scan. The seed fixes the noise; without noise the magnitude is the signal itself."""
    rng = np.random.default_rng(how.seed)
    times_s = np.array(how.echo_times_s)[:, None, None, None]
    phase = 2.0 * np.pi * truth.off_resonance_hz * times_s
    signal = how.gain * _WATER * truth.density * np.exp(-truth.r2star_per_s * times_s) * np.exp(1j * phase)
    if how.snr is None:
        return MriImage(np.abs(signal), np.angle(signal), how.echo_times_s, truth.grid)
    sigma = how.gain * _WATER / how.snr
    squares = np.zeros(signal.shape)
    together = np.zeros(signal.shape, dtype=complex)
    for coil in range(how.coils):
        weight = np.exp(2j * np.pi * coil / how.coils) / np.sqrt(how.coils)
        heard = weight * signal + sigma * (rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape))
        squares += np.abs(heard) ** 2
        together += np.conj(weight) * heard
    return MriImage(np.sqrt(squares), np.angle(together), how.echo_times_s, truth.grid)
