"""A NIfTI label map and the table of names beside it."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, OrganMap
from tracker.nifti import nifti_grid, read_nifti
from tracker.organs.names import MAX_INDEX, check_named, read_names
from tracker.organs.place import place


def _values(path: Path) -> np.ndarray:
    """The map's values (z, y, x), in memory."""
    values, _ = read_nifti(path)
    if values.ndim == 4 and values.shape[0] != 1:
        what = "a label map has one frame"
        raise InputError("organ_map_frames", what, found=values.shape[0], where=path.name, do="save the map of one frame")
    values = values[0] if values.ndim == 4 else values
    try:
        # One thread: a compressed file is one stream anyway, and its other frames do not exist.
        return np.asarray(values if isinstance(values, np.ndarray) else values.compute(scheduler="synchronous"))
    except (OSError, EOFError, ValueError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError("nifti_truncated", "the file cannot be unpacked", found=error, where=path.name, do="copy it again") from error


def _labels(values: np.ndarray, where: str) -> np.ndarray:
    """The values as uint16; `InputError` where one is no label."""
    low, high = values.min(), values.max()
    whole: Any = values.dtype.kind in "iu" or (np.isfinite(low) and np.isfinite(high) and all((p == np.rint(p)).all() for p in values))
    if not whole:
        what, do = "the map holds values that are no whole numbers", "save it without interpolation, as integers"
        raise InputError("labels_not_integer", what, found=f"{low} to {high}, {values.dtype}", where=where, do=do)
    if low < 0 or high > MAX_INDEX:
        what, found, expected = "a label is too small or too large", f"{low} to {high}", f"0 to {MAX_INDEX}"
        raise InputError("label_out_of_range", what, found=found, expected=expected, where=where, do="number the organs from 1")
    return values.astype(np.uint16)


def read_labels(path: Path) -> np.ndarray:
    """The labels (z, y, x) of a NIfTI label map as uint16. Raises `InputError`, as ``labels_not_integer`` or ``label_out_of_range``."""
    return _labels(_values(path), path.name)


def read_nifti_map(path: Path, grid: Grid) -> OrganMap:
    """Organs of a NIfTI label map on the scan's grid; see `tracker.organs.read_organs`.

    NIfTI has no frame of reference: that map and scan share their space is the user's word, checked only by overlap.
    """
    source, odd = nifti_grid(path)
    names = read_names(path)
    labels = read_labels(path)
    check_named(np.unique(labels).tolist(), names, path.name)
    placed = place(labels, source.affine, names, grid)
    return OrganMap(placed.labels, names, grid, findings=odd + placed.findings)
