"""What the pictures of scans share: a view in grey with organ outlines and the patient's sides at its edges, its bar and its legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tracker.report.axes import exponent, scaled_unit

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Sixteen colours that stay apart on white and on dark grey, the first ones also for colour-blind eyes; then again, dashed.
COLOURS = (
    *("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b3294", "#b2182b"),
    *("#4d9221", "#1f3fd1", "#8c510a", "#00a6a6", "#f72585", "#9a8b00", "#6c8ebf", "#ff7f6b"),
)
NO_VALUE = "#ffe9a8"
ABOVE = "#e600d8"  # no outline's colour, and far from white, from grey and from black
GREYS = 64  # more are not told apart by eye, and noise then makes the file half as large again
LONGEST_NAME = 18  # what fits beside the views
DPI = 100


@dataclass(frozen=True, slots=True)
class Style:
    """How an organ's outline is drawn."""

    colour: str
    dash: Literal["-", "--"] = "-"


@dataclass(frozen=True, slots=True)
class View:
    """One view: the picture (rows upwards), the outline mask of each organ in it, its pixel (up, across) [mm] and edge marks.

    ``paint`` are (colour, mask) of pixels that have no number, painted over it; other pixels without one are ``empty``.
    """

    title: str
    picture: np.ndarray
    masks: dict[int, np.ndarray]
    pixel_mm: tuple[float, float]
    marks: tuple[str, str, str, str]  # left, right, bottom, top of the picture
    paint: tuple[tuple[str, np.ndarray], ...] = ()
    empty: str = NO_VALUE


def span_mm(view: View) -> tuple[float, float]:
    """Width and height of a view [mm]."""
    return view.picture.shape[1] * view.pixel_mm[1], view.picture.shape[0] * view.pixel_mm[0]


def organ_styles(indices: Sequence[int]) -> dict[int, Style]:
    """A style for each organ, in their order: colours first, then the same ones dashed."""
    return {i: Style(COLOURS[k % len(COLOURS)], "--" if k >= len(COLOURS) else "-") for k, i in enumerate(indices)}


def draw_view(axes: Axes, view: View, top: float, styles: dict[int, Style], mark_size: float = 10) -> AxesImage:
    """Draws a view into ``axes``: grey from 0 (white) to ``top`` (black), painted pixels, outlines, title and marks."""
    from matplotlib import colormaps

    across_mm, up_mm = span_mm(view)
    place: dict[str, Any] = {"origin": "lower", "extent": (0, across_mm, 0, up_mm), "aspect": "equal"}
    grey = colormaps["gray_r"].resampled(GREYS).with_extremes(bad=view.empty)
    image = axes.imshow(view.picture, cmap=grey, vmin=0, vmax=top, **place)
    for colour, mask in view.paint:
        axes.imshow(_in_colour(mask, colour), interpolation="nearest", **place)
    # The largest first: where organs touch, the smaller one's outline stays in sight.
    for index, mask in sorted(view.masks.items(), key=lambda item: -int(item[1].sum())):
        axes.add_collection(_outline(mask, view.pixel_mm, styles[index]), autolim=False)
    axes.set_title(view.title, fontsize=9, color="#444444", pad=4, parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color="#bbbbbb", linewidth=0.6)
    _add_marks(axes, view.marks, mark_size)
    return image


def _in_colour(mask: np.ndarray, colour: str) -> np.ndarray:
    """The mask (up, across) as RGBA: the colour where it is true, nothing elsewhere."""
    from matplotlib.colors import to_rgba

    return np.where(mask[..., None], to_rgba(colour), 0.0)


def _add_marks(axes: Axes, marks: tuple[str, str, str, str], size: float) -> None:
    spots: tuple[tuple[float, float, str, str], ...] = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"))
    spots += ((0.5, 0.012, "center", "bottom"), (0.5, 0.988, "center", "top"))
    for mark, (u, v, across, up) in zip(marks, spots, strict=True):
        text: dict[str, Any] = {"ha": across, "va": up, "transform": axes.transAxes, "fontsize": size, "fontweight": "bold"}
        axes.text(u, v, mark, color="#111111", bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}, **text)


def _outline(mask: np.ndarray, pixel_mm: tuple[float, float], style: Style) -> LineCollection:
    from contourpy import contour_generator
    from matplotlib.collections import LineCollection

    # A margin of one pixel closes the outline of an organ that the edge of the field cuts; Axes.contour takes five times as long.
    y, x = ((np.arange(-1, n + 1) + 0.5) * size for n, size in zip(mask.shape, pixel_mm, strict=True))
    lines: Any = contour_generator(x, y, np.pad(mask, 1).astype(float)).lines(0.5)
    return LineCollection(lines, colors=style.colour, linewidths=1.1, linestyles=style.dash)


def add_bar(figure: Figure, image: AxesImage, unit: str, place: tuple[float, float, float, float], beyond: str = "") -> None:
    """The image's grey scale at ``place`` (left, bottom, width, height as shares of the figure); ``beyond`` stands before its upper end."""
    _, top = image.get_clim()
    power = exponent(top)
    axes = figure.add_axes(place)
    bar = figure.colorbar(image, cax=axes)
    texts = [f"{v / 10.0**power:.3g}" for v in (0, top / 2, top)]
    bar.set_ticks([0, top / 2, top], labels=[*texts[:2], beyond + texts[2]])
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set(linewidth=0.4)
    axes.set_title(scaled_unit(unit, power), fontsize=8.5, loc="left", pad=9)


def add_legend(figure: Figure, names: Sequence[tuple[str, Style]], patches: Sequence[tuple[str, str]], corner: tuple[float, float]) -> None:
    """Organs with their outlines and, below them, (text, colour) of painted pixels; upper left at ``corner``."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found: list[Artist] = [Line2D([], [], color=s.colour, linestyle=s.dash, linewidth=2.2, label=_short(name)) for name, s in names]
    found += [Patch(facecolor=colour, edgecolor="#999999", linewidth=0.4, label=text) for text, colour in patches]
    if found:
        size = min(8.5, 150 / len(found))
        legend = figure.legend(handles=found, loc="upper left", bbox_to_anchor=corner, fontsize=size, frameon=False, handlelength=1.3)
        for text in legend.get_texts():
            text.set_parse_math(False)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def save(figure: Figure, path_png: Path) -> None:
    """Writes the figure as RGB (no alpha: a fifth smaller), with no text chunk that names the machine's software."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(path_png, format="png")
