"""Records → the typed rows they stand for, each beside the record it came from, so that checks across sheets can name the line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

from tracker.errors import InputError
from tracker.study.columns import RETENTION
from tracker.study.rows import Acquisition, Bed, Dose, Label, Measurement, RetentionPoint, Roi, Subject
from tracker.study.sheets import Record, Table, read_sheet
from tracker.study.units import base_unit, to_base

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placed(Generic[T]):
    """A typed row and the record it was made of."""

    row: T
    record: Record


@dataclass(frozen=True, slots=True)
class Draft:
    """All sheets as read: typed rows of the records without a wrong cell, and the tables with all records."""

    root: Path
    tables: Mapping[str, Table]
    subjects: tuple[Placed[Subject], ...]
    doses: tuple[Placed[Dose], ...]
    labels: tuple[Placed[Label], ...]
    acquisitions: tuple[Placed[Acquisition], ...]
    measurements: tuple[Placed[Measurement], ...]
    rois: tuple[Placed[Roi], ...]
    beds: tuple[Placed[Bed], ...]

    def names(self, sheet: str, column: str) -> list[str]:
        """What stands in a column, rows with other wrong cells included: a wrong weight does not make a subject unknown."""
        return [str(r.values[column]) for r in self.tables[sheet].records if column in r.values]


def make_draft(root: Path, tables: Mapping[str, Table], errors: list[InputError]) -> Draft:
    """The typed rows of all sheets; amounts are converted, retention tables read, paths made absolute."""

    def placed(sheet: str, make: Callable[[Record], T]) -> tuple[Placed[T], ...]:
        return tuple(Placed(make(r), r) for r in tables[sheet].records if not r.bad)

    return Draft(
        root=root,
        tables=tables,
        subjects=placed("subjects", lambda r: Subject(**_any(r))),
        doses=placed("doses", _dose),
        labels=placed("labels", lambda r: _label(r, root, errors)),
        acquisitions=placed("acquisitions", lambda r: _acquisition(r, root)),
        measurements=placed("measurements", lambda r: Measurement(**_any(r))),
        rois=placed("rois", lambda r: Roi(**_any(r))),
        beds=placed("beds", lambda r: Bed(**_any(r))),
    )


def _any(record: Record) -> dict[str, Any]:
    # Columns and fields have the same names (a test holds them together); mypy cannot know.
    return dict(record.values)


def absolute(root: Path, text: str) -> Path:
    """A path of a sheet as an absolute one; links are kept as named, ``..`` is taken out."""
    # Not resolve(): it would put a link's target in place of the name in the sheet.
    return Path(os.path.abspath(root / text))  # noqa: PTH100


def _dose(record: Record) -> Dose:
    values = _any(record)
    unit = values.get("amount_unit")
    if unit:
        for name in ("amount", "residual_amount"):
            if name in values:
                values[name] = to_base(values[name], unit)
        values["amount_unit"] = base_unit(unit)
    return Dose(**values)


def _label(record: Record, root: Path, errors: list[InputError]) -> Label:
    values = _any(record)
    unit = values.get("amount_per_cell_unit")
    if unit:
        for name in ("amount_per_cell", "amount_per_cell_sd"):
            if name in values:
                values[name] = to_base(values[name], unit)
        values["amount_per_cell_unit"] = base_unit(unit)
    if "retention_table" in values:
        values["retention_table"] = _retention(values["retention_table"], root, errors)
    return Label(**values)


def _retention(shown: str, root: Path, errors: list[InputError]) -> tuple[RetentionPoint, ...]:
    table = read_sheet(absolute(root, shown), shown, RETENTION, errors)
    clean = [r for r in table.records if not r.bad]
    points = tuple(RetentionPoint(v["time_h"], v["retained"], v.get("sd")) for v in map(_any, clean))
    for earlier, later in pairwise(clean):
        if _any(later)["time_h"] < _any(earlier)["time_h"]:
            where, do = later.at("time_h"), "put the rows in the order of time"
            found = f"{later.values['time_h']} after {earlier.values['time_h']}"
            errors.append(InputError("retention_order", "the times do not rise", found=found, expected="rising", where=where, do=do))
    if table.complete and (points[0].time_h, points[0].retained) != (0.0, 1.0):
        found = f"time_h {points[0].time_h:g}, retained {points[0].retained:g}"
        do = "add a first row 0, 1: shares are of the label at time 0; if they are of another time, divide them"
        errors.append(
            InputError(
                "retention_start", "the table does not start at time 0 with all label retained", found=found, where=clean[0].at(), do=do
            )
        )
    return points


def _acquisition(record: Record, root: Path) -> Acquisition:
    values = _any(record)
    organs = values.pop("organs", None)
    path = absolute(root, values.pop("path"))
    # The key depends on the other rows of the subject; the checks on acquisitions fill it in.
    return Acquisition(**values, path=path, organs=absolute(root, organs) if organs else None, key="")
