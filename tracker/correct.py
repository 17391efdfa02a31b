"""What a scan's organ rows mean for the label and the cells: decay, share of the dose, SUV, cells; by label, never by modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tracker.background import Before, take_off, with_unmixed
from tracker.cells import PerCell, label_per_cell
from tracker.dilution import quadrature
from tracker.errors import Finding, InputError
from tracker.label import NetDose, dose_at, elapsed_s, net_dose, share_left
from tracker.study.model import Context
from tracker.study.rows import Label
from tracker.study.units import UNIT_OF_KIND
from tracker.table import Row

# A dynamic scan starts a little before the injection; its frames before it are kept as measured.
PRE_DOSE_S = 300.0

_SUV = {"concentration": "suv", "concentration_max": "suv_max", "concentration_peak": "suv_peak"}


@dataclass(frozen=True, slots=True)
class Corrected:
    """A scan's rows as measured and, after them, the derived ones; and what correcting noted."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Scale:
    """One derived quantity: value × factor; ``factor`` None gives a row without a value. ``per_mass``: divided by the organ's mass too."""

    quantity: str
    unit: str
    factor: float | None
    sd_relative: float | None
    stages: tuple[str, ...]
    flags: tuple[str, ...] = ()
    per_mass: bool = False


@dataclass(frozen=True, slots=True)
class _Instant:
    """What holds at the middle of one frame: the share that decay left since the first dose, the dose left, the label in a cell."""

    first_to_now: float
    dose: float | None
    dose_flags: tuple[str, ...]
    per_cell: PerCell | None


def correct(rows: Sequence[Row], context: Context, before: Before | None = None) -> Corrected:
    """The rows of one scan as measured, and those that its label and doses allow to derive from them.

    At the middle t of each frame, A = ``signal`` without spill-over where that was undone (``before.unmixed``) and less its background
    (`background.take_off`, from the scans ``before``),
    C = ``concentration`` (mean, max, peak) as measured, t_1 the label's first dose:

        label_amount           A · 2^((t - t_1)/T½)                 (A itself where corrections: decay is false)
        injected_percent       100 · A / D(t), D(t) = Σ net doses, each decayed to t
        injected_percent_per_g injected_percent / mass
        suv, suv_max, suv_peak C · body weight / D(t)  [g/mL], radionuclides only
        cells_equivalent       A / label per cell at t, where the doses carry cells and label per cell is known
        cells_viable           the same of a reporter, which dead cells do not show (and cells_viable_per_g)

    ``sd_noise`` and the limits scale with the value; ``sd_scale`` takes up dose, weight and label per cell in quadrature, and is
    None where one of them is not stated. A value that is None stays None; a negative one stays negative.
    Frames before the first dose get no derived rows. Input rows are not changed.
    Raises `InputError` ``scan_before_dose``, ``label_unit``, and those of `label.net_dose`.
    Does not say that cells live (``assumed_all_live``), nor where label went that cells lost.
    """
    doses = tuple(net_dose(dose, context.label, context.corrections) for dose in context.doses)
    findings = [finding for dose in doses for finding in dose.findings]
    raw = [row for row in rows if row.quantity == "signal" or row.quantity in _SUV]
    _check_units(raw, context)
    if context.acquisition.role != "followup" or not raw or not _check_times(raw, context, findings):
        return Corrected(tuple(rows), tuple(findings))
    before = before or Before()
    net = take_off(with_unmixed(rows, before.unmixed), before, context)
    signals = iter(net.signals)
    measured, raw = raw, [next(signals) if row.quantity == "signal" else row for row in raw]
    instants = _instants(raw, context, doses, findings)
    weighed = any(row.mass_g for row in raw)  # a planar image has no mass: no %/g rows, rather than all of them empty
    scaled = [(row, scale) for row in raw for scale in _scales(row, instants.get(row.time_h), context)]
    derived = [_derive(row, scale) for row, scale in scaled if weighed or not scale.per_mass]
    findings += [*net.findings, *_unstated(measured, derived, context)]
    # What was measured stays as measured: only what is derived has spill-over off.
    unmixed = {row.quantity for row in before.unmixed}
    kept = with_unmixed(net.rows, [row for row in rows if row.quantity in unmixed])
    return Corrected((*kept, *derived), tuple(dict.fromkeys(findings)))


def _check_units(raw: Sequence[Row], context: Context) -> None:
    expected = UNIT_OF_KIND.get(context.label.kind)
    for row in raw:
        if row.quantity == "signal" and expected and row.unit != expected:
            raise InputError(
                "label_unit",
                f"a {context.label.kind} label is not measured in this unit",
                found=f"signal in {row.unit}",
                expected=expected,
                where=f"{row.subject}, session {row.session}, {row.modality}, label {row.label}",
                do="name the label that this scan measures in the acquisitions sheet",
            )


def _when(context: Context, time_h: float) -> datetime:
    # Only an animal without a dose has no first one, and its scans are baselines, which nothing is derived from.
    return (context.first_dose_time or datetime.min) + timedelta(hours=time_h)


def _check_times(raw: Sequence[Row], context: Context, findings: list[Finding]) -> bool:
    """Whether some frame follows the dose; raises where the scan precedes it by more than a dynamic scan's lead."""
    times = [row.time_h for row in raw if row.time_h is not None]
    if not context.doses or not times:
        findings.append(
            Finding("no_dose", "warn", f"{context.subject.subject} has no dose of {context.label.label}: rows as measured only")
        )
        return False
    dose_time = context.doses[0].dose_time
    start = _when(context, min(row.time_start_h if row.time_start_h is not None else min(times) for row in raw))
    if elapsed_s(dose_time, _when(context, max(times))) < 0 or elapsed_s(start, dose_time) > PRE_DOSE_S:
        raise InputError(
            "scan_before_dose",
            "the scan starts before the dose",
            found=f"scan {start.isoformat()}, dose {dose_time.isoformat()}",
            expected="a follow-up scan after the dose",
            where=f"{context.subject.subject}, session {context.acquisition.session}",
            do="correct dose_time or the scan's time, or set its role to baseline",
        )
    return True


def _instants(raw: Sequence[Row], context: Context, doses: Sequence[NetDose], findings: list[Finding]) -> dict[float | None, _Instant]:
    """By frame time [h], for the frames after the first dose."""
    units = {row.unit for row in raw if row.quantity == "signal"}
    unit = units.pop() if units else UNIT_OF_KIND.get(context.label.kind, "")
    instants: dict[float | None, _Instant] = {}
    for time_h in sorted({row.time_h for row in raw if row.time_h is not None}):
        when = _when(context, time_h)
        before = [dose for dose in doses if elapsed_s(dose.time, when) >= 0]
        if before:
            same_unit = all(dose.unit == unit for dose in before)
            per_cell = _per_cell(before, unit, context, when, findings)
            flags = tuple(dict.fromkeys(flag for dose in before for flag in dose.flags))
            left = dose_at(before, context.label, when) if same_unit else None
            instants[time_h] = _Instant(share_left(doses[0].time, when, context.label), left, flags, per_cell)
    return instants


def _per_cell(doses: Sequence[NetDose], unit: str, context: Context, when: datetime, findings: list[Finding]) -> PerCell | None:
    label = _calibrated(context)
    if not any(dose.cells > 0 for dose in doses):
        return None  # a free tracer: nothing to count
    if label.kind == "reporter" and label.amount_per_cell is None:
        what = f"no cells: label {label.label} has no amount_per_cell in the labels sheet, and the config no photons_per_s_per_cell"
        findings.append(Finding("no_amount_per_cell", "warn", what))
        return None
    try:
        found = label_per_cell(doses, label, context.corrections, when)
    except InputError as error:
        findings.append(Finding(error.code, "warn", f"no cells_equivalent: {error}"))
        return None
    if found.unit != unit:
        what = f"no cells_equivalent: label {label.label} has its amount per cell in {found.unit or 'no unit'}, the scan measures {unit}"
        findings.append(Finding("no_amount_per_cell", "warn", what))
        return None
    if context.corrections.dilution and label.dilutes is None and label.kind != "reporter":
        what = f"label {label.label}: dilutes is empty in the labels sheet, so cells are not corrected for division"
        findings.append(Finding("dilution_unknown", "warn", what))
    if len(doses) > 1:
        what = f"{len(doses)} doses of {label.label} before this scan: label per cell is their mean, as if all were mixed in every organ"
        findings.append(Finding("repeated_doses", "warn", what))
    return found


def _calibrated(context: Context) -> Label:
    """The scan's label; of a reporter that the labels sheet has no amount per cell for, with the light of a cell that the config states.

    A gene is copied at each division: a reporter is thinned by division only where the sheet says ``dilutes``.
    """
    label, per_cell = context.label, context.constants.get("photons_per_s_per_cell")
    if label.kind != "reporter" or label.amount_per_cell is not None or per_cell is None:
        return label
    sd = context.constants.get("photons_per_s_per_cell_sd")
    return replace(label, amount_per_cell=per_cell, amount_per_cell_unit=UNIT_OF_KIND["reporter"], amount_per_cell_sd=sd)


def _scales(row: Row, at: _Instant | None, context: Context) -> list[_Scale]:
    if at is None:
        return []
    if row.quantity != "signal":
        return _suv_scale(row, at, context)
    decays = context.label.kind == "radionuclide"
    decay = ("decay",) if decays else ()
    back = 1.0 / at.first_to_now if context.corrections.decay else 1.0
    scales = [_Scale("label_amount", row.unit, back, 0.0, decay if context.corrections.decay else ())]
    if at.dose:
        dose_sd = _share_of(context.corrections.dose_sd_percent)
        stages = (*decay, "dose")
        scales.append(_Scale("injected_percent", "%", 100.0 / at.dose, dose_sd, stages, at.dose_flags))
        scales.append(_Scale("injected_percent_per_g", "%/g", 100.0 / at.dose, dose_sd, (*stages, "mass"), at.dose_flags, per_mass=True))
    if at.per_cell:
        cell = at.per_cell
        living = context.label.kind == "reporter"
        name, flags = ("cells_viable", cell.flags) if living else ("cells_equivalent", ("assumed_all_live", *cell.flags))
        factor = 1.0 / cell.amount if cell.amount else None
        stages = (*decay, *cell.stages, "cells")
        scales.append(_Scale(name, "cells", factor, cell.sd_relative, stages, flags))
        if living:
            scales.append(_Scale("cells_viable_per_g", "cells/g", factor, cell.sd_relative, (*stages, "mass"), flags, per_mass=True))
    return scales


def _suv_scale(row: Row, at: _Instant, context: Context) -> list[_Scale]:
    if context.label.kind != "radionuclide" or not at.dose:
        return []
    weight_g = context.acquisition.body_weight_g or context.subject.body_weight_g
    corrections = context.corrections
    sd = quadrature([_share_of(corrections.dose_sd_percent), _share_of(corrections.body_weight_sd_percent)])
    return [_Scale(_SUV[row.quantity], "g/mL", weight_g / at.dose, sd, ("decay", "dose", "weight"), at.dose_flags)]


def _share_of(percent: float | None) -> float | None:
    return None if percent is None else percent / 100.0


def _derive(row: Row, scale: _Scale) -> Row:
    factor = scale.factor
    if scale.per_mass and factor is not None:
        factor = factor / row.mass_g if row.mass_g else None
    value = _times(row.value, factor)
    sd_scale = None
    if value is not None and scale.sd_relative is not None:
        sd_scale = quadrature([_times(row.sd_scale, factor), value * scale.sd_relative])
    return replace(
        row,
        quantity=scale.quantity,
        unit=scale.unit,
        value=value,
        sd_noise=_times(row.sd_noise, factor) if value is not None else None,
        sd_scale=sd_scale,
        lloq=_times(row.lloq, factor),
        uloq=_times(row.uloq, factor),
        cens=row.cens if value is not None or _times(row.uloq, factor) is not None else None,
        flag=tuple(dict.fromkeys(row.flag + scale.flags)),
        method=">".join(filter(None, (row.method, *scale.stages))),
    )


def _times(value: float | None, factor: float | None) -> float | None:
    return None if value is None or factor is None else value * factor


def _unstated(raw: Sequence[Row], derived: Sequence[Row], context: Context) -> list[Finding]:
    """One finding that says which standard deviations to give, where derived rows have no ``sd_scale`` for want of them."""
    made = {row.quantity for row in derived}
    label, corrections = _calibrated(context), context.corrections
    cells, suv = bool(made & {"cells_equivalent", "cells_viable"}), bool(made & set(_SUV.values()))
    from_dose = "injected_percent" in made or suv or (cells and label.amount_per_cell is None)
    table_sds = all(point.sd is not None for point in label.retention_table)
    thinned = cells and corrections.dilution and label.dilutes
    lost = cells and corrections.retention
    uncalibrated = any(row.value is not None and row.sd_scale is None for row in raw)
    # Iron comes from a rate and its relaxivity, all else from a scanner's own calibration.
    how = "relaxivity_sd_per_s_per_mmolar" if label.kind == "iron" else "scanner's calibration_sd_percent"
    per_cell_sd = "amount_per_cell_sd in labels" if context.label.amount_per_cell else "photons_per_s_per_cell_sd in the config"
    asked = (
        (uncalibrated, f"the {how} in the config"),
        (from_dose and corrections.dose_sd_percent is None, "dose_sd_percent in corrections"),
        (suv and corrections.body_weight_sd_percent is None, "body_weight_sd_percent in corrections"),
        (cells and label.amount_per_cell and label.amount_per_cell_sd is None, per_cell_sd),
        (thinned and label.doubling_time_sd_h is None, "doubling_time_sd_h in labels"),
        (lost and label.retention_half_time_h and label.retention_sd_h is None, "retention_sd_h in labels"),
        (lost and not table_sds, "sd in the retention table"),
    )
    missing = [name for lacking, name in asked if lacking]
    if not missing:
        return []
    return [Finding("sd_scale_missing", "warn", f"values have no complete sd_scale; give {', '.join(missing)}")]
