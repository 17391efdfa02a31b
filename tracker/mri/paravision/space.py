"""Where ParaVision's voxels are: VisuCoreOrientation and VisuCorePosition → `Grid`.

Both are in the subject's own system, x to the left, y to the back (posterior, of quadrupeds dorsal), z to the head, origin at the
magnet's centre: DICOM's directions, in which VisuSubjectPosition has already been used and must not be used again. Rows of the
matrix are the directions of x, y and z of the image; the position is the centre of the first voxel. Sources: the File Formats
manual as cited by the format's description in github.com/gdevenyi/brkraw-legacy (FILE_FORMAT.md, 7.2 and 12), and brukerapi,
whose authors checked it on some 1600 scans (github.com/isi-nmr/brukerapi-python, pull requests 156 and 221).
RAS+ here is the trunk's: anterior is ventral for mice too, as in DICOM. Converters that turn quadrupeds so that the nose points
to anterior (brkraw) give another frame.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Grid
from tracker.mri.paravision.frames import Group, frame_sizes, group_size, is_transposed
from tracker.mri.paravision.parameters import number, numbers, word, words

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
# Directions are written with 6 digits or more; a hundredth of a voxel is below what matters.
_DIRECTION = 1e-3
_STEP = 0.01


def _refuse(code: str, what: str, visu: Any, found: object, expected: object) -> InputError:
    return InputError(code, what, found=found, expected=expected, where=visu.path, do="use another scan, or export it as DICOM")


def _per_slice(visu: Any, key: str, width: int, groups: tuple[Group, ...]) -> np.ndarray:
    """A parameter's rows, (slice, width): stated once, a slice, or a frame."""
    flat = numbers(visu, key)
    slices = group_size(groups, "FG_SLICE")
    count = math.prod(g.size for g in groups)
    if flat is None or not np.isfinite(flat).all() or flat.size not in (width, slices * width, count * width):
        raise _refuse("geometry_missing", f"{key} is missing or incomplete", visu, None if flat is None else flat.size, slices * width)
    rows = flat.reshape(-1, width)
    if len(rows) == count != slices and len(rows) > 1:
        # Stated for every frame: slices to the front, all else must agree.
        shaped = rows.reshape(*(g.size for g in reversed(groups)), width)
        axis = next((len(groups) - 1 - i for i, g in enumerate(groups) if g.name == "FG_SLICE"), None)
        by_slice = shaped.reshape(1, -1, width) if axis is None else np.moveaxis(shaped, axis, 0).reshape(slices, -1, width)
        if np.ptp(by_slice, axis=1).max() > _DIRECTION:
            raise _refuse("geometry_mixed", f"{key} changes between frames of one slice", visu, "a moving field of view", "one place")
        rows = by_slice[:, 0]
    return np.broadcast_to(rows, (slices, width))


def _directions(visu: Any, groups: tuple[Group, ...]) -> np.ndarray:
    """The one orientation of all slices, (image axis, x y z). Raises `InputError` for a localiser's several."""
    rows = _per_slice(visu, "VisuCoreOrientation", 9, groups)
    distinct: list[np.ndarray] = []
    for row in rows:
        if not any(np.abs(row - one).max() <= _DIRECTION for one in distinct):
            distinct.append(row)
    if len(distinct) > 1:
        raise InputError(
            "orientation_mixed",
            f"slices have {len(distinct)} orientations: a localiser, not a volume",
            found=f"{len(rows)} slices in {len(distinct)} orientations",
            expected="one orientation",
            where=visu.path,
            do="name the experiment of the multi-echo scan in the sheet's `series` column",
        )
    matrix = distinct[0].reshape(3, 3)
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > _DIRECTION:
        raise _refuse("geometry_missing", "VisuCoreOrientation is no rotation", visu, matrix.round(4).tolist(), "unit rows at right angles")
    return matrix


def _slice_step(visu: Any, matrix: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, Finding | None]:
    """From one slice's centre to the next [mm], measured on the positions: thickness says nothing of gaps."""
    thickness = number(visu, "VisuCoreFrameThickness")
    if len(positions) == 1:
        if thickness is None or thickness <= 0:
            raise _refuse("geometry_missing", "a single slice without thickness", visu, thickness, "VisuCoreFrameThickness > 0 mm")
        return matrix[2] * thickness, None
    steps = np.diff(positions, axis=0)
    step = steps.mean(axis=0)
    length = float(np.linalg.norm(step))
    if length == 0 or np.abs(steps - step).max() > _STEP * length:
        found = np.linalg.norm(steps, axis=1).round(4).tolist()[:6]
        raise _refuse("slices_irregular", "slices are not evenly spaced: several packages, or a gap", visu, f"{found} mm apart", "one step")
    if np.linalg.norm(np.cross(step, matrix[2])) > _STEP * length:
        raise _refuse("slices_irregular", "slices are not stacked along their normal", visu, step.round(4).tolist(), "a straight stack")
    if thickness is None or abs(length - thickness) <= _STEP * length:
        return step, None
    apart = f"slices are {thickness:g} mm thick and {length:g} mm apart: volumes count the distance"
    return step, Finding("slice_gap", "warn", apart)


def _check_image(visu: Any) -> None:
    kinds, units = words(visu, "VisuCoreDimDesc"), words(visu, "VisuCoreUnits")
    if any(k != "spatial" for k in kinds) or any(u != "mm" for u in units):
        raise _refuse("not_an_image", "frames are not images in mm", visu, f"{', '.join(kinds)} in {', '.join(units)}", "spatial, in mm")


def grid_of(visu: Any, groups: tuple[Group, ...]) -> tuple[Grid, tuple[Finding, ...]]:
    """The volume's `Grid`, (z, y, x) with an affine to RAS+ [mm], and what was noted.

    affine columns = diag(-1, -1, 1) · (row x · extent/size, row y · extent/size, step from slice to slice); origin = first position.
    Raises `InputError` for several orientations, uneven or slanted stacks, and what is no image.
    """
    _check_image(visu)
    sizes, extent = frame_sizes(visu), numbers(visu, "VisuCoreExtent")
    if extent is None or len(extent) != len(sizes) or not (extent > 0).all():
        raise _refuse("geometry_missing", "VisuCoreExtent is missing", visu, extent, f"{len(sizes)} lengths > 0 mm")
    matrix, positions = _directions(visu, groups), _per_slice(visu, "VisuCorePosition", 3, groups)
    if len(sizes) == 3 and len(positions) > 1:
        raise _refuse("geometry_mixed", "several 3D slabs in one scan", visu, f"{len(positions)} slabs", "one")
    along = matrix * (np.append(extent, 0.0)[:3] / np.append(sizes, 1)[:3])[:, None]
    gap = None
    if len(sizes) == 2:
        along[2], gap = _slice_step(visu, matrix, positions)
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ along.T
    affine[:3, 3] = _LPS_TO_RAS @ positions[0]
    depth = sizes[2] if len(sizes) == 3 else len(positions)
    noted = (_orientation_finding(visu), gap, _transposition_finding(visu))
    return Grid((depth, sizes[1], sizes[0]), affine), tuple(f for f in noted if f is not None)


def _orientation_finding(visu: Any) -> Finding:
    kind, position = word(visu, "VisuSubjectType"), word(visu, "VisuSubjectPosition")
    said = f"registered as {kind or 'no stated type of subject'}, {position or 'no stated position'}"
    if kind in ("Biped", "Quadruped") and position == "Head_Prone":
        return Finding("orientation", "ok", said)
    # Mice lie prone; entered as supine, left and right and front and back are both exchanged. ParaVision 5 states no type, and
    # feet-first scans are too rare for anyone to have checked them.
    return Finding("orientation", "warn", f"{said}: ParaVision trusts what was entered; check left and right, head and feet on the overlay")


def _transposition_finding(visu: Any) -> Finding | None:
    if not is_transposed(visu):
        return None
    return Finding("transposition", "warn", "frames lie transposed in the file and were turned back: check the overlay")
