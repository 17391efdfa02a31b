"""The series of one acquisition → `Scan`: magnitudes sorted, phase in radians beside them, times and header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tracker.clock import seconds_between
from tracker.dicom import Instance
from tracker.dicom.times import parse_date_time
from tracker.dicom.values import series_start, zoned
from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Scan
from tracker.mri import echoes
from tracker.mri.header import MriHeader
from tracker.mri.phase import check_magnitude, extent, in_radians, phase_scale, scale_finding
from tracker.mri.stacks import EchoStack, check_same, of_kind
from tracker.mri.tags import Facts, PictureSet
from tracker.study.model import Context


def assemble(sets: Sequence[PictureSet], context: Context, source: str, where: Path) -> Scan:
    """The series of one acquisition as a `Scan` (repeat × echo, z, y, x) of magnitudes, arbitrary unit.

    Raises `InputError` for spin echoes, missing, implausible or contradicting echo times, incomplete echoes or repeats, too few
    echoes, and a scan without magnitudes (unless real and imaginary images make them).
    """
    facts = sets[0].facts
    _check_sequence(sets, where)
    sheet_ms = context.acquisition.echo_times_ms
    found = of_kind(sets, "magnitude", sheet_ms, where)
    if found is None:
        found, phase_rad, phase_notes = _from_complex(sets, sheet_ms, where)
    else:
        check_magnitude(found.values, where)
        phase_rad, phase_notes = _phase(sets, found, sheet_ms, where)
    echoes.check_times(found.times_s, where)
    echoes.check_count(len(found.times_s), facts.nucleus, where)
    times, time_notes = _times(found, facts, context.acquisition.acquired, where)
    header = MriHeader(
        echo_times_s=found.times_s,
        n_repeats=found.n_repeats,
        phase_rad=phase_rad,
        nucleus=facts.nucleus,
        field_t=facts.field_t,
        source=source,
        repetition_time_s=facts.repetition_time_s,
        flip_angle_deg=facts.flip_angle_deg,
        planar=facts.planar,
    )
    findings = (*found.findings, *phase_notes, *time_notes, *facts.findings, *_notes(sets, found, facts))
    return Scan(found.values, "arbitrary", found.grid, times, header, findings)


def _check_sequence(sets: Sequence[PictureSet], where: Path) -> None:
    # Fluorine is measured by its amount, and usually with spin echoes; iron by R2*, which those refocus.
    if any(s.facts.spin_echo and s.facts.nucleus in ("", "1H") for s in sets):
        raise InputError(
            "not_gradient_echo",
            "spin echoes give R2, not R2*",
            found="a spin-echo sequence in the header",
            expected="gradient echoes",
            where=where,
            do="name the gradient-echo series in the sheet's `series` column; an anatomy scan has role anatomy",
        )


def _from_complex(sets: Sequence[PictureSet], sheet_ms: tuple[float, ...], where: Path) -> tuple[EchoStack, Any, tuple[Finding, ...]]:
    """Magnitude and phase of real and imaginary images."""
    import dask.array as da

    real, imaginary = (of_kind(sets, kind, sheet_ms, where) for kind in ("real", "imaginary"))
    if real is None or imaginary is None:
        kinds = sorted({p.kind for s in sets for p in s.pictures})
        raise InputError(
            "magnitude_missing",
            "there are no magnitude images",
            found=", ".join(kinds) + " images",
            expected="magnitudes, or real and imaginary images",
            where=where,
            do="put the magnitude series into the folder, or name it in the sheet's `series` column",
        )
    check_same(real, imaginary, where)
    values = da.hypot(real.values, imaginary.values)
    noted = (Finding("complex", "ok", "magnitude and phase were made from real and imaginary images"),)
    return replace(real, values=values), da.arctan2(imaginary.values, real.values), noted


def _phase(sets: Sequence[PictureSet], found: EchoStack, sheet_ms: tuple[float, ...], where: Path) -> tuple[Any, tuple[Finding, ...]]:
    """Phase in radians, or None: magnitudes alone give R2*, so that a doubtful phase is left out and said so."""
    try:
        phase = of_kind(sets, "phase", sheet_ms, where)
        if phase is None:
            return None, (Finding("phase", "ok", "no phase images"),)
        check_same(found, phase, where)
    except InputError as error:
        return None, (Finding("phase_left_out", "warn", f"phase images were left out: {error}"),)
    low, high = _stored_range(phase)
    scale = phase_scale(low, high)
    if scale is None or not scale.sure:
        low, high = extent(phase.values)
        scale = phase_scale(low, high)
    if scale is None:
        return None, (scale_finding(scale, low, high),)
    return in_radians(phase.values, scale), (scale_finding(scale, low, high),)


def _stored_range(stack: EchoStack) -> tuple[float, float]:
    """The range a maker's rescale was chosen for: from the intercept up to as much above 0, or to what the bits hold where that is less.

    NaN where the header has no rescale.
    """
    pictures = [p for frame in stack.order for p in frame]
    first = pictures[0]
    if len({(p.slope, p.intercept) for p in pictures}) != 1 or first.intercept >= 0 or int(first.instance.get("PixelRepresentation", 0)):
        return np.nan, np.nan
    top = first.intercept + first.slope * (2 ** int(first.instance.get("BitsStored", 16)) - 1)
    return first.intercept, min(top, -first.intercept)


def _times(found: EchoStack, facts: Facts, acquired: datetime | None, where: Path) -> tuple[FrameTimes, tuple[Finding, ...]]:
    """One frame from the first image's acquisition on."""
    starts = [p.start for frame in found.order for p in frame]
    dated = [s for s in starts if s is not None]
    noted: tuple[Finding, ...] = ()
    if len(dated) == len(starts):
        origin = min(dated)
        span_s = max(seconds_between(s, origin) for s in dated)
    else:
        origin, noted = _undated(found.order[0][0].instance, acquired, where)
        span_s = 0.0
    length_s = max(facts.duration_s or 0.0, span_s)
    if not length_s:
        noted = (*noted, Finding("acquisition_duration", "ok", "the header does not say how long the scan took: its start is its time"))
    return FrameTimes(origin, (0.0,), (length_s,)), noted


def _undated(first: Instance, acquired: datetime | None, where: Path) -> tuple[datetime, tuple[Finding, ...]]:
    """The scan's start where images lack theirs: the sheet's, else the series' start, else when its content was made."""
    if acquired is not None:
        return acquired, (Finding("acquired", "warn", "the scan's start is the sheet's: the header has none"),)
    content = parse_date_time(first.get("ContentDate"), first.get("ContentTime"))
    start = series_start(first) or (None if content is None else zoned(content, first))
    if start is None:
        raise InputError(
            "acquisition_time_missing",
            "the header does not say when the scan was acquired",
            found=f"AcquisitionDate {first.get('AcquisitionDate')}, AcquisitionTime {first.get('AcquisitionTime')}",
            expected="both, in every file",
            where=where,
            do="write the scan's start into the sheet's `acquired` column",
        )
    return start, (Finding("acquisition_date", "warn", "no acquisition time in the header: the series' start is used"),)


def _notes(sets: Sequence[PictureSet], found: EchoStack, facts: Facts) -> tuple[Finding, ...]:
    """What else was seen: repeats, computed images, a longer echo train, scales made for the screen."""
    noted = []
    if found.n_repeats > 1:
        noted.append(Finding("repeats", "ok", f"{found.n_repeats} repeats of every echo"))
    computed = sum(p.kind == "computed" for s in sets for p in s.pictures)
    if computed:
        noted.append(Finding("computed_images", "ok", f"{computed} image(s) computed by the scanner were left out"))
    count = len(found.times_s)
    if facts.echo_train and not facts.echo_planar and facts.echo_train > count > 1:
        noted.append(Finding("echo_train", "warn", f"EchoTrainLength is {facts.echo_train}, images are of {count} echoes"))
    pictures = [p for frame in found.order for p in frame]
    if len({p.slope for p in pictures}) > 1 and any(p.for_display for p in pictures):
        noted.append(
            Finding("echo_scale_differs", "warn", "images have different scales for the screen, and the private scale slope is missing")
        )
    return tuple(noted)
