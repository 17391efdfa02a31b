"""What each column of the tables means, for people and programs: Table Schema (Frictionless) made from one description."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.table import FLAGS, QUANTITIES


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """One column: Table Schema ``type``, ``unit`` (empty: none; ``row``: the row's own), ``meaning``, allowed ``values``, required."""

    name: str
    type: str
    meaning: str
    unit: str = ""
    values: tuple[str, ...] = ()
    required: bool = False


def _text(name: str, meaning: str, required: bool = True, values: tuple[str, ...] = ()) -> ColumnMeaning:
    return ColumnMeaning(name, "string", meaning, values=values, required=required)


def _number(name: str, unit: str, meaning: str) -> ColumnMeaning:
    return ColumnMeaning(name, "number", meaning, unit)


def _count(name: str, unit: str, meaning: str, required: bool = False) -> ColumnMeaning:
    return ColumnMeaning(name, "integer", meaning, unit, required=required)


_UNITS = tuple(dict.fromkeys(unit for units in QUANTITIES.values() for unit in units))

_NAMES = (
    _text("study", "name of the study, as in its config"),
    _text("subject", "animal or person, as in the subjects sheet; text, even where it looks like a number"),
    _text("group", "study group, as in the subjects sheet", required=False),
    _text("session", "time point, as in the acquisitions sheet; empty for a sample", required=False),
    _text("modality", "what measured it, as in the acquisitions sheet; joint: estimated from several"),
    _text("label", "cell label, as in the labels sheet", required=False),
    _text("organ", "organ, as in the organ map or the sheets"),
)

_QUANTITY = (
    _text("quantity", "what the value is; see quantities", values=tuple(QUANTITIES)),
    _text("unit", "unit of value, its standard deviations and its limits; fixed per quantity and modality", values=_UNITS),
)

BIODISTRIBUTION: tuple[ColumnMeaning, ...] = (
    *_NAMES,
    _number("time_h", "h", "from the subject's first dose to the middle of the measurement"),
    _number("time_start_h", "h", "from the subject's first dose to the start of the measurement"),
    _number("time_end_h", "h", "from the subject's first dose to the end of the measurement"),
    _QUANTITY[0],
    _number("value", "row", "the value; empty where there is none, never 0 for want of one; negative values are kept"),
    _QUANTITY[1],
    _number("sd_noise", "row", "standard deviation from what differs between two points of one curve (counts, noise, region)"),
    _number("sd_scale", "row", "standard deviation from what all points of a curve share (calibration, dose, weight, amount per cell)"),
    _number("lloq", "row", "lower limit of quantification for this scan and organ"),
    _number("uloq", "row", "upper limit of quantification for this scan and organ"),
    ColumnMeaning("cens", "integer", "0 measured, 1 below lloq, -1 above uloq; the raw value stays", values=("-1", "0", "1")),
    _count("n_voxels", "voxels", "voxels (or pixels) of the organ as measured"),
    _number("volume_ml", "mL", "volume of the organ as measured"),
    _number("mass_g", "g", "mass of the organ: volume times density unless it was weighed"),
    _text("flag", "empty, or codes joined by semicolons; see flags", required=False),
    _text("method", "the chain that made the value, as stage names joined by >", required=False),
)

GROUPS: tuple[ColumnMeaning, ...] = (
    *(column for column in _NAMES if column.name != "subject"),
    _number("time_h", "h", "nominal time: median over subjects of the session's frame, from the first dose, to 3 significant digits"),
    *_QUANTITY,
    _count("n", "values", "values in the summary; missing ones are not counted", required=True),
    _number("mean", "row", "arithmetic mean of the values, censored ones with their raw value"),
    _number("sd", "row", "standard deviation between subjects (n - 1); empty for one"),
    _number("cv", "1", "sd over mean; empty where the mean is not above 0"),
    _number("median", "row", "median of the values"),
    _count("n_censored", "values", "of n, those beyond a limit", required=True),
    _count("n_missing", "values", "rows without a value", required=True),
)

QUANTITY_MEANINGS: dict[str, str] = {
    "signal": "what the scanner saw in the organ, at scan time, background included",
    "concentration": "mean over the organ, at scan time; of iron by its relaxation rate, what tissue has of its own included",
    "concentration_max": "largest voxel of the organ, at scan time",
    "concentration_peak": "largest mean over a small sphere in the organ, at scan time",
    "r2star": "mean of the transverse relaxation rate R2* over the organ",
    "delta_r2star": "rise of r2star over the baseline",
    "label_amount": "label in the organ: background off, spill-over corrected, decay-corrected to the first dose",
    "injected_percent": "share of the label given (dose minus residual), decay taken out",
    "injected_percent_per_g": "injected_percent over the organ's mass",
    "suv": "concentration over label given per gram of body weight, decay taken out",
    "suv_max": "suv of the largest voxel",
    "suv_peak": "suv of the largest mean over a small sphere",
    "cells_equivalent": "label_amount over label per cell at that time (division and loss corrected), all label taken to be in live cells",
    "cells_viable": "live cells: from a reporter, or the joint estimate",
    "viable_fraction": "share of the organ's label that is in live cells",
    "cells_viable_per_g": "cells_viable over the organ's mass",
    "hypointense_volume": "volume of the organ's voxels that are darker than the reference tissue, tissue's own dark voxels included",
    "cells_focal": "cells by the hypointense volume's own calibration, what was dark before the dose taken off",
}


def _field(column: ColumnMeaning) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": column.type, "description": column.meaning}
    if column.unit:
        field["unit"] = "the row's unit" if column.unit == "row" else column.unit
    constraints: dict[str, Any] = {"required": True} if column.required else {}
    if column.values:
        constraints["enum"] = [int(v) for v in column.values] if column.type == "integer" else list(column.values)
    if column.name == "flag":
        codes = "|".join(FLAGS)
        constraints["pattern"] = f"({codes})(;({codes}))*"
    return field | ({"constraints": constraints} if constraints else {})


def table_schema(columns: Sequence[ColumnMeaning]) -> dict[str, Any]:
    """Table Schema of a table: its columns with type, unit, meaning and constraints; empty cells are missing values.

    Reference: https://specs.frictionlessdata.io/table-schema/

    >>> table_schema(GROUPS)["fields"][-1]["name"]
    'n_missing'
    """
    return {"fields": [_field(column) for column in columns], "missingValues": [""]}


def biodistribution_schema() -> dict[str, Any]:
    """Table Schema of ``biodistribution.csv``, with the closed lists of quantities (and their units) and of flags."""
    quantities = [{"name": name, "units": list(units), "description": QUANTITY_MEANINGS[name]} for name, units in QUANTITIES.items()]
    flags = [{"name": name, "description": meaning} for name, meaning in FLAGS.items()]
    return table_schema(BIODISTRIBUTION) | {"quantities": quantities, "flags": flags}


def data_package(study: str) -> dict[str, Any]:
    """Data Package of a study's curves: ``biodistribution.csv`` and ``groups.csv``, each with its Table Schema.

    Reference: https://specs.frictionlessdata.io/data-package/
    """
    name = "".join(c if (c.isascii() and c.isalnum()) or c in "-_." else "-" for c in study.lower())
    resources = [
        _resource("biodistribution", "organ values of all scans, from raw to derived", biodistribution_schema()),
        _resource("groups", "summaries by group, organ, quantity and nominal time", table_schema(GROUPS)),
    ]
    return {"profile": "tabular-data-package", "name": name, "title": f"Biodistribution curves of {study}", "resources": resources}


def _resource(name: str, what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "profile": "tabular-data-resource",
        "name": name,
        "path": f"{name}.csv",
        "description": what,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "dialect": {"delimiter": ",", "lineTerminator": "\n", "header": True},
        "schema": schema,
    }


def to_json(content: dict[str, Any]) -> str:
    """JSON text, indented, ending in a line feed: the same for the same content."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_descriptions(folder: Path, study: str) -> None:
    """Writes ``datapackage.json`` and ``biodistribution.json`` beside the tables in ``folder``, each whole or not at all."""
    for name, content in (("datapackage.json", data_package(study)), ("biodistribution.json", biodistribution_schema())):
        part = folder / f"{name}.part"
        part.write_text(to_json(content), encoding="utf-8", newline="\n")
        os.replace(part, folder / name)
