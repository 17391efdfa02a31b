"""Which kind of organ file it is, by content, and the reader for it."""

from __future__ import annotations

from pathlib import Path

from tracker.errors import InputError
from tracker.image import Grid, OrganMap
from tracker.nifti import is_nifti

_KINDS = "NIfTI with a table beside it, DICOM SEG or RTSTRUCT"


def organ_format(path: Path) -> str:
    """``nifti``, ``seg``, ``rtstruct``, or empty for a file that holds no organs. By content: extensions lie.

    A NIfTI may be a scan as well; whether it is a label map shows only when it is read.
    """
    if is_nifti(path):
        return "nifti"
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "Modality"], force=True)
        modality = str(header.get("Modality", ""))
    except (InvalidDicomError, OSError, ValueError, EOFError, AttributeError, NotImplementedError):
        # Any file may lie in a folder: one that is not DICOM at all is simply not an organ file.
        return ""
    return {"SEG": "seg", "RTSTRUCT": "rtstruct"}.get(modality, "")


def _one_file(path: Path) -> tuple[Path, str]:
    """The organ file that ``path`` is, or the only one in the folder that it is, and its format."""
    if not path.exists():
        raise InputError("organs_missing", "there is no such file or folder", expected=path.name, do="correct the path in the sheet")
    if path.is_file():
        kind = organ_format(path)
        if kind:
            return path, kind
        raise InputError("organs_format", "the file holds no organs", expected=_KINDS, where=path.name, do="export it as one of these")
    files = [(f, organ_format(f)) for f in sorted(path.iterdir()) if f.is_file() and not f.name.startswith(".")]
    found = [(f, kind) for f, kind in files if kind]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f.name for f, _ in found) or f"none among {len(files)} files"
    do = "name the file itself in the sheet"
    raise InputError("organs_ambiguous", "the folder must hold one organ file", found=names, expected=_KINDS, where=path.name, do=do)


def read_organs(path: Path, grid: Grid, *, referenced_series_uid: str = "") -> OrganMap:
    """The user's organs on the scan's ``grid``: labels (z, y, x) uint16, 0 is none, and the name of each.

    ``path`` is a NIfTI label map with a TSV or CSV ``index, name`` of the same stem beside it, a DICOM SEG, an RTSTRUCT, or a
    folder with exactly one of these. ``referenced_series_uid`` is the scan's series: a finding tells where the organs were
    drawn on another. Organs without a voxel in the scan stay in ``names``; findings say so.
    Raises `InputError` where labels and scan cannot be brought together without a guess (other frame of reference, unnamed
    or overlapping organs, a volume changed by resampling, …). Geometry cannot show that left and right were swapped.
    """
    file, kind = _one_file(path)
    if kind == "nifti":
        from tracker.organs.nifti_map import read_nifti_map

        return read_nifti_map(file, grid)
    from tracker.organs.rtstruct import read_rtstruct
    from tracker.organs.seg import read_seg

    try:
        return (read_seg if kind == "seg" else read_rtstruct)(file, grid, referenced_series_uid)
    except (AttributeError, KeyError, TypeError, ValueError, EOFError) as error:
        # What pydicom raises for a missing or malformed tag: it is the file that is broken, and only its scan is set aside.
        raise InputError("organs_dicom", "the file is incomplete or broken", found=error, where=file.name, do="export it again") from error
