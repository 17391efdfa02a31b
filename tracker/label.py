"""How much label was given, and how much of it is left at a time if nothing leaves the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tracker.decay import decay_factor
from tracker.errors import Finding, InputError
from tracker.nuclides import nuclide
from tracker.study.model import Corrections
from tracker.study.rows import Dose, Label
from tracker.study.units import UNIT_OF_KIND

_GIVEN_AS_AMOUNT = ("radionuclide", "iron")  # a reporter, a dye or a gene is given as cells


@dataclass(frozen=True, slots=True)
class NetDose:
    """Label that one administration brought into the body in its cells: ``amount`` [``unit``] at ``time``, None where not stated.

    ``sd`` [unit] is shared by all curves of the study (dose calibrator), None where not stated. ``cells`` are the live cells given.
    """

    amount: float | None
    unit: str
    time: datetime
    cells: float
    sd: float | None = None
    flags: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def elapsed_s(start: datetime, end: datetime) -> float:
    """Time from ``start`` to ``end`` [s], whole days included, negative where ``end`` is earlier.

    Raises `InputError` ``clock_mismatch`` where only one of them states its offset from UTC: their difference is unknown.

    >>> elapsed_s(datetime(2026, 3, 1, 23, 30), datetime(2026, 3, 2, 0, 30))
    3600.0
    """
    if (start.tzinfo is None) != (end.tzinfo is None):
        raise InputError(
            "clock_mismatch",
            "one time states its offset from UTC, the other does not",
            found=f"{start.isoformat()} and {end.isoformat()}",
            expected="both with an offset, or both the lab's own clock",
            do="state the offset in both or in none",
        )
    return (end - start).total_seconds()


def half_life_s(label: Label) -> float | None:
    """Half-life of a radionuclide label [s]; None for every other kind: iron, dyes and genes do not decay.

    Raises `InputError` ``unknown_nuclide``.

    >>> half_life_s(Label("zr", "radionuclide", nuclide="89Zr")), half_life_s(Label("spio", "iron"))
    (282276.0, None)
    """
    return nuclide(label.nuclide).half_life_s if label.kind == "radionuclide" else None


def share_left(start: datetime, end: datetime, label: Label) -> float:
    """Share of the label that decay leaves from ``start`` to ``end``: 2^(-t/T½), above 1 looking back, 1 for a stable label.

    >>> share_left(datetime(2026, 3, 1), datetime(2026, 3, 1, 12, 42), Label("cu", "radionuclide", nuclide="64Cu"))
    0.5
    """
    half_life = half_life_s(label)
    passed = elapsed_s(start, end)
    return 1.0 if half_life is None else decay_factor(passed, half_life)


def net_dose(dose: Dose, label: Label, corrections: Corrections) -> NetDose:
    """Label given with the cells, at the time of the dose: what was drawn up, minus what stayed behind, minus the free label.

        D = (A_pre · 2^(-(t_dose - t_pre)/T½) - A_post · 2^(+(t_post - t_dose)/T½)) · (1 - free/100)

    [Bq or ug]; the powers are 1 for a label that does not decay. An amount without ``assay_time`` is as of the dose;
    a residual without a time likewise, with a warning. No residual at all is taken as 0, with a warning and a flag.
    ``free_label_percent`` is the share of the given amount that is not in cells (a free tracer, ``cells`` 0, has none to take off).
    ``cells`` are the live ones: the sheet's number times its viability where stated.
    Raises `InputError` ``dose_unit`` where the unit is not the label kind's, ``dose_not_positive`` where nothing is left.
    Not a dose corrected for extravasation, nor for label lost from the cells before the injection was assayed.
    """
    live = dose.cells if dose.viability_percent is None else dose.cells * dose.viability_percent / 100.0
    if dose.amount is None:
        return NetDose(None, "", dose.dose_time, live, findings=_no_amount(dose, label))
    if label.kind in _GIVEN_AS_AMOUNT and dose.amount_unit != UNIT_OF_KIND[label.kind]:
        raise _error("dose_unit", f"a {label.kind} label has another unit", dose, dose.amount_unit, UNIT_OF_KIND[label.kind])
    drawn = dose.amount * share_left(dose.assay_time or dose.dose_time, dose.dose_time, label)
    left = (dose.residual_amount or 0.0) * share_left(dose.residual_time or dose.dose_time, dose.dose_time, label)
    in_cells = 1.0 - (dose.free_label_percent or 0.0) / 100.0 if dose.cells > 0 else 1.0
    amount = (drawn - left) * in_cells
    if not amount > 0:
        raise _error("dose_not_positive", "no label is left after residual and free label", dose, amount, "above 0")
    sd_percent = corrections.dose_sd_percent
    flags = ("no_residual",) if dose.residual_amount is None else ()
    return NetDose(
        amount,
        dose.amount_unit,
        dose.dose_time,
        live,
        None if sd_percent is None else amount * sd_percent / 100.0,
        flags,
        _residual(dose, label),
    )


def dose_at(doses: Sequence[NetDose], label: Label, when: datetime) -> float | None:
    """Label in the body at ``when`` if none had left it [the doses' unit]: the sum of the doses until then, each decayed.

    0 before the first dose; None where a dose until then has no stated amount.
    Not what is in the body: excretion is a result, not an input.
    """
    total = 0.0
    for dose in doses:
        if elapsed_s(dose.time, when) >= 0:
            if dose.amount is None:
                return None
            total += dose.amount * share_left(dose.time, when, label)
    return total


def _where(dose: Dose) -> str:
    return f"dose of {dose.label} to {dose.subject} at {dose.dose_time.isoformat()}"


def _error(code: str, what: str, dose: Dose, found: object, expected: object) -> InputError:
    return InputError(code, what, found=found, expected=expected, where=_where(dose), do="correct amount, unit, residual or free label")


def _no_amount(dose: Dose, label: Label) -> tuple[Finding, ...]:
    if label.kind not in _GIVEN_AS_AMOUNT:
        return ()
    return (Finding("no_dose_amount", "warn", f"{_where(dose)}: no amount in the sheet, so no share of the dose and no SUV"),)


def _residual(dose: Dose, label: Label) -> tuple[Finding, ...]:
    if dose.residual_amount is None:
        return (Finding("no_residual", "warn", f"{_where(dose)}: no residual activity in the sheet: taken as 0"),)
    if dose.residual_amount > 0 and dose.residual_time is None and half_life_s(label) is not None:
        return (Finding("no_residual_time", "warn", f"{_where(dose)}: residual without a time: taken as measured at the dose"),)
    return ()
