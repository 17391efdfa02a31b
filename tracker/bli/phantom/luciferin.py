"""How bright cells are after luciferin: it comes into the blood and goes again (Bateman), the brightest moment is 1.

b(t) = (e^(-ke (t-t0)) - e^(-ka (t-t0))) / peak,   0 before t0;   brightest at t0 + ln(ka/ke) / (ka - ke)
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Luciferin:
    """Rates of rise and fall [1/min], and how long after the injection nothing happens [min]. Our own numbers; the peak is at 11 min."""

    rise_per_min: float = 0.20
    fall_per_min: float = 0.04
    lag_min: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.fall_per_min < self.rise_per_min:
            raise ValueError("luciferin rises faster than it falls")


def peak_min(course: Luciferin) -> float:
    """Minutes from the injection to the brightest moment.

    >>> round(peak_min(Luciferin()), 2)
    11.06
    """
    ka, ke = course.rise_per_min, course.fall_per_min
    return course.lag_min + math.log(ka / ke) / (ka - ke)


def mean_brightness(course: Luciferin, start_min: float, length_min: float) -> float:
    """Mean over an exposure of the brightness, 1 at the peak; exact.

    >>> round(mean_brightness(Luciferin(), peak_min(Luciferin()) - 0.01, 0.02), 6)
    1.0
    """
    first, last = max(start_min - course.lag_min, 0.0), max(start_min + length_min - course.lag_min, 0.0)
    at_peak = peak_min(course) - course.lag_min
    highest = math.exp(-course.fall_per_min * at_peak) - math.exp(-course.rise_per_min * at_peak)

    def gone(rate: float) -> float:
        return (math.exp(-rate * first) - math.exp(-rate * last)) / rate

    return (gone(course.fall_per_min) - gone(course.rise_per_min)) / length_min / highest
