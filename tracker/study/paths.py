"""Whether the files that the sheets name are there, checked before any job starts."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from tracker.errors import InputError
from tracker.study.draft import Draft, Placed
from tracker.study.near import ask_near, listed
from tracker.study.rows import Acquisition

# Left behind by desktops and file servers: nobody means them.
_NOT_DATA = ("desktop.ini", "thumbs.db")


def check_paths_exist(draft: Draft) -> list[InputError]:
    """An error for each scan and organ map that is not there, and one for each folder whose content and sheet differ."""
    rows = draft.acquisitions
    errors = [e for one in rows for e in (*_missing(one, "path", one.row.path), *_missing(one, "organs", one.row.organs))]
    return errors + _folders([one.row for one in rows], draft.tables["acquisitions"].shown)


def _missing(one: Placed[Acquisition], column: str, path: Path | None) -> list[InputError]:
    # os.path.exists: False, not an exception, for names that are too long or folders that may not be read.
    if path is None or os.path.exists(path):  # noqa: PTH110
        return []
    text, where = str(one.record.values[column]), one.record.at(column)
    part = path
    while not os.path.exists(part.parent):  # noqa: PTH110
        part = part.parent
    names = _content(part.parent)
    what = f"there is no {part.name} in the folder {part.parent.name or part.parent}"
    do = ask_near(part.name, names) if names else "check the path; it is relative to the config file"
    return [InputError("missing_path", what, found=repr(text), expected=listed(names) or "a file or folder", where=where, do=do)]


def _content(folder: Path) -> list[str]:
    """Names in a folder, hidden and system files left out; empty where it cannot be read."""
    try:
        names = [one.name for one in folder.iterdir()]
    except OSError:
        return []
    return sorted(name for name in names if not name.startswith(".") and name.lower() not in _NOT_DATA)


def _folders(rows: list[Acquisition], shown: str) -> list[InputError]:
    """Both lists for each folder in which a scan is missing: what the sheet says, and what is there."""
    by_folder: dict[Path, list[str]] = defaultdict(list)
    for row in rows:
        by_folder[row.path.parent].append(row.path.name)
    errors = []
    for folder, names in by_folder.items():
        said, there = sorted(set(names)), _content(folder)
        if there and not set(said) <= set(there):
            only_said, only_there = [n for n in said if n not in there], [n for n in there if n not in said]
            what = f"the sheet and the folder {folder.name} differ; only in the sheet: {listed(only_said)}"
            what += f"; only in the folder: {listed(only_there) or 'none'}"
            found, expected = f"{len(there)} in the folder: {listed(there)}", f"{len(said)} as in the sheet: {listed(said)}"
            errors.append(InputError("folder_differs", what, found=found, expected=expected, where=f"{shown}, column path"))
    return errors
