"""Voxels inside closed contours of one slice.

The rule is the even-odd rule at voxel centres: a voxel belongs to a contour if a ray from its centre crosses the contour an odd
number of times. Borders are half-open in index order: a centre exactly on the low edge is in, on the high edge out, so that two
organs that share an edge never both own, nor both lose, a voxel. Holes drawn as contours of their own are taken out (exclusive
or); keyholes follow from the rule itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Coordinates carry a few decimals of a mm and pass through an inverse affine: noise below this must not decide an edge.
_SNAP_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Region:
    """What contours enclose in one slice: ``mask`` (y, x), ``area`` [voxels] of the polygons themselves.

    ``ambiguous`` counts voxels where two contours cross rather than nest; ``repeated`` contours that were drawn twice.
    """

    mask: np.ndarray
    area: float
    ambiguous: int
    repeated: int


def polygon_area(points: np.ndarray) -> float:
    """Area of a closed polygon, points (n, 2) [voxel edges]: half the absolute sum of cross products (shoelace).

    >>> polygon_area(np.array([[0, 0], [2, 0], [2, 3], [0, 3]]))
    6.0
    """
    x, y = (points - points.mean(axis=0)).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def fill_polygon(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mask (y, x) of voxels whose centre is inside the closed polygon ``points`` (n, 2), (x, y) in voxel index (centre = whole number).

    >>> fill_polygon(np.array([[-0.5, -0.5], [1.5, -0.5], [1.5, 0.5], [-0.5, 0.5]]), (2, 3)).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    ends = np.round(points, _SNAP_DIGITS)
    edges = np.stack([ends, np.roll(ends, -1, axis=0)])
    # Every edge upwards: an edge that two organs share is then computed with the same numbers for both.
    (x0, y0), (x1, y1) = np.where(edges[0, :, 1] <= edges[1, :, 1], edges.transpose(0, 2, 1), edges[::-1].transpose(0, 2, 1))
    first = np.clip(np.ceil(y0), 0, shape[0]).astype(np.int64)
    rows = np.clip(np.ceil(y1), 0, shape[0]).astype(np.int64) - first
    edge = np.repeat(np.arange(len(x0)), rows)
    y = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows)
    x = x0[edge] + (y - y0[edge]) * (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
    # All centres at or beyond a crossing change sides.
    start = np.clip(np.ceil(np.round(x, _SNAP_DIGITS)), 0, shape[1]).astype(np.int64)
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    np.add.at(crossings, (y, start), 1)
    return np.asarray(np.cumsum(crossings[:, :-1], axis=1) % 2 == 1)


def _distinct(contours: list[np.ndarray]) -> list[np.ndarray]:
    """Contours without those that repeat another: drawn twice, exclusive or would leave nothing of them."""
    seen: dict[tuple[tuple[float, float], ...], np.ndarray] = {}
    for points in contours:
        seen.setdefault(tuple(sorted(map(tuple, np.round(points, _SNAP_DIGITS).tolist()))), points)
    return list(seen.values())


def fill_contours(contours: list[np.ndarray], shape: tuple[int, int]) -> Region:
    """What closed contours (n, 2), (x, y) in voxel index, enclose together in one slice of ``shape`` (y, x)."""
    distinct = sorted(_distinct(contours), key=polygon_area, reverse=True)
    masks: list[np.ndarray] = []
    total, area, ambiguous = np.zeros(shape, dtype=bool), 0.0, 0
    for points in distinct:
        mask = fill_polygon(points, shape)
        common = [int((mask & other).sum()) for other in masks]
        size = int(mask.sum())
        ambiguous += sum(min(n, size - n) for n in common)
        # Inside an odd number of larger contours it is a hole, and its area is taken away.
        holes = sum(2 * n > size for n in common)
        area += polygon_area(points) * (-1 if holes % 2 else 1)
        total ^= mask
        masks.append(mask)
    return Region(total, area, ambiguous, len(contours) - len(distinct))
