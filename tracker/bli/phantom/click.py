"""Click folders as the vendor's program writes them: text in blocks, images as TIFF, and sequences of clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.bli.phantom.camera import Frames, corrected_radiance, expose
from tracker.bli.phantom.clicktext import analyzed_text, click_text, sequence_text
from tracker.bli.phantom.options import RESAVED, Camera, ClickOptions, columns

# Counts of the stage and of a white animal on the photograph.
_STAGE, _WHITE = 380.0, 24000.0


@dataclass(frozen=True, slots=True)
class Click:
    """One image: ``radiance`` (y, x) [photons/s/cm²/sr] on the camera's binned pixels, and how it is taken and written."""

    radiance: np.ndarray
    camera: Camera
    options: ClickOptions


def photograph(bright: np.ndarray, seed: int = 0) -> np.ndarray:
    """The photograph's counts (y, x) uint16 from how bright its pixels are (0 to 1), with a little grain."""
    grain = 1.0 + 0.02 * np.random.default_rng([seed, 7]).standard_normal(bright.shape)
    return np.asarray(np.clip(np.rint((_STAGE + _WHITE * bright) * grain), 0, 65535), dtype=np.uint16)


def _save(path: Path, image: np.ndarray, options: ClickOptions) -> None:
    from tifffile import imwrite

    # Neither a date nor a program's name: the same seed gives the same bytes.
    imwrite(path, image, byteorder=options.byteorder, photometric="minisblack", metadata=None, software=False)


def _stored(frame: np.ndarray, multiplier: int, state: str) -> np.ndarray:
    if state == "constant":
        return np.full(frame.shape, RESAVED, dtype=np.uint16)
    return np.asarray(np.clip(np.rint(frame * multiplier), 0, 65535), dtype=np.uint16)


def _write_electronics(folder: Path, frames: Frames, options: ClickOptions) -> None:
    """The bias and dark frames: means of many, with no noise to speak of."""
    if options.bias_files != "missing":
        for name in ("readbiasonly.TIF", "readbias.TIF"):
            _save(folder / name, _stored(frames.bias, options.bias_multiplier, options.bias_files), options)
    if options.dark_file != "missing":
        dark = frames.dark_per_s * options.dark_s + (frames.bias if options.dark_holds_bias else 0.0)
        _save(folder / "background.TIF", _stored(dark, options.dark_multiplier, options.dark_file), options)


def _write_text(path: Path, lines: Sequence[str], options: ClickOptions) -> None:
    path.write_bytes(options.newline.join([*lines, ""]).encode(options.encoding))


def write_click(folder: Path, click: Click, bright: np.ndarray | None = None) -> Frames:
    """Writes one click folder; what the chip gave. ``bright`` (960, 960): the photograph, 0 to 1, black where there is none.

    Raises ValueError for a radiance that is not on the camera's pixels.
    """
    camera, options = click.camera, click.options
    if click.radiance.shape != (columns(camera), columns(camera)):
        raise ValueError(f"the radiance is {click.radiance.shape}, the camera has {columns(camera)} columns")
    folder.mkdir(parents=True, exist_ok=True)
    frames = expose(click.radiance, camera)
    _save(folder / "luminescent.TIF", frames.counts, options)
    _write_electronics(folder, frames, options)
    if options.corrected:
        _save(folder / "luminescentFloatCorrected.TIF", corrected_radiance(frames, camera, options.warp_mm), options)
    if options.photograph:
        shown = np.zeros((960, 960)) if bright is None else bright
        _save(folder / "photograph.TIF", photograph(shown, camera.seed), options)
    _write_text(folder / "ClickInfo.txt", click_text(folder.name, camera, options), options)
    if options.analyzed:
        _write_text(folder / "AnalyzedClickInfo.txt", analyzed_text(folder.name, camera, options), options)
    return frames


def write_sequence(folder: Path, clicks: Sequence[Click], bright: np.ndarray | None = None) -> tuple[Frames, ...]:
    """Writes a sequence folder: ``SequenceInfo.txt`` and one click folder an image, in the order given; what the chip gave."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{folder.name}_{n:03d}" for n in range(1, len(clicks) + 1)]
    _write_text(folder / "SequenceInfo.txt", sequence_text(folder.name, names), clicks[0].options)
    return tuple(write_click(folder / name, click, bright) for name, click in zip(names, clicks, strict=True))
