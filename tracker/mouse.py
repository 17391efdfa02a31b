"""A parametric mouse for the phantoms of all modalities: organs as smooth analytic shapes with published volumes.

Body frame [mm], RAS+: +x the animal's own right, +y ventral, +z towards the head; the origin is the middle of the trunk.
Liver mostly right; spleen and stomach left; the right lung is the larger and the right kidney lies nearer the head: a
left-right or head-tail flip shows in the numbers.

Volumes of a 25 g mouse: Brown et al. 1997 (Toxicol Ind Health 13:407, doi:10.1177/074823379701300401), as shares of body
weight at 1 mL/g, which is how physiological models use them. Lungs hold air in vivo: their volume is the tissue's mass
at 0.3 g/mL. Stomach is Brown's 0.60 % of body weight. Bladder and spine (the part of the skeleton that is drawn) are our
own round figures. Shapes and places are drawn by us to be plausible and disjoint: no anatomical atlas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, OrganMap

REFERENCE_WEIGHT_G = 25.0
SOFT_G_PER_ML = 1.05
LUNG_G_PER_ML = 0.3
BONE_G_PER_ML = 1.5
# Tissue volume [mL] of a 25 g mouse, both sides of a pair together.
PUBLISHED_ML = {
    "brain": 0.425,
    "heart": 0.125,
    "lung": 0.175,
    "liver": 1.375,
    "spleen": 0.0875,
    "stomach": 0.150,
    "gut": 1.425,
    "kidney": 0.425,
}
BLADDER_ML = 0.100
SPINE_ML = 0.500
LUNG_LEFT_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Superellipsoid:
    """|x/a|ⁿ + |y/b|ⁿ + |z/c|ⁿ ≤ 1 about ``centre_mm``, with half axes ``axes_mm`` and exponent n (2: an ellipsoid)."""

    centre_mm: tuple[float, float, float]
    axes_mm: tuple[float, float, float]
    exponent: float


@dataclass(frozen=True, slots=True)
class Capsule:
    """All points within ``radius_mm`` of a piece of the z direction, ``length_mm`` long, about ``centre_mm``."""

    centre_mm: tuple[float, float, float]
    length_mm: float
    radius_mm: float


Shape = Superellipsoid | Capsule
Point = tuple[float, float, float]

# name -> centre [mm], proportions of the half axes, exponent; for 25 g. The order is the index order of every organ map.
_PLACES: dict[str, tuple[Point, Point, float]] = {
    "brain": ((0.0, 1.0, 32.5), (5.0, 4.0, 5.0), 2.0),
    "heart": ((-0.9, 3.2, 12.5), (2.7, 3.2, 3.4), 2.0),
    "lung_left": ((-6.5, 0.5, 12.5), (2.7, 4.4, 5.0), 2.0),
    "lung_right": ((5.8, 0.3, 12.2), (3.4, 4.9, 6.0), 2.0),
    "liver": ((2.3, 2.4, -1.4), (7.9, 6.2, 6.3), 2.0),
    "spleen": ((-8.9, -0.5, -13.9), (1.45, 2.6, 5.6), 2.0),
    "stomach": ((-7.5, 2.8, -6.1), (2.9, 3.7, 3.2), 2.0),
    "gut": ((0.6, 3.2, -17.6), (7.6, 5.3, 7.5), 2.2),
    "kidney_left": ((-5.0, -5.0, -15.0), (2.6, 2.7, 5.6), 2.0),
    "kidney_right": ((5.0, -5.0, -12.0), (2.6, 2.7, 5.6), 2.0),
    "bladder": ((0.0, 2.5, -30.5), (2.8, 2.8, 3.0), 2.0),
}
_BODY: tuple[Point, Point, float] = ((0.0, 0.0, 0.0), (12.2, 10.2, 46.0), 2.6)
_SPINE_CENTRE_MM, _SPINE_RADIUS_MM = (0.0, -6.35, -1.0), 1.8
ORGANS: tuple[str, ...] = (*_PLACES, "bone", "rest")


def density_g_per_ml(organ: str) -> float:
    """Density of an organ in vivo [g/mL]: 0.3 for a lung, 1.5 for bone, 1.05 for all other tissue.

    >>> density_g_per_ml("lung_left"), density_g_per_ml("liver")
    (0.3, 1.05)
    """
    if organ.startswith("lung"):
        return LUNG_G_PER_ML
    return BONE_G_PER_ML if organ == "bone" else SOFT_G_PER_ML


def organ_volumes_ml(body_weight_g: float) -> dict[str, float]:
    """Volume of every organ in vivo [mL], in index order; all in proportion to body weight.

    ``rest`` is what is left of the body weight, at 1.05 g/mL. Raises InputError for a weight that is not positive.

    >>> round(organ_volumes_ml(25.0)["liver"], 4)
    1.375
    """
    if not (math.isfinite(body_weight_g) and body_weight_g > 0):
        raise InputError("body_weight", "a body weight must be positive", found=body_weight_g, expected="> 0 g")
    lung_ml = PUBLISHED_ML["lung"] * SOFT_G_PER_ML / LUNG_G_PER_ML
    volume = {name: PUBLISHED_ML[name] for name in _PLACES if name in PUBLISHED_ML}
    volume |= {"lung_left": lung_ml * LUNG_LEFT_SHARE, "lung_right": lung_ml * (1 - LUNG_LEFT_SHARE)}
    volume |= {"kidney_left": PUBLISHED_ML["kidney"] / 2, "kidney_right": PUBLISHED_ML["kidney"] / 2}
    volume |= {"bladder": BLADDER_ML, "bone": SPINE_ML}
    used_g = sum(v * density_g_per_ml(name) for name, v in volume.items())
    volume["rest"] = (REFERENCE_WEIGHT_G - used_g) / SOFT_G_PER_ML
    return {name: volume[name] * body_weight_g / REFERENCE_WEIGHT_G for name in ORGANS}


def organ_masses_g(body_weight_g: float) -> dict[str, float]:
    """Mass of every organ [g] = volume × density; they add up to the body weight.

    Sources as in the module's text. ``rest`` is not an organ but all that is not drawn: muscle, fat, skin, the other bones.

    >>> round(sum(organ_masses_g(22.0).values()), 9)
    22.0
    """
    return {name: v * density_g_per_ml(name) for name, v in organ_volumes_ml(body_weight_g).items()}


def _superellipsoid(place: tuple[Point, Point, float], volume_mm3: float, scale: float) -> Superellipsoid:
    (x, y, z), (a, b, c), n = place
    unit_mm3 = 8 * a * b * c * math.gamma(1 + 1 / n) ** 3 / math.gamma(1 + 3 / n)
    grow = (volume_mm3 / unit_mm3) ** (1 / 3)
    return Superellipsoid((x * scale, y * scale, z * scale), (a * grow, b * grow, c * grow), n)


def organ_shapes(body_weight_g: float) -> dict[str, Shape]:
    """The shape of every organ, and of the whole ``body``; analytic volumes are those of `organ_volumes_ml` exactly.

    Lengths are in proportion to the cube root of body weight. Organs are disjoint and inside the body; ``rest`` is the body
    without them and has no shape of its own. Volume of a superellipsoid: 8abc Γ(1+1/n)³ / Γ(1+3/n).
    """
    volume_ml = organ_volumes_ml(body_weight_g)
    scale = (body_weight_g / REFERENCE_WEIGHT_G) ** (1 / 3)
    shapes: dict[str, Shape] = {n: _superellipsoid(p, volume_ml[n] * 1000, scale) for n, p in _PLACES.items()}
    radius = _SPINE_RADIUS_MM * scale
    length = (volume_ml["bone"] * 1000 - 4 / 3 * math.pi * radius**3) / (math.pi * radius**2)
    x, y, z = _SPINE_CENTRE_MM
    shapes["bone"] = Capsule((x * scale, y * scale, z * scale), length, radius)
    shapes["body"] = _superellipsoid(_BODY, sum(volume_ml.values()) * 1000, scale)
    return shapes


def half_size_mm(shape: Shape) -> Point:
    """Half the edges (x, y, z) [mm] of the box that encloses a shape."""
    if isinstance(shape, Superellipsoid):
        return shape.axes_mm
    return shape.radius_mm, shape.radius_mm, shape.length_mm / 2 + shape.radius_mm


def inside(shape: Shape, x_mm: Any, y_mm: Any, z_mm: Any) -> Any:
    """Whether points (arrays that broadcast together) lie in a shape.

    >>> bool(inside(Capsule((0.0, 0.0, 0.0), 10.0, 1.0), 0.0, 0.0, 5.9))
    True
    """
    x, y, z = (p - c for p, c in zip((x_mm, y_mm, z_mm), shape.centre_mm, strict=True))
    if isinstance(shape, Capsule):
        beyond = np.maximum(np.abs(z) - shape.length_mm / 2, 0.0)
        return x**2 + y**2 + beyond**2 <= shape.radius_mm**2
    a, b, c = shape.axes_mm
    n = shape.exponent
    return np.abs(x / a) ** n + np.abs(y / b) ** n + np.abs(z / c) ** n <= 1.0


def mouse_grid(body_weight_g: float, voxel_mm: float) -> Grid:
    """A grid of cubic voxels that covers the body with at least 3 voxels to spare on every side.

    Array axes run as a DICOM axial series does: x towards the animal's left, y to its back, z to its head.
    """
    half = half_size_mm(organ_shapes(body_weight_g)["body"])
    nx, ny, nz = (2 * (math.ceil(h / voxel_mm) + 3) + 1 for h in half)
    affine = np.diag([-voxel_mm, -voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = voxel_mm * np.array([(nx - 1) / 2, (ny - 1) / 2, -(nz - 1) / 2])
    return Grid((nz, ny, nx), affine)


def _index_box(shape: Shape, grid: Grid) -> tuple[slice, slice, slice]:
    centre, half = np.array(shape.centre_mm), np.array(half_size_mm(shape))
    corners = np.array([centre + half * signs for signs in product((-1, 1), repeat=3)])
    index = (corners - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    low, high = np.floor(index.min(axis=0)).astype(int), np.ceil(index.max(axis=0)).astype(int) + 1
    bounds = [slice(max(int(a), 0), max(min(int(b), n), 0)) for a, b, n in zip(low, high, grid.shape[::-1], strict=True)]
    return bounds[2], bounds[1], bounds[0]


def _points(grid: Grid, index: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[Any]:
    # Terms with a zero factor are left out so that grids along the body axes stay three vectors (broadcast, 30 × faster).
    rows = grid.affine[:3]
    return [row[3] + sum(f * i for f, i in zip(row[:3], index, strict=True) if f != 0.0) for row in rows]


def _fraction(shape: Shape, grid: Grid, oversample: int) -> tuple[tuple[slice, slice, slice], np.ndarray]:
    box = _index_box(shape, grid)
    k, j, i = (np.arange(s.start, max(s.stop, s.start), dtype=np.float64) for s in box)
    count = np.zeros((k.size, j.size, i.size), dtype=np.float32)
    steps = (np.arange(oversample) + 0.5) / oversample - 0.5
    for dz, dy, dx in product(steps, repeat=3):
        x, y, z = _points(grid, (i[None, None, :] + dx, j[None, :, None] + dy, k[:, None, None] + dz))
        count += inside(shape, x, y, z)
    return box, count / np.float32(oversample**3)


def mouse_fractions(body_weight_g: float, grid: Grid, oversample: int = 3) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the organs and which share of each voxel they fill: float32 (organ, z, y, x), by ``oversample``³ points a voxel.

    Shares add up to 1 inside the body and 0 outside. What the grid does not cover is cut off.
    """
    shapes = organ_shapes(body_weight_g)
    fractions = np.zeros((len(ORGANS), *grid.shape), dtype=np.float32)
    for n, name in enumerate(ORGANS[:-1]):
        box, share = _fraction(shapes[name], grid, oversample)
        fractions[(n, *box)] = share
    box, body = _fraction(shapes["body"], grid, oversample)
    fractions[(-1, *box)] = np.maximum(body - fractions[(slice(0, -1), *box)].sum(axis=0), 0.0)
    return ORGANS, fractions


def mouse_labels(body_weight_g: float, grid: Grid) -> OrganMap:
    """The organ map: each voxel belongs to whatever fills most of it; a tie goes to the earlier name, outside comes last.

    Index 1 is the first of `ORGANS`, 0 is outside. Voxel volumes of thin organs differ a little from the analytic ones.
    """
    names, fractions = mouse_fractions(body_weight_g, grid)
    outside = 1.0 - fractions.sum(axis=0)
    labels = np.where(outside > fractions.max(axis=0), 0, fractions.argmax(axis=0) + 1).astype(np.int16)
    return OrganMap(labels, dict(enumerate(names, start=1)), grid, method="phantom")
