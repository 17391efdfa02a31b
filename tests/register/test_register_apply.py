"""Labels carried by a transform, and the measures of agreement, against counting by hand and other formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from tracker.errors import InputError
from tracker.image import Grid, OrganMap
from tracker.register import Bend, Transform, carry_map, dice, jacobian, mutual_information, surface_distance_mm

GRID = Grid((20, 22, 24), np.diag([-0.5, 0.5, 1.0, 1.0]))
LABELS = np.random.default_rng(0).integers(0, 4, GRID.shape).astype(np.int16)
NAMES = {1: "liver", 2: "spleen", 3: "kidney"}
IDENTITY = Transform(np.eye(4))


def test_identity_carries_every_voxel() -> None:
    carried = carry_map(OrganMap(LABELS, NAMES, GRID), IDENTITY, GRID)
    np.testing.assert_array_equal(carried.labels, LABELS)
    assert carried.names == NAMES and carried.grid is GRID and carried.findings[-1].status == "ok"


def test_largest_share_as_one_image_per_label_would_give() -> None:
    """Any turn and a bend, against SciPy's linear interpolation of one indicator image per label."""
    rng = np.random.default_rng(1)
    affine = np.eye(4) + 0.05 * rng.standard_normal((4, 4)) * np.array([1, 1, 1, 10])
    affine[3] = (0, 0, 0, 1)
    bend = Bend(rng.normal(0, 0.4, (*GRID.shape, 3)).astype(np.float32), GRID)
    carried = carry_map(OrganMap(LABELS, NAMES, GRID), Transform(affine, bend), GRID)
    k, j, i = np.indices(GRID.shape).astype(float)
    mm = np.stack([i, j, k, np.ones_like(i)], -1) @ GRID.affine.T
    mm[..., :3] += bend.vectors_mm
    index = mm @ affine.T @ np.linalg.inv(GRID.affine).T
    where = np.moveaxis(index[..., 2::-1], -1, 0)
    shares = np.stack([map_coordinates((n == LABELS).astype(float), where, order=1, mode="grid-constant") for n in range(4)])
    shares[0] += 1 - shares.sum(axis=0)  # what lies outside the map is no organ
    top = np.sort(shares, axis=0)
    clear = top[-1] - top[-2] > 1e-4  # the bend is float32
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(carried.labels[clear], shares.argmax(axis=0)[clear])


def test_a_change_of_volume_is_told_and_its_inputs_kept() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:16, 5:17, 6:18] = 1
    organs = OrganMap(labels, {1: "liver", 2: "spleen"}, GRID)
    grown = carry_map(organs, Transform(np.diag([0.8, 0.8, 0.8, 1.0])), GRID)
    finding = grown.findings[-1]
    # 1 / 0.8³ = 1.95; whole voxels at the faces of a box of 12 allow some 15 %.
    assert finding.check == "carried_volume" and finding.status == "warn"
    assert (grown.labels == 1).sum() / labels.sum() == pytest.approx(0.8**-3, rel=0.15)
    assert labels.sum() == 12**3


def test_maps_that_do_not_arrive_or_are_no_labels_are_refused() -> None:
    away = np.eye(4)
    away[0, 3] = 1000
    with pytest.raises(InputError, match="organs_outside_scan"):
        carry_map(OrganMap(LABELS, NAMES, GRID), Transform(away), GRID)
    with pytest.raises(InputError, match="carry_labels"):
        carry_map(OrganMap(LABELS.astype(float), NAMES, GRID), IDENTITY, GRID)
    with pytest.raises(InputError, match="carry_labels"):
        carry_map(OrganMap(LABELS - 1, NAMES, GRID), IDENTITY, GRID)


def test_dice_of_balls_apart_and_of_none() -> None:
    a, b = np.zeros((4, 4, 4), int), np.zeros((4, 4, 4), int)
    assert dice(a, b, 1) is None
    a[0] = 1
    assert dice(a, b, 1) == 0.0
    b[:2] = 1
    assert dice(a, b, 1) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="shape_mismatch"):
        dice(a, b[1:], 1)


def test_surfaces_of_concentric_balls_are_their_radii_apart() -> None:
    grid = Grid((41, 41, 41), np.diag([0.5, 0.5, 0.5, 1.0]))
    k, j, i = np.indices(grid.shape) - 20
    r_mm = 0.5 * np.sqrt(i**2 + j**2 + k**2)
    distance = surface_distance_mm((r_mm <= 8).astype(int), (r_mm <= 6).astype(int), 1, grid)
    assert distance is not None
    # Surface voxels lie up to a voxel inside the ball.
    assert distance[0] == pytest.approx(2.0, abs=0.25) and distance[1] == pytest.approx(2.0, abs=0.5)
    assert surface_distance_mm((r_mm <= 8).astype(int), (r_mm < 0).astype(int), 1, grid) is None


def test_jacobian_of_a_linear_bend_is_its_determinant() -> None:
    k, j, i = np.indices(GRID.shape).astype(float)
    mm = np.stack([i, j, k, np.ones_like(i)], -1) @ GRID.affine.T
    matrix = np.array([[0.1, 0.05, 0.0], [0.0, -0.2, 0.1], [0.02, 0.0, 0.15]])
    bend = Bend((mm[..., :3] @ matrix.T).astype(np.float32), GRID)
    affine = np.diag([2.0, 1.0, 1.0, 1.0])
    expected = 2 * np.linalg.det(np.eye(3) + matrix)
    np.testing.assert_allclose(jacobian(Transform(affine, bend)), expected, rtol=1e-4)  # float32 millimetres
    np.testing.assert_allclose(jacobian(Transform(affine), GRID), 2.0)
    with pytest.raises(InputError, match="jacobian_grid"):
        jacobian(Transform(affine))


def test_a_fold_is_seen() -> None:
    vectors = np.zeros((*GRID.shape, 3), np.float32)
    vectors[10, :, :, 2] = -3.0  # one plane thrown back over its neighbours, which are 1 mm away
    assert jacobian(Transform(np.eye(4), Bend(vectors, GRID))).min() < 0


def test_mutual_information_limits() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((40, 40, 40)), rng.random((40, 40, 40))
    # Of independent images: 0 but for the finite number of pairs, (bins - 1)² / 2 n = 0.0075.
    assert 0 <= mutual_information(a, b) < 0.015
    # Two values with p = 1/4: the entropy -Σ p log p = 0.5623; splines over four bins do not mix them.
    two = (a < 0.25).astype(float)
    assert mutual_information(two, 5 - two) == pytest.approx(0.5623, abs=0.01)
    with_holes = two.copy()
    with_holes[:5] = np.nan
    assert mutual_information(with_holes, two) == pytest.approx(0.5623, abs=0.02)
