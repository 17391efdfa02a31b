"""Functional groups of enhanced multi-frame objects: a frame's own values, else those that all frames share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracker.dicom.geometry import Slices, pixel_spacing_mm
from tracker.dicom.headers import Instance
from tracker.errors import InputError

_PLACE = {
    "PlanePositionSequence": "ImagePositionPatient",
    "PlaneOrientationSequence": "ImageOrientationPatient",
    "PixelMeasuresSequence": "PixelSpacing",
}


def sequence(frame: Any, shared: Any, keyword: str) -> Any:
    """A functional group: the frame's own, else the shared one; empty where neither has it."""
    return frame.get(keyword) or (shared.get(keyword) if shared is not None else None) or ()


def macro(frame: Any, shared: Any, keyword: str) -> Any:
    """A functional group's first item; None where neither the frame nor all share it."""
    return next(iter(sequence(frame, shared, keyword)), None)


def frame_slices(frames: Sequence[Any], shared: Any, instance: Instance) -> Slices:
    """Where the frames of a multi-frame object lie, in its order.

    Raises `InputError` where a frame has no place, or directions or voxel sizes differ between frames.
    """
    places, directions, sizes = [], set(), set()
    for frame in frames:
        found: list[Any] = [(macro(frame, shared, group) or {}).get(tag) for group, tag in _PLACE.items()]
        if not all(found) or [len(v) for v in found] != [3, 6, 2]:
            raise InputError(
                "geometry_missing",
                "a frame has no place",
                found="no plane position, orientation or pixel spacing",
                expected="all three",
                where=instance.path,
            )
        place, orient, spacing = ([float(v) for v in values] for values in found)
        thickness = macro(frame, shared, "PixelMeasuresSequence").get("SliceThickness")
        places.append(place)
        directions.add(tuple(round(v, 6) for v in orient))
        sizes.add((*pixel_spacing_mm(spacing, instance.path), None if thickness is None else float(thickness)))
    if len(directions) != 1 or len(sizes) != 1:
        raise InputError("mixed_orientations", "frames lie in different directions or differ in voxel size",
                         found=f"{len(directions)} orientations, {len(sizes)} sizes", expected="one volume",
                         where=instance.path, do="a localiser cannot be measured")  # fmt: skip
    row_mm, column_mm, thickness_mm = sizes.pop()
    return Slices(np.array(places), directions.pop(), (row_mm, column_mm), thickness_mm, str(instance.get("FrameOfReferenceUID", "")))
