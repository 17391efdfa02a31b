"""Animals on photographs: drawn here from analytic bodies, with tails, paws, noise, uneven light, nose cones and a pale rim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bli.drawn_mice import DrawnMouse, Thing, photograph, places_mm, planar_grid, silhouette
from tracker.bli.animals import Animals, find_animals
from tracker.bli.matching import Matched, match_animals, planar_sight, sketch
from tracker.errors import InputError
from tracker.image import FrameTimes, Grid, Quantity
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Bed, Label, Subject

FOV = 224.0
GRID = planar_grid(240, 240, FOV / 240)


def row_of(n: int, gap_mm: float, **more: Any) -> list[DrawnMouse]:
    """Animals side by side, noses not quite in line, each turned a little."""
    return [DrawnMouse((112 + (i - (n - 1) / 2) * gap_mm, 105.0 + 4 * (i % 2)), 90 + 4 * (i % 3 - 1), **more) for i in range(n)]


def found(mice: Sequence[DrawnMouse], grid: Grid = GRID, **scene: Any) -> Animals:
    picture = photograph(grid, mice, **scene)[0]
    return find_animals(picture, (grid.affine[1, 1], grid.affine[0, 0]), [m.weight_g for m in mice] or [25.0])


def check(animals: Animals, mice: Sequence[DrawnMouse], within_mm: float, dice: float, grid: Grid = GRID) -> None:
    """The animals are those drawn, from left to right: middles and outlines."""
    assert len(animals.area_mm2) == len(mice)
    ordered = sorted(mice, key=lambda m: m.centre_mm[0])
    for n, mouse in enumerate(ordered, start=1):
        assert np.hypot(*(animals.centre_mm[n - 1] - mouse.centre_mm)) < within_mm
        truth, seen = silhouette(mouse, *places_mm(grid)), animals.labels == n
        assert 2 * (truth & seen).sum() / (truth.sum() + seen.sum()) > dice


# A pixel is 0.93 mm; paws and a tail that is bent to one side are left out of a trunk's middle only nearly.
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_one_to_five_animals_apart(n: int) -> None:
    mice = row_of(n, 36.0)
    check(found(mice), mice, 0.6, 0.96)


@pytest.mark.parametrize(("n", "gap"), [(2, 22.7), (3, 22.0), (5, 22.7)])
def test_touching_animals_are_cut_apart_along_the_waist(n: int, gap: float) -> None:
    # A trunk of 25 g is 22.7 mm wide: they touch along the flanks. Paws and tails of neighbours lie over one another.
    mice = row_of(n, gap)
    check(found(mice), mice, 2.0, 0.92)


@pytest.mark.parametrize(("pixels", "gap", "within_mm"), [(60, 36.0, 1.2), (120, 36.0, 1.0), (480, 36.0, 0.6), (120, 23.0, 2.2)])
def test_any_binning(pixels: int, gap: float, within_mm: float) -> None:
    grid = planar_grid(pixels, pixels, FOV / pixels)
    mice = row_of(3, gap)
    check(found(mice, grid), mice, within_mm, 0.9, grid)


def test_animals_may_lie_any_way() -> None:
    mice = [DrawnMouse((62, 60), 30), DrawnMouse((158, 52), 200), DrawnMouse((60, 165), -60), DrawnMouse((160, 150), 0)]
    animals = found(mice)
    assert len(animals.area_mm2) == 4
    off = np.linalg.norm(animals.centre_mm[:, None] - np.array([m.centre_mm for m in mice])[None], axis=2)
    assert (off.min(axis=1) < 0.6).all() and (off.min(axis=0) < 0.6).all()


def test_light_and_heavy_animals_in_one_image() -> None:
    mice = [DrawnMouse((55, 100), weight_g=17), DrawnMouse((105, 100), weight_g=25), DrawnMouse((160, 100), weight_g=38)]
    animals = found(mice)
    check(animals, mice, 0.6, 0.95)
    # Areas go with weight to the power 2/3.
    assert animals.area_mm2[2] / animals.area_mm2[0] == pytest.approx((38 / 17) ** (2 / 3), rel=0.05)


def test_uneven_light_does_not_lose_the_outer_animals() -> None:
    mice = row_of(5, 38.0)
    check(found(mice, falloff=0.6), mice, 0.8, 0.93)


@pytest.mark.slow
def test_the_stage_may_have_a_pale_rim_and_the_animals_nose_cones_on_a_bar() -> None:
    mice = row_of(3, 40.0)
    rim = [Thing((0, 8), (0, 224), 2600.0), Thing((0, 224), (216, 224), 2600.0), Thing((219, 224), (0, 224), 1800.0)]
    bar = [Thing((0, 224), (18, 30), 1500.0)]
    cones = [Thing((m.centre_mm[0] - 7.5, m.centre_mm[0] + 7.5), (28, m.centre_mm[1] - 36), 1500.0) for m in mice]
    for things in (rim, cones, [*rim, *bar, *cones]):
        animals = found(mice, things=things)
        assert len(animals.area_mm2) == 3
        for centre, mouse in zip(animals.centre_mm, mice, strict=True):
            # A piece of a cone 15 mm wide may be left on a head.
            assert abs(centre[0] - mouse.centre_mm[0]) < 2.0 and abs(centre[1] - mouse.centre_mm[1]) < 6.0


@pytest.mark.slow
def test_dark_animals_on_a_pale_stage() -> None:
    mice = row_of(4, 36.0)
    check(found(mice, coat=250.0, stage=2000.0), mice, 0.8, 0.95)


def test_black_animals_on_a_black_stage_are_asked_for_and_so_is_an_empty_stage() -> None:
    for mice, scene in ((row_of(3, 36.0), {"coat": 155.0}), ([], {})):
        with pytest.raises(InputError) as error:
            found(mice, **scene)
        assert error.value.code == "animals_not_visible" and "rois" in error.value.do


def test_a_photograph_that_covers_less_than_the_image_and_one_without_a_number() -> None:
    mice = row_of(2, 40.0)
    picture = photograph(GRID, mice)[0]
    picture[:, :15] = np.nan
    picture[-15:] = np.nan
    assert len(find_animals(picture, (FOV / 240,) * 2, [25.0, 25.0]).area_mm2) == 2
    with pytest.raises(InputError) as error:
        find_animals(np.full((50, 50), np.nan), (1.0, 1.0), [25.0])
    assert error.value.code == "animals_not_visible"


def test_the_photograph_is_not_changed_and_shares_are_shares() -> None:
    picture = photograph(GRID, row_of(2, 40.0))[0]
    before = picture.copy()
    animals = find_animals(picture, (FOV / 240,) * 2, [25.0, 25.0])
    np.testing.assert_array_equal(picture, before)
    assert animals.shares.min() >= 0.0 and animals.shares.sum(axis=0).max() <= 1 + 1e-9


# --- whose is which ---------------------------------------------------------------------------------------------------------------


def quantity_of(picture: np.ndarray, grid: Grid = GRID) -> Quantity:
    times = FrameTimes(datetime(2026, 3, 1, 10), (0.0,), (60.0,))
    values = np.zeros((1, *grid.shape), np.float32)
    return Quantity(values, "photons/s/cm2/sr", grid, times, kind="radiance", maps={"photograph": picture})


def context_of(subject: str, positions: dict[str, str], view: str = "image", weight_g: float = 25.0, **constants: Any) -> Context:
    """An animal of an image whose sheet beds has ``positions`` (subject → place)."""
    beds = tuple(Bed("d1", "bli", "img", place, name, view) for name, place in positions.items())
    scan = Acquisition(subject, "d1", "bli", Path("/data/img"), f"d1_{subject}", label="luc")
    weights = dict.fromkeys(positions, weight_g)
    return Context("s", scan, Subject(subject, "mouse", weight_g), (), Label("luc", "reporter"), None, constants, Organs(), Corrections(),
                   beds=beds, bed_weights_g=weights)  # fmt: skip


@pytest.fixture(scope="module")
def three() -> tuple[list[DrawnMouse], Quantity]:
    mice = row_of(3, 40.0)
    return mice, quantity_of(photograph(GRID, mice))


def x_of(matched: Matched) -> float:
    return float(matched.animals.centre_mm[matched.number - 1][0])


@pytest.mark.parametrize("names", [("left", "centre", "right"), ("1", "2", "3")])
@pytest.mark.parametrize(("view", "edge", "order"), [("image", "", 1), ("technician", "bottom", 1), ("technician", "top", -1)])
def test_the_sheet_says_who_lies_where_as_the_camera_or_the_technician_sees_it(
    three: tuple[list[DrawnMouse], Quantity], names: tuple[str, ...], view: str, edge: str, order: int
) -> None:
    mice, quantity = three
    # In the sheet the rows may stand in any order.
    positions = {"b": names[1], "c": names[2], "a": names[0]}
    for subject, index in (("a", 0), ("b", 1), ("c", 2)):
        matched = match_animals(quantity, context_of(subject, positions, view, technician_at=edge))
        assert x_of(matched) == pytest.approx(mice[::order][index].centre_mm[0], abs=1.0)
        assert matched.subjects[matched.number] == subject
        assert silhouette(mice[::order][index], *places_mm(GRID))[matched.silhouette].mean() > 0.9


def test_animals_in_a_column_and_in_two_rows() -> None:
    lying = [DrawnMouse((100, 50 + 40 * i), 180.0) for i in range(3)]
    quantity = quantity_of(photograph(GRID, lying))
    matched = match_animals(quantity, context_of("m2", {f"m{i}": str(i + 1) for i in range(3)}))
    by_name = {name: matched.animals.centre_mm[n - 1][1] for n, name in matched.subjects.items()}
    assert by_name == pytest.approx({"m0": 50, "m1": 90, "m2": 130}, abs=1.0)
    assert matched.subjects[matched.number] == "m2"
    square = [DrawnMouse((60, 60)), DrawnMouse((150, 58)), DrawnMouse((62, 165)), DrawnMouse((148, 163))]
    quantity = quantity_of(photograph(GRID, square))
    named = {"a": "top_left", "b": "top_right", "c": "bottom_left", "d": "bottom_right"}
    for positions in (named, {"a": "1", "b": "2", "c": "3", "d": "4"}):
        matched = match_animals(quantity, context_of("c", positions))
        for n, name in matched.subjects.items():
            assert np.hypot(*(matched.animals.centre_mm[n - 1] - square["abcd".index(name)].centre_mm)) < 1.5


def test_where_the_technician_stood_is_never_guessed(three: tuple[list[DrawnMouse], Quantity]) -> None:
    with pytest.raises(InputError) as error:
        match_animals(three[1], context_of("a", {"a": "left", "b": "centre", "c": "right"}, "technician"))
    assert error.value.code == "beds_view" and "technician_at" in error.value.do


def test_the_technicians_right_hand_at_each_edge() -> None:
    # Whoever stands at the left edge looks to the image's right: the right hand is at its bottom.
    right = {edge: planar_sight("technician", edge).right.tolist() for edge in ("bottom", "top", "left", "right")}
    assert right == {"bottom": [1, 0], "top": [-1, 0], "left": [0, -1], "right": [0, 1]}


@pytest.mark.parametrize(("rows", "found_n"), [(2, 3), (4, 3)])
def test_another_number_than_the_sheets_is_an_error_with_both(three: tuple[list[DrawnMouse], Quantity], rows: int, found_n: int) -> None:
    with pytest.raises(InputError) as error:
        match_animals(three[1], context_of("m0", {f"m{i}": str(i + 1) for i in range(rows)}))
    assert error.value.code == "animals_count"
    assert error.value.found.startswith(f"{found_n},") and error.value.expected.startswith(f"{rows}:")


def test_several_animals_and_no_rows_are_never_matched_by_order(three: tuple[list[DrawnMouse], Quantity]) -> None:
    with pytest.raises(InputError) as error:
        match_animals(three[1], context_of("a", {}))
    assert error.value.code == "animals_unnamed" and error.value.found.startswith("3,")


def test_places_that_the_animals_do_not_have_are_an_error(three: tuple[list[DrawnMouse], Quantity]) -> None:
    with pytest.raises(InputError) as error:
        match_animals(three[1], context_of("a", {"a": "top", "b": "centre", "c": "bottom"}))
    assert error.value.code == "beds_layout"


def test_an_animal_alone_needs_no_row_and_one_at_the_edge_gets_a_finding() -> None:
    alone = match_animals(quantity_of(photograph(GRID, [DrawnMouse((100, 100))])), context_of("a", {}))
    assert alone.number == 1 and [f.check for f in alone.findings] == ["animals"]
    cut = match_animals(quantity_of(photograph(GRID, [DrawnMouse((100, 30))])), context_of("a", {}))
    assert "animal_cut" in [f.check for f in cut.findings]


def test_without_a_photograph_regions_are_asked_for() -> None:
    quantity = replace(quantity_of(np.zeros((1, 240, 240))), maps={})
    with pytest.raises(InputError) as error:
        match_animals(quantity, context_of("a", {}))
    assert error.value.code == "photograph_missing"


def test_the_sketch_names_each_animal_where_it_lies(three: tuple[list[DrawnMouse], Quantity]) -> None:
    mice, quantity = three
    drawing = sketch(quantity, match_animals(quantity, context_of("a", {"a": "left", "b": "centre", "c": "right"})))
    assert drawing.grey.min() >= 0 and drawing.grey.max() <= 1
    for (x, y, name), mouse, subject in zip(drawing.marks, mice, "abc", strict=True):
        assert name == subject
        assert ((x + 0.5) * FOV / 240, (y + 0.5) * FOV / 240) == pytest.approx(mouse.centre_mm, abs=1.0)
        assert drawing.labels[round(y), round(x)] > 0
