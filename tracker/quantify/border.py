"""Where an organ map's borders are in doubt: the voxels near them, which way each border faces, and how far it may have moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled
from tracker.image import Grid, voxel_size_mm

# A border is never moved further than this many of its standard deviations (0.2 % of draws would be): what lies beyond is not looked at.
REACH_SD = 3.5
# Weights of a Gaussian of one voxel along an axis, and of its slope: together the gradient of an organ's softened shape.
_SOFT = np.exp(-0.5 * np.arange(-2, 3) ** 2)
# Places that are found before room for more is made.
_ROOM = 1 << 14


@dataclass(frozen=True, slots=True)
class Borders:
    """Voxels that a border in doubt may reach.

    ``region`` (z, y, x) int16: place of the voxel's organ in the list of organs, ``len(n)`` where it has none; ``n`` (k,) voxels of each;
    ``doubted`` (k + 1,) whose border is in doubt. ``place`` (m, 3) z, y, x of the voxels; ``source`` (m,) the piece of border that each
    belongs to; of the pieces: ``normal`` (p, 3) unit vectors from the smaller organ to the larger, along z, y, x; ``sd_mm`` (p,);
    ``scale_mm`` (p,) size of the smaller organ (radius of the sphere of its volume); ``voxel_mm`` along z, y, x.
    """

    region: np.ndarray
    n: np.ndarray
    doubted: np.ndarray
    place: np.ndarray
    source: np.ndarray
    normal: np.ndarray
    sd_mm: np.ndarray
    scale_mm: np.ndarray
    voxel_mm: tuple[float, float, float]


@compiled
def _fill_region(labels, table, region, n):  # type: ignore[no-untyped-def]
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                label = labels[z, y, x]
                organ = table[label] if 0 <= label < table.size else n.size
                region[z, y, x] = organ
                if organ < n.size:
                    n[organ] += 1


@compiled
def _longer(array):  # type: ignore[no-untyped-def]
    out = np.empty((2 * array.shape[0], array.shape[1]), array.dtype)
    out[: array.shape[0]] = array
    return out


@compiled
def _pieces(region, sd, rank, seen):  # type: ignore[no-untyped-def]
    """Voxels with a neighbour across a border in doubt: z, y, x, its smaller organ, its larger one, and the way from one to the other."""
    found, m = np.empty((_ROOM, 6), np.int32), 0
    for z in range(region.shape[0]):
        for y in range(region.shape[1]):
            for x in range(region.shape[2]):
                own = region[z, y, x]
                for way in range(6):
                    axis, step = way // 2, 1 if way % 2 else -1
                    z1, y1, x1 = z + step * (axis == 0), y + step * (axis == 1), x + step * (axis == 2)
                    if not (0 <= z1 < region.shape[0] and 0 <= y1 < region.shape[1] and 0 <= x1 < region.shape[2]):
                        continue
                    other = region[z1, y1, x1]
                    if other != own and max(sd[own], sd[other]) > 0.0:
                        if m == found.shape[0]:
                            found = _longer(found)
                        outward = rank[own] < rank[other]
                        found[m, 0], found[m, 1], found[m, 2] = z, y, x
                        found[m, 3], found[m, 4] = (own, other) if outward else (other, own)
                        found[m, 5] = way if outward else way ^ 1
                        seen[z, y, x] = 1
                        m += 1
                        break
    return found[:m]


@compiled
def _normals(region, pieces, soft, voxel_mm, out):  # type: ignore[no-untyped-def]
    """Away from the smaller organ: minus the gradient of its shape, softened alike along all axes, which is exact for a plane."""
    for i in range(pieces.shape[0]):
        organ, g = pieces[i, 3], np.zeros(3)
        for dz in range(-2, 3):
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    z, y, x = pieces[i, 0] + dz, pieces[i, 1] + dy, pieces[i, 2] + dx
                    if 0 <= z < region.shape[0] and 0 <= y < region.shape[1] and 0 <= x < region.shape[2] and region[z, y, x] == organ:
                        weight = soft[dz + 2] * soft[dy + 2] * soft[dx + 2]
                        g[0], g[1], g[2] = g[0] - weight * dz, g[1] - weight * dy, g[2] - weight * dx
        # The smaller organ is on one side of the voxel's middle or the other; of a sheet one voxel thin both sides cancel out.
        g /= voxel_mm
        size = np.sqrt((g * g).sum())
        if size < 1e-3 / voxel_mm.min():
            g[:], size = 0.0, 1.0
            g[pieces[i, 5] // 2] = 1.0 if pieces[i, 5] % 2 else -1.0
        out[i] = g / size


@compiled
def _spread_out(region, pieces, reach_mm, voxel_mm, seen):  # type: ignore[no-untyped-def]
    """The pieces' voxels and, ring by ring, their neighbours within reach: z, y, x, piece."""
    found, m = np.empty((max(2 * pieces.shape[0], 1), 4), np.int32), pieces.shape[0]
    for i in range(m):
        found[i, 0], found[i, 1], found[i, 2], found[i, 3] = pieces[i, 0], pieces[i, 1], pieces[i, 2], i
    i = 0
    while i < m:
        z0, y0, x0, piece = found[i]
        for z in range(max(z0 - 1, 0), min(z0 + 2, region.shape[0])):
            for y in range(max(y0 - 1, 0), min(y0 + 2, region.shape[1])):
                for x in range(max(x0 - 1, 0), min(x0 + 2, region.shape[2])):
                    if seen[z, y, x]:
                        continue
                    # Interpolation looks one voxel further, so that a corner of the other organ counts as soon as anything moves.
                    own = region[pieces[piece, 0], pieces[piece, 1], pieces[piece, 2]]
                    less = 0 if region[z, y, x] == own else 1
                    dz = max(abs(z - pieces[piece, 0]) - less, 0) * voxel_mm[0]
                    dy = max(abs(y - pieces[piece, 1]) - less, 0) * voxel_mm[1]
                    dx = max(abs(x - pieces[piece, 2]) - less, 0) * voxel_mm[2]
                    if dz * dz + dy * dy + dx * dx > reach_mm[piece] ** 2:
                        continue
                    if m == found.shape[0]:
                        found = _longer(found)
                    seen[z, y, x] = 1
                    found[m, 0], found[m, 1], found[m, 2], found[m, 3] = z, y, x, piece
                    m += 1
        i += 1
    return found[:m]


def find_borders(labels: np.ndarray, wanted: np.ndarray, boundary_sd_mm: Mapping[int, float], grid: Grid) -> Borders | None:
    """The voxels within reach of a border in doubt, None where no border of the map is.

    ``labels`` (z, y, x) integers, ``wanted`` (k,) labels of the organs; a label that is not wanted is no organ. The border between two
    organs is one surface: it is in doubt by the larger of their two ``boundary_sd_mm``, whichever of them states it.
    """
    k = len(wanted)
    table = np.full(max(int(max(wanted, default=0)), 0) + 1, k, np.int16)
    table[wanted] = np.arange(k)
    sd = np.array([*(float(boundary_sd_mm.get(int(label), 0.0)) for label in wanted), 0.0])
    if not (sd > 0).any():
        return None
    region, n = np.empty(labels.shape, np.int16), np.zeros(k, np.int64)
    _fill_region(labels.astype(labels.dtype.newbyteorder("="), copy=False), table, region, n)
    # What is in no organ is larger than any organ.
    rank = np.append(np.argsort(np.argsort(n, kind="stable"), kind="stable"), k)
    seen = np.zeros(labels.shape, np.uint8)
    pieces = _pieces(region, sd, rank, seen)
    if not len(pieces):
        return None
    voxel_mm = np.array(voxel_size_mm(grid))
    normal = np.empty((len(pieces), 3), np.float32)
    _normals(region, pieces, _SOFT, voxel_mm, normal)
    sd_mm = np.maximum(sd[pieces[:, 3]], sd[pieces[:, 4]])
    near = _spread_out(region, pieces, REACH_SD * sd_mm, voxel_mm, seen)
    scale_mm = np.append((3 * n * voxel_mm.prod() / (4 * np.pi)) ** (1 / 3), np.nan)[pieces[:, 3]]
    return Borders(
        region, n, sd > 0, near[:, :3], near[:, 3], normal, sd_mm.astype(np.float32), scale_mm.astype(np.float32), tuple(voxel_mm)
    )
