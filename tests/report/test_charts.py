"""Points stand where their values say; what is missing is a gap; what is censored is a triangle."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from tests.report.conftest import ORGANS, SUBJECTS
from tracker.report.charts import Chart, charts, half_width
from tracker.table import Row


def _row(time_h: float, value: float | None, subject: str = "m1", **changes: object) -> Row:
    plain = Row(
        "s", subject, "g", f"{time_h:g}h", "pet", "zr", "liver", time_h, None, None, "injected_percent", value, "%", 1.0, 2.0, cens=0
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def _svg(chart: Chart, organ: str) -> ElementTree.Element:
    return ElementTree.fromstring(next(p.svg for p in chart.panels if p.organ == organ))


def _points(line: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


def _lines(svg: ElementTree.Element, kind: str = "") -> list[list[tuple[float, float]]]:
    return [_points(e) for e in svg.iter("polyline") if e.attrib.get("class", "") == kind]


def _scale(svg: ElementTree.Element) -> tuple[float, float]:
    """Pixels per unit and the pixel of 0, read from the vertical axis' own texts (moved down by 3.5 px to be centred)."""
    texts = {float((e.text or "").replace("−", "-")): float(e.attrib["y"]) - 3.5 for e in svg.iter("text") if e.attrib["class"] == "y"}
    low, high = min(texts), max(texts)
    return (texts[high] - texts[low]) / (high - low), texts[0.0]


def test_positions_are_the_values_on_the_drawn_axis() -> None:
    values = {0.0: 40.0, 4.0: 10.0, 10.0: 25.0, 20.0: 0.0}
    svg = _svg(charts([_row(t, v) for t, v in values.items()])[0], "liver")
    ((*points,),) = _lines(svg)
    per_unit, zero = _scale(svg)
    for (_, y), value in zip(points, values.values(), strict=True):
        assert y == pytest.approx(zero + per_unit * value, abs=0.1)  # written with one decimal
    ticks = {float(e.text or ""): float(e.attrib["x"]) for e in svg.iter("text") if e.attrib["class"] == "x"}
    per_h = (ticks[max(ticks)] - ticks[0.0]) / max(ticks)
    for (x, _), time_h in zip(points, values, strict=True):
        assert x == pytest.approx(ticks[0.0] + per_h * time_h, abs=0.15)


def test_larger_is_higher_and_later_is_further_right(rows: tuple[Row, ...]) -> None:
    chart = next(c for c in charts(rows) if c.quantity == "injected_percent")
    own = sorted((r for r in rows if (r.quantity, r.organ, r.subject) == ("injected_percent", "liver", "m01")), key=lambda r: r.time_h or 0)
    line = _lines(_svg(chart, "liver"))[0]
    assert [x for x, _ in line] == sorted({x for x, _ in line})
    by_value = sorted(range(len(own)), key=lambda i: own[i].value or 0.0)
    heights = [line[i][1] for i in by_value]
    assert heights == sorted(heights, reverse=True) and len(line) == 5


def test_missing_value_is_a_gap_and_not_zero() -> None:
    svg = _svg(charts([_row(1, 5.0), _row(2, 6.0), _row(3, None), _row(4, 7.0), _row(5, 8.0)])[0], "liver")
    assert [len(line) for line in _lines(svg)] == [2, 2]
    assert len(list(svg.iter("circle"))) == 4


@pytest.mark.parametrize(("cens", "limit", "low_corner"), [(1, {"lloq": 3.0}, 1), (-1, {"uloq": 30.0}, -1)])
def test_censored_point_is_an_open_triangle_at_its_limit(cens: int, limit: dict[str, float], low_corner: int) -> None:
    svg = _svg(charts([_row(0, 10.0), _row(2, 9.0), _row(3, 1.0, cens=cens, **limit), _row(4, 8.0)])[0], "liver")
    (mark,) = [e for e in svg.iter("path") if e.attrib.get("class") == "limit"]
    _, y, up_or_down = (float(n) for n in re.match(r"M([\d.]+) ([\d.]+)h8l-4 (-?\d+)z", mark.attrib["d"]).groups())  # type: ignore[union-attr]
    per_unit, zero = _scale(svg)
    assert y + up_or_down / 2 == pytest.approx(zero + per_unit * next(iter(limit.values())), abs=0.11)
    assert math.copysign(1, up_or_down) == low_corner  # it points to where the value is: SVG's y grows downwards
    assert len(list(svg.iter("circle"))) == 3 and [len(line) for line in _lines(svg)] == [2]


def test_bars_are_95_percent_of_both_deviations() -> None:
    assert half_width(_row(0, 10.0)) == pytest.approx(1.96 * math.sqrt(5.0))
    assert half_width(_row(0, 10.0, sd_scale=None)) == pytest.approx(1.96)
    assert half_width(_row(0, 10.0, sd_noise=None, sd_scale=None)) is None
    svg = _svg(charts([_row(0, 10.0), _row(2, 20.0)])[0], "liver")
    (bars,) = [e.attrib["d"] for e in svg.iter("path") if e.attrib.get("class") == "bar"]
    per_unit, _ = _scale(svg)
    lengths = [float(a) - float(b) for a, b in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", bars)]
    assert lengths == pytest.approx([-2 * 1.96 * math.sqrt(5.0) * per_unit] * 2, abs=0.2)


def test_missing_scale_is_said() -> None:
    rows = [_row(0, 10.0), _row(2, 20.0, sd_scale=None), _row(4, 20.0, sd_noise=None, sd_scale=None)]
    note = charts(rows)[0].note
    assert "Of 3 points 1 have no sd_scale" in note and "1 have no stated uncertainty" in note and "sd_noise:" not in note
    assert "sd_scale:" not in charts(rows[:1])[0].note and "triangle" not in note


def test_group_mean_is_the_mean_and_breaks_where_one_animal_is_left() -> None:
    values = {"a": [10.0, 20.0, 6.0, 5.0, 4.0], "b": [30.0, 20.0, None, 15.0, 6.0]}
    rows = [_row(float(t), v, s) for s, series in values.items() for t, v in enumerate(series)]
    svg = _svg(charts(rows)[0], "liver")
    per_unit, zero = _scale(svg)
    means = [[round((y - zero) / per_unit, 0) for _, y in line] for line in _lines(svg, "mean")]
    assert means == [[20.0, 20.0], [10.0, 5.0]]
    assert not _lines(_svg(charts([r for r in rows if r.subject == "a"])[0], "liver"), "mean")


def test_every_organ_group_and_quantity_is_drawn(rows: tuple[Row, ...]) -> None:
    found = charts(rows)
    assert [c.quantity for c in found] == ["injected_percent_per_g", "injected_percent", "suv", "cells_equivalent", "label_amount"]
    for chart in found:
        assert [p.organ for p in chart.panels] == list(ORGANS) and chart.groups == ("MSC", "control")
        for panel in chart.panels:
            titles = [e.text or "" for e in ElementTree.fromstring(panel.svg).iter("title")]
            assert {t.split()[0] for t in titles} == set(SUBJECTS)


def test_all_is_inside_the_picture(rows: tuple[Row, ...]) -> None:
    for chart in charts(rows):
        for panel in chart.panels:
            svg = ElementTree.fromstring(panel.svg)
            for kind in ("", "mean"):
                assert all(40 <= x <= 290 and 8 <= y <= 154 for line in _lines(svg, kind) for x, y in line)


def test_a_huge_bar_does_not_flatten_the_curve() -> None:
    svg = _svg(charts([_row(0, 10.0), _row(2, 9.0, sd_noise=500.0), _row(4, 8.0)])[0], "liver")
    assert max(float(e.text or "0") for e in svg.iter("text") if e.attrib["class"] == "y") <= 20


def test_negative_values_are_drawn_below_zero() -> None:
    svg = _svg(charts([_row(0, -4.0), _row(2, 8.0)])[0], "liver")
    _, zero = _scale(svg)
    assert _lines(svg)[0][0][1] > zero + 5


def test_hostile_names_stay_text() -> None:
    rows = [_row(t, 1.0, '"><script>x</script>', organ='<img src="x">&') for t in (0.0, 1.0)]
    markup = charts(rows)[0].panels[0].svg
    assert "<script" not in markup and "<img" not in markup
    assert ElementTree.fromstring(markup).attrib["aria-label"] == '<img src="x">&'


def test_scans_of_other_modalities_and_labels_are_charts_of_their_own() -> None:
    rows = [
        _row(0, 1.0),
        _row(0, 1.0, modality="gamma"),
        _row(0, 1.0, label="cu"),
        _row(0, None, label="empty"),
        replace(_row(0, 1.0), time_h=None),
    ]
    assert [(c.modality, c.label) for c in charts(rows)] == [("pet", "zr"), ("gamma", "zr"), ("pet", "cu")]
    assert charts([]) == ()


def test_one_animal_in_two_modalities_has_two_curves_that_never_meet() -> None:
    rows = [_row(t, 10.0 + t, modality=m, label=label) for t in (1.0, 2.0, 3.0) for m, label in (("pet", "zr"), ("mri", "fe"))]
    found = charts(rows)
    assert [(c.modality, c.label) for c in found] == [("pet", "zr"), ("mri", "fe")]
    assert [len(line) for chart in found for line in _lines(_svg(chart, "liver"))] == [3, 3]


def test_a_group_has_no_mean_where_an_animal_is_above_its_limit() -> None:
    values = {"a": [10.0, 20.0, 30.0, 40.0], "b": [12.0, 22.0, 32.0, 42.0]}
    rows = [_row(float(t), v, s) for s, series in values.items() for t, v in enumerate(series)]
    for value in (25.0, None):  # the seen part of an organ, or nothing seen of it
        above = [replace(r, value=value, cens=-1, uloq=25.0) if (r.subject, r.time_h) == ("b", 2.0) else r for r in rows]
        chart = charts(above)[0]
        assert [len(line) for line in _lines(_svg(chart, "liver"), "mean")] == [2]
        assert "no mean" in chart.note and "Below a limit" not in chart.note
    assert [len(line) for line in _lines(_svg(charts(rows)[0], "liver"), "mean")] == [4]


def test_negative_amounts_are_drawn_and_counted() -> None:
    rows = [_row(t, v, quantity="label_amount", unit="ug") for t, v in ((1.0, -0.5), (10.0, 0.5), (100.0, 2.0))]
    (chart,) = charts(rows)
    assert "Of 3 points 1 are below 0" in chart.note and len(list(_svg(chart, "liver").iter("circle"))) == 3
    assert "below 0" not in charts(rows[1:])[0].note


def test_baseline_scans_stand_before_the_dose() -> None:
    rows = [_row(t, 30.0, quantity="r2star", unit="1/s") for t in (-24.0, 4.0, 24.0, 168.0)]
    (line,) = _lines(_svg(charts(rows)[0], "liver"))
    gaps = [b[0] - a[0] for a, b in pairwise(line)]
    # A linear axis: pixels in proportion to hours, written with one decimal.
    assert [gap / gaps[2] for gap in gaps] == pytest.approx([28 / 144, 20 / 144, 1.0], abs=0.002)


def test_values_without_a_time_are_counted() -> None:
    rows = [_row(1, 30.0), replace(_row(1, 31.0, "c1"), time_h=None), replace(_row(1, None, "c2"), time_h=None)]
    assert charts(rows)[0].note.endswith("which have no time: 1.") and "no time" not in charts(rows[:1])[0].note
    assert charts(rows[1:]) == ()
