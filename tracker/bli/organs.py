"""Light of organs: the scan's images, and what the organs under the skin must emit to give them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracker.bli.bands import bands_of
from tracker.bli.flux import FULL_SPHERE_SR, region_flux
from tracker.bli.images import Series, image_of, shown
from tracker.bli.inside import Inside, organs_inside
from tracker.bli.measure import FLUX
from tracker.bli.reading import ground_of, read_region
from tracker.bli.regions import BODY
from tracker.bli.result import Unmixed, unseen, with_scale
from tracker.bli.spread import spread_operator
from tracker.bli.surface import Pixels
from tracker.bli.tomography import Solved, solve_organs
from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity
from tracker.quantify import OrganValue
from tracker.study.model import Context

# A pixel much smaller than the light's own blur under the skin adds work and no knowledge [mm].
_PIXEL_MM = 0.9
# Images through filters are taken one after the other while the luciferin's light rises and falls.
_LONG_SERIES_S = 300.0


@dataclass(frozen=True, slots=True)
class _View:
    """What tomography is given: ``radiance`` and ``sd`` (band, pixel), NaN where not to be used; the pixels, and their rows and columns."""

    radiance: np.ndarray
    sd: np.ndarray
    pixels: Pixels
    shape: tuple[int, int]


def organ_light(quantity: Quantity, organ_map: OrganMap, context: Context) -> Unmixed:
    """The light of each organ by tomography of the animal as it lies (`organs_inside`, `spread_operator`, `solve_organs`).

    Brightest frame of each filter, background off, saturated pixels left out; where one filter has a series of frames, as it would be at
    the luciferin's peak. Raises `InputError` ``noise_unknown``, ``depth_needs_filters``, and those of the functions above.
    """
    if quantity.sd_voxel is None:
        what, do = (
            "organs are told apart by what stands out of the noise, and the noise is not known",
            "give the raw counts of the images too",
        )
        raise InputError("noise_unknown", what, expected="an image in counts, or one with its noise", do=do)
    inside = organs_inside(quantity, context)
    bands, left = bands_of(quantity)
    if not bands:
        raise InputError("depth_needs_filters", "no image has a filter that is known", expected="an open or a band filter with its width")
    view = _view(quantity, organ_map, inside, [series for series, _ in bands])
    operator = spread_operator(inside.body, view.pixels, [band for _, band in bands])
    solved = solve_organs(view.radiance, view.sd, operator, view.pixels.size_mm)
    gain, timing = _to_peak(quantity, organ_map, [series for series, _ in bands])
    values = tuple(_organ_value(solved, i, gain, inside, quantity.scale_cv) for i in range(len(solved.organs)))
    if _body_index(organ_map) is not None:
        values += (_whole(solved, gain, inside, quantity.scale_cv),)
    text = (
        f"condition {solved.condition:.1f}, chi2 {solved.chi2:.2f}, blood {solved.blood:.2f} ± {solved.blood_sd_ln:.2f} times the tissues'"
    )
    tomography = Finding("tomography", "ok", f"{', '.join(s.name for s, _ in bands)}: {text}")
    return Unmixed(
        values, (*left, *operator.findings, *solved.findings, *timing, tomography), _pictures(view, solved, [s for s, _ in bands])
    )


def _view(quantity: Quantity, organ_map: OrganMap, inside: Inside, series: Sequence[Series]) -> _View:
    """The images over the body, in pixels of about a millimetre, less their background."""
    affine = quantity.grid.affine
    step = max(1, round(_PIXEL_MM / abs(float(affine[0, 0]))))
    rows, columns = _box(inside, quantity, step)
    radiance, sd = [], []
    for one in series:
        image = image_of(quantity, _brightest(quantity, organ_map, one))
        ground = ground_of(image, organ_map)
        values = np.where(image.saturated, np.nan, image.radiance - (0.0 if ground is None else ground.mean))[rows, columns]
        noise = np.hypot(image.sd[rows, columns], 0.0 if ground is None else ground.sd / math.sqrt(ground.n))
        radiance.append(_blocks(values, step).mean(axis=-1).ravel())
        sd.append(np.sqrt((_blocks(noise, step) ** 2).sum(axis=-1)).ravel() / step**2)
    shape = ((rows.stop - rows.start) // step, (columns.stop - columns.start) // step)
    y = affine[1, 3] + affine[1, 1] * (rows.start + (np.arange(shape[0]) + 0.5) * step - 0.5)
    x = affine[0, 3] + affine[0, 0] * (columns.start + (np.arange(shape[1]) + 0.5) * step - 0.5)
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    pixels = Pixels(grid_x.ravel(), grid_y.ravel(), step * abs(float(affine[0, 0])))
    return _View(np.stack(radiance), np.stack(sd), pixels, shape)


def _box(inside: Inside, quantity: Quantity, step: int) -> tuple[slice, slice]:
    """Rows and columns of the image that hold the body, in whole blocks of ``step`` pixels."""
    body, affine = inside.body, quantity.grid.affine
    found = []
    for axis, count in ((1, quantity.grid.shape[1]), (0, quantity.grid.shape[2])):
        n = body.labels.shape[2 - axis]
        ends = body.grid.affine[axis, 3] + body.grid.affine[axis, axis] * np.array([-0.5, n - 0.5])
        low, high = sorted((ends - affine[axis, 3]) / affine[axis, axis])
        start = max(0, math.floor(low))
        stop = min(count, math.ceil(high) + 1)
        if stop - start < step:
            raise InputError(
                "animal_outside_image", "the animal lies outside the image", found=f"{low:.0f} to {high:.0f} of {count} pixels"
            )
        found.append(slice(start, start + (stop - start) // step * step))
    return found[0], found[1]


def _blocks(values: np.ndarray, step: int) -> np.ndarray:
    """Blocks of step × step pixels, their pixels along the last axis."""
    ny, nx = values.shape[0] // step, values.shape[1] // step
    return values.reshape(ny, step, nx, step).swapaxes(1, 2).reshape(ny, nx, step * step)


def _body_index(organ_map: OrganMap) -> int | None:
    return next((index for index, name in organ_map.names.items() if name == BODY), None)


def _brightest(quantity: Quantity, organ_map: OrganMap, series: Series) -> int:
    """The frame of a series with most light from the animal; of a single frame that one."""
    index = _body_index(organ_map)
    share = np.ones(quantity.values.shape[2:]) if index is None else organ_map.shares[index][0]
    return max(series.images, key=lambda i: float(np.nansum(np.asarray(quantity.values[i, 0]) * share)))


def _to_peak(quantity: Quantity, organ_map: OrganMap, series: Sequence[Series]) -> tuple[float, tuple[Finding, ...]]:
    """What the light at the luciferin's peak is over that of the images used; 1 where there is no series of frames that shows it."""
    index, main = _body_index(organ_map), shown(quantity)
    times = quantity.times.start_s
    used = [times[_brightest(quantity, organ_map, one)] for one in series]
    long = max(used) - min(used)
    noted: tuple[Finding, ...] = ()
    if long > _LONG_SERIES_S:
        why = f"the images used were taken over {long / 60:.0f} min: luciferin's rise and fall in that time reads as colour"
        noted = (Finding("filters_apart", "warn", why),)
    if index is None or len(main.images) < 2 or len(series) > 1:
        return 1.0, noted
    reading = read_region(quantity, organ_map, index)
    image = image_of(quantity, _brightest(quantity, organ_map, main))
    flux, ground = region_flux(image, organ_map.shares[index][0]), ground_of(image, organ_map)
    net = flux.flux_ph_per_s - (0.0 if ground is None else ground.mean * FULL_SPHERE_SR * flux.area_cm2)
    return (reading.net_ph_per_s / net if net > 0 and reading.net_ph_per_s > 0 else 1.0), noted


def _organ_value(solved: Solved, i: int, gain: float, inside: Inside, cv: float | None) -> OrganValue:
    name, flux, sd = solved.organs[i], solved.flux_ph_per_s[i], solved.sd_ph_per_s[i]
    noise = solved.noise_ph_per_s[i]
    volume_ml = inside.volume_ml.get(name)
    method = f"{inside.method}>organ tomography"
    if flux is None or sd is None:
        limit = float(solved.limit_ph_per_s[i]) * gain
        return replace(unseen(name, limit if math.isfinite(limit) else None), method=method, volume_ml=volume_ml)
    shared = math.sqrt(max(sd**2 - (noise or 0.0) ** 2, 0.0)) * gain
    limit = float(solved.limit_ph_per_s[i]) * gain
    value = OrganValue(name, "signal", FLUX, flux * gain, (noise or 0.0) * gain, shared, method=method, lloq=limit, volume_ml=volume_ml)
    return replace(value, sd_scale=with_scale(value, cv))


def _whole(solved: Solved, gain: float, inside: Inside, cv: float | None) -> OrganValue:
    """The whole animal: the sum of its observable organs, whose errors go together as the covariance says."""
    seen = np.array([flux is not None for flux in solved.flux_ph_per_s])
    total = sum(flux for flux in solved.flux_ph_per_s if flux is not None) * gain
    variance = float(solved.covariance[np.ix_(seen, seen)].sum()) * gain**2
    noise = math.hypot(*(one for one in solved.noise_ph_per_s if one is not None)) * gain if seen.any() else 0.0
    if not seen.any():
        return unseen(BODY, None)
    shared = math.sqrt(max(variance - noise**2, 0.0))
    volume_ml = sum(inside.volume_ml.values())
    method = f"{inside.method}>organ tomography"
    value = OrganValue(BODY, "signal", FLUX, total, noise, shared, method=method, volume_ml=volume_ml)
    return replace(value, sd_scale=with_scale(value, cv))


def _pictures(view: _View, solved: Solved, series: Sequence[Series]) -> tuple[tuple[str, np.ndarray], ...]:
    """Measured and expected image of each filter, one after the other."""
    found = []
    for i, one in enumerate(series):
        found.append((f"{one.name}, measured", view.radiance[i].reshape(view.shape)))
        found.append(("expected of the organs", solved.expected[i].reshape(view.shape)))
    return tuple(found)
