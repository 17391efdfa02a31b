"""R2* from the second moment of the magnitudes: the noise floor is part of the model, not a bias of the result.

E[y²] = S² + 2N·sigma² and var(y²) = 4·sigma²·S² + 4N·sigma⁴ hold at any signal, so y² - 2N·sigma² is fitted by A·exp(-2·R2*·TE) with the
variance of the model itself as weight. All in units of sigma; times from the first echo; k = 2·R2*.
"""

from __future__ import annotations

import numpy as np

from tracker.compiled import compiled
from tracker.mri.header import MEASURED
from tracker.mri.relaxometry.linear import triples
from tracker.mri.relaxometry.problem import Problem

# Voxels in work at a time: their intermediate results stay in the fastest cache.
_BLOCK = 256
_ROWS = 12
# A voxel is done when its rate moved by less than this share (or this share of a rate that is slow beside the echoes): as the next
# move would be a fraction of that, rates are right to 1e-4 of the solution.
_TOLERANCE = 3e-5
_SLOW = 0.01
_FEWEST_STEPS, _MOST_STEPS = 2, 60
# A square of the signal smaller than this (in sigma²) is as good as none; it keeps weights and steps finite.
_LEAST_SQUARE = 1e-3
# An expansion holds where it changes little. Where the correction for skewness would change a rate by more than this share, hardly two
# echoes are above the noise: the rate stays as fitted, beyond R2*max.
_MOST_UNSKEWED = 0.1
# Between the first two echoes nothing can decay by more than exp(-40) and be seen.
_FASTEST = 40.0


@compiled
def _decay(rate, spacing, decay, n):  # type: ignore[no-untyped-def]
    """exp(-rate·spacing) as exp(x/64)^64, its series to the 11th power, in a form that compiles to vector instructions.

    For -40 <= x <= 1 the error is below 1e-9 of the value, and far less near 0. Anything faster is held at exp(-40).
    """
    scale = -spacing / 64.0
    for v in range(n):
        x = max(rate[v] * scale, -_FASTEST / 64.0)
        e = 1.0 + x * (1 / 7 + x * (1 / 56 + x * (1 / 504 + x * (1 / 5040 + x * (1 / 55440)))))
        e = 1.0 + x * (1.0 + x * (1 / 2 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x * (1 / 720) * e)))))
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        decay[v] = e * e


@compiled
def _sums(z, factor, state, grid, coils, n):  # type: ignore[no-untyped-def]
    """Σ w q z, Σ w q², Σ w t q z, Σ w t q², Σ w t² q² over echoes, q = F²·exp(-k t), w = 1/(A q + N): rows 4 to 8 of ``state``.

    ``grid`` rows: time from the first echo, spacing from the echo before, whether that spacing differs from the one before it.
    """
    rate, amplitude, power, decay = (
        state[0:_BLOCK],
        state[_BLOCK : 2 * _BLOCK],
        state[2 * _BLOCK : 3 * _BLOCK],
        state[3 * _BLOCK : 4 * _BLOCK],
    )
    wqz, wqq, twqz = state[4 * _BLOCK : 5 * _BLOCK], state[5 * _BLOCK : 6 * _BLOCK], state[6 * _BLOCK : 7 * _BLOCK]
    twqq, ttwqq = state[7 * _BLOCK : 8 * _BLOCK], state[8 * _BLOCK : 9 * _BLOCK]
    for v in range(n):
        # The first echo: t = 0 and exp(-k t) = 1.
        q = 1.0 if factor is None else factor[v]
        # np.divide: Python's own division tests for 0, and a loop with a test is not vectorised.
        wq = np.divide(q, amplitude[v] * q + coils)
        power[v], wqz[v], wqq[v] = 1.0, wq * z[v], wq * q
        twqz[v] = twqq[v] = ttwqq[v] = 0.0
    for i in range(1, grid.shape[1]):
        if grid[2, i]:
            _decay(rate, grid[1, i], decay, n)
        t, row = grid[0, i], z[i * _BLOCK : (i + 1) * _BLOCK]
        if factor is not None:
            share = factor[i * _BLOCK : (i + 1) * _BLOCK]
        for v in range(n):
            q = power[v] * decay[v]
            power[v] = q
            if factor is not None:
                q *= share[v]
            wq = np.divide(q, amplitude[v] * q + coils)
            wz, wq = wq * row[v], wq * q
            wqz[v] += wz
            wqq[v] += wq
            twqz[v] += t * wz
            wq *= t
            twqq[v] += wq
            ttwqq[v] += t * wq


@compiled
def _step(state, slow, slowest, fastest, n):  # type: ignore[no-untyped-def]
    """One scoring step of rate and amplitude from the sums; row 9 the step, row 10 the information on k (but for repeats / 4).

    The amplitude is projected out (it is linear), then moved along with the rate. A secant through this step and the one before makes
    both the slow and the swinging voxels converge; no step is longer than half of the rate plus ``slow``.
    """
    rate, amplitude = state[0:_BLOCK], state[_BLOCK : 2 * _BLOCK]
    wqz, wqq, twqz = state[4 * _BLOCK : 5 * _BLOCK], state[5 * _BLOCK : 6 * _BLOCK], state[6 * _BLOCK : 7 * _BLOCK]
    twqq, ttwqq = state[7 * _BLOCK : 8 * _BLOCK], state[8 * _BLOCK : 9 * _BLOCK]
    moved, information, scored = state[9 * _BLOCK : 10 * _BLOCK], state[10 * _BLOCK : 11 * _BLOCK], state[11 * _BLOCK : 12 * _BLOCK]
    # Two loops: one that touches all rows at once is not vectorised.
    for v in range(n):
        per_wqq = np.divide(1.0, wqq[v])
        a, middle = max(wqz[v] * per_wqq, _LEAST_SQUARE), twqq[v] * per_wqq
        curvature = a * (ttwqq[v] - middle * twqq[v])
        wqz[v], twqq[v], information[v] = a, middle, a * curvature
        twqz[v] = np.divide(a * wqq[v] * middle - twqz[v], curvature)
    for v in range(n):
        # How much of a step is left after it was made: a secant, once there is a step before.
        left = min(max(np.divide(scored[v] - twqz[v], moved[v]), 0.25), 4.0)
        left = 1.0 if moved[v] == 0.0 else left
        scored[v], longest = twqz[v], 0.5 * (abs(rate[v]) + slow)
        step = min(max(np.divide(scored[v], left), -longest), longest)
        to = min(max(rate[v] + step, slowest), fastest)
        moved[v] = to - rate[v]
        amplitude[v] = max(wqz[v] * (1.0 + twqq[v] * moved[v]), _LEAST_SQUARE)
        rate[v] = to


@compiled
def _start(y, z, state, weights, first, n):  # type: ignore[no-untyped-def]
    """Rate by ARLO and amplitude by the first echo, of ``n`` voxels from ``first``."""
    rate, amplitude = state[0:_BLOCK], state[_BLOCK : 2 * _BLOCK]
    top, bottom = state[2 * _BLOCK : 3 * _BLOCK], state[3 * _BLOCK : 4 * _BLOCK]
    top[:] = 0.0
    bottom[:] = 1e-30
    for i in range(weights.shape[0]):
        y1, y2, y3 = y[i, first : first + n], y[i + 1, first : first + n], y[i + 2, first : first + n]
        c1, c2, c3, beta = weights[i, 0], weights[i, 1], weights[i, 2], weights[i, 3]
        for v in range(n):
            s, x = c1 * y1[v] + c2 * y2[v] + c3 * y3[v], np.float64(y1[v]) - y3[v]
            top[v] += x * (s + beta * x)
            bottom[v] += s * (s + beta * x)
    for v in range(n):
        rate[v] = 2.0 * np.divide(top[v], bottom[v])
        amplitude[v] = max(z[v], 1.0)


@compiled
def _keep(z, factor, state, index, chosen, n):  # type: ignore[no-untyped-def]
    """The chosen voxels moved together at the front of the block; returns how many there are."""
    kept = 0
    n_echoes = z.size // _BLOCK
    for v in range(n):
        if chosen[v]:
            if kept != v:
                index[kept] = index[v]
                for row in (0, 1, 9, 11):
                    state[row * _BLOCK + kept] = state[row * _BLOCK + v]
                for i in range(n_echoes):
                    z[i * _BLOCK + kept] = z[i * _BLOCK + v]
                    if factor is not None:
                        factor[i * _BLOCK + kept] = factor[i * _BLOCK + v]
            kept += 1
    return kept


@compiled
def _load(y, factors, per_sigma, coils, first, z, factor, n):  # type: ignore[no-untyped-def]
    """y² - 2N in units of sigma², and F², of ``n`` voxels from ``first``."""
    for i in range(y.shape[0]):
        row, values = z[i * _BLOCK : (i + 1) * _BLOCK], y[i, first : first + n]
        for v in range(n):
            value = values[v] * per_sigma
            row[v] = value * value - 2.0 * coils
        if factors is not None:
            shares, square = factors[i, first : first + n], factor[i * _BLOCK : (i + 1) * _BLOCK]
            for v in range(n):
                square[v] = np.float64(shares[v]) * shares[v]


@compiled
def _fit(y, factors, status, first, constants, grid, weights, out):  # type: ignore[no-untyped-def]
    """k, the information on it (but for repeats / 4), A at the first echo and mean time into ``out`` (4, n).

    Of the voxels from ``first`` on that are MEASURED so far. ``constants``: 1/sigma, number of coils.
    """
    n_echoes, (per_sigma, coils) = y.shape[0], constants
    z, state = np.zeros(n_echoes * _BLOCK), np.zeros(_ROWS * _BLOCK)
    factor = None if factors is None else np.zeros(n_echoes * _BLOCK)
    rate, amplitude = state[0:_BLOCK], state[_BLOCK : 2 * _BLOCK]
    moved, information, middle = state[9 * _BLOCK : 10 * _BLOCK], state[10 * _BLOCK : 11 * _BLOCK], state[7 * _BLOCK : 8 * _BLOCK]
    index, chosen = np.zeros(_BLOCK, np.uint32), np.zeros(_BLOCK, np.bool_)
    slow, fastest = 1.0 / grid[0, n_echoes - 1], _FASTEST / grid[1, 1]
    for start in range(0, status.size, _BLOCK):
        n = min(_BLOCK, status.size - start)
        _load(y, factors, per_sigma, coils, first + start, z, factor, n)
        _start(y, z, state, weights, first + start, n)
        for v in range(n):
            index[v], chosen[v], moved[v] = start + v, status[start + v] == MEASURED, 0.0
            rate[v] = min(max(rate[v], slow * _SLOW), fastest)
        n = _keep(z, factor, state, index, chosen, n)
        for step in range(_MOST_STEPS):
            _sums(z, factor, state, grid, coils, n)
            _step(state, slow, -slow, fastest, n)
            if step < _FEWEST_STEPS:
                continue
            for v in range(n):
                chosen[v] = abs(moved[v]) > _TOLERANCE * max(abs(rate[v]), _SLOW * slow)
                if not chosen[v]:
                    out[0, index[v]] = rate[v]
                    out[1, index[v]] = information[v]
                    out[2, index[v]] = amplitude[v]
                    out[3, index[v]] = middle[v]
            n = _keep(z, factor, state, index, chosen, n)
            if n == 0:
                break


@compiled
def _finish(fitted, factors, first, grid, constants):  # type: ignore[no-untyped-def]
    """Turns ``fitted``, rows k, information on it, A, mean time, into R2*, its standard error, S0, where the median of k is k. In place.

    y² has a tail to large values, so its median lies below its mean and most fits of E[y²] come out too fast. The score of k is U = Σ w c
    (y² - E[y²]) with c = -mu (t - t̄), w = 1/(mu + N); its median is -kappa3/(6 kappa2) (Cornish and Fisher), with y²/sigma² of cumulants
    kappa2 = 4 (mu + N), kappa3 = 8 (3 mu + 2N). Hence k ← k + Σ w³ c³ (3 mu + 2N) / (3 n I²), I = Σ w c², n repeats averaged.
    ``constants``: sigma, number of coils, of repeats, first echo time.
    """
    sigma, coils, repeats, t1 = constants
    power, decay, third = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    for start in range(0, fitted.shape[1], _BLOCK):
        stop = min(start + _BLOCK, fitted.shape[1])
        rate, information, amplitude, middle = fitted[0, start:stop], fitted[1, start:stop], fitted[2, start:stop], fitted[3, start:stop]
        power[:], decay[:], third[:] = 1.0, 1.0, 0.0
        for i in range(grid.shape[1]):
            if grid[2, i]:
                _decay(rate, grid[1, i], decay, rate.size)
            if factors is not None:
                share = factors[i, first + start : first + stop]
            for v in range(rate.size):
                power[v] *= decay[v]
                mu = amplitude[v] * power[v]
                if factors is not None:
                    mu *= np.float64(share[v]) * share[v]
                wc = np.divide(mu * (middle[v] - grid[0, i]), mu + coils)
                third[v] += wc * wc * wc * (3.0 * mu + 2.0 * coils)
        for v in range(rate.size):
            moved = np.divide(third[v], 3.0 * repeats * information[v] * information[v])
            moved = moved if abs(moved) < _MOST_UNSKEWED * rate[v] else 0.0
            rate[v] += moved
            amplitude[v] *= 1.0 + middle[v] * moved
        _decay(rate, 0.5 * t1, decay, rate.size)
        for v in range(rate.size):
            rate[v] *= 0.5
            information[v] = np.divide(1.0, np.sqrt(repeats * information[v]))
            amplitude[v] = np.divide(sigma * np.sqrt(amplitude[v]), decay[v])


def second_moment(p: Problem, first: int, status: np.ndarray) -> np.ndarray:
    """Rows R2*, its standard error, S0 of the voxels from ``first`` on whose status is MEASURED; NaN where it did not converge.

    Solves Σ w_i ∂mu_i (z_i - mu_i) = 0 for z = y² - 2N·sigma², mu = A·F²·exp(-2·R2*·TE), w = 1/var(y²) at mu, by Fisher scoring with A
    projected out: a maximum quasi-likelihood estimate, exact in its first moment at any signal. Then half of all noise is made to lie on
    either side (`_finish`). Standard error: root of the inverse information, var(R2*) = 1/(n·A²·(Σ w t² q² - (Σ w t q²)²/Σ w q²)),
    q = mu/A, w = sigma⁴/(mu·sigma² + N·sigma⁴), for n repeats averaged.

    Sources: Feng et al. 2013, doi:10.1002/mrm.24607 (moments); Wedderburn 1974, doi:10.1093/biomet/61.3.439 (estimating equation);
    Kenne Pagui, Salvan and Sartori 2017, doi:10.1093/biomet/asx046 (median).
    """
    steps = np.diff(p.times_s)
    # Spacings equal to rounding share one exponential: echo times written as 0.003, 0.006, 0.009 are not equal to the last digit.
    new = ~np.isclose(steps[1:], steps[:-1], rtol=1e-9, atol=0.0)
    grid = np.stack([p.times_s - p.times_s[0], np.append(0.0, steps), np.concatenate([[False, True], new])])
    out = np.full((4, status.size), np.nan)
    _fit(p.magnitude, p.factor, status, first, (1.0 / p.sigma, float(p.coils)), grid, triples(p.times_s), out)
    _finish(out, p.factor, first, grid, (p.sigma, float(p.coils), float(p.n_averaged), float(p.times_s[0])))
    return out[:3]
