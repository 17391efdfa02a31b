"""How one click was taken, from the block of its luminescent image: time, exposure, lens, filters, and what was corrected already."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

from tracker.bli.camera import Camera
from tracker.bli.clickinfo import Block, ClickText, block_of, number_of, numbers_in, value_of
from tracker.errors import Finding, InputError

_EPOCH = datetime(1904, 1, 1)
# The year 2200: more is no count of seconds since then.
_LAST_S = 9.4e9
_UNIT_S = {"": 1.0, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "min": 60.0, "mins": 60.0, "minute": 60.0,
           "minutes": 60.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3}  # fmt: skip
_DATES = ("%A, %B %d, %Y", "%a, %b %d, %Y", "%B %d, %Y", "%Y-%m-%d", "%d %B %Y", "%d-%b-%Y")
_TIMES = ("%H:%M:%S", "%I:%M:%S %p", "%H:%M:%S.%f", "%H:%M")
# The text is written in whole seconds, some way apart from the count.
_CLOCK_S = 5.0
# An exposure beyond this is a unit misread: the sensor fills with dark charge and cosmic hits.
_LONGEST_S = 3600.0
_WIDEST_CM = 100.0
_OPEN, _BLOCK = {"open", "clear", "none", "no filter"}, {"", "block", "blocked", "closed", "none", "dark"}
_YES = {"1", "yes", "true", "on", "y"}


@dataclass(frozen=True, slots=True)
class Settings:
    """One click's settings; what the file does not say is None or empty, and is an error where it is needed.

    ``emission_nm`` 0 for the open filter, None for a filter whose wavelength nobody stated; ``corrected`` which corrections the block
    says its image has had already (``bias``, ``dark``, ``flat``, ``cosmic``).
    """

    start: datetime | None
    exposure_s: float
    field_of_view_cm: float
    binning: float | None
    f_number: float | None
    bias_level: float | None
    multiplier: float
    emission_nm: float | None
    emission_width_nm: float | None
    emission_transmission: float | None
    excitation: str
    corrected: frozenset[str]
    excitation_uw_per_cm2: float | None = None
    findings: tuple[Finding, ...] = ()


def read_settings(text: ClickText, camera: Camera, acquired: datetime | None) -> Settings:
    """Settings of a click. ``acquired`` is the sheet's, for a click whose own times are missing or contradict one another.

    Raises `InputError`: ``no_luminescent_image`` (no block of one), ``no_exposure``, ``exposure_unit``, ``no_field_of_view``,
    ``times_disagree``, ``bad_number``.
    """
    block = luminescent_block(text)
    start, noted = _start(block, acquired)
    exposure_s, unit = _exposure(block)
    binning, level = (number_of(block, key) for key in ("Binning Factor", "Read Bias Level"))
    multiplier = number_of(block, "Data Multiplier")
    nm, width, transmission, filtered = _emission(block, camera)
    corrected, flags = _corrected(block)
    return Settings(
        start=start,
        exposure_s=exposure_s,
        field_of_view_cm=_field_of_view(block, camera),
        binning=_positive(binning.value if binning else None),
        f_number=_positive(_f_stop(block)),
        bias_level=_positive(level.value if level else None),
        multiplier=multiplier.value if multiplier and multiplier.value > 0 else 1.0,
        emission_nm=nm,
        emission_width_nm=width,
        emission_transmission=transmission,
        excitation=_excitation(block),
        corrected=corrected,
        excitation_uw_per_cm2=_irradiance(block),
        findings=(*noted, *unit, *filtered, *flags, *_compared(text, block)),
    )


def luminescent_block(text: ClickText) -> Block:
    """The block of the counts, or of another luminescent image where that is all there is. Raises ``no_luminescent_image``."""
    block = block_of(text, "luminescent image", "luminescent.TIF") or block_of(text, "luminescent image") or block_of(text, "luminescent")
    if block is None:
        there = ", ".join(b.name for b in text.blocks if "image" in b.name.lower() or b.file.lower().endswith((".tif", ".tiff"))) or "none"
        raise InputError("no_luminescent_image", "the click holds no luminescent image", found=f"images: {there}",
                         expected="a block `*** luminescent image:`", where=text.folder, do="name a click with one")  # fmt: skip
    return block


def _where(block: Block) -> str:
    return f"{block.source}, block {block.name}"


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _f_stop(block: Block) -> float | None:
    """The f-number, also where it is written as on a lens (f/1)."""
    found = re.fullmatch(r"f\s*/?\s*([\d.]+)", value_of(block, "f Number"), re.IGNORECASE)
    number = None if found else number_of(block, "f Number")
    return float(found[1]) if found else number.value if number else None


def _start(block: Block, acquired: datetime | None) -> tuple[datetime | None, tuple[Finding, ...]]:
    """Wall clock of the start: the text's; the count of seconds since 1904 where there is no text that can be read, or the sheet's."""
    seconds = number_of(block, "Acquisition Seconds")
    counted = _EPOCH + timedelta(seconds=seconds.value) if seconds is not None and 0 < seconds.value < _LAST_S else None
    said = _text_time(block)
    if said is None or counted is None:
        return said or counted or acquired, ()
    apart = abs((said - counted).total_seconds())
    if apart <= _CLOCK_S:
        return said, ()
    found = f"{said.isoformat(sep=' ')} and {counted.isoformat(sep=' ', timespec='seconds')}"
    quarters = apart / 900
    if abs(quarters - round(quarters)) * 900 <= _CLOCK_S and apart <= 14 * 3600:
        why = f"date and count of seconds differ by {apart / 3600:.2f} h, as clocks of two zones do: the date's wall clock is used"
        return said, (Finding("acquisition_time", "warn", why),)
    if acquired is not None:
        return acquired, (Finding("acquisition_time", "warn", f"two times in the file ({found}): the sheet's is used"),)
    raise InputError("times_disagree", "the click states two times", found=found, expected="the same time", where=_where(block),
                     do="write the start of the scan into the sheet's `acquired` column")  # fmt: skip


def _text_time(block: Block) -> datetime | None:
    """The time as date and time of day; None where either is missing or written in a way of its own (another language)."""
    day = _parsed(value_of(block, "Acquisition Date"), _DATES)
    clock = _parsed(value_of(block, "Acquisition Time"), _TIMES)
    return None if day is None or clock is None else datetime.combine(day.date(), clock.time())


def _parsed(text: str, forms: tuple[str, ...]) -> datetime | None:
    for form in forms:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def time_of_day(text: str) -> time | None:
    """A time of day that someone typed, as 10:32 or 2:05:00 PM; None where it is none.

    >>> time_of_day("2:05 pm")
    datetime.time(14, 5)
    """
    found = _parsed(text.strip().upper(), (*_TIMES, "%I:%M %p", "%I:%M%p"))
    return found.time() if found else None


def on_day(day: date, clock: time) -> datetime:
    """That time of day on that day."""
    return datetime.combine(day, clock)


def _exposure(block: Block) -> tuple[float, tuple[Finding, ...]]:
    """Exposure [s] by the unit that stands with it; a key named for seconds beside a unit of minutes is said."""
    keys = [k for k, _ in block.entries if re.fullmatch(r"(Luminescent |Fluorescent )?Exposure( Time)?( ?\(?\w+\)?)?", k, re.IGNORECASE)]
    keys = [k for k in keys if "unit" not in k.lower() and value_of(block, k)]
    number = number_of(block, keys[0]) if keys else None
    if number is None or number.value <= 0:
        raise InputError(
            "no_exposure",
            "the click does not say how long it was exposed",
            found="" if number is None else f"{number.value:g}",
            expected="`Luminescent Exposure (Seconds):` above 0",
            where=_where(block),
            do="copy the ClickInfo.txt the camera wrote",
        )
    named = re.search(r"\((\w+)\)", keys[0])
    in_key = named[1].lower() if named else ""
    beside = value_of(block, "Luminescent Exposure Units", "Exposure Units").lower().strip(". ")
    unit = number.unit or beside or in_key
    if unit not in _UNIT_S or (in_key and in_key not in _UNIT_S):
        raise InputError(
            "exposure_unit", "the exposure's unit is not known", found=repr(unit), expected="sec, min or ms", where=_where(block)
        )
    exposure_s = number.value * _UNIT_S[unit]
    if exposure_s > _LONGEST_S:
        raise InputError("exposure_unit", "no click is exposed that long", found=f"{number.value:g} {unit or 's'}",
                         expected=f"up to {_LONGEST_S:g} s", where=_where(block),
                         do="correct the exposure or its unit in a copy of the folder")  # fmt: skip
    if in_key and _UNIT_S[unit] != _UNIT_S[in_key]:
        why = f"the exposure's key says {in_key}, its unit {unit}: {number.value:g} {unit} = {exposure_s:g} s"
        return exposure_s, (Finding("exposure_unit", "warn", why),)
    return exposure_s, ()


def _field_of_view(block: Block, camera: Camera) -> float:
    """Width of the field [cm]; a shelf's letter stands for the one the camera block gives it."""
    text = value_of(block, "Field of View")
    letter = text.strip().upper()
    shelf = next((fov for name, fov in camera.shelves if name == letter), None)
    numbers = (shelf,) if shelf is not None else numbers_in(re.sub(r"cm", " ", text, flags=re.IGNORECASE))
    if len(numbers) != 1 or not 0 < numbers[0] <= _WIDEST_CM:
        raise InputError("no_field_of_view", "the click does not say how large a pixel is", found=repr(text[:40]),
                         expected="`Field of View:` in cm", where=_where(block), do="copy the ClickInfo.txt the camera wrote")  # fmt: skip
    return numbers[0]


def _emission(block: Block, camera: Camera) -> tuple[float | None, float | None, float | None, tuple[Finding, ...]]:
    """Middle, width [nm] and transmission of the emission filter: 0, 0, None for the open one; None where nobody states them."""
    text = value_of(block, "Emission filter")
    if text.lower() in _OPEN:
        return 0.0, 0.0, None, ()
    if not text:
        return 0.0, 0.0, None, (Finding("emission_filter", "warn", "the click names no emission filter: taken as open"),)
    numbers = numbers_in(re.sub(r"nm|/", " ", text, flags=re.IGNORECASE))
    centre = numbers[0] if numbers and numbers[0] > 100 else None
    known = next((f for f in camera.filters if centre is not None and abs(f.centre_nm - centre) <= 2), None)
    width = numbers[1] if len(numbers) > 1 else known.width_nm if known else None
    why = "the camera's calibration is for the open filter: radiance is what came through the filter, its transmission not undone"
    if centre is None:
        why = f"the emission filter is a name without a wavelength; {why}"
    return centre, width, known.transmission if known else None, (Finding("emission_filter", "warn", why),)


def _excitation(block: Block) -> str:
    """The excitation filter; empty for none, which is bioluminescence."""
    text = value_of(block, "Excitation filter")
    return "" if text.lower() in _BLOCK else text


def _irradiance(block: Block) -> float | None:
    """Power of the excitation light on the stage [uW/cm2], where the block states one in such a unit."""
    for key, value in block.entries:
        unit = re.search(r"([uµm]?)W/cm\^?[2²]", f"{key} {value}")
        numbers = numbers_in(re.sub(r"cm\^?[2²]", "", value))
        if "excitation" in key.lower() and unit is not None and numbers and numbers[0] > 0:
            return numbers[0] * {"u": 1.0, "µ": 1.0, "m": 1e3, "": 1e6}[unit[1]]
    return None


def _corrected(block: Block) -> tuple[frozenset[str], tuple[Finding, ...]]:
    """Which corrections the image has had, by the keys that end in `Corrected`; one not known by name is said."""
    words = {"bias": "bias", "background": "dark", "bkg": "dark", "dark": "dark", "flat": "flat", "cosmic": "cosmic"}
    done: set[str] = set()
    unknown = []
    for key, value in block.entries:
        if key.lower().endswith("corrected") and value.lower() in _YES:
            # The longest word that fits: a `Read Bias Background Corrected` would be both.
            fitting = {word for name, word in words.items() if name in key.lower()}
            done |= fitting
            unknown += [] if fitting else [key]
    notes = [f"the file says that it is done already: {', '.join(sorted(done))}; not done again"] if done else []
    notes += [f"the file also says `{', '.join(unknown)}`, which changes nothing here"] if unknown else []
    return frozenset(done), tuple(Finding("corrected_already", "warn", note) for note in notes)


def _compared(text: ClickText, block: Block) -> tuple[Finding, ...]:
    """A warning where the file of the analysis states other settings than that of the camera, which is used."""
    later = [b for b in text.blocks if b.source != block.source and b.name == block.name and b.file.lower() == block.file.lower()]
    keys = ("Binning Factor", "f Number", "Field of View", "Luminescent Exposure (Seconds)", "Emission filter", "Excitation filter")
    other = sorted({k for b in later for k in keys if value_of(b, k) and value_of(block, k) and value_of(b, k) != value_of(block, k)})
    why = f"{Path(block.source).name} and the analysed file differ in {', '.join(other)}: the first is used"
    return (Finding("clickinfo_differs", "warn", why),) if other else ()
