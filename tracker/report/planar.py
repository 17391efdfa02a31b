"""Pictures of planar images: are the regions on the animal, and would the organs that were solved for give what the camera saw?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.image import OrganMap, Quantity, voxel_size_mm
from tracker.report.picture import DPI, View, add_bar, add_legend, draw_view, organ_styles, save, span_mm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UPPER_PERCENTILE = 99.9
# The photograph: its brightest pixels are reflections.
_PHOTOGRAPH_PERCENTILE = 99.5
_HALF = 0.5
# Around the regions, so that what lies beside them is seen [mm].
_MARGIN_MM = 12.0
# [inch]: a view's longest side, between views, legend and bar on the right, title above, and a small view's own title.
_SIDE, _SMALL, _GAP, _EDGE, _LEGEND, _HEAD, _WORDS = 4.6, 2.8, 0.2, 0.25, 2.6, 0.75, 0.3
# The bar lies under the legend.
_BAR_HIGH = 1.2
_SIDES = ("", "", "", "")


def write_planar(path_png: Path, quantity: Quantity, organ_map: OrganMap, title: str) -> None:
    """One PNG: the photograph and the first image about the regions, side by side, with their outlines; up is up on the photograph.

    Grey of the image runs from 0 to its 99.9th percentile; without a photograph there is the image alone.
    """
    _, high_mm, wide_mm = voxel_size_mm(quantity.grid)
    rows, columns = _box(organ_map, (high_mm, wide_mm))
    # Rows run down the image, and views are drawn upwards.
    masks = {i: np.asarray(share[0])[rows, columns][::-1] >= _HALF for i, share in sorted(organ_map.shares.items())}
    image = np.asarray(quantity.values[0, 0], np.float64)[rows, columns][::-1]
    views = [(View("first image", image, masks, (high_mm, wide_mm), _SIDES), _top(image, UPPER_PERCENTILE))]
    if "photograph" in quantity.maps:
        photograph = np.asarray(quantity.maps["photograph"]).reshape(quantity.values.shape[-2:])[rows, columns][::-1]
        top = _top(photograph, _PHOTOGRAPH_PERCENTILE)
        # The scale of views is white for 0: a photograph is light where it is bright.
        views.insert(0, (View("photograph", top - np.clip(photograph, 0, top), masks, (high_mm, wide_mm), _SIDES), top))
    w, h = _size(views[0][0], _SIDE)
    wide, high = 2 * _EDGE + len(views) * (w + _GAP) + _LEGEND, _HEAD + h + _EDGE
    figure, styles = _figure(wide, high, title), organ_styles(tuple(masks))
    for n, (view, top) in enumerate(views):
        axes = figure.add_axes(((_EDGE + n * (w + _GAP)) / wide, _EDGE / high, w / wide, h / high))
        drawn = draw_view(axes, view, top, styles)
    right = _EDGE + len(views) * (w + _GAP)
    add_legend(figure, [(organ_map.names[i], style) for i, style in styles.items()], (), (right / wide, 1 - 0.6 / high))
    add_bar(figure, drawn, quantity.unit, ((right + 1.5) / wide, _EDGE / high, 0.12 / wide, _BAR_HIGH / high))
    save(figure, path_png)


def write_compared(path_png: Path, pairs: Sequence[tuple[str, np.ndarray]], title: str, unit: str) -> None:
    """One PNG of images in pairs: measured above, expected below, a column a pair; each pair has one grey scale, said in its title.

    ``pairs``: name and image (y, x), row 0 at the top, of one size; NaN is tinted. What fits in such a picture may still be wrong in depth.
    """
    columns = [pairs[n : n + 2] for n in range(0, len(pairs), 2)]
    w, h = _size(View("", np.asarray(pairs[0][1]), {}, (1.0, 1.0), _SIDES), _SMALL)
    w = max(w, 1.5)
    wide = max(2 * _EDGE + len(columns) * (w + _GAP), 6.0)
    high = _HEAD + 2 * (h + _WORDS) + _EDGE
    figure = _figure(wide, high, title)
    for c, column in enumerate(columns):
        top = _top(column[0][1], UPPER_PERCENTILE)
        for r, (name, image) in enumerate(column):
            place = (_EDGE + c * (w + _GAP)) / wide, (high - _HEAD - r * (h + _WORDS) - h) / high, w / wide, h / high
            view = View(name, np.asarray(image)[::-1], {}, (1.0, 1.0), _SIDES, empty="#e4eef8")
            draw_view(figure.add_axes(place), view, top, {})
        figure.text((_EDGE + c * (w + _GAP)) / wide, 0.4 * _EDGE / high, f"0 to {top:.2g} {unit}", fontsize=7, color="#444444")
    save(figure, path_png)


def _box(organ_map: OrganMap, pixel_mm: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns that hold all regions, with a margin; the whole image where there is none."""
    used = np.zeros(organ_map.labels.shape[1:], bool)
    for share in organ_map.shares.values():
        used |= np.asarray(share[0]) > 0
    found = []
    for axis, mm in enumerate(pixel_mm):
        at = np.flatnonzero(used.any(axis=1 - axis))
        more = round(_MARGIN_MM / mm)
        found.append(slice(max(int(at[0]) - more, 0), int(at[-1]) + more + 1) if at.size else slice(None))
    return found[0], found[1]


def _size(view: View, side: float) -> tuple[float, float]:
    across, up = span_mm(view)
    return side * min(1.0, across / up), side * min(1.0, up / across)


def _figure(wide: float, high: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(wide, high), dpi=DPI, facecolor="white")
    figure.text(_EDGE / wide, 1 - 0.28 / high, title, fontsize=11, fontweight="bold", parse_math=False)
    return figure


def _top(image: np.ndarray, percentile: float) -> float:
    finite = image[np.isfinite(image)]
    top = float(np.percentile(finite, percentile)) if finite.size else 0.0
    return top if top > 0 else 1.0
