"""One picture a scan with a slice through every organ: does each outline lie on its organ, on the right side, at the right level?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.image import OrganMap, Quantity
from tracker.report.picture import DPI, View, add_bar, draw_view, organ_styles, save, span_mm
from tracker.report.rates import rate_image, rate_top
from tracker.report.upright import Upright, upright

UPPER_PERCENTILE = 99.9
MOST_COLUMNS = 6
# [inch]: a tile's picture, the room above it for its name, between tiles, around them, above for the title, on the right for the bar.
_TILE, _NAME, _GAP, _EDGE, _HEAD, _BAR = 1.9, 0.2, 0.1, 0.2, 0.4, 0.85
_LEAST_MM = 8.0
# Marks at the left, right, bottom and top of a slice across z, y, x.
_MARKS = (("L", "R", "P", "A"), ("L", "R", "F", "H"), ("P", "A", "F", "H"))
_PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True, slots=True)
class _Tile:
    """An organ's slice across ``axis`` (0 z, 1 y, 2 x) at ``level``, and the part of it that is shown: rows, columns."""

    index: int
    axis: int
    level: int
    part: tuple[slice, slice]


def write_montage(path_png: Path, quantity: Quantity, organ_map: OrganMap, title: str, frame: int = 0) -> None:
    """One PNG with a tile an organ: the slice in which the organ is largest, with the outlines of all organs that it meets.

    The plane is the one that cuts the organ where it is widest (axial, coronal or sagittal), the tile a square about the organ, at
    least twice as wide as it. Marks at a tile's edges (L R, P A, F H for foot and head) come from the affine, as in `write_overlay`; a
    tilted grid is shown along its own axes, under the nearest patient axes, and the title says by how much. One grey scale for all
    tiles, from 0 to the 99.9th percentile (of a rate: the 99.5th of the organs' voxels). Tiles are not in one scale of length: each
    says how wide it is. Organs without a voxel have no tile. Raises InputError where the shapes differ.
    """
    if quantity.kind == "relaxation_rate":
        rates = rate_image(quantity, organ_map, frame)
        turned, top = rates.turned, rate_top([rates])
    else:
        turned = upright(np.asarray(quantity.values[frame]), organ_map.labels, quantity.grid)
        top = _upper(turned.values)
    indices = tuple(i for i in sorted(organ_map.names) if i)
    tiles = [tile for tile in (_tile(turned, index) for index in indices) if tile is not None]
    tilted = title if turned.tilt_deg < 1 else f"{title} (grid tilted by {turned.tilt_deg:.0f}°)"
    _draw(path_png, [_view(turned, tile, organ_map.names) for tile in tiles], (tilted, quantity.unit, top), indices)


def _upper(values: np.ndarray) -> float:
    # Every n-th voxel of a large volume tells the percentile as well.
    some = values.reshape(-1)[:: 2 * (values.size // (1 << 23)) + 1]
    finite = some[np.isfinite(some)]
    top = float(np.percentile(finite, UPPER_PERCENTILE)) if finite.size else 0.0
    return top if top > 0 else float(finite.max(initial=0.0)) or 1.0


def _tile(turned: Upright, index: int) -> _Tile | None:
    inside = turned.labels == index
    if not inside.any():
        return None
    counts = [inside.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    size = turned.size_mm
    # The area of the organ's largest slice across each axis [mm²]; the voxel need not be a cube.
    areas = [int(count.max()) * size[(axis + 1) % 3] * size[(axis + 2) % 3] for axis, count in enumerate(counts)]
    axis = int(np.argmax(areas))
    level = int(np.argmax(counts[axis]))
    rows, columns = (a for a in range(3) if a != axis)
    ends = [np.flatnonzero(inside.take(level, axis).any(axis=other)) for other in (1, 0)]
    width_mm = max(_LEAST_MM, *(2.0 * len(np.arange(e[0], e[-1] + 1)) * size[a] for e, a in zip(ends, (rows, columns), strict=True)))
    part = [_about(e, width_mm / size[a], turned.labels.shape[a]) for e, a in zip(ends, (rows, columns), strict=True)]
    return _Tile(index, axis, level, (part[0], part[1]))


def _about(used: np.ndarray, width: float, n: int) -> slice:
    """``width`` voxels about the middle of those used, moved into the image where it ends."""
    wide = min(max(round(width), 1), n)
    first = int(min(max((used[0] + used[-1] + 1 - wide) // 2, 0), n - wide))
    return slice(first, first + wide)


def _view(turned: Upright, tile: _Tile, names: dict[int, str]) -> View:
    labels = turned.labels.take(tile.level, tile.axis)[tile.part]
    picture = turned.values.take(tile.level, tile.axis)[tile.part]
    up_mm, across_mm = (size for a, size in enumerate(turned.size_mm) if a != tile.axis)
    masks = {int(i): labels == i for i in np.unique(labels) if i in names and i}
    wide_mm = labels.shape[1] * across_mm
    name = names[tile.index]
    called = name if len(name) <= 14 else f"{name[:13]}…"
    return View(f"{called}, {_PLANES[tile.axis]}, {wide_mm:.0f} mm", picture, masks, (up_mm, across_mm), _MARKS[tile.axis])


def _draw(path_png: Path, views: Sequence[View], words: tuple[str, str, float], indices: tuple[int, ...]) -> None:
    from matplotlib.figure import Figure

    title, unit, top = words
    columns = max(min(MOST_COLUMNS, len(views)), 3)
    rows = max(-(-len(views) // columns), 1)
    wide = 2 * _EDGE + columns * _TILE + (columns - 1) * _GAP + _BAR
    high = _HEAD + _EDGE + rows * (_TILE + _NAME) + (rows - 1) * _GAP
    figure, styles, image = Figure(figsize=(wide, high), dpi=DPI, facecolor="white"), organ_styles(indices), None
    for k, view in enumerate(views):
        across_mm, up_mm = span_mm(view)
        w, h = _TILE * min(1.0, across_mm / up_mm), _TILE * min(1.0, up_mm / across_mm)
        x = _EDGE + (k % columns) * (_TILE + _GAP) + (_TILE - w) / 2
        y = high - _HEAD - _NAME - (k // columns) * (_TILE + _NAME + _GAP) - _TILE + (_TILE - h) / 2
        axes = figure.add_axes((x / wide, y / high, w / wide, h / high))
        image = draw_view(axes, view, top, styles, mark_size=7)
        axes.title.set_fontsize(7.5)
    if image is not None:
        add_bar(figure, image, unit, ((wide - _BAR + 0.05) / wide, _EDGE / high, 0.12 / wide, 1.2 / high))
    figure.text(_EDGE / wide, 1 - 0.25 / high, title, fontsize=11, fontweight="bold", parse_math=False)
    save(figure, path_png)
