"""Images of one kind sorted into repeats, echoes and slices, with every echo complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tracker.dicom.frames import lazy_frames
from tracker.dicom.geometry import arrange, slice_normal
from tracker.dicom.pixels import load_frame
from tracker.errors import Finding, InputError
from tracker.image import Grid
from tracker.mri import echoes
from tracker.mri.tags import Picture, PictureSet

# Positions are written with some digits; what lies further apart than this was another field of view.
_SAME_PLACE_MM = 0.02
# One echo time stated in two ways, as 2.46 and 2.5, is not two echoes.
_ROUNDED_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class EchoStack:
    """Images as ``order[repeat × echo][z]``, repeats slowest, with the grid they share; ``values`` (repeat × echo, z, y, x) lazy."""

    order: tuple[tuple[Picture, ...], ...]
    times_s: tuple[float, ...]
    n_repeats: int
    grid: Grid
    values: Any
    findings: tuple[Finding, ...]


def of_kind(sets: Sequence[PictureSet], kind: str, sheet_ms: tuple[float, ...], where: object) -> EchoStack | None:
    """All images of a kind, sorted; None where there are none."""
    chosen = [(p, place) for s in sets for p, place in zip(s.pictures, s.slices.positions, strict=True) if p.kind == kind]
    if not chosen:
        return None
    first = next(s for s in sets if any(p.kind == kind for p in s.pictures))
    pictures = [p for p, _ in chosen]
    slices = replace(first.slices, positions=np.array([place for _, place in chosen]))
    levels = np.round(slices.positions @ slice_normal(slices.orientation), 2)
    sorted_out = _echoes(pictures, levels, sheet_ms, where)
    n_repeats = _complete(sorted_out, levels, where)
    keys = _turns(pictures, sorted_out.of, levels, where) * len(sorted_out.times_s) + sorted_out.of
    found = arrange(slices, list(map(float, keys)), where)
    _check_places(slices.positions, found.order, where)
    order = tuple(tuple(pictures[i] for i in frame) for frame in found.order)
    shape = (len(order[0]), int(pictures[0].instance.get("Rows")), int(pictures[0].instance.get("Columns")))
    values = lazy_frames(partial(_load, order), len(order), shape)
    grid = Grid(shape, found.affine, slices.frame_of_reference_uid)
    return EchoStack(order, sorted_out.times_s, n_repeats, grid, values, found.findings)


def _check_places(positions: np.ndarray, order: Sequence[Sequence[int]], where: object) -> None:
    """Raises `InputError` where images of one slice lie beside one another: what is on the same voxel of two echoes is not one tissue."""
    apart_mm = max(float(np.abs(positions[list(frame)] - positions[list(order[0])]).max()) for frame in order)
    if apart_mm > _SAME_PLACE_MM:
        raise InputError(
            "echo_grid_differs",
            "the images of one slice lie at different places",
            found=f"ImagePositionPatient up to {apart_mm:.3g} mm apart",
            expected="one place for all echoes and repeats",
            where=where,
            do="export the scan again; two scans may share a series",
        )


def _load(order: Sequence[Sequence[Picture]], frame: int) -> np.ndarray:
    pictures = order[frame]
    slopes, intercepts = (np.array([getattr(p, name) for p in pictures]) for name in ("slope", "intercept"))
    return load_frame([(p.instance, p.frame) for p in pictures], slopes, intercepts)


def _echoes(pictures: Sequence[Picture], levels: np.ndarray, sheet_ms: tuple[float, ...], where: object) -> echoes.Echoes:
    """Each image's echo: by the files' echo times, else the sheet's times in the order of echo numbers or of instance numbers."""
    numbers = [p.echo_number for p in pictures]
    stated = echoes.group([p.echo_s for p in pictures], numbers, where)
    times_s = echoes.agreed(stated.times_s if stated else (), sheet_ms, where)
    if stated is not None:
        return stated
    of = echoes.by_number(numbers, len(times_s))
    if of is None:
        of = _by_instance_number(pictures, levels, len(times_s), where)
    return echoes.Echoes(times_s, of)


def _by_instance_number(pictures: Sequence[Picture], levels: np.ndarray, count: int, where: object) -> np.ndarray:
    """The n-th image of a slice by instance number is of echo n; only where each slice has exactly one image per echo."""
    of = np.full(len(pictures), -1)
    for level in np.unique(levels):
        here = sorted(map(int, np.flatnonzero(levels == level)), key=lambda i: pictures[i].turn[2])
        distinct = len({pictures[i].turn[2] for i in here})
        if len(here) != count or distinct != count:
            raise InputError(
                "echo_count",
                "images without echo times cannot be put in order",
                found=f"{len(here)} image(s) of a slice with {distinct} instance number(s)",
                expected=f"one for each of the sheet's {count} echo times",
                where=where,
                do="correct the sheet's `echo_times_ms`, or export the series with its echo times",
            )
        of[here] = np.arange(count)
    return of


def _complete(found: echoes.Echoes, levels: np.ndarray, where: object) -> int:
    """How often each slice of each echo was taken; raises `InputError` where that differs, or an echo lacks slices."""
    every = sorted(set(levels.tolist()))
    counts = [Counter(levels[found.of == e].tolist()) for e in range(len(found.times_s))]
    for e, have in enumerate(counts):
        if len(have) == len(every):
            continue
        # Two halves that are one echo's slices together: its time is written in two ways.
        halves = (i for i, other in enumerate(counts) if i != e and not set(other) & set(have) and len(other) + len(have) == len(every))
        mate = next((i for i in halves if abs(found.times_s[i] / found.times_s[e] - 1) <= _ROUNDED_SHARE), None)
        if mate is not None:
            raise InputError(
                "echo_times_inconsistent",
                "the slices of one echo state different echo times",
                found=f"{found.times_s[e] * 1000:g} and {found.times_s[mate] * 1000:g} ms",
                expected="one time per echo",
                where=where,
                do="export the series again",
            )
        if all(len(other) < len(every) for other in counts):
            raise InputError(
                "echo_grid_differs",
                "echoes lie at different slices",
                found=f"{len(every)} places of slices, at most {max(map(len, counts))} of them in one echo",
                expected="the same slices in every echo",
                where=where,
                do="export the scan again; two scans may share a series",
            )
        raise InputError(
            "echo_incomplete",
            f"echo {e + 1} ({found.times_s[e] * 1000:g} ms) lacks slices",
            found=f"{len(have)} slices",
            expected=f"{len(every)}, as other echoes have",
            where=where,
            do="copy the whole series again",
        )
    repeats = sorted({n for have in counts for n in have.values()})
    if len(repeats) != 1:
        raise InputError(
            "repeats_unequal",
            "some slices of an echo were taken more often than others",
            found=f"{repeats[0]} to {repeats[-1]} images of one slice and echo",
            expected="the same number of each",
            where=where,
            do="copy the whole series again; two reconstructions that share a series must be exported apart",
        )
    return repeats[0]


def _turns(pictures: Sequence[Picture], of: np.ndarray, levels: np.ndarray, where: object) -> np.ndarray:
    """Which repeat each image is: by temporal position, acquisition number, time and instance number, within its slice and echo."""
    places: dict[tuple[int, float], list[int]] = {}
    for i, place in enumerate(zip(of.tolist(), levels.tolist(), strict=True)):
        places.setdefault(place, []).append(i)
    turns = np.zeros(len(pictures), int)
    for members in places.values():
        members.sort(key=lambda i: _moment(pictures[i]))
        for turn, i in enumerate(members):
            turns[i] = turn
        # Images of one moment that were made in two ways are two reconstructions, not repeats.
        told_apart = len({_moment(pictures[i])[:3] for i in members}) == len(members)
        if not told_apart and len({str(pictures[i].instance.get("ImageType", "")) for i in members}) > 1:
            raise InputError(
                "duplicate_position",
                "two images lie at the same place, echo and time",
                found=f"{len(members)} images of different ImageType",
                expected="one",
                where=where,
                do="two reconstructions share a series: export them apart",
            )
    return turns


def _moment(picture: Picture) -> tuple[int, int, str, int]:
    start = "" if picture.start is None else picture.start.isoformat()
    return picture.turn[0], picture.turn[1], start, picture.turn[2]


def check_same(one: EchoStack, other: EchoStack, where: object) -> None:
    """Raises `InputError` where two stacks differ in echoes, repeats or place."""
    alike = (
        one.values.shape == other.values.shape
        and np.allclose(one.times_s, other.times_s, rtol=1e-3, atol=0)
        and np.allclose(one.grid.affine, other.grid.affine, atol=1e-2)
    )
    if not alike:
        raise InputError(
            "phase_differs",
            "the two kinds of image differ in echoes, slices or place",
            found=f"{other.values.shape} at {[f'{t * 1000:g}' for t in other.times_s]} ms",
            expected=f"{one.values.shape} at {[f'{t * 1000:g}' for t in one.times_s]} ms",
            where=where,
        )
