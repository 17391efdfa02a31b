"""How noisy a scan's magnitude images are, from the first source that can be trusted: the user, the air, repeats, residuals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.mri.air import Air, find_air, slabs
from tracker.mri.header import MriHeader, Noise

# Magnitudes are Gaussian to within 2 % of their sd above this signal-to-noise ratio (times √N).
_GAUSSIAN = 5.0
_MAD = 1.4826
# Echoes' noise may differ by this much, beyond sampling, before their scales are said to differ.
_SAME_SCALE = 0.10
# Weak signal that raises the first echo's level by this much is seen in its distribution.
_NO_SIGNAL = 0.50
# Signal left in the echoes that sigma² is taken from: half of it in sigma.
_LEFT_OVER = 0.10
_MIN_BRIGHT, _MAX_BRIGHT = 100, 8_000
# Tissue that scatters this many times more or less than the air is a contradiction worth a look.
_CONTRADICTION = 1.5


def estimate_noise(values: Any, header: MriHeader, coils: int, stated_sigma: float | None) -> tuple[Noise, tuple[Finding, ...]]:
    """Noise of one channel's real part [image unit] of ``values`` (repeat × echo, z, y, x), and what was noted on the way.

    The first of these that holds:

    1. ``stated_sigma``, what the user measured (a noise scan);
    2. the air around the animal, sigma² = mean(M²)/(2N), if it is distributed as noise of N = ``coils`` channels (`air.find_air`) and
       does not fall with echo time; where only its first echoes hold traces of signal, the later ones give sigma;
    3. differences between repeats in bright voxels, where magnitudes are Gaussian: sigma = 1.4826 MAD / √2;
    4. what is left of a smooth decay in bright voxels, with the fit's degrees of freedom counted (3 echoes or more).
       Tissue that does not decay smoothly makes this one too high; a finding says that it was used.

    A source that fails says so in a finding and the next is tried. Errors: ``noise_unknown`` (none holds), ``echo_scaling`` (each
    echo's air is noise, at different levels: files were stored with scales that they do not tell), ``coils_invalid``, ``noise_sd_invalid``.

    Not meant: noise that differs from place to place (parallel imaging) is not mapped. Source: Gudbjartsson & Patz 1995,
    doi:10.1002/mrm.1910340618; Constantinides et al. 1997, doi:10.1002/mrm.1910380524.

    >>> head = MriHeader((0.003, 0.006), 1, None, "1H", 9.4, "classic")
    >>> estimate_noise(np.ones((2, 4, 8, 8)), head, 1, 2.5)[0]
    Noise(sigma=2.5, coils=1, source='config', per_echo=())
    """
    if coils < 1:
        raise InputError(
            "coils_invalid", "a scan has at least one receive channel", found=coils, expected="1 or more", do="correct mri: coils"
        )
    if stated_sigma is not None:
        if not (math.isfinite(stated_sigma) and stated_sigma > 0):
            raise InputError(
                "noise_sd_invalid",
                "the stated noise is no standard deviation",
                found=stated_sigma,
                expected="> 0",
                do="correct mri: noise_sd",
            )
        return Noise(float(stated_sigma), coils, "config"), ()
    sample = slabs(values)
    air = find_air(sample, len(header.echo_times_s), coils)
    level, why_not = _air_level(air, sample, header)
    if not why_not:
        noise = Noise(level, coils, "background", air.per_echo)
        return noise, (_said(noise, f"{air.voxels} voxels of air"), *_contradictions(noise, sample, header))
    noted = Finding("noise_background_not_rayleigh", "warn", f"the background cannot tell the noise: {why_not}")
    noise, finding = _from_signal(sample, header, coils, why_not)
    return noise, (noted, finding)


def _said(noise: Noise, where: str) -> Finding:
    return Finding("noise", "ok", f"sigma is {noise.sigma:.4g} for {noise.coils} channel(s), from {where}")


def _air_level(air: Air, sample: np.ndarray, header: MriHeader) -> tuple[float, str]:
    """Sigma of the air, or why it is none. Where early echoes hold traces of signal, those after them that agree give it."""
    if air.why_not:
        return math.nan, air.why_not
    echoes = np.array(air.per_echo)
    spread = float(echoes.max() / echoes.min() - 1)
    apart = spread > _SAME_SCALE + 3 * math.sqrt(2) * air.error
    rise = float((echoes / np.minimum.accumulate(echoes)).max() - 1)
    # Signal falls. A scanner that fits each echo to its range raises the later ones; a steep fall without a trace of signal is none.
    if rise > _SAME_SCALE + 3 * math.sqrt(2) * air.error or (apart and spread > _NO_SIGNAL and not air.holds_signal):
        raise _scaling(echoes, header)
    if _trend(echoes, air.error) > -3:
        return float(np.sqrt(np.mean(echoes**2))), ""
    plateau = _plateau(echoes, air.error)
    level = float(np.sqrt(np.mean(echoes[-plateau:] ** 2)))
    if (apart and not air.holds_signal) or _left_over(echoes, level, plateau, sample) > _LEFT_OVER:
        return math.nan, f"its level falls by {100 * spread:.0f} % with echo time, as signal does"
    return level, ""


def _trend(echoes: np.ndarray, error: float) -> float:
    """Slope of the echoes' level over their number, in its sampling errors; 0 for one echo."""
    lag = np.arange(len(echoes)) - (len(echoes) - 1) / 2
    return float(lag @ (echoes / echoes.mean()) / (error * np.sqrt(lag @ lag))) if len(echoes) > 1 else 0.0


def _plateau(echoes: np.ndarray, error: float) -> int:
    """How many of the last echoes have one level, within 3 sampling errors and without a fall."""
    for start in range(len(echoes)):
        tail = echoes[start:]
        if (np.abs(tail / tail.mean() - 1) <= 3 * error).all() and _trend(tail, error) > -2:
            return len(tail)
    return 1


def _left_over(echoes: np.ndarray, level: float, plateau: int, sample: np.ndarray) -> float:
    """Share of the plateau's level² that is signal, if what the first echo has on top of it falls as the bright voxels do."""
    bright = np.median(_bright(sample, len(echoes)).mean(axis=0), axis=1)
    kept = float(np.mean((bright[-plateau:] / bright[0]) ** 2))
    return float((echoes[0] / level) ** 2 - 1) * kept / max(1 - kept, 1e-6)


def _scaling(echoes: np.ndarray, header: MriHeader) -> InputError:
    levels = ", ".join(f"{sigma:.3g} at {1000 * te:.3g} ms" for sigma, te in zip(echoes, header.echo_times_s, strict=True))
    return InputError(
        "echo_scaling",
        "each echo's air is noise, but not at one level: they were stored with scales that the files do not tell",
        found=f"noise {levels}",
        expected=f"the same within {100 * _SAME_SCALE:.0f} %",
        do="export the echoes with one common scale, or with each one's rescale slope in its header",
    )


def _from_signal(sample: np.ndarray, header: MriHeader, coils: int, why_not: str) -> tuple[Noise, Finding]:
    if header.n_repeats > 1:
        noise = _repeats(sample, header, coils)
        if noise is not None:
            return noise, _said(noise, f"the differences between {header.n_repeats} repeats")
    sigma = _residuals(sample, header, coils)
    if sigma is not None:
        noise = Noise(sigma, coils, "residuals")
        text = f"sigma {sigma:.4g} is what a smooth decay leaves over in bright voxels: too high where tissue does not; state mri: noise_sd"
        return noise, Finding("noise_from_residuals", "warn", text)
    raise InputError(
        "noise_unknown",
        "nothing tells how noisy this scan is",
        found=f"{len(header.echo_times_s)} echo(es), {header.n_repeats} repeat(s); background: {why_not}",
        expected="a background of air, repeats, or at least 3 echoes with bright voxels",
        do="measure it in a noise scan and state it as mri: noise_sd",
    )


def _bright(sample: np.ndarray, n_echoes: int) -> np.ndarray:
    """Magnitudes (repeat, echo, voxel) of voxels at least half as bright as the brightest, thinned evenly to a few thousand."""
    flat = sample.reshape(len(sample), -1)
    score = np.where(np.isfinite(flat).all(axis=0) & (flat > 0).all(axis=0), flat.mean(axis=0), 0.0)
    seen = score[score > 0]
    if not seen.size:
        return np.zeros((len(sample) // n_echoes, n_echoes, 0))
    chosen = np.flatnonzero(score >= 0.5 * np.quantile(seen[:: max(1, seen.size // 200_000)], 0.995))
    chosen = chosen[:: max(1, math.ceil(chosen.size / _MAX_BRIGHT))]
    return flat[:, chosen].reshape(-1, n_echoes, chosen.size).astype(np.float64)


def _repeats(sample: np.ndarray, header: MriHeader, coils: int) -> Noise | None:
    """Noise from successive repeats, a common change of gain taken out; None where too few voxels are bright enough."""
    bright = _bright(sample, len(header.echo_times_s))
    if bright.shape[2] < _MIN_BRIGHT:
        return None
    gain = np.median(bright[1:], axis=2, keepdims=True) / np.median(bright[:-1], axis=2, keepdims=True)
    change = (bright[1:] - gain * bright[:-1]) / np.sqrt(1 + gain**2)
    change -= np.median(change, axis=2, keepdims=True)
    per_echo = _MAD * np.median(np.abs(change), axis=(0, 2))
    strong = np.median(bright, axis=(0, 2)) > _GAUSSIAN * math.sqrt(coils) * per_echo
    if not (strong & (per_echo > 0)).any():
        return None
    pooled = float(np.sqrt(np.mean(per_echo[strong] ** 2)))
    return Noise(pooled, coils, "repeats", tuple(per_echo.tolist()))


def _residuals(sample: np.ndarray, header: MriHeader, coils: int) -> float | None:
    """Noise left over by a weighted log-linear decay (with curvature from 5 echoes on), each residual scaled by √(1 - leverage)."""
    n = len(header.echo_times_s)
    if n < 3:
        return None
    y = _bright(sample, n).transpose(0, 2, 1).reshape(-1, n)
    time = np.asarray(header.echo_times_s) / header.echo_times_s[-1]
    terms = 3 if n >= 5 else 2
    design = time[:, None] ** np.arange(terms)
    used = y > 0.2 * y.max(axis=1, keepdims=True)
    sigma = math.nan
    for _ in range(3):
        rows = used.sum(axis=1) > terms
        if rows.sum() < _MIN_BRIGHT:
            return None
        y, used = y[rows], used[rows]
        sigma, fitted = _leftover(y, used, design)
        # By the fit, not by the value itself: noisy values chosen for being high would look less noisy than they are.
        used = fitted > _GAUSSIAN * math.sqrt(coils) * sigma
    return sigma if sigma > 0 else None


def _leftover(y: np.ndarray, used: np.ndarray, design: np.ndarray) -> tuple[float, np.ndarray]:
    """1.4826 × the median absolute residual of ln y fitted by ``design`` (echo, term) with weights y², in the unit of y; and the fit."""
    logs, fitted = np.log(y), y
    weight = leverage = left = np.zeros_like(y)
    for _ in range(3):
        weight = np.where(used, fitted**2, 0.0)
        inverse = np.linalg.inv(np.einsum("ve,ei,ej->vij", weight, design, design))
        solved = np.einsum("vij,ve,ej,ve->vi", inverse, weight, design, logs, optimize=True)
        left = logs - solved @ design.T
        fitted = np.exp(solved @ design.T)
        leverage = weight * np.einsum("ei,vij,ej->ve", design, inverse, design, optimize=True)
    # A residual that the fit pulls to zero tells nothing.
    telling = used & (leverage < 0.95)
    return _MAD * float(np.median(np.abs(fitted * left)[telling] / np.sqrt(1 - leverage[telling]))), fitted


def _contradictions(noise: Noise, sample: np.ndarray, header: MriHeader) -> tuple[Finding, ...]:
    """A finding where tissue scatters much more or less about its decay than the air's noise says."""
    left = _residuals(sample, header, noise.coils)
    if left is None or 1 / _CONTRADICTION < left / noise.sigma < _CONTRADICTION:
        return ()
    text = f"bright voxels scatter {left / noise.sigma:.2g} times as much about a smooth decay as the air's noise says"
    if left < noise.sigma:
        return (Finding("noise_sources_differ", "warn", f"{text}: the air may hold ghosts; state mri: noise_sd"),)
    return (Finding("noise_sources_differ", "warn", f"{text}: motion, or a background that the scanner dimmed; state mri: noise_sd"),)
