"""Small studies with a known truth for the quantification tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracker.image import FrameTimes, Grid, OrganMap, Quantity
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Label, Subject

START = datetime(2024, 5, 2, 10, 0, 0)


@pytest.fixture
def context() -> Context:
    """A mouse scanned 2 h after its cells."""
    return Context(
        study="demo",
        acquisition=Acquisition("m1", "d0", "pet", Path("scan"), "m1_d0"),
        subject=Subject("m1", "mouse", 25.0, group="a"),
        doses=(),
        label=Label("zr", "radionuclide"),
        first_dose_time=datetime(2024, 5, 2, 8, 0, 0),
        constants={},
        organs=Organs(density_g_per_ml={"lung": 0.3, "default": 1.05}),
        corrections=Corrections(),
    )


@pytest.fixture
def human(context: Context) -> Context:
    """The same as a person, who has a usual peak sphere."""
    return replace(context, subject=replace(context.subject, species="human"))


@pytest.fixture
def make() -> Callable[..., tuple[Quantity, OrganMap]]:
    """An image (t, z, y, x) with an organ map on one grid of 2 × 2 × 2.5 mm (0.01 mL) unless an affine is given."""

    def build(values: Any, labels: np.ndarray, names: dict[int, str], **change: Any) -> tuple[Quantity, OrganMap]:
        grid = Grid(labels.shape, change.pop("affine", np.diag([2.0, 2.0, 2.5, 1.0])))
        n = values.shape[0]
        times = FrameTimes(change.pop("origin", START), tuple(600.0 * i for i in range(n)), (600.0,) * n)
        quantity = Quantity(values, change.pop("unit", "Bq/mL"), grid, times, **change)
        return quantity, OrganMap(labels, names, grid)

    return build
