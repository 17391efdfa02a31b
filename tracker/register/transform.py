"""What a registration finds: where each point of the fixed scan lies in the moving one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding
from tracker.image import Grid


@dataclass(frozen=True, slots=True)
class Bend:
    """A smooth displacement u: ``vectors_mm`` (z, y, x, 3) float32, RAS+ [mm], on ``grid``; between its voxels linear, outside it
    the outermost vectors."""

    vectors_mm: np.ndarray
    grid: Grid


@dataclass(frozen=True, slots=True)
class Quality:
    """How well two scans agree after registration, and how much the bend deforms.

    ``metric`` the name of what was maximised, ``value`` what it came to; ``mutual_information_nat`` of the overlap, which can be
    compared across metrics; ``overlap`` the share of the fixed scan's voxels that lie in the moving scan.
    ``jacobian_min`` and ``jacobian_max`` of the bend (1, 1 without one); ``folded`` share of voxels with a determinant ≤ 0.
    """

    metric: str
    value: float
    mutual_information_nat: float
    overlap: float
    jacobian_min: float = 1.0
    jacobian_max: float = 1.0
    folded: float = 0.0


@dataclass(frozen=True, slots=True)
class Transform:
    """Fixed RAS+ [mm] → moving RAS+ [mm]: p ↦ ``affine`` · (p + u(p)), u from ``bend``, zero without one.

    It *pulls*: values and labels of the moving scan are looked up for every voxel of the fixed one. Registration finds where
    intensities agree; where organs have no contrast to their neighbours it says nothing about them.
    """

    affine: np.ndarray
    bend: Bend | None = None
    quality: Quality | None = None
    findings: tuple[Finding, ...] = ()


def index_matrix(grid: Grid) -> np.ndarray:
    """4 × 4 from array index (z, y, x, 1) to RAS+ [mm].

    >>> index_matrix(Grid((4, 4, 4), np.diag([1.0, 2.0, 3.0, 1.0])))[:3, 0].tolist()
    [0.0, 0.0, 3.0]
    """
    return np.asarray(grid.affine, dtype=np.float64)[:, [2, 1, 0, 3]]


def points_to_moving(transform: Transform, points_mm: np.ndarray) -> np.ndarray:
    """Where points (n, 3) of the fixed scan lie in the moving one, (n, 3), both RAS+ [mm].

    >>> shift = np.eye(4); shift[0, 3] = 2.0
    >>> points_to_moving(Transform(shift), np.zeros((1, 3))).tolist()
    [[2.0, 0.0, 0.0]]
    """
    points = np.asarray(points_mm, dtype=np.float64)
    if transform.bend is not None:
        points = points + displacement_mm(transform.bend, points)
    return np.asarray(points @ transform.affine[:3, :3].T + transform.affine[:3, 3])


def displacement_mm(bend: Bend, points_mm: np.ndarray) -> np.ndarray:
    """The bend's displacement (n, 3) [mm] at points (n, 3), RAS+ [mm]."""
    from scipy.ndimage import map_coordinates

    back = np.linalg.inv(index_matrix(bend.grid))
    index = (points_mm @ back[:3, :3].T + back[:3, 3]).T
    return np.stack([map_coordinates(bend.vectors_mm[..., n], index, order=1, mode="nearest") for n in range(3)], axis=1)


def bend_on_grid(bend: Bend, grid: Grid) -> np.ndarray:
    """The bend's displacement at every voxel of ``grid``, (z, y, x, 3) float32, in voxels of ``grid`` along (z, y, x)."""
    from tracker.register.kernels import sample_field

    to_voxels = np.linalg.inv(index_matrix(grid))[:3, :3].astype(np.float32)
    vectors = sample_field(bend.vectors_mm, np.linalg.inv(index_matrix(bend.grid)) @ index_matrix(grid), grid.shape)
    return np.ascontiguousarray(vectors @ to_voxels.T)
