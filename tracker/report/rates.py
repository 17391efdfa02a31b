"""What pictures of a relaxation rate share: which pixels have no number and why, and a scale that noise does not set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tracker.image import Grid, OrganMap, Quantity
from tracker.report.picture import ABOVE, NO_VALUE, View
from tracker.report.upright import Upright, upright

UPPER_PERCENTILE = 99.5
# What the painted pixels mean, in the legend's words.
MEANINGS = (("above what\ncould be told", ABOVE), ("no value", NO_VALUE))
# Of a slice across each axis (z, y, x): its name, and the marks at its left, right, bottom and top.
_SLICES = (("axial", ("L", "R", "P", "A")), ("coronal", ("L", "R", "F", "H")), ("sagittal", ("P", "A", "F", "H")))


@dataclass(frozen=True, slots=True)
class RateImage:
    """One frame of a relaxation rate, upright: ``turned.values`` [1/s], NaN where there is no number.

    ``above`` (z, y, x): in an organ, and above what could be told; ``missing``: in an organ, no number for another reason.
    """

    turned: Upright
    above: np.ndarray
    missing: np.ndarray


def rate_image(quantity: Quantity, organ_map: OrganMap, frame: int = 0) -> RateImage:
    """A frame of the scan for its pictures. Outside organs a voxel without a number is neither ``above`` nor ``missing``: mostly it is air.

    Raises InputError where map and scan differ in shape.
    """
    values = np.array(quantity.values[frame], dtype=np.float64)
    organ = np.isin(organ_map.labels, [i for i in organ_map.names if i != 0])
    beyond = np.zeros(values.shape, bool) if quantity.censored is None else np.asarray(quantity.censored[frame]).astype(bool)
    values[beyond | ~np.isfinite(values)] = np.nan
    turned = upright(values, organ_map.labels, quantity.grid)
    above, inside = (_turned(mask, quantity.grid) for mask in (beyond & organ, organ))
    return RateImage(turned, above, inside & np.isnan(turned.values) & ~above)


def _turned(mask: np.ndarray, grid: Grid) -> np.ndarray:
    return upright(mask, mask, grid).values


def rate_top(images: Iterable[RateImage]) -> float:
    """The scale's upper end [1/s]: the 99.5th percentile of the organs' voxels, or of all voxels where organs have no number.

    A noisy voxel's rate may be ten times the tissue's, so the highest of a million voxels says nothing of the animal.
    """
    inside, everywhere = [], []
    for image in images:
        values = image.turned.values
        seen = np.isfinite(values)
        everywhere.append(values[seen])
        inside.append(values[seen & (image.turned.labels != 0)])
    for values in (np.concatenate(inside), np.concatenate(everywhere)):
        top = float(np.percentile(values, UPPER_PERCENTILE)) if values.size else 0.0
        if top > 0:
            return top
    return 1.0


def rate_slice(image: RateImage, axis: int, level: int, organs: Mapping[int, Sequence[int]], empty: str) -> View:
    """The slice at ``level`` of an axis (0 z, 1 y, 2 x); ``organs`` are the labels that each outline is around; its title is the plane.

    Voxels without a number outside organs have the colour ``empty``.
    """
    name, marks = _SLICES[axis]
    values, labels, above, missing = (a.take(level, axis) for a in (image.turned.values, image.turned.labels, image.above, image.missing))
    up_mm, across_mm = (size for k, size in enumerate(image.turned.size_mm) if k != axis)
    masks = {style: np.isin(labels, own) for style, own in organs.items()}
    return View(name, values, masks, (up_mm, across_mm), marks, ((ABOVE, above), (NO_VALUE, missing)), empty)
