"""The animals on a photograph: found by their bright (or dark) bodies on the stage, one outline each, tails and paws told from trunks.

The sheet's body weights say how large an animal is, as for shared beds: a threshold alone cannot tell a mouse from a nose cone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracker.beds.bodies import girth_mm
from tracker.bli.waist import Size, bodies
from tracker.errors import InputError

# Area of a trunk from above [mm²] at 25 g: 23 mm wide and 86 mm long with round ends; with weight to the power 2/3.
_TRUNK_MM2, _AT_G = 1700.0, 25.0
# Pixels of an animal's girth on the grid that is worked on: about 0.8 mm in a mouse.
_PER_GIRTH = 26.0
# In girths: what is thinner than twice this is tail, paw or the stage's rim, and no trunk.
_OPENING = 0.22
_LEVELS = 8
_NOISE_SDS = 5.0
# Mean cost (`waist.bodies`) up to which a level shows animals well; then more animals are the better reading.
_GOOD_COST = 0.55
# Up to which nobody need ask whether the animals are the dark places instead.
_CLEAR_COST = 0.25
# What is thick and no animal, in animals' areas, up to which the first clear level is taken: less than an animal can be hidden there.
_CLEAR_LEFT = 0.3
# Share of what a level shows of an animal that must be brighter than half its own median.
_ONE_COAT = 0.85
# In girths: a tail's length, for what still belongs to a trunk that it is connected with.
_REACH = 4.5


@dataclass(frozen=True, slots=True)
class Animals:
    """The animals of a photograph, numbered from 1 from the image's left to its right.

    ``labels`` (ny, nx) uint8 whose each pixel is, with tails and paws, 0 on the stage; ``shares`` (k, ny, nx) which share of each pixel
    is an animal's; ``centre_mm`` (k, 2) middle of each trunk (x right, y down); ``area_mm2`` (k,) of the trunks.
    """

    labels: np.ndarray
    shares: np.ndarray
    centre_mm: np.ndarray
    area_mm2: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """Trunks at one level (from 1, 0 elsewhere), all that is above the level, what the trunks cost on average.

    ``left`` is the area of what is thick and no animal, in animals' areas.
    """

    trunks: np.ndarray
    mask: np.ndarray
    cost: float
    left: float

    @property
    def grade(self) -> int:
        """2 where the trunks are clearly animals, 1 where they may well be, 0 else."""
        return int(self.cost <= _GOOD_COST) + int(self.cost <= _CLEAR_COST)

    @property
    def rank(self) -> tuple[int, int, float]:
        """Trunks that look like animals, then more of them, then those that look more so."""
        return self.grade, int(self.trunks.max()) if self.grade else 0, -self.cost


def find_animals(photograph: np.ndarray, pixel_mm: tuple[float, float], weights_g: Sequence[float]) -> Animals:
    """The animals that a photograph (ny, nx) shows; ``pixel_mm`` (height, width); their number may differ from that of the weights.

    The stage's light is a surface of second order, fitted to what is not animal and taken off. At each of 8 levels between noise and the
    brightest coats: what is brighter, holes filled; an opening of 0.22 girths takes tails, paws and rims off; what is too large or too
    dented is cut at the waist between two animals (`waist.bodies`). The lowest level counts whose trunks have the area of
    the weights, are convex and leave nothing large over; else the one that does best. Each border is then put at half the animal's own
    brightness. Dark animals on a pale stage are sought the same way where no bright ones show.
    Raises `InputError` ``animals_not_visible`` where nothing on it looks like an animal: a black mouse on a black stage.
    An outline is where the photograph changes: it says nothing of fur that is as dark as the stage.
    """
    girth = girth_mm(float(np.mean(weights_g)))
    step_mm = girth / _PER_GIRTH
    if not np.isfinite(photograph).any():
        raise InputError("animals_not_visible", "the photograph is empty", found="no number in it", do="give the regions in the sheet rois")
    # The photograph may cover less than the image does.
    whole = np.where(np.isfinite(photograph), photograph, np.nanmedian(photograph))
    work = _resized(whole, tuple(max(8, round(n * s / step_mm)) for n, s in zip(photograph.shape, pixel_mm, strict=True)))
    area_mm2 = _TRUNK_MM2 * float(np.mean([(w / _AT_G) ** (2 / 3) for w in weights_g]))
    size = Size(area_mm2 / step_mm**2, _PER_GIRTH)
    found = _best(work, size)
    if found is None:
        what, do = "no animal shows on the photograph", "give the regions in the sheet rois: black animals on a black stage cannot be found"
        where = f"looked for {len(weights_g)} of about {area_mm2:.0f} mm² on {photograph.shape[1] * pixel_mm[1]:.0f} mm"
        raise InputError("animals_not_visible", what, found="nothing of an animal's size and form", expected=where, do=do)
    return _animals(found, photograph.shape, pixel_mm, size)


def _resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The image with other pixels: means of what a pixel covers, or in between where pixels become smaller."""
    from skimage.transform import resize_local_mean

    return np.asarray(resize_local_mean(np.asarray(image, np.float64), shape))


def _best(work: np.ndarray, size: Size) -> _Found | None:
    bright = _at_levels(work, size)
    if bright is not None and bright.cost <= _CLEAR_COST:
        return bright
    dark = _at_levels(-work, size)
    # Between dark animals lie pieces of pale stage, and the other way round: those are animals that look more so.
    return max((one for one in (bright, dark) if one is not None), key=lambda one: (one.grade, -one.cost), default=None)


def _at_levels(picture: np.ndarray, size: Size) -> _Found | None:
    risen, noise = _above_stage(picture)
    bright = risen[risen > _NOISE_SDS * noise]
    # What is brighter than noise must be more than specks.
    if bright.size < 0.2 * size.area:
        return None
    top = float(np.quantile(bright, 0.9))
    levels = np.geomspace(max(_NOISE_SDS * noise, 0.08 * top), 0.7 * top, _LEVELS) if top > 0 else ()
    best: _Found | None = None
    for level in levels:
        found = _at(risen > level, size)
        if found is None:
            continue
        if found.cost <= _CLEAR_COST and found.left <= _CLEAR_LEFT:
            return _sharpened(found, risen)
        best = found if best is None or found.rank > best.rank else best
    return None if best is None else _sharpened(best, risen)


def _sharpened(found: _Found, risen: np.ndarray) -> _Found:
    """The same with each animal's border at half its own brightness: a low level lies outside it by half a pixel's blur."""
    mask = found.mask.copy()
    near = _nearest(found.trunks)
    for n in range(1, int(found.trunks.max()) + 1):
        own = found.mask & (near == n)
        half = own & (risen > 0.5 * float(np.median(risen[found.trunks == n])))
        # A coat of two colours has no one brightness: then what the level showed stays.
        if half.sum() >= _ONE_COAT * own.sum():
            mask &= half | ~own
    return replace(found, mask=mask, trunks=np.where(mask, found.trunks, 0).astype(np.uint8))


def _nearest(trunks: np.ndarray) -> np.ndarray:
    """The number of each pixel's nearest trunk."""
    from scipy.ndimage import distance_transform_edt

    index = distance_transform_edt(trunks == 0, return_distances=False, return_indices=True)
    return np.asarray(trunks[tuple(index)])


def _above_stage(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """How far each pixel is above the stage's light, and the noise of the stage (one standard deviation)."""
    from skimage.filters import threshold_otsu

    y, x = (np.linspace(-1, 1, n) for n in picture.shape)
    u, v = np.broadcast_to(x[None, :], picture.shape), np.broadcast_to(y[:, None], picture.shape)
    terms = np.stack([np.ones_like(picture), u, v, u * u, u * v, v * v], axis=-1)
    risen = picture - np.median(picture)
    noise = 0.0
    for _ in range(4):
        spread = risen.max() - risen.min()
        stage = risen <= (threshold_otsu(risen) if spread > 0 else 0.0)
        # Half of what lies below is surely stage; its paler half may be shadow and fur.
        middle = np.median(risen[stage])
        noise = 1.4826 * float(np.median(np.abs(risen[stage] - middle)))
        stage &= np.abs(risen - middle) <= 3 * noise + 1e-12
        weights, *_ = np.linalg.lstsq(terms[stage], picture[stage], rcond=None)
        risen = picture - terms @ weights
    return np.asarray(risen), noise


def _at(mask: np.ndarray, size: Size) -> _Found | None:
    from scipy.ndimage import binary_opening
    from skimage.morphology import disk, remove_small_holes

    filled = remove_small_holes(mask, max_size=max(1, round(0.1 * size.area)))
    # The image's edge is no border of an animal that it cuts.
    radius = round(_OPENING * size.girth)
    padded = np.pad(filled, radius, mode="edge")
    opened = binary_opening(padded, disk(radius))[radius:-radius, radius:-radius]
    parts = bodies(opened, size)
    if not parts:
        return None
    trunks = np.zeros(mask.shape, np.uint8)
    for n, part in enumerate(parts, start=1):
        trunks[part.box][part.mask] = n
    # What is thick and no animal (a nose cone, the stage's rim) belongs to none.
    rest = opened & (trunks == 0)
    return _Found(trunks, filled & ~rest, float(np.mean([part.cost for part in parts])), float(rest.sum()) / size.area)


def _animals(found: _Found, shape: tuple[int, ...], pixel_mm: tuple[float, float], size: Size) -> Animals:
    from skimage.segmentation import watershed

    trunks = found.trunks
    step_mm = [n * s / m for n, s, m in zip(shape, pixel_mm, trunks.shape, strict=True)]
    centres = np.array([(np.argwhere(trunks == n).mean(axis=0) + 0.5) * step_mm for n in range(1, trunks.max() + 1)])
    order = np.lexsort((centres[:, 0], np.round(centres[:, 1])))
    numbered = np.zeros_like(trunks)
    for new, old in enumerate(order, start=1):
        numbered[trunks == old + 1] = new
    far = _distance(numbered > 0)
    own = watershed(far, numbered, mask=(found.mask | (numbered > 0)) & (far <= _REACH * size.girth))
    shares = np.stack([_resized(own == n, shape) for n in range(1, len(order) + 1)])
    labels = np.where(shares.sum(axis=0) >= 0.5, shares.argmax(axis=0) + 1, 0).astype(np.uint8)
    areas = np.bincount(numbered.ravel(), minlength=len(order) + 1)[1:] * float(np.prod(step_mm))
    return Animals(labels, shares, centres[order][:, ::-1], tuple(float(a) for a in areas))


def _distance(mask: np.ndarray) -> np.ndarray:
    """How far each pixel is from the mask, in pixels."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(~mask))
