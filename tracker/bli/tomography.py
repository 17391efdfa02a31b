"""How much light each organ emits, from what the skin shows in all filters together: planar organ-basis tomography.

The picture is y = W θ, W from `spread.spread_operator`, θ the photons/s of each organ, spread evenly over it. What is not known of
the animal enters the uncertainty:

* blood: a factor common to all tissues, log-normal with a standard deviation of 0.3; the picture may tell more;
* the operator's shape, a share of what each organ gives to each pixel, alike over some mm and in all filters;
* the operator's scale, a share of each organ's amount: diffusion, the pose and the organ's border;
* both the more, the more of an organ's light other organs have taken on its way (``SpreadOperator.hidden``).

An organ with an uneven distribution, one that is not where the map has it, or light from a region that is not in the map is beyond this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.bli.optics import BLOOD_SD_LN
from tracker.bli.spread import SpreadOperator
from tracker.errors import Finding, InputError
from tracker.spillover import DETECTED, NonNegative, unmix_nonnegative

# Blood factors that are looked at, in standard deviations of their logarithm.
_BLOOD_STEPS = np.linspace(-2.0, 2.0, 9)
# Organs closer to collinear than this, each column scaled to 1, cannot be told apart by a picture whose shape is right to a few percent.
_LARGEST_CONDITION = 50.0
# In the digital mouse chi2 is 0.9, 1.3 with the pose off by 1 mm, 2.6 by 2 mm and 4.6 by 3 mm along the body.
_POOR_CHI2 = 2.5
# The weights depend on the picture that is expected, which depends on the weights: it is settled after a few rounds.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class ModelError:
    """How wrong the operator may be.

    ``shape_cv``: of an organ's part in a pixel, alike within ``alike_mm`` and in all filters, ``edge`` times as much where the body covers
    only part of the pixel; ``scale_cv``: of an organ's amount; ``hidden_cv``: of both, for each e-fold that other organs take of the light;
    ``blood_sd_ln``: of the factor on all tissues' blood.

    The defaults are what the operator is off by in the digital mouse, beside another solution (tests/bli/test_tomography.py). An animal
    that is posed by eye has more.
    """

    shape_cv: float = 0.15
    alike_mm: float = 3.0
    edge: float = 3.0
    scale_cv: float = 0.15
    hidden_cv: float = 0.4
    blood_sd_ln: float = BLOOD_SD_LN


@dataclass(frozen=True, slots=True)
class Solved:
    """Light of each organ: ``flux_ph_per_s`` (None where the organ is not observable), ``sd_ph_per_s`` and ``covariance`` (k, k) of all
    errors, ``noise_ph_per_s`` of the picture's noise alone (it differs from scan to scan, the rest is much the same in an animal's scans).

    ``limit_ph_per_s`` (k,): what would have stood out by three standard deviations; a flux below it is not told from nothing.
    ``blood`` and ``blood_sd_ln``: the factor on the blood of all tissues that explains the filters best. ``expected`` (band, pixel): the
    picture as it would be, beside the measured one. ``condition`` and ``chi2`` of the solution, the latter per measurement and of noise and
    shape error together: about 1 where the organs explain the picture.
    """

    organs: tuple[str, ...]
    flux_ph_per_s: tuple[float | None, ...]
    sd_ph_per_s: tuple[float | None, ...]
    noise_ph_per_s: tuple[float | None, ...]
    limit_ph_per_s: np.ndarray
    covariance: np.ndarray
    condition: float
    chi2: float
    blood: float
    blood_sd_ln: float
    expected: np.ndarray
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is solved for: radiance and its noise (n,) of all bands' usable pixels, the share of the pixel the body covers."""

    radiance: np.ndarray
    noise: np.ndarray
    whole: np.ndarray
    alike: float


def solve_organs(
    radiance: np.ndarray, sd: np.ndarray, operator: SpreadOperator, pixel_mm: float, error: ModelError | None = None
) -> Solved:
    """Photons/s of each organ from the radiance of all filters, non-negative, with the uncertainty that the body is known with.

    ``radiance`` (band, pixel) and the ``sd`` of its noise [photons/s/cm²/sr], NaN where a pixel is not to be used (saturated, beside the
    animal); pixels as in ``operator``, ``pixel_mm`` their edge. For each of nine blood factors s min Σ ((y - W_s θ)/σ)² + (ln s/0.3)² is
    solved, θ ≥ 0, σ² of noise and shape error; θ is the mean over s weighted by exp(-χ²/2), its covariance what each has and how they
    differ. The shape error counts once for all pixels that share it.

    Raises `InputError`: ``shape_mismatch``, ``no_pixels``, ``sd_not_positive``; warns ``ill_conditioned``, ``not_observable``,
    ``blood_at_bound``, ``poor_fit``.

    Kuo, Coquoz, Troy, Xu, Rice 2007, J Biomed Opt 12:024007, doi:10.1117/1.2717898 (filters together, non-negative); covariance:
    `tracker.spillover.unmix_nonnegative`.
    """
    error = error or ModelError()
    used = _usable(radiance, sd, operator)
    picture = _picture(radiance, sd, operator, used, error.alike_mm / pixel_mm)
    factors = np.exp(_BLOOD_STEPS * error.blood_sd_ln)
    matrices = [_at_blood(operator, float(factor))[used] for factor in factors]
    wrong = np.maximum(picture.radiance, 0.0) * error.shape_cv
    for _ in range(_ROUNDS):
        each = [unmix_nonnegative(picture.radiance, np.hypot(picture.noise, wrong), matrix, operator.organs) for matrix in matrices]
        weight = _weights([one.chi2 for one in each], picture.alike * len(operator.bands))
        best = int(weight.argmax())
        wrong = _shape_sd(picture, matrices[best], np.nan_to_num(each[best].amounts), operator, error)
    amounts = np.stack([np.nan_to_num(one.amounts) for one in each])
    spread = (amounts - weight @ amounts) * np.sqrt(weight)[:, None]
    parts = _Parts(each[best], weight @ amounts, spread.T @ spread, picture.alike * len(operator.bands), wrong)
    return _result(operator, picture, parts, _Blood(factors, weight), error)


def _usable(radiance: np.ndarray, sd: np.ndarray, operator: SpreadOperator) -> np.ndarray:
    shape = (len(operator.bands), operator.covered.size)
    if np.shape(radiance) != shape or np.shape(sd) != shape:
        what = "the picture does not fit the spread operator"
        raise InputError("shape_mismatch", what, found=(np.shape(radiance), np.shape(sd)), expected=shape)
    used = np.isfinite(radiance) & np.isfinite(sd) & (operator.covered > 0)
    if used.sum() < len(operator.organs):
        found = f"{used.sum()} pixels on the animal with a value"
        do = "look at the pose"
        raise InputError("no_pixels", "too few pixels to solve for organs", found=found, expected=f"≥ {len(operator.organs)}", do=do)
    return np.asarray(used)


def _picture(radiance: np.ndarray, sd: np.ndarray, operator: SpreadOperator, used: np.ndarray, alike_pixels: float) -> _Picture:
    whole = np.broadcast_to(operator.covered > 0.999, used.shape)[used]
    return _Picture(np.asarray(radiance, float)[used], np.asarray(sd, float)[used], whole, max(alike_pixels**2, 1.0))


def _at_blood(operator: SpreadOperator, factor: float) -> np.ndarray:
    """W (band, pixel, organ) for a factor on the blood: ln W is the parabola in ln S_B through the factors that were computed."""
    tiny = 1e-300
    nodes, logs = np.log(operator.blood), np.log(np.maximum(operator.matrix, tiny))
    weights = [np.prod([(np.log(factor) - other) / (node - other) for other in nodes if other != node]) for node in nodes]
    return np.asarray(np.where(operator.matrix.min(axis=0) > tiny, np.exp(np.tensordot(weights, logs, axes=1)), 0.0))


def _shape_sd(picture: _Picture, matrix: np.ndarray, amounts: np.ndarray, operator: SpreadOperator, error: ModelError) -> np.ndarray:
    """Shape error of each pixel: of what each organ gives to it."""
    share = np.hypot(error.shape_cv, error.hidden_cv * operator.hidden)
    return np.asarray(np.linalg.norm(matrix * (amounts * share), axis=1) * np.where(picture.whole, 1.0, error.edge))


def _weights(chi2: list[float], alike: float) -> np.ndarray:
    """Posterior of the blood factors: what the picture says, as many times as it says something new, and what is known beforehand."""
    left = np.array(chi2) / alike + _BLOOD_STEPS**2
    weight = np.exp(-0.5 * (left - left.min()))
    return np.asarray(weight / weight.sum())


@dataclass(frozen=True, slots=True)
class _Parts:
    """The solution at the likeliest blood factor, the mean over factors and its covariance, and the shape error of the pixels (n,), of
    which ``alike`` are one.
    """

    best: NonNegative
    mean: np.ndarray
    by_blood: np.ndarray
    alike: float
    wrong: np.ndarray


@dataclass(frozen=True, slots=True)
class _Blood:
    """Factors on the blood and how likely each is; they add up to 1."""

    factors: np.ndarray
    weight: np.ndarray


def _result(operator: SpreadOperator, picture: _Picture, parts: _Parts, blood: _Blood, error: ModelError) -> Solved:
    best = parts.best
    # What other blood factors add to an organ that holds nothing at the likeliest one may be 1e-30.
    mean = np.where(parts.mean > 1e-9 * parts.mean.max(), parts.mean, 0.0)
    scale = np.hypot(error.scale_cv, error.hidden_cv * operator.hidden) * mean
    noise, fixed = _covariances(picture, parts)
    limit = DETECTED * np.sqrt(np.diag(noise + fixed))
    # Of the operator's errors the solution knows nothing: what would not stand out from them is not observable either.
    found = mean[best.observable & (mean > limit)].sum()
    seen = best.observable & ((limit <= found) | (found <= 0))
    covariance = np.where(np.outer(seen, seen), noise + fixed + np.diag(scale**2), np.nan)
    sd = np.sqrt(np.diag(covariance))
    limit = np.where(best.observable, limit, best.limit)
    middle = float(blood.weight @ np.log(blood.factors))
    expected = _at_blood(operator, float(np.exp(middle))) @ np.where(seen, mean, 0.0)
    chi2 = best.chi2 / max(picture.radiance.size - int(seen.sum()), 1)
    flux, total, own = (_known(numbers, seen) for numbers in (mean, sd, np.sqrt(np.diag(noise))))
    spread = float(np.sqrt(blood.weight @ (np.log(blood.factors) - middle) ** 2))
    findings = (*operator.findings, *_unseen(operator.organs, seen), *_warnings(best.condition, chi2, blood.weight))
    factor = float(np.exp(middle))
    return Solved(operator.organs, flux, total, own, limit, covariance, best.condition, chi2, factor, spread, expected, findings)


def _covariances(picture: _Picture, parts: _Parts) -> tuple[np.ndarray, np.ndarray]:
    """Of the picture's noise, and of shape and blood together."""
    noise, shape = parts.best.inverse * picture.noise, parts.best.inverse * parts.wrong
    # An organ that holds nothing has no pseudo-inverse: its variance, noise and shape together, is what it would have beside the others.
    empty = np.where(parts.best.observable & ~(parts.best.amounts > 0), np.diag(parts.best.covariance), 0.0)
    return noise @ noise.T + np.diag(empty), parts.alike * (shape @ shape.T + np.diag(empty)) + parts.by_blood


def _known(values: np.ndarray, seen: np.ndarray) -> tuple[float | None, ...]:
    return tuple(float(value) if there else None for value, there in zip(values, seen, strict=True))


def _unseen(organs: tuple[str, ...], seen: np.ndarray) -> tuple[Finding, ...]:
    hidden = [organ for organ, there in zip(organs, seen, strict=True) if not there]
    if not hidden:
        return ()
    return (Finding("not_observable", "warn", f"all the light that was found would not stand out in {', '.join(hidden)}: no value"),)


def _warnings(condition: float, chi2: float, weight: np.ndarray) -> tuple[Finding, ...]:
    findings = []
    if condition > _LARGEST_CONDITION:
        findings.append(Finding("ill_conditioned", "warn", f"organs look much alike from here: condition {condition:.3g}"))
    if max(weight[0], weight[-1]) > 0.2:
        why = "no likely share of blood explains the filters: look at the pose and the filters"
        findings.append(Finding("blood_at_bound", "warn", why))
    if chi2 > _POOR_CHI2:
        findings.append(Finding("poor_fit", "warn", f"the organs do not explain the picture: chi2 per pixel {chi2:.3g}"))
    return tuple(findings)
