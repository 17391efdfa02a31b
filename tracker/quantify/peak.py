"""Means over a sphere moved about an organ (the peak), and whether a sphere fits into an organ at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled
from tracker.image import Grid
from tracker.quantify.noise import kernels

# Each voxel is cut into this many parts along each axis to find the share of it that lies in the sphere.
_PARTS = 7


@dataclass(frozen=True, slots=True)
class Sphere:
    """Voxels of a sphere about a voxel's middle: ``offset`` (m, 3) z, y, x and ``weight`` (m,), the share of each inside, 0 to 1."""

    offset: np.ndarray
    weight: np.ndarray


def sphere_radius_mm(volume_ml: float) -> float:
    """Radius [mm] of a sphere of this volume: (3 V / 4π)^(1/3).

    >>> round(sphere_radius_mm(1.0), 2)
    6.2
    """
    return float((3.0 * volume_ml * 1000.0 / (4.0 * np.pi)) ** (1.0 / 3.0))


def _around(grid: Grid, radius_mm: float) -> np.ndarray:
    """Offsets (m, 3) in order x, y, z of all voxels that a sphere about a voxel's middle may touch."""
    reach = np.ceil(radius_mm * np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1) + 0.5).astype(int)
    axes = [np.arange(-r, r + 1) for r in reach]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def sphere(grid: Grid, radius_mm: float) -> Sphere:
    """The voxels of ``grid`` that a sphere about a voxel's middle covers, those at its boundary by their share (1/343 fine)."""
    offset, to_mm = _around(grid, radius_mm), grid.affine[:3, :3].T
    weight = np.zeros(len(offset))
    # Written so that they are symmetric to the last bit, as the sphere is.
    parts = (np.arange(_PARTS) - _PARTS // 2) / _PARTS
    for part in np.stack(np.meshgrid(parts, parts, parts, indexing="ij"), axis=-1).reshape(-1, 3):
        weight += (((offset + part) @ to_mm) ** 2).sum(axis=1) <= radius_mm**2
    inside = weight > 0
    return Sphere(np.ascontiguousarray(offset[inside][:, ::-1]), weight[inside] / _PARTS**3)


@compiled
def _add_line(source, weight, total, share):  # type: ignore[no-untyped-def]
    for i in range(source.size):
        value = np.float64(source[i])
        finite = value - value == 0.0
        total[i] += weight * value if finite else 0.0
        share[i] += weight if finite else 0.0


@compiled
def _highest(values, labels, label, box, offset, weight):  # type: ignore[no-untyped-def]
    """Sphere sums of a whole line of middles at a time: neighbours share their loads, which is several times faster."""
    best, (left, right) = -np.inf, (box[2, 0], box[2, 1])
    total, share = np.zeros(right - left), np.zeros(right - left)
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            first, last = left, right
            while first < last and labels[z, y, first] != label:
                first += 1
            while first < last and labels[z, y, last - 1] != label:
                last -= 1
            if first == last:
                continue
            total[:], share[:] = 0.0, 0.0
            for i in range(weight.size):
                z1, y1, dx = z + offset[i, 0], y + offset[i, 1], offset[i, 2]
                if 0 <= z1 < values.shape[0] and 0 <= y1 < values.shape[1]:
                    a, b = max(first, -dx), min(last, values.shape[2] - dx)
                    if a < b:
                        _add_line(values[z1, y1, a + dx : b + dx], weight[i], total[a - left : b - left], share[a - left : b - left])
            for x in range(first, last):
                if labels[z, y, x] == label and share[x - left] > 0.0:
                    best = max(best, total[x - left] / share[x - left])
    return best


def organ_peak(values: np.ndarray, labels: np.ndarray, label: int, box: np.ndarray, ball: Sphere) -> float | None:
    """Highest mean over a sphere whose middle is a voxel of the organ, voxels outside the organ included; None without such a voxel.

    ``values``, ``labels`` (z, y, x), ``box`` (3, 2) of the organ. Voxels that are not finite or beyond the image are left out of a mean.
    It is the highest of many noisy means, so it is biased upwards, the more the smaller the sphere; it is not the organ's own uptake.

    Reference: PERCIST, Wahl 2009, doi:10.2967/jnumed.108.057307; as IBSI's global intensity peak, Zwanenburg 2020,
    doi:10.1148/radiol.2020191145.

    >>> ball = Sphere(np.array([[0, 0, 0], [0, 0, 1]]), np.array([1.0, 0.5]))
    >>> organ_peak(np.array([[[1.0, 4.0]]]), np.ones((1, 1, 2), int), 1, np.array([[0, 1], [0, 1], [0, 2]]), ball)
    4.0
    """
    best = float(_highest(values, labels, label, box, ball.offset, ball.weight))
    return best if np.isfinite(best) else None


def peak_cells(ball: Sphere, length: np.ndarray) -> float:
    """var(sphere mean) / var(voxel): Σ_ij w_i w_j ρ(i-j) / (Σ w)², with the noise's correlation ``length`` (z, y, x) [voxels]."""
    from scipy.ndimage import correlate1d

    dense = np.zeros(2 * np.abs(ball.offset).max(axis=0) + 1)
    dense[tuple((ball.offset + np.array(dense.shape) // 2).T)] = ball.weight
    spread = dense
    for axis, rho in enumerate(kernels(length)):
        spread = correlate1d(spread, rho, axis=axis, mode="constant")
    return float((dense * spread).sum() / dense.sum() ** 2)
