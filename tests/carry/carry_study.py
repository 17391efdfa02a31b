"""Studies of one digital mouse over two sessions: PET and CT written as raw files, organs drawn in the first session alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tracker.digital import write_organs
from tracker.digital.anatomy import AnatomyScan, Placement, posed_fractions, posed_labels, scanned, wide_grid, write_anatomy
from tracker.image import Grid
from tracker.mouse import ORGANS, organ_volumes_ml
from tracker.pet.phantom.classic import write_classic
from tracker.pet.phantom.options import ScanOptions
from tracker.pet.phantom.truth import Degradation, PetTruth, Slot, scan
from tracker.study import Study, load_study

DOSE = datetime(2026, 3, 2, 9, 0)
DOSE_BQ = 5e6
HALF_LIFE_S = 282276.0
# Relative uptake [1/mL].
UPTAKE = {
    "brain": 1, "heart": 8, "lung_left": 50, "lung_right": 50, "liver": 40, "spleen": 60, "stomach": 2, "gut": 3, "kidney_left": 20,
    "kidney_right": 20, "bladder": 80, "bone": 3, "rest": 1,
}  # fmt: skip
STILL = Placement((3.0, -4.0, 5.0), (1.0, -1.5, 2.0), 0.8, 0.3)
MOVED = Placement((-4.0, 3.0, -5.0), (-1.5, 1.0, -2.5), 1.1, 2.1)
PET_MM, CT_MM = 1.2, 0.9


@dataclass(frozen=True, slots=True)
class Day:
    """One session. ``drawn``: what the organs are drawn on, ``pet`` or ``ct``, or nothing; ``ct`` how it is scanned, None: not at all.

    ``apart_mm``: how far the CT's coordinates are from the PET's, which then is of another frame of reference.
    """

    name: str
    hours: float
    weight_g: float = 25.0
    lies: Placement = STILL
    drawn: str = ""
    ct: AnatomyScan | None = field(default_factory=AnatomyScan)
    apart_mm: tuple[float, float, float] | None = None
    stated_g: float | None = None


FIRST = Day("d0", 24.0, drawn="ct")
LATER = Day("d1", 48.0, 26.0, MOVED)


def held_bq(weight_g: float, uptake: Mapping[str, float] = UPTAKE) -> dict[str, float]:
    """What each organ holds, as of the dose."""
    volumes = organ_volumes_ml(weight_g)
    parts = {organ: uptake[organ] * volumes[organ] for organ in ORGANS}
    return {organ: DOSE_BQ * part / sum(parts.values()) for organ, part in parts.items()}


def frame_uid(day: Day, other: bool = False) -> str:
    return f"1.2.826.0.1.{sum(map(ord, day.name))}{'.9' if other else ''}"


def pet_grid(day: Day) -> Grid:
    return wide_grid(PET_MM, frame=frame_uid(day))


def ct_grid(day: Day) -> Grid:
    grid = wide_grid(CT_MM, frame=frame_uid(day, day.apart_mm is not None))
    if day.apart_mm is None:
        return grid
    # The animal lies where it lies: the scanner's origin is elsewhere.
    affine = grid.affine.copy()
    affine[:3, 3] += day.apart_mm
    return Grid(grid.shape, affine, grid.frame_of_reference_uid)


def write_day(root: Path, day: Day) -> None:
    """The raw files of a session, and its organ map."""
    grid = pet_grid(day)
    held = held_bq(day.weight_g)
    truth = PetTruth(grid, ORGANS, posed_fractions(day.weight_g, grid, day.lies), np.array([held[n] for n in ORGANS]), HALF_LIFE_S)
    slot = Slot(day.hours * 3600.0, 1200.0)
    image = scan(truth, [[slot]], slot.start_s, Degradation(psf_fwhm_mm=1.2, noise_percent=5.0, noise_fwhm_mm=1.5, seed=int(day.hours)))
    options = ScanOptions(DOSE + timedelta(hours=day.hours), DOSE, dose_bq=DOSE_BQ, weight_kg=day.weight_g / 1000, patient_id="m1")
    write_classic(root / f"raw/{day.name}/pet", image, options)
    if day.ct is not None:
        space = wide_grid(CT_MM)
        how = replace(day.ct, start=DOSE + timedelta(hours=day.hours - 0.2), frame=ct_grid(day).frame_of_reference_uid, seed=int(day.hours))
        write_anatomy(root / f"raw/{day.name}/ct", scanned(day.weight_g, space, day.lies, how), ct_grid(day), how)
    if day.drawn:
        drawn_on = wide_grid(CT_MM) if day.drawn == "ct" else grid
        organs = posed_labels(day.weight_g, drawn_on, day.lies)
        write_organs(root / f"organs/{day.name}.nii.gz", replace(organs, grid=ct_grid(day) if day.drawn == "ct" else grid))


def write_sheets(root: Path, days: list[Day], source: str = "propagated", more: str = "") -> Path:
    """Config and sheets; the config's path."""

    def sheet(name: str, rows: list[list[str]]) -> None:
        (root / f"{name}.tsv").write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")

    rows = [["subject", "session", "modality", "path", "role", "organs", "body_weight_g"]]
    for day in days:
        weight, organs = str(day.stated_g or day.weight_g), f"organs/{day.name}.nii.gz"
        rows.append(["m1", day.name, "pet", f"raw/{day.name}/pet", "followup", organs if day.drawn == "pet" else "", weight])
        if day.ct is not None:
            rows.append(["m1", day.name, "ct", f"raw/{day.name}/ct", "anatomy", organs if day.drawn == "ct" else "", weight])
    sheet("acquisitions", rows)
    sheet("subjects", [["subject", "species", "body_weight_g"], ["m1", "mouse", "25"]])
    columns = ["subject", "dose_time", "label", "cells", "route", "amount", "amount_unit", "residual_amount", "residual_time"]
    sheet("doses", [columns, ["m1", DOSE.isoformat(), "zr", "1e6", "iv", str(DOSE_BQ), "Bq", "0", DOSE.isoformat()]])
    sheet("labels", [["label", "kind", "nuclide"], ["zr", "radionuclide", "Zr-89"]])
    names = ("subjects", "doses", "labels", "acquisitions")
    config = root / "config.yaml"
    config.write_text(
        f"study: follow\nsheets: {{{', '.join(f'{n}: {n}.tsv' for n in names)}}}\norgans: {{source: {source}{more}}}\npet: {{}}\n",
        encoding="utf-8",
    )
    return config


def write_study(root: Path, days: list[Day], source: str = "propagated", more: str = "") -> Study:
    root.mkdir(parents=True, exist_ok=True)
    for day in days:
        write_day(root, day)
    return load_study(write_sheets(root, days, source, more))
