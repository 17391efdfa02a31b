"""Rigid and affine registration: the metric's own derivative, SciPy's L-BFGS, coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled_unguarded as compiled
from tracker.register.kernels import sample
from tracker.register.metric import agreement
from tracker.register.pyramid import Picture
from tracker.register.slabs import in_slabs
from tracker.register.transform import index_matrix

# How many numbers each kind of motion has: shift 3, turn 3, size 1, stretch and shear 6.
KINDS = {"rigid": 6, "similar": 7, "affine": 12}
# Less overlap than this share is no registration.
MIN_OVERLAP = 0.2
_STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Fitted:
    """``affine`` 4 × 4, fixed → moving RAS+ [mm], and the metric's ``value`` there."""

    affine: np.ndarray
    value: float


@compiled
def _moments(slope, moving, out, slab, first, last):  # type: ignore[no-untyped-def]
    """out[slab] (3, 4): Σ slope · (derivative of the moving image) ⊗ (z, y, x, 1)."""
    total = out[slab]
    for z in range(first, last):
        for y in range(slope.shape[1]):
            for x in range(slope.shape[2]):
                s = np.float64(slope[z, y, x])
                if s == 0.0:
                    continue
                for k in range(3):
                    g = s * moving[z, y, x, k + 1]
                    total[k, 0] += g * z
                    total[k, 1] += g * y
                    total[k, 2] += g * x
                    total[k, 3] += g


@compiled
def _times(a, b):  # type: ignore[no-untyped-def]
    """Product of two small square matrices; written out, as a call of a linear-algebra library costs more than this."""
    n = a.shape[0]
    out = np.zeros((n, n))
    for r in range(n):
        for c in range(n):
            for k in range(n):
                out[r, c] += a[r, k] * b[k, c]
    return out


@compiled
def motion(numbers, centre_mm, radius_mm):  # type: ignore[no-untyped-def]
    """4 × 4 motion [mm] about ``centre_mm``: shift (3 numbers), then turn (3, Rodrigues) × size (1) or stretch and shear (6).

    All numbers are about the millimetres by which a point ``radius_mm`` from the centre moves, so that one step size fits all.
    """
    n = numbers / radius_mm
    angle = np.sqrt(n[3] ** 2 + n[4] ** 2 + n[5] ** 2)
    cross = np.array([[0.0, -n[5], n[4]], [n[5], 0.0, -n[3]], [-n[4], n[3], 0.0]])
    first, second = (np.sin(angle) / angle, (1 - np.cos(angle)) / angle**2) if angle > 1e-4 else (1.0 - angle**2 / 6, 0.5 - angle**2 / 24)
    linear = np.eye(3) + first * cross + second * _times(cross, cross)
    if n.size == 7:
        linear = linear * (1.0 + n[6])
    if n.size == 12:
        linear = _times(linear, np.array([[1.0 + n[6], n[9], n[10]], [n[9], 1.0 + n[7], n[11]], [n[10], n[11], 1.0 + n[8]]]))
    out = np.eye(4)
    for r in range(3):
        out[r, 3] = centre_mm[r] + numbers[r]
        for c in range(3):
            out[r, c] = linear[r, c]
            out[r, 3] -= linear[r, c] * centre_mm[c]
    return out


@compiled
def _by_number(numbers, centre_mm, radius_mm, left, right, moments):  # type: ignore[no-untyped-def]
    """Derivative of the metric by each number, from its derivative ``moments`` by the matrix ``left`` · motion · ``right``."""
    out = np.zeros(numbers.size)
    for i in range(numbers.size):
        step = np.zeros(numbers.size)
        step[i] = _STEP
        change = (motion(numbers + step, centre_mm, radius_mm) - motion(numbers - step, centre_mm, radius_mm)) / (2 * _STEP)
        out[i] = (_times(_times(left, change), right)[:3] * moments).sum()
    return out


def content(image: Picture) -> tuple[np.ndarray, float]:
    """Centre (3,) and root-mean-square radius of what is brighter than the background, RAS+ [mm]."""
    known = np.nan_to_num(image.values, nan=0.0)
    weight = np.where(known > image.background, 1.0, 0.0)
    index = np.argwhere(weight > 0)
    index = index if index.size else np.argwhere(np.isfinite(image.values))
    matrix = index_matrix(image.grid)
    points = index @ matrix[:3, :3].T + matrix[:3, 3]
    centre = points.mean(axis=0)
    return centre, float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean()))


def fit(kind: str, metric: str, pictures: tuple[Picture, Picture], start: np.ndarray, stop: tuple[int, float] = (40, 1e-7)) -> Fitted:
    """The motion of one kind that maximises the metric on these two pictures, begun at ``start`` (4 × 4, fixed → moving [mm]).

    ``stop``: at most so many steps, and when one gains less than this share. The result is ``start`` · motion: a rigid fit begun at a
    similarity stays a similarity of that size.
    """
    from scipy.optimize import minimize

    fixed, moving = pictures
    about = content(fixed)
    to_index, from_index = np.linalg.inv(index_matrix(moving.grid)), index_matrix(fixed.grid)

    def cost(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        matrix = to_index @ start @ motion(numbers, *about) @ from_index
        found = sample(moving.values, matrix, fixed.grid.shape, derive=True, extend=moving.background)
        now = agreement(metric, fixed.values, found)
        if now.overlap < MIN_OVERLAP:
            return 1.0, np.zeros(numbers.size)
        moments = np.zeros((16, 3, 4))
        in_slabs(_moments, fixed.grid.shape[0], now.slope, found, moments)
        return -now.value, -_by_number(numbers, *about, to_index @ start, from_index, moments.sum(axis=0))

    found = minimize(cost, np.zeros(KINDS[kind]), jac=True, method="L-BFGS-B", options={"maxiter": stop[0], "ftol": stop[1], "maxls": 10})
    return Fitted(start @ motion(found.x, *about), -float(found.fun))


def agreement_at(metric: str, pictures: tuple[Picture, Picture], affine: np.ndarray) -> float:
    """The metric's value at ``affine``."""
    fixed, moving = pictures
    matrix = np.linalg.inv(index_matrix(moving.grid)) @ affine @ index_matrix(fixed.grid)
    return agreement(metric, fixed.values, sample(moving.values, matrix, fixed.grid.shape, extend=moving.background)).value
