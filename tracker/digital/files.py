"""The files of a digital scan beside its own format: organ map and truth; and room for them, never at the cost of real data."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from tracker.errors import InputError
from tracker.image import Grid, OrganMap


def write_nifti(path: Path, array: np.ndarray, grid: Grid) -> None:
    """An array (…, z, y, x) as NIfTI at ``path``, its numbers as they are."""
    # NIfTI's axis order is the reverse of ours; transposing a C array gives NIfTI's own order in memory.
    image = nib.Nifti1Image(array.T, grid.affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm", "sec")  # type: ignore[no-untyped-call]
    nib.save(image, path)


def write_organs(path: Path, organs: OrganMap) -> Path:
    """An organ map as NIfTI at ``path`` (``….nii.gz``), with the table ``index, name`` beside it as ``….tsv``; returns the table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, organs.labels.astype(np.int16), organs.grid)
    table = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".tsv")
    table.write_text("index\tname\n" + "".join(f"{n}\t{name}\n" for n, name in organs.names.items()), encoding="utf-8")
    return table


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
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text("The files in this folder and its organ map are digital: the next run makes them anew.\n", encoding="utf-8")


def write_truth(path: Path, kind: type[Any], rows: Sequence[Any]) -> None:
    """Writes the rows, dataclasses of ``kind``, as CSV with its fields as header; whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([f.name for f in fields(kind)])
        out.writerows([f"{v:.9g}" if isinstance(v, float) else v for v in astuple(row)] for row in rows)
    os.replace(part, path)
