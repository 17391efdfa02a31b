"""19F images: signal without the noise floor of magnitudes, and fluorine by a reference tube of known concentration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity, Scan, voxel_volume_ml
from tracker.mri.focal import reference_voxels
from tracker.mri.header import MriHeader, Noise
from tracker.quantify import LabelStatistics, OrganValue, find_sites, label_statistics, organ_noise
from tracker.study.model import Context

KIND = "fluorine_signal"
# True signals [sigma] at which mean and scatter of the corrected signal are tabulated, and steps of the integral over magnitudes.
_LEVELS = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0])
_STEPS = 4001
# A reference this many of its standard errors above none is a reference.
_SEEN = 5.0
# An organ's value is called uncertain where signal lost in the noise could raise it by more than this share.
_LOST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Correction:
    """Of `signed_signal` for a number of channels, in units of sigma: the ``gain`` of its negative part, and at the true signals
    ``_LEVELS`` the ``bias`` of its mean and its standard deviation ``sd``."""

    gain: float
    bias: np.ndarray
    sd: np.ndarray


def signed_signal(magnitude: np.ndarray, noise: Noise) -> np.ndarray:
    """The signal behind magnitudes [image unit], any shape, float32: its mean over pure noise is 0, and it tends to S for strong signal.

    With d = M² - (2N - 1) σ² it is √d where d > 0, else -g √-d, with g such that pure noise averages to nothing. M² - 2Nσ² would be
    S² without bias, but its root is not S: it is low by σ²/2S for strong signal (Jensen), where the one here is right to that order.

    Bias of its mean, N = 1: 0 at S = 0, -0.33σ at 0.5σ, -0.39σ at 0.75 and 1σ, -0.17σ at 2σ, -0.034σ (1.1 %) at 3σ, under 0.3 % from 4σ.
    N = 4: up to -0.56σ, -5.8 % at 3σ, -1.3 % at 4σ. No function of M is without it near S = σ: means over organs that lie there are
    too low, never too high. A negative value is no negative fluorine: it is what makes noise average to nothing.

    Source of the strong-signal form: Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618.

    >>> [round(float(s), 3) for s in signed_signal(np.array([0.0, 1.0, 5.0]), Noise(1.0, 1, "config"))]
    [-2.762, 0.0, 4.899]
    """
    squared = np.square(np.asarray(magnitude, np.float64)) - (2 * noise.coils - 1) * noise.sigma**2
    return (np.where(squared < 0, -correction(noise.coils).gain, 1.0) * np.sqrt(np.abs(squared))).astype(np.float32)


def signal_sd(signal: np.ndarray, noise: Noise) -> np.ndarray:
    """Standard deviation of `signed_signal` [image unit] where it is ``signal``: σ for strong signal, 1.68 σ in noise (N = 1)."""
    return np.asarray(np.interp(np.asarray(signal, float) / noise.sigma, _LEVELS, correction(noise.coils).sd) * noise.sigma)


@lru_cache
def correction(coils: int) -> Correction:
    """Gain, bias and scatter of `signed_signal` for magnitudes of ``coils`` channels, by integration over their distribution.

    M²/σ² is non-central χ² with 2N degrees of freedom and non-centrality S²/σ² (Constantinides 1997, doi:10.1002/mrm.1910380524).
    """
    from scipy.stats import chi2, ncx2

    rows, gain = [], 0.0
    for level in _LEVELS:
        m = np.linspace(0.0, level + 9.0 + 2.0 * math.sqrt(2.0 * coils), _STEPS)[1:]
        density = 2 * m * (ncx2.pdf(m**2, 2 * coils, level**2) if level else chi2.pdf(m**2, 2 * coils))
        density /= density.sum()
        squared = m**2 - (2 * coils - 1)
        high, low = np.sqrt(np.maximum(squared, 0.0)), np.sqrt(np.maximum(-squared, 0.0))
        if level == 0.0:
            gain = float((high * density).sum() / (low * density).sum())
        value = high - gain * low
        mean = float((value * density).sum())
        rows.append((mean - level, math.sqrt(float((value**2 * density).sum()) - mean**2)))
    bias, sd = np.array(rows).T
    return Correction(gain, bias, sd)


def fluorine_quantity(scan: Scan, context: Context) -> Quantity:
    """The magnitudes (1, z, y, x) of a 19F scan's first echo, root mean square over repeats, and how noisy they are (``facts``).

    ``noise_sigma`` and ``channels`` are of the averaged image: the mean of K squares of N channels is distributed as N·K channels of
    noise σ/√K. It does not become fluorine before the organ map says where the tube is (`measure_fluorine`).
    Raises `InputError`: ``fluorine_unset`` without the config section, ``label_not_fluorine``, those of `estimate_noise`.
    """
    from tracker.mri.noise import estimate_noise

    if "fluorine" not in context.constants:
        raise InputError("fluorine_unset", "a 19F scan needs a reference", found="no section", expected="mri: fluorine: in the config",
                         do="name the reference tube and its concentration")  # fmt: skip
    if context.label.kind == "iron":
        raise InputError("label_not_fluorine", "a 19F scan does not show iron", found=f"label {context.label.label} of kind iron",
                         expected="a label of another kind, with its amounts in ug or pg of 19F", do="name it in acquisitions")  # fmt: skip
    header: MriHeader = scan.header
    values = np.asarray(scan.values, np.float32)
    noise, noted = estimate_noise(values, header, int(context.constants.get("coils", 1)), context.constants.get("noise_sd"))
    first = values[:: len(header.echo_times_s)].astype(np.float64)
    magnitude = np.sqrt(np.mean(first**2, axis=0, keepdims=True)).astype(np.float32)
    method = f"19F at TE {1000 * header.echo_times_s[0]:.4g} ms>noise from {noise.source}"
    facts = {"noise_sigma": noise.sigma / math.sqrt(len(first)), "channels": float(noise.coils * len(first))}
    return Quantity(magnitude, scan.unit, scan.grid, scan.times, KIND, method=method, findings=(*scan.findings, *noted), facts=facts)


@dataclass(frozen=True, slots=True)
class _Signals:
    """Corrected signal of k organs [image unit]: mean, its standard error, and how far signal lost in the noise could raise the mean."""

    found: LabelStatistics
    error: np.ndarray
    lost: np.ndarray


def measure_fluorine(
    quantity: Quantity, organ_map: OrganMap, constants: Mapping[str, Any]
) -> tuple[tuple[OrganValue, ...], tuple[Finding, ...]]:
    """``signal`` [ug] and ``concentration`` [ug/mL] of 19F in every organ but the reference tube.

    C = mean(S_organ)/mean(S_tube) · reference_ug_per_ml / signal_ratio; signal = C · volume of all the organ's voxels. S is
    `signed_signal`. ``sd_noise`` holds the noise of organ and tube, with its correlation between voxels; ``sd_scale`` the errors of
    the tube's concentration and of the ratio, None unless both are stated. A signal ratio is never assumed: T1, T2*, flip angle and
    B1 of label and tube differ. Spill-over between organ and surroundings, and B1 that differs from place to place, stay in. Signal lost
    near the noise (`signed_signal`) is in neither sd: where it may be above 5 % a finding gives the range.

    Raises `InputError`: ``reference_organ_missing``, ``reference_too_weak``, those of `label_statistics`.
    """
    fluorine = constants["fluorine"]
    names = {label: name for label, name in sorted(organ_map.names.items()) if label != 0}
    reference_voxels(organ_map, fluorine["reference_organ"])
    signals = _organ_signals(quantity, organ_map, list(names))
    tube = list(names.values()).index(fluorine["reference_organ"])
    level, error = float(signals.found.mean[tube]), float(signals.error[tube])
    if not level > _SEEN * error:
        raise InputError("reference_too_weak", "the tube cannot be told from noise", found=f"{level:.3g} ± {error:.2g} {quantity.unit}",
                         expected=f"above {_SEEN:g} standard errors", do="look at the tube's contour")  # fmt: skip
    per_signal, scale_cv = float(fluorine["reference_ug_per_ml"]) / float(fluorine["signal_ratio"]) / level, _scale_cv(fluorine)
    voxel_ml, values = voxel_volume_ml(quantity.grid), []
    for i, name in enumerate(names.values()):
        if i != tube:
            volume_ml = int(signals.found.n[i] + signals.found.n_nan[i]) * voxel_ml
            values += _values(name, signals, i, (per_signal, error / level, scale_cv, volume_ml))
    return tuple(values), (*_lost_findings(signals, list(names.values()), per_signal, tube), *_scale_findings(scale_cv))


def _organ_signals(quantity: Quantity, organ_map: OrganMap, labels: list[int]) -> _Signals:
    noise = Noise(quantity.facts["noise_sigma"], round(quantity.facts["channels"]), "facts")
    magnitude, wanted = np.asarray(quantity.values[0]), np.array(labels, np.int64)
    signal = signed_signal(magnitude, noise)
    found = label_statistics(signal, organ_map.labels, labels)
    spread = label_statistics(signal_sd(signal, noise) ** 2, organ_map.labels, labels)
    squared = label_statistics(magnitude.astype(float) ** 2, organ_map.labels, labels)
    cells = organ_noise(signal, organ_map.labels, wanted, found.mean, find_sites(organ_map.labels, wanted, found.n, found.box)).cells
    error = np.sqrt(spread.mean * cells / np.maximum(found.n, 1))
    # The mean of S lies below its root mean square, which M² gives without bias, and the correction loses at most its largest bias.
    most = np.sqrt(np.maximum(squared.mean - 2 * noise.coils * noise.sigma**2, 0.0))
    lost = np.minimum(most - found.mean, -correction(noise.coils).bias.min() * noise.sigma)
    return _Signals(found, error, lost)


def _scale_cv(fluorine: Mapping[str, Any]) -> float | None:
    sd_reference, sd_ratio = fluorine.get("reference_sd_ug_per_ml"), fluorine.get("signal_ratio_sd")
    if sd_reference is None or sd_ratio is None:
        return None
    return math.hypot(sd_reference / fluorine["reference_ug_per_ml"], sd_ratio / fluorine["signal_ratio"])


def _values(organ: str, signals: _Signals, i: int, scale: tuple[float, float, float | None, float]) -> list[OrganValue]:
    """An organ's amount and concentration; ``scale``: ug/mL a signal, the tube's relative noise, scale_cv, the organ's volume [mL]."""
    per_signal, tube_cv, scale_cv, volume_ml = scale
    flag = ("nonfinite_voxels",) if signals.found.n_nan[i] else ()
    rows = []
    for name, unit, factor in (("signal", "ug", per_signal * volume_ml), ("concentration", "ug/mL", per_signal)):
        if not signals.found.n[i]:
            rows.append(OrganValue(organ, name, unit, None, flag=flag, method="by reference tube"))
            continue
        value = float(signals.found.mean[i]) * factor
        noise, sd_scale = math.hypot(float(signals.error[i]) * factor, value * tube_cv), None if scale_cv is None else abs(value) * scale_cv
        rows.append(OrganValue(organ, name, unit, value, noise, sd_scale, flag, "by reference tube"))
    return rows


def _lost_findings(signals: _Signals, names: list[str], per_signal: float, tube: int) -> list[Finding]:
    doubtful = []
    for i, name in enumerate(names):
        mean, lost, margin = float(signals.found.mean[i]), float(signals.lost[i]), 3 * float(signals.error[i])
        if mean > margin and lost > _LOST_SHARE * mean + margin:
            span = f"{name} {per_signal * mean:.3g} to {per_signal * (mean + lost):.3g} ug/mL"
            doubtful.append("the tube itself, which makes all others too high" if i == tube else span)
    if not doubtful:
        return []
    words = "signal near the noise is partly lost, the value is the lower end: "
    return [Finding("fluorine_near_noise", "warn", words + ", ".join(doubtful))]


def _scale_findings(scale_cv: float | None) -> list[Finding]:
    if scale_cv is not None:
        return []
    words = "reference_sd_ug_per_ml and signal_ratio_sd are not both stated: no sd_scale"
    return [Finding("fluorine_scale_unstated", "warn", words)]
