"""What one scan's stages are told of the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from tracker.errors import InputError
from tracker.modality import modality
from tracker.study.draft import absolute
from tracker.study.model import Context, Drawn, Organs, Study
from tracker.study.rows import Acquisition, Bed, Roi

# The role of a scan that is not measured.
ANATOMY = "anatomy"


def context_for(study: Study, acquisition: Acquisition) -> Context:
    """The `Context` of one measured scan: its animal, that animal's doses of the scan's label by time, the label, the constants.

    ``first_dose_time`` is the earliest dose of any label, time zero of the animal's curves; None for an animal without a dose,
    whose baseline scans show what tissue looks like without label. ``anatomy``, ``drawn`` and ``rois`` as `Context` says.
    Raises `InputError` for an anatomical scan (it measures no label) and for a follow-up of an animal that was given none.
    """
    own = _measured(study, acquisition)
    return replace(own, drawn=_drawn(study, acquisition) if _may_be_carried(own) else ())


def _measured(study: Study, acquisition: Acquisition) -> Context:
    """The context of a measured scan, but for what was drawn on others."""
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
        anatomy=anatomy_of(study.acquisitions, acquisition.subject, acquisition.session),
        rois=rois_of(study, acquisition),
    )


def _may_be_carried(context: Context) -> bool:
    """Whether organs drawn on another scan may be asked for: where they are not, an edit there must not rerun this scan."""
    return context.organs.source == "propagated"


def _drawn(study: Study, acquisition: Acquisition) -> tuple[Drawn, ...]:
    """The animal's other scans with organs of their own, each with its session's anatomy and what its own stages are told."""
    others = [a for a in study.acquisitions if a.subject == acquisition.subject and a.organs is not None and a != acquisition]
    found = []
    for one in others:
        told = None if one.role == ANATOMY else _measured(study, one)
        weights_g = tuple(_weights_g(study, _bed_mates(study, one)).values()) if told is None else ()
        found.append(Drawn(one, anatomy_of(study.acquisitions, one.subject, one.session), told, weights_g))
    return tuple(found)


def anatomy_of(acquisitions: Sequence[Acquisition], subject: str, session: str) -> Acquisition | None:
    """The anatomical scan of a session: the only one with organs drawn on it, else the only one; None where that leaves none or several.

    Where several are left and one is needed, the checks of the sheets have said so.
    """
    found = anatomies(acquisitions, subject, session)
    return found[0] if len(found) == 1 else None


def anatomies(acquisitions: Sequence[Acquisition], subject: str, session: str) -> tuple[Acquisition, ...]:
    """The anatomical scans of a session that may be meant: those with organs, else all."""
    found = tuple(a for a in acquisitions if (a.role, a.subject, a.session) == (ANATOMY, subject, session))
    return tuple(a for a in found if a.organs is not None) or found


def rois_of(study: Study, acquisition: Acquisition) -> tuple[Roi, ...]:
    """All rows of the rois sheet for a scan's session and path, of all animals in it, in the order of the sheet."""
    return tuple(r for r in study.rois if r.session == acquisition.session and _absolute(study.root, r.path) == acquisition.path)


def files_of(context: Context) -> tuple[Path, ...]:
    """All files and folders that a scan's stages may read, each once: the scan, its organs, what organs may be carried from, the atlas."""
    rows = [context.acquisition, context.anatomy]
    rows += [row for one in context.drawn for row in (one.scan, one.anatomy)]
    paths = [path for row in rows if row is not None for path in (row.path, row.organs)]
    return tuple(dict.fromkeys(p for p in (*paths, *atlas_files(context.organs)) if p is not None))


def atlas_files(organs: Organs) -> tuple[Path, ...]:
    """The files of the atlas that the config names."""
    return tuple(path for path in (organs.atlas_labels, organs.atlas_names, organs.atlas_image) if path is not None)


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
    shared = {(a.session, a.modality, a.path) for a in own}
    mates = [a for a in study.acquisitions if (a.session, a.modality, a.path) in shared]
    who = {subject, *(a.subject for a in mates)}
    return replace(
        study,
        subjects=tuple(row for row in study.subjects if row.subject in who),
        doses=tuple(row for row in study.doses if row.subject in who),
        acquisitions=tuple(row for row in study.acquisitions if row.subject == subject or row in mates),
        measurements=(),
        rois=tuple(roi for roi in study.rois if any(roi in rois_of(study, a) for a in own)),
        beds=tuple(bed for bed in study.beds if any(bed in beds_of(study, a) for a in own)),
    )
