"""What a header is to state: nuclide, times, dose, unit, decay correction; and the plain formulas behind the numbers.

Deliberately nothing is shared with what reads and calibrates scans: an error there must not cancel here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

# Half-life [s] (ICRP 107), SNOMED code, meaning in DICOM, share of positrons (0 for single photons).
NUCLIDES: dict[str, tuple[float, str, str, float]] = {
    "18F": (6586.2, "77004003", "^18^Fluorine", 0.9673),
    "64Cu": (45720.0, "3932008", "^64^Copper", 0.1741),
    "89Zr": (282276.0, "63360001", "^89^Zirconium", 0.2274),
    "99mTc": (21654.0, "72454006", "^99m^Technetium", 0.0),
    "111In": (242326.08, "56609000", "^111^Indium", 0.0),
}
UNITS = ("BQML", "CNTS", "GML")
DECAY_CORRECTIONS = ("START", "ADMIN", "NONE")


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What the header states; the pixel values follow from it, so that a right reader always finds the same truth.

    ``half_life_s`` None states the table's; another value is stated *and used* for the scanner's own decay correction.
    ``dose_bq`` is at the injection and not net of the residual; None leaves the attribute out, so does ``weight_kg``.
    ``units`` CNTS needs ``activity_factor`` [Bq/mL per count] in the Philips private group, GML divides by dose and weight.
    ``series_later_s`` rewrites Series Time as post-processing does; pixel values and Frame Reference Time keep the old reference.
    ``real_world`` ``none``, ``same`` (mapping and rescale agree) or ``only`` (rescale slope 1: raw numbers without the mapping).
    ``sensitivity_cps_per_bq`` makes NM pixels counts. ``shuffled`` gives file names another order than slices and frames.
    ``edit`` is called with every DICOM data set before it is written, for tests of damaged headers.
    """

    scan_start: datetime
    injection: datetime
    nuclide: str = "89Zr"
    half_life_s: float | None = None
    dose_bq: float | None = None
    weight_kg: float | None = None
    units: str = "BQML"
    activity_factor: float = 2.5
    decay_correction: str = "START"
    manufacturer: str = "Digital Phantom"
    patient_id: str = "phantom"
    patient_position: str = "HFP"
    series_later_s: float = 0.0
    timezone: str = ""
    corrected: tuple[str, ...] = ("ATTN", "SCAT", "RAN", "NORM", "DTIM")
    real_world: str = "same"
    sensitivity_cps_per_bq: float | None = None
    shuffled: bool = False
    seed: int = 0
    edit: Callable[[Any], None] | None = None

    def __post_init__(self) -> None:
        for value, known in (
            (self.units, UNITS),
            (self.decay_correction, DECAY_CORRECTIONS),
            (self.nuclide, tuple(NUCLIDES)),
            (self.real_world, ("none", "same", "only")),
        ):
            if value not in known:
                raise ValueError(f"{value!r} is not one of {known}")


def header_half_life_s(options: ScanOptions) -> float:
    """The half-life [s] the header states and the scanner corrected decay with."""
    return NUCLIDES[options.nuclide][0] if options.half_life_s is None else options.half_life_s


def mean_over_frame(half_life_s: float, duration_s: float) -> float:
    """Mean activity over a frame ÷ activity at its start: (1 - e^-λT) / λT.

    >>> round(1 / mean_over_frame(6586.2, 3600.0), 8)
    1.20136974
    """
    x = math.log(2.0) * duration_s / half_life_s
    return 1.0 if x == 0.0 else -math.expm1(-x) / x


def decay_factor(options: ScanOptions, start_s: float, duration_s: float) -> float:
    """What the scanner multiplies a frame's mean with: e^λ(t_s - t_ref) · λT / (1 - e^-λT); 1 without decay correction.

    ``start_s`` [s] counts from the scan's start; t_ref is that start (START) or the injection (ADMIN).
    """
    if options.decay_correction == "NONE":
        return 1.0
    half_life_s = header_half_life_s(options)
    since_reference_s = start_s + (options.scan_start - reference_time(options)).total_seconds()
    return float(2.0 ** (since_reference_s / half_life_s)) / mean_over_frame(half_life_s, duration_s)


def reference_time(options: ScanOptions) -> datetime:
    """The instant that decay-corrected pixel values are valid at."""
    return options.injection if options.decay_correction == "ADMIN" else options.scan_start


def average_time_s(options: ScanOptions, duration_s: float) -> float:
    """Time after a frame's start when the activity equals its mean over the frame: ln(λT / (1 - e^-λT)) / λ [s].

    >>> fdg = ScanOptions(datetime(2026, 3, 2), datetime(2026, 3, 2), nuclide="18F")
    >>> round(average_time_s(fdg, 3600.0), 4)
    1743.237
    """
    half_life_s = header_half_life_s(options)
    return -math.log(mean_over_frame(half_life_s, duration_s)) * half_life_s / math.log(2.0)


def suv_factor(options: ScanOptions) -> float:
    """Body-weight SUV ÷ (Bq/mL) [g/mL per Bq/mL]: weight [g] ÷ header's dose at the reference time of the pixels [Bq].

    Raises ValueError without dose, weight, or a reference time.
    """
    if options.dose_bq is None or options.weight_kg is None or options.decay_correction == "NONE":
        raise ValueError("an SUV needs dose, weight and decay correction")
    since_s = (reference_time(options) - options.injection).total_seconds()
    return options.weight_kg * 1000.0 * float(2.0 ** (since_s / header_half_life_s(options))) / options.dose_bq


def in_units(options: ScanOptions) -> float:
    """What a value [Bq/mL] is multiplied with to be in the options' unit."""
    return {"BQML": lambda: 1.0, "CNTS": lambda: 1.0 / options.activity_factor, "GML": lambda: suv_factor(options)}[options.units]()


def moment_dt(options: ScanOptions, moment: datetime) -> str:
    """A moment as DICOM's DT, with the offset where the options state one."""
    return moment.strftime("%Y%m%d%H%M%S.%f") + options.timezone


def after_start(options: ScanOptions, seconds: float) -> datetime:
    """Wall clock ``seconds`` after the scan's start."""
    return options.scan_start + timedelta(seconds=seconds)
