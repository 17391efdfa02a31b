"""NIfTI with a BIDS-PET sidecar → `Scan`. Times in the sidecar are seconds from TimeZero, a time of day; the sheet gives the date.

Source: BIDS 1.10, «Positron emission tomography»; Norgaard 2022 doi:10.1038/s41597-022-01164-1.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tracker.dicom.times import parse_time
from tracker.dicom.values import number
from tracker.errors import InputError
from tracker.image import Scan
from tracker.nifti.sidecar import read_sidecar, sidecar
from tracker.pet import header as head
from tracker.pet.classic import frame_times

_UNITS = {"bq/ml": "BQML", "bq/cc": "BQML", "kbq/ml": "KBQML"}
_DOSE_BQ = {"bq": 1.0, "kbq": 1e3, "mbq": 1e6, "gbq": 1e9}


def _load(path: Path) -> dict[str, Any]:
    record = read_sidecar(path)
    if record is None:
        raise InputError(
            "sidecar_missing",
            "a NIfTI PET scan needs its BIDS sidecar",
            found="no file",
            expected=sidecar(path).name,
            where=path.parent,
            do="write units and times into it (BIDS-PET), or use the DICOM series",
        )
    return record


def _need(record: dict[str, Any], key: str, where: Path) -> Any:
    value = record.get(key)
    if value is None or value == "" or value == []:
        raise InputError(
            "sidecar_key_missing", f"{key} is missing in the sidecar", found="no value", expected="a value (BIDS-PET)", where=where
        )
    return value


def _optional(record: dict[str, Any], key: str, where: Path) -> float | None:
    """A number that may be missing; BIDS writes ``n/a`` for that."""
    value = record.get(key)
    return None if str(value).strip().lower() == "n/a" else number(value, key, where)


def _numbers(value: Any, key: str, where: Path) -> np.ndarray:
    """A number or list of numbers; negative times are as given."""
    items = value if isinstance(value, list) else [value]
    numbers = [number(v, key, where) for v in items]
    if any(n is None or isinstance(v, bool) for n, v in zip(numbers, items, strict=True)):
        raise InputError("bad_number", f"{key} has an empty value", found=value, expected="numbers", where=where)
    return np.array(numbers, float)


def _zero(record: dict[str, Any], acquired: datetime | None, start_s: float, where: Path) -> datetime:
    """TimeZero with its date: the sheet's ``acquired`` is the scan's start, and its time of day must be TimeZero + start."""
    clock = parse_time(_need(record, "TimeZero", where))
    if acquired is None:
        raise InputError(
            "acquisition_time_missing",
            "TimeZero is a time of day without a date",
            found=clock,
            expected="the date too",
            where=where,
            do="write date and time of the scan's start into the sheet's `acquired` column",
        )
    zero = acquired - timedelta(seconds=start_s)
    of_day = timedelta(hours=zero.hour, minutes=zero.minute, seconds=zero.second, microseconds=zero.microsecond)
    stated = timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second) if clock else of_day
    apart_s = abs((of_day - stated).total_seconds())
    if min(apart_s, 86400 - apart_s) > 60:
        raise InputError(
            "acquired_disagrees",
            "the sheet's `acquired` and the sidecar's TimeZero disagree",
            found=f"{acquired} and TimeZero {clock}",
            expected="the same time of day within a minute",
            where=where,
            do="correct whichever is wrong",
        )
    return zero


def _tracer(record: dict[str, Any], zero: datetime, where: Path) -> head.Tracer:
    unit = str(record.get("InjectedRadioactivityUnits", "")).lower()
    dose = _optional(record, "InjectedRadioactivity", where)
    if dose is not None and unit not in _DOSE_BQ:
        raise InputError(
            "dose_unit_unclear", "InjectedRadioactivityUnits is not known", found=repr(unit), expected=", ".join(_DOSE_BQ), where=where
        )
    injected = _optional(record, "InjectionStart", where)
    return head.Tracer(
        nuclide=(str(record.get("TracerRadionuclide", "")),),
        half_life_s=None,
        positron_fraction=None,
        dose=None if dose is None else dose * _DOSE_BQ[unit],
        dose_unit="Bq",
        start_time=None,
        start_datetime=None if injected is None else zero + timedelta(seconds=injected),
    )


def _decay(record: dict[str, Any], zero: datetime, where: Path) -> tuple[str, datetime | None]:
    corrected = _need(record, "ImageDecayCorrected", where)
    if not isinstance(corrected, bool):
        raise InputError(
            "decay_correction_unknown",
            "ImageDecayCorrected must be true or false",
            found=repr(corrected),
            expected="a boolean",
            where=where,
        )
    if not corrected:
        return "NONE", None
    moment = number(_need(record, "ImageDecayCorrectionTime", where), "ImageDecayCorrectionTime", where)
    return "TIME", zero + timedelta(seconds=float(moment or 0.0))


def read_bids(path: Path, acquired: datetime | None) -> Scan:
    """A NIfTI scan and its sidecar as a `Scan` (t, z, y, x) in Bq/mL.

    Raises `InputError` where units, decay correction, frame times or the date are missing or contradict one another.
    """
    from tracker.nifti import nifti_grid, read_nifti

    beside = sidecar(path)
    record = _load(path)
    values, _ = read_nifti(path)
    grid, findings = nifti_grid(path)
    values = values if values.ndim == 4 else values[None]
    starts_s = _numbers(_need(record, "FrameTimesStart", beside), "FrameTimesStart", beside)
    durations_s = _numbers(_need(record, "FrameDuration", beside), "FrameDuration", beside)
    if not len(starts_s) == len(durations_s) == values.shape[0] or (durations_s <= 0).any() or (np.diff(starts_s) <= 0).any():
        raise InputError("frame_times", "frame times do not fit the image", found=f"{len(starts_s)} starts, {len(durations_s)} durations",
                         expected=f"{values.shape[0]} ascending starts with positive durations", where=beside)  # fmt: skip
    units = _UNITS.get(str(_need(record, "Units", beside)).strip().lower(), str(record["Units"]))
    scale = 1000.0 if units == "KBQML" else 1.0
    scan_s = float(_numbers(record.get("ScanStart", starts_s[0]), "ScanStart", beside)[0])
    if abs(scan_s - starts_s[0]) > 60:
        raise InputError(
            "frame_times",
            "ScanStart and the first of FrameTimesStart disagree",
            found=f"{scan_s:g} and {starts_s[0]:g} s",
            expected="both in seconds from TimeZero, within a minute",
            where=beside,
            do="correct whichever is wrong",
        )
    zero = _zero(record, acquired, scan_s, beside)
    correction, moment = _decay(record, zero, beside)
    across = np.ones((1, grid.shape[0]))
    nothing = np.full((len(starts_s), grid.shape[0]), np.nan)
    header = head.PetHeader(
        source="bids", manufacturer=str(record.get("Manufacturer", "")), units="BQML" if units == "KBQML" else units, suv_type="",
        decay_correction=correction, decay_reference=moment, series_start=None, slice_start_s=(starts_s - starts_s[0])[:, None] * across,
        slice_duration_s=durations_s[:, None] * across, frame_reference_s=nothing, decay_factor=nothing, corrected=None,
        tracer=_tracer(record, zero, beside), weight_kg=_optional(record, "BodyWeight", beside) or None, height_m=None, sex="",
    )  # fmt: skip
    times = frame_times(zero + timedelta(seconds=float(starts_s[0])), header.slice_start_s, header.slice_duration_s, beside)
    return Scan(values * np.float32(scale) if scale != 1 else values, header.units, grid, times, header, findings)
