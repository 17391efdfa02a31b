"""Counts of one image → radiance, with its noise and what the sensor could not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracker.bli.camera import coefficient, flat_of
from tracker.bli.cosmic import replace_hits
from tracker.bli.flat import flat_field
from tracker.bli.header import Click, Raw
from tracker.bli.sensor import SensorNoise, noise_of_image, noise_sd
from tracker.errors import Finding, InputError

# A long exposure has hits in some thousandth of its pixels. More is said; far more are no cosmic rays, and nothing is replaced.
_MANY_HITS, _TOO_MANY_HITS = 0.002, 0.01


@dataclass(frozen=True, slots=True)
class Radiance:
    """One image in photons/s/cm2/sr: ``values``, ``sd`` of each pixel, ``limit`` and where it is reached (``censored``), all (ny, nx)."""

    values: np.ndarray
    sd: np.ndarray
    limit: np.ndarray
    censored: np.ndarray
    peak_counts: float
    chain: str
    findings: tuple[Finding, ...]


def image_radiance(click: Click, constants: Mapping[str, Any]) -> Radiance:
    """Radiance of an image from its counts, (ny, nx) float64 [photons/s/cm2/sr]:

    L = (N - bias - dark t/t_dark) · C(field of view, f-number)/(t b²)/flat(r), cosmic hits replaced before.

    C is for the unbinned sensor: a pixel of b × b counts b² times as much. Arithmetic is in floats, so that a pixel below the bias is
    negative and stays so. var(N) = (N_light + N_dark)/g + σ². ``constants``: the config's electrons_per_count, read_noise_counts,
    cosmic_hits. Raises `InputError`: ``no_calibration``, ``no_binning``, ``no_f_number``, ``bias_contradicts``, ``bad_flat_field``.
    What is not undone: the transmission of a filter, the warp of the lens, light from elsewhere in the box.
    """
    if click.raw is None:
        raise InputError("no_counts", "the click has no counts to calibrate", found="no luminescent.TIF", expected="luminescent.TIF",
                         where=click.path, do="copy the whole click folder")  # fmt: skip
    factor = _factor(click)
    raw, done = click.raw, click.settings.corrected
    net = raw.counts.astype(np.float64) - raw.bias - raw.dark
    noise = _noise(click, raw, net, constants)
    _check_bias(net, raw, noise, click)
    net, hits, hit_findings = _clean(net, raw, noise, constants, skip="cosmic" in done)
    flat, flat_findings = _flat(click, net.shape, skip="flat" in done)
    scale = factor / flat
    limit = (raw.limit - raw.bias - raw.dark) * scale
    values = net * scale
    said = Finding("sensor_noise", "ok", _noise_text(noise))
    chain = f"{raw.how}{'>cosmic' if hits.any() else ''}{'>flat field' if flat_findings[0].status == 'ok' else ''}"
    return Radiance(
        values=values,
        sd=noise_sd(net, raw.dark, noise) * scale,
        # Of summed pixels one alone may be full: then what was read is the least that was there.
        limit=np.where(raw.saturated, np.minimum(limit, values), limit) * np.ones(values.shape),
        censored=raw.saturated & ~hits,
        peak_counts=float(net.max()),
        chain=chain,
        findings=(*hit_findings, *flat_findings, said),
    )


def _factor(click: Click) -> float:
    """C/(t b²) [photons/s/cm2/sr per count]."""
    s = click.settings
    for value, code, key in ((s.binning, "no_binning", "Binning Factor"), (s.f_number, "no_f_number", "f Number")):
        if value is None:
            raise InputError(code, f"the click does not state its {key.lower()}", expected=f"`{key}:` above 0", where=click.path,
                             do="copy the ClickInfo.txt the camera wrote")  # fmt: skip
    if s.binning is None or s.f_number is None:
        raise TypeError("unreachable")
    return coefficient(click.camera, s.field_of_view_cm, s.f_number, click.path) / (s.exposure_s * s.binning**2)


def _noise(click: Click, raw: Raw, net: np.ndarray, constants: Mapping[str, Any]) -> SensorNoise:
    """Gain and read noise: the folder's, else the config's, else the image's own.

    Not the bias frame's: that may be the mean of many readings, whose noise is not that of one.
    """
    camera = click.camera
    gain = camera.electrons_per_count or constants.get("electrons_per_count")
    sigma = camera.read_noise_counts or constants.get("read_noise_counts")
    read = None if sigma is None else float(sigma) * raw.summed**0.5
    if gain and read is not None:
        return SensorNoise(float(gain), read, "what is stated")
    own = noise_of_image(net, raw.dark, read)
    how = own.how if gain is None and read is None else f"what is stated and {own.how}"
    return replace(own, electrons_per_count=float(gain) if gain else own.electrons_per_count, how=how)


def _noise_text(noise: SensorNoise) -> str:
    gain = "no shot noise told from it" if noise.electrons_per_count is None else f"{noise.electrons_per_count:.3g} electrons a count"
    return f"noise from {noise.how}: {gain}, read noise {noise.read_noise_counts:.3g} counts a pixel"


def _check_bias(net: np.ndarray, raw: Raw, noise: SensorNoise, click: Click) -> None:
    """Nothing is darker than dark: where most of an image is far below nothing, what was taken off was not in it."""
    taken = float(np.mean(raw.bias)) + float(np.mean(raw.dark))
    typical = float(np.median(net))
    if taken > 0 and typical < -max(5 * noise.read_noise_counts, 0.1 * taken):
        found = f"half of the image is below {typical:.4g} counts after {taken:.4g} counts of bias and dark came off"
        raise InputError("bias_contradicts", "the image holds less than its bias and dark charge", found=found,
                         expected="a background near 0 counts", where=click.path,
                         do="the frames belong to another image, or came off before: use the folder as the camera wrote it")  # fmt: skip


def _clean(
    net: np.ndarray, raw: Raw, noise: SensorNoise, constants: Mapping[str, Any], skip: bool
) -> tuple[np.ndarray, np.ndarray, tuple[Finding, ...]]:
    if skip or constants.get("cosmic_hits") == "keep":
        return net, np.zeros(net.shape, dtype=bool), ()
    from scipy.ndimage import median_filter

    # The noise at the level of the neighbours: the hit itself would raise it.
    cleaned = replace_hits(net, noise_sd(median_filter(net, 5, mode="nearest"), raw.dark, noise))
    count = int(cleaned.hits.sum())
    if not count:
        return net, cleaned.hits, ()
    if count > _TOO_MANY_HITS * net.size:
        why = f"{count} pixels stand out as cosmic hits do, more than there can be: none is replaced (noise misread, or a broken image)"
        return net, np.zeros(net.shape, dtype=bool), (Finding("cosmic_hits", "warn", why),)
    gone = float((net - cleaned.values)[cleaned.hits].sum())
    y, x = np.argwhere(cleaned.hits)[0]
    why = f"{count} pixel(s) replaced as cosmic hits, {gone:.4g} counts in all, the first at row {y + 1}, column {x + 1}"
    status = "warn" if count > _MANY_HITS * net.size else "ok"
    return cleaned.values, cleaned.hits, (Finding("cosmic_hits", status, why),)


def _flat(click: Click, shape: tuple[int, ...], skip: bool) -> tuple[np.ndarray | float, tuple[Finding, ...]]:
    s = click.settings
    found = flat_of(click.camera, s.field_of_view_cm, s.f_number or 0.0)
    if skip:
        return 1.0, (Finding("flat_field", "warn", "the file says that the image is flat-field corrected: not done again"),)
    if found is None:
        why = f"no flat field for {s.field_of_view_cm:g} cm, f/{s.f_number:g}: the outer parts of the field read several percent low"
        return 1.0, (Finding("flat_field", "warn", why),)
    field = flat_field(found, (shape[0], shape[1]), s.field_of_view_cm / shape[1])
    return field, (Finding("flat_field", "ok", f"flat field between {field.min():.3g} and {field.max():.3g}"),)
