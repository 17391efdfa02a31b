"""Each config key and sheet column in plain words: the text of ``config/README.md`` and of a new study's ``README.txt``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tracker.modality import Modality
from tracker.study.columns import RETENTION, SHEETS, Sheet
from tracker.study.config import section_schema, shared_schema
from tracker.study.schemas import cell_words

_INTRODUCTION = """\
# What to write where

A study is one folder: `config.yaml`, the sheets it names, and the raw files wherever the sheet `acquisitions` says.
Paths are relative to `config.yaml`, or absolute. Nothing is guessed: what is missing or unclear is asked for, all at once,
with file, line and column, before anything runs.

## How to write a sheet

- TSV or CSV (comma), UTF-8, one header line; decimal point; an empty cell is "not known", never 0.
- Columns may stand in any order; optional ones may be left out. Blank lines and spaces around a cell do not matter.
- Ids (subject, label, session) are letters, digits and `+`, and stay text: `007`, `NA` and `1E5` are ids.
- Times are ISO 8601 with date and time of day, `2026-03-04T14:05:00`, with an offset (`+01:00`, `Z`) on all times of a subject
  or on none. A spreadsheet's own dates (`03/04/2026`, `45000.5`) are refused: format the columns as text.
- Weights are in grams: a mouse of 25 g is 25, a person of 70 kg is 70000. Outside 10-60 g (mouse), 80-1000 g (rat) or
  2-300 kg (human) you are asked; nothing is ever rescaled.
- `amount` is what was in the syringe at `assay_time`; without `assay_time` it is what was in it at `dose_time`. The assay may be
  after the injection (a back-calculated dose) or before it. Without `residual_amount` the residual is taken as 0 and flagged.
- Two labels on the same cells are two rows of `doses` with the same time.
- A baseline row is a scan before the dose. An anatomy row (CT, MR) is not measured, and any word may stand for its modality.
- Animals that share a bed or an image have one row of `acquisitions` each with the same path; `beds`, `rois`, or an organ map of
  each one's own say which is which.

## How to write config.yaml

Text that looks like something else needs quotes: `"007"`, `"1.10"`, `"NO"`, `"yes"`, `"12:30"`, `"2026-03-04"`.
Keys that are not listed here are refused. A key without a default may be left out; then what needs it is not done, or asks.
"""


def manual(sections: tuple[Modality, ...]) -> str:
    """Markdown that explains the shared keys, the sections of the given modalities, and all columns."""
    parts = [_INTRODUCTION, "## Keys of config.yaml\n", *_keys_table(shared_schema())]
    for one in sections:
        parts += [section_manual(one)]
    for sheet in (*SHEETS.values(), RETENTION):
        parts += _sheet(sheet)
    return "\n".join(parts) + "\n"


def section_manual(one: Modality) -> str:
    """Markdown of one modality's section of ``config.yaml``."""
    schema = section_schema(one)
    return "\n".join([f"### `{one.package}:` {schema['description']}\n", *_keys_table(schema, (one.package,))])


def _keys_table(schema: Mapping[str, Any], above: tuple[str, ...] = ()) -> list[str]:
    rows = [f"| `{key}` | {unit} | {default} | {meaning} |" for key, unit, default, meaning in _keys(schema, above)]
    return ["| key | unit or form | default | what it is |", "|---|---|---|---|", *rows, ""]


def _keys(schema: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    for name, one in schema.get("properties", {}).items():
        keys = (*above, name)
        default = f"`{json.dumps(one['default'])}`" if "default" in one else "required" if name in schema.get("required", ()) else ""
        words = ", ".join(str(w) for w in one.get("enum", ()))
        meaning = one["description"] + (f" ({words})" if words else "")
        yield ".".join(keys), one.get("unit", "section"), default, meaning
        yield from _keys(one, keys)
        if "items" in one:
            yield from _keys(one["items"], (*above, f"{name}[]"))


def _sheet(sheet: Sheet) -> list[str]:
    needed = "needed" if sheet.required else "may be left out"
    title = f"## The file named in `{sheet.name}`" if sheet is RETENTION else f"## Sheet `{sheet.name}` ({needed})"
    rows = [
        f"| {f'**`{c.name}`**' if c.required else f'`{c.name}`'} | {cell_words(c).replace('|', '/')} | {c.meaning} |" for c in sheet.columns
    ]
    return [
        f"{title}\n",
        f"One row is {sheet.row_is}. Bold columns are required.\n",
        "| column | cell | what it is |",
        "|---|---|---|",
        *rows,
        "",
    ]
