"""One picture a scan whose spill-over was undone: as measured, and as it would look without the spill between organs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tracker.image import OrganMap, Quantity
from tracker.report.montage import UPPER_PERCENTILE
from tracker.report.picture import DPI, View, add_bar, add_legend, draw_view, organ_styles, save, span_mm
from tracker.report.upright import upright

_PLANES = ((1, "coronal", ("L", "R", "F", "H")), (0, "axial", ("L", "R", "P", "A")))
# [inch]: the room of a coronal view, height and width; of an axial one; the legend; edges, gaps, the title's room.
_TALL, _COLUMN, _AXIAL, _LEGEND, _EDGE, _GAP, _HEAD = 3.6, 2.4, 2.4, 1.7, 0.25, 0.15, 0.75


def write_undone(path_png: Path, quantity: Quantity, undone: np.ndarray, organ_map: OrganMap, title: str) -> None:
    """One PNG: the scan's first frame as measured and with spill-over undone (``undone``, (z, y, x), from `spillover.rbv_image`).

    Coronal slices on the left, axial ones on the right, through the organ that spill-over changed most (the largest where it changed
    none), measured beside undone, in one grey scale from 0 to the 99.9th percentile of the undone image. For the eye: the values in the
    tables come from organ means, and edges in the undone image are those of the organ map, right or wrong. Raises InputError where the
    shapes differ.
    """
    measured = upright(np.asarray(quantity.values[0]), organ_map.labels, quantity.grid)
    after = upright(np.asarray(undone), organ_map.labels, quantity.grid)
    names = {i: name for i, name in sorted(organ_map.names.items()) if i}
    organ = _most_changed(measured.values, after.values, measured.labels, tuple(names))
    finite = after.values[np.isfinite(after.values)]
    top = float(np.percentile(finite, UPPER_PERCENTILE)) if finite.size else 1.0
    views = []
    for axis, plane, marks in _PLANES:
        counts = (measured.labels == organ).sum(axis=tuple(a for a in range(3) if a != axis))
        level = int(np.argmax(counts)) if counts.any() else counts.size // 2
        labels = measured.labels.take(level, axis)
        up_mm, across_mm = (size for a, size in enumerate(measured.size_mm) if a != axis)
        masks = {i: labels == i for i in names}
        first = View(f"{plane}, measured", measured.values.take(level, axis), masks, (up_mm, across_mm), marks)
        views += [first, replace(first, title=f"{plane}, undone", picture=after.values.take(level, axis))]
    through = f"{title}: spill-over undone, through {names.get(organ, 'the middle')}"
    tilted = through if measured.tilt_deg < 1 else f"{through} (grid tilted by {measured.tilt_deg:.0f}°)"
    _draw(path_png, views, (tilted, quantity.unit, top or 1.0), names)


def _most_changed(before: np.ndarray, after: np.ndarray, labels: np.ndarray, indices: tuple[int, ...]) -> int:
    """The organ with the largest relative change of its mean; the one with the most voxels where none changed, 0 without organs."""
    size = max((int(labels.max(initial=0)), *indices)) + 1
    flat, known = labels.ravel(), np.isfinite(before.ravel()) & np.isfinite(after.ravel())
    n, a, b = (
        np.bincount(flat[known], weights=None if w is None else w.ravel()[known], minlength=size).astype(float)
        for w in (None, before, after)
    )
    change = np.abs(np.divide(b - a, np.abs(a), out=np.zeros(size), where=(a != 0) & (n > 0)))
    if any(change[i] > 0 for i in indices):
        return max(indices, key=lambda i: change[i])
    return max(indices, key=lambda i: n[i], default=0)


def _draw(path_png: Path, views: list[View], words: tuple[str, str, float], names: dict[int, str]) -> None:
    from matplotlib.figure import Figure

    title, unit, top = words
    spans = [span_mm(view) for view in views]
    room = [(_COLUMN, _TALL), (_COLUMN, _TALL), (_AXIAL, _AXIAL), (_AXIAL, _AXIAL)]
    scales = [min(w / across, h / up) for (across, up), (w, h) in zip(spans, room, strict=True)]
    sizes = [(across * s, up * s) for (across, up), s in zip(spans, scales, strict=True)]
    wide = 2 * _EDGE + sum(w for w, _ in sizes) + 3 * _GAP + _LEGEND
    high = _HEAD + _EDGE + max(h for _, h in sizes)
    figure, styles, x = Figure(figsize=(wide, high), dpi=DPI, facecolor="white"), organ_styles(tuple(names)), _EDGE
    for view, (w, h) in zip(views, sizes, strict=True):
        axes = figure.add_axes((x / wide, (high - _HEAD - h) / high, w / wide, h / high))
        image = draw_view(axes, view, top, styles, mark_size=8)
        x += w + _GAP
    add_bar(figure, image, unit, ((wide - _LEGEND + 0.15) / wide, _EDGE / high, 0.12 / wide, 1.1 / high))
    add_legend(figure, [(names[i], style) for i, style in styles.items()], (), ((wide - _LEGEND) / wide, 1 - 0.45 / high))
    figure.text(_EDGE / wide, 1 - 0.28 / high, title, fontsize=11, fontweight="bold", parse_math=False)
    save(figure, path_png)
