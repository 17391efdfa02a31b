"""DICOM's times: whole, cut short, wrong, and across midnight, days and offsets."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.clock import seconds_between
from tracker.dicom.times import parse_date_time, parse_datetime, parse_offset, parse_time
from tracker.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", time(10)),
        ("1015", time(10, 15)),
        ("101530", time(10, 15, 30)),
        ("101530.5", time(10, 15, 30, 500000)),
        ("101530.000001", time(10, 15, 30, 1)),
        ("10:15:30", time(10, 15, 30)),
        ("  101530.50 ", time(10, 15, 30, 500000)),
        ("235960", time(23, 59, 59)),  # a leap second: `datetime` has none
        ("", None),
        (None, None),
    ],
)
def test_time(text, expected):
    assert parse_time(text) == expected


@pytest.mark.parametrize("text", ["noon", "250000", "106100", "101575", "101561", "1", "10153", "10.15", "-10000"])
def test_what_is_no_time_is_refused_and_never_rounded(text):
    with pytest.raises(InputError) as raised:
        parse_time(text)
    assert raised.value.code == "bad_time" and text in raised.value.found and "HHMMSS" in raised.value.expected


def test_a_date_alone_is_not_midnight():
    assert parse_date_time("20260302", "") is None
    assert parse_date_time("", "100000") is None
    for text in ("20260302", "202603", "2026", "20260302+0100"):
        assert parse_datetime(text) is None


@pytest.mark.parametrize("date", ["20261301", "20260230", "2026", "02.03.2026"])
def test_what_is_no_date_is_refused(date):
    with pytest.raises(InputError, match="bad_time"):
        parse_date_time(date, "100000")


@pytest.mark.parametrize("text", ["2026-03-02T10:00", "yesterday", "202", "0", "20260302996000", "2026030210+9900", "20260302100099"])
def test_what_is_no_datetime_is_refused(text):
    with pytest.raises(InputError, match="bad_time"):
        parse_datetime(text)


def test_an_offset_is_kept():
    assert parse_datetime("20260302100000-0730").utcoffset() == timedelta(hours=-7, minutes=-30)
    assert parse_offset("+0545") == timezone(timedelta(hours=5, minutes=45))
    assert parse_offset("") is None


@pytest.mark.parametrize("text", ["0100", "+1", "+01:00", "+0175", "+9900", "CET"])
def test_what_is_no_offset_is_refused(text):
    with pytest.raises(InputError, match="bad_time"):
        parse_offset(text)


@settings(max_examples=50, deadline=None)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)))
def test_dates_and_times_come_back(moment):
    assert parse_date_time(moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")) == moment
    assert parse_datetime(moment.strftime("%Y%m%d%H%M%S.%f")) == moment


def test_seconds_between_knows_days_and_offsets():
    summer, winter = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))
    assert seconds_between(datetime(2026, 3, 9, 10), datetime(2026, 3, 2, 10)) == 7 * 86400
    # The night the clocks change: the wall clocks are 24 h apart, the animals lived 23 h.
    assert seconds_between(datetime(2026, 3, 29, 12, tzinfo=summer), datetime(2026, 3, 28, 12, tzinfo=winter)) == 23 * 3600
    # One side without an offset: nothing is known but the wall clocks.
    assert seconds_between(datetime(2026, 3, 2, 11), datetime(2026, 3, 2, 10, tzinfo=winter)) == 3600
