"""What a folder of mixed raw files holds: every series found, kept or dropped and why, and a draft of the `acquisitions` sheet.

Headers only. Formats are recognised by the modalities' own `recognise` and by DICOM's headers; no person's name is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tracker.dicom import Dropped, Instance, Series, group_series, read_instances, walk
from tracker.dicom.geometry import stack
from tracker.dicom.headers import COMMON_TAGS
from tracker.dicom.pixels import check_pixels
from tracker.dicom.times import parse_date_time, parse_datetime
from tracker.errors import InputError
from tracker.modality import RawScan, Recognised, modalities

# Headers are read in batches so that a walk over many thousands of files shows its progress.
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Found:
    """One series: where it is, what it is, whether it can be used (``problem`` empty) and as which ``modality`` (or anatomy).

    Of a scan that is no DICOM ``folder`` is its path, and ``dicom_modality`` the name of its format.
    """

    folder: Path
    uid: str
    number: str
    dicom_modality: str
    part: int
    files: int
    shape: str
    acquired: datetime | None
    modality: str
    role: str
    problem: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a folder holds: series and every file that is in none, with the reason."""

    root: Path
    series: tuple[Found, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is: files read of all."""

    done: int
    total: int


def _recognisers() -> tuple[tuple[Mapping[str, str], ModuleType | None], ...]:
    """Of each modality: DICOM's words for it with the sheet's, and its own ``recognise.py`` where it has one."""
    found = []
    for one in modalities():
        taken = getattr(import_module(f"tracker.{one.package}"), "DICOM_MODALITIES", {})
        own = (one.folder / "recognise.py").is_file()
        found.append((taken, import_module(f"tracker.{one.package}.recognise") if own else None))
    return tuple(found)


def _raw_scans(files: Sequence[Path]) -> tuple[RawScan, ...]:
    """Scans among files that are no DICOM, as the modalities that read such files know them."""
    knowing = (own for _, own in _recognisers() if own is not None and hasattr(own, "recognise_files"))
    return tuple(one for own in knowing for one in own.recognise_files(files))


def _found(raw: RawScan) -> Found:
    what = raw.recognised
    return Found(raw.path, "", "", raw.kind, 0, len(raw.files), raw.shape, raw.acquired, what.modality, what.role, what.problem)


def _kind(series: Series) -> str:
    return str(series.first.get("Modality", "")).upper()


def _recognised(groups: Sequence[Series]) -> list[Recognised]:
    """What each series of a folder is: what the modality whose reader takes it says; else an anatomy scan."""
    found = [Recognised({"CT": "ct", "MR": "mr"}.get(_kind(g), ""), "anatomy") for g in groups]
    for taken, own in _recognisers():
        places = [n for n, g in enumerate(groups) if _kind(g) in taken]
        named = own.recognise([groups[n] for n in places]) if own else [Recognised(taken[_kind(groups[n])], "followup") for n in places]
        for n, one in zip(places, named, strict=True):
            found[n] = one
    return found


def _problem(series: Series) -> str:
    """Why a series cannot be used as a volume; empty where nothing speaks against it. Headers only."""
    if series.part:
        return "shares its UID with a larger series of another geometry (localiser or capture)"
    first = series.first
    try:
        for instance in series.instances:
            check_pixels(instance)
        if first.get("ImagePositionPatient") is not None:
            stack(series.instances, [_seconds(i) for i in series.instances], series.first.path.parent)
    except InputError as error:
        return str(error)
    return ""


def _acquired(instance: Instance) -> datetime | None:
    try:
        stated = parse_datetime(instance.get("AcquisitionDateTime"))
        # Wall clock: files with and without an offset from UTC lie in one folder, and days are what is asked for.
        return (
            stated.replace(tzinfo=None)
            if stated
            else parse_date_time(instance.get("AcquisitionDate") or instance.get("SeriesDate"), instance.get("AcquisitionTime"))
        )
    except InputError:
        return None


def _seconds(instance: Instance) -> float:
    start = _acquired(instance)
    return 0.0 if start is None else (start - datetime(1970, 1, 1)).total_seconds()


def _describe(series: Series, known: Recognised) -> Found:
    first, kind = series.first, _kind(series)
    frames = int(first.get("NumberOfFrames", 1) or 1) * len(series.instances)
    shape = f"{frames} × {first.get('Rows', '?')} × {first.get('Columns', '?')}"
    unmeasured = "" if known.modality else f"nothing here measures DICOM modality {kind or 'unknown'}"
    problem = _problem(series) or known.problem or unmeasured
    starts = [s for s in map(_acquired, series.instances) if s is not None]
    number = str(first.get("SeriesNumber", ""))
    return Found(
        first.path.parent,
        series.uid,
        number,
        kind,
        series.part,
        len(series.instances),
        shape,
        min(starts, default=None),
        known.modality,
        known.role,
        problem,
    )


def take_inventory(root: Path, files: Iterable[Path] | None = None) -> Iterator[Progress | Inventory]:
    """Walks a folder by headers: yields `Progress` while reading, and last the `Inventory`.

    Raises `InputError` where the folder does not exist, or two files share an instance UID but not their pixels.
    """
    walked = walk(root)
    raw = _raw_scans([d.path for d in walked.dropped if d.reason == "not_dicom"])
    taken = {path for one in raw for path in one.files}
    paths = tuple(files) if files is not None else walked.files
    tags = (*COMMON_TAGS, "AcquisitionDateTime", *(tag for _, own in _recognisers() if own for tag in own.TAGS))
    instances: list[Instance] = []
    dropped = [d for d in walked.dropped if d.path not in taken]
    for at in range(0, len(paths), _BATCH):
        read, failed = read_instances(paths[at : at + _BATCH], tags)
        instances += read
        dropped += failed
        yield Progress(min(at + _BATCH, len(paths)), len(paths))
    series: list[Found] = [_found(one) for one in raw]
    for folder in sorted({i.path.parent for i in instances}):
        groups, left = group_series([i for i in instances if i.path.parent == folder])
        series += [_describe(g, known) for g, known in zip(groups, _recognised(groups), strict=True)]
        dropped += left
    yield Inventory(root, tuple(series), tuple(dropped))


def draft_acquisitions(inventory: Inventory, relative_to: Path) -> list[list[str]]:
    """Lines of an `acquisitions` sheet for the usable series: header first; subject, label and organs are for the user to fill in.

    Sessions are numbered by acquisition day. Paths are relative to ``relative_to`` where they lie below it.
    """
    usable = [s for s in inventory.series if not s.problem]
    days = sorted({s.acquired.date() for s in usable if s.acquired})
    lines = [["subject", "session", "modality", "path", "role", "label", "organs", "body_weight_g", "series", "acquired"]]
    several = Counter((s.folder, s.dicom_modality) for s in usable)
    for one in sorted(usable, key=lambda s: (str(s.folder), s.acquired or datetime.max)):
        session = f"day{days.index(one.acquired.date()) + 1}" if one.acquired else ""
        folder = one.folder.resolve()
        path = folder.relative_to(relative_to.resolve()).as_posix() if folder.is_relative_to(relative_to.resolve()) else str(folder)
        named = one.uid if several[one.folder, one.dicom_modality] > 1 else ""
        lines.append(["", session, one.modality, path, one.role, "", "", "", named, ""])
    return lines


def dropped_summary(inventory: Inventory) -> list[tuple[str, int, str]]:
    """Why files are in no series: (reason, how many, an example)."""
    counts = Counter(d.reason for d in inventory.dropped)
    example = {d.reason: d for d in reversed(inventory.dropped)}
    return [(r, n, example[r].path.name + (f" ({example[r].detail})" if example[r].detail else "")) for r, n in counts.most_common()]
