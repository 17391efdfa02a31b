"""Enhanced MR DICOM: multi-frame files, each frame with its own echo time, scale and place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from tracker.dicom import Instance, Series
from tracker.dicom.functional import frame_slices, macro, sequence
from tracker.dicom.geometry import Slices
from tracker.dicom.pixels import check_pixels
from tracker.dicom.times import parse_datetime
from tracker.dicom.values import acquisition_start, number, zoned
from tracker.errors import InputError
from tracker.mri.classic import words_of
from tracker.mri.tags import Facts, Picture, PictureSet, field_of, kind_of, nucleus_of, philips_scale, scale, scaled_number

_PHILIPS_FRAME, _PHILIPS_SCALE = (0x2005, 0x140F), (0x2005, 0x100E)


def _number(group: Any, keyword: str, where: object) -> float | None:
    return None if group is None else number(group.get(keyword), keyword, where)


def _kind(frame: Any, shared: Any, instance: Instance) -> str:
    """A frame's own words, else the object's."""
    own = macro(frame, shared, "MRImageFrameTypeSequence") or {}
    words = own.get("FrameType") or words_of(instance, "ImageType")
    component = own.get("ComplexImageComponent") or instance.get("ComplexImageComponent", "")
    return kind_of([words] if isinstance(words, str) else words, str(component or ""))


def _stated_scale(frame: Any, shared: Any, instance: Instance) -> tuple[float | None, float | None]:
    """Slope and intercept of a frame: its linear real-world value map before its pixel value transformation."""
    for group, slope, intercept in (
        ("RealWorldValueMappingSequence", "RealWorldValueSlope", "RealWorldValueIntercept"),
        ("PixelValueTransformationSequence", "RescaleSlope", "RescaleIntercept"),
    ):
        items = [item for item in sequence(frame, shared, group) if item.get(slope) is not None]
        if items:
            return _number(items[0], slope, instance.path), _number(items[0], intercept, instance.path)
    return None, None


def _true_scale(frame: Any, instance: Instance) -> float | None:
    """Philips' scale slope of a frame, which it keeps in a private sequence; else of the object; None where absent."""
    private = frame.get(_PHILIPS_FRAME)
    element = private.value[0].get(_PHILIPS_SCALE) if private is not None and private.VR == "SQ" and private.value else None
    found = None if element is None else number(element.value, "Philips (2005,100E)", instance.path)
    return found if found is not None and found > 0 else philips_scale(instance)


def _start(content: Any, instance: Instance) -> datetime | None:
    own = parse_datetime(None if content is None else content.get("FrameAcquisitionDateTime"))
    return acquisition_start(instance) if own is None else zoned(own, instance)


def _picture(instance: Instance, frame: Any, shared: Any, at: int) -> Picture:
    kind = _kind(frame, shared, instance)
    content = macro(frame, shared, "FrameContentSequence")
    echo_ms = _number(macro(frame, shared, "MREchoSequence"), "EffectiveEchoTime", instance.path)
    position, acquisition = (int(_number(content, k, instance.path) or 0) for k in ("TemporalPositionIndex", "FrameAcquisitionNumber"))
    return Picture(
        instance,
        at,
        kind,
        None if echo_ms is None else echo_ms / 1000.0,
        None,
        (position, acquisition, at),
        _start(content, instance),
        *scale(instance, _stated_scale(frame, shared, instance), kind, _true_scale(frame, instance)),
    )


def _groups(instance: Instance) -> tuple[Sequence[Any], Any]:
    """The functional groups of each frame, and those that all share."""
    frames = instance.get("PerFrameFunctionalGroupsSequence")
    if frames is None or len(frames) != int(instance.get("NumberOfFrames", 0)):
        raise InputError(
            "frames_missing",
            "functional groups and frames differ in number",
            found=0 if frames is None else len(frames),
            expected=instance.get("NumberOfFrames"),
            where=instance.path,
            do="export the original object again",
        )
    return frames, (instance.get("SharedFunctionalGroupsSequence") or [None])[0]


def facts_of(first: Instance) -> Facts:
    """What an enhanced header says of its acquisition. A spin echo is one whose EchoPulseSequence is SPIN."""
    frames, shared = _groups(first)
    timing = macro(frames[0], shared, "MRTimingAndRelatedParametersSequence")
    modifier = macro(frames[0], shared, "MRImagingModifierSequence")
    nucleus = nucleus_of(first.get("ResonantNucleus") or first.get("ImagedNucleus"))
    frequency = _number(modifier, "TransmitterFrequency", first.path)
    field_t, findings = field_of(scaled_number(first, "MagneticFieldStrength"), frequency, nucleus)
    repetition_ms, train = (_number(timing, k, first.path) for k in ("RepetitionTime", "GradientEchoTrainLength"))
    return Facts(
        nucleus=nucleus,
        field_t=field_t,
        repetition_time_s=repetition_ms / 1000.0 if repetition_ms else None,
        flip_angle_deg=_number(timing, "FlipAngle", first.path) or None,
        planar={"2D": True, "3D": False}.get(str(first.get("MRAcquisitionType", "")).strip().upper()),
        spin_echo=str(first.get("EchoPulseSequence", "")).strip().upper() == "SPIN",
        echo_planar=str(first.get("EchoPlanarPulseSequence", "")).strip().upper() == "YES",
        echo_train=int(train) if train else None,
        duration_s=scaled_number(first, "AcquisitionDuration"),
        findings=findings,
    )


def enhanced_set(series: Series) -> PictureSet:
    """A series of multi-frame files (one, or parts, or one an echo) as a `PictureSet`.

    Raises `InputError` where frames and functional groups differ in number, a frame has no place, or pixels do not fit the file.
    """
    pictures: list[Picture] = []
    places: list[Slices] = []
    for instance in series.instances:
        check_pixels(instance)
        frames, shared = _groups(instance)
        pictures += [_picture(instance, frame, shared, at) for at, frame in enumerate(frames)]
        places.append(frame_slices(frames, shared, instance))
    if len({(p.orientation, p.spacing_mm) for p in places}) != 1:
        raise InputError(
            "mixed_orientations",
            "the files of a series lie in different directions or differ in voxel size",
            found=f"{len(places)} files",
            expected="one volume",
            where=series.first.path,
            do="name the series, and export its parts apart",
        )
    slices = replace(places[0], positions=np.concatenate([p.positions for p in places]))
    facts = facts_of(series.first)
    settings = (facts.spin_echo, facts.planar, facts.repetition_time_s, facts.flip_angle_deg, facts.nucleus)
    return PictureSet(series, tuple(pictures), slices, facts, settings)
