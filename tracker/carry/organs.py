"""A scan's organs, wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tracker.anatomy import read_anatomy
from tracker.beds import own_organs
from tracker.carry.border import in_quadrature, return_sd_mm, stated_sd_mm
from tracker.carry.checks import agreement, body_findings
from tracker.carry.follow import follow
from tracker.carry.seen import described
from tracker.carry.session import Session, drawn_session, inverse, measured, nearest, same_place, session_of, weight_of
from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity
from tracker.organs import read_organs
from tracker.register import Transform, carry_map, chain
from tracker.study.model import Context, Drawn


@dataclass(frozen=True, slots=True)
class _Way:
    """How organs come to a scan: ``steps`` from the scan's grid to theirs; ``sd_mm`` of the steps' borders, by index or for all."""

    steps: Sequence[Transform]
    method: str
    sd_mm: Sequence[Mapping[int, float] | float]
    findings: tuple[Finding, ...] = ()


def organs_of(context: Context, quantity: Quantity, quantities: Path) -> OrganMap:
    """The organs (z, y, x) of a scan on its own grid, with what is known of their borders.

    Its own map, where the sheet names one; else that of the session's anatomy scan, by the frame of reference or a rigid registration;
    else, as ``organs.source`` says, that of the animal's session nearest in time, or the atlas, by registration of the anatomy scans.
    ``quantities``: the folder of the animal's calibrated scans of this modality. Where organs are carried though the scan has its own,
    the finding ``organ_agreement`` tells how well they agree. ``boundary_sd_mm``: as the config states for drawn organs, found by
    registering both ways for carried ones.
    Raises `InputError` ``organs_missing``, ``anatomy_missing``, ``mirrored_sessions``, ``organs_outside_scan`` and those of what it calls.
    """
    scan, stated = context.acquisition, context.organs.boundary_sd_mm
    if scan.organs is not None:
        own = own_organs(read_organs(scan.organs, quantity.grid), quantity, context)
        own = replace(own, boundary_sd_mm=stated_sd_mm(own.names, stated))
        return replace(own, findings=own.findings + _compared(own, context, quantity, quantities))
    if context.anatomy is not None and context.anatomy.organs is not None:
        return _of_session(context, quantity)
    if context.organs.source == "propagated":
        return _propagated(context, quantity, quantities)
    if context.organs.source == "atlas":
        return _of_atlas(context, quantity)
    found, expected = "an empty `organs` cell", "a label map, SEG or RTSTRUCT"
    raise InputError("organs_missing", "the scan has no organ map", found=found, expected=expected, do="name one in the sheet")


def _compared(own: OrganMap, context: Context, quantity: Quantity, quantities: Path) -> tuple[Finding, ...]:
    """How organs that could be carried to the scan agree with its own: the only check of a propagated study on itself."""
    if context.organs.source != "propagated" or not context.drawn:
        return ()
    try:
        carried = _propagated(context, quantity, quantities)
    except InputError as error:
        # The scan has its organs: that others cannot be carried to it is no fault of its own.
        return (Finding("organ_agreement", "ok", f"not compared: {error}"),)
    source = next(f.reason for f in carried.findings if f.check == "organs_from")
    return (agreement(own, carried, source),)


def _carried(organs: OrganMap, way: _Way, context: Context, quantity: Quantity) -> OrganMap:
    """Organs along a way, with one look-up, and the doubt of their borders: the way's, and what the config states of drawn ones."""
    path = chain(way.steps, quantity.grid)
    found = carry_map(replace(organs, findings=()), replace(path, findings=()), quantity.grid)
    found = own_organs(found, quantity, context)
    gone = [name for index, name in organs.names.items() if (organs.labels == index).any() and not (found.labels == index).any()]
    noted = (Finding("organs_outside_scan", "warn", f"not in the scan's field after carrying: {', '.join(gone)}"),) if gone else ()
    drawn = stated_sd_mm(organs.names, context.organs.boundary_sd_mm)
    sd_mm = in_quadrature(found.labels, [*way.sd_mm, drawn], quantity.grid)
    volumes = tuple(f for f in found.findings if f.check == "carried_volume")
    return replace(
        found, method=way.method, findings=(*organs.findings, *path.findings, *way.findings, *volumes, *noted), boundary_sd_mm=sd_mm
    )


def _of_session(context: Context, quantity: Quantity) -> OrganMap:
    row = context.anatomy
    if row is None or row.organs is None:
        raise InputError("organs_missing", "the session's anatomy scan has no organ map", do="name one in the sheet")
    session = session_of(context, quantity)
    # Of a shared bed the session shows a box around the animal: its organs were drawn on the whole.
    grid = read_anatomy(row.path, row.series, row.modality).grid if context.beds else session.seen.grid
    organs = read_organs(row.organs, grid)
    checks = (Finding("organs_from", "ok", f"organs drawn on the {described(row)}"), *body_findings(session.seen, session.weight_g))
    sd_mm: list[Mapping[int, float] | float] = [session.link.sd_mm]
    way = _Way([session.link.transform], "anatomy", sd_mm, (*session.seen.findings, *checks))
    return _carried(organs, way, context, quantity)


def _propagated(context: Context, quantity: Quantity, quantities: Path) -> OrganMap:
    drawn, noted = nearest(context, quantity, quantities)
    shared = _of_one_frame(drawn, context, quantity, quantities)
    if shared is not None:
        way = _Way([Transform(np.eye(4))], "anatomy", [], (noted,))
        return _carried(shared, way, context, quantity)
    here = session_of(context, quantity)
    organs, there = drawn_session(drawn, context, quantities)
    checks = (noted, *here.seen.findings, *body_findings(here.seen, here.weight_g, there.seen, there.weight_g))
    if _one_anatomy(context, drawn):
        steps = [here.link.transform, inverse(there.link.transform)]
        way = _Way(steps, "anatomy", [here.link.sd_mm, there.link.sd_mm], checks)
        return _carried(organs, way, context, quantity)
    followed = follow(here.seen, there.seen)
    steps = [here.link.transform, replace(followed.transform, findings=()), inverse(there.link.transform)]
    rough = carry_map(replace(organs, findings=()), chain(steps, quantity.grid), quantity.grid)
    back = return_sd_mm(rough, here.link.transform, followed.transform, followed.back)
    way = _Way(steps, "propagated", [here.link.sd_mm, there.link.sd_mm, back], (*checks, *followed.findings))
    return _carried(organs, way, context, quantity)


def _of_one_frame(drawn: Drawn, context: Context, quantity: Quantity, quantities: Path) -> OrganMap | None:
    """The organs of another measured scan of the same session and frame of reference, which need no registration; else None."""
    if drawn.told is None or drawn.scan.organs is None or drawn.scan.session != context.acquisition.session:
        return None
    other = measured(drawn.told, quantities, context.acquisition.modality)
    uid = quantity.grid.frame_of_reference_uid
    if not uid or uid != other.grid.frame_of_reference_uid:
        return None
    return own_organs(read_organs(drawn.scan.organs, other.grid), other, drawn.told)


def _one_anatomy(context: Context, drawn: Drawn) -> bool:
    """Whether both scans were registered to one and the same anatomy scan: nothing is to be followed."""
    return same_place(context.anatomy, drawn.anatomy if drawn.told is not None else drawn.scan)


def _of_atlas(context: Context, quantity: Quantity) -> OrganMap:
    from tracker.atlas import fit_atlas, read_atlas

    named = context.organs
    if named.atlas_labels is None or named.atlas_names is None:
        raise InputError("atlas_missing", "no atlas is named", expected="organs.atlas in the config")
    session: Session = session_of(context, quantity)
    atlas = read_atlas(named.atlas_labels, named.atlas_names, named.atlas_image)
    seen = session.seen
    fitted = fit_atlas(seen.values, seen.grid, seen.contrast, atlas, weight_of(context, context.anatomy))
    noted = (Finding("organs_from", "ok", f"the atlas {named.atlas_labels.name}, laid on the {seen.name}"), *seen.findings)
    checks = (*noted, *body_findings(seen, session.weight_g), *fitted.findings)
    sd_mm: list[Mapping[int, float] | float] = [session.link.sd_mm, fitted.organ_map.boundary_sd_mm]
    steps = [session.link.transform, replace(fitted.transform, findings=())]
    return _carried(atlas.organ_map, _Way(steps, "atlas", sd_mm, checks), context, quantity)
