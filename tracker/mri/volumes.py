"""Which NIfTI files are one scan, and their images in order: one file of all echoes or one per echo, phase beside magnitude.

Names as BIDS (``_echo-2_part-phase_MEGRE``) and dcm2niix (``_e2_ph``) write them.
Source: BIDS 1.10, «Magnetic resonance imaging»; Li 2016 doi:10.1016/j.jneumeth.2016.03.001.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tracker.dicom.values import number
from tracker.errors import Finding, InputError
from tracker.image import Grid
from tracker.mri import echoes
from tracker.mri.tags import kind_of, nucleus_of
from tracker.nifti import nifti_grid, read_nifti
from tracker.nifti.sidecar import read_sidecar, sidecar

_PARTS = {
    "part-mag": "magnitude", "mag": "magnitude", "magnitude": "magnitude",
    "part-phase": "phase", "ph": "phase", "phase": "phase",
    "part-real": "real", "real": "real",
    "part-imag": "imaginary", "imag": "imaginary", "imaginary": "imaginary",
}  # fmt: skip
_ECHO = re.compile(r"(?:echo-?|e)(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Volume:
    """One file: ``scan`` is its folder and name without echo and part; ``kind`` and ``echo`` what its name (or sidecar) says."""

    path: Path
    scan: tuple[Path, str]
    kind: str
    echo: int | None
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Images:
    """All files of one kind as ``values`` (repeat × echo, z, y, x), lazy float32; ``times_s`` the sidecars', empty where they have none."""

    values: Any
    n_echoes: int
    times_s: tuple[float, ...]
    grid: Grid
    findings: tuple[Finding, ...]


def is_volume(path: Path) -> bool:
    """Whether a file is a NIfTI by its name."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _stem(path: Path) -> str:
    return sidecar(path).name.removesuffix(".json")


def _volume(path: Path) -> Volume:
    kind, echo, rest = "", None, []
    record = read_sidecar(path) or {}
    for token in _stem(path).split("_"):
        match = _ECHO.fullmatch(token)
        if token.lower() in _PARTS:
            kind = _PARTS[token.lower()]
        elif match:
            echo = int(match[1])
        else:
            rest.append(token)
    words = record.get("ImageType")
    return Volume(path, (path.parent, "_".join(rest)), kind or kind_of(words if isinstance(words, list) else ()), echo, record)


def nucleus_in(record: dict[str, Any]) -> str:
    """The nucleus a sidecar names; empty where it does not."""
    return nucleus_of(record.get("ImagedNucleus") or record.get("ResonantNucleus"))


def _frames(volume: Volume) -> int:
    values, _ = read_nifti(volume.path)
    return int(values.shape[0]) if values.ndim == 4 else 1


def _measurable(volumes: Sequence[Volume]) -> bool:
    """Whether files can be a scan to measure: three or more images of magnitude (or real part), or of another nucleus than hydrogen."""
    for kind in ("magnitude", "real"):
        files = [v for v in volumes if v.kind == kind]
        if files and (nucleus_in(files[0].record) not in ("", "1H") or sum(map(_frames, files)) >= echoes.FEWEST):
            return True
    return False


def choose_files(paths: Sequence[Path], named: str, where: Path) -> tuple[Volume, ...]:
    """The files of the one scan that is meant: those that go with a given file, the named ones, the only ones, or the only to measure.

    Raises `InputError` that lists the files where that is none or several.
    """
    single = where.is_file()
    scans: dict[tuple[Path, str], list[Volume]] = {}
    for path in sorted(p for p in where.parent.iterdir() if is_volume(p) or p == where) if single else sorted(paths):
        one = _volume(path)
        scans.setdefault(one.scan, []).append(one)
    if single:
        return tuple(scans[_volume(where).scan])
    if named:
        fitting = [s for key, s in scans.items() if named in (key[1], *(v.path.name for v in s), *(_stem(v.path) for v in s))]
    else:
        fitting = list(scans.values()) if len(scans) == 1 else [s for s in scans.values() if _measurable(s)]
    if len(fitting) == 1:
        return tuple(fitting[0])
    raise InputError(
        "series_ambiguous",
        "not exactly one scan could be meant",
        found=", ".join(v.path.name for s in (fitting or scans.values()) for v in s)[:500],
        expected="one multi-echo scan",
        where=where,
        do="write the file's name without its ending into the sheet's `series` column, or its path into `path`",
    )


def images_of(files: Sequence[Volume], kind: str, where: Path) -> Images | None:
    """All images of a kind in order of echo; None where there are none.

    Raises `InputError` where an echo's file is missing, there twice, of another grid or length, or lacks its echo time beside others.
    """
    chosen = sorted((v for v in files if v.kind == kind), key=lambda v: v.echo or 0)
    if not chosen:
        return None
    _check_files(chosen, where)
    grids = [nifti_grid(v.path) for v in chosen]
    stacks = [_lazy(v.path) for v in chosen]
    for grid, stack, volume in zip((g for g, _ in grids), stacks, chosen, strict=True):
        if stack.shape != stacks[0].shape or not np.allclose(grid.affine, grids[0][0].affine, atol=1e-3):
            raise InputError(
                "echo_grid_differs",
                "the echoes' files differ in shape or place",
                found=f"{volume.path.name}: {stack.shape}",
                expected=f"{chosen[0].path.name}: {stacks[0].shape}, on one grid",
                where=where,
                do="export the scan again",
            )
    values, n_echoes = _in_order(stacks)
    return Images(values, n_echoes, _times(chosen, n_echoes, where), grids[0][0], grids[0][1])


def _check_files(chosen: Sequence[Volume], where: Path) -> None:
    if len(chosen) == 1:
        return
    numbers = [v.echo for v in chosen if v.echo is not None]
    if len(set(numbers)) != len(chosen):
        raise InputError(
            "echo_count",
            "not one file per echo",
            found=", ".join(v.path.name for v in chosen)[:300],
            expected="a different echo number in every name",
            where=where,
            do="leave one file per echo, named `_echo-1`, `_echo-2` … or `_e1`, `_e2` …",
        )
    echoes.check_gap(numbers, where)


def _lazy(path: Path) -> Any:
    """A file as (t, z, y, x), float32, one image a chunk."""
    import dask.array as da

    values, _ = read_nifti(path)
    values = values if values.ndim == 4 else values[None]
    lazy = values if isinstance(values, da.Array) else da.from_array(values, chunks=(1, *values.shape[1:]), name=False)
    return lazy.astype(np.float32)


def _in_order(stacks: Sequence[Any]) -> tuple[Any, int]:
    """(repeat × echo, z, y, x), repeats slowest, and the number of echoes: in one file the fourth axis is echoes, else repeats."""
    import dask.array as da

    if len(stacks) == 1:
        return stacks[0], int(stacks[0].shape[0])
    return da.concatenate([s[t : t + 1] for t in range(stacks[0].shape[0]) for s in stacks]), len(stacks)


def _times(chosen: Sequence[Volume], n_echoes: int, where: Path) -> tuple[float, ...]:
    stated = [v.record.get("EchoTime") for v in chosen]
    if all(s is None or s == [] for s in stated):
        return ()
    listed = stated[0] if len(chosen) == 1 and isinstance(stated[0], list) else stated
    times = [number(t, "EchoTime", where) for t in listed]
    known = tuple(t for t in times if t is not None)
    if len(known) != n_echoes or len(known) != len(times):
        raise InputError(
            "echo_count" if len(chosen) == 1 else "echo_time_missing",
            "echo times and images differ in number",
            found=f"{len(known)} echo time(s), {n_echoes} image(s)",
            expected="one each",
            where=sidecar(chosen[0].path),
            do="write EchoTime [s] of every echo into the sidecars (a list for one file of all echoes)",
        )
    return known
