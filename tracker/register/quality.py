"""Numbers that say how well organs and scans agree."""

from __future__ import annotations

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, voxel_size_mm
from tracker.register.deform import determinants
from tracker.register.metric import information, joint_histogram
from tracker.register.pyramid import picture
from tracker.register.transform import Transform, bend_on_grid


def _same_shape(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise InputError("shape_mismatch", "two arrays must have the same shape", found=b.shape, expected=a.shape)


def dice(a: np.ndarray, b: np.ndarray, label: int) -> float | None:
    """Dice's coefficient 2 |A ∩ B| / (|A| + |B|) of one label in two maps of the same grid; None where neither has it.

    1: the same voxels, 0: none in common. Thin and small organs come out lower at the same distance of surfaces: 90 % of a spleen is as
    close a match as 97 % of a liver. Source: Dice 1945, doi:10.2307/1932409.

    >>> dice(np.array([1, 1, 0]), np.array([0, 1, 1]), 1)
    0.5
    """
    _same_shape(a, b)
    first, second = a == label, b == label
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2.0 * int(np.count_nonzero(first & second)) / int(total) if total else None


def _surface(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask))


def surface_distance_mm(a: np.ndarray, b: np.ndarray, label: int, grid: Grid) -> tuple[float, float] | None:
    """Mean and 95th percentile [mm] of the distances between two surfaces of a label, both ways together; None where a map lacks it.

    Distances are between centres of surface voxels, so that what is below a voxel cannot be told. Grids with sheared axes are
    measured along the lengths of their axes.

    >>> line = np.array([[[0, 1, 1, 0, 0, 0]]]), np.array([[[0, 0, 0, 1, 1, 0]]])
    >>> surface_distance_mm(*line, 1, Grid((1, 1, 6), np.diag([0.5, 1.0, 1.0, 1.0])))[0]
    0.75
    """
    from scipy.ndimage import distance_transform_edt

    _same_shape(a, b)
    first, second = a == label, b == label
    if not (first.any() and second.any()):
        return None
    used = [np.flatnonzero((first | second).any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    # One voxel of margin, so that the box's own faces are no surface.
    box = tuple(slice(max(int(u[0]) - 1, 0), int(u[-1]) + 2) for u in used)
    edges = _surface(np.pad(first[box], 1)), _surface(np.pad(second[box], 1))
    size = voxel_size_mm(grid)
    to = [distance_transform_edt(~edge, sampling=size) for edge in edges]
    both = np.concatenate([to[1][edges[0]], to[0][edges[1]]])
    return float(both.mean()), float(np.quantile(both, 0.95))


def jacobian(transform: Transform, grid: Grid | None = None) -> np.ndarray:
    """By how much the transform grows volumes, fixed → moving, (z, y, x) float32 on ``grid`` (of the bend where none is given).

    det(affine) · det(1 + ∂u/∂x): 1 keeps the volume, ≤ 0 is a fold, which no tissue does. Raises `InputError` ``jacobian_grid`` where
    neither a grid nor a bend is given.
    """
    scale = np.float32(np.linalg.det(transform.affine[:3, :3]))
    where = grid if grid is not None else (transform.bend.grid if transform.bend else None)
    if where is None:
        raise InputError("jacobian_grid", "a transform without a bend has no grid of its own", do="give a grid")
    if transform.bend is None:
        return np.full(where.shape, scale, np.float32)
    return scale * determinants(bend_on_grid(transform.bend, where))


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """Mutual information [nat] of two images (z, y, x) on the same grid, over the voxels where both are finite; 32 bins.

    0: the one tells nothing about the other. It depends on noise, resolution and field of view: to compare registrations of the same
    two scans, not scans with one another. Source: Maes 1997, doi:10.1109/42.563664.
    """
    _same_shape(a, b)
    if a.ndim != 3:
        raise InputError("shape_mismatch", "an image must have three axes", found=a.shape)
    grid = Grid((a.shape[0], a.shape[1], a.shape[2]), np.eye(4))
    first, second = picture(a, grid, "first").values, picture(b, grid, "second").values
    joint = joint_histogram(first, second[..., None])
    return information(joint)[0] if joint.sum() > 0 else 0.0
