"""Do images called magnitude behave as magnitudes, and phases as phases in radians: before anything is fitted to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracker.errors import Finding, InputError
from tracker.mri.header import MriHeader

# Voxels looked at in each image.
_BUDGET = 300_000
# Resampled magnitudes undershoot beside edges; phase and real images are as deep as they are high.
_UNDERSHOOT = 0.10
# Voxels that share an image's largest value: this many, and this many times as many as share any other high one, were cut off there.
_CLIPPED, _CLIPPED_RATIO = 20, 5
# Fields in which fat and water beat make single voxels rise; the middle of the bright ones does not by more than this.
_RISE = 0.05
_PHASE_MARGIN = 0.01


def check_magnitude(values: Any, header: MriHeader) -> tuple[Finding, ...]:
    """What was noted about images (repeat × echo, z, y, x) that are said to be magnitudes; raises where they cannot be.

    Errors: ``empty_image`` (all zero or not finite), ``constant_image``, ``identical_images`` (one image stored twice),
    ``phase_as_magnitude`` (values as far below zero as above, or spread evenly over a range that they fill while rising and falling at
    random between echoes), ``not_decaying`` (bright voxels rise with echo time: wrong order of echoes, or no magnitudes).

    The brightest voxels (at least half of the 99.5th percentile of the mean over images) are looked at, so that air does not matter;
    choosing by the mean over all images prefers no echo. A decay too slow to see is not an error. Findings: ``magnitude_negative``,
    ``magnitude_clipped``, ``decay_not_monotone``, ``decay_unknown`` (warn).

    Does not show that the decay is exponential, nor that echo times are in the right unit.

    >>> head = MriHeader((0.003, 0.006), 1, None, "1H", 9.4, "classic")
    >>> falling = np.stack([np.arange(1.0, 513.0).reshape(8, 8, 8) * k for k in (1.0, 0.8)])
    >>> check_magnitude(falling, head)[0].status
    'ok'
    """
    sample = _sample(values)
    for index, image in enumerate(sample):
        _check_image(image, f"image {index + 1} of {len(sample)}")
    _check_twins(sample)
    findings = (*_check_sign(sample), *_check_clipped(sample))
    if len(header.echo_times_s) < 2:
        return (*findings, Finding("magnitude", "ok", "images are magnitudes; one echo shows no decay"))
    usable = np.isfinite(sample).all(axis=0)
    echoes = sample[:, usable].reshape(-1, len(header.echo_times_s), int(usable.sum())).astype(np.float64).mean(axis=0)
    _check_not_phase(echoes)
    return (*findings, *_check_decay(echoes, header))


def check_phase(phase_rad: Any) -> tuple[Finding, ...]:
    """What was noted about phase images (image, z, y, x) [rad]; raises where they are no wrapped phase in radians.

    Errors: ``phase_range`` (beyond ±π by more than 1 %: another unit, or unwrapped), ``constant_image``, ``empty_image``. A range
    under half of the circle is noted (``phase_span``, warn): it may be in another unit.

    >>> check_phase(np.linspace(-3.14, 3.14, 64).reshape(1, 4, 4, 4))[0].status
    'ok'
    """
    sample = _sample(phase_rad)
    finite = sample[np.isfinite(sample)]
    if not finite.size or not finite.any():
        raise InputError(
            "empty_image", "the phase images hold no value but zero", found="zeros", expected="phase in -π to π", do="export them again"
        )
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        raise InputError(
            "constant_image", "the phase is the same in all voxels", found=f"{low:.4g}", expected="phase in -π to π", do="export it again"
        )
    if max(-low, high) > math.pi * (1 + _PHASE_MARGIN):
        raise InputError(
            "phase_range",
            "the phase is not between -π and π",
            found=f"{low:.4g} to {high:.4g}",
            expected="-3.1416 to 3.1416 rad, wrapped",
            do="export wrapped phase with its scale (rescale slope), or say its unit",
        )
    if high - low < math.pi:
        return (
            Finding("phase_span", "warn", f"phase spans {low:.3g} to {high:.3g} only, less than half of the circle: is it in radians?"),
        )
    return (Finding("phase", "ok", f"phase spans {low:.3g} to {high:.3g} rad"),)


def _sample(values: Any) -> np.ndarray:
    """Every k-th voxel of a few evenly spread slices, (image, voxel)."""
    _, nz, ny, nx = values.shape
    planes = np.unique(np.linspace(0, nz - 1, min(nz, max(8, _BUDGET // (ny * nx)))).round().astype(int))
    flat = np.asarray(values[:, planes.tolist()]).reshape(len(values), -1)
    return flat[:, :: max(1, flat.shape[1] // _BUDGET)]


def _check_image(image: np.ndarray, which: str) -> None:
    finite = image[np.isfinite(image)]
    if not finite.size or not finite.any():
        raise InputError(
            "empty_image", "an image holds no signal at all", found=f"only zeros in {which}", expected="signal", do="export it again"
        )
    if finite.min() == finite.max():
        raise InputError(
            "constant_image",
            "all voxels have the same value",
            found=f"{finite[0]:.4g} throughout {which}",
            expected="an image",
            do="export it again",
        )


def _check_twins(sample: np.ndarray) -> None:
    seen: dict[bytes, int] = {}
    for index, image in enumerate(sample):
        first = seen.setdefault(image.tobytes(), index)
        if first != index:
            raise InputError(
                "identical_images",
                "two images of different echoes or repeats are the same, voxel by voxel",
                found=f"images {first + 1} and {index + 1}",
                expected="a measurement each",
                do="look for a file that was copied under another name, and export that echo again",
            )


def _check_sign(sample: np.ndarray) -> tuple[Finding, ...]:
    finite = sample[np.isfinite(sample)]
    low, high = float(finite.min()), float(np.quantile(finite, 0.995))
    if low >= 0:
        return ()
    if -low > _UNDERSHOOT * max(high, 0.0):
        raise _no_magnitude(f"values from {low:.4g} to {float(finite.max()):.4g}", "magnitudes, never below zero")
    return (
        Finding(
            "magnitude_negative", "warn", f"{100 * float((finite < 0).mean()):.2g} % of voxels are below zero: were the images resampled?"
        ),
    )


def _check_clipped(sample: np.ndarray) -> tuple[Finding, ...]:
    """Noise makes the brightest voxels differ; where many have the same value, and no lower value has as many, they were cut off."""
    worst = ""
    for index, image in enumerate(sample):
        high = image[np.isfinite(image) & (image >= 0.5 * np.nanmax(image, initial=0.0, where=np.isfinite(image)))]
        levels, counts = np.unique(high, return_counts=True)
        if counts[-1] >= _CLIPPED and counts[-1] > _CLIPPED_RATIO * counts[:-1].max(initial=1):
            worst = worst or f"{100 * counts[-1] / high.size:.3g} % of the bright voxels of image {index + 1} are exactly {levels[-1]:.5g}"
    if not worst:
        return ()
    words = f"{worst}: the receiver or a converter cut them off, and their decay comes out too slow; scan with less gain, or export anew"
    return (Finding("magnitude_clipped", "warn", words),)


def _no_magnitude(found: str, expected: str) -> InputError:
    return InputError(
        "phase_as_magnitude",
        "images said to be magnitudes look like phase (or real and imaginary) images",
        found=found,
        expected=expected,
        do="give the magnitude images; if magnitude and phase are swapped in the sheet or the file names, swap them back",
    )


def _check_not_phase(echoes: np.ndarray) -> None:
    """Phase fills its range evenly to both ends, and wraps: from one echo to the next much of it rises by a lot."""
    low, high = echoes.min(), echoes.max()
    place = (echoes - low) / (high - low)
    ends = min(float((place < 0.05).mean()), float((place > 0.95).mean()))
    uneven = float(np.abs(np.quantile(place, np.linspace(0, 1, 21)) - np.linspace(0, 1, 21)).max())
    rises = float((np.diff(place, axis=0) > 0.2).mean())
    if ends > 0.02 and uneven < 0.25 and rises > 0.05:
        raise _no_magnitude(
            f"values spread evenly from {low:.4g} to {high:.4g}, {100 * rises:.0f} % rise between echoes", "few bright voxels, falling"
        )


def _check_decay(echoes: np.ndarray, header: MriHeader) -> tuple[Finding, ...]:
    """Bright voxels (echo, voxel): the middle one must not rise from the first to the last echo, and should not on the way."""
    score = echoes.mean(axis=0)
    # A bright voxel with an echo of nothing has no ratio; the others tell.
    bright = echoes[:, (score >= 0.5 * np.quantile(score, 0.995)) & (echoes > 0).all(axis=0)]
    if not bright.size:
        return (Finding("decay_unknown", "warn", "no bright voxel has signal in all echoes: whether they decay was not seen"),)
    step, whole = np.median(bright[1:] / bright[:-1], axis=1), bright[-1] / bright[0]
    change, error = float(np.median(whole)), 1.25 * float(np.std(np.minimum(whole, 10.0))) / math.sqrt(whole.size)
    first, last = (1000 * header.echo_times_s[k] for k in (0, -1))
    if change > 1 + _RISE + 3 * error:
        raise InputError(
            "not_decaying",
            "the signal rises with echo time",
            found=f"bright voxels at {last:.3g} ms are {change:.3g} times those at {first:.3g} ms",
            expected="signal that falls",
            do="check the order of the echo times, and that the images are magnitudes",
        )
    rising = np.flatnonzero(step > 1 + _RISE + 3 * error)
    if rising.size:
        times = ", ".join(f"{1000 * header.echo_times_s[k + 1]:.3g} ms" for k in rising)
        text = f"bright voxels rise at {times}: fat and water beating, different odd and even echoes, or echoes in the wrong order"
        return (Finding("decay_not_monotone", "warn", text),)
    return (Finding("magnitude", "ok", f"bright voxels fall to {100 * change:.0f} % from {first:.3g} to {last:.3g} ms"),)
