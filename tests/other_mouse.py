"""Mice that no atlas was made of: other weights, organs of other sizes in other places, turned, bent, in other contrasts, with noise.

Voxels are painted by formula at points that are moved by formula; nothing of registration takes part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from tracker.image import Grid, OrganMap
from tracker.mouse import ORGANS, Capsule, Shape, Superellipsoid, organ_shapes

# Brightness in the order of ORGANS, of air, and noise: native CT, CT with a contrast agent [HU], MR weighted by T2 and by T1. None of these
# numbers are the atlas's own. Soft organs of the native CT differ by less than its noise.
CONTRASTS: dict[str, tuple[tuple[float, ...], float, float]] = {
    "ct": ((38.0, 45.0, -480.0, -500.0, 62.0, 48.0, 15.0, 8.0, 36.0, 36.0, 6.0, 520.0, -12.0), -1000.0, 40.0),
    "ct_agent": ((45.0, 190.0, -430.0, -450.0, 150.0, 210.0, 25.0, 20.0, 190.0, 190.0, 60.0, 620.0, 5.0), -1000.0, 45.0),
    "mr_t2": ((310.0, 150.0, 30.0, 30.0, 190.0, 260.0, 420.0, 350.0, 290.0, 290.0, 620.0, 60.0, 230.0), 0.0, 18.0),
    "mr_t1": ((260.0, 200.0, 25.0, 25.0, 330.0, 200.0, 160.0, 220.0, 240.0, 240.0, 110.0, 50.0, 180.0), 0.0, 15.0),
}


@dataclass(frozen=True)
class Animal:
    truth: OrganMap
    scan: np.ndarray
    contrast: str
    weight_g: float


@dataclass(frozen=True)
class Made:
    """``vary`` relative sd of organs' volumes and, in their own radii, of their places; ``turn_deg``, ``bow_mm`` sd of turn and bow."""

    voxel_mm: float = 0.6
    vary: float = 0.12
    turn_deg: float = 7.0
    bow_mm: float = 2.0


def other_shapes(weight_g: float, rng: np.random.Generator, vary: float) -> dict[str, Shape]:
    out: dict[str, Shape] = {}
    for name, shape in organ_shapes(weight_g).items():
        if isinstance(shape, Capsule):
            length, radius = np.exp(rng.normal(0, (0.03, 0.04)))
            out[name] = replace(shape, length_mm=shape.length_mm * length, radius_mm=shape.radius_mm * radius)
            continue
        body = name == "body"
        axes = np.array(shape.axes_mm) * np.exp(rng.normal(0, 0.01 if body else vary / 3) + rng.normal(0, 0.03 if body else vary / 3, 3))
        shift = 0.0 if body else rng.normal(0, vary, 3) * np.cbrt(np.prod(shape.axes_mm))
        out[name] = replace(shape, axes_mm=tuple(axes), centre_mm=tuple(np.array(shape.centre_mm) + shift))
    return out


def _level(shape: Shape, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """At most 1 inside; of two organs that overlap the one with the lower level has the voxel."""
    x, y, z = (p - c for p, c in zip((x, y, z), shape.centre_mm, strict=True))
    if isinstance(shape, Superellipsoid):
        a, b, c = shape.axes_mm
        n = shape.exponent
        return (np.abs(x / a) ** n + np.abs(y / b) ** n + np.abs(z / c) ** n) ** (1 / n)
    return np.sqrt(x**2 + y**2 + np.maximum(np.abs(z) - shape.length_mm / 2, 0) ** 2) / shape.radius_mm


def _grid(weight_g: float, voxel_mm: float) -> Grid:
    scale = (weight_g / 25) ** (1 / 3)
    nx, ny, nz = (int(np.ceil(half * scale * 2 / voxel_mm)) for half in (17, 15.5, 51))
    affine = np.diag([-voxel_mm, -voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = voxel_mm * np.array([(nx - 1) / 2, (ny - 1) / 2, -(nz - 1) / 2]) + (3.0, -12.0, 40.0)
    return Grid((nz, ny, nx), affine)


def _moved(grid: Grid, rng: np.random.Generator, made: Made) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where every voxel lies in a mouse that lies straight."""
    k, j, i = np.indices(grid.shape).astype(np.float32)
    mm = np.stack([r[0] * i + r[1] * j + r[2] * k + r[3] for r in grid.affine[:3]])
    mm -= mm.reshape(3, -1).mean(axis=1)[:, None, None, None]
    degrees = rng.normal(0, made.turn_deg, 3).clip(-2 * made.turn_deg, 2 * made.turn_deg)
    x, y, z = np.tensordot(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix().astype(np.float32), mm, 1)
    bow, phase = rng.normal(0, made.bow_mm, 2), rng.uniform(0, 2 * np.pi, 3)
    return (
        x + bow[0] * (z / 30) ** 2 + 0.4 * np.sin(z / 9 + phase[0]) + 0.5,
        y + bow[1] * (z / 30) ** 2 + 0.4 * np.sin(z / 11 + phase[1]) - 0.7,
        z + 0.5 * np.sin(x / 7 + phase[2]),
    )


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    field = gaussian_filter(rng.standard_normal(shape), sigma)
    return field / field.std()


def _scanned(labels: np.ndarray, contrast: str, voxel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Texture in the body, the scanner's blur, shading of a coil (MR), noise."""
    values, air, noise = CONTRASTS[contrast]
    rest = labels == len(ORGANS)
    image = np.array([air, *values])[labels] + rest * _smooth(rng, labels.shape, 2 / voxel_mm) * (12 if air else 20)
    image = gaussian_filter(image, 0.6)
    white = rng.standard_normal((2, *labels.shape)) * noise
    if air:
        return (image + white[0]).astype(np.float32)
    shading = np.exp(0.1 * _smooth(rng, labels.shape, 12 / voxel_mm))
    return np.hypot(image * shading + white[0], white[1]).astype(np.float32)


def animal(weight_g: float, contrast: str, seed: int, made: Made | None = None) -> Animal:
    made = made or Made()
    rng = np.random.default_rng(seed)
    grid = _grid(weight_g, made.voxel_mm)
    shapes, points = other_shapes(weight_g, rng, made.vary), _moved(grid, rng, made)
    labels = np.where(_level(shapes["body"], *points) <= 1, len(ORGANS), 0)
    lowest = np.ones(grid.shape, np.float32)
    for index, name in enumerate(ORGANS[:-1], start=1):
        level = _level(shapes[name], *points)
        labels = np.where((level <= lowest) & (labels > 0), index, labels)
        lowest = np.minimum(lowest, level)
    truth = OrganMap(labels.astype(np.uint8), dict(enumerate(ORGANS, start=1)), grid, "phantom")
    return Animal(truth, _scanned(labels, contrast, made.voxel_mm, rng), contrast[:2], weight_g)
