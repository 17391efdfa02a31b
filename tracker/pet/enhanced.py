"""Enhanced PET DICOM (one multi-frame file) → `Scan`, with each frame's own scale, place and time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tracker.clock import seconds_between
from tracker.dicom import Instance
from tracker.dicom.frames import lazy_frames
from tracker.dicom.functional import frame_slices, macro, sequence
from tracker.dicom.geometry import arrange
from tracker.dicom.pixels import check_pixels, load_frame
from tracker.dicom.times import parse_datetime
from tracker.dicom.values import acquisition_start, zoned
from tracker.errors import InputError
from tracker.image import Grid, Scan
from tracker.pet import header as head
from tracker.pet.classic import frame_times

# UCUM units of a real-world value map -> the words of (0054,1001) Units that the rest of the code speaks.
_UCUM = {"bq/ml": "BQML", "g/ml{suvbw}": "GML", "{suvbw}g/ml": "GML", "g/ml": "GML", "{counts}": "CNTS"}


def _unit_code(mapping: Any) -> str:
    return str((mapping.get("MeasurementUnitsCodeSequence") or [{}])[0].get("CodeValue", "")).strip()


def real_world(sequence: Any, where: object) -> tuple[str, float]:
    """Units and slope of a RealWorldValueMappingSequence: of its map to Bq/ml, else of its first.

    Raises `InputError` for tables, unknown units and maps that do not pass through 0.
    """
    mapping = next((m for m in sequence if _UCUM.get(_unit_code(m).lower()) == "BQML"), sequence[0])
    text = _unit_code(mapping)
    units = _UCUM.get(text.lower())
    slope, intercept = mapping.get("RealWorldValueSlope"), mapping.get("RealWorldValueIntercept", 0.0)
    if units is None or slope is None:
        raise InputError(
            "real_world_map", "the real-world value map is not linear in a unit that is known here", found=f"unit {text!r}, slope {slope}",
            expected="a slope in Bq/ml or g/ml{SUVbw}", where=where,
        )  # fmt: skip
    if intercept:
        raise InputError(
            "rescale_intercept", "a real-world value map of activity must pass through 0", found=intercept, expected=0, where=where
        )
    return units, float(slope)


def _scale(frame: Any, shared: Any, instance: Instance) -> tuple[str, float]:
    """A frame's unit and slope: its real-world value map before its pixel value transformation."""
    mappings = sequence(frame, shared, "RealWorldValueMappingSequence")
    if mappings:
        return real_world(mappings, instance.path)
    transform = macro(frame, shared, "PixelValueTransformationSequence")
    if transform is None:
        raise InputError(
            "rescale_slope", "a frame has no scale", found="no PixelValueTransformation", expected="one per frame", where=instance.path
        )
    if float(transform.get("RescaleIntercept", 0) or 0) != 0:
        raise InputError(
            "rescale_intercept", "RescaleIntercept must be 0 in PET", found=transform.RescaleIntercept, expected=0, where=instance.path
        )
    units = str(instance.get("Units", "")).strip().upper() or str(transform.get("RescaleType", "")).strip().upper()
    return {"BQ/ML": "BQML"}.get(units, units), float(transform.get("RescaleSlope", 0) or 0)


def _moment(text: Any, instance: Instance) -> datetime | None:
    found = parse_datetime(text)
    return None if found is None else zoned(found, instance)


def _frame_content(
    frames: Sequence[Any], shared: Any, instance: Instance
) -> tuple[list[datetime | None], list[datetime | None], np.ndarray]:
    """Per frame: acquisition start, reference time, and duration [s] (NaN where absent)."""
    starts, references, durations = [], [], []
    for frame in frames:
        content = macro(frame, shared, "FrameContentSequence")
        values = content if content is not None else {}
        starts.append(_moment(values.get("FrameAcquisitionDateTime"), instance))
        references.append(_moment(values.get("FrameReferenceDateTime"), instance))
        length = values.get("FrameAcquisitionDuration")
        durations.append(np.nan if length in (None, "") else float(length) / 1000.0)
    return starts, references, np.array(durations)


def _starts(found: tuple[list[datetime | None], list[datetime | None], np.ndarray], instance: Instance) -> list[datetime]:
    starts, references, _ = found
    if all(s is not None for s in starts):
        return [s for s in starts if s is not None]
    stated = acquisition_start(instance)
    distinct = {r for r in references if r is not None}
    # Without own start times, one static scan starts with the acquisition; several reference times mean several starts.
    if stated is not None and len(distinct) <= 1:
        return [stated] * len(starts)
    raise InputError(
        "acquisition_time_missing",
        "frames have no start",
        found="no FrameAcquisitionDateTime",
        expected="one in each frame's FrameContentSequence",
        where=instance.path,
    )


def read_enhanced(instance: Instance, where: Path) -> Scan:
    """An Enhanced PET object as a `Scan` (t, z, y, x): every frame with its own scale (real-world map before rescale slope).

    Raises `InputError` for missing geometry, times or scales, and for units that differ between frames.
    """
    check_pixels(instance)
    frames = instance.get("PerFrameFunctionalGroupsSequence")
    shared = (instance.get("SharedFunctionalGroupsSequence") or [None])[0]
    if frames is None or len(frames) != int(instance.get("NumberOfFrames", 0)):
        raise InputError("frames_missing", "functional groups and frames differ in number", found=0 if frames is None else len(frames),
                         expected=instance.get("NumberOfFrames"), where=where)  # fmt: skip
    scales = [_scale(f, shared, instance) for f in frames]
    if len({units for units, _ in scales}) != 1 or not all(slope > 0 for _, slope in scales):
        raise InputError(
            "mixed_series",
            "frames differ in unit, or have no positive slope",
            found=sorted({u for u, _ in scales}),
            expected="one unit",
            where=where,
        )
    content = _frame_content(frames, shared, instance)
    starts = _starts(content, instance)
    origin = min(starts)
    start_s = np.array([seconds_between(s, origin) for s in starts])
    slices = frame_slices(frames, shared, instance)
    found = arrange(slices, list(start_s), where)
    order = np.array(found.order)
    slopes = np.array([slope for _, slope in scales])
    header = _header(instance, scales[0][0], start_s[order], content[2][order])
    shape = (order.shape[1], int(instance.get("Rows")), int(instance.get("Columns")))
    values = lazy_frames(partial(_load, instance, order, slopes), len(order), shape)
    times = frame_times(origin, header.slice_start_s, header.slice_duration_s, where)
    return Scan(values, header.units, Grid(shape, found.affine, slices.frame_of_reference_uid), times, header, found.findings)


def _load(instance: Instance, order: np.ndarray, slopes: np.ndarray, frame: int) -> np.ndarray:
    return load_frame([(instance, int(i)) for i in order[frame]], slopes[order[frame]], np.zeros(order.shape[1]))


def _header(instance: Instance, units: str, start_s: np.ndarray, duration_s: np.ndarray) -> head.PetHeader:
    corrected = str(instance.get("DecayCorrected", "")).strip().upper()
    moment = _moment(instance.get("DecayCorrectionDateTime"), instance)
    if corrected not in ("YES", "NO") or (corrected == "YES" and moment is None):
        raise InputError(
            "decay_correction_unknown",
            "the header does not say whether and to when decay was corrected",
            found=f"DecayCorrected {corrected or 'missing'}, DecayCorrectionDateTime {moment}",
            expected="YES with its time, or NO",
            where=instance.path,
        )
    weight_kg, height_m, sex = head.patient(instance)
    nothing = np.full(start_s.shape, np.nan)
    return head.PetHeader(
        source="enhanced",
        manufacturer=str(instance.get("Manufacturer", "")),
        units=units,
        suv_type=str(instance.get("SUVType", "")).upper(),
        decay_correction="TIME" if corrected == "YES" else "NONE",
        decay_reference=moment if corrected == "YES" else None,
        series_start=None,
        slice_start_s=start_s,
        slice_duration_s=duration_s,
        frame_reference_s=nothing,
        decay_factor=nothing,
        corrected=_corrections(instance, corrected),
        tracer=head.tracer(instance, "Bq"),
        weight_kg=weight_kg,
        height_m=height_m,
        sex=sex,
        timezone=str(instance.get("TimezoneOffsetFromUTC", "")),
        patient_position=str(instance.get("PatientPosition", "")),
    )


def _corrections(instance: Instance, decay: str) -> tuple[str, ...] | None:
    """The enhanced IOD's one tag per correction in the words of CorrectedImage; None where it has none of them."""
    tags = {"AttenuationCorrected": "ATTN", "ScatterCorrected": "SCAT", "RandomsCorrected": "RAN", "DeadTimeCorrected": "DTIM",
            "DetectorNormalizationCorrection": "NORM"}  # fmt: skip
    stated = {word: str(instance.get(tag, "")).upper() for tag, word in tags.items() if instance.get(tag) is not None}
    if not stated:
        return None
    return tuple(w for w, value in stated.items() if value == "YES") + (("DECY",) if decay == "YES" else ())
