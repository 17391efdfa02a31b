"""The peak sphere: its volume on any grid, and where it finds the highest mean."""

from __future__ import annotations

import numpy as np
import pytest

from tracker.image import Grid, voxel_volume_ml
from tracker.quantify import organ_peak, sphere
from tracker.quantify.peak import peak_cells, sphere_radius_mm

OBLIQUE = np.array([[1.2, 0.4, 0.0, 5.0], [-0.4, 1.2, 0.3, 0.0], [0.1, 0.0, 2.1, -9.0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("affine", [np.diag([2.0, 2.0, 2.0, 1]), np.diag([4.0, 4.0, 4.0, 1]), np.diag([1.0, 1.5, 3.0, 1]), OBLIQUE])
def test_weights_add_up_to_the_volume(affine: np.ndarray) -> None:
    grid = Grid((9, 9, 9), affine)
    ball = sphere(grid, sphere_radius_mm(1.0))
    # 343 points a voxel; counting grid points in a sphere of 16 voxels or more is right to about 1 %.
    assert ball.weight.sum() * voxel_volume_ml(grid) == pytest.approx(1.0, rel=0.01)
    assert (ball.weight <= 1).all() and (ball.weight > 0).all()
    np.testing.assert_allclose(ball.weight @ ball.offset, 0, atol=1e-9)  # symmetric about its middle


def test_the_middle_voxel_of_a_small_sphere_is_whole() -> None:
    ball = sphere(Grid((9, 9, 9), np.diag([1.0, 1, 1, 1])), 1.0)
    assert ball.weight[(ball.offset == 0).all(axis=1)] == 1.0


def test_linear_image_has_its_peak_where_the_organ_ends() -> None:
    # A sphere's mean of a linear image is the value at its middle, so the peak is the organ's own maximum.
    values = np.indices((12, 14, 16)).sum(axis=0).astype(float)
    labels = np.zeros(values.shape, np.uint8)
    labels[4:8, 4:9, 5:10] = 3
    ball = sphere(Grid(values.shape, np.diag([1.0, 1, 1, 1])), 2.0)
    assert organ_peak(values, labels, 3, np.array([[4, 8], [4, 9], [5, 10]]), ball) == pytest.approx(7 + 8 + 9, rel=1e-12)


def test_against_plain_loops_with_outside_voxels_nan_and_the_images_end() -> None:
    rng = np.random.default_rng(0)
    values, labels = rng.standard_normal((6, 7, 8)), rng.integers(0, 2, (6, 7, 8))
    values[2, 3, 4] = np.nan
    grid = Grid(values.shape, OBLIQUE)
    ball = sphere(grid, 3.0)
    best = -np.inf
    for middle in np.argwhere(labels == 1):
        total = share = 0.0
        for offset, weight in zip(ball.offset, ball.weight, strict=True):
            place = tuple(middle + offset)
            if all(0 <= p < n for p, n in zip(place, values.shape, strict=True)) and np.isfinite(values[place]):
                total, share = total + weight * values[place], share + weight
        best = max(best, total / share)
    box = np.array([[0, n] for n in values.shape])
    assert organ_peak(values, labels, 1, box, ball) == pytest.approx(best, rel=1e-12)


def test_sphere_noise_by_the_double_sum() -> None:
    ball = sphere(Grid((9, 9, 9), np.diag([2.0, 2, 3, 1])), 5.0)
    length = np.array([0.8, 1.2, 0.0])
    rho = np.ones((len(ball.weight),) * 2)
    for axis, s in enumerate(length):
        d = ball.offset[:, None, axis] - ball.offset[None, :, axis]
        rho *= np.exp(-(d**2) / (4 * s**2)) if s else d == 0
    exact = ball.weight @ rho @ ball.weight / ball.weight.sum() ** 2
    assert peak_cells(ball, length) == pytest.approx(exact, rel=0.01)  # correlations below 1 % are cut off
    assert peak_cells(ball, np.zeros(3)) == pytest.approx((ball.weight**2).sum() / ball.weight.sum() ** 2)
