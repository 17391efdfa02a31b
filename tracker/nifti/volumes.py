"""Arrays from and to NIfTI files, lazily and frame by frame."""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np

from tracker.errors import InputError
from tracker.image import Grid
from tracker.nifti.space import GZIP_MAGIC, header_bytes, is_sheared, nifti_grid, nifti_version, read_header

_OFFSET = 352  # 348 bytes of header and 4 that say: no extension
_MAX_GZIP_RATIO = 1040  # deflate cannot pack tighter: a header that declares more is broken or hostile


def is_nifti(path: Path) -> bool:
    """Whether the content is a single-file NIfTI, gzipped or not, whatever the extension says."""
    return path.is_file() and nifti_version(header_bytes(path)) > 0


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def _check_length(path: Path, header: Any, shape_xyzt: tuple[int, ...]) -> None:
    """Before anything is allocated: can the file hold what its header declares?"""
    declared = int(header.get_data_offset()) + math.prod(shape_xyzt) * header.get_data_dtype().itemsize
    size = path.stat().st_size
    if size * (_MAX_GZIP_RATIO if _is_gzip(path) else 1) < declared:
        what = "the file is shorter than its header says"
        raise InputError("nifti_truncated", what, found=f"{size} bytes", expected=f"{declared} bytes", where=path.name, do="copy it again")


def _scaled(values: Any, header: Any) -> Any:
    """``values`` × slope + intercept, lazily; unchanged where the header states no scale."""
    slope, intercept = header.get_slope_inter()
    if (slope, intercept) in ((None, None), (1.0, 0.0)):
        return values
    import dask.array as da

    lazy = values if isinstance(values, da.Array) else da.from_array(values, chunks=_chunks(values.shape), name=False)
    return lazy * slope + intercept


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """One frame a chunk, in (…, z, y, x)."""
    return (1,) * (len(shape) - 3) + tuple(shape[-3:])


def _lazy_gzip(path: Path, header: Any, shape_xyzt: tuple[int, ...]) -> Any:
    """Dask array (…, z, y, x), one frame a chunk; the open stream is shared, so that frames in order are unpacked once."""
    import dask.array as da

    plain = (shape_xyzt, header.get_data_dtype(), int(header.get_data_offset()))
    # Not closed here: the lazy array reads from it, and drops it with itself.
    proxy = nib.arrayproxy.ArrayProxy(gzip.open(path), plain)  # noqa: SIM115
    return da.from_array(proxy, chunks=_chunks(shape_xyzt[::-1])[::-1], lock=True, asarray=False, name=False).T


def read_nifti(path: Path) -> tuple[Any, Grid]:
    """Values (t, z, y, x), or (z, y, x) of a file with three axes, and their grid. What was odd is told by `nifti_grid`.

    Uncompressed and unscaled files are memory-mapped read-only; others are dask arrays of one frame a chunk.
    Raises `InputError`: ``not_nifti``, ``nifti_truncated``, ``nifti_shape``, ``nifti_type``, and those of `nifti_grid`.
    """
    header, (grid, _) = read_header(path), nifti_grid(path)
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 4:
        raise InputError("nifti_shape", "the file has more than four axes", found=shape, expected="x, y, z and time", where=path.name)
    shape = shape + (1,) * (3 - len(shape))
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        do = "export plain numbers"
        raise InputError("nifti_type", "voxels are not plain numbers", found=dtype, expected="integer or float", where=path.name, do=do)
    _check_length(path, header, shape)
    if _is_gzip(path):
        return _scaled(_lazy_gzip(path, header, shape), header), grid
    mapped = np.memmap(path, dtype=dtype, mode="r", offset=int(header.get_data_offset()), shape=shape[::-1])
    return _scaled(mapped, header), grid


def _new_header(shape: tuple[int, ...], grid: Grid, dtype: np.dtype[Any]) -> bytes:
    """348 bytes of header and 4 of no extension, little-endian, sform always and qform where the grid allows one."""
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(dtype)
    header.set_data_shape(shape[::-1])
    header.set_zooms(tuple(np.linalg.norm(grid.affine[:3, :3], axis=0)) + (0.0,) * (len(shape) - 3))
    header.set_sform(grid.affine, code=1)
    header.set_qform(grid.affine, code=0 if is_sheared(grid.affine) else 1, strip_shears=True)
    header.set_xyzt_units("mm", "sec")
    header["magic"], header["vox_offset"] = b"n+1", _OFFSET
    return bytes(header.binaryblock) + bytes(_OFFSET - 348)


@contextmanager
def _whole_or_not(path: Path) -> Iterator[IO[bytes]]:
    """A stream that becomes ``path`` only once all is written; gzip without name and time, so that equal data are equal bytes."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as raw:
        if path.name.endswith(".gz"):
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
                yield packed  # type: ignore[misc]
        else:
            yield raw
    os.replace(part, path)


def _frame(values: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """One frame computed and in the file's type; ValueError where an integer type cannot hold it."""
    frame = np.asarray(values)
    if dtype.kind in "iu" and frame.size:
        low, high, limits = frame.min(), frame.max(), np.iinfo(dtype)
        if not (limits.min <= low and high <= limits.max) or (frame.dtype.kind == "f" and (frame != np.rint(frame)).any()):
            raise ValueError(f"values from {low} to {high} do not fit {dtype}")
    return np.ascontiguousarray(frame, dtype=dtype)


def write_nifti(path: Path, values: Any, grid: Grid, dtype: Any = np.float32) -> None:
    """Writes ``values`` (z, y, x) or (t, z, y, x), NumPy or dask, one frame in memory at a time; ``.gz`` in the name packs.

    The file's affine is float32, as NIfTI is; an exact one travels in the sidecars of `write_quantity` and `write_organ_map`.
    Raises ValueError where shape and grid differ or an integer type cannot hold a value. The file appears whole or not at all.
    """
    if values.ndim not in (3, 4) or tuple(values.shape[-3:]) != tuple(grid.shape):
        raise ValueError(f"values {values.shape} are not on the grid {grid.shape}")
    kind = np.dtype(dtype).newbyteorder("<")
    with _whole_or_not(path) as file:
        file.write(_new_header(tuple(values.shape), grid, kind))
        for frame in values if values.ndim == 4 else (values,):
            file.write(_frame(frame, kind).data)
