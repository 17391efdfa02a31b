"""A curved back: an affine map and an arch of the long axis, fitted together before anything finer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.image import Grid
from tracker.register import Bend, Transform
from tracker.register.kernels import sample
from tracker.register.linear import content, motion
from tracker.register.metric import agreement
from tracker.register.pyramid import Picture, shrink, soften
from tracker.register.transform import index_matrix

# Voxels [mm] that it is fitted on, coarse to fine, and steps at each.
_LEVELS = ((3.0, 40), (1.5, 15))
# Step of the numerical derivative [mm].
_STEP_MM = 0.05
_AFFINE = 12
# Beyond its end, at this many half-lengths, a back goes on straight out.
_END = 1.2
# Bends of either kind, to either side.
_ARCHES = 4


@dataclass(frozen=True, slots=True)
class Axes:
    """``middle`` (3,) and ``half_mm`` half-length of an animal, its long axis and two across it as rows of ``ways`` (3, 3)."""

    middle: np.ndarray
    half_mm: float
    ways: np.ndarray


def axes_of(scan: Picture) -> Axes:
    """The long axis of what is brighter than the background. A body as even as a rod has a half-length of √3 sd."""
    index = np.argwhere(np.nan_to_num(scan.values) > scan.background)
    matrix = index_matrix(scan.grid)
    points = index @ matrix[:3, :3].T + matrix[:3, 3]
    spread, ways = np.linalg.eigh(np.cov(points.T))
    return Axes(points.mean(axis=0), float(np.sqrt(3 * spread[-1])), ways.T[::-1])


def arch_mm(axes: Axes, numbers: np.ndarray, grid: Grid) -> np.ndarray:
    """Displacement (z, y, x, 3) [mm]: across the long axis by Legendre's second and third polynomial of the way along it.

    ``numbers`` (4,): bow to one side and the other, then S to one side and the other [mm at the ends].
    """
    matrix, middle = index_matrix(grid), axes.middle
    z, y, x = np.indices(grid.shape, dtype=np.float32)
    way = axes.ways[0] / axes.half_mm
    rate = matrix[:3, :3].T @ way
    t = np.clip(rate[0] * z + rate[1] * y + rate[2] * x + (matrix[:3, 3] - middle) @ way, -_END, _END)
    bow, wave = (3 * t**2 - 1) / 2, (5 * t**3 - 3 * t) / 2
    first = numbers[0] * axes.ways[1] + numbers[1] * axes.ways[2]
    second = numbers[2] * axes.ways[1] + numbers[3] * axes.ways[2]
    return np.asarray(bow[..., None] * first + wave[..., None] * second, np.float32)


def arched(pictures: tuple[Picture, Picture], affine: np.ndarray) -> Transform:
    """Scan → atlas: the affine map and arch that maximise mutual information, begun at ``affine`` (4 × 4, RAS+ [mm])."""
    from scipy.optimize import minimize

    axes, about = axes_of(pictures[0]), content(pictures[0])
    numbers = np.zeros(_AFFINE + _ARCHES)
    for spacing, steps in _LEVELS:
        fixed, moving = (soften(shrink(p, spacing)) for p in pictures)
        back, out = np.linalg.inv(index_matrix(moving.grid)), index_matrix(fixed.grid)
        # The arch is linear in its numbers: each one's shape once, in voxels.
        to_voxels = np.linalg.inv(out)[:3, :3].T.astype(np.float32)
        shapes = np.stack([arch_mm(axes, one, fixed.grid) @ to_voxels for one in np.eye(_ARCHES)])

        def cost(n: np.ndarray) -> float:
            field = np.ascontiguousarray(np.tensordot(n[_AFFINE:].astype(np.float32), shapes, 1))  # noqa: B023
            matrix = back @ affine @ motion(n[:_AFFINE].copy(), *about) @ out  # noqa: B023
            found = sample(moving.values, matrix, fixed.grid.shape, field, extend=moving.background)  # noqa: B023
            return -agreement("mutual_information", fixed.values, found).value  # noqa: B023

        numbers = minimize(cost, numbers, method="L-BFGS-B", options={"maxiter": steps, "eps": _STEP_MM, "ftol": 1e-6}).x
    # The last level's voxels are fine enough for an arch.
    bend = Bend(arch_mm(axes, numbers[_AFFINE:], fixed.grid), fixed.grid)
    return Transform(affine @ motion(numbers[:_AFFINE].copy(), *about), bend)
