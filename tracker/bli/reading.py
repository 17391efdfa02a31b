"""What one region of a scan shows: its flux in the images that count, at the luciferin's peak, with and without the background."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.bli.flux import FULL_SPHERE_SR, Flux, Image, region_flux
from tracker.bli.images import Series, image_of, middles_s, shown
from tracker.bli.luciferin import EARLIEST_S, LATEST_S, peak_flux
from tracker.errors import Finding
from tracker.image import OrganMap, Quantity

BACKGROUND = "background"
# The maker's advice; below it read noise and the background's own make the picture.
LOW_COUNTS = 600.0
# Limits of detection and of quantification, in standard deviations of an empty region.
LOD_SDS, LOQ_SDS = 3.0, 10.0
# Weight of a frame whose noise nobody states, as a share of the highest; only how frames compare depends on it.
_EVEN_CV = 0.02


@dataclass(frozen=True, slots=True)
class Ground:
    """The background region of one image: its ``mean`` radiance, the ``sd`` between its pixels and their number ``n``."""

    mean: float
    sd: float
    n: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One region: flux with its background (``flux``) and without (``net_ph_per_s``), at the peak after luciferin or of the one image.

    ``lod_ph_per_s``, ``loq_ph_per_s``: 3 and 10 sd of an empty region of its size, None without a background region. ``image``: the
    number of the image that maximum and saturation are read from. ``flags`` go onto its rows.
    """

    flux: Flux
    net_ph_per_s: float
    net_sd_ph_per_s: float
    lod_ph_per_s: float | None
    loq_ph_per_s: float | None
    image: int
    method: str
    flags: tuple[str, ...]
    findings: tuple[Finding, ...]


def background_index(organ_map: OrganMap) -> int | None:
    """The region that holds background alone, None where nobody drew one."""
    return next((index for index, name in organ_map.names.items() if name.lower() == BACKGROUND), None)


def ground_of(image: Image, organ_map: OrganMap) -> Ground | None:
    """The background of one image; None without a region of it, or where that has no value."""
    index = background_index(organ_map)
    if index is None:
        return None
    share = organ_map.shares[index][0]
    known = (share > 0) & np.isfinite(image.radiance) & ~image.saturated
    weight, values = share[known].astype(np.float64), image.radiance[known]
    if weight.sum() <= 1:
        return None
    mean = float((weight * values).sum() / weight.sum())
    return Ground(mean, float(np.sqrt((weight * (values - mean) ** 2).sum() / (weight.sum() - 1))), float(weight.sum()))


def read_region(quantity: Quantity, organ_map: OrganMap, index: int) -> Reading:
    """The reading of the region with this index.

    Of several frames through one filter the peak after luciferin is fitted to the flux without background; where they do not bracket it,
    the highest frame from 8 to 20 min stands, else the highest there is, both flagged ``luciferin_timing``. One image is taken as it
    is; the flag is set where its time after luciferin is unknown or outside 8 to 20 min. The noise of the background's mean is in
    the net flux; that the background under the animal is that beside it is taken on trust.
    """
    series, share = shown(quantity), organ_map.shares[index][0]
    images = [image_of(quantity, i) for i in series.images]
    fluxes = [region_flux(image, share) for image in images]
    grounds = [ground_of(image, organ_map) for image in images]
    below = [0.0 if g is None else g.mean * FULL_SPHERE_SR * f.area_cm2 for f, g in zip(fluxes, grounds, strict=True)]
    empty = [_empty_sd(f, g, image.pixel_cm2) for f, g, image in zip(fluxes, grounds, images, strict=True)]
    net = np.array([f.flux_ph_per_s - b for f, b in zip(fluxes, below, strict=True)])
    sd = np.array([math.hypot(f.sd_ph_per_s, 0.0 if e is None else e[1]) for f, e in zip(fluxes, empty, strict=True)])
    taken = _at_peak(quantity, series, net, sd)
    best = taken.frame
    flux, more = fluxes[best], taken.net - float(net[best])
    flags = _doubts(quantity, flux, series.images[best])
    return Reading(
        flux=_moved(flux, more, taken.sd if taken.fitted else flux.sd_ph_per_s),
        net_ph_per_s=taken.net,
        net_sd_ph_per_s=taken.sd,
        lod_ph_per_s=None if empty[best] is None else LOD_SDS * empty[best][0],  # type: ignore[index]
        loq_ph_per_s=None if empty[best] is None else LOQ_SDS * empty[best][0],  # type: ignore[index]
        image=series.images[best],
        method=">".join((series.name, *taken.stages)),
        flags=(*flags, *taken.flags),
        findings=taken.findings,
    )


def _empty_sd(flux: Flux, ground: Ground | None, pixel: float) -> tuple[float, float] | None:
    """Sd of the net flux of a region that holds nothing but background, and of the background's mean alone [photons/s]."""
    if ground is None or not pixel > 0:
        return None
    n = flux.area_cm2 / pixel
    each = FULL_SPHERE_SR * pixel * ground.sd
    of_mean = each * n / math.sqrt(ground.n)
    return math.hypot(each * math.sqrt(n), of_mean), of_mean


@dataclass(frozen=True, slots=True)
class _Taken:
    """Net flux at the peak and its noise, the frame nearest to it, and how it came about."""

    net: float
    sd: float
    frame: int
    fitted: bool
    stages: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


_UNTIMED = ("luciferin_timing",)


def _at_peak(quantity: Quantity, series: Series, net: np.ndarray, sd: np.ndarray) -> _Taken:
    known = np.isfinite(net)
    top = int(np.where(known, net, -np.inf).argmax()) if known.any() else 0
    single = _Taken(float(net[top]), float(sd[top]), top, fitted=False)
    if quantity.kind != "radiance":
        return single  # a dye needs no luciferin
    when = middles_s(quantity, series)
    if len(net) == 1:
        timely = when is not None and EARLIEST_S <= when[0] <= LATEST_S
        return single if timely else _Taken(single.net, single.sd, 0, fitted=False, flags=_UNTIMED)
    if when is None:
        why = Finding("luciferin_timing", "warn", f"{len(net)} frames, and nobody said when luciferin was given: the highest is taken")
        return _Taken(single.net, single.sd, top, fitted=False, stages=("highest frame",), flags=_UNTIMED, findings=(why,))
    stated = np.isfinite(sd) & (sd > 0)
    even = np.full(len(net), _EVEN_CV * max(float(np.nanmax(np.abs(net))), 1e-300) if known.any() else 1.0)
    found = peak_flux(when, net, np.where(stated, sd, even))
    if found.flux_ph_per_s is None:
        return _Taken(single.net, single.sd, top, fitted=False, stages=("highest frame",), flags=_UNTIMED, findings=found.findings)
    frame = int(np.abs(np.where(known, when, np.inf) - (found.time_s or 0.0)).argmin())
    noise = float(found.sd_ph_per_s or math.nan) if stated.all() else math.nan
    if found.method == "fitted":
        return _Taken(found.flux_ph_per_s, noise, frame, fitted=True, stages=("peak of luciferin",), findings=found.findings)
    return _Taken(found.flux_ph_per_s, noise, frame, fitted=False, stages=("highest frame",), flags=_UNTIMED, findings=found.findings)


def _moved(flux: Flux, more: float, sd: float) -> Flux:
    """The frame's flux as it would be at the peak: ``more`` light, evenly over the region."""
    per_mean = FULL_SPHERE_SR * flux.area_cm2
    scale = sd / flux.sd_ph_per_s if flux.sd_ph_per_s > 0 else 1.0
    return Flux(
        flux.flux_ph_per_s + more,
        sd,
        flux.mean + (more / per_mean if per_mean else 0.0),
        flux.sd_mean * scale,
        flux.high,
        flux.sd_high,
        flux.area_cm2,
        flux.saturated,
        flux.lost_share,
    )


def _doubts(quantity: Quantity, flux: Flux, image: int) -> tuple[str, ...]:
    flags = ["saturated"] if flux.saturated else []
    if flux.lost_share > 0:
        flags.append("nonfinite_voxels")
    per_radiance = quantity.facts.get(f"counts_per_radiance_{image}")
    # A dye's image is divided by the light that excites it: its counts are not the radiance's.
    counts = None if per_radiance is None or quantity.kind != "radiance" else flux.high * per_radiance
    if counts is not None and counts < LOW_COUNTS:
        flags.append("low_counts")
    return tuple(flags)
