"""Two to four mice in one scan: each with its own weight, place, dose time and contents, on one grid, in one raw folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from tracker.image import Grid, OrganMap
from tracker.mouse import half_size_mm, mouse_labels, organ_shapes
from tracker.pet.phantom.classic import write_classic
from tracker.pet.phantom.options import NUCLIDES, ScanOptions
from tracker.pet.phantom.truth import Degradation, PetTruth, Slot, concentration_at_dose, map_fractions, scan

# Air beside the outermost animals, as a scanner's field has it.
_AIR_MM = 5.0


@dataclass(frozen=True, slots=True)
class Occupant:
    """One mouse of a bed: ``centre_mm`` (x, y, z) RAS+ of its trunk's middle, ``activity_bq`` by organ as of its own ``dose_time``."""

    weight_g: float
    centre_mm: tuple[float, float, float]
    dose_time: datetime
    activity_bq: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BedScan:
    """How the bed is scanned: ``start``, frame length, nuclide, what the console was told, and how the scanner spoils the image."""

    start: datetime
    duration_s: float
    options: ScanOptions
    how: Degradation


def bed_grid(occupants: Sequence[Occupant], voxel_mm: float) -> Grid:
    """A grid of cubic voxels that covers all animals with 5 mm of air; axes as `tracker.mouse.mouse_grid` has them."""
    half = np.array([half_size_mm(organ_shapes(o.weight_g)["body"]) for o in occupants])
    centre = np.array([o.centre_mm for o in occupants])
    low, high = (centre - half).min(axis=0) - _AIR_MM, (centre + half).max(axis=0) + _AIR_MM
    nx, ny, nz = (math.ceil(n) for n in (high - low) / voxel_mm)
    affine = np.diag([-voxel_mm, -voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = high[0], high[1], low[2]
    return Grid((nz, ny, nx), affine)


def occupant_map(occupant: Occupant, grid: Grid) -> OrganMap:
    """The organ map of one animal on the whole scan's grid."""
    moved = grid.affine.copy()
    moved[:3, 3] -= occupant.centre_mm
    return replace(mouse_labels(occupant.weight_g, Grid(grid.shape, moved)), grid=grid)


def bed_truth(occupants: Sequence[Occupant], grid: Grid, moment: datetime, nuclide: str) -> PetTruth:
    """What lies in the bed, activity decay-corrected to one ``moment``; each animal counts as one organ of uneven concentration."""
    half_life_s = NUCLIDES[nuclide][0]
    levels, amounts = [], []
    for one in occupants:
        names, fractions = map_fractions(occupant_map(one, grid))
        left = 2.0 ** (-(moment - one.dose_time).total_seconds() / half_life_s)
        held = np.array([one.activity_bq.get(name, 0.0) for name in names]) * left
        levels.append(concentration_at_dose(PetTruth(grid, names, fractions, held, half_life_s)))
        amounts.append(held.sum())
    names = tuple(f"animal{n}" for n in range(1, len(levels) + 1))
    return PetTruth(grid, names, np.stack(levels), np.array(amounts), half_life_s)


def write_bed(folder: Path, occupants: Sequence[Occupant], grid: Grid, bed: BedScan) -> None:
    """Writes the classic DICOM series of a bed; whose dose and weight the header states is the options' affair, as on a console."""
    truth = bed_truth(occupants, grid, bed.start, bed.options.nuclide)
    write_classic(folder, scan(truth, [[Slot(0.0, bed.duration_s)]], 0.0, bed.how), bed.options)
