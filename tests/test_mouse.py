"""The mouse: published volumes, disjoint organs, left and right, scaling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tracker.errors import InputError
from tracker.image import Grid, voxel_volume_ml
from tracker.mouse import (
    ORGANS,
    density_g_per_ml,
    half_size_mm,
    inside,
    mouse_fractions,
    mouse_grid,
    mouse_labels,
    organ_masses_g,
    organ_shapes,
    organ_volumes_ml,
)


@pytest.fixture(scope="module")
def fine() -> tuple[Grid, tuple[str, ...], np.ndarray]:
    grid = mouse_grid(25.0, 0.25)
    return grid, *mouse_fractions(25.0, grid, oversample=1)


def centre_mm(grid: Grid, weight: np.ndarray) -> np.ndarray:
    k, j, i = np.nonzero(weight)
    index = np.stack([i, j, k, np.ones_like(i)]).astype(float)
    return np.average((grid.affine @ index)[:3], axis=1, weights=weight[k, j, i])


# physics 6.4: volumes of Brown et al. 1997 for 25 g, typed again here from the publication's table
@pytest.mark.parametrize(
    ("organ", "volume_ml"), [("liver", 1.375), ("gut", 1.425), ("spleen", 0.0875), ("brain", 0.425), ("heart", 0.125), ("stomach", 0.15)]
)
def test_published_volume(organ: str, volume_ml: float) -> None:
    assert organ_volumes_ml(25.0)[organ] == pytest.approx(volume_ml, rel=1e-12)
    assert organ_masses_g(25.0)[organ] == pytest.approx(volume_ml * 1.05, rel=1e-12)


def test_pairs_add_up_to_the_published_tissue() -> None:
    mass = organ_masses_g(25.0)
    assert mass["kidney_left"] + mass["kidney_right"] == pytest.approx(0.425 * 1.05)
    assert mass["lung_left"] + mass["lung_right"] == pytest.approx(0.175 * 1.05)
    volume = organ_volumes_ml(25.0)
    assert volume["lung_left"] + volume["lung_right"] == pytest.approx(0.175 * 1.05 / 0.3)  # air-filled


@pytest.mark.parametrize("weight", [18.0, 25.0, 40.0])
def test_masses_add_up_and_scale(weight: float) -> None:
    mass, volume = organ_masses_g(weight), organ_volumes_ml(weight)
    assert tuple(mass) == ORGANS
    assert sum(mass.values()) == pytest.approx(weight)
    for organ in ORGANS:
        assert mass[organ] == pytest.approx(volume[organ] * density_g_per_ml(organ))
        assert mass[organ] / weight == pytest.approx(organ_masses_g(25.0)[organ] / 25.0)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_weight_must_be_positive(weight: float) -> None:
    with pytest.raises(InputError, match="body_weight"):
        organ_volumes_ml(weight)


def test_voxel_volumes(fine: tuple[Grid, tuple[str, ...], np.ndarray]) -> None:
    grid, names, fractions = fine
    want = organ_volumes_ml(25.0)
    for name, share in zip(names, fractions, strict=True):
        # 1 %: the sampling error of the smallest organ (5600 voxels of 0.25 mm) is below that
        assert share.sum(dtype=float) * voxel_volume_ml(grid) == pytest.approx(want[name], rel=0.01), name


def test_disjoint_and_inside(fine: tuple[Grid, tuple[str, ...], np.ndarray]) -> None:
    _, names, fractions = fine
    assert set(np.unique(fractions)) == {0.0, 1.0}  # one point a voxel: any overlap or hole would show as 2 or -1
    assert fractions.sum(axis=0).max() == 1.0
    for a, b in itertools.combinations(range(len(names)), 2):
        assert not np.any((fractions[a] > 0) & (fractions[b] > 0)), (names[a], names[b])


def test_organs_inside_body_by_points() -> None:
    shapes = organ_shapes(30.0)
    rng = np.random.default_rng(1)
    for name, shape in shapes.items():
        points = np.array(shape.centre_mm)[:, None] + rng.uniform(-1, 1, (3, 20000)) * np.array(half_size_mm(shape))[:, None]
        points = points[:, inside(shape, *points)]
        assert points.shape[1] > 5000
        assert inside(shapes["body"], *points).all(), name


def test_left_and_right(fine: tuple[Grid, tuple[str, ...], np.ndarray]) -> None:
    grid, names, fractions = fine
    x = {n: centre_mm(grid, f)[0] for n, f in zip(names, fractions, strict=True)}
    for right in ("liver", "lung_right", "kidney_right"):
        assert x[right] > 1.0, right
    for left in ("spleen", "stomach", "lung_left", "kidney_left", "heart"):
        assert x[left] < -0.5, left
    volume = organ_volumes_ml(25.0)
    assert volume["lung_right"] > 1.5 * volume["lung_left"]
    z = {n: centre_mm(grid, f)[2] for n, f in zip(names, fractions, strict=True)}
    assert z["brain"] > z["heart"] > z["liver"] > z["kidney_right"] > z["kidney_left"] > z["bladder"]


def test_size_grows_with_the_cube_root() -> None:
    small, large = organ_shapes(20.0), organ_shapes(40.0)
    for name in small:
        ratio = np.array(half_size_mm(large[name])) / np.array(half_size_mm(small[name]))
        assert ratio == pytest.approx(2 ** (1 / 3))


def test_grid_has_margin() -> None:
    labels = mouse_labels(28.0, mouse_grid(28.0, 0.8)).labels
    for axis in range(3):
        used = np.nonzero(labels.any(axis=tuple(a for a in range(3) if a != axis)))[0]
        assert used[0] >= 3
        assert used[-1] < labels.shape[axis] - 3


def test_labels_are_the_majority() -> None:
    grid = mouse_grid(25.0, 0.8)
    names, fractions = mouse_fractions(25.0, grid)
    organs = mouse_labels(25.0, grid)
    assert tuple(organs.names.values()) == names == ORGANS
    assert list(organs.names) == list(range(1, len(ORGANS) + 1))
    assert set(np.unique(organs.labels)) == set(range(len(ORGANS) + 1))
    with_outside = np.concatenate([fractions, 1.0 - fractions.sum(axis=0, keepdims=True)])
    chosen = np.where(organs.labels == 0, len(ORGANS), organs.labels - 1)
    own = np.take_along_axis(with_outside, chosen[None], axis=0)[0]
    assert np.all(own >= with_outside.max(axis=0) - 1e-6)  # float32 rounding of the sum
    for n, name in organs.names.items():
        # 8 %: at 0.8 mm the spleen is 170 voxels, half of them on its surface
        volume = float(np.sum(organs.labels == n)) * voxel_volume_ml(grid)
        assert volume == pytest.approx(organ_volumes_ml(25.0)[name], rel=0.08), name


def test_any_affine_gives_the_same_volume() -> None:
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.7, -0.7, 0.7])
    affine[:3, 3] = -affine[:3, :3] @ np.array([35.0, 35.0, 70.0])
    grid = Grid((140, 70, 70), affine)
    names, fractions = mouse_fractions(25.0, grid)
    for name, share in zip(names, fractions, strict=True):
        # 2 %: points 0.23 mm apart, and the spine (radius 1.8 mm) runs along an axis, so that its error does not average out
        assert share.sum(dtype=float) * voxel_volume_ml(grid) == pytest.approx(organ_volumes_ml(25.0)[name], rel=0.02), name
    assert centre_mm(grid, fractions[names.index("liver")])[0] == pytest.approx(2.3, abs=0.05)  # as placed


def test_organ_outside_the_grid_is_cut() -> None:
    grid = mouse_grid(25.0, 0.8)
    shifted = grid.affine.copy()
    shifted[2, 3] += 200.0
    _, fractions = mouse_fractions(25.0, Grid(grid.shape, shifted))
    assert fractions.max() == 0.0
