"""A scan → radiance [photons/s/cm2/sr] with its noise, its limits and how each image was taken. Pure; formulas in `radiance`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from tracker.bli.fluorescence import irradiance_uw_per_cm2
from tracker.bli.header import COUNTS, EFFICIENCY, RADIANCE, BliHeader, Click
from tracker.bli.notes import of_images
from tracker.bli.radiance import Radiance, image_radiance
from tracker.bli.timing import luciferin_s
from tracker.bli.vendor import check_against_counts
from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Quantity, Scan
from tracker.study.model import Context

# The display's factor is a ratio of stated numbers: it either is the one used here, or another calibration.
_FACTOR_PERCENT = 1.0


@dataclass(frozen=True, slots=True)
class _Image:
    """One calibrated image (ny, nx); ``sd``, ``limit``, ``censored``, ``peak_counts`` None where the files do not tell."""

    values: np.ndarray
    sd: np.ndarray | None
    limit: np.ndarray | None
    censored: np.ndarray | None
    peak_counts: float | None
    chain: str
    findings: tuple[Finding, ...]


def calibrate(scan: Scan, context: Context) -> Quantity:
    """Radiance (n, 1, ny, nx) float32 [photons/s/cm2/sr] of each image; of fluorescence radiant efficiency, per uW/cm2 of excitation.

    From counts by `image_radiance`; the vendor's corrected image is taken as it is and compared with its counts. Negative values stay.
    ``sd_voxel`` from the sensor's noise, None where no counts tell it; ``censored`` where a pixel is full, ``limit`` the radiance at
    which it would be; ``scale_cv`` is bli.calibration_sd_percent, None where that is not stated. ``maps``: ``photograph``, and of
    fluorescence ``autofluorescence``. ``facts``, i the image from 0: ``emission_nm_i`` (0 open), ``emission_width_nm_i``,
    ``emission_transmission_i``, ``exposure_s_i``, ``peak_counts_i``, ``counts_per_radiance_i``; ``field_of_view_cm``, ``binning``,
    ``f_number`` where all images share them; ``luciferin_s``. What is not stated has no entry.

    A flux is Σ radiance · 4π · pixel area. Radiance is light that left the skin towards the lens: without a depth it is no amount of
    light made, and not comparable between organs. Raises `InputError` as `image_radiance`, `check_against_counts`, `luciferin_s` and
    `irradiance_uw_per_cm2` do.
    """
    header: BliHeader = scan.header
    constants = context.constants
    values = np.asarray(scan.values)
    images = [_calibrated(c, values[i, 0], scan, constants) for i, c in enumerate(header.images)]
    unit = EFFICIENCY if header.images[0].settings.excitation or scan.unit == EFFICIENCY else RADIANCE
    origin = scan.times.origin + timedelta(seconds=float(constants.get("clock_offset_s", 0.0)))
    times = FrameTimes(origin, scan.times.start_s, scan.times.duration_s)
    delay, timing = (None, ()) if unit == EFFICIENCY else luciferin_s(times, header, context)
    maps, background, subtracted = _maps(header, scan, constants)
    stack = np.stack([image.values for image in images])
    sd_percent = constants.get("calibration_sd_percent")
    return Quantity(
        values=(stack - background)[:, None].astype(np.float32),
        unit=unit,
        grid=scan.grid,
        times=times,
        kind="radiant_efficiency" if unit == EFFICIENCY else "radiance",
        sd_voxel=_stacked([image.sd for image in images]),
        scale_cv=None if sd_percent is None else float(sd_percent) / 100,
        method=images[0].chain,
        findings=(*scan.findings, *of_images([image.findings for image in images]), *timing, *subtracted),
        censored=_stacked([image.censored for image in images], bool),
        limit=_stacked([image.limit for image in images]),
        maps=maps,
        facts=_facts(header, images, delay),
    )


def _stacked(images: Sequence[np.ndarray | None], kind: type = np.float32) -> np.ndarray | None:
    known = [image for image in images if image is not None]
    return np.stack(known)[:, None].astype(kind) if len(known) == len(images) else None


def _calibrated(click: Click, values: np.ndarray, scan: Scan, constants: Mapping[str, Any]) -> _Image:
    """One image in the unit of the whole."""
    if scan.unit == COUNTS:
        if click.raw is None:
            raise TypeError(f"a scan in counts without counts: {click.path}")
        own = image_radiance(replace(click, raw=replace(click.raw, counts=values)), constants)
        found = (*own.findings, *_factor_findings(click))
        image = _Image(own.values, own.sd, own.limit, own.censored, own.peak_counts, f"{own.chain}>radiance", found)
    else:
        image = _as_given(click, values.astype(np.float64), scan, constants)
    if not click.settings.excitation or scan.unit == EFFICIENCY:
        return image
    power = irradiance_uw_per_cm2(click, constants)
    why = Finding("excitation", "warn", f"divided by {power:g} uW/cm2 of excitation light, taken as even over the stage")
    sd, limit = (None if one is None else one / power for one in (image.sd, image.limit))
    return replace(
        image, values=image.values / power, sd=sd, limit=limit, chain=f"{image.chain}>radiant efficiency", findings=(*image.findings, why)
    )


def _as_given(click: Click, values: np.ndarray, scan: Scan, constants: Mapping[str, Any]) -> _Image:
    """An image in radiance already, with what its counts add to it: noise, saturation, and whether they agree."""
    header: BliHeader = scan.header
    empty = int(np.isnan(values).sum())
    noted = [Finding("nan_pixels", "warn", f"{empty} pixels hold no number: they are measured by nobody")] if empty else []
    if header.source == "sidecar":
        return _other_makers(values, header.saturation, noted)
    own, why = _from_counts(click, constants)
    noted += why
    full = _full(click)
    limit = None if full is None else np.where(full, values, np.nan)
    chain = f"IVIS vendor-corrected {'radiant efficiency' if scan.unit == EFFICIENCY else 'radiance'}"
    if own is None or full is None:
        return _Image(values, None, limit, full, _peak(click), chain, tuple(noted))
    if scan.unit == EFFICIENCY:
        # Counts tell radiance, not the power of the light: saturation is all that carries over.
        return _Image(values, None, limit, full, own.peak_counts, chain, tuple(noted))
    agreed = check_against_counts(values, own, click.path)
    noted += [agreed] if agreed else []
    return _Image(values, own.sd, np.where(full, np.fmin(own.limit, values), own.limit), full, own.peak_counts, chain, tuple(noted))


def _other_makers(values: np.ndarray, saturation: float | None, noted: list[Finding]) -> _Image:
    """An image of a sidecar: no noise model, and saturation only where it is stated."""
    if saturation is None:
        why = "the sidecar states no `saturation`: whether pixels are full cannot be told"
        return _Image(values, None, None, None, None, "sidecar radiance", (*noted, Finding("saturation_level", "warn", why)))
    return _Image(values, None, np.full(values.shape, saturation), values >= saturation, None, "sidecar radiance", tuple(noted))


def _from_counts(click: Click, constants: Mapping[str, Any]) -> tuple[Radiance | None, tuple[Finding, ...]]:
    """What the counts give here; where they cannot be calibrated the vendor's image stands alone, and that is said."""
    if click.raw is None:
        return None, ()
    try:
        own = image_radiance(click, constants)
    except InputError as error:
        return None, (Finding("vendor_image", "warn", f"not compared with the counts: {error.what}"),)
    return own, tuple(f for f in own.findings if f.check == "sensor_noise")


def _full(click: Click) -> np.ndarray | None:
    """Where the sensor was full, one pixel wider: the vendor's image is warped by about that."""
    from scipy.ndimage import binary_dilation

    return None if click.raw is None else np.asarray(binary_dilation(click.raw.saturated, np.ones((3, 3), bool)))


def _peak(click: Click) -> float | None:
    return None if click.raw is None else float((click.raw.counts - click.raw.bias - click.raw.dark).max())


def _factor_findings(click: Click) -> tuple[Finding, ...]:
    """The display's own factor beside the one used here."""
    per_count = _radiance_per_count(click)
    if click.per_count is None or per_count is None:
        return ()
    percent = 100 * (per_count / click.per_count - 1)
    text = f"`Calibration Value Per Count` {click.per_count:.5g}, here {per_count:.5g}: {percent:+.2f} %"
    return (Finding("calibration_value", "ok" if abs(percent) <= _FACTOR_PERCENT else "warn", text),)


def _radiance_per_count(click: Click) -> float | None:
    from tracker.bli.camera import coefficient

    s = click.settings
    try:
        value = coefficient(click.camera, s.field_of_view_cm, s.f_number or 0.0, click.path)
    except InputError:
        return None
    return value / (s.exposure_s * s.binning**2) if s.binning else None


def _maps(
    header: BliHeader, scan: Scan, constants: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], np.ndarray | float, tuple[Finding, ...]]:
    """Images beside the radiance, and the autofluorescence that comes off it: as much of it as the config says, else none."""
    maps = {} if header.photograph is None else {"photograph": header.photograph[None].astype(np.float32)}
    back = header.background
    if back is None:
        return maps, 0.0, ()
    values = back.corrected.values if scan.unit != COUNTS and back.corrected is not None else None if back.raw is None else back.raw.counts
    if values is None:
        return maps, 0.0, (Finding("autofluorescence", "warn", "the background's image is not in the unit of the others: not used"),)
    image = _calibrated(back, values, scan, constants).values
    share = constants.get("autofluorescence_scale")
    if share is None:
        why = "autofluorescence is not taken off: set bli.autofluorescence_scale to the ratio of both images where there is no dye"
        return maps | {"autofluorescence": image[None].astype(np.float32)}, 0.0, (Finding("autofluorescence", "warn", why),)
    why = f"{float(share):g} times the background's image was taken off"
    return maps | {"autofluorescence": image[None].astype(np.float32)}, float(share) * image, (Finding("autofluorescence", "ok", why),)


def _facts(header: BliHeader, images: Sequence[_Image], delay_s: float | None) -> dict[str, float]:
    facts: dict[str, float | None] = {"field_of_view_cm": header.field_of_view_cm, "luciferin_s": delay_s}
    for name in ("binning", "f_number"):
        stated = {getattr(c.settings, name) for c in header.images}
        facts[name] = stated.pop() if len(stated) == 1 else None
    for i, (click, image) in enumerate(zip(header.images, images, strict=True)):
        s, per_count = click.settings, _radiance_per_count(click)
        facts |= {
            f"emission_nm_{i}": s.emission_nm,
            f"emission_width_nm_{i}": s.emission_width_nm,
            f"emission_transmission_{i}": s.emission_transmission,
            f"exposure_s_{i}": s.exposure_s,
            f"peak_counts_{i}": image.peak_counts,
            f"counts_per_radiance_{i}": None if per_count is None else 1 / per_count,
        }
    return {name: float(value) for name, value in facts.items() if value is not None}
