"""How wide the blur is: from the config's words to a kernel in voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, voxel_size_mm

FWHM_PER_SD = 2.0 * math.sqrt(2.0 * math.log(2.0))
# Beyond this many standard deviations a Gaussian holds less than 1e-5 of itself on both sides together; the rest is scaled up to 1.
_REACH_SD = 4.5
# Cosine between two axes of the grid above which a blur along the axes is no longer a blur along the edges of the voxels.
_SHEAR = 1e-3

Triple = tuple[float, float, float]


def fwhm_of(setting: Any, key: str = "") -> Triple:
    """Full width at half maximum of the blur along the array axes (z, y, x) [mm], from what the config says.

    ``setting`` is one number, three of them [z, y, x], or a table from ``key`` (a nuclide: the positron's range differs) to either.
    Raises `InputError`: ``fwhm_unknown`` (the table has no such key: a width is never guessed), ``fwhm_invalid`` (not one or three
    finite numbers > 0).

    >>> fwhm_of(1.5), fwhm_of({"18F": 1.2, "89Zr": [1.6, 1.4, 1.4]}, "89Zr")
    ((1.5, 1.5, 1.5), (1.6, 1.4, 1.4))
    """
    if isinstance(setting, Mapping):
        if key not in setting:
            do = f"add {key or 'its key'} to the table, or give one width for all"
            raise InputError("fwhm_unknown", "the table of widths lacks a key", found=key, expected=f"one of {sorted(setting)}", do=do)
        return fwhm_of(setting[key])
    values: list[Any] = list(setting) if isinstance(setting, list | tuple) else [setting] * 3
    if len(values) != 3 or not all(_positive(v) for v in values):
        what = "a width of the blur must be one number or three along z, y, x"
        raise InputError("fwhm_invalid", what, found=repr(setting), expected="finite, > 0 mm", do="correct the config")
    return float(values[0]), float(values[1]), float(values[2])


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def sd_in_voxels(fwhm_mm: float | Sequence[float], grid: Grid) -> Triple:
    """Standard deviation of the blur along z, y, x [voxels]. Width 0 is allowed: no blur.

    Raises `InputError`: ``fwhm_invalid``; ``sheared_grid`` where the grid's axes are not at right angles, as the blur along them would
    then not be the scanner's.
    """
    width = np.broadcast_to(np.asarray(fwhm_mm, float), 3) if np.size(fwhm_mm) in (1, 3) else np.full(3, np.nan)
    if not (np.isfinite(width) & (width >= 0)).all():
        raise InputError("fwhm_invalid", "a width of the blur cannot be used", found=fwhm_mm, expected="one or three, finite, ≥ 0 mm")
    unit = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    if np.abs(unit.T @ unit - np.eye(3)).max() > _SHEAR:
        raise InputError("sheared_grid", "the axes of the grid are not at right angles", do="resample the scan to a rectangular grid")
    z, y, x = width / FWHM_PER_SD / np.array(voxel_size_mm(grid))
    return float(z), float(y), float(x)


def blur_kernel(sd: float) -> np.ndarray:
    """Weights (2r + 1,) of a Gaussian of standard deviation ``sd`` [voxels], averaged over one voxel; they add up to 1.

    k(m) = Φ((m + ½)/sd) - Φ((m - ½)/sd): variance sd² + 1/12. A sample at the voxel's middle (variance sd²) takes the organ for
    points; the exact average over both voxels (sd² + 1/6) takes the staircase of an organ map for the organ's real surface. The
    surface lies somewhere within a voxel, evenly spread (variance 1/12), and cuts source and target alike: hence once. On a mouse
    with smooth organs, voxels 0.48 and 0.8 mm and a width of 1.2 and 2 mm, sampling leaves organs up to 4.4 % low, averaging twice up
    to 4.1 % high; averaging once stays within 1.7 %.

    >>> blur_kernel(0.0).tolist()
    [0.0, 1.0, 0.0]
    """
    from scipy.special import ndtr

    reach = math.ceil(_REACH_SD * sd + 0.5)
    place = np.arange(-max(reach, 1), max(reach, 1) + 1)
    if sd == 0:
        return np.where(place == 0, 1.0, 0.0)
    # From the left tail and mirrored: differences of numbers near 1 would not be symmetric to the last bit.
    half = ndtr((0.5 - np.abs(place)) / sd) - ndtr((-0.5 - np.abs(place)) / sd)
    return np.asarray(half / half.sum())
