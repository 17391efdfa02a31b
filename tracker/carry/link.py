"""A scan and the anatomical scan of its session: by the scanner's own frame, else by a rigid registration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.carry.seen import Seen, greys
from tracker.errors import Finding, InputError
from tracker.image import Grid, Quantity, voxel_size_mm
from tracker.register import Options, Transform, points_to_moving, register

# Beyond these a rigid motion between two scans of one session is doubtful, and beyond the second not believed.
_DOUBT_DEG, _MOST_DEG = 15.0, 60.0
_DOUBT_MM, _MOST_MM = 8.0, 40.0
# There and back a point must come home within so many voxels of the coarser scan; three times that is no registration.
_DOUBT_VOXELS = 1.0
_LITTLE_OVERLAP = 0.5
_CLEARLY_BETTER = 1.02


@dataclass(frozen=True, slots=True)
class Link:
    """``transform`` from the scan to the anatomical scan, and how far it may be off at an organ (one standard deviation) [mm]."""

    transform: Transform
    sd_mm: float = 0.0


def activity_image(quantity: Quantity) -> np.ndarray:
    """A measured scan (z, y, x) to register by: the root of the mean of its frames, so that the body shows beside hot organs."""
    total = np.zeros(quantity.grid.shape, np.float64)
    frames = quantity.values.shape[0]
    for frame in range(frames):
        total += np.asarray(quantity.values[frame], np.float64)
    return np.asarray(np.sqrt(np.maximum(total / frames, 0.0)), np.float32)


def link(image: np.ndarray, grid: Grid, seen: Seen) -> Link:
    """How a scan (``image`` (z, y, x) on ``grid``) lies in its session's anatomical scan.

    The same frame of reference: as it is. Else a rigid registration by mutual information, begun at both scans' coordinates and at their
    contents' centres. Where neither file names a frame (NIfTI) and registration moves the organs by less than a voxel, coordinates
    are taken to be shared. Findings tell the shift and angle; ``sd_mm`` is what there and back leaves.
    Raises `InputError` ``anatomy_elsewhere``, ``session_registration`` (beyond 60°, 40 mm, three voxels there and back), and those of
    `register`.
    """
    uid, other = grid.frame_of_reference_uid, seen.grid.frame_of_reference_uid
    if uid and uid == other:
        _check_overlap(grid, seen)
        return Link(Transform(np.eye(4), findings=(Finding("session_frame", "ok", f"{seen.name} shares the scan's frame of reference"),)))
    other_image = greys(seen)
    there = _rigid(image, grid, other_image, seen.grid)
    back = _rigid(other_image, seen.grid, image, grid, np.linalg.inv(there.affine))
    points = _points(image, grid)
    home_mm = float(np.sqrt(np.mean(np.sum((points_to_moving(back, points_to_moving(there, points)) - points) ** 2, axis=1))))
    moved_mm = float(np.sqrt(np.mean(np.sum((points_to_moving(there, points) - points) ** 2, axis=1))))
    voxel = max(*voxel_size_mm(grid), *voxel_size_mm(seen.grid))
    # Half of what there and back leaves belongs to each way; three axes, one of them across the border.
    sd_mm = home_mm / np.sqrt(6.0)
    if not uid and not other and moved_mm <= voxel:
        reason = (
            f"neither file names a frame of reference; registered, organs moved by {moved_mm:.2f} mm, less than a voxel: left as they are"
        )
        return Link(Transform(np.eye(4), findings=(Finding("session_frame", "ok", reason),)), sd_mm)
    return Link(_judged(there, moved_mm, home_mm, voxel, seen), sd_mm)


def _check_overlap(grid: Grid, seen: Seen) -> None:
    """Raises where no voxel of the scan lies in the anatomical scan's field."""
    corners = np.stack(np.meshgrid(*[np.linspace(0, n - 1, min(n, 9)) for n in grid.shape[::-1]], indexing="ij")).reshape(3, -1)
    at = np.linalg.inv(seen.grid.affine) @ grid.affine @ np.vstack([corners, np.ones(corners.shape[1])])
    inside = ((at[:3] >= -0.5) & (at[:3] < np.array(seen.grid.shape[::-1])[:, None] - 0.5)).all(axis=0)
    if not inside.any():
        what, do = "scan and anatomical scan share a frame of reference and no place", "check that both are of one session and animal"
        raise InputError("anatomy_elsewhere", what, found=seen.name, do=do)


def _points(image: np.ndarray, grid: Grid) -> np.ndarray:
    """Some points (n, 3) [mm] of what the image shows: where an organ can be."""
    known = np.nan_to_num(image)
    index = np.argwhere(known > 0.25 * float(np.quantile(known, 0.995)))
    index = index[:: max(len(index) // 2000, 1)]
    return np.asarray(index[:, ::-1] @ grid.affine[:3, :3].T + grid.affine[:3, 3])


def _rigid(fixed: np.ndarray, fixed_grid: Grid, moving: np.ndarray, moving_grid: Grid, begin: np.ndarray | None = None) -> Transform:
    """The better of the registrations begun at the coordinates and at the centres, or the one begun at ``begin``."""
    if begin is not None:
        shifted = Grid(moving_grid.shape, np.linalg.inv(begin) @ moving_grid.affine)
        found = register(fixed, fixed_grid, moving, shifted, Options("rigid"))
        return Transform(begin @ found.affine, quality=found.quality)
    tries: list[Transform] = []
    failed: InputError | None = None
    for start in ("frame", "centres"):
        try:
            tries.append(register(fixed, fixed_grid, moving, moving_grid, Options("rigid", start=start)))
        except InputError as error:
            failed = error
    if not tries:
        raise failed or InputError("register_no_overlap", "the scans hardly overlap")
    if len(tries) == 2 and _value(tries[1]) > _CLEARLY_BETTER * _value(tries[0]):
        return tries[1]
    return tries[0]


def _value(found: Transform) -> float:
    return found.quality.value if found.quality else 0.0


def _judged(found: Transform, moved_mm: float, home_mm: float, voxel: float, seen: Seen) -> Transform:
    angle = float(np.degrees(np.arccos(np.clip((np.trace(found.affine[:3, :3]) - 1) / 2, -1, 1))))
    overlap = found.quality.overlap if found.quality else 0.0
    text = (
        f"registered to the {seen.name} by mutual information: organs shifted by {moved_mm:.2f} mm, turned by {angle:.1f}°, "
        f"overlap {overlap:.0%}; there and back leaves {home_mm:.2f} mm"
    )
    doubt = angle > _DOUBT_DEG or moved_mm > _DOUBT_MM or overlap < _LITTLE_OVERLAP or home_mm > _DOUBT_VOXELS * voxel
    if angle > _MOST_DEG or moved_mm > _MOST_MM or home_mm > 3 * _DOUBT_VOXELS * voxel:
        what, do = "scan and anatomical scan of the session cannot be laid on one another", "check that both are of one animal and session"
        raise InputError("session_registration", what, found=text, expected=f"within {_MOST_DEG:g}° and {_MOST_MM:g} mm", do=do)
    note = f"{text}: at the edge of what is plausible, look at the overlay" if doubt else text
    return Transform(found.affine, quality=found.quality, findings=(Finding("session_registration", "warn" if doubt else "ok", note),))
