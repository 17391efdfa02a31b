"""One click folder → its image with all that the calibration needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tracker.bli.camera import Camera, read_camera
from tracker.bli.clickinfo import Block, ClickText, block_of, find_file, number_of, read_click_text, value_of
from tracker.bli.frames import bias_of, dark_of, read_frame
from tracker.bli.header import COUNTS, EFFICIENCY, RADIANCE, Click, Corrected, Raw
from tracker.bli.settings import Settings, luminescent_block, read_settings
from tracker.bli.tiff import read_tiff, tiff_shape
from tracker.errors import Finding, InputError

_FULL_SCALE = 65535.0
_BIAS_NAMES, _DARK_NAMES = ("readbiasonly", "readbias"), ("background",)
_FLOAT_NAME = "luminescentFloatCorrected"


@dataclass(frozen=True, slots=True)
class Opened:
    """A click folder as its text says, before any image is read."""

    text: ClickText
    camera: Camera
    settings: Settings


def open_click(folder: Path, acquired: datetime | None) -> Opened:
    """What the text of a click folder says of camera and settings. Raises `InputError` as `read_settings` and `read_camera` do."""
    text = read_click_text(folder)
    camera = read_camera(text)
    return Opened(text, camera, read_settings(text, camera, acquired))


def read_click(opened: Opened, constants: Mapping[str, Any]) -> Click:
    """The image of a click with its frames. ``constants``: the config's saturation_level_counts.

    Raises `InputError`: ``no_luminescent_image`` where there is neither counts nor corrected image, ``no_bias``, ``image_sizes``,
    ``constant_image``, and those of `read_tiff` for counts that cannot be read. A corrected image that cannot be read is said.
    """
    text, settings = opened.text, opened.settings
    path = _counts_path(text)
    corrected, noted = _corrected(text)
    raw: Raw | None = None
    if path is not None:
        raw, more = _raw(opened, path, constants)
        noted += more
    elif corrected is None:
        raise InputError("no_luminescent_image", "the click holds no luminescent image", found="; ".join(f.reason for f in noted) or "none",
                         expected="luminescent.TIF", where=text.folder, do="copy the whole click folder")  # fmt: skip
    else:
        noted += (Finding("no_counts", "warn", "there is no luminescent.TIF: whether pixels are saturated cannot be told"),)
    if raw is not None and corrected is not None and raw.counts.shape != corrected.values.shape:
        raise InputError("image_sizes", "counts and corrected image differ in size", found=f"{raw.counts.shape}, {corrected.values.shape}",
                         expected="one size", where=text.folder, do="copy the folder from the camera again")  # fmt: skip
    return Click(text.folder.name, text.folder, settings, opened.camera, raw, corrected, _per_count(text), settings.findings + noted)


def luminescent_shape(opened: Opened) -> str:
    """Rows × columns of a click's image by its header alone. Raises `InputError` as `read_click` does where there is none."""
    text = opened.text
    path, kinds = _counts_path(text), "u"
    if path is None:
        path, kinds = find_file(text.folder, f"{_FLOAT_NAME}.TIF"), "f"
    if path is None:
        raise InputError("no_luminescent_image", "the click holds no luminescent image", expected="luminescent.TIF", where=text.folder,
                         do="copy the whole click folder")  # fmt: skip
    return " × ".join(map(str, tiff_shape(path, kinds)[1:]))


def _counts_path(text: ClickText) -> Path | None:
    """The file of the counts: the one the block names, where it lies in this folder, else by its usual name."""
    named = Path(luminescent_block(text).file.replace("\\", "/")).name
    names = [named] if named and _FLOAT_NAME.lower() not in named.lower() else []
    paths = (find_file(text.folder, name) for name in (*names, "luminescent.TIF", "luminescent.TIFF"))
    return next((p for p in paths if p is not None), None)


def _one_page(path: Path, kinds: str) -> np.ndarray:
    pages = read_tiff(path, kinds)
    if len(pages) != 1:
        raise InputError("tiff_pages", "the file holds more than one image", found=str(len(pages)), expected="one image a click",
                         where=path, do="take the file from the click folder itself")  # fmt: skip
    return np.asarray(pages[0])


def _raw(opened: Opened, path: Path, constants: Mapping[str, Any]) -> tuple[Raw, tuple[Finding, ...]]:
    settings, text = opened.settings, opened.text
    stored = _one_page(path, "u")
    if stored.min() == stored.max():
        raise InputError("constant_image", "every pixel of the image is the same", found=str(int(stored.min())), expected="counts",
                         where=path, do="copy the file from the camera again")  # fmt: skip
    counts = stored.astype(np.float32) / np.float32(settings.multiplier)
    shape = counts.shape[0], counts.shape[1]
    bias, how, noted = _bias(text, settings, counts, shape)
    dark: np.ndarray | float = 0.0
    if "dark" not in settings.corrected:
        dark_frame, unusable = read_frame(text, _DARK_NAMES, shape)
        dark, more = dark_of(dark_frame, counts - bias, bias, settings.exposure_s)
        how, noted = (how if isinstance(dark, float) else f"{how}>dark"), noted + unusable + more
    limits = (opened.camera.saturation_counts, constants.get("saturation_level_counts"))
    limit = min([_FULL_SCALE / settings.multiplier] + [float(one) for one in limits if one])
    if not any(limits):
        noted += (Finding("saturation_level", "warn", f"the camera states no saturation level: {limit:g} counts, a full file, is taken"),)
    return Raw(counts, bias, dark, counts >= limit, limit, f"IVIS counts>{how}"), noted


def _bias(
    text: ClickText, settings: Settings, counts: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray | float, str, tuple[Finding, ...]]:
    """What comes off as bias, and its name in the chain."""
    frame, unusable = read_frame(text, _BIAS_NAMES, shape)
    if "bias" in settings.corrected:
        level = settings.bias_level or 0.0
        if level > 10 and float(np.percentile(counts, 1)) >= 0.8 * level:
            why = f"the file says that the bias came off, and no pixel is below it ({level:g} counts): taken off here"
            unusable += (Finding("bias_not_off", "warn", why),)
        else:
            return 0.0, "bias off already", unusable
    bias, how, noted = bias_of(frame, settings.bias_level, counts.astype(np.float64), text.folder)
    return bias, how, unusable + noted


def _corrected(text: ClickText) -> tuple[Corrected | None, tuple[Finding, ...]]:
    """The vendor's corrected image and its unit, by the block of that file, else by the block of the display."""
    path = find_file(text.folder, f"{_FLOAT_NAME}.TIF") or find_file(text.folder, f"{_FLOAT_NAME}.TIFF")
    if path is None:
        return None, ()
    try:
        values = _one_page(path, "f").astype(np.float64)
    except InputError as error:
        return None, (Finding("corrected_unusable", "warn", f"the vendor's corrected image is not used: {error.what}, {error.found}"),)
    if not np.isfinite(values).any() or values.min() == values.max():
        return None, (Finding("corrected_unusable", "warn", "the vendor's corrected image holds one value: it is not used"),)
    return Corrected(values, _unit(text, path.name)), ()


def _float_block(text: ClickText, file: str) -> Block | None:
    own = (b for b in text.blocks if Path(b.file.replace("\\", "/")).name.lower() == file.lower() or _FLOAT_NAME.lower() in _joined(b.name))
    return next(own, None)


def _joined(name: str) -> str:
    return name.lower().replace(" ", "")


def _unit(text: ClickText, file: str) -> str:
    """The unit of the corrected image; empty where no block states it. A setting of the display counts where the file has no block."""
    own = _float_block(text, file)
    blocks = (own,) if value_of(own, "Intensity Calibration") else (block_of(text, "Graph Controls"),)
    words = next((v for b in blocks if (v := value_of(b, "Intensity Calibration", "Intensity Units").lower())), "")
    if "efficiency" in words:
        return EFFICIENCY if "radiant" in words else words
    if "radiance" in words or "photons" in words:
        return RADIANCE
    return COUNTS if "count" in words else words


def _per_count(text: ClickText) -> float | None:
    """The display's own factor from counts to radiance; None where it shows something else."""
    block = block_of(text, "Graph Controls")
    number = number_of(block, "Calibration Value Per Count") if "radiance" in value_of(block, "Intensity Calibration").lower() else None
    return None if number is None or number.value <= 0 else number.value


def coarsened(click: Click, times: int) -> Click:
    """A click whose pixels are summed ``times`` × ``times``: what the camera would have read at a binning that much coarser."""
    if times == 1:
        return click
    settings = replace(click.settings, binning=(click.settings.binning or 0) * times or None)
    raw, corrected = click.raw, click.corrected
    if raw is not None:
        bias, dark = (summed(one, times) if isinstance(one, np.ndarray) else one * times**2 for one in (raw.bias, raw.dark))
        full = summed(raw.saturated.astype(np.float64), times) > 0
        counts = summed(raw.counts.astype(np.float64), times)
        raw = replace(raw, counts=counts, bias=bias, dark=dark, saturated=full, limit=raw.limit * times**2, summed=raw.summed * times**2)
    if corrected is not None:
        corrected = replace(corrected, values=summed(corrected.values, times) / times**2)
    return replace(click, settings=settings, raw=raw, corrected=corrected)


def summed(image: np.ndarray, times: int) -> np.ndarray:
    """Blocks of ``times`` × ``times`` pixels summed.

    >>> summed(np.ones((2, 4)), 2).tolist()
    [[4.0, 4.0]]
    """
    ny, nx = image.shape
    return np.asarray(image.reshape(ny // times, times, nx // times, times).sum(axis=(1, 3)))
