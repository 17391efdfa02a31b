"""What one scan's stages are told of the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from tracker.errors import InputError
from tracker.modality import modality
from tracker.study.draft import absolute
from tracker.study.model import Context, Study
from tracker.study.rows import Acquisition, Bed


def context_for(study: Study, acquisition: Acquisition) -> Context:
    """The `Context` of one measured scan: its animal, that animal's doses of the scan's label by time, the label, the constants.

    ``first_dose_time`` is the earliest dose of any label, time zero of the animal's curves; None for an animal without a dose,
    whose baseline scans show what tissue looks like without label.
    Raises `InputError` for an anatomical scan (it measures no label) and for a follow-up of an animal that was given none.
    """
    subject = next(s for s in study.subjects if s.subject == acquisition.subject)
    doses = sorted((d for d in study.doses if d.subject == subject.subject), key=lambda d: d.dose_time)
    label = next((one for one in study.labels if one.label == acquisition.label), None)
    if label is None or (not doses and acquisition.role != "baseline"):
        where = f"{acquisition.subject}, session {acquisition.session}"
        found = f"role {acquisition.role}, {len(doses)} dose(s)"
        raise InputError("no_label", "this scan measures no label that was given", found=found, where=where)
    beds = beds_of(study, acquisition)
    mates = _bed_mates(study, acquisition) if beds else ()
    return Context(
        study=study.config.study,
        acquisition=acquisition,
        subject=subject,
        doses=tuple(d for d in doses if d.label == label.label),
        label=label,
        first_dose_time=doses[0].dose_time if doses else None,
        constants=study.config.constants[modality(acquisition.modality).package],
        organs=study.config.organs,
        corrections=study.config.corrections,
        beds=beds,
        bed_weights_g=_weights_g(study, mates),
        organs_shared=any(m.subject != subject.subject and m.organs == acquisition.organs is not None for m in mates),
    )


def beds_of(study: Study, acquisition: Acquisition) -> tuple[Bed, ...]:
    """All rows of the beds sheet for a scan's session, modality and path, in the order of the sheet."""
    when = (acquisition.session, acquisition.modality)
    return tuple(bed for bed in study.beds if (bed.session, bed.modality) == when and _absolute(study.root, bed.path) == acquisition.path)


# Each row is asked for by every scan of its session.
_absolute = cache(absolute)


def _bed_mates(study: Study, acquisition: Acquisition) -> tuple[Acquisition, ...]:
    """The rows of all animals of one shared scan, its own included."""
    scan = (acquisition.session, acquisition.modality, acquisition.path)
    return tuple(a for a in study.acquisitions if (a.session, a.modality, a.path) == scan)


def _weights_g(study: Study, mates: Sequence[Acquisition]) -> dict[str, float]:
    """Weight of each animal of a shared scan on the day, else as in the sheet subjects."""
    usual = {s.subject: s.body_weight_g for s in study.subjects}
    return {m.subject: m.body_weight_g or usual[m.subject] for m in mates if m.subject in usual}


def contexts(study: Study) -> tuple[Context, ...]:
    """The contexts of all measured scans in the order of the sheet; anatomical scans have none."""
    return tuple(context_for(study, a) for a in study.acquisitions if a.role != "anatomy")


def controls_of(contexts: Sequence[Context], subject: str, modality_name: str) -> tuple[Context, ...]:
    """The baseline scans of other animals that a subject's own may be measured against: those of the config's control group.

    The group is ``control_group`` of the modality's section; without one there are none.
    """
    return tuple(
        c
        for c in contexts
        if c.acquisition.modality == modality_name
        and c.acquisition.role == "baseline"
        and c.subject.subject != subject
        and c.subject.group == c.constants.get("control_group")
    )


def study_of(study: Study, subject: str) -> Study:
    """The same study with one subject's rows alone, and who lay beside it: what a job for that subject may know of it."""
    own = [a for a in study.acquisitions if a.subject == subject]
    return replace(
        study,
        subjects=tuple(row for row in study.subjects if row.subject == subject),
        doses=tuple(row for row in study.doses if row.subject == subject),
        acquisitions=tuple(row for row in study.acquisitions if row.subject == subject),
        measurements=(),
        rois=(),
        beds=tuple(bed for bed in study.beds if any(bed in beds_of(study, a) for a in own)),
    )
