"""From radiance to what the camera stores: whole counts with bias, dark charge, uneven field, noise, cosmic hits and saturation.

counts = radiance · flat(r) · t b² / C + bias + dark·t/t_dark, with noise of variance (signal + dark)/g + (read noise)²
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.bli.phantom.options import FLATS, Camera, coefficient, columns, counts_per_radiance, fov_mm


@dataclass(frozen=True, slots=True)
class Frames:
    """What the chip gave: ``counts`` (y, x) uint16, the ``bias`` and the ``dark`` [counts/s] behind them, and where rays hit."""

    counts: np.ndarray
    bias: np.ndarray
    dark_per_s: np.ndarray
    hits: np.ndarray


def flat_field(camera: Camera) -> np.ndarray:
    """How much of the light reaches each pixel (y, x), 1 in the middle of the lens.

    flat(r) = k0 + k1 r + k2 r² + k3 r³ + k4 r⁴, r [cm] on the stage from the middle of the image moved by x0 to the right and y0 up.
    """
    *k, x0, y0 = FLATS[camera.shelf]
    size_cm = fov_mm(camera) / 10.0
    along_cm = (np.arange(columns(camera)) + 0.5) / columns(camera) * size_cm - size_cm / 2.0
    r = np.hypot(along_cm[None, :] - x0, along_cm[:, None] + y0)
    return np.asarray(np.polynomial.polynomial.polyval(r, k))


def bias_frame(camera: Camera) -> np.ndarray:
    """The chip's bias (y, x) [counts]: its level, a slope from left to right and a slow wave from top to bottom."""
    across = np.linspace(-0.5, 0.5, columns(camera))
    return camera.bias_level + camera.bias_slope * (across[None, :] + 0.3 * np.sin(2.0 * np.pi * across)[:, None])


def dark_frame(camera: Camera) -> np.ndarray:
    """Dark charge (y, x) [counts/s]: somewhat more in the upper left corner."""
    across = np.linspace(0.0, 1.0, columns(camera))
    return camera.dark_counts_per_s * (1.3 - 0.3 * (across[None, :] + across[:, None]))


def expose(radiance: np.ndarray, camera: Camera) -> Frames:
    """The frames of an exposure; ``radiance`` (y, x) [photons/s/cm²/sr] on the camera's binned pixels. The seed fixes all noise."""
    rng = np.random.default_rng(camera.seed)
    bias, dark = bias_frame(camera), dark_frame(camera)
    light = radiance * flat_field(camera) * counts_per_radiance(camera) + dark * camera.exposure_s
    gain = camera.electrons_per_count
    if gain is not None:
        light = rng.poisson(light * gain) / gain + camera.read_noise_electrons / gain * rng.standard_normal(light.shape)
    hits = np.zeros(light.shape, dtype=bool)
    hits.ravel()[rng.choice(hits.size, camera.cosmic_hits, replace=False)] = True
    light = light + np.where(hits, rng.uniform(800.0, 20000.0, light.shape), 0.0)
    counts = np.clip(np.rint(light + bias), 0, camera.clip_counts).astype(np.uint16)
    return Frames(counts, bias, dark, hits)


def corrected_radiance(frames: Frames, camera: Camera, warp_mm: float) -> np.ndarray:
    """The vendor's corrected image (y, x) float32 [photons/s/cm²/sr], warped by up to ``warp_mm``; negative values stay.

    Hits are replaced by the mean of their neighbours. The warp moves light and loses none: a region's sum stays.
    """
    from scipy.ndimage import map_coordinates, uniform_filter

    light = frames.counts - frames.bias - frames.dark_per_s * camera.exposure_s
    known = (~frames.hits).astype(float)
    around = uniform_filter(light * known, 3) / np.maximum(uniform_filter(known, 3), 1e-9)
    light = np.where(frames.hits, around, light)
    radiance = light * coefficient(camera) / (camera.exposure_s * camera.binning**2) / flat_field(camera)
    n = columns(camera)
    shift = warp_mm * n / fov_mm(camera)
    # The same everywhere but for a slow stretch, which changes areas by less than a thousandth.
    place = np.arange(n, dtype=float)
    moved = place + shift * (0.8 + 0.2 * np.cos(np.pi * place / n))
    at = np.stack(np.meshgrid(moved, moved, indexing="ij"))
    stretch = np.gradient(moved)
    return np.asarray(map_coordinates(radiance, at, order=1, mode="nearest") * stretch[:, None] * stretch[None, :], dtype=np.float32)
