"""A digital study: from its sheets, the raw files of every MR scan, before the dose and after, and the truth to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from tracker.image import OrganMap
from tracker.mri.phantom.bids import write_nifti_bids
from tracker.mri.phantom.classic import write_classic
from tracker.mri.phantom.options import ScanOptions
from tracker.mri.phantom.paravision import ParavisionOptions, write_paravision
from tracker.mri.phantom.truth import (
    IRON_G_PER_MOL,
    TISSUE_FIELD_T,
    TISSUES,
    Deposit,
    MriImage,
    MriTruth,
    Receiver,
    scan,
    shading,
    smooth_noise,
    spread_iron,
)
from tracker.study.model import Study
from tracker.study.rows import Acquisition

# Grain [mm] and standard deviation [Hz] of the field that is left after shimming; it shows in the phase alone.
_SHIM_MM, _SHIM_HZ = 12.0, 15.0


def _write_paravision(folder: Path, image: MriImage, options: ScanOptions) -> tuple[Path, ...]:
    told = ParavisionOptions(
        start=options.scan_start,
        field_t=options.field_t,
        nucleus=options.nucleus,
        receiver_gain=options.receiver_gain,
        repetition_ms=options.repetition_time_ms,
        flip_angle_deg=options.flip_angle_deg,
        scan_s=options.duration_s,
        parts="phase" if options.with_phase else "magnitude",
        phase_rad=image.phase_rad if options.with_phase else None,
    )
    times_ms = tuple(1000.0 * t for t in image.echo_times_s)
    experiment = write_paravision(folder, image.magnitude, times_ms, image.grid, told)
    return tuple(sorted(p for p in experiment.rglob("*") if p.is_file()))


Writer = Callable[[Path, MriImage, ScanOptions], tuple[Path, ...]]
WRITERS: dict[str, Writer] = {"classic": write_classic, "nifti": write_nifti_bids, "paravision": _write_paravision}


@dataclass(frozen=True, slots=True)
class MriPhantom:
    """``mri:`` in the config's ``phantom:``. ``formats`` are taken in turn by session, in order of time.

    ``snr``: water's signal at TE 0 over the noise, None for no noise. ``relaxivity_cv_percent``: how far the true relaxivity may be
    from the one stated, one draw for the study. ``tissue_cv_percent``: spread of a tissue's own R2* between animals;
    ``session_sd_per_s``: between an animal's sessions. ``texture_percent``: how unevenly iron lies in an organ, with a grain of
    ``texture_fwhm_mm``; ``deposit_share`` of ``deposit_organ``'s iron in a dense spot. ``gains``: session → factor on all signal,
    1 where a session is not named.
    """

    echo_times_ms: tuple[float, ...] = (2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0)
    scan_duration_s: float = 600.0
    snr: float | None = None
    coils: int = 1
    field_t: float = 9.4
    relaxivity_per_s_per_mmolar: float = 300.0
    relaxivity_cv_percent: float = 0.0
    tissue_cv_percent: float = 0.0
    session_sd_per_s: float = 0.0
    texture_percent: float = 0.0
    texture_fwhm_mm: float = 3.0
    deposit_organ: str = ""
    deposit_share: float = 0.0
    deposit_volume_ml: float = 0.004
    shading_percent: float = 0.0
    gains: Mapping[str, float] = field(default_factory=dict)
    with_phase: bool = False
    formats: tuple[str, ...] = ("classic", "nifti", "paravision")


@dataclass(frozen=True, slots=True)
class TruthRow:
    """What one organ of one scan really holds, at the middle of the scan; volumes are those of the voxels.

    Named as the quantities of the result's table: ``label_amount`` iron of the label [ug]; ``r2star`` the mean rate [1/s],
    ``delta_r2star`` what of it the label makes; ``cells`` alive, ``cells_equivalent`` if all label were in live cells.
    """

    subject: str
    group: str
    session: str
    modality: str
    organ: str
    time_h: float
    volume_ml: float
    label_amount: float
    injected_percent: float
    r2star: float
    delta_r2star: float
    cells: float
    cells_equivalent: float


def mri_phantom(study: Study) -> MriPhantom:
    """The typed ``mri:`` section of ``phantom:``; an InputError names what is unknown."""
    phantom = package_section(study, "mri", MriPhantom)
    check_formats(study, phantom.formats, WRITERS)
    return phantom


def true_relaxivity(phantom: MriPhantom, digital: DigitalStudy) -> float:
    """The study's true r2* [1/s per mmol/L]: the stated one with a log-normal factor from the seed."""
    off = phantom.relaxivity_cv_percent / 100.0 * generator(digital, "relaxivity").standard_normal()
    return float(phantom.relaxivity_per_s_per_mmolar * np.exp(off))


def _own_rates(phantom: MriPhantom, digital: DigitalStudy, acquisition: Acquisition, names: tuple[str, ...]) -> np.ndarray:
    """R2* of each organ without label in this session [1/s]: in proportion to the field, its own in each animal and session."""
    between = generator(digital, acquisition.subject, "tissue").standard_normal(len(names))
    within = generator(digital, acquisition.subject, acquisition.session, "tissue").standard_normal(len(names))
    typical = np.array([TISSUES[name][1] for name in names]) * phantom.field_t / TISSUE_FIELD_T
    rates = typical * np.exp(phantom.tissue_cv_percent / 100.0 * between) + phantom.session_sd_per_s * within
    if rates.min() < 0:
        raise InputError(
            "phantom_config", "a tissue's own rate came out negative", found=float(rates.min()), expected="less session_sd_per_s"
        )
    return np.asarray(rates)


def _amount_ug(animal: Animal, contents: OrganContents) -> np.ndarray:
    """Iron of the label in each organ [ug]: iron does not decay."""
    return np.asarray(contents.label_cells * ((animal.dose.amount or 0.0) - (animal.dose.residual_amount or 0.0)) / animal.dose.cells)


def _iron(phantom: MriPhantom, digital: DigitalStudy, acquisition: Acquisition, organs: OrganMap, amount_ug: np.ndarray) -> np.ndarray:
    rng = generator(digital, acquisition.subject, acquisition.session, "texture")
    # Log-normal, of the stated coefficient of variation.
    sd = np.sqrt(np.log1p((phantom.texture_percent / 100.0) ** 2))
    texture = np.exp(sd * smooth_noise(organs.grid, phantom.texture_fwhm_mm, rng))
    return spread_iron(organs, amount_ug, texture, _deposit(phantom, organs))


def _deposit(phantom: MriPhantom, organs: OrganMap) -> Deposit | None:
    if not phantom.deposit_organ:
        return None
    known = list(organs.names.values())
    if phantom.deposit_organ not in known or not 0 <= phantom.deposit_share <= 1:
        found = (phantom.deposit_organ, phantom.deposit_share)
        raise InputError("phantom_config", "a deposit needs an organ and a share from 0 to 1", found=found, expected=known)
    return Deposit(phantom.deposit_organ, phantom.deposit_share, phantom.deposit_volume_ml)


def _truth(phantom: MriPhantom, digital: DigitalStudy, acquisition: Acquisition, organs: OrganMap, iron_ug_per_ml: np.ndarray) -> MriTruth:
    names = tuple(organs.names.values())
    own = np.zeros(max(organs.names) + 1)
    density = np.zeros(max(organs.names) + 1)
    own[list(organs.names)] = _own_rates(phantom, digital, acquisition, names)
    density[list(organs.names)] = [TISSUES[name][0] for name in names]
    relaxed = true_relaxivity(phantom, digital) * iron_ug_per_ml / IRON_G_PER_MOL
    field_hz = _SHIM_HZ * smooth_noise(organs.grid, _SHIM_MM, generator(digital, acquisition.subject, acquisition.session, "shim"))
    heard = density[organs.labels] * shading(organs.grid, phantom.shading_percent)
    return MriTruth(organs.grid, heard, own[organs.labels] + relaxed, field_hz)


def _truth_rows(acquisition: Acquisition, animal: Animal, contents: OrganContents, time_h: float, rates: np.ndarray) -> list[TruthRow]:
    """``rates`` (2, organ): the mean R2* of each organ, and what of it the label makes."""
    who = (animal.subject.subject, animal.subject.group, acquisition.session, acquisition.modality)
    numbers = np.stack(
        [
            contents.volume_ml,
            _amount_ug(animal, contents),
            100.0 * contents.label_cells / animal.dose.cells,
            *rates,
            contents.cells,
            contents.label_cells / contents.share_per_cell,
        ]
    )
    rows = zip(contents.names, numbers.T.tolist(), strict=True)
    return [TruthRow(*who, name, time_h, *values) for name, values in rows]


def _rates(truth: MriTruth, organs: OrganMap, iron_ug_per_ml: np.ndarray, relaxivity: float) -> np.ndarray:
    inside = [organs.labels == n for n in organs.names]
    total = [truth.r2star_per_s[one].mean() for one in inside]
    return np.array([total, [relaxivity * iron_ug_per_ml[one].mean() / IRON_G_PER_MOL for one in inside]])


def _options(acquisition: Acquisition, animal: Animal, study: Study) -> ScanOptions:
    digital, phantom = digital_study(study), mri_phantom(study)
    return ScanOptions(
        scan_start=scan_start(animal, scan_hours(study, digital, acquisition)),
        duration_s=phantom.scan_duration_s,
        field_t=phantom.field_t,
        receiver_gain=101.0 * phantom.gains.get(acquisition.session, 1.0),
        patient_id=acquisition.subject,
        session=acquisition.session,
        weight_kg=(acquisition.body_weight_g or animal.subject.body_weight_g) / 1000.0,
        with_phase=phantom.with_phase,
        seed=digital.seed,
    )


def _receiver(phantom: MriPhantom, digital: DigitalStudy, acquisition: Acquisition) -> Receiver:
    seed = int(generator(digital, acquisition.subject, acquisition.session, acquisition.modality, "noise").integers(2**31))
    times_s = tuple(t / 1000.0 for t in phantom.echo_times_ms)
    return Receiver(times_s, phantom.snr, phantom.coils, phantom.gains.get(acquisition.session, 1.0), seed)


def write_scan_raw(study: Study, acquisition: Acquisition) -> list[TruthRow]:
    """Writes one acquisition's raw files and organ map to where its row says, and gives its truth; without label before the dose.

    Raises InputError where the sheets or ``phantom:`` do not suffice, or where files that are not the phantom's are in the way.
    """
    digital, phantom = digital_study(study), mri_phantom(study)
    animal = animal_of(study, acquisition, "ug")
    time_h = scan_hours(study, digital, acquisition) + phantom.scan_duration_s / 7200.0
    organs = animal_map(digital, animal.subject)
    contents = organ_contents(digital, animal, organs, time_h)
    iron_ug_per_ml = _iron(phantom, digital, acquisition, organs, _amount_ug(animal, contents))
    truth = _truth(phantom, digital, acquisition, organs, iron_ug_per_ml)
    image = scan(truth, _receiver(phantom, digital, acquisition))
    make_room(acquisition.path, acquisition.organs)
    WRITERS[in_turn(study, digital, acquisition, phantom.formats)](acquisition.path, image, _options(acquisition, animal, study))
    if acquisition.organs is not None:
        write_organs(acquisition.organs, organs)
    rates = _rates(truth, organs, iron_ug_per_ml, true_relaxivity(phantom, digital))
    return _truth_rows(acquisition, animal, contents, time_h, rates)


def write_animal_raw(study: Study, modality: str, subject: str, truth: Path) -> None:
    """Writes the raw files and organ maps of one animal's scans, and what is really there to ``truth`` (CSV)."""
    own = [a for a in study.acquisitions if (a.modality, a.subject) == (modality, subject)]
    write_truth(truth, TruthRow, [row for a in own for row in write_scan_raw(study, a)])


def write_study_raw(study: Study) -> Path:
    """Writes the raw files and organ maps of all MR rows, and ``phantom_truth_mri.csv`` beside the config; its path.

    The same seed gives the same bytes.
    """
    path = study.root / "phantom_truth_mri.csv"
    write_truth(path, TruthRow, [row for a in study.acquisitions if a.modality == "mri" for row in write_scan_raw(study, a)])
    return path
