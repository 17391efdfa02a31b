"""What a modality's plain scan is, for the contract that every modality keeps (tests/test_modality_contract.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tracker.study.model import Context


@dataclass(frozen=True, slots=True)
class ContractCase:
    """One plain scan for tests/test_modality_contract.py: raw files as a scanner would write them, and all that the stages are told.

    ``amounts``: the right value of ``quantity`` in each organ, at the middle of the frame; at strength 0 what an animal without
    label shows (0, or the tissue's own rate). ``unit`` is what ``calibrate`` must give; ``organs`` the label map in the scan's
    space; ``rounding`` the relative error that the files' numbers leave in a difference of two strengths, and ``floor`` what they make
    of nothing, in the unit of ``amounts``. A planar image has no map: its regions are in the context.
    """

    context: Context
    organs: Path
    unit: str
    amounts: Mapping[str, float]
    quantity: str = "signal"
    rounding: float = 1e-5
    floor: float = 0.0
