"""Light per cell from wells: against a plate with known truth, by hand, its range and limits, and what is refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import yaml

from tests.bli.click_files import roi_line, write_click
from tracker.bli.plate import Wells, fit_plate
from tracker.bli.standards import draw, fit_table
from tracker.bli.wells import plate_flux
from tracker.errors import InputError, StudyErrors

LEVELS = np.array([300.0, 1e3, 3e3, 1e4, 3e4, 1e5])


def plate(seed: int, slope: float = 120.0, cv: float = 0.08, blank: float = 5e4, blank_sd: float = 6e3, replicates: int = 3) -> Wells:
    rng = np.random.default_rng(seed)
    cells = np.repeat(LEVELS, replicates)
    flux = blank + slope * cells * (1 + cv * rng.normal(size=len(cells))) + blank_sd * rng.normal(size=len(cells))
    return Wells(cells, flux, blank + blank_sd * rng.normal(size=6))


@pytest.fixture
def table(tmp_path):
    def _table(rows, header="cells,flux_ph_per_s", name="plate.csv"):
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return _table


def rows_of(wells: Wells) -> list[str]:
    return [f"{c:g},{f:.6g}" for c, f in zip(wells.cells, wells.flux_ph_per_s, strict=True)] + [f"0,{b:.6g}" for b in wells.blanks_ph_per_s]


def test_truth_comes_back_with_an_honest_error():
    """Over many plates: unbiased, and the widened interval holds the truth in about 95 of 100."""
    from tracker.bli.plate import widening

    lines = [fit_plate(plate(seed)) for seed in range(100)]
    slopes = np.array([one.slope for one in lines])
    # 2.1 % scatter of a plate's slope, 100 plates: the mean is good to 0.21 %.
    assert slopes.mean() == pytest.approx(120, rel=0.006)
    se = np.mean([one.slope_se for one in lines])
    assert se == pytest.approx(slopes.std(), rel=0.2)
    inside = np.mean([abs(one.slope - 120) < 1.96 * one.slope_se * widening(one.freedom) for one in lines])
    assert 0.90 <= inside <= 0.99
    assert np.mean([one.well_cv for one in lines]) == pytest.approx(0.08, rel=0.15)
    assert np.mean([len(one.off_cells) == 0 for one in lines]) > 0.93, "levels on the line stay"


def test_by_hand():
    """Net flux 100 a cell exactly, blanks 90, 100, 110: blank 100, SD 10; LOD 0.3 cells, LOQ 1 cell."""
    cells = np.array([10.0, 100.0, 1000.0])
    line = fit_plate(Wells(cells, 100 + 100 * cells, np.array([90.0, 100.0, 110.0])))
    assert (line.blank, line.blank_sd, line.slope) == pytest.approx((100, 10, 100))
    assert (line.lod_cells, line.loq_cells) == pytest.approx((0.3, 1.0)) and line.range_cells == (10, 1000) and line.well_cv == 0
    # No scatter beyond the blanks': weights alike, SE² = sd²/ΣN² + (ΣN/ΣN²)² sd²/3.
    squares = float((cells**2).sum())
    assert line.slope_se == pytest.approx(np.sqrt(100 / squares + (1110 / squares) ** 2 * 100 / 3))
    assert line.power == pytest.approx(1.0)


def test_the_range_ends_where_light_no_longer_doubles():
    """At the top luciferin runs short: the highest level gives half of its light."""
    ended = 0
    for seed in range(10):
        wells = plate(seed)
        flux = np.where(wells.cells == 1e5, wells.flux_ph_per_s * 0.5, wells.flux_ph_per_s)
        line = fit_plate(Wells(wells.cells, flux, wells.blanks_ph_per_s))
        ended += line.off_cells == (1e5,) and line.range_cells[1] == 3e4
        # One level of six is off by half: left in, the slope would be 15 % low.
        assert line.slope == pytest.approx(120, rel=0.1)
    assert ended >= 9


def test_weak_wells_do_not_turn_the_line():
    """Wells at the blank's own scatter say next to nothing of the slope."""
    wells = plate(3, blank_sd=1e5)
    line = fit_plate(wells)
    assert line.loq_cells > 3e3 and line.slope == pytest.approx(120, rel=0.1)


def test_the_table_gives_lines_for_the_config(table):
    found = fit_table(table(rows_of(plate(1))))
    config = yaml.safe_load("\n".join(found.config_lines))
    assert config["photons_per_s_per_cell"] == pytest.approx(found.line.slope, rel=1e-5)
    assert config["photons_per_s_per_cell_sd"] > found.line.slope_se
    for words in ("LOD", "LOQ", "linear range", "no departure from a line seen", "6 blanks", "under the LOQ"):
        assert words in found.text


def test_a_bent_plate_is_called_bent(table):
    cells = np.repeat(LEVELS, 3)
    flux = 5e4 + 40 * cells**1.2 * (1 + 0.02 * np.random.default_rng(1).normal(size=len(cells)))
    text = fit_table(table(rows_of(Wells(cells, flux, np.array([4.9e4, 5e4, 5.1e4]))))).text
    assert "NOT a line" in text


def test_saturated_wells_are_left_out(table):
    rows = [f"{r},{'yes' if r.startswith('100000') else 'no'},W{n}" for n, r in enumerate(rows_of(plate(1)))]
    found = fit_table(table(rows, "cells,flux_ph_per_s,saturated,well"))
    assert "saturated, left out: W15, W16, W17" in found.text and found.wells.cells.max() == 3e4


@pytest.mark.parametrize(
    ("rows", "header", "code"),
    [
        (["1e3,1e5", "1e4,1e6", "1e5,1e7", "0,10"], "cells,flux_ph_per_s", "too_few_blanks"),
        (["1e3,1e5", "1e4,1e6", "0,10", "0,11"], "cells,flux_ph_per_s", "too_few_levels"),
        (["1e3,-1e5", "1e4,-1e6", "1e5,-1e7", "0,10", "0,11"], "cells,flux_ph_per_s", "slope_not_positive"),
        (["1e3,", "0,1"], "cells,flux_ph_per_s", "no_flux"),
        (["1e3,1"], "cell,flux_ph_per_s", "unknown_column"),
        (["-5,1"], "cells,flux_ph_per_s", "out_of_range"),
    ],
)
def test_what_is_refused(table, rows, header, code):
    with pytest.raises((InputError, StudyErrors)) as caught:
        fit_table(table(rows, header))
    assert code in [e.code for e in getattr(caught.value, "errors", [caught.value])]


def test_the_figure(table, tmp_path):
    found = fit_table(table(rows_of(plate(1))))
    draw(found, tmp_path / "a.svg")
    draw(found, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    text = "".join(ET.parse(tmp_path / "a.svg").getroot().itertext())
    assert "LOD" in text and "photons/s per cell" in text


def _plate_click(folder, fluxes):
    """A click of 4 × 6 wells of 18 mm in the middle of the field, each with a disc of light of known flux."""
    shape, px = (240, 240), 224 / 240
    y, x = (np.mgrid[: shape[0], : shape[1]] + 0.5) * px
    image = np.zeros(shape)
    for n, flux in enumerate(fluxes):
        row, column = divmod(n, 6)
        cx, cy = 112 + (column - 2.5) * 18, 112 + (row - 1.5) * 18
        disc = np.hypot(x - cx, y - cy) < 6
        image[disc] += flux / (4 * np.pi * disc.sum() * (px / 10) ** 2)
    scale = 1920 / 224
    grid = roi_line(1, "Grid", 112 * scale, 112 * scale, 108 * scale, 72 * scale, "plate", "Rows=4;Cols=6;")
    return write_click(folder, image, rois=(grid,), binning=8, dark=0.0, files=("luminescent", "bias"))


def test_wells_are_read_from_a_click_folder(tmp_path, table):
    cells = np.array([0] * 6 + [3e3] * 6 + [1e4] * 6 + [3e4] * 6)
    _plate_click(tmp_path / "click", 120.0 * cells + 3e4)
    measured = plate_flux(tmp_path / "click")
    assert list(measured)[:2] == ["A1", "A2"] and len(measured) == 24
    # A well of 3e4 cells: 3.6e6 photons/s; counting noise of its 370 pixels is 0.4 %, frames add as much.
    assert measured["D6"].flux_ph_per_s == pytest.approx(120 * 3e4 + 3e4, rel=0.015) and not measured["D6"].saturated
    rows = [f"{c:g},click,{'ABCD'[n // 6]}{n % 6 + 1}" for n, c in enumerate(cells)]
    found = fit_table(table(rows, "cells,click,well"))
    assert found.line.slope == pytest.approx(120, rel=0.01)
    with pytest.raises(InputError, match=r"well_unknown.*'H12'.*A1 to D6"):
        fit_table(table(["0,click,H12"], "cells,click,well"))


def test_a_click_without_a_grid(tmp_path, table):
    write_click(tmp_path / "click", np.ones((24, 24)))
    with pytest.raises(InputError, match="no_grid"):
        fit_table(table(["0,click,A1"], "cells,click,well"))
