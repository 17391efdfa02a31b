"""One organ's planar contours on the slices of the scan: which slice, what it encloses, and whether that can be right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Grid
from tracker.organs.polygon import Region, fill_contours
from tracker.organs.reference import LPS_TO_RAS

_SLICE_TOLERANCE = 0.1  # slice spacings: what rounding of positions explains; more is another plane
_WARN_VOLUME, _MAX_VOLUME = 0.05, 0.25  # of voxel volume against polygon area × spacing
_SMALL_VOXELS = 50  # below, one row of voxels more or less is already above the limit
_MAX_AMBIGUOUS = 0.02


@dataclass(frozen=True, slots=True)
class Roi:
    """An organ's contours: ``name`` for messages, and per contour its points (n, 3), (x, y, z) in voxel index of the scan."""

    name: str
    contours: tuple[np.ndarray, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an organ's contours enclose: ``regions`` by slice, and what was noted."""

    regions: tuple[tuple[int, Region], ...]
    findings: tuple[Finding, ...]


def to_index(points_lps_mm: np.ndarray, grid: Grid) -> np.ndarray:
    """Points (n, 3) of DICOM patient coordinates [mm] as voxel index (x, y, z) of the grid, whole at voxel centres."""
    matrix = np.linalg.inv(grid.affine) @ LPS_TO_RAS
    return np.asarray(points_lps_mm @ matrix[:3, :3].T + matrix[:3, 3])


def _planes(roi: Roi) -> np.ndarray:
    """Slice position of each contour [slices]; `InputError` where one leaves its slice's plane."""
    spans = [float(np.ptp(points[:, 2])) for points in roi.contours]
    if spans and max(spans) > _SLICE_TOLERANCE:
        what = "a contour is not in the plane of the scan's slices"
        do = "draw on the scan's own slices, or export a label map"
        raise InputError("oblique_contours", what, found=f"spans {max(spans):.2f} slices", where=roi.name, do=do)
    # Rounded, so that a plane exactly between two slices does not go up or down by chance.
    return np.round([float(points[:, 2].mean()) for points in roi.contours], 3)


def _by_slice(roi: Roi, planes: np.ndarray) -> dict[int, list[np.ndarray]]:
    """Contours of each slice, nearest first; `InputError` where two planes fall on one slice."""
    slices: dict[int, list[int]] = {}
    for i, z in enumerate(np.floor(planes + 0.5).astype(int).tolist()):
        slices.setdefault(z, []).append(i)
    for z, members in slices.items():
        if np.ptp(planes[members]) > _SLICE_TOLERANCE:
            what = "contours of two planes fall on one slice of the scan: they were drawn on another series"
            do = "draw on the scan's own slices, or export a label map"
            found = f"planes {sorted(set(planes[members].tolist()))} at slice {z}"
            raise InputError("contours_between_slices", what, found=found, where=roi.name, do=do)
    return {z: [roi.contours[i][:, :2] for i in members] for z, members in sorted(slices.items())}


def _plane_findings(roi: Roi, planes: np.ndarray, slices: Sequence[int]) -> list[Finding]:
    notes = []
    off = float(np.abs(planes - np.floor(planes + 0.5)).max(initial=0.0))
    if off > _SLICE_TOLERANCE:
        notes.append(Finding("contour_off_slice", "warn", f"{roi.name}: contours up to {off:.2f} slices beside the scan's slices"))
    gaps = sorted(set(range(slices[0], slices[-1] + 1)) - set(slices)) if slices else []
    if gaps:
        notes.append(Finding("missing_contour", "warn", f"{roi.name}: no contour on {len(gaps)} slices in between; they were not filled"))
    return notes


def _check_volume(roi: Roi, regions: Sequence[Region], spacing: float) -> list[Finding]:
    """Voxels against polygon area × spacing of the contours: catches crossed, nested, skipped contours and wrong units."""
    voxels, drawn = sum(int(r.mask.sum()) for r in regions), sum(r.area for r in regions) * spacing
    change = voxels / drawn - 1 if drawn > 0 else (math.inf if voxels else 0.0)  # the two halves of a crossed contour may cancel
    note = f"{roi.name}: {voxels} voxels, {drawn:.1f} by the contours' area ({change:+.1%})"
    if abs(change) > _MAX_VOLUME and max(voxels, drawn) > _SMALL_VOXELS:
        what = "the contours do not enclose the volume that their area and spacing give"
        do = "look for crossing contours and skipped slices, or export a label map"
        raise InputError("contour_volume", what, found=note, expected=f"within {_MAX_VOLUME:.0%}", where=roi.name, do=do)
    return [Finding("contour_volume", "warn" if abs(change) > _WARN_VOLUME else "ok", note)]


def _check_crossing(roi: Roi, regions: Sequence[Region]) -> list[Finding]:
    """Contours that repeat or cross one another; `InputError` where it matters which voxels were meant."""
    notes = []
    repeated, unclear = sum(r.repeated for r in regions), sum(r.ambiguous for r in regions)
    voxels = sum(int(r.mask.sum()) for r in regions)
    if repeated:
        notes.append(Finding("repeated_contour", "warn", f"{roi.name}: {repeated} contours were drawn twice and taken once"))
    if unclear > _MAX_AMBIGUOUS * voxels:
        found = f"{unclear} of {voxels} voxels"
        raise InputError("crossing_contours", "contours of one organ cross", found=found, where=roi.name, do="join them into one contour")
    if unclear:
        notes.append(Finding("crossing_contours", "warn", f"{roi.name}: {unclear} voxels lie in two contours that cross; left out"))
    return notes


def draw(roi: Roi, shape: tuple[int, int, int]) -> Drawn:
    """What the contours of one organ enclose on the slices of a scan of ``shape`` (z, y, x).

    Each contour belongs to its nearest slice. Parts outside the field are left out with a finding. Raises `InputError`
    ``oblique_contours``, ``contours_between_slices``, ``crossing_contours`` or ``contour_volume``. In-between slices that
    nobody drew are not filled.
    """
    planes = _planes(roi)
    slices = _by_slice(roi, planes)
    notes = _plane_findings(roi, planes, list(slices))
    regions = [(z, fill_contours(found, shape[1:])) for z, found in slices.items() if 0 <= z < shape[0]]
    limits = np.array([shape[2], shape[1]]) - 0.5
    cut_in_plane = any(((points[:, :2] < -0.5) | (points[:, :2] > limits)).any() for points in roi.contours)
    if cut_in_plane or len(regions) < len(slices):
        notes.append(Finding("organ_cut_by_fov", "warn", f"{roi.name}: contours reach outside the scan's field"))
    inside = [region for _, region in regions]
    notes += _check_crossing(roi, inside)
    if not cut_in_plane and inside:
        steps = np.diff(np.unique(planes))
        steps = steps[steps > _SLICE_TOLERANCE]
        notes += _check_volume(roi, inside, float(np.median(steps)) if steps.size else 1.0)
    return Drawn(tuple(regions), tuple(notes))
