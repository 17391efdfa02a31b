"""A synthetic but realistic study for the report: four mice in two groups, thirteen organs, five scans."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import pytest

from tracker.image import FrameTimes, Grid, OrganMap, Quantity
from tracker.qc import QcRow
from tracker.table import Row

TIMES_H = (1.0, 4.0, 24.0, 72.0, 168.0)
SUBJECTS = {"m01": "MSC", "m02": "MSC", "m03": "control", "m04": "control"}
# organ: mass [g], %ID at first, %ID at last, rate between the two [1/h]
ORGANS = {
    "brain": (0.45, 0.1, 0.05, 0.02),
    "heart": (0.14, 1.1, 0.2, 0.06),
    "lung_left": (0.06, 22.0, 1.5, 0.05),
    "lung_right": (0.09, 33.0, 2.2, 0.05),
    "liver": (1.3, 14.0, 38.0, 0.04),
    "spleen": (0.09, 1.2, 4.0, 0.03),
    "kidney_left": (0.17, 1.3, 0.8, 0.02),
    "kidney_right": (0.17, 1.4, 0.9, 0.02),
    "stomach": (0.2, 0.4, 0.2, 0.02),
    "gut": (1.9, 2.0, 3.0, 0.1),
    "bladder": (0.1, 2.5, 0.1, 0.2),
    "femur_left": (0.07, 0.2, 0.6, 0.03),
    "femur_right": (0.07, 0.2, 0.6, 0.03),
}


def _rows_of(subject: str, number: int, time_h: float) -> list[Row]:
    rng = np.random.default_rng([number, int(time_h)])
    real_h, scale = time_h * 1.01 + 0.05 * number, 1.0 + 0.1 * math.sin(number * 2.1)
    rows = []
    for organ, (mass, first, last, rate) in ORGANS.items():
        share = (last + (first - last) * math.exp(-rate * real_h)) * scale * (1.3 if number > 2 else 1.0)
        percent = share * float(rng.normal(1.0, 0.05))
        for quantity, unit, factor in (
            ("label_amount", "Bq", 5e4),
            ("injected_percent", "%", 1.0),
            ("injected_percent_per_g", "%/g", 1 / mass),
            ("suv", "g/mL", 0.25 / mass),
            ("cells_equivalent", "cells", 1e4),
        ):
            value, censored = percent * factor, organ == "brain" and time_h > 24
            missing = (organ, subject, time_h) == ("stomach", "m02", 24.0)
            flag = ("assumed_all_live",) if unit == "cells" else ()
            rows.append(
                Row(
                    "msc_lung_homing", subject, SUBJECTS[subject], f"{time_h:g}h", "pet", "zr89", organ, real_h, real_h - 0.1, real_h + 0.1,
                    quantity, None if missing else value, unit,
                    sd_noise=0.05 * abs(value), sd_scale=0.06 * abs(value) if quantity != "cells_equivalent" or number != 2 else None,
                    lloq=0.06 * factor, cens=int(censored), n_voxels=100, mass_g=mass, flag=flag,
                )
            )  # fmt: skip
    return rows


@pytest.fixture(scope="session")
def rows() -> tuple[Row, ...]:
    """The table of a study whose last scan of m04 was set aside."""
    scans = [(s, n, t) for n, s in enumerate(SUBJECTS, start=1) for t in TIMES_H if (s, t) != ("m04", 168.0)]
    return tuple(row for scan in scans for row in _rows_of(*scan))


@pytest.fixture(scope="session")
def findings() -> tuple[QcRow, ...]:
    """Checks of all kinds, one of them hostile."""
    study = "msc_lung_homing"
    found = [
        QcRow(study, s, f"{t:g}h", "pet", "ingest", "raw_files", "ok", "159 file(s), 18331232 bytes") for s in SUBJECTS for t in TIMES_H
    ]
    found.append(QcRow(study, "m02", "24h", "pet", "calibrate", "half_life", "warn", "header says 78.4 h <script>alert(1)</script>"))
    found.append(
        QcRow(
            study, "m04", "168h", "pet", "calibrate", "missing_slice", "fail", "the series has a gap; found 158 slices; do: export it again"
        )
    )
    return tuple(found)


def mouse_scan(affine: np.ndarray, shape: tuple[int, int, int] = (40, 24, 24)) -> tuple[Quantity, OrganMap]:
    """A cold body with one hot ball of label 2 near voxel (z, y, x) = (30, 12, 5), and a cold ball of label 7 in the middle."""
    z, y, x = np.indices(shape)
    hot = (z - 30) ** 2 + (y - 12) ** 2 + (x - 5) ** 2 <= 9
    cold = (z - 15) ** 2 + (y - 12) ** 2 + (x - 12) ** 2 <= 16
    values = np.where(hot, 5e4, np.where(cold, 5e3, 1e3)).astype(np.float32)[None]
    grid = Grid(shape, affine)
    labels = np.where(hot, 2, np.where(cold, 7, 0)).astype(np.int16)
    times = FrameTimes(datetime(2026, 1, 1), (0.0,), (600.0,))
    return Quantity(values, "Bq/mL", grid, times), OrganMap(labels, {2: "spleen", 7: "liver"}, grid)
