"""A ParaVision reconstruction → `Scan`: echoes, magnitudes, phases, times, and what the scanner was set to."""

from __future__ import annotations

import math
import re
from datetime import datetime
from pathlib import Path

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Scan
from tracker.mri.echoes import check_count, check_times
from tracker.mri.header import MriHeader
from tracker.mri.paravision.echoes import echo_times_s
from tracker.mri.paravision.frames import Group, frame_groups, frame_sizes, group_size, scaled
from tracker.mri.paravision.parameters import number, word, words
from tracker.mri.paravision.reconstructions import Reconstruction, choose, open_reconstruction
from tracker.mri.paravision.space import grid_of
from tracker.study.model import Context

# Of one voxel's frames: repeats slowest, then parts of the complex number, then echoes; slices are space.
_ROLES = {"FG_CYCLE": 0, "FG_MOVIE": 0, "FG_COMPLEX": 1, "FG_ECHO": 2, "FG_SLICE": 3}
# Gyromagnetic ratios over 2 pi [MHz/T] (CODATA 1H; 19F), as far as a field strength needs them.
_MHZ_PER_T = {"1H": 42.577, "19F": 40.078}
_SPIN_ECHO = re.compile(r"MSME|RARE|HASTE|SPIN-?ECHO", re.IGNORECASE)
_OLD_DATE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})\s+(\d{1,2})\s+(\w{3})\s+(\d{4})")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def read_paravision(path: Path, series: str, context: Context) -> Scan:
    """The scan at ``path`` (study, experiment, ``pdata/<n>`` or ``2dseq``), magnitudes (repeat · echo, z, y, x), float32.

    ``series`` names one as ``<experiment>`` or ``<experiment>/<reconstruction>`` where there are several. Values are in the
    maker's arbitrary unit, scaled frame by frame; complex images become magnitude and phase. Times have one entry a repeat.
    Raises `InputError` where the images make no volume, are no gradient echoes (1H), or slopes, echo times or the start are missing.
    The unit is not comparable between scans: the receiver gain may differ.
    """
    files = open_reconstruction(choose(path, series))
    groups = frame_groups(files.visu)
    _check_groups(groups, files)
    grid, noted = grid_of(files.visu, groups)
    nucleus = word(files.visu, "VisuAcqImagedNucleus")
    if nucleus in ("", "1H"):
        _check_gradient_echo(files)
    check_count(group_size(groups, "FG_ECHO"), nucleus, files.folder)
    times_s = echo_times_s(files, groups, context.acquisition.echo_times_ms)
    kinds = _kinds(files, groups)
    order = np.argsort(times_s)
    check_times([times_s[i] for i in order], files.folder)
    magnitude, phase = _magnitude_and_phase(_ordered(scaled(files.folder, files.visu), groups, files), kinds, files)
    repeats = len(magnitude)
    header = _header(files, [times_s[i] for i in order], repeats, None if phase is None else _flat(phase[:, order]))
    times, late = _times(files, repeats, context.acquisition.acquired)
    return Scan(_flat(magnitude[:, order]), "arbitrary", grid, times, header, noted + late)


def _check_groups(groups: tuple[Group, ...], files: Reconstruction) -> None:
    strange = [f"{g.name} ({g.size})" for g in groups if g.size > 1 and g.name not in _ROLES]
    if strange:
        raise InputError(
            "frame_group_unknown",
            f"frames differ in what is neither slice, echo nor repeat: {', '.join(strange)}",
            found=", ".join(f"{g.name} ({g.size})" for g in groups),
            expected=", ".join(_ROLES),
            where=files.folder,
            do="reconstruct magnitudes with coils combined; maps made by ParaVision are no input",
        )


def _check_gradient_echo(files: Reconstruction) -> None:
    stated = word(files.visu, "VisuAcqEchoSequenceType")
    name = f"{word(files.method, 'Method')} {word(files.visu, 'VisuAcqSequenceName')}".strip()
    if stated in ("SpinEcho", "Both") or (not stated and _SPIN_ECHO.search(name)):
        raise InputError(
            "not_gradient_echo",
            "a spin echo decays with R2, not with R2*",
            found=f"{stated or 'no stated echo type'}, {name}",
            expected="a multi-echo gradient echo (MGE)",
            where=files.folder,
            do="name the gradient-echo scan in the sheet's `series` column",
        )


def _kinds(files: Reconstruction, groups: tuple[Group, ...]) -> tuple[str, ...]:
    """What the parts of a frame are: MAGN, PHASE, REAL, IMAG."""
    count = group_size(groups, "FG_COMPLEX")
    sources = [
        words(files.visu, "VisuCoreFrameType"),
        words(files.visu, "VisuFGElemComment"),
        words(files.reco, "RECO_image_type"),
    ]
    for stated in sources:
        named = tuple(m[0] for m in (re.match("MAGN|PHASE|REAL|IMAG", s.upper()) for s in stated) if m)
        if len(named) == len(stated) == count or (len(set(named)) == 1 == count and len(named) == len(stated)):
            return named[:count]
    if count == 2 and any("COMPLEX_IMAGE" in s for stated in sources for s in stated):
        # ParaVision writes all real parts, then all imaginary ones.
        return ("REAL", "IMAG")
    found = " / ".join(", ".join(s) for s in sources if s) or "nothing stated"
    raise _no_magnitude("the files do not say which frames are magnitudes", found, files)


def _no_magnitude(what: str, found: str, files: Reconstruction) -> InputError:
    return InputError("not_magnitude", what, found=found, expected="magnitudes, or real and imaginary parts", where=files.folder,
                      do="reconstruct magnitude images")  # fmt: skip


def _ordered(values: np.ndarray, groups: tuple[Group, ...], files: Reconstruction) -> np.ndarray:
    """Frames as (repeat, part, echo, z, y, x), whichever order the loops were written in."""
    sizes = frame_sizes(files.visu)
    shaped = values.reshape(*(g.size for g in reversed(groups)), *sizes[::-1])
    # The first group is the fastest, hence the last axis; of several loops over repeats the slower comes first.
    order = sorted(range(len(groups)), key=lambda i: (_ROLES.get(groups[i].name, 0), -i))
    axes = [len(groups) - 1 - i for i in order] + list(range(len(groups), shaped.ndim))
    parts, echoes = group_size(groups, "FG_COMPLEX"), group_size(groups, "FG_ECHO")
    depth = sizes[2] if len(sizes) == 3 else group_size(groups, "FG_SLICE")
    return shaped.transpose(axes).reshape(-1, parts, echoes, depth, sizes[1], sizes[0])


def _magnitude_and_phase(values: np.ndarray, kinds: tuple[str, ...], files: Reconstruction) -> tuple[np.ndarray, np.ndarray | None]:
    """Magnitude and phase [rad], (repeat, echo, z, y, x)."""
    part = {kind: values[:, i] for i, kind in enumerate(kinds)}
    if "MAGN" in part:
        magnitude, phase = part["MAGN"], part.get("PHASE")
    elif {"REAL", "IMAG"} <= part.keys():
        return np.hypot(part["REAL"], part["IMAG"]), np.arctan2(part["IMAG"], part["REAL"])
    else:
        raise _no_magnitude("the scan holds no magnitudes", ", ".join(kinds), files)
    if magnitude.min() < 0:
        raise _no_magnitude("images called magnitude have negative values", f"{magnitude.min():g}", files)
    if phase is not None and np.abs(phase).max() > 1.01 * math.pi:
        raise InputError("phase_unit", "phase images are not in radians", found=f"up to {np.abs(phase).max():g}", expected="-pi to pi",
                         where=files.folder, do="reconstruct magnitude images alone")  # fmt: skip
    return magnitude, phase


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.reshape(-1, *values.shape[2:]))


def _header(files: Reconstruction, times_s: list[float], repeats: int, phase_rad: np.ndarray | None) -> MriHeader:
    visu = files.visu
    nucleus, frequency_mhz = word(visu, "VisuAcqImagedNucleus"), number(visu, "VisuAcqImagingFrequency")
    repetition_ms = number(visu, "VisuAcqRepetitionTime")
    field_t = frequency_mhz / _MHZ_PER_T[nucleus] if frequency_mhz and nucleus in _MHZ_PER_T else None
    return MriHeader(
        echo_times_s=tuple(times_s),
        n_repeats=repeats,
        phase_rad=phase_rad,
        nucleus=nucleus,
        field_t=field_t,
        source="paravision",
        repetition_time_s=None if repetition_ms is None else repetition_ms / 1000.0,
        flip_angle_deg=number(visu, "VisuAcqFlipAngle"),
        receiver_gain=number(files.acqp, "RG"),
        planar=len(frame_sizes(visu)) == 2,
    )


def parse_date(text: str) -> datetime | None:
    """ParaVision's two ways to write a time; None for what is neither.

    >>> parse_date("2015-11-18T16:13:12,345+0100").isoformat()
    '2015-11-18T16:13:12.345000+01:00'
    >>> parse_date("<09:26:13 30 Oct 2012>").isoformat()
    '2012-10-30T09:26:13'
    """
    plain = text.strip("<> ")
    old = _OLD_DATE.fullmatch(plain)
    try:
        if old:
            hour, minute, second, day, month, year = old.groups()
            return datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
        # A day alone is not midnight.
        return datetime.fromisoformat(plain.replace(",", ".")) if "T" in plain else None
    except ValueError:
        return None


def _times(files: Reconstruction, repeats: int, acquired: datetime | None) -> tuple[FrameTimes, tuple[Finding, ...]]:
    """One frame a repeat, evenly over the scan's length."""
    origin = parse_date(word(files.visu, "VisuAcqDate")) or acquired
    if origin is None:
        raise InputError("acquisition_time_missing", "the files do not say when the scan was", expected="VisuAcqDate", where=files.folder,
                         found=word(files.visu, "VisuAcqDate") or "none",
                         do="write date and time of the scan's start into the sheet's `acquired` column")  # fmt: skip
    length_ms = number(files.visu, "VisuAcqScanTime")
    if length_ms is None:
        length_ms = number(files.method, "PVM_ScanTime")
    late = (
        ()
        if length_ms
        else (Finding("scan_length", "warn", "the files do not say how long the scan took: its start stands for its middle"),)
    )
    each_s = (length_ms or 0.0) / 1000.0 / repeats
    return FrameTimes(origin, tuple(i * each_s for i in range(repeats)), (each_s,) * repeats), late
