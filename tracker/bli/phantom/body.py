"""The voxels that light travels in: which there are, and where their surface really is, so that steps of voxels make no false area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tracker.image import Grid
from tracker.mouse import Superellipsoid, mouse_grid, mouse_labels, organ_shapes


@dataclass(frozen=True, slots=True)
class Body:
    """A body of cubic voxels: ``labels`` (z, y, x), 0 outside, edges ``size_mm``.

    ``open_faces`` (z, y, x): how much surface a voxel has, in faces. A slanting surface is a staircase with up to √3 times its area;
    each face counts by the cosine between it and the true surface, which makes the sum the true area. ``depth_mm``
    (z, y, x): from the voxel's middle to the true surface, for voxels that have one.
    """

    labels: np.ndarray
    names: dict[int, str]
    grid: Grid
    size_mm: float
    open_faces: np.ndarray
    depth_mm: np.ndarray


def outside_neighbours(inside: np.ndarray) -> np.ndarray:
    """For each voxel and axis how many of its two neighbours are outside (3, z, y, x); 0 for voxels that are outside themselves."""
    padded = np.pad(inside, 1)
    count = np.zeros((3, *inside.shape), dtype=np.int8)
    for axis in range(3):
        for step in (-1, 1):
            count[axis] += ~np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return np.asarray(count * inside)


def blocks(labels: np.ndarray, names: dict[int, str], size_mm: float) -> Body:
    """A body whose surface is that of its voxels: slabs, boxes."""
    inside = labels > 0
    grid = Grid((labels.shape[0], labels.shape[1], labels.shape[2]), np.diag([size_mm, size_mm, size_mm, 1.0]))
    faces = outside_neighbours(inside).sum(axis=0).astype(float)
    return Body(labels, names, grid, size_mm, faces, np.where(faces > 0, size_mm / 2.0, 0.0))


def centres_mm(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z [mm] of the voxels of a grid that runs along the axes; they broadcast to (z, y, x)."""
    nz, ny, nx = grid.shape
    (ax, ay, az), (ox, oy, oz) = np.diag(grid.affine)[:3], grid.affine[:3, 3]
    return (ox + ax * np.arange(nx))[None, None, :], (oy + ay * np.arange(ny))[None, :, None], (oz + az * np.arange(nz))[:, None, None]


def _surface(shape: Superellipsoid, points_mm: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Distance of points to the shape's surface [mm], positive inside and right near the surface, and the normal's |x|, |y|, |z| there.

    g = (|x/a|ⁿ + |y/b|ⁿ + |z/c|ⁿ)^(1/n) grows in proportion to the distance from the middle: distance = (1 - g) / |∇g|.
    """
    n, axes = shape.exponent, shape.axes_mm
    scaled = [np.abs(p - c) / a for p, c, a in zip(points_mm, shape.centre_mm, axes, strict=True)]
    level = np.maximum(sum(s**n for s in scaled) ** (1.0 / n), 1e-9)
    slopes = [s ** (n - 1.0) / a * level ** (1.0 - n) for s, a in zip(scaled, axes, strict=True)]
    steep = np.maximum(np.sqrt(sum(s**2 for s in slopes)), 1e-12)
    return (1.0 - level) / steep, [s / steep for s in slopes]


def _open_faces(inside: np.ndarray, grid: Grid, shape: Superellipsoid) -> np.ndarray:
    """Each voxel's faces without a neighbour, by the cosine between face and surface in the middle of the face."""
    padded = np.pad(inside, 1)
    found = np.zeros(inside.shape)
    for axis in range(3):
        for step in (-1, 1):
            points = list(centres_mm(grid))
            world = 2 - axis
            points[world] = points[world] + step * grid.affine[world, world] / 2.0
            there = inside & ~np.roll(padded, -step, axis)[1:-1, 1:-1, 1:-1]
            # One array of points each, of the few voxels there alone.
            places = [np.broadcast_to(p, inside.shape)[there] for p in points]
            found[there] += _surface(shape, places)[1][world]
    return found


def smooth(labels: np.ndarray, names: dict[int, str], grid: Grid, shape: Superellipsoid) -> Body:
    """A body of voxels whose true surface is ``shape``."""
    size_mm, inside = float(abs(grid.affine[0, 0])), labels > 0
    touching = outside_neighbours(inside).sum(axis=0) > 0
    distance_mm, _ = _surface(shape, centres_mm(grid))
    # A voxel is inside when most of it is: its middle may lie just outside the surface.
    depth_mm = np.where(touching, np.clip(distance_mm, 0.0, size_mm), 0.0)
    return Body(labels, names, grid, size_mm, _open_faces(inside, grid, shape), depth_mm)


@lru_cache(maxsize=8)
def mouse_body(body_weight_g: float, voxel_mm: float) -> Body:
    """The digital mouse of a weight in voxels, in its own frame (`tracker.mouse`); kept for the next call."""
    grid = mouse_grid(body_weight_g, voxel_mm)
    organs = mouse_labels(body_weight_g, grid)
    shape = organ_shapes(body_weight_g)["body"]
    if not isinstance(shape, Superellipsoid):
        raise TypeError("the body is not the shape this phantom knows")
    return smooth(organs.labels, dict(organs.names), grid, shape)


def site(body: Body, centre_mm: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    """The voxels of a body (z, y, x) within a radius of a point of its frame: a focal deposit, the nearest voxel at least."""
    x, y, z = centres_mm(body.grid)
    away = np.sqrt((x - centre_mm[0]) ** 2 + (y - centre_mm[1]) ** 2 + (z - centre_mm[2]) ** 2)
    away = np.where(body.labels > 0, away, np.inf)
    return np.asarray(away <= max(radius_mm, float(away.min())))
