"""The tidy table of organ values: one row a subject, scan, frame, organ and quantity; its closed vocabulary; reading and writing."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

# quantity -> the units it may have (one per label kind: radioactivity, iron, light); outputs are refused otherwise.
QUANTITIES: dict[str, tuple[str, ...]] = {
    "signal": ("Bq", "ug", "photons/s"),
    "concentration": ("Bq/mL", "ug/mL", "photons/s/cm2/sr"),
    "concentration_max": ("Bq/mL", "ug/mL", "photons/s/cm2/sr"),
    "concentration_peak": ("Bq/mL", "ug/mL", "photons/s/cm2/sr"),
    "r2star": ("1/s",),
    "delta_r2star": ("1/s",),
    "label_amount": ("Bq", "ug", "photons/s"),
    "injected_percent": ("%",),
    "injected_percent_per_g": ("%/g",),
    "suv": ("g/mL",),
    "suv_max": ("g/mL",),
    "suv_peak": ("g/mL",),
    "cells_equivalent": ("cells",),
    "cells_viable": ("cells",),
    "viable_fraction": ("1",),
    "cells_viable_per_g": ("cells/g",),
    "hypointense_volume": ("mL",),
    "cells_focal": ("cells",),
}

FLAGS: dict[str, str] = {
    "outside_fov": "the organ is absent from the field of view, or cut by its edge",
    "saturated": "the detector or the fit was saturated: the value is a lower bound",
    "fit_failed": "no valid fit; the value is empty",
    "partial_volume": "spill-over changes the organ's mean visibly, or the organ is very small; it is not corrected",
    "extravasation": "the injection site holds more of the dose than the limit in the config",
    "mass_balance": "organs sum to an implausible share of the dose",
    "assumed_all_live": "all label is taken to be in live cells",
    "no_baseline": "no baseline to subtract: what the tissue has of its own is not told from the label",
    "relaxivity_prior": "label from a prior of the relaxivity, not from a calibration: good to no better than a factor of three to five",
    "corrections_missing": "the scan lacks a correction (attenuation, scatter, randoms, normalisation, dead time)",
    "nonfinite_voxels": "NaN voxels inside the organ were left out; the share is in qc",
    "no_residual": "no residual activity in the sheet: taken as 0",
    "empty_organ": "the organ has no voxel in the map",
    "attenuated": "light lost in tissue is not made up for: flux of different organs cannot be compared, and cells are a lower bound",
    "low_counts": "the brightest pixel is below the counts that the camera's maker calls reliable",
    "luciferin_timing": "read at a time after luciferin that is not known to be its peak",
    "not_observable": "what reaches the detector from this organ is below the noise: no value",
    "retention_extrapolated": "the retention table ends before this time: no value",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ``biodistribution.csv``; None is missing and is written as an empty cell, never as 0.

    ``sd_noise`` differs between the points of a curve, ``sd_scale`` is shared by all of them; both in the value's unit.
    ``cens`` 0 measured, 1 below ``lloq``, -1 above ``uloq``. ``method`` is the chain of stages joined by ``>``.
    """

    study: str
    subject: str
    group: str
    session: str
    modality: str
    label: str
    organ: str
    time_h: float | None
    time_start_h: float | None
    time_end_h: float | None
    quantity: str
    value: float | None
    unit: str
    sd_noise: float | None = None
    sd_scale: float | None = None
    lloq: float | None = None
    uloq: float | None = None
    cens: int | None = None
    n_voxels: int | None = None
    volume_ml: float | None = None
    mass_g: float | None = None
    flag: tuple[str, ...] = ()
    method: str = ""


COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(Row))
_TYPES = {name: str(hint) for name, hint in get_type_hints(Row).items()}


def check_row(row: Row) -> None:
    """Raises ValueError where a row breaks the contract: unknown quantity, unit or flag, or a number that is not finite."""
    if row.unit not in QUANTITIES.get(row.quantity, ()):
        raise ValueError(f"{row.quantity} [{row.unit}] is not in the table's vocabulary")
    unknown = set(row.flag) - set(FLAGS)
    if unknown:
        raise ValueError(f"unknown flags {sorted(unknown)}")
    for name in COLUMNS:
        value = getattr(row, name)
        if isinstance(value, float) and not (value - value == 0.0):
            raise ValueError(f"{name} of {row.organ} {row.quantity} is {value}: missing is None, never nan or inf")


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, tuple):
        return ";".join(value)
    return str(value)


def write_rows(path: Path, rows: Iterable[Row], digits: int = 9) -> None:
    """Writes rows as CSV (UTF-8, comma, LF, ``digits`` significant), whole or not at all.

    Stages hand rows on with 17 digits (exact); the contract's table has 9.
    """
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for row in rows:
            check_row(row)
            out.writerow([_cell(getattr(row, name), digits) for name in COLUMNS])
    os.replace(part, path)


def _parse(name: str, text: str) -> Any:
    kind = _TYPES[name]
    if kind.startswith("tuple"):
        return tuple(text.split(";")) if text else ()
    if "float" in kind or "int" in kind:
        return None if text == "" else (int(text) if "int" in kind else float(text))
    return text


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV that `write_rows` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = tuple(next(reader))
        if header != COLUMNS:
            raise ValueError(f"{path}: columns {header} are not {COLUMNS}")
        return [Row(*(_parse(n, c) for n, c in zip(COLUMNS, line, strict=True))) for line in reader]
