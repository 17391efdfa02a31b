"""Contexts, images and raw files for tests of the PET and SPECT readers. Truth is computed by the tests with plain formulas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tracker.errors import Finding
from tracker.image import Grid, Quantity
from tracker.pet.calibrate import calibrate
from tracker.pet.phantom import PetImage
from tracker.pet.read import read
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Dose, Label, Subject

START = datetime(2026, 3, 2, 11, 0)
INJECTION = datetime(2026, 3, 2, 10, 0)
# ICRP 107, typed again: the table of the code is not asked.
HALF_LIFE_S = {
    "18F": 6586.2,
    "64Cu": 45720.0,
    "89Zr": 282276.0,
    "99mTc": 21654.0,
    "111In": 242326.08,
    "68Ga": 4062.6,
    "11C": 1223.4,
    "15O": 122.24,
}


def context_of(path: Path, nuclide: str = "18F", dose_time: datetime | None = INJECTION, **more: Any) -> Context:
    """What the stages know of one scan; ``more``: amount_bq, weight_g, species, constants, acquired, series, kind, assay_time."""
    known = {
        "amount_bq": 8e6,
        "weight_g": 25.0,
        "species": "mouse",
        "constants": {},
        "acquired": None,
        "series": "",
        "kind": "radionuclide",
    }
    given: dict[str, Any] = {**known, "assay_time": None, **more}
    acquisition = Acquisition("m1", "d0", "pet", path, "m1_d0", label="cells", series=given["series"], acquired=given["acquired"])
    doses = () if dose_time is None else (
        Dose("m1", dose_time, "cells", 1e6, "iv", amount=given["amount_bq"], amount_unit="Bq", assay_time=given["assay_time"]),
    )  # fmt: skip
    subject = Subject("m1", given["species"], given["weight_g"])
    label = Label("cells", given["kind"], nuclide)
    return Context("study", acquisition, subject, doses, label, dose_time or INJECTION, given["constants"], Organs(), Corrections())


def grid_of(shape: tuple[int, int, int], feet_first: bool = False) -> Grid:
    """A right-handed RAS grid with voxels of 1 × 1.5 × 2 mm, as an axial DICOM stack has it."""
    turn = 1.0 if feet_first else -1.0
    affine = np.array([[turn * 1.0, 0, 0, 12.0], [0, -1.5, 0, 7.0], [0, 0, -turn * 2.0, -30.0], [0, 0, 0, 1]])
    return Grid(shape, affine)


def image_of(level: np.ndarray, frames: Sequence[tuple[float, float]], half_life_s: float, grid: Grid | None = None) -> PetImage:
    """The scanner's view of ``level`` (z, y, x) [Bq/mL at the scan's start], frames (start, length) [s]: means over each frame."""
    rate = np.log(2) / half_life_s
    means = [level * np.exp(-rate * s) * -np.expm1(-rate * d) / (rate * d) for s, d in frames]
    start_s, duration_s = (np.repeat(np.array(v, float)[:, None], len(level), axis=1) for v in zip(*frames, strict=True))
    return PetImage(np.array(means), start_s, duration_s, grid or grid_of(level.shape))  # type: ignore[arg-type]


def flat(slices: int = 4, rows: int = 3, columns: int = 5) -> np.ndarray:
    """Slices of one value each, 20000, 40000, …: what int16 with a slope of its own holds to ten digits."""
    return np.broadcast_to(2e4 * np.arange(1, slices + 1)[:, None, None], (slices, rows, columns)).astype(float)


def uneven(slices: int = 4, rows: int = 3, columns: int = 5) -> np.ndarray:
    """Every voxel another value, every slice another maximum."""
    return np.arange(1.0, slices * rows * columns + 1).reshape(slices, rows, columns) ** 2 * 10


def calibrated(path: Path, context: Context) -> Quantity:
    """Raw files → Bq/mL, as the stage does it."""
    return calibrate(read(path, context.acquisition.series, context), context)


def statuses(findings: Iterable[Finding]) -> dict[str, str]:
    return {f.check: f.status for f in findings}
