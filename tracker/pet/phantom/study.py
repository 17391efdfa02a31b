"""A digital study: from its sheets, the raw files of every PET and SPECT scan, and the truth to compare the results with.

The organ's content is that of the middle of the frame (cells move little in a frame), its decay over the frame is exact.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from tracker.digital import (
    Animal,
    DigitalStudy,
    OrganContents,
    animal_map,
    animal_of,
    check_formats,
    digital_study,
    generator,
    in_turn,
    make_room,
    organ_contents,
    package_section,
    scan_hours,
    scan_start,
    write_organs,
    write_truth,
)
from tracker.errors import InputError
from tracker.mouse import mouse_fractions
from tracker.pet.phantom.bids import write_nifti_bids
from tracker.pet.phantom.classic import write_classic
from tracker.pet.phantom.enhanced import write_enhanced
from tracker.pet.phantom.nm import write_nm
from tracker.pet.phantom.options import NUCLIDES, ScanOptions
from tracker.pet.phantom.truth import Degradation, PetTruth, Slot, blurred_at_dose, finer, map_fractions, scan
from tracker.study.model import Study
from tracker.study.rows import Acquisition, Dose

WRITERS = {"classic": write_classic, "enhanced": write_enhanced, "nm": write_nm, "nifti": write_nifti_bids}
MODALITIES = ("pet", "spect")


@dataclass(frozen=True, slots=True)
class PetPhantom:
    """``pet:`` in the config's ``phantom:``. ``formats`` are taken in turn by session, in order of time.

    ``calibration_cv_percent`` is the spread of the scanner's factor, one draw for each animal.
    """

    frame_duration_s: float = 1200.0
    psf_fwhm_mm: float = 0.0
    noise_percent: float = 0.0
    noise_fwhm_mm: float = 0.0
    calibration_cv_percent: float = 0.0
    formats: tuple[str, ...] = ("classic", "enhanced")


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
class _Tracer:
    """The nuclide of an animal's label, nature's half-life of it, and what of it went in."""

    nuclide: str
    half_life_s: float
    net_bq: float


def pet_phantom(study: Study) -> PetPhantom:
    """The typed ``pet:`` section of ``phantom:``; an InputError names what is unknown."""
    phantom = package_section(study, "pet", PetPhantom)
    check_formats(study, phantom.formats, WRITERS)
    return phantom


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


def _tracer(animal: Animal) -> _Tracer:
    nuclide = nuclide_key(animal.label.nuclide)
    if nuclide not in NUCLIDES:
        raise InputError("phantom_sheets", "a nuclide the phantom does not know", found=animal.label, expected=sorted(NUCLIDES))
    half_life_s = NUCLIDES[nuclide][0]
    return _Tracer(nuclide, half_life_s, net_dose_bq(animal.dose, half_life_s))


def _truth_rows(acquisition: Acquisition, animal: Animal, contents: OrganContents, time_h: float) -> list[TruthRow]:
    tracer = _tracer(animal)
    per_cell_bq = tracer.net_bq / animal.dose.cells
    amount_bq = contents.label_cells * per_cell_bq
    left = float(2.0 ** (-time_h * 3600.0 / tracer.half_life_s))
    who = (animal.subject.subject, animal.subject.group, acquisition.session, acquisition.modality)
    return [
        TruthRow(
            *who,
            n,
            time_h,
            float(v),
            float(a * left),
            float(a * left / v),
            float(a),
            float(100 * a / tracer.net_bq),
            float(c),
            float(a / (per_cell_bq * contents.share_per_cell)),
        )
        for n, v, a, c in zip(contents.names, contents.volume_ml, amount_bq, contents.cells, strict=True)
    ]


def _options(acquisition: Acquisition, animal: Animal, digital: DigitalStudy, hours: float) -> ScanOptions:
    dose, tracer = animal.dose, _tracer(animal)
    since_assay_s = (dose.dose_time - (dose.assay_time or dose.dose_time)).total_seconds()
    return ScanOptions(
        scan_start=scan_start(animal, hours),
        injection=dose.dose_time,
        nuclide=tracer.nuclide,
        # As on a scanner's console: the syringe as assayed, decayed to the injection, the residual not taken off.
        dose_bq=(dose.amount or 0.0) * float(2.0 ** (-since_assay_s / tracer.half_life_s)),
        weight_kg=(acquisition.body_weight_g or animal.subject.body_weight_g) / 1000.0,
        decay_correction="START",
        patient_id=acquisition.subject,
        seed=digital.seed,
    )


def write_scan_raw(study: Study, acquisition: Acquisition) -> list[TruthRow]:
    """Writes one acquisition's raw files and organ map to where its row says, and gives its truth.

    Raises InputError where the sheets or ``phantom:`` do not suffice, or where files that are not the phantom's are in the way.
    """
    digital, phantom = digital_study(study), pet_phantom(study)
    hours, animal = scan_hours(study, digital, acquisition), animal_of(study, acquisition, "Bq")
    organs = animal_map(digital, animal.subject)
    time_h = hours + phantom.frame_duration_s / 7200.0
    rows = _truth_rows(acquisition, animal, organ_contents(digital, animal, organs, time_h), time_h)
    names, fractions = map_fractions(organs)
    truth = PetTruth(organs.grid, names, fractions, np.array([r.label_amount_bq for r in rows]), _tracer(animal).half_life_s)
    frame = Slot(hours * 3600.0, phantom.frame_duration_s)
    image = scan(truth, [[frame]], frame.start_s, _degradation(phantom, digital, acquisition), _blurred(truth, animal, phantom))
    kind = "nm" if acquisition.modality == "spect" else in_turn(study, digital, acquisition, phantom.formats)
    make_room(acquisition.path, acquisition.organs)
    WRITERS[kind](acquisition.path, image, _options(acquisition, animal, digital, hours))
    if acquisition.organs is not None:
        write_organs(acquisition.organs, organs)
    return rows


def _blurred(truth: PetTruth, animal: Animal, phantom: PetPhantom) -> np.ndarray | None:
    """The animal with its smooth organs as the scanner's blur shows it; None where there is no blur, and organs are what the map says."""
    if not phantom.psf_fwhm_mm:
        return None
    grid = finer(truth.grid)
    # The smooth organs' own volumes: what an organ holds is the truth, not its concentration.
    names, fractions = mouse_fractions(animal.subject.body_weight_g, grid, oversample=1)
    held = dict(zip(truth.names, truth.activity_bq, strict=True))
    fine = PetTruth(grid, names, fractions, np.array([held.get(name, 0.0) for name in names]), truth.half_life_s)
    return blurred_at_dose(fine, phantom.psf_fwhm_mm)


def _degradation(phantom: PetPhantom, digital: DigitalStudy, acquisition: Acquisition) -> Degradation:
    scanner = generator(digital, acquisition.subject, acquisition.modality, "scanner")
    off = phantom.calibration_cv_percent / 100.0 * scanner.standard_normal()
    seed = int(generator(digital, acquisition.subject, acquisition.session, acquisition.modality, "noise").integers(2**31))
    return Degradation(phantom.psf_fwhm_mm, phantom.noise_percent, phantom.noise_fwhm_mm, float(np.exp(off)), seed)


def write_animal_raw(study: Study, modality: str, subject: str, truth: Path) -> None:
    """Writes the raw files and organ maps of one animal's scans in one modality, and what is really there to ``truth`` (CSV)."""
    own = [a for a in study.acquisitions if (a.modality, a.subject) == (modality, subject)]
    write_truth(truth, TruthRow, [row for a in own for row in write_scan_raw(study, a)])


def write_study_raw(study: Study) -> Path:
    """Writes the raw files and organ maps of all PET and SPECT rows, and ``phantom_truth.csv`` beside the config; its path.

    The same seed gives the same bytes.
    """
    path = study.root / "phantom_truth.csv"
    write_truth(path, TruthRow, [row for a in study.acquisitions if a.modality in MODALITIES for row in write_scan_raw(study, a)])
    return path
