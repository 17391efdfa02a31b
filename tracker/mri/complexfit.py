"""R2* from magnitude and phase together: complex noise is Gaussian, so that there is no floor to correct for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tracker.compiled import compiled, processors
from tracker.errors import Finding, InputError
from tracker.mri.header import MEASURED, Fit, Noise
from tracker.mri.relaxometry.judge import judge, screen

_STEPS = 40
# A step this small against its own standard error, or against the inverse echo time, ends the fit.
_SMALL = 1e-4
_CHUNK = 1 << 13
# What counts as seen: the same 3 sigma as for magnitudes.
_SEEN = 3.0
# Odd and even echoes apart by less than this [rad] cost less than 0.1 % of the signal.
_LEAST_OFFSET_RAD = 0.03
_MIN_BRIGHT, _MAX_BRIGHT = 50, 20_000


def fit_complex(
    magnitude: np.ndarray, phase_rad: np.ndarray, echo_times_s: Sequence[float], noise: Noise, s0_reference: np.ndarray | None = None
) -> tuple[Fit, tuple[Finding, ...]]:
    """Maps (z, y, x) of R2* and its standard error [1/s], S0, status and limit, fitted to complex images; and what was noted.

    Model: y = S0 exp(i φ0) exp((i 2π f - R2*) TE) + noise of ``noise.sigma`` in the real and in the imaginary part. S0 and φ0 are
    linear and drop out; R2* and f are found by Gauss-Newton from the best node of a grid, so that no frequency is a wrong alias
    of the start. se(R2*) = sigma / (S0 √(Σ (t - t̄)² e^(-2 R2* t))), t̄ weighted by e^(-2 R2* t).

    ``magnitude`` and ``phase_rad`` (echo, z, y, x) [image unit], [rad]: one repeat. ``s0_reference`` (z, y, x) as in `relaxometry.fit`,
    whose judge decides here too: two echoes above 3 sigma and 0 < R2* ≤ R2*max = ln(S0 / (3 sigma)) / TE2, never a number above it.
    Evenly spaced echoes (4 or more) whose phase alternates between odd and even by one angle everywhere (two readout
    directions) are set right first: finding ``bipolar_phase``.

    Errors: ``complex_needs_one_channel`` (a root sum of squares has no phase), ``too_few_echoes``, ``shape_mismatch``. Does not mean: a
    field that varies within the voxel decays faster than its tissue (`dephasing`); a voxel of fat and water has no one frequency.
    Sources: Golub & Pereyra 2003, doi:10.1088/0266-5611/19/2/201; Kaufman 1975, doi:10.1007/BF01932995.

    >>> times_s = (0.003, 0.006, 0.009, 0.012)
    >>> signal = 100 * np.exp((2j * np.pi * 40 - 80) * np.array(times_s)).reshape(4, 1, 1, 1)
    >>> found, _ = fit_complex(np.abs(signal), np.angle(signal), times_s, Noise(1.0, 1, "config"))
    >>> round(float(found.r2star_per_s[0, 0, 0]), 3), round(float(found.s0[0, 0, 0]), 2)
    (80.0, 100.0)
    """
    times = np.asarray(echo_times_s, float)
    _check(magnitude, phase_rad, times, noise)
    n_voxels = math.prod(magnitude.shape[1:])
    phase = np.ascontiguousarray(phase_rad, np.float32).reshape(times.size, n_voxels)
    # A phase that is not finite stops its voxel as a magnitude would.
    size = np.where(np.isfinite(phase), np.asarray(magnitude, np.float32).reshape(times.size, n_voxels), np.float32(np.nan))
    turned, findings = _without_alternation(size, phase, times)
    reference = np.full(n_voxels, np.nan, np.float32) if s0_reference is None else np.ascontiguousarray(s0_reference, np.float32).ravel()
    grid, seen = _grid(times), _SEEN * noise.sigma
    maps, status = np.empty((4, n_voxels), np.float32), np.empty(n_voxels, np.uint8)

    def one(first: int) -> None:
        part = slice(first, min(first + _CHUNK, n_voxels))
        found = np.full((3, part.stop - first), np.nan, np.float32)
        screen(size, None, seen, first, status[part])
        _fit_voxels(size, turned, times, grid, noise.sigma, first, found, status[part])
        judge(None, times, seen, reference, first, found, status[part], maps[3, part])
        maps[:3, part] = found

    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(one, range(0, n_voxels, _CHUNK)))
    rate, sd, s0, limit = (one.reshape(magnitude.shape[1:]) for one in maps)
    return Fit(rate, sd, s0, status.reshape(magnitude.shape[1:]), limit), findings


def _check(magnitude: np.ndarray, phase_rad: np.ndarray, times: np.ndarray, noise: Noise) -> None:
    if noise.coils != 1:
        raise InputError(
            "complex_needs_one_channel",
            "channels summed as squares have no common phase to fit",
            found=f"{noise.coils} channels",
            expected="one channel, or channels combined as complex numbers (mri: coils: 1)",
            do="choose another mri: estimator, or give images combined with their phase",
        )
    if times.size < 2:
        raise InputError("too_few_echoes", "a rate needs two echoes", found=times.size, expected="2 or more", do="give all echoes")
    if magnitude.shape != phase_rad.shape or len(magnitude) != times.size:
        found = f"magnitude {magnitude.shape}, phase {phase_rad.shape}, {times.size} echo times"
        raise InputError(
            "shape_mismatch", "magnitude, phase and echo times do not belong together", found=found, expected="the same echoes and grid"
        )


def _grid(times: np.ndarray) -> np.ndarray:
    """Starts of the fit: exp(-(R + iω) t) / √Σ exp(-2 R t) for rates R and frequencies ω; (2, echo + 1, node), real and
    imaginary; R and ω in the last row. Nodes lie last: a loop over them needs no sum and runs several at a time.

    Frequencies are those that echoes so far apart can tell from one another: ω within ±π/min(Δt), two nodes within the width of a peak.
    """
    gap, span = float(np.diff(times).min()), float(times[-1] - times[0])
    n = max(8, 2 * math.ceil(2 * span / gap))
    omegas = (np.arange(n) / n - 0.5) * 2 * np.pi / gap
    rates = np.concatenate([[0.0], np.geomspace(0.3 / span, 6.0 / times[1], 6)])
    rate, omega = (axis.ravel() for axis in np.meshgrid(rates, omegas, indexing="ij"))
    waves = np.exp(-(rate + 1j * omega)[:, None] * times)
    waves /= np.sqrt((np.abs(waves) ** 2).sum(axis=1, keepdims=True))
    return np.ascontiguousarray(np.stack([np.vstack([waves.T.real, rate]), np.vstack([waves.T.imag, omega])]))


@compiled
def _fit_voxels(size, phase, times, grid, sigma, first, found, status):  # type: ignore[no-untyped-def]
    """Rows of ``found``: R2*, its standard error, S0; NaN where the fit does not settle. Only voxels of status MEASURED are fitted."""
    n = times.size
    y, waves = np.empty(n, np.complex128), np.empty(n, np.complex128)
    held = np.empty((2, grid.shape[2]))
    for v in range(status.size):
        if status[v] != MEASURED:
            continue
        for i in range(n):
            y[i] = size[i, first + v] * np.exp(1j * np.float64(phase[i, first + v]))
        rate, omega = _best_node(y, grid, held)
        for _ in range(_STEPS):
            amplitude, spread, turn = _project(y, times, rate, omega, waves)
            information = abs(amplitude) ** 2 * spread
            if not information > 0.0:
                break
            # The model's columns for R and ω are the same wave, a quarter turn apart: each has its own step.
            step = -turn / (amplitude * spread)
            longest = 1.0 / times[1]
            if abs(step) > longest:
                step *= longest / abs(step)
            rate += step.real
            omega -= step.imag
            if abs(step) < _SMALL * min(sigma / math.sqrt(information), longest):
                found[0, v] = rate
                found[1, v] = sigma / math.sqrt(information)
                found[2, v] = abs(amplitude)
                break


@compiled
def _best_node(y, grid, held):  # type: ignore[no-untyped-def]
    """R and ω of the node whose wave holds most of the signal; ``held`` (2, node) is room to work in."""
    n = y.size
    held[:] = 0.0
    for i in range(n):
        real, imaginary = y[i].real, y[i].imag
        for k in range(grid.shape[2]):
            held[0, k] += grid[0, i, k] * real - grid[1, i, k] * imaginary
            held[1, k] += grid[0, i, k] * imaginary + grid[1, i, k] * real
    node = np.argmax(held[0] ** 2 + held[1] ** 2)
    return grid[0, n, node], grid[1, n, node]


@compiled
def _project(y, times, rate, omega, waves):  # type: ignore[no-untyped-def]
    """For waves e = exp((iω - R) t): amplitude Σ ē y / Σ |e|², Σ (t - t̄)² |e|², Σ (t - t̄) ē (y - a e)."""
    power = moment = second = 0.0
    held = 0j
    for i in range(times.size):
        size = math.exp(-rate * times[i])
        waves[i] = size * complex(math.cos(omega * times[i]), -math.sin(omega * times[i])) * y[i]
        weight = size * size
        power += weight
        moment += weight * times[i]
        second += weight * times[i] * times[i]
        held += waves[i]
    middle, turn = moment / power, 0j
    for i in range(times.size):
        # Σ (t - t̄) |e|² = 0: the fitted wave drops out of the sum.
        turn += (times[i] - middle) * waves[i]
    return held / power, second - moment * middle, turn


def _without_alternation(size: np.ndarray, phase: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Phase without one angle that odd echoes have more and even ones less, θ: φ_j - 2 φ_(j+1) + φ_(j+2) = ±4 θ.

    θ is known to ±π/4 only; what is left over is a shift of every frequency by 1/(2 Δt), which costs no R2*.
    """
    gaps = np.diff(times)
    # Bright in its faintest echo, so that all triples count.
    brightness = np.where(np.isfinite(size).all(axis=0), size.min(axis=0), 0.0)
    bright = np.flatnonzero(brightness >= 0.5 * np.quantile(brightness, 0.995))
    if times.size < 4 or np.ptp(gaps) > 0.01 * gaps.mean() or bright.size < _MIN_BRIGHT:
        return phase, ()
    bright = bright[:: max(1, bright.size // _MAX_BRIGHT)]
    waves = (size[:, bright] * np.exp(1j * phase[:, bright])).astype(np.complex128)
    second = waves[:-2] * waves[2:] * np.conj(waves[1:-1]) ** 2
    second[1::2] = np.conj(second[1::2])
    # A curvature of the phase adds to one triple and takes from the next: as many of either kind.
    turns = second[: len(second) // 2 * 2].sum(axis=0)
    middle = np.angle(np.sum(turns / np.maximum(np.abs(turns), np.finfo(float).tiny)))
    around = np.angle(turns * np.exp(-1j * middle))
    offset = float(middle + np.median(around)) / 4
    error = 1.25 * 1.4826 * float(np.median(np.abs(around))) / math.sqrt(bright.size) / 4
    if abs(offset) < max(_LEAST_OFFSET_RAD, 5 * error):
        return phase, ()
    sign = np.where(np.arange(times.size) % 2 == 0, -1.0, 1.0)[:, None]
    text = f"odd and even echoes differ in phase by {2 * offset:.3f} rad everywhere (two readout directions): taken out before the fit"
    return (phase + sign * offset).astype(np.float32), (Finding("bipolar_phase", "warn", text),)
