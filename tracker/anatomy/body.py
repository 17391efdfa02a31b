"""The animal's outline in an anatomical scan, and its volume: the one thing in a scan that the scale on the bench can contradict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.anatomy.scan import Anatomy
from tracker.image import Grid, voxel_volume_ml

# Half way between air and soft tissue [HU]: there a voxel that both share counts as half a voxel on average.
_CT_LEVEL_HU = -480.0
# Voxels across the animal at which its outline is drawn; opened by 3 of them, so that the wall of a bed is no part of it.
_ACROSS, _OPENED = 40.0, 3
# A body that fills this share of its widest cross-section at the field's end is cut off there.
_CUT_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Body:
    """``mask`` (z, y, x) of the animal on ``grid`` (coarser than the scan's), its ``volume_ml``; ``cut``: it goes on outside the field."""

    mask: np.ndarray
    grid: Grid
    volume_ml: float
    cut: bool


def body_of(anatomy: Anatomy, girth_mm: float) -> Body | None:
    """The largest thing in the scan thicker than a bed's wall, its hollows filled slice by slice; None where nothing shows.

    ``girth_mm``: about how wide the animal is. CT is cut at -480 HU, MR at Otsu's threshold: a dark rim (fat that is suppressed, a coil's
    shading) then counts as air. Ears, tail and what else is thinner than a seventh of the animal is left out where it stands out far.
    """
    from scipy.ndimage import binary_dilation, binary_fill_holes, binary_opening, label

    values, grid, level = _coarse(anatomy, girth_mm / _ACROSS)
    with np.errstate(invalid="ignore"):
        bright = values > level
    ball = _ball(_OPENED)
    # The field's edge is no border of an animal that goes on there.
    thick = binary_opening(np.pad(bright, _OPENED, mode="edge"), ball)[(slice(_OPENED, -_OPENED),) * 3]
    parts, count = label(thick)
    if not count:
        return None
    body = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    body = binary_dilation(body, ball) & bright
    axis = _along(grid)
    body = np.moveaxis(np.stack([binary_fill_holes(plane) for plane in np.moveaxis(body, axis, 0)]), 0, axis)
    return Body(body, grid, float(body.sum()) * voxel_volume_ml(grid), _is_cut(body))


def _coarse(anatomy: Anatomy, voxel_mm: float) -> tuple[np.ndarray, Grid, float]:
    """Means of blocks, their grid, and the level between air and animal."""
    from tracker.register.pyramid import picture, shrink

    if anatomy.contrast != "ct":
        image = picture(anatomy.values, anatomy.grid, "anatomical")
        small = shrink(image, voxel_mm)
        return small.values, small.grid, image.background
    from tracker.register.pyramid import Picture

    small = shrink(Picture(anatomy.values, anatomy.grid, 0.0), voxel_mm)
    return small.values, small.grid, _CT_LEVEL_HU


def _along(grid: Grid) -> int:
    """The axis of the array that runs from tail to head."""
    unit = np.abs(grid.affine[2, :3]) / np.linalg.norm(grid.affine[:3, :3], axis=0)
    return 2 - int(unit.argmax())


def _ball(radius: int) -> np.ndarray:
    z, y, x = np.indices((2 * radius + 1,) * 3) - radius
    return np.asarray(x**2 + y**2 + z**2 <= radius**2)


def _is_cut(body: np.ndarray) -> bool:
    for axis in range(3):
        areas = body.sum(axis=tuple(a for a in range(3) if a != axis))
        if max(areas[0], areas[-1]) > _CUT_SHARE * areas.max():
            return True
    return False
