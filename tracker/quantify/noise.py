"""How noisy an organ's mean and sum are, read from the one image at hand: its noise is correlated between neighbouring voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled
from tracker.quantify.sites import LAGS, Sites

# Correlation lengths tried [voxels]: 0 is white; above 4 the noise has no scale of its own left within an organ.
_LENGTHS = np.concatenate([[0.0], np.geomspace(0.2, 4.0, 120)])
# An organ's own estimate and the one from the other organs weigh the same at this many independent noise cells in its core.
_EVEN_CELLS = 10.0
# Voxels an organ over which the correlation sum is averaged: within 1 to 2 % of all of them.
_CENTRES = 512


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise of k organs: ``variance`` (k,) of one voxel [unit²], NaN where unknown; ``length`` (z, y, x) correlation length s [voxels].

    ``cells`` (k,) number of voxels that vary as one, Σ_ij ρ(i-j) / n: the variance of the organ's mean is variance · cells / n.
    """

    variance: np.ndarray
    length: np.ndarray
    cells: np.ndarray


def correlation(distance: np.ndarray, length: float) -> np.ndarray:
    """ρ(d) = exp(-d²/(4 s²)): correlation at ``distance`` d [voxels] of white noise filtered by a Gaussian of standard deviation s.

    >>> correlation(np.array([0.0, 2.0]), 1.0).round(4).tolist()
    [1.0, 0.3679]
    """
    distance = np.asarray(distance, float)
    return np.where(distance == 0, 1.0, 0.0) if length == 0 else np.exp(-(distance**2) / (4.0 * length**2))


def organ_noise(values: np.ndarray, labels: np.ndarray, wanted: np.ndarray, mean: np.ndarray, sites: Sites) -> Noise:
    """Variance of a voxel and correlation of the noise of each organ, from one frame ``values`` (z, y, x) alone.

    1. Half the mean squared difference of voxels d = 1, 2, 3 apart along each axis, γ(d), both in the organ's core (`sites`). A
       difference needs no mean, so none has to be removed and corrected for, and slow true variation within an organ drops out.
    2. γ(d) = σ² (1 - ρ(d)), ρ(d) = exp(-d²/(4 s²)): s is fitted for each organ and axis in log γ; the median over organs with a
       core, weighted by core size, is the scan's s of that axis. One strange organ cannot turn it.
    3. σ² of an organ = Σ γ / Σ (1 - ρ) over its pairs.
    4. Small organs: σ² = a · mean + b (a, b ≥ 0: counting noise and a floor) fitted to the organs that have a core; the two estimates
       are averaged, the organ's own with weight c / (c + 10), c the number of independent noise cells in its core.
    5. cells = mean over i of Σ_j ρ(i-j), j in the organ: var(mean) = σ² · cells / n, var(sum) = σ² · cells · n.

    ``labels`` (z, y, x), ``wanted`` (k,) labels, ``mean`` (k,) organ means. Not included: spill-over, how the organ was drawn, motion,
    calibration; noise whose correlation is longer than about 4 voxels or not Gaussian. An organ without two comparable voxels, in a
    scan where no organ has a core, gets NaN.
    """
    squares, count = _pair_sums(values, sites)
    length = _lengths(squares, count, sites)
    variance = _variances(squares, count, length, mean, sites)
    return Noise(variance, length, _cells(labels, wanted, length, sites))


@compiled
def _sum_pairs(values, index, start, pairs, squares, count):  # type: ignore[no-untyped-def]
    for organ in range(start.size - 1):
        for i in range(start[organ], start[organ + 1]):
            if pairs[i] == 0:
                continue
            z, y, x = index[i, 0], index[i, 1], index[i, 2]
            here = np.float64(values[z, y, x])
            for axis in range(3):
                for lag in range(1, LAGS + 1):
                    if pairs[i] >> (LAGS * axis + lag - 1) & 1:
                        other = values[z + lag * (axis == 0), y + lag * (axis == 1), x + lag * (axis == 2)]
                        half = 0.5 * (here - np.float64(other)) ** 2
                        if half - half == 0.0:
                            squares[organ, axis, lag - 1] += half
                            count[organ, axis, lag - 1] += 1


def _pair_sums(values: np.ndarray, sites: Sites) -> tuple[np.ndarray, np.ndarray]:
    """Sums of half squared differences (k, axis, lag), and how many; pairs with a voxel that is not finite are left out."""
    shape = (len(sites.depth), 3, LAGS)
    squares, count = np.zeros(shape), np.zeros(shape, np.int64)
    _sum_pairs(values, sites.index, sites.start, sites.pairs, squares, count)
    return squares, count


def _lengths(squares: np.ndarray, count: np.ndarray, sites: Sites) -> np.ndarray:
    """Correlation length along z, y, x [voxels]; 0 along an axis where no organ has pairs at two lags."""
    deep = sites.depth >= (2 if (sites.depth >= 2).any() else sites.depth.max(initial=0))
    rho = np.stack([correlation(np.arange(1, LAGS + 1), s) for s in _LENGTHS])
    found = np.zeros(3)
    for axis in range(3):
        use = deep & ((count[:, axis] > 0) & (squares[:, axis] > 0)).all(axis=1)
        if use.any():
            weight = count[use, axis].astype(float)
            logs = np.log(squares[use, axis] / count[use, axis])[:, None, :] - np.log1p(-rho)[None]
            logs -= np.average(logs, axis=2, weights=np.broadcast_to(weight[:, None, :], logs.shape))[..., None]
            best = (weight[:, None, :] * logs**2).sum(axis=2).argmin(axis=1)
            found[axis] = _weighted_median(_LENGTHS[best], np.minimum(sites.n_core[use], weight.sum(axis=1)))
    return found


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _variances(squares: np.ndarray, count: np.ndarray, length: np.ndarray, mean: np.ndarray, sites: Sites) -> np.ndarray:
    lags = np.arange(1, LAGS + 1)
    unlike = np.stack([1.0 - correlation(lags, s) for s in length])
    pairs = (count * unlike).sum(axis=(1, 2))
    own = np.where(pairs > 0, squares.sum(axis=(1, 2)) / np.where(pairs > 0, pairs, 1.0), np.nan)
    wide = np.arange(-20, 21)
    # Variance estimates of correlated noise: as many independent ones as n / Σ ρ² says.
    independent = np.where(sites.depth > 0, sites.n_core / np.prod([(correlation(wide, s) ** 2).sum() for s in length]), 0.0)
    share = np.where(np.isnan(own), 0.0, independent / (independent + _EVEN_CELLS))
    model = _model(own, mean, share, sites.depth)
    return np.where(np.isnan(model), own, share * np.nan_to_num(own) + (1.0 - share) * model)


def _model(own: np.ndarray, mean: np.ndarray, share: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """σ² = a · mean + b as the organs with a core have it, errors relative; NaN where none has."""
    from scipy.optimize import nnls

    deep = depth >= (2 if (depth >= 2).any() else 1)
    use = deep & (share > 0) & np.isfinite(mean)
    if not use.any():
        return np.full(len(own), np.nan)
    if not (own[use] > 0).all():
        return np.full(len(own), float(own[use].mean()))
    scale = float(np.abs(mean[use]).max()) or 1.0
    level = np.maximum(np.nan_to_num(mean), 0.0) / scale
    weight = np.sqrt(share[use]) / own[use]
    (a, b), _ = nnls(np.stack([level[use], np.ones(use.sum())], axis=1) * weight[:, None], own[use] * weight)
    return np.where(np.isfinite(mean), a * level + b, np.nan)


@compiled
def _sum_correlation(labels, label, index, rho_z, rho_y, rho_x):  # type: ignore[no-untyped-def]
    """Σ over the given voxels i of Σ_j ρ(i-j), j in the organ; each ρ has its middle at lag 0."""
    total = 0.0
    hz, hy, hx = rho_z.size // 2, rho_y.size // 2, rho_x.size // 2
    for i in range(index.shape[0]):
        z0, y0, x0 = index[i, 0], index[i, 1], index[i, 2]
        for z in range(max(z0 - hz, 0), min(z0 + hz + 1, labels.shape[0])):
            for y in range(max(y0 - hy, 0), min(y0 + hy + 1, labels.shape[1])):
                line = 0.0
                for x in range(max(x0 - hx, 0), min(x0 + hx + 1, labels.shape[2])):
                    line += rho_x[x - x0 + hx] if labels[z, y, x] == label else 0.0
                total += line * rho_z[z - z0 + hz] * rho_y[y - y0 + hy]
    return total


def kernels(length: np.ndarray) -> list[np.ndarray]:
    """ρ along z, y, x, out to where it falls below 0.01 (what is cut is under 0.3 % of the sum along an axis)."""
    reach = [int(np.ceil(4.3 * s)) for s in length]
    return [correlation(np.arange(-r, r + 1), s) for r, s in zip(reach, length, strict=True)]


def _cells(labels: np.ndarray, wanted: np.ndarray, length: np.ndarray, sites: Sites) -> np.ndarray:
    random, rho, cells = np.random.default_rng(0), kernels(length), np.full(len(wanted), np.nan)
    for i, label in enumerate(wanted):
        index = sites.index[sites.start[i] : sites.start[i + 1]]
        if len(index) > _CENTRES:
            index = index[np.sort(random.choice(len(index), _CENTRES, replace=False))]
        if len(index):
            cells[i] = _sum_correlation(labels, label, index, *rho) / len(index)
    return cells
