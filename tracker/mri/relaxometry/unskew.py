"""Takes the skewness of y² out of a fitted rate: half of all noise then lies on either side of the truth."""

from __future__ import annotations

import numpy as np

from tracker.quantify.compiled import compiled


# An expansion holds where it changes little. Where it would change a rate by more than this share, hardly two echoes are above
# the noise: the rate stays as fitted, beyond R2*max.
_MOST = 0.1


@compiled
def unskew(factors, first, times, constants, fitted):  # type: ignore[no-untyped-def]
    """Moves ``fitted`` (rows k, information on it, A at the first echo) to where the median of k is k. In place.

    y² has a tail to large values, so its median lies below its mean and most fits of E[y²] come out too fast. The score of k is U = Σ w c
    (y² - E[y²]) with c = -mu (t - t̄), w = 1/(mu + N); its median is -kappa3/(6 kappa2) (Cornish and Fisher), with y²/sigma² of cumulants
    kappa2 = 4 (mu + N), kappa3 = 8 (3 mu + 2N). Hence k ← k + Σ w³ c³ (3 mu + 2N) / (3 n I²), I = Σ w c², n repeats averaged.
    ``times`` from the first echo; ``constants``: number of coils, of repeats averaged.

    Source: Kenne Pagui, Salvan and Sartori 2017, doi:10.1093/biomet/asx046 (median bias reduction of maximum likelihood).
    """
    rate, information, amplitude = fitted[0], fitted[1], fitted[2]
    coils, repeats = constants
    for v in range(rate.size):
        k, a = rate[v], amplitude[v]
        if not k > 0.0:
            continue
        wqq = twqq = 0.0
        for i in range(times.size):
            q = _power(factors, i, first + v, k, times[i])
            w = q * q / (a * q + coils)
            wqq, twqq = wqq + w, twqq + times[i] * w
        middle, third = twqq / wqq, 0.0
        for i in range(times.size):
            mu = a * _power(factors, i, first + v, k, times[i])
            c = -mu * (times[i] - middle) / (mu + coils)
            third += c * c * c * (3.0 * mu + 2.0 * coils)
        moved = third / (3.0 * repeats * information[v] * information[v])
        if abs(moved) < _MOST * k:
            rate[v], amplitude[v] = k + moved, a * (1.0 + middle * moved)


@compiled
def _power(factors, echo, voxel, k, t):  # type: ignore[no-untyped-def]
    """F²·exp(-k t)."""
    if factors is None:
        return np.exp(-k * t)
    return np.float64(factors[echo, voxel]) * factors[echo, voxel] * np.exp(-k * t)
