"""Spill-over: the truth back from a blur that other code made, beside other formulas, and what it must refuse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import fft

from tracker.errors import InputError
from tracker.image import Grid
from tracker.mouse import ORGANS, half_size_mm, inside, organ_shapes
from tracker.spillover import (
    Spread,
    covariance_of_means,
    fwhm_of,
    rbv_image,
    sd_from_width,
    spread_matrix,
    unmix,
    width_spreads,
)
from tracker.spillover.width import blur_kernel

SD_PER_FWHM = 1 / 2.3548200450309493
FINE_MM = 0.16
LEVELS = {
    "brain": 0.5,
    "heart": 2.0,
    "lung_left": 3.0,
    "lung_right": 3.0,
    "liver": 5.0,
    "spleen": 8.0,
    "stomach": 1.0,
    "gut": 1.5,
    "kidney_left": 6.0,
    "kidney_right": 6.0,
    "bladder": 20.0,
    "bone": 1.2,
    "rest": 0.5,
}
TRUTH = np.array([LEVELS[name] for name in ORGANS])
REST = ORGANS.index("rest") + 1


def grid_of(shape: Sequence[int], z_mm: float, y_mm: float, x_mm: float) -> Grid:
    return Grid((shape[0], shape[1], shape[2]), np.diag([-x_mm, -y_mm, z_mm, 1.0]))


# --- the mouse, blurred on a fine grid by the Gaussian's transfer function, then averaged into voxels ---------------------------


@pytest.fixture(scope="module")
def fine_mouse() -> np.ndarray:
    """Organ number at each point of a 0.16 mm grid that sits nowhere on the mouse's planes of symmetry."""
    shapes = organ_shapes(25.0)
    n = [15 * int(np.ceil((2 * half + 5.0) / FINE_MM / 15)) for half in half_size_mm(shapes["body"])]
    x, y, z = (FINE_MM * (np.arange(m) - (m - 1) / 2) + off for m, off in zip(n, (0.13, -0.07, 0.05), strict=True))
    points = x[None, None, :], y[None, :, None], z[:, None, None]
    number = np.where(inside(shapes["body"], *points), REST, 0).astype(np.uint8)
    for i, name in enumerate(ORGANS[:-1], start=1):
        number[inside(shapes[name], *points)] = i
    return number


def fft_blurred(volume: np.ndarray, sd: Sequence[float], also_over_voxel: bool = False) -> np.ndarray:
    """The volume times exp(-2 π² sd² f²) in frequency, zeros around it; ``also_over_voxel``: averaged over one voxel too."""
    padded = [fft.next_fast_len(n + int(12 * s) + 4, real=True) for n, s in zip(volume.shape, sd, strict=True)]
    wave = fft.rfftn(volume, padded)
    for axis, (n, s) in enumerate(zip(padded, sd, strict=True)):
        f = fft.rfftfreq(n) if axis == 2 else fft.fftfreq(n)
        if also_over_voxel:
            # What a sample cannot tell from f, it takes for f: the sum over the spectrum's copies.
            gain = sum(np.exp(-2 * (np.pi * s * (f + c)) ** 2) * np.sinc(f + c) for c in range(-3, 4))
        else:
            gain = np.exp(-2 * (np.pi * s * f) ** 2)
        wave *= np.expand_dims(gain, [a for a in range(3) if a != axis])
    return fft.irfftn(wave, padded)[tuple(slice(n) for n in volume.shape)]


def majority(number: np.ndarray, m: int) -> np.ndarray:
    """Label of what fills most of each block of m³ points; m is odd, so that no surface between two organs ties."""
    count = np.zeros((len(ORGANS) + 1, *(n // m for n in number.shape)), np.int16)
    for offset in np.ndindex(m, m, m):
        part = number[tuple(slice(o, None, m) for o in offset)]
        for organ in range(len(count)):
            count[organ] += part == organ
    return count.argmax(axis=0).astype(np.int16)


def block_means(volume: np.ndarray, m: int) -> np.ndarray:
    z, y, x = (n // m for n in volume.shape)
    return volume.reshape(z, m, y, m, x, m).mean(axis=(1, 3, 5), dtype=float)


@pytest.fixture(scope="module")
def seen(fine_mouse: np.ndarray) -> dict[tuple[int, float], tuple[np.ndarray, np.ndarray]]:
    """(points a voxel, FWHM) → image and organ map, for voxels of 0.48 and 0.8 mm."""
    activity = np.r_[0.0, TRUTH].astype(np.float32)[fine_mouse]
    maps = {m: majority(fine_mouse, m) for m in (3, 5)}
    found = {}
    for fwhm in (1.2, 2.0):
        blurred = fft_blurred(activity, [fwhm * SD_PER_FWHM / FINE_MM] * 3)
        found |= {(m, fwhm): (block_means(blurred, m), maps[m]) for m in maps}
    return found


def organ_means(image: np.ndarray, labels: np.ndarray, spread: Spread) -> np.ndarray:
    return np.array([image[spread.near if i == 0 and spread.near is not None else labels == i].mean() for i in spread.labels])


@pytest.mark.parametrize("m", [3, 5])
@pytest.mark.parametrize("fwhm", [1.2, 2.0])
def test_organ_means_come_back_within_two_percent(
    seen: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]], m: int, fwhm: float
) -> None:
    image, labels = seen[m, fwhm]
    spread = spread_matrix(labels, range(1, REST + 1), grid_of(labels.shape, *[m * FINE_MM] * 3), fwhm)
    means = organ_means(image, labels, spread)
    raw = means / TRUTH - 1
    # The blur must have spoilt something: spleen loses a quarter and more, what lies around hot organs gains a tenth and more.
    assert raw[ORGANS.index("spleen")] < -0.22
    assert raw[REST - 1] > 0.1
    error = np.abs(unmix(means, np.eye(REST), spread).means / TRUTH - 1)
    assert error[: REST - 1].max() < 0.02
    # The rest of the body, a fortieth of the bladder beside it, shares each organ's surface: voxels of 2/3 of the width cost it most.
    assert error[REST - 1] < 0.03


@pytest.mark.parametrize(
    ("air_known", "tolerance"),
    # With air marked, background is as good as an organ. With air and body both 0 it is diluted: physics allows no better here.
    [(True, 0.02), (False, 0.075)],
)
def test_label_0_serves_as_background(
    seen: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]], air_known: bool, tolerance: float
) -> None:
    image, full = seen[3, 2.0]
    labels = np.where(full == REST, 0, np.where(full == 0, -1 if air_known else 0, full))
    spread = spread_matrix(labels, [*range(1, REST), 0], grid_of(labels.shape, *[3 * FINE_MM] * 3), 2.0)
    found = unmix(organ_means(image, labels, spread), np.eye(REST), spread).means
    assert np.abs(found / TRUTH - 1)[: REST - 1].max() < tolerance
    assert spread.near is not None
    assert (labels[spread.near] == 0).all()
    assert spread.n[-1] == spread.near.sum() < (labels == 0).sum()


def test_a_kernel_of_another_voxel_integral_would_be_worse(seen: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]]) -> None:
    # Why the kernel is averaged over one voxel, neither none nor two: at 1.5 voxels a width it is what separates 2 % from 3 to 5 %.
    image, labels = seen[5, 1.2]
    grid = grid_of(labels.shape, *[5 * FINE_MM] * 3)
    sd, voxel = 1.2 * SD_PER_FWHM, 5 * FINE_MM
    errors = []
    for extra in (-1 / 12, 0.0, 1 / 12):
        spread = spread_matrix(labels, range(1, REST + 1), grid, float(np.sqrt(sd**2 + extra * voxel**2)) / SD_PER_FWHM)
        found = unmix(organ_means(image, labels, spread), np.eye(REST), spread).means
        errors.append(np.abs(found / TRUTH - 1)[: REST - 1].max())
    assert errors[1] < min(errors[0], errors[2])


def test_a_wrong_width_changes_the_means_as_foretold(seen: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]]) -> None:
    image, labels = seen[3, 2.0]
    grid, wanted = grid_of(labels.shape, *[3 * FINE_MM] * 3), range(1, REST + 1)
    spread = spread_matrix(labels, wanted, grid, 2.0)
    means = organ_means(image, labels, spread)
    change = sd_from_width(means, *width_spreads(labels, spread))
    wider = unmix(means, np.eye(REST), spread_matrix(labels, wanted, grid, 2.2)).means
    right = unmix(means, np.eye(REST), spread).means
    # The difference of both sides against that of one: second order in the step, a tenth of the change itself and a hundredth.
    np.testing.assert_allclose(wider - right, change, atol=0.01 * np.abs(right).max() / 10, rtol=0.3)
    assert change[ORGANS.index("spleen")] > 0.03 * TRUTH[ORGANS.index("spleen")]
    assert change[REST - 1] < 0


def test_the_picture_shows_the_levels_that_are_there(seen: dict[tuple[int, float], tuple[np.ndarray, np.ndarray]]) -> None:
    image, labels = seen[3, 2.0]
    spread = spread_matrix(labels, range(1, REST + 1), grid_of(labels.shape, *[3 * FINE_MM] * 3), 2.0)
    true = unmix(organ_means(image, labels, spread), np.eye(REST), spread).means
    picture = rbv_image(image, labels, true, spread)
    hot = labels == ORGANS.index("bladder") + 1
    # f is nearly h * s, so that every voxel comes out near its organ's level: 15 % for the staircase of the map against a smooth organ.
    assert np.abs(picture[hot] / 20.0 - 1).max() < 0.15
    assert np.abs(image[hot] / 20.0 - 1).max() > 0.5
    # Around the animal the halo is gone: what stays is farther away than the blur reaches.
    assert picture[labels == 0].max() < 1e-3
    assert image[labels == 0].max() > 1.0


# --- beside other formulas -----------------------------------------------------------------------------------------------------


def blobs(shape: tuple[int, int, int], k: int, seed: int = 0, margin: int = 0) -> np.ndarray:
    """A map of k regions, each voxel with the nearest of k points; ``margin`` voxels of 0 around."""
    rng = np.random.default_rng(seed)
    points = rng.random((k, 3)) * shape
    index = np.moveaxis(np.indices(shape), 0, -1)[..., None, :]
    labels = 1 + ((index - points) ** 2).sum(axis=-1).argmin(axis=-1)
    return np.pad(labels, margin)


def full_volume_matrix(labels: np.ndarray, wanted: Sequence[int], sd: Sequence[float], over_voxel: bool) -> np.ndarray:
    """PETPVC's formula, w_ij = Σ (h * p_i) p_j / Σ (h * p_i), every shape blurred over the whole volume in frequency."""
    blurred = [fft_blurred((labels == i).astype(float), sd, over_voxel) for i in wanted]
    return np.array([[b[labels == j].sum() / b.sum() for j in wanted] for b in blurred])


@pytest.mark.parametrize(
    ("fwhm", "over_voxel"),
    # From 10 voxels a width on, what a voxel adds (1/12 to a variance of 18) is below the tolerance: the published, sampled formula.
    [((2.0, 1.0, 3.0), True), ((10.0, 10.0, 12.0), False)],
)
def test_matrix_is_that_of_the_published_formula(fwhm: tuple[float, float, float], over_voxel: bool) -> None:
    labels = blobs((20, 26, 30), 6, margin=28 if fwhm[0] > 5 else 8)
    found = spread_matrix(labels, range(1, 7), grid_of(labels.shape, 1.0, 1.0, 1.0), fwhm)
    published = full_volume_matrix(labels, range(1, 7), np.array(fwhm) * SD_PER_FWHM, over_voxel)
    np.testing.assert_allclose(found.matrix, published, atol=1e-3)
    # Off the diagonal there is something to compare.
    assert np.sort(found.matrix, axis=None)[-7] > 0.02


@pytest.mark.parametrize("sd", [0.2, 0.42, 0.85, 3.0, 11.0])
def test_kernel_is_the_gaussian_averaged_over_a_voxel(sd: float) -> None:
    kernel = blur_kernel(sd)
    reach = len(kernel) // 2
    place = np.arange(-reach, reach + 1)
    # Simpson's rule over each voxel: an integral not taken from the same formula.
    t = np.linspace(-0.5, 0.5, 401)
    weight = np.r_[1, np.tile([4, 2], 199), 4, 1] / 1200
    sampled = (np.exp(-0.5 * ((place[:, None] + t) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))) @ weight
    np.testing.assert_allclose(kernel, sampled, atol=2e-5)  # what is cut off beyond 4.5 standard deviations
    assert kernel.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(kernel, kernel[::-1])


def test_two_half_spaces_have_the_textbook_integral() -> None:
    # Spill across a plane: ∫ (1 - Φ(x/s)) dx = s/√(2π) voxels of each side, s² = sd² + 1/12 as the kernel is averaged over one voxel.
    labels = np.ones((1, 1, 60), int)
    labels[..., 30:] = 2
    matrix = spread_matrix(labels, [1, 2], grid_of(labels.shape, 1, 1, 1), (0, 0, 4 / SD_PER_FWHM)).matrix
    s, n = np.sqrt(16 + 1 / 12), 30
    # The sum over voxels of a smooth function is its integral to second order: 1/12 · 1/(2 s √(2π)) less than a hundredth of it.
    assert matrix[0, 1] * n == pytest.approx(s / np.sqrt(2 * np.pi), rel=0.01)
    edge = n - matrix[0, 1] * n - matrix[0, 0] * n
    assert edge == pytest.approx(matrix[0, 1] * n, rel=1e-4)  # as much is lost over the end of the field as across the plane


# --- limits and sums -----------------------------------------------------------------------------------------------------------


def test_rows_add_up_to_one_inside_and_to_less_at_the_edge() -> None:
    labels = blobs((12, 14, 16), 5, margin=8)
    grid = grid_of(labels.shape, 0.5, 0.5, 0.5)
    all_of_it = spread_matrix(labels, range(6), grid, 1.0).matrix.sum(axis=1)
    # Every voxel that an organ or near background reaches is some region; 1e-5 is float32 over the kernel's 27 × 10² places.
    np.testing.assert_allclose(all_of_it, 1.0, atol=1e-5)
    without = spread_matrix(labels, range(1, 6), grid, 1.0).matrix.sum(axis=1)
    assert (without < 0.99).all()
    inner = np.ascontiguousarray(labels[8:-8, 8:-8, 8:-8])
    cut = spread_matrix(inner, range(1, 6), grid_of(inner.shape, 0.5, 0.5, 0.5), 1.0).matrix.sum(axis=1)
    assert (cut < 0.99).all()
    np.testing.assert_allclose(cut, without, atol=1e-5)  # beyond the field nothing is known: as if it held nothing


@pytest.mark.parametrize("fwhm", [0.0, 1e-6, 0.02])
def test_no_blur_no_spill(fwhm: float) -> None:
    labels = blobs((6, 7, 8), 4)
    spread = spread_matrix(labels, range(1, 5), grid_of(labels.shape, 1, 1, 1), fwhm)
    # 0.02 voxels wide: sd/√(2π) = 0.0034 of a voxel crosses each face.
    np.testing.assert_allclose(spread.matrix, np.eye(4), atol=0.02 if fwhm == 0.02 else 1e-5)
    assert spread.condition == pytest.approx(1.0, abs=0.03)


def test_amount_spilled_is_the_same_both_ways() -> None:
    labels = blobs((14, 15, 16), 5, margin=3)
    spread = spread_matrix(labels, [3, 1, 5, 2, 4], grid_of(labels.shape, 1.0, 0.7, 0.5), (2.0, 1.5, 1.0))
    amount = spread.matrix * spread.n[:, None]
    np.testing.assert_allclose(amount, amount.T, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(spread.n, [(labels == i).sum() for i in (3, 1, 5, 2, 4)])


# --- the same mouse turned round -----------------------------------------------------------------------------------------------

TURNS = {
    "shifted": lambda a: np.roll(a, (2, -1, 3), (0, 1, 2)),
    "flip z": lambda a: a[::-1],
    "flip y": lambda a: a[:, ::-1],
    "flip x": lambda a: a[:, :, ::-1],
    "fortran": np.asfortranarray,
    "foreign bytes": lambda a: a.astype(">i4"),
    "unsigned": lambda a: a.astype(np.uint64),
}


@pytest.mark.parametrize("turn", TURNS)
def test_matrix_does_not_depend_on_place_or_side(turn: str) -> None:
    labels = blobs((10, 11, 12), 4, margin=5)
    grid = grid_of(labels.shape, 0.8, 0.5, 0.4)
    plain = spread_matrix(labels, range(5), grid, 1.3)
    turned = spread_matrix(TURNS[turn](labels), range(5), grid, 1.3)
    # Shifted by less than the margin, background near organs stays the same; sums run in another order: float32.
    np.testing.assert_allclose(turned.matrix[1:, 1:], plain.matrix[1:, 1:], atol=2e-6)
    if turn != "shifted":
        np.testing.assert_allclose(turned.matrix, plain.matrix, atol=2e-6)


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 1, 0), (0, 2, 1)])
def test_axes_may_be_exchanged_with_their_sizes_and_widths(order: tuple[int, int, int]) -> None:
    labels, size, fwhm = blobs((10, 11, 12), 4, margin=4), np.array([0.8, 0.5, 0.4]), np.array([1.0, 1.6, 1.2])
    plain = spread_matrix(labels, range(5), grid_of(labels.shape, *size), fwhm)
    other = labels.transpose(order)
    turned = spread_matrix(other, range(5), grid_of(other.shape, *size[list(order)]), fwhm[list(order)])
    np.testing.assert_allclose(turned.matrix, plain.matrix, atol=2e-6)


def test_an_oblique_grid_blurs_by_the_size_of_its_voxels() -> None:
    labels = blobs((10, 11, 12), 4)
    straight = grid_of(labels.shape, 0.8, 0.5, 0.4)
    a, b = 0.4, 0.9
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    )
    affine = straight.affine.copy()
    affine[:3] = turn @ affine[:3]
    affine[:3, 3] = [3.0, -7.0, 11.0]
    oblique = spread_matrix(labels, range(1, 5), Grid(straight.shape, affine), (1.0, 1.6, 1.2)).matrix
    np.testing.assert_allclose(oblique, spread_matrix(labels, range(1, 5), straight, (1.0, 1.6, 1.2)).matrix, atol=1e-6)


def test_halving_the_voxels_of_the_same_shape_hardly_changes_the_matrix() -> None:
    coarse = blobs((10, 11, 12), 4)
    fine = coarse.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    one = spread_matrix(coarse, range(1, 5), grid_of(coarse.shape, 1, 1, 1), 4.0).matrix
    two = spread_matrix(fine, range(1, 5), grid_of(fine.shape, 0.5, 0.5, 0.5), 4.0).matrix
    # Variance 1/12 voxel² on 2.9 against a quarter of it: the width differs by 1.1 %, and so does what crosses a surface.
    np.testing.assert_allclose(two, one, atol=0.006)


def test_inputs_are_left_as_they_were() -> None:
    labels = blobs((8, 9, 10), 3, margin=2)
    values = np.random.default_rng(1).random(labels.shape).astype(np.float32)
    kept = labels.copy(), values.copy()
    labels.setflags(write=False)
    values.setflags(write=False)
    spread = spread_matrix(labels, range(4), grid_of(labels.shape, 1, 1, 1), 2.0)
    assert spread.near is not None
    near = spread.near.copy()
    width_spreads(labels, spread)
    covariance_of_means(labels, spread, np.ones(4), (1, 1, 1))
    means, covariance = np.ones(4), np.eye(4)
    unmix(means, covariance, spread)
    rbv_image(values, labels, means, spread)
    for now, before in zip((labels, values, spread.near, means, covariance), (*kept, near, np.ones(4), np.eye(4)), strict=True):
        np.testing.assert_array_equal(now, before)


def test_background_alone_and_far_background() -> None:
    labels = np.zeros((20, 20, 20), int)
    alone = spread_matrix(labels, [0], grid_of(labels.shape, 1, 1, 1), 2.0)
    assert alone.n[0] == labels.size
    labels[10, 10, 10] = 1
    spread = spread_matrix(labels, [0, 1], grid_of(labels.shape, 1, 1, 1), 2.0)
    assert spread.n.tolist() == [5**3 - 1, 1]  # one width, two voxels, to every side
    # What is beyond is part of its shape all the same: near background is surrounded by its like.
    assert spread.matrix[0].sum() == pytest.approx(1.0, abs=1e-5)
    assert spread.matrix[1].sum() == pytest.approx(1.0, abs=1e-5)
    narrow, wide = width_spreads(labels, spread)
    assert narrow.n.tolist() == wide.n.tolist() == spread.n.tolist()


# --- noise ---------------------------------------------------------------------------------------------------------------------


def test_covariances_are_those_of_many_noisy_images() -> None:
    labels = blobs((8, 9, 10), 4, margin=6)
    grid, length, truth = grid_of(labels.shape, 1, 1, 1), (0.8, 1.2, 1.0), np.array([1.0, 5.0, 2.0, 8.0, 3.0])
    spread = spread_matrix(labels, range(5), grid, 2.5)
    assert spread.near is not None
    rng, seen_means = np.random.default_rng(3), []
    chosen = [spread.near, *(labels == i for i in range(1, 5))]
    for _ in range(1500):
        grain = fft_blurred(rng.standard_normal(labels.shape), length)
        seen_means.append([grain[c].mean() for c in chosen])
    sampled = np.cov(np.array(seen_means), rowvar=False)
    sd = np.sqrt(np.diag(sampled))
    foretold = covariance_of_means(labels, spread, sd, length)
    # A correlation from 1500 draws is known to 1/√1500 = 0.026; four of them for the largest of ten.
    np.testing.assert_allclose(foretold / np.outer(sd, sd), sampled / np.outer(sd, sd), atol=0.1)
    assert (foretold / np.outer(sd, sd))[0, 1:].min() > 0.1
    np.testing.assert_allclose(np.diag(foretold), sd**2, rtol=1e-12)
    draws = spread.matrix @ truth + np.array(seen_means)
    solved = np.array([unmix(d, foretold, spread).means for d in draws])
    found = unmix(spread.matrix @ truth, foretold, spread)
    np.testing.assert_allclose(found.means, truth, rtol=1e-9)
    # 1500 draws give a standard deviation to 1.8 %; the correlations above add a little: 8 %.
    np.testing.assert_allclose(solved.std(axis=0, ddof=1), np.sqrt(np.diag(found.covariance)), rtol=0.08)
    assert np.linalg.eigvalsh(found.covariance).min() > 0
    # Undoing spill costs noise: a diagonal taken over from the means as seen would say less.
    assert (np.sqrt(np.diag(found.covariance)) > sd).all()


def test_independent_draws_match_w_inverse_c_w_inverse_transposed() -> None:
    spread = Spread((1, 2, 3), np.array([[0.8, 0.1, 0.05], [0.2, 0.7, 0.1], [0.1, 0.2, 0.6]]), np.array([9, 9, 9]), 2.0, (1.0, 1.0, 1.0))
    covariance = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 0.5]])
    found = unmix(np.array([3.0, 4.0, 5.0]), covariance, spread)
    draws = np.random.default_rng(0).multivariate_normal([3.0, 4.0, 5.0], covariance, 40_000)
    solved = np.linalg.solve(spread.matrix, draws.T)
    # 40 000 draws: a variance to 0.7 %, a covariance likewise of the geometric mean of its variances; three of them.
    limit = 0.021 * np.sqrt(np.outer(np.diag(found.covariance), np.diag(found.covariance)))
    assert (np.abs(np.cov(solved) - found.covariance) < limit).all()


def test_shared_noise_is_the_sum_over_all_pairs_of_voxels() -> None:
    labels = blobs((6, 7, 8), 3)
    spread = spread_matrix(labels, [1, 2, 3], grid_of(labels.shape, 1, 1, 1), 2.0)
    length, sd = np.array([0.7, 1.5, 2.5]), np.array([1.0, 2.0, 3.0])
    place = [np.argwhere(labels == i) for i in (1, 2, 3)]
    pairs = np.array([[np.exp(-(((a[:, None] - b[None]) / (2 * length)) ** 2).sum(-1)).sum() for b in place] for a in place])
    expected = pairs / np.sqrt(np.outer(np.diag(pairs), np.diag(pairs))) * np.outer(sd, sd)
    # The grain is followed to 4.5 · √2 lengths, where it is 4e-5; sums are float32.
    np.testing.assert_allclose(covariance_of_means(labels, spread, sd, length.tolist()), expected, rtol=1e-3)
    assert expected[0, 1] > 0.1


def test_white_noise_is_not_shared() -> None:
    labels = blobs((6, 7, 8), 3)
    spread = spread_matrix(labels, [1, 2, 3], grid_of(labels.shape, 1, 1, 1), 2.0)
    found = covariance_of_means(labels, spread, np.array([1.0, 2.0, np.nan]), (0, 0, 0))
    np.testing.assert_array_equal(found[:2, :2], np.diag([1.0, 4.0]))
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()


# --- what is missing stays missing ---------------------------------------------------------------------------------------------

MIXED = Spread((1, 2, 7), np.array([[0.8, 0.1, 0.0], [0.2, 0.7, 0.05], [0.0, 0.004, 0.9]]), np.array([50, 30, 20]), 1.5, (1.0, 1.0, 1.0))


def test_an_organ_without_a_mean_is_left_out_and_said() -> None:
    found = unmix(np.array([2.0, np.nan, 3.0]), np.eye(3), MIXED, {1: "liver", 2: "spleen", 7: "bladder"})
    np.testing.assert_allclose(found.means, [2.5, np.nan, 3.0 / 0.9])
    assert np.isnan(found.covariance[1]).all()
    assert np.isnan(found.covariance[:, 1]).all()
    assert found.covariance[0, 0] == pytest.approx(1 / 0.64)
    (finding,) = found.findings
    assert (finding.check, finding.status) == ("spill_unknown", "warn")
    assert "spleen has no value" in finding.reason
    assert "liver (10 %)" in finding.reason
    assert "bladder" not in finding.reason  # 0.4 % is not worth a word
    (harmless,) = unmix(np.array([2.0, 3.0, np.nan]), np.eye(3), Spread((1, 2, 7), np.eye(3), MIXED.n, 1.0, (1.0,) * 3)).findings
    assert harmless.status == "ok"


def test_nothing_measured_gives_nothing() -> None:
    found = unmix(np.full(3, np.nan), np.eye(3), MIXED)
    assert np.isnan(found.means).all()
    assert np.isnan(found.covariance).all()
    assert np.isnan(found.condition)
    assert np.isnan(sd_from_width(np.full(3, np.nan), MIXED, MIXED)).all()


def test_an_unknown_noise_spoils_only_what_it_enters() -> None:
    covariance = np.diag([1.0, 1.0, np.nan])
    found = unmix(np.array([2.0, 3.0, 4.0]), covariance, MIXED).covariance
    assert np.isnan(np.diag(found)).tolist() == [True, True, True]
    apart = Spread((1, 2, 7), np.array([[0.8, 0.1, 0.0], [0.2, 0.7, 0.0], [0.0, 0.0, 0.9]]), MIXED.n, 1.5, (1.0, 1.0, 1.0))
    found = unmix(np.array([2.0, 3.0, 4.0]), covariance, apart).covariance
    assert np.isnan(np.diag(found)).tolist() == [False, False, True]


def test_a_negative_mean_is_kept() -> None:
    assert unmix(np.array([10.0, -1.0, 0.0]), np.eye(3), MIXED).means[1] < 0


def test_unmixing_is_linear() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([5.0, -1.0, 2.0])
    one, two, both = (unmix(v, np.eye(3), MIXED).means for v in (a, b, 2 * a + 3 * b))
    np.testing.assert_allclose(both, 2 * one + 3 * two, rtol=1e-12)


# --- the picture ---------------------------------------------------------------------------------------------------------------


def test_the_picture_survives_zero_negative_and_missing() -> None:
    labels = np.zeros((9, 9, 24), int)
    labels[2:7, 2:7, 2:7], labels[2:7, 2:7, 9:14], labels[2:7, 2:7, 16:21] = 1, 2, 3
    spread = spread_matrix(labels, [1, 2, 3], grid_of(labels.shape, 1, 1, 1), 1.5)
    values = np.random.default_rng(2).normal(5, 1, labels.shape).astype(np.float32)
    values[0, 0, 0] = np.nan
    picture = rbv_image(values, labels, np.array([4.0, -1.0, np.nan]), spread)
    assert picture.dtype == np.float32
    assert np.isnan(picture[0, 0, 0])
    assert np.isfinite(picture.ravel()[1:]).all()
    assert (picture[labels == 1] > 0).all()
    np.testing.assert_array_equal(picture[0, 0, 23], values[0, 0, 23])
    # An organ of no level: nothing of its own, so its neighbour's spill is taken off; beyond that there is nothing to compare with.
    assert (picture[2:7, 2:7, 9] == 0).all()
    np.testing.assert_array_equal(picture[2:7, 2:7, 11], values[2:7, 2:7, 11])
    nothing = rbv_image(values, labels, np.zeros(3), spread)
    np.testing.assert_array_equal(nothing, values)


# --- refusals ------------------------------------------------------------------------------------------------------------------


def refused(code: str, labels: np.ndarray, wanted: Sequence[int], grid: Grid | None = None, fwhm: object = 1.0) -> InputError:
    with pytest.raises(InputError) as caught:
        spread_matrix(labels, wanted, grid or grid_of(labels.shape, 1, 1, 1), fwhm)  # type: ignore[arg-type]
    assert caught.value.code == code
    return caught.value


def test_maps_that_cannot_be_used_are_refused() -> None:
    labels = blobs((4, 5, 6), 3)
    assert "9" in refused("empty_region", labels, [1, 2, 3, 9]).found
    assert "0" in refused("empty_region", labels, [0, 1, 2, 3]).found
    assert "3" in refused("unnamed_label", labels, [1, 2]).found
    refused("label_twice", labels, [1, 2, 2])
    refused("label_twice", labels, [])
    refused("label_out_of_range", labels, [-1, 1])
    refused("label_out_of_range", labels, [1, 1 << 40])
    refused("labels_not_integers", labels.astype(float), [1, 2, 3])
    refused("shape_mismatch", labels, [1, 2, 3], grid_of((4, 5, 7), 1, 1, 1))
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    refused("sheared_grid", labels, [1, 2, 3], Grid((4, 5, 6), sheared))
    for width in (-1.0, np.nan, np.inf, (1.0, 2.0)):
        refused("fwhm_invalid", labels, [1, 2, 3], fwhm=width)


def test_interleaved_organs_are_refused_by_name() -> None:
    labels = np.zeros((16, 16, 24), int)
    labels[4:12, 4:12, 4:12] = 1 + np.indices((8, 8, 8)).sum(axis=0) % 2
    labels[4:12, 4:12, 15:20] = 3
    spread = spread_matrix(labels, [1, 2, 3], grid_of(labels.shape, 1, 1, 1), 3.0)
    assert spread.condition > 50
    with pytest.raises(InputError) as caught:
        unmix(np.array([5.0, 6.0, 7.0]), np.eye(3), spread, {1: "odd", 2: "even", 3: "apart"})
    assert caught.value.code == "spread_ill_conditioned"
    assert "odd, even" in str(caught.value)
    assert "apart" not in str(caught.value)
    # With one of the two missing the others can be told apart.
    assert np.isfinite(unmix(np.array([5.0, np.nan, 7.0]), np.eye(3), spread).means).tolist() == [True, False, True]


def test_means_that_do_not_fit_are_refused() -> None:
    for means, covariance in ((np.ones(2), np.eye(3)), (np.ones(3), np.ones(3))):
        with pytest.raises(InputError, match="shape_mismatch"):
            unmix(means, covariance, MIXED)
    with pytest.raises(InputError, match="shape_mismatch"):
        rbv_image(np.zeros((2, 2, 2)), np.zeros((2, 2, 3), int), np.ones(3), MIXED)


@pytest.mark.parametrize(
    ("setting", "key", "expected"),
    [
        (1.5, "", (1.5, 1.5, 1.5)),
        (2, "18F", (2.0, 2.0, 2.0)),
        ([1.0, 2.0, 3.0], "", (1.0, 2.0, 3.0)),
        ({"18F": 1.2, "124I": [2.0, 1.9, 1.8]}, "18F", (1.2, 1.2, 1.2)),
        ({"18F": 1.2, "124I": [2.0, 1.9, 1.8]}, "124I", (2.0, 1.9, 1.8)),
    ],
)
def test_width_from_the_config(setting: object, key: str, expected: tuple[float, float, float]) -> None:
    assert fwhm_of(setting, key) == expected


@pytest.mark.parametrize("setting", [0, -1.0, float("nan"), float("inf"), True, "1.5", None, [1.0, 2.0], [1.0, 2.0, 0.0], [[1], 2, 3]])
def test_width_that_cannot_be_used(setting: object) -> None:
    with pytest.raises(InputError, match="fwhm_invalid"):
        fwhm_of(setting)


def test_width_of_a_nuclide_is_not_guessed() -> None:
    with pytest.raises(InputError, match="fwhm_unknown") as caught:
        fwhm_of({"18F": 1.2}, "89Zr")
    assert "18F" in str(caught.value)
    assert "89Zr" in str(caught.value)
