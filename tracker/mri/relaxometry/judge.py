"""Which voxels have a number, and which have a limit instead."""

from __future__ import annotations

import math

import numpy as np

from tracker.compiled import compiled
from tracker.mri.header import FAILED, MEASURED, NOT_DECAYING, NOT_FINITE, SATURATED, VOID

# A voxel whose fitted signal at the second echo is below this many times what counts as seen may owe that echo to chance.
_DOUBTFUL = 2.0
# What chance then brings is an S0 far too small: below this share of the S0 known from elsewhere the voxel is saturated.
_LEAST_SHARE = 0.5
# A signal that falls by less than this share over the whole train does not fall: equal integers make a rate of rounding alone.
_NO_DECAY = 1e-6


@compiled
def screen(y, factors, seen, first, status):  # type: ignore[no-untyped-def]
    """Before the fit, of the voxels from ``first`` on: MEASURED where two echoes are seen, else VOID, SATURATED, FAILED, NOT_FINITE.

    FAILED stands here for dephasing that leaves fewer than two echoes: that says nothing of the rate.
    """
    n = status.size
    n_seen, n_used, flaw = np.zeros(n, np.uint8), np.full(n, y.shape[0], np.uint8), np.zeros(n, np.float32)
    for i in range(y.shape[0]):
        values = y[i, first : first + n]
        for v in range(n):
            # 0 where finite, else NaN.
            flaw[v] += values[v] * np.float32(0)
            n_seen[v] += np.uint8(values[v] > seen)
        if factors is not None:
            for v in range(n):
                share = factors[i, first + v]
                flaw[v] += share * np.float32(0)
                n_used[v] -= np.uint8(share == 0)
                n_seen[v] -= np.uint8(share == 0 and values[v] > seen)
    for v in range(n):
        status[v] = MEASURED if n_seen[v] > 1 else SATURATED if n_seen[v] == 1 else VOID
        status[v] = status[v] if n_used[v] > 1 else FAILED
        status[v] = status[v] if flaw[v] == 0 else NOT_FINITE


@compiled
def second_echo(factors, times, voxel):  # type: ignore[no-untyped-def]
    """Time and dephasing of the second echo in use (the first two are in use where nothing dephases)."""
    if factors is not None:
        n_used = 0
        for i in range(times.size):
            n_used += 1 if factors[i, voxel] > 0.0 else 0
            if n_used == 2:
                return times[i], np.float64(factors[i, voxel])
    return times[1], 1.0


@compiled
def judge(factors, times, seen, reference, first, estimate, status, limit):  # type: ignore[no-untyped-def]
    """After the fit: numbers that cannot be known become a status; ``limit`` is R2*max where S0 is known.

    ``estimate``, rows rate, sd, S0, is set to NaN where ``status`` is not MEASURED.
    """
    rate, sd, s0 = estimate[0], estimate[1], estimate[2]
    for v in range(status.size):
        time, share = second_echo(factors, times, first + v)
        known = reference[first + v] * share / seen
        by_reference = np.float32(math.log(known) / time) if known > 1.0 and known < np.inf else np.float32(np.nan)
        limit[v] = np.nan if status[v] == NOT_FINITE else by_reference
        if status[v] == MEASURED:
            own = s0[v] * share / seen
            own_limit = np.float32(math.log(own) / time) if own > 1.0 and np.float32(s0[v]) < np.inf else np.float32(-1)
            if rate[v] != rate[v]:
                status[v] = FAILED
            elif rate[v] * times[-1] <= _NO_DECAY:
                status[v] = NOT_DECAYING
            elif np.float32(rate[v]) > own_limit or not _plausible(rate[v], own, known, by_reference, time):
                status[v] = SATURATED
            elif not np.float32(sd[v]) < np.inf:
                status[v] = FAILED
            elif known != known:
                limit[v] = own_limit
        if status[v] != MEASURED:
            rate[v] = sd[v] = s0[v] = np.nan


@compiled
def _plausible(rate, own, known, limit, time):  # type: ignore[no-untyped-def]
    """Whether a rate agrees with an S0 known from elsewhere; ``own``, ``known``: S0 (as the second echo sees it) over what is seen."""
    if known != known:
        return True
    by_chance = own < _LEAST_SHARE * known and own * math.exp(-rate * time) < _DOUBTFUL
    return np.float32(rate) <= limit and not by_chance
