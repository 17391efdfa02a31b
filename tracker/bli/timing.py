"""How long after the luciferin a scan began."""

from __future__ import annotations

from datetime import timedelta

from tracker.bli.header import BliHeader
from tracker.clock import seconds_between
from tracker.errors import Finding, InputError
from tracker.image import FrameTimes
from tracker.study.model import Context

_APART_S = 60.0
# Light is gone some two hours after an injection; later than this a date is wrong.
_LATE_S = 6 * 3600.0


def luciferin_s(times: FrameTimes, header: BliHeader, context: Context) -> tuple[float | None, tuple[Finding, ...]]:
    """Seconds from luciferin to the first image, by the sheet, else by the label typed at the camera; None where neither says it.

    Raises `InputError` (``luciferin_after_scan``) where all images were taken before.
    """
    sheet, typed = context.acquisition.luciferin_time, header.luciferin
    given = sheet if sheet is not None else typed
    if given is None:
        why = "when luciferin was given is not known: write it into the acquisitions sheet (luciferin_time); without it no light curve"
        return None, (Finding("luciferin_time", "warn", why),)
    delay = seconds_between(times.origin, given)
    ends = [start + length for start, length in zip(times.start_s, times.duration_s, strict=True)]
    if delay + max(ends) <= 0:
        last = times.origin + timedelta(seconds=max(ends))
        raise InputError(
            "luciferin_after_scan",
            "luciferin was given after the last image",
            found=f"luciferin {given.isoformat(sep=' ')}, images until {last.isoformat(sep=' ')}",
            expected="luciferin first",
            do="check `luciferin_time` in the sheet, and the camera's clock (clock_offset_s)",
        )
    noted = []
    if sheet is None:
        noted.append(Finding("luciferin_time", "warn", f"the sheet is empty: {given:%H:%M:%S}, typed at the camera, is used"))
    elif typed is not None and abs(seconds_between(typed, sheet)) > _APART_S:
        noted.append(
            Finding("luciferin_time", "warn", f"the sheet says {sheet:%H:%M:%S}, the camera {typed:%H:%M:%S}: the sheet's is used")
        )
    if delay > _LATE_S:
        noted.append(Finding("luciferin_late", "warn", f"the first image is {delay / 3600:.1f} h after luciferin: is the date right?"))
    return delay, tuple(noted)
