"""How noisy a pixel of counts is: shot noise and the sensor's read noise, stated or read from the image itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The fifth part of a normal distribution's absolute values that is smallest lies below this many standard deviations.
_FIFTH, _FIFTH_SD = 20.0, 0.2533
_BINS, _LEAST, _WIDTH, _ROUNDS = 10, 40, 1.3, 5
# Rounding to whole counts.
_ROUNDING_VARIANCE = 1 / 12


@dataclass(frozen=True, slots=True)
class SensorNoise:
    """``electrons_per_count`` g (None: counts show no shot noise), ``read_noise_counts`` σ of a pixel, and where both come from."""

    electrons_per_count: float | None
    read_noise_counts: float
    how: str


def noise_sd(light: np.ndarray, dark: np.ndarray | float, noise: SensorNoise) -> np.ndarray:
    """Standard deviation of each pixel in counts: √((N_signal + N_dark)/g + σ²), with the signal averaged over 3 × 3 pixels.

    Averaged, since a pixel that happens to read low would else be called more certain. ``light`` (ny, nx): counts without bias and dark.

    >>> noise_sd(np.full((3, 3), 300.0), 0.0, SensorNoise(1.0, 10.0, "stated"))[1, 1].item()
    20.0
    """
    from scipy.ndimage import uniform_filter

    shot = 0.0 if noise.electrons_per_count is None else 1 / noise.electrons_per_count
    level = np.maximum(uniform_filter(np.nan_to_num(light), 3, mode="nearest") + dark, 0.0)
    return np.asarray(np.sqrt(level * shot + noise.read_noise_counts**2))


def noise_of_image(light: np.ndarray, dark: np.ndarray | float, read_noise_counts: float | None = None) -> SensorNoise:
    """Gain and read noise as one image shows them: variance = level/g + σ², both ≥ 0, fitted over levels of brightness.

    The variance at a level is read from differences across 2 × 2 pixels, (a - b - c + d)/2, of which a smooth image has little: of these
    the smallest fifth, where sources curve least. Where light does not range far enough to show g it is None, and shot noise is in σ.
    ``read_noise_counts`` is kept where it is stated. No substitute for a measured gain: the sharper the sources, the noisier they seem.
    """
    from scipy.optimize import nnls

    level = np.nan_to_num(light) + dark
    a, b, c, d = level[:-1, :-1], level[:-1, 1:], level[1:, :-1], level[1:, 1:]
    across, means = (np.abs(a - b - c + d) / 2).ravel(), ((a + b + c + d) / 4).ravel()
    bins = _bins(means)
    x = np.array([max(float(means[part].mean()), 0.0) for part in bins])
    sd = np.array([np.percentile(across[part], _FIFTH) / _FIFTH_SD for part in bins])
    y = np.maximum(sd**2, _ROUNDING_VARIANCE)
    floor = None if read_noise_counts is None else read_noise_counts**2
    design = x[:, None] if floor is not None else np.stack([x, np.ones(len(x))], axis=1)
    # Weighed by the line itself, not by what was read: a bin that reads low by chance would weigh more.
    line, weight = y, np.sqrt([float(len(part)) for part in bins])
    for _ in range(_ROUNDS):
        solved = nnls(design * (weight / line)[:, None], (y - (floor or 0.0)) * weight / line)[0]
        line = np.maximum(design @ solved + (floor or 0.0), _ROUNDING_VARIANCE)
    constant = float(solved[1]) if floor is None else floor
    gain = 1 / float(solved[0]) if solved[0] > 0 else None
    return SensorNoise(gain, float(np.sqrt(max(constant, _ROUNDING_VARIANCE))), "the image itself")


def _bins(means: np.ndarray) -> list[np.ndarray]:
    """Indices by level: ten alike up to the median, then steps of a third, so that no bin spans levels of very different noise."""
    order = np.argsort(means)
    dim, bright = order[: len(order) // 2], order[len(order) // 2 :]
    parts = np.array_split(dim, max(min(_BINS, len(dim) // _LEAST), 1))
    low = max(float(means[bright[0]]), 1.0)
    step = np.log(np.maximum(means[bright], low) / low) // np.log(_WIDTH)
    parts += np.split(bright, np.flatnonzero(np.diff(step)) + 1)
    kept = [part for part in parts if len(part) >= _LEAST]
    return kept or [order]
