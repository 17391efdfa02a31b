"""Which series are one acquisition: writers put echoes, magnitude and phase into series of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from tracker.clock import seconds_between
from tracker.dicom.series import series_name
from tracker.errors import InputError
from tracker.mri.echoes import FEWEST
from tracker.mri.tags import PictureSet

# Echoes of one excitation may be stamped some ms apart; the next acquisition begins later.
_TOGETHER_S = 1.0
# Directions and spacings [mm] within this are the same, as in `tracker.dicom.series`.
_ROUNDING = 1e-3


def join(sets: Sequence[PictureSet]) -> tuple[tuple[PictureSet, ...], ...]:
    """Series as acquisitions: of one frame of reference, geometry, settings and time, no two with images of the same kind and echo."""
    joined: list[list[PictureSet]] = []
    for one in sorted(sets, key=_when):
        fitting = [group for group in joined if all(_belong(one, member) for member in group)]
        if fitting:
            fitting[0].append(one)
        else:
            joined.append([one])
    return tuple(tuple(sorted(group, key=_has_magnitudes, reverse=True)) for group in joined)


def _when(one: PictureSet) -> tuple[str, int]:
    starts = [p.start.replace(tzinfo=None).isoformat() for p in one.pictures if p.start is not None]
    return min(starts, default=""), int(one.series.first.get("SeriesNumber", 0) or 0)


def _has_magnitudes(one: PictureSet) -> bool:
    return any(p.kind == "magnitude" for p in one.pictures)


def _shown(one: PictureSet) -> set[tuple[str, float | None]]:
    return {(p.kind, None if p.echo_s is None else round(p.echo_s, 6)) for p in one.pictures}


def _belong(one: PictureSet, other: PictureSet) -> bool:
    first, second = one.slices, other.slices
    numbers = [np.array([*s.orientation, *s.spacing_mm]) for s in (first, second)]
    matrix = [(s.series.first.get("Rows"), s.series.first.get("Columns")) for s in (one, other)]
    return (
        first.frame_of_reference_uid == second.frame_of_reference_uid
        and one.settings == other.settings
        and matrix[0] == matrix[1]
        and np.abs(numbers[0] - numbers[1]).max() <= _ROUNDING
        and not _shown(one) & _shown(other)
        and _together(one, other)
    )


def _together(one: PictureSet, other: PictureSet) -> bool:
    """Whether the times at which the images were taken overlap; true where one has none."""
    spans: list[tuple[datetime, datetime]] = []
    for each in (one, other):
        starts = [p.start.replace(tzinfo=None) for p in each.pictures if p.start is not None]
        if not starts:
            return True
        spans.append((min(starts), max(starts)))
    return seconds_between(max(s[0] for s in spans), min(s[1] for s in spans)) <= _TOGETHER_S


def measurable(group: Sequence[PictureSet], sheet_ms: tuple[float, ...] = ()) -> bool:
    """Whether an acquisition can be one to measure: three or more gradient echoes, or of another nucleus than hydrogen."""
    if group[0].facts.nucleus not in ("", "1H"):
        return True
    if any(s.facts.spin_echo for s in group):
        return False
    for kind in ("magnitude", "real"):
        times = {echo for s in group for k, echo in _shown(s) if k == kind}
        if len(times) >= FEWEST or (times == {None} and len(sheet_ms) >= FEWEST):
            return True
    return False


def choose(groups: Sequence[tuple[PictureSet, ...]], named: str, sheet_ms: tuple[float, ...], where: object) -> tuple[PictureSet, ...]:
    """The one acquisition that a sheet row means: that of the named series, else the only one to measure, else the only one.

    Raises `InputError` that lists the candidates where none or more than one fits.
    """
    listed = "; ".join(" + ".join(series_name(s.series) for s in group) for group in groups) or "none"
    if named:
        hits = [g for g in groups if any(named in (s.series.uid, str(s.series.first.get("SeriesNumber", ""))) for s in g)]
        hits = [g for g in hits if any(s.series.part == 0 for s in g)] or hits
        if len(hits) == 1:
            return hits[0]
        raise InputError(
            "series_not_found",
            f"the series {named!r} named in the sheet is not here, or not once",
            found=listed,
            expected="one MR acquisition",
            where=where,
            do="write the series UID or number of one of those found into the sheet's `series` column",
        )
    fitting = [g for g in groups if measurable(g, sheet_ms)] or [g for g in groups if any(s.series.part == 0 for s in g)]
    if len(fitting) == 1:
        return fitting[0]
    raise InputError(
        "series_ambiguous" if fitting else "no_series",
        "more than one series could be meant" if fitting else "no MR series",
        found=listed,
        expected="exactly one multi-echo series",
        where=where,
        do="name one in the sheet's `series` column" if fitting else "check the path; `celltracker scan` lists what a folder holds",
    )
