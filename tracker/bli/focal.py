"""Light of focal sources: each region's, as deep as its colour tells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tracker.bli.bands import bands_of
from tracker.bli.depth import BandFlux, depth_from_two_filters
from tracker.bli.flux import FULL_SPHERE_SR, region_flux
from tracker.bli.images import OPEN_NM, Series, image_of
from tracker.bli.measure import FLUX
from tracker.bli.optics import BODY_TISSUE, TISSUES, Tissue, attenuation_per_mm, tissue_optics
from tracker.bli.reading import LOD_SDS, Reading, background_index, ground_of
from tracker.bli.result import Unmixed, unseen, with_scale
from tracker.bli.spectrum import Band
from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity
from tracker.quantify import OrganValue
from tracker.study.model import Context


def focal_light(quantity: Quantity, organ_map: OrganMap, context: Context, readings: Mapping[str, Reading]) -> Unmixed:
    """The light of each region as a point source's, by `depth_from_two_filters`; one that too few filters show has no value.

    ``focal_tissue`` of the config is what lies above it. Raises `InputError` ``depth_needs_filters`` with fewer than two known filters.
    """
    bands, findings = bands_of(quantity)
    coloured = [(series, band) for series, band in bands if series.filter_nm != OPEN_NM]
    if len(coloured) < 2:
        what, do = "depth from colour needs images through two filters", "take a filter series, or set bli.depth to none"
        raise InputError("depth_needs_filters", what, found=f"{len(coloured)} with a known width", expected="2 or more", do=do)
    tissue = TISSUES[str(context.constants.get("focal_tissue", BODY_TISSUE))]
    values, noted = [], list(findings)
    for index, name in organ_map.names.items():
        if index != background_index(organ_map):
            value, said = _source(name, [_band_flux(quantity, organ_map, index, *one) for one in coloured], tissue, readings[name])
            values.append(replace(value, sd_scale=with_scale(value, quantity.scale_cv)))
            noted += [Finding(f.check, f.status, f"{name}: {f.reason}") for f in said]
    return Unmixed(tuple(values), tuple(noted))


def _source(name: str, seen: Sequence[BandFlux], tissue: Tissue, reading: Reading) -> tuple[OrganValue, tuple[Finding, ...]]:
    """The light of one focal source, from the reddest filter and the bluest that shows it."""
    bright = [one for one in seen if one.flux_ph_per_s > one.limit_ph_per_s]
    if len(bright) < 2:
        return unseen(name, None), (Finding("depth_unknown", "warn", f"seen through {len(bright)} filter(s): two are needed"),)
    found = depth_from_two_filters(bright[0], bright[-1], tissue)
    if found.depth_mm is None or found.emitted_ph_per_s is None:
        return unseen(name, None), found.findings
    red = bright[-1]
    nm = float(np.average(red.band.wavelengths_nm, weights=red.band.shares))
    # Light falls by this share for each mm that the source lies deeper.
    per_mm = float(attenuation_per_mm(tissue_optics(tissue, nm)))
    noise = math.hypot(red.sd_ph_per_s / red.flux_ph_per_s, per_mm * (found.sd_noise_mm or 0.0))
    text = f"{found.depth_mm:.2f} mm deep (sd {found.sd_noise_mm:.2g} of noise, {found.sd_blood_mm:.2g} of the share of blood)"
    value = OrganValue(
        organ=name,
        quantity="signal",
        unit=FLUX,
        value=found.emitted_ph_per_s,
        sd_noise=found.emitted_ph_per_s * noise,
        sd_scale=found.emitted_ph_per_s * per_mm * (found.sd_blood_mm or 0.0),
        flag=tuple(f for f in reading.flags if f != "low_counts"),
        method="depth from two filters",
    )
    return value, (*found.findings, Finding("depth", "ok", text))


def _band_flux(quantity: Quantity, organ_map: OrganMap, index: int, series: Series, band: Band) -> BandFlux:
    """Net flux of a region through one filter, of its brightest frame."""
    frames = []
    for number in series.images:
        image = image_of(quantity, number)
        flux, ground = region_flux(image, organ_map.shares[index][0]), ground_of(image, organ_map)
        below = 0.0 if ground is None else ground.mean * FULL_SPHERE_SR * flux.area_cm2
        n = flux.area_cm2 / image.pixel_cm2
        empty = 0.0 if ground is None else FULL_SPHERE_SR * image.pixel_cm2 * ground.sd * math.sqrt(n + n * n / ground.n)
        sd = math.hypot(flux.sd_ph_per_s if math.isfinite(flux.sd_ph_per_s) else 0.0, empty)
        # A saturated frame tells no colour.
        if not flux.saturated and math.isfinite(flux.flux_ph_per_s):
            frames.append(BandFlux(band, flux.flux_ph_per_s - below, sd, LOD_SDS * sd))
    return max(frames, key=lambda one: one.flux_ph_per_s, default=BandFlux(band, 0.0, math.inf, math.inf))
