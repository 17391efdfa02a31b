"""SPECT as DICOM Nuclear Medicine (RECON TOMO, one multi-frame file) → `Scan`.

Counts become Bq/mL with the system's sensitivity: C = N / (T_acq · S · V_vox), T_acq = frame duration × frames in rotation ×
rotations (per head), S [cps/Bq] of the whole system with all its heads, from a large uniform phantom reconstructed alike.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tracker.dicom import Instance
from tracker.dicom.frames import lazy_frames
from tracker.dicom.geometry import affine_from, slice_normal
from tracker.dicom.pixels import check_pixels, load_frame
from tracker.dicom.values import acquisition_start, number, positive
from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Grid, Scan, voxel_volume_ml
from tracker.pet import header as head
from tracker.pet.enhanced import real_world


def _vector(instance: Instance, keyword: str, frames: int) -> np.ndarray:
    value = instance.get(keyword)
    if value is None:
        return np.ones(frames, int)
    return np.atleast_1d(np.array(value, int))


def _order(instance: Instance) -> np.ndarray:
    """Frame numbers as (t, z) from the vectors; raises `InputError` for several energy windows or an incomplete stack."""
    frames = int(instance.get("NumberOfFrames", 1))
    if str(list(instance.get("ImageType", ()))[2:3]).find("RECON") < 0:
        raise InputError(
            "not_reconstructed",
            "an NM image must be a reconstruction",
            found=list(instance.get("ImageType", ())),
            expected="RECON TOMO",
            where=instance.path,
            do="reconstruct the projections first",
        )
    if len(set(_vector(instance, "EnergyWindowVector", frames).tolist())) > 1:
        raise InputError(
            "several_energy_windows",
            "the file holds several energy windows",
            found=f"{instance.get('NumberOfEnergyWindows')} windows",
            expected="one, or their sum",
            where=instance.path,
            do="sum the windows in the reconstruction and say so in its protocol",
        )
    slices = _vector(instance, "SliceVector", frames) if instance.get("SliceVector") is not None else np.arange(1, frames + 1)
    times = _vector(instance, "TimeSliceVector", frames)
    if not len(slices) == len(times) == frames:
        raise InputError(
            "missing_slice",
            "the vectors and the frames differ in number",
            found=f"{len(slices)} in SliceVector, {len(times)} in TimeSliceVector",
            expected=f"{frames}, as NumberOfFrames",
            where=instance.path,
            do="export the file again",
        )
    rows = [np.flatnonzero(times == t) for t in sorted(set(times.tolist()))]
    ordered = [row[np.argsort(slices[row])] for row in rows]
    wanted = list(range(1, len(ordered[0]) + 1))
    if any(slices[row].tolist() != wanted for row in ordered):
        raise InputError(
            "missing_slice",
            "slices are missing or repeated in the SliceVector",
            found=slices.tolist()[:8],
            expected="1, 2, 3 …",
            where=instance.path,
        )
    return np.array(ordered)


def _grid(instance: Instance, depth: int) -> tuple[Grid, tuple[Finding, ...]]:
    detector = (instance.get("DetectorInformationSequence") or [{}])[0]
    position, orientation = detector.get("ImagePositionPatient"), detector.get("ImageOrientationPatient")
    spacing, step = instance.get("PixelSpacing"), number(instance.get("SpacingBetweenSlices"), "SpacingBetweenSlices", instance.path)
    if not position or not orientation or not spacing or not step:
        raise InputError(
            "geometry_missing",
            "the place of the volume is not stated",
            found="no position, orientation, spacing or slice distance",
            expected="DetectorInformationSequence with both, PixelSpacing, SpacingBetweenSlices",
            where=instance.path,
        )
    normal = slice_normal([float(v) for v in orientation])
    affine = affine_from(position, orientation, [float(v) for v in spacing], normal * step)
    shape = (depth, int(instance.get("Rows")), int(instance.get("Columns")))
    noted = Finding(
        "slice_direction", "warn", f"NM states no slice positions: slices are {step:g} mm apart along the normal; check head and feet"
    )
    return Grid(shape, affine, str(instance.get("FrameOfReferenceUID", ""))), (noted,)


def _acquisition_s(instance: Instance) -> float | None:
    """Time per head that the counts were gathered in [s]: frame duration × frames × rotations."""
    rotation = (instance.get("RotationInformationSequence") or [{}])[0]
    frame_ms = positive(rotation.get("ActualFrameDuration") or instance.get("ActualFrameDuration"), "ActualFrameDuration", instance.path)
    frames = positive(rotation.get("NumberOfFramesInRotation"), "NumberOfFramesInRotation", instance.path)
    rotations = positive(instance.get("NumberOfRotations"), "NumberOfRotations", instance.path) or 1.0
    return None if frame_ms is None or frames is None else frame_ms / 1000.0 * frames * rotations


def _scale(instance: Instance, grid: Grid, constants: Any) -> tuple[str, float]:
    mapping = instance.get("RealWorldValueMappingSequence")
    if mapping:
        return real_world(mapping, instance.path)
    slope = number(instance.get("RescaleSlope"), "RescaleSlope", instance.path)
    if number(instance.get("RescaleIntercept"), "RescaleIntercept", instance.path):
        raise InputError(
            "rescale_intercept", "RescaleIntercept must be 0", found=instance.get("RescaleIntercept"), expected=0, where=instance.path
        )
    units = str(instance.get("Units", "")).strip().upper()
    if units == "BQML" and slope:
        return units, slope
    sensitivity, seconds = constants.get("sensitivity_cps_per_bq"), _acquisition_s(instance)
    if sensitivity is None or seconds is None:
        raise InputError(
            "spect_not_calibrated",
            "the values are counts and nothing turns them into activity",
            found=f"no RealWorldValueMapping in Bq/ml; sensitivity {sensitivity}, acquisition time {seconds} s",
            expected="pet.sensitivity_cps_per_bq in the config, and RotationInformationSequence in the header",
            where=instance.path,
            do="measure the sensitivity with a large uniform phantom, reconstructed alike",
        )
    return "BQML", (slope or 1.0) / (seconds * float(sensitivity) * voxel_volume_ml(grid))


def _times(instance: Instance, frames: int, acquired: datetime | None) -> tuple[datetime, np.ndarray, np.ndarray]:
    start = acquisition_start(instance) or acquired
    seconds = _acquisition_s(instance)
    if start is None or seconds is None or frames > 1:
        raise InputError(
            "acquisition_time_missing",
            "start or length of the acquisition is not stated" if frames == 1 else "dynamic SPECT is not read",
            found=f"start {start}, {seconds} s, {frames} time slices",
            expected="AcquisitionDate and -Time, ActualFrameDuration and NumberOfFramesInRotation, one time slice",
            where=instance.path,
            do="write the start into the sheet's `acquired` column, or export the series with its rotation information",
        )
    return start, np.zeros((1, 1)), np.full((1, 1), seconds)


def _decay(instance: Instance, corrected: tuple[str, ...] | None, origin: datetime) -> tuple[str, datetime | None]:
    """Decay correction and the moment it is to. (0054,1102) is no tag of NM's own, but counts where a maker wrote it."""
    stated = str(instance.get("DecayCorrection", "")).strip().upper()
    if stated in ("ADMIN", "NONE"):
        return stated, None
    return ("TIME", origin) if stated == "START" or "DECY" in (corrected or ()) else ("NONE", None)


def read_nm(instance: Instance, acquired: datetime | None, constants: Any, where: Path) -> Scan:
    """A reconstructed NM object as a `Scan` (1, z, y, x) in Bq/mL: by its real-world map, else by the configured sensitivity.

    NM states decay correction in CorrectedImage only: with DECY the values refer to the acquisition's start (to the administration
    where a DecayCorrection says so), else they are means over it. Raises `InputError` for projections, several energy windows,
    missing geometry, times or calibration.
    """
    check_pixels(instance)
    order = _order(instance)
    grid, findings = _grid(instance, order.shape[1])
    units, slope = _scale(instance, grid, constants)
    origin, start_s, duration_s = _times(instance, len(order), acquired)
    corrected = head.corrected_image(instance)
    decay, moment = _decay(instance, corrected, origin)
    if corrected is None:
        findings += (Finding("decay_correction", "warn", "the NM header does not say: values are taken as means over the acquisition"),)
    spread = np.broadcast_to
    weight_kg, height_m, sex = head.patient(instance)
    nothing = np.full((1, grid.shape[0]), np.nan)
    header = head.PetHeader(
        source="nm", manufacturer=str(instance.get("Manufacturer", "")), units=units, suv_type="",
        decay_correction=decay, decay_reference=moment, series_start=None,
        slice_start_s=spread(start_s, nothing.shape), slice_duration_s=spread(duration_s, nothing.shape),
        frame_reference_s=nothing, decay_factor=nothing, corrected=corrected, tracer=head.tracer(instance, "MBq"),
        weight_kg=weight_kg, height_m=height_m, sex=sex, timezone=str(instance.get("TimezoneOffsetFromUTC", "")),
        patient_position=str(instance.get("PatientPosition", "")),
    )  # fmt: skip
    slopes = np.full(grid.shape[0], slope)
    values = lazy_frames(partial(_load, instance, order, slopes), len(order), grid.shape)
    times = FrameTimes(origin, (0.0,), (float(duration_s[0, 0]),))
    return Scan(values, units, grid, times, header, findings)


def _load(instance: Instance, order: np.ndarray, slopes: np.ndarray, frame: int) -> np.ndarray:
    return load_frame([(instance, int(i)) for i in order[frame]], slopes, np.zeros(len(slopes)))
