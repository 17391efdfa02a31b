"""A 3-D atlas laid under the camera as the animal lies: by its weight, its outline, which side is up, and where its head is.

The camera looks down on the stage. On the image x runs to the right and y down; z is the height above the stage, towards the camera.
These axes are left-handed, body coordinates (RAS+) are right-handed: between them a true pose has determinant below zero, and an
animal that lies on its belly with its head up the image has its left side on the image's left, on its back on the image's right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracker.bli.outline_fit import Fit, Shadow, fit_shadow, pixel_outline, shadow_of, tail_end
from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap, voxel_volume_ml

POSTURES = ("prone", "supine")
# Degrees counter-clockwise from the image's right.
HEADS = {"right": 0.0, "up": 90.0, "left": 180.0, "down": 270.0}
# Density of a whole animal [g/mL]: for the weight of an atlas that states none.
_G_PER_ML = 1.05
_MOST_VOXEL_MM = 0.7
# How much likelier (in ln) one end must be than the other before a head is taken as seen: e⁴ is 55 to 1.
_CLEAR = 4.0
# By how much the height may differ from what length and width have, and how far the outline may be from the weight's, in area.
_MOST_FLAT = 1.5
_MOST_SIZE = 1.3
# Distance of the borders (root mean square) in half widths above which the animal does not lie as the atlas does.
_MOST_MISFIT = 0.15
# How far from the stated direction a head may point before somebody should look.
_FAR_DEG = 60.0


@dataclass(frozen=True, slots=True)
class Lying:
    """What is known of how an animal lies: ``posture`` prone or supine, ``head`` up, down, left, right of the image, empty if unstated.

    ``atlas_weight_g`` None: the atlas's volume at 1.05 g/mL.
    """

    posture: str
    body_weight_g: float
    head: str = ""
    atlas_weight_g: float | None = None


@dataclass(frozen=True, slots=True)
class PosedBody:
    """An atlas in camera coordinates. ``labels`` (z, y, x), ``grid`` diagonal: x right, y down, z up from the stage (0) [mm].

    ``to_camera`` 4 × 4 from the atlas's RAS+ to the image [mm]. ``centre_mm`` (x, y) of the trunk and ``head_deg``, where the head points
    (counter-clockwise from the image's right); ``scale`` of the atlas (along, across, height); the sds are those of the outline's fit:
    ``shift_sd_mm``, ``angle_sd_deg``, and ``scale_sd`` relative. ``head_score``: ln of how much likelier this end is the head than the
    other, by the outline alone.
    """

    labels: np.ndarray
    names: Mapping[int, str]
    grid: Grid
    to_camera: np.ndarray
    centre_mm: tuple[float, float]
    head_deg: float
    scale: tuple[float, float, float]
    shift_sd_mm: float
    angle_sd_deg: float
    scale_sd: float
    head_score: float
    findings: tuple[Finding, ...]


def pose_body(atlas: OrganMap, silhouette: np.ndarray, grid: Grid, lying: Lying) -> PosedBody:
    """The atlas as the animal lies under the camera, on voxels of 0.7 mm at most that divide the image's pixels evenly.

    Trunks (outlines without what is thinner than 0.8 half widths: tail, paws, ears) are laid over one another by least squares of their
    signed distances, cut at a third of the half width: shift, turn, length and width, both held near the cube root of the weights' ratio
    (sd 8 %). Height follows from the weight: length × width × height grows as the weight does. Both ends are tried as the head: a stated
    one counts, else the end without a tail, else the likelier one; where neither is clear that is a finding. Which side is up is never
    guessed. The lowest voxel lies on the stage. The animal lies flat: no roll, no bend; organs keep the atlas's places, and sds know only
    of the outline. ``silhouette`` (ny, nx) bool, ``grid`` of the image.
    Raises `InputError`: ``posture_missing``, ``head_unknown``, ``body_weight``, ``silhouette_empty``, ``atlas_empty``.
    """
    _check(atlas, silhouette, lying)
    shadow = shadow_of(atlas)
    outline = pixel_outline(np.asarray(silhouette, bool), grid)
    weight_g = lying.atlas_weight_g or float((np.asarray(atlas.labels) > 0).sum()) * voxel_volume_ml(atlas.grid) * _G_PER_ML
    by_weight = (lying.body_weight_g / weight_g) ** (1 / 3)
    side = 1.0 if lying.posture == "prone" else -1.0
    fits = fit_shadow(shadow, outline, by_weight, side)
    chosen, other, findings = _headed(fits, tail_end(outline, fits[0]), lying)
    along, across = chosen.scale
    height = float(np.clip(by_weight**3 / (along * across), by_weight / _MOST_FLAT, by_weight * _MOST_FLAT))
    to_camera = _to_camera(chosen, shadow, height, side)
    labels, posed, lifted = _laid(atlas, to_camera, grid)
    return PosedBody(
        labels=labels,
        names=dict(atlas.names),
        grid=posed,
        to_camera=lifted,
        centre_mm=chosen.centre_mm,
        head_deg=chosen.head_deg,
        scale=(along, across, height),
        shift_sd_mm=chosen.shift_sd_mm,
        angle_sd_deg=chosen.angle_sd_deg,
        scale_sd=chosen.scale_sd,
        head_score=other.cost - chosen.cost,
        findings=(*findings, *_judged(chosen, shadow, by_weight, lying)),
    )


def _check(atlas: OrganMap, silhouette: np.ndarray, lying: Lying) -> None:
    if lying.posture not in POSTURES:
        what, do = "nothing says which side of the animal faces the camera", "set posture in the config"
        raise InputError("posture_missing", what, found=lying.posture or "no posture", expected=" or ".join(POSTURES), do=do)
    if lying.head and lying.head not in HEADS:
        raise InputError("head_unknown", "no such direction of the head", found=lying.head, expected=", ".join(HEADS), do="correct head")
    weights = [lying.body_weight_g] + ([] if lying.atlas_weight_g is None else [lying.atlas_weight_g])
    if not all(math.isfinite(w) and w > 0 for w in weights):
        raise InputError("body_weight", "a body weight must be positive", found=weights, expected="> 0 g")
    if not np.asarray(silhouette).any():
        raise InputError(
            "silhouette_empty", "the animal has no outline on the image", found="no pixel", do="give its region in the sheet rois"
        )
    if not (np.asarray(atlas.labels) > 0).any():
        raise InputError("atlas_empty", "the atlas has no voxel inside", found="all labels are 0", do="look at the atlas")


def _angle_off(one_deg: float, other_deg: float) -> float:
    return abs((one_deg - other_deg + 180.0) % 360.0 - 180.0)


def _headed(fits: tuple[Fit, ...], tail_deg: float | None, lying: Lying) -> tuple[Fit, Fit, tuple[Finding, ...]]:
    """The fit to use, the best with its head elsewhere, and what was noted; ``fits`` are best first, ``tail_deg`` where a tail points."""
    best = fits[0]
    other = min((f for f in fits if _angle_off(f.head_deg, best.head_deg) > 90), key=lambda f: f.cost)
    lead, text = (
        other.cost - best.cost,
        f"head at {best.head_deg:.0f}° rather than {other.head_deg:.0f}° by the outline (ln {other.cost - best.cost:.1f})",
    )
    seen, how = best, "outline" if lead >= _CLEAR else ""
    noted: list[Finding] = []
    if tail_deg is not None:
        seen = min((best, other), key=lambda f: -_angle_off(f.head_deg, tail_deg))
        how = "tail"
        if seen is other and lead >= _CLEAR:
            noted.append(Finding("pose_head_unclear", "warn", f"a tail at {tail_deg:.0f}°, but {text}: check the picture"))
    chosen = seen
    if lying.head:
        chosen = min((best, other), key=lambda f: _angle_off(f.head_deg, HEADS[lying.head]))
        if chosen is not seen and how:
            noted.append(
                Finding("pose_head_disagrees", "warn", f"stated {lying.head}, but by its {how} the head is at {seen.head_deg:.0f}°")
            )
        if _angle_off(chosen.head_deg, HEADS[lying.head]) > _FAR_DEG:
            noted.append(Finding("pose_head_disagrees", "warn", f"stated {lying.head}, but the animal lies along {chosen.head_deg:.0f}°"))
    elif not how:
        noted.append(Finding("pose_head_unclear", "warn", f"{text}, which is no clear lead: state where the head is"))
    return chosen, other if chosen is best else best, tuple(noted)


def _judged(fit: Fit, shadow: Shadow, by_weight: float, lying: Lying) -> tuple[Finding, ...]:
    along, across = fit.scale
    size = along * across / by_weight**2
    words = (
        f"{lying.posture}, head at {fit.head_deg:.0f}° ± {fit.angle_sd_deg:.1f}°, {along:.3f} times as long and {across:.3f} times as wide "
        f"as the atlas ({by_weight:.3f} by weight), borders {fit.rms_mm:.2f} mm apart"
    )
    noted = [Finding("pose", "ok", words)]
    if not 1 / _MOST_SIZE <= size <= _MOST_SIZE:
        reason = f"the outline is {size:.2f} times as large as the weight says: is it this animal, and all of it?"
        noted.append(Finding("pose_size", "warn", reason))
    if fit.rms_mm > _MOST_MISFIT * shadow.half_width_mm * across:
        noted.append(
            Finding("pose_misfit", "warn", f"borders {fit.rms_mm:.1f} mm apart: the animal does not lie stretched as the atlas does")
        )
    return tuple(noted)


def _to_camera(fit: Fit, shadow: Shadow, height: float, side: float) -> np.ndarray:
    """4 × 4 from RAS+ to the image, heights still from the atlas's own zero."""
    along, across = fit.scale
    head = np.array([math.cos(math.radians(fit.head_deg)), -math.sin(math.radians(fit.head_deg))])
    # A quarter turn clockwise as seen, with y down; seen from the belly the other way.
    right = side * np.array([-head[1], head[0]])
    affine = np.eye(4)
    affine[:2, 0], affine[:2, 1], affine[:2, 2] = across * right, 0.0, along * head
    affine[2, :3] = 0.0, -side * height, 0.0
    affine[:2, 3] = fit.centre_mm - affine[:2, :3] @ np.array([shadow.middle_mm[0], 0.0, shadow.middle_mm[1]])
    return affine


def _laid(atlas: OrganMap, to_camera: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid, np.ndarray]:
    """Labels on voxels of the camera's axes, by nearest neighbour; their grid; and ``to_camera`` with the body lifted onto the stage."""
    from scipy.ndimage import affine_transform

    labels = np.asarray(atlas.labels)
    inside = np.argwhere(labels > 0)[:, ::-1]
    voxel_to_camera = to_camera @ atlas.grid.affine
    places = inside @ voxel_to_camera[:3, :3].T + voxel_to_camera[:3, 3]
    half = np.abs(voxel_to_camera[:3, :3]).sum(axis=1) / 2
    low, high = places.min(axis=0) - half, places.max(axis=0) + half
    lifted = to_camera.copy()
    lifted[2, 3] -= low[2]
    low, high = low - (0.0, 0.0, low[2]), high - (0.0, 0.0, low[2])
    step = _voxel_mm(float(abs(grid.affine[0, 0])))
    corner = np.array([*(grid.affine[:2, 3] - grid.affine[[0, 1], [0, 1]] / 2), 0.0])
    # Borders of voxels fall on borders of pixels, and on the stage.
    first = np.floor((low - corner) / step + 1e-9).astype(int)
    shape = np.maximum(np.ceil((high - corner) / step - 1e-9).astype(int) - first, 1)
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = corner + (first + 0.5) * step
    back = np.linalg.inv(atlas.grid.affine) @ np.linalg.inv(lifted) @ affine
    size = (int(shape[2]), int(shape[1]), int(shape[0]))
    posed = affine_transform(
        labels, back[2::-1, 2::-1], back[2::-1, 3], output_shape=size, order=0, mode="grid-constant", cval=0, prefilter=False
    )
    return np.asarray(posed), Grid(size, affine), lifted


def _voxel_mm(pixel_mm: float) -> float:
    """Edge of a voxel: a whole part of a pixel, or a whole number of pixels where those are small.

    >>> _voxel_mm(1.75), _voxel_mm(0.25)
    (0.5833333333333334, 0.5)
    """
    return (
        pixel_mm / math.ceil(pixel_mm / _MOST_VOXEL_MM) if pixel_mm > _MOST_VOXEL_MM else pixel_mm * math.floor(_MOST_VOXEL_MM / pixel_mm)
    )
