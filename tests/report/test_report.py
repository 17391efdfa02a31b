"""The page: well formed, self-contained, complete, deaf to hostile names, the same bytes twice, and visible in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.report.conftest import ORGANS, SUBJECTS, mouse_scan
from tracker.qc import QcRow
from tracker.report import ReportInputs, render, write_report
from tracker.report.overlay import write_overlay
from tracker.table import Row

HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\" onload='x' {{ 7*7 }} &lt;"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class _Page(HTMLParser):
    """Checks nesting, and collects tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def inputs(rows: tuple[Row, ...], findings: tuple[QcRow, ...], tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    """All sections filled."""
    picture = tmp_path_factory.mktemp("pictures") / "pet_m01_24h.png"
    write_overlay(picture, *mouse_scan(np.diag([0.5, 0.5, 0.8, 1.0])), "m01, 24h, pet")
    return ReportInputs(
        "msc_lung_homing",
        rows,
        findings,
        (("m01, 24h, pet", picture), ("m02, 24h, pet", picture)),
        (("organ", "cmax", "flag"), ("liver", 30.1, ("extrapolated", "censored")), ("lung", None, ())),
        ("Label zr89 is 89Zr.",),
        ("All label is in live cells.",),
        (("organ", "n", "median_percent"), ("liver", 12, -1.234)),
        "celltracker 0.1.0",
    )


def _written(folder: Path, inputs: ReportInputs) -> str:
    write_report(folder / "index.html", inputs)
    assert not list(folder.glob("*.part"))
    return (folder / "index.html").read_text(encoding="utf-8")


def test_page_is_well_formed(tmp_path: Path, inputs: ReportInputs) -> None:
    page = _Page(_written(tmp_path, inputs))
    assert page.open == [] and page.tags[0] == "html"
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for _, name, value in page.attributes if name == "href"} <= set(ids)


def test_page_loads_nothing_and_runs_nothing(tmp_path: Path, inputs: ReportInputs) -> None:
    text = _written(tmp_path, inputs)
    page = _Page(text)
    assert "script" not in page.tags and not {"link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not re.search(r"https?://|url\(|@import", text)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert all(v.startswith("data:image/png;base64,") for t, n, v in page.attributes if n == "src")
    assert all(v.startswith("#") for _, n, v in page.attributes if n == "href")
    (policy,) = [v for t, n, v in page.attributes if t == "meta" and n == "content" and "default-src" in v]
    assert {"default-src 'none'", "script-src 'none'", "img-src data:", "style-src 'unsafe-inline'"} <= set(policy.split("; "))


def test_page_holds_every_organ_subject_and_section(tmp_path: Path, inputs: ReportInputs) -> None:
    page = _Page(_written(tmp_path, inputs))
    for word in (*ORGANS, *SUBJECTS, "MSC", "control", "msc_lung_homing", "Label zr89 is 89Zr.", "All label is in live cells.",
                 "celltracker 0.1.0", "injected_percent_per_g", "kBq", "extrapolated; censored",
                 "-1.23", "1 of 20 scans", "the series has a gap"):  # fmt: skip
        assert word in page.text, word
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert ids == {"summary", "curves", "latest", "truth", "nca", "pictures", "aside", "checks", "methods", "assumed"}
    assert page.tags.count("svg") == 5 * len(ORGANS)


def test_failures_come_first(tmp_path: Path, inputs: ReportInputs) -> None:
    text = _written(tmp_path, inputs)
    assert text.index("the series has a gap") < text.index('id="curves"')
    statuses = re.findall(r'class="status (\w+)"', text[text.index('id="checks"') :])
    assert statuses == ["fail", "warn"] + ["ok"] * 20


def test_tables_show_numbers_short_and_ids_as_they_are(tmp_path: Path, inputs: ReportInputs) -> None:
    table = (
        ("subject", "n_points", "auc_last", "flag"),
        ("1E5", "5", "1234.56789", ""),
        ("007", "", "", "censored"),
        ("NA", "4", "1.23456e-09", ""),
    )
    text = _written(tmp_path, replace(inputs, nca=table))
    rows = re.findall(r"<tr>(.*?)</tr>", text[text.index('id="nca"') : text.index('id="pictures"')])
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows[1:]]
    assert cells == [["1E5", "5", "1\u2009230", ""], ["007", "", "", "censored"], ["NA", "4", "1.23×10⁻⁹", ""]]


def test_pictures_are_inside(tmp_path: Path, inputs: ReportInputs) -> None:
    found = re.findall(r"base64,([A-Za-z0-9+/=]+)", _written(tmp_path, inputs))
    assert [b64decode(data) for data in found] == [path.read_bytes() for _, path in inputs.overlays]


def test_hostile_text_stays_text_everywhere(tmp_path: Path, inputs: ReportInputs) -> None:
    rows = tuple(replace(r, organ=HOSTILE, group=HOSTILE, subject=HOSTILE, label=HOSTILE, session=HOSTILE) for r in inputs.rows[:5])
    check = QcRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, "fail", HOSTILE)
    path = inputs.overlays[0][1]
    hostile = ReportInputs(
        HOSTILE, rows, (check,), ((HOSTILE, path),), ((HOSTILE,), (HOSTILE,)), (HOSTILE,), (HOSTILE,), ((HOSTILE,), (HOSTILE,)), HOSTILE
    )
    text = _written(tmp_path, hostile)
    page = _Page(text)
    assert page.open == [] and "script" not in page.tags and page.tags.count("img") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    # Title, heading, chart, table, verdict, two tables of checks, picture, methods, versions: shown as it is, template braces too.
    assert page.text.count(HOSTILE) > 20


def test_a_name_that_is_no_utf8_is_shown(tmp_path: Path, inputs: ReportInputs) -> None:
    assert r"scan\udce9" in _written(tmp_path, replace(inputs, methods=("scan\udce9",)))


def test_same_inputs_same_bytes(tmp_path: Path, inputs: ReportInputs) -> None:
    assert _written(tmp_path, inputs) == _written(tmp_path, inputs)


def test_empty_study_still_gives_a_page(tmp_path: Path) -> None:
    page = _Page(_written(tmp_path, ReportInputs("empty", ())))
    assert page.open == [] and "No value to draw." in page.text and "No check was recorded." in page.text
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert ids == {"summary", "curves", "latest", "checks", "methods", "assumed"}


@pytest.mark.chromium
def test_page_is_visible_in_a_browser(tmp_path: Path, inputs: ReportInputs) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not on PATH")
    _written(tmp_path, inputs)
    quiet = [f"--disable-{what}" for what in ("gpu", "quic", "background-networking", "component-update", "sync")]
    places = [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}", "--window-size=1300,4000"]
    command = [browser, "--headless", "--no-sandbox", "--no-first-run", *quiet, *places, (tmp_path / "index.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.size == (1300, 4000)
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    # A blank or refused page has one colour; ours has the groups' blue and orange, whose mean lines alone cover thousands of pixels.
    for colour in ((0, 114, 178), (213, 94, 0)):
        assert (np.abs(colours.astype(int) - colour).max(axis=1) < 12).sum() > 1000


def test_an_animal_without_a_group_is_not_called_all_subjects(inputs: ReportInputs) -> None:
    rows = tuple(replace(r, group="") if r.subject == "m04" else r for r in inputs.rows)
    page = render(replace(inputs, rows=rows))
    assert "no group" in page and "all subjects" not in page
    assert "all subjects" in render(replace(inputs, rows=tuple(replace(r, group="") for r in rows)))


def test_a_chart_s_legend_names_its_own_groups(inputs: ReportInputs) -> None:
    rows = tuple(r for r in inputs.rows if r.quantity == "suv" or r.group == "MSC")
    legends = re.findall(r'<div class="legend">(.*?)</div>', render(replace(inputs, rows=rows)), re.S)
    assert [("control" in legend, "MSC" in legend) for legend in legends] == [(False, True), (False, True), (True, True)] + [
        (False, True)
    ] * 2
