"""One animal's part of a shared scan: its own voxels in its own box, all others' set to NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracker.beds.bodies import Bodies, find_bodies, girth_mm
from tracker.beds.places import match, sight
from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap, Quantity, Scan, voxel_size_mm
from tracker.organs import read_organs
from tracker.organs.place import place
from tracker.study.model import Context
from tracker.study.rows import Bed

# The map that says which voxels of the box are the animal's own.
TERRITORY = "territory"
# Air kept around an animal: the width of a scanner's blur, so that what spills out stays in the picture.
_MARGIN_MM = 3.0
# In girths: by how much two animals must lie apart to count as left and right, above and below.
_PLACE_MARGIN = 0.3
# An animal's organs may reach this far into its neighbour before somebody should look.
_STRAYED, _SWAPPED = 0.02, 0.5
# Weights and volumes that contradict one another by this ratio each way.
_CONTRADICTION = 1.2


@dataclass(frozen=True, slots=True)
class _Matched:
    """The bodies, and the number (from 1) of each row's body in the order of the sheet."""

    bodies: Bodies
    number: tuple[int, ...]


def split_bed(scan: Scan, quantity: Quantity, context: Context, outline: Scan | None = None) -> Quantity:
    """The part of a shared scan that is this scan's animal, as `Quantity` in the animal's own box; inputs are not changed.

    Animals are found in ``scan``'s own image (its frames or echoes summed; `find_bodies`), or in ``outline``, an anatomical scan in the
    same frame of reference; their number must be that of ``context.beds``, and each is matched with its row by where its middle lies.
    The box holds the animal's voxels with 3 mm to spare and all of its organ map. What belongs to another animal is NaN (not 0: nothing
    was measured of this one there) and not ``censored``; ``maps`` are cropped as they are, and ``territory`` is added: 1 where the voxel
    is the animal's own. Spill-over from a neighbour into the animal's own voxels stays in.
    Raises `InputError`: ``beds_count``, ``beds_not_visible``, ``beds_not_separable``, ``beds_view``, ``beds_layout``, ``beds_swapped``,
    ``beds_frame``, and those of `read_organs`.
    """
    bodies = _seen(scan, context, outline)
    matched, finding = _match(bodies, scan, context)
    own = matched.number[_row(context)]
    mine = bodies.territory == own
    box, noted = _box(own, matched, quantity.grid, context)
    findings = (*quantity.findings, finding, *noted, *_weights(matched, context))
    bed = context.beds[_row(context)]
    return replace(_cropped(quantity, mine, box), method=f"{quantity.method}>bed:{bed.position}", findings=findings)


def own_organs(organ_map: OrganMap, quantity: Quantity, context: Context) -> OrganMap:
    """The organs of this scan's animal: of a map that all animals of the bed share, its part in the animal's own voxels.

    A map of the animal's own stays as it is: an organ that reaches into a neighbour keeps its volume, and its mean is that of its own
    voxels.
    """
    if not context.organs_shared or TERRITORY not in quantity.maps:
        return organ_map
    return replace(organ_map, labels=np.where(np.asarray(quantity.maps[TERRITORY]) > 0, organ_map.labels, 0).astype(organ_map.labels.dtype))


def _row(context: Context) -> int:
    return [bed.subject for bed in context.beds].index(context.subject.subject)


def _summed(scan: Scan) -> np.ndarray:
    """Sum of a scan's frames or echoes (z, y, x), one in memory at a time: values at all times show the same bodies."""
    total = np.zeros(scan.grid.shape, np.float32)
    for frame in range(scan.values.shape[0]):
        total += np.nan_to_num(np.asarray(scan.values[frame], np.float32), posinf=0.0, neginf=0.0)
    return total


def _seen(scan: Scan, context: Context, outline: Scan | None) -> Bodies:
    """The animals of the scan, or of the anatomical scan brought to its grid; `InputError` where their number is not the sheet's."""
    weights = [context.bed_weights_g[bed.subject] for bed in context.beds]
    seen_in = scan if outline is None else outline
    bodies = find_bodies(_summed(seen_in), seen_in.grid, weights)
    if len(bodies.centre_mm) != len(weights):
        listed = ", ".join(f"{bed.subject} {bed.position}" for bed in context.beds)
        found = f"{len(bodies.centre_mm)}, with their middles at {'; '.join(_words(c) for c in bodies.centre_mm)}"
        what = "the scan shows another number of animals than the sheet beds"
        do = "correct the sheet beds; where an animal does not show (no activity), leave the rows out and give each an organ map of its own"
        raise InputError("beds_count", what, found=found, expected=f"{len(weights)}: {listed}", where=context.acquisition.path.name, do=do)
    if outline is None:
        return bodies
    if not scan.grid.frame_of_reference_uid or outline.grid.frame_of_reference_uid != scan.grid.frame_of_reference_uid:
        what, do = "the anatomical scan is in another frame of reference", "leave its row out, or register it"
        raise InputError("beds_frame", what, found=outline.grid.frame_of_reference_uid or "none", do=do)
    names = {n: f"animal {n}" for n in range(1, len(weights) + 1)}

    def to_scan(labels: np.ndarray) -> np.ndarray:
        return place(labels.astype(np.uint16), outline.grid.affine, names, scan.grid).labels.astype(np.uint8)

    return replace(bodies, territory=to_scan(bodies.territory), body=to_scan(bodies.body))


def _words(centre_mm: np.ndarray) -> str:
    """A place in patient coordinates.

    >>> _words(np.array([-12.34, 5.0, 0.0]))
    'L 12.3 A 5.0 S 0.0 mm'
    """
    pairs = zip(centre_mm, ("RL", "AP", "SI"), strict=True)
    return " ".join(f"{names[int(v < 0)]} {abs(v):.1f}" for v, names in pairs) + " mm"


def _match(bodies: Bodies, scan: Scan, context: Context) -> tuple[_Matched, Finding]:
    beds: Sequence[Bed] = context.beds
    # What a scan's own header says of how the animals lay, where its modality reads it.
    lay = str(getattr(scan.header, "patient_position", ""))
    number: tuple[int, ...] = (1,)
    if len(beds) > 1:
        seen = sight(next((bed.view for bed in beds if bed.view), ""), lay)
        girth = girth_mm(float(np.mean([context.bed_weights_g[bed.subject] for bed in beds])))
        found = match([bed.position for bed in beds], bodies.centre_mm @ np.stack([seen.right, seen.up], axis=1), _PLACE_MARGIN * girth)
        number = tuple(n + 1 for n in found)
    words = "; ".join(f"{b.subject} {b.position}: {_words(bodies.centre_mm[n - 1])}" for b, n in zip(beds, number, strict=True))
    if bodies.volume_ml:
        finding = Finding("beds", "ok", f"{len(beds)} animal(s) as in the sheet; {words}")
    else:
        why = "no bodies show, only organs: the number is the sheet's, and where one animal ends is halfway to the next"
        finding = Finding("beds", "warn", f"{len(beds)} animal(s); {why}; {words}")
    return _Matched(bodies, number), finding


def _weights(matched: _Matched, context: Context) -> tuple[Finding, ...]:
    """A finding where the animal is much heavier than another by the sheet, and much smaller in the image, or the other way round."""
    volumes, i = matched.bodies.volume_ml, _row(context)
    wrong = []
    for j, bed in enumerate(context.beds if volumes else ()):
        heavier = context.bed_weights_g[context.beds[i].subject] / context.bed_weights_g[bed.subject]
        larger = volumes[matched.number[i] - 1] / volumes[matched.number[j] - 1]
        if min(heavier, 1 / larger) >= _CONTRADICTION or min(1 / heavier, larger) >= _CONTRADICTION:
            wrong.append(f"{heavier:.2f} times as heavy as {bed.subject} by the sheet, {larger:.2f} times as large in the image")
    return (Finding("beds_weights", "warn", f"{'; '.join(wrong)}: were they swapped?"),) if wrong else ()


def _box(own: int, matched: _Matched, grid: Grid, context: Context) -> tuple[tuple[slice, ...], tuple[Finding, ...]]:
    """The voxels to keep, and what was noted of the organ map, which must lie in the animal and in the box."""
    keep = matched.bodies.body == own
    findings: tuple[Finding, ...] = ()
    path = context.acquisition.organs
    if path is not None:
        inside = read_organs(path, grid).labels > 0
        findings = _own_share(inside, matched, context)
        keep |= inside & (matched.bodies.territory == own) if context.organs_shared else inside
    margin = np.ceil(_MARGIN_MM / np.array(voxel_size_mm(grid))).astype(int)
    return _around(keep, margin), findings


def _around(mask: np.ndarray, margin: np.ndarray) -> tuple[slice, ...]:
    box = []
    for axis, n in enumerate(mask.shape):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(int(used[0]) - int(margin[axis]), 0), min(int(used[-1]) + 1 + int(margin[axis]), n)))
    return tuple(box)


def _own_share(inside: np.ndarray, matched: _Matched, context: Context) -> tuple[Finding, ...]:
    """What share of the organ map lies in its own animal; `InputError` ``beds_swapped`` where most of it lies in another."""
    count = np.bincount(matched.bodies.territory[inside], minlength=len(matched.number) + 1)
    share = count / max(int(count.sum()), 1)
    own = float(share[matched.number[_row(context)]])
    if own < (_STRAYED if context.organs_shared else _SWAPPED):
        mostly = context.beds[matched.number.index(int(share[1:].argmax()) + 1)]
        bed, what = context.beds[_row(context)], "the animal's organs lie in another animal of the bed"
        found = f"{own:.0%} of them at {bed.position}, where the sheet has {bed.subject}; most at {mostly.position}, with {mostly.subject}"
        do = "correct position or view in the sheet beds, or the organ maps in acquisitions"
        raise InputError("beds_swapped", what, found=found, expected=f"the organs of {bed.subject} at {bed.position}", do=do)
    if own < 1 - _STRAYED and not context.organs_shared:
        reason = f"{1 - own:.1%} of the organs' voxels lie in another animal: they count as their organ's mean"
        return (Finding("beds_organs", "warn", reason),)
    return ()


def _cropped(quantity: Quantity, mine: np.ndarray, box: tuple[slice, ...]) -> Quantity:
    """The quantity in a box (z, y, x) of its grid, NaN where ``mine`` is false; frames stay as lazy as they are."""
    own = mine[box]

    def others_empty(values: Any) -> Any:
        return None if values is None else np.where(own, values[(slice(None), *box)], np.float32(np.nan))

    grid = quantity.grid
    affine = grid.affine.copy()
    affine[:3, 3] = (grid.affine @ [box[2].start, box[1].start, box[0].start, 1.0])[:3]
    maps = {name: values[(..., *box)] for name, values in quantity.maps.items()}
    return replace(
        quantity,
        values=others_empty(quantity.values),
        grid=Grid((own.shape[0], own.shape[1], own.shape[2]), affine, grid.frame_of_reference_uid),
        sd_voxel=others_empty(quantity.sd_voxel),
        censored=None if quantity.censored is None else np.asarray(quantity.censored[(slice(None), *box)], bool) & own,
        limit=others_empty(quantity.limit),
        maps={**maps, TERRITORY: own.astype(np.uint8)},
    )
