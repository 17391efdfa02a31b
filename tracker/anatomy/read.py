"""An anatomical scan's files → `Anatomy`: DICOM CT and MR, NIfTI. The folder may hold other scans as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracker.anatomy.scan import Anatomy, judged_contrast
from tracker.anatomy.volume import MODALITIES, TAGS, chosen_series, read_volume
from tracker.dicom import Dropped, FolderFiles, group_series, read_instances, walk
from tracker.dicom.leftover import file_findings
from tracker.errors import Finding, InputError
from tracker.nifti import is_nifti, nifti_grid, read_nifti
from tracker.nifti.sidecar import read_sidecar


def read_anatomy(path: Path, series: str = "", word: str = "") -> Anatomy:
    """One volume of the anatomical scan at ``path`` (a file, or a folder of mixed files), CT in Hounsfield units.

    ``series`` names one (UID, number, or a NIfTI file's name) where the folder holds several. ``word``: what the sheet calls the scan; a
    NIfTI that says nothing of itself is CT or MR by that word. Raises `InputError` where no or more than one series could be meant, and
    for missing slices, a tilted gantry, localisers, colour and truncated files. That the scan is of the animal it should be is not told.
    """
    if path.is_file() and is_nifti(path):
        return _nifti(path, word)
    files = walk(path)
    volumes = [d.path for d in files.dropped if d.path.name.lower().endswith((".nii", ".nii.gz"))]
    # A converter's NIfTI beside its DICOM is a copy that lost something: the DICOM counts, unless the NIfTI is named.
    if any(v.name == series for v in volumes) or (volumes and not files.files):
        return _nifti(_one_volume(volumes, series, path), word)
    return _dicom(files, path, series)


def _one_volume(volumes: list[Path], named: str, where: Path) -> Path:
    fitting = [v for v in volumes if named in ("", v.name)]
    if len(fitting) != 1:
        what, do = "not exactly one volume could be meant", "write the file's name into the sheet's `series` column"
        raise InputError("series_ambiguous", what, found=", ".join(v.name for v in volumes), expected="one", where=where, do=do)
    return fitting[0]


def _dicom(files: FolderFiles, path: Path, series: str) -> Anatomy:
    instances, unparsed = read_instances(files.files, TAGS)
    groups, left = group_series(instances)
    dropped = files.dropped + unparsed + left
    if not groups:
        _refuse_empty(path, dropped)
    chosen = chosen_series(groups, series, path)
    volume = read_volume(chosen, path)
    contrast, noted = judged_contrast(volume.modality.lower(), volume.values)
    findings = volume.findings + noted + file_findings(groups, (chosen,), dropped, MODALITIES)
    return Anatomy(volume.values, volume.grid, contrast, findings)


def _refuse_empty(path: Path, dropped: tuple[Dropped, ...]) -> None:
    reasons = sorted({f"{d.reason}{': ' + d.detail if d.detail else ''}" for d in dropped})
    found = f"{len(dropped)} other file(s): {'; '.join(reasons)[:300]}"
    do = "export the scan as DICOM or NIfTI; `celltracker scan` lists what a folder holds"
    raise InputError("no_series", "no anatomical scan could be read here", found=found, expected="CT or MR images", where=path, do=do)


def _stated(path: Path, word: str) -> str:
    """What the sidecar says of a NIfTI, else the sheet's word."""
    said = str((read_sidecar(path) or {}).get("Modality", "")).strip().lower()
    for text in (said, word.strip().lower()):
        if text.startswith("mr"):
            return "mr"
        if text.endswith("ct"):
            return "ct"
    return ""


def _nifti(path: Path, word: str) -> Anatomy:
    values, _ = read_nifti(path)
    grid, findings = nifti_grid(path)
    if values.ndim == 4:
        if values.shape[0] > 1:
            findings += (Finding("anatomy_images", "ok", f"the first of {values.shape[0]} volumes of the file"),)
        values = values[0]
    # One thread: a compressed file is one stream anyway.
    whole = np.array(values if isinstance(values, np.ndarray) else values.compute(scheduler="synchronous"), np.float32)
    contrast, noted = judged_contrast(_stated(path, word), whole)
    return Anatomy(whole, grid, contrast, findings + noted)
