"""Small scans of a relaxation rate for the report's pictures: air, tissue, a liver, a spleen."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from tracker.image import FrameTimes, Grid, OrganMap, Quantity

SHAPE = (24, 16, 20)
TISSUE, LIVER, SPLEEN = 30.0, 60.0, 45.0
NAMES = {1: "rest", 2: "liver", 3: "spleen"}


def labels_of(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A body with air around it, a large liver and a small spleen beside it; the organs' centres are at shares of the shape."""
    z, y, x = (index / n for index, n in zip(np.indices(shape), shape, strict=True))
    labels = np.zeros(shape, np.int16)
    labels[(np.abs(y - 0.5) < 0.4) & (np.abs(x - 0.5) < 0.4) & (np.abs(z - 0.5) < 0.45)] = 1
    labels[(z - 0.6) ** 2 + (y - 0.5) ** 2 + (x - 0.35) ** 2 < 0.2**2] = 2
    labels[(z - 0.4) ** 2 + (y - 0.4) ** 2 + (x - 0.75) ** 2 < 0.09**2] = 3
    return labels


def rate_scan(
    day: float = 0.0, rise: dict[int, float] | None = None, shape: tuple[int, int, int] = SHAPE, above: np.ndarray | None = None
) -> tuple[Quantity, OrganMap]:
    """One scan without noise, NaN in air; ``rise`` [1/s] by label; ``above`` are voxels beyond what could be told (500/s)."""
    labels = labels_of(shape)
    values = np.full(shape, np.nan, np.float32)
    for index, rate in ((1, TISSUE), (2, LIVER), (3, SPLEEN)):
        values[labels == index] = rate + (rise or {}).get(index, 0.0)
    beyond = np.isnan(values) if above is None else above | np.isnan(values)
    values[beyond] = np.nan
    grid = Grid(shape, np.diag([0.5, 0.5, 0.5, 1.0]))
    times = FrameTimes(datetime(2026, 1, 1) + timedelta(days=day), (0.0,), (600.0,))
    limit = np.where(labels > 0, 500.0, np.nan)[None]
    quantity = Quantity(values[None], "1/s", grid, times, "relaxation_rate", censored=beyond[None], limit=limit)
    return quantity, OrganMap(labels, dict(NAMES), grid)
