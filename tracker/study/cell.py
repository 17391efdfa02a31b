"""One cell of a sheet → its typed value, or an error that says what stood there and what should."""

from __future__ import annotations

import math
import re
from datetime import datetime
from itertools import pairwise

from tracker.errors import InputError
from tracker.study.columns import ID_PATTERN, ORGAN_PATTERN, Column
from tracker.study.near import ask_near, listed

Value = str | float | bool | datetime | tuple[float, ...]

_ID = re.compile(ID_PATTERN)
_ORGAN = re.compile(ORGAN_PATTERN)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_DATE = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{2}:\d{2}(:\d{2}([.]\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?"
TIME_PATTERN = f"{_DATE}[T ]{_CLOCK}"
_TIME = re.compile(TIME_PATTERN, re.ASCII)
_DATE_ALONE = re.compile(_DATE, re.ASCII)
_CLOCK_ALONE = re.compile(r"\d{1,2}:\d{2}.*", re.ASCII)
_EXAMPLE = "as 2026-03-04T14:05:00 or 2026-03-04T14:05:00+01:00"
# Excel writes a time without a date as a day of 1899 or 1900.
_FIRST_YEAR = 1970


def parse_cell(text: str, column: Column, where: str) -> Value:
    """The value of a cell that is not empty, typed as its column says.

    Ids stay text, numbers are finite plain decimals, times have a date and a clock time. Raises `InputError` otherwise.

    >>> parse_cell("007", Column("subject", "id", ""), "")
    '007'
    """
    if column.kind == "number":
        return _number(text, column, where)
    if column.kind == "numbers":
        return _numbers(text, where)
    if column.kind == "time":
        return _time(text, where)
    if column.kind == "yes_no":
        return _choice(text, ("yes", "no"), where) == "yes"
    if column.kind == "choice":
        return _choice(text, column.choices, where)
    if column.kind == "id" and not _ID.fullmatch(text):
        raise InputError("bad_id", "this is not an id", found=repr(text), expected=ID_PATTERN, where=where, do=_id_advice(text))
    if column.kind == "organ" and not _ORGAN.fullmatch(text):
        raise InputError(
            "bad_organ_name",
            "this is not an organ name",
            found=repr(text),
            expected=ORGAN_PATTERN,
            where=where,
            do="use letters, digits and _ + - only",
        )
    return text


def _id_advice(text: str) -> str:
    if _NUMBER.fullmatch(text) or re.fullmatch(r"\d{1,2}[-/.]\w+([-/.]\w+)?", text):
        return "a spreadsheet may have turned the id into a number or a date: format the column as text"
    return "use letters, digits and + only, no spaces"


def _choice(text: str, choices: tuple[str, ...], where: str) -> str:
    if text not in choices:
        raise InputError(
            "bad_choice", "this word is not known here", found=repr(text), expected=listed(choices), where=where, do=ask_near(text, choices)
        )
    return text


def number_range(column: Column) -> str:
    """The bounds of a number column in words.

    >>> number_range(Column("x", "number", "", minimum=0.0, maximum=100.0))
    'a number of at least 0 and at most 100'
    """
    bounds = (("above", column.above), ("of at least", column.minimum), ("at most", column.maximum))
    parts = [f"{word} {value:g}" for word, value in bounds if value is not None]
    return " ".join(["a number", " and ".join(parts)]) if parts else "a number"


def _number(text: str, column: Column, where: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        advice = "write a point for the decimals, as 25.3" if "," in text else "write digits with a decimal point, no unit, no spaces"
        raise InputError("bad_number", "this is not a number", found=repr(text), expected=number_range(column), where=where, do=advice)
    low = (column.above is not None and value <= column.above) or (column.minimum is not None and value < column.minimum)
    if low or (column.maximum is not None and value > column.maximum):
        unit = f" [{column.unit}]" if column.unit else ""
        raise InputError(
            "out_of_range", "this number cannot be", found=text, expected=number_range(column) + unit, where=where, do=column.meaning
        )
    return value


def _numbers(text: str, where: str) -> tuple[float, ...]:
    """Numbers above 0 that rise, separated by spaces; a comma could be a decimal mark and is refused."""
    words = text.split()
    values = [float(word) if _NUMBER.fullmatch(word) else math.nan for word in words]
    if not all(math.isfinite(v) and v > 0 for v in values) or any(b <= a for a, b in pairwise(values)):
        do = "write them with spaces between and a point for the decimals, as 4 8 12"
        raise InputError("bad_numbers", "these are not rising numbers above 0", found=repr(text), expected="as 4 8 12", where=where, do=do)
    return tuple(values)


def _time(text: str, where: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise _no_time(text, where)
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError("bad_time", f"this time does not exist ({error})", found=repr(text), expected=_EXAMPLE, where=where) from None
    if value.year < _FIRST_YEAR:
        raise InputError(
            "bad_time",
            "the year cannot be right",
            found=repr(text),
            expected=_EXAMPLE,
            where=where,
            do="a spreadsheet writes a time without a date like this: give the date",
        )
    return value


def _no_time(text: str, where: str) -> InputError:
    if _DATE_ALONE.fullmatch(text):
        code, what, do = "time_of_day_missing", "a date without a time of day", "give the time too; a day is too coarse for decay"
    elif _CLOCK_ALONE.fullmatch(text):
        code, what, do = "date_missing", "a time of day without a date", "give the date too"
    elif _NUMBER.fullmatch(text):
        code, what, do = "spreadsheet_date", "a spreadsheet's serial number, not a time", "format the column as text and write the time"
    elif re.match(r"\d{1,2}[/.-]\w+[/.-]\d{2,4}|\d{4}/\d", text):
        code, what, do = "spreadsheet_date", "a date in a spreadsheet's style; day and month can be confused", "write year-month-day"
    else:
        code, what, do = "bad_time", "this is not a time", "write year-month-day, T, hour:minute:second"
    return InputError(code, what, found=repr(text), expected=f"ISO 8601 date and time {_EXAMPLE}", where=where, do=do)
