"""From the means that are seen to those that are held, with their covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding, InputError
from tracker.spillover.overlap import overlaps
from tracker.spillover.spread import Spread, measured_regions, named_regions
from tracker.spillover.width import blur_kernel

# Above it a 2 % error of the organ map or the blur may be as large as the answer.
LARGEST_CONDITION = 50.0
# Share of an organ's content seen in another one from which on it is worth telling that it could not be undone.
_TOLD = 0.01
# An organ whose noise is not known makes another's unknown only if it enters it with at least this weight (1e-6 of its variance).
_WEIGHT = 1e-3


@dataclass(frozen=True, slots=True)
class Unmixed:
    """True means (k,) and their covariance (k, k), NaN where the organ was not measured; ``condition`` of the system that was solved."""

    means: np.ndarray
    covariance: np.ndarray
    condition: float
    findings: tuple[Finding, ...] = ()


def unmix(means: np.ndarray, covariance: np.ndarray, spread: Spread, names: Mapping[int, str] | None = None) -> Unmixed:
    """What each organ holds: T = W⁻¹ t, Cov(T) = W⁻¹ Cov(t) W⁻ᵀ, and the condition number of W.

    ``means`` (k,) t in the order of ``spread.labels``, any unit; ``covariance`` (k, k) its square; ``names`` for messages. Linear: a
    negative mean stays one, nothing is clipped. An organ with NaN as its mean (cut, missing) is left out with its row and column: its
    own result is NaN, and what it spills into the others stays in them, which a finding says. A NaN in the covariance makes the
    variance NaN of the organs that it matters to.

    The covariance holds the noise of the means only: not the error of the width (`sd_from_width`), of the organ map or of an organ
    that is unevenly filled. Raises `InputError`: ``spread_ill_conditioned`` (condition above 50; names the organs that cannot be told
    apart), ``shape_mismatch``.

    Rousset, Ma, Evans 1998, J Nucl Med 39:904 (no DOI).

    >>> spread = Spread((1, 2), np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([4, 2]), 1.5, (1.0, 1.0, 1.0))
    >>> unmix(np.array([1.9, 8.2]), np.eye(2), spread).means.round(6).tolist()
    [1.0, 10.0]
    """
    means, covariance = np.asarray(means, float), np.asarray(covariance, float)
    k = len(spread.labels)
    if means.shape != (k,) or covariance.shape != (k, k):
        found = (means.shape, covariance.shape)
        raise InputError("shape_mismatch", "means and covariance do not fit the spread matrix", found=found, expected=((k,), (k, k)))
    there = np.flatnonzero(np.isfinite(means))
    called = [(names or {}).get(label, "background" if label == 0 else f"label {label}") for label in spread.labels]
    found_means, found_covariance = np.full(k, np.nan), np.full((k, k), np.nan)
    if not there.size:
        return Unmixed(found_means, found_covariance, float("nan"), _left_out(spread.matrix, there, called))
    own = np.ix_(there, there)
    condition = _refuse_ill_conditioned(spread.matrix[own], [called[i] for i in there])
    inverse = np.linalg.inv(spread.matrix[own])
    found_means[there] = inverse @ means[there]
    found_covariance[own] = _propagated(inverse, covariance[own])
    return Unmixed(found_means, found_covariance, condition, _left_out(spread.matrix, there, called))


def _refuse_ill_conditioned(matrix: np.ndarray, called: Sequence[str]) -> float:
    _, sizes, right = np.linalg.svd(matrix)
    condition = float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else float("inf")
    if condition > LARGEST_CONDITION:
        # The direction that leaves the least trace in what is measured: organs that can be traded for one another in it.
        weak = np.abs(right[-1])
        alike = [name for name, share in zip(called, weak, strict=True) if share > 0.5 * weak.max()]
        what = "organs are mixed by the blur beyond undoing: " + ", ".join(alike)
        do = "merge them into one organ, or leave spill-over uncorrected"
        raise InputError("spread_ill_conditioned", what, found=f"condition {condition:.3g}", expected=f"≤ {LARGEST_CONDITION:g}", do=do)
    return condition


def _propagated(inverse: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    unknown = np.isnan(covariance)
    matters = (np.abs(inverse) >= _WEIGHT).astype(float)
    known = inverse @ np.where(unknown, 0.0, covariance) @ inverse.T
    # An unknown entry is nobody's zero: every result that takes it with some weight is unknown too.
    return np.where(matters @ unknown.astype(float) @ matters.T > 0, np.nan, known)


def _left_out(matrix: np.ndarray, there: np.ndarray, called: Sequence[str]) -> tuple[Finding, ...]:
    findings = []
    for j in sorted(set(range(len(called))) - set(there.tolist())):
        into = [f"{called[i]} ({100 * matrix[i, j]:.0f} %)" for i in there if matrix[i, j] >= _TOLD]
        stays = "its spill stays in " + ", ".join(into) + " (share of its own level)" if into else "it spills into no other by 1 % or more"
        findings.append(Finding("spill_unknown", "warn" if into else "ok", f"{called[j]} has no value: {stays}"))
    return tuple(findings)


def covariance_of_means(labels: np.ndarray, spread: Spread, sd: np.ndarray, length: Sequence[float]) -> np.ndarray:
    """Covariance (k, k) of organ means because the image's noise has a grain: neighbours' noise is partly the same noise.

    C_ij = sd_i sd_j R_ij, R_ij = S_ij / √(S_ii S_jj), S_ij = Σ over voxels x of organ i, y of organ j of Π exp(-d²/(4 s²)), d = x - y along
    each axis: white noise filtered by a Gaussian of standard deviation s. ``labels`` (z, y, x) the map that ``spread`` was made of,
    ``sd`` (k,) standard deviations of the means [their unit], ``length`` s along z, y, x [voxels], 0 for white noise (then C is
    diagonal). The diagonal is sd² exactly, whatever else it includes; a NaN stays one in its row and column.

    Only what the grain shares is covariance here: an error of the boundary between two organs is shared as well, with the other sign,
    and is not in it. Raises `InputError` as `spread_matrix` does for the map.

    >>> labels = np.ones((1, 1, 20), int); labels[..., 10:] = 2
    >>> spread = Spread((1, 2), np.eye(2), np.array([10, 10]), 1.0, (1.0, 1.0, 1.0))
    >>> covariance_of_means(labels, spread, np.array([1.0, 2.0]), (0, 0, 1)).round(2).tolist()
    [[1.0, 0.12], [0.12, 4.0]]
    """
    sd = np.asarray(sd, float)
    # Background that is not measured has a number of its own, which without a background is neither source nor target.
    regions, _ = measured_regions(named_regions(np.asarray(labels), spread.labels), spread.labels, spread.near)
    shared = overlaps(regions, None, [_grain(float(s)) for s in length])
    size = np.sqrt(np.diag(shared))
    return np.asarray((shared + shared.T) / 2 / np.outer(size, size) * np.outer(sd, sd))


def _grain(length: float) -> np.ndarray:
    reach = (blur_kernel(np.sqrt(2.0) * length).size) // 2
    distance = np.arange(-reach, reach + 1)
    return np.where(distance == 0, 1.0, 0.0) if length == 0 else np.exp(-(distance**2) / (4.0 * length**2))


def sd_from_width(means: np.ndarray, narrow: Spread, wide: Spread) -> np.ndarray:
    """Change (k,) of each true mean [unit of ``means``] for a blur wider by one `WIDTH_STEP`: half the difference of both sides.

    ``means`` (k,) as measured, NaN left out as in `unmix`; ``narrow`` and ``wide`` from `width_spreads`. With a width known to 10 %
    (one standard deviation) its size is a standard deviation, and of the kind that all points of a curve share (``sd_scale``): the
    width is the same in every scan. Signed, as organs change together: a hot organ's content comes from its surroundings.
    """
    means = np.asarray(means, float)
    there = np.flatnonzero(np.isfinite(means))
    change = np.full(means.shape, np.nan)
    low, high = (np.linalg.solve(s.matrix[np.ix_(there, there)], means[there]) for s in (narrow, wide))
    change[there] = (high - low) / 2
    return change
