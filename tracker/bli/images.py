"""The images of a scan by their filter, and each as one that regions are read from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.bli.flux import Image
from tracker.image import Quantity

OPEN_NM = 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """The images through one filter in order of time: their numbers in the scan, and the filter, 0 for none (all light)."""

    filter_nm: float
    images: tuple[int, ...]

    @property
    def name(self) -> str:
        """The filter in words."""
        return (
            "open filter"
            if self.filter_nm == OPEN_NM
            else f"filter {self.filter_nm:g} nm"
            if math.isfinite(self.filter_nm)
            else "unknown filter"
        )


def by_filter(quantity: Quantity) -> tuple[Series, ...]:
    """All images of a scan by filter, the open one first, then by rising wavelength; images of an unknown filter belong together."""
    found: dict[float, list[int]] = {}
    for i in range(quantity.values.shape[0]):
        # NaN is not equal to itself and would make a group of its own for each image.
        found.setdefault(quantity.facts.get(f"emission_nm_{i}", math.inf), []).append(i)
    starts = quantity.times.start_s
    return tuple(Series(nm, tuple(sorted(found[nm], key=lambda i: starts[i]))) for nm in sorted(found))


def shown(quantity: Quantity) -> Series:
    """The images that flux is read from: those without a filter, else those of the longest wavelength, which tissue takes least of."""
    series = by_filter(quantity)
    if series[0].filter_nm == OPEN_NM:
        return series[0]
    known = [one for one in series if math.isfinite(one.filter_nm)]
    return known[-1] if known else series[0]


def pixel_cm2(quantity: Quantity) -> float:
    """Area of a pixel on the stage [cm²]."""
    return abs(float(np.linalg.det(quantity.grid.affine[:2, :2]))) / 100.0


def image_of(quantity: Quantity, number: int) -> Image:
    """One image of a scan; where its noise or its limit is not known they are NaN, and nothing is saturated."""
    radiance = np.asarray(quantity.values[number, 0], np.float64)
    unknown = np.full(radiance.shape, math.nan)
    sd = unknown if quantity.sd_voxel is None else np.asarray(quantity.sd_voxel[number, 0], np.float64)
    limit = unknown if quantity.limit is None else np.asarray(quantity.limit[number, 0], np.float64)
    full = np.zeros(radiance.shape, bool) if quantity.censored is None else np.asarray(quantity.censored[number, 0]) > 0
    return Image(radiance, sd, full, limit, pixel_cm2(quantity))


def middles_s(quantity: Quantity, series: Series) -> np.ndarray | None:
    """Seconds from luciferin to the middle of each image of a series; None where nobody said when it was given."""
    delay_s, times = quantity.facts.get("luciferin_s"), quantity.times
    if delay_s is None:
        return None
    return np.array([delay_s + times.start_s[i] + times.duration_s[i] / 2 for i in series.images])
