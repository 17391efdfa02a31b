"""Area shares of shapes: against analytic areas, an independent clipping of polygons, and counting of random points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.bli.shapes import Outline, area_shares, contour, ellipse, pixel_area_mm2, rectangle, share_inside, union_shares, wells
from tracker.errors import InputError
from tracker.image import Grid


def image_grid(ny: int, nx: int, px_mm: float) -> Grid:
    affine = np.diag([px_mm, px_mm, 1.0, 1.0])
    affine[:2, 3] = px_mm / 2
    return Grid((1, ny, nx), affine)


GRID = image_grid(60, 80, 0.5)


def area_mm2(outline: Outline, grid: Grid = GRID) -> float:
    return float(area_shares(outline, grid).sum()) * pixel_area_mm2(grid)


def clipped_area(points: list[tuple[float, float]], box: tuple[float, float, float, float]) -> float:
    """Area of a convex polygon inside a box by cutting it at each side (Sutherland and Hodgman): no code shared with the library."""
    for axis, limit, keep_below in ((0, box[0], False), (0, box[1], True), (1, box[2], False), (1, box[3], True)):
        kept: list[tuple[float, float]] = []
        for p, q in zip(points, points[1:] + points[:1], strict=True):
            inside_p, inside_q = ((v[axis] <= limit) == keep_below or v[axis] == limit for v in (p, q))
            if inside_p:
                kept.append(p)
            if inside_p != inside_q:
                t = (limit - p[axis]) / (q[axis] - p[axis])
                kept.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        points = kept
        if not points:
            return 0.0
    return abs(sum(p[0] * q[1] - q[0] * p[1] for p, q in zip(points, points[1:] + points[:1], strict=True))) / 2


@given(
    x=st.floats(12, 28),
    y=st.floats(12, 18),
    width=st.floats(0.05, 16),
    height=st.floats(0.05, 16),
    angle=st.floats(-400, 400),
)
def test_the_sum_of_shares_is_the_analytic_area(x: float, y: float, width: float, height: float, angle: float) -> None:
    # Nothing here is sampled: rounding is left, a billionth of a pixel at most in each (the task asks for 1e-3).
    for shape, expected in ((ellipse, math.pi / 4 * width * height), (rectangle, width * height)):
        outline = shape((x, y), (width, height), angle)
        assert area_mm2(outline) == pytest.approx(expected, rel=1e-9, abs=1e-7)
        assert outline.area_mm2 == pytest.approx(expected, rel=1e-9)


def test_every_pixel_of_a_turned_rectangle_is_the_clipped_area() -> None:
    outline = rectangle((20.13, 14.2), (7.7, 3.3), 33.0)
    shares = area_shares(outline, GRID)
    corners = [(float(x), float(y)) for x, y in outline.points_mm]
    for j in range(20, 40):
        for i in range(28, 52):
            expected = clipped_area(corners, (i * 0.5, i * 0.5 + 0.5, j * 0.5, j * 0.5 + 0.5)) / 0.25
            assert shares[j, i] == pytest.approx(expected, abs=1e-9)


def test_a_turn_is_counter_clockwise_as_seen() -> None:
    shares = area_shares(rectangle((20.0, 15.0), (16.0, 1.0), 45.0), GRID)
    # Counter-clockwise by 45 degrees: the right end goes up, and up is towards row 0.
    assert shares[30 - 9, 40 + 8] == pytest.approx(1.0)
    assert shares[30 + 8, 40 + 8] == 0.0


def test_whole_pixels_are_whole_and_an_edge_on_a_border_takes_nothing_of_the_next() -> None:
    shares = area_shares(rectangle((10.0, 10.0), (2.0, 1.0)), GRID)
    assert (shares[19:21, 18:22] == 1.0).all()
    assert shares.sum() == pytest.approx(8.0, abs=1e-12)


def test_pixels_need_not_be_square() -> None:
    affine = np.diag([0.5, 0.8, 1.0, 1.0])
    affine[:2, 3] = 0.25, 0.4
    assert area_mm2(ellipse((20.0, 20.0), (7.0, 4.0), 20.0), Grid((1, 60, 80), affine)) == pytest.approx(math.pi * 7, rel=1e-9)


def test_a_contour_is_the_same_either_way_round_and_may_be_concave() -> None:
    points = [(3.0, 4.0), (12.0, 5.0), (8.0, 15.0), (7.0, 8.0)]
    one, other = contour(points), contour(points[::-1])
    np.testing.assert_allclose(area_shares(one, GRID), area_shares(other, GRID), atol=1e-12)
    # Shoelace by hand: (3·5-12·4) + (12·15-8·5) + (8·8-7·15) + (7·4-3·8) = 70.
    assert area_mm2(one) == pytest.approx(35.0, rel=1e-12)


def test_a_figure_of_eight_has_both_its_halves() -> None:
    eight = contour([(3.0, 4.0), (12.0, 4.0), (3.0, 10.0), (12.0, 10.0)])
    # Two triangles of base 9 and height 3; 16 × 16 points a pixel.
    assert area_mm2(eight) == pytest.approx(27.0, rel=1e-3)
    assert share_inside(eight, area_shares(eight, GRID), GRID) == pytest.approx(1.0, abs=1e-9)
    cut = contour([(-4.5, 4.0), (4.5, 4.0), (-4.5, 10.0), (4.5, 10.0)])
    assert share_inside(cut, area_shares(cut, GRID), GRID) == pytest.approx(0.5, abs=1e-3)


def test_what_lies_outside_the_image_is_cut_and_said() -> None:
    for centre, inside in (((0.0, 15.0), 0.5), ((40.0, 15.0), 0.5), ((20.0, 0.0), 0.5), ((0.0, 30.0), 0.25), ((-9.0, 15.0), 0.0)):
        disc = ellipse(centre, (6.0, 6.0))
        shares = area_shares(disc, GRID)
        assert share_inside(disc, shares, GRID) == pytest.approx(inside, abs=1e-9)
        assert shares.min() >= 0.0 and shares.max() <= 1.0


def test_a_union_counts_what_two_outlines_cover_once() -> None:
    a, b = ellipse((18.0, 15.0), (8.0, 8.0)), ellipse((22.0, 15.0), (8.0, 8.0))
    # Two discs of radius r at distance d share 2r² arccos(d/2r) - d/2 · sqrt(4r² - d²).
    lens = 2 * 16 * math.acos(0.5) - 2 * math.sqrt(64 - 16)
    union = union_shares([a, b], GRID)
    # Only the few pixels with two borders are sampled.
    assert union.sum() * 0.25 == pytest.approx(2 * math.pi * 16 - lens, rel=1e-4)
    np.testing.assert_allclose(union_shares([a, a], GRID), area_shares(a, GRID), atol=0.06)
    apart = ellipse((30.0, 15.0), (2.0, 2.0))
    np.testing.assert_allclose(union_shares([a, apart], GRID), area_shares(a, GRID) + area_shares(apart, GRID), atol=1e-12)


def test_two_halves_of_a_pixel_make_a_whole_one() -> None:
    # The larger of two shares would lose one half, and their sum would count an overlap twice.
    left, right = rectangle((9.875, 10.0), (1.25, 2.0)), rectangle((11.125, 10.0), (1.25, 2.0))
    assert union_shares([left, right], GRID).sum() * 0.25 == pytest.approx(5.0, rel=1e-9)


def test_wells_of_a_plate_are_named_by_row_and_column_and_turn_with_it() -> None:
    plate = wells((20.0, 15.0), (24.0, 16.0), 90.0, (2, 3))
    assert list(plate) == ["A1", "A2", "A3", "B1", "B2", "B3"]
    # Turned counter-clockwise by 90 degrees the upper left goes to the lower left.
    np.testing.assert_allclose(plate["A1"].points_mm.mean(axis=0), [16.0, 23.0], atol=1e-9)
    total = sum(area_shares(one, GRID) for one in plate.values())
    np.testing.assert_allclose(total, area_shares(rectangle((20.0, 15.0), (24.0, 16.0), 90.0), GRID), atol=1e-9)
    assert wells((20.0, 15.0), (24.0, 16.0), 0.0, (2, 3), round_wells=True)["B3"].area_mm2 == pytest.approx(math.pi / 4 * 64)


@pytest.mark.parametrize("size", [(0.0, 2.0), (2.0, -1.0), (math.nan, 1.0)])
def test_a_shape_without_a_size_is_refused(size: tuple[float, float]) -> None:
    with pytest.raises(InputError) as error:
        ellipse((5.0, 5.0), size)
    assert error.value.code == "roi_shape"


def test_a_contour_of_two_points_and_a_grid_without_rows_are_refused() -> None:
    for make in (lambda: contour([(0, 0), (1, 1), (0, 0)]), lambda: wells((5.0, 5.0), (2.0, 2.0), 0.0, (0, 3))):
        with pytest.raises(InputError) as error:
            make()
        assert error.value.code == "roi_shape"
