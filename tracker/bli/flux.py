"""What a region of a calibrated planar image sends out: total flux, mean and maximum radiance, and how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# The maker's convention, kept because every published flux has it: radiance as if the surface sent the same in all directions.
FULL_SPHERE_SR = 4 * math.pi
# A pixel counts for the maximum where most of it is the region's.
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Flux:
    """One region in one image.

    ``flux_ph_per_s``: total flux, with ``sd``; ``mean`` and ``high``: radiance [photons/s/cm2/sr] and its sd; ``area_cm2`` of the region.
    ``saturated``: pixels above the detector's limit are in it, so that all of them are lower bounds; ``lost_share``: how much of the
    region has no value. All None-able numbers are NaN where nothing could be measured.
    """

    flux_ph_per_s: float
    sd_ph_per_s: float
    mean: float
    sd_mean: float
    high: float
    sd_high: float
    area_cm2: float
    saturated: bool
    lost_share: float


@dataclass(frozen=True, slots=True)
class Image:
    """One calibrated image: ``radiance`` and its ``sd`` per pixel (y, x) [photons/s/cm2/sr], NaN where nothing is known.

    ``saturated`` (y, x): pixels above the detector's limit, which hold at least ``limit`` (y, x).
    """

    radiance: np.ndarray
    sd: np.ndarray
    saturated: np.ndarray
    limit: np.ndarray
    pixel_cm2: float


def region_flux(image: Image, share: np.ndarray) -> Flux:
    """Flux and radiance of one region; ``share`` (y, x) is how much of each pixel is the region's, 0 to 1.

        mean L = Σ s L / Σ s        flux = 4π · mean L · A,  A = Σ s · pixel area

    [photons/s/cm2/sr, photons/s]. Pixels without a value are left out of the mean (they count in the area); a saturated pixel counts as the
    limit. sd from the pixels' own noise, taken as independent. Negative values are kept. Background is in it.
    Not light made in the tissue: what tissue swallows is missing, and 4π is a convention (a Lambertian surface sends out π · L).

    >>> flat = np.full((4, 4), 2.0)
    >>> image = Image(flat, 0 * flat, flat > 9, np.full((4, 4), 9.0), pixel_cm2=0.01)
    >>> round(region_flux(image, np.ones((4, 4))).flux_ph_per_s / math.pi, 9)
    1.28
    """
    inside = share > 0
    area_cm2 = float(share.sum()) * image.pixel_cm2
    values = np.where(image.saturated, np.fmax(image.radiance, image.limit), image.radiance)
    known = inside & np.isfinite(values)
    weight = share[known].astype(np.float64)
    total = float(weight.sum())
    if not total > 0:
        nan = math.nan
        return Flux(nan, nan, nan, nan, nan, nan, area_cm2, False, 1.0 if inside.any() else 0.0)
    mean = float((weight * values[known]).sum() / total)
    sd_mean = float(np.sqrt((weight**2 * image.sd[known].astype(np.float64) ** 2).sum()) / total)
    within = known & (share >= min(_MOST, float(share.max())))
    top = int(np.argmax(np.where(within, values, -np.inf)))
    per_mean = FULL_SPHERE_SR * area_cm2
    return Flux(
        mean * per_mean,
        sd_mean * per_mean,
        mean,
        sd_mean,
        float(values.flat[top]),
        float(image.sd.flat[top]),
        area_cm2,
        bool((image.saturated & inside).any()),
        float(share[inside & ~known].sum() / share.sum()),
    )
