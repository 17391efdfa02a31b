"""The header against the study's sheets: the sheets count, every disagreement is reported, and what cannot be is refused."""

from __future__ import annotations

from datetime import datetime, timedelta

from tracker.clock import seconds_between
from tracker.decay import decay_factor
from tracker.errors import Finding, InputError
from tracker.nuclides import Nuclide
from tracker.nuclides import nuclide as find_nuclide
from tracker.pet.header import PetHeader
from tracker.study.model import Context
from tracker.study.rows import Dose

# A nuclide's half-life is known to 0.5 %; beyond 5 % the scanner was told another nuclide.
_OTHER_NUCLIDE = 0.05
_CORRECTIONS = {
    "attenuation": ("ATTN",),
    "scatter": ("SCAT",),
    "normalisation": ("NORM",),
    "dead time": ("DTIM",),
    "randoms": ("RAN", "RANSNG"),
}
# Randoms and normalisation are words of coincidences: a gamma camera's scan is asked for these two alone.
_CORRECTIONS_SPECT = ("attenuation", "scatter")
_DAY_S = 86400.0
# Nuclides from 64Cu's half-life on are scanned on later days, where a time of day says nothing (IBSI SUV manual, arXiv 2410.13348).
_LONG_LIVED_S = 41400.0
_UNDATED_LIMIT_S = 6 * 3600.0


def scanner_half_life(header: PetHeader, nuclide: Nuclide, context: Context) -> tuple[float, Finding]:
    """The half-life the scanner used [s]: the header's, else the nuclide's own, and how they compare.

    Raises `InputError` where the header's half-life, or the nuclide it names, is another one's.
    """
    stated = header.tracer.half_life_s if header.tracer else None
    named = _named_nuclide(header)
    other = named is not None and named.name != nuclide.name
    if other:
        _refuse_other_nuclide(named.name if named else "", nuclide, context)
    if stated is None and other:
        raise InputError(
            "half_life_missing",
            "decay was corrected for another nuclide with a half-life that is not stated",
            found=f"{named.name if named else ''} without a half-life",
            expected="RadionuclideHalfLife",
            do="restore (0018,1075)",
        )
    if stated is None:
        words = f"no half-life in the header: {nuclide.name}'s {nuclide.half_life_s:g} s is used"
        return nuclide.half_life_s, Finding("half_life", "warn", words)
    apart = abs(stated / nuclide.half_life_s - 1)
    if apart > _OTHER_NUCLIDE:
        _refuse_other_nuclide(f"a half-life of {stated:g} s", nuclide, context)
    limit = float(context.constants.get("half_life_tolerance_percent", 0.5)) / 100
    words = f"header {stated:g} s, {nuclide.name} {nuclide.half_life_s:g} s ({nuclide.source})"
    return stated, Finding("half_life", "ok" if apart <= limit else "warn", words)


def _refuse_other_nuclide(found: str, nuclide: Nuclide, context: Context) -> None:
    if context.constants.get("accept_other_nuclide"):
        return
    raise InputError(
        "nuclide_mismatch",
        "the header's nuclide is another than the label's",
        found=found,
        expected=f"{nuclide.half_life_s:g} s ({nuclide.name}, label {context.label.label})",
        do="correct the `labels` sheet; if the scan was really taken under that nuclide's protocol, set pet.accept_other_nuclide: true",
    )


def _named_nuclide(header: PetHeader) -> Nuclide | None:
    """The nuclide that the header's code or text names; None where it names none that the table knows."""
    for word in header.tracer.nuclide if header.tracer else ():
        try:
            return find_nuclide(word)
        except InputError:
            continue
    return None


def administered(header: PetHeader, context: Context, scan_start: datetime) -> tuple[datetime | None, tuple[Finding, ...]]:
    """The administration as the scanner knew it, and how it compares with the sheet's dose time.

    RadiopharmaceuticalStartDateTime, else StartTime on the day that puts it before the scan. A dated time that lies after the
    scan, or disagrees with the undated one, is only resolved where the sheet confirms one of the two; so is an undated time of a
    nuclide that is scanned on later days, or more than 6 h before the scan. None where the header has none
    or nothing confirms it; then nothing that needs it can be computed.
    """
    if header.tracer is None:
        return None, ()
    candidates = _candidates(header, scan_start)
    dose = _nearest_dose(context, scan_start)
    sheet = None if dose is None else dose - timedelta(seconds=float(context.constants.get("clock_offset_s", 0.0)))
    tolerance_s = float(context.constants.get("time_tolerance_s", 60.0))
    possible = [c for c in candidates if seconds_between(scan_start, c) > -tolerance_s]
    confirmed = [c for c in possible if sheet is not None and abs(seconds_between(c, sheet)) <= tolerance_s]
    if not candidates:
        return None, (Finding("injection_time", "warn", "the header has no administration time to compare with the sheet"),)
    if confirmed and len(candidates) == 1:
        return confirmed[0], (Finding("injection_time", "ok", "header and sheet agree"),)
    listed = " and ".join(c.isoformat(sep=" ") for c in candidates)
    words = f"header says {listed}, the sheet {sheet.isoformat(sep=' ') if sheet else 'nothing'}: the sheet counts"
    if confirmed:
        return confirmed[0], (Finding("injection_time", "warn", words),)
    sure = len(candidates) == 1 and (header.tracer.start_datetime is not None or _same_day_only(context, scan_start, candidates[0]))
    # Unconfirmed but unambiguous: it is what the scanner used, whatever the sheet says; else nobody can tell.
    return (possible[0] if possible and sure else None), (Finding("injection_time", "warn", words),)


def _candidates(header: PetHeader, scan_start: datetime) -> list[datetime]:
    """The administration times the header may mean: the dated one alone where it lies before the scan and the undated one agrees."""
    dated, undated = (header.tracer.start_datetime if header.tracer else None), _undated(header, scan_start)
    if dated is None or undated is None:
        return [c for c in (dated, undated) if c is not None]
    apart_s = abs(seconds_between(dated, undated)) % _DAY_S
    same_clock = min(apart_s, _DAY_S - apart_s) <= 1.0
    if (same_clock and seconds_between(scan_start, dated) >= 0) or abs(seconds_between(dated, undated)) <= 1.0:
        return [dated]
    return [dated, undated]


def _same_day_only(context: Context, scan_start: datetime, undated: datetime) -> bool:
    """Whether an undated administration can only be that of the scan's day: a short-lived nuclide, a few hours before."""
    return find_nuclide(context.label.nuclide).half_life_s < _LONG_LIVED_S and seconds_between(scan_start, undated) < _UNDATED_LIMIT_S


def _undated(header: PetHeader, scan_start: datetime) -> datetime | None:
    """RadiopharmaceuticalStartTime as a moment: on the day that StartDateTime gives, if that lies before the scan, else on the last
    day that puts it before the scan (a delay within one day)."""
    tracer = header.tracer
    if tracer is None or tracer.start_time is None:
        return None
    dated = tracer.start_datetime
    if dated is not None and seconds_between(scan_start, dated) >= 0:
        return datetime.combine(dated.date(), tracer.start_time, dated.tzinfo)
    same_day = datetime.combine(scan_start.date(), tracer.start_time, scan_start.tzinfo)
    return same_day if same_day <= scan_start else same_day - timedelta(days=1)


def _nearest_dose(context: Context, scan_start: datetime) -> datetime | None:
    before = [d.dose_time for d in context.doses if seconds_between(scan_start, d.dose_time) >= 0]
    return max(before, default=context.doses[0].dose_time if context.doses else None)


def shared_bed(context: Context) -> bool:
    """Whether several animals lay in the scan, so that nothing of dose and weight in its header can be taken for this one's."""
    return len(context.beds) > 1


def check_weight(header: PetHeader, context: Context) -> Finding | None:
    """PatientWeight against the sheet's body weight; None where the header has none. In a shared bed they are not compared, as is said."""
    if shared_bed(context):
        words = (
            f"{len(context.beds)} animals in one scan: the header's dose, its time and weight are not compared; the sheets have each one's"
        )
        return Finding("shared_bed", "ok", words)
    if header.weight_kg is None:
        return None
    sheet_g = context.acquisition.body_weight_g or context.subject.body_weight_g
    limit = float(context.constants.get("weight_tolerance_percent", 10.0)) / 100
    agree = abs(header.weight_kg * 1000 / sheet_g - 1) <= limit
    return Finding("body_weight", "ok" if agree else "warn", f"header {header.weight_kg:g} kg, sheet {sheet_g:g} g: the sheet counts")


def check_dose(dose_bq: float | None, context: Context) -> Finding | None:
    """The header's dose against the sheet's amounts at the dose time (makers do not subtract residuals); None where either is missing."""
    amounts = [_at_dose_time_bq(d, context) for d in context.doses if d.amount and d.amount_unit == "Bq"]
    if dose_bq is None or not amounts:
        return None
    limit = float(context.constants.get("dose_tolerance_percent", 5.0)) / 100
    near = min(amounts, key=lambda a: abs(a - dose_bq))
    agree = abs(dose_bq / near - 1) <= limit
    return Finding("dose", "ok" if agree else "warn", f"header {dose_bq:.6g} Bq, sheet {near:.6g} Bq: the sheet counts")


def _at_dose_time_bq(dose: Dose, context: Context) -> float:
    since_assay_s = 0.0 if dose.assay_time is None else seconds_between(dose.dose_time, dose.assay_time)
    return (dose.amount or 0.0) * decay_factor(since_assay_s, find_nuclide(context.label.nuclide).half_life_s)


def check_corrections(header: PetHeader) -> tuple[Finding, ...]:
    """CorrectedImage: decay must agree with DecayCorrection (else `InputError`), the physical corrections should all be listed."""
    if header.corrected is None:
        return (
            Finding(
                "corrections_missing", "warn", "CorrectedImage is missing: whether the scan is attenuation and scatter corrected is unknown"
            ),
        )
    listed, decayed = "DECY" in header.corrected, header.decay_correction != "NONE"
    if listed != decayed:
        raise InputError(
            "decay_contradiction",
            "CorrectedImage and DecayCorrection contradict each other",
            found=f"DecayCorrection {header.decay_correction}, CorrectedImage {'with' if listed else 'without'} DECY",
            expected="DECY in CorrectedImage exactly where DecayCorrection is START or ADMIN",
            do="find out from the reconstruction protocol which is true and correct the header",
        )
    asked = _CORRECTIONS_SPECT if header.source == "nm" else tuple(_CORRECTIONS)
    lacking = [name for name in asked if not set(_CORRECTIONS[name]) & set(header.corrected)]
    if lacking:
        return (Finding("corrections_missing", "warn", f"not corrected for {', '.join(lacking)}"),)
    return (Finding("corrections", "ok", f"{', '.join(asked)} and decay as stated"),)


def branching(header: PetHeader, nuclide: Nuclide, context: Context) -> tuple[float, Finding | None]:
    """Factor for the positron fraction, 1 unless the config states what the scanner did, and how header and table compare.

    ``branching_applied: no`` divides by the nuclide's fraction; ``branching_fraction_scanner`` exchanges the scanner's for it.
    """
    table = nuclide.positron_fraction
    if table <= 0:
        return 1.0, None
    stated = context.constants.get("branching_fraction_scanner")
    if context.constants.get("branching_applied") == "no":
        return 1 / table, Finding("branching", "ok", f"divided by the positron fraction {table:g} (config)")
    if stated is not None:
        return float(stated) / table, Finding("branching", "ok", f"scanner's positron fraction {stated:g} exchanged for {table:g} (config)")
    inside = header.tracer.positron_fraction if header.tracer else None
    if context.constants.get("branching_applied") == "yes":
        return 1.0, None
    if inside is not None and abs(inside / table - 1) <= 0.01:
        return 1.0, Finding("branching", "ok", f"positron fraction {inside:g}")
    words = f"header says {inside:g}" if inside is not None else "the header is silent"
    return 1.0, Finding(
        "branching", "warn", f"positron fraction of {nuclide.name} is {table:g}, {words}: not rescaled; "
        "state pet.branching_applied or pet.branching_fraction_scanner if the scanner used another",
    )  # fmt: skip


def check_delay(context: Context, nuclide: Nuclide, scan_start: datetime) -> None:
    """Raises `InputError` where the scan lies implausibly many half-lives after the dose: a wrong date rather than a faint scan."""
    dose = _nearest_dose(context, scan_start)
    limit = float(context.constants.get("max_uptake_half_lives", 20.0))
    if dose is None:
        return
    passed = seconds_between(scan_start, dose) / nuclide.half_life_s
    if passed > limit:
        raise InputError(
            "uptake_too_long",
            "the scan is implausibly long after the dose",
            found=f"{passed:.3g} half-lives of {nuclide.name} ({passed * nuclide.half_life_s / _DAY_S:.3g} days)",
            expected=f"at most {limit:g} (pet.max_uptake_half_lives)",
            do="check `dose_time` in the doses sheet and the scan's date",
        )
