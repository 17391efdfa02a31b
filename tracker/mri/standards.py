"""A phantom of labelled cells at known concentrations → the label's relaxivity: the line, how sure it is, and where it fails.

Its slope holds for this label in these cells, at this field; its detection limit is that of gels, not of tissue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.errors import InputError, StudyErrors
from tracker.mri.iron import IRON_UG_PER_UMOL, conversion
from tracker.mri.line import Gels, Line, fit_line, widening
from tracker.study.columns import Column, Sheet
from tracker.study.sheets import Record, read_sheet

_PG_PER_UG = 1e6
# ICH Q2(R2): the smallest amount told from none is 3.3 standard deviations of the intercept over the slope.
_LOD_SDS = 3.3
# A level is called good where the line gives it back this well.
_BACK_PERCENT = 20.0
# Below this p a line is called bent.
_ALPHA = 0.05
_SHEET = Sheet(
    "standards",
    "one reading of one gel",
    (
        Column("concentration_mmolar", "number", "iron in the gel, mmol/L; 0 for a blank", unit="mmol/L", minimum=0.0),
        Column("iron_ug_per_ml", "number", "iron in the gel, ug/mL, instead of concentration_mmolar", unit="ug/mL", minimum=0.0),
        Column("cells_per_ml", "number", "labelled cells in the gel, with pg_per_cell, instead of iron", unit="1/mL", minimum=0.0),
        Column("pg_per_cell", "number", "iron in one cell", unit="pg", above=0.0),
        Column("r2star_per_s", "number", "mean R2* of the gel", required=True, unit="1/s", above=0.0),
        Column("sd_per_s", "number", "standard deviation of that mean; rows weigh by 1/sd² if all have one", unit="1/s", above=0.0),
        Column("sample", "text", "which gel; rows of one gel are averaged. Without it all rows of a concentration are one gel"),
    ),
    keys=(),
    required=True,
)
_CONCENTRATIONS = ("concentration_mmolar", "iron_ug_per_ml", "cells_per_ml")


@dataclass(frozen=True, slots=True)
class Standards:
    """What `fit_table` found: ``text`` to read, ``config_lines`` to paste into ``config.yaml``, and the numbers behind them."""

    text: str
    config_lines: tuple[str, ...]
    gels: Gels
    line: Line


def fit_table(path: Path) -> Standards:
    """The relaxivity from a TSV or CSV of a labelled-cell phantom, as text, as lines for the config, and as numbers.

    Columns: one of ``concentration_mmolar``, ``iron_ug_per_ml``, ``cells_per_ml`` with ``pg_per_cell``; ``r2star_per_s``; optional
    ``sd_per_s`` and ``sample``. The fit is `fit_line`. The standard deviation for the config is the slope's standard error widened
    to what its few gels allow: t(0.975, n - 2)/1.96 times, so that ± 1.96 of it is the 95 % interval.

    Raises `InputError`, or `StudyErrors` for several: those of a sheet (``unknown_column``, ``duplicate_column``, ``bad_number``,
    ``out_of_range``, …), ``no_concentration``, ``two_concentrations``, ``sd_incomplete``, ``sample_two_concentrations``,
    ``too_few_levels``, ``slope_not_positive``.
    """
    gels = read_gels(path)
    line = fit_line(gels)
    if line.slope <= 0:
        raise InputError("slope_not_positive", "R2* does not rise with iron", found=f"{line.slope:.4g} /s per mmol/L", expected="above 0",
                         where=path.name, do="look at the order of rows, and for gels that decay too fast to be measured")  # fmt: skip
    lines = _config_lines(line)
    return Standards(_text(gels, line, lines), lines, gels, line)


def read_gels(path: Path) -> Gels:
    """The gels of a table, by concentration; `fit_table` says what is refused."""
    errors: list[InputError] = []
    table = read_sheet(path, path.name, _SHEET, errors)
    if not errors:
        errors += _whole_table_errors(table.records, path.name)
    if errors:
        raise errors[0] if len(errors) == 1 else StudyErrors(errors)
    grouped: dict[object, list[Record]] = {}
    for record in table.records:
        grouped.setdefault(record.values.get("sample", _mmolar(record)), []).append(record)
    mixed = [str(name) for name, records in grouped.items() if len({_mmolar(r) for r in records}) > 1]
    if mixed:
        raise InputError("sample_two_concentrations", "a gel has two concentrations", found=", ".join(mixed), expected="one",
                         where=path.name, do="give each gel a name of its own, as 0.5a and 0.5b")  # fmt: skip
    points = sorted((_mmolar(records[0]), _mean(records, "r2star_per_s"), _rms_sd(records)) for records in grouped.values())
    mmolar, r2star, sd = np.array(points).T
    if len(set(mmolar)) < 3:
        raise InputError("too_few_levels", "a line and its error need three concentrations", found=len(set(mmolar)),
                         expected="3 or more", where=path.name, do="add gels of other concentrations")  # fmt: skip
    return Gels(mmolar, r2star, None if np.isnan(sd).any() else sd)


def _whole_table_errors(records: Sequence[Record], shown: str) -> list[InputError]:
    filled = {name for r in records for name in r.values}
    kinds = [name for name in _CONCENTRATIONS if name in filled]
    expected = "one of concentration_mmolar, iron_ug_per_ml, cells_per_ml with pg_per_cell"
    if len(kinds) != 1:
        code, what = ("two_concentrations", "concentration is given twice") if kinds else ("no_concentration", "no concentration is given")
        return [InputError(code, what, found=", ".join(kinds) or "none", expected=expected, where=shown)]
    needed = [kinds[0], *(["pg_per_cell"] if kinds[0] == "cells_per_ml" else [])]
    empty = [(r, name) for r in records for name in needed if name not in r.values]
    errors = [InputError("no_concentration", f"{name} is empty", expected=expected, where=r.at(name)) for r, name in empty]
    for name, code in (("sd_per_s", "sd_incomplete"), ("sample", "sample_incomplete")):
        without = [r for r in records if name not in r.values]
        if without and len(without) < len(records):
            errors.append(InputError(code, f"{name} is given for some rows only", expected="all rows or none", where=without[0].at(name)))
    return errors


def _number(record: Record, name: str) -> float:
    value = record.values[name]
    if not isinstance(value, float):
        raise TypeError(f"{name} is no number column")
    return value


def _mmolar(record: Record) -> float:
    if "concentration_mmolar" in record.values:
        return _number(record, "concentration_mmolar")
    if "iron_ug_per_ml" in record.values:
        return _number(record, "iron_ug_per_ml") / IRON_UG_PER_UMOL
    return _number(record, "cells_per_ml") * _number(record, "pg_per_cell") / _PG_PER_UG / IRON_UG_PER_UMOL


def _mean(records: Sequence[Record], name: str) -> float:
    return sum(_number(r, name) for r in records) / len(records)


def _rms_sd(records: Sequence[Record]) -> float:
    """Standard deviation of a gel's mean, as if its readings erred together: repeats do not make the gel itself surer."""
    if any("sd_per_s" not in r.values for r in records):
        return math.nan
    return math.sqrt(sum(_number(r, "sd_per_s") ** 2 for r in records) / len(records))


def _config_lines(line: Line) -> tuple[str, ...]:
    wider = widening(line.freedom)
    why = f"  # standard error {line.slope_se:.4g}, widened {wider:.3g} times for {line.freedom + 2} gels"
    return (
        f"relaxivity_per_s_per_mmolar: {line.slope:.6g}",
        f"relaxivity_sd_per_s_per_mmolar: {line.slope_se * wider:.4g}{why}",
    )


def _text(gels: Gels, line: Line, config_lines: Sequence[str]) -> str:
    sd = line.slope_se * widening(line.freedom)
    lod = _LOD_SDS * line.intercept_se / line.slope
    counted = f"{len(gels.mmolar)} gels at {len(np.unique(gels.mmolar))} levels"
    how = "all alike" if gels.sd_per_s is None else "by 1/sd²"
    stated = {"relaxivity_per_s_per_mmolar": line.slope, "relaxivity_sd_per_s_per_mmolar": sd}
    parts = [
        f"R2* [1/s] = {line.intercept:.4g} + {line.slope:.5g} · C [mmol/L of iron]; {counted}, weighted {how}",
        f"slope       {line.slope:.5g} /s per mmol/L, standard error {line.slope_se:.3g}, "
        f"95 % within {line.slope - 1.96 * sd:.5g} to {line.slope + 1.96 * sd:.5g}",
        f"intercept   {line.intercept:.4g} /s, standard error {line.intercept_se:.3g}",
        f"linearity   {_linearity(line)}",
        f"least iron told from none in these gels: {lod:.3g} mmol/L, {lod * IRON_UG_PER_UMOL:.3g} ug/mL",
        "",
        *_back_calculated(gels, line),
        "",
        *(f"look: {finding.reason}" for finding in conversion(stated)[1]),
        "For the section mri: of config.yaml; it holds for this label in these cells at this field:",
        *(f"  {one}" for one in config_lines),
    ]
    return "\n".join(parts)


def _linearity(line: Line) -> str:
    if line.linear_p is None:
        return "cannot be tested with three gels"
    verdict = "no departure from a line seen" if line.linear_p >= _ALPHA else "NOT a line: leave out levels that decay too fast, or clump"
    return f"{verdict} (p = {line.linear_p:.2g}, against {line.linear_by})"


def _back_calculated(gels: Gels, line: Line) -> list[str]:
    rows = [f"{'stated mmol/L':>14}{'gels':>6}{'R2* 1/s':>10}{'by the line':>13}{'off by %':>10}"]
    bad = []
    for level in np.unique(gels.mmolar):
        read = gels.r2star_per_s[gels.mmolar == level]
        back = (float(read.mean()) - line.intercept) / line.slope
        off = None if level == 0 else 100 * (back / level - 1)
        bad += [f"{level:.4g}"] if off is not None and abs(off) > _BACK_PERCENT else []
        rows.append(f"{level:>14.4g}{len(read):>6}{read.mean():>10.4g}{back:>13.4g}{'blank' if off is None else f'{off:+.1f}':>10}")
    verdict = f"off by more than {_BACK_PERCENT:g} %: {', '.join(bad)} mmol/L" if bad else f"all levels within {_BACK_PERCENT:g} %"
    return [*rows, verdict]


def draw(found: Standards, path: Path) -> None:
    """Writes ``path`` (.svg): the gels, the line, and its 95 % band (where the line lies, not where a further gel would)."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    gels, line = found.gels, found.line
    at = np.linspace(0.0, 1.05 * gels.mmolar.max(), 200)
    fitted = line.intercept + line.slope * at
    sd = np.sqrt(line.intercept_se**2 + 2 * at * line.covariance + (at * line.slope_se) ** 2)
    half = 1.96 * widening(line.freedom) * sd
    # Text as text and no date, so that the same table gives the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "standards"}):
        figure = Figure(figsize=(5, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(at, fitted - half, fitted + half, alpha=0.2, linewidth=0)
        axes.plot(at, fitted, label=f"{line.slope:.4g} ± {line.slope_se:.2g} /s per mmol/L")
        axes.errorbar(gels.mmolar, gels.r2star_per_s, yerr=gels.sd_per_s, fmt="o", color="black", markersize=4)
        axes.set(xlabel="iron [mmol/L]", ylabel="R2* [1/s]")
        axes.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
