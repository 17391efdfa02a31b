"""R2* of multi-echo magnitudes, voxel by voxel: estimators by name, and one judge of what may be called a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tracker.compiled import processors
from tracker.errors import InputError
from tracker.mri.header import Fit, Noise
from tracker.mri.relaxometry.judge import judge, screen
from tracker.mri.relaxometry.linear import arlo, weighted_loglinear
from tracker.mri.relaxometry.problem import Problem, problem
from tracker.mri.relaxometry.second_moment import second_moment

ESTIMATORS: dict[str, Callable[[Problem, int, np.ndarray], np.ndarray]] = {
    "second_moment": second_moment,
    "arlo": arlo,
    "weighted_loglinear": weighted_loglinear,
}
# Voxels in one task of a thread: enough to make its start cheap, few enough to stay in the second cache.
_CHUNK = 1 << 14


def fit(
    estimator: str,
    magnitude: np.ndarray,
    echo_times_s: Sequence[float] | np.ndarray,
    noise: Noise,
    *,
    s0_reference: np.ndarray | None = None,
    n_averaged: int = 1,
    dephasing: np.ndarray | None = None,
) -> Fit:
    """Maps (z, y, x) of R2* and its standard error [1/s], S0 [image unit], status and R2*max of magnitudes (echo, z, y, x).

    ``estimator``: second_moment (the noise floor is in the model), arlo, weighted_loglinear (both come out low near the floor).
    ``echo_times_s`` (echo,) [s]; ``noise.sigma`` [image unit] is given, never estimated here. ``n_averaged``: the magnitudes are root
    mean squares of that many repeats (E[y²] stays S² + 2N·sigma², its variance falls). ``dephasing`` (echo, z, y, x): the known share
    of signal left by a background gradient; echoes below 0.3 are left out. ``s0_reference`` (z, y, x) [image unit]: S0 from before
    the injection or from the surroundings, NaN where unknown.

    A voxel has a number only where it can be known: two echoes above 3·sigma·sqrt(N) and 0 < R2* <= R2*max = ln(S0 / (3·sigma·sqrt(N)))
    / TE2, for the fitted S0 and for the reference. With a reference, an S0 below half of it is not believed where the fitted signal at
    the second echo is below 6·sigma·sqrt(N): chance brought that echo. TE2 is the second echo in use.

    Does not mean: SATURATED is not "no iron", it is a rate above the limit; without a reference S0 the limit of such a voxel is not
    known (NaN), and a rate far above it can pass, seldom, for one below. A voxel is taken to decay with one rate.

    Raises `InputError`: ``estimator_unknown``, ``magnitude_not_real``, ``too_few_echoes``, ``echo_times_do_not_match``,
    ``echo_times_not_rising``, ``noise_unknown``, ``coils_out_of_range``, ``repeats_out_of_range``, ``shape_mismatch``,
    ``arlo_needs_three_echoes``, ``arlo_without_dephasing``.

    >>> times_s = np.array([0.003, 0.006, 0.009, 0.012])
    >>> magnitude = 100 * np.exp(-80 * times_s).reshape(4, 1, 1, 1)
    >>> one = fit("arlo", magnitude, times_s, Noise(sigma=1.0, coils=1, source="config"))
    >>> int(one.status[0, 0, 0]), round(float(one.r2star_per_s[0, 0, 0])), round(float(one.limit_per_s[0, 0, 0]))
    (1, 80, 584)
    """
    engine = ESTIMATORS.get(estimator)
    if engine is None:
        raise InputError("estimator_unknown", "no such R2* estimator", found=repr(estimator), expected=", ".join(ESTIMATORS))
    p = problem(magnitude, echo_times_s, noise, (s0_reference, n_averaged, dephasing))
    n_voxels = p.magnitude.shape[1]
    maps, status = np.empty((4, n_voxels), np.float32), np.empty(n_voxels, np.uint8)

    def one(first: int) -> None:
        part = slice(first, min(first + _CHUNK, n_voxels))
        screen(p.magnitude, p.factor, p.seen, first, status[part])
        estimate = engine(p, first, status[part])
        judge(p.factor, p.times_s, p.seen, p.reference, first, estimate, status[part], maps[3, part])
        maps[:3, part] = estimate

    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(one, range(0, n_voxels, _CHUNK)))
    rate, sd, s0, limit = (one.reshape(magnitude.shape[1:]) for one in maps)
    return Fit(rate, sd, s0, status.reshape(magnitude.shape[1:]), limit)
