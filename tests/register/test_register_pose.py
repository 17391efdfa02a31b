"""How the digital mouse lies is told from the scans, at another weight, bent, noisy and in another contrast."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from tracker.image import Grid
from tracker.mouse import ORGANS, inside, mouse_grid, organ_shapes
from tracker.register import Options, best_pose, register
from tracker.register.pose import pose_name

# Like CT with contrast in the liver, and like a T1-weighted scan: no function takes one to the other (gut, rest).
FIRST = dict(zip(ORGANS, (0.62, 0.75, 0.15, 0.15, 0.9, 0.7, 0.35, 0.5, 0.8, 0.8, 1.0, 0.2, 0.45), strict=True))
SECOND = dict(zip(ORGANS, (0.5, 0.3, 0.05, 0.05, 0.35, 0.6, 0.75, 0.7, 0.45, 0.45, 0.2, 0.95, 0.55), strict=True))
WIDE = mouse_grid(32.0, 1.0)
CUBE = Grid((104, 104, 104), np.diag([-1.0, -1.0, 1.0, 1.0]) + np.outer([51.5, 51.5, -51.5, 0], [0, 0, 0, 1]))


def scan(grid: Grid, turn: np.ndarray, weight_g: float, values: dict[str, float], noise: float) -> np.ndarray:
    """The mouse as a scanner would see it whose axes are wrong by ``turn``; also tilted by a few degrees and bent by a millimetre."""
    k, j, i = np.indices(grid.shape).astype(float)
    mm = np.stack([r[0] * i + r[1] * j + r[2] * k + r[3] for r in grid.affine[:3]])
    tilt = Rotation.from_euler("xyz", (4, -3, 6), degrees=True).as_matrix()
    x, y, z = np.tensordot(tilt @ turn, mm, 1)
    p = (x + 1.0 * np.sin(z / 9) + 0.5, y + 0.8 * np.sin(z / 11 + 1) - 0.7, z + 1.0 * np.sin(x / 7))
    shapes = organ_shapes(weight_g)
    image = np.where(inside(shapes["body"], *p), values["rest"], 0.0)
    for name in ORGANS[:-1]:
        image[inside(shapes[name], *p)] = values[name]
    rng = np.random.default_rng(7)
    return np.hypot(gaussian_filter(image, 0.7) + noise * rng.standard_normal(image.shape), noise * rng.standard_normal(image.shape))


AS_GIVEN = scan(WIDE, np.eye(3), 25.0, FIRST, 0.03)
TURNS = [np.diag(signs) for signs in ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, -1))]


@pytest.mark.parametrize("turn", TURNS[:5], ids=pose_name)
def test_every_flip_and_prone_for_supine_are_told(turn: np.ndarray) -> None:
    found = best_pose(AS_GIVEN, WIDE, scan(WIDE, turn, 20.0, FIRST, 0.06), WIDE)
    best = found.ranked[0]
    np.testing.assert_array_equal(best.turn, turn)  # each of these is its own inverse
    checks = {f.check for f in found.findings}
    assert ("suspected_flip" in checks) == (np.linalg.det(turn) < 0) == best.mirrored
    assert ("suspected_pose" in checks) == (best.name != "as given")
    assert found.margin > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.03, 0.15])
@pytest.mark.parametrize("values", [FIRST, SECOND], ids=["same", "other"])
@pytest.mark.parametrize("weight_g", [18.0, 30.0])
@pytest.mark.parametrize("turn", TURNS, ids=pose_name)
def test_poses_at_every_weight_contrast_and_noise(turn: np.ndarray, weight_g: float, values: dict[str, float], noise: float) -> None:
    found = best_pose(AS_GIVEN, WIDE, scan(WIDE, turn, weight_g, values, noise), WIDE)
    np.testing.assert_array_equal(found.ranked[0].turn, turn)


def test_exchanged_axes_are_found_and_registered() -> None:
    turn = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    moving = scan(CUBE, turn, 25.0, FIRST, 0.03)
    found = register(AS_GIVEN, WIDE, moving, CUBE, Options("affine", start="search", spacing_mm=1.5))
    # The scan shows the mouse turned by the inverse, tilted by up to 6 degrees (sine 0.13).
    np.testing.assert_allclose(found.affine[:3, :3], turn.T, atol=0.2)
    assert "suspected_pose" in {f.check for f in found.findings}
