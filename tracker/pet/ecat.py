"""ECAT 7 volumes (``.v``) → `Scan`, read by nibabel. Its clock is seconds since 1970 without a zone: the sheet gives the wall clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tracker.dicom.frames import lazy_frames
from tracker.errors import Finding, InputError
from tracker.image import Grid, Scan
from tracker.pet import header as head
from tracker.pet.classic import frame_times

_UNITS = {"bq/cc": "BQML", "bq/ml": "BQML", "becquerels/cc": "BQML"}
# PROCESSING_CODE of the image subheader, which nibabel calls `corrections_applied`: Norm 1, Atten_Meas 2, Atten_Calc 4,
# Smooth 8 16 32, Scat2d 64, Scat3d 128, ArcPrc 256, DecayPrc 512 (the ECAT 7 library's enum ProcessingCode).
_DECAY_CORRECTED = 512
_QUARTER_HOUR_S = 900
_BLOCK_BYTES = 512


def is_ecat(path: Path) -> bool:
    """Whether a file begins like an ECAT 7 matrix file."""
    with path.open("rb") as file:
        return file.read(6) == b"MATRIX"


def _text(value: Any) -> str:
    raw = value.item() if hasattr(value, "item") else value
    return (raw.decode("ascii", "replace") if isinstance(raw, bytes) else str(raw)).strip("\0 ")


def _origin(header: Any, acquired: datetime | None, first_s: float, path: Path) -> datetime:
    if acquired is None:
        raise InputError(
            "acquisition_time_missing",
            "an ECAT file's clock has no time zone",
            found="seconds since 1970",
            expected="wall clock",
            where=path,
            do="write date and time of the scan's start into the sheet's `acquired` column",
        )
    stated = int(header["scan_start_time"])
    wall_s = (acquired.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
    # Time zones are whole quarters of an hour: what is left over must agree.
    apart_s = (wall_s - stated) % _QUARTER_HOUR_S
    if stated > 0 and min(apart_s, _QUARTER_HOUR_S - apart_s) > 60:
        raise InputError(
            "acquired_disagrees",
            "the sheet's `acquired` and the file's clock disagree beyond a time zone",
            found=f"{apart_s:.0f} s left over",
            expected="a whole number of quarter hours",
            where=path,
            do="correct the sheet",
        )
    return acquired + timedelta(seconds=first_s)


def _open(path: Path) -> Any:
    """nibabel's image, once the file is known to hold one whole volume for each frame it announces."""
    from nibabel import ecat

    try:
        image = ecat.load(str(path))
        matrices = image.get_mlist()
    except (ValueError, TypeError, IndexError, OSError) as error:
        raise InputError(
            "ecat_unreadable",
            "the file cannot be read as ECAT 7 with one volume a frame",
            found=str(error)[:200],
            where=path,
            expected="an ECAT 7 volume file without gates or bed positions",
            do="copy the file again, or export NIfTI or DICOM",
        ) from error
    last_block, size = int(matrices[:, 2].max(initial=0)), path.stat().st_size
    if not len(matrices) or (matrices[:, 1] < 1).any() or size < last_block * _BLOCK_BYTES:
        raise InputError("truncated_pixels", "the file is shorter than its matrix list says", found=f"{size} bytes", where=path,
                         expected=f"{last_block * _BLOCK_BYTES} bytes, {len(matrices)} frames", do="copy the file again")  # fmt: skip
    return image


def read_ecat(path: Path, acquired: datetime | None) -> Scan:
    """An ECAT 7 volume file as a `Scan` (t, z, y, x) in Bq/mL.

    Raises `InputError` where the units are not an activity concentration, frames disagree or the sheet has no ``acquired``.
    """
    image = _open(path)
    header, frames = image.header, int(image.header["num_frames"])
    subs = [image.get_subheaders().subheaders[t] for t in range(frames)]
    # Matrices lie in the file in the order they were written, which need not be that of time.
    order = [int(t) for t in np.argsort([int(s["frame_start_time"]) for s in subs], kind="stable")]
    subs = [subs[t] for t in order]
    units = _UNITS.get(_text(header["data_units"]).lower(), _text(header["data_units"]).upper())
    starts_s = np.array([float(s["frame_start_time"]) for s in subs]) / 1000.0
    durations_s = np.array([float(s["frame_duration"]) for s in subs]) / 1000.0
    decayed = {bool(int(s["corrections_applied"]) & _DECAY_CORRECTED) for s in subs}
    if len(decayed) != 1 or (durations_s <= 0).any():
        raise InputError(
            "frame_times",
            "frames lack a duration or differ in decay correction",
            found=f"{durations_s.tolist()[:4]} s",
            expected="> 0 s, alike",
            where=path,
        )
    origin = _origin(header, acquired, float(starts_s[0]), path)
    shape_xyz = tuple(int(n) for n in image.get_frame(0).shape)
    shape = (shape_xyz[2], shape_xyz[1], shape_xyz[0])
    across = np.ones((1, shape[0]))
    nothing = np.full((frames, shape[0]), np.nan)
    corrected = decayed == {True}
    pet_header = head.PetHeader(
        source="ecat", manufacturer="CTI", units=units, suv_type="", decay_correction="TIME" if corrected else "NONE",
        decay_reference=origin - timedelta(seconds=float(starts_s[0])) if corrected else None, series_start=None,
        slice_start_s=(starts_s - starts_s[0])[:, None] * across, slice_duration_s=durations_s[:, None] * across, frame_reference_s=nothing,
        decay_factor=nothing, corrected=None, tracer=_tracer(header), weight_kg=None, height_m=None, sex="",
    )  # fmt: skip
    times = frame_times(origin, pet_header.slice_start_s, pet_header.slice_duration_s, path)
    values = lazy_frames(partial(_load, str(path), order), frames, shape)
    # nibabel turns the planes by the header's patient orientation, which ECAT states loosely.
    noted = Finding(
        "orientation", "warn", "ECAT's patient orientation is not always right: check left and right, head and feet on the overlay"
    )
    return Scan(values, units, Grid(shape, np.asarray(image.get_frame_affine(0), float)), times, pet_header, (noted,))


def _load(path: str, order: list[int], frame: int) -> np.ndarray:
    from nibabel import ecat

    return np.ascontiguousarray(np.asarray(ecat.load(path).get_frame(order[frame]), np.float32).T)


def _tracer(header: Any) -> head.Tracer:
    half_life_s, dose = float(header["isotope_halflife"]), float(header["dosage"])
    return head.Tracer(
        nuclide=(_text(header["isotope_name"]),),
        half_life_s=half_life_s or None,
        positron_fraction=float(header["branching_fraction"]) or None,
        dose=dose or None,
        dose_unit="Bq",
        start_time=None,
        start_datetime=None,
    )
