"""What wrong borders do to organ means whose spill-over has been undone: the same drawn borders, and the matrix solved for each.

A border that is moved changes what an organ is measured over and what it is taken to spill: with p_i an organ's shape, p_i' = p_i + δ_i
that of a draw, f the image and h the blur, the draw's means T' solve Σ_j A_ij' T_j' = Σ_x p_i' f with

    A_ij' = Σ_x p_i' (h * p_j') = A_ij + Σ_x δ_i (h * p_j) + Σ_x (h * p_i) δ_j + Σ_x δ_i (h * δ_j).

δ is 0 but near borders, so nothing is blurred as a whole: at those voxels alone h * p and h * δ are gathered from their surroundings.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from tracker.compiled import compiled, processors
from tracker.image import OrganMap
from tracker.quantify.border import Borders, find_borders
from tracker.quantify.boundary import BoundarySd, Draws, draws, fields_at, moved_sums, shared_out, shares_at, spread_of
from tracker.spillover import Spread
from tracker.spillover.width import blur_kernel

# The blur is followed to this many standard deviations: 0.3 % of it lies beyond, which an uncertainty may leave out.
_REACH_SD = 3.0
# Changes of share that are held at a time; of a very large map fewer draws are worked on together.
_MOST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class MixedBorders:
    """Borders among the regions of a spread matrix, and what moving them does to it; the same for all frames of a scan.

    Region ``len(n)`` is background that is not measured, or what holds nothing. ``matrices`` (K, k, k): A' of each draw, what region j
    gives to the voxels that are measured as region i, if it holds 1.
    """

    borders: Borders
    spread: Spread
    moving: Draws
    matrices: np.ndarray


def mixed_borders(organ_map: OrganMap, spread: Spread, moving: Draws | None = None) -> MixedBorders | None:
    """The borders in doubt of the map that ``spread`` was made of, None where there is none; about a second for a mouse."""
    borders = find_borders(organ_map.labels, np.array(spread.labels, np.int64), organ_map.boundary_sd_mm, organ_map.grid)
    if borders is None:
        return None
    if spread.near is not None and 0 in spread.labels:
        region = borders.region.copy()
        region[(region == spread.labels.index(0)) & ~spread.near] = len(borders.n)
        borders = replace(borders, region=region)
    moving = moving or draws()
    changes = np.concatenate([_changes(borders, spread, some) for some in _groups(moving, len(borders.place))], axis=2)
    k = len(spread.labels)
    matrices = spread.matrix[..., None] * spread.n[:, None, None] + changes[:k, :k]
    if 0 in spread.labels:
        # Background that is not measured is a source like the rest of it.
        matrices[:, spread.labels.index(0)] += changes[:k, k]
    return MixedBorders(borders, spread, moving, np.ascontiguousarray(np.moveaxis(matrices, 2, 0)))


@dataclass(frozen=True, slots=True)
class _Moved:
    """Change of share of some draws: voxel i has entries ``start[i]`` to ``start[i + 1]``, each of an ``organ`` (s,), ``share`` (s, K)."""

    start: np.ndarray
    organ: np.ndarray
    share: np.ndarray


@compiled
def _entries(region, doubted, place, source, borders, moving, n_regions):  # type: ignore[no-untyped-def]
    """Per voxel how many organs its share changes of, and those organs with the change in each draw."""
    n_draws = moving[1].shape[3]
    field, steps = np.empty(n_draws, np.float32), np.empty((3, n_draws), np.float32)
    organs, weights, slot = np.empty(8, np.int64), np.empty(8), np.full(n_regions, -1)
    count, m = np.zeros(place.shape[0], np.int64), 0
    organ_of, share = np.empty(2 * place.shape[0] + 8, np.int16), np.empty((2 * place.shape[0] + 8, n_draws), np.float32)
    for i in range(place.shape[0]):
        fields_at(place[i], source[i], borders, moving, field, steps)
        own, first = region[place[i, 0], place[i, 1], place[i, 2]], m
        for k in range(n_draws):
            for j in range(shares_at(region, doubted, place[i], steps, k, organs, weights)):
                for loses in range(2):
                    organ, weight = (np.int64(own), -weights[j]) if loses else (organs[j], weights[j])
                    if slot[organ] < first:
                        if m == organ_of.size:
                            more, wider = np.empty(2 * m, np.int16), np.empty((2 * m, n_draws), np.float32)
                            more[:m], wider[:m] = organ_of, share
                            organ_of, share = more, wider
                        slot[organ], organ_of[m] = m, organ
                        share[m] = 0.0
                        m += 1
                    share[slot[organ], k] += weight
        count[i] = m - first
    return count, organ_of[:m].copy(), share[:m].copy()


@compiled
def _gather(region, number, place, moved, kernels, first, matrix):  # type: ignore[no-untyped-def]
    """Adds to ``matrix`` (k + 1, k + 1, K) what the draws change of A, for the voxels ``place``.

    ``first`` is the number of the first of them in ``number`` (z, y, x), -1 where no border is near.
    """
    start, organ_of, share = moved
    kz, ky, kx = kernels
    rz, ry, rx = kz.size // 2, ky.size // 2, kx.size // 2
    least = kz[rz] * ky[ry] * kx[rx] * np.exp(-0.5 * _REACH_SD**2)
    n_regions, n_draws = matrix.shape[0], matrix.shape[2]
    shape, change, touched = np.zeros(n_regions), np.zeros((n_regions, n_draws), np.float32), np.zeros(n_regions, np.bool_)
    for i in range(place.shape[0]):
        z0, y0, x0 = place[i]
        if start[first + i] == start[first + i + 1]:
            continue
        shape[:] = 0.0
        for z in range(max(z0 - rz, 0), min(z0 + rz + 1, region.shape[0])):
            for y in range(max(y0 - ry, 0), min(y0 + ry + 1, region.shape[1])):
                line = kz[z - z0 + rz] * ky[y - y0 + ry]
                for x in range(max(x0 - rx, 0), min(x0 + rx + 1, region.shape[2])):
                    weight = line * kx[x - x0 + rx]
                    shape[region[z, y, x]] += weight
                    other = number[z, y, x]
                    # Each pair of voxels once, from the one with the lower number; its two sides are added below.
                    if other >= first + i and weight >= least:
                        part = np.float32(0.5 * weight if other == first + i else weight)
                        for e in range(start[other], start[other + 1]):
                            into, given = change[organ_of[e]], share[e]
                            touched[organ_of[e]] = True
                            for k in range(n_draws):
                                into[k] += part * given[k]
        for e in range(start[first + i], start[first + i + 1]):
            organ, mine = organ_of[e], share[e]
            for r in range(n_regions):
                if shape[r] > 0.0 or touched[r]:
                    for k in range(n_draws):
                        both = mine[k] * (np.float32(shape[r]) + change[r, k])
                        matrix[organ, r, k] += both
                        matrix[r, organ, k] += both
        for r in range(n_regions):
            if touched[r]:
                change[r], touched[r] = 0.0, False


def _moved(borders: Borders, moving: Draws) -> _Moved:
    fixed, drawn, parts = shared_out(borders, moving)
    regions = len(borders.n) + 1

    def one(part: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found: tuple[np.ndarray, np.ndarray, np.ndarray] = _entries(
            borders.region, borders.doubted, borders.place[part], borders.source[part], fixed, drawn, regions
        )
        return found

    with ThreadPoolExecutor(processors()) as pool:
        count, organ, share = (np.concatenate(one) for one in zip(*pool.map(one, parts), strict=True))
    return _Moved(np.concatenate([[0], np.cumsum(count)]), organ, share)


def _changes(borders: Borders, spread: Spread, moving: Draws) -> np.ndarray:
    """What some draws change of A (k + 1, k + 1, K)."""
    moved, k = _moved(borders, moving), len(borders.n) + 1
    number = np.full(borders.region.shape, -1, np.int32)
    number[tuple(borders.place.T)] = np.arange(len(borders.place))
    kernels = tuple(_cut(blur_kernel(sd), sd) for sd in spread.sd_voxels)

    def one(part: slice) -> np.ndarray:
        matrix = np.zeros((k, k, len(moving.shift)))
        _gather(borders.region, number, borders.place[part], (moved.start, moved.organ, moved.share), kernels, part.start, matrix)
        return matrix

    with ThreadPoolExecutor(processors()) as pool:
        return np.asarray(sum(pool.map(one, shared_out(borders, moving)[2])))


def _cut(kernel: np.ndarray, sd: float) -> np.ndarray:
    middle, reach = kernel.size // 2, int(np.ceil(_REACH_SD * sd))
    kept = kernel[max(middle - reach, 0) : middle + reach + 1]
    return np.asarray(kept / kept.sum())


def boundary_sd_unmixed(values: np.ndarray, mixed: MixedBorders, means: np.ndarray, true: np.ndarray) -> BoundarySd:
    """As `boundary_sd`, for the true means ``true`` (k,) that `unmix` made of the measured ``means`` (k,), by the spread's labels.

    ``values`` (z, y, x) one frame. A region without a mean (NaN) is left out, as `unmix` does it; a NaN voxel counts as its region's mean.
    The boundary's error of two neighbours is shared, with the other sign: it is in the sd of each, and no covariance is given.
    """
    borders, spread = mixed.borders, mixed.spread
    table = np.append(np.nan_to_num(means), 0.0)
    filled = np.where(np.isfinite(values), values, table[borders.region].astype(values.dtype))
    changes = moved_sums(filled, borders, np.zeros(len(means)), mixed.moving)
    there = np.flatnonzero(np.isfinite(true))
    right = spread.n * np.nan_to_num(means) + changes[:, :, 0]
    step = np.full(changes.shape[:2], np.nan)
    whole = mixed.matrices[:, there[:, None], there]
    step[:, there] = np.linalg.solve(whole, right[:, there, None])[..., 0] - true[there]
    return spread_of(step, np.nan_to_num(true), borders, borders.n + changes[:, :, 2])


def _groups(moving: Draws, voxels: int) -> Sequence[Draws]:
    """The draws, as many at a time as memory allows for; two organs a voxel, four bytes each."""
    most = int(np.clip(_MOST_BYTES // (8 * max(voxels, 1)), 1, len(moving.shift)))
    starts = range(0, len(moving.shift), most)
    return [Draws(moving.shift[a : a + most], np.ascontiguousarray(moving.block[..., a : a + most])) for a in starts]
