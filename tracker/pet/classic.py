"""Classic PET DICOM (one slice a file) → `Scan`, with each slice's own slope and acquisition time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from tracker.clock import seconds_between
from tracker.dicom import Instance, Stack, stack
from tracker.dicom.frames import lazy_frames
from tracker.dicom.pixels import check_pixels, load_frame
from tracker.dicom.values import acquisition_start, number, series_start, start_by_series_date
from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Scan
from tracker.pet import header as head

T = TypeVar("T")


def _starts(instances: Sequence[Instance], acquired: datetime | None, where: object) -> tuple[datetime, np.ndarray, tuple[Finding, ...]]:
    """Origin (earliest acquisition) and every slice's start [s] after it.

    A missing AcquisitionDate is taken from the series where that leaves only one order of events (not before the series), and noted.
    """
    starts: list[datetime | None] = []
    findings: list[Finding] = []
    for instance in instances:
        start = acquisition_start(instance)
        if start is None:
            start = start_by_series_date(instance)
            if start is not None and not findings:
                findings.append(
                    Finding("acquisition_date", "warn", "AcquisitionDate is missing: the series' date is used with AcquisitionTime")
                )
        starts.append(start)
    if any(s is None for s in starts):
        if acquired is None or any(s is not None for s in starts):
            raise InputError(
                "acquisition_time_missing",
                "the header does not say when the scan was acquired",
                found=f"AcquisitionDate {instances[0].get('AcquisitionDate')}, AcquisitionTime {instances[0].get('AcquisitionTime')}",
                expected="both, in every file; or a time that is not before SeriesTime",
                where=where,
                do="write the scan's start into the sheet's `acquired` column",
            )
        return acquired, np.zeros(len(starts)), (Finding("acquired", "warn", "the scan's start is the sheet's: the header has none"),)
    dated = [s for s in starts if s is not None]
    origin = min(dated)
    return origin, np.array([seconds_between(s, origin) for s in dated]), tuple(findings)


def _per_slice(instances: Sequence[Instance], keyword: str) -> np.ndarray:
    """A tag's number in every file, NaN where absent; milliseconds stay milliseconds."""
    values = [number(i.get(keyword), keyword, i.path) for i in instances]
    return np.array([np.nan if v is None else v for v in values])


def _alike(values: Iterable[T], name: str, where: object) -> T:
    """What must be the same in all files of a series."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) > 1:
        found = "; ".join(sorted(map(str, distinct))[:3])
        raise InputError("mixed_series", f"{name} differs within the series", found=found, expected="one value", where=where)
    return distinct[0]


def _one(instances: Sequence[Instance], keyword: str, where: object) -> str:
    """A word that must be the same in all files of a series."""
    return _alike((str(i.get(keyword, "")).strip().upper() for i in instances), keyword, where)


def _rescale(instances: Sequence[Instance], where: object) -> np.ndarray:
    intercepts = _per_slice(instances, "RescaleIntercept")
    if np.nanmax(np.abs(np.nan_to_num(intercepts)), initial=0) > 0:
        raise InputError(
            "rescale_intercept",
            "RescaleIntercept must be 0 in PET (DICOM PS3.3 C.8.9.4)",
            found=float(intercepts[np.nanargmax(np.abs(intercepts))]),
            expected=0,
            where=where,
            do="export the series from the scanner again: a converter has changed it",
        )
    slopes = _per_slice(instances, "RescaleSlope")
    if np.isnan(slopes).any() or (slopes <= 0).any():
        bad = int(np.flatnonzero(np.isnan(slopes) | (slopes <= 0))[0])
        raise InputError(
            "rescale_slope", "RescaleSlope is missing or not positive", found=slopes[bad], expected="> 0", where=instances[bad].path
        )
    return slopes


def _check_count(instances: Sequence[Instance], stacked: Stack, where: object) -> None:
    slices, frames = instances[0].get("NumberOfSlices"), instances[0].get("NumberOfTimeSlices")
    found = len(stacked.slices) * stacked.grid.shape[0]
    per_frame = int(slices or 0)
    if per_frame and per_frame * int(frames or 1) > found:
        raise InputError(
            "missing_slice",
            "files are missing: the header announces more",
            found=f"{found} files",
            expected=f"NumberOfSlices {per_frame} × NumberOfTimeSlices {int(frames or 1)}",
            where=where,
            do="copy the whole series again",
        )


def _frame_key(instances: Sequence[Instance], starts_s: np.ndarray) -> np.ndarray:
    # Post-processing may give all frames one acquisition time; the reference time then still tells them apart.
    reference_s = np.nan_to_num(_per_slice(instances, "FrameReferenceTime")) / 1000.0
    return starts_s if len(np.unique(starts_s)) > 1 else reference_s


def read_classic(instances: Sequence[Instance], acquired: datetime | None, where: Path) -> Scan:
    """A series of single-slice PET files as a `Scan` (t, z, y, x) in the header's own units.

    Raises `InputError` for missing slices or times, a non-zero intercept, mixed units, truncated pixels.
    """
    for instance in instances:
        check_pixels(instance)
    origin, starts_s, findings = _starts(instances, acquired, where)
    slopes = _rescale(instances, where)
    stacked = stack(instances, list(_frame_key(instances, starts_s)), where)
    _check_count(instances, stacked, where)
    index = {id(i): n for n, i in enumerate(instances)}
    order = np.array([[index[id(i)] for i in frame] for frame in stacked.slices])
    header = _header(instances, order, starts_s, where)
    values = lazy_frames(partial(_load, stacked.slices, slopes[order]), len(order), stacked.grid.shape)
    times = frame_times(origin, header.slice_start_s, header.slice_duration_s, where)
    return Scan(values, header.units, stacked.grid, times, header, stacked.findings + findings)


def _load(slices: Sequence[Sequence[Instance]], slopes: np.ndarray, frame: int) -> np.ndarray:
    return load_frame([(i, 0) for i in slices[frame]], slopes[frame], np.zeros(len(slices[frame])))


def frame_times(origin: datetime, start_s: np.ndarray, duration_s: np.ndarray, where: object) -> FrameTimes:
    """Each frame from its first slice's start to its last slice's end; raises `InputError` where frames do not follow one another."""
    length_s = np.nan_to_num(duration_s)
    first, last = start_s.min(axis=1), (start_s + length_s).max(axis=1)
    if len(first) > 1:
        if (np.diff(first) <= 0).any():
            raise InputError(
                "duplicate_position",
                "two slices lie at the same place and time",
                found=f"{len(first)} slices at one position",
                expected="one a frame",
                where=where,
                do="two reconstructions share a series: export them apart",
            )
        if (length_s <= 0).any():
            raise InputError(
                "frame_duration_missing", "a dynamic series without ActualFrameDuration", found="0 or none", expected="ms", where=where
            )
        overlap = first[1:] - last[:-1]
        if (overlap < -1e-3 * (last - first)[:-1] - 0.5).any():
            raise InputError(
                "frames_overlap", "frames overlap in time", found=f"{-overlap.min():.3g} s", expected="one after the other", where=where,
                do="check ActualFrameDuration and AcquisitionTime",
            )  # fmt: skip
    return FrameTimes(origin, tuple(map(float, first)), tuple(map(float, last - first)))


def _header(instances: Sequence[Instance], order: np.ndarray, starts_s: np.ndarray, where: object) -> head.PetHeader:
    first: Instance = instances[0]
    weight_kg, height_m, sex = _alike((head.patient(i) for i in instances), "PatientWeight, -Size or -Sex", where)
    philips = _alike(((head.philips_factor(i, 0x00), head.philips_factor(i, 0x09)) for i in instances), "Philips' scale", where)
    return head.PetHeader(
        source="classic",
        manufacturer=str(first.get("Manufacturer", "")),
        units=_one(instances, "Units", where),
        suv_type=_one(instances, "SUVType", where),
        decay_correction=_one(instances, "DecayCorrection", where),
        decay_reference=head.private_start(first),
        series_start=series_start(first),
        slice_start_s=starts_s[order],
        slice_duration_s=_per_slice(instances, "ActualFrameDuration")[order] / 1000.0,
        frame_reference_s=_per_slice(instances, "FrameReferenceTime")[order] / 1000.0,
        decay_factor=_per_slice(instances, "DecayFactor")[order],
        corrected=head.corrected_image(first),
        tracer=_alike((head.tracer(i, "Bq") for i in instances), "the radiopharmaceutical, its dose or time", where),
        weight_kg=weight_kg,
        height_m=height_m,
        sex=sex,
        philips_suv_factor=philips[0],
        philips_activity_factor=philips[1],
        timezone=str(first.get("TimezoneOffsetFromUTC", "")),
        patient_position=str(first.get("PatientPosition", "")),
    )
