"""Label in one live cell at a time: what turns an amount of label into cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tracker.dilution import label_factors, quadrature
from tracker.errors import InputError
from tracker.label import NetDose, elapsed_s, share_left
from tracker.retention import Factor
from tracker.study.model import Corrections
from tracker.study.rows import Label


@dataclass(frozen=True, slots=True)
class PerCell:
    """Label in one live cell: ``amount`` [``unit``] at a time, decayed, thinned by division and lost; None where not known."""

    amount: float | None
    unit: str
    sd_relative: float | None
    flags: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Share:
    loaded: float
    grown: float
    division: Factor
    loss: Factor


def label_per_cell(doses: Sequence[NetDose], label: Label, corrections: Corrections, when: datetime) -> PerCell:
    """Label in one live cell at ``when``, in the unit of the images: label in the cells of all doses over those cells.

        q(t) = Σ A_i · 2^(-(t - t_i)/T½) · retained(t - t_i) / Σ N_i · 2^((t - t_i)/Td)

    over the doses until ``when``; N_i live cells, A_i = N_i · ``amount_per_cell`` where the labels sheet has it, else the net
    dose. One dose gives amount per cell · 2^(-t/T½) · 2^(-t/Td) · retained(t). With several, cells of all doses are taken to be
    mixed as given: an organ that holds one dose only is off by the difference of their factors.
    The net dose per *live* cell (viability) puts all label of the product into live cells, so that the whole body at 0 h
    gives the live cells given; label in the dead cells of the product is counted as live.
    Raises `InputError` ``no_amount_per_cell``, ``dose_without_cells``, and those of `dilution` and `retention`.
    """
    given = [dose for dose in doses if elapsed_s(dose.time, when) >= 0]
    if not given or not all(dose.cells > 0 for dose in given):
        raise _error("dose_without_cells", label, "live cells in a dose: none", "cells above 0 in each dose of this label")
    shares = [_share(dose, label, corrections, when) for dose in given]
    flags = tuple(dict.fromkeys(f for s in shares for f in s.division.flags + s.loss.flags))
    stages = shares[0].division.stages + shares[0].loss.stages
    unit, amount_sd = _unit_and_sd(given, label, corrections)
    if label.amount_per_cell is None:
        flags = tuple(dict.fromkeys(flags + tuple(f for d in given for f in d.flags)))
    held = [None if s.loss.value is None else s.loaded * s.loss.value for s in shares]
    known = [h for h in held if h is not None]
    if len(known) < len(held):
        return PerCell(None, unit, None, flags, stages)
    grown = [s.grown for s in shares]
    division_sd = _weighted([s.division.sd_relative for s in shares], grown)
    loss_sd = _weighted([s.loss.sd_relative for s in shares], known)
    return PerCell(sum(known) / sum(grown), unit, quadrature([amount_sd, division_sd, loss_sd]), flags, stages)


def _share(dose: NetDose, label: Label, corrections: Corrections, when: datetime) -> _Share:
    loaded = dose.amount if label.amount_per_cell is None else dose.cells * label.amount_per_cell
    if loaded is None:
        raise _error("no_amount_per_cell", label, "neither amount_per_cell nor the dose's amount", "one of them")
    division, loss = label_factors(elapsed_s(dose.time, when) / 3600.0, label, corrections)
    # After a thousand doublings the share is 0 in floating point: then no amount of label is a cell's.
    grown = dose.cells / division.value if division.value else math.inf
    return _Share(loaded * share_left(dose.time, when, label), grown, division, loss)


def _unit_and_sd(given: Sequence[NetDose], label: Label, corrections: Corrections) -> tuple[str, float | None]:
    if label.amount_per_cell is None:
        percent = corrections.dose_sd_percent
        return given[0].unit, None if percent is None else percent / 100.0
    if not label.amount_per_cell > 0:
        raise _error("no_amount_per_cell", label, label.amount_per_cell, "amount_per_cell above 0")
    sd = label.amount_per_cell_sd
    return label.amount_per_cell_unit, None if sd is None else sd / label.amount_per_cell


def _weighted(sds: Sequence[float | None], weights: Sequence[float]) -> float | None:
    # All doses share one doubling time and one assay: their errors go the same way, so they average.
    known = [sd for sd in sds if sd is not None]
    return sum(sd * w for sd, w in zip(known, weights, strict=True)) / sum(weights) if len(known) == len(sds) else None


def _error(code: str, label: Label, found: object, expected: str) -> InputError:
    what = "label cannot be turned into cells"
    return InputError(code, what, found=found, expected=expected, where=f"label {label.label}", do="complete the labels or doses sheet")
