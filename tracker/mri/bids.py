"""NIfTI with sidecars (BIDS, dcm2niix) → `Scan`. Times in the sidecar are seconds; the sheet's `echo_times_ms` milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tracker.clock import seconds_between
from tracker.dicom.times import parse_datetime, parse_time
from tracker.dicom.values import number
from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Scan
from tracker.mri import echoes
from tracker.mri.header import MriHeader
from tracker.mri.phase import check_magnitude, extent, in_radians, phase_scale, scale_finding
from tracker.mri.tags import field_of
from tracker.mri.volumes import Images, Volume, choose_files, images_of, nucleus_in
from tracker.nifti.sidecar import sidecar
from tracker.study.model import Context

_SAME_CLOCK_S = 60


def read_bids(paths: Sequence[Path], named: str, context: Context, where: Path) -> Scan:
    """NIfTI files and their sidecars as a `Scan` (repeat × echo, z, y, x) of magnitudes, arbitrary unit.

    Raises `InputError` where echo times, the date or images are missing, or contradict one another or the sheet.
    """
    files = choose_files(paths, named, where)
    record = next((v.record for v in files if v.record), {})
    beside = sidecar(files[0].path)
    found = images_of(files, "magnitude", where)
    if found is None:
        found, phase_rad, phase_notes = _from_complex(files, where)
    else:
        check_magnitude(found.values, where)
        phase_rad, phase_notes = _phase(files, found, where)
    times_s = _echo_times(found, context.acquisition.echo_times_ms, where)
    header, header_notes = _header(record, times_s, found, phase_rad, beside)
    times, time_notes = _times(record, context.acquisition.acquired, beside)
    others = len(paths) - len(files)
    left = (Finding("other_series", "ok", f"{others} other NIfTI file(s) in the folder: left out"),) if others > 0 else ()
    return Scan(found.values, "arbitrary", found.grid, times, header, (*found.findings, *phase_notes, *header_notes, *time_notes, *left))


def _echo_times(found: Images, sheet_ms: tuple[float, ...], where: Path) -> tuple[float, ...]:
    times_s = echoes.agreed(found.times_s, sheet_ms, where)
    if len(times_s) != found.n_echoes:
        raise InputError(
            "echo_count",
            "echo times and images differ in number",
            found=f"{len(times_s)} echo time(s), {found.n_echoes} image(s)",
            expected="one each",
            where=where,
            do="correct the sheet's `echo_times_ms`",
        )
    echoes.check_times(times_s, where)
    return times_s


def _from_complex(files: Sequence[Volume], where: Path) -> tuple[Images, Any, tuple[Finding, ...]]:
    """Magnitude and phase of real and imaginary images."""
    import dask.array as da

    real, imaginary = (images_of(files, kind, where) for kind in ("real", "imaginary"))
    if real is None or imaginary is None or real.values.shape != imaginary.values.shape:
        raise InputError(
            "magnitude_missing",
            "there are no magnitude images",
            found=", ".join(v.path.name for v in files)[:300],
            expected="magnitudes, or as many real as imaginary images",
            where=where,
            do="put the magnitude files into the folder, named as BIDS (`_part-mag`) or dcm2niix names them",
        )
    images = Images(da.hypot(real.values, imaginary.values), real.n_echoes, real.times_s, real.grid, real.findings)
    noted = (Finding("complex", "ok", "magnitude and phase were made from real and imaginary images"),)
    return images, da.arctan2(imaginary.values, real.values), noted


def _phase(files: Sequence[Volume], found: Images, where: Path) -> tuple[Any, tuple[Finding, ...]]:
    """Phase in radians, or None: magnitudes alone give R2*, so that a doubtful phase is left out and said so."""
    try:
        phase = images_of(files, "phase", where)
    except InputError as error:
        return None, (Finding("phase_left_out", "warn", f"phase images were left out: {error}"),)
    if phase is None:
        return None, (Finding("phase", "ok", "no phase images"),)
    alike = phase.values.shape == found.values.shape and np.allclose(phase.grid.affine, found.grid.affine, atol=1e-3)
    if not alike or (phase.times_s and found.times_s and not np.allclose(phase.times_s, found.times_s, rtol=1e-3, atol=0)):
        return None, (Finding("phase_left_out", "warn", "phase images differ from the magnitudes in shape, place or echo times"),)
    low, high = extent(phase.values)
    unit = next((str(v.record.get("Units", "")) for v in files if v.kind == "phase"), "")
    scale = phase_scale(low, high, unit)
    noted = (scale_finding(scale, low, high),)
    return None if scale is None else in_radians(phase.values, scale), noted


def _header(
    record: dict[str, Any], times_s: tuple[float, ...], found: Images, phase_rad: Any, beside: Path
) -> tuple[MriHeader, tuple[Finding, ...]]:
    """What the sidecar says of the acquisition; refuses spin echoes and too few echoes."""
    nucleus = nucleus_in(record)
    echoes.check_count(len(times_s), nucleus, beside)
    _check_sequence(record, nucleus, beside)
    numbers = {k: number(record.get(k), k, beside) for k in ("MagneticFieldStrength", "ImagingFrequency", "FlipAngle", "ReceiverGain")}
    repetition = number(record.get("RepetitionTimeExcitation", record.get("RepetitionTime")), "RepetitionTime", beside)
    field_t, findings = field_of(numbers["MagneticFieldStrength"], numbers["ImagingFrequency"], nucleus)
    n_repeats = int(found.values.shape[0]) // len(times_s)
    header = MriHeader(
        echo_times_s=times_s,
        n_repeats=n_repeats,
        phase_rad=phase_rad,
        nucleus=nucleus,
        field_t=field_t,
        source="nifti",
        repetition_time_s=repetition or None,
        flip_angle_deg=numbers["FlipAngle"] or None,
        receiver_gain=numbers["ReceiverGain"],
        planar={"2D": True, "3D": False}.get(str(record.get("MRAcquisitionType", "")).strip().upper()),
    )
    repeats = (Finding("repeats", "ok", f"{n_repeats} repeats of every echo"),) if n_repeats > 1 else ()
    return header, (*findings, *repeats)


def _check_sequence(record: dict[str, Any], nucleus: str, beside: Path) -> None:
    stated = record.get("ScanningSequence", "")
    words = " ".join(map(str, stated)) if isinstance(stated, list) else str(stated)
    sequence = words.upper().replace("\\", " ").replace("_", " ").split()
    # Fluorine is measured by its amount, and usually with spin echoes.
    if "SE" in sequence and "GR" not in sequence and nucleus in ("", "1H"):
        raise InputError(
            "not_gradient_echo",
            "spin echoes give R2, not R2*",
            found=f"ScanningSequence {words}",
            expected="gradient echoes (GR)",
            where=beside,
            do="name the gradient-echo scan; an anatomy scan has role anatomy",
        )


def _moment(text: str) -> datetime | None:
    """A sidecar's date and time, ISO 8601 or as DICOM writes it; None where it is empty or has no time of day."""
    try:
        return datetime.fromisoformat(text) if "T" in text or " " in text else parse_datetime(text)
    except ValueError as error:
        raise InputError("bad_time", "not a date and time", found=repr(text), expected="YYYY-MM-DDTHH:MM:SS") from error


def _clock(record: dict[str, Any]) -> tuple[datetime | None, time | None]:
    """When the sidecar says the scan began: with its date, or else as a time of day only."""
    stated = _moment(str(record.get("AcquisitionDateTime") or "").strip())
    clock = parse_time(record.get("AcquisitionTime")) if stated is None else None
    day = str(record.get("AcquisitionDate") or "").strip()
    if clock is None or not day:
        return stated, clock
    return _moment(f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock}" if day.isdigit() else f"{day}T{clock}"), clock


def _apart_s(stated: datetime | None, clock: time | None, acquired: datetime | None) -> float:
    """How far the sheet's start is from the sidecar's [s], by time of day where that has no date; 0 where one of them has none."""
    if acquired is None:
        return 0.0
    if stated is not None:
        return abs(seconds_between(stated, acquired))
    if clock is None:
        return 0.0
    of_day_s = [timedelta(hours=t.hour, minutes=t.minute, seconds=t.second).total_seconds() for t in (clock, acquired)]
    apart_s = abs(of_day_s[0] - of_day_s[1])
    return min(apart_s, 86400 - apart_s)


def _times(record: dict[str, Any], acquired: datetime | None, beside: Path) -> tuple[FrameTimes, tuple[Finding, ...]]:
    """One frame from the sidecar's time on, or from the sheet's where it has none or no date; raises `InputError` where they disagree."""
    length_s = number(record.get("AcquisitionDuration"), "AcquisitionDuration", beside) or 0.0
    unknown = Finding("acquisition_duration", "ok", "the files do not say how long the scan took: its start is its time")
    noted = () if length_s else (unknown,)
    stated, clock = _clock(record)
    if _apart_s(stated, clock, acquired) > _SAME_CLOCK_S:
        raise InputError(
            "acquired_disagrees",
            "the sheet's `acquired` and the sidecar's time disagree",
            found=f"{acquired} and {stated or clock}",
            expected="the same within a minute",
            where=beside,
            do="correct whichever is wrong",
        )
    if stated is not None:
        return FrameTimes(stated, (0.0,), (length_s,)), noted
    if acquired is not None:
        noted = (*noted, Finding("acquired", "warn", "the scan's start is the sheet's: the files have none"))
        return FrameTimes(acquired, (0.0,), (length_s,)), noted
    raise InputError(
        "acquisition_time_missing",
        "nothing says when the scan was acquired",
        found=f"AcquisitionTime {clock} without a date" if clock else "no time in the sidecar",
        expected="AcquisitionDateTime, or the sheet's `acquired`",
        where=beside,
        do="write date and time of the scan's start into the sheet's `acquired` column",
    )
