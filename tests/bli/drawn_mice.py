"""Photographs of mice drawn from the analytic bodies of the parametric mouse: no code of the library finds, poses or projects here.

Heads point ``head_deg`` counter-clockwise from the image's right, as seen. Looking at a prone animal's back the animal's right is to the
right of the way its head points; looking at the belly of a supine one it is to the left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.image import Grid
from tracker.mouse import Superellipsoid, organ_shapes


@dataclass(frozen=True, slots=True)
class DrawnMouse:
    """One animal on the stage; ``centre_mm`` (x right, y down) of its trunk; ``grow`` scales it beyond what its weight says."""

    centre_mm: tuple[float, float]
    head_deg: float = 90.0
    weight_g: float = 25.0
    posture: str = "prone"
    tail: bool = True
    limbs: bool = True
    grow: float = 1.0
    taper: float = 0.0


def planar_grid(ny: int, nx: int, px_mm: float) -> Grid:
    affine = np.diag([px_mm, px_mm, 1.0, 1.0])
    affine[:2, 3] = px_mm / 2
    return Grid((1, ny, nx), affine)


def places_mm(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """x (1, nx) and y (ny, 1) of the pixels' centres [mm]."""
    px = grid.affine[0, 0]
    return (np.arange(grid.shape[2])[None, :] + 0.5) * px, (np.arange(grid.shape[1])[:, None] + 0.5) * px


def along_and_right(mouse: DrawnMouse, x_mm: np.ndarray, y_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far places on the image lie towards the animal's head and towards its own right side, from its middle [mm]."""
    across, up = x_mm - mouse.centre_mm[0], -(y_mm - mouse.centre_mm[1])
    c, s = math.cos(math.radians(mouse.head_deg)), math.sin(math.radians(mouse.head_deg))
    right = across * s - up * c
    return across * c + up * s, right if mouse.posture == "prone" else -right


def body_of(weight_g: float) -> Superellipsoid:
    body = organ_shapes(weight_g)["body"]
    assert isinstance(body, Superellipsoid)
    return body


def trunk(mouse: DrawnMouse, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """The body's shadow: the projection of a superellipsoid along an axis is its outline in the other two; ``taper`` narrows the head."""
    body = body_of(mouse.weight_g)
    along, right = along_and_right(mouse, x_mm, y_mm)
    a, _, c = (v * mouse.grow for v in body.axes_mm)
    along, right = along / c, right / (a * (1 - mouse.taper * along / c))
    return np.asarray(np.abs(right) ** body.exponent + np.abs(along) ** body.exponent <= 1.0)


def silhouette(mouse: DrawnMouse, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """Trunk, a bent tail 3 mm thick and four paws."""
    seen = trunk(mouse, x_mm, y_mm)
    along, right = along_and_right(mouse, x_mm, y_mm)
    body = body_of(mouse.weight_g)
    a, _, c = (v * mouse.grow for v in body.axes_mm)
    if mouse.tail:
        bent = right - 6.0 * np.sin((along + c) / 14.0)
        seen = seen | ((np.abs(bent) < 1.5) & (along < -c + 2.0) & (along > -c - 60.0))
    if mouse.limbs:
        for at, side in ((0.55, 1.0), (0.5, -1.0), (-0.6, 1.0), (-0.62, -1.0)):
            seen = seen | (((along - at * c) / 3.0) ** 2 + ((right - side * a) / 5.0) ** 2 < 1)
    return np.asarray(seen)


@dataclass(frozen=True, slots=True)
class Thing:
    """A rectangle on the stage: x and y of its corners [mm], and how bright it is."""

    x_mm: tuple[float, float]
    y_mm: tuple[float, float]
    value: float


def photograph(
    grid: Grid,
    mice: Sequence[DrawnMouse],
    *,
    coat: float = 2000.0,
    stage: float = 150.0,
    seed: int = 1,
    things: Sequence[Thing] = (),
    falloff: float = 0.3,
) -> np.ndarray:
    """A grey photograph (1, ny, nx): mean of a finer one, lit from the middle, with noise and darker flanks; things lie below."""
    rng = np.random.default_rng(seed)
    px, (_, ny, nx) = grid.affine[0, 0], grid.shape
    k = 2 if px < 1 else 4
    x, y = (np.arange(nx * k)[None, :] + 0.5) * px / k, (np.arange(ny * k)[:, None] + 0.5) * px / k
    picture = np.full((ny * k, nx * k), stage)
    for thing in things:
        on = (x >= thing.x_mm[0]) & (x < thing.x_mm[1]) & (y >= thing.y_mm[0]) & (y < thing.y_mm[1])
        picture = np.where(on, thing.value, picture)
    for mouse in mice:
        seen, along_right = silhouette(mouse, x, y), along_and_right(mouse, x, y)
        body = body_of(mouse.weight_g)
        # Fur is paler on the back than at the flanks.
        shade = coat * (1 - 0.25 * np.clip(np.abs(along_right[1]) / body.axes_mm[0], 0, 1) ** 4)
        picture = np.where(seen, shade, picture)
    light = 1 - falloff * ((x - nx * px / 2) ** 2 + (y - ny * px / 2) ** 2) / ((nx * px / 2) ** 2 + (ny * px / 2) ** 2)
    picture = picture * light
    picture = picture + rng.normal(0.0, 0.02 * abs(coat) + 10.0, picture.shape)
    return picture.reshape(ny, k, nx, k).mean(axis=(1, 3))[None]
