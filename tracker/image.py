"""The objects that stages hand to one another: a scan as read, a quantity as calibrated, an organ map.

They hold data and metadata only; what can be done with them lives in the other files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tracker.errors import Finding


@dataclass(frozen=True, slots=True)
class Grid:
    """Where voxels are: ``shape`` (z, y, x) and ``affine``, 4 × 4, from voxel index (x, y, z, 1) to RAS+ [mm].

    ``frame_of_reference_uid`` ties scans that share patient coordinates; empty where the format has none.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    frame_of_reference_uid: str = ""


def voxel_volume_ml(grid: Grid) -> float:
    """Volume of one voxel [mL]: |det| of the affine's 3 × 3 part, so that oblique grids are right too.

    >>> voxel_volume_ml(Grid((1, 1, 1), np.diag([2.0, 2.0, 2.5, 1.0])))
    0.01
    """
    return float(round(abs(np.linalg.det(grid.affine[:3, :3])), 12)) / 1000.0


def voxel_size_mm(grid: Grid) -> tuple[float, float, float]:
    """Edge lengths of a voxel along (z, y, x) [mm]: the lengths of the affine's columns, in array order."""
    x, y, z = np.linalg.norm(grid.affine[:3, :3], axis=0)
    return float(z), float(y), float(x)


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """When frames were measured: ``origin``, wall clock of the scan's start, and per frame start and duration [s]."""

    origin: datetime
    start_s: tuple[float, ...]
    duration_s: tuple[float, ...]


def frame_middle(times: FrameTimes, frame: int) -> datetime:
    """Wall clock of the middle of a frame."""
    return times.origin + timedelta(seconds=times.start_s[frame] + times.duration_s[frame] / 2)


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan as its modality's ``read`` gives it.

    ``values`` (t, z, y, x), NumPy or dask (lazy until a stage needs it), rescaled but in the maker's own ``unit``; where the
    scanner took several images at one time (echoes), the first axis is those images, and ``header`` says what they are. ``header``
    is the modality's own frozen dataclass with what its ``calibrate`` needs; ``findings`` what reading noted.
    """

    values: Any
    unit: str
    grid: Grid
    times: FrameTimes
    header: Any
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversion:
    """What turns an image's own value into label: concentration [``unit``] = value × ``factor``, with the factor's relative sd.

    ``scale_cv`` is shared by all values of a study, None where nobody stated it. ``flags`` go onto every row made with it.
    """

    factor: float
    unit: str
    scale_cv: float | None
    method: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a scan measured, in a unit that organs can be averaged in, at the middle of each frame.

    ``values`` (t, z, y, x), NaN where nothing could be measured; ``sd_voxel`` the same shape, or None where the noise must be
    read from the image itself; ``scale_cv`` the relative standard deviation that all voxels share (calibration), None where
    nobody stated it. ``kind`` says what a sum over voxels means: ``concentration`` (amount per mL; amount = Σ value × volume) or
    ``relaxation_rate`` (1/s, the tissue's own and the label's on top; ``conversion`` makes it a concentration).
    ``censored`` (t, z, y, x), true where the voxel's value is above what could be told, or None; ``limit`` the highest value
    that could have been told there, NaN where that is not known. ``maps`` are further images by name, (z, y, x) or (t, z, y, x) on
    the same grid, and ``facts`` numbers of the scan by name: for people to look at and for the modality's own ``measure``.
    Any other ``kind`` is one that only the modality's own ``measure`` can turn into organ values.
    """

    values: Any
    unit: str
    grid: Grid
    times: FrameTimes
    kind: str = "concentration"
    sd_voxel: Any = None
    scale_cv: float | None = None
    method: str = ""
    findings: tuple[Finding, ...] = ()
    conversion: Conversion | None = None
    censored: Any = None
    limit: Any = None
    maps: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrganMap:
    """Which organ a voxel belongs to: ``labels`` (z, y, x) integers, 0 is none; ``names`` index → organ.

    ``boundary_sd_mm``: by index, how far an organ's border may lie from where it was put (one standard deviation) [mm]; an index
    that is not there has a border that nobody doubts or stated. ``shares``: by index, which share of each voxel is the organ's
    (z, y, x), 0 to 1, where borders run through voxels or organs overlap (regions of planar images); then ``labels`` is for the eye.
    """

    labels: np.ndarray
    names: dict[int, str]
    grid: Grid
    method: str = "segmentation"
    findings: tuple[Finding, ...] = field(default=())
    boundary_sd_mm: Mapping[int, float] = field(default_factory=dict)
    shares: Mapping[int, np.ndarray] = field(default_factory=dict)
