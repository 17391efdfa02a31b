"""``phantom:`` of the config, and what a digital study's sheets say of an animal."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

import numpy as np

from tracker.errors import InputError
from tracker.modality import modalities
from tracker.study.context import beds_of
from tracker.study.model import Study
from tracker.study.rows import Acquisition, Dose, Label, Subject

_Section = TypeVar("_Section")


@dataclass(frozen=True, slots=True)
class DigitalStudy:
    """What ``phantom:`` says for all modalities; each modality's own keys are in a section of its package's name.

    ``session_hours``: session → hours from the dose to the start of the scan, negative before it. ``variation_percent`` is the
    log-normal spread of the cells' rates between animals.
    """

    seed: int
    session_hours: Mapping[str, float]
    voxel_mm: float = 0.8
    variation_percent: float = 0.0
    injured_group: str = "injured"


@dataclass(frozen=True, slots=True)
class Animal:
    """One animal of a digital study with its only dose of a label, and that label."""

    subject: Subject
    dose: Dose
    label: Label


def digital_study(study: Study) -> DigitalStudy:
    """The shared keys of ``phantom:``; an InputError ``phantom_config`` names what is unknown or missing."""
    packages = {one.package for one in modalities()}
    own = {key: value for key, value in (study.config.phantom or {}).items() if key not in packages}
    return _typed(own, DigitalStudy, study)


def package_section(study: Study, package: str, kind: type[_Section]) -> _Section:
    """The section of one modality's package in ``phantom:``, as its own dataclass; InputError ``phantom_config`` as `digital_study`."""
    return _typed((study.config.phantom or {}).get(package) or {}, kind, study)


def _typed(section: Mapping[str, Any], kind: type[_Section], study: Study) -> _Section:
    known = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}  # type: ignore[arg-type]
    wrong = sorted(set(section) - set(known)) + [f"{k} is missing" for k, needed in known.items() if needed and k not in section]
    if wrong:
        raise InputError("phantom_config", "the phantom section is wrong", found=wrong, expected=list(known), where=study.config_path)
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in section.items()})


def check_formats(study: Study, formats: Sequence[str], known: Mapping[str, object]) -> None:
    """InputError ``phantom_config`` where a format is none that the modality can write, or none is named."""
    wrong = [name for name in formats if name not in known]
    if wrong or not formats:
        what = "the phantom section names a format that cannot be written"
        raise InputError("phantom_config", what, found=wrong or "none", expected=sorted(known), where=study.config_path)


def generator(digital: DigitalStudy, *what: str) -> np.random.Generator:
    """Random numbers that depend on the seed and on what they are for, and on nothing else."""
    return np.random.default_rng([digital.seed, *(zlib.crc32(w.encode()) for w in what)])


def scan_hours(study: Study, digital: DigitalStudy, acquisition: Acquisition) -> float:
    """Hours from the dose to the start of a scan; InputError ``phantom_config`` where its session is not named."""
    if acquisition.session not in digital.session_hours:
        known, what = sorted(digital.session_hours), "session_hours lacks a session"
        raise InputError("phantom_config", what, found=acquisition.session, expected=known, where=study.config_path)
    return float(digital.session_hours[acquisition.session])


def in_turn(study: Study, digital: DigitalStudy, acquisition: Acquisition, formats: Sequence[str]) -> str:
    """The format of a scan: ``formats`` one after the other over the animal's sessions in this modality, by time."""
    scan = (acquisition.subject, acquisition.modality)
    own = {a.session for a in (*study.acquisitions, acquisition) if (a.subject, a.modality) == scan}
    hours = sorted(own, key=lambda session: digital.session_hours.get(session, float("inf")))
    return formats[hours.index(acquisition.session) % len(formats)]


def animal_of(study: Study, acquisition: Acquisition, unit: str) -> Animal:
    """The animal of a scan, with its dose of the scan's own label in ``unit`` (Bq, ug).

    Raises InputError ``phantom_sheets`` unless there is exactly one such dose, with cells and an amount, all labels of the
    animal were given at one time, and it lay alone: each animal's job writes files of its own.
    """
    name = acquisition.subject
    if len(beds_of(study, acquisition)) > 1:
        what, do = "a digital animal lies alone in its scan", "leave the sheet beds out, and give each animal a path of its own"
        raise InputError("phantom_sheets", what, found=acquisition.path.name, where=name, do=do)
    subject = _only([s for s in study.subjects if s.subject == name], "row of this subject", name)
    given = [d for d in study.doses if d.subject == name]
    dose = _only([d for d in given if d.label == acquisition.label], "dose of the scan's label", f"{name}, {acquisition.label}")
    label = _only([x for x in study.labels if x.label == dose.label], "row of this label", dose.label)
    if len({d.dose_time for d in given}) > 1:
        raise InputError(
            "phantom_sheets", "a digital animal is given all its labels at one time", found=[d.dose_time for d in given], where=name
        )
    if dose.amount_unit != unit or not dose.cells or not dose.amount:
        what = "a digital dose needs cells and an amount in the unit of what is measured"
        raise InputError("phantom_sheets", what, found=dose, expected=unit, where=name)
    return Animal(subject, dose, label)


def _only(items: Sequence[Any], what: str, where: Any) -> Any:
    if len(items) != 1:
        raise InputError("phantom_sheets", f"a digital study needs exactly one {what}", found=len(items), expected=1, where=where)
    return items[0]


def scan_start(animal: Animal, hours: float) -> datetime:
    """Wall clock ``hours`` after the dose."""
    return animal.dose.dose_time + timedelta(hours=hours)
