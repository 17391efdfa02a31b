"""An atlas laid on an animal: pose, affine, bend; and how sure the borders are."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from tracker.atlas.again import elsewhere
from tracker.atlas.arch import arched
from tracker.atlas.bend import Bent, Look, bent, laid, seen, transform_of
from tracker.atlas.checks import contrast_of, field_finding, quality_of, weight_finding
from tracker.atlas.classes import Classes, classes_of
from tracker.atlas.doubt import boundary_sd_mm
from tracker.atlas.objects import Atlas, FittedAtlas
from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap, voxel_size_mm
from tracker.register import Pose, Transform, best_pose, carry_map
from tracker.register.pyramid import Picture, picture, shrink
from tracker.register.transform import index_matrix

CONTRASTS = ("ct", "mr", "other")
# Finer voxels than this many around the animal cost time and find nothing that an atlas knows; poses need fewer still.
_MOST_VOXELS, _POSE_VOXELS = 2_000_000, 500_000
# How far from where its straight or arched back says a body may still lie.
_MARGIN_MM = 6.0
# How far from water, half-way to the ends, brightness is told apart while only a guess is there [HU].
_CT_LOOK = Look(0.0, 150.0)


def fit_atlas(values: np.ndarray, grid: Grid, contrast: str, atlas: Atlas, body_weight_g: float | None = None) -> FittedAtlas:
    """The atlas's organs on an anatomical scan (z, y, x), with how far each border may be off.

    ``contrast``: ct [HU], mr (air, lung and bone are dark) or other (nothing is known). The pose is searched among all turns of the axes,
    then an affine fit, then a bend with bounded Jacobian; classes of tissue take their brightness from the scan itself, so atlas
    and scan need not share a contrast. ``organ_map.boundary_sd_mm``: see `tracker.atlas.doubt`. A best pose that is a mirror image is
    never used: it is a finding ``suspected_flip``, and the best of the others is taken. ``body_weight_g`` is only compared with the volume.

    It lays organs where an average animal has them, moved by what the scan shows: it does not find a tumour, a missing spleen or a
    filled stomach, and where borders show nothing the sd says so and the place is a guess.

    Raises `InputError`: ``atlas_contrast``, ``atlas_empty``, ``organs_outside_scan``, and as `register` does.
    """
    if contrast not in CONTRASTS:
        raise InputError("atlas_contrast", "no such contrast", found=contrast, expected=" or ".join(CONTRASTS))
    if not atlas.organ_map.names or not atlas.organ_map.labels.any():
        raise InputError("atlas_empty", "the atlas has no organs", do="give a label map and a table of its names")
    scan = reduced(values, grid, _POSE_VOXELS)
    contrast, scale = contrast_of(scan, contrast)
    classes, tissues = classes_of(atlas, contrast)
    pose, poses = posed(scan, classes, contrast)
    start = _begun(scan, classes, contrast, pose)
    scan = reduced(*cropped(values, grid, laid(classes.labels, classes.grid, start, scan.grid), scan.grid))
    found = bent(scan, classes, start)
    transform = transform_of(start.affine, found.field, scan.grid)
    quality, fit = quality_of(found, transform)
    transform = replace(transform, quality=quality, findings=(fit,))
    body = laid(classes.labels, classes.grid, transform, scan.grid)
    noted = (scale, *tissues, *poses, fit, field_finding(body), weight_finding(scan, body, classes, body_weight_g))
    organ_map = carry_map(atlas.organ_map, transform, grid)
    sd = _sd_mm(atlas.organ_map, organ_map, found, transform, elsewhere(found, classes, start))
    organ_map = replace(organ_map, method="atlas", boundary_sd_mm=sd, findings=atlas.organ_map.findings + noted)
    return FittedAtlas(organ_map, transform, pose, organ_map.findings)


def _sd_mm(atlas: OrganMap, arrived: OrganMap, found: Bent, transform: Transform, beside: tuple[np.ndarray, ...]) -> dict[int, float]:
    names = {int(index): arrived.names[int(index)] for index in np.unique(arrived.labels) if index}
    return boundary_sd_mm(found, beside, laid(atlas.labels, atlas.grid, transform, found.scan.grid), names)


def reduced(values: np.ndarray, grid: Grid, most: int = _MOST_VOXELS) -> Picture:
    """The scan in its own unit on voxels of which there are about so many at most; NaN where it has no value."""
    if values.shape != tuple(grid.shape):
        raise InputError("register_shape", "the anatomical scan does not fit its grid", found=values.shape, expected=grid.shape)
    size = voxel_size_mm(grid)
    spacing = max(min(size), float(np.prod(size) * np.prod(values.shape, dtype=np.float64) / most) ** (1 / 3))
    small = shrink(Picture(values, grid, np.inf), spacing)
    return replace(small, values=np.ascontiguousarray(small.values, np.float32))


def cropped(values: np.ndarray, grid: Grid, body: np.ndarray, coarse: Grid) -> tuple[np.ndarray, Grid]:
    """The part of the scan around the ``body``, labels on a ``coarse`` grid of it: fields of view are mostly air, and air has no organs."""
    index = np.argwhere(body > 0)
    corners = np.array(list(product(*zip(index.min(axis=0), index.max(axis=0), strict=True))), np.float64)
    to_fine = np.linalg.inv(index_matrix(grid)) @ index_matrix(coarse)
    fine = corners @ to_fine[:3, :3].T + to_fine[:3, 3]
    margin = _MARGIN_MM / np.array(voxel_size_mm(grid))
    first = np.clip(np.floor(fine.min(axis=0) - margin), 0, np.array(grid.shape) - 1).astype(int)
    last = np.clip(np.ceil(fine.max(axis=0) + margin) + 1, first + 1, grid.shape).astype(int)
    affine = grid.affine.astype(np.float64, copy=True)
    affine[:3, 3] += affine[:3, :3] @ first[::-1]
    part = values[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    return part, Grid((part.shape[0], part.shape[1], part.shape[2]), affine, grid.frame_of_reference_uid)


def _pair(scan: Picture, classes: Classes, contrast: str) -> tuple[np.ndarray, np.ndarray]:
    """Scan and atlas as a metric of their statistics should see them: soft tissues apart, bone and air not drowning them."""
    if contrast == "ct":
        return seen(np.maximum(scan.values, -1000), _CT_LOOK), seen(np.maximum(classes.image, -1000), _CT_LOOK)
    return scan.values, classes.image


def posed(scan: Picture, classes: Classes, contrast: str) -> tuple[Pose, tuple[Finding, ...]]:
    """The best way to lie that is no mirror image, and what was noted about it, a better mirror image too."""
    values, image = _pair(scan, classes, contrast)
    poses = best_pose(values, scan.grid, image, classes.grid)
    return next(pose for pose in poses.ranked if not pose.mirrored), poses.findings


def _begun(scan: Picture, classes: Classes, contrast: str, pose: Pose) -> Transform:
    """An affine fit with a curved back, by mutual information, so that no brightness need be known."""
    values, image = _pair(scan, classes, contrast)
    return arched((picture(values, scan.grid, "anatomical"), picture(image, classes.grid, "atlas's")), pose.affine)
