"""The bend of an atlas whose classes' brightness is known: by how much each border must move for the scan to be as likely as it can be.

A step is Newton's of the squared residual of scan and atlas with a prior on its length, in a Gaussian window around each voxel:
δ = ⟨r ∇m⟩ / (⟨|∇m|²⟩ + v / s²), r the residual, m the bent atlas, v the variance of the window's mean residual where no border is, s
the prior's sd. v is measured, so texture and noise that is smooth count as what they are. Where a border shows little, the bend is
drawn towards that of borders nearby that show more: u = (I u + κ ⟨I u⟩/⟨I⟩) / (I + κ), I = ⟨|∇m|²⟩ / v the local information and 1/κ the
variance by which organs move against one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.atlas.classes import Classes, class_means
from tracker.image import Grid, OrganMap, voxel_volume_ml
from tracker.register import Bend, Transform, carry_map
from tracker.register.deform import bounded, to_grid
from tracker.register.kernels import blur, compose, sample
from tracker.register.pyramid import Picture, shrink
from tracker.register.transform import bend_on_grid, index_matrix

# Voxel sizes, as multiples of the finest, and steps at each.
_LEVELS = ((8, 12), (4, 12), (2, 12), (1, 6))
# Window and smoothing of each new bend [voxels]; longest step [voxels].
_WINDOW, _SMOOTH, _LONGEST = 1.7, 0.6, 0.5
# Shading of the scan over more than this is not the atlas's matter [mm].
_SHADING_MM = 6.0
# Reach over which borders that show lead those that do not, and by how much organs move against one another there [mm].
_LEAD_MM, _APART_MM, _LEAD_EVERY = 3.0, 0.5, 4
# Classes are measured on voxels of at most this size, so that thin ones are seen [mm].
_MEASURE_MM = 0.8
# Residuals beyond this many sd are something the atlas has not.
_STRANGE = 4.0
JACOBIAN = (0.2, 5.0)
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Look:
    """How brightness is compared: 1/2 + arctan((value - middle) / spread) / π, so that bone, air and hot spots do not drown the rest."""

    middle: float
    spread: float


@dataclass(frozen=True, slots=True)
class Step:
    """At a fit: the ``move`` (z, y, x, 3) [voxels] it would still make and the ``information`` (z, y, x) there [1/voxel²]."""

    move: np.ndarray
    information: np.ndarray


@dataclass(frozen=True, slots=True)
class Bent:
    """``field`` (z, y, x, 3) [voxels of ``scan``]; ``atlas`` as bright as the scan has its classes; ``last`` the step at the end."""

    scan: Picture
    atlas: Picture
    look: Look
    field: np.ndarray
    last: Step


def look_of(scan: Picture, labels: np.ndarray) -> Look:
    """The middle of the body's brightness and one and a half times its spread (median absolute deviation as an sd)."""
    inside = scan.values[(labels > 0) & np.isfinite(scan.values)]
    middle = float(np.median(inside))
    return Look(middle, max(1.5 * 1.4826 * float(np.median(np.abs(inside - middle))), _TINY))


def seen(values: np.ndarray, look: Look) -> np.ndarray:
    return np.asarray(0.5 + np.arctan((values - np.float32(look.middle)) / np.float32(look.spread)) * np.float32(1 / np.pi), np.float32)


def transform_of(affine: np.ndarray, field: np.ndarray, grid: Grid) -> Transform:
    vectors = field @ index_matrix(grid)[:3, :3].T.astype(np.float32)
    return Transform(affine, Bend(np.ascontiguousarray(vectors), grid))


def laid(labels: np.ndarray, source: Grid, transform: Transform, grid: Grid) -> np.ndarray:
    """Labels of the atlas as they lie in the scan."""
    return carry_map(OrganMap(labels, {}, source), transform, grid).labels


def bent(scan: Picture, classes: Classes, start: Transform) -> Bent:
    """The bend that lays the atlas on the scan, coarse to fine from ``start`` on, the classes' brightness read anew at each level."""
    affine, finest = start.affine, (1000 * voxel_volume_ml(scan.grid)) ** (1 / 3)
    look = look_of(scan, laid(classes.labels, classes.grid, start, scan.grid))
    field, old = np.empty((0, 0, 0, 3), np.float32), scan.grid
    for level, (times, steps) in enumerate(_LEVELS):
        part = shrink(scan, times * finest) if times > 1 else scan
        field, old = to_grid(field, old, part.grid) if level else _begun(start, part.grid), part.grid
        measured = shrink(scan, min(times * finest, max(_MEASURE_MM, times * finest / 2)))
        now = laid(classes.labels, classes.grid, transform_of(affine, field, part.grid), measured.grid)
        means = class_means(measured.values, now, classes, rough=level < 2)
        atlas = _atlas_at(classes, means, times * finest)
        field, last = _level((part, atlas), look, affine, field, steps)
    return Bent(scan, atlas, look, field, last)


def _begun(start: Transform, grid: Grid) -> np.ndarray:
    return np.zeros((*grid.shape, 3), np.float32) if start.bend is None else bend_on_grid(start.bend, grid)


def _atlas_at(classes: Classes, means: np.ndarray, spacing_mm: float) -> Picture:
    # Beyond its edge an atlas goes on as it ends; blocks that reach over it have no mean and are air.
    small = shrink(Picture(means.astype(np.float32)[classes.labels], classes.grid, np.inf), spacing_mm)
    return Picture(np.nan_to_num(small.values, nan=float(means[0])), small.grid, np.inf)


def _level(pictures: tuple[Picture, Picture], look: Look, affine: np.ndarray, field: np.ndarray, steps: int) -> tuple[np.ndarray, Step]:
    part, atlas = pictures
    matrix = np.linalg.inv(index_matrix(atlas.grid)) @ affine @ index_matrix(part.grid)
    voxel_mm = (1000 * voxel_volume_ml(part.grid)) ** (1 / 3)
    target, shading = seen(part.values, look), np.zeros(part.values.shape, np.float32)
    air = float(seen(atlas.values[:1, :1, :1], look)[0, 0, 0])
    for turn in range(steps):
        warped = seen(sample(atlas.values, matrix, part.grid.shape, field, extend=np.inf)[..., 0], look)
        if turn % _LEAD_EVERY == 0:
            shading = _shading(target - warped, np.abs(warped - air) > 0.02, _SHADING_MM / voxel_mm)
        step = _step(target - warped - shading, warped, np.abs(warped - air) > 0.02)
        field = blur(compose(field, step.move), _SMOOTH)
        if turn % _LEAD_EVERY == _LEAD_EVERY - 1 or turn == steps - 1:
            field = _led(field, step.information, voxel_mm)
    return bounded(field, JACOBIAN), step


def _shading(residual: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """What the residual inside the body is over long distances; 0 outside."""
    counted = inside & np.isfinite(residual)
    both = np.stack([np.where(counted, residual, np.float32(0)), counted.astype(np.float32)], axis=-1)
    smooth = blur(both, sigma)
    return np.where(counted, smooth[..., 0] / np.maximum(smooth[..., 1], np.float32(0.05)), np.float32(0))


def _spread(values: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(values))) if values.size else 0.0


def _step(residual: np.ndarray, warped: np.ndarray, inside: np.ndarray, longest: float = _LONGEST) -> Step:
    """The step of the module's text; residuals far beyond the noise weigh less."""
    known = np.isfinite(residual)
    rest = np.where(known, residual, np.float32(0))
    sigma = _spread(rest[inside & known]) + 1e-3
    weighed = rest / (1 + (rest / np.float32(_STRANGE * sigma)) ** 2)
    slope = np.stack(np.gradient(warped), axis=-1)
    parts = np.empty((*rest.shape, 5), np.float32)
    parts[..., :3] = weighed[..., None] * slope
    parts[..., 3] = known * (slope**2).sum(axis=-1)
    parts[..., 4] = np.where(inside, weighed, np.float32(0))
    parts = blur(parts, _WINDOW)
    # White noise would leave σ² / n; texture leaves more.
    n = (2 * np.sqrt(np.pi) * _WINDOW) ** 3
    variance = max(sigma**2 / n, _spread(parts[..., 4][inside & known]) ** 2)
    move = parts[..., :3] / (parts[..., 3] + np.float32(variance))[..., None]
    length = np.sqrt((move**2).sum(axis=-1, keepdims=True))
    return Step(move * np.minimum(1, np.float32(longest) / np.maximum(length, np.float32(_TINY))), parts[..., 3] / np.float32(variance))


def _led(field: np.ndarray, information: np.ndarray, voxel_mm: float) -> np.ndarray:
    """The bend, drawn towards what borders around it say that show more."""
    own = information[..., None]
    both = blur(np.concatenate([own * field, own], axis=-1), _LEAD_MM / voxel_mm)
    around = both[..., :3] / np.maximum(both[..., 3:], np.float32(_TINY))
    free = np.float32((voxel_mm / _APART_MM) ** 2)
    return np.asarray((own * field + free * around) / (own + free), np.float32)
