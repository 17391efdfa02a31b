"""DICOM's dates and times as `datetime`: DA, TM and DT values, whole or cut short, with or without an offset."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, timezone

from tracker.errors import InputError

# A fraction is one of seconds: «10.15» is no time.
_TM = re.compile(r"^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?$")
_DT = re.compile(r"^(\d{4})(\d{2})(\d{2})(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?([+-]\d{4})?$")
_DATE_ONLY = re.compile(r"^\d{4}(?:\d{2}){0,2}(?:[+-]\d{4})?$")
_DA = re.compile(r"^(\d{4})[.-]?(\d{2})[.-]?(\d{2})$")


def _refuse(kind: str, text: object, expected: str) -> InputError:
    return InputError("bad_time", f"not a DICOM {kind}", found=repr(text), expected=expected, do="correct the tag, or export again")


def _second(digits: str | None) -> int:
    # DICOM allows 60 for a leap second, which `datetime` does not know; 61 to 99 are no seconds and stay an error.
    return 59 if digits == "60" else int(digits or 0)


def _micro(digits: str | None) -> int:
    return int((digits or "0").ljust(6, "0"))


def parse_time(text: object) -> time | None:
    """A TM value as a time of day; None where empty. Old writers' colons are accepted.

    >>> parse_time("110000.000000")
    datetime.time(11, 0)
    """
    raw = str(text or "").strip()
    if not raw:
        return None
    match = _TM.match(raw)
    if not match:
        raise _refuse("time", text, "HHMMSS.FFFFFF")
    hour, minute, second, fraction = match.groups()
    try:
        return time(int(hour), int(minute or 0), _second(second), _micro(fraction))
    except ValueError as error:
        raise _refuse("time", text, "HHMMSS.FFFFFF") from error


def parse_date_time(date: object, clock: object) -> datetime | None:
    """A DA and a TM value as one wall clock time; None unless both are there (a date alone is not midnight).

    >>> parse_date_time("20250101", "1100")
    datetime.datetime(2025, 1, 1, 11, 0)
    """
    day, at = str(date or "").strip(), parse_time(clock)
    if not day or at is None:
        return None
    match = _DA.match(day)
    if not match:
        raise _refuse("date", date, "YYYYMMDD")
    try:
        return datetime(int(match[1]), int(match[2]), int(match[3]), at.hour, at.minute, at.second, at.microsecond)
    except ValueError as error:
        raise _refuse("date", date, "YYYYMMDD") from error


def parse_datetime(text: object) -> datetime | None:
    """A DT value; with an offset it is aware, else wall clock. None where empty or without an hour.

    >>> parse_datetime("20250101100000.5+0100").isoformat()
    '2025-01-01T10:00:00.500000+01:00'
    """
    raw = str(text or "").strip()
    if not raw or _DATE_ONLY.match(raw):
        return None
    match = _DT.match(raw)
    if not match:
        raise _refuse("date and time", text, "YYYYMMDDHHMMSS.FFFFFF&ZZXX")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        return datetime(
            int(year), int(month), int(day), int(hour), int(minute or 0), _second(second), _micro(fraction), parse_offset(offset)
        )
    except ValueError as error:
        raise _refuse("date and time", text, "YYYYMMDDHHMMSS.FFFFFF&ZZXX") from error


def parse_offset(text: object) -> timezone | None:
    """TimezoneOffsetFromUTC (``+0100``) as a time zone; None where empty. Raises `InputError` for anything that is no offset."""
    raw = str(text or "").strip()
    if not raw:
        return None
    if not re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", raw):
        raise _refuse("offset from UTC", text, "+HHMM or -HHMM, at most 14 hours")
    minutes = int(raw[1:3]) * 60 + int(raw[3:5])
    return timezone(timedelta(minutes=minutes if raw[0] == "+" else -minutes))
