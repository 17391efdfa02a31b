"""One image of a TIFF file as numbers, or why it cannot be: sizes are checked against the file before anything is taken into memory."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tracker.errors import InputError

# tifffile tells of each broken tag on its own; here a broken file is one error.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
# What a reader of TIFF may trip over in a broken file (its own error is a kind of ValueError or not, by version).
_BROKEN = (struct.error, OSError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError, MemoryError, RuntimeError)
_Taken = TypeVar("_Taken")
# 8192 × 8192: more than any camera of this kind has.
_MOST_PIXELS = 1 << 26
# No image fits into less.
_HEADER_BYTES = 64
# Compressions that change pixel values (TIFF 6.0 and TechNote 2): old and new JPEG, JPEG 2000, JPEG XR, WebP.
_LOSSY = {6, 7, 33003, 33004, 33005, 34712, 34892, 22610, 34934, 50001}


def read_tiff(path: Path, kinds: str) -> np.ndarray:
    """The pages of a TIFF file (page, row, column[, colour]) in their own type.

    ``kinds``: NumPy's letters of the types that are taken (``u`` unsigned, ``f`` float). Raises `InputError`: ``tiff_unreadable``,
    ``tiff_truncated``, ``tiff_too_large``, ``tiff_lossy``, ``tiff_pages``, ``wrong_dtype``. Text in the file is never read.
    """
    pages = _of_pages(path, kinds, _pixels)
    if len({page.shape for page in pages}) > 1:
        raise InputError("tiff_pages", "the images of the file differ in size", found=", ".join(sorted({f"{p.shape}" for p in pages})),
                         expected="one size", where=path, do="take the file the camera wrote")  # fmt: skip
    return np.stack(pages)


def tiff_shape(path: Path, kinds: str) -> tuple[int, ...]:
    """Pages, rows, columns of a TIFF file by its headers alone. Raises as `read_tiff` does, but for what only unpacking shows."""
    shapes = _of_pages(path, kinds, lambda page, _: tuple(int(n) for n in page.shape))
    return len(shapes), *shapes[0]


def _of_pages(path: Path, kinds: str, take: Callable[[Any, Path], _Taken]) -> list[_Taken]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            pages = list(file.pages)
            if not pages:
                raise LookupError("no image")
            for page in pages:
                _check(page, path, kinds)
            return [take(page, path) for page in pages]
    except _BROKEN as error:
        size = path.stat().st_size if path.is_file() else None
        code = "tiff_unreadable" if size is None or size >= _HEADER_BYTES else "tiff_truncated"
        raise InputError(
            code,
            "the image cannot be read",
            found="no such file" if size is None else f"{type(error).__name__}, {size} bytes",
            expected="a TIFF image",
            where=path,
            do="copy the file from the camera again",
        ) from error


def _check(page: Any, path: Path, kinds: str) -> None:
    shape, dtype, size = tuple(page.shape), page.dtype, path.stat().st_size
    if dtype is None or len(shape) not in (2, 3) or 0 in shape or int(np.prod(shape)) > _MOST_PIXELS:
        raise InputError("tiff_too_large", "the image has no plausible size", found=f"{shape}", expected=f"up to {_MOST_PIXELS} pixels",
                         where=path, do="copy the file from the camera again")  # fmt: skip
    if dtype.kind not in kinds or (kinds == "u" and dtype.itemsize == 1 and len(shape) == 2) or (len(shape) == 3 and kinds != "uf"):
        found = f"{dtype}{', colour' if len(shape) == 3 else ''}"
        raise InputError("wrong_dtype", "the image does not hold what the camera wrote", found=found,
                         expected="float32" if kinds == "f" else "uint16 counts", where=path,
                         do="take the file from the click folder itself, not one saved again for display")  # fmt: skip
    if int(page.compression) in _LOSSY:
        raise InputError("tiff_lossy", "the image was compressed with loss: its values are no measurement", found=str(page.compression),
                         expected="no compression, or one without loss", where=path, do="take the file the camera wrote")  # fmt: skip
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    missing = int(page.compression) == 1 and sum(page.databytecounts) < int(np.prod(shape)) * dtype.itemsize
    if not ends or max(ends) > size or missing:
        raise InputError("tiff_truncated", "the image is cut short", found=f"{size} bytes", expected=f"{max(ends, default=0)} or more",
                         where=path, do="copy the file from the camera again")  # fmt: skip


def _pixels(page: Any, path: Path) -> np.ndarray:
    try:
        return np.asarray(page.asarray())
    except ValueError:
        # Compressions that tifffile leaves to a further package, most of them known to Pillow.
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(path) as image:
                image.seek(page.index)
                return np.asarray(image).astype(page.dtype)
        except (UnidentifiedImageError, OSError, ValueError, EOFError) as error:
            raise InputError("tiff_unreadable", "the image cannot be unpacked", found=str(page.compression), expected="no compression",
                             where=path, do="copy the file from the camera again, or save it without compression") from error  # fmt: skip
