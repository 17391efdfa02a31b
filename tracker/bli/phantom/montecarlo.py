"""The same light once more by following photons: no diffusion, no voxels' surface, Fresnel's law at the skin. A check on `light`.

Photons scatter isotropically with mus' (the similarity relation), lose mua/(mua+mus') of their weight at each collision (implicit capture)
and end by roulette. Steps are Woodcock's: drawn for the densest tissue, and a collision elsewhere is real with the odds of its own density,
so that no path is cut at the border of an organ. The body's surface is the smooth one of `tracker.mouse`.

Woodcock et al. 1965 (ANL-7050); Wang, Jacques, Zheng 1995 (Comput Methods Programs Biomed 47:131, doi:10.1016/0169-2607(95)01640-F).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracker.bli.phantom.body import Body
from tracker.compiled import compiled
from tracker.mouse import Superellipsoid

_INDEX = 1.4
# Below this weight a photon lives on with one chance in ten, ten times as heavy.
_FAINT, _CHANCE = 1e-3, 0.1


@dataclass(frozen=True, slots=True)
class Escape:
    """Shares of the emitted light: ``absorbed``, ``escaped``; ``belly`` (z, x): what left on the ventral side, by column."""

    absorbed: float
    escaped: float
    belly: np.ndarray


def escape(
    body: Body, shape: Superellipsoid, tables: tuple[np.ndarray, np.ndarray], voxels: np.ndarray, photons: int, seed: int = 0
) -> Escape:
    """Where light emitted evenly from ``voxels`` (z, y, x) goes; ``tables``: mua and mus' [1/mm] by index of the body's labels.

    The standard error of a share p is at most sqrt(p / photons).
    """
    # A voxel most of which is outside still has a corner inside: it is the tissue that surrounds all others.
    labels = np.where(body.labels > 0, body.labels, max(body.names))
    axes = np.array([*shape.axes_mm, shape.exponent])
    tissue = (labels, *tables, float(np.max(tables[0] + tables[1])))
    place = (body.grid.affine[:3, 3].copy(), np.diag(body.grid.affine)[:3].copy(), axes)
    belly = np.zeros((labels.shape[0], labels.shape[2]))
    absorbed, escaped = _all(np.argwhere(voxels), photons, tissue, place, belly, np.random.default_rng(seed))
    return Escape(absorbed / photons, escaped / photons, belly / photons)


@compiled
def _level(p: Any, axes: Any) -> float:
    n = axes[3]
    return float(abs(p[0] / axes[0]) ** n + abs(p[1] / axes[1]) ** n + abs(p[2] / axes[2]) ** n)


@compiled
def _isotropic(d: Any, rng: Any) -> None:
    d[2] = 2.0 * rng.random() - 1.0
    flat, turn = math.sqrt(1.0 - d[2] * d[2]), 2.0 * math.pi * rng.random()
    d[0], d[1] = flat * math.cos(turn), flat * math.sin(turn)


@compiled
def _cell(p: Any, place: Any, k: int) -> int:
    cell: int = math.floor((p[k] - place[0][k]) / place[1][k] + 0.5)
    return cell


@compiled
def _reflected(cosine: float) -> float:
    """Fresnel's share of unpolarised light that stays inside."""
    sine = _INDEX * math.sqrt(max(1.0 - cosine * cosine, 0.0))
    if sine >= 1.0:
        return 1.0
    out = math.sqrt(1.0 - sine * sine)
    across = (_INDEX * cosine - out) / (_INDEX * cosine + out)
    along = (_INDEX * out - cosine) / (_INDEX * out + cosine)
    return 0.5 * (across * across + along * along)


@compiled
def _to_skin(p: Any, d: Any, length: float, axes: Any) -> None:
    """Moves ``p`` (inside) along ``d`` to the last point that is inside, by halving."""
    low, high = 0.0, length
    q = np.empty(3)
    for _ in range(30):
        middle = 0.5 * (low + high)
        for k in range(3):
            q[k] = p[k] + middle * d[k]
        if _level(q, axes) <= 1.0:
            low = middle
        else:
            high = middle
    for k in range(3):
        p[k] += low * d[k]


@compiled
def _leaves(p: Any, d: Any, axes: Any, rng: Any) -> bool:
    """Whether a photon at the skin gets out; if not, its direction is turned back."""
    normal = np.empty(3)
    steep = 0.0
    for k in range(3):
        normal[k] = math.copysign(abs(p[k] / axes[k]) ** (axes[3] - 1.0) / axes[k], p[k])
        steep += normal[k] * normal[k]
    cosine = 0.0
    for k in range(3):
        normal[k] /= math.sqrt(steep)
        cosine += normal[k] * d[k]
    if cosine <= 0.0:
        return False
    if rng.random() >= _reflected(cosine):
        return True
    for k in range(3):
        d[k] -= 2.0 * cosine * normal[k]
    return False


@compiled
def _one(p: Any, tissue: Any, place: Any, rng: Any) -> Any:
    """One photon from ``p`` on: the weight that was absorbed, and that which left, at ``p``."""
    labels, absorption, scattering, densest = tissue
    axes = place[2]
    absorbed, weight = 0.0, 1.0
    d, q = np.empty(3), np.empty(3)
    _isotropic(d, rng)
    while weight > 0.0:
        length = -math.log(1.0 - rng.random()) / densest
        for k in range(3):
            q[k] = p[k] + length * d[k]
        if _level(q, axes) > 1.0:
            _to_skin(p, d, length, axes)
            if _leaves(p, d, axes, rng):
                return absorbed, weight
            continue
        p[:] = q
        here = labels[_cell(p, place, 2), _cell(p, place, 1), _cell(p, place, 0)]
        density = absorption[here] + scattering[here]
        if rng.random() * densest < density:
            absorbed += weight * absorption[here] / density
            weight *= scattering[here] / density
            _isotropic(d, rng)
            if weight < _FAINT:
                weight = weight / _CHANCE if rng.random() < _CHANCE else 0.0
    return absorbed, 0.0


@compiled
def _all(sites: Any, photons: int, tissue: Any, place: Any, belly: Any, rng: Any) -> Any:
    absorbed, escaped = 0.0, 0.0
    p = np.empty(3)
    for _ in range(photons):
        start = sites[rng.integers(0, sites.shape[0])]
        while True:
            for k in range(3):
                p[k] = place[0][k] + place[1][k] * (start[2 - k] + rng.random() - 0.5)
            if _level(p, place[2]) <= 1.0:
                break
        lost, left = _one(p, tissue, place, rng)
        absorbed, escaped = absorbed + lost, escaped + left
        if left > 0.0 and p[1] > 0.0:
            belly[_cell(p, place, 2), _cell(p, place, 0)] += left
    return absorbed, escaped
