"""How deep a focal source lies, from its light in two filters: red light comes from deeper than orange."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.bli.diffusion import escape_share
from tracker.bli.optics import BLOOD_SD_LN, Tissue, tissue_optics
from tracker.bli.spectrum import Band
from tracker.errors import Finding, InputError

# Deeper than a mouse is thick; and as far above the skin as noise may put a source on it.
_DEEPEST_MM, _ABOVE_MM = 20.0, -5.0
# Below this change of ln(F1/F2) with depth two filters see the same colour [1/mm].
_SMALLEST_SLOPE = 0.02
_STEP_MM = 0.01


@dataclass(frozen=True, slots=True)
class BandFlux:
    """Flux of a source in a filter [photons/s], its standard deviation, and the limit of detection."""

    band: Band
    flux_ph_per_s: float
    sd_ph_per_s: float
    limit_ph_per_s: float


@dataclass(frozen=True, slots=True)
class Depth:
    """Depth below the skin [mm], None where it cannot be told; ``sd_noise_mm`` from the two fluxes, ``sd_blood_mm`` from blood.

    Photons/s the source emits, ``emitted_ph_per_s``, from the filter that lets more through. ``findings`` say why there is no depth.
    """

    depth_mm: float | None
    sd_noise_mm: float | None
    sd_blood_mm: float | None
    emitted_ph_per_s: float | None
    findings: tuple[Finding, ...] = ()


def depth_from_two_filters(one: BandFlux, two: BandFlux, tissue: Tissue) -> Depth:
    """Depth of a point source under flat skin from the ratio of its total flux in two filters.

    ln(F1/F2) = ln(w1 E1(d)) - ln(w2 E2(d)), E the share that leaves from depth d (`diffusion.escape_share`), w the reporter's share in
    the filter, both summed over the filter's width. For two wavelengths d = [ln(w1 k1/(w2 k2)) - ln(F1/F2)]/(mueff1 - mueff2), k = 1/(1 +
    mueff zb). Noise: sd = sqrt(cv1² + cv2²)/|d ln(F1/F2)/dd|; blood: half the difference for e^±0.3 times the blood.

    A flux below its limit of detection is refused (from 2 mm on 560 and 580 nm hold nothing but noise). A depth below 0 within noise is
    kept as it is. Not the depth of an organ or of several sources, and not where another tissue lies above. Raises `InputError`
    ``filters_alike`` for two filters of one colour.

    Kuo et al. 2007, doi:10.1117/1.2717898; blood: `tracker.bli.optics`.

    >>> from tracker.bli.optics import TISSUES
    >>> one, two = Band("600", (600.0,), (0.2,)), Band("660", (660.0,), (0.1,))
    >>> muscle = TISSUES["muscle"]
    >>> seen = [BandFlux(b, 1e6 * _through(b, 3.0, muscle), 1.0, 10.0) for b in (one, two)]
    >>> found = depth_from_two_filters(seen[0], seen[1], muscle)
    >>> round(found.depth_mm, 6), round(found.emitted_ph_per_s)
    (3.0, 1000000)
    """
    weak = [flux.band.name for flux in (one, two) if not _detected(flux)]
    if weak:
        return _unknown(f"no flux above the limit of detection in filter {', '.join(weak)}")
    slope = (_log_ratio(one, two, tissue, 1.0 + _STEP_MM) - _log_ratio(one, two, tissue, 1.0)) / _STEP_MM
    if abs(slope) < _SMALLEST_SLOPE:
        found = f"{one.band.name} and {two.band.name}: {abs(slope):.3g} per mm"
        raise InputError("filters_alike", "two filters in which depth looks alike", found=found, expected=f"≥ {_SMALLEST_SLOPE:g} per mm")
    depth = _depth(one, two, tissue, 1.0)
    if depth is None:
        return _unknown(f"no depth from {_ABOVE_MM:g} to {_DEEPEST_MM:g} mm gives this ratio of fluxes: another tissue, or no point source")
    slope = (_log_ratio(one, two, tissue, depth + _STEP_MM) - _log_ratio(one, two, tissue, depth)) / _STEP_MM
    noise = math.hypot(*(flux.sd_ph_per_s / flux.flux_ph_per_s for flux in (one, two))) / abs(slope)
    by_blood = [_depth(one, two, tissue, math.exp(sign * BLOOD_SD_LN)) for sign in (-1, 1)]
    low, high = (depth if other is None else other for other in by_blood)
    better = max((one, two), key=lambda flux: _through(flux.band, depth, tissue))
    emitted = better.flux_ph_per_s / _through(better.band, depth, tissue)
    above = Finding("above_skin", "warn", f"depth {depth:.2g} mm: the colour is that of no light from inside")
    return Depth(depth, noise, abs(high - low) / 2, emitted, (above,) if depth < -2 * noise else ())


def _detected(flux: BandFlux) -> bool:
    return math.isfinite(flux.sd_ph_per_s) and flux.flux_ph_per_s > max(flux.limit_ph_per_s, 0.0)


def _unknown(reason: str) -> Depth:
    return Depth(None, None, None, None, (Finding("depth_unknown", "warn", reason),))


def _through(band: Band, depth_mm: float, tissue: Tissue, blood: float = 1.0) -> float:
    optics = tissue_optics(tissue, np.array(band.wavelengths_nm), blood)
    return float(np.array(band.shares) @ escape_share(depth_mm, optics))


def _log_ratio(one: BandFlux, two: BandFlux, tissue: Tissue, depth_mm: float, blood: float = 1.0) -> float:
    return math.log(_through(one.band, depth_mm, tissue, blood) / _through(two.band, depth_mm, tissue, blood))


def _depth(one: BandFlux, two: BandFlux, tissue: Tissue, blood: float) -> float | None:
    from scipy.optimize import brentq

    seen = math.log(one.flux_ph_per_s / two.flux_ph_per_s)
    ends = [_log_ratio(one, two, tissue, d, blood) - seen for d in (_ABOVE_MM, _DEEPEST_MM)]
    if ends[0] * ends[1] > 0:
        return None
    return float(brentq(lambda d: _log_ratio(one, two, tissue, d, blood) - seen, _ABOVE_MM, _DEEPEST_MM, xtol=1e-9))
