"""Click folders, their sequences and TIFFs with a sidecar among the files of a folder, by their text and headers alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tracker.bli.click import Opened, luminescent_shape, open_click
from tracker.bli.clickinfo import find_file
from tracker.bli.sequence import check_one_series, is_derived, named_as_series
from tracker.bli.sidecar import is_plain, plain_start
from tracker.bli.tiff import tiff_shape
from tracker.dicom import Series
from tracker.errors import InputError
from tracker.modality import RawScan, Recognised

# No DICOM series is read by this modality: none of its tags are needed.
TAGS: tuple[str, ...] = ()
_MODALITY, _ROLE = "bli", "followup"
_NAMES = ("clickinfo.txt", "analyzedclickinfo.txt")


@dataclass(frozen=True, slots=True)
class _Found:
    """One click folder with its files; ``opened`` None where its text cannot be read, as ``problem`` says."""

    folder: Path
    files: tuple[Path, ...]
    opened: Opened | None
    shape: str
    problem: str


def recognise(series: Sequence[Series]) -> tuple[Recognised, ...]:
    """One `Recognised` per DICOM series: none is this modality's."""
    return tuple(Recognised("", _ROLE, "not read as light") for _ in series)


def recognise_files(files: Sequence[Path]) -> tuple[RawScan, ...]:
    """The scans among files that are no DICOM: click folders, sequences of them (one scan each), float TIFFs with a sidecar.

    Clicks are one scan where the camera says so (`named_as_series`); others that lie in one folder are a scan each, for nobody said that
    they show the same animals. A click that cannot be used is listed with its problem. Text and TIFF headers only.
    """
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        by_folder[file.parent].append(file)
    clicks = [
        _click(folder, tuple(sorted(held))) for folder, held in sorted(by_folder.items()) if any(f.name.lower() in _NAMES for f in held)
    ]
    found: list[RawScan] = []
    for parent in sorted({c.folder.parent for c in clicks}):
        found += _scans(parent, [c for c in clicks if c.folder.parent == parent])
    inside = {c.folder for c in clicks}
    return (*found, *(_plain(f) for f in sorted(files) if f.parent not in inside and is_plain(f) and _is_radiance(f)))


def _click(folder: Path, files: tuple[Path, ...]) -> _Found:
    if is_derived(folder):
        return _Found(folder, files, None, "", "unmixed by the vendor's software: derived from other clicks")
    try:
        opened = open_click(folder, None)
        return _Found(folder, files, opened, luminescent_shape(opened), "")
    except InputError as error:
        return _Found(folder, files, None, "", str(error))


def _scans(parent: Path, clicks: Sequence[_Found]) -> list[RawScan]:
    usable = [c for c in clicks if not c.problem]
    if len(usable) > 1 and named_as_series(parent, [c.folder for c in usable]):
        try:
            check_one_series(parent, [c.opened for c in usable if c.opened])
        except InputError:
            return [_scan(c) for c in clicks]
        beside = find_file(parent, "SequenceInfo.txt")
        files = tuple(f for c in usable for f in c.files) + (() if beside is None else (beside,))
        starts = [c.opened.settings.start for c in usable if c.opened and c.opened.settings.start]
        shapes = {c.shape for c in usable}
        shape = f"{len(usable)} × {shapes.pop() if len(shapes) == 1 else 'several sizes'}"
        sequence = RawScan(parent, files, "IVIS", shape, min(starts, default=None), Recognised(_MODALITY, _ROLE))
        return [sequence, *(_scan(c) for c in clicks if c.problem)]
    return [_scan(c) for c in clicks]


def _scan(click: _Found) -> RawScan:
    start = click.opened.settings.start if click.opened else None
    shape = f"1 × {click.shape}" if click.shape else "?"
    return RawScan(click.folder, click.files, "IVIS", shape, start, Recognised(_MODALITY, _ROLE, click.problem))


def _is_radiance(file: Path) -> bool:
    """Whether a TIFF's sidecar is one of this reader's: other programs write JSON beside TIFFs too."""
    try:
        plain_start(file)
    except InputError:
        return False
    return True


def _plain(file: Path) -> RawScan:
    start: datetime | None = None
    shape = problem = ""
    try:
        start = plain_start(file)
        shape = " × ".join(map(str, tiff_shape(file, "f")))
    except InputError as error:
        problem = str(error)
    return RawScan(file, (file, file.with_suffix(".json")), "TIFF", shape or "?", start, Recognised(_MODALITY, _ROLE, problem))
