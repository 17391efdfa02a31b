"""Organs and images brought from the moving scan to the fixed one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tracker.compiled import compiled_unguarded as compiled
from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap, voxel_volume_ml
from tracker.register.kernels import sample
from tracker.register.slabs import in_slabs
from tracker.register.transform import Transform, bend_on_grid, index_matrix

WARN_VOLUME_SHARE = 0.15
_MAX_LABEL = 65535
_VOXELS_AT_ONCE = 16_000_000


@compiled
def _carry(labels, matrix, field, out, slab, first, last):  # type: ignore[no-untyped-def]
    """The label with the largest trilinear weight among the eight voxels around the point; a tie goes to the smaller label."""
    nz, ny, nx = labels.shape
    bent = field.shape[0] > 0
    mark, weight = np.empty(8, labels.dtype), np.empty(8, np.float64)
    for z in range(first, last):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                a, b, c = np.float64(z), np.float64(y), np.float64(x)
                if bent:
                    a, b, c = a + field[z, y, x, 0], b + field[z, y, x, 1], c + field[z, y, x, 2]
                p = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]
                q = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]
                r = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
                if not ((p > -1) & (q > -1) & (r > -1) & (p < nz) & (q < ny) & (r < nx)):
                    out[z, y, x] = 0
                    continue
                i, j, k = int(np.floor(p)), int(np.floor(q)), int(np.floor(r))
                u, v, w = p - i, q - j, r - k
                n = 0
                for corner in range(8):
                    dz, dy, dx = corner >> 2, (corner >> 1) & 1, corner & 1
                    zz, yy, xx = i + dz, j + dy, k + dx
                    here = (u if dz else 1 - u) * (v if dy else 1 - v) * (w if dx else 1 - w)
                    inside = (zz >= 0) & (yy >= 0) & (xx >= 0) & (zz < nz) & (yy < ny) & (xx < nx)
                    label = labels[zz, yy, xx] if inside else 0
                    found = -1
                    for m in range(n):
                        found = m if mark[m] == label else found
                    if found < 0:
                        mark[n], weight[n], n = label, here, n + 1
                    else:
                        weight[found] += here
                best = 0
                for m in range(1, n):
                    # What rounding alone tells apart is a tie.
                    more, same = weight[m] > weight[best] + 1e-9, abs(weight[m] - weight[best]) <= 1e-9
                    best = m if more or (same and mark[m] < mark[best]) else best
                out[z, y, x] = mark[best]


def _maps(transform: Transform, source: Grid, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    matrix = np.linalg.inv(index_matrix(source)) @ transform.affine @ index_matrix(grid)
    field = np.empty((0, 0, 0, 3), np.float32) if transform.bend is None else bend_on_grid(transform.bend, grid)
    return np.ascontiguousarray(matrix[:3]), field


def _parts(grid: Grid) -> Iterator[tuple[int, Grid]]:
    """The grid in pieces of so many planes that the bend on one needs 0.2 GB, each with the number of its first plane."""
    planes = max(_VOXELS_AT_ONCE // (grid.shape[1] * grid.shape[2]), 1)
    for first in range(0, grid.shape[0], planes):
        affine = grid.affine.astype(np.float64, copy=True)
        affine[:3, 3] += first * affine[:3, 2]
        yield first, Grid((min(planes, grid.shape[0] - first), *grid.shape[1:]), affine)


def carry_values(values: np.ndarray, source: Grid, transform: Transform, grid: Grid) -> np.ndarray:
    """An image (z, y, x) of the moving scan on a grid of the fixed scan, float32, trilinear; NaN outside and where NaN takes part.

    For people to look at: an organ's mean is measured on the scan's own voxels, as interpolation changes noise and sums.
    """
    matrix, field = _maps(transform, source, grid)
    return sample(np.ascontiguousarray(values, np.float32), matrix, grid.shape, field if field.size else None)[..., 0]


def carry_map(organ_map: OrganMap, transform: Transform, grid: Grid) -> OrganMap:
    """The organs of the moving scan on a grid of the fixed scan: each voxel gets the organ whose share, linearly interpolated, is largest.

    The largest share keeps borders where they were drawn, to a fraction of a voxel; the nearest label is off by up to half a voxel.
    Findings tell each organ's volume before and after (a bend *may* change volumes, so this is no error) and what left the grid.
    Raises `InputError` ``organs_outside_scan`` where no organ arrives, ``carry_labels`` where labels are no integers from 0 to 65535.
    """
    labels = organ_map.labels
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0 or labels.max(initial=0) > _MAX_LABEL:
        found = f"{labels.dtype}, {labels.min()} to {labels.max()}"
        raise InputError("carry_labels", "labels must be integers from 0 to 65535", found=found)
    out, source = np.empty(grid.shape, np.uint16), np.ascontiguousarray(labels, np.uint16)
    for first, part in _parts(grid):
        matrix, field = _maps(transform, organ_map.grid, part)
        in_slabs(_carry, part.shape[0], source, matrix, field, out[first : first + part.shape[0]])
    if labels.any() and not out.any():
        do = "look at both scans and their frames"
        raise InputError("organs_outside_scan", "no organ lies in the scan's field after registration", do=do)
    findings = organ_map.findings + transform.findings + (_volumes(organ_map, out, grid),)
    return OrganMap(out, dict(organ_map.names), grid, "registered", findings)


def _volumes(before: OrganMap, labels: np.ndarray, grid: Grid) -> Finding:
    """Change of each organ's volume; ``warn`` from 15 % on, or where one is gone."""
    size = max(int(before.labels.max(initial=0)), *before.names, 0) + 1
    old_ml = np.bincount(before.labels.ravel(), minlength=size) * voxel_volume_ml(before.grid)
    new_ml = np.bincount(labels.ravel(), minlength=size) * voxel_volume_ml(grid)
    change = {name: new_ml[i] / old_ml[i] - 1 for i, name in before.names.items() if old_ml[i] > 0}
    text = ", ".join(f"{name} {share:+.1%}" for name, share in change.items())
    far = max((abs(share) for share in change.values()), default=0.0)
    return Finding("carried_volume", "warn" if far > WARN_VOLUME_SHARE else "ok", f"change of volume by registration: {text}")
