"""The bias and dark frames of a click: which can be used, and what they say each pixel reads without light."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.bli.clickinfo import ClickText, block_of, find_file, number_of
from tracker.bli.tiff import read_tiff
from tracker.errors import Finding, InputError

# A frame saved again elsewhere holds one value, the largest but one of 16 bits.
_FULL = 65000
# Edge of the square over which a frame's slow part is averaged: its noise falls to 1/15 of a pixel's.
_SMOOTH = 15
# A pixel this many standard deviations from its neighbours is hot, or was hit.
_OUTSTANDING = 8.0
# A bias frame and the level beside it may differ by drift, by so much of the level or so many counts.
_DRIFT, _DRIFT_COUNTS = 0.05, 10.0
# A frame as far above nothing as this share of the bias level holds the bias too.
_BIAS_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame without light (ny, nx) in counts, its multiplier undone; ``exposure_s`` None for a bias frame or where not said."""

    values: np.ndarray
    exposure_s: float | None
    name: str


def read_frame(text: ClickText, names: tuple[str, ...], shape: tuple[int, int]) -> tuple[Frame | None, tuple[Finding, ...]]:
    """The first usable of a click's frames of these names (without ``.TIF``), and what is wrong with the others that are there.

    A frame of one value that fills 16 bits, of another size, cut short or of another type is not used: nothing is subtracted that
    nobody measured. ``Data Multiplier`` of its block is undone.
    """
    noted = []
    for name in names:
        path = find_file(text.folder, f"{name}.TIF") or find_file(text.folder, f"{name}.TIFF")
        if path is None:
            continue
        try:
            pages = read_tiff(path, "u")
        except InputError as error:
            noted.append(Finding(f"{name}_unusable", "warn", f"{name}.TIF is not used: {error.what}, {error.found}"))
            continue
        why = _unusable(pages, shape)
        if not why:
            return _frame(text, name, path, pages[0]), tuple(noted)
        noted.append(Finding(f"{name}_unusable", "warn", f"{name}.TIF is not used: {why}"))
    return None, tuple(noted)


def _unusable(pages: np.ndarray, shape: tuple[int, int]) -> str:
    if pages.shape[1:] != shape:
        return f"{pages.shape[1]} × {pages.shape[2]} pixels, the image has {shape[0]} × {shape[1]}"
    if pages.min() == pages.max() and pages.min() >= _FULL:
        return f"every pixel is {int(pages.min())}, as in files saved again elsewhere"
    return f"more than half of its pixels are at the limit ({int(pages.max())})" if np.median(pages) >= _FULL else ""


def _frame(text: ClickText, name: str, path: Path, values: np.ndarray) -> Frame:
    block = block_of(text, name, path.name) or block_of(text, name)
    block = block or next((b for b in text.blocks if Path(b.file).name.lower() == path.name.lower()), None)
    multiplier = number_of(block, "Data Multiplier")
    exposure = number_of(block, "Background Exposure (Seconds)", "Background Exposure", "Exposure Time Sec")
    factor = multiplier.value if multiplier is not None and multiplier.value > 0 else 1.0
    return Frame(values.astype(np.float64) / factor, exposure.value if exposure is not None and exposure.value > 0 else None, name)


def bias_of(
    frame: Frame | None, level: float | None, image: np.ndarray, where: Path
) -> tuple[np.ndarray | float, str, tuple[Finding, ...]]:
    """What each pixel of ``image`` (counts) reads without light or time: from the frame, else the level; and which it was.

    Raises `InputError` (``no_bias``) where there is neither.
    """
    if frame is None and level is None:
        raise InputError("no_bias", "nothing says what the sensor reads without light", found="no bias frame and no `Read Bias Level`",
                         expected="readbiasonly.TIF, readbias.TIF or `Read Bias Level:`", where=where,
                         do="copy the whole click folder, or use the vendor's corrected image")  # fmt: skip
    if frame is None:
        return level or 0.0, "bias level", ()
    if level is None:
        return pattern_of(frame.values, image), "bias frame", ()
    apart = abs(float(np.median(frame.values)) - level)
    if apart > max(_DRIFT * level, _DRIFT_COUNTS):
        why = f"the bias frame reads {np.median(frame.values):.4g} counts, `Read Bias Level` {level:.4g}: the frame is used"
        return pattern_of(frame.values, image), "bias frame", (Finding("bias_level", "warn", why),)
    return pattern_of(frame.values, image), "bias frame", ()


def pattern_of(frame: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The part of a frame that the image shares (ny, nx): its slow part, and of the rest the share that repeats.

    pattern = slow + β (frame - slow), β = cov(rest of frame, rest of image)/var(rest of frame) in the image's darker half, within 0 to
    1. A frame that is one reading holds noise of its own, which would be added by subtracting it pixel by pixel (β near 0); columns
    repeat and are taken (β near 1). A pixel that stands out of the frame is taken where the image shows half of it or more (a hot
    pixel), and left where it does not (a cosmic hit in the frame).
    """
    from scipy.ndimage import median_filter, uniform_filter

    level = median_filter(frame, 3, mode="nearest")
    out = np.abs(frame - level) > _OUTSTANDING * _robust_sd(frame - level)
    slow = uniform_filter(np.where(out, level, frame), _SMOOTH, mode="nearest")
    rest = frame - slow
    stands = image - median_filter(image, 3, mode="nearest")
    hot = out & (np.abs(stands) > 0.5 * np.abs(rest)) & (np.sign(stands) == np.sign(rest))
    # Both through one filter that light does not pass, without pixels that would decide alone.
    calm = np.abs(stands) <= _OUTSTANDING * _robust_sd(stands)
    kept = (image <= np.median(image)) & ~out & calm
    one, other = _fine(np.where(out, level, frame)), _fine(np.where(calm, image, image - stands))
    spread = float((one[kept] ** 2).sum())
    share = float((one[kept] * other[kept]).sum()) / spread if spread > 0 else 0.0
    return np.asarray(slow + np.where(out, hot, min(max(share, 0.0), 1.0)) * rest)


def _fine(image: np.ndarray) -> np.ndarray:
    """What changes from pixel to pixel: each less the mean of the 3 × 3 about it."""
    from scipy.ndimage import uniform_filter

    return np.asarray(image - uniform_filter(image, 3, mode="nearest"))


def _robust_sd(values: np.ndarray) -> float:
    """Standard deviation by the median of distances, at least that of whole counts."""
    return max(1.4826 * float(np.median(np.abs(values - np.median(values)))), 0.3)


def dark_of(
    frame: Frame | None, net: np.ndarray, bias: np.ndarray | float, exposure_s: float
) -> tuple[np.ndarray | float, tuple[Finding, ...]]:
    """The dark charge of the image's exposure (counts), 0 where no frame tells it; ``net`` is the image without its bias.

    dark · t/t_dark. A frame that holds the bias too is told by the image: scaled as it is, it would push the image below nothing by as
    much as the bias.
    """
    if frame is None:
        return 0.0, (Finding("no_dark", "warn", "no usable dark frame: dark charge stays in the image, as part of its background"),)
    if frame.exposure_s is None:
        return 0.0, (Finding("no_dark", "warn", f"{frame.name}.TIF does not say its exposure: it cannot be scaled and is not used"),)
    ratio = exposure_s / frame.exposure_s
    level, darkest = float(np.mean(bias)), float(np.percentile(net, 20))
    typical = float(np.median(frame.values))
    if level > 0 and typical > _BIAS_SHARE * level and darkest - typical * ratio < -0.5 * level * ratio:
        why = f"{frame.name}.TIF reads {typical:.4g} counts, bias included (bias {level:.4g}): the bias is taken off before scaling"
        return pattern_of((frame.values - bias) * ratio, net), (Finding("dark_bias", "warn", why),)
    return pattern_of(frame.values * ratio, net), ()
