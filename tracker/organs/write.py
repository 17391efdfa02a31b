"""The organs of a scan as files for other programs, which our own `read_organs` reads too."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from tracker.image import OrganMap
from tracker.nifti import write_nifti
from tracker.nifti.objects import beside


def write_map(path: Path, organ_map: OrganMap) -> None:
    """Writes ``path`` (.nii or .nii.gz, uint16) and a TSV ``index, name`` of the same stem; `read_organs` on the same grid gives them back.

    Equal maps give equal bytes. It does not hold how well borders are known, nor shares of voxels: those travel between stages.
    """
    write_nifti(path, organ_map.labels, organ_map.grid, np.uint16)
    table = beside(path, ".tsv")
    part = table.with_name(table.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        out.writerows([("index", "name"), *((index, name) for index, name in sorted(organ_map.names.items()) if index)])
    os.replace(part, table)
