"""Animals in an image, counted by what it shows: bodies where they are visible, else groups of organs with a real gap between.

The sheet's body weights say how large an animal is: no image tells by itself where the noise ends and a pale body begins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.beds.coarse import Coarse, coarse_image, refine
from tracker.errors import InputError
from tracker.image import Grid

# Density of a whole animal [g/mL], and how many times it is longer than wide: for a first idea of its size alone.
_G_PER_ML, _LENGTHS_PER_GIRTH = 1.05, 3.5
# A body's volume by its weight, as an image with tails and noise may show it.
_LEAST_VOLUME, _MOST_VOLUME = 0.35, 2.2
# Mean |ln| of volume over weight's: up to here a level may be right, and one that shows more bodies sees paler animals.
_GOOD_FIT = 0.3
# In girths: the smallest radius of a body's core; what lies nearer across is one animal; what is wider is more than one.
_LEAST_CORE, _ONE_ANIMAL, _TOO_WIDE = 0.3, 0.6, 1.35
# A body's core is as thick as the thickest one's, but for this share; the neck between two that touch is thinner.
_CORE_SHARE = 0.7
# Levels tried between noise and the hottest organs: steps of 2 to 3 over five orders of magnitude.
_LEVELS = 12
# In cubed girths: a part smaller than this is noise, in a mouse 9 mm³; a lymph node that shows is larger.
_SPECK = 0.001
# Least gap between groups of organs, in girths and in voxels: two empty voxels side by side are no chance of one.
_LEAST_GAP, _LEAST_GAP_VOXELS = 0.15, 2.0


@dataclass(frozen=True, slots=True)
class Bodies:
    """The animals of an image: ``territory`` (z, y, x) uint8, whose every voxel is, numbered from 1; ``centre_mm`` (k, 3) RAS+.

    ``body`` as ``territory``, 0 in the air around; ``volume_ml`` (k,) of the visible bodies. Where only organs show ``volume_ml`` is
    empty and ``body`` all of the territory: then the number was the sheet's, and only the gaps were seen.
    """

    territory: np.ndarray
    body: np.ndarray
    centre_mm: np.ndarray
    volume_ml: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """Bodies at one level: ``labels`` on the coarse grid, and their volumes [mL]."""

    labels: np.ndarray
    volume_ml: np.ndarray


def girth_mm(weight_g: float) -> float:
    """About how wide an animal is [mm]: a cylinder of its volume, 3.5 times as long as wide.

    >>> round(girth_mm(25.0), 1)
    20.5
    """
    return float((4000.0 * weight_g / _G_PER_ML / (math.pi * _LENGTHS_PER_GIRTH)) ** (1 / 3))


def find_bodies(image: np.ndarray, grid: Grid, weights_g: Sequence[float]) -> Bodies:
    """The animals that an image (z, y, x) shows, lying side by side or above one another along the bed; the image is not changed.

    At each of 12 levels between noise and hot organs: what is brighter, with holes filled in each slice across the bed; cores are the
    maxima of the distance to the border, joined where they lie within 0.6 girths across; a watershed of that distance divides bodies
    that touch. Of all levels whose bodies have about the volume that ``weights_g`` tell, the one with most bodies counts, of these the
    one that fits best. What is no body (tubes, vials, a bed's thin wall) has no core. Where no level shows a body: `_groups` of organs.
    Voxels outside all bodies go to the nearest one. The number of bodies may differ from that of the weights.
    Raises `InputError` ``beds_not_visible``, ``beds_not_separable``.

    Reference: watershed by flooding, Soille & Vincent 1990, doi:10.1117/12.24211.
    """
    girth = girth_mm(float(np.mean(weights_g)))
    coarse = coarse_image(image, grid, girth)
    levels = _levels(coarse)
    best = None
    for level in levels:
        found = _bodies(coarse, coarse.values > level, girth, min(weights_g) / max(weights_g))
        best = _better(best, found, float(np.mean(weights_g)) / _G_PER_ML)
    labels = _groups(coarse, levels, girth, len(weights_g)) if best is None else best.labels
    centres_mm, territory = coarse.centres_mm(labels), refine(_nearest(labels, coarse), coarse, image.shape)
    if best is None:
        return Bodies(territory, territory, centres_mm)
    return Bodies(territory, refine(labels.astype(np.uint8), coarse, image.shape), centres_mm, tuple(float(v) for v in best.volume_ml))


def _levels(coarse: Coarse) -> np.ndarray:
    """Levels from what is surely above noise and tails to what only the hottest organs reach."""
    values = coarse.values
    border = np.concatenate([values[:, [0, -1]].ravel(), values[:, :, [0, -1]].ravel()])
    middle = float(np.median(border))
    noise = 1.4826 * float(np.median(np.abs(border - middle)))
    # Without noise a blur has no end: five orders of magnitude below the brightest is no animal.
    low = max(middle + 5.0 * noise, 1e-5 * float(values.max()))
    above = values[values > low]
    if not above.size:
        do = "name the animals by an organ map of each one's own instead of beds, or give a scan that shows them"
        raise InputError("beds_not_visible", "no animal shows in this image", found="nothing above the noise", do=do)
    return np.geomspace(low, max(float(np.quantile(above, 0.99)), 1.01 * low), _LEVELS)[:-1]


def _bodies(coarse: Coarse, mask: np.ndarray, girth: float, lightest: float) -> _Found | None:
    from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    filled = np.stack([binary_fill_holes(plane) for plane in mask])
    # The field's edge is no border of an animal that reaches beyond it along the bed, but it is one across.
    depth = distance_transform_edt(np.pad(filled, 1, mode="constant"), sampling=coarse.size_mm)[1:-1, 1:-1, 1:-1]
    depth = gaussian_filter(depth, 1.0)
    least = max(_LEAST_CORE * girth * lightest ** (1 / 3), _CORE_SHARE * float(depth.max()) * lightest ** (1 / 3))
    peaks = peak_local_max(depth, min_distance=2, threshold_abs=least, exclude_border=False)
    if not len(peaks):
        return None
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = _joined(peaks[:, 1:] * coarse.size_mm[1:], _ONE_ANIMAL * girth)
    labels = watershed(-depth, markers, mask=filled)
    return _Found(labels, np.bincount(labels.ravel(), minlength=markers.max() + 1)[1:] * coarse.voxel_ml)


def _joined(across_mm: np.ndarray, reach_mm: float) -> np.ndarray:
    """Number from 1 of the group each point (n, 2) belongs to: on average its points lie within ``reach_mm``."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(across_mm) == 1:
        return np.ones(1, np.int32)
    return np.asarray(fcluster(linkage(across_mm, "average"), reach_mm, "distance"), np.int32)


def _better(best: _Found | None, found: _Found | None, expected_ml: float) -> _Found | None:
    """Of two levels the better one: one with an implausible body is none; see `_rank`."""
    if found is None:
        return best
    ratio = found.volume_ml / expected_ml
    if (ratio < _LEAST_VOLUME).any() or (ratio > _MOST_VOLUME).any():
        return best
    return found if best is None or _rank(found, expected_ml) > _rank(best, expected_ml) else best


def _rank(found: _Found, expected_ml: float) -> tuple[bool, int, float]:
    """Volumes that fit, then more bodies, then volumes that fit better: tails that fill the air between animals look like more of them."""
    off = float(np.abs(np.log(found.volume_ml / expected_ml)).mean())
    good = off <= _GOOD_FIT
    return good, len(found.volume_ml) if good else 0, -off


def _groups(coarse: Coarse, levels: np.ndarray, girth: float, k: int) -> np.ndarray:
    """Labels on the coarse grid of k groups of bright voxels with a real gap between, for images that show organs and no bodies.

    Groups are sought across the bed, in what is bright anywhere along it, at each level from the noise up: Ward's clusters, or those
    that the widest gaps divide; each no wider than an animal, their middles no nearer than two animals could lie.
    """
    widest = 0.0
    for level in levels:
        mask = _without_specks(coarse.values > level, _SPECK * girth**3 / coarse.voxel_ml / 1000.0)
        if not mask.any():
            break
        seen = np.argwhere(mask.any(axis=0))
        for method in ("ward", "single"):
            groups = _cut(seen * coarse.size_mm[1:], k, method)
            gap = _gap(seen * coarse.size_mm[1:], groups, girth) if groups.max() == k else 0.0
            widest = max(widest, gap)
            if gap >= max(_LEAST_GAP * girth, _LEAST_GAP_VOXELS * float(coarse.size_mm[1:].max())):
                flat = np.zeros(mask.shape[1:], np.int32)
                flat[tuple(seen.T)] = groups
                return np.where(mask, flat[None], 0)
    what = f"no bodies show in this image, and what shows cannot be divided into {k} animals"
    do = "correct the sheet beds; or leave its rows out and name an organ map of each animal's own"
    found, expected = (
        f"a gap of {widest:.1f} mm at most",
        f"{k} groups, each no wider than an animal, with a gap of {_LEAST_GAP * girth:.1f} mm",
    )
    raise InputError("beds_not_separable", what, found=found, expected=expected, do=do)


def _without_specks(mask: np.ndarray, least_voxels: float) -> np.ndarray:
    """The mask without connected parts of fewer voxels: noise is above any level somewhere."""
    from scipy.ndimage import label

    parts, _ = label(mask)
    large = np.bincount(parts.ravel()) >= max(least_voxels, 2.0)
    large[0] = False
    return np.asarray(large[parts])


def _cut(points_mm: np.ndarray, k: int, method: str) -> np.ndarray:
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(points_mm) < 2:
        return np.ones(len(points_mm), np.int32)
    return np.asarray(fcluster(linkage(points_mm, method), k, "maxclust"), np.int32)


def _gap(points_mm: np.ndarray, groups: np.ndarray, girth: float) -> float:
    """Least distance [mm] between points of two groups; 0 where a group is too wide for one animal or two are too near for two."""
    from scipy.spatial import cKDTree

    members = [points_mm[groups == g] for g in np.unique(groups)]
    if max(np.ptp(m, axis=0).max() for m in members) > _TOO_WIDE * girth:
        return 0.0
    gap = np.inf
    for i, one in enumerate(members):
        for other in members[i + 1 :]:
            if np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) < _ONE_ANIMAL * girth:
                return 0.0
            gap = min(gap, float(cKDTree(one).query(other)[0].min()))
    return gap


def _nearest(labels: np.ndarray, coarse: Coarse) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    index = distance_transform_edt(labels == 0, sampling=coarse.size_mm, return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(index)], np.uint8)
