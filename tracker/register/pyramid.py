"""Scans made comparable: what is outside or unknown is NaN, intensities run from 0 to 1, voxels are averaged to a wanted size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, voxel_size_mm
from tracker.register.kernels import blur

_MIN_SLICES = 4
# Values beyond these shares are set to them, so that a hot spot does not take all the bins.
_LOW, _HIGH = 0.001, 0.999
_MIN_KNOWN = 1000
_PLANES = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """``values`` (z, y, x) float32 from 0 to 1, NaN where nothing is known, on ``grid``; what is not above ``background`` is no content."""

    values: np.ndarray
    grid: Grid
    background: float


def _bins(values: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    sampled = values[known]
    step = max(sampled.size // 2_000_000, 1)
    low, high = np.quantile(sampled[::step], (_LOW, _HIGH))
    if not high > low:
        low, high = float(sampled.min()), float(sampled.max())
    return float(low), float(high)


def _threshold(values: np.ndarray, bins: int = 256) -> float:
    """Otsu's threshold of values from 0 to 1 (doi:10.1109/TSMC.1979.4310076), after a square root that draws hot spots in."""
    counts, edges = np.histogram(np.sqrt(values), bins=bins, range=(0.0, 1.0))
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sum_below = np.cumsum(counts * middle)[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = sum_below / below - ((counts * middle).sum() - sum_below) / above
    between = np.nan_to_num(below * above * apart**2)
    return float(edges[1 + int(np.argmax(between))] ** 2)


def picture(values: np.ndarray, grid: Grid, which: str) -> Picture:
    """A scan (z, y, x) with its intensities between 0 and 1; values that are not finite count as outside.

    Raises `InputError`: ``register_shape``, ``register_too_thin`` (fewer than 4 voxels along an axis),
    ``register_no_content`` (fewer than 1000 finite voxels, or all the same value).
    """
    if values.shape != tuple(grid.shape):
        raise InputError("register_shape", f"the {which} scan does not fit its grid", found=values.shape, expected=grid.shape)
    if min(values.shape) < _MIN_SLICES:
        do = "give a volume, or carry the organs by the scanner's own frame"
        raise InputError(
            "register_too_thin", f"the {which} scan is too thin", found=values.shape, expected=f">= {_MIN_SLICES} voxels", do=do
        )
    known = np.isfinite(values)
    if np.count_nonzero(known) < min(_MIN_KNOWN, values.size // 2):
        raise InputError("register_no_content", f"hardly a voxel of the {which} scan has a value", found=np.count_nonzero(known))
    low, high = _bins(values, known)
    if not high > low:
        raise InputError("register_no_content", f"the {which} scan has the same value everywhere", found=low)
    out = np.clip((values.astype(np.float32) - np.float32(low)) / np.float32(high - low), 0, 1).astype(np.float32)
    out[~known] = np.nan
    return Picture(out, grid, _threshold(out[known]))


def shrink_factors(grid: Grid, spacing_mm: float) -> tuple[int, int, int]:
    """By how many voxels along (z, y, x) to average so that voxels come to about ``spacing_mm``; at least 4 remain on each axis.

    >>> shrink_factors(Grid((40, 40, 40), np.diag([0.5, 0.5, 1.0, 1.0])), 1.0)
    (1, 2, 2)
    """
    pairs = zip(voxel_size_mm(grid), grid.shape, strict=True)
    z, y, x = (max(min(round(spacing_mm / size), n // _MIN_SLICES), 1) for size, n in pairs)
    return z, y, x


def shrunk_grid(grid: Grid, factors: tuple[int, int, int]) -> Grid:
    """The grid of blocks of ``factors`` voxels: its centres are the blocks' centres."""
    scale = np.diag([*factors[::-1], 1.0])
    scale[:3, 3] = (np.array(factors[::-1]) - 1) / 2
    shape = tuple(-(-n // f) for n, f in zip(grid.shape, factors, strict=True))
    return Grid((shape[0], shape[1], shape[2]), grid.affine @ scale, grid.frame_of_reference_uid)


def shrink(image: Picture, spacing_mm: float) -> Picture:
    """The picture averaged over blocks to about ``spacing_mm``: the mean of the known voxels, NaN where fewer than half are."""
    factors = shrink_factors(image.grid, spacing_mm)
    if factors == (1, 1, 1):
        return image
    grid = shrunk_grid(image.grid, factors)
    out = np.empty(grid.shape, np.float32)
    for first in range(0, grid.shape[0], _PLANES):
        # A few planes at a time: a whole scan's copies would be many times the scan.
        part = np.asarray(image.values[first * factors[0] : (first + _PLANES) * factors[0]], np.float32)
        out[first : first + _PLANES] = _block_means(part, factors)
    return Picture(out, grid, image.background)


def _block_means(values: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    """Mean of the known voxels of every block, NaN where fewer than half are known; what a last block lacks is not known."""
    pad = [(0, -n % f) for n, f in zip(values.shape, factors, strict=True)]
    padded = np.pad(values, pad, constant_values=np.nan) if any(p[1] for p in pad) else values
    shape = [n // f for n, f in zip(padded.shape, factors, strict=True)]
    blocks = padded.reshape(tuple(v for pair in zip(shape, factors, strict=True) for v in pair))
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3, 5), dtype=np.int32)
    total = np.where(known, blocks, np.float32(0)).sum(axis=(1, 3, 5), dtype=np.float32)
    means = np.where(2 * count >= np.prod(factors), total / np.maximum(count, 1), np.float32(np.nan))
    return np.asarray(means, np.float32)


def soften(image: Picture, sigma: float = 0.7) -> Picture:
    """The picture smoothed by a Gaussian of ``sigma`` voxels, of known voxels only; what is not known stays so.

    Linear interpolation smooths noise between voxels and not at them, which lets a metric prefer points between voxels. Where noise is
    smooth already that is weak. Source: Pluim 2000, doi:10.1006/cviu.1999.0816.
    """
    known = np.isfinite(image.values)
    both = np.stack([np.where(known, image.values, np.float32(0)), known.astype(np.float32)], axis=-1)
    smooth = blur(both, sigma)
    values = np.where(known, smooth[..., 0] / np.maximum(smooth[..., 1], np.float32(1e-6)), np.float32(np.nan))
    # Rounding may lead a hair beyond the ends.
    return Picture(np.clip(values, 0, 1).astype(np.float32), image.grid, image.background)
