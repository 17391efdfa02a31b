"""One picture an animal: its relaxation rate before the cells and after on one scale, so that what changed is seen, and what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tracker.clock import seconds_between
from tracker.curves import REST_ORGANS
from tracker.image import OrganMap, Quantity, frame_middle
from tracker.report.picture import DPI, View, add_bar, add_legend, draw_view, organ_styles, save, span_mm
from tracker.report.rates import MEANINGS, RateImage, rate_image, rate_slice, rate_top
from tracker.report.summary import duration_text, ordered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FOLLOW_UPS = 4
EMPTY = "#e4eef8"  # outside organs, where there is no number: not the white of a rate of 0
# [inch]: the widest a column may be, the tallest a row; room on the right for the legend, above for the titles, between views.
_COLUMN, _ROW = 2.1, 4.2
_LEGEND, _TITLE, _GAP, _EDGE = 1.75, 0.75, 0.16, 0.25
_NARROWEST, _LOWEST = 6.2, 4.0  # title and legend must fit beside a single small scan
_AXES = (1, 0)  # coronal slices above, axial ones below


@dataclass(frozen=True, slots=True)
class _Shot:
    """One scan of the picture: its name, the seconds since the first one, and its image with the organs' labels by name."""

    name: str
    since_s: float
    image: RateImage
    organs: dict[str, list[int]]
    filled: np.ndarray  # values, with voxels above the limit at that limit


def write_before_after(path: Path, scans: Sequence[tuple[str, Quantity, OrganMap]], title: str) -> None:
    """One PNG of an animal's scans of a relaxation rate: a column a scan, in time order from the earliest (the baseline) on.

    ``scans`` are (name, quantity [1/s], organ map on its grid); grids may differ. Of more than four scans after the first, four
    are shown, evenly chosen, with the last. Above are coronal, below axial slices, through the organ (not the rest of the body)
    with the largest |change of the mean| · √(its voxels), or through the largest organ where nothing changed. All views have
    one size and one grey scale [1/s], up to the 99.5th percentile of the organs' voxels in all of them. The first frame of each scan
    is shown. Scans are not aligned to one another: a slice goes through the same organ, not the same voxels.
    Raises ValueError where there is no scan, InputError where a map does not fit its scan.
    """
    if not scans:
        raise ValueError("a picture of before and after needs a scan")
    chosen = _chosen(scans)
    images = [rate_image(quantity, organ_map) for _, quantity, organ_map in chosen]
    top = rate_top(images)
    start = frame_middle(chosen[0][1].times, 0)
    shots = [
        _Shot(name, seconds_between(frame_middle(q.times, 0), start), image, _labels(m), _filled(q, m, image, top))
        for (name, q, m), image in zip(chosen, images, strict=True)
    ]
    left_out = len(scans) - len(chosen)
    note = f" ({len(chosen) - 1} of {len(scans) - 1} scans after the first)" if left_out else ""
    save(_draw(shots, top, title + note), path)


def _chosen(scans: Sequence[tuple[str, Quantity, OrganMap]]) -> list[tuple[str, Quantity, OrganMap]]:
    first = frame_middle(scans[0][1].times, 0)
    in_time = sorted(scans, key=lambda scan: seconds_between(frame_middle(scan[1].times, 0), first))
    later = in_time[1:]
    if len(later) > MOST_FOLLOW_UPS:
        later = [later[round(k)] for k in np.linspace(0, len(later) - 1, MOST_FOLLOW_UPS)]
    return [in_time[0], *later]


def _labels(organ_map: OrganMap) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, name in sorted(organ_map.names.items()):
        if index != 0:
            found.setdefault(name, []).append(index)
    return found


def _filled(quantity: Quantity, organ_map: OrganMap, image: RateImage, top: float) -> np.ndarray:
    """Upright values with each voxel above what could be told at its limit, or at the scale's end where that is not known."""
    if quantity.limit is None:
        return np.where(image.above, top, image.turned.values)
    limit = rate_image(replace(quantity, values=quantity.limit, censored=None), organ_map).turned.values
    return np.where(image.above, np.where(np.isnan(limit), top, limit), image.turned.values)


def _organ_of_interest(shots: Sequence[_Shot]) -> str:
    """The organ whose mean changed most against the noise of a mean over as many voxels; the largest where none changed; or none."""
    everything = ordered(name for shot in shots for name in shot.organs)
    # What is left of the body has so many voxels that a drift of the scanner would make it the most changed.
    names = [name for name in everything if name.lower() not in REST_ORGANS] or everything
    means = {name: [_mean(shot, name) for shot in shots] for name in names}
    changes = {name: _change(own) for name, own in means.items()}
    if any(changes.values()):
        return max(names, key=lambda name: changes[name])
    return max(names, key=lambda name: max(n for _, n in means[name]), default="")


def _mean(shot: _Shot, name: str) -> tuple[float, int]:
    """Mean rate of an organ [1/s], NaN where it has no number, and its voxels."""
    inside = shot.filled[np.isin(shot.image.turned.labels, shot.organs.get(name, []))]
    seen = inside[np.isfinite(inside)]
    return (float(seen.mean()) if seen.size else float("nan")), int(inside.size)


def _change(means: Sequence[tuple[float, int]]) -> float:
    (before, _), *later = means
    found = [abs(after - before) * float(np.sqrt(n)) for after, n in later]
    return max((c for c in found if np.isfinite(c)), default=0.0)


def _views(shot: _Shot, organ: str, outlines: dict[int, str]) -> list[View]:
    labels = shot.image.turned.labels
    inside = np.isin(labels, shot.organs.get(organ, []))
    views = []
    for axis in _AXES:
        others = tuple(k for k in range(3) if k != axis)
        count = inside.sum(axis=others)
        level = int(np.argmax(count)) if count.any() else labels.shape[axis] // 2
        views.append(rate_slice(shot.image, axis, level, {k: shot.organs.get(name, []) for k, name in outlines.items()}, EMPTY))
    when = f", {duration_text(shot.since_s / 3600)} later" if shot.since_s > 0 else ""
    return [replace(views[0], title=shot.name + when), replace(views[1], title="")]


def _draw(shots: Sequence[_Shot], top: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    organ = _organ_of_interest(shots)
    outlines = dict(enumerate(ordered(name for shot in shots for name in shot.organs)))
    columns = [_views(shot, organ, outlines) for shot in shots]
    size, places = _places([[span_mm(view) for view in column] for column in columns])
    figure, styles = Figure(figsize=size, dpi=DPI, facecolor="white"), organ_styles(tuple(outlines))
    wide, high = size
    for column, spots in zip(columns, places, strict=True):
        for view, (x, y, w, h) in zip(column, spots, strict=True):
            image = draw_view(figure.add_axes((x / wide, y / high, w / wide, h / high)), view, top, styles, mark_size=8)
    tilt_deg = max(shot.image.turned.tilt_deg for shot in shots)
    tilted = "" if tilt_deg < 1 else f", grid tilted by {tilt_deg:.0f}°"
    figure.text(_EDGE / wide, 1 - 0.27 / high, title, fontsize=12, fontweight="bold", parse_math=False)
    through = f"coronal and axial slices through {organ or 'the middle'}{tilted}"
    figure.text(_EDGE / wide, 1 - 0.45 / high, through, fontsize=9, color="#444444", parse_math=False)
    right = 1 - (_LEGEND - 0.1) / wide
    add_bar(figure, image, "1/s", (right + 0.05 / wide, _EDGE / high, 0.12 / wide, 1.3 / high), "≥ ")
    add_legend(
        figure, [(outlines[k], style) for k, style in styles.items()], (*MEANINGS, ("no value, outside", EMPTY)), (right, 1 - 0.1 / high)
    )
    return figure


_Place = tuple[float, float, float, float]


def _places(columns: Sequence[Sequence[tuple[float, float]]]) -> tuple[tuple[float, float], list[list[_Place]]]:
    """The figure's size and each view's place (left, bottom, width, height) [inch], all in one scale, from their spans [mm]."""
    rows = list(zip(*columns, strict=True))
    tallest = [max(h for _, h in row) for row in rows]
    scale = min(_COLUMN / max(w for row in rows for w, _ in row), *(_ROW / h for h in tallest))
    high = max(_TITLE + _EDGE + _GAP * (len(rows) - 1) + scale * sum(tallest), _LOWEST)
    places, x = [], _EDGE
    for column in columns:
        y, spots = high - _TITLE, []
        for (w_mm, h_mm), row_mm in zip(column, tallest, strict=True):
            spots.append((x, y - h_mm * scale, w_mm * scale, h_mm * scale))
            y -= row_mm * scale + _GAP
        places.append(spots)
        x += max(w for w, _ in column) * scale + _GAP
    return (max(x + _LEGEND, _NARROWEST), high), places
