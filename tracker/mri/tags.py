"""What MR headers say of one image: its kind (magnitude, phase …), nucleus and field; and the tags that tell it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tracker.dicom import COMMON_TAGS, Instance, Series
from tracker.dicom.geometry import Slices
from tracker.dicom.values import number, positive, private_numbers, private_value
from tracker.errors import Finding, InputError

CLASSIC = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
GE_CREATOR = "GEMS_PARM_01"
PHILIPS_CREATOR = "Philips MR Imaging DD 001"
# GE (0043,xx2F) what the image is; Philips (2005,xx0E) scale slope, (2005,xx0D) scale intercept.
_PRIVATE = {0x0043: (0x2F,), 0x2005: (0x0D, 0x0E)}
_GE_KINDS = {0: "magnitude", 1: "phase", 2: "real", 3: "imaginary"}
# Values 3 and later of ImageType, and ComplexImageComponent. What the makers compute from echoes is none of the four.
_WORDS = {
    "magnitude": {"M", "M_FFE", "M_SE", "M_IR", "M_TSE", "MAGNITUDE"},
    "phase": {"P", "PHASE", "PHASE MAP", "PHASE_MAP", "PHASEMAP"},
    "real": {"R", "R_FFE", "REAL"},
    "imaginary": {"I", "I_FFE", "IMAGINARY"},
}
_COMPUTED = re.compile(
    r"\b(SWI|M[AI]?N?IP|MINIP|MEAN|SUM|ADC|(T1|T2|R2)[ _]?(STAR)?[ _]?MAP|(B0|B1|VELOCITY|FIELD)[ _]?MAP)\b",
)
# Larmor frequency of protons in water: CODATA 2022, shielded proton gyromagnetic ratio / 2 pi.
_PROTON_MHZ_PER_T = 42.576385
_FIELD_T = (0.05, 30.0)

TAGS: tuple[Any, ...] = (
    "EchoTime",
    "EchoNumbers",
    "EchoTrainLength",
    "ScanningSequence",
    "SequenceVariant",
    "EchoPulseSequence",
    "EchoPlanarPulseSequence",
    "MRAcquisitionType",
    "MagneticFieldStrength",
    "ImagingFrequency",
    "ImagedNucleus",
    "ResonantNucleus",
    "RepetitionTime",
    "FlipAngle",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "AcquisitionDuration",
    "AcquisitionDateTime",
    "ComplexImageComponent",
    "ContentDate",
    "ContentTime",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *private_numbers(_PRIVATE),
)
MR_TAGS: tuple[Any, ...] = (*COMMON_TAGS, *TAGS)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a series' header says of its acquisition as a whole; None and empty where it does not say.

    ``spin_echo`` is true only where the header says that no gradient echo was taken; ``echo_planar`` where its echo train is one image's.
    """

    nucleus: str
    field_t: float | None
    repetition_time_s: float | None
    flip_angle_deg: float | None
    planar: bool | None
    spin_echo: bool
    echo_planar: bool
    echo_train: int | None
    duration_s: float | None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """One image of one slice, wherever it is stored (``frame`` of ``instance``).

    ``kind``: magnitude, phase, real, imaginary or computed. ``turn``: temporal position, acquisition number and instance number, by which
    repeats are ordered. value = stored × ``slope`` + ``intercept``; ``for_display`` where that scale is the maker's for the screen only.
    """

    instance: Instance
    frame: int
    kind: str
    echo_s: float | None
    echo_number: int | None
    turn: tuple[int, int, int]
    start: datetime | None
    slope: float
    intercept: float
    for_display: bool = False


@dataclass(frozen=True, slots=True)
class PictureSet:
    """The images of one series: ``slices.positions`` (n, 3) in the order of ``pictures``.

    ``settings`` are alike in all series of one acquisition.
    """

    series: Series
    pictures: tuple[Picture, ...]
    slices: Slices
    facts: Facts
    settings: tuple[object, ...]


def kind_of(image_type: Iterable[str], component: str = "", ge_code: Any = None) -> str:
    """Magnitude, phase, real or imaginary, as ComplexImageComponent, GE's private code or ImageType say; else computed, or magnitude.

    A header that says nothing of it is of a magnitude image: only those are made without being asked for.

    >>> kind_of(["ORIGINAL", "PRIMARY", "P", "ND"]), kind_of(["ORIGINAL", "PRIMARY", "OTHER"]), kind_of(["", "", "T2_STAR MAP"])
    ('phase', 'magnitude', 'computed')
    """
    words = [str(w).strip().upper() for w in image_type][2:]
    if any(_COMPUTED.search(w) for w in words):
        return "computed"
    stated = component.strip().upper()
    if not stated or stated == "MIXED":
        code = _whole(ge_code)
        stated = _GE_KINDS.get(code, "").upper() if code is not None else ""
    for word in (stated, *words):
        found = next((kind for kind, known in _WORDS.items() if word in known), "")
        if found:
            return found
    return "magnitude"


def _whole(value: Any) -> int | None:
    """A whole number; None where the value is none, as where another maker's element lies in the private block."""
    if isinstance(value, list | tuple) or (hasattr(value, "__len__") and not isinstance(value, str)):
        value = value[0] if len(value) else None
    try:
        return None if value is None else int(str(value).strip())
    except ValueError:
        return None


def whole(instance: Instance, keyword: str) -> int | None:
    """A tag's whole number (the first of several); None where absent."""
    return _whole(instance.get(keyword))


def _made_by(instance: Instance, maker: str) -> bool:
    """Whether a maker's private elements can be in a file: looking for them in all of another's costs a tenth of reading them."""
    stated = str(instance.get("Manufacturer", "")).upper()
    return not stated or stated.startswith(maker)


def ge_kind(instance: Instance) -> Any:
    """GE's private code of what an image is; None where absent."""
    if not _made_by(instance, "GE"):
        return None
    return private_value(instance, 0x0043, GE_CREATOR, 0x2F)


def philips_scale(instance: Instance) -> float | None:
    """Philips' scale slope (2005,xx0E), which takes the screen's scale out; None where absent or 0."""
    if not _made_by(instance, "PHILIPS"):
        return None
    try:
        return positive(private_value(instance, 0x2005, PHILIPS_CREATOR, 0x0E), "Philips (2005,100E)", instance.path)
    except InputError:
        # Where the reservation was removed, another maker's element may lie here: what is no number is not this one.
        return None


def scale(instance: Instance, stated: tuple[float | None, float | None], kind: str, true: float | None) -> tuple[float, float, bool]:
    """Slope, intercept and whether they are for the screen only; ``stated`` RescaleSlope and -Intercept, ``true`` Philips' scale slope.

    Philips: value = (stored · RS + RI) / (RS · SS), SS the private scale slope (Chenevert 2014 doi:10.1593/tlo.13811); phase images and
    all other makers: stored · RS + RI. Raises `InputError` where RS is not positive.
    """
    slope, intercept = 1.0 if stated[0] is None else stated[0], stated[1] or 0.0
    if slope <= 0:
        raise InputError("rescale_slope", "RescaleSlope is not positive", found=slope, expected="> 0", where=instance.path)
    if kind == "phase" or not str(instance.get("Manufacturer", "")).upper().startswith("PHILIPS"):
        return slope, intercept, False
    return (slope, intercept, True) if true is None else (1.0 / true, intercept / (slope * true), False)


def nucleus_of(text: Any) -> str:
    """A nucleus as mass number and symbol; empty where not stated.

    >>> nucleus_of("H1"), nucleus_of("19F"), nucleus_of("PROTON"), nucleus_of(None)
    ('1H', '19F', '1H', '')
    """
    word = re.sub(r"[^A-Z0-9]", "", str(text or "").upper())
    if word in ("H", "1H", "H1", "PROTON"):
        return "1H"
    match = re.fullmatch(r"(\d+)([A-Z]+)|([A-Z]+)(\d+)", word)
    if not match:
        return {"F": "19F", "FLUORINE": "19F"}.get(word, word)
    return f"{match[1]}{match[2].title()}" if match[1] else f"{match[4]}{match[3].title()}"


def field_of(strength: float | None, frequency_mhz: float | None, nucleus: str) -> tuple[float | None, tuple[Finding, ...]]:
    """Field strength [T] as stated, or from gauss, or from the protons' frequency; None, with a finding, where none of these can be.

    >>> field_of(94000.0, None, "1H")[0], round(field_of(None, 300.3, "1H")[0], 2), field_of(None, None, "1H")
    (9.4, 7.05, (None, ()))
    """
    noted: tuple[Finding, ...] = ()
    if strength is not None:
        if _FIELD_T[0] <= strength <= _FIELD_T[1]:
            return strength, ()
        if _FIELD_T[0] <= strength / 1e4 <= _FIELD_T[1]:
            return strength / 1e4, (Finding("field_unit", "warn", f"MagneticFieldStrength {strength:g} was taken as gauss"),)
        noted = (Finding("field_implausible", "warn", f"MagneticFieldStrength {strength:g} T cannot be: not used"),)
    derived = frequency_mhz / _PROTON_MHZ_PER_T if frequency_mhz and nucleus in ("", "1H") else None
    if derived is None or not _FIELD_T[0] <= derived <= _FIELD_T[1]:
        return None, noted
    return derived, (*noted, Finding("field_derived", "ok", f"field of {derived:.3g} T from ImagingFrequency"))


def scaled_number(instance: Instance, keyword: str, factor: float = 1.0) -> float | None:
    """A tag's positive number × ``factor``; None where absent or 0."""
    value = instance.get(keyword)
    first = value[0] if hasattr(value, "__len__") and not isinstance(value, str) and len(value) else value
    found = number(first, keyword, instance.path)
    return found * factor if found else None
