"""Which click folders one scan is made of: a single click, or the clicks of a kinetic series or a series of filters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tracker.bli.camera import same
from tracker.bli.click import Opened
from tracker.bli.clickinfo import block_of, decode, find_file, is_click, parse_blocks, read_click_text
from tracker.errors import Finding, InputError

# The vendor's own unmixed images: derived from the others, no measurement.
_DERIVED = re.compile(r"UMX|unmix", re.IGNORECASE)
_SEQUENCE_FILE = "SequenceInfo.txt"
# Animals stay under the camera for an hour or two; clicks further apart are not of one series.
_LONGEST_S = 4 * 3600.0


def click_folders(path: Path) -> tuple[Path, ...]:
    """The click folders of a path: itself, or those right below it; without the vendor's own derived images."""
    if is_click(path):
        return (path,)
    below = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")) if path.is_dir() else []
    return tuple(p for p in below if is_click(p) and not is_derived(p))


def is_derived(folder: Path) -> bool:
    """Whether a click folder holds what the vendor's software made of other clicks."""
    return _DERIVED.search(folder.name) is not None


def choose_clicks(path: Path, series: str) -> tuple[Path, ...]:
    """The click folders that a sheet's row means. ``series``: a folder's name or click number, empty for all.

    Raises `InputError`: ``not_a_click`` where there is none, ``series_unknown`` where none has that name.
    """
    folders = click_folders(path)
    if not folders:
        there = ", ".join(sorted(p.name for p in path.iterdir())[:8]) if path.is_dir() else "no such folder"
        raise InputError("not_a_click", "there is no click folder here", found=there or "an empty folder", expected="ClickInfo.txt in the "
                         "folder or in folders right below it", where=path, do="`celltracker scan` lists click folders")  # fmt: skip
    if not series:
        return folders
    chosen = tuple(p for p in folders if series in (p.name, _number(p)))
    if not chosen:
        raise InputError("series_unknown", "no click has this name", found=repr(series), expected=", ".join(p.name for p in folders),
                         where=path, do="write a click folder's name into the sheet's `series` column")  # fmt: skip
    return chosen


def _number(folder: Path) -> str:
    block = block_of(read_click_text(folder), "ClickNumber")
    return block.file if block is not None else ""


def check_one_series(path: Path, clicks: Sequence[Opened]) -> tuple[Finding, ...]:
    """What is to be said of clicks that are read as one series. Raises `InputError` (``series_ambiguous``) where they are not one.

    They are one where the camera wrote a ``SequenceInfo.txt`` beside them; else where nothing contradicts it: one field of view, no two
    names for the animals, all within four hours. That the sheet names their folder is then what is gone by, which is said.
    """
    listed = find_file(path, _SEQUENCE_FILE)
    if listed is not None:
        return _complete(listed, clicks)
    if len(clicks) < 2:
        return ()
    why = []
    if any(not same(c.settings.field_of_view_cm, clicks[0].settings.field_of_view_cm) for c in clicks):
        why.append("fields of view differ")
    if len({c.text.animals for c in clicks if c.text.animals}) > 1:
        why.append("their labels name different animals")
    starts = [c.settings.start for c in clicks if c.settings.start is not None]
    if starts and (max(starts) - min(starts)).total_seconds() > _LONGEST_S:
        why.append(f"they lie {(max(starts) - min(starts)).total_seconds() / 3600:.1f} h apart")
    if why:
        names = ", ".join(c.text.folder.name for c in clicks)
        raise InputError("series_ambiguous", f"the clicks of this folder are not one series: {' and '.join(why)}", found=names,
                         expected="one click, or the clicks of one series", where=path,
                         do="write one click's folder name into the sheet's `series` column, or its path into `path`")  # fmt: skip
    if named_as_series(path, [c.text.folder for c in clicks]):
        return (Finding("series", "ok", f"{len(clicks)} clicks are read as one series, by the names of their folders"),)
    said = f"{len(clicks)} clicks are read as one series since the sheet names their folder: neither {_SEQUENCE_FILE} nor names say so"
    return (Finding("series", "warn", said),)


def named_as_series(path: Path, folders: Sequence[Path]) -> bool:
    """Whether the camera says that these clicks are one series: by its file, or as it names the folders (X_SEQ with X_001, X_002)."""
    if find_file(path, _SEQUENCE_FILE) is not None or path.name.upper().endswith("_SEQ"):
        return True
    stems = {found[1] if (found := re.fullmatch(r"(.+)_\d{2,4}", p.name)) else "" for p in folders}
    return len(stems) == 1 and "" not in stems


def _complete(listed: Path, clicks: Sequence[Opened]) -> tuple[Finding, ...]:
    """A warning where the sequence lists more clicks than there are folders: one was not copied."""
    blocks = parse_blocks(decode(listed), listed)
    keys = [k for b in blocks for k, _ in (*b.entries, (b.name, b.file)) if re.fullmatch(r"ClickNumber\s*#?\d+", k, re.IGNORECASE)]
    if len(set(keys)) <= len(clicks):
        return ()
    why = f"{_SEQUENCE_FILE} lists {len(set(keys))} clicks, {len(clicks)} are here: the series is not complete"
    return (Finding("series_incomplete", "warn", why),)
