"""A session as organs travel through it: the scan, its organs, and the image that it is registered by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from tracker.beds import own_organs, split_bed
from tracker.carry.link import Link, activity_image, link
from tracker.carry.seen import Seen, of_own_animal, own_image, read_seen, with_organs_on
from tracker.clock import seconds_between
from tracker.dicom import read_instances, walk
from tracker.dicom.values import acquisition_start, series_start
from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity
from tracker.modality import part
from tracker.nifti import read_quantity
from tracker.organs import read_organs
from tracker.register import Transform
from tracker.study.model import Context, Drawn
from tracker.study.rows import Acquisition

_DATE_TAGS = (
    "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime", "SeriesDate", "SeriesTime", "StudyDate", "TimezoneOffsetFromUTC",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """The scan of a session as it is registered to others: ``seen``, and how the scan lies in it."""

    seen: Seen
    link: Link
    weight_g: float


def weight_of(context: Context, row: Acquisition | None = None) -> float:
    """The animal's weight on the day [g]: the row's, else the scan's, else that of the sheet subjects."""
    stated = row.body_weight_g if row is not None else None
    return stated or context.acquisition.body_weight_g or context.subject.body_weight_g


def session_of(context: Context, quantity: Quantity) -> Session:
    """What a scan's session is registered by: its anatomy scan, else the scan itself where it shows anatomy.

    Raises `InputError` ``anatomy_missing`` where neither is there: activity says where label is, not where organs are.
    """
    row, weight_g = context.anatomy, weight_of(context, context.anatomy)
    if row is not None:
        seen = of_own_animal(read_seen(row, weight_g, alone=not context.beds)[0], quantity)
        image = own_image(quantity, context.acquisition)
        return Session(seen, link(activity_image(quantity) if image is None else image.values, quantity.grid, seen), weight_g)
    own = own_image(quantity, context.acquisition)
    if own is None:
        scan = context.acquisition
        what = "this session has no anatomy scan, and the scan itself shows label, not anatomy"
        do = "list the session's CT or MR in acquisitions with the role anatomy, or name an organ map for this scan"
        raise InputError("anatomy_missing", what, found=f"{scan.modality}, session {scan.session}", expected="an anatomy row", do=do)
    return Session(own, Link(Transform(np.eye(4))), weight_g)


def measured(context: Context, quantities: Path, modality: str) -> Quantity:
    """A measured scan of the same animal: as its own job calibrated it where that is at hand (same modality), else read and calibrated."""
    scan = context.acquisition
    stored = quantities / f"{scan.key}.nii"
    if scan.modality == modality and stored.exists():
        return read_quantity(stored)
    image = part(scan.modality, "read").read(scan.path, scan.series, context)
    quantity: Quantity = part(scan.modality, "calibrate").calibrate(image, context)
    return split_bed(image, quantity, context) if context.beds and min(quantity.grid.shape) > 1 else quantity


def drawn_session(drawn: Drawn, context: Context, quantities: Path) -> tuple[OrganMap, Session]:
    """The organs of the session they were drawn in, on the grid they were drawn on, and what that session is registered by."""
    if drawn.told is not None:
        quantity = measured(drawn.told, quantities, context.acquisition.modality)
        organs = own_organs(read_organs(_there(drawn.scan.organs), quantity.grid), quantity, drawn.told)
        return organs, session_of(drawn.told, quantity)
    weight_g = weight_of(context, drawn.scan)
    seen, anatomy = read_seen(drawn.scan, weight_g, alone=len(drawn.weights_g) < 2)
    organs = read_organs(_there(drawn.scan.organs), anatomy.grid)
    return organs, Session(with_organs_on(seen, organs, drawn.weights_g), Link(Transform(np.eye(4))), weight_g)


def _there(path: Path | None) -> Path:
    if path is None:
        raise InputError("organs_missing", "the scan has no organ map", expected="a path in the column organs")
    return path


def nearest(context: Context, quantity: Quantity, quantities: Path) -> tuple[Drawn, Finding]:
    """The scan with organs nearest in time, one of the same session first; which one, and how far away, is noted.

    Where a scan's time is known neither from the sheet nor its files, the rows' order in the sheet decides between those without.
    Raises `InputError` ``organs_missing`` where none of the animal's scans has organs.
    """
    scan = context.acquisition
    if not context.drawn:
        what, do = "no scan of this animal has organs drawn on it", "name an organ map in organs for one of its scans"
        raise InputError("organs_missing", what, found="source: propagated", expected="an organ map in one of its rows", do=do)
    starts = [_start(one, context, quantities) for one in context.drawn]
    here = quantity.times.origin
    apart = [None if start is None else seconds_between(here, start) for start in starts]

    def far(n: int) -> tuple[bool, float]:
        seconds = apart[n]
        return context.drawn[n].scan.session != scan.session, np.inf if seconds is None else abs(seconds)

    best = min(range(len(apart)), key=far)
    seconds = apart[best]
    when = (
        "at a time that no file states"
        if seconds is None
        else f"{abs(seconds) / 3600:.1f} h {'before' if seconds >= 0 else 'after'} this one"
    )
    chosen = context.drawn[best].scan
    others = f"; nearest of {len(apart)}" if len(apart) > 1 else ""
    return context.drawn[best], Finding(
        "organs_from", "ok", f"organs drawn on the {chosen.modality} of session {chosen.session}, {when}{others}"
    )


def _start(drawn: Drawn, context: Context, quantities: Path) -> datetime | None:
    row = drawn.scan
    stored = quantities / f"{row.key}.nii"
    if row.acquired is not None:
        return row.acquired
    if row.modality == context.acquisition.modality and drawn.told is not None and stored.exists():
        return read_quantity(stored).times.origin
    return header_date(row.path)


def header_date(path: Path) -> datetime | None:
    """When the scan at ``path`` was taken, by its first DICOM file that says so; None where none does."""
    for file in walk(path).files:
        for instance in read_instances([file], _DATE_TAGS)[0]:
            start = acquisition_start(instance) or series_start(instance)
            if start is not None:
                return start
    return None


def same_place(one: Acquisition | None, other: Acquisition | None) -> bool:
    """Whether two rows are one anatomical scan."""
    return one is not None and other is not None and (one.path, one.series) == (other.path, other.series)


def inverse(rigid: Transform) -> Transform:
    """The other way along a transform without a bend."""
    return replace(rigid, affine=np.linalg.inv(rigid.affine), findings=())
