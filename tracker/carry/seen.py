"""Images to register by: an anatomical scan, or a measured scan's own where its modality shows anatomy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracker.anatomy import Anatomy, Body, body_of, read_anatomy
from tracker.beds.bodies import find_bodies, girth_mm
from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap, Quantity, voxel_size_mm
from tracker.study.rows import Acquisition

# How CT numbers are spread over the greys that registration sees: soft tissues, which organs differ in, get half of them.
_HU, _GREY = (-1000.0, -200.0, 250.0, 700.0), (0.0, 0.35, 0.85, 1.0)
# Images beside a rate that show anatomy: the signal before any decay.
_ANATOMICAL_MAPS = ("s0", "first_echo")
_TERRITORY = "territory"
# Finer voxels cost time and memory, and borders are known to a share of a voxel of this size: in a mouse 0.25 mm.
_MOST_VOXELS = 4_500_000


@dataclass(frozen=True, slots=True)
class Seen:
    """``values`` (z, y, x) float32 to register by (CT in HU) on ``grid``, without the bed, NaN where nothing is known or another animal
    lies; ``contrast`` as `Anatomy`; ``name`` for people; ``body`` the outline, None where it was not looked for; ``findings``."""

    values: np.ndarray
    grid: Grid
    contrast: str
    name: str
    body: Body | None = None
    findings: tuple[Finding, ...] = ()


def described(row: Acquisition) -> str:
    """A scan in words.

    >>> from pathlib import Path
    >>> described(Acquisition("m1", "d0", "ct", Path("x"), "d0"))
    'ct of session d0'
    """
    return f"{row.modality} of session {row.session}"


def greys(seen: Seen) -> np.ndarray:
    """The values as registration is to see them: CT numbers spread so that soft tissues differ, all others as they are."""
    if seen.contrast != "ct":
        return seen.values
    return np.asarray(np.interp(seen.values, _HU, _GREY), np.float32)


def _alone(anatomy: Anatomy, body: Body | None) -> np.ndarray:
    """The values with nothing but air around the body.

    A bed or a tube stays where it is while the animal moves: registration would follow the larger of the two.
    """
    if body is None:
        return anatomy.values
    values = np.array(anatomy.values, np.float32)
    around = ~on_grid(_grown(body), body.grid, anatomy.grid) & np.isfinite(values)
    air = float(np.median(values[around])) if around.any() else 0.0
    values[around] = np.minimum(values[around], air)
    return values


def _grown(body: Body) -> np.ndarray:
    """The outline with two voxels of air around it: its own border must stay in sight."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(body.mask, iterations=2))


def read_seen(row: Acquisition, weight_g: float, *, alone: bool = True) -> tuple[Seen, Anatomy]:
    """The anatomical scan of a row, to register by, with the animal's outline where it lies ``alone``; and as it was read."""
    anatomy = read_anatomy(row.path, row.series, row.modality)
    body = body_of(anatomy, girth_mm(weight_g)) if alone else None
    return Seen(_alone(anatomy, body), anatomy.grid, anatomy.contrast, described(row), body, anatomy.findings), anatomy


def reduced(seen: Seen) -> Seen:
    """The image averaged over blocks until it has no more voxels than registration makes use of."""
    from tracker.register.pyramid import Picture, shrink

    grid = seen.grid
    voxel = max(float(np.prod(voxel_size_mm(grid))) ** (1 / 3), min(voxel_size_mm(grid)))
    spacing = voxel * float(np.ceil((np.prod(grid.shape, dtype=float) / _MOST_VOXELS) ** (1 / 3)))
    small = shrink(Picture(seen.values, grid, 0.0), spacing) if np.prod(grid.shape) > _MOST_VOXELS else None
    return seen if small is None else replace(seen, values=small.values, grid=small.grid)


def own_image(quantity: Quantity, row: Acquisition) -> Seen | None:
    """The anatomy that a measured scan shows by itself; None where it shows label alone, which is no anatomy."""
    if quantity.kind != "relaxation_rate":
        return None
    name = next((n for n in _ANATOMICAL_MAPS if n in quantity.maps), None)
    if name is None:
        return None
    values = np.array(quantity.maps[name], np.float32)
    values = values[0] if values.ndim == 4 else values
    if _TERRITORY in quantity.maps:
        values[np.asarray(quantity.maps[_TERRITORY]) == 0] = np.nan
    return Seen(values, quantity.grid, "mr", f"{described(row)} ({name})")


def of_own_animal(seen: Seen, quantity: Quantity) -> Seen:
    """Of an anatomical scan of a shared bed the scan's own animal: NaN where the split scan has another one, or was cut off.

    Raises `InputError` ``beds_frame`` where both scans do not share a frame of reference: whose body is whose cannot be told.
    """
    if _TERRITORY not in quantity.maps:
        return seen
    uid = quantity.grid.frame_of_reference_uid
    if not uid or uid != seen.grid.frame_of_reference_uid:
        what, do = (
            "the anatomical scan of a shared bed is in another frame of reference than the scan",
            "give each animal organs of its own",
        )
        raise InputError("beds_frame", what, found=seen.grid.frame_of_reference_uid or "none", expected=uid or "any", do=do)
    own = on_grid(np.asarray(quantity.maps[_TERRITORY]) > 0, quantity.grid, seen.grid)
    if not own.any():
        do = "check that both are of one session"
        raise InputError("anatomy_elsewhere", "the animal lies outside its anatomical scan", found=seen.name, do=do)
    return _without_others(seen, own)


def with_organs_on(seen: Seen, organs: OrganMap, weights_g: Sequence[float]) -> Seen:
    """Of an anatomical scan of a shared bed the animal that the organs lie in; the scan itself where one animal alone lies in it.

    Raises `InputError` ``beds_count`` where the number of bodies is not that of the weights, ``beds_swapped`` where the organs are spread.
    """
    if len(weights_g) < 2:
        return seen
    # Air is 0 there.
    image = np.clip(seen.values + 1000.0, 0.0, None) if seen.contrast == "ct" else seen.values
    bodies = find_bodies(np.nan_to_num(image), seen.grid, weights_g)
    if len(bodies.centre_mm) != len(weights_g):
        what, do = "the scan shows another number of animals than the sheets", "list every animal of the bed in acquisitions"
        raise InputError("beds_count", what, found=len(bodies.centre_mm), expected=len(weights_g), where=seen.name, do=do)
    drawn = on_grid(organs.labels > 0, organs.grid, seen.grid)
    count = np.bincount(bodies.territory[drawn], minlength=len(weights_g) + 1)
    if count.max() < 0.9 * count.sum():
        found = f"{count.max() / max(int(count.sum()), 1):.0%} of them in one body"
        raise InputError("beds_swapped", "the organs lie in more than one animal", found=found, where=seen.name, do="check the organ map")
    return _without_others(seen, bodies.territory == int(count.argmax()))


def _without_others(seen: Seen, own: np.ndarray) -> Seen:
    """The box of what is the animal's own, NaN where another one lies; the outline was of all of them."""
    box = tuple(slice(int(u[0]), int(u[-1]) + 1) for u in (np.flatnonzero(own.any(axis=a)) for a in ((1, 2), (0, 2), (0, 1))))
    affine = seen.grid.affine.copy()
    affine[:3, 3] = (affine @ [box[2].start, box[1].start, box[0].start, 1.0])[:3]
    values = np.where(own[box], seen.values[box], np.float32(np.nan))
    grid = Grid((values.shape[0], values.shape[1], values.shape[2]), affine, seen.grid.frame_of_reference_uid)
    return Seen(values, grid, seen.contrast, seen.name, None, seen.findings)


def on_grid(mask: np.ndarray, source: Grid, grid: Grid) -> np.ndarray:
    """A mask (z, y, x) at the voxel centres of another grid of the same space; false outside."""
    from scipy.ndimage import affine_transform

    # SciPy works in array order: both sides of the matrix are reversed.
    matrix = np.linalg.inv(source.affine) @ grid.affine
    found = affine_transform(
        mask.astype(np.uint8),
        matrix[2::-1, 2::-1],
        matrix[2::-1, 3],
        output_shape=grid.shape,
        order=0,
        mode="grid-constant",
        prefilter=False,
    )
    return np.asarray(found > 0)
