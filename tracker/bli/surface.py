"""The skin as the camera sees it: where each pixel looks at the body, which way the skin faces there, and where light can come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid

# Steps of voxels are no skin: the body's outline is smoothed by a Gaussian of this standard deviation, and never by less than a voxel.
_SMOOTH_MM = 0.8
# Skin less steep than this (cosine between its normal and the way to the camera) is looked at in one point a pixel, else in 2 × 2.
_FLAT = 0.5
_POINTS = 2


@dataclass(frozen=True, slots=True)
class Body:
    """An animal as it lies under the camera: ``labels`` (z, y, x) integers, 0 outside, ``names`` index → organ.

    ``grid``: its affine is diagonal and gives mm on the image, x to the right and y down, and height z. ``up`` is +1 where z grows towards
    the camera, -1 where it grows away from it.
    """

    labels: np.ndarray
    names: Mapping[int, str]
    grid: Grid
    up: int = 1


@dataclass(frozen=True, slots=True)
class Pixels:
    """Middles of the pixels that are to be explained: ``x_mm``, ``y_mm`` (n,) on the image, and their edge ``size_mm``."""

    x_mm: np.ndarray
    y_mm: np.ndarray
    size_mm: float


@dataclass(frozen=True, slots=True)
class Upright:
    """A body with growing axes (x right, y down, z to the camera): ``labels``, the first voxel's middle and ``size_mm`` (x, y, z)."""

    labels: np.ndarray
    origin_mm: np.ndarray
    size_mm: np.ndarray


@dataclass(frozen=True, slots=True)
class Skin:
    """Points of the skin (m, 3) [mm, x y z], outward unit ``normals`` (m, 3), the ``pixel`` (m,) each belongs to, its ``weight`` (m,).

    The weights of a pixel add up to the share of it that the body covers.
    """

    points_mm: np.ndarray
    normals: np.ndarray
    pixel: np.ndarray
    weight: np.ndarray


def upright(body: Body) -> Upright:
    """The body with growing axes, and enough air around it for its outline to be smoothed.

    Raises `InputError`: ``labels_not_integers``, ``body_empty``, ``rotated_grid`` (the affine is not diagonal).
    """
    labels, affine = np.asarray(body.labels), body.grid.affine
    if labels.dtype.kind not in "iu" or labels.ndim != 3:
        raise InputError("labels_not_integers", "an organ map holds integers (z, y, x)", found=f"{labels.dtype} {labels.shape}")
    if not (labels > 0).any():
        raise InputError("body_empty", "no voxel of the posed body is inside", found=f"0 of {labels.size}", do="look at the pose")
    step = np.diag(affine)[:3]
    if np.abs(affine[:3, :3] - np.diag(step)).max() > 1e-6 * np.abs(step).max():
        what = "the posed body must lie along the image's axes"
        raise InputError("rotated_grid", what, found=affine[:3, :3].tolist(), expected="a diagonal affine")
    direction = np.sign(step) * (1, 1, body.up)
    labels = labels[tuple(slice(None, None, int(d)) for d in direction[::-1])]
    size, last = np.abs(step), (np.array(body.grid.shape[::-1]) - 1) * step
    origin = (affine[:3, 3] + np.where(direction < 0, last, 0.0)) * (1, 1, body.up)
    pad = np.ceil(3.0 * smoothing_voxels(size)).astype(int) + 1
    return Upright(np.pad(labels, [(p, p) for p in pad[::-1]]), origin - pad * size, size)


def smoothing_voxels(size_mm: np.ndarray) -> np.ndarray:
    """Standard deviation of the outline's smoothing in voxels along x, y, z."""
    return np.asarray(np.maximum(_SMOOTH_MM / size_mm, 1.0))


def visible_skin(body: Upright, pixels: Pixels) -> Skin:
    """The uppermost skin under each pixel: points, normals, and how much of the pixel each stands for.

    The outline is the body's smoothed mask at one half, along each column linear between voxels. Flat skin is looked at in the
    pixel's middle, steep skin and the animal's edge in 2 × 2 points. Pixels beside the animal have no point.
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter((body.labels > 0).astype(np.float32), smoothing_voxels(body.size_mm)[::-1], mode="constant")
    middle = _hits(smooth, body, pixels.x_mm, pixels.y_mm)
    one = np.isfinite(middle[0][:, 2]) & (middle[1][:, 2] > _FLAT)
    offsets = (np.arange(_POINTS) + 0.5) / _POINTS - 0.5
    parts = [(middle[0][one], middle[1][one], np.flatnonzero(one), 1.0)]
    for dy in offsets:
        for dx in offsets:
            rest = np.flatnonzero(~one)
            points, normals = _hits(smooth, body, pixels.x_mm[rest] + dx * pixels.size_mm, pixels.y_mm[rest] + dy * pixels.size_mm)
            there = np.isfinite(points[:, 2])
            parts.append((points[there], normals[there], rest[there], 1.0 / _POINTS**2))
    points, normals, pixel = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return Skin(points, normals, pixel, np.concatenate([np.full(len(part[0]), part[3]) for part in parts]))


def _hits(smooth: np.ndarray, body: Upright, x_mm: np.ndarray, y_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) where the way down from (x, y) meets the skin, NaN where it does not, and outward normals there."""
    from scipy.ndimage import map_coordinates

    at = np.stack([(y_mm - body.origin_mm[1]) / body.size_mm[1], (x_mm - body.origin_mm[0]) / body.size_mm[0]])
    columns = np.stack([map_coordinates(plane, at, order=1) for plane in smooth])
    top = len(columns) - 1 - (columns[::-1] >= 0.5).argmax(axis=0)
    there = (columns >= 0.5).any(axis=0)
    n = np.arange(columns.shape[1])
    inside, outside = columns[top, n], columns[np.minimum(top + 1, len(columns) - 1), n]
    index = top + (inside - 0.5) / np.maximum(inside - outside, 1e-6)
    place = np.stack([index, *at])
    # A difference over one voxel on either side; the mask falls outwards.
    fall = [_difference(smooth, place, axis) / body.size_mm[2 - axis] for axis in (2, 1, 0)]
    normals = np.stack(fall, axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    z_mm = np.where(there, body.origin_mm[2] + index * body.size_mm[2], np.nan)
    return np.stack([x_mm, y_mm, z_mm], axis=1), normals


def _difference(smooth: np.ndarray, place: np.ndarray, axis: int) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    step = np.zeros((3, 1))
    step[axis] = 1.0
    return np.asarray(map_coordinates(smooth, place - step, order=1) - map_coordinates(smooth, place + step, order=1), float)
