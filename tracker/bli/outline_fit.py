"""An atlas's shadow laid over an animal's outline: trunks as signed distances, shift, turn, length and width by least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.image import Grid, OrganMap

# In half widths: what is thinner than twice this is no trunk; how far from the border distances count.
_OPENING, _BAND = 0.4, 0.35
# Pixels of the shadow's half width.
_PER_HALF_WIDTH = 25
# Relative sd of length and width about the cube root of the weights' ratio: animals are longer, wider, flatter.
_SIZE_SD = 0.08
# Places along the border that say something of their own are this many half widths apart; between them one bulge bends both.
_GRAIN = 0.4
# Distances of borders that even the right pose leaves, in half widths: fur, breath, shadows.
_LEAST_SD = 0.03
_MOST_PIXELS = 8000
# In half widths: a border that is further off says little; and how often that is judged anew.
_STUMP, _ROUNDS = 0.04, 5
# An outline rounder than this may point any way.
_ROUND = 1.4
# In half widths beyond the trunk's end: what a tail must reach, and how thick it may be.
_TAIL_LENGTH, _TAIL_THICK = 1.0, 0.3


@dataclass(frozen=True, slots=True)
class Shadow:
    """The trunk of an atlas seen along its back: ``distance_mm`` (S, R) to its border, above 0 inside, on steps of ``step_mm``.

    ``origin_mm`` (R, S) of the first pixel's middle, ``middle_mm`` (R, S) of the trunk, ``half_width_mm`` where it is widest.
    """

    distance_mm: np.ndarray
    origin_mm: tuple[float, float]
    step_mm: float
    middle_mm: tuple[float, float]
    half_width_mm: float


@dataclass(frozen=True, slots=True)
class PixelOutline:
    """An animal's trunk on the image: places ``xy_mm`` (n, 2) around it with their ``distance_mm`` (n,) to its border, above 0 inside.

    ``rest_mm`` (m, 2): places of what is thinner (tail, paws); ``middle_mm``, ``axis_deg`` and ``round`` of the trunk; ``border_mm`` is
    its border's length.
    """

    xy_mm: np.ndarray
    distance_mm: np.ndarray
    rest_mm: np.ndarray
    middle_mm: tuple[float, float]
    axis_deg: float
    round: bool
    half_width_mm: float
    half_length_mm: float
    border_mm: float
    pixel_mm2: float


@dataclass(frozen=True, slots=True)
class Fit:
    """One way to lie: trunk's ``centre_mm`` (x, y), ``head_deg`` counter-clockwise from the image's right, ``scale`` (along, across).

    ``cost`` is minus the ln of its likelihood but for a constant, ``rms_mm`` how far the borders are apart.
    """

    centre_mm: tuple[float, float]
    head_deg: float
    scale: tuple[float, float]
    cost: float
    rms_mm: float
    shift_sd_mm: float
    angle_sd_deg: float
    scale_sd: float


def shadow_of(atlas: OrganMap) -> Shadow:
    """What an atlas covers, seen along its back, without what is thin."""
    from scipy.ndimage import affine_transform, binary_fill_holes

    inside = np.asarray(atlas.labels) > 0
    index = np.argwhere(inside)
    corners = np.array([[(index[:, a].min() - 1, index[:, a].max() + 1)[b >> a & 1] for a in (2, 1, 0)] for b in range(8)])
    ras = corners @ atlas.grid.affine[:3, :3].T + atlas.grid.affine[:3, 3]
    low, high = ras.min(axis=0), ras.max(axis=0)
    step = float(np.sort(high - low)[1]) / (2 * _PER_HALF_WIDTH)
    shape = np.ceil((high - low) / step).astype(int) + 1
    to_ras = np.diag([step, step, step, 1.0])
    to_ras[:3, 3] = low
    back = np.linalg.inv(atlas.grid.affine) @ to_ras
    filled = affine_transform(
        inside.astype(np.uint8), back[2::-1, 2::-1], back[2::-1, 3], output_shape=tuple(shape[::-1]), order=0, mode="grid-constant"
    )
    margin = _PER_HALF_WIDTH
    seen = np.pad(binary_fill_holes(filled.any(axis=1)), margin)
    trunk, half_width = _trunk(seen)
    origin = float(low[0]) - margin * step, float(low[2]) - margin * step
    middle = np.argwhere(trunk).mean(axis=0)[::-1] * step + origin
    return Shadow(_distance(trunk) * step, origin, step, (float(middle[0]), float(middle[1])), half_width * step)


def pixel_outline(silhouette: np.ndarray, grid: Grid) -> PixelOutline:
    """An animal's outline (ny, nx) in mm on the image: the trunk's distances near it, and what is thinner than a trunk."""
    from scipy.ndimage import binary_fill_holes, gaussian_filter

    size = np.array([grid.affine[0, 0], grid.affine[1, 1]])
    step = float(np.sqrt(size.prod()))
    # Frays of a pixel would each hold an opening's disc back.
    smooth = gaussian_filter(binary_fill_holes(silhouette).astype(float), 1.0, mode="nearest") >= 0.5
    trunk, half_width = _trunk(smooth if smooth.any() else silhouette)
    distance = _distance(trunk)
    # Beyond the image nothing is known; around the trunk twice the band is enough for any shift of the fit.
    y, x = np.nonzero(distance > -half_width)
    every = max(1, len(y) // _MOST_PIXELS)
    y, x = y[::every], x[::every]
    places = np.argwhere(trunk)[:, ::-1] * size + grid.affine[:2, 3]
    middle = places.mean(axis=0)
    spread, axes = np.linalg.eigh(np.cov((places - middle).T))
    rest = np.argwhere(silhouette & (distance < 0))[:, ::-1] * size + grid.affine[:2, 3]
    return PixelOutline(
        xy_mm=np.stack([x, y], axis=1) * size + grid.affine[:2, 3],
        distance_mm=distance[y, x] * step,
        rest_mm=rest,
        middle_mm=(float(middle[0]), float(middle[1])),
        axis_deg=math.degrees(math.atan2(-axes[1, 1], axes[0, 1])),
        round=bool(spread[1] < _ROUND**2 * spread[0]),
        half_width_mm=half_width * step,
        half_length_mm=float(2 * np.sqrt(spread[1])),
        border_mm=float((np.abs(distance) <= 0.5).sum()) * step / 2,
        pixel_mm2=step**2,
    )


def _trunk(mask: np.ndarray) -> tuple[np.ndarray, float]:
    """The largest part of a mask without what is thin, and its half width in pixels."""
    from scipy.ndimage import binary_opening, distance_transform_edt, label
    from skimage.morphology import disk

    half_width = float(distance_transform_edt(np.pad(mask, 1)).max())
    radius = max(1, round(_OPENING * half_width))
    opened = binary_opening(np.pad(mask, radius, mode="edge"), disk(radius))[radius:-radius, radius:-radius]
    parts, n = label(opened)
    if n == 0:
        return mask, half_width
    return parts == 1 + int(np.bincount(parts.ravel())[1:].argmax()), half_width


def _distance(mask: np.ndarray) -> np.ndarray:
    """Signed distance to a mask's border in pixels, above 0 inside; the border runs between pixels."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(np.where(mask, distance_transform_edt(mask) - 0.5, 0.5 - distance_transform_edt(~mask)))


def fit_shadow(shadow: Shadow, outline: PixelOutline, by_weight: float, side: float) -> tuple[Fit, ...]:
    """All ways to lie that were tried, best first: the head at either end of the trunk, and across it where the trunk is round.

    ``side`` 1 where the back faces the camera, -1 where the belly does; ``by_weight`` the scale that the weights tell.
    """
    turns = (0.0, 180.0, 90.0, 270.0) if outline.round else (0.0, 180.0)
    return tuple(sorted((_fitted(shadow, outline, by_weight, (outline.axis_deg + turn, side)) for turn in turns), key=lambda f: f.cost))


def _fitted(shadow: Shadow, outline: PixelOutline, by_weight: float, start: tuple[float, float]) -> Fit:
    from scipy.optimize import least_squares

    head_deg, side = start
    band, sd_mm = _BAND * outline.half_width_mm, _LEAST_SD * outline.half_width_mm
    target = np.clip(outline.distance_mm, -band, band)
    # What the border says, spread over the pixels near it that all say the same.
    near = float((np.abs(outline.distance_mm) < band).sum())
    share = math.sqrt(max(outline.border_mm / (_GRAIN * outline.half_width_mm), 8.0) / near)

    def off_mm(p: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(_distances(shadow, outline.xy_mm, p, side), -band, band) - target)

    def residuals(p: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.concatenate([off_mm(p) * weight * share / sd_mm, (p[3:] - math.log(by_weight)) / _SIZE_SD])

    p = np.array([*outline.middle_mm, math.radians(head_deg), math.log(by_weight), math.log(by_weight)])
    weight = np.ones(len(target))
    for _ in range(_ROUNDS):
        # Weights of Cauchy's distribution: stumps of paws stick out of the border and must not widen the animal.
        found = least_squares(residuals, p, args=(weight,), x_scale=(1.0, 1.0, 0.05, 0.05, 0.05), max_nfev=40)
        p = found.x
        weight = 1.0 / np.sqrt(1.0 + (off_mm(p) / (_STUMP * outline.half_width_mm)) ** 2)
    rms_mm = math.sqrt(float((off_mm(p) ** 2).sum()) / near)
    # Where even the best fit is further off than animals of one kind are, the sds are as much larger.
    sd = np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac))) * max(1.0, rms_mm / sd_mm)
    cost = 0.5 * float((residuals(p, weight) ** 2).sum())
    return Fit((float(p[0]), float(p[1])), math.degrees(p[2]) % 360.0, (math.exp(p[3]), math.exp(p[4])), cost, rms_mm,
               float(sd[:2].max()), math.degrees(sd[2]), float(sd[3:].max()))  # fmt: skip


def _distances(shadow: Shadow, xy_mm: np.ndarray, p: np.ndarray, side: float) -> np.ndarray:
    """The shadow's signed distance at places of the image, for shift, turn and ln of length and width."""
    from scipy.ndimage import map_coordinates

    head = np.array([math.cos(p[2]), -math.sin(p[2])])
    right = side * np.array([-head[1], head[0]])
    off = xy_mm - p[:2]
    along, across = off @ head / math.exp(p[3]), off @ right / math.exp(p[4])
    at = np.stack([along + shadow.middle_mm[1] - shadow.origin_mm[1], across + shadow.middle_mm[0] - shadow.origin_mm[0]]) / shadow.step_mm
    # Stretched distances are those of the mean stretch: exact at the border, which is what counts.
    return np.asarray(map_coordinates(shadow.distance_mm, at, order=1, mode="nearest") * math.exp((p[3] + p[4]) / 2))


def tail_end(outline: PixelOutline, fit: Fit) -> float | None:
    """Where a tail points (degrees as ``head_deg``), None where none shows.

    A tail is thin and reaches far beyond one end of the trunk only.
    """
    head = np.array([math.cos(math.radians(fit.head_deg)), -math.sin(math.radians(fit.head_deg))])
    if not len(outline.rest_mm):
        return None
    off = outline.rest_mm - fit.centre_mm
    along, across = off @ head, off @ np.array([-head[1], head[0]])
    reach = []
    for sign in (1.0, -1.0):
        beyond = sign * along - outline.half_length_mm
        out = (beyond > 0) & (np.abs(across) < 2 * outline.half_width_mm)
        # As many steps along it as hold something: a speck far out is no tail.
        step = math.sqrt(outline.pixel_mm2)
        length = len(np.unique(np.floor(beyond[out] / step))) * step
        area = float(out.sum()) * outline.pixel_mm2
        thin = area <= 2 * _TAIL_THICK * outline.half_width_mm * max(length, 1e-9)
        reach.append(length if thin else 0.0)
    long, short = max(reach), min(reach)
    if long < _TAIL_LENGTH * outline.half_width_mm or short > long / 2:
        return None
    return fit.head_deg if reach[0] > reach[1] else (fit.head_deg + 180.0) % 360.0
