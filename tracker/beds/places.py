"""Which body lies at which place of the sheet: names are places of a 3 × 3 board, seen as the sheet's ``view`` says.

``image``: an axial slice in radiological display, patient right on the image's left, anterior up. ``technician``: who stands in front of
the scanner and looks into the bore, so that a head-first animal shows its tail; up is up in the room. Patient coordinates follow what was
entered at the console, so the technician's view is found with the header's Patient Position, right or wrong as to the animal's true pose:
prone head first, the technician's left is the patient's left; supine head first it is the patient's right.

Reference: DICOM PS3.3 C.7.3.1.1.2 (Patient Position).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from tracker.errors import InputError

# Column from left to right and row from below to above, as the viewer sees them.
_BOARD = {
    "left": (-1, 0),
    "right": (1, 0),
    "centre": (0, 0),
    "top": (0, 1),
    "bottom": (0, -1),
    "top_left": (-1, 1),
    "top_right": (1, 1),
    "bottom_left": (-1, -1),
    "bottom_right": (1, -1),
}
# Numbers in two columns: reading order.
_READING = {"1": (-1, 1), "2": (1, 1), "3": (-1, -1), "4": (1, -1)}
# Which direction of the patient (RAS+) is up in the room.
_UP = {"S": (0.0, 1.0, 0.0), "P": (0.0, -1.0, 0.0), "DR": (-1.0, 0.0, 0.0), "DL": (1.0, 0.0, 0.0)}


@dataclass(frozen=True, slots=True)
class Sight:
    """How a viewer sees the bed: unit vectors (3,) in RAS+ to the viewer's ``right`` and ``up``."""

    right: np.ndarray
    up: np.ndarray


def sight(view: str, patient_position: str = "") -> Sight:
    """What is right and up in a view of the sheet. ``patient_position``: DICOM's (HFS, HFP, FFS, FFP, HFDR, …), for the technician's view.

    Raises `InputError` ``beds_view`` for a technician's view of a scan that does not say how the animals lay.

    >>> sight("technician", "HFP").right.tolist(), sight("image").right.tolist()
    ([1.0, 0.0, 0.0], [-1.0, 0.0, 0.0])
    """
    if view == "image":
        return Sight(np.array([-1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    found = re.fullmatch(r"([HF])F(S|P|DR|DL)", patient_position.strip().upper())
    if found is None:
        do = "fill the column view of the sheet beds with image: an axial slice with the patient's right on its left, anterior up"
        what = "the technician's left and right cannot be told: the scan does not say how the animals lay"
        raise InputError("beds_view", what, found=patient_position or "no Patient Position", expected="HFS, HFP, FFS, FFP …", do=do)
    up = np.array(_UP[found.group(2)])
    # Towards the viewer: the feet of who went in head first.
    towards = np.array([0.0, 0.0, -1.0 if found.group(1) == "H" else 1.0])
    # Zero is added so that no coordinate is -0.
    return Sight(np.cross(up, towards) + 0.0, up)


def _board(positions: Sequence[str], seen_mm: np.ndarray, margin_mm: float) -> list[tuple[int, int]]:
    """Place of each position on the board; numbers run along the row or the column that the bodies form, or in reading order."""
    if not all(p.isdigit() for p in positions):
        return [_BOARD[p] for p in positions]
    wide, high = np.ptp(seen_mm, axis=0)
    if high <= margin_mm:
        return [(int(p), 0) for p in positions]
    if wide <= margin_mm:
        return [(0, -int(p)) for p in positions]
    if set(positions) <= set(_READING):
        return [_READING[p] for p in positions]
    do = "name the places instead: top_left, bottom_right …"
    raise InputError("beds_layout", "numbers above 4 are places of one row", found=", ".join(positions), expected="one row", do=do)


def _apart(a: tuple[int, int], b: tuple[int, int], step_mm: np.ndarray, margin_mm: float) -> bool:
    """Whether two bodies, ``step_mm`` from a's to b's, lie as two places of the board do."""
    order = np.sign(np.subtract(b, a))
    return bool((order * step_mm >= margin_mm)[order != 0].all())


def match(positions: Sequence[str], seen_mm: np.ndarray, margin_mm: float) -> tuple[int, ...]:
    """For each position the number of its body; ``seen_mm`` (k, 2) are the bodies' centres to the viewer's right and up [mm].

    Of two places in different columns or rows the bodies must lie so, by at least ``margin_mm``.
    Raises `InputError` ``beds_layout`` where no, or more than one, way to match does that.

    >>> match(("top", "bottom_left", "bottom_right"), np.array([[-13.0, -9.0], [13.0, -9.0], [0.0, 11.0]]), 6.0)
    (2, 0, 1)
    """
    board = _board(positions, seen_mm, margin_mm)
    pairs = list(combinations(range(len(positions)), 2))
    ways = [
        way
        for way in permutations(range(len(positions)))
        if all(_apart(board[i], board[j], seen_mm[way[j]] - seen_mm[way[i]], margin_mm) for i, j in pairs)
    ]
    if len(ways) == 1:
        return ways[0]
    what = "the animals do not lie as the positions of the sheet beds say"
    if ways:
        what = "the positions of the sheet beds fit the animals in more than one way"
    found = "; ".join(f"{right:+.1f} mm right, {up:+.1f} mm up" for right, up in seen_mm.round(1) + 0.0)
    do = "correct the positions or the view in the sheet beds"
    raise InputError("beds_layout", what, found=f"as seen in that view: {found}", expected=", ".join(positions), do=do)
