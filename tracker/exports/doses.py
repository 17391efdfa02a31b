"""The doses that belong to the observations, as amounts at the time of the dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tracker.errors import Finding, InputError
from tracker.exports.selection import Observation
from tracker.label import NetDose, elapsed_s, net_dose
from tracker.study.model import Corrections, Study
from tracker.study.rows import Dose, Label

_CELL_UNITS = ("cells", "cells/g", "1")
_GIVEN_AS_AMOUNT = ("radionuclide", "iron")  # a reporter, a dye or a gene is given as cells


@dataclass(frozen=True, slots=True)
class DoseRecord:
    """One dose of one subject: ``amount`` [``unit``: cells, Bq or ug] at ``time_h``; ``into`` names the compartment it goes into."""

    subject: str
    time_h: float
    amount: float
    unit: str
    into: str


def dose_records(study: Study, observations: Sequence[Observation]) -> tuple[tuple[DoseRecord, ...], tuple[Finding, ...]]:
    """The doses of every observed subject, and warnings for those that have no amount.

    Quantities counted in cells get the live cells given, all others (Bq, ug, %) the label given, net of residual and free label
    (`tracker.label.net_dose`); a label that is given as cells (a reporter) always the cells. Two labels on the same cells
    are one dose of cells: doses of a subject with the same time, route and number.
    """
    labels = {one.label: one for one in study.labels}
    asked: dict[str, set[tuple[str, bool]]] = {}
    for o in observations:
        asked.setdefault(o.row.subject, set()).add((o.row.label, o.row.unit in _CELL_UNITS))
    records: list[DoseRecord] = []
    findings: list[Finding] = []
    for subject, wanted in asked.items():
        own = sorted((d for d in study.doses if d.subject == subject), key=lambda d: d.dose_time)
        for dose in own:
            wish = _wish(dose, {d.label for d in own}, wanted)
            made = _records(_Given(dose, labels[dose.label], own[0].dose_time, study.config.corrections), wish)
            records += [r for r in made if isinstance(r, DoseRecord)]
            findings += [f for f in made if isinstance(f, Finding)]
    return tuple(dict.fromkeys(records)), tuple(findings)


@dataclass(frozen=True, slots=True)
class _Given:
    dose: Dose
    label: Label
    first_time: datetime
    corrections: Corrections


@dataclass(frozen=True, slots=True)
class _Wish:
    """Whether observations ask for the cells of a dose, and for its amount of label."""

    cells: bool
    amount: bool


def _wish(dose: Dose, own_labels: set[str], wanted: set[tuple[str, bool]]) -> _Wish:
    # A row whose label is none of the subject's doses' (a joint one) is about all of them.
    about = {as_cells for label, as_cells in wanted if label == dose.label or label not in own_labels}
    return _Wish(True in about, False in about)


def _records(given: _Given, wish: _Wish) -> list[DoseRecord | Finding]:
    dose = given.dose
    where = f"dose of {dose.label} to {dose.subject} at {dose.dose_time.isoformat()}"
    if not (wish.cells or wish.amount):
        return []
    try:
        net = net_dose(dose, given.label, given.corrections)
        time_h = elapsed_s(given.first_time, dose.dose_time) / 3600
    except InputError as error:
        return [Finding("pk_dose_missing", "warn", f"{where} is not in the PK files: {error}")]
    is_amount = given.label.kind in _GIVEN_AS_AMOUNT
    found: list[DoseRecord | Finding] = []
    if (wish.cells or not is_amount) and net.cells > 0:
        found.append(DoseRecord(dose.subject, time_h, net.cells, "cells", f"{dose.route} cells"))
    if wish.amount and is_amount:
        found.append(_amount_record(dose, net, time_h, where))
    return found


def _amount_record(dose: Dose, net: NetDose, time_h: float, where: str) -> DoseRecord | Finding:
    if net.amount is None:
        return Finding("pk_dose_missing", "warn", f"{where} is not in the PK files: no amount in the sheet")
    return DoseRecord(dose.subject, time_h, net.amount, net.unit, f"{dose.route} {dose.label} {net.unit}")
