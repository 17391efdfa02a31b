"""JSON Schemas of config and sheets, for editors and other programs; made from what the reader itself uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tracker.study.cell import TIME_PATTERN, number_range
from tracker.study.columns import ID_PATTERN, ORGAN_PATTERN, SHEETS, Column, Sheet
from tracker.study.config import config_schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def write_schemas(folder: Path) -> list[Path]:
    """The files written: ``config.schema.json`` and one ``SHEET.schema.json`` a sheet."""
    schemas = {"config": config_schema(), **{name: sheet_schema(sheet) for name, sheet in SHEETS.items()}}
    written = []
    for name, schema in schemas.items():
        path = folder / f"{name}.schema.json"
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
        written.append(path)
    return written


def sheet_schema(sheet: Sheet) -> dict[str, Any]:
    """JSON Schema of one row as an object: numbers as numbers, all else as text, empty cells left out."""
    return {
        "$schema": _DIALECT,
        "title": f"{sheet.name}: one row is {sheet.row_is}",
        "type": "object",
        "additionalProperties": False,
        "required": [c.name for c in sheet.columns if c.required],
        "properties": {c.name: _property(c) for c in sheet.columns},
    }


def _property(column: Column) -> dict[str, Any]:
    about: dict[str, Any] = {"description": column.meaning, "unit": cell_words(column)}
    if column.kind == "number":
        bounds = {"minimum": column.minimum, "exclusiveMinimum": column.above, "maximum": column.maximum}
        return {**about, "type": "number", **{name: value for name, value in bounds.items() if value is not None}}
    if column.kind in ("choice", "yes_no"):
        return {**about, "enum": list(column.choices or ("yes", "no"))}
    if column.kind == "numbers":
        return {**about, "type": "string", "pattern": r"^[0-9.eE+]+( [0-9.eE+]+)*$"}
    patterns = {"id": ID_PATTERN, "organ": ORGAN_PATTERN, "time": TIME_PATTERN}
    shape = {"pattern": f"^{patterns[column.kind]}$"} if column.kind in patterns else {"minLength": 1}
    return {**about, "type": "string", **shape}


def cell_words(column: Column) -> str:
    """What a cell of a column holds, for people: its unit, its words, or the shape of its text.

    >>> cell_words(Column("dilutes", "yes_no", ""))
    'yes or no'
    """
    if column.kind == "number":
        return f"{column.unit}; {number_range(column)}"
    if column.kind == "numbers":
        return f"{column.unit}; rising numbers with spaces between"
    words = {"id": "id: letters, digits and +", "organ": "name: letters, digits, _ + -", "yes_no": "yes or no", "text": "text"}
    return words.get(column.kind) or column.unit or ", ".join(column.choices)
