"""Regions of one animal: whose, which part of each pixel, and what is refused. Areas are the shapes' own; sums are of a known image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bli.drawn_mice import DrawnMouse, photograph, places_mm, planar_grid, silhouette
from tracker.bli.regions import regions
from tracker.bli.rois import VendorRoi
from tracker.errors import InputError
from tracker.image import FrameTimes, OrganMap, Quantity
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Bed, Label, Roi, Subject

PX = 1.4
GRID = planar_grid(160, 160, PX)
LEFT, RIGHT = DrawnMouse((70.0, 110.0)), DrawnMouse((150.0, 112.0), 88.0)


def quantity_of(mice: Sequence[DrawnMouse] = ()) -> Quantity:
    maps = {"photograph": photograph(GRID, mice)} if mice else {}
    times = FrameTimes(datetime(2026, 3, 1, 10), (0.0,), (60.0,))
    return Quantity(np.ones((1, *GRID.shape), np.float32), "photons/s/cm2/sr", GRID, times, kind="radiance", maps=maps)


def row(roi: str, organ: str = "lung", subject: str = "a", **shape: float) -> Roi:
    return Roi("d1", "img", roi, subject, organ, **shape)


def drawn(label: str, shape: str = "circle", x: float = 70.0, y: float = 90.0, w: float = 12.0, h: float = 12.0, **more: Any) -> VendorRoi:
    given: dict[str, Any] = {"angle_deg": 0.0} | more
    return VendorRoi(label=label, shape=shape, kind="Measurement", x_mm=x, y_mm=y, width_mm=w, height_mm=h, **given)


def context_of(rows: Sequence[Roi] = (), subject: str = "a", beds: Sequence[str] = ()) -> Context:
    scan = Acquisition(subject, "d1", "bli", Path("/data/img"), f"d1_{subject}", label="luc")
    places = tuple(Bed("d1", "bli", "img", str(n), name, "image") for n, name in enumerate(beds, start=1))
    return Context("s", scan, Subject(subject, "mouse", 25.0), (), Label("luc", "reporter"), None, {}, Organs(), Corrections(),
                   beds=places, bed_weights_g=dict.fromkeys(beds, 25.0), rois=tuple(rows))  # fmt: skip


def share(found: OrganMap, organ: str) -> np.ndarray:
    return found.shares[next(n for n, name in found.names.items() if name == organ)][0]


def area_mm2(found: OrganMap, organ: str) -> float:
    return float(share(found, organ).sum()) * PX**2


def refused(code: str, rows: Sequence[Roi], vendor: Sequence[VendorRoi] = (), quantity: Quantity | None = None, **known: Any) -> InputError:
    with pytest.raises(InputError) as error:
        regions(quantity or quantity_of(), context_of(rows, **known), vendor)
    assert error.value.code == code
    return error.value


def test_shapes_of_the_sheet_have_their_area_and_place() -> None:
    rows = [
        row("circle", "lung", x_mm=70, y_mm=90, width_mm=11),
        row("Ellipse", "liver", x_mm=70, y_mm=120, width_mm=14, height_mm=8, angle_deg=30),
        row("square", "knee", x_mm=40, y_mm=120, width_mm=9),
        row("rectangle", "background", x_mm=190, y_mm=30, width_mm=30, height_mm=10, angle_deg=15),
    ]
    found = regions(quantity_of(), context_of(rows))
    expected = {"lung": math.pi / 4 * 121, "liver": math.pi * 28, "knee": 81.0, "background": 300.0}
    assert list(found.names.values()) == list(expected) and found.method == "regions:sheet"
    for organ, area in expected.items():
        # By area, partial pixels too: the task asks for 1e-3, the shapes are exact.
        assert area_mm2(found, organ) == pytest.approx(area, rel=1e-6)
    assert found.labels.shape == GRID.shape and found.labels[0, round(90 / PX), round(70 / PX)] == 1
    assert all(s.shape == GRID.shape for s in found.shares.values())


@pytest.mark.parametrize("shape", ["circle", "square", "contour"])
def test_the_vendors_regions_are_found_by_their_label(shape: str) -> None:
    points = ((64.0, 84.0), (76.0, 84.0), (76.0, 96.0)) if shape == "contour" else ()
    vendor = [drawn("ROI 1"), drawn("thorax", shape, w=12, h=8, points_mm=points)]
    found = regions(quantity_of(), context_of([row("thorax")]), vendor)
    area = {"circle": math.pi * 24, "square": 96.0, "contour": 72.0}[shape]
    assert area_mm2(found, "lung") == pytest.approx(area, rel=1e-6)
    assert list(found.names.values()) == ["lung"]


def test_a_well_of_a_grid_by_its_name() -> None:
    plate = drawn("plate", "grid", 100, 100, 120, 80, rows=8, columns=12)
    found = regions(quantity_of(), context_of([row("plate:H12", "well")]), [plate])
    assert area_mm2(found, "well") == pytest.approx(100.0)
    y, x = np.argwhere(share(found, "well") > 0.99).mean(axis=0)
    assert ((x + 0.5) * PX, (y + 0.5) * PX) == pytest.approx((155, 135), abs=PX)
    assert "A1" in refused("roi_unknown", [row("plate:I1")], [plate]).expected
    assert refused("roi_shape", [row("plate:A1")], [drawn("plate", "grid")]).code == "roi_shape"
    # A label may hold a colon itself.
    assert area_mm2(regions(quantity_of(), context_of([row("a:b")]), [drawn("a:b")]), "lung") == pytest.approx(math.pi * 36)


def test_an_unknown_label_names_the_nearest_and_a_double_one_is_refused() -> None:
    error = refused("roi_unknown", [row("thoraks")], [drawn("thorax"), drawn("ROI 2")])
    assert "thorax" in error.do and "ROI 2" in error.expected
    assert "none" in refused("roi_unknown", [row("thorax")]).expected
    assert "2" in refused("roi_ambiguous", [row("thorax")], [drawn("thorax"), drawn("thorax", x=90)]).found
    refused("roi_unreadable", [row("line")], [drawn("line", "contour")])


def test_a_shape_without_all_its_numbers_or_that_contradicts_itself() -> None:
    assert "height_mm" in refused("roi_incomplete", [row("ellipse", x_mm=70, y_mm=90, width_mm=5)]).found
    assert "y_mm" in refused("roi_incomplete", [row("circle", x_mm=70, width_mm=5)]).found
    refused("roi_shape", [row("circle", x_mm=70, y_mm=90, width_mm=5, height_mm=6)])
    assert "ellipse" in refused("roi_shape", [row("elipse", x_mm=70, y_mm=90, width_mm=5, height_mm=6)]).do


def test_outside_the_image_is_an_error_and_across_its_edge_a_finding() -> None:
    error = refused("roi_outside_image", [row("circle", x_mm=400, y_mm=90, width_mm=5)])
    assert "224" in error.expected
    found = regions(quantity_of(), context_of([row("circle", x_mm=0, y_mm=90, width_mm=10)]))
    assert [(f.check, f.status) for f in found.findings] == [("roi_cut", "warn")]
    assert "50.0%" in found.findings[0].reason
    assert area_mm2(found, "lung") == pytest.approx(math.pi * 12.5, rel=1e-6)


def test_several_regions_of_one_organ_are_joined_and_count_once() -> None:
    apart = [row("circle", x_mm=60, y_mm=90, width_mm=10), row("circle", x_mm=80, y_mm=90, width_mm=10)]
    assert area_mm2(regions(quantity_of(), context_of(apart)), "lung") == pytest.approx(math.pi * 50, rel=1e-6)
    nested = [row("circle", x_mm=60, y_mm=90, width_mm=20), row("circle", x_mm=62, y_mm=90, width_mm=6)]
    assert area_mm2(regions(quantity_of(), context_of(nested)), "lung") == pytest.approx(math.pi * 100, rel=1e-6)


def test_light_is_never_counted_in_two_organs_but_body_may_hold_others() -> None:
    lung, liver = row("circle", "lung", x_mm=70, y_mm=90, width_mm=14), row("circle", "liver", x_mm=75, y_mm=95, width_mm=14)
    assert "lung" in refused("rois_overlap", [lung, liver]).found
    refused("rois_overlap", [lung, replace(liver, organ="background")])
    body = row("ellipse", "body", x_mm=70, y_mm=100, width_mm=30, height_mm=90)
    found = regions(quantity_of(), context_of([body, lung]))
    # For the eye the smaller one lies on top.
    assert found.names[int(found.labels[0, round(90 / PX), round(70 / PX)])] == "lung"
    refused("rois_overlap", [body, replace(lung, organ="background")])


def test_two_animals_share_no_region() -> None:
    mine = row("circle", x_mm=70, y_mm=90, width_mm=14)
    refused("rois_of_two_animals", [mine, replace(mine, subject="b", x_mm=73.0)])
    error = refused("rois_of_two_animals", [row("thorax"), row("thorax", "liver", "b")], [drawn("thorax")])
    assert "b" in error.found
    # What is wrong with another animal's row is said with that animal.
    regions(quantity_of(), context_of([mine, row("unknown", subject="b")]))


def test_a_background_of_the_image_serves_an_animal_that_has_none() -> None:
    rows = [
        row("circle", "lung", "a", x_mm=70, y_mm=90, width_mm=14),
        row("circle", "lung", "b", x_mm=150, y_mm=90, width_mm=14),
        row("square", "Background", "b", x_mm=200, y_mm=30, width_mm=20),
    ]
    found = regions(quantity_of(), context_of(rows))
    assert area_mm2(found, "background") == pytest.approx(400.0)
    assert [f.check for f in found.findings] == ["background_shared"] and "b" in found.findings[0].reason
    own = [*rows, row("square", "background", "a", x_mm=200, y_mm=60, width_mm=10)]
    found = regions(quantity_of(), context_of(own))
    assert area_mm2(found, "background") == pytest.approx(100.0) and not found.findings


def test_the_sense_of_a_vendors_angle_is_said_where_it_matters() -> None:
    for angle, width, warned in ((30.0, 20.0, True), (90.0, 20.0, False), (30.0, 8.0, False)):
        found = regions(quantity_of(), context_of([row("r")]), [drawn("r", "square", w=width, h=8, angle_deg=angle)])
        assert ("roi_turned" in [f.check for f in found.findings]) is warned


@pytest.fixture(scope="module")
def pair() -> Quantity:
    return quantity_of([LEFT, RIGHT])


@pytest.mark.parametrize(("subject", "own", "other"), [("a", LEFT, RIGHT), ("b", RIGHT, LEFT)])
def test_without_rows_the_animal_on_the_photograph_is_the_body(pair: Quantity, subject: str, own: DrawnMouse, other: DrawnMouse) -> None:
    found = regions(pair, context_of(subject=subject, beds=["a", "b"]))
    assert list(found.names.values()) == ["body"] and found.method == "regions:photograph"
    mine, others = (silhouette(m, *places_mm(GRID)) for m in (own, other))
    body = share(found, "body")
    assert body[mine].mean() > 0.97
    assert body[others].max() == 0.0
    # With 2 mm to spare around a border of about 2 × (86 + 23) mm, a tail of 60 mm and paws.
    assert mine.sum() * PX**2 < area_mm2(found, "body") < mine.sum() * PX**2 + 2 * 2 * (218 + 120 + 60)


def test_a_background_row_alone_goes_with_the_animal_of_the_photograph(pair: Quantity) -> None:
    rows = [row("square", "background", x_mm=110, y_mm=200, width_mm=16)]
    found = regions(pair, context_of(rows, beds=["a", "b"]))
    assert list(found.names.values()) == ["body", "background"]
    assert area_mm2(found, "background") == pytest.approx(256.0)


def test_vendor_regions_are_never_taken_by_order(pair: Quantity) -> None:
    vendor = [drawn("ROI 1", x=70), drawn("ROI 2", x=150)]
    found = regions(pair, context_of(beds=["a", "b"]), vendor)
    assert list(found.names.values()) == ["body"]
    assert "rois_unused" in [f.check for f in found.findings if f.status == "warn"]
    refused("animals_unnamed", [], vendor, pair)


def test_regions_of_others_alone_do_not_say_which_animal_is_this_one(pair: Quantity) -> None:
    rows = [row("circle", "lung", "b", x_mm=150, y_mm=90, width_mm=14)]
    assert "b" in refused("rois_missing", rows, (), pair).found
    # With the places in the sheet beds it is told.
    assert list(regions(pair, context_of(rows, beds=["a", "b"])).names.values()) == ["body"]


def test_neither_rows_nor_photograph() -> None:
    assert "rois" in refused("photograph_missing", []).do


def test_touching_animals_share_out_the_pixels_between_them() -> None:
    mice = [DrawnMouse((100.0, 110.0)), DrawnMouse((122.5, 112.0))]
    quantity = quantity_of(mice)
    one, other = (share(regions(quantity, context_of(subject=s, beds=["a", "b"])), "body") for s in ("a", "b"))
    assert (one + other).max() <= 1 + 1e-9
