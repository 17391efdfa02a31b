"""What borders in doubt do to organ values: limits, analytic spheres, and truths whose borders were moved by another generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import correlate1d, gaussian_filter, map_coordinates

from tracker.image import Grid, OrganMap, Quantity
from tracker.mouse import mouse_grid, mouse_labels
from tracker.quantify import label_statistics, quantify, unmixed_rows
from tracker.quantify.border import find_borders
from tracker.quantify.boundary import BoundarySd, Draws, boundary_sd, draws, fields_at, moved_sums, shared_out
from tracker.quantify.boundary_unmixed import boundary_sd_unmixed, mixed_borders
from tracker.spillover import spread_matrix, unmix
from tracker.spillover.width import blur_kernel
from tracker.study.model import Context

Make = Callable[..., tuple[Quantity, OrganMap]]
VOXEL_MM = 0.5
GRID = Grid((56, 56, 56), np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0]))
MIDDLES = (np.arange(56) - 27.5) * VOXEL_MM


def _sphere(radius_mm: float) -> np.ndarray:
    z, y, x = np.meshgrid(MIDDLES, MIDDLES, MIDDLES, indexing="ij")
    return (x**2 + y**2 + z**2 <= radius_mm**2).astype(np.uint8)


def _sd(values: np.ndarray, labels: np.ndarray, sd_mm: dict[int, float], moving: Draws | None = None) -> BoundarySd:
    wanted = sorted(set(np.unique(labels).tolist()) - {0})
    borders = find_borders(labels, np.array(wanted), sd_mm, GRID)
    found = label_statistics(values, labels, wanted)
    assert borders is not None
    return boundary_sd(values, borders, found.mean, found.n, moving)


def _map() -> np.ndarray:
    labels = np.zeros((14, 16, 18), np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 3
    labels[3:8, 3:9, 3:9] = 1
    labels[9:12, 3:13, 10:15] = 2
    return labels


NAMES = {1: "liver", 2: "left_lung", 3: "rest"}


def test_a_map_that_states_no_doubt_gives_the_same_rows_to_the_last_bit(make: Make, context: Context) -> None:
    image = np.random.default_rng(0).normal(50.0, 10.0, (2, 14, 16, 18)).astype(np.float32)
    quantity, organs = make(image, _map(), NAMES, scale_cv=0.05)
    plain = quantify(quantity, organs, context).rows
    # An index of no organ is nobody's border.
    assert quantify(quantity, replace(organs, boundary_sd_mm={9: 1.0}), context).rows == plain
    assert not any("boundary" in row.method for row in plain)


def test_rows_take_the_border_in_quadrature_and_say_so(make: Make, context: Context) -> None:
    image = np.random.default_rng(0).normal(50.0, 10.0, (1, 14, 16, 18)).astype(np.float32)
    image[0][_map() == 1] += 100
    quantity, organs = make(image, _map(), NAMES, scale_cv=0.05, affine=np.diag([0.5, 0.5, 0.5, 1.0]))
    told = replace(organs, boundary_sd_mm={1: 0.2})
    before, after = ({(r.organ, r.quantity): r for r in quantify(quantity, m, context).rows} for m in (organs, told))
    borders = find_borders(organs.labels, np.array([1, 2, 3]), {1: 0.2}, organs.grid)
    found = label_statistics(image[0], organs.labels, [1, 2, 3])
    sd = boundary_sd(image[0], borders, found.mean, found.n)
    for kind, border in (("concentration", sd.mean[0]), ("signal", sd.amount[0])):
        row, plain = after["liver", kind], before["liver", kind]
        assert border > 0.02 * plain.value
        assert row.sd_noise == pytest.approx(np.hypot(plain.sd_noise, border), rel=1e-9)
        assert row.value == plain.value and row.sd_scale == plain.sd_scale and row.method == plain.method + ">boundary"
    assert after["liver", "concentration_max"] == before["liver", "concentration_max"]
    # The lung touches no border in doubt; the rest of the body shares the liver's.
    assert all(after["left_lung", kind] == before["left_lung", kind] for kind in ("signal", "concentration"))
    assert after["rest", "concentration"].sd_noise > before["rest", "concentration"].sd_noise


def test_rates_have_it_and_a_lower_bound_counts_its_voxels_at_the_limit(make: Make, context: Context) -> None:
    from tracker.image import Conversion

    labels = _map()
    image = np.where(labels == 1, 90.0, 20.0).astype(np.float32)[None]
    above = np.zeros(image.shape, bool)
    above[0, 3, 3:9, 3:9] = True
    change = {"kind": "relaxation_rate", "unit": "1/s", "conversion": Conversion(2.0, "ug/mL", 0.1, "relaxivity")}
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    plain, _ = make(image, labels, NAMES, affine=affine, **change)
    cut, organs = make(
        np.where(above, np.nan, image), labels, NAMES, affine=affine, censored=above, limit=np.full(image.shape, 90.0), **change
    )
    organs = replace(organs, boundary_sd_mm={1: 0.2, 2: 0.2, 3: 0.2})
    # With the hidden voxels at their limit, which here is what they hold, nothing is hidden from the border's error.
    free, bound = ({(r.organ, r.quantity): r for r in quantify(q, organs, context).rows} for q in (plain, cut))
    for kind in ("r2star", "concentration", "signal"):
        assert bound["liver", kind].cens == -1 and bound["liver", kind].value == pytest.approx(free["liver", kind].value)
        assert bound["liver", kind].sd_noise == pytest.approx(free["liver", kind].sd_noise, rel=1e-3)
        assert "boundary" in free["liver", kind].method.split(">")
    assert free["liver", "concentration"].sd_noise == pytest.approx(2 * free["liver", "r2star"].sd_noise)


def test_even_image_leaves_the_mean_and_moves_the_amount_with_the_volume() -> None:
    labels = _sphere(5.0)
    sd = _sd(np.full(labels.shape, 7.0, np.float32), labels, {1: 0.3})
    borders = find_borders(labels, np.array([1]), {1: 0.3}, GRID)
    volumes = borders.n + moved_sums(np.ones(labels.shape), borders, np.zeros(1), draws())[:, :, 2]
    assert sd.mean[0] == 0.0
    assert sd.amount[0] == pytest.approx(7.0 * np.sqrt(((volumes - borders.n) ** 2).mean()) * VOXEL_MM**3 / 1000, rel=1e-9)


def test_it_goes_to_nothing_in_proportion_to_the_doubt() -> None:
    labels = _sphere(5.0)
    image = labels * np.float32(10.0)
    one, tenth, none = (_sd(image, labels, {1: s}) for s in (1e-3, 1e-4, 1e-300))
    assert one.mean[0] == pytest.approx(10 * tenth.mean[0], rel=0.01) and none.mean[0] < 1e-250
    assert one.amount[0] == pytest.approx(10 * tenth.amount[0], rel=0.01)
    assert 0 < tenth.mean[0] < 1e-3


@pytest.mark.parametrize("shift_mm", [0.1, 0.35, 1.0])
def test_a_shifted_sphere_loses_the_share_of_its_lens(shift_mm: float) -> None:
    # The same shift in every draw, half the variance. Along an axis: sharp steps of voxels lose more by a slanted one, as such steps do.
    sd_mm, radius, way = shift_mm * np.sqrt(2), 5.0, np.array([0.0, -1.0, 0.0])
    moving = Draws(np.tile(way, (2, 1)).astype(np.float32), np.zeros((32, 32, 32, 2), np.float32))
    labels = _sphere(radius)
    sd = _sd(labels * np.float32(10.0), labels, {1: sd_mm}, moving)
    lost = 3 * shift_mm / (4 * radius) - shift_mm**3 / (16 * radius**3)
    # Of the sphere as voxels; 3 %: its surface is a staircase of half a millimetre.
    assert sd.mean[0] == pytest.approx(10 * lost, rel=0.03)
    # In air the amount that is left is what is inside.
    assert sd.amount[0] == pytest.approx(10 * lost * labels.sum() * VOXEL_MM**3 / 1000, rel=0.03)


def test_a_shell_that_moves_out_or_in_takes_the_surface_integral() -> None:
    # The smooth field alone, the same everywhere: a border moved along its normal, out and in (either takes whole voxels). Between the
    # block's points it is up to 1.2 times the value at them (variance is kept for fields that vary), 1.06 on the mean of a cell.
    moving = Draws(np.zeros((2, 3), np.float32), np.broadcast_to(np.float32([1, -1]), (32, 32, 32, 2)).copy())
    sd_mm, radius = 0.1, 6.0
    labels = _sphere(radius)
    z, y, x = np.meshgrid(MIDDLES, MIDDLES, MIDDLES, indexing="ij")
    image = (20.0 - np.sqrt(x**2 + y**2 + z**2)).astype(np.float32)
    sd = _sd(image, labels, {1: sd_mm}, moving)
    area, volume, out_mm = 4 * np.pi * radius**2, 4 / 3 * np.pi * radius**3, sd_mm * np.sqrt(0.5) * 1.06
    mean = 20.0 - 0.75 * radius
    # 5 %: normals of a staircase are off by 4°, and the cells are not evenly met.
    assert sd.mean[0] == pytest.approx(area * out_mm / volume * (mean - (20.0 - radius)), rel=0.05)
    assert sd.amount[0] == pytest.approx(area * out_mm * (20.0 - radius) / 1000, rel=0.05)


@pytest.mark.parametrize("radius", [4.0, 8.0, 12.0])
def test_volume_varies_as_the_field_says(radius: float) -> None:
    # Mean of a field correlated as exp(-d²/2r²) over a sphere of radius r: variance e⁻¹ sinh 1. The shift changes no volume.
    labels = _sphere(radius)
    sd = _sd(np.ones(labels.shape, np.float32), labels, {1: 0.2})
    expected = 0.2 * np.sqrt(0.5 * np.exp(-1) * np.sinh(1)) * 4 * np.pi * radius**2 / 1000
    # 32 draws tell a standard deviation to an eighth; two of them.
    assert sd.amount[0] == pytest.approx(expected, rel=0.25)


def test_turned_grids_and_flat_voxels_agree() -> None:
    # The same sphere in voxels of 0.5 × 0.5 × 1 mm, in any order of axes: the same sd, to what draws of another field differ by.
    z, y, x = np.meshgrid(MIDDLES, MIDDLES, MIDDLES[::2] + VOXEL_MM / 2, indexing="ij")
    labels = (x**2 + y**2 + z**2 <= 36.0).astype(np.uint8)
    found = []
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        turned = np.ascontiguousarray(labels.transpose(order))
        size = np.array([0.5, 0.5, 1.0])[list(order)]
        borders = find_borders(turned, np.array([1]), {1: 0.2}, Grid(turned.shape, np.diag([*size[::-1], 1.0])))
        n = np.array([labels.sum()])
        found.append(boundary_sd(turned * 10.0, borders, np.array([10.0]), n).mean[0])
    assert found == pytest.approx([np.mean(found)] * 3, rel=0.25)
    assert np.mean(found) == pytest.approx(_sd(_sphere(6.0) * 10.0, _sphere(6.0), {1: 0.2}).mean[0], rel=0.15)


def test_an_organ_that_most_draws_leave_nothing_of_has_no_sd(make: Make, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = _map()
    labels[labels == 2] = 3
    labels[10, 6, 12] = 2
    quantity, organs = make(np.random.default_rng(0).normal(50.0, 10.0, (1, *labels.shape)), labels, NAMES)
    inwards = Draws(np.zeros((4, 3), np.float32), np.full((32, 32, 32, 4), -1.0, np.float32))
    monkeypatch.setattr("tracker.quantify.boundary.draws", lambda: inwards)
    result = quantify(quantity, replace(organs, boundary_sd_mm={2: 5.0}), context)
    assert next(r for r in result.rows if (r.organ, r.quantity) == ("left_lung", "signal")).sd_noise is None
    assert next(f.reason for f in result.findings if f.check == "boundary_too_wide").startswith("left_lung")


def test_voxels_that_are_nan_are_no_zeros() -> None:
    labels = _sphere(5.0)
    image = np.where(labels > 0, 10.0, np.nan)
    assert _sd(image, labels, {1: 0.3}).mean[0] == 0.0


# name: middle, half axes [mm], exponent, what a mL holds; beside one another in a background of 1.
_ORGANS = (
    ((-5.0, 0.0, -5.0), (4.0, 3.5, 3.0), 2.0, 10.0),
    ((5.0, -4.0, 4.0), (2.6, 3.0, 5.0), 2.4, 3.0),
    ((4.0, 6.0, -5.0), (3.0, 2.0, 4.0), 2.0, 6.0),
    ((-5.0, 0.0, 5.0), (2.2, 2.2, 2.2), 2.0, 0.2),
)


def _inside(middle: np.ndarray, axes: np.ndarray, exponent: float, off: np.ndarray | float = 0.0) -> np.ndarray:
    z, y, x = (MIDDLES + o for o in np.broadcast_to(off, 3))
    parts = [np.abs((c - m) / a) ** exponent for c, m, a in zip((z, y, x), middle, axes, strict=True)]
    return parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :] <= 1


def _normal_sd_mm(axes: tuple[float, ...], exponent: float, sd_mm: float) -> float:
    """Root mean square way along its normal of a superellipsoid's surface whose half axes and middle each have ``sd_mm``."""
    points = np.random.default_rng(1).standard_normal((4000, 3))
    points /= (np.abs(points / np.array(axes)) ** exponent).sum(axis=1, keepdims=True) ** (1 / exponent)
    slope = np.sign(points) * np.abs(points / np.array(axes)) ** (exponent - 1) / np.array(axes)
    normal = slope / np.linalg.norm(slope, axis=1, keepdims=True)
    return float(np.sqrt((sd_mm**2 * (1 + ((points / np.array(axes) * normal) ** 2).sum(axis=1))).mean()))


@pytest.mark.slow
def test_truths_with_other_axes_and_middles_are_inside_the_interval() -> None:
    corners = np.array(np.meshgrid(*[[-VOXEL_MM / 4, VOXEL_MM / 4]] * 3)).reshape(3, -1).T
    truth, image = np.zeros(GRID.shape, np.uint8), np.ones(GRID.shape)
    for i, (middle, axes, exponent, held) in enumerate(_ORGANS, start=1):
        image += (held - 1.0) * np.mean([_inside(np.array(middle), np.array(axes), exponent, o) for o in corners], axis=0)
        truth[_inside(np.array(middle), np.array(axes), exponent)] = i
    image = gaussian_filter(image, 1.2 / 2.3548 / VOXEL_MM).astype(np.float32)
    right = label_statistics(image, truth, [1, 2, 3, 4]).mean
    plain, undone = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        labels, sd_mm = np.zeros(GRID.shape, np.uint8), {}
        for i, (middle, axes, exponent, _) in enumerate(_ORGANS, start=1):
            labels[_inside(random.normal(middle, 0.25), random.normal(axes, 0.25), exponent)] = i
            sd_mm[i] = _normal_sd_mm(axes, exponent, 0.25)
        found = label_statistics(image, labels, [1, 2, 3, 4])
        plain.append((found.mean - right) / _sd(image, labels, sd_mm).mean)
        spread = spread_matrix(labels, [1, 2, 3, 4, 0], GRID, 1.2)
        means = np.append(found.mean, image[spread.near].mean())
        true = unmix(means, np.zeros((5, 5)), spread).means
        organs = OrganMap(labels, {i: str(i) for i in sd_mm}, GRID, boundary_sd_mm=sd_mm)
        sd = boundary_sd_unmixed(image, mixed_borders(organs, spread), means, true)
        undone.append((true[:4] - [held for *_, held in _ORGANS]) / sd.mean[:4])
    for z in (np.array(plain), np.array(undone)):
        # 240 intervals each: 94 and 93 % (of 600: 96 and 94 %), and none so wide that it says nothing.
        assert np.mean(np.abs(z) < 1.96) >= 0.9
        assert 0.65 < np.sqrt((z**2).mean()) < 1.2


def test_unmixed_draws_are_those_of_whole_blurs() -> None:
    """Four draws with every moved shape blurred as a whole by scipy, and the matrix solved again."""
    organs = mouse_labels(25.0, mouse_grid(25.0, 1.0))
    labels = sorted(organs.names)
    organs = replace(organs, boundary_sd_mm=dict.fromkeys(labels, 0.3))
    spread = spread_matrix(organs.labels, labels, organs.grid, 1.8)
    held = np.append(0.0, np.random.default_rng(0).uniform(1, 10, len(labels)))

    def blurred(image: np.ndarray) -> np.ndarray:
        for axis, sd in enumerate(spread.sd_voxels):
            image = correlate1d(image, blur_kernel(sd), axis=axis, mode="constant")
        return image

    image = blurred(held[organs.labels])
    means = label_statistics(image, organs.labels, labels).mean
    true = unmix(means, np.zeros((13, 13)), spread).means
    moving = draws(4)
    mixed = mixed_borders(organs, spread, moving)
    fixed, drawn, _ = shared_out(mixed.borders, moving)
    steps, field = np.zeros((len(mixed.borders.place), 3, 4), np.float32), np.empty(4, np.float32)
    for place, piece, step in zip(mixed.borders.place, mixed.borders.source, steps, strict=True):
        fields_at(place, piece, fixed, drawn, field, step)
    change = []
    for k in range(4):
        points = np.indices(organs.labels.shape).astype(float)
        points[(slice(None), *mixed.borders.place.T)] += steps[:, :, k].T
        moved = np.stack([map_coordinates((organs.labels == one).astype(float), points, order=1, mode="nearest") for one in labels])
        seen = np.stack([blurred(one) for one in moved])
        matrix = np.einsum("izyx,jzyx->ij", moved, seen, optimize=True)
        change.append(np.linalg.solve(matrix, np.einsum("izyx,zyx->i", moved, image)) - true)
    expected = np.sqrt((np.array(change) ** 2).mean(axis=0))
    # 3 %: ours follows the blur to three standard deviations only.
    assert boundary_sd_unmixed(image, mixed, means, true).mean == pytest.approx(expected, rel=0.03)
    assert (expected / true).max() > 0.05


def test_unmixed_rows_have_it(context: Context) -> None:
    organs = mouse_labels(25.0, mouse_grid(25.0, 1.0))
    image = gaussian_filter((1.0 + (7 * organs.labels.astype(float)) % 11) * (organs.labels > 0), 0.7)[None].astype(np.float32)
    from datetime import datetime

    from tracker.image import FrameTimes

    quantity = Quantity(image, "Bq/mL", organs.grid, FrameTimes(datetime(2024, 5, 2, 10), (0.0,), (600.0,)), scale_cv=0.03)
    told = replace(context, constants={"psf_fwhm_mm": 1.6, "spill_over": "gtm", "psf_fwhm_sd_percent": 5.0})
    found = []
    for sd_mm in ({}, {2: 0.3}):
        own = replace(organs, boundary_sd_mm=sd_mm)
        found.append({(r.organ, r.quantity): r for r in unmixed_rows(quantity, own, quantify(quantity, own, told).rows, told).rows})
    plain, doubted = found
    heart, lung = ("heart", "concentration"), ("lung_left", "concentration")
    assert doubted[heart].sd_noise > 1.5 * plain[heart].sd_noise and doubted[heart].value == plain[heart].value
    assert doubted[heart].method == plain[heart].method.replace(">gtm", ">boundary>gtm")
    # The lung shares no border with the heart, but what the heart spills into it is not as sure as it was.
    assert doubted[lung].sd_noise > plain[lung].sd_noise and ">boundary>gtm" in doubted[lung].method
