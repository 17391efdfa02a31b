"""Do organs of a DICOM file belong to this scan: frame of reference, series, and one organ a voxel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Grid

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM's patient axes to ours


def check_frame_of_reference(found: str, grid: Grid, where: str) -> tuple[Finding, ...]:
    """Raises `InputError` ``frame_of_reference_mismatch`` where organs and scan do not share patient coordinates.

    A scan without a frame of reference (a format that has none) gets a finding instead: nothing can be compared.
    """
    if not grid.frame_of_reference_uid:
        return (Finding("frame_of_reference_unknown", "warn", "the scan has no frame of reference to compare the organs' with"),)
    if found != grid.frame_of_reference_uid:
        what = "the organs were drawn in another frame of reference than the scan's"
        do = "draw them on this scan, or register and export them in its frame of reference"
        expected = grid.frame_of_reference_uid
        raise InputError("frame_of_reference_mismatch", what, found=found or "none", expected=expected, where=where, do=do)
    return ()


def check_series(series_uids: Collection[str], scan_uid: str) -> tuple[Finding, ...]:
    """A finding where the file says that its organs were drawn on another series of the same frame of reference."""
    if not scan_uid or not series_uids or scan_uid in series_uids:
        return ()
    return (Finding("organs_of_other_series", "warn", "drawn on another series of the same frame of reference: check the overlay"),)


class Paint:
    """Labels (z, y, x) uint16 filled organ by organ; remembers which organs wanted the same voxel."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.labels = np.zeros(shape, dtype=np.uint16)
        self._twice: Counter[tuple[int, int]] = Counter()

    def add(self, index: int, z: int, mask: np.ndarray) -> None:
        """Gives the voxels of ``mask`` (y, x) in slice ``z`` to organ ``index``."""
        plane = self.labels[z]
        taken = plane[mask]
        for other, n in zip(*np.unique(taken[(taken != 0) & (taken != index)], return_counts=True), strict=True):
            self._twice[(int(other), index)] += int(n)
        plane[mask] = index

    def check(self, names: Mapping[int, str], where: str) -> None:
        """Raises `InputError` ``overlapping_organs``: a voxel in two organs would have its activity counted twice."""
        if self._twice:
            found = ", ".join(f"{names[a]} and {names[b]}: {n} voxels" for (a, b), n in sorted(self._twice.items()))
            do = "export only the organs to measure, without overlap (a body outline holds all others)"
            raise InputError("overlapping_organs", "a voxel belongs to two organs", found=found, where=where, do=do)
