"""Which animal of the photograph is whose, by the places that the sheet beds gives them, seen as the sheet's ``view`` says.

``image``: the photograph as it was saved. ``technician``: who stands in front of the instrument and looks down on the stage; at which edge
of the photograph that is depends on the instrument and on how its images were turned, so the config must say (``technician_at``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracker.beds.bodies import girth_mm
from tracker.beds.places import Sight, match
from tracker.bli.animals import Animals, find_animals
from tracker.errors import Finding, InputError
from tracker.image import Quantity, voxel_size_mm
from tracker.study.model import Context

# In girths: by how much two animals must lie apart to count as left and right, above and below.
_PLACE_MARGIN = 0.3
# In girths: animals this far apart one way and no further the other are one row, however their noses are aligned.
_ROW_STEP, _ROW_DEPTH = 0.6, 2.5
# To the viewer's right and up (away from the technician), as (right, up) on the photograph.
_EDGES = {
    "bottom": ((1.0, 0.0), (0.0, 1.0)),
    "top": ((-1.0, 0.0), (0.0, -1.0)),
    "left": ((0.0, -1.0), (1.0, 0.0)),
    "right": ((0.0, 1.0), (-1.0, 0.0)),
}


@dataclass(frozen=True, slots=True)
class Matched:
    """The animals of the photograph, the ``number`` of this scan's own, and ``subjects``: number → whose it is."""

    animals: Animals
    number: int
    subjects: Mapping[int, str]
    findings: tuple[Finding, ...]

    @property
    def silhouette(self) -> np.ndarray:
        """The own animal's outline with tail and paws, (ny, nx) bool."""
        return np.asarray(self.animals.labels == self.number)


@dataclass(frozen=True, slots=True)
class Sketch:
    """A drawing of the matching for people: ``grey`` (ny, nx) 0 to 1, ``labels`` to outline, ``marks`` (x, y [pixel], whose and where)."""

    grey: np.ndarray
    labels: np.ndarray
    marks: tuple[tuple[float, float, str], ...]


def planar_sight(view: str, technician_at: str) -> Sight:
    """What is right and up in a view of the sheet, as (right, up) on the photograph; ``technician_at``: bottom, top, left, right.

    Raises `InputError` ``beds_view`` for a technician's view without an edge: nothing in an image says where somebody stood.

    >>> planar_sight("image", "").right.tolist(), planar_sight("technician", "top").right.tolist()
    ([1.0, 0.0], [-1.0, 0.0])
    """
    edge = "bottom" if view != "technician" else technician_at
    if edge not in _EDGES:
        what = "the technician's left and right cannot be told: nothing says at which edge of the photograph the technician stood"
        do = "set technician_at in the config, or write the positions as seen on the photograph with view image"
        raise InputError("beds_view", what, found=technician_at or "no technician_at", expected=", ".join(_EDGES), do=do)
    right, up = _EDGES[edge]
    return Sight(np.array(right), np.array(up))


def match_animals(quantity: Quantity, context: Context) -> Matched:
    """The animals on a scan's photograph, and which of them is the scan's own; ``quantity.maps["photograph"]`` (1, ny, nx).

    Their number must be that of the rows of beds, or one where there are none: nobody is matched by order alone. Raises `InputError`:
    ``photograph_missing``, ``animals_not_visible``, ``animals_count`` (with both numbers), ``animals_unnamed`` (several and no rows),
    ``beds_view``, ``beds_layout``.
    """
    where = context.acquisition.path.name
    if "photograph" not in quantity.maps:
        what, do = "animals are found on the photograph, and there is none", "give the regions in the sheet rois"
        raise InputError("photograph_missing", what, where=where, do=do)
    _, high_mm, wide_mm = voxel_size_mm(quantity.grid)
    animals = find_animals(np.asarray(quantity.maps["photograph"])[0], (high_mm, wide_mm), _weights_g(context))
    _check_count(animals, context)
    number = _numbers(animals, context)
    subject = context.subject.subject
    own = number[[bed.subject for bed in context.beds].index(subject)] if context.beds else 1
    subjects = {n: bed.subject for n, bed in zip(number, context.beds, strict=True)} if context.beds else {1: subject}
    return Matched(animals, own, subjects, (_said(animals, subjects), *_cut(animals, own)))


def sketch(quantity: Quantity, matched: Matched) -> Sketch:
    """The photograph with the animals' outlines and names: for a person to see at a glance whether a mix-up is possible.

    Grey runs from the 1st to the 99.5th percentile. Nothing in it is measured.
    """
    picture = np.nan_to_num(np.asarray(quantity.maps["photograph"], np.float64)[0])
    low, high = np.percentile(picture, (1.0, 99.5))
    grey = np.clip((picture - low) / max(high - low, 1e-12), 0.0, 1.0)
    size = np.array([quantity.grid.affine[0, 0], quantity.grid.affine[1, 1]])
    places = (matched.animals.centre_mm - quantity.grid.affine[:2, 3]) / size
    marks = tuple((float(x), float(y), matched.subjects[n]) for n, (x, y) in enumerate(places, start=1))
    return Sketch(grey, matched.animals.labels, marks)


def _weights_g(context: Context) -> list[float]:
    if context.beds:
        return [context.bed_weights_g[bed.subject] for bed in context.beds]
    return [context.acquisition.body_weight_g or context.subject.body_weight_g]


def _check_count(animals: Animals, context: Context) -> None:
    k, beds = len(animals.area_mm2), context.beds
    if k == max(len(beds), 1):
        return
    places = "; ".join(_words(centre) for centre in animals.centre_mm)
    where = context.acquisition.path.name
    if not beds:
        what, do = "the photograph shows several animals, and nothing says which is whose", "add the rows of all of them to beds or rois"
        raise InputError("animals_unnamed", what, found=f"{k}, at {places}", expected="1, or rows of beds or rois", where=where, do=do)
    listed = ", ".join(f"{bed.subject} {bed.position}" for bed in beds)
    what = "the photograph shows another number of animals than the sheet beds"
    do = "correct the sheet beds; where an animal cannot be seen, give the regions of all animals in the sheet rois"
    raise InputError("animals_count", what, found=f"{k}, at {places}", expected=f"{len(beds)}: {listed}", where=where, do=do)


def _numbers(animals: Animals, context: Context) -> tuple[int, ...]:
    """Number of each row's animal, in the order of the sheet."""
    beds, constants = context.beds, context.constants
    if len(beds) < 2:
        return (1,) * len(beds)
    view = next((bed.view for bed in beds if bed.view), "")
    seen = planar_sight(view, _edge(constants))
    # Up is up on the photograph: its rows run down.
    places = (animals.centre_mm * (1.0, -1.0)) @ np.stack([seen.right, seen.up], axis=1)
    girth = girth_mm(float(np.mean(_weights_g(context))))
    positions = [bed.position for bed in beds]
    if all(p.isdigit() for p in positions):
        places = _in_line(places, girth)
    return tuple(n + 1 for n in match(positions, places, _PLACE_MARGIN * girth))


def _edge(constants: Mapping[str, Any]) -> str:
    return str(constants.get("technician_at", ""))


def _in_line(places: np.ndarray, girth: float) -> np.ndarray:
    """The places with what they are off a common line taken out, where they form one row or one column."""
    for axis in (0, 1):
        steps = np.diff(np.sort(places[:, axis]))
        if steps.min() >= _ROW_STEP * girth and np.ptp(places[:, 1 - axis]) <= _ROW_DEPTH * girth:
            kept = places.copy()
            kept[:, 1 - axis] = 0.0
            return kept
    return places


def _words(centre_mm: Sequence[float] | np.ndarray) -> str:
    """A place on the image.

    >>> _words((35.04, 90.0))
    '35 mm right, 90 mm down'
    """
    return f"{centre_mm[0]:.0f} mm right, {centre_mm[1]:.0f} mm down"


def _said(animals: Animals, subjects: Mapping[int, str]) -> Finding:
    places = "; ".join(f"{subjects[n]}: {_words(centre)}" for n, centre in enumerate(animals.centre_mm, start=1))
    return Finding("animals", "ok", f"{len(subjects)} animal(s) on the photograph, from its top left: {places}")


def _cut(animals: Animals, own: int) -> tuple[Finding, ...]:
    mask = animals.labels == own
    sides = ("top", mask[0]), ("bottom", mask[-1]), ("left", mask[:, 0]), ("right", mask[:, -1])
    at = [name for name, line in sides if line.any()]
    return (
        (Finding("animal_cut", "warn", f"the animal reaches the image's edge ({', '.join(at)}): part of it may be outside"),) if at else ()
    )
