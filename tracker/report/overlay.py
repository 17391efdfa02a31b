"""One picture a scan: is the organ map on the organs, and is the patient the right way round?

Three views on white, the amount in grey: coronal and sagittal maximum projections, and the axial slice through the organ
with the highest mean. Organ outlines lie over them in colour. A relaxation rate is shown in three slices through that organ:
the highest rate along a ray is that of its noisiest voxel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.image import OrganMap, Quantity
from tracker.report.picture import DPI, Style, View, add_bar, add_legend, draw_view, organ_styles, save, span_mm
from tracker.report.planar import write_planar
from tracker.report.rates import MEANINGS, RateImage, rate_image, rate_slice, rate_top
from tracker.report.upright import Upright, upright

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UPPER_PERCENTILE = 99.9
SLAB_VOXELS = 1 << 22
SIZE_INCH = (10.4, 5.6)


def _upper_limit(values: np.ndarray) -> float:
    # Every n-th voxel of a large volume tells the percentile as well; the step is odd, so that it does not follow a row.
    some = values.reshape(-1)[:: 2 * (values.size // (2 * SLAB_VOXELS)) + 1]
    finite = some[np.isfinite(some)]
    top = float(np.percentile(finite, UPPER_PERCENTILE)) if finite.size else 0.0
    return top if top > 0 else float(values[np.isfinite(values)].max(initial=0.0)) or 1.0


def write_overlay(path_png: Path, quantity: Quantity, organ_map: OrganMap, title: str, frame: int = 0) -> None:
    """One PNG of a scan's frame with organ outlines, as in an atlas: head up, the patient's left on the left.

    ``quantity.values`` (t, z, y, x) [quantity.unit] and ``organ_map.labels`` (z, y, x) on one grid. Marks at the picture's edges
    (L R, P A, F H) come from the affine. Grey runs from 0 to the 99.9th percentile of the finite voxels; for a relaxation rate to
    the 99.5th of the organs' voxels, and voxels of organs without a number have colours of their own. The picture is for the
    eye: an outline around a projection does not show that the organ fits in depth. A planar image
    is drawn by `write_planar`. Raises InputError where the shapes differ.
    """
    if organ_map.shares:
        write_planar(path_png, quantity, organ_map, title)
        return
    indices = tuple(i for i in sorted(organ_map.names) if i != 0)
    patches: tuple[tuple[str, str], ...] = ()
    if quantity.kind == "relaxation_rate":
        rates = rate_image(quantity, organ_map, frame)
        turned, top, patches = rates.turned, rate_top([rates]), MEANINGS
        views = _slices(rates, organ_map.names, indices)
    else:
        values = np.asarray(quantity.values[frame])
        turned, top = upright(values, organ_map.labels, quantity.grid), _upper_limit(values)
        views = _views(turned, organ_map.names, indices)
    styles = organ_styles(indices)
    figure = _draw(views, top, quantity.unit, styles)
    tilted = title if turned.tilt_deg < 1 else f"{title} (grid tilted by {turned.tilt_deg:.0f}°)"
    figure.text(0.03, 0.955, tilted, fontsize=12, fontweight="bold", parse_math=False)
    add_legend(figure, [(organ_map.names[i], style) for i, style in styles.items()], patches, (0.87, 0.99))
    save(figure, path_png)


@dataclass(frozen=True, slots=True)
class _Seen:
    """How many voxels each organ (k) has along every ray: ``coronal`` (k, z, x), ``sagittal`` (k, z, y); ``mean`` (k,), -inf if none."""

    coronal: np.ndarray
    sagittal: np.ndarray
    mean: np.ndarray


def _views(turned: Upright, names: dict[int, str], indices: tuple[int, ...]) -> tuple[View, ...]:
    values, (dz, dy, dx) = turned.values, turned.size_mm
    seen = _see(turned, indices)
    level, where = values.shape[0] // 2, "middle"
    if indices and np.isfinite(seen.mean).any():
        hottest = int(np.argmax(seen.mean))
        level, where = int(np.argmax(seen.coronal[hottest].sum(axis=1))), f"through {names[indices[hottest]]}"
    coronal, sagittal = ({i: m > 0 for i, m in zip(indices, counts, strict=True)} for counts in (seen.coronal, seen.sagittal))
    axial = {i: turned.labels[level] == i for i in indices}
    return (
        View("coronal, maximum", np.fmax.reduce(values, axis=1), coronal, (dz, dx), ("L", "R", "F", "H")),
        View("sagittal, maximum", np.fmax.reduce(values, axis=2), sagittal, (dz, dy), ("P", "A", "F", "H")),
        View(f"axial slice, {where}", values[level], axial, (dy, dx), ("L", "R", "P", "A")),
    )


def _slices(rates: RateImage, names: dict[int, str], indices: tuple[int, ...]) -> tuple[View, ...]:
    """Coronal, sagittal and axial slices through the organ with the highest mean, each where it is widest."""
    turned = rates.turned
    seen = _see(turned, indices)
    levels, where = [n // 2 for n in turned.values.shape], "middle"
    if indices and np.isfinite(seen.mean).any():
        hottest = int(np.argmax(seen.mean))
        levels = [int(np.argmax(counts)) for counts in _along(seen, hottest)]
        where = f"through {names[indices[hottest]]}"
    slices = (rate_slice(rates, axis, levels[axis], {i: (i,) for i in indices}, "white") for axis in (1, 2, 0))
    # The first two are narrow: their title has no room for more.
    coronal, sagittal, axial = (replace(view, title=f"{view.title} slice") for view in slices)
    return coronal, sagittal, replace(axial, title=f"{axial.title}, {where}")


def _along(seen: _Seen, organ: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many voxels an organ has at each level of z, y and x."""
    return seen.coronal[organ].sum(axis=1), seen.sagittal[organ].sum(axis=0), seen.coronal[organ].sum(axis=0)


def _see(turned: Upright, indices: tuple[int, ...]) -> _Seen:
    # All organs in one pass, a few slices at a time: a person's scan has a hundred million voxels and fifty organs.
    nz, ny, nx = turned.labels.shape
    k, known = len(indices), np.array(indices, dtype=np.int64)
    coronal, sagittal = np.zeros((k, nz, nx), dtype=np.int64), np.zeros((k, nz, ny), dtype=np.int64)
    n, total = np.zeros(k), np.zeros(k)
    thick = max(1, SLAB_VOXELS // (ny * nx))
    for first in range(0, nz if k else 0, thick):
        slab = slice(first, min(first + thick, nz))
        z, y, x = np.nonzero(turned.labels[slab])
        organ, value = np.searchsorted(known, turned.labels[slab][z, y, x]), turned.values[slab][z, y, x]
        listed = np.append(known, -1)[organ] == turned.labels[slab][z, y, x]
        organ, z, y, x, value = organ[listed], z[listed], y[listed], x[listed], value[listed]
        coronal[:, slab] = _count((organ, z, x), (k, slab.stop - first, nx))
        sagittal[:, slab] = _count((organ, z, y), (k, slab.stop - first, ny))
        finite = np.isfinite(value)
        n += np.bincount(organ[finite], minlength=k)
        total += np.bincount(organ[finite], weights=value[finite], minlength=k)
    return _Seen(coronal, sagittal, np.where(n > 0, total / np.maximum(n, 1), -np.inf))


def _count(at: tuple[np.ndarray, ...], shape: tuple[int, int, int]) -> np.ndarray:
    """How many of the points fall on each place of an array of this shape."""
    return np.bincount(np.ravel_multi_index(at, shape), minlength=int(np.prod(shape))).reshape(shape)


def _draw(views: tuple[View, ...], top: float, unit: str, styles: dict[int, Style]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCH, dpi=DPI, facecolor="white")
    places = _places([span_mm(view) for view in views])
    images = [draw_view(figure.add_axes(place), view, top, styles) for view, place in zip(views, places, strict=True)]
    add_bar(figure, images[-1], unit, (0.88, 0.09, 0.012, 0.25))
    return figure


def _places(spans: list[tuple[float, float]]) -> list[tuple[float, float, float, float]]:
    """Where the three views go, as shares of the figure: the projections in one scale, the slice as large as the room left."""
    left, right, bottom, top, gap = 0.03, 0.86, 0.03, 0.87, 0.03
    wide, high = SIZE_INCH
    tallest, together = max(h for _, h in spans[:2]), sum(w for w, _ in spans[:2])
    scale = min((top - bottom) * high / tallest, (2 * (right - left) / 3 - gap) * wide / together)
    room = right - left - 2 * gap - together * scale / wide
    places, x = [], left
    for (across_mm, up_mm), inch_per_mm in zip(
        spans, (scale, scale, min(room * wide / spans[2][0], (top - bottom) * high / spans[2][1])), strict=True
    ):
        w, h = across_mm * inch_per_mm / wide, up_mm * inch_per_mm / high
        places.append((x, top - h, w, h))
        x += w + gap
    return places
