"""The filters of a scan as what they let through of a reporter's light."""

from __future__ import annotations

import math

from tracker.bli.images import OPEN_NM, Series, by_filter
from tracker.bli.spectrum import Band, filter_band, open_band
from tracker.errors import Finding, InputError
from tracker.image import Quantity


def _band(series: Series, quantity: Quantity) -> Band | None:
    """What passes the filter of a series; None where the file does not say enough of it."""
    if series.filter_nm == OPEN_NM:
        return open_band()
    first = series.images[0]
    width = quantity.facts.get(f"emission_width_nm_{first}")
    if not math.isfinite(series.filter_nm) or width is None:
        return None
    return filter_band(series.name, series.filter_nm, width, quantity.facts.get(f"emission_transmission_{first}", 1.0))


def bands_of(quantity: Quantity) -> tuple[list[tuple[Series, Band]], tuple[Finding, ...]]:
    """The filters that can be used, each with its images, the open one first; and findings for those that cannot."""
    found, left = [], []
    for series in by_filter(quantity):
        try:
            band = _band(series, quantity)
        except InputError as error:
            band, reason = None, str(error)
        else:
            reason = f"{series.name}: its width is not stated"
        if band is None:
            left.append(Finding("filter_left_out", "warn", reason))
        else:
            found.append((series, band))
    return found, tuple(left)
