"""Stored values of DICOM files as arrays: straight from the file where uncompressed, decoded by pydicom's plugins where not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracker.dicom.headers import Instance
from tracker.errors import InputError

# A declared matrix beyond this is refused before anything is allocated (a 2048³ int16 volume has 17 GB).
_MOST_BYTES = 32 * 1024**3
_BIG_ENDIAN = "1.2.840.10008.1.2.2"


def _dtype(instance: Instance) -> np.dtype:
    header = instance.header
    if 0x7FE00008 in header or 0x7FE00009 in header:
        kind = "f4" if 0x7FE00008 in header else "f8"
    else:
        bits, stored = int(instance.get("BitsAllocated", 0)), int(instance.get("BitsStored", 0))
        high, samples = int(instance.get("HighBit", stored - 1)), int(instance.get("SamplesPerPixel", 1))
        if bits not in (8, 16, 32) or not 0 < stored <= bits or samples != 1 or high != stored - 1:
            raise InputError(
                "pixel_format",
                "not a grey image of 8, 16 or 32 bits",
                found=f"BitsAllocated {bits}, BitsStored {stored}, HighBit {high}, SamplesPerPixel {samples}",
                expected="BitsAllocated 8, 16 or 32, HighBit one less than BitsStored, and one sample per pixel",
                where=instance.path,
            )
        kind = f"{'i' if int(instance.get('PixelRepresentation', 0)) else 'u'}{bits // 8}"
    return np.dtype((">" if instance.transfer_syntax == _BIG_ENDIAN else "<") + kind)


def check_pixels(instance: Instance) -> None:
    """Raises `InputError` where the declared matrix does not fit the file: truncated, wrong bit depth, or absurdly large.

    Headers only, so that a bad file is refused before memory is asked for.
    """
    dtype = _dtype(instance)
    rows, columns = int(instance.get("Rows", 0)), int(instance.get("Columns", 0))
    need = rows * columns * int(instance.get("NumberOfFrames", 1)) * dtype.itemsize
    if not 0 < need <= _MOST_BYTES:
        raise InputError(
            "pixel_size",
            "the declared matrix is empty or absurdly large",
            found=f"{need} bytes",
            expected=f"1 to {_MOST_BYTES}",
            where=instance.path,
        )
    if instance.pixel_offset is None:
        return
    have = min(instance.pixel_bytes or 0, instance.file_bytes - instance.pixel_offset)
    if have < need or (instance.pixel_bytes or 0) > need + 1:
        raise InputError(
            "truncated_pixels" if have < need else "pixel_size",
            "the pixel data do not fit the declared matrix",
            found=f"{have} bytes of pixels",
            expected=f"{need} bytes ({instance.get('NumberOfFrames', 1)} × {rows} × {columns} × {dtype.itemsize})",
            where=instance.path,
            do="copy or export the file again",
        )


def _decodable(transfer_syntax: str) -> bool:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return bool(get_decoder(transfer_syntax).is_available)
    except NotImplementedError:
        return False


def _decoded(instance: Instance, frame: int) -> np.ndarray:
    """One frame of a compressed file; only that frame is decoded."""
    from pydicom.pixels.utils import pixel_array

    if not _decodable(instance.transfer_syntax):
        raise InputError(
            "no_decoder",
            "the compressed pixels cannot be decoded",
            found=f"transfer syntax {instance.transfer_syntax or 'missing'}",
            expected="uncompressed, RLE, JPEG 2000, JPEG-LS, or lossless JPEG with the package python-gdcm",
            where=instance.path,
            do="install python-gdcm into the environment, or write the file uncompressed (dcmdjpeg)",
        )
    try:
        return np.asarray(pixel_array(instance.path, index=frame))
    except (RuntimeError, NotImplementedError, AttributeError, ValueError) as error:
        raise InputError(
            "truncated_pixels",
            "the compressed pixels are damaged",
            found=str(error)[:200],
            expected=f"a whole stream of transfer syntax {instance.transfer_syntax}",
            where=instance.path,
            do="copy or export the file again",
        ) from error


def stored_values(instance: Instance, frame: int = 0) -> np.ndarray:
    """Stored values of one frame (rows, columns), before any rescale, in their own integer or float type.

    Bits above ``BitsStored`` are removed (some writers leave overlays there). Raises `InputError` for truncated or undecodable pixels.
    """
    check_pixels(instance)
    dtype = _dtype(instance)
    shape = (int(instance.get("Rows")), int(instance.get("Columns")))
    if instance.pixel_offset is None:
        return _decoded(instance, frame).reshape(shape)
    count = shape[0] * shape[1]
    values = np.fromfile(instance.path, dtype, count, offset=instance.pixel_offset + frame * count * dtype.itemsize).reshape(shape)
    unused = int(instance.get("BitsAllocated", 0)) - int(instance.get("BitsStored", 0)) if dtype.kind in "iu" else 0
    if unused:
        # Shifting up and down again drops the unused bits and extends the sign of signed values.
        values = (values << unused) >> unused
    return values


def load_frame(places: Sequence[tuple[Instance, int]], slopes: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
    """One volume (z, y, x), float32, from (file, frame in it) per slice: stored × slope + intercept, slice by slice.

    ``slopes``, ``intercepts`` (z,). The product is taken in float64, so that the only rounding is float32's own (6e-8).
    """
    first = places[0][0]
    volume = np.empty((len(places), int(first.get("Rows")), int(first.get("Columns"))), np.float32)
    for z, (instance, frame) in enumerate(places):
        volume[z] = stored_values(instance, frame) * float(slopes[z]) + float(intercepts[z])
    return volume
