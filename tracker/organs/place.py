"""Labels of one grid on another, by nearest neighbour, with the volume of every organ watched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Grid, voxel_volume_ml

WARN_VOLUME_SHARE = 0.02
MAX_VOLUME_SHARE = 0.10
# A voxel centre that is displaced by less than this cannot fall into another voxel; rounding of affines is far below it.
_SAME_LATTICE_VOXELS = 0.1
_SNAP_DIGITS = 9  # float noise must not decide a centre that lies exactly on a border


@dataclass(frozen=True, slots=True)
class Placed:
    """Labels (z, y, x) uint16 on the scan's grid, and what was noted."""

    labels: np.ndarray
    findings: tuple[Finding, ...]


def _lattice(matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray | None:
    """``matrix`` (grid index → source index) with whole numbers, where both grids have the same voxels up to order and extent."""
    whole = np.rint(matrix)
    turns = np.abs(whole[:3, :3])
    if not ((turns.sum(axis=0) == 1).all() and (turns.sum(axis=1) == 1).all()):
        return None
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape[::-1]], indexing="ij")).reshape(3, -1)
    shift = np.abs((matrix - whole)[:3] @ np.vstack([corners, np.ones(corners.shape[1])]))
    return whole if shift.max() <= _SAME_LATTICE_VOXELS else None


def _pull(labels: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """For every voxel of the grid the label of the source voxel its centre lies in; 0 outside."""
    from scipy.ndimage import affine_transform

    # SciPy works in array order (z, y, x): both sides of the matrix are reversed.
    turned, offset = matrix[2::-1, 2::-1], matrix[2::-1, 3]
    return np.asarray(affine_transform(labels, turned, offset, output_shape=shape, order=0, mode="grid-constant", cval=0, prefilter=False))


def _move(labels: np.ndarray, whole: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The same as `_pull` where ``whole`` only reorders, turns and shifts: slices are copied, nothing is computed."""
    # In array order: along axis ``a`` of the grid the source runs along ``source_axis[a]``, from ``offset``, up or down.
    turned, offset = whole[2::-1, 2::-1].astype(int), whole[2::-1, 3].astype(int)
    source_axis = np.abs(turned).argmax(axis=0)
    view, to, take = labels.transpose(source_axis), [], []
    for axis, source in enumerate(source_axis):
        start, n = int(offset[source]), labels.shape[source]
        if turned[source, axis] < 0:
            view, start = np.flip(view, axis), n - 1 - start
        first, end = max(0, -start), min(shape[axis], n - start)
        to.append(slice(first, max(end, first)))
        take.append(slice(first + start, max(end, first) + start))
    out = np.zeros(shape, dtype=labels.dtype)
    out[tuple(to)] = view[tuple(take)]
    return out


def count_labels(labels: np.ndarray, size: int) -> np.ndarray:
    """Voxels of each label 0 … size-1; slice by slice, so that no copy of the volume in 64 bits is made."""
    counts = np.zeros(size, dtype=np.int64)
    for plane in labels:
        counts += np.bincount(plane.ravel(), minlength=size)
    return counts


def _counts_in_field(labels: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int], size: int) -> np.ndarray:
    """Voxels of each label whose centre lies within the scan's field."""
    back = np.linalg.inv(matrix)
    counts = np.zeros(size, dtype=np.int64)
    limits = np.array(shape[::-1])[:, None] - 0.5
    for z, plane in enumerate(labels):
        y, x = np.nonzero(plane)
        at = back[:3, :2] @ np.vstack([x, y]) + (back[:3, 2] * z + back[:3, 3])[:, None]
        inside = ((at >= -0.5) & (at < limits)).all(axis=0)
        counts += np.bincount(plane[y[inside], x[inside]], minlength=size)
    return counts


def _all_in_field(labels: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int]) -> bool:
    """Whether the box around all labels lies within the scan's field: its corners suffice, as both are convex."""
    ends = []
    for axes in ((0, 1), (0, 2), (1, 2)):
        used = np.flatnonzero(labels.any(axis=axes))
        if not used.size:
            return True
        ends.append((used[0], used[-1]))
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
    back = np.linalg.inv(matrix)
    at = back[:3, :3] @ corners + back[:3, 3:]
    return bool(((at >= -0.5) & (at < np.array(shape[::-1])[:, None] - 0.5)).all())


def empty_findings(present: Iterable[int], names: Mapping[int, str]) -> tuple[Finding, ...]:
    """One finding that lists organs without a voxel; they stay in the map, so that their rows show an empty value."""
    missing = [name for index, name in names.items() if index not in set(present)]
    return (Finding("empty_organ", "warn", "no voxel in the scan: " + ", ".join(missing)),) if missing else ()


def _cut(whole: np.ndarray, inside: np.ndarray, names: Mapping[int, str]) -> tuple[Finding, ...]:
    """What the scan's field cuts off; `InputError` where it holds no organ at all."""
    cut = [f"{names[i]} {1 - inside[i] / whole[i]:.1%}" for i in names if inside[i] < whole[i]]
    if whole[1:].any() and not inside[1:].any():
        do = "check that map and scan are of the same session and space"
        raise InputError("organs_outside_scan", "no organ lies in the scan's field", found=", ".join(cut), do=do)
    return (Finding("organ_cut_by_fov", "warn", "outside the scan's field: " + ", ".join(cut)),) if cut else ()


def _volumes(before_ml: np.ndarray, after_ml: np.ndarray, names: Mapping[int, str]) -> Finding:
    """How far resampling changed the organs' volumes; `InputError` above 10 %."""
    change = {i: after_ml[i] / before_ml[i] - 1 for i in names if before_ml[i] > 0}
    bad = {i: c for i, c in change.items() if abs(c) > MAX_VOLUME_SHARE}
    if bad:
        found = ", ".join(f"{names[i]} {c:+.1%}" for i, c in bad.items())
        what, do = "resampling changed the volume of an organ", "draw or export the organs on the scan's own grid"
        raise InputError("organ_volume_changed", what, found=found, expected=f"within {MAX_VOLUME_SHARE:.0%}", do=do)
    worst = max(change, key=lambda i: abs(change[i]), default=0)
    note = f"labels were on another grid: nearest neighbour; largest change of volume {change.get(worst, 0.0):+.2%}"
    status = "warn" if abs(change.get(worst, 0.0)) > WARN_VOLUME_SHARE else "ok"
    return Finding("organ_map_resampled", status, f"{note} ({names[worst]})" if worst else note)


def place(labels: np.ndarray, source_affine: np.ndarray, names: Mapping[int, str], grid: Grid) -> Placed:
    """Labels (z, y, x) uint16 with their affine [mm], on the scan's grid.

    Where both grids have the same voxels (in any order of axes, cropped or padded) they are moved exactly. Else each voxel of
    the scan gets the label at its centre, and an organ's volume within the field must stay: above 2 % a finding, above 10 %
    `InputError` ``organ_volume_changed``. ``organs_outside_scan`` where nothing lies in the field.
    """
    matrix = np.linalg.inv(source_affine) @ grid.affine
    whole = _lattice(matrix, grid.shape)
    used = np.round(matrix, _SNAP_DIGITS) if whole is None else whole
    out = _pull(labels, used, grid.shape) if whole is None else _move(labels, whole, grid.shape)
    size = max([int(labels.max(initial=0)), *names]) + 1
    before, after = count_labels(labels, size), count_labels(out, size)
    inside = before if _all_in_field(labels, used, grid.shape) else _counts_in_field(labels, used, grid.shape, size)
    findings = _cut(before, inside, names)
    if whole is None:
        source_ml = voxel_volume_ml(Grid((1, 1, 1), source_affine))
        findings += (_volumes(inside * source_ml, after * voxel_volume_ml(grid), names),)
    return Placed(out, findings + empty_findings(np.flatnonzero(after).tolist(), names))
