"""Transforms one after the other: the same place as step by step, and one look-up in all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tracker.image import Grid, OrganMap
from tracker.register import Bend, Transform, carry_map, chain, points_to_moving

GRID = Grid((20, 22, 24), np.array([[-0.8, 0.02, 0, 9.0], [0.02, -0.8, 0, 8.0], [0, 0, 0.8, -7.0], [0, 0, 0, 1]]))


def rigid(turn: tuple[float, float, float], shift: tuple[float, float, float]) -> Transform:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    affine[:3, 3] = shift
    return Transform(affine)


def waves(phase: float) -> Transform:
    vectors = np.stack([0.7 * np.sin(np.indices(GRID.shape)[n] / 4 + phase) for n in range(3)], axis=-1).astype(np.float32)
    return Transform(rigid((3, -2, 4), (0.3, -0.2, 0.4)).affine, Bend(vectors, GRID))


@pytest.mark.parametrize(
    "steps", [[rigid((5, 2, -3), (1, 0, 2))], [rigid((5, 2, -3), (1, 0, 2)), waves(0.4), rigid((0, 3, 0), (0, 1, 0))], [waves(0), waves(2)]]
)
def test_at_every_voxel_it_is_the_steps_in_turn(steps: list[Transform]) -> None:
    index = np.argwhere(np.ones(GRID.shape))
    points = index[:, ::-1] @ GRID.affine[:3, :3].T + GRID.affine[:3, 3]
    expected = points
    for step in steps:
        expected = points_to_moving(step, expected)
    # float32 vectors of a few millimetres.
    np.testing.assert_allclose(points_to_moving(chain(steps, GRID), points), expected, atol=1e-5)


def test_turned_there_and_back_the_map_is_what_it_was() -> None:
    labels = np.zeros(GRID.shape, np.uint16)
    labels[4:16, 5:17, 6:18] = np.random.default_rng(1).integers(1, 5, (12, 12, 12))
    organs = OrganMap(labels, {n: f"o{n}" for n in range(1, 5)}, GRID)
    there = rigid((12, -7, 9), (0.6, 0.3, -0.9))
    back = Transform(np.linalg.inv(there.affine))
    np.testing.assert_array_equal(carry_map(organs, chain([there, back], GRID), GRID).labels, labels)
    # Looked up twice, every second voxel of this worst of maps is lost: the test can tell.
    twice = carry_map(carry_map(organs, back, GRID), there, GRID).labels
    assert (twice != labels)[labels > 0].mean() > 0.1
