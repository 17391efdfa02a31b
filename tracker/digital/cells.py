"""Where a digital animal's cells and their label are: `tracker.kinetics`, spread over the organs of the mouse's map.

Each organ of the map holds its share of a compartment by volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tracker import kinetics
from tracker.digital.study import Animal, DigitalStudy, generator
from tracker.errors import InputError
from tracker.image import OrganMap, voxel_volume_ml
from tracker.mouse import mouse_grid, mouse_labels
from tracker.study.rows import Subject

# Compartment of the cell model -> organs of the map. Blood and the rest are spread over all organs that are not named.
_HOMES = {"lung": ("lung_left", "lung_right"), "liver": ("liver",), "spleen": ("spleen",), "kidney": ("kidney_left", "kidney_right")}


@dataclass(frozen=True, slots=True)
class OrganContents:
    """What the organs of a map really hold at one time, arrays by organ.

    ``volume_ml`` of the voxels; ``cells`` alive; ``label_cells`` all label, in units of what a cell held at the dose, decay aside;
    ``share_per_cell`` how much of its first label one live cell still holds.
    """

    names: tuple[str, ...]
    volume_ml: np.ndarray
    cells: np.ndarray
    label_cells: np.ndarray
    share_per_cell: float


def animal_map(digital: DigitalStudy, subject: Subject) -> OrganMap:
    """The organ map of an animal: a mouse of its weight on voxels of the study's size."""
    return mouse_labels(subject.body_weight_g, mouse_grid(subject.body_weight_g, digital.voxel_mm))


def animal_rates(digital: DigitalStudy, subject: Subject) -> kinetics.CellRates:
    """An animal's own rates: the mouse's for its weight and group, each with a log-normal factor from the seed."""
    rates = kinetics.mouse_rates(subject.body_weight_g, injured=subject.group == digital.injured_group)
    rng = generator(digital, subject.subject, "rates")
    spread = digital.variation_percent / 100.0

    def vary(organ: kinetics.OrganRates) -> kinetics.OrganRates:
        arrest, release, death = (float(f) for f in np.exp(spread * rng.standard_normal(3)))
        extraction = min(organ.extraction * arrest, 1.0)
        return replace(organ, extraction=extraction, release_per_h=organ.release_per_h * release, death_per_h=organ.death_per_h * death)

    return replace(
        rates,
        lung=vary(rates.lung),
        liver=vary(rates.liver),
        spleen=vary(rates.spleen),
        kidney=vary(rates.kidney),
        rest=vary(rates.rest),
    )


def organ_shares(volumes_ml: Mapping[str, float]) -> np.ndarray:
    """Which share of each compartment an organ of the map holds, (6, organ); rows add up to 1. By volume within a compartment."""
    names = list(volumes_ml)
    named = {organ for organs in _HOMES.values() for organ in organs}
    others = [n for n in names if n not in named]
    shares = np.zeros((len(kinetics.COMPARTMENTS), len(names)))
    for row, compartment in enumerate(kinetics.COMPARTMENTS):
        homes = _HOMES.get(compartment, others)
        total_ml = sum(volumes_ml[n] for n in homes)
        shares[row, [names.index(n) for n in homes]] = [volumes_ml[n] / total_ml for n in homes]
    return shares


def label_fate(animal: Animal) -> kinetics.LabelFate:
    """What happens to an animal's cells and label wherever they are, as its sheets say: division, loss, free label."""
    label, dose = animal.label, animal.dose
    divides = kinetics.per_h(label.doubling_time_h) if label.dilutes else 0.0
    return kinetics.LabelFate(kinetics.per_h(label.retention_half_time_h), divides, (dose.free_label_percent or 0.0) / 100.0)


def organ_contents(digital: DigitalStudy, animal: Animal, organs: OrganMap, time_h: float) -> OrganContents:
    """Cells and label in each organ of a map ``time_h`` after the dose; none before it.

    Raises InputError ``phantom_config`` where voxels are so coarse that an organ has none: its cells would be lost.
    """
    names = tuple(organs.names.values())
    volumes = [float(np.sum(organs.labels == n)) * voxel_volume_ml(organs.grid) for n in organs.names]
    if min(volumes) == 0:
        lost = [n for n, v in zip(names, volumes, strict=True) if v == 0]
        raise InputError(
            "phantom_config", "voxels are too coarse for organs", found=lost, expected="smaller voxel_mm", where=animal.subject.subject
        )
    none = np.zeros(len(names))
    if time_h < 0:
        return OrganContents(names, np.array(volumes), none, none, 1.0)
    shares, fate = organ_shares(dict(zip(names, volumes, strict=True))), label_fate(animal)
    course = kinetics.simulate(animal_rates(digital, animal.subject), animal.dose.cells, [time_h], fate)
    label = kinetics.label_in_organs(course)[0] @ shares
    share_per_cell = float(np.exp(-(fate.division_per_h + fate.elution_per_h) * time_h))
    return OrganContents(names, np.array(volumes), course.live_cells[0] @ shares, label, share_per_cell)
