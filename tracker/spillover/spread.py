"""The regional spread matrix of an organ map: how much of what each organ holds is seen in each other one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid
from tracker.spillover.overlap import Regions, number_regions, overlaps
from tracker.spillover.width import FWHM_PER_SD, Triple, blur_kernel, sd_in_voxels

# Background is measured up to this many widths from the organs, where nearly all of what spills into them comes from. On the mouse with
# air and body both label 0, organs are off by 12 % at twice this width, 6 % at this one; with the air marked it makes no difference.
_NEAR_FWHM = 1.0
# The table from label to region has an entry for each label up to the largest.
LARGEST_LABEL = (1 << 20) - 1
# Relative step in width by which `width_spreads` goes to either side: about what a scanner's stated width is good for.
WIDTH_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean measured in region i per unit held in region j: ``matrix`` (k, k), in the order of ``labels``.

    ``n`` (k,) voxels of each region; ``condition`` of the matrix (2-norm): by how much it can magnify a relative error; ``sd_voxels``
    standard deviation of the blur along z, y, x; ``near`` (z, y, x): the voxels that background (label 0) is measured in, or None.
    """

    labels: tuple[int, ...]
    matrix: np.ndarray
    n: np.ndarray
    condition: float
    sd_voxels: Triple
    near: np.ndarray | None = None


def spread_matrix(labels: np.ndarray, wanted: Sequence[int], grid: Grid, fwhm_mm: float | Sequence[float]) -> Spread:
    """The spread matrix of an organ map under a Gaussian blur: the geometric transfer matrix (GTM).

    W_ij = (1/n_i) Σ over the n_i voxels x of organ i of (h * p_j)(x); h a Gaussian of ``fwhm_mm`` (one number, or along the array axes
    z, y, x) as `blur_kernel` has it, p_j 1 in organ j and 0 elsewhere. ``labels`` (z, y, x) integers, ``wanted`` the organs, in the
    order of the result. ``fwhm_mm`` is the scanner's width for a point, without the voxel's own part.

    Label 0 is background. With 0 in ``wanted`` it is a region: evenly filled wherever the label is 0, measured within one FWHM of an
    organ only (``near``; its mean is ``values[spread.near].mean()``), so that what is far away does not speak for what spills into
    organs. Without 0 in ``wanted`` it holds nothing, which is right where one of the organs is the rest of the body. Label < 0
    holds nothing either way: air that is known to be air belongs there. Air in label 0 dilutes the background: on the mouse phantom a
    cold organ under the skin then comes out up to 6 % high, for a width of 2 mm.

    A row adds up to 1 where all of the organ's surroundings are wanted regions inside the field; what lies beyond the field is not
    known and not modelled, so that the organs at its edge are corrected for too little spill-in. Labbé's variant is the same matrix
    for FWHM · √2, on an image blurred once more. Not included: motion, scatter, a blur that changes over the field.

    Raises `InputError`: ``shape_mismatch``, ``labels_not_integers``, ``label_twice``, ``label_out_of_range``, ``empty_region``,
    ``unnamed_label`` (a label > 0 that is not wanted: what it holds would spill unseen), ``fwhm_invalid``, ``sheared_grid``.

    Rousset, Ma, Evans 1998, J Nucl Med 39:904 (no DOI); Labbé et al. 1998, in PET of the brain, Academic Press; beside PETPVC, Thomas
    et al. 2016, doi:10.1088/0031-9155/61/22/7975.

    >>> labels = np.ones((1, 1, 40), int); labels[..., 20:] = 2
    >>> spread_matrix(labels, [1, 2], Grid((1, 1, 40), np.eye(4)), (0, 0, 3)).matrix.round(3).tolist()
    [[0.951, 0.025], [0.025, 0.951]]
    """
    sd = sd_in_voxels(fwhm_mm, grid)
    return _spread(_checked(labels, wanted, grid), wanted, sd, None)


def width_spreads(labels: np.ndarray, spread: Spread, step: float = WIDTH_STEP) -> tuple[Spread, Spread]:
    """The same matrix for a blur narrower and wider by ``step``, relative; background measured in the same voxels: for `sd_from_width`."""
    z, y, x = spread.sd_voxels
    labels = np.asarray(labels)
    narrow, wide = (_spread(labels, spread.labels, (z * f, y * f, x * f), spread.near) for f in (1 - step, 1 + step))
    return narrow, wide


def _checked(labels: np.ndarray, wanted: Sequence[int], grid: Grid) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 3 or labels.shape != tuple(grid.shape):
        raise InputError("shape_mismatch", "organ map and grid differ in shape", found=labels.shape, expected=grid.shape)
    if labels.dtype.kind not in "iu":
        raise InputError("labels_not_integers", "an organ map holds integers", found=labels.dtype, expected="an integer type")
    if len(set(wanted)) != len(wanted) or not len(wanted):
        raise InputError("label_twice", "organs are named twice or not at all", found=list(wanted), expected="each once")
    if min(wanted) < 0 or max(wanted) > LARGEST_LABEL:
        raise InputError("label_out_of_range", "label cannot be used", found=list(wanted), expected=f"0 to {LARGEST_LABEL}", do="renumber")
    return labels


def named_regions(labels: np.ndarray, wanted: Sequence[int]) -> Regions:
    """The regions of a map. Raises `InputError` (``unnamed_label``, ``empty_region``)."""
    regions, unnamed = number_regions(labels, wanted)
    if unnamed:
        found = [int(i) for i in np.unique(labels) if i > 0 and i not in wanted]
        do = "name all labels of the map: what they hold spills into the others"
        raise InputError("unnamed_label", "labels of the map are not among the organs", found=found[:10], expected=list(wanted), do=do)
    empty = [label for label, n in zip(wanted, regions.n, strict=True) if n == 0]
    if empty:
        raise InputError("empty_region", "an organ has no voxel in the map", found=empty, expected="one or more", do="leave it out")
    return regions


def measured_regions(regions: Regions, wanted: Sequence[int], near: np.ndarray | None) -> tuple[Regions, int | None]:
    """The regions with what of the background is not measured set apart (written into ``regions.number``), and background's place."""
    if 0 not in wanted or near is None:
        return regions, None
    background, n = list(wanted).index(0), regions.n.copy()
    regions.number[(regions.number == background) & ~near] = len(wanted)
    n[background] = np.count_nonzero(near)
    return Regions(regions.number, n, regions.box), background


def _spread(labels: np.ndarray, wanted: Sequence[int], sd: Triple, near: np.ndarray | None) -> Spread:
    regions = named_regions(labels, wanted)
    if 0 in wanted and near is None:
        near = _near(regions, list(wanted).index(0), sd)
    regions, background = measured_regions(regions, wanted, near)
    matrix = overlaps(regions, background, [blur_kernel(s) for s in sd]) / regions.n[:, None]
    return Spread(tuple(int(w) for w in wanted), matrix, regions.n, float(np.linalg.cond(matrix)), sd, near)


def _near(regions: Regions, background: int, sd: Triple) -> np.ndarray:
    """Background voxels within one FWHM of an organ along each axis, one voxel at least; all of them where none is as near."""
    from scipy.ndimage import maximum_filter1d

    own = regions.number == background
    near, organs = np.zeros_like(own), np.delete(regions.box, background, axis=0)
    if len(organs):
        reach = [max(math.ceil(_NEAR_FWHM * FWHM_PER_SD * s), 1) for s in sd]
        box = tuple(
            slice(max(int(a) - r, 0), int(b) + r) for a, b, r in zip(organs[..., 0].min(0), organs[..., 1].max(0), reach, strict=True)
        )
        grown = ((regions.number[box] >= 0) & ~own[box]).view(np.uint8)
        for axis, r in enumerate(reach):
            grown = maximum_filter1d(grown, 2 * r + 1, axis=axis, mode="constant")
        near[box] = own[box] & grown.view(bool)
    return np.asarray(near if near.any() else own)
