"""An atlas from its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracker.atlas.objects import Atlas
from tracker.errors import InputError
from tracker.image import OrganMap
from tracker.nifti import nifti_grid, read_nifti
from tracker.organs.names import check_named, read_names
from tracker.organs.nifti_map import read_labels


def read_atlas(labels: Path, names: Path, image: Path | None = None) -> Atlas:
    """The atlas of a NIfTI label map, its table of names (TSV or CSV with the columns index and name) and, if any, its image.

    The image must lie on the grid of the labels. Raises `InputError` as the reader of organ maps does, ``atlas_image_grid`` where
    the image has another grid.
    """
    grid, findings = nifti_grid(labels)
    named = read_names(names)
    found = read_labels(labels)
    check_named(np.unique(found).tolist(), named, labels.name)
    organ_map = OrganMap(found, named, grid, method="atlas", findings=findings)
    return Atlas(organ_map, None if image is None else _image(image, organ_map))


def _image(path: Path, organ_map: OrganMap) -> np.ndarray:
    grid, _ = nifti_grid(path)
    values = read_nifti(path)[0]
    values = values[0] if values.ndim == 4 and values.shape[0] == 1 else values
    # A hundredth of a voxel: what rounding in a header may do.
    near = 0.01 * float(np.abs(organ_map.grid.affine[:3, :3]).max())
    if values.shape != organ_map.grid.shape or not np.allclose(grid.affine, organ_map.grid.affine, rtol=0, atol=near):
        what, do = "the atlas's image is not on the grid of its labels", "resample the image to the labels' grid"
        raise InputError("atlas_image_grid", what, found=values.shape, expected=organ_map.grid.shape, where=path.name, do=do)
    # One thread: a compressed file is one stream anyway.
    return np.asarray(values if isinstance(values, np.ndarray) else values.compute(scheduler="synchronous"), np.float32)
