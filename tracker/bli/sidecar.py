"""A float TIFF of radiance with a JSON file beside it: cameras of other makers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tracker.bli.header import EFFICIENCY, RADIANCE
from tracker.bli.tiff import read_tiff
from tracker.errors import InputError

_UNITS = {
    RADIANCE: ("photons/s/cm2/sr", "photon/s/cm2/sr", "ph/s/cm2/sr", "p/s/cm2/sr", "p/sec/cm2/sr", "photons/sec/cm2/sr"),
    EFFICIENCY: ("photons/s/cm2/sr/(uw/cm2)", "(p/s/cm2/sr)/(uw/cm2)", "(p/sec/cm2/sr)/(uw/cm2)", "(photons/s/cm2/sr)/(uw/cm2)"),
}
_REQUIRED = ("unit", "pixel_mm", "exposure_s")


@dataclass(frozen=True, slots=True)
class Plain:
    """A stack of images (t, ny, nx) in ``unit`` and what its sidecar says; ``start_s`` from ``acquired``, None where not stated."""

    values: np.ndarray
    unit: str
    pixel_mm: float
    exposure_s: tuple[float, ...]
    acquired: datetime | None
    start_s: tuple[float, ...]
    emission_nm: tuple[float | None, ...]
    saturation: float | None
    photograph: Path | None


def sidecar_of(path: Path) -> Path:
    """The JSON file beside a TIFF: the same name with ``.json``."""
    return path.with_suffix(".json")


def is_plain(path: Path) -> bool:
    """Whether a file is a TIFF with a JSON file beside it."""
    return path.suffix.lower() in (".tif", ".tiff") and sidecar_of(path).is_file()


def plain_start(path: Path) -> datetime | None:
    """When a TIFF's sidecar says it was taken. Raises `InputError` where the sidecar is none of radiance (`read_plain`)."""
    beside = sidecar_of(path)
    return _time(_checked(beside)[0], beside)


def _checked(beside: Path) -> tuple[dict[str, Any], str]:
    """A sidecar's keys, all there, and the unit they state."""
    record = _record(beside)
    missing = [key for key in _REQUIRED if key not in record]
    if missing:
        raise InputError("sidecar_key", "the sidecar lacks what turns pixels into radiance", found=f"no {', '.join(missing)}",
                         expected=", ".join((*_REQUIRED, "acquired")), where=beside, do="add the keys")  # fmt: skip
    stated = "".join(str(record["unit"]).lower().replace("²", "2").replace("^", "").replace("µ", "u").split())
    unit = next((name for name, words in _UNITS.items() if stated in words), "")
    if not unit:
        raise InputError("mixed_units", "the image is not in radiance", found=repr(record["unit"])[:60], expected=" or ".join(_UNITS),
                         where=beside, do="export radiance, not counts")  # fmt: skip
    return record, unit


def read_plain(path: Path, acquired: datetime | None) -> Plain:
    """The images of a float TIFF; ``acquired`` is the sheet's, used where the sidecar has none.

    Required keys: ``unit`` (photons/s/cm2/sr, or per uW/cm2 of excitation), ``pixel_mm``, ``exposure_s``, and the time ``acquired`` (ISO
    8601) here or in the sheet; for more than one page ``start_s`` too. Optional: ``emission_nm``, ``saturation`` (in the unit),
    ``photograph`` (a file name). ``exposure_s``, ``emission_nm`` are one number or one a page. Raises `InputError`: ``sidecar_missing``,
    ``sidecar_unreadable``, ``sidecar_key``, ``mixed_units``, ``wrong_dtype`` (integers round small radiance to 0) and those of TIFF.
    """
    beside = sidecar_of(path)
    record, unit = _checked(beside)
    values = read_tiff(path, "f").astype(np.float64)
    count = len(values)
    photograph = record.get("photograph")
    return Plain(
        values=values,
        unit=unit,
        pixel_mm=_number(record, "pixel_mm", beside),
        exposure_s=_each(record, "exposure_s", count, beside),
        acquired=_time(record, beside) or acquired,
        start_s=(0.0,) if count == 1 else _each(record, "start_s", count, beside, above_zero=False),
        emission_nm=(0.0,) * count if "emission_nm" not in record else _each(record, "emission_nm", count, beside, above_zero=False),
        saturation=_number(record, "saturation", beside) if "saturation" in record else None,
        # A name, not a path: a sidecar does not lead out of its folder.
        photograph=path.parent / Path(str(photograph)).name if photograph else None,
    )


def _record(beside: Path) -> dict[str, Any]:
    try:
        record = json.loads(beside.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(
            "sidecar_missing",
            "a TIFF alone does not say what its values are",
            found="no JSON file beside it",
            expected=beside.name,
            where=beside.parent,
            do=f"write the keys {', '.join(_REQUIRED)}, acquired into it",
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            "sidecar_unreadable", "the sidecar is not JSON", found=type(error).__name__, expected="JSON", where=beside
        ) from error
    if not isinstance(record, dict):
        raise InputError("sidecar_unreadable", "the sidecar is not an object", found=type(record).__name__, expected="{ … }", where=beside)
    return record


def _as_number(value: object, above_zero: bool) -> float | None:
    """A JSON number within bounds as a float; None for anything else, true and false too."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if np.isfinite(number) and (number > 0 or (number == 0 and not above_zero)) else None


def _number(record: dict[str, Any], key: str, beside: Path) -> float:
    number = _as_number(record[key], above_zero=True)
    if number is None:
        raise InputError("sidecar_key", f"`{key}` is no number above 0", found=repr(record[key])[:40], expected="a number", where=beside)
    return number


def _each(record: dict[str, Any], key: str, count: int, beside: Path, above_zero: bool = True) -> tuple[float, ...]:
    value = record.get(key)
    numbers = [_as_number(one, above_zero) for one in (value if isinstance(value, list) else [value] * count)]
    known = tuple(number for number in numbers if number is not None)
    if len(known) != count or len(numbers) != count:
        raise InputError("sidecar_key", f"`{key}` is not one number for each image", found=repr(value)[:60],
                         expected=f"{count} number(s)", where=beside, do=f"state `{key}` as a number, or a list of {count}")  # fmt: skip
    return known


def _time(record: dict[str, Any], beside: Path) -> datetime | None:
    if not record.get("acquired"):
        return None
    try:
        return datetime.fromisoformat(str(record["acquired"]))
    except ValueError as error:
        raise InputError("sidecar_key", "`acquired` is no time", found=repr(record["acquired"])[:40], expected="as 2026-03-02T11:00:00",
                         where=beside) from error  # fmt: skip
