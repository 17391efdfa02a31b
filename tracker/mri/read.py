"""An MR scan's files → `Scan`: DICOM (classic, enhanced), NIfTI with a sidecar, Bruker ParaVision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tracker.dicom import Dropped, FolderFiles, Instance, Series, group_series, read_instances, walk
from tracker.dicom.leftover import file_findings
from tracker.errors import Finding, InputError
from tracker.image import Scan
from tracker.mri import DICOM_MODALITIES
from tracker.mri.assemble import assemble
from tracker.mri.bids import read_bids
from tracker.mri.classic import classic_set
from tracker.mri.enhanced import enhanced_set
from tracker.mri.sets import choose, join
from tracker.mri.tags import CLASSIC, ENHANCED, MR_TAGS, PictureSet
from tracker.mri.volumes import is_volume
from tracker.nifti import is_nifti
from tracker.study.model import Context

_REFUSED = {
    "1.2.840.10008.5.1.4.1.1.4.2": "MR spectroscopy has no images",
    "1.2.840.10008.5.1.4.1.1.4.4": "legacy converted enhanced MR keeps no echo times where they can be trusted",
}


def read(path: Path, series: str, context: Context) -> Scan:
    """The scan at ``path`` (a file or folder of mixed files): lazy magnitudes (repeat × echo, z, y, x), phase and echo times in its header.

    ``series`` names one (UID, number, or file stem) where the folder holds several. Raises `InputError` where no or more than one could
    be meant, and for everything that leaves more than one answer: missing echoes, slices, echo times, spin echoes, truncated pixels.
    What it reads is signal in the scanner's arbitrary unit: it means nothing without its echoes.
    """
    from tracker.mri.paravision import is_paravision, read_paravision

    if is_paravision(path):
        return read_paravision(path, series, context)
    if path.is_file() and is_nifti(path):
        return read_bids((path,), "", context, path)
    files = walk(path)
    # A converter's NIfTI beside its DICOM is a copy that lost something: the DICOM counts.
    volumes = [d.path for d in files.dropped if is_volume(d.path)]
    if volumes and not files.files:
        return read_bids(volumes, series, context, path)
    return _read_dicom(files, path, series, context)


def _read_dicom(files: FolderFiles, path: Path, named: str, context: Context) -> Scan:
    instances, unparsed = read_instances(files.files, MR_TAGS)
    groups, left = group_series(instances)
    dropped = files.dropped + unparsed + left
    of_mr = [g for g in groups if str(g.first.get("Modality", "")).upper() in DICOM_MODALITIES]
    if not of_mr:
        _refuse_empty(path, instances, dropped)
    sets, failed = picture_sets(of_mr)
    if not sets:
        raise failed[0][1]
    chosen = choose(join(sets), named, context.acquisition.echo_times_ms, path)
    _refuse_parts(chosen, failed, named)
    source = "enhanced" if str(chosen[0].series.first.get("SOPClassUID", "")) == ENHANCED else "classic"
    scan = assemble(chosen, context, source, path)
    noted = file_findings(groups, [s.series for s in chosen], dropped, DICOM_MODALITIES)
    unread = tuple(Finding("series_unreadable", "warn", f"another series was left out: {error}") for _, error in failed)
    return replace(scan, findings=scan.findings + noted + unread)


def picture_sets(series: Sequence[Series]) -> tuple[list[PictureSet], list[tuple[Series, InputError]]]:
    """The images of each MR series, and the series that cannot be read, with the reason."""
    sets: list[PictureSet] = []
    failed: list[tuple[Series, InputError]] = []
    for one in series:
        try:
            sets.append(_picture_set(one))
        except InputError as error:
            failed.append((one, error))
    return sets, failed


def _picture_set(series: Series) -> PictureSet:
    sop_class = str(series.first.get("SOPClassUID", ""))
    if sop_class == CLASSIC:
        return classic_set(series)
    if sop_class == ENHANCED:
        return enhanced_set(series)
    raise InputError(
        "sop_class_unsupported",
        _REFUSED.get(sop_class, "not an image class of MR"),
        found=sop_class,
        expected="MR or Enhanced MR Image Storage",
        where=series.first.path,
        do="export the original objects",
    )


def _refuse_parts(chosen: Sequence[PictureSet], failed: Sequence[tuple[Series, InputError]], named: str) -> None:
    """Raises the error of a series that is the named one, or may be a part of the chosen scan: it shares its UID or its space."""
    uids = {s.series.uid for s in chosen}
    spaces = {_space(s.series) for s in chosen}
    for series, error in failed:
        is_named = named and named in (series.uid, str(series.first.get("SeriesNumber", "")))
        if is_named or (series.part == 0 and (series.uid in uids or _space(series) in spaces)):
            raise error


def _space(series: Series) -> tuple[object, ...]:
    return tuple(series.first.get(keyword) for keyword in ("FrameOfReferenceUID", "Rows", "Columns"))


def _refuse_empty(path: Path, instances: Sequence[Instance], dropped: tuple[Dropped, ...]) -> None:
    classes = {str(i.get("SOPClassUID", "")) for i in instances}
    words = next((_REFUSED[c] for c in sorted(classes & set(_REFUSED))), "no MR image could be read here")
    reasons = sorted({f"{d.reason}{': ' + d.detail if d.detail else ''}" for d in dropped})
    raise InputError("no_series", words, found=f"{len(dropped)} other file(s): {'; '.join(reasons)[:300]}",
                     expected="MR images", where=path, do="`celltracker scan` lists what a folder holds")  # fmt: skip
