"""How far an organ's mean and amount go when its border is moved as far as it may lie wrong: re-measured over drawn borders.

The model of the doubt. A border with standard deviation s is moved along its own normal, in each draw, by a random field: half of the
variance is a shift of the whole map, half a smooth field along the normal, whose correlation falls to exp(-1/2) over the smaller
organ's radius r (exp(-d²/2r²)). So an organ is shifted, and drawn too large or too small, and bent, in about the shares in which
ellipsoids with wrong middles and wrong axes are. The larger organ on the other side of a border loses what the smaller gains.
Errors finer than the organ average out more than this says: for them it is too wide.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from tracker.compiled import compiled, processors
from tracker.quantify.border import REACH_SD, Borders

# Draws: the standard deviation found is good to 1/√(2 · 32), an eighth.
DRAWS = 32
# Share of the variance that moves the whole map at once.
_SHIFTED = 0.5
# The smooth field is a periodic block of this many points along each axis, two of them to a correlation length.
_BLOCK, _POINTS_A_LENGTH = 32, 2.0
_NEXT_POINT = float(np.exp(-0.5 / _POINTS_A_LENGTH**2))
# A draw that leaves less than this share of an organ says nothing of its mean.
_LEFT = 0.1
# Voxels are worked through in as many parts, whatever the number of threads: the sums then do not depend on it.
_PARTS = 16


@dataclass(frozen=True, slots=True)
class Draws:
    """What moves borders in each of K draws, mean 0 and variance 1 over the draws: ``shift`` (K, 3); ``block`` (n, n, n, K), periodic."""

    shift: np.ndarray
    block: np.ndarray


@dataclass(frozen=True, slots=True)
class BoundarySd:
    """Of k organs, how far the border's error moves the mean [the image's unit] and the amount [that unit × mL], root mean square.

    0 where no border in doubt is near; NaN where most draws leave nothing of the organ: its border is in doubt by more than its size.
    """

    mean: np.ndarray
    amount: np.ndarray


@cache
def draws(count: int = DRAWS) -> Draws:
    """The same draws each time: the same map gives the same numbers."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(20240229)
    shift, _ = np.linalg.qr(_centred(random.standard_normal((count, 3))))
    block = random.standard_normal((count, _BLOCK, _BLOCK, _BLOCK))
    # White noise filtered by σ is correlated as exp(-d²/4σ²), which is to be exp(-d²/2ℓ²).
    smooth = _POINTS_A_LENGTH / np.sqrt(2)
    block = _centred(np.stack([gaussian_filter(one, smooth, mode="wrap", truncate=5.0) for one in block]))
    block /= np.sqrt((block**2).mean(axis=0))
    return Draws((shift * np.sqrt(count)).astype(np.float32), np.ascontiguousarray(np.moveaxis(block, 0, -1), np.float32))


def _centred(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - values.mean(axis=0))


@compiled
def _field(block, place, voxel_mm, points, out):  # type: ignore[no-untyped-def]
    """Into ``out`` (K,): every draw's smooth field at a voxel, between the points of the block, with variance 1 there too."""
    last, size = block.shape[0] - 1, np.float32(1.0)
    first, share = np.empty(3, np.int64), np.empty(3, np.float32)
    for axis in range(3):
        at = place[axis] * voxel_mm[axis] * points
        first[axis] = int(at)
        share[axis] = np.float32(at - first[axis])
        # What interpolation takes from the variance, axis by axis.
        size *= np.float32(1.0) - np.float32(2.0 * (1.0 - _NEXT_POINT)) * share[axis] * (np.float32(1.0) - share[axis])
    out[:] = np.float32(0.0)
    for corner in range(8):
        weight, at_z, at_y, at_x = np.float32(1.0) / np.sqrt(size), corner >> 2, corner >> 1 & 1, corner & 1
        weight *= share[0] if at_z else np.float32(1.0) - share[0]
        weight *= share[1] if at_y else np.float32(1.0) - share[1]
        weight *= share[2] if at_x else np.float32(1.0) - share[2]
        row = block[(first[0] + at_z) & last, (first[1] + at_y) & last, (first[2] + at_x) & last]
        for k in range(out.size):
            out[k] += weight * row[k]


@compiled
def fields_at(place, piece, borders, moving, field, steps):  # type: ignore[no-untyped-def]
    """Into ``steps`` (3, K) [voxels along z, y, x]: where each draw takes a voxel's label from, seen from the voxel.

    ``borders`` are normal, sd_mm, scale_mm, voxel_mm; ``moving`` shift (3, K), block and how the two share the variance; ``field`` is room.
    """
    normal, sd_mm, scale_mm, voxel_mm = borders
    shift, block, shares = moving
    _field(block, place, voxel_mm, _POINTS_A_LENGTH / scale_mm[piece], field)
    n0, n1, n2 = shares[1] * normal[piece, 0], shares[1] * normal[piece, 1], shares[1] * normal[piece, 2]
    h0, h1, h2 = -sd_mm[piece] / voxel_mm[0], -sd_mm[piece] / voxel_mm[1], -sd_mm[piece] / voxel_mm[2]
    for k in range(field.size):
        u0, u1, u2 = (
            shares[0] * shift[0, k] + n0 * field[k],
            shares[0] * shift[1, k] + n1 * field[k],
            shares[0] * shift[2, k] + n2 * field[k],
        )
        square = u0 * u0 + u1 * u1 + u2 * u2
        size = np.float32(REACH_SD) / np.sqrt(square) if square > REACH_SD * REACH_SD else np.float32(1.0)
        steps[0, k], steps[1, k], steps[2, k] = size * u0 * h0, size * u1 * h1, size * u2 * h2


@compiled
def shares_at(region, doubted, place, step, k, organs, weights):  # type: ignore[no-untyped-def]
    """How many of the eight voxels about a moved place are of another organ than the voxel itself, with their organs and shares.

    Organs between which no border is ``doubted`` (k + 1,) stay apart, however near another border is. Beyond the image its last voxel
    goes on.
    """
    z0, y0, x0 = int(np.floor(step[0, k])), int(np.floor(step[1, k])), int(np.floor(step[2, k]))
    az, ay, ax = step[0, k] - z0, step[1, k] - y0, step[2, k] - x0
    z0, y0, x0 = z0 + place[0], y0 + place[1], x0 + place[2]
    inside = z0 >= 0 and y0 >= 0 and x0 >= 0 and z0 + 1 < region.shape[0] and y0 + 1 < region.shape[1] and x0 + 1 < region.shape[2]
    own, m = region[place[0], place[1], place[2]], 0
    for corner in range(8):
        dz, dy, dx = corner >> 2, corner >> 1 & 1, corner & 1
        if inside:
            organ = region[z0 + dz, y0 + dy, x0 + dx]
        else:
            z, y, x = max(z0 + dz, 0), max(y0 + dy, 0), max(x0 + dx, 0)
            organ = region[min(z, region.shape[0] - 1), min(y, region.shape[1] - 1), min(x, region.shape[2] - 1)]
        if organ != own and (doubted[organ] or doubted[own]):
            organs[m] = organ
            weights[m] = (az if dz else 1.0 - az) * (ay if dy else 1.0 - ay) * (ax if dx else 1.0 - ax)
            m += 1
    return m


@compiled
def _move(values, region, doubted, mean, place, source, borders, moving, out):  # type: ignore[no-untyped-def]
    """Adds to ``out`` (K, k + 1, 3) what each draw changes: Σ δ(v - mean) and Σ δ over finite voxels, Σ δ over all.

    δ is the change of an organ's share of a voxel.
    """
    n_draws = out.shape[0]
    field, steps = np.empty(n_draws, np.float32), np.empty((3, n_draws), np.float32)
    organs, weights = np.empty(8, np.int64), np.empty(8)
    for i in range(place.shape[0]):
        z, y, x = place[i]
        fields_at(place[i], source[i], borders, moving, field, steps)
        own, raw = region[z, y, x], np.float64(values[z, y, x])
        finite = 1.0 if raw - raw == 0.0 else 0.0
        value = raw if finite > 0.0 else 0.0
        for k in range(n_draws):
            for j in range(shares_at(region, doubted, place[i], steps, k, organs, weights)):
                organ, weight = organs[j], weights[j]
                out[k, organ, 0] += finite * weight * (value - mean[organ])
                out[k, own, 0] -= finite * weight * (value - mean[own])
                out[k, organ, 1] += finite * weight
                out[k, own, 1] -= finite * weight
                out[k, organ, 2] += weight
                out[k, own, 2] -= weight


def shared_out(borders: Borders, moving: Draws) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], list[slice]]:
    """What the compiled loops take of the borders and of the draws, and the parts that the voxels are worked through in."""
    edges = np.linspace(0, len(borders.place), _PARTS + 1).astype(int)
    fixed = borders.normal, borders.sd_mm, borders.scale_mm, np.array(borders.voxel_mm)
    shares = np.sqrt([_SHIFTED, 1.0 - _SHIFTED]).astype(np.float32)
    drawn = np.ascontiguousarray(moving.shift.T), moving.block, shares
    return fixed, drawn, [slice(int(a), int(b)) for a, b in pairwise(edges)]


def boundary_sd(values: np.ndarray, borders: Borders, mean: np.ndarray, n_finite: np.ndarray, moving: Draws | None = None) -> BoundarySd:
    """Root mean square change of each organ's mean and amount over the draws, about what the map as it is gives.

    For each draw the organ map is pulled along the field that moves its borders, voxels at a moved border taking a share of each
    organ (trilinear), so that a border's move by a hundredth of a voxel counts too; mean' = Σ w v / Σ w over finite voxels,
    amount' = mean' · Σ w · voxel volume. ``values`` (z, y, x) one frame; ``mean`` (k,) and ``n_finite`` (k,) as `label_statistics` has
    them. Where the image is even the mean's is 0 and the amount's mean × sd of the volume; as s → 0 both go to 0 in proportion.

    The change about the measured value, not about the draws' mean, so that a hot organ's loss by any move of its border is in it.
    It says nothing where the stated sd is wrong, nor of an organ that was missed.

    Rounding of borders to voxels alone is s = voxel / √12, finer than the model and so judged too wide by it.
    """
    moving = moving or draws()
    changes = moved_sums(values, borders, mean, moving)
    n_left = np.asarray(n_finite, float) + changes[:, :, 1]
    step = np.divide(changes[:, :, 0], n_left, out=np.full_like(n_left, np.nan), where=n_left > _LEFT * np.maximum(n_finite, 1))
    return spread_of(step, np.nan_to_num(mean), borders, borders.n + changes[:, :, 2])


def spread_of(step: np.ndarray, mean: np.ndarray, borders: Borders, n: np.ndarray) -> BoundarySd:
    """From each draw's change of the means ``step`` (K, k), NaN where it says nothing, and its numbers of voxels ``n`` (K, k)."""
    step = np.where(n > _LEFT * np.maximum(borders.n, 1), step, np.nan)
    enough = np.isfinite(step)
    unknown, step = enough.mean(axis=0) < 0.5, np.where(enough, step, 0.0)
    # A draw that leaves nothing of an organ leaves no amount in it.
    amount = np.where(enough, mean + step, 0.0) * n - mean * borders.n
    voxel_ml = float(np.prod(borders.voxel_mm)) / 1000.0
    sd_mean = np.sqrt((step**2).sum(axis=0) / np.maximum(enough.sum(axis=0), 1))
    sd_amount = np.sqrt((amount**2).mean(axis=0)) * voxel_ml
    return BoundarySd(np.where(unknown, np.nan, sd_mean), np.where(unknown, np.nan, sd_amount))


def moved_sums(values: np.ndarray, borders: Borders, mean: np.ndarray, moving: Draws) -> np.ndarray:
    """(K, k, 3): what each draw changes of each organ, as `_move` says; the same for any number of threads."""
    fixed, drawn, parts = shared_out(borders, moving)
    middle = np.append(np.nan_to_num(mean), 0.0)
    values = np.asarray(values)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)

    def one(part: slice) -> np.ndarray:
        out = np.zeros((len(moving.shift), len(borders.n) + 1, 3))
        _move(values, borders.region, borders.doubted, middle, borders.place[part], borders.source[part], fixed, drawn, out)
        return out

    with ThreadPoolExecutor(processors()) as pool:
        return np.asarray(sum(pool.map(one, parts)))[:, :-1]
