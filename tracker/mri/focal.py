"""Deposits of labelled cells by the volume of their signal void, where relaxation is too fast to be fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity, voxel_size_mm, voxel_volume_ml
from tracker.quantify import OrganValue

# A calibration is for one protocol: field and echo time within 1 %, each edge of a voxel within 5 %.
_SAME_TIME_OR_FIELD, _SAME_EDGE = 0.01, 0.05
# Magnitudes of pure noise stay below 3 of its standard deviations (Rayleigh: 99 %): the threshold must lie above, or voids are missed.
_NOISE_CEILING_SDS = 3.0


# An organ of which more than this share is void is dark by itself: new voids in it are not seen.
_DARK_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Threshold:
    """``level``: below it a voxel is void; ``sd`` its own error; ``noise_sd`` that of a voxel [image unit]; ``mean`` of the reference."""

    level: float
    sd: float
    noise_sd: float
    mean: float


def measure_voids(
    quantity: Quantity, organ_map: OrganMap, constants: Mapping[str, Any]
) -> tuple[tuple[OrganValue, ...], tuple[Finding, ...]]:
    """``hypointense_volume`` [mL] of every organ but the reference, and ``cells_focal`` where there is a calibration for this protocol.

    V = n(S < mean_ref - k · SD_ref) · V_voxel on the map ``focal_magnitude`` (1, z, y, x), k = ``threshold_sd``; cells = V · cells_per_ml.
    ``constants`` is the config section ``mri``, with ``focal`` in it. The volume's error is `void_noise`.

    The volume is of the void, not of the cells: it grows with echo time, field, iron and voxel, and dark tissue, air and blood are in
    it too. A baseline scan of the same protocol must be taken off. A calibration for another protocol gives no cells, and a finding.
    An organ that is nearly all darker than the threshold, by its own signal or by a coil less sensitive there, has no value (flag
    ``saturated``, finding ``focal_organ_dark``); void volume saturates where voids merge.

    Raises `InputError` ``reference_organ_missing`` where the reference is not in the organ map, or has under two voxels.
    Void volume follows cell number where relaxation times do not: 500 to 7500 cells at 4.7 T, PubMed 20734153.
    """
    focal, image = constants["focal"], np.asarray(quantity.maps["focal_magnitude"][0], float)
    reference = focal["reference_organ"]
    limit = threshold(image[reference_voxels(organ_map, reference)], float(focal["threshold_sd"]), quantity.facts.get("noise_sigma"))
    why_not = _other_protocol(quantity, constants) if "calibration" in focal else []
    values: list[OrganValue] = []
    dark: list[str] = []
    for label, name in sorted(organ_map.names.items()):
        if label != 0 and name != reference:
            inside = image[organ_map.labels == label]
            volume = _volume(name, inside, limit, voxel_volume_ml(quantity.grid))
            if inside.size and (inside < limit.level).mean() > _DARK_SHARE:
                # All of it counts as void, before the dose and after: no label could make it darker.
                dark.append(name)
                volume = replace(volume, value=None, sd_noise=None, sd_scale=None, flag=(*volume.flag, "saturated"))
            volume = replace(volume, method=f"void {focal['threshold_sd']:g} SD below {reference} at TE {focal['echo_time_ms']:g} ms")
            values += [volume, *([_cells(volume, focal["calibration"], not why_not)] if "calibration" in focal else [])]
    return tuple(values), (*_low_threshold(limit, float(focal["threshold_sd"])), *_dark(dark, reference), *_refused(why_not))


def reference_voxels(organ_map: OrganMap, name: str) -> np.ndarray:
    """Which voxels (z, y, x) are the reference's. Raises `InputError` ``reference_organ_missing`` where it has under two."""
    inside = np.isin(organ_map.labels, [label for label, one in organ_map.names.items() if one == name and label != 0])
    if inside.sum() < 2:
        known = ", ".join(one for label, one in sorted(organ_map.names.items()) if label != 0)
        found = "a name without voxels" if name in organ_map.names.values() else known
        raise InputError("reference_organ_missing", "the reference is not in the organ map", found=found, expected=name,
                         do="draw it, or name another in the config")  # fmt: skip
    return np.asarray(inside)


def threshold(reference: np.ndarray, n_sds: float, noise_sigma: float | None = None) -> Threshold:
    """Where void begins: mean - n_sds · SD of the reference's finite voxels; error SD · √(1/n + n_sds²/(2n)).

    The noise of a voxel is taken as the smaller of that SD, which holds the tissue's texture too, and ``noise_sigma`` of the scan.
    Raises `InputError` ``reference_organ_missing`` with under two finite voxels.

    >>> threshold(np.array([98.0, 102.0, 98.0, 102.0]), 5.0).level.__round__(2)
    88.45
    """
    finite = reference[np.isfinite(reference)]
    if finite.size < 2:
        raise InputError("reference_organ_missing", "the reference has no signal to compare with", found=f"{finite.size} finite voxels",
                         expected="two or more", do="name another in the config")  # fmt: skip
    mean, sd = float(finite.mean()), float(finite.std(ddof=1))
    error = sd * math.sqrt((1 + n_sds**2 / 2) / finite.size)
    return Threshold(mean - n_sds * sd, error, sd if noise_sigma is None else min(sd, noise_sigma), mean)


def void_noise(signal: np.ndarray, limit: Threshold) -> float:
    """Standard deviation [voxels] of the number of voxels below the threshold, from one image.

    A voxel falls below with probability p = Φ((T - S)/σ): var = Σ p (1 - p) + (Σ φ((T - S)/σ)/σ · sd_T)². Taking the measured S for the
    true one is right on average where voxels are spread evenly about the threshold; noise is taken as independent between voxels.
    """
    from scipy.stats import norm

    if limit.noise_sd == 0:
        return 0.0
    away = (limit.level - signal) / limit.noise_sd
    crossing = norm.cdf(away)
    shift = float(norm.pdf(away).sum()) / limit.noise_sd * limit.sd
    return math.sqrt(float((crossing * (1 - crossing)).sum()) + shift**2)


def _volume(organ: str, signal: np.ndarray, limit: Threshold, voxel_ml: float) -> OrganValue:
    finite = signal[np.isfinite(signal)]
    flag = ("nonfinite_voxels",) if finite.size < signal.size else ()
    known = finite.size > 0 and limit.level > 0
    value = int((finite < limit.level).sum()) * voxel_ml if known else None
    noise = void_noise(finite, limit) * voxel_ml if known else None
    # A volume hangs on no calibration: its scale has no error.
    scale = 0.0 if known else None
    return OrganValue(organ, "hypointense_volume", "mL", value, noise, scale, flag)


def _cells(volume: OrganValue, calibration: Mapping[str, Any], same_protocol: bool) -> OrganValue:
    method = f"{volume.method}>cells by void volume"
    if not same_protocol or volume.value is None or volume.sd_noise is None:
        return OrganValue(volume.organ, "cells_focal", "cells", None, flag=volume.flag, method=method)
    per_ml, sd = float(calibration["cells_per_ml"]), calibration.get("cells_per_ml_sd")
    scale = None if sd is None else volume.value * float(sd)
    return OrganValue(volume.organ, "cells_focal", "cells", volume.value * per_ml, volume.sd_noise * per_ml, scale, volume.flag, method)


def _other_protocol(quantity: Quantity, constants: Mapping[str, Any]) -> list[str]:
    """In what the calibration's protocol differs from the scan's; a scan whose field nobody states cannot be shown to be the same."""
    calibration = constants["focal"]["calibration"]
    here = {"field_t": quantity.facts.get("field_t", constants.get("field_t")), "echo_time_ms": quantity.facts.get("focal_echo_time_ms")}
    wrong = []
    for key, unit in (("field_t", "T"), ("echo_time_ms", "ms")):
        scan, stated = here[key], float(calibration[key])
        if scan is None or not abs(scan / stated - 1) <= _SAME_TIME_OR_FIELD:
            wrong.append(f"{key} {'unknown' if scan is None else f'{scan:g} {unit}'}, calibrated at {stated:g} {unit}")
    edges, stated_edges = sorted(voxel_size_mm(quantity.grid)), sorted(float(e) for e in calibration["voxel_mm"])
    if not all(abs(a / b - 1) <= _SAME_EDGE for a, b in zip(edges, stated_edges, strict=True)):
        wrong.append(f"voxel {_edges(edges)} mm, calibrated at {_edges(stated_edges)} mm")
    return wrong


def _edges(edges: list[float]) -> str:
    return " x ".join(f"{e:.3g}" for e in edges)


def _refused(why_not: list[str]) -> list[Finding]:
    if not why_not:
        return []
    words = f"no cells from void volume: the calibration is refused for this scan ({'; '.join(why_not)}), for void volume changes with each"
    return [Finding("focal_calibration_other_protocol", "warn", words)]


def _dark(organs: list[str], reference: str) -> list[Finding]:
    if not organs:
        return []
    words = f"more than half of {', '.join(organs)} is void: darker than {reference} by itself, so that deposits in it are not seen"
    return [Finding("focal_organ_dark", "warn", f"{words}; name a reference as bright, or restrict the organ to where deposits are")]


def _low_threshold(limit: Threshold, n_sds: float) -> list[Finding]:
    if limit.level >= _NOISE_CEILING_SDS * limit.noise_sd:
        return []
    left = "no volume is given" if limit.level <= 0 else "void volumes are too small"
    words = f"{n_sds:g} standard deviations below the reference's mean ({limit.mean:.4g}) lies {limit.level:.4g}, within the noise: {left}"
    return [Finding("focal_threshold_in_noise", "warn", words)]
