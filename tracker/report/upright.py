"""A scan turned so that its voxel axes run as people look at a patient, by the grid's affine; nothing is interpolated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, voxel_size_mm


@dataclass(frozen=True, slots=True)
class Upright:
    """A scan turned so that its axes (z, y, x) run from foot to head, posterior to anterior, left to right.

    ``values`` and ``labels`` share the shape; ``size_mm`` is the voxel (z, y, x) [mm]; ``tilt_deg`` the largest angle between a
    voxel axis and the patient axis it is shown as, 0 for a straight grid.
    """

    values: np.ndarray
    labels: np.ndarray
    size_mm: tuple[float, float, float]
    tilt_deg: float


def upright(values: np.ndarray, labels: np.ndarray, grid: Grid) -> Upright:
    """The scan with its voxel axes in patient order, by the axis codes of the grid's RAS+ affine; voxels are not interpolated.

    An oblique grid is shown along its own axes under the names of the nearest patient axes: ``tilt_deg`` says how far off.
    Views are of the inputs. Raises InputError where the values or labels do not have the grid's shape.
    """
    if not values.shape == labels.shape == tuple(grid.shape):
        raise InputError("organ_map_grid", "organ map and scan differ in shape", found=labels.shape, expected=values.shape)
    size = voxel_size_mm(grid)
    # cosines[patient axis, array axis], both in the order z, y, x: how far along each patient axis a step in the array goes.
    cosines = grid.affine[2::-1, 2::-1] / np.array(size)
    order = max(permutations(range(3)), key=lambda p: sum(abs(cosines[row, p[row]]) for row in range(3)))
    along = [float(cosines[row, order[row]]) for row in range(3)]
    steps = tuple(slice(None, None, 1 if cosine > 0 else -1) for cosine in along)
    turned = [array.transpose(order)[steps] for array in (values, labels)]
    tilt_deg = float(np.degrees(np.arccos(min(1.0, min(map(abs, along))))))
    return Upright(turned[0], turned[1], (size[order[0]], size[order[1]], size[order[2]]), tilt_deg)
