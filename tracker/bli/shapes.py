"""Which share of each pixel lies in a shape drawn on the image: partial pixels by area, exactly.

Every shape is a closed polygon (an ellipse one of 720 corners with the ellipse's own area), and the polygon's share of a pixel is
computed from its edges, not sampled. Places are in mm on the image: x to the right, y down, from the top-left corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid

_CORNERS = 720
# Points along a pixel's edge where a share is sampled: for outlines that cross themselves, and where two borders run through one pixel.
_FINE = 16
# Rounding of a share; what is below or above by more is an outline that crosses itself.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Outline:
    """A closed border on the image: ``points_mm`` (n, 2), x to the right and y down, the last joined to the first.

    ``area_mm2`` is what it encloses, 0 where it crosses itself and only the pixels can tell.
    """

    points_mm: np.ndarray
    area_mm2: float


def ellipse(centre_mm: tuple[float, float], size_mm: tuple[float, float], angle_deg: float = 0.0) -> Outline:
    """An ellipse (a circle where both are equal) by its full width and height [mm], turned counter-clockwise as seen on the image.

    Area = π · width · height / 4, which the polygon of 720 corners has exactly. Raises InputError ``roi_shape`` for a size that is not
    positive.

    >>> round(ellipse((5.0, 5.0), (2.0, 2.0)).area_mm2, 12) == round(math.pi, 12)
    True
    """
    step = 2 * math.pi / _CORNERS
    # Corners a little outside, so that the polygon is as large as the ellipse: the chords cut off what the corners add.
    angle, grow = np.arange(_CORNERS) * step, math.sqrt(step / math.sin(step))
    return _placed(grow / 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1), centre_mm, size_mm, angle_deg)


def rectangle(centre_mm: tuple[float, float], size_mm: tuple[float, float], angle_deg: float = 0.0) -> Outline:
    """A rectangle by its full width and height [mm], turned counter-clockwise as seen on the image about its middle.

    >>> rectangle((5.0, 5.0), (4.0, 2.0)).area_mm2
    8.0
    """
    return _placed(np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]), centre_mm, size_mm, angle_deg)


def contour(points_mm: Sequence[tuple[float, float]] | np.ndarray) -> Outline:
    """The region inside a closed line of points (n, 2) [mm]; where the line crosses itself, by the even-odd rule.

    >>> contour([(0, 0), (4, 0), (0, 3)]).area_mm2
    6.0
    """
    points = np.asarray(points_mm, dtype=np.float64).reshape(-1, 2)
    if len(np.unique(points, axis=0)) < 3 or not np.isfinite(points).all():
        raise InputError("roi_shape", "a contour needs three points", found=f"{len(points)} point(s)", expected="3 or more, all finite")
    return Outline(points, 0.0 if _crosses_itself(points) else abs(_signed_area(points)))


def wells(
    centre_mm: tuple[float, float], size_mm: tuple[float, float], angle_deg: float, counts: tuple[int, int], round_wells: bool = False
) -> dict[str, Outline]:
    """The cells of a grid (a well plate) by name, A1 at its upper left, A2 beside it; ``counts`` (rows, columns).

    The grid's full size [mm] is divided evenly; a cell is its rectangle, or the ellipse in it.

    >>> list(wells((5.0, 5.0), (4.0, 2.0), 0.0, (1, 2)))
    ['A1', 'A2']
    """
    rows, columns = counts
    if not (1 <= rows <= 26 and columns >= 1):
        raise InputError("roi_shape", "this grid has no such wells", found=f"{rows} rows, {columns} columns", expected="1 to 26 rows")
    cell = size_mm[0] / columns, size_mm[1] / rows
    turn = _turn(angle_deg)
    found = {}
    for row in range(rows):
        for column in range(columns):
            off = np.array([(column + 0.5) * cell[0] - size_mm[0] / 2, (row + 0.5) * cell[1] - size_mm[1] / 2]) @ turn
            centre = centre_mm[0] + float(off[0]), centre_mm[1] + float(off[1])
            found[f"{chr(ord('A') + row)}{column + 1}"] = (ellipse if round_wells else rectangle)(centre, cell, angle_deg)
    return found


def area_shares(outline: Outline, grid: Grid) -> np.ndarray:
    """Which share of each pixel lies inside an outline: float64 (ny, nx), 0 to 1.

    Σ share · pixel area = the area inside the image, exactly. Each edge is cut where it crosses pixel borders; a piece adds its height
    times the part of its pixel to the right of it, and all of the pixels further right (Green's theorem, pixel by pixel). An outline
    that crosses itself is sampled at 16 × 16 points a pixel by the even-odd rule. Outside the image there is nothing: see `share_inside`.
    """
    points = _in_pixels(outline.points_mm, grid)
    shape = grid.shape[1], grid.shape[2]
    if outline.area_mm2 == 0.0:
        return _sampled(points, shape)
    shares = _signed_coverage(points, shape) * np.sign(_signed_area(points))
    if shares.min(initial=0.0) < -_ROUNDING or shares.max(initial=0.0) > 1 + _ROUNDING:
        return _sampled(points, shape)
    # The running sums leave crumbs where there is nothing: a pixel with a crumb would count as one with a border.
    return np.where(shares < _ROUNDING, 0.0, np.where(shares > 1 - _ROUNDING, 1.0, shares))


def union_shares(outlines: Sequence[Outline], grid: Grid) -> np.ndarray:
    """Which share of each pixel lies in at least one of the outlines (ny, nx): what two of them cover counts once.

    Exact where at most one border runs through a pixel; elsewhere sampled at 16 × 16 points.
    """
    each = np.stack([area_shares(one, grid) for one in outlines])
    union = each.max(axis=0)
    shared = ((each > 0) & (each < 1)).sum(axis=0) > 1
    shared &= union < 1
    y, x = np.nonzero(shared)
    if len(y):
        union[y, x] = _in_any(outlines, grid, np.stack([x, y], axis=1))
    return np.asarray(union)


def share_inside(outline: Outline, shares: np.ndarray, grid: Grid) -> float:
    """Which share of an outline's area the image holds, 0 to 1; 1 where the outline crosses itself and all of it is on the image.

    >>> grid = Grid((1, 4, 4), np.array([[1, 0, 0, 0.5], [0, 1, 0, 0.5], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    >>> half = rectangle((0.0, 2.0), (2.0, 2.0))
    >>> share_inside(half, area_shares(half, grid), grid)
    0.5
    """
    area = outline.area_mm2
    if area == 0.0:
        points = _in_pixels(outline.points_mm, grid)
        low = np.minimum(np.floor(points.min(axis=0)), 0).astype(int)
        high = np.maximum(np.ceil(points.max(axis=0)), [grid.shape[2], grid.shape[1]]).astype(int)
        nx, ny = (int(n) for n in high - low)
        area = float(_sampled(points - low, (ny, nx)).sum()) * pixel_area_mm2(grid)
    return min(float(shares.sum()) * pixel_area_mm2(grid) / area, 1.0)


def pixel_area_mm2(grid: Grid) -> float:
    """Area of one pixel [mm²]."""
    return float(abs(grid.affine[0, 0] * grid.affine[1, 1]))


def _turn(angle_deg: float) -> np.ndarray:
    """Turns row vectors (x right, y down) counter-clockwise as seen: with y down the sine changes its sign."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[c, -s], [s, c]])


def _placed(unit: np.ndarray, centre_mm: tuple[float, float], size_mm: tuple[float, float], angle_deg: float) -> Outline:
    if not (all(math.isfinite(v) for v in (*centre_mm, *size_mm, angle_deg)) and min(size_mm) > 0):
        found = f"{size_mm[0]} × {size_mm[1]} mm at {centre_mm[0]}, {centre_mm[1]}, turned by {angle_deg}°"
        raise InputError(
            "roi_shape", "a region needs a place and a positive size", found=found, expected="numbers, width and height above 0"
        )
    points = (unit * size_mm) @ _turn(angle_deg) + centre_mm
    return Outline(points, abs(_signed_area(points)))


def _signed_area(points: np.ndarray) -> float:
    x, y = (points - points.mean(axis=0)).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _crosses_itself(points: np.ndarray) -> bool:
    """Whether any two edges that are not neighbours cross: each one's ends lie on both sides of the other."""
    starts, ends = points, np.roll(points, -1, axis=0)
    for i in range(len(points) - 2):
        others = slice(i + 2, len(points) - (i == 0))
        a, b, c, d = starts[i], ends[i], starts[others], ends[others]
        if ((_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)).any():
            return True
    return False


def _side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
    """On which side of the line from p to q a point r lies: 1, -1, or 0 on it."""
    u, v = q - p, r - p
    return np.asarray(np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]))


def _in_pixels(points_mm: np.ndarray, grid: Grid) -> np.ndarray:
    """Points (x, y) in pixels from the image's corner: pixel (0, 0) runs from 0 to 1."""
    size = np.array([grid.affine[0, 0], grid.affine[1, 1]])
    return np.asarray((points_mm - grid.affine[:2, 3]) / size + 0.5)


def _pieces(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (m, 2) of the polygon's edges, cut wherever one crosses a whole number of x or y."""
    a, b = points, np.roll(points, -1, axis=0)
    edges, places = [np.arange(len(a)), np.arange(len(a))], [np.zeros(len(a)), np.ones(len(a))]
    for axis in (0, 1):
        p, q = a[:, axis], b[:, axis]
        first = np.ceil(np.minimum(p, q))
        count = np.where(p == q, 0, np.maximum(np.floor(np.maximum(p, q)) - first + 1, 0)).astype(np.int64)
        edge = np.repeat(np.arange(len(a)), count)
        whole = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
        edges.append(edge)
        places.append((whole - p[edge]) / (q[edge] - p[edge]))
    edge, place = np.concatenate(edges), np.concatenate(places)
    order = np.lexsort((place, edge))
    edge, place = edge[order], place[order]
    cut = a[edge] + place[:, None] * (b[edge] - a[edge])
    same = edge[1:] == edge[:-1]
    return cut[:-1][same], cut[1:][same]


def _signed_coverage(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    start, end = _pieces(points)
    middle, rise = (start + end) / 2, end[:, 1] - start[:, 1]
    row = np.floor(middle[:, 1]).astype(np.int64)
    # What lies left of the image turns all pixels of its row on; what lies right of it none.
    x = np.maximum(middle[:, 0], 0.0)
    used = (rise != 0) & (row >= 0) & (row < shape[0]) & (x < shape[1])
    row, x, rise = row[used], x[used], rise[used]
    column = np.floor(x).astype(np.int64)
    found = np.zeros((shape[0], shape[1] + 1))
    np.add.at(found, (row, column), rise * (1 - (x - column)))
    np.add.at(found, (row, column + 1), rise * (x - column))
    return -np.asarray(np.cumsum(found, axis=1)[:, :-1])


def _sampled(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    from tracker.organs.polygon import fill_polygon

    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(points.min(axis=0)), 0, limit).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)), low, limit).astype(int)
    nx, ny = (int(n) for n in high - low)
    fine = fill_polygon((points - low) * _FINE - 0.5, (ny * _FINE, nx * _FINE))
    found = np.zeros(shape)
    found[low[1] : high[1], low[0] : high[0]] = fine.reshape(ny, _FINE, nx, _FINE).mean(axis=(1, 3))
    return found


def _in_any(outlines: Sequence[Outline], grid: Grid, pixels: np.ndarray) -> np.ndarray:
    """Which share of some pixels (m, 2), (x, y), lies in any of the outlines."""
    from skimage.measure import points_in_poly

    step = (np.arange(_FINE) + 0.5) / _FINE
    places = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    points = (pixels[:, None, :] + places).reshape(-1, 2)
    inside = np.zeros(len(points), dtype=bool)
    for one in outlines:
        inside |= points_in_poly(points, _in_pixels(one.points_mm, grid))
    return np.asarray(inside.reshape(len(pixels), -1).mean(axis=1))
