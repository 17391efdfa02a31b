"""DICOM Segmentation: BINARY and LABELMAP segments, frame by frame.

Reference: DICOM PS3.3 A.51 and C.8.20 (Segmentation IOD).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap
from tracker.organs.names import MAX_INDEX, names_from_dicom
from tracker.organs.place import place
from tracker.organs.reference import LPS_TO_RAS, Paint, check_frame_of_reference, check_series

_TOLERANCE = 0.05  # voxel edges: what rounding of decimal strings explains
_MAX_SLICES = 20000  # positions that span more are broken; nothing is allocated for them


@dataclass(frozen=True, slots=True)
class _Stack:
    """Where the frames are: slice number of each, and the affine (index (x, y, z) → RAS+ [mm]) of the stack of ``slices``."""

    numbers: tuple[int, ...]
    slices: int
    affine: np.ndarray


def _group(dataset: Any, frame: int, name: str, where: str) -> Any:
    """A functional group of a frame, its own or the shared one."""
    for item in (dataset.PerFrameFunctionalGroupsSequence[frame], *(dataset.get("SharedFunctionalGroupsSequence") or [])):
        if item.get(name):
            return item[name].value[0]
    raise InputError("seg_incomplete", f"frame {frame + 1} has no {name}", where=where, do="export it with positions of its frames")


def _spacing_mm(measures: Any, where: str) -> float:
    """Distance of slices as the file states it; frames alone cannot tell, because empty ones are left out."""
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        if measures.get(name):
            return abs(float(measures[name].value))
    what = "the distance of slices is not stated"
    raise InputError("seg_incomplete", what, expected="SpacingBetweenSlices", where=where, do="export it again")


def _stack(dataset: Any, where: str) -> _Stack:
    """Frames on one regular stack of slices; `InputError` where they are not."""
    frames = range(int(dataset.NumberOfFrames))
    turns = np.array([_group(dataset, f, "PlaneOrientationSequence", where).ImageOrientationPatient for f in frames], dtype=float)
    places = np.array([_group(dataset, f, "PlanePositionSequence", where).ImagePositionPatient for f in frames], dtype=float)
    measures = _group(dataset, 0, "PixelMeasuresSequence", where)
    right, down = turns[0, :3], turns[0, 3:]
    normal = np.cross(right, down)
    spacing_mm = _spacing_mm(measures, where)
    along = places @ normal
    first = places[along.argmin()]
    steps = (along - along.min()) / spacing_mm
    row_mm, column_mm = (float(s) for s in measures.PixelSpacing)
    aside = (places - first) @ np.stack([right / column_mm, down / row_mm], axis=1)
    irregular = max(np.abs(steps - np.rint(steps)).max(), np.abs(aside).max(), np.abs(turns - turns[0]).max())
    if irregular > _TOLERANCE or steps.max() > _MAX_SLICES:
        what, do = "the frames are not on one regular stack of slices", "export it on the scan's own slices"
        raise InputError("seg_irregular", what, found=f"off by {irregular:.3g}", where=where, do=do)
    lps = np.eye(4)
    lps[:3] = np.stack([right * column_mm, down * row_mm, normal * spacing_mm, first], axis=1)
    return _Stack(tuple(np.rint(steps).astype(int).tolist()), int(np.rint(steps.max())) + 1, LPS_TO_RAS @ lps)


def _segments(dataset: Any, where: str) -> tuple[dict[int, str], tuple[Finding, ...]]:
    """Names of the segments by number; number 0 is the background that a label map may describe."""
    labels = {int(s.SegmentNumber): str(s.get("SegmentLabel", "")) for s in dataset.get("SegmentSequence") or []}
    labels.pop(0, None)
    if not labels or max(labels) > MAX_INDEX:
        raise InputError("seg_incomplete", "the file describes no usable segments", found=sorted(labels), where=where, do="export it again")
    return names_from_dicom(labels, where)


def _frames(dataset: Any) -> Iterator[np.ndarray]:
    """Stored values (rows, columns) frame by frame, so that a hundred segments never lie in memory together."""
    if int(dataset.BitsAllocated) != 1 or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        from pydicom.pixels.utils import iter_pixels

        yield from iter_pixels(dataset)
        return
    # Packed bits run on from frame to frame without padding, so a frame may begin inside a byte.
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    size, packed = rows * columns, np.frombuffer(dataset.PixelData, dtype=np.uint8)
    for start in range(0, size * int(dataset.NumberOfFrames), size):
        bits = np.unpackbits(packed[start // 8 : (start + size + 7) // 8], bitorder="little")
        yield bits[start % 8 : start % 8 + size].reshape(rows, columns)


def _paint(dataset: Any, stack: _Stack, names: dict[int, str], where: str) -> np.ndarray:
    """Labels (z, y, x) on the file's own stack, one frame in memory at a time."""
    paint = Paint((stack.slices, int(dataset.Rows), int(dataset.Columns)))
    labelmap = dataset.SegmentationType == "LABELMAP"
    for frame, values in enumerate(_frames(dataset)):
        if labelmap:
            found = [n for n in np.unique(values).tolist() if n]
        else:
            found = [int(_group(dataset, frame, "SegmentIdentificationSequence", where).ReferencedSegmentNumber)]
        unknown = set(found) - set(names)
        if unknown:
            raise InputError("unnamed_label", "a frame is of an unknown segment", found=unknown, expected=sorted(names), where=where)
        for number in found:
            paint.add(number, stack.numbers[frame], values == number if labelmap else values != 0)
    paint.check(names, where)
    return paint.labels


def read_seg(path: Path, grid: Grid, referenced_series_uid: str = "") -> OrganMap:
    """Organs of a DICOM SEG on the scan's grid; indices are the segment numbers. See `tracker.organs.read_organs` for what is checked."""
    import pydicom

    dataset = pydicom.dcmread(path, force=True)
    kind = str(dataset.get("SegmentationType", ""))
    if kind not in ("BINARY", "LABELMAP"):
        do = "choose a threshold and export BINARY"
        expected = "BINARY or LABELMAP"
        raise InputError("seg_fractional", "shares of a voxel are no organ map", found=kind, expected=expected, where=path.name, do=do)
    names, renamed = _segments(dataset, path.name)
    notes = check_frame_of_reference(str(dataset.get("FrameOfReferenceUID", "")), grid, path.name)
    series = {str(s.SeriesInstanceUID) for s in dataset.get("ReferencedSeriesSequence") or []}
    notes += check_series(series, referenced_series_uid) + renamed
    stack = _stack(dataset, path.name)
    placed = place(_paint(dataset, stack, names, path.name), stack.affine, names, grid)
    return OrganMap(placed.labels, names, grid, findings=notes + placed.findings)
