"""What the sheets and the config say of a digital image: which animals lie in it and how, what is in them, and when images are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracker.bli.phantom.luciferin import Luciferin
from tracker.bli.phantom.options import Camera, fov_mm
from tracker.bli.phantom.pose import Pose
from tracker.bli.phantom.scene import Mouse
from tracker.digital import (
    Animal,
    DigitalStudy,
    OrganContents,
    animal_map,
    digital_study,
    generator,
    organ_contents,
    package_section,
    scan_hours,
    scan_start,
)
from tracker.errors import InputError
from tracker.study.context import beds_of
from tracker.study.model import Study
from tracker.study.rows import Acquisition, Label

# Distance of two animals' middles on the stage [mm]: five fit into 22.4 cm.
_PITCH_MM = 42.0
_PLACES = {"left": -1.0, "centre": 0.0, "right": 1.0}


@dataclass(frozen=True, slots=True)
class BliPhantom:
    """``bli:`` in the config's ``phantom:``.

    ``photons_per_s_per_cell``: of a living cell at its brightest; ``photons_cv_percent``: how far the true one is from it, one draw for the
    study. ``emissions``: filters, one image each; of the first one ``frames`` images, ``interval_s`` from the end of an image to the next.
    ``minutes_after``: from the luciferin to the first image where the sheet has no ``luciferin_time``; ``rise_per_min``, ``fall_per_min``,
    ``lag_min``: its course, the rates with a spread of ``luciferin_cv_percent`` between animals and sessions. ``glow``: what skin shines by
    itself [photons/s/cm²/sr], ``glow_cv_percent`` between animals. ``blood_cv_percent``: of the animal's blood in all tissues.
    ``lies``: supine or prone; ``angle_sd_deg``, ``shift_sd_mm``: how carelessly animals are laid. ``shelf``, ``f_number``, ``binning``,
    ``exposure_s``, ``electrons_per_count`` (None: no noise), ``read_noise_electrons``, ``cosmic_hits``: see `Camera`. ``corrected``: the
    vendor's corrected image is there; ``vendor_rois``: his regions are, one an animal. ``voxel_mm``: of the tissue that light travels in.
    """

    photons_per_s_per_cell: float = 120.0
    photons_cv_percent: float = 0.0
    emissions: tuple[str, ...] = ("Open",)
    frames: int = 1
    interval_s: float = 5.0
    minutes_after: float = 10.0
    rise_per_min: float = 0.20
    fall_per_min: float = 0.04
    lag_min: float = 1.0
    luciferin_cv_percent: float = 0.0
    glow: float = 0.0
    glow_cv_percent: float = 0.0
    blood_cv_percent: float = 0.0
    lies: str = "supine"
    angle_sd_deg: float = 0.0
    shift_sd_mm: float = 0.0
    shelf: str = "D"
    f_number: int = 1
    binning: int = 8
    exposure_s: float = 40.0
    electrons_per_count: float | None = 1.6
    read_noise_electrons: float = 6.0
    cosmic_hits: int = 0
    corrected: bool = False
    vendor_rois: bool = False
    voxel_mm: float = 0.7


@dataclass(frozen=True, slots=True)
class Lying:
    """One animal of an image: its row, what is in it, and how it lies."""

    acquisition: Acquisition
    animal: Animal
    contents: OrganContents
    mouse: Mouse
    luciferin: Luciferin
    started_min: float


def bli_phantom(study: Study) -> BliPhantom:
    """The typed ``bli:`` section of ``phantom:``; an InputError names what is unknown."""
    phantom = package_section(study, "bli", BliPhantom)
    if phantom.frames < 1 or not phantom.emissions or phantom.lies not in ("supine", "prone"):
        what, found = "the phantom section is wrong", (phantom.frames, phantom.emissions, phantom.lies)
        raise InputError(
            "phantom_config", what, found=found, expected="frames of 1 or more, a filter, supine or prone", where=study.config_path
        )
    return phantom


def true_photons_per_cell(phantom: BliPhantom, digital: DigitalStudy) -> float:
    """Light of a living cell at its brightest [photons/s]: the stated one with a log-normal factor from the seed."""
    off = phantom.photons_cv_percent / 100.0 * generator(digital, "photons").standard_normal()
    return float(phantom.photons_per_s_per_cell * np.exp(off))


def animal_with_reporter(study: Study, acquisition: Acquisition) -> Animal:
    """The animal of an image with its dose of the reporter, or, before any, of what it will be given.

    Cells divide whether the reporter is thinned or not: its doubling time, or that of another label of the same cells, counts.
    Raises InputError ``phantom_sheets`` where the animal or its one dose with cells is not in the sheets.
    """
    name = acquisition.subject
    subjects = [s for s in study.subjects if s.subject == name]
    doses = [d for d in study.doses if (d.subject, d.label) == (name, acquisition.label)]
    if len(subjects) != 1 or len(doses) != 1 or not doses[0].cells:
        what = "a digital image needs all its animals, each with one dose of the reporter's cells"
        raise InputError("phantom_sheets", what, found=f"{len(subjects)} animal(s), {len(doses)} dose(s)", where=name)
    own = {d.label for d in study.doses if d.subject == name}
    labels = sorted((x for x in study.labels if x.label in own), key=lambda x: x.label != acquisition.label)
    doubling_h = next((x.doubling_time_h for x in labels if x.doubling_time_h is not None), None)
    cells = Label(acquisition.label, "reporter", dilutes=doubling_h is not None, doubling_time_h=doubling_h)
    return Animal(subjects[0], doses[0], cells)


def mates(study: Study, acquisition: Acquisition) -> tuple[Acquisition, ...]:
    """The rows of all animals of an image, from left to right in it."""
    scan = (acquisition.session, acquisition.modality, acquisition.path)
    rows = [a for a in study.acquisitions if (a.session, a.modality, a.path) == scan]
    missing = sorted({bed.subject for bed in beds_of(study, acquisition)} - {a.subject for a in rows})
    if missing:
        what = "an image needs the rows of all its animals"
        raise InputError("phantom_sheets", what, found=f"no rows of {', '.join(missing)}", where=acquisition.path.name)
    places = place_mm(study, rows)
    return tuple(sorted(rows, key=lambda a: places[a.subject]))


def place_mm(study: Study, rows: Sequence[Acquisition]) -> dict[str, float]:
    """How far right of the image's middle each animal lies [mm]; without rows in beds side by side in the order of the sheet.

    Numbers are the five places of the stage from left to right, seen from the front of the instrument, as the camera sees them.
    """
    beds = beds_of(study, rows[0])
    if not beds:
        return {a.subject: _PITCH_MM * (n - (len(rows) - 1) / 2) for n, a in enumerate(rows)}
    wrong = [b.position for b in beds if b.position not in _PLACES and b.position not in "12345"]
    if wrong:
        raise InputError("phantom_sheets", "a stage has places in one row", found=wrong, expected="1 to 5, or left, centre, right")
    return {b.subject: _PITCH_MM * (_PLACES[b.position] if b.position in _PLACES else float(b.position) - 3.0) for b in beds}


def _vary(rng: np.random.Generator, percent: float) -> float:
    return float(np.exp(percent / 100.0 * rng.standard_normal()))


def lying_animal(study: Study, acquisition: Acquisition, right_mm: float) -> Lying:
    """One animal of an image: its cells at the middle of all images, its pose, ``right_mm`` of the middle, and its luciferin."""
    digital, phantom = digital_study(study), bli_phantom(study)
    animal = animal_with_reporter(study, acquisition)
    hours = scan_hours(study, digital, acquisition)
    contents = organ_contents(digital, animal, animal_map(digital, animal.subject), hours + scan_length_s(phantom) / 7200.0)
    light = dict(zip(contents.names, (contents.cells * true_photons_per_cell(phantom, digital)).tolist(), strict=True))
    own = generator(digital, acquisition.subject, acquisition.modality, "body")
    day = generator(digital, acquisition.subject, acquisition.session, acquisition.modality, "day")
    mouse = Mouse(
        body_weight_g=acquisition.body_weight_g or animal.subject.body_weight_g,
        pose=_pose(phantom, right_mm, day),
        flux_ph_per_s=light,
        glow=phantom.glow * _vary(own, phantom.glow_cv_percent),
        blood=_vary(own, phantom.blood_cv_percent),
    )
    rise, fall = (rate * _vary(day, phantom.luciferin_cv_percent) for rate in (phantom.rise_per_min, phantom.fall_per_min))
    given = acquisition.luciferin_time
    since_min = phantom.minutes_after if given is None else (scan_start(animal, hours) - given).total_seconds() / 60.0
    return Lying(acquisition, animal, contents, mouse, Luciferin(rise, fall, phantom.lag_min), since_min)


def _pose(phantom: BliPhantom, right_mm: float, day: np.random.Generator) -> Pose:
    angle, across, along = day.standard_normal(3) * [phantom.angle_sd_deg, phantom.shift_sd_mm, phantom.shift_sd_mm]
    middle_mm = fov_mm(camera_of(phantom, 0)) / 2.0
    return Pose(middle_mm + right_mm + float(across), middle_mm + float(along), float(angle), phantom.lies)


def camera_of(phantom: BliPhantom, seed: int) -> Camera:
    """The camera as the config sets it."""
    return Camera(
        shelf=phantom.shelf,
        f_number=phantom.f_number,
        binning=phantom.binning,
        exposure_s=phantom.exposure_s,
        electrons_per_count=phantom.electrons_per_count,
        read_noise_electrons=phantom.read_noise_electrons,
        cosmic_hits=phantom.cosmic_hits,
        seed=seed,
    )


def image_starts(phantom: BliPhantom) -> tuple[tuple[str, float], ...]:
    """Filter and start [s after the scan's start] of each image: the series of the first filter, then one of each other filter."""
    filters = (phantom.emissions[0],) * phantom.frames + phantom.emissions[1:]
    return tuple((name, n * (phantom.exposure_s + phantom.interval_s)) for n, name in enumerate(filters))


def scan_length_s(phantom: BliPhantom) -> float:
    """From the start of the first image to the end of the last [s]."""
    return image_starts(phantom)[-1][1] + phantom.exposure_s
