"""Differences of dated times, whichever of them states its offset from UTC."""

from __future__ import annotations

from datetime import datetime


def seconds_between(later: datetime, earlier: datetime) -> float:
    """Seconds from ``earlier`` to ``later``; wall clocks are compared where only one of them has an offset.

    >>> seconds_between(datetime(2025, 1, 2, 0, 30), datetime(2025, 1, 1, 23, 30))
    3600.0
    """
    if (later.tzinfo is None) != (earlier.tzinfo is None):
        later, earlier = later.replace(tzinfo=None), earlier.replace(tzinfo=None)
    return (later - earlier).total_seconds()
