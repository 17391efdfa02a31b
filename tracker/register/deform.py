"""Deformable registration: a small step that makes the scans agree better, smoothed, composed, smoothed; coarse to fine.

The step is Newton's of the metric, with numerator and denominator smoothed apart from one another, so that weak and strong edges move at
the same speed: δ = G∗(s ∇m) / (G∗(h |∇m|²) + ε), s the metric's slope by the moving value m and h its curvature.
As in Vercauteren 2009 (doi:10.1016/j.neuroimage.2008.10.040), Avants 2008 (doi:10.1016/j.media.2007.06.004) and Lorenzi 2013
(doi:10.1016/j.neuroimage.2013.04.114), who use other metrics or other normalisations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled_unguarded as compiled
from tracker.image import Grid
from tracker.register.kernels import blur, compose, convolve, sample, sample_field
from tracker.register.metric import BINS, information, joint_histogram, spline_slope
from tracker.register.pyramid import Picture
from tracker.register.slabs import in_slabs
from tracker.register.transform import index_matrix

# Half a voxel per step keeps the composition of smooth steps free of folds.
_LONGEST_STEP = 0.5
# Damping of the curvature by the squared residual, as demons do, and by a share of its mean, where nothing has an edge.
_DAMP = 0.1
_LEAST_CURVATURE = 0.02
# Intensities run from 0 to 1: a window that varies by less than about 3 % is noise.
_LEAST_VARIANCE = 1e-3
_PATIENCE, _LEAST_GAIN = 3, 1e-3
_SMOOTHINGS, _SHRINKINGS, _REACH = 30, 60, 1.5
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Plan:
    """How to bend: ``metric``; ``steps`` at most per level; ``window`` half the edge of the correlation's cube [voxels];
    ``sd_step``, ``sd_bend`` smoothing of step and of whole displacement [voxels]; ``jacobian`` the least and largest determinant."""

    metric: str
    steps: int = 12
    window: int = 3
    sd_step: float = 1.7
    sd_bend: float = 0.6
    jacobian: tuple[float, float] = (0.2, 5.0)


@compiled
def _products(fixed, moving, out, slab, first, last):  # type: ignore[no-untyped-def]
    """out = (1, f, m, ff, mm, fm) where both are known, else zeros."""
    for z in range(first, last):
        for y in range(fixed.shape[1]):
            for x in range(fixed.shape[2]):
                f, m = fixed[z, y, x], moving[z, y, x, 0]
                known = (f == f) & (m == m)
                one = np.float32(1.0) if known else np.float32(0.0)
                f, m = (f, m) if known else (one, one)
                o = out[z, y, x]
                o[0], o[1], o[2], o[3], o[4], o[5] = one, f, m, f * f, m * m, f * m


@compiled
def _gradient(moving, z, y, x):  # type: ignore[no-untyped-def]
    """Central differences of the warped image in voxels; 0 along an axis where a neighbour is not known."""
    nz, ny, nx = moving.shape[:3]
    here = moving[z, y, x, 0]
    za, zb = moving[max(z - 1, 0), y, x, 0], moving[min(z + 1, nz - 1), y, x, 0]
    ya, yb = moving[z, max(y - 1, 0), x, 0], moving[z, min(y + 1, ny - 1), x, 0]
    xa, xb = moving[z, y, max(x - 1, 0), 0], moving[z, y, min(x + 1, nx - 1), 0]
    half = np.float32(0.5)
    gz, gy, gx = half * (zb - za), half * (yb - ya), half * (xb - xa)
    zero = np.float32(0.0) * (here if here == here else np.float32(0.0))
    return gz if gz == gz else zero, gy if gy == gy else zero, gx if gx == gx else zero


@compiled
def _correlation_step(fixed, moving, sums, noise, out, energy, slab, first, last):  # type: ignore[no-untyped-def]
    """out = (s ∇m, h |∇m|²) of 1 - ρ² of the window: residual of fixed ≈ a + b · moving, weighed by what the window varies."""
    for z in range(first, last):
        total, count = 0.0, 0.0
        for y in range(fixed.shape[1]):
            for x in range(fixed.shape[2]):
                f, m = fixed[z, y, x], moving[z, y, x, 0]
                o = out[z, y, x]
                o[0] = o[1] = o[2] = o[3] = np.float32(0.0)
                s = sums[z, y, x]
                n = s[0]
                if f != f or m != m or n < 1e-4:
                    continue
                mf, mm = s[1] / n, s[2] / n
                vf, vm, c = s[3] / n - mf * mf, s[4] / n - mm * mm, s[5] / n - mf * mm
                vf, vm = max(vf, np.float32(0.0)), max(vm, np.float32(_TINY))
                # The slope without any damping: equal scans must leave no residual, or they would be bent.
                b = c / vm
                r = (f - mf) - b * (m - mm)
                gz, gy, gx = _gradient(moving, z, y, x)
                # Divided by the window's variance: an edge between two dim organs counts as much as the body's outline.
                vf += noise
                k = b * r / vf
                o[0], o[1], o[2] = k * gz, k * gy, k * gx
                o[3] = (b * b * (gz * gz + gy * gy + gx * gx) + np.float32(_DAMP) * r * r) / vf
                total += c * c / (vf * (vm + noise))
                count += 1.0
        energy[z, 0], energy[z, 1] = total, count


@compiled
def _information_step(fixed, moving, ratio, curve, out, slab, first, last):  # type: ignore[no-untyped-def]
    """out = (s ∇m, h |∇m|²) from the logarithm of the joint histogram, as a smooth function of the moving value."""
    bins = BINS - 1
    for z in range(first, last):
        for y in range(fixed.shape[1]):
            for x in range(fixed.shape[2]):
                f, m = fixed[z, y, x], moving[z, y, x, 0]
                o = out[z, y, x]
                o[0] = o[1] = o[2] = o[3] = np.float32(0.0)
                if f != f or m != m:
                    continue
                i, j = min(int(f * bins), BINS - 2), min(int(m * bins), BINS - 2)
                u, (w0, w1, w2, w3) = f * bins - i, spline_slope(m * bins - j)
                k, h = 0.0, 0.0
                for row, share in ((i, 1.0 - u), (i + 1, u)):
                    table = ratio[row]
                    k += share * bins * (w0 * table[j + 1] + w1 * table[j + 2] + w2 * table[j + 3] + w3 * table[j + 4])
                    h += share * bins * bins * curve[row]
                gz, gy, gx = _gradient(moving, z, y, x)
                o[0], o[1], o[2] = k * gz, k * gy, k * gx
                o[3] = (h + _DAMP * k * k) * (gz * gz + gy * gy + gx * gx)


@compiled
def _step(parts, least, longest, out, slab, first, last):  # type: ignore[no-untyped-def]
    for z in range(first, last):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                p = parts[z, y, x]
                d = p[3] + least
                a, b, c = p[0] / d, p[1] / d, p[2] / d
                size = np.sqrt(a * a + b * b + c * c)
                k = np.float32(1.0) if size <= longest else longest / size
                out[z, y, x, 0], out[z, y, x, 1], out[z, y, x, 2] = k * a, k * b, k * c


@compiled
def _determinants(field, out, slab, first, last):  # type: ignore[no-untyped-def]
    """det(1 + ∂u/∂x) of a displacement in voxels: central differences, one-sided at the edges."""
    nz, ny, nx = field.shape[:3]
    for z in range(first, last):
        za, zb = max(z - 1, 0), min(z + 1, nz - 1)
        for y in range(ny):
            ya, yb = max(y - 1, 0), min(y + 1, ny - 1)
            for x in range(nx):
                xa, xb = max(x - 1, 0), min(x + 1, nx - 1)
                up, uq, ur = field[zb, y, x], field[z, yb, x], field[z, y, xb]
                vp, vq, vr = field[za, y, x], field[z, ya, x], field[z, y, xa]
                p, q, r = 1.0 / (zb - za), 1.0 / (yb - ya), 1.0 / (xb - xa)
                a, b, c = (up[0] - vp[0]) * p + 1.0, (uq[0] - vq[0]) * q, (ur[0] - vr[0]) * r
                d, e, f = (up[1] - vp[1]) * p, (uq[1] - vq[1]) * q + 1.0, (ur[1] - vr[1]) * r
                g, h, i = (up[2] - vp[2]) * p, (uq[2] - vq[2]) * q, (ur[2] - vr[2]) * r + 1.0
                out[z, y, x] = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def determinants(field: np.ndarray) -> np.ndarray:
    """Jacobian determinant (z, y, x) float32 of id + u, u (z, y, x, 3) in voxels of its own grid; 1: the volume stays."""
    out = np.empty(field.shape[:3], np.float32)
    in_slabs(_determinants, field.shape[0], np.ascontiguousarray(field, dtype=np.float32), out)
    return out


def _correlation_parts(window: int, fixed: np.ndarray, warped: np.ndarray) -> tuple[np.ndarray, float]:
    shape = fixed.shape
    products, out, energy = np.empty((*shape, 6), np.float32), np.empty((*shape, 4), np.float32), np.zeros((shape[0], 2))
    in_slabs(_products, shape[0], fixed, warped, products)
    edge = 2 * window + 1
    means = convolve(products, np.full(edge, 1 / edge, np.float32))
    in_slabs(_correlation_step, shape[0], fixed, warped, means, np.float32(_LEAST_VARIANCE), out, energy)
    total, count = energy.sum(axis=0)
    return out, float(total / max(count, 1.0))


def _information_parts(fixed: np.ndarray, warped: np.ndarray) -> tuple[np.ndarray, float]:
    out = np.empty((*fixed.shape, 4), np.float32)
    joint = joint_histogram(fixed, warped)
    value, ratio = information(joint)
    # Fisher's information by the moving value, per fixed bin: what the second derivative is on average.
    share = joint / np.maximum(joint.sum(axis=1, keepdims=True), _TINY)
    curve = np.maximum((share * np.gradient(ratio, axis=1) ** 2).sum(axis=1), _TINY)
    in_slabs(_information_step, fixed.shape[0], fixed, warped, ratio, curve, out)
    return out, value


def bounded(field: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """The displacement (z, y, x, 3) [voxels], smoothed where its Jacobian determinant leaves ``limits`` until it does so nowhere.

    Where smoothing does not get there, the whole displacement is shrunk, which always does: at zero the determinant is 1.
    """
    low, high = limits
    for turn in range(_SMOOTHINGS + _SHRINKINGS):
        det = determinants(field)
        bad = (det < low) | (det > high)
        if not bad.any():
            return field
        if turn < _SMOOTHINGS:
            near = np.minimum(blur(bad[..., None].astype(np.float32), _REACH) * np.float32(10), np.float32(1))
            field = field + near * (blur(field, _REACH) - field)
        else:
            field = field * np.float32(0.8)
    return np.zeros_like(field)


def bend(plan: Plan, pictures: tuple[Picture, Picture], affine: np.ndarray, field: np.ndarray) -> tuple[np.ndarray, float]:
    """One level: the displacement (z, y, x, 3) [voxels of the fixed picture], improved from ``field``; and the metric's last value.

    ``affine`` fixed → moving RAS+ [mm] comes after the displacement. Stops when three steps gain less than 1 ‰.
    """
    fixed, moving = pictures
    matrix = np.linalg.inv(index_matrix(moving.grid)) @ affine @ index_matrix(fixed.grid)
    values: list[float] = []
    for _ in range(plan.steps):
        warped = sample(moving.values, matrix, fixed.grid.shape, field, extend=moving.background)
        by_window = plan.metric == "correlation"
        parts, value = _correlation_parts(plan.window, fixed.values, warped) if by_window else _information_parts(fixed.values, warped)
        values.append(value)
        if len(values) > _PATIENCE and value - values[-1 - _PATIENCE] < _LEAST_GAIN * abs(value):
            break
        parts = blur(parts, plan.sd_step)
        step = np.empty_like(field)
        least = np.float32(_LEAST_CURVATURE * parts[..., 3].mean(dtype=np.float64) + _TINY)
        in_slabs(_step, field.shape[0], parts, least, np.float32(_LONGEST_STEP), step)
        field = blur(compose(field, step), plan.sd_bend)
    return bounded(field, plan.jacobian), values[-1]


def to_grid(field: np.ndarray, old: Grid, new: Grid) -> np.ndarray:
    """A displacement in voxels of ``old`` as one in voxels of ``new``."""
    turn = np.linalg.inv(index_matrix(new))[:3, :3] @ index_matrix(old)[:3, :3]
    out = sample_field(field, np.linalg.inv(index_matrix(old)) @ index_matrix(new), new.shape)
    return np.ascontiguousarray(out @ turn.T.astype(np.float32))
