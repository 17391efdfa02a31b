"""Room for a digital scan's files: what an earlier run wrote is removed, anything else is never touched."""

from __future__ import annotations

from pathlib import Path

from tracker.errors import InputError


def make_room(folder: Path, organs: Path | None) -> None:
    """An empty ``folder``, with a note ``….phantom`` beside it that its files are digital and may be made anew.

    A smaller series would otherwise leave slices of the last run behind. Raises InputError where folder or organ map is there
    without the note: these may be somebody's data.
    """
    note = folder.with_name(folder.name + ".phantom")
    taken = [p for p in (folder, organs) if p is not None and p.exists()]
    if taken and not note.is_file():
        do = "remove phantom: from the config if the data are real, or name other paths"
        raise InputError("phantom_would_overwrite", "a digital study does not write over files that are not its own", found=taken[0], do=do)
    for path in folder.iterdir() if folder.is_dir() else ():
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text("The files in this folder and its organ map are digital: the next run makes them anew.\n", encoding="utf-8")
