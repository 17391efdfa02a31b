"""A PET or SPECT scan's files → `Scan`: DICOM (classic, enhanced, nuclear medicine), NIfTI with a BIDS sidecar, ECAT 7."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tracker.dicom import Dropped, FolderFiles, Series, choose_series, group_series, read_instances, walk
from tracker.dicom.leftover import file_findings
from tracker.errors import InputError
from tracker.image import Scan
from tracker.nifti import is_nifti
from tracker.nifti.sidecar import sidecar
from tracker.pet import DICOM_MODALITIES
from tracker.pet.bids import read_bids
from tracker.pet.classic import read_classic
from tracker.pet.ecat import is_ecat, read_ecat
from tracker.pet.enhanced import read_enhanced
from tracker.pet.header import PET_TAGS, private_tags
from tracker.pet.nm import read_nm
from tracker.study.model import Context

_CLASSIC = "1.2.840.10008.5.1.4.1.1.128"
_ENHANCED = "1.2.840.10008.5.1.4.1.1.130"
_LEGACY = "1.2.840.10008.5.1.4.1.1.128.1"
_NM = "1.2.840.10008.5.1.4.1.1.20"


def read(path: Path, series: str, context: Context) -> Scan:
    """The scan at ``path`` (a file or folder of mixed files) with lazily read values in the header's own units.

    ``series`` names one (UID or number) where the folder holds several. Raises `InputError` where no or more than one series could
    be meant, and for everything that leaves more than one answer: missing slices, times, geometry, truncated pixels.
    """
    acquired = context.acquisition.acquired
    if path.is_file() and is_nifti(path):
        return read_bids(path, acquired)
    if path.is_file() and is_ecat(path):
        return read_ecat(path, acquired)
    files = walk(path)
    # A converter's NIfTI beside its DICOM is a copy that lost something: the DICOM counts.
    volumes = [d.path for d in files.dropped if d.path.name.endswith((".nii", ".nii.gz")) and sidecar(d.path).is_file()]
    if volumes and not files.files:
        return read_bids(_one_volume(volumes, series, path), acquired)
    return _read_dicom(files, path, series, context)


def _one_volume(volumes: list[Path], named: str, where: Path) -> Path:
    fitting = [v for v in volumes if v.name == named] if named else volumes
    if len(fitting) != 1:
        raise InputError(
            "series_ambiguous",
            "not exactly one volume could be meant",
            found=", ".join(v.name for v in volumes),
            expected="one",
            where=where,
            do="write the file's name into the sheet's `series` column, or its path into `path`",
        )
    return fitting[0]


def _read_dicom(files: FolderFiles, path: Path, series: str, context: Context) -> Scan:
    instances, unparsed = read_instances(files.files, (*PET_TAGS, *private_tags()))
    groups, left = group_series(instances)
    dropped = files.dropped + unparsed + left
    if not groups:
        _refuse_empty(path, dropped)
    chosen = choose_series(groups, DICOM_MODALITIES, series, path)
    scan = _by_class(chosen, context, path)
    return replace(scan, findings=scan.findings + file_findings(groups, (chosen,), dropped, DICOM_MODALITIES))


def _refuse_empty(path: Path, dropped: tuple[Dropped, ...]) -> None:
    reasons = sorted({f"{d.reason}{': ' + d.detail if d.detail else ''}" for d in dropped})
    raise InputError("no_series", "no DICOM image could be read here", found=f"{len(dropped)} other file(s): {'; '.join(reasons)[:300]}",
                     expected="PET or NM images", where=path, do="`celltracker scan` lists what a folder holds")  # fmt: skip


def _by_class(chosen: Series, context: Context, path: Path) -> Scan:
    sop_class = str(chosen.first.get("SOPClassUID", ""))
    if sop_class == _CLASSIC:
        return read_classic(chosen.instances, context.acquisition.acquired, path)
    if len(chosen.instances) > 1 and sop_class in (_ENHANCED, _NM):
        raise InputError(
            "several_files",
            "a multi-frame scan must be one file",
            found=f"{len(chosen.instances)} files in series {chosen.uid}",
            expected="one",
            where=path,
            do="name the series, or join the concatenation's parts",
        )
    if sop_class == _ENHANCED:
        return read_enhanced(chosen.first, path)
    if sop_class == _NM:
        return read_nm(chosen.first, context.acquisition.acquired, context.constants, path)
    words = (
        "legacy converted enhanced PET keeps no units or times where they can be trusted"
        if sop_class == _LEGACY
        else "not an image class of PET or NM"
    )
    raise InputError("sop_class_unsupported", words, found=sop_class, expected="PET, Enhanced PET or NM Image Storage", where=path,
                     do="export the original objects")  # fmt: skip
