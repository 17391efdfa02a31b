"""Where the voxels of a NIfTI file are: its header, and which of its two affines counts.

Reference: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h (methods 2 and 3, xyzt_units).
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from tracker.errors import Finding, InputError
from tracker.image import Grid

GZIP_MAGIC = b"\x1f\x8b"
_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}  # metre, millimetre, micrometre: the low 3 bits of xyzt_units
_MAX_DIFFERENCE_VOXELS = 0.1  # two affines that differ by less name the same voxel everywhere
_MAX_SHEAR = 1e-3  # cosine between two axes; float32 rounding is 1e-7, a real gantry tilt above 1e-2
_FIELD_MM = (1.0, 3000.0)  # edge of a field of view that anyone images, from a mouse knee to a person


def header_bytes(path: Path) -> bytes:
    """The first 540 bytes (a NIfTI-2 header), unpacked where the file is gzipped; shorter where the file is."""
    with path.open("rb") as file:
        raw = file.read(540)
    if not raw.startswith(GZIP_MAGIC):
        return raw
    try:
        with gzip.open(path) as file:
            return file.read(540)
    except (OSError, EOFError, zlib.error):
        return b""


def nifti_version(raw: bytes) -> int:
    """1 or 2 for the header of a single-file NIfTI, 0 for anything else.

    >>> nifti_version(b"DICM")
    0
    """
    if len(raw) >= 348 and raw[344:348] == b"n+1\0":
        return 1
    return 2 if len(raw) >= 540 and raw[4:8] == b"n+2\0" else 0


def read_header(path: Path) -> Any:
    """nibabel's header of the file, found by content and not by extension; `InputError` where it is no NIfTI."""
    raw = header_bytes(path)
    version = nifti_version(raw)
    if not version:
        raise InputError(
            "not_nifti", "this is no single-file NIfTI", expected="n+1 or n+2 in the header", where=path.name, do="convert it to .nii.gz"
        )
    kind, size = (nib.Nifti1Header, 348) if version == 1 else (nib.Nifti2Header, 540)
    return kind(binaryblock=raw[:size], check=False)


def _form(header: Any, name: str) -> np.ndarray | None:
    """The sform or qform where its code says that it is set."""
    try:
        affine = header.get_sform(coded=True)[0] if name == "sform" else header.get_qform(coded=True)[0]
    except (HeaderDataError, ValueError) as error:
        raise InputError("nifti_affine", f"the {name} cannot be read", found=str(error), do="export the file again") from error
    if affine is None:
        return None
    affine = np.asarray(affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise InputError("nifti_affine", f"the {name} gives voxels no volume", found=affine.tolist(), do="export the file again")
    return affine


def max_shift_voxels(one: np.ndarray, two: np.ndarray, shape_xyz: tuple[int, ...]) -> float:
    """Largest distance between the places two affines give to a voxel, over the corners of the grid [voxel edges of ``one``].

    >>> max_shift_voxels(np.eye(4), np.diag([1.0, 1.0, 1.1, 1.0]), (2, 2, 11)).__round__(6)
    1.0
    """
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape_xyz[:3]], indexing="ij")).reshape(3, -1)
    shift_mm = np.linalg.norm((two - one)[:3] @ np.vstack([corners, np.ones(corners.shape[1])]), axis=0)
    return float(shift_mm.max() / np.linalg.norm(one[:3, :3], axis=0).min())


def is_sheared(affine: np.ndarray) -> bool:
    """Whether the axes of the grid are not at right angles."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > _MAX_SHEAR)


def _choose(sform: np.ndarray | None, qform: np.ndarray | None, shape: tuple[int, ...]) -> tuple[np.ndarray, list[Finding]]:
    """The affine that counts. nibabel and ITK prefer the sform, but ITK falls back to the qform where the sform is sheared."""
    if sform is None or qform is None:
        only = sform if qform is None else qform
        if only is None:
            what, do = "the file does not say where its voxels are: sform and qform codes are both 0", "export it with its orientation"
            raise InputError("nifti_no_orientation", what, expected="a code above 0", do=do)
        return only, []
    shift = max_shift_voxels(sform, qform, shape)
    if shift <= _MAX_DIFFERENCE_VOXELS:
        return sform, []
    found = f"up to {shift:.3g} voxels apart"
    if is_sheared(sform):
        what = "sform and qform differ and the sform is sheared: programs disagree on which one counts"
        raise InputError("nifti_sform_sheared", what, found=found, do="resample to a grid at right angles, or make the two forms agree")
    return sform, [Finding("nifti_sform_qform", "warn", f"sform and qform are {found}; the sform was used")]


def _to_mm(affine: np.ndarray, header: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, list[Finding]]:
    """The affine in mm, as the units code says; where it says nothing, mm if the field's size can be one in mm."""
    code = int(header["xyzt_units"]) & 7
    if code in _MM_PER_UNIT:
        return np.diag([_MM_PER_UNIT[code]] * 3 + [1.0]) @ affine, []
    size_mm = float((np.linalg.norm(affine[:3, :3], axis=0) * shape[:3]).max())
    if code == 0 and _FIELD_MM[0] <= size_mm <= _FIELD_MM[1]:
        return affine, [Finding("nifti_units", "warn", f"the file states no unit of length; mm was taken (field of {size_mm:.4g} mm)")]
    do = "set xyzt_units to mm (2), and the affine in mm"
    raise InputError(
        "nifti_units",
        "the unit of length is not known",
        found=f"code {code}, a field of {size_mm:.4g}",
        expected=f"a code of 1, 2 or 3, or a field of {_FIELD_MM} mm",
        do=do,
    )


def grid_of_header(header: Any) -> tuple[Grid, tuple[Finding, ...]]:
    """Grid (shape (z, y, x), affine [mm]) and findings of a header; see `nifti_grid`."""
    shape = tuple(int(n) for n in header.get_data_shape())
    shape = (*shape, 1, 1, 1)[: max(3, len(shape))]
    if min(shape) < 1:
        raise InputError("nifti_shape", "the file has an axis without voxels", found=shape)
    affine, notes = _choose(_form(header, "sform"), _form(header, "qform"), shape)
    affine_mm, more = _to_mm(affine, header, shape)
    return Grid((shape[2], shape[1], shape[0]), affine_mm), (*notes, *more)


def nifti_grid(path: Path) -> tuple[Grid, tuple[Finding, ...]]:
    """Where the voxels of a NIfTI file are, and what was odd about it.

    The sform counts where its code is above 0, else the qform. Raises `InputError`: ``nifti_no_orientation`` (both codes 0),
    ``nifti_sform_sheared`` (they differ by over 0.1 voxel and programs would disagree), ``nifti_units``, ``nifti_affine``.
    A finding ``nifti_sform_qform`` or ``nifti_units`` says what was taken. It does not tell whether the affine is true.
    """
    try:
        return grid_of_header(read_header(path))
    except InputError as error:
        raise InputError(
            error.code, error.what, found=error.found, expected=error.expected, where=error.where or path.name, do=error.do
        ) from error
