"""The light a source has at its best: the peak of the luciferin's rise and fall, fitted where enough frames show it.

A reading at a fixed time is not comparable: the peak is 5 to 9 min after luciferin (Khalil et al. 2013), and comes sooner as a tumour
grows vessels, so that a fixed time shows more growth than there is (Inoue et al. 2010).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding, InputError

# So many frames, one of them before and one after the highest, show a peak.
FRAMES_FOR_FIT = 5
# Without a fit, the highest frame of these times after luciferin [s].
EARLIEST_S, LATEST_S = 8 * 60.0, 20 * 60.0
# Bounds: half-life of the fall 2 min to 1 day; the rise 1.05 to 300 times as fast; light starts up to 5 min after the injection.
_FALL_PER_S = (math.log(2) / 86400.0, math.log(2) / 120.0)
_RISE_PER_FALL = (1.05, 300.0)
_LONGEST_LAG_S = 300.0
# A frame is lower than the peak if it is so by this many standard deviations of the two: only then is the peak bracketed.
_LOWER = 1.0


@dataclass(frozen=True, slots=True)
class Peak:
    """Flux at the peak [photons/s] and its noise, when it is [s after luciferin], and how it was found.

    ``method``: ``fitted``, ``highest_frame`` or ``none``; ``flags`` go onto the row (``peak_not_fitted``, ``no_peak``). None where unknown.
    """

    flux_ph_per_s: float | None
    sd_ph_per_s: float | None
    time_s: float | None
    method: str
    flags: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def bateman(time_s: np.ndarray, scale: float, rise_per_s: float, fall_per_s: float, lag_s: float) -> np.ndarray:
    """B(t) = B0 ka/(ka-ke) (e^{-ke (t-t0)} - e^{-ka (t-t0)}), 0 before t0; also right where ka is nearly ke.

    >>> bateman(np.array([0.0, 60.0]), 1.0, 0.01, 0.001, 60.0).tolist()
    [0.0, 0.0]
    """
    since = np.maximum(np.asarray(time_s, float) - lag_s, 0.0)
    apart = (rise_per_s - fall_per_s) * since
    # (1 - e^-x)/x without its cancellation.
    share = np.where(apart > 1e-9, -np.expm1(-apart) / np.where(apart > 1e-9, apart, 1.0), 1.0)
    return np.asarray(scale * rise_per_s * since * np.exp(-fall_per_s * since) * share)


def peak_flux(time_s: np.ndarray, flux_ph_per_s: np.ndarray, sd_ph_per_s: np.ndarray) -> Peak:
    """The flux at the peak of a kinetic series of one region.

    ``time_s`` (n,) middle of each frame after luciferin, ``flux_ph_per_s`` and ``sd_ph_per_s`` (n,) > 0; a frame with a NaN is not used.
    With five frames or more, of which some before and some after the highest are lower, `bateman` is fitted (bounded least squares) and
    its maximum at t0 + ln(ka/ke)/(ka-ke) returned, with the covariance of the fit, widened where it fits badly. Else the highest
    frame from 8 to 20 min, flagged; else no value, with the reason. The highest of several noisy frames is high by chance: its
    noise does not say so.

    Not the light a saturated enzyme gives, nor comparable between routes of injection. Raises `InputError` ``shape_mismatch``,
    ``sd_not_positive``.

    Khalil et al. 2013 and Inoue et al. 2010 on the time of the peak; Dai et al. 2018 on the compartments.

    >>> peak_flux(np.array([600.0]), np.array([5e6]), np.array([1e5])).method
    'highest_frame'
    """
    time, flux, sd = (np.asarray(a, float) for a in (time_s, flux_ph_per_s, sd_ph_per_s))
    if not (time.shape == flux.shape == sd.shape and time.ndim == 1):
        raise InputError("shape_mismatch", "times, fluxes and their noise differ in number", found=(time.shape, flux.shape, sd.shape))
    used = np.isfinite(time) & np.isfinite(flux) & np.isfinite(sd)
    if (sd[used] <= 0).any():
        raise InputError("sd_not_positive", "a frame without noise cannot be weighed", found=float(sd[used].min()), expected="> 0")
    if not used.any():
        return _none("no frame has both a flux and a time after luciferin")
    order = np.argsort(time[used])
    time, flux, sd = (a[used][order] for a in (time, flux, sd))
    reason = _unbracketed(flux, sd)
    fitted = None if reason else _fitted(time, flux, sd)
    return fitted or _highest(time, flux, sd, reason or "the rise and fall did not fit")


def _none(reason: str) -> Peak:
    return Peak(None, None, None, "none", ("no_peak",), (Finding("no_peak", "warn", reason),))


def _unbracketed(flux: np.ndarray, sd: np.ndarray) -> str:
    if flux.size < FRAMES_FOR_FIT:
        return f"{flux.size} frames, a fit of the peak needs {FRAMES_FOR_FIT}"
    top = int(flux.argmax())
    lower = flux < flux[top] - _LOWER * np.hypot(sd, sd[top])
    if flux[top] <= 0 or not lower[:top].any():
        return "the flux does not rise: the peak may be before the first frame"
    return "" if lower[top + 1 :].any() else "the flux does not fall: the peak may be after the last frame"


def _highest(time: np.ndarray, flux: np.ndarray, sd: np.ndarray, reason: str) -> Peak:
    window = (time >= EARLIEST_S) & (time <= LATEST_S)
    if not window.any():
        return _none(f"{reason}, and no frame is from {EARLIEST_S / 60:g} to {LATEST_S / 60:g} min after luciferin")
    top = int(np.flatnonzero(window)[flux[window].argmax()])
    finding = Finding("peak_not_fitted", "warn", f"{reason}: the highest frame from {EARLIEST_S / 60:g} to {LATEST_S / 60:g} min is taken")
    return Peak(float(flux[top]), float(sd[top]), float(time[top]), "highest_frame", ("peak_not_fitted",), (finding,))


def _rates(values: np.ndarray) -> tuple[float, float, float]:
    """ka, ke [1/s], t0 [s] of the fit's variables ln ke, ln(ka/ke), t0."""
    fall = math.exp(values[0])
    return fall * math.exp(values[1]), fall, float(values[2])


def _top(values: np.ndarray) -> tuple[float, float]:
    """Time and height of the maximum for a scale of 1."""
    rise, fall, lag = _rates(values)
    when = lag + math.log(rise / fall) / (rise - fall)
    return when, float(bateman(np.array([when]), 1.0, rise, fall, lag)[0])


def _fitted(time: np.ndarray, flux: np.ndarray, sd: np.ndarray) -> Peak | None:
    """The peak by least squares in its own height, ln ke, ln(ka/ke) and t0; None where it is not inside the frames."""
    from scipy.optimize import least_squares

    high = float(flux.max())

    def left(v: np.ndarray) -> np.ndarray:
        # The height at the peak is a variable itself, so that its noise is read off the fit.
        return np.asarray((v[0] * high * bateman(time, 1.0, *_rates(v[1:])) / _top(v[1:])[1] - flux) / sd)

    when = float(time[flux.argmax()])
    lag = min(max(float(time[0]), 0.0), _LONGEST_LAG_S)
    low = np.array([0.0, math.log(_FALL_PER_S[0]), math.log(_RISE_PER_FALL[0]), -1e-6])
    top = np.array([10.0, math.log(_FALL_PER_S[1]), math.log(_RISE_PER_FALL[1]), lag + 1e-3])
    starts = [
        np.clip([1.0, math.log(share / max(when, 60.0)), math.log(ratio), 0.3 * lag], low + 1e-9, top - 1e-9) for share, ratio in _STARTS
    ]
    fits = [least_squares(left, start, bounds=(low, top), x_scale=(1.0, 1.0, 1.0, 60.0)) for start in starts]
    best = min(fits, key=lambda fit: fit.cost)
    peak_s = _top(best.x[1:])[0]
    if not best.success or not time[0] < peak_s < time[-1]:
        return None
    wider = max(1.0, 2.0 * best.cost / max(flux.size - best.x.size, 1))
    sd_peak = high * math.sqrt(float(np.linalg.pinv(best.jac.T @ best.jac)[0, 0]) * wider)
    return Peak(float(best.x[0]) * high, sd_peak, peak_s, "fitted")


# Where fits start: ke times the time of the highest frame, and ka/ke.
_STARTS = ((0.9, 1.3), (0.3, 8.0), (0.05, 100.0))
