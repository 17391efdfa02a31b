"""Whether a fit finds the same borders from elsewhere: begun twice more from a start that is pushed aside, smoothly, this way and that."""

from __future__ import annotations

import numpy as np

from tracker.atlas.bend import Bent, bent, transform_of
from tracker.atlas.classes import Classes
from tracker.image import Grid, voxel_volume_ml
from tracker.register import Bend, Transform
from tracker.register.kernels import blur
from tracker.register.pyramid import shrink
from tracker.register.transform import bend_on_grid, index_matrix

# How far the start is pushed, one sd, and over what length the push is the same [mm]: about what a pose leaves.
PUSH_MM, _LENGTH_MM = 1.5, 10.0
# Fits from elsewhere are done on voxels of so many times the size: where borders go is seen there too.
_COARSER = 2


def elsewhere(found: Bent, classes: Classes, start: Transform) -> tuple[np.ndarray, np.ndarray]:
    """By how far (z, y, x, 3) [mm along z, y, x] two other fits lie beside the one found, at every voxel of its scan."""
    push = _push_mm(found.scan.grid)
    one, two = (_beside(found, classes, start, sign * push) for sign in (1, -1))
    return one, two


def _push_mm(grid: Grid) -> np.ndarray:
    """The same push each time: a smooth field (z, y, x, 3) [mm]."""
    voxel_mm = _edge_mm(grid)
    spacing = max(_LENGTH_MM / 4, voxel_mm)
    shape = tuple(max(int(np.ceil(n * voxel_mm / spacing)), 2) for n in grid.shape)
    # Drawn on few points, as it is smooth.
    field = blur(np.random.default_rng(1).standard_normal((*shape, 3)).astype(np.float32), _LENGTH_MM / spacing)
    coarse = Grid((shape[0], shape[1], shape[2]), grid.affine @ np.diag([*((n - 1) / max(m - 1, 1) for n, m in _pairs(grid, shape)), 1.0]))
    return bend_on_grid(Bend(field * np.float32(PUSH_MM / field.std()), coarse), grid) * np.float32(voxel_mm)


def _pairs(grid: Grid, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(grid.shape[::-1], shape[::-1], strict=True))


def _edge_mm(grid: Grid) -> float:
    return float((1000 * voxel_volume_ml(grid)) ** (1 / 3))


def _beside(found: Bent, classes: Classes, start: Transform, push_mm: np.ndarray) -> np.ndarray:
    grid = found.scan.grid
    edge = np.float32(_edge_mm(grid))
    first = np.zeros((*grid.shape, 3), np.float32) if start.bend is None else bend_on_grid(start.bend, grid)
    scan = shrink(found.scan, _COARSER * float(edge))
    other = bent(scan, classes, transform_of(start.affine, first + push_mm / edge, grid))
    there = bend_on_grid(Bend(other.field @ index_matrix(scan.grid)[:3, :3].T.astype(np.float32), scan.grid), grid)
    return np.asarray((there - found.field) * edge)
