"""How much of each region's blurred shape lies in each other region: compiled, and only as far as the blur reaches."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled, processors

# A region's shape is blurred this many of its planes at a time: bounds the memory, and lets threads share one large region.
_PLANES = 32


@compiled
def _blur_plane(region, z, one, two, low_y, low_x, ky, up_to, lines, plane):  # type: ignore[no-untyped-def]
    """Voxels of plane z in region ``one`` or ``two``, blurred along x, then y, into ``plane``, whose first voxel is (low_y, low_x)."""
    ry, rx = ky.size // 2, up_to.size // 2 - 1
    n_y, n_x = plane.shape
    used = np.zeros(n_y, np.bool_)
    for y in range(n_y):
        marks, line, x = region[z, low_y + y, low_x : low_x + n_x], lines[y], 0
        while x < n_x:
            start = x
            while x < n_x and (marks[x] == one or marks[x] == two):
                x += 1
            if x == start:
                x += 1
                continue
            if not used[y]:
                used[y] = True
                for i in range(n_x):
                    line[i] = 0.0
            # A run of voxels gives each place the kernel's sum between the distances to its two ends.
            for i in range(max(start - rx, 0), min(x + rx, n_x)):
                line[i] += up_to[min(i - start + rx + 1, 2 * rx + 1)] - up_to[max(i - x + rx + 1, 0)]
    for y in range(n_y):
        if used[y]:
            line = lines[y]
            for i in range(max(y - ry, 0), min(y + ry + 1, n_y)):
                weight, out = ky[i - y + ry], plane[i]
                for x in range(n_x):
                    out[x] += weight * line[x]


@compiled
def _overlap(region, one, two, box, kz, ky, up_to, sums):  # type: ignore[no-untyped-def]
    """Adds to ``sums[r + 1]`` what the voxels of region ``one`` or ``two`` in the box give to region r = -1, 0, 1 …"""
    rz, ry, rx = kz.size // 2, ky.size // 2, up_to.size // 2 - 1
    low_y, high_y = max(box[1, 0] - ry, 0), min(box[1, 1] + ry, region.shape[1])
    low_x, high_x = max(box[2, 0] - rx, 0), min(box[2, 1] + rx, region.shape[2])
    n_y, n_x = high_y - low_y, high_x - low_x
    planes = np.zeros((box[0, 1] - box[0, 0], n_y, n_x), np.float32)
    lines = np.empty((n_y, n_x), np.float32)
    for z in range(box[0, 0], box[0, 1]):
        _blur_plane(region, z, one, two, low_y, low_x, ky, up_to, lines, planes[z - box[0, 0]])
    row = np.empty(n_x, np.float32)
    for z in range(max(box[0, 0] - rz, 0), min(box[0, 1] + rz, region.shape[0])):
        for y in range(n_y):
            for x in range(n_x):
                row[x] = 0.0
            for source in range(max(z - rz, box[0, 0]), min(z + rz + 1, box[0, 1])):
                weight, given = kz[source - z + rz], planes[source - box[0, 0], y]
                for x in range(n_x):
                    row[x] += weight * given[x]
            marks, x = region[z, low_y + y, low_x:high_x], 0
            while x < n_x:
                mark, total = marks[x], 0.0
                while x < n_x and marks[x] == mark:
                    total += row[x]
                    x += 1
                sums[mark + 1] += total


@dataclass(frozen=True, slots=True)
class Regions:
    """Which region a voxel is in: ``number`` (z, y, x) int16, 0 … k-1, -1 one that holds nothing, -2 one whose label nobody named.

    A voxel of number k is part of the shape of the background region but not measured. ``n`` (k,) voxels of each region; ``box``
    (k, 3, 2) first and one past the last of them along each axis.
    """

    number: np.ndarray
    n: np.ndarray
    box: np.ndarray


@compiled
def _number(labels, table, number, n, box):  # type: ignore[no-untyped-def]
    unnamed = 0
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            stop = 0
            while stop < labels.shape[2]:
                start, label = stop, labels[z, y, stop]
                region = -1 if label < 0 else table[label] if label < table.size else -2
                while stop < labels.shape[2] and labels[z, y, stop] == label:
                    number[z, y, stop] = region
                    stop += 1
                unnamed += region == -2
                if region >= 0:
                    n[region] += stop - start
                    own = box[region]
                    own[0, 0], own[0, 1] = min(own[0, 0], z), max(own[0, 1], z + 1)
                    own[1, 0], own[1, 1] = min(own[1, 0], y), max(own[1, 1], y + 1)
                    own[2, 0], own[2, 1] = min(own[2, 0], start), max(own[2, 1], stop)
    return unnamed


def number_regions(labels: np.ndarray, wanted: Sequence[int]) -> tuple[Regions, bool]:
    """The regions of ``wanted`` labels by their place in that list, and whether the map has a label > 0 that is not in it."""
    labels = labels.astype(labels.dtype.newbyteorder("="), copy=False)
    table = np.full(max(wanted) + 1, -2, np.int16)
    table[0] = -1
    table[list(wanted)] = np.arange(len(wanted))
    number, n = np.empty(labels.shape, np.int16), np.zeros(len(wanted), np.int64)
    box = np.zeros((len(wanted), 3, 2), np.int64)
    box[..., 0] = max(labels.shape)
    unnamed = _number(labels, table, number, n, box)
    return Regions(number, n, box), bool(unnamed)


def overlaps(regions: Regions, background: int | None, kernels: Sequence[np.ndarray]) -> np.ndarray:
    """M (k, k): M_ij = Σ over the voxels x of region i of (h * p_j)(x), h the product of three ``kernels`` (z, y, x), p_j region j's shape.

    Nothing is known outside the field: no activity is taken to lie there. The sums are the same for any number of threads.
    """
    k, tasks = len(regions.n), []
    for j, box in enumerate(regions.box):
        for start in range(box[0, 0], box[0, 1], _PLANES):
            part = box.copy()
            part[0] = start, min(start + _PLANES, box[0, 1])
            tasks.append((j, k if j == background else j, part))
    # Along x the kernel is needed as its sum up to each place.
    z, y, x = kernels
    weights = [np.ascontiguousarray(kernel, np.float32) for kernel in (z, y, np.cumsum([0.0, *x]))]

    def one(task: tuple[int, int, np.ndarray]) -> np.ndarray:
        sums = np.zeros(k + 2)
        _overlap(regions.number, *task, *weights, sums)
        return sums

    found = np.zeros((k, k))
    with ThreadPoolExecutor(processors()) as pool:
        for (j, _, _), sums in zip(tasks, pool.map(one, tasks), strict=True):
            found[:, j] += sums[1 : k + 1]
    return found
