"""Axes of the report's charts: from values to pixels, and where the ticks go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

LOG_SPAN = 20.0  # a linear axis would press all early scans into its first twentieth
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Log ticks [h], the most telling first; a later one is left out where it would touch an earlier one.
_LOG_TICKS = (1.0, 24.0, 168.0, 4.0, 72.0, 1 / 60, 0.25, 672.0, 48.0, 336.0, 12.0, 2.0, 8.0, 5 / 60, 0.5, 1344.0, 2688.0, 8736.0)


# Below this a step could no longer be written as a float: such values are drawn as flat.
_LEAST_SPAN = 1e-300


@dataclass(frozen=True, slots=True)
class _Clock:
    """How people count times up to ``longest_h``: ``per_h`` units an hour, in ``steps`` of that unit."""

    longest_h: float
    unit: str
    per_h: float
    steps: tuple[float, ...]


_CLOCKS = (
    _Clock(2.0, "min", 60.0, (1, 2, 5, 10, 15, 20, 30)),
    _Clock(96.0, "h", 1.0, (0.5, 1, 2, 4, 6, 12, 24)),
    _Clock(float("inf"), "days", 1 / 24, (1, 2, 3, 7, 14, 28, 56, 112, 364)),
)


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps ``low``..``high`` to pixels ``start``..``stop``; ``ticks`` are (value, text) pairs; ``title`` names the axis and its unit."""

    low: float
    high: float
    start: float
    stop: float
    ticks: tuple[tuple[float, str], ...]
    title: str = ""
    log: bool = False


def pixel(axis: Axis, value: float) -> float:
    """Where a value lies on an axis [px].

    >>> pixel(Axis(0.0, 10.0, 100.0, 0.0, ()), 2.5)
    75.0
    """
    low, high, at = (log10(v) for v in (axis.low, axis.high, value)) if axis.log else (axis.low, axis.high, value)
    return axis.start + (at - low) / (high - low) * (axis.stop - axis.start)


def nice_step(span: float, count: int) -> float:
    """The step 1, 2 or 5 × 10ⁿ that cuts ``span`` (> 0) into at most ``count`` parts.

    >>> nice_step(7.0, 4)
    2.0
    """
    power = 10.0 ** floor(log10(span / count))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power * count >= span * (1 - 1e-12)))


def exponent(largest: float) -> int:
    """The power of ten, a multiple of 3, that a panel's numbers are divided by so that ticks stay short; 0 for 0.01 to 9999.

    >>> exponent(250.0), exponent(183000.0), exponent(0.0004)
    (0, 3, -6)
    """
    if largest <= 0 or 0.01 <= largest < 1e4:
        return 0
    return 3 * floor(log10(largest) / 3)


def scaled_unit(unit: str, power: int) -> str:
    """The unit with its power of ten in front; a becquerel takes its prefix, and the unit 1 is left out.

    >>> scaled_unit("Bq", 3), scaled_unit("cells", 3), scaled_unit("1", 0)
    ('kBq', '10³ cells', '')
    """
    prefix = {3: "k", 6: "M", 9: "G"}.get(power, "")
    if unit.startswith("Bq") and prefix:
        return prefix + unit
    shown = "" if unit == "1" else unit
    return f"10{str(power).translate(SUPERSCRIPT)} {shown}".strip() if power else shown


def value_axis(low: float, high: float, start: float, stop: float) -> Axis:
    """A linear axis that holds 0 and ``low``..``high``, ends on ticks, and has 3 to 6 of them."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < _LEAST_SPAN:
        high = low + 1.0
    step = nice_step(high - low, 4)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    power = exponent(max(abs(first), abs(last)) * step)
    ticks = tuple((k * step, f"{k * step / 10.0**power:.6g}".replace("-", "−")) for k in range(first, last + 1))
    return Axis(first * step, last * step, start, stop, ticks)


def _time_text(time_h: float) -> str:
    if time_h < 1:
        return f"{time_h * 60:.3g} min"
    return f"{time_h:.3g} h" if time_h < 24 else f"{time_h / 24:.3g} d"


def _log_time_axis(low: float, high: float, start: float, stop: float) -> Axis:
    bare = Axis(low / 1.25, high * 1.25, start, stop, (), "time after first dose (log scale)", log=True)
    kept: list[float] = []
    for tick in _LOG_TICKS:
        if bare.low <= tick <= bare.high and all(abs(pixel(bare, tick) - pixel(bare, other)) >= 32 for other in kept):
            kept.append(tick)
    return Axis(bare.low, bare.high, start, stop, tuple((t, _time_text(t)) for t in sorted(kept)), bare.title, log=True)


def time_axis(times_h: Sequence[float], start: float, stop: float) -> Axis:
    """The time axis that suits ``times_h`` (not empty): logarithmic from a 20-fold span on, else linear in min, h or days."""
    low, high = min(times_h), max(times_h)
    if low > 0 and high / low >= LOG_SPAN:
        return _log_time_axis(low, high, start, stop)
    return _linear_time_axis(min(low, 0.0), high if high > 0 else 1.0, start, stop)


def _linear_time_axis(low: float, high: float, start: float, stop: float) -> Axis:
    clock = next(c for c in _CLOCKS if max(high, -low) <= c.longest_h)
    margin, scale = 0.04 * (high - low), 1 / clock.per_h
    step = next((s for s in clock.steps if (high - low) / (s * scale) <= 6), clock.steps[-1]) * scale
    counts = range(ceil(low / step - 1e-9), floor((high + margin) / step) + 1)
    ticks = tuple((k * step, f"{k * step * clock.per_h:.6g}".replace("-", "−")) for k in counts)
    return Axis(low - (margin if low < 0 else 0.0), high + margin, start, stop, ticks, f"time after first dose ({clock.unit})")
