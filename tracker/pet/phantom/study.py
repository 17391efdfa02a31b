"""A digital study: from its sheets, the raw files of every PET and SPECT scan, and the truth to compare the results with.

Cells move by `tracker.kinetics`; each organ of the map holds its share of a compartment by volume. The organ's content is that
of the middle of the frame (cells move little in a frame), its decay over the frame is exact.
"""

from __future__ import annotations

import csv
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tracker import kinetics
from tracker.errors import InputError
from tracker.image import OrganMap, voxel_volume_ml
from tracker.mouse import mouse_grid, mouse_labels
from tracker.pet.phantom.bids import write_nifti_bids, write_organs
from tracker.pet.phantom.classic import write_classic
from tracker.pet.phantom.clear import make_room
from tracker.pet.phantom.enhanced import write_enhanced
from tracker.pet.phantom.nm import write_nm
from tracker.pet.phantom.options import NUCLIDES, ScanOptions
from tracker.pet.phantom.truth import Degradation, PetTruth, Slot, map_fractions, scan
from tracker.study.model import Study
from tracker.study.rows import Acquisition, Dose, Label, Subject

WRITERS = {"classic": write_classic, "enhanced": write_enhanced, "nm": write_nm, "nifti": write_nifti_bids}
MODALITIES = ("pet", "spect")
# Compartment of the cell model -> organs of the map. Blood and the rest are spread over all organs that are not named.
_HOMES = {"lung": ("lung_left", "lung_right"), "liver": ("liver",), "spleen": ("spleen",), "kidney": ("kidney_left", "kidney_right")}


@dataclass(frozen=True, slots=True)
class StudyPhantom:
    """``phantom:`` of the config. ``session_hours``: session → hours from the dose to the start of the scan.

    ``formats`` are taken in turn by session, in order of time. ``variation_percent`` is the log-normal spread of the rates
    between animals, ``calibration_cv_percent`` that of the scanner's factor, one draw for each animal.
    """

    seed: int
    session_hours: Mapping[str, float]
    frame_duration_s: float = 1200.0
    voxel_mm: float = 0.8
    psf_fwhm_mm: float = 0.0
    noise_percent: float = 0.0
    noise_fwhm_mm: float = 0.0
    calibration_cv_percent: float = 0.0
    variation_percent: float = 0.0
    formats: tuple[str, ...] = ("classic", "enhanced")
    injured_group: str = "injured"


@dataclass(frozen=True, slots=True)
class TruthRow:
    """What one organ of one scan really holds, at the middle of the frame; volumes are those of the voxels.

    ``label_amount_bq`` is decay-corrected to the dose; ``cells`` are alive, ``cells_equivalent`` takes all label to be in live
    cells and is what a label alone can tell.
    """

    subject: str
    group: str
    session: str
    modality: str
    organ: str
    time_h: float
    volume_ml: float
    activity_bq: float
    concentration_bq_per_ml: float
    label_amount_bq: float
    injected_percent: float
    cells: float
    cells_equivalent: float


@dataclass(frozen=True, slots=True)
class _Animal:
    """One animal of the study with its only dose."""

    subject: Subject
    dose: Dose
    label: Label
    nuclide: str
    half_life_s: float
    net_bq: float


def study_phantom(study: Study) -> StudyPhantom:
    """The typed ``phantom:`` section; an InputError names what is unknown or missing."""
    section = dict(study.config.phantom or {})
    known = [f.name for f in fields(StudyPhantom)]
    wrong = sorted(set(section) - set(known)) + [f"{k} is missing" for k in ("seed", "session_hours") if k not in section]
    wrong += [f"formats: {f}" for f in section.get("formats", ()) if f not in WRITERS]
    if wrong:
        raise InputError("phantom_config", "the phantom section is wrong", found=wrong, expected=known, where=study.config_path)
    return StudyPhantom(**section | {"formats": tuple(section.get("formats", ("classic", "enhanced")))})


def net_dose_bq(dose: Dose, half_life_s: float) -> float:
    """Activity that went in, as of the dose time [Bq]: assay decayed to it, minus the residual decayed back to it."""

    def at_dose(amount: float, measured: datetime | None) -> float:
        later_s = (dose.dose_time - (measured or dose.dose_time)).total_seconds()
        return amount * float(2.0 ** (-later_s / half_life_s))

    return at_dose(dose.amount or 0.0, dose.assay_time) - at_dose(dose.residual_amount or 0.0, dose.residual_time)


def nuclide_key(text: str) -> str:
    """A nuclide as the phantom's table writes it, from mass number and symbol in either order; "" where it is neither.

    >>> nuclide_key("Zr-89"), nuclide_key("99mTc")
    ('89Zr', '99mTc')
    """
    found = re.fullmatch(r"(?:([A-Z][a-z]?)-?)?(\d+m?)-?([A-Z][a-z]?)?", text.strip())
    symbol = (found.group(1) or found.group(3) or "") if found else ""
    return f"{found.group(2)}{symbol}" if found and symbol else ""


def _only(items: tuple[Any, ...], what: str, where: Any) -> Any:
    if len(items) != 1:
        raise InputError("phantom_sheets", f"a digital study needs exactly one {what}", found=len(items), expected=1, where=where)
    return items[0]


def _animal(study: Study, name: str) -> _Animal:
    subject = _only(tuple(s for s in study.subjects if s.subject == name), "row of this subject", name)
    dose = _only(tuple(d for d in study.doses if d.subject == name), "dose of this subject", name)
    label = _only(tuple(x for x in study.labels if x.label == dose.label), "row of this label", dose.label)
    nuclide = nuclide_key(label.nuclide)
    if nuclide not in NUCLIDES or dose.amount_unit != "Bq" or not dose.cells or not dose.amount:
        raise InputError(
            "phantom_sheets", "a digital PET dose needs cells and a known nuclide", found=dose, expected=sorted(NUCLIDES), where=name
        )
    half_life_s = NUCLIDES[nuclide][0]
    return _Animal(subject, dose, label, nuclide, half_life_s, net_dose_bq(dose, half_life_s))


def _random(phantom: StudyPhantom, *what: str) -> np.random.Generator:
    return np.random.default_rng([phantom.seed, *(zlib.crc32(w.encode()) for w in what)])


def animal_rates(phantom: StudyPhantom, subject: Subject) -> kinetics.CellRates:
    """An animal's own rates: the mouse's for its weight and group, each with a log-normal factor from the seed."""
    rates = kinetics.mouse_rates(subject.body_weight_g, injured=subject.group == phantom.injured_group)
    rng = _random(phantom, subject.subject, "rates")
    spread = phantom.variation_percent / 100.0

    def vary(organ: kinetics.OrganRates) -> kinetics.OrganRates:
        arrest, release, death = np.exp(spread * rng.standard_normal(3))
        extraction = min(organ.extraction * float(arrest), 1.0)
        return replace(
            organ, extraction=extraction, release_per_h=organ.release_per_h * float(release), death_per_h=organ.death_per_h * float(death)
        )

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


def _fate(label: Label, dose: Dose) -> kinetics.LabelFate:
    divides = kinetics.per_h(label.doubling_time_h) if label.dilutes else 0.0
    return kinetics.LabelFate(kinetics.per_h(label.retention_half_time_h), divides, (dose.free_label_percent or 0.0) / 100.0)


def _truth_rows(acquisition: Acquisition, animal: _Animal, phantom: StudyPhantom, organs: OrganMap) -> list[TruthRow]:
    time_h = phantom.session_hours[acquisition.session] + phantom.frame_duration_s / 7200.0
    names = list(organs.names.values())
    volume_ml = [float(np.sum(organs.labels == n)) * voxel_volume_ml(organs.grid) for n in organs.names]
    if min(volume_ml) == 0:
        lost = [n for n, v in zip(names, volume_ml, strict=True) if v == 0]
        raise InputError(
            "phantom_config", "voxels are too coarse for organs", found=lost, expected="smaller voxel_mm", where=acquisition.key
        )
    shares = organ_shares(dict(zip(names, volume_ml, strict=True)))
    fate = _fate(animal.label, animal.dose)
    course = kinetics.simulate(animal_rates(phantom, animal.subject), animal.dose.cells, [time_h], fate)
    cells = course.live_cells[0] @ shares
    amount_bq = kinetics.label_in_organs(course)[0] @ shares * (animal.net_bq / animal.dose.cells)
    left = float(2.0 ** (-time_h * 3600.0 / animal.half_life_s))
    per_cell_bq = animal.net_bq / animal.dose.cells * float(np.exp(-(fate.division_per_h + fate.elution_per_h) * time_h))
    who = (animal.subject.subject, animal.subject.group, acquisition.session, acquisition.modality)
    return [
        TruthRow(
            *who,
            n,
            time_h,
            v,
            float(a * left),
            float(a * left / v),
            float(a),
            float(100 * a / animal.net_bq),
            float(c),
            float(a / per_cell_bq),
        )
        for n, v, a, c in zip(names, volume_ml, amount_bq, cells, strict=True)
    ]


def _options(acquisition: Acquisition, animal: _Animal, phantom: StudyPhantom) -> ScanOptions:
    dose = animal.dose
    since_assay_s = (dose.dose_time - (dose.assay_time or dose.dose_time)).total_seconds()
    return ScanOptions(
        scan_start=dose.dose_time + timedelta(hours=phantom.session_hours[acquisition.session]),
        injection=dose.dose_time,
        nuclide=animal.nuclide,
        # As on a scanner's console: the syringe as assayed, decayed to the injection, the residual not taken off.
        dose_bq=(dose.amount or 0.0) * float(2.0 ** (-since_assay_s / animal.half_life_s)),
        weight_kg=(acquisition.body_weight_g or animal.subject.body_weight_g) / 1000.0,
        decay_correction="START",
        patient_id=acquisition.subject,
        seed=phantom.seed,
    )


def _format(acquisition: Acquisition, phantom: StudyPhantom) -> str:
    if acquisition.modality == "spect":
        return "nm"
    sessions = sorted(phantom.session_hours, key=lambda s: phantom.session_hours[s])
    return phantom.formats[sessions.index(acquisition.session) % len(phantom.formats)]


def write_scan_raw(study: Study, acquisition: Acquisition) -> list[TruthRow]:
    """Writes one acquisition's raw files and organ map to where its row says, and gives its truth.

    Raises InputError where the sheets or ``phantom:`` do not suffice, or where files that are not the phantom's are in the way.
    """
    phantom = study_phantom(study)
    if acquisition.session not in phantom.session_hours:
        known = sorted(phantom.session_hours)
        raise InputError(
            "phantom_config", "session_hours lacks a session", found=acquisition.session, expected=known, where=study.config_path
        )
    animal = _animal(study, acquisition.subject)
    organs = mouse_labels(animal.subject.body_weight_g, mouse_grid(animal.subject.body_weight_g, phantom.voxel_mm))
    rows = _truth_rows(acquisition, animal, phantom, organs)
    names, fractions = map_fractions(organs)
    truth = PetTruth(organs.grid, names, fractions, np.array([r.label_amount_bq for r in rows]), animal.half_life_s)
    scan_start_s = phantom.session_hours[acquisition.session] * 3600.0
    image = scan(truth, [[Slot(scan_start_s, phantom.frame_duration_s)]], scan_start_s, _degradation(phantom, acquisition))
    make_room(acquisition.path, acquisition.organs)
    WRITERS[_format(acquisition, phantom)](acquisition.path, image, _options(acquisition, animal, phantom))
    if acquisition.organs is not None:
        write_organs(acquisition.organs, organs)
    return rows


def _degradation(phantom: StudyPhantom, acquisition: Acquisition) -> Degradation:
    off = phantom.calibration_cv_percent / 100.0 * _random(phantom, acquisition.subject, acquisition.modality, "scanner").standard_normal()
    seed = int(_random(phantom, acquisition.subject, acquisition.session, acquisition.modality, "noise").integers(2**31))
    return Degradation(phantom.psf_fwhm_mm, phantom.noise_percent, phantom.noise_fwhm_mm, float(np.exp(off)), seed)


def _write_truth(path: Path, rows: Sequence[TruthRow]) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([f.name for f in fields(TruthRow)])
        out.writerows([f"{v:.9g}" if isinstance(v, float) else v for v in astuple(row)] for row in rows)
    os.replace(part, path)


def write_animal_raw(study: Study, modality: str, subject: str, truth: Path) -> None:
    """Writes the raw files and organ maps of one animal's scans in one modality, and what is really there to ``truth`` (CSV)."""
    own = [a for a in study.acquisitions if (a.modality, a.subject) == (modality, subject)]
    _write_truth(truth, [row for a in own for row in write_scan_raw(study, a)])


def write_study_raw(study: Study) -> Path:
    """Writes the raw files and organ maps of all PET and SPECT rows, and ``phantom_truth.csv`` beside the config; its path.

    The same seed gives the same bytes.
    """
    path = study.root / "phantom_truth.csv"
    _write_truth(path, [row for a in study.acquisitions if a.modality in MODALITIES for row in write_scan_raw(study, a)])
    return path
