"""Known motions, made by formulas and SciPy, come back; what cannot be registered is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from tracker.errors import InputError
from tracker.image import Grid, OrganMap
from tracker.register import Options, Transform, carry_map, carry_values, dice, jacobian, points_to_moving, register

SIZE, VOXEL_MM = 40, 0.8
GRID = Grid((SIZE, SIZE, SIZE), np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0]))
# Centre [mm], half axes [mm], value of each body; later ones lie inside the first.
BODIES = (
    ((16, 16, 16), (11, 9, 13), 0.4),
    ((13, 17, 11), (4, 3, 4), 0.9),
    ((19, 14, 20), (4, 3, 5), 0.7),
    ((13, 14, 22), (2.5, 3, 2.5), 0.1),
    ((20, 18, 12), (2, 3, 3), 0.15),
)


def label_at(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Label of points [mm], by formula: no interpolation between this truth and what is tested."""
    out = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), np.int16)
    for n, (c, a, _) in enumerate(BODIES, start=1):
        out[((x - c[0]) / a[0]) ** 2 + ((y - c[1]) / a[1]) ** 2 + ((z - c[2]) / a[2]) ** 2 <= 1] = n
    return out


def points(grid: Grid) -> np.ndarray:
    """(3, z, y, x) RAS+ [mm]."""
    k, j, i = np.indices(grid.shape).astype(float)
    return np.stack([r[0] * i + r[1] * j + r[2] * k + r[3] for r in grid.affine[:3]])


def drawn(grid: Grid, to_body: Callable[[np.ndarray], np.ndarray] = lambda p: p, inverted: bool = False, seed: int = 0) -> np.ndarray:
    """An image of the bodies as seen on a grid whose points [mm] ``to_body`` takes to the bodies' own; blurred, 2 % noise."""
    values = np.array([0.0, *(v for _, _, v in BODIES)])
    if inverted:
        # No function of one straight line: the background and the brightest organ come out alike.
        values = np.array([0.0, 0.6, 0.1, 0.35, 1.0, 0.85])
    image = gaussian_filter(values[label_at(*to_body(points(grid)))], 0.7)
    return image + 0.02 * np.random.default_rng(seed).standard_normal(image.shape)


def moved(matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Moving points → body points, when body points (those of the fixed scan) go to moving ones by ``matrix``."""
    back = np.linalg.inv(matrix)
    return lambda p: np.tensordot(back[:3, :3], p, 1) + back[:3, 3, None, None, None]


def matrix_about_middle(linear: np.ndarray, shift_mm: tuple[float, float, float]) -> np.ndarray:
    out, middle = np.eye(4), np.full(3, 16.0)
    out[:3, :3] = linear
    out[:3, 3] = middle + shift_mm - linear @ middle
    return out


def error_mm(found: Transform, truth: np.ndarray) -> float:
    """Largest error [mm] over the first body's corner points, which are where an organ can be."""
    ends = np.array(np.meshgrid((8, 24), (10, 22), (6, 26))).reshape(3, -1).T.astype(float)
    return float(np.linalg.norm(points_to_moving(found, ends) - (ends @ truth[:3, :3].T + truth[:3, 3]), axis=1).max())


RIGID = matrix_about_middle(Rotation.from_euler("xyz", (6, -8, 5), degrees=True).as_matrix(), (1.5, -1.0, 2.0))
_TURN = Rotation.from_euler("xyz", (4, 3, -5), degrees=True).as_matrix()
AFFINE = matrix_about_middle(_TURN @ np.diag([1.08, 0.94, 1.05]), (-1.0, 1.3, 0.7))


@pytest.mark.parametrize("metric", ["mutual_information", "correlation"])
def test_a_shift_comes_back_to_a_tenth_of_a_voxel(metric: str) -> None:
    truth = matrix_about_middle(np.eye(3), (1.1, -2.3, 0.6))
    found = register(drawn(GRID), GRID, drawn(GRID, moved(truth), seed=1), GRID, Options("rigid", metric))
    # The noise of 2 % alone allows a few thousandths of a voxel; a tenth is what was asked for.
    middle = np.full((1, 3), 16.0)
    np.testing.assert_allclose(points_to_moving(found, middle) - middle, [truth[:3, 3]], atol=0.1 * VOXEL_MM)
    np.testing.assert_allclose(found.affine[:3, :3], np.eye(3), atol=0.01)


@pytest.mark.parametrize(("kind", "truth"), [("rigid", RIGID), ("affine", AFFINE)])
@pytest.mark.parametrize("inverted", [False, True])
def test_known_motions_come_back_in_any_contrast(kind: str, truth: np.ndarray, inverted: bool) -> None:
    found = register(drawn(GRID), GRID, drawn(GRID, moved(truth), inverted, seed=1), GRID, Options(kind))
    # A quarter of a voxel at the corners of the body, where turn and stretch add to the shift. It is noise and the bodies' drawing voxel by
    # voxel that draw the optimum off the truth: a fit begun at the truth ends at the same place, at a better value than the truth's.
    assert error_mm(found, truth) < 0.25 * VOXEL_MM
    assert found.bend is None and [f.status for f in found.findings] == ["ok"]
    if kind == "rigid":
        np.testing.assert_allclose(found.affine[:3, :3] @ found.affine[:3, :3].T, np.eye(3), atol=1e-9)


def test_the_same_scan_stays_where_it_is() -> None:
    image = drawn(GRID)
    found = register(image, GRID, image, GRID, Options(metric="correlation"))
    assert error_mm(found, np.eye(4)) < 0.02 * VOXEL_MM  # no noise between the two: only the optimiser's tolerance is left
    assert found.quality is not None and found.quality.value > 0.95


def bent(p: np.ndarray) -> np.ndarray:
    """Moving points → body points: waves of 1.2 mm, about 25 mm long; determinant within 0.5 to 1.6."""
    x, y, z = p
    return np.stack([x + 1.2 * np.sin(y / 4), y + 1.0 * np.sin(z / 5 + 1), z + 1.2 * np.sin(x / 4.5 + 0.5)])


@pytest.mark.parametrize(("metric", "inverted", "least"), [("correlation", False, 0.9), ("mutual_information", True, 0.8)])
def test_a_smooth_warp_brings_every_organ_back_without_a_fold(metric: str, inverted: bool, least: float) -> None:
    truth = label_at(*points(GRID))
    organs = OrganMap(label_at(*bent(points(GRID))), {n: f"o{n}" for n in range(1, 6)}, GRID)
    fixed, moving = drawn(GRID), drawn(GRID, bent, inverted, seed=1)
    found = register(fixed, GRID, moving, GRID, Options(metric=metric))
    after = [dice(carry_map(organs, found, GRID).labels, truth, n) or 0.0 for n in organs.names]
    before = [dice(organs.labels, truth, n) or 0.0 for n in organs.names]
    # The smallest organ is 6 voxels thick: a border off by a quarter of a voxel takes 0.1 off its Dice.
    assert min(after) >= least and np.mean(after) > np.mean(before) + 0.1
    det = jacobian(Transform(np.eye(4), found.bend))
    assert det.min() >= 0.2 and det.max() <= 5.0
    assert found.quality is not None and found.quality.folded == 0.0


def test_tight_limits_of_the_volume_change_are_kept() -> None:
    options = Options(metric="correlation", jacobian=(0.9, 1.1))
    found = register(drawn(GRID), GRID, drawn(GRID, bent, seed=1), GRID, options)
    det = jacobian(Transform(np.eye(4), found.bend))
    assert 0.9 <= det.min() < 0.95 and det.max() <= 1.1


def test_there_and_back_is_about_nowhere() -> None:
    a, b = drawn(GRID), drawn(GRID, bent, seed=1)
    there = register(a, GRID, b, GRID, Options(metric="correlation"))
    back = register(b, GRID, a, GRID, Options(metric="correlation"))
    inside = points(GRID)[:, label_at(*points(GRID)) > 1].T[::17]
    off = np.linalg.norm(points_to_moving(back, points_to_moving(there, inside)) - inside, axis=1)
    # Nothing ties the two registrations together but the edges both see: a voxel in the middle, two at worst along edges.
    assert np.median(off) < 1.0 * VOXEL_MM and np.quantile(off, 0.95) < 2 * VOXEL_MM


def test_grids_may_differ_be_oblique_and_have_holes() -> None:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("zyx", (20, 10, -15), degrees=True).as_matrix() @ np.diag([-0.7, 0.9, 1.1])
    shape = (38, 44, 52)
    turn[:3, 3] = 16 - turn[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    other = Grid(shape, turn)
    moving = drawn(other, moved(RIGID), seed=1)
    moving[:, :6] = np.nan
    moving[20, 20, 20] = np.nan
    found = register(drawn(GRID), GRID, moving, other, Options("rigid"))
    assert error_mm(found, RIGID) < 0.25 * VOXEL_MM


def test_a_distant_scan_is_found_from_the_centres_and_refused_from_its_frame() -> None:
    truth = matrix_about_middle(np.eye(3), (60.0, -45.0, 80.0))
    far = Grid(GRID.shape, truth @ GRID.affine)
    moving = drawn(far, moved(truth), seed=1)
    with pytest.raises(InputError, match="register_no_overlap"):
        register(drawn(GRID), GRID, moving, far, Options("rigid"))
    found = register(drawn(GRID), GRID, moving, far, Options("rigid", start="centres"))
    # Both lattices fall on one another here, where interpolation favours points between voxels: the turn is off by up to a degree.
    assert error_mm(found, truth) < 0.5 * VOXEL_MM


def test_inputs_stay_as_they_were_and_results_repeat() -> None:
    fixed, moving = drawn(GRID), drawn(GRID, bent, seed=1)
    kept = fixed.copy(), moving.copy()
    fixed.flags.writeable = moving.flags.writeable = False
    first, second = (register(fixed, GRID, moving, GRID) for _ in range(2))
    np.testing.assert_array_equal(first.affine, second.affine)
    assert first.bend is not None and second.bend is not None
    np.testing.assert_array_equal(first.bend.vectors_mm, second.bend.vectors_mm)
    np.testing.assert_array_equal(fixed, kept[0])
    np.testing.assert_array_equal(moving, kept[1])


def test_one_processor_gives_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, moving = drawn(GRID), drawn(GRID, bent, seed=1)
    monkeypatch.setattr("tracker.register.slabs.WORTH_THREADS", 1000)
    many = register(fixed, GRID, moving, GRID)
    monkeypatch.setattr("tracker.register.slabs.processors", lambda: 1)
    one = register(fixed, GRID, moving, GRID)
    assert many.bend is not None and one.bend is not None
    np.testing.assert_array_equal(many.bend.vectors_mm, one.bend.vectors_mm)


@pytest.mark.parametrize(
    ("code", "image"),
    [
        ("register_no_content", np.full(GRID.shape, 3.0)),
        ("register_no_content", np.full(GRID.shape, np.nan)),
        ("register_too_thin", np.ones((2, SIZE, SIZE))),
        ("register_shape", np.ones((SIZE, SIZE, SIZE + 1))),
    ],
)
def test_what_shows_nothing_is_refused(code: str, image: np.ndarray) -> None:
    grid = Grid((2, SIZE, SIZE), GRID.affine) if code == "register_too_thin" else GRID
    for args in ((image, grid, drawn(GRID), GRID), (drawn(GRID), GRID, image, grid)):
        with pytest.raises(InputError, match=code):
            register(*args)


@pytest.mark.parametrize(
    "wrong", [{"kind": "elastic"}, {"metric": "ssd"}, {"start": "guess"}, {"jacobian": (1.1, 2.0)}, {"spacing_mm": -1.0}]
)
def test_options_that_do_not_exist_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match="register_option"):
        Options(**wrong)


def test_images_are_carried_as_scipy_would() -> None:
    image = drawn(GRID)
    shown = carry_values(image, GRID, Transform(RIGID), GRID)
    back = np.linalg.inv(GRID.affine) @ RIGID
    index = np.tensordot(back[:3, :3], points(GRID), 1) + back[:3, 3, None, None, None]
    expected = map_coordinates(image, index[::-1], order=1, mode="constant", cval=np.nan)
    inside = np.isfinite(expected) & np.isfinite(shown)
    assert inside.mean() > 0.6
    np.testing.assert_allclose(shown[inside], expected[inside], atol=1e-5)  # float32
