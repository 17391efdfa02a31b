"""Bringing labels to a grid: the copying of slices against the sampling of centres, and what lies in the field."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.errors import InputError
from tracker.image import Grid
from tracker.organs.place import place


def by_centres(labels: np.ndarray, affine: np.ndarray, grid: Grid) -> np.ndarray:
    """The definition, voxel by voxel: the label at the place of each centre, 0 where there is none."""
    out = np.zeros(grid.shape, np.uint16)
    back = np.linalg.inv(affine) @ grid.affine
    for z, y, x in np.ndindex(*grid.shape):
        i, j, k = np.floor(np.round((back @ [x, y, z, 1])[:3], 6) + 0.5).astype(int)
        if 0 <= k < labels.shape[0] and 0 <= j < labels.shape[1] and 0 <= i < labels.shape[2]:
            out[z, y, x] = labels[k, j, i]
    return out


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([1.0, -1.0])] * 3),
    offset=st.tuples(*[st.integers(-3, 6)] * 3),
    size=st.sampled_from([1.0, 2.0]),
)
def test_turned_shifted_and_cropped_grids(order: list[int], signs: tuple[float, ...], offset: tuple[int, ...], size: float) -> None:
    labels = np.random.default_rng(0).integers(1, 3, size=(4, 5, 6)).astype(np.uint16)
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[order] * signs * size
    grid = Grid((5, 3, 4), np.diag([size, size, size, 1.0]))
    affine[:3, 3] = np.array(offset) * size
    expected = by_centres(labels, affine, grid)
    if not expected.any():
        with pytest.raises(InputError, match="organs_outside_scan"):
            place(labels, affine, {1: "a", 2: "b"}, grid)
        return
    placed = place(labels, affine, {1: "a", 2: "b"}, grid)
    assert (placed.labels == expected).all()
    cut = (expected != 0).sum() < labels.size
    assert any(f.check == "organ_cut_by_fov" for f in placed.findings) == cut


@pytest.mark.parametrize("size", [0.5, 0.8])
def test_other_sizes_of_voxels(size: float) -> None:
    labels = np.zeros((20, 22, 24), np.uint16)
    labels[4:16, 4:16, 2:20] = 1
    affine = np.diag([size, size, size, 1.0])
    grid = Grid((16, 18, 20), np.eye(4))
    assert (place(labels, affine, {1: "a"}, grid).labels == by_centres(labels, affine, grid)).all()


def test_the_input_is_not_changed() -> None:
    labels = np.ones((3, 3, 3), np.uint16)
    labels.setflags(write=False)
    placed = place(labels, np.eye(4), {1: "a"}, Grid((3, 3, 3), np.eye(4)))
    assert placed.labels.flags.writeable and not np.shares_memory(placed.labels, labels) and placed.findings == ()


def test_a_change_between_the_limits_is_told() -> None:
    # 33 fine voxels of 0.3 mm are 9.9 mm; 10 scan voxels have their centres among them: 1 % along x, 3 % in three axes.
    labels = np.zeros((40, 40, 40), np.uint16)
    labels[2:35, 2:35, 2:35] = 1
    placed = place(labels, np.diag([0.3, 0.3, 0.3, 1.0]), {1: "a"}, Grid((14, 14, 14), np.eye(4)))
    change = placed.labels.sum() / (33 * 0.3) ** 3 - 1
    assert 0.02 < abs(change) < 0.10
    assert [(f.check, f.status) for f in placed.findings] == [("organ_map_resampled", "warn")]
