"""The moment a PET header's values refer to, and the exact factor from there to the middle of the frame.

v is what the header's unit says, C(t) the activity concentration, t_s the start of a slice's acquisition, T its length:
C̄ = v · 2^(-(t_s - t_ref)/T½h) · (1 - e^(-λh T))/(λh T) is the mean over the frame (the scanner's correction undone with the
half-life h it used), and C(t_mid) = C̄ · λT/(1 - e^(-λT)) · 2^(-(t_mid - t_s)/T½) with the nuclide's own half-life.
Sources: DICOM PS3.3 C.8.9.4.1.5; QIBA FDG-PET/CT profile; IBSI chapter 2 SUV manual, arXiv 2410.13348.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tracker.clock import seconds_between
from tracker.decay import decay_factor, frame_mean_factor, mean_time_s
from tracker.errors import Finding, InputError
from tracker.image import FrameTimes
from tracker.pet.header import PetHeader

# A post-processed series is re-dated by minutes to days; a private start further back than this belongs to another scan.
_LONGEST_SCAN_S = 12 * 3600.0
# FrameReferenceTime is rounded to whole or half seconds by some makers; each slice must give the same start within this.
_REFERENCE_SPREAD_S = 2.0
# DecayFactor is checked to the 0.5 % of the DICOM rounding and half-life tables; 5 % off is another time or nuclide.
_AGREEMENT, _CONTRADICTION = 0.005, 0.05


@dataclass(frozen=True, slots=True)
class Reference:
    """``seconds`` (t, z) from the scan's origin to the moment each slice's values refer to; ``how`` says which rule gave it."""

    seconds: np.ndarray
    how: str
    findings: tuple[Finding, ...] = ()


def durations_s(header: PetHeader) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Each slice's frame length [s]. Missing in a static decay-corrected scan, it is 0: values then hold at the frame's start, exactly.

    Raises `InputError` where the length is needed: values that are means over the frame, or dynamic series.
    """
    missing = ~(header.slice_duration_s > 0)
    if not missing.any():
        return header.slice_duration_s, ()
    if header.decay_correction == "NONE" or len(header.slice_duration_s) > 1 or not missing.all():
        raise InputError(
            "frame_duration_missing",
            "ActualFrameDuration is missing or 0",
            found=f"{int(missing.sum())} of {missing.size} slices without it",
            expected="milliseconds in every slice: the values are means over the frame",
            do="restore (0018,1242) ActualFrameDuration",
        )
    words = "ActualFrameDuration is missing: values are given at the start of the scan instead of its middle"
    return np.zeros_like(header.slice_duration_s), (Finding("frame_duration", "warn", words),)


def _post_processed(header: PetHeader, origin: datetime, length_s: np.ndarray, half_life_s: float) -> Reference:
    """The reference of a series whose SeriesTime is later than its acquisition: the maker's private start, else back-computed."""
    if header.decay_reference is not None:
        private_s = seconds_between(header.decay_reference, origin)
        if -_LONGEST_SCAN_S < private_s <= 1.0:
            return Reference(np.full(length_s.shape, private_s), "private scan start")
    reference_s = header.frame_reference_s
    if np.isnan(reference_s).any() or not (length_s > 0).all():
        raise InputError(
            "reference_time_unknown",
            "DecayCorrection is START, but SeriesTime is later than the acquisition (post-processed) and nothing tells the true start",
            found=f"SeriesTime {header.series_start}, first acquisition {origin}, FrameReferenceTime or ActualFrameDuration missing",
            expected="(0054,1300) FrameReferenceTime and (0018,1242) ActualFrameDuration, or the maker's private start time",
            do="use the scanner's original series",
        )
    # GE counts FrameReferenceTime to the frame's start, all others to the time of its mean activity (PS3.3 C.8.9.4.1.5).
    average_s = 0.0 if "GE" in header.manufacturer.upper().split() else mean_time_s(length_s, half_life_s)
    start_s = header.slice_start_s - reference_s + average_s
    if np.ptp(start_s) > _REFERENCE_SPREAD_S or not -_LONGEST_SCAN_S < np.median(start_s) <= _REFERENCE_SPREAD_S:
        raise InputError(
            "reference_time_inconsistent",
            "acquisition times and FrameReferenceTime do not lead to one start",
            found=f"starts from {start_s.min():.1f} to {start_s.max():.1f} s after the first acquisition",
            expected=f"the same within {_REFERENCE_SPREAD_S} s, and not after the first acquisition",
            do="use the scanner's original series",
        )
    return Reference(np.full(length_s.shape, float(np.median(start_s))), "start back-computed from FrameReferenceTime")


def _start(header: PetHeader, origin: datetime, length_s: np.ndarray, half_life_s: float) -> Reference:
    if header.series_start is None:
        raise InputError(
            "series_time_missing",
            "DecayCorrection is START but the series has no date and time",
            found="no SeriesDate/SeriesTime",
            expected="both",
        )
    series_s = seconds_between(header.series_start, origin)
    if series_s > 0:
        return _post_processed(header, origin, length_s, half_life_s)
    if series_s < -_LONGEST_SCAN_S:
        raise InputError(
            "acquisition_date_implausible",
            "the acquisition is more than half a day after the series began",
            found=f"series {header.series_start}, first acquisition {origin}",
            expected="the same day",
            do="one of the dates was changed by anonymisation: restore it, or shift all dates alike",
        )
    return Reference(np.full(length_s.shape, series_s), "series start")


def reference(header: PetHeader, origin: datetime, half_life_s: float, administered: datetime | None) -> Reference:
    """Which moment each slice's values refer to, by DecayCorrection (physics: this module's head).

    ``half_life_s`` is the one the scanner used; ``administered`` the administration as the scanner knew it (needed for ADMIN).
    Raises `InputError` where the header does not determine it.
    """
    length_s, findings = durations_s(header)
    if header.decay_correction == "NONE":
        seconds = header.slice_start_s + mean_time_s(length_s, half_life_s)
        return Reference(seconds, "not corrected", findings)
    if header.decay_correction == "START":
        found = _start(header, origin, length_s, half_life_s)
    elif header.decay_correction in ("ADMIN", "TIME"):
        moment = administered if header.decay_correction == "ADMIN" else header.decay_reference
        if moment is None:
            raise InputError(
                "reference_time_unknown",
                "values are decay-corrected to a moment that the header does not give",
                found=f"DecayCorrection {header.decay_correction} without its time",
                expected="RadiopharmaceuticalStartDateTime or DecayCorrectionDateTime",
            )
        how = "administration" if header.decay_correction == "ADMIN" else "stated moment"
        found = Reference(np.full(length_s.shape, seconds_between(moment, origin)), how)
    else:
        raise InputError(
            "decay_correction_unknown",
            "DecayCorrection is not one of DICOM's",
            found=repr(header.decay_correction),
            expected="START, ADMIN or NONE",
        )
    return Reference(found.seconds, found.how, findings + found.findings)


def middle_factor(header: PetHeader, times: FrameTimes, ref: Reference, half_lives_s: tuple[float, float]) -> np.ndarray:
    """Factor (t, z) from the header's values to the activity at the middle of each frame, in-frame decay exact.

    ``half_lives_s`` is (the scanner's, the nuclide's). With equal half-lives it is 2^(-(t_mid - t_ref)/T½).

    >>> import numpy as np
    >>> from datetime import datetime
    >>> one = np.zeros((1, 1))
    >>> h = PetHeader("", "", "BQML", "", "START", None, None, one, one + 3600, one, one, None, None, None, None, "")
    >>> t = FrameTimes(datetime(2025, 1, 1), (0.0,), (3600.0,))
    >>> round(float(middle_factor(h, t, Reference(one, ""), (6586.2, 6586.2))[0, 0]), 9) == round(2 ** (-1800 / 6586.2), 9)
    True
    """
    scanner_s, own_s = half_lives_s
    length_s, _ = durations_s(header)
    if header.decay_correction == "NONE":
        mean = np.ones(length_s.shape)
    else:
        mean = decay_factor(header.slice_start_s - ref.seconds, scanner_s) / frame_mean_factor(length_s, scanner_s)
    middle_s = np.array(times.start_s) + np.array(times.duration_s) / 2
    since_start_s = middle_s[:, None] - header.slice_start_s
    return np.asarray(mean * frame_mean_factor(length_s, own_s) * decay_factor(since_start_s, own_s))


def _anchors_s(header: PetHeader, origin: datetime, ref: Reference) -> dict[str, np.ndarray]:
    """The moments that makers count DecayFactor from: what the values refer to and, in series converted to ADMIN, the start."""
    anchors = {ref.how: ref.seconds}
    if header.decay_correction == "ADMIN":
        anchors["the scan's start"] = np.zeros_like(ref.seconds)
        if header.series_start is not None:
            anchors["the series' start"] = np.full_like(ref.seconds, seconds_between(header.series_start, origin))
    return anchors


def check_decay_factor(header: PetHeader, origin: datetime, ref: Reference, half_life_s: float) -> Finding | None:
    """Compares DecayFactor (0054,1321) with the times: exact, to the frame's middle, or to its start; None where nothing can be compared.

    Makers differ in which of the three they write, and some write 1; all are accepted. A factor that fits none by 5 % or
    more contradicts the times: `InputError`.
    """
    stated = header.decay_factor
    if header.decay_correction == "NONE" or np.isnan(stated).any() or (stated == 1).all():
        return None
    length_s, _ = durations_s(header)
    apart: dict[str, float] = {}
    for anchor, since_s in _anchors_s(header, origin, ref).items():
        start = 1 / decay_factor(header.slice_start_s - since_s, half_life_s)
        rules = {
            "mean": start * frame_mean_factor(length_s, half_life_s),
            "middle": start / decay_factor(length_s / 2, half_life_s),
            "start": start,
        }
        apart |= {f"frame's {rule} from {anchor}": float(np.max(np.abs(stated / value - 1))) for rule, value in rules.items()}
    best = min(apart, key=lambda name: apart[name])
    if apart[best] > _CONTRADICTION:
        exact = frame_mean_factor(length_s, half_life_s) / decay_factor(header.slice_start_s - ref.seconds, half_life_s)
        raise InputError(
            "decay_factor_contradicts_times",
            "DecayFactor does not follow from the times",
            found=f"{float(stated.flat[0]):.5g}",
            expected=f"{float(np.asarray(exact).flat[0]):.5g} for decay correction to {ref.how}",
            do="compare AcquisitionTime, SeriesTime and the half-life with the scanner's log",
        )
    status = "ok" if apart[best] <= _AGREEMENT else "warn"
    return Finding("decay_factor", status, f"DecayFactor agrees within {100 * apart[best]:.2g} % ({best})")
