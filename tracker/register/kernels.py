"""Loops over voxels: sampling, smoothing, window sums. All indices and vectors in array order (z, y, x) and in voxels.

Each kernel does the planes ``first`` … ``last`` of its output (along z, but `window_z` along y) and touches nothing else.
"""

from __future__ import annotations

import math

import numpy as np

from tracker.compiled import compiled_unguarded as compiled
from tracker.register.slabs import in_slabs

# How far (in voxels) a point may lie outside the outermost voxel centres and still take their value: half a voxel, and rounding.
_EDGE = 0.501


@compiled
def _sample(image, matrix, field, extend, out, slab, first, last):  # type: ignore[no-untyped-def]
    """out[z, y, x] = image at matrix · (x + field(x)), trilinear; NaN where a voxel used is NaN.

    Outside the image the nearest value at its edge where that is at most ``extend``, else NaN.

    ``out`` (z, y, x, 4) also gets the interpolant's derivative along the image's axes; (z, y, x, 1) the value alone.
    """
    nz, ny, nx = image.shape
    bent = field.shape[0] > 0
    derive = out.shape[3] == 4
    for z in range(first, last):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                a, b, c = np.float64(z), np.float64(y), np.float64(x)
                if bent:
                    a, b, c = a + field[z, y, x, 0], b + field[z, y, x, 1], c + field[z, y, x, 2]
                p = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]
                q = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]
                r = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
                # Clamped to the outermost voxel centres; how far outside tells what becomes of the value.
                pp, qq, rr = min(max(p, 0.0), nz - 1.0), min(max(q, 0.0), ny - 1.0), min(max(r, 0.0), nx - 1.0)
                outside = (abs(p - pp) > _EDGE) | (abs(q - qq) > _EDGE) | (abs(r - rr) > _EDGE)
                p, q, r = pp, qq, rr
                i, j, k = min(int(p), max(nz - 2, 0)), min(int(q), max(ny - 2, 0)), min(int(r), max(nx - 2, 0))
                i1, j1, k1 = min(i + 1, nz - 1), min(j + 1, ny - 1), min(k + 1, nx - 1)
                u, v, w = np.float32(p - i), np.float32(q - j), np.float32(r - k)
                one = np.float32(1.0)
                c00 = image[i, j, k] * (one - w) + image[i, j, k1] * w
                c01 = image[i, j1, k] * (one - w) + image[i, j1, k1] * w
                c10 = image[i1, j, k] * (one - w) + image[i1, j, k1] * w
                c11 = image[i1, j1, k] * (one - w) + image[i1, j1, k1] * w
                c0, c1 = c00 * (one - v) + c01 * v, c10 * (one - v) + c11 * v
                value = c0 * (one - u) + c1 * u
                if outside:
                    # The air around an animal goes on; an animal that is cut off does not.
                    out[z, y, x, 0] = value if value <= extend else np.nan
                    for n in range(1, out.shape[3]):
                        out[z, y, x, n] = 0.0
                    continue
                out[z, y, x, 0] = value
                if derive:
                    out[z, y, x, 1] = c1 - c0
                    out[z, y, x, 2] = (c01 - c00) * (one - u) + (c11 - c10) * u
                    d00, d01 = image[i, j, k1] - image[i, j, k], image[i, j1, k1] - image[i, j1, k]
                    d10, d11 = image[i1, j, k1] - image[i1, j, k], image[i1, j1, k1] - image[i1, j1, k]
                    out[z, y, x, 3] = (d00 * (one - v) + d01 * v) * (one - u) + (d10 * (one - v) + d11 * v) * u


def sample(
    image: np.ndarray,
    matrix: np.ndarray,
    shape: tuple[int, int, int],
    field: np.ndarray | None = None,
    *,
    derive: bool = False,
    extend: float = -np.inf,
) -> np.ndarray:
    """The image (z, y, x) at ``matrix`` · (index + field), (z, y, x, 1) float32, or (z, y, x, 4) with its derivatives.

    Outside it is NaN, or the value at the edge where that is at most ``extend``.
    """
    out = np.empty((*shape, 4 if derive else 1), np.float32)
    bend = np.empty((0, 0, 0, 3), np.float32) if field is None else field
    in_slabs(_sample, shape[0], image, np.ascontiguousarray(matrix[:3], dtype=np.float64), bend, float(extend), out)
    return out


@compiled
def _sample_field(field, matrix, step, out, slab, first, last):  # type: ignore[no-untyped-def]
    """out[x] = field at matrix · (x + step(x)), trilinear, the outermost value outside; plus step(x) where there is one."""
    nz, ny, nx = field.shape[:3]
    stepping = step.shape[0] > 0
    for z in range(first, last):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                a, b, c = np.float64(z), np.float64(y), np.float64(x)
                if stepping:
                    a, b, c = a + step[z, y, x, 0], b + step[z, y, x, 1], c + step[z, y, x, 2]
                p = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]
                q = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]
                r = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
                p, q, r = min(max(p, 0.0), nz - 1.0), min(max(q, 0.0), ny - 1.0), min(max(r, 0.0), nx - 1.0)
                i, j, k = min(int(p), max(nz - 2, 0)), min(int(q), max(ny - 2, 0)), min(int(r), max(nx - 2, 0))
                i1, j1, k1 = min(i + 1, nz - 1), min(j + 1, ny - 1), min(k + 1, nx - 1)
                u, v, w = np.float32(p - i), np.float32(q - j), np.float32(r - k)
                one = np.float32(1.0)
                for n in range(3):
                    c00 = field[i, j, k, n] * (one - w) + field[i, j, k1, n] * w
                    c01 = field[i, j1, k, n] * (one - w) + field[i, j1, k1, n] * w
                    c10 = field[i1, j, k, n] * (one - w) + field[i1, j, k1, n] * w
                    c11 = field[i1, j1, k, n] * (one - w) + field[i1, j1, k1, n] * w
                    value = (c00 * (one - v) + c01 * v) * (one - u) + (c10 * (one - v) + c11 * v) * u
                    out[z, y, x, n] = value + step[z, y, x, n] if stepping else value


def sample_field(field: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Vectors (z, y, x, 3) at ``matrix`` · index, float32 (\\*shape, 3); outside the field its outermost vectors."""
    out = np.empty((*shape, 3), np.float32)
    in_slabs(_sample_field, shape[0], field, np.ascontiguousarray(matrix[:3], dtype=np.float64), np.empty((0, 0, 0, 3), np.float32), out)
    return out


def compose(field: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The displacement of first ``step``, then ``field``: step(x) + field(x + step(x))."""
    out = np.empty_like(field)
    in_slabs(_sample_field, field.shape[0], field, np.eye(4)[:3].copy(), step, out)
    return out


@compiled
def _blur_rows(image, taps, out, axis, slab, first, last):  # type: ignore[no-untyped-def]
    """Convolution of (z, y, x·c) rows along z (axis 0) or y (axis 1); the outermost rows are repeated."""
    nz, ny, n = image.shape
    half = taps.size // 2
    for z in range(first, last):
        for y in range(ny):
            row = out[z, y]
            row[:] = np.float32(0.0)
            for t in range(taps.size):
                source = image[min(max(z + t - half, 0), nz - 1), y] if axis == 0 else image[z, min(max(y + t - half, 0), ny - 1)]
                tap = taps[t]
                for i in range(n):
                    row[i] += tap * source[i]


@compiled
def _blur_x(image, taps, out, slab, first, last):  # type: ignore[no-untyped-def]
    """Convolution of (z, y, x, c) along x; the outermost voxels are repeated."""
    _, ny, nx, channels = image.shape
    half = taps.size // 2
    row = np.empty((nx + 2 * half) * channels, np.float32)
    n = nx * channels
    for z in range(first, last):
        for y in range(ny):
            for x in range(nx + 2 * half):
                source = min(max(x - half, 0), nx - 1)
                for c in range(channels):
                    row[x * channels + c] = image[z, y, source, c]
            target = out[z, y].reshape(n)
            target[:] = np.float32(0.0)
            for t in range(taps.size):
                tap, shift = taps[t], t * channels
                for i in range(n):
                    target[i] += tap * row[i + shift]


def gaussian_taps(sigma: float) -> np.ndarray:
    """Weights of a Gaussian out to 3 σ (σ in voxels), float32, sum 1."""
    half = max(math.ceil(3 * sigma), 1)
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """(z, y, x, c) float32 smoothed by a Gaussian of ``sigma`` voxels along z, y and x; the outermost voxels are repeated outside."""
    if sigma <= 0:
        return image
    taps = gaussian_taps(sigma)
    return convolve(image, taps)


def convolve(image: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """(z, y, x, c) float32 convolved with the same ``taps`` along z, y and x."""
    nz, ny, nx, channels = image.shape
    a, b = np.empty_like(image), np.empty_like(image)
    in_slabs(_blur_x, nz, image, taps, a)
    rows = (nz, ny, nx * channels)
    in_slabs(_blur_rows, nz, a.reshape(rows), taps, b.reshape(rows), 1)
    in_slabs(_blur_rows, nz, b.reshape(rows), taps, a.reshape(rows), 0)
    return a
