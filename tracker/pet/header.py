"""What a PET or SPECT header says that calibration needs: units, decay correction, times, dose and weight as the scanner knew them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import numpy as np

from tracker.dicom.headers import COMMON_TAGS, Instance
from tracker.dicom.times import parse_datetime, parse_time
from tracker.dicom.values import number, positive, private_numbers, private_value, zoned
from tracker.errors import InputError

PHILIPS_CREATOR = "Philips PET Private Group"
GE_CREATOR = "GEMS_PETD_01"
SIEMENS_CREATOR = "SIEMENS MED PT"
# The makers' own tags that carry a start time or a scale.
_PRIVATE = {0x0009: (0x0D,), 0x0071: (0x22,), 0x7053: (0x00, 0x09)}

PET_TAGS: tuple[Any, ...] = (
    *COMMON_TAGS,
    "Units",
    "SUVType",
    "RescaleType",
    "CorrectedImage",
    "DecayCorrection",
    "DecayFactor",
    "FrameReferenceTime",
    "ActualFrameDuration",
    "NumberOfSlices",
    "NumberOfTimeSlices",
    "PatientWeight",
    "PatientSize",
    "PatientSex",
    "RadiopharmaceuticalInformationSequence",
    # enhanced
    "AcquisitionDateTime",
    "DecayCorrected",
    "DecayCorrectionDateTime",
    "AttenuationCorrected",
    "ScatterCorrected",
    "RandomsCorrected",
    "DeadTimeCorrected",
    "DetectorNormalizationCorrection",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "RealWorldValueMappingSequence",
    # nuclear medicine
    "DetectorInformationSequence",
    "RotationInformationSequence",
    "NumberOfRotations",
    "FrameIncrementPointer",
    "SliceVector",
    "TimeSliceVector",
    "EnergyWindowVector",
    "NumberOfEnergyWindows",
)


def private_tags() -> tuple[int, ...]:
    """The makers' own tags that carry a start time or a scale: creators and elements in the first blocks of each group."""
    return private_numbers(_PRIVATE)


@dataclass(frozen=True, slots=True)
class Tracer:
    """The radiopharmaceutical as the header states it. ``nuclide`` is text or a code; ``dose`` is in ``dose_unit`` (Bq, or MBq in NM)."""

    nuclide: tuple[str, ...]
    half_life_s: float | None
    positron_fraction: float | None
    dose: float | None
    dose_unit: str
    start_time: time | None
    start_datetime: datetime | None


@dataclass(frozen=True, slots=True)
class PetHeader:
    """A series' header, as stated, nothing inferred. Arrays are (t, z); NaN is a value the header lacks.

    ``decay_correction`` is START, ADMIN, NONE, or TIME where the format states the moment itself (``decay_reference``);
    ``slice_start_s`` and ``slice_duration_s`` are each slice's acquisition from the scan's origin [s];
    ``frame_reference_s`` and ``decay_factor`` are the tags FrameReferenceTime [s] and DecayFactor. ``patient_position`` (HFP …) is what
    was entered at the console; patient coordinates follow it.
    """

    source: str
    manufacturer: str
    units: str
    suv_type: str
    decay_correction: str
    decay_reference: datetime | None
    series_start: datetime | None
    slice_start_s: np.ndarray
    slice_duration_s: np.ndarray
    frame_reference_s: np.ndarray
    decay_factor: np.ndarray
    corrected: tuple[str, ...] | None
    tracer: Tracer | None
    weight_kg: float | None
    height_m: float | None
    sex: str
    philips_suv_factor: float | None = None
    philips_activity_factor: float | None = None
    timezone: str = ""
    patient_position: str = ""


def philips_factor(instance: Instance, element: int) -> float | None:
    """Philips' scale: (7053,xx00) SUV per stored value, (7053,xx09) Bq/mL per stored value; 0 or absent is None."""
    return positive(private_value(instance, 0x7053, PHILIPS_CREATOR, element), f"Philips (7053,10{element:02X})", instance.path)


def tracer(instance: Instance, dose_unit: str) -> Tracer | None:
    """The first item of the RadiopharmaceuticalInformationSequence; None where the header has none.

    Raises `InputError` where there are several (a dual-tracer scan): which of them a pixel belongs to is not in the header.
    """
    items = instance.get("RadiopharmaceuticalInformationSequence")
    if items is None:
        return None
    if len(items) > 1:
        raise InputError(
            "several_tracers", "the header lists several radiopharmaceuticals", found=len(items), expected="one", where=instance.path
        )
    item = items[0]
    codes = item.get("RadionuclideCodeSequence") or []
    words = [str(code.get(k, "")).strip() for code in codes for k in ("CodeMeaning", "CodeValue")]
    words += [str(item.get("Radionuclide", "")).strip()]
    dose = number(item.get("RadionuclideTotalDose"), "RadionuclideTotalDose", instance.path)
    if dose is not None and dose < 0:
        raise InputError(
            "negative_header_value", "RadionuclideTotalDose is negative", found=dose, expected="a positive number", where=instance.path
        )
    dated = parse_datetime(item.get("RadiopharmaceuticalStartDateTime"))
    return Tracer(
        nuclide=tuple(w for w in words if w),
        half_life_s=positive(item.get("RadionuclideHalfLife"), "RadionuclideHalfLife", instance.path),
        positron_fraction=positive(item.get("RadionuclidePositronFraction"), "RadionuclidePositronFraction", instance.path),
        dose=dose or None,
        dose_unit=dose_unit,
        start_time=parse_time(item.get("RadiopharmaceuticalStartTime")),
        start_datetime=None if dated is None else zoned(dated, instance),
    )


def corrected_image(instance: Instance) -> tuple[str, ...] | None:
    """CorrectedImage (0028,0051) in capitals; None where the tag is absent, which is not the same as «none done»."""
    value = instance.get("CorrectedImage")
    if value is None:
        return None
    words = [value] if isinstance(value, str) else list(value)
    return tuple(str(w).strip().upper() for w in words)


def private_start(instance: Instance) -> datetime | None:
    """The scan's start as GE (0009,xx0D) or Siemens (0071,xx22) keep it when a series is post-processed and re-dated."""
    for group, creator, element in ((0x0009, GE_CREATOR, 0x0D), (0x0071, SIEMENS_CREATOR, 0x22)):
        value = private_value(instance, group, creator, element)
        try:
            found = parse_datetime(value)
        except InputError:
            # Where the reservation was removed, another maker's element may lie here: what is no time is not this one.
            found = None
        if found is not None:
            return zoned(found, instance)
    return None


def patient(instance: Instance) -> tuple[float | None, float | None, str]:
    """Weight [kg], height [m] and sex as the header states them."""
    weight = positive(instance.get("PatientWeight"), "PatientWeight", instance.path)
    height = positive(instance.get("PatientSize"), "PatientSize", instance.path)
    return weight, height, str(instance.get("PatientSex", "")).strip().upper()
