"""Which instances belong together: series split by what a shared UID hides, duplicates dropped or refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from tracker.dicom.files import Dropped
from tracker.dicom.headers import Instance
from tracker.errors import InputError

# Directions and spacings [mm] within this are the same series (writers round to 5 or 6 digits).
_ROUNDING = 1e-3
_PIXEL_TAGS = (0x7FE00010, 0x7FE00008, 0x7FE00009)


@dataclass(frozen=True, slots=True)
class Series:
    """Instances with one series UID, SOP class, matrix, spacing and orientation: something that may be one volume.

    ``part`` is 0 for the only or largest such set under a UID, 1, 2 … for what else shares it (a localiser, a capture).
    Sets of the same size are both 0: which of them is meant is not for this file to say.
    """

    uid: str
    part: int
    instances: tuple[Instance, ...]

    @property
    def first(self) -> Instance:
        return self.instances[0]


@dataclass(frozen=True, slots=True)
class _Geometry:
    """What slices of one volume have in common: ``words`` exactly, ``numbers`` (directions, spacings [mm]) within rounding."""

    words: tuple[object, ...]
    numbers: tuple[float, ...]
    localiser: bool


def _geometry(instance: Instance) -> _Geometry:
    numbers = [float(v) for tag in ("ImageOrientationPatient", "PixelSpacing") for v in instance.get(tag, ())]
    # A scout shares UID and may share the matrix; original and derived frames are not told apart here.
    localiser = "LOCALIZER" in [str(word).upper() for word in instance.get("ImageType", ())]
    words = (str(instance.get("SOPClassUID", "")), instance.get("Rows", 0), instance.get("Columns", 0), len(numbers))
    return _Geometry(words, tuple(numbers), localiser)


def _alike(one: _Geometry, other: _Geometry) -> bool:
    near = all(abs(a - b) <= _ROUNDING for a, b in zip(one.numbers, other.numbers, strict=False))
    return near and one.words == other.words and one.localiser == other.localiser


def _digest(instance: Instance) -> bytes:
    import hashlib

    with instance.path.open("rb") as file:
        if instance.pixel_offset is not None:
            file.seek(instance.pixel_offset)
        return hashlib.file_digest(file, "sha256").digest()


def _same(one: Instance, other: Instance) -> bool:
    """Whether two files say the same: all tags that were read, and the pixels. The same pixels with another slope are not the same."""
    tags = ({*one.header.keys()} | {*other.header.keys()}) - {*_PIXEL_TAGS}
    return all(one.header.get(tag) == other.header.get(tag) for tag in tags) and _digest(one) == _digest(other)


def _without_duplicates(instances: Iterable[Instance]) -> tuple[list[Instance], list[Dropped]]:
    """One instance per SOP instance UID. The same image twice is dropped; different ones are an error."""
    kept: dict[str, Instance] = {}
    dropped: list[Dropped] = []
    for instance in instances:
        uid = str(instance.get("SOPInstanceUID", instance.path))
        if uid not in kept:
            kept[uid] = instance
        elif _same(instance, kept[uid]):
            dropped.append(Dropped(instance.path, "duplicate", f"same as {kept[uid].path.name}"))
        else:
            raise InputError(
                "duplicate_uid_different_pixels",
                "two files share a SOP instance UID but not their pixels or headers",
                found=f"{kept[uid].path.name} and {instance.path.name}",
                expected="one image per UID",
                where=instance.path.parent,
                do="export the series again from the scanner or PACS and keep one",
            )
    return list(kept.values()), dropped


def group_series(instances: Iterable[Instance]) -> tuple[tuple[Series, ...], tuple[Dropped, ...]]:
    """Instances with pixels as series, in the order of their first file; what shares a UID but not a geometry is split.

    Files without pixels (contours, presentation states) are dropped with the reason. Raises `InputError` where two files
    share an instance UID but not their pixels.
    """
    dropped: list[Dropped] = []
    sets: dict[str, list[tuple[_Geometry, list[Instance]]]] = {}
    unique, duplicates = _without_duplicates(instances)
    for instance in unique:
        if instance.pixel_bytes is None:
            dropped.append(Dropped(instance.path, "no_pixels", str(instance.get("Modality", ""))))
            continue
        parts, geometry = sets.setdefault(str(instance.get("SeriesInstanceUID", "")), []), _geometry(instance)
        members = next((m for g, m in parts if _alike(g, geometry)), None)
        if members is None:
            parts.append((geometry, [instance]))
        else:
            members.append(instance)
    return tuple(s for uid, parts in sets.items() for s in _ranked(uid, parts)), tuple(duplicates + dropped)


def _ranked(uid: str, parts: list[tuple[_Geometry, list[Instance]]]) -> list[Series]:
    """The sets under one UID, scans before localisers, large before small; those as large as the first are part 0 with it."""
    ranked = sorted(parts, key=lambda p: (p[0].localiser, -len(p[1])))
    first = (ranked[0][0].localiser, len(ranked[0][1]))
    return [Series(uid, 0 if (g.localiser, len(m)) == first else n, tuple(m)) for n, (g, m) in enumerate(ranked)]


def series_name(series: Series) -> str:
    """A series in words: its UID (and part), number, modality and count; no free text that could name a person."""
    first = series.first
    part = f" part {series.part + 1}" if series.part else ""
    return f"{series.uid}{part} (series {first.get('SeriesNumber', '?')}, {first.get('Modality', '?')}, {len(series.instances)} files)"


def choose_series(series: Iterable[Series], modalities: Iterable[str], named: str, where: object) -> Series:
    """The one series that a sheet row means: the named one (UID or series number), else the only one of these DICOM modalities.

    Raises `InputError` that lists the candidates where none or more than one fits.
    """
    wanted = tuple(modalities)
    candidates = [s for s in series if str(s.first.get("Modality", "")).upper() in wanted]
    listed = "; ".join(series_name(s) for s in candidates) or "none"
    if named:
        hits = [s for s in candidates if named in (s.uid, str(s.first.get("SeriesNumber", "")))]
        hits = [s for s in hits if s.part == 0] or hits
        if len(hits) == 1:
            return hits[0]
        near = difflib.get_close_matches(named, [s.uid for s in candidates], 1)
        raise InputError(
            "series_not_found",
            f"the series {named!r} named in the sheet is not here, or not once",
            found=listed,
            expected=f"one series of {'/'.join(wanted)}" + (f", perhaps {near[0]}" if near else ""),
            where=where,
            do="write the series UID or number of one of those found into the sheet's `series` column",
        )
    main = [s for s in candidates if s.part == 0]
    if len(main) == 1:
        return main[0]
    raise InputError(
        "series_ambiguous" if main else "no_series",
        "more than one series could be meant" if main else f"no {'/'.join(wanted)} series",
        found=listed,
        expected=f"exactly one series of {'/'.join(wanted)}",
        where=where,
        do="name one in the sheet's `series` column" if main else "check the path; `celltracker scan` lists what a folder holds",
    )
