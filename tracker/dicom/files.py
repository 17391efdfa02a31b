"""Which files of a raw folder are DICOM, and why the others are not read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import InputError

# Files that file managers and exporters leave behind; never images.
_LITTER = {".ds_store", "thumbs.db", "desktop.ini", "dicomdir"}
# Inflating a deflated file costs up to 2000 times its size in memory before a single tag can be looked at.
_DEFLATED_UID = b"1.2.840.10008.1.2.1.99"
_HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file that is not read, and why: ``reason`` is a short stable word, ``detail`` for people."""

    path: Path
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The DICOM files under a folder, sorted by path, and the dropped ones."""

    files: tuple[Path, ...]
    dropped: tuple[Dropped, ...]


def _stray_link(path: Path, root: Path) -> Dropped | None:
    """Why a link is not followed: it is broken, closes a loop, or leads out of ``root``; None where it may be."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return Dropped(path, "broken_link", "the link leads nowhere or to itself")
    inside = target.is_relative_to(root)
    return None if inside else Dropped(path, "link_outside", "the link leads out of the folder: name the folder it leads to")


def _entries(folder: Path, root: Path, seen: set[tuple[int, int]]) -> Iterator[Path | Dropped]:
    """Files below ``folder`` in name order, and what is not followed: links that leave ``root`` or close a loop, closed folders."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError as error:
        yield Dropped(folder, "unreadable", error.strerror or "")
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        path = Path(entry.path)
        stray = _stray_link(path, root) if entry.is_symlink() else None
        if stray is not None:
            yield stray
        elif entry.is_dir():
            yield from _entries(path, root, seen)
        elif entry.is_file():
            yield path


def _refusal(path: Path | Dropped) -> Dropped | None:
    """Why a file cannot be a DICOM image, from its name and first bytes; None where it may be one."""
    if isinstance(path, Dropped):
        return path
    if path.name.lower() in _LITTER or path.name.startswith("._"):
        return Dropped(path, "litter")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        return Dropped(path, "unreadable", error.strerror or "")
    if not head:
        return Dropped(path, "empty", "0 bytes")
    if head[128:132] != b"DICM":
        return Dropped(path, "not_dicom", "no DICM preamble at byte 128")
    if _DEFLATED_UID in head:
        return Dropped(path, "deflated", "deflated transfer syntax: write it uncompressed (dcmconv +te)")
    return None


def walk(path: Path) -> FolderFiles:
    """The DICOM files at ``path``, a file or a folder walked to the bottom, and every other file with the reason it is dropped.

    Links that lead out of the folder are not followed. Raises `InputError` where the path does not exist.
    """
    if not path.exists():
        raise InputError("path_missing", "the path does not exist", found=path.name, expected="a file or a folder", where=path)
    candidates = [path] if path.is_file() else list(_entries(path, path.resolve(), set()))
    judged = [(c, _refusal(c)) for c in candidates]
    return FolderFiles(
        tuple(c for c, refusal in judged if refusal is None and not isinstance(c, Dropped)),
        tuple(refusal for _, refusal in judged if refusal is not None),
    )
