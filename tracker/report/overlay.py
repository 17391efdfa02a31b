"""One picture a scan: is the organ map on the organs, and is the patient the right way round?

Three views on white, the amount in grey: coronal and sagittal maximum projections, and the axial slice through the organ
with the highest mean. Organ outlines lie over them in colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, OrganMap, Quantity, voxel_size_mm
from tracker.report.axes import exponent, scaled_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

UPPER_PERCENTILE = 99.9
# Sixteen colours that stay apart on white and on dark grey, the first ones also for colour-blind eyes; then again, dashed.
COLOURS = (
    *("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b3294", "#b2182b"),
    *("#4d9221", "#1f3fd1", "#8c510a", "#00a6a6", "#f72585", "#9a8b00", "#6c8ebf", "#ff7f6b"),
)
GREYS = 64  # more are not told apart by eye, and noise then makes the file half as large again
LONGEST_NAME = 18  # what fits beside the views
SLAB_VOXELS = 1 << 22
SIZE_INCH, DPI = (10.4, 5.6), 100


@dataclass(frozen=True, slots=True)
class _Style:
    colour: str
    dash: Literal["-", "--"]


@dataclass(frozen=True, slots=True)
class Upright:
    """A scan turned so that its axes (z, y, x) run from foot to head, posterior to anterior, left to right.

    ``values`` and ``labels`` share the shape; ``size_mm`` is the voxel (z, y, x) [mm]; ``tilt_deg`` the largest angle between a
    voxel axis and the patient axis it is shown as, 0 for a straight grid.
    """

    values: np.ndarray
    labels: np.ndarray
    size_mm: tuple[float, float, float]
    tilt_deg: float


def _upper_limit(values: np.ndarray) -> float:
    # Every n-th voxel of a large volume tells the percentile as well; the step is odd, so that it does not follow a row.
    some = values.reshape(-1)[:: 2 * (values.size // (2 * SLAB_VOXELS)) + 1]
    finite = some[np.isfinite(some)]
    top = float(np.percentile(finite, UPPER_PERCENTILE)) if finite.size else 0.0
    return top if top > 0 else float(values[np.isfinite(values)].max(initial=0.0)) or 1.0


def upright(values: np.ndarray, labels: np.ndarray, grid: Grid) -> Upright:
    """The scan with its voxel axes in patient order, by the axis codes of the grid's RAS+ affine; voxels are not interpolated.

    An oblique grid is shown along its own axes under the names of the nearest patient axes: ``tilt_deg`` says how far off.
    Views are of the inputs. Raises InputError where the values or labels do not have the grid's shape.
    """
    if not values.shape == labels.shape == tuple(grid.shape):
        raise InputError("organ_map_grid", "organ map and scan differ in shape", found=labels.shape, expected=values.shape)
    size = voxel_size_mm(grid)
    # cosines[patient axis, array axis], both in the order z, y, x: how far along each patient axis a step in the array goes.
    cosines = grid.affine[2::-1, 2::-1] / np.array(size)
    order = max(permutations(range(3)), key=lambda p: sum(abs(cosines[row, p[row]]) for row in range(3)))
    along = [float(cosines[row, order[row]]) for row in range(3)]
    steps = tuple(slice(None, None, 1 if cosine > 0 else -1) for cosine in along)
    turned = [array.transpose(order)[steps] for array in (values, labels)]
    tilt_deg = float(np.degrees(np.arccos(min(1.0, min(map(abs, along))))))
    return Upright(turned[0], turned[1], (size[order[0]], size[order[1]], size[order[2]]), tilt_deg)


@dataclass(frozen=True, slots=True)
class _View:
    """One view: the picture (rows upwards), the outline mask of each organ in it, its pixel (up, across) [mm] and edge marks."""

    title: str
    picture: np.ndarray
    masks: dict[int, np.ndarray]
    pixel_mm: tuple[float, float]
    marks: tuple[str, str, str, str]  # left, right, bottom, top of the picture


def write_overlay(path_png: Path, quantity: Quantity, organ_map: OrganMap, title: str, frame: int = 0) -> None:
    """One PNG of a scan's frame with organ outlines, as in an atlas: head up, the patient's left on the left.

    ``quantity.values`` (t, z, y, x) [quantity.unit] and ``organ_map.labels`` (z, y, x) on one grid. Marks at the picture's edges
    (L R, P A, F H) come from the affine. Grey runs from 0 to the 99.9th percentile of the finite voxels. The picture is for the
    eye: an outline around a projection does not show that the organ fits in depth. Raises InputError where the shapes differ.
    """
    values = np.asarray(quantity.values[frame])
    turned = upright(values, organ_map.labels, quantity.grid)
    top = _upper_limit(values)
    indices = tuple(i for i in sorted(organ_map.names) if i != 0)
    colours = {i: _Style(COLOURS[k % len(COLOURS)], "--" if k >= len(COLOURS) else "-") for k, i in enumerate(indices)}
    figure = _draw(_views(turned, organ_map.names, indices), top, quantity.unit, colours)
    _add_texts(figure, organ_map.names, colours, title if turned.tilt_deg < 1 else f"{title} (grid tilted by {turned.tilt_deg:.0f}°)")
    _save(figure, path_png)


@dataclass(frozen=True, slots=True)
class _Seen:
    """How many voxels each organ (k) has along every ray: ``coronal`` (k, z, x), ``sagittal`` (k, z, y); ``mean`` (k,), -inf if none."""

    coronal: np.ndarray
    sagittal: np.ndarray
    mean: np.ndarray


def _views(turned: Upright, names: dict[int, str], indices: tuple[int, ...]) -> tuple[_View, ...]:
    values, (dz, dy, dx) = turned.values, turned.size_mm
    seen = _see(turned, indices)
    level, where = values.shape[0] // 2, "middle"
    if indices and np.isfinite(seen.mean).any():
        hottest = int(np.argmax(seen.mean))
        level, where = int(np.argmax(seen.coronal[hottest].sum(axis=1))), f"through {names[indices[hottest]]}"
    coronal, sagittal = ({i: m > 0 for i, m in zip(indices, counts, strict=True)} for counts in (seen.coronal, seen.sagittal))
    axial = {i: turned.labels[level] == i for i in indices}
    return (
        _View("coronal, maximum", np.fmax.reduce(values, axis=1), coronal, (dz, dx), ("L", "R", "F", "H")),
        _View("sagittal, maximum", np.fmax.reduce(values, axis=2), sagittal, (dz, dy), ("P", "A", "F", "H")),
        _View(f"axial slice, {where}", values[level], axial, (dy, dx), ("L", "R", "P", "A")),
    )


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


def _draw(views: tuple[_View, ...], top: float, unit: str, colours: dict[int, _Style]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCH, dpi=DPI, facecolor="white")
    spans = [(view.picture.shape[1] * view.pixel_mm[1], view.picture.shape[0] * view.pixel_mm[0]) for view in views]
    power = exponent(top)
    image = None
    for view, place in zip(views, _places(spans), strict=True):
        axes = figure.add_axes(place)
        image = _draw_view(axes, view, top, colours)
    _add_bar(figure, image, top, scaled_unit(unit, power), power)
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


def _draw_view(axes: Axes, view: _View, top: float, colours: dict[int, _Style]) -> AxesImage:
    from matplotlib import colormaps

    up_mm, across_mm = (n * size for n, size in zip(view.picture.shape, view.pixel_mm, strict=True))
    grey = colormaps["gray_r"].resampled(GREYS).with_extremes(bad="#ffe9a8")  # a ray with no finite voxel is not background
    image = axes.imshow(view.picture, cmap=grey, vmin=0, vmax=top, origin="lower", extent=(0, across_mm, 0, up_mm), aspect="equal")
    # The largest first: where organs touch, the smaller one's outline stays in sight.
    for index, mask in sorted(view.masks.items(), key=lambda item: -int(item[1].sum())):
        axes.add_collection(_outline(mask, view.pixel_mm, colours[index]), autolim=False)
    axes.set_title(view.title, fontsize=9, color="#444444", pad=4)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color="#bbbbbb", linewidth=0.6)
    spots: tuple[tuple[float, float, str, str], ...] = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"))
    spots += ((0.5, 0.012, "center", "bottom"), (0.5, 0.988, "center", "top"))
    for mark, (u, v, across, up) in zip(view.marks, spots, strict=True):
        text: dict[str, Any] = {"ha": across, "va": up, "transform": axes.transAxes, "fontsize": 10, "fontweight": "bold"}
        axes.text(u, v, mark, color="#111111", bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}, **text)
    return image


def _outline(mask: np.ndarray, pixel_mm: tuple[float, float], style: _Style) -> LineCollection:
    from contourpy import contour_generator
    from matplotlib.collections import LineCollection

    # A margin of one pixel closes the outline of an organ that the edge of the field cuts; Axes.contour takes five times as long.
    y, x = ((np.arange(-1, n + 1) + 0.5) * size for n, size in zip(mask.shape, pixel_mm, strict=True))
    lines: Any = contour_generator(x, y, np.pad(mask, 1).astype(float)).lines(0.5)
    return LineCollection(lines, colors=style.colour, linewidths=1.1, linestyles=style.dash)


def _add_bar(figure: Figure, image: AxesImage | None, top: float, unit: str, power: int) -> None:
    if image is None:
        return
    axes = figure.add_axes((0.88, 0.09, 0.012, 0.25))
    bar = figure.colorbar(image, cax=axes)
    bar.set_ticks([0, top / 2, top], labels=[f"{v / 10.0**power:.3g}" for v in (0, top / 2, top)])
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set(linewidth=0.4)
    axes.set_title(unit, fontsize=8.5, loc="left", pad=9)


def _add_texts(figure: Figure, names: dict[int, str], colours: dict[int, _Style], title: str) -> None:
    from matplotlib.lines import Line2D

    figure.text(0.03, 0.955, title, fontsize=12, fontweight="bold", parse_math=False)
    lines = [Line2D([], [], color=s.colour, linestyle=s.dash, linewidth=2.2, label=_short(names[i])) for i, s in colours.items()]
    if lines:
        size = min(8.5, 150 / len(lines))
        legend = figure.legend(handles=lines, loc="upper left", bbox_to_anchor=(0.87, 0.99), fontsize=size, frameon=False, handlelength=1.3)
        for text in legend.get_texts():
            text.set_parse_math(False)


def _save(figure: Figure, path_png: Path) -> None:
    """Writes the figure as RGB (no alpha: a fifth smaller), with no text chunk that names the machine's software."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(path_png, format="png")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
