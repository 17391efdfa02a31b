"""Which voxels of each organ the noise is read from: a fixed sample, and how deep in the organ they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled

# Lags [voxels] at which pairs of voxels are compared along each axis.
LAGS = 3
# At most this many voxels an organ are looked at: enough for 2 % of its noise, and the cost stays small however large the volume.
_MOST = 8192
# Core wanted at depth 3, 2, 1 [voxels]: deeper is safer against the organ's blurred edge, as long as enough is left to read noise from.
_ENOUGH = {3: 300, 2: 150, 1: 30}


@dataclass(frozen=True, slots=True)
class Sites:
    """Sampled voxels of k organs: ``index`` (m, 3) z, y, x; organ i has rows ``start[i]`` to ``start[i + 1]``.

    ``pairs`` (m,) bit 3·axis + lag - 1 is set where the voxel and the one ``lag`` further along ``axis`` are both in the organ's core;
    ``depth`` (k,) of that core [voxels], 0 where the organ is too small to have one; ``n_core`` (k,) estimated size of the core.
    """

    index: np.ndarray
    start: np.ndarray
    pairs: np.ndarray
    depth: np.ndarray
    n_core: np.ndarray


@compiled
def _pick(labels, label, box, ranks, out):  # type: ignore[no-untyped-def]
    """Voxels of one organ whose rank in raster order is in ``ranks`` (sorted)."""
    seen = taken = 0
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            for x in range(box[2, 0], box[2, 1]):
                if labels[z, y, x] == label:
                    if seen == ranks[taken]:
                        out[taken, 0], out[taken, 1], out[taken, 2] = z, y, x
                        taken += 1
                        if taken == ranks.size:
                            return
                    seen += 1


@compiled
def _depth(labels, z, y, x, label):  # type: ignore[no-untyped-def]
    """How many voxels (at most 3) one can go along every axis both ways without leaving the organ; -1 outside it."""
    nz, ny, nx = labels.shape
    if not (0 <= z < nz and 0 <= y < ny and 0 <= x < nx) or labels[z, y, x] != label:
        return -1
    for step in range(1, 4):
        if z - step < 0 or y - step < 0 or x - step < 0 or z + step >= nz or y + step >= ny or x + step >= nx:
            return step - 1
        if labels[z - step, y, x] != label or labels[z, y - step, x] != label or labels[z, y, x - step] != label:
            return step - 1
        if labels[z + step, y, x] != label or labels[z, y + step, x] != label or labels[z, y, x + step] != label:
            return step - 1
    return 3


@compiled
def _depths(labels, label, index, out):  # type: ignore[no-untyped-def]
    for i in range(index.shape[0]):
        out[i] = _depth(labels, index[i, 0], index[i, 1], index[i, 2], label)


@compiled
def _pairs(labels, label, index, least, out):  # type: ignore[no-untyped-def]
    for i in range(index.shape[0]):
        z, y, x = index[i, 0], index[i, 1], index[i, 2]
        bits = 0
        if _depth(labels, z, y, x, label) >= least:
            for lag in range(1, LAGS + 1):
                bits |= (_depth(labels, z + lag, y, x, label) >= least) << (lag - 1)
                bits |= (_depth(labels, z, y + lag, x, label) >= least) << (LAGS + lag - 1)
                bits |= (_depth(labels, z, y, x + lag, label) >= least) << (2 * LAGS + lag - 1)
        out[i] = bits


def find_sites(labels: np.ndarray, wanted: np.ndarray, n: np.ndarray, box: np.ndarray) -> Sites:
    """A sample of at most 8192 voxels of each organ, spread evenly with a fixed random jitter, and which of them are in its core.

    ``labels`` (z, y, x); ``wanted`` (k,) labels; ``n`` (k,) voxels and ``box`` (k, 3, 2) of each. The core is what is left of the organ
    after going in by 3 voxels along each axis, or 2 or 1 where fewer than 300 or 150 voxels would be left, or all of it.
    """
    random = np.random.default_rng(0)
    index, pairs, depth, n_core = [], [], np.zeros(len(wanted), int), np.zeros(len(wanted))
    for i, label in enumerate(wanted):
        m = int(min(n[i], _MOST))
        # Jittered strata: a plain step would fall on the same column of every row where the step divides the row.
        edges = np.arange(m + 1) * int(n[i]) // max(m, 1)
        ranks = edges[:-1] + (random.random(m) * np.diff(edges)).astype(np.int64)
        here, deep, bits = np.zeros((m, 3), np.int64), np.zeros(m, np.int64), np.zeros(m, np.int64)
        if m:
            _pick(labels, label, box[i], ranks, here)
            _depths(labels, label, here, deep)
            share = int(n[i]) / m
            depth[i] = next((d for d, enough in _ENOUGH.items() if (deep >= d).sum() * share >= enough), 0)
            n_core[i] = (deep >= depth[i]).sum() * share
            _pairs(labels, label, here, depth[i], bits)
        index.append(here)
        pairs.append(bits)
    start = np.concatenate([[0], np.cumsum([len(one) for one in index])]).astype(np.int64)
    return Sites(
        np.concatenate([np.zeros((0, 3), np.int64), *index]), start, np.concatenate([np.zeros(0, np.int64), *pairs]), depth, n_core
    )
