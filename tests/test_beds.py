"""Animals found in an image and matched with the places of a bed: shapes and rooms drawn here, not the phantom's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracker.beds.bodies import find_bodies, girth_mm
from tracker.beds.places import match, sight
from tracker.beds.split import split_bed
from tracker.errors import InputError
from tracker.image import FrameTimes, Grid, Quantity, Scan
from tracker.study.columns import POSITIONS
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Bed, Label, Subject

VOXEL = 1.0


def field(width: int = 76, height: int = 64, length: int = 110) -> Grid:
    affine = np.diag([-VOXEL, -VOXEL, VOXEL, 1.0])
    affine[:3, 3] = (width - 1) / 2 * VOXEL, (height - 1) / 2 * VOXEL, -(length - 1) / 2 * VOXEL
    return Grid((length, height, width), affine)


def ras(grid: Grid) -> list[np.ndarray]:
    index = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")[::-1]
    return [sum(grid.affine[r, a] * index[a] for a in range(3)) + grid.affine[r, 3] for r in range(3)]


def body(grid: Grid, x: float, y: float, weight_g: float = 25.0, yaw: float = 0.0) -> np.ndarray:
    """An ellipsoid of the animal's volume, 3.6 times as long as wide and a little flat; ``yaw`` [mm] its head lies to the right."""
    volume_mm3 = weight_g / 1.05 * 1000
    a = (volume_mm3 * 3 / (4 * np.pi * 0.85 * 3.6)) ** (1 / 3)
    px, py, pz = ras(grid)
    return ((px - x - yaw * pz / 45.0) / a) ** 2 + ((py - y) / (0.85 * a)) ** 2 + (pz / (3.6 * a)) ** 2 <= 1


def hot(grid: Grid, x: float, y: float, z: float, radius: float) -> np.ndarray:
    px, py, pz = ras(grid)
    return (px - x) ** 2 + (py - y) ** 2 + (pz - z) ** 2 <= radius**2


def noisy(image: np.ndarray, sd: float, seed: int = 1) -> np.ndarray:
    return image + np.random.default_rng(seed).normal(0.0, sd, image.shape)


PAIR = ((-13.5, 0.0), (13.5, 0.0))
SQUARE = ((-14.0, -12.0), (14.0, -12.0), (-14.0, 12.0), (14.0, 12.0))


def found_at(image: np.ndarray, grid: Grid, weights: list[float]) -> list[tuple[int, int]]:
    """Rounded transverse middles, sorted."""
    centre = find_bodies(image, grid, weights).centre_mm
    return sorted((round(float(x)), round(float(y))) for x, y, _ in centre)


# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [PAIR, SQUARE, SQUARE[:3], SQUARE[:1], ((-13.0, -10.0), (13.0, -10.0), (0.0, 11.0))])
@pytest.mark.parametrize("sheet", [2, 4])
def test_animals_are_counted_whatever_the_sheet_says(places: tuple[tuple[float, float], ...], sheet: int) -> None:
    grid = field()
    image = noisy(sum(body(grid, x, y) * 100.0 for x, y in places), 5.0)
    centre = find_bodies(image, grid, [25.0] * sheet).centre_mm
    for place in places:
        # A voxel of the coarse image is 2 mm at most; the middle of thousands of them is far better.
        assert np.abs(centre[:, :2] - place).max(axis=1).min() < 0.7
    assert len(centre) == len(places)


@pytest.mark.parametrize("uptake", [(1.0, 1.0), (1.0, 0.02)], ids=["alike", "one_fiftieth"])
def test_hot_organs_and_pale_animals(uptake: tuple[float, float]) -> None:
    # A bladder 300 times, kidneys 30 times as hot as the body, all blurred; the other animal pale.
    from scipy.ndimage import gaussian_filter

    grid, image = field(), 0.0
    for (x, y), level in zip(PAIR, uptake, strict=True):
        image = image + level * (body(grid, x, y) + 30.0 * hot(grid, x - 5, y, -12, 3) + 30.0 * hot(grid, x + 5, y, -10, 3))
        image = image + level * 300.0 * hot(grid, x, y + 2, -30, 3)
    image = noisy(gaussian_filter(image, 0.7), 0.002)
    assert len(find_bodies(image, grid, [25.0, 25.0]).centre_mm) == 2


def test_tubes_vials_and_the_bed_s_wall_are_no_animals() -> None:
    grid = field()
    px, py, _ = ras(grid)
    image = sum(body(grid, x, y) * 1.0 for x, y in SQUARE)
    image = np.maximum(image, 50.0 * ((px - 1) ** 2 + py**2 <= 4))  # a line full of tracer, along the bed, between the animals
    image = np.maximum(image, 200.0 * hot(grid, 0, 25, 40, 4))  # a vial
    image = np.maximum(image, 0.8 * (np.abs(py + 27) <= 1))  # a wall, 2 mm thick
    assert found_at(noisy(image, 0.03), grid, [25.0] * 4) == sorted((int(x), int(y)) for x, y in SQUARE)


def test_askew_animals_whose_shadows_overlap() -> None:
    # Both turned to the same side: across the bed one's head lies where the other's tail is.
    grid = field(90)
    image = noisy(body(grid, -11.5, 0.0, yaw=9.0) * 1.0 + body(grid, 11.5, 0.0, yaw=9.0), 0.05)
    bodies = find_bodies(image, grid, [25.0, 25.0])
    assert len(bodies.centre_mm) == 2
    for x in (-11.5, 11.5):
        own = body(grid, x, 0.0, yaw=9.0)
        share = np.bincount(bodies.territory[own]) / own.sum()
        assert share.max() > 0.98


@pytest.mark.parametrize("gap", [0.0, 1.0, 2.0])
def test_a_gap_of_no_one_or_two_voxels(gap: float) -> None:
    grid, x = field(), 0.0
    width = (25.0 / 1.05 * 1000 * 3 / (4 * np.pi * 0.85 * 3.6)) ** (1 / 3)
    x = width + gap / 2
    bodies = find_bodies(noisy(body(grid, -x, 0) * 1.0 + body(grid, x, 0), 0.05), grid, [25.0, 25.0])
    assert len(bodies.centre_mm) == 2
    left = body(grid, -x, 0)
    assert (np.bincount(bodies.territory[left]) / left.sum()).max() > 0.99


def test_different_sizes() -> None:
    grid = field()
    bodies = find_bodies(noisy(body(grid, -13, 0, 14.0) * 1.0 + body(grid, 13, 0, 35.0), 0.05), grid, [35.0, 14.0])
    small, large = sorted(bodies.volume_ml)
    assert small == pytest.approx(14 / 1.05, rel=0.25) and large == pytest.approx(35 / 1.05, rel=0.25)


def test_rats_are_found_with_their_own_size() -> None:
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    grid = Grid((120, 64, 90), affine)
    middle = (affine @ [44.5, 31.5, 59.5, 1.0])[:3]
    px, py, pz = (p - c for p, c in zip(ras(grid), middle, strict=True))
    rats = [((px - x) / 21) ** 2 + (py / 18) ** 2 + (pz / 75) ** 2 <= 1 for x in (-26, 26)]
    assert len(find_bodies(noisy(rats[0] * 1.0 + rats[1], 0.05), grid, [115.0, 115.0]).centre_mm) == 2


def test_organs_without_bodies_are_divided_at_a_real_gap() -> None:
    grid, image = field(), 0.0
    for x, y in PAIR:
        image = image + 100.0 * (hot(grid, x - 6, y, 12, 4) | hot(grid, x + 6, y, 12, 4) | hot(grid, x + 2, y + 2, -2, 6))
    bodies = find_bodies(noisy(image, 1.0), grid, [25.0, 25.0])
    assert bodies.volume_ml == () and len(bodies.centre_mm) == 2
    for x, y in PAIR:
        assert len(np.unique(bodies.territory[hot(grid, x - 6, y, 12, 4) | hot(grid, x + 6, y, 12, 4)])) == 1


@pytest.mark.parametrize("places", [((-6.0, 0.0), (6.0, 0.0)), ((-27.0, 0.0), (0.0, 0.0), (27.0, 0.0))])
def test_organs_that_two_animals_cannot_have_so_are_refused(places: tuple[tuple[float, float], ...]) -> None:
    # The lungs of one animal are no two animals; three groups a bed's width apart are no two either.
    grid = field()
    image = noisy(sum(hot(grid, x, y, 0, 3.5) * 100.0 for x, y in places), 1.0)
    with pytest.raises(InputError, match="beds_not_separable"):
        find_bodies(image, grid, [25.0, 25.0])


@pytest.mark.parametrize("image", [np.zeros((110, 64, 76)), np.full((110, 64, 76), np.nan)])
def test_nothing_to_see(image: np.ndarray) -> None:
    with pytest.raises(InputError, match="beds_not_visible"):
        find_bodies(image, field(), [25.0, 25.0])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_any_order_of_axes_finds_the_same(order: tuple[int, ...]) -> None:
    # A coronal or sagittal stack: the bed runs along another axis of the array.
    grid = field()
    image = noisy(sum(body(grid, x, y) * 1.0 for x, y in SQUARE[:3]), 0.05)
    columns = [grid.affine[:, 2 - axis] for axis in order][::-1]
    turned = Grid(tuple(grid.shape[a] for a in order), np.stack([*columns, grid.affine[:, 3]], axis=1))  # type: ignore[arg-type]
    assert found_at(image.transpose(order), turned, [25.0] * 3) == found_at(image, grid, [25.0] * 3)


def test_what_is_not_finite_is_no_animal_and_nothing_is_changed() -> None:
    grid = field()
    image = noisy(sum(body(grid, x, y) * 1.0 for x, y in PAIR), 0.05)
    image[50:55, 30:34, 20:24], image[0, 0, 0] = np.nan, np.inf
    before = image.copy()
    first, again = (find_bodies(image, grid, [25.0, 25.0]) for _ in range(2))
    assert len(first.centre_mm) == 2
    assert np.array_equal(image, before, equal_nan=True) and np.array_equal(first.territory, again.territory)


def test_girth_follows_weight() -> None:
    assert girth_mm(200.0) == pytest.approx(2 * girth_mm(25.0))


# --- matching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "left", "up"),
    # Standing at the feet of who went in head first; at the head of who went in feet first. From DICOM's figures of Patient Position.
    [
        ("HFS", "R", "A"),
        ("HFP", "L", "P"),
        ("FFS", "L", "A"),
        ("FFP", "R", "P"),
        ("HFDR", "A", "L"),
        ("FFDR", "P", "L"),
        ("HFDL", "P", "R"),
    ],
)
def test_the_technician_s_left_and_up(position: str, left: str, up: str) -> None:
    toward = {"R": [1, 0, 0], "L": [-1, 0, 0], "A": [0, 1, 0], "P": [0, -1, 0]}
    seen = sight("technician", position)
    assert (-seen.right).tolist() == toward[left] and seen.up.tolist() == toward[up]


def test_the_image_s_left_is_the_patient_s_right() -> None:
    seen = sight("image", "HFP")
    assert (-seen.right).tolist() == [1, 0, 0] and seen.up.tolist() == [0, 1, 0]


@pytest.mark.parametrize("position", ["", "XFS", "HF", "HFSX"])
def test_a_technician_needs_to_know_how_they_lay(position: str) -> None:
    with pytest.raises(InputError, match="beds_view"):
        sight("technician", position)


@pytest.mark.parametrize("position", POSITIONS)
def test_every_position_of_the_sheet_has_a_place(position: str) -> None:
    assert match((position,), np.array([[3.0, 4.0]]), 6.0) == (0,)


QUARTERS = np.array([[-14.0, 12.0], [14.0, 12.0], [-14.0, -12.0], [14.0, -12.0]])
ROW = np.array([[-39.0, 1.0], [-13.0, 0.0], [13.0, -2.0], [39.0, 0.0]])


@pytest.mark.parametrize(
    ("positions", "seen"),
    [
        (("top_left", "top_right", "bottom_left", "bottom_right"), QUARTERS),
        (("1", "2", "3", "4"), QUARTERS),
        (("1", "2", "3", "4"), ROW),
        (("1", "3", "4"), ROW[[0, 1, 3]]),
        (("top_left", "bottom_right"), QUARTERS[[0, 3]]),
        (("1", "4"), QUARTERS[[0, 3]]),
        (("left", "centre", "right"), ROW[:3]),
        (("top", "bottom_left", "bottom_right"), np.array([[0.0, 12.0], [-14.0, -10.0], [14.0, -10.0]])),
        (("top_left", "top_right", "bottom"), np.array([[-14.0, 12.0], [14.0, 12.0], [0.0, -10.0]])),
        (("left", "right", "top", "bottom"), np.array([[-20.0, 0.0], [20.0, 0.0], [0.0, 18.0], [0.0, -18.0]])),
        (("1", "2"), np.array([[0.0, 11.0], [1.0, -11.0]])),
        (("left", "right"), np.array([[-13.0, 4.0], [13.0, -4.0]])),
    ],
)
def test_every_order_of_bodies_is_matched(positions: tuple[str, ...], seen: np.ndarray) -> None:
    for order in permutations(range(len(seen))):
        number = match(positions, seen[list(order)], 6.0)
        assert [order[n] for n in number] == list(range(len(seen)))


@pytest.mark.parametrize(
    ("positions", "seen"),
    [
        (("left", "right"), np.array([[0.0, 11.0], [1.0, -11.0]])),
        (("top", "bottom"), np.array([[-13.0, 0.0], [13.0, 1.0]])),
        (("top_left", "top_right", "bottom_left"), ROW[:3]),
        (("top", "bottom_left", "bottom_right"), ROW[:3]),
        (("top_left", "bottom_right"), QUARTERS[[1, 2]]),
        (("4", "5"), QUARTERS[[1, 2]]),
    ],
)
def test_places_that_the_bodies_do_not_have(positions: tuple[str, ...], seen: np.ndarray) -> None:
    with pytest.raises(InputError, match="beds_layout"):
        match(positions, seen, 6.0)


# --- splitting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Header:
    patient_position: str = "HFS"


TIMES = FrameTimes(datetime(2026, 3, 2, 10, 0), (0.0, 60.0), (60.0, 60.0))
GRID = field()
IMAGE = np.stack([noisy(sum(body(GRID, x, y) * 100.0 for x, y in PAIR), 5.0, seed) for seed in (1, 2)]).astype(np.float32)


def context(subject: str = "m1", rows: tuple[tuple[str, str], ...] = (("m1", "left"), ("m2", "right"))) -> Context:
    """m1 lies on the image's left, so at the patient's right."""
    one = Acquisition(subject, "d1", "pet", Path("bed"), "d1", label="zr")
    beds = tuple(Bed("d1", "pet", "bed", position, name, "image") for name, position in rows)
    weights = {name: 25.0 for name, _ in rows}
    plain = Context("s", one, Subject(subject, "mouse", 25.0), (), Label("zr", "radionuclide", "89Zr"), None, {}, Organs(), Corrections())
    return replace(plain, beds=beds, bed_weights_g=weights)


def scan_of(values: Any = IMAGE, grid: Grid = GRID, frame: str = "1.2") -> Scan:
    return Scan(values, "Bq/mL", replace(grid, frame_of_reference_uid=frame), TIMES, Header())


def quantity_of(scan: Scan, **more: Any) -> Quantity:
    return Quantity(scan.values, "Bq/mL", scan.grid, TIMES, method="raw", **more)


def test_everything_beside_the_values_goes_with_them() -> None:
    scan = scan_of()
    index = np.arange(IMAGE[0].size).reshape(IMAGE[0].shape).astype(np.float32)
    maps = {"codes": np.ones(IMAGE[0].shape, np.uint8), "s0": index[None]}
    whole = quantity_of(
        scan, sd_voxel=IMAGE * 0.1, censored=IMAGE > 0, limit=np.broadcast_to(index, IMAGE.shape), maps=maps, facts={"a": 1.0}
    )
    part = split_bed(scan, whole, context())
    own = part.maps["territory"] > 0
    shape = own.shape
    assert (
        all(n < full for n, full in zip(shape[2:], GRID.shape[2:], strict=True)) and part.values.shape == (2, *shape) == part.sd_voxel.shape
    )
    for image in (part.values, part.sd_voxel, part.limit):
        assert np.isnan(image[:, ~own]).all() and np.isfinite(image[:, own]).all()
    assert part.censored.dtype == bool and not part.censored[:, ~own].any() and part.censored[:, own].any()
    assert part.maps["codes"].dtype == np.uint8 and part.facts == {"a": 1.0} and part.grid.frame_of_reference_uid == "1.2"
    # Each voxel is where it was: its old number, from where its middle lies in the old grid.
    z, y, x = (n // 2 for n in shape)
    at = np.linalg.inv(GRID.affine) @ part.grid.affine @ [x, y, z, 1.0]
    old = tuple(np.rint(at[[2, 1, 0]]).astype(int))
    assert part.maps["s0"][0, z, y, x] == index[old] == part.limit[0, z, y, x]


def test_each_finds_its_own_and_no_voxel_has_two_owners() -> None:
    scan, sides, taken = scan_of(), {}, np.zeros(GRID.shape, int)
    for subject in ("m1", "m2"):
        part = split_bed(scan, quantity_of(scan), context(subject))
        own = part.maps["territory"] > 0
        z, y, x = np.argwhere(own).mean(axis=0)
        sides[subject] = (part.grid.affine @ [x, y, z, 1.0])[0]
        offset = np.rint((np.linalg.inv(GRID.affine) @ part.grid.affine)[:3, 3]).astype(int)[::-1]
        taken[tuple(slice(o, o + n) for o, n in zip(offset, own.shape, strict=True))] += own
        assert f"{subject} " in next(f.reason for f in part.findings if f.check == "beds")
    assert sides["m1"] > 5 and sides["m2"] < -5
    assert taken.max() == 1


def test_frames_stay_lazy() -> None:
    import dask.array as da

    scan = scan_of(da.from_array(IMAGE, chunks=(1, *GRID.shape)))
    part = split_bed(scan, quantity_of(scan), context())
    assert isinstance(part.values, da.Array)
    assert np.array_equal(part.values.compute(), split_bed(scan_of(), quantity_of(scan_of()), context()).values, equal_nan=True)


def test_one_animal_of_a_bed_with_empty_places() -> None:
    alone = np.stack([noisy(body(GRID, 13.0, 0.0) * 100.0, 5.0)] * 2).astype(np.float32)
    part = split_bed(scan_of(alone), quantity_of(scan_of(alone)), context(rows=(("m1", "left"),)))
    assert part.method == "raw>bed:left"
    with pytest.raises(InputError, match=r"beds_count: .*found 2.*expected 1: m1 left"):
        split_bed(scan_of(), quantity_of(scan_of()), context(rows=(("m1", "left"),)))


def test_bodies_of_an_anatomical_scan_in_the_same_frame_of_reference() -> None:
    # The scan shows one hot spot in one animal, near the other: only the anatomy, on voxels of its own, tells whose it is.
    coarse = Grid((60, 34, 40), np.array([[-2.0, 0, 0, 40.0], [0, -2.0, 0, 34.0], [0, 0, 2.0, -60.0], [0, 0, 0, 1]]))
    anatomy = np.stack([noisy(sum(body(coarse, x, y) * 100.0 for x, y in PAIR), 5.0)])
    spot = np.stack([hot(GRID, 4.0, 0.0, 0.0, 2.0) * 100.0] * 2).astype(np.float32)
    outline = replace(scan_of(anatomy, coarse), times=replace(TIMES, start_s=(0.0,), duration_s=(60.0,)))
    sums = [np.nansum(split_bed(scan_of(spot), quantity_of(scan_of(spot)), context(s), outline).values) for s in ("m1", "m2")]
    assert sums == [pytest.approx(spot.sum()), 0.0]
    elsewhere = replace(outline, grid=replace(coarse, frame_of_reference_uid="1.3"))
    with pytest.raises(InputError, match="beds_frame"):
        split_bed(scan_of(spot), quantity_of(scan_of(spot)), context(), elsewhere)
