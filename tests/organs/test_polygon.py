"""Filling contours: the tie rule, holes, keyholes, and agreement with an independent point-in-polygon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as PlotPath

from tracker.organs.polygon import fill_contours, fill_polygon, polygon_area

SHAPE = (14, 17)


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float)


def test_box_between_centres_holds_the_centres_it_encloses() -> None:
    mask = fill_polygon(box(2.5, 3.5, 6.5, 5.5), SHAPE)
    expected = np.zeros(SHAPE, dtype=bool)
    expected[4:6, 3:7] = True
    assert (mask == expected).all()


def test_edges_through_centres_are_half_open() -> None:
    # The low edges own their centres, the high edges do not: 4 x 2 voxels, as many as the area.
    mask = fill_polygon(box(3, 4, 7, 6), SHAPE)
    assert mask.sum() == 8 and mask[4, 3] and not mask[6].any() and not mask[:, 7].any()


def test_noise_of_an_inverse_affine_does_not_decide_an_edge() -> None:
    exact = fill_polygon(box(3, 4, 7, 6), SHAPE)
    for noise in (1e-9, -1e-9):
        assert (fill_polygon(box(3, 4, 7, 6) + noise, SHAPE) == exact).all()


@given(st.integers(1, 12), st.integers(1, 10), st.integers(0, 3), st.booleans())
def test_triangles_that_share_edges_tile_without_gap_or_overlap(x: int, y: int, start: int, reverse: bool) -> None:
    # All vertices are voxel centres: the worst case for ties. Each centre must belong to exactly one triangle.
    corners = np.roll(box(0, 0, 13, 11), start, axis=0)
    total = np.zeros(SHAPE, dtype=int)
    for i in range(4):
        triangle = np.array([corners[i], corners[(i + 1) % 4], [x, y]])
        total += fill_polygon(triangle[::-1] if reverse else triangle, SHAPE)
    assert (total[:11, :13] == 1).all() and total.sum() == 11 * 13


@settings(max_examples=60)
@given(st.lists(st.floats(0.5, 7.0), min_size=3, max_size=25), st.floats(2, 14), st.floats(2, 11))
def test_star_polygons_agree_with_matplotlib(radii: list[float], x: float, y: float) -> None:
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False) + 0.1234
    points = np.c_[x + np.array(radii) * np.cos(angle), y + np.array(radii) * np.sin(angle)]
    yy, xx = np.indices(SHAPE)
    centres = np.c_[xx.ravel(), yy.ravel()]
    other = PlotPath(np.vstack([points, points[:1]]), closed=True).contains_points(centres).reshape(SHAPE)
    differ = np.argwhere(fill_polygon(points, SHAPE) != other)
    for row, column in differ:  # only centres on an edge may differ: rules for ties are not the same
        ends = np.roll(points, -1, axis=0)
        along = ends - points
        t = np.clip(((np.array([column, row]) - points) * along).sum(1) / np.maximum((along**2).sum(1), 1e-30), 0, 1)
        assert np.linalg.norm(points + t[:, None] * along - [column, row], axis=1).min() < 1e-5


def test_contour_partly_outside_is_clipped() -> None:
    mask = fill_polygon(box(-5.5, -3.5, 2.5, 1.5), SHAPE)
    assert mask.sum() == 3 * 2 and mask[:2, :3].all()
    assert not fill_polygon(box(-9, -9, -3, -3), SHAPE).any() and not fill_polygon(box(30, 30, 40, 40), SHAPE).any()


@pytest.mark.parametrize("order", [1, -1])
def test_hole_as_a_contour_of_its_own_and_island_in_it(order: int) -> None:
    contours = [box(0.5, 0.5, 12.5, 12.5), box(2.5, 2.5, 10.5, 10.5), box(4.5, 4.5, 6.5, 6.5)][::order]
    region = fill_contours(contours, SHAPE)
    assert region.mask.sum() == 144 - 64 + 4
    assert region.area == pytest.approx(144 - 64 + 4)
    assert not region.mask[3, 3] and region.mask[5, 5] and region.ambiguous == 0


def test_keyhole_is_a_ring() -> None:
    outer, inner = box(0.5, 0.5, 10.5, 10.5), box(3.5, 3.5, 7.5, 7.5)
    # In along a channel of no width, round the hole the other way, out again.
    keyhole = np.vstack([outer, outer[:1], inner[:1], inner[::-1], outer[:1]])
    region = fill_contours([keyhole], SHAPE)
    assert region.mask.sum() == 100 - 16 == pytest.approx(region.area)
    assert (region.mask == (fill_polygon(outer, SHAPE) & ~fill_polygon(inner, SHAPE))).all()


def test_a_contour_drawn_twice_counts_once() -> None:
    one = box(1.5, 1.5, 6.5, 6.5)
    region = fill_contours([one, np.roll(one, 2, axis=0), one[::-1]], SHAPE)
    assert region.mask.sum() == 25 and region.repeated == 2


def test_crossing_contours_are_counted() -> None:
    region = fill_contours([box(0.5, 0.5, 6.5, 6.5), box(4.5, 4.5, 10.5, 10.5)], SHAPE)
    assert region.ambiguous == 4


def test_area_is_translation_invariant_far_from_the_origin() -> None:
    assert polygon_area(box(0, 0, 3, 2) + 1e6) == pytest.approx(6.0, abs=1e-9)
