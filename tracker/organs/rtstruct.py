"""DICOM RT Structure Set: contours in patient coordinates.

Reference: DICOM PS3.3 C.8.8.5 (Structure Set) and C.8.8.6 (ROI Contour).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap
from tracker.organs.contours import Roi, draw, to_index
from tracker.organs.names import names_from_dicom
from tracker.organs.place import empty_findings
from tracker.organs.reference import Paint, check_frame_of_reference, check_series

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")  # both are filled by the even-odd rule


@dataclass(frozen=True, slots=True)
class _Entry:
    """One ROI of the file: its number there, its name, its frame of reference."""

    number: int
    name: str
    frame_of_reference_uid: str


def _entries(dataset: Any, where: str) -> list[_Entry]:
    fallback = [str(r.get("FrameOfReferenceUID", "")) for r in dataset.get("ReferencedFrameOfReferenceSequence", [])]
    other = fallback[0] if len(fallback) == 1 else ""
    items = dataset.get("StructureSetROISequence") or []
    if not items:
        raise InputError("rtstruct_empty", "the structure set holds no ROI", where=where, do="export it with its contours")
    entries = [_Entry(int(r.ROINumber), str(r.get("ROIName", "")), str(r.get("ReferencedFrameOfReferenceUID", "") or other)) for r in items]
    if len({e.number for e in entries}) < len(entries):
        raise InputError("rtstruct_numbers", "two ROIs have one number", found=[e.number for e in entries], where=where, do="export again")
    return entries


def _series_uids(dataset: Any) -> set[str]:
    """The series that the structure set says it was drawn on."""
    frames = dataset.get("ReferencedFrameOfReferenceSequence") or []
    studies = [s for f in frames for s in f.get("RTReferencedStudySequence") or []]
    return {str(e.SeriesInstanceUID) for s in studies for e in s.get("RTReferencedSeriesSequence") or []}


def _points(contour: Any, name: str) -> np.ndarray:
    """Points (n, 3) of one contour, DICOM patient coordinates [mm]."""
    data = contour.get("ContourData")
    numbers = np.atleast_1d(np.asarray(data if data is not None else [], dtype=np.float64))
    declared = contour.get("NumberOfContourPoints")
    if numbers.size % 3 or not np.isfinite(numbers).all() or (declared is not None and int(declared) * 3 != numbers.size):
        found, expected = f"{numbers.size} numbers", "x, y, z of each point, finite, as many as declared"
        raise InputError("contour_data", "a contour is broken", found=found, expected=expected, where=name, do="export it again")
    return numbers.reshape(-1, 3)


def _rois(dataset: Any, entries: list[_Entry], names: dict[int, str], grid: Grid) -> Iterator[tuple[int, Roi, Counter[str]]]:
    """Organ index, closed contours on the grid, and how many contours of other types were left out."""
    drawn: dict[int, list[Any]] = {}
    for item in dataset.get("ROIContourSequence") or []:
        drawn.setdefault(int(item.ReferencedROINumber), []).extend(item.get("ContourSequence") or [])
    for index, entry in enumerate(entries, start=1):
        closed, left_out = [], Counter[str]()
        for contour in drawn.get(entry.number, []):
            kind, points = str(contour.get("ContourGeometricType", "")), _points(contour, names[index])
            if kind in _CLOSED and len(points) > 2:
                closed.append(to_index(points, grid))
            else:
                left_out[kind if kind not in _CLOSED else f"{kind} of {len(points)} points"] += 1
        yield index, Roi(names[index], tuple(closed)), left_out


def _paint(dataset: Any, entries: list[_Entry], names: dict[int, str], grid: Grid) -> tuple[Paint, list[Finding], int]:
    """All organs drawn, what was noted, and how many closed contours there were."""
    paint, notes, contours = Paint(grid.shape), list[Finding](), 0
    for index, roi, left_out in _rois(dataset, entries, names, grid):
        if left_out:
            text = ", ".join(f"{n} {kind}" for kind, n in sorted(left_out.items()))
            notes.append(Finding("contours_ignored", "warn", f"{roi.name}: {text}; only closed planar contours enclose a volume"))
        result = draw(roi, grid.shape)
        notes += result.findings
        contours += len(roi.contours)
        for z, region in result.regions:
            paint.add(index, z, region.mask)
    return paint, notes, contours


def read_rtstruct(path: Path, grid: Grid, referenced_series_uid: str = "") -> OrganMap:
    """Organs of an RTSTRUCT on the scan's grid: a voxel belongs to an organ if its centre is inside the contours (even-odd rule).

    Organs are numbered from 1 in the file's order. See `tracker.organs.read_organs` for what is checked.
    """
    import pydicom

    dataset = pydicom.dcmread(path, force=True)
    entries = _entries(dataset, path.name)
    names, renamed = names_from_dicom({i: e.name for i, e in enumerate(entries, start=1)}, path.name)
    notes: list[Finding] = []
    for uid in dict.fromkeys(e.frame_of_reference_uid for e in entries):
        notes = list(check_frame_of_reference(uid, grid, path.name))
    notes += [*check_series(_series_uids(dataset), referenced_series_uid), *renamed]
    paint, drawn, contours = _paint(dataset, entries, names, grid)
    paint.check(names, path.name)
    present = np.unique(paint.labels)
    if contours and not present.any():
        do = "check that contours and scan are of the same session"
        raise InputError("organs_outside_scan", "no organ lies in the scan's field", found=f"{contours} contours", where=path.name, do=do)
    return OrganMap(paint.labels, names, grid, findings=(*notes, *drawn, *empty_findings(present.tolist(), names)))
