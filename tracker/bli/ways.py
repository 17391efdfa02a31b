"""The straight way of light from voxels to points of the skin, and what is left of it there: compiled loops of `tracker.bli.spread`."""

from __future__ import annotations

import math

import numpy as np

from tracker.compiled import compiled_unguarded

# Beyond it next to nothing arrives: 25 mm of muscle let through e^-5 even at 700 nm.
REACH_MM = 25.0
# Attenuations beyond e^-25 are nothing.
_LARGEST_LOSS = 25.0
# Ways are looked at in so many places at most.
_STEPS = 20
# From this many of its edges away a block is one source.
_FAR = 4.0
# Distances and cosines that tables are made for; steps of 2 % in distance are not interpolated.
SHORTEST_MM, LONGEST_MM, DISTANCES, COSINES = 0.1, 30.0, 281, 13


@compiled_unguarded
def _ways(point, source, tissue, origin, size, ways):  # type: ignore[no-untyped-def]
    """Length of the straight way from point to source, both on the grid, in each tissue; returns the whole length."""
    dx, dy, dz = source[0] - point[0], source[1] - point[1], source[2] - point[2]
    r = math.sqrt(dx * dx + dy * dy + dz * dz)
    n = min(int(r / size[0]) + 1, _STEPS)
    # Whole numbers with 20 binary digits after the point.
    scale = 1048576.0
    ax, ay, az = int(dx / size[0] / n * scale), int(dy / size[1] / n * scale), int(dz / size[2] / n * scale)
    x = int(((point[0] - origin[0]) / size[0] + 0.5) * scale) + ax // 2
    y = int(((point[1] - origin[1]) / size[1] + 0.5) * scale) + ay // 2
    z = int(((point[2] - origin[2]) / size[2] + 0.5) * scale) + az // 2
    ways[:] = 0.0
    last, run = np.uint64(0), 0
    for _ in range(n):
        here = np.uint64(tissue[np.uint64(z >> 20), np.uint64(y >> 20), np.uint64(x >> 20)])
        if here != last:
            ways[last] += run
            last, run = here, 0
        run += 1
        x, y, z = x + ax, y + ay, z + az
    ways[last] += run
    ways *= r / n
    return r


@compiled_unguarded
def _one(point, normal, source, own, tissue, origin, size, attenuation, ends, steep, gain, ways, lost, spread, seen, row, hidden):  # type: ignore[no-untyped-def]
    """Adds to ``row`` (w) the fluence at a point of the skin from one source in the tissue ``own``; tables as in `_Media`."""
    n_w, n_r, n_c = attenuation.shape[1], gain.shape[0], gain.shape[1]
    edge, share = source[3], source[4]
    r = max(_ways(point, source, tissue, origin, size, ways), 1e-9)
    along = (point[0] - source[0]) * normal[0] + (point[1] - source[1]) * normal[1] + (point[2] - source[2]) * normal[2]
    # A voxel is no point: within it the mean of 1/r is that of a place some way off.
    apart = max(r, 0.4 * edge)
    step = math.log(LONGEST_MM / SHORTEST_MM) / (n_r - 1)
    i = int(min(max(math.log(apart / SHORTEST_MM) / step + 0.5, 0.0), n_r - 1.0))
    v = min(max(along / r, 0.0) * (n_c - 1), n_c - 1.001)
    j = int(v)
    v -= j
    lost[:] = 0.0
    spread[:] = 0.0
    for t in range(ways.size):
        if ways[t] > 0.0:
            for w in range(n_w):
                lost[w] += ways[t] * attenuation[t, w]
                spread[w] += ways[t] * (apart / r) / steep[i, t, w]
    for w in range(n_w):
        border = ends[own, w] * steep[i, own, w] + ends[0, w] * steep[i, 0, w]
        seen[w] = share * (gain[i, j, w] * (1.0 - v) + gain[i, j + 1, w] * v) / (2.0 * math.pi * border * spread[w])
    for w in range(n_w):
        if lost[w] < _LARGEST_LOSS:
            row[w] += seen[w] * math.exp(-lost[w])
    # Halfway through the wavelengths: what the light lost in tissues that are neither the source's nor the body's.
    w = n_w // 2
    if lost[w] < _LARGEST_LOSS:
        others = lost[w] - ways[own] * attenuation[own, w] - (ways[0] * attenuation[0, w] if own != 0 else 0.0)
        hidden[0] += seen[w] * math.exp(-lost[w]) * others


@compiled_unguarded
def light(points, normals, blocks, sources, medium, tissue, origin, size, attenuation, ends, steep, gain, out, hidden):  # type: ignore[no-untyped-def]
    """Adds to ``out`` (point, organ, w) the fluence at the skin, to ``hidden`` (point, organ, 1) that times what other organs took of it.

    ``blocks``, ``sources`` (n, 7): x, y, z, edge, share, organ, first source. Far from a block its sources are one.
    ``medium`` is each organ's tissue.
    """
    n_w = attenuation.shape[1]
    ways, lost, spread, seen = np.zeros(attenuation.shape[0]), np.zeros(n_w), np.zeros(n_w), np.zeros(n_w)
    for p in range(points.shape[0]):
        for b in range(blocks.shape[0] - 1):
            dx, dy, dz = blocks[b, 0] - points[p, 0], blocks[b, 1] - points[p, 1], blocks[b, 2] - points[p, 2]
            away = math.sqrt(dx * dx + dy * dy + dz * dz)
            if away > REACH_MM:
                continue
            far, first = away > _FAR * blocks[b, 3], int(blocks[b, 6])
            chosen = blocks[b : b + 1] if far else sources[first : int(blocks[b + 1, 6])]
            organ = int(blocks[b, 5])
            own, row = medium[organ], out[p, organ]
            for s in range(chosen.shape[0]):
                _one(points[p], normals[p], chosen[s], own, tissue, origin, size,
                     attenuation, ends, steep, gain, ways, lost, spread, seen, row, hidden[p, organ])  # fmt: skip
