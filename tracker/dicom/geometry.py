"""Slices put in order: by time, then along the slice normal, from headers only, never by file name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.dicom.headers import Instance
from tracker.errors import Finding, InputError
from tracker.image import Grid

# Positions are written with about 1e-3 mm; a spacing that varies by more than this share is a gap or a tilt.
_SPACING_TOLERANCE = 0.01
# DICOM's patient axes are LPS, ours RAS.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Stack:
    """Instances as ``slices[t][z]`` with their `Grid`; z runs along the slice normal."""

    slices: tuple[tuple[Instance, ...], ...]
    grid: Grid
    findings: tuple[Finding, ...] = ()


def slice_normal(orientation: Sequence[float]) -> np.ndarray:
    """Unit normal of a slice [LPS] from its six direction cosines; raises `InputError` where they are not orthonormal."""
    row, column = np.asarray(orientation[:3], float), np.asarray(orientation[3:], float)
    if max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column)) > 1e-3:
        raise InputError(
            "orientation_not_orthonormal",
            "ImageOrientationPatient is not two unit vectors at right angles",
            found=[float(v) for v in orientation],
            expected="six direction cosines",
            do="export the series again",
        )
    return np.asarray(np.cross(row, column))


def affine_from(position: Sequence[float], orientation: Sequence[float], spacing: Sequence[float], step: np.ndarray) -> np.ndarray:
    """4 × 4 from voxel (x, y, z) to RAS [mm]: first slice's position and directions, ``spacing`` (row, column) [mm], ``step`` LPS [mm].

    Source: DICOM PS3.3 C.7.6.2.1.1, with the first two axes negated (LPS to RAS).
    """
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(orientation[:3], float) * float(spacing[1])
    affine[:3, 1] = np.asarray(orientation[3:], float) * float(spacing[0])
    affine[:3, 2] = step
    affine[:3, 3] = np.asarray(position, float)
    affine[:3] = _LPS_TO_RAS @ affine[:3]
    return affine


def uniform_step(positions_lps: np.ndarray, normal: np.ndarray, where: object) -> np.ndarray:
    """The vector from slice to slice [LPS mm] of ordered positions (z, 3).

    Raises `InputError` for a missing slice, irregular spacing or a tilted stack, which no affine could describe.
    """
    steps = np.diff(positions_lps, axis=0)
    along = steps @ normal
    typical = float(np.median(along))
    wrong = np.flatnonzero(np.abs(along - typical) > _SPACING_TOLERANCE * typical)
    if wrong.size:
        gap = int(np.argmax(along))
        # Where every step is a multiple of the smallest, slices are missing; the median would be wrong where few are left.
        multiples = along / along.min()
        whole = bool((np.abs(multiples - np.round(multiples)) < 0.05).all())
        raise InputError(
            "missing_slice" if whole else "irregular_spacing",
            f"{round(multiples[gap]) - 1} slice(s) missing after slice {gap + 1}" if whole else "slices are not evenly spaced",
            found=f"{along[gap]:.4g} mm between slices {gap + 1} and {gap + 2}",
            expected=f"{along.min() if whole else typical:.4g} mm throughout",
            where=where,
            do="export the whole series again",
        )
    mean = steps.mean(axis=0)
    # Step by step, not in the mean alone: slices that wander to and fro have no affine either.
    if np.linalg.norm(steps - np.outer(along, normal), axis=1).max() > _SPACING_TOLERANCE * typical:
        raise InputError(
            "tilted_stack",
            "slice positions do not follow the slice normal (gantry tilt)",
            found=f"step {np.round(mean, 4).tolist()} mm",
            expected=f"along the normal {np.round(normal, 4).tolist()}",
            where=where,
            do="reconstruct without tilt",
        )
    return np.asarray(mean)


@dataclass(frozen=True, slots=True)
class Slices:
    """Geometry of n slices in any order: ``positions`` (n, 3) LPS [mm], one ``orientation`` (6), ``spacing_mm`` (row, column).

    ``thickness_mm`` is only used where there is a single slice, and compared with the positions elsewhere.
    """

    positions: np.ndarray
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    frame_of_reference_uid: str


@dataclass(frozen=True, slots=True)
class Arrangement:
    """``order[t][z]``: which slice is where; the affine they share; and what was noted."""

    order: tuple[tuple[int, ...], ...]
    affine: np.ndarray
    findings: tuple[Finding, ...]


def arrange(slices: Slices, frame_key: Sequence[float], where: object) -> Arrangement:
    """Slices as a (t, z) stack: frames in the order of ``frame_key`` (one time per slice), z along the slice normal.

    All frames must hold the same positions. A whole-body scan has several times in one frame: a time opens a new frame only
    where a position comes back. Raises `InputError` for missing slices, gaps, tilts and incomplete frames.
    """
    normal = slice_normal(slices.orientation)
    depth = np.round(slices.positions @ normal, 3)
    frames: list[dict[float, int]] = []
    filled: dict[float, int] = {}
    for i in np.lexsort((depth, np.asarray(frame_key))):
        # The n-th time a position is met, in order of time, belongs to frame n: beds of one frame stay together.
        level = float(depth[i])
        frame = filled.get(level, 0)
        filled[level] = frame + 1
        if frame == len(frames):
            frames.append({})
        frames[frame][level] = int(i)
    levels = sorted(filled)
    short = next((t for t, f in enumerate(frames) if len(f) != len(levels)), None)
    if short is not None:
        lacking = sorted(set(levels) - set(frames[short]))
        raise InputError(
            "missing_slice",
            # Which of the frames lacks it cannot be told: beds and passes have times of their own.
            f"one of {len(frames)} frames is incomplete",
            found=f"positions met less often, at {lacking[:3]} mm along the normal",
            expected=f"each of {len(levels)} positions {len(frames)} times",
            where=where,
            do="export the whole series again",
        )
    order = tuple(tuple(f[d] for d in levels) for f in frames)
    step, findings = _step(slices, slices.positions[list(order[0])], normal, where)
    affine = affine_from(slices.positions[order[0][0]], slices.orientation, slices.spacing_mm, step)
    return Arrangement(order, affine, findings)


def _step(slices: Slices, ordered: np.ndarray, normal: np.ndarray, where: object) -> tuple[np.ndarray, tuple[Finding, ...]]:
    thickness_mm = slices.thickness_mm
    if len(ordered) == 1:
        if thickness_mm is None or thickness_mm <= 0:
            raise InputError(
                "geometry_missing",
                "a single slice without SliceThickness has no volume",
                found=thickness_mm,
                expected="mm > 0",
                where=where,
            )
        return normal * thickness_mm, ()
    step = uniform_step(ordered, normal, where)
    spacing_mm = float(np.linalg.norm(step))
    if thickness_mm is None or abs(thickness_mm - spacing_mm) <= _SPACING_TOLERANCE * spacing_mm:
        return step, ()
    words = f"SliceThickness {thickness_mm:g} mm but slices are {spacing_mm:.4g} mm apart: the positions are used"
    return step, (Finding("slice_thickness", "warn", words),)


def _geometry_tag(instance: Instance, keyword: str, count: int) -> tuple[float, ...]:
    value = instance.get(keyword, ())
    numbers = tuple(float(v) for v in (value if hasattr(value, "__len__") else (value,)))
    if len(numbers) != count:
        words = f"{len(numbers)} values" if numbers else "no value"
        raise InputError(
            "geometry_missing", f"{keyword} is missing", found=words, expected=f"{count} numbers", where=instance.path, do="export again"
        )
    return numbers


def pixel_spacing_mm(values: Sequence[float], where: object) -> tuple[float, float]:
    """PixelSpacing (row, column) [mm]; raises `InputError` where it is not two positive numbers."""
    numbers = tuple(float(v) for v in values)
    if len(numbers) != 2 or not min(numbers) > 0:
        raise InputError(
            "geometry_missing", "PixelSpacing is not two positive numbers", found=list(numbers), expected="mm > 0", where=where
        )
    return numbers[0], numbers[1]


def instance_slices(instances: Sequence[Instance]) -> Slices:
    """Where single-slice instances of one series lie, in their order; raises `InputError` where a header has no place."""
    first = instances[0]
    thickness = first.get("SliceThickness")
    return Slices(
        np.array([_geometry_tag(i, "ImagePositionPatient", 3) for i in instances]),
        _geometry_tag(first, "ImageOrientationPatient", 6),
        pixel_spacing_mm(_geometry_tag(first, "PixelSpacing", 2), first.path),
        None if thickness is None else float(thickness),
        str(first.get("FrameOfReferenceUID", "")),
    )


def stack(instances: Sequence[Instance], frame_key: Sequence[float], where: object) -> Stack:
    """Single-slice instances as a `Stack`: `arrange` with the geometry of their headers."""
    slices, first = instance_slices(instances), instances[0]
    found = arrange(slices, frame_key, where)
    shape = (len(found.order[0]), int(first.get("Rows")), int(first.get("Columns")))
    grid = Grid(shape, found.affine, slices.frame_of_reference_uid)
    return Stack(tuple(tuple(instances[i] for i in frame) for frame in found.order), grid, found.findings)
