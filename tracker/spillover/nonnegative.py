"""From more measurements than organs to what organs hold, none of them less than nothing: weighted least squares with its covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding, InputError

# So many standard deviations stand out.
DETECTED = 3.0


@dataclass(frozen=True, slots=True)
class NonNegative:
    """What each organ holds: ``amounts`` (k,), their ``covariance`` (k, k), NaN where an organ is not ``observable`` (k,).

    ``inverse`` (k, m): amounts = inverse · measured, on the organs that hold something; 0 elsewhere, NaN never. ``limit`` (k,): the amount
    that would stand out from the noise with all others free to change. ``condition`` of the columns, each scaled to 1; ``chi2`` of what
    is left over. An amount of 0 is one whose best value would be negative: it is below ``limit``, not known to be nothing.
    """

    amounts: np.ndarray
    covariance: np.ndarray
    observable: np.ndarray
    limit: np.ndarray
    inverse: np.ndarray
    condition: float
    chi2: float
    findings: tuple[Finding, ...] = ()


def unmix_nonnegative(measured: np.ndarray, sd: np.ndarray, matrix: np.ndarray, names: Sequence[str] = ()) -> NonNegative:
    """What organs hold from m ≥ k measurements: min Σ ((y - Wθ)/sd)², θ ≥ 0, and Cov(θ) = W⁺ Cov(y) W⁺ᵀ.

    ``measured`` y (m,) and ``sd`` (m,) > 0 in one unit, ``matrix`` W (m, k) measured per unit held, ``names`` of organs for messages. A
    measurement that is NaN, in value or sd, is left out. W⁺ is the weighted pseudo-inverse on the organs that hold something; the
    variance of one that holds nothing is what it would have beside them.

    An organ is observable if all that was found, were it held by this organ alone, would stand out in it by three standard deviations
    with the others free to change. The others are left out one by one, the hardest to see first, their amount is NaN, and they are
    taken to hold nothing: what they hold all the same is in the others, which nothing here can tell. Where nothing at all was found,
    nobody can say what would have been seen: every organ whose column is not 0 keeps its limit.

    Errors of W are not in the covariance. Raises `InputError`: ``shape_mismatch``, ``too_few_measurements``, ``sd_not_positive``.

    Lawson, Hanson 1995, Solving least squares problems, doi:10.1137/1.9781611971217 (chapter 23).

    >>> found = unmix_nonnegative(np.array([2.0, 1.0, 0.1]), np.full(3, 0.1), np.array([[1.0, 0.1], [0.5, 0.1], [0.0, 1e-9]]))
    >>> found.amounts.round(2).tolist(), found.observable.tolist()
    ([2.0, nan], [True, False])
    """
    y, weight, w = _checked(measured, sd, matrix)
    k = w.shape[1]
    names = tuple(names) or tuple(f"organ {j}" for j in range(k))
    included = np.linalg.norm(w, axis=0) > 0
    while True:
        amounts, own_sd, inverse, condition = _solved(y, w, included)
        total = amounts[amounts > DETECTED * own_sd].sum()
        hard = np.where(included, DETECTED * own_sd, 0.0)
        if total <= 0 or hard.max(initial=0.0) <= total:
            break
        included[int(hard.argmax())] = False
    covariance = _covariance(inverse, own_sd, included)
    chi2 = float(((y - w @ amounts) ** 2).sum())
    there = np.isfinite(measured) & np.isfinite(sd)
    whole = np.zeros((k, len(there)))
    whole[:, there] = inverse * weight
    seen = np.where(included, amounts, np.nan)
    return NonNegative(seen, covariance, included, DETECTED * own_sd, whole, condition, chi2, _unseen(included, names))


def _checked(measured: np.ndarray, sd: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measurements and matrix in units of the noise, and the weights 1/sd, without measurements that are not there."""
    shapes = (np.shape(measured), np.shape(sd), np.shape(matrix)[:1])
    if np.ndim(matrix) != 2 or np.ndim(measured) != 1 or len(set(shapes)) != 1:
        raise InputError(
            "shape_mismatch", "measurements, their noise and the spread matrix do not fit", found=shapes, expected="(m,), (m,), (m, k)"
        )
    there = np.isfinite(measured) & np.isfinite(sd)
    if there.sum() < np.shape(matrix)[1]:
        raise InputError(
            "too_few_measurements", "fewer measurements than organs", found=int(there.sum()), expected=f"≥ {np.shape(matrix)[1]}"
        )
    if not bool((np.asarray(sd)[there] > 0).all()):
        raise InputError("sd_not_positive", "a measurement without noise cannot be weighed", found=float(np.min(sd[there])), expected="> 0")
    weight = 1.0 / np.asarray(sd, float)[there]
    return np.asarray(measured, float)[there] * weight, weight, np.asarray(matrix, float)[there] * weight[:, None]


def _solved(y: np.ndarray, w: np.ndarray, included: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Amounts (k,), their sd (k,), inf where none is included, the pseudo-inverse (k, m), and the condition of what was inverted."""
    from scipy.optimize import nnls

    k = w.shape[1]
    amounts, sd, inverse = np.zeros(k), np.full(k, np.inf), np.zeros((k, len(y)))
    columns = np.flatnonzero(included)
    if not columns.size:
        return amounts, sd, inverse, float("nan")
    scale = np.linalg.norm(w[:, columns], axis=0)
    # The triangle of the QR factorisation holds all that least squares needs: k rows instead of thousands.
    q, triangle = np.linalg.qr(w[:, columns] / scale)
    found, _ = nnls(triangle, q.T @ y, maxiter=50 * k)
    amounts[columns] = found / scale
    active = found > 0
    held = np.linalg.pinv(triangle[:, active])
    inverse[columns[active]] = held @ q.T / scale[active, None]
    sd[columns[active]] = np.linalg.norm(held, axis=1) / scale[active]
    # Of a column, what the organs that hold something cannot explain: the rest of it is what tells this organ from them.
    left = triangle[:, ~active] - triangle[:, active] @ (held @ triangle[:, ~active])
    sd[columns[~active]] = 1.0 / np.maximum(np.linalg.norm(left, axis=0), 1e-12) / scale[~active]
    return amounts, sd, inverse, float(np.linalg.cond(triangle[:, active])) if active.any() else float("nan")


def _covariance(inverse: np.ndarray, sd: np.ndarray, included: np.ndarray) -> np.ndarray:
    covariance = inverse @ inverse.T
    covariance[np.diag_indices_from(covariance)] = np.where(included, sd, 0.0) ** 2
    covariance[~included, :] = np.nan
    covariance[:, ~included] = np.nan
    return np.asarray(covariance)


def _unseen(included: np.ndarray, names: Sequence[str]) -> tuple[Finding, ...]:
    hidden = [name for name, seen in zip(names, included, strict=True) if not seen]
    if not hidden:
        return ()
    return (Finding("not_observable", "warn", f"what {', '.join(hidden)} could hold would not stand out from the noise: no value"),)
