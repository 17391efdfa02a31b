"""What a click folder says of its camera: calibration per field of view and f-number, flat fields, saturation, filters, noise."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from tracker.bli.clickinfo import Block, ClickText, block_of, number_of, numbers_in
from tracker.errors import InputError

_DECIMAL = r"(\d+(?:\.\d+)?)"
_COEFFICIENT = re.compile(rf"Coef\s+C-?ccd\s+at\s+FOV\s+{_DECIMAL}\s*(?:cm)?\s*,\s*f\s*/?\s*{_DECIMAL}", re.IGNORECASE)
_SHELF = re.compile(r"Shelf Position (\w+) FOV", re.IGNORECASE)
_FLAT = re.compile(rf"Shelf Position (\w+) FF\d* f\s*/?\s*{_DECIMAL} Coefs", re.IGNORECASE)
_RADIANCE = re.compile(r"(p|ph|photons?)/(s|sec|second)/cm\^?[2²]/sr", re.IGNORECASE)
_OTHER_UNIT = re.compile(r"\b(?:u|µ|m|n)?W\b[^,;]*cm|counts?\s*/|/\s*mm\^?[2²]", re.IGNORECASE)
# Two values of one field of view, or of one f-number, as text files round them.
_SAME = 0.01
# Filters in the range in which tissue lets light out [nm].
_NM = (300.0, 1200.0)


@dataclass(frozen=True, slots=True)
class Flat:
    """A flat field: ``k`` (k0 … k4) per cm^n of the distance from the point ``x0_cm, y0_cm``, as in the file (y upwards)."""

    k: tuple[float, ...]
    x0_cm: float
    y0_cm: float


@dataclass(frozen=True, slots=True)
class SpectralFilter:
    """A filter: its middle and width [nm], and the share of light it lets through, None where the file does not say."""

    centre_nm: float
    width_nm: float | None
    transmission: float | None


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera's calibration: ``coefficients`` (field of view [cm], f-number, C [photons/s/cm2/sr per count/s]) and the rest.

    ``other_unit``: the unit of the coefficients, where it is not that one. ``flats`` (shelf letter, f-number, the file's numbers);
    ``shelves`` (letter, field of view [cm]). What the file does not say is None or empty. Nothing is judged before it is needed: a
    line of another setting is no reason to refuse this click.
    """

    coefficients: tuple[tuple[float, float, float], ...] = ()
    shelves: tuple[tuple[str, float], ...] = ()
    flats: tuple[tuple[str, float, tuple[float, ...]], ...] = ()
    saturation_counts: float | None = None
    filters: tuple[SpectralFilter, ...] = ()
    electrons_per_count: float | None = None
    read_noise_counts: float | None = None
    other_unit: str = ""


def read_camera(text: ClickText) -> Camera:
    """The camera of a click, empty where the folder says nothing of it."""
    block = block_of(text, "Camera System Info")
    if block is None:
        return Camera()
    level = number_of(block, "CCD Saturation Level", "Saturation Level")
    gain = number_of(block, "Electrons per Count", "CCD Electrons per Count", "Camera Gain (electrons/count)")
    noise = number_of(block, "CCD Read Noise (counts)", "Read Noise (counts)")
    return Camera(
        coefficients=_coefficients(block),
        other_unit=_other_unit(block),
        shelves=tuple((m[1].upper(), n[0]) for k, v in block.entries if (m := _SHELF.fullmatch(k)) and (n := numbers_in(v))),
        flats=tuple((m[1].upper(), float(m[2]), numbers_in(v)) for k, v in block.entries if (m := _FLAT.search(k))),
        saturation_counts=None if level is None or level.value <= 0 else level.value,
        filters=_filters(block),
        electrons_per_count=None if gain is None or gain.value <= 0 else gain.value,
        read_noise_counts=None if noise is None or noise.value <= 0 else noise.value,
    )


def _coefficients(block: Block) -> tuple[tuple[float, float, float], ...]:
    """Field of view, f-number and C of each line; C is NaN where the line holds no number."""
    found = ((m, numbers_in(value)) for key, value in block.entries if (m := _COEFFICIENT.search(key)))
    return tuple((float(m[1]), float(m[2]), numbers[0] if numbers else math.nan) for m, numbers in found)


def _other_unit(block: Block) -> str:
    """The unit in the line above the first coefficient, where it is not of radiance; a line about something else says nothing."""
    keys = [key for key, _ in block.entries]
    first = next((n for n, key in enumerate(keys) if _COEFFICIENT.search(key)), 0)
    line = " ".join(block.entries[first - 1]) if first else ""
    other = _OTHER_UNIT.search(line)
    return other[0] if other is not None and _RADIANCE.search(re.sub(r"\s+", "", line)) is None else ""


def _filters(block: Block) -> tuple[SpectralFilter, ...]:
    """Filters from lines about filters that hold a middle in nm, and after it a width and a transmission, where they are there."""
    found = []
    for key, value in block.entries:
        numbers = numbers_in(value) if "filter" in key.lower() else ()
        at = next((n for n, one in enumerate(numbers) if _NM[0] <= one <= _NM[1]), None)
        if at is None or len(numbers) < at + 2:
            continue
        shares = [one if one <= 1 else one / 100 for one in numbers[at + 2 : at + 3] if 0 < one <= 100]
        found.append(SpectralFilter(numbers[at], numbers[at + 1] if numbers[at + 1] > 0 else None, shares[0] if shares else None))
    return tuple(found)


def same(one: float, other: float) -> bool:
    """Whether two texts of one setting mean the same: within 1 %."""
    return math.isclose(one, other, rel_tol=_SAME)


def coefficient(camera: Camera, field_of_view_cm: float, f_number: float, where: Path) -> float:
    """C of these settings [photons/s/cm2/sr per unbinned count/s].

    Raises `InputError`: ``no_calibration``, which lists the settings there, ``calibration_unit`` for another unit, ``calibration_twice``
    where two lines of these settings differ, ``bad_number`` where C is no number above 0.
    """
    values = [c for fov, f, c in camera.coefficients if same(fov, field_of_view_cm) and same(f, f_number)]
    setting, again = f"{field_of_view_cm:g} cm, f/{f_number:g}", "copy the ClickInfo.txt the camera wrote"
    if not values:
        there = ", ".join(f"{fov:g} cm f/{f:g}" for fov, f, _ in camera.coefficients) or "none"
        raise InputError("no_calibration", "the camera is not calibrated for these settings", found=setting, expected=there, where=where,
                         do=f"{again}, or use the vendor's corrected image")  # fmt: skip
    if camera.other_unit:
        raise InputError("calibration_unit", "the camera's coefficients are in another unit", found=camera.other_unit,
                         expected="p/sec/cm2/sr", where=where, do="have the camera calibrated to radiance")  # fmt: skip
    if not all(math.isfinite(c) and c > 0 for c in values):
        raise InputError("bad_number", f"the coefficient of {setting} is no number above 0", found=f"{values[0]:g}", expected="above 0",
                         where=where, do=again)  # fmt: skip
    if any(not math.isclose(c, values[0], rel_tol=1e-6) for c in values):
        raise InputError(
            "calibration_twice",
            f"the coefficient of {setting} stands there with two values",
            expected="one",
            where=where,
            found=", ".join(f"{c:g}" for c in values),
            do="ask the maker which holds, and remove the other in a copy",
        )
    return values[0]


def flat_of(camera: Camera, field_of_view_cm: float, f_number: float) -> Flat | None:
    """The flat field of these settings; None where the file has none. Raises `InputError` (``bad_flat_field``) for other than 7 numbers."""
    letters = {letter for letter, fov in camera.shelves if same(fov, field_of_view_cm)}
    found = next((n for letter, f, n in camera.flats if letter in letters and same(f, f_number)), ())
    if found and (len(found) != 7 or not all(map(math.isfinite, found))):
        raise InputError("bad_flat_field", f"the flat field of {field_of_view_cm:g} cm, f/{f_number:g} has not seven numbers",
                         found=str(len(found)), expected="k0,k1,k2,k3,k4,x0,y0", do="copy the ClickInfo.txt the camera wrote")  # fmt: skip
    return Flat(found[:5], found[5], found[6]) if found else None
