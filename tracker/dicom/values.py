"""Values of a header as numbers, times and makers' private elements: what every reader asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from tracker.dicom.headers import Instance
from tracker.dicom.times import parse_date_time, parse_datetime, parse_offset
from tracker.errors import InputError

# A maker reserves the first free block of its group; more than a few are never taken.
_BLOCKS = range(0x10, 0x18)


def private_numbers(elements: Mapping[int, tuple[int, ...]]) -> tuple[int, ...]:
    """Tags to read so that `private_value` finds ``elements`` (by group): creators and elements in the first blocks of each group."""
    creators = [(g << 16) + block for g in elements for block in _BLOCKS]
    return tuple(creators + [(c & 0xFFFF0000) + ((c & 0xFF) << 8) + e for c in creators for e in elements[c >> 16]])


def number(value: Any, keyword: str, where: object) -> float | None:
    """A tag's number; None where absent or empty. Raises `InputError` where it is text or not finite."""
    if value is None or str(value).strip() == "":
        return None
    try:
        result = float(value)
    except (TypeError, ValueError) as error:
        raise InputError("bad_number", f"{keyword} is not a number", found=repr(value), expected="a number", where=where) from error
    if not np.isfinite(result):
        raise InputError("bad_number", f"{keyword} is not finite", found=result, expected="a finite number", where=where)
    return result


def positive(value: Any, keyword: str, where: object) -> float | None:
    """Like `number`, but 0 counts as absent (scanners write 0 for «not entered») and a negative number is an error."""
    result = number(value, keyword, where)
    if result is not None and result < 0:
        raise InputError("negative_header_value", f"{keyword} is negative", found=result, expected="a positive number", where=where)
    return result or None


def private_value(instance: Instance, group: int, creator: str, element: int) -> Any:
    """A private element by its creator, in whichever block the creator reserved; None where absent.

    Anonymisers may remove the reservation and leave the element: where nobody has reserved a block of the group, the maker's
    usual place (gggg,10ee) is read. A block that somebody else has reserved is never read.
    """
    owners = {b: str(instance.header[(group, b)].value).strip() for b in _BLOCKS if (group, b) in instance.header}
    block = next((b for b, owner in owners.items() if owner == creator), None if owners else 0x10)
    found = None if block is None else instance.header.get((group, (block << 8) + element))
    return None if found is None else _plain(found.value)


def _plain(value: Any) -> Any:
    # An element of unknown VR arrives as bytes; the makers' values are text.
    return value.decode("ascii", "replace").strip("\0 ") if isinstance(value, bytes) else value


def zoned(moment: datetime, instance: Instance) -> datetime:
    """A header's wall clock with the file's TimezoneOffsetFromUTC, where it has one and the time does not state its own."""
    zone = parse_offset(instance.get("TimezoneOffsetFromUTC"))
    return moment.replace(tzinfo=zone) if zone is not None and moment.tzinfo is None else moment


def acquisition_start(instance: Instance) -> datetime | None:
    """When a file's acquisition began: AcquisitionDateTime, else AcquisitionDate and -Time; None where either half is missing."""
    stated = parse_datetime(instance.get("AcquisitionDateTime"))
    start = stated or parse_date_time(instance.get("AcquisitionDate"), instance.get("AcquisitionTime"))
    return None if start is None else zoned(start, instance)


def series_start(instance: Instance) -> datetime | None:
    """When the series began: SeriesDate (or StudyDate) and SeriesTime; None where either half is missing."""
    start = parse_date_time(instance.get("SeriesDate") or instance.get("StudyDate"), instance.get("SeriesTime"))
    return None if start is None else zoned(start, instance)


def start_by_series_date(instance: Instance) -> datetime | None:
    """AcquisitionTime with the series' date, for a file without AcquisitionDate; None where that leaves more than one order of events."""
    series = series_start(instance)
    if series is None or instance.get("AcquisitionDate") is not None:
        return None
    clock = parse_date_time(instance.get("SeriesDate"), instance.get("AcquisitionTime"))
    start = None if clock is None else zoned(clock, instance)
    # Before the series: post-processed on the same day, or acquired after midnight. A day lies between the two.
    return None if start is None or start < series else start
