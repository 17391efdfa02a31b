"""One DICOM series of CT or MR as a volume: classic files of a slice each, or one multi-frame object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tracker.dicom import COMMON_TAGS, Instance, Series, choose_series
from tracker.dicom.functional import frame_slices, macro
from tracker.dicom.geometry import arrange, instance_slices
from tracker.dicom.pixels import check_pixels, load_frame
from tracker.dicom.values import number
from tracker.errors import Finding, InputError
from tracker.image import Grid

MODALITIES = ("CT", "MR")
TAGS = (
    *COMMON_TAGS, "AcquisitionDateTime", "PixelPaddingValue", "EchoTime", "TemporalPositionIdentifier", "AcquisitionNumber",
    "ComplexImageComponent", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence",
)  # fmt: skip
_CLASSIC = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")
_MULTI_FRAME = tuple(f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("2.1", "2.2", "4.1", "4.4"))
_NO_MAGNITUDE = {"P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "B0 MAP", "B1 MAP"}
# Fewer slices are a scout, and too few to register by.
_LEAST_SLICES = 4


@dataclass(frozen=True, slots=True)
class Volume:
    """``values`` (z, y, x) float32, slope and intercept applied, NaN where the file says padding; ``modality`` as DICOM has it."""

    values: np.ndarray
    grid: Grid
    modality: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Image:
    """One slice in a file: which frame, in which ``order`` among those of one place, its slope and intercept."""

    instance: Instance
    frame: int
    order: tuple[float, ...]
    scale: tuple[float, float]


def _words(instance: Instance) -> set[str]:
    value = instance.get("ImageType", ())
    return {str(w).strip().upper() for w in ([value] if isinstance(value, str) else value)}


def _is_image(series: Series) -> bool:
    return str(series.first.get("SOPClassUID", "")) in _CLASSIC + _MULTI_FRAME and int(series.first.get("SamplesPerPixel", 1)) == 1


def _is_scout(series: Series) -> bool:
    return "LOCALIZER" in _words(series.first)


def _is_magnitude(instance: Instance) -> bool:
    component = str(instance.get("ComplexImageComponent", "")).strip().upper()
    return not _words(instance) & _NO_MAGNITUDE and component in ("", "MAGNITUDE", "MIXED")


def _slices(series: Series) -> int:
    return len(series.instances) * int(series.first.get("NumberOfFrames", 1))


def chosen_series(groups: Sequence[Series], named: str, where: Path) -> Series:
    """The series that is meant: the named one, else the only one that is a grey volume of CT or MR, no scout and no phase image.

    Raises `InputError` that lists the candidates where none or several are left, and ``anatomy_series`` where the one is no volume.
    """
    of_both = [g for g in groups if str(g.first.get("Modality", "")).upper() in MODALITIES]
    turned = {g.uid for g in of_both if sum(o.uid == g.uid and o.part == 0 for o in of_both) > 1}
    tests = (
        _is_image,
        lambda g: not _is_scout(g),
        # A scout in three planes has one UID, and as many slices each way.
        lambda g: g.uid not in turned,
        lambda g: any(map(_is_magnitude, g.instances)),
        lambda g: _slices(g) >= _LEAST_SLICES,
    )
    wanted = of_both
    for test in () if named else tests:
        wanted = [g for g in wanted if test(g)] or wanted
    chosen = choose_series(wanted, MODALITIES, named, where)
    problem = _problem(chosen)
    if problem:
        what, do = "the series is no volume that organs could be registered by", "name another in the sheet's `series` column"
        raise InputError("anatomy_series", what, found=problem, expected="a grey volume of CT or MR magnitudes", where=where, do=do)
    return chosen


def _problem(series: Series) -> str:
    """Why a series is no volume to use; empty where it is one."""
    if int(series.first.get("SamplesPerPixel", 1)) != 1:
        return f"a colour image ({series.first.get('PhotometricInterpretation', '?')})"
    if not _is_image(series):
        return f"SOP class {series.first.get('SOPClassUID', 'missing')}"
    if _is_scout(series):
        return "a localiser"
    if not any(map(_is_magnitude, series.instances)):
        return "phase, real or imaginary images alone"
    return f"{_slices(series)} slice(s)" if _slices(series) < _LEAST_SLICES else ""


def read_volume(series: Series, where: Path) -> Volume:
    """The series' volume; of several images of one place (echoes, phases, repeats) those of the shortest echo, then the first in time.

    Raises `InputError` for missing slices, a tilted gantry, uneven spacing, truncated pixels, and CT without slope and intercept.
    """
    modality = str(series.first.get("Modality", "")).upper()
    classic = str(series.first.get("SOPClassUID", "")) in _CLASSIC
    images, slices = _classic(series, modality) if classic else _multi_frame(series, modality, where)
    orders = sorted({i.order for i in images})
    found = arrange(slices, [float(orders.index(i.order)) for i in images], where)
    first = [images[n] for n in found.order[0]]
    values = load_frame([(i.instance, i.frame) for i in first], *np.array([i.scale for i in first]).T)
    _empty_padding(values, first)
    shape = (values.shape[0], values.shape[1], values.shape[2])
    notes = found.findings
    if len(found.order) > 1:
        notes += (Finding("anatomy_images", "ok", f"the first of {len(found.order)} images of each place"),)
    return Volume(values, Grid(shape, found.affine, slices.frame_of_reference_uid), modality, notes)


def _scale(slope: Any, intercept: Any, modality: str, where: object) -> tuple[float, float]:
    found = number(slope, "RescaleSlope", where), number(intercept, "RescaleIntercept", where)
    if modality == "CT" and None in found:
        what, do = "a CT file does not say what its numbers mean", "export the original series"
        raise InputError("ct_rescale_missing", what, found=found, expected="RescaleSlope and RescaleIntercept", where=where, do=do)
    return (1.0 if found[0] is None else found[0], found[1] or 0.0)


def _classic(series: Series, modality: str) -> tuple[list[_Image], Any]:
    kept = [i for i in series.instances if _is_magnitude(i)]
    images = []
    for instance in kept:
        check_pixels(instance)
        tags = ("EchoTime", "TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber")
        order = tuple(number(instance.get(tag), tag, instance.path) or 0.0 for tag in tags)
        scale = _scale(instance.get("RescaleSlope"), instance.get("RescaleIntercept"), modality, instance.path)
        images.append(_Image(instance, 0, order, scale))
    return images, instance_slices(kept)


def _multi_frame(series: Series, modality: str, where: Path) -> tuple[list[_Image], Any]:
    instance = series.first
    frames = instance.get("PerFrameFunctionalGroupsSequence")
    if len(series.instances) > 1 or frames is None or len(frames) != int(instance.get("NumberOfFrames", 0)):
        what, do = "a multi-frame scan must be one file with a functional group for each frame", "name the series, or export it again"
        raise InputError("several_files", what, found=f"{len(series.instances)} file(s)", expected="one", where=where, do=do)
    check_pixels(instance)
    shared = (instance.get("SharedFunctionalGroupsSequence") or [None])[0]
    images = [_frame(instance, frame, shared, n, modality) for n, frame in enumerate(frames)]
    return images, frame_slices(list(frames), shared, instance)


def _frame(instance: Instance, frame: Any, shared: Any, n: int, modality: str) -> _Image:
    echo = macro(frame, shared, "MREchoSequence") or {}
    content = macro(frame, shared, "FrameContentSequence") or {}
    scale = macro(frame, shared, "PixelValueTransformationSequence") or {}
    numbers = (echo.get("EffectiveEchoTime"), content.get("TemporalPositionIndex"), content.get("FrameAcquisitionNumber"))
    order = (*(number(v, "a frame's order", instance.path) or 0.0 for v in numbers), float(n))
    return _Image(instance, n, order, _scale(scale.get("RescaleSlope"), scale.get("RescaleIntercept"), modality, instance.path))


def _empty_padding(values: np.ndarray, images: Sequence[_Image]) -> None:
    """NaN where the file says that nothing was reconstructed: outside a round field of view."""
    padding = number(images[0].instance.get("PixelPaddingValue"), "PixelPaddingValue", images[0].instance.path)
    for plane, image in zip(values, images, strict=True) if padding is not None else ():
        slope, intercept = image.scale
        level = float(padding) * slope + intercept  # type: ignore[arg-type]
        plane[np.abs(plane - level) <= 1e-3 * max(abs(slope), 1e-6)] = np.nan
