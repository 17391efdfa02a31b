"""The air around the animal: found by itself, and shown to hold nothing but noise before its level is believed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

# Blocks of (z, y, x) voxels: small enough to fit in the corners that a body leaves, large enough to tell noise from signal.
BLOCK = (2, 4, 4)
# Voxels looked at, all images together: slabs spread evenly over the volume.
_BUDGET = 8_000_000
# Fewer blocks than this, or fewer than this many voxels, are no background.
_MIN_BLOCKS, _MIN_VOXELS = 20, 500
# A block is put aside as no air when its mean²/mean-of-squares is this many sampling errors from theory.
_SHAPE_ERRORS = 6.0
# Interpolated images have correlated noise: block levels scatter more than independent voxels would, ×2.8 when doubled in 3D.
_WIDEST = 3.5
# Voxels may share this much variance between echoes (r of M²) before they are said to hold signal.
_SHARED = 0.03
# How far sd/mean may be from theory beyond its sampling error. Below: even weak signal (S = sigma) lowers it by 4 % only, while sigma
# comes out 22 % high. Above: quantisation and ghosts, of which 5 % cost less than 3 % in sigma.
_RATIO_BELOW, _RATIO_ABOVE = 0.025, 0.05
# A level that has a tenth as many blocks as the fullest is a population of its own.
_POPULATION = 0.1


@dataclass(frozen=True, slots=True)
class Moments:
    """E[M], E[M²], E[M³], E[M⁴] of N channels of unit noise summed as squares, where there is no signal."""

    first: float
    second: float
    third: float
    fourth: float

    @property
    def ratio(self) -> float:
        """sd / mean: 0.5227 for one channel (Rayleigh)."""
        return math.sqrt(self.second - self.first**2) / self.first

    @property
    def shape(self) -> float:
        """mean² / mean of squares: π/4 for one channel."""
        return self.first**2 / self.second

    @property
    def shape_error(self) -> float:
        """Relative sampling error of `shape` from one voxel; divide by √n."""
        mean = (self.second - self.first**2) / self.first**2
        square = (self.fourth - self.second**2) / self.second**2
        both = (self.third - self.first * self.second) / (self.first * self.second)
        return math.sqrt(4 * mean + square - 4 * both)


def moments(coils: int) -> Moments:
    """Moments of the central chi distribution with 2N degrees of freedom: E[M^k] = 2^(k/2) Γ(N + k/2) / Γ(N).

    Source: Constantinides et al. 1997, doi:10.1002/mrm.1910380524.

    >>> round(moments(1).ratio, 4), round(moments(1).first, 4), moments(4).second
    (0.5227, 1.2533, 8.0)
    """
    powers = (2 ** (k / 2) * math.exp(math.lgamma(coils + k / 2) - math.lgamma(coils)) for k in range(1, 5))
    return Moments(*(float(f"{p:.12g}") for p in powers))


@dataclass(frozen=True, slots=True)
class Air:
    """Noise in air: ``sigma`` of one channel's real part [image unit], ``per_echo`` the same from each echo alone, ``voxels`` used,
    ``error`` relative standard error of one echo's sigma, ``ratios`` sd/mean per echo. ``holds_signal`` says that the first echo shows
    traces of signal (shared with the next echo, or in its distribution). ``why_not`` says why it is not to be believed, empty if it is;
    ``sigma`` is NaN where no air was found."""

    sigma: float
    per_echo: tuple[float, ...]
    ratios: tuple[float, ...]
    error: float
    voxels: int
    holds_signal: bool
    why_not: str


def find_air(values: Any, n_echoes: int, coils: int) -> Air:
    """Noise of the voxels that hold no signal, from ``values`` (repeat × echo, z, y, x), any array that can be sliced.

    1. Slabs spread over the volume are cut into blocks of 2 × 4 × 4 voxels. Blocks with a voxel that is 0 in all images (masked,
       zero-filled) or not finite are left out; so are those whose mean²/mean-of-squares is not that of noise.
    2. A block's level is the mean over images of ln(mean of squares): its spread for noise is known. The lowest level that a whole
       population of blocks shares is air. Blocks are taken symmetrically about it, so that neither the darkest nor the ghosts' are
       preferred, and its width must be that of noise.
    3. sigma² = mean(M²) / (2N), less step²/12 for values stored as integers.
    4. It is believed if sd/mean is that of N channels (0.5227 for N = 1), pooled and in each echo, and if voxels do not
       rise and fall together in different images, as signal would.

    Does not see: noise that differs between air and tissue (parallel imaging, intensity normalisation, a scaled background).
    Source: Gudbjartsson & Patz 1995, doi:10.1002/mrm.1910340618; the check of the distribution is the reader's protection.

    >>> rng = np.random.default_rng(1)
    >>> noise = np.abs(rng.normal(size=(3, 8, 32, 32)) + 1j * rng.normal(size=(3, 8, 32, 32))) * 5.0
    >>> found = find_air(noise, n_echoes=3, coils=1)
    >>> bool(abs(found.sigma - 5.0) < 0.05), found.why_not
    (True, '')
    """
    theory = moments(coils)
    blocks = _blocks(slabs(values))
    if blocks.shape[1] < _MIN_BLOCKS:
        return _none("no block of voxels outside the masked or empty part")
    squares, candidates = _candidates(blocks, theory)
    if len(candidates) < _MIN_BLOCKS:
        return _none("no part of the image is distributed as noise" + _hint(blocks, coils))
    chosen, width = _lowest_population(squares, blocks.shape[2] * coils)
    if len(chosen) < _MIN_BLOCKS or len(chosen) * blocks.shape[2] < _MIN_VOXELS:
        return _none(f"only {len(chosen) * blocks.shape[2]} voxels share the lowest level of the image")
    return _judge(blocks[:, candidates[chosen]], n_echoes, coils, max(width, 1.0))


def _none(why: str) -> Air:
    return Air(math.nan, (), (), math.nan, 0, False, why)


def slabs(values: Any) -> np.ndarray:
    """A sample of ``values`` (image, z, y, x): evenly spread pairs of neighbouring slices, cut to whole blocks."""
    images, nz, ny, nx = values.shape
    deep = min(BLOCK[0], nz)
    wanted = min(max(3, _BUDGET // max(1, images * ny * nx * deep)), nz // deep)
    # In the middle of equal parts: the first and last slices of a volume are often empty or wrapped.
    starts = ((np.arange(wanted) + 0.5) * (nz // deep) / wanted).astype(int) * deep
    planes = (starts[:, None] + np.arange(deep)).ravel()
    return np.asarray(values[:, planes.tolist(), : ny - ny % BLOCK[1], : nx - nx % BLOCK[2]], dtype=np.float32)


def _blocks(slabs: np.ndarray) -> np.ndarray:
    """Voxels by block (image, block, voxel), without blocks that hold masked or non-finite voxels."""
    images, nz, ny, nx = slabs.shape
    deep, high, wide = min(BLOCK[0], max(nz, 1)), BLOCK[1], BLOCK[2]
    cut = slabs.reshape(images, nz // deep, deep, ny // high, high, nx // wide, wide)
    flat = cut.transpose(0, 1, 3, 5, 2, 4, 6).reshape(images, -1, deep * high * wide)
    good = np.isfinite(flat).all(axis=(0, 2)) & (flat != 0).any(axis=0).all(axis=1) & (flat != 0).any(axis=2).all(axis=0)
    return flat[:, good]


def _candidates(blocks: np.ndarray, theory: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Mean square (image, block) of the blocks distributed as noise, and their index."""
    images, _, n = blocks.shape
    mean = blocks.mean(axis=2, dtype=np.float64)
    square = np.einsum("ibv,ibv->ib", blocks, blocks, dtype=np.float64) / n
    shape = (mean**2 / square).mean(axis=0)
    # The mean of n voxels squared exceeds the square of the mean by var/n.
    expected = theory.shape + (1 - theory.shape) / n
    # Quantised values have a wider distribution: the step's own variance is allowed for.
    step = np.median(_steps(blocks)) ** 2 / 12
    allowed = _SHAPE_ERRORS * theory.shape * theory.shape_error / math.sqrt(n * images) + 2 * np.minimum(step / square.mean(axis=0), 0.1)
    index = np.flatnonzero(np.abs(shape - expected) <= allowed)
    return square[:, index], index


def _lowest_population(squares: np.ndarray, freedom: int) -> tuple[np.ndarray, float]:
    """Index of the blocks about the lowest level that many share, and how much wider than independent noise that level is."""
    from scipy.special import digamma, polygamma

    level = np.log(squares).mean(axis=0) - (digamma(freedom) - math.log(freedom))
    width = math.sqrt(float(polygamma(1, freedom)) / len(squares))
    order = np.sort(level)
    # Blocks within ± 1.5 widths of each block's level; the first peak of a height that counts.
    count = np.searchsorted(order, order + 1.5 * width, "right") - np.searchsorted(order, order - 1.5 * width, "left")
    first = int(np.flatnonzero(count >= max(_POPULATION * count.max(), 8))[0]) if count.max() >= 8 else 0
    near = slice(first, np.searchsorted(order, order[first] + 4 * width, "right"))
    centre = float(order[near][count[near] >= 0.95 * count[near].max()].mean())
    spread = width
    for _ in range(12):
        # Only the dark side tells the width: signal and ghosts are on the other.
        below = order[(order < centre) & (order > centre - 4 * spread)]
        spread = min(max(width, math.sqrt(float(np.mean((below - centre) ** 2))) if len(below) else width), 2 * _WIDEST * width)
        inside = order[np.abs(order - centre) <= 2.5 * spread]
        centre = float(inside.mean()) if len(inside) else centre
    return np.flatnonzero(np.abs(level - centre) <= 2.5 * spread), spread / width


def _steps(blocks: np.ndarray) -> np.ndarray:
    """Smallest difference between values of each image: the step they were stored with, next to nothing for floats."""
    flat = blocks.reshape(len(blocks), -1)[:, :20000]
    gaps = (np.diff(np.unique(image)) for image in flat)
    return np.array([gap.min() if gap.size else 0.0 for gap in gaps], float)


def _judge(air: np.ndarray, n_echoes: int, coils: int, width: float) -> Air:
    """Sigma of the chosen blocks (image, block, voxel) and what speaks against it."""
    theory = moments(coils)
    flat = air.reshape(-1, n_echoes, air.shape[1] * air.shape[2]).astype(np.float64)
    step = _steps(air).reshape(-1, n_echoes).max(axis=0) ** 2 / 12
    # Steps wider than the noise leave nothing to correct.
    square = (flat**2).mean(axis=(0, 2))
    second = square - np.minimum(step, 0.5 * square)
    mean = flat.mean(axis=(0, 2))
    sigma = np.sqrt(second / (2 * coils))
    ratio = np.sqrt(np.maximum(second - mean**2, 0)) / mean
    seen = flat.shape[0] * flat.shape[2] / width**2
    error = 0.5 * math.sqrt(theory.fourth / theory.second**2 - 1) / math.sqrt(seen)
    # d(sd/mean) follows from d(mean²/square): ratio² = 1/shape - 1.
    ratio_error = 0.5 * theory.shape_error / (1 - theory.shape) / math.sqrt(seen)
    signal = _first_holds_signal(flat, float(ratio[0] / theory.ratio - 1), ratio_error, width)
    why = _why_not(flat, ratio / theory.ratio - 1, theory, ratio_error, width)
    return Air(float(np.sqrt(np.mean(sigma**2))), tuple(sigma.tolist()), tuple(ratio.tolist()), error, flat.shape[2], signal, why)


def _why_not(flat: np.ndarray, off: np.ndarray, theory: Moments, error: float, width: float) -> str:
    """What is wrong with voxels (repeat, echo, voxel) whose sd/mean is ``off`` by so much, relative, in each echo."""
    if width > _WIDEST:
        return f"its level differs between places {width:.1f} times as much as noise would"
    pooled = float(off.mean())
    if not -_RATIO_BELOW < pooled < _RATIO_ABOVE or (off < -_RATIO_BELOW - 3 * error).any() or (off > _RATIO_ABOVE + 3 * error).any():
        worst = theory.ratio * (1 + float(off[np.argmax(np.abs(off))]))
        return f"sd/mean is {worst:.3f}, noise has {theory.ratio:.3f} (as {1 / (4 * max(worst, 0.01) ** 2):.1f} channels would have)"
    shared, shared_error = _shared(flat)
    if shared > _SHARED + 3 * shared_error * width:
        return f"voxels rise and fall together in different images (r = {shared:.2f}), as signal does"
    return ""


def _first_holds_signal(flat: np.ndarray, off: float, error: float, width: float) -> bool:
    shared, shared_error = _shared(flat[:, :2])
    return abs(off) > 3 * error or shared > 3 * shared_error * width


def _shared(flat: np.ndarray) -> tuple[float, float]:
    """Correlation of M² between successive images over voxels, and its sampling error; 0 for one image."""
    images = flat.reshape(-1, flat.shape[2]) ** 2
    if len(images) < 2:
        return 0.0, 0.0
    images = (images - images.mean(axis=1, keepdims=True)) / images.std(axis=1, keepdims=True)
    pairs = (images[1:] * images[:-1]).mean(axis=1)
    return float(pairs.mean()), 1 / math.sqrt(len(pairs) * flat.shape[2])


def _hint(blocks: np.ndarray, coils: int) -> str:
    """Which number of channels the darkest tenth of the blocks would fit, if that is not the stated one."""
    square = (blocks.astype(np.float64) ** 2).mean(axis=2)
    dark = blocks[:, np.argsort(square.mean(axis=0))[: max(1, square.shape[1] // 10)]].astype(np.float64)
    shape = float((dark.mean(axis=2) ** 2 / (dark**2).mean(axis=2)).mean())
    return f" of {coils} channel(s): the darkest tenth has sd/mean {math.sqrt(max(1 / shape - 1, 0)):.3f}, not {moments(coils).ratio:.3f}"
