"""One picture a scan: is the organ map on the organs, and is the patient the right way round?

Three views on white, the amount in grey: coronal and sagittal maximum projections, and the axial slice through the organ
with the highest mean. Organ outlines lie over them in colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, OrganMap, Quantity
from tracker.report.axes import exponent, scaled_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

UPPER_PERCENTILE = 99.9
# Sixteen colours that stay apart on white and on dark grey, the first ones also for colour-blind eyes; then again, dashed.
COLOURS = tuple(
    "#d55e00 #0072b2 #009e73 #cc79a7 #e69f00 #56b4e9 #7b3294 #b2182b #4d9221 #1f3fd1 #8c510a #00a6a6 #f72585 #9a8b00 #6c8ebf #ff7f6b".split()
)
SIZE_INCH, DPI = (10.4, 5.6), 100


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


def upright(values: np.ndarray, labels: np.ndarray, grid: Grid) -> Upright:
    """The scan with its voxel axes in patient order, by the axis codes of the grid's RAS+ affine; voxels are not interpolated.

    An oblique grid is shown along its own axes under the names of the nearest patient axes: ``tilt_deg`` says how far off.
    Views are of the inputs. Raises InputError where the values or labels do not have the grid's shape.
    """
    if not values.shape == labels.shape == tuple(grid.shape):
        raise InputError("organ_map_grid", "organ map and scan differ in shape", found=labels.shape, expected=values.shape)
    from nibabel.orientations import io_orientation

    turn = io_orientation(grid.affine)  # row i: which patient axis (x, y, z) voxel axis i (x, y, z) follows, and its sign
    order = [2 - int(np.argmax(turn[:, 0] == axis)) for axis in (2, 1, 0)]
    steps = tuple(slice(None, None, int(turn[2 - source, 1])) for source in order)
    columns = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    cosines = [abs(columns[int(turn[i, 0]), i]) for i in range(3)]
    size = np.linalg.norm(grid.affine[:3, :3], axis=0)
    turned = [array.transpose(order)[steps] for array in (values, labels)]
    size_mm = (float(size[2 - order[0]]), float(size[2 - order[1]]), float(size[2 - order[2]]))
    return Upright(turned[0], turned[1], size_mm, float(np.degrees(np.arccos(min(1.0, min(cosines))))))


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
    finite = turned.values[np.isfinite(turned.values)]
    top = float(np.percentile(finite, UPPER_PERCENTILE)) if finite.size else 0.0
    if top <= 0:
        top = float(finite.max(initial=0.0)) or 1.0
    indices = tuple(i for i in sorted(organ_map.names) if i != 0)
    colours = {i: (COLOURS[k % len(COLOURS)], "--" if k >= len(COLOURS) else "-") for k, i in enumerate(indices)}
    figure = _draw(_views(turned, organ_map.names, indices), top, quantity.unit, colours)
    _add_texts(figure, organ_map.names, colours, title if turned.tilt_deg < 1 else f"{title} (grid tilted by {turned.tilt_deg:.0f}°)")
    _save(figure, path_png)


def _views(turned: Upright, names: dict[int, str], indices: tuple[int, ...]) -> tuple[_View, ...]:
    values, labels, (dz, dy, dx) = turned.values, turned.labels, turned.size_mm
    boxes = _boxes(labels, indices)
    hottest = max(boxes, key=lambda i: _mean(values, labels, i, boxes[i]), default=None)
    level = values.shape[0] // 2 if hottest is None else int(round((boxes[hottest][0].start + boxes[hottest][0].stop - 1) / 2))
    where = "middle" if hottest is None else f"through {names[hottest]}"
    slice_masks = {i: labels[level] == i for i, box in boxes.items() if box[0].start <= level < box[0].stop}
    side = ("L", "R")
    return (
        _View("coronal, maximum", np.fmax.reduce(values, axis=1), _projected(labels, boxes, 1), (dz, dx), (*side, "F", "H")),
        _View("sagittal, maximum", np.fmax.reduce(values, axis=2), _projected(labels, boxes, 2), (dz, dy), ("P", "A", "F", "H")),
        _View(f"axial slice, {where}", values[level], slice_masks, (dy, dx), (*side, "P", "A")),
    )


def _boxes(labels: np.ndarray, indices: tuple[int, ...]) -> dict[int, tuple[slice, ...]]:
    from scipy.ndimage import find_objects

    # One pass over the map gives every organ's box; the rest works inside boxes and not on whole volumes.
    found = find_objects(np.ascontiguousarray(labels).astype(np.int32, copy=False))
    return {i: found[i - 1] for i in indices if 0 < i <= len(found) and found[i - 1] is not None}


def _mean(values: np.ndarray, labels: np.ndarray, index: int, box: tuple[slice, ...]) -> float:
    inside = values[box][labels[box] == index]
    inside = inside[np.isfinite(inside)]
    return float(inside.mean()) if inside.size else -np.inf


def _projected(labels: np.ndarray, boxes: dict[int, tuple[slice, ...]], axis: int) -> dict[int, np.ndarray]:
    masks = {}
    for index, box in boxes.items():
        mask = np.zeros(tuple(n for k, n in enumerate(labels.shape) if k != axis), dtype=bool)
        mask[tuple(s for k, s in enumerate(box) if k != axis)] = (labels[box] == index).any(axis=axis)
        masks[index] = mask
    return masks


def _draw(views: tuple[_View, ...], top: float, unit: str, colours: dict[int, tuple[str, str]]) -> Figure:
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
    """Where the views go, as shares of the figure: side by side in one scale [mm per inch], as large as fits; all tops level."""
    left, right, bottom, top, gap = 0.03, 0.86, 0.05, 0.86, 0.035
    width, height = (right - left - gap * (len(spans) - 1)) * SIZE_INCH[0], (top - bottom) * SIZE_INCH[1]
    inch_per_mm = min(width / sum(w for w, _ in spans), height / max(h for _, h in spans))
    places, x = [], left
    for across_mm, up_mm in spans:
        w, h = across_mm * inch_per_mm / SIZE_INCH[0], up_mm * inch_per_mm / SIZE_INCH[1]
        places.append((x, top - h, w, h))
        x += w + gap
    return places


def _draw_view(axes: Axes, view: _View, top: float, colours: dict[int, tuple[str, str]]) -> AxesImage:
    up_mm, across_mm = (n * size for n, size in zip(view.picture.shape, view.pixel_mm, strict=True))
    image = axes.imshow(view.picture, cmap="gray_r", vmin=0, vmax=top, origin="lower", extent=(0, across_mm, 0, up_mm), aspect="equal")
    image.cmap.set_bad("#ffe9a8")  # a ray with no finite voxel is neither 0 nor background
    for index, mask in view.masks.items():
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


def _outline(mask: np.ndarray, pixel_mm: tuple[float, float], style: tuple[str, str]) -> LineCollection:
    from contourpy import contour_generator
    from matplotlib.collections import LineCollection

    # A margin of one pixel closes the outline of an organ that the edge of the field cuts; Axes.contour takes five times as long.
    y, x = ((np.arange(-1, n + 1) + 0.5) * size for n, size in zip(mask.shape, pixel_mm, strict=True))
    lines = contour_generator(x, y, np.pad(mask, 1).astype(float)).lines(0.5)
    return LineCollection(list(lines), colors=style[0], linewidths=1.1, linestyles=style[1])


def _add_bar(figure: Figure, image: AxesImage | None, top: float, unit: str, power: int) -> None:
    if image is None:
        return
    axes = figure.add_axes((0.88, 0.09, 0.012, 0.25))
    bar = figure.colorbar(image, cax=axes)
    bar.set_ticks([0, top / 2, top], labels=[f"{v / 10.0**power:.3g}" for v in (0, top / 2, top)])
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set(linewidth=0.4)
    axes.set_title(unit, fontsize=8.5, loc="left", pad=5)


def _add_texts(figure: Figure, names: dict[int, str], colours: dict[int, tuple[str, str]], title: str) -> None:
    from matplotlib.lines import Line2D

    figure.text(0.03, 0.955, title, fontsize=12, fontweight="bold", parse_math=False)
    lines = [Line2D([], [], color=c, linestyle=dash, linewidth=2.2, label=names[i]) for i, (c, dash) in colours.items()]
    if lines:
        legend = figure.legend(handles=lines, loc="upper left", bbox_to_anchor=(0.87, 0.99), fontsize=8.5, frameon=False, handlelength=1.3)
        for text in legend.get_texts():
            text.set_parse_math(False)


def _save(figure: Figure, path_png: Path) -> None:
    """Writes the figure with a palette of 256 colours (a third of the size), and no text chunk that names the software."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path_png, format="png")
