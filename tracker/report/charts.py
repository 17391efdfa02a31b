"""Curves as SVG: one small panel an organ, a line a subject, the colour its group, bars for 95 % intervals.

Written by hand and not by a plotting library, so that the page needs nothing, stays sharp in print, follows the page's
light or dark colours (classes ``g0``…), and is the same bytes for the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import hypot

from tracker.curves import group_summary
from tracker.report.axes import Axis, exponent, pixel, scaled_unit, time_axis, value_axis
from tracker.report.summary import lower_bounds, ordered, place
from tracker.table import Row

WIDTH, HEIGHT = 300, 190
LEFT, RIGHT, TOP, BOTTOM = 40, 10, 8, 36
GROUP_COLOURS = 7
CURVES = (
    *("injected_percent_per_g", "injected_percent", "suv", "cells_equivalent", "cells_viable", "viable_fraction", "label_amount"),
    *("delta_r2star", "r2star", "hypointense_volume", "cells_focal"),
)
TITLES = {
    "injected_percent_per_g": "Share of the dose per gram of organ",
    "injected_percent": "Share of the dose in the organ",
    "suv": "Standardised uptake value, body weight",
    "cells_equivalent": "Cells, if all label is in live cells",
    "cells_viable": "Live cells",
    "viable_fraction": "Share of the label that is in live cells",
    "label_amount": "Label in the organ",
    "delta_r2star": "Rise of the relaxation rate R2* since before the dose",
    "r2star": "Relaxation rate R2*, the tissue's own included",
    "hypointense_volume": "Volume of what is darker than tissue",
    "cells_focal": "Cells in dense deposits, from the dark volume",
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One organ's picture: ``svg`` is markup with everything in it escaped; ``unit`` that of its vertical axis."""

    organ: str
    unit: str
    svg: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All organs of one quantity, as one modality measured it on one label; ``groups`` in the order of the colours."""

    quantity: str
    title: str
    unit: str
    modality: str
    label: str
    groups: tuple[str, ...]
    panels: tuple[Panel, ...]
    note: str


def half_width(row: Row) -> float | None:
    """Half of the 95 % interval, 1.96 · √(sd_noise² + sd_scale²), from those of the two that are stated; None if neither is.

    Taken as normal. It does not hold what is unstated, nor the spread between animals.
    """
    stated = [sd for sd in (row.sd_noise, row.sd_scale) if sd is not None]
    return 1.96 * hypot(*stated) if stated else None


def limit_of(row: Row) -> float | None:
    """Where a censored point is drawn: at the limit it is beyond, or at its raw value where the limit is not stated."""
    limit = row.lloq if row.cens == 1 else row.uloq
    return row.value if limit is None else limit


def charts(rows: Sequence[Row], quantities: Sequence[str] = CURVES) -> tuple[Chart, ...]:
    """One chart for each quantity, modality, label and unit that has something to draw, in the order of ``quantities``."""
    groups = ordered(r.group for r in rows)
    found = []
    for quantity in quantities:
        wanted = [r for r in rows if r.quantity == quantity]
        for key in ordered((r.modality, r.label, r.unit) for r in wanted):
            own = [r for r in wanted if (r.modality, r.label, r.unit) == key]
            timed = [r for r in own if r.time_h is not None]
            if any(_height(r) is not None for r in timed):
                found.append(_chart(timed, groups, _without_time(own)))
    return tuple(found)


def _height(row: Row) -> float | None:
    return limit_of(row) if row.cens else row.value


def _without_time(rows: Sequence[Row]) -> str:
    """What is said of values that no chart over time can show."""
    count = sum(r.time_h is None and _height(r) is not None for r in rows)
    return f"Values not drawn, of animals without a dose, which have no time: {count}." if count else ""


def _chart(rows: Sequence[Row], groups: tuple[str, ...], not_drawn: str) -> Chart:
    first = rows[0]
    times = [r.time_h for r in rows if r.time_h is not None and _height(r) is not None]
    across = time_axis(times, LEFT, WIDTH - RIGHT)
    panels = []
    for organ in ordered(r.organ for r in rows):
        own = [r for r in rows if r.organ == organ]
        up = value_axis(*_reach(own), HEIGHT - BOTTOM, TOP)
        power = exponent(max(abs(up.low), abs(up.high)))
        panels.append(Panel(organ, scaled_unit(first.unit, power), _svg(own, groups, across, up)))
    used = tuple(g for g in groups if any(r.group == g for r in rows))
    title = TITLES.get(first.quantity, first.quantity.replace("_", " "))
    note = f"{_note(rows)} {not_drawn}".strip()
    return Chart(first.quantity, title, first.unit, first.modality, first.label, used, tuple(panels), note)


def group_class(groups: Sequence[str], group: str) -> str:
    """The style class of a group: its colour ``g0``…``g6``, and ``dashed`` from the eighth group on."""
    at = groups.index(group)
    return f"g{at % GROUP_COLOURS}" + (" dashed" if at >= GROUP_COLOURS else "")


def _note(rows: Sequence[Row]) -> str:
    measured = [r for r in rows if r.value is not None and not r.cens]
    bare = sum(r.sd_noise is None and r.sd_scale is None for r in measured)
    parts = ["Bars: 95 % interval of each value, ±1.96·√(sd_noise² + sd_scale²)."]
    for name in ("sd_scale", "sd_noise"):
        count = sum(getattr(r, name) is None for r in measured) - bare
        if count:
            parts.append(f"Of {len(measured)} points {count} have no {name}: their bars leave it out and are too short.")
    if bare:
        parts.append(f"Of {len(measured)} points {bare} have no stated uncertainty and no bar.")
    if any(r.cens for r in rows):
        parts.append("Open triangles stand at the limit that a value was below (▽) or above (△).")
    if any(r.cens == 1 for r in rows):
        parts.append("Below a limit the raw value is in the group's mean.")
    if any(r.cens == -1 for r in rows):
        parts.append("Above a limit nobody knows the value: the group has no mean there.")
    negative = sum((r.value or 0.0) < 0 for r in measured)
    if negative:
        parts.append(
            f"Of {len(measured)} points {negative} are below 0, as noise about nothing is: they are kept, so that means are right."
        )
    return " ".join(parts)


def _reach(rows: Sequence[Row]) -> tuple[float, float]:
    """The lowest and highest value that an axis must show; a bar may lengthen it by a half at most, not flatten the curves."""
    # The means use the raw value of a censored point as well, so the axis holds both.
    heights = [h for r in rows for h in (r.value, _height(r)) if h is not None] or [0.0]
    ends = [(r.value, half_width(r) or 0.0) for r in rows if r.value is not None and not r.cens]
    low, high = min(heights), max(heights)
    room = 0.5 * max(abs(low), abs(high))
    low_bar, high_bar = min([v - w for v, w in ends] or [low]), max([v + w for v, w in ends] or [high])
    # A value is nearly never negative; a bar that passes below 0 is cut there rather than given half the panel.
    return (max(low_bar, low - room) if low < 0 else low), min(max(high_bar, high), high + room)


def _svg(rows: Sequence[Row], groups: tuple[str, ...], across: Axis, up: Axis) -> str:
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(rows[0].organ)}">', _frame(across, up)]
    for group in groups:
        own = [r for r in rows if r.group == group]
        if not own:
            continue
        parts.append(f'<g class="series {group_class(groups, group)}">')
        for subject in ordered(r.subject for r in own):
            points = sorted((r for r in own if r.subject == subject), key=lambda r: r.time_h or 0.0)
            parts.append(_subject(points, across, up))
        parts.append(_group_mean(own, across, up) + "</g>")
    return "".join(parts) + "</svg>"


def _frame(across: Axis, up: Axis) -> str:
    floor_y, parts = HEIGHT - BOTTOM, []
    for value, text in up.ticks:
        y = pixel(up, value)
        kind = "zero" if value == 0 else "grid"
        parts.append(
            f'<path class="{kind}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/><text class="y" x="{LEFT - 5}" y="{y + 3.5:.1f}">{text}</text>'
        )
    for value, text in across.ticks:
        x = pixel(across, value)
        parts.append(f'<path class="tick" d="M{x:.1f} {floor_y}v4"/><text class="x" x="{x:.1f}" y="{floor_y + 15}">{text}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    return "".join(parts) + f'<text class="title" x="{middle:.0f}" y="{HEIGHT - 5}">{across.title}</text>'


def _subject(points: Sequence[Row], across: Axis, up: Axis) -> str:
    """One subject's line, broken where a value is missing or beyond a limit, with its bars and markers."""
    runs: list[list[str]] = [[]]
    bars, marks = [], []
    for row in points:
        x, height = pixel(across, row.time_h or 0.0), _height(row)
        if height is None or row.cens:
            runs.append([])
            if height is not None:
                marks.append(_triangle(row, x, pixel(up, height)))
            continue
        y = pixel(up, height)
        runs[-1].append(f"{x:.1f},{y:.1f}")
        bars.append(_bar(row, x, up))
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4">{_tip(row)}</circle>')
    lines = "".join(f'<polyline points="{" ".join(run)}"/>' for run in runs if len(run) > 1)
    bar_path = "".join(bars)
    return lines + (f'<path class="bar" d="{bar_path}"/>' if bar_path else "") + "".join(marks)


def _bar(row: Row, x: float, up: Axis) -> str:
    half = half_width(row)
    if not half or row.value is None:
        return ""
    low, high = (pixel(up, min(max(v, up.low), up.high)) for v in (row.value - half, row.value + half))
    return f"M{x:.1f} {low:.1f}V{high:.1f}"


def _triangle(row: Row, x: float, y: float) -> str:
    height = 6 if row.cens == 1 else -6
    return f'<path class="limit" d="M{x - 4:.1f} {y - height / 2:.1f}h8l-4 {height}z">{_tip(row)}</path>'


def _tip(row: Row) -> str:
    bound = {1: "below ", -1: "above "}.get(row.cens or 0, "")
    value, half = _height(row), half_width(row)
    spread = f" ± {half:.3g}" if half and not row.cens else ""
    return f"<title>{escape(f'{row.subject} {row.session}, {row.time_h:.4g} h: {bound}{value:.4g}{spread} {row.unit}')}</title>"


def _group_mean(rows: Sequence[Row], across: Axis, up: Axis) -> str:
    """The line through a group's means, broken at a time when fewer than two subjects have a value, or one is above its limit."""
    unknown = lower_bounds(rows)
    runs: list[list[str]] = [[]]
    for group in group_summary(rows):
        if place(group) not in unknown and group.n > 1 and group.time_h is not None and group.mean is not None:
            runs[-1].append(f"{pixel(across, group.time_h):.1f},{pixel(up, group.mean):.1f}")
        else:
            runs.append([])
    return "".join(f'<polyline class="mean" points="{" ".join(run)}"/>' for run in runs if len(run) > 1)
