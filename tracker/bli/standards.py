"""A well plate of known cell numbers → light per living cell: the line, how sure it is, where it holds, and the fewest cells seen.

It holds for these cells, this luciferin and its concentration, and for light that leaves a thin layer: not for tissue over the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.bli.plate import PlateLine, Wells, fit_plate, widening
from tracker.bli.wells import WellFlux, plate_flux
from tracker.errors import InputError, StudyErrors
from tracker.study.columns import Column, Sheet
from tracker.study.sheets import Record, read_sheet

_SHEET = Sheet(
    "standards",
    "one well",
    (
        Column("cells", "number", "living cells in the well; 0 for a blank", required=True, unit="cells", minimum=0.0),
        Column("flux_ph_per_s", "number", "total flux of the well, background not taken off", unit="photons/s"),
        Column("well", "text", "name of the well, as A1; needed with click"),
        Column("click", "text", "click folder that the wells are read from by its grid, where flux_ph_per_s is not given"),
        Column("saturated", "yes_no", "yes: a pixel of the well was full; the well is left out"),
    ),
    # Not here: replicates of one number of cells may read alike, and wells need a name only where a click is read.
    keys=(),
    required=True,
)
# An exponent this many standard errors from 1 is no line.
_BENT_SES = 3.0


@dataclass(frozen=True, slots=True)
class Standards:
    """What `fit_table` found: ``text`` to read, ``config_lines`` to paste into ``config.yaml``, and the numbers behind them."""

    text: str
    config_lines: tuple[str, ...]
    wells: Wells
    line: PlateLine


def fit_table(path: Path) -> Standards:
    """Light per cell from a TSV or CSV of wells, as text, as lines for the config, and as numbers.

    Columns: ``cells`` (0 for a blank), and ``flux_ph_per_s`` or ``click`` with ``well``; optional ``saturated``. The fit is `fit_plate`.
    The standard deviation for the config is the slope's standard error widened to what its few wells allow: t(0.975, n - 1)/1.96 times.

    Raises `InputError`, or `StudyErrors` for several: those of a sheet, ``no_flux`` (neither flux nor click), ``well_unknown``,
    ``too_few_blanks`` (two or more tell how much blanks scatter), ``too_few_levels``, ``slope_not_positive``, and those of `plate_flux`.
    """
    wells, left_out = read_wells(path)
    line = fit_plate(wells)
    if line.slope <= 0:
        raise InputError("slope_not_positive", "light does not rise with cells", found=f"{line.slope:.4g} photons/s per cell",
                         expected="above 0", where=path.name, do="look at the order of wells")  # fmt: skip
    lines = _config_lines(line)
    return Standards(_text(wells, line, lines, left_out), lines, wells, line)


def read_wells(path: Path) -> tuple[Wells, tuple[str, ...]]:
    """The wells of a table by their number of cells, and the names of saturated ones, left out; `fit_table` says what is refused."""
    errors: list[InputError] = []
    table = read_sheet(path, path.name, _SHEET, errors)
    plates: dict[str, dict[str, WellFlux]] = {}
    read: list[tuple[float, float]] = []
    left_out: list[str] = []
    for record in table.records if not errors else ():
        try:
            well = _well(record, path.parent, plates)
        except InputError as error:
            errors.append(error)
            continue
        if well.saturated or record.values.get("saturated") is True:
            left_out.append(str(record.values.get("well", f"line {record.line}")))
        else:
            read.append((_number(record, "cells"), well.flux_ph_per_s))
    named = [(r.values.get("click", ""), str(r.values["well"]).upper()) for r in table.records if "well" in r.values]
    twice = sorted({name for name in named if named.count(name) > 1})
    errors += [InputError("duplicate_row", "a well has two rows", found=well, expected="one", where=path.name) for _, well in twice]
    if errors:
        raise errors[0] if len(errors) == 1 else StudyErrors(errors)
    return _checked(sorted(read), path.name), tuple(left_out)


def _well(record: Record, folder: Path, plates: dict[str, dict[str, WellFlux]]) -> WellFlux:
    if "flux_ph_per_s" in record.values:
        return WellFlux(_number(record, "flux_ph_per_s"), saturated=False)
    click, name = (str(record.values.get(key, "")) for key in ("click", "well"))
    if not click or not name:
        raise InputError("no_flux", "the well has no flux", found="flux_ph_per_s is empty", expected="a number, or click and well",
                         where=record.at("flux_ph_per_s"))  # fmt: skip
    if click not in plates:
        plates[click] = plate_flux(folder / click)
    if name.upper() not in plates[click]:
        there = list(plates[click])
        raise InputError("well_unknown", "the plate has no such well", found=repr(name), expected=f"{there[0]} to {there[-1]}",
                         where=record.at("well"))  # fmt: skip
    return plates[click][name.upper()]


def _number(record: Record, name: str) -> float:
    value = record.values[name]
    if not isinstance(value, float):
        raise TypeError(f"{name} is no number column")
    return value


def _checked(read: Sequence[tuple[float, float]], shown: str) -> Wells:
    cells, flux = np.array(read, dtype=np.float64).reshape(-1, 2).T
    blank = cells == 0
    if blank.sum() < 2:
        raise InputError("too_few_blanks", "wells without cells tell what light there is without any, and how much it scatters",
                         found=int(blank.sum()), expected="2 or more", where=shown, do="add rows with cells 0")  # fmt: skip
    if len(np.unique(cells[~blank])) < 3:
        raise InputError("too_few_levels", "a line needs three numbers of cells", found=len(np.unique(cells[~blank])), expected="3 or more",
                         where=shown, do="add wells with other numbers of cells")  # fmt: skip
    return Wells(cells[~blank], flux[~blank], flux[blank])


def _config_lines(line: PlateLine) -> tuple[str, ...]:
    wider = widening(line.freedom)
    why = f"  # standard error {line.slope_se:.4g}, widened {wider:.3g} times for {line.freedom + 1} wells"
    return (f"photons_per_s_per_cell: {line.slope:.6g}", f"photons_per_s_per_cell_sd: {line.slope_se * wider:.4g}{why}")


def _text(wells: Wells, line: PlateLine, config_lines: Sequence[str], left_out: Sequence[str]) -> str:
    sd = line.slope_se * widening(line.freedom)
    blanks = len(wells.blanks_ph_per_s)
    off = f"; off the line, left out: {', '.join(f'{one:g}' for one in line.off_cells)} cells" if line.off_cells else ""
    parts = [
        f"flux [photons/s] = {line.blank:.4g} + {line.slope:.5g} · cells; {line.freedom + 1} wells on the line, {blanks} blanks",
        f"slope         {line.slope:.5g} photons/s per cell, standard error {line.slope_se:.3g}, "
        f"95 % within {line.slope - 1.96 * sd:.5g} to {line.slope + 1.96 * sd:.5g}",
        f"wells scatter {100 * line.well_cv:.3g} % of their light, blanks {line.blank_sd:.3g} photons/s",
        f"linear range  {max(line.range_cells[0], line.loq_cells):.4g} to {line.range_cells[1]:.4g} cells{off}",
        f"linearity     {_linearity(line)}",
        f"LOD {line.lod_cells:.3g} cells (mean blank + 3 SD), LOQ {line.loq_cells:.3g} cells (+ 10 SD)",
        *([f"saturated, left out: {', '.join(left_out)}"] if left_out else []),
        *(["look: fewer than three blanks tell their scatter badly"] if blanks < 3 else []),
        "",
        *_back_calculated(wells, line),
        "",
        "For the section bli: of config.yaml; it holds for these cells, this luciferin and its concentration:",
        *(f"  {one}" for one in config_lines),
    ]
    return "\n".join(parts)


def _linearity(line: PlateLine) -> str:
    if line.power is None or line.power_se is None:
        return "cannot be tested: fewer than three levels above the LOQ"
    straight = abs(line.power - 1) <= _BENT_SES * line.power_se or abs(line.power - 1) < 0.02
    verdict = "no departure from a line seen" if straight else "NOT a line: light does not double with cells"
    return f"{verdict} (flux grows with cells to the power {line.power:.3f} ± {line.power_se:.2g})"


def _back_calculated(wells: Wells, line: PlateLine) -> list[str]:
    rows = [f"{'cells':>10}{'wells':>7}{'photons/s':>12}{'by the line':>13}{'off by %':>10}"]
    for level in np.unique(wells.cells):
        read = wells.flux_ph_per_s[wells.cells == level]
        back = (float(read.mean()) - line.blank) / line.slope
        mark = "  left out" if level in line.off_cells else "  under the LOQ" if level < line.loq_cells else ""
        rows.append(f"{level:>10.4g}{len(read):>7}{read.mean():>12.4g}{back:>13.4g}{100 * (back / level - 1):>+10.1f}{mark}")
    return rows


def draw(found: Standards, path: Path) -> None:
    """Writes ``path`` (.svg): wells with the mean blank taken off, the line with its 95 % band, LOD and LOQ, both axes logarithmic."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    wells, line = found.wells, found.line
    net = wells.flux_ph_per_s - line.blank
    at = np.geomspace(wells.cells.min(), wells.cells.max(), 50)
    half = 1.96 * widening(line.freedom) * line.slope_se
    off = np.isin(wells.cells, line.off_cells)
    # Text as text and no date, so that the same table gives the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "standards"}):
        figure = Figure(figsize=(5, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log", xlabel="cells", ylabel="flux above the blank [photons/s]")
        axes.fill_between(at, np.maximum(line.slope - half, 1e-3 * line.slope) * at, (line.slope + half) * at, alpha=0.2, linewidth=0)
        axes.plot(at, line.slope * at, label=f"{line.slope:.4g} ± {line.slope_se:.2g} photons/s per cell")
        for mark, kept, name in (("o", ~off, ""), ("x", off, "off the line")):
            seen = kept & (net > 0)
            axes.plot(wells.cells[seen], net[seen], mark, color="black", markersize=4, label=name or None)
        for cells, style, name in ((line.lod_cells, ":", "LOD"), (line.loq_cells, "--", "LOQ")):
            if cells > 0:
                axes.axvline(cells, color="grey", linestyle=style, linewidth=1, label=f"{name} {cells:.3g} cells")
        axes.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
