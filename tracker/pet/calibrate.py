"""PET or SPECT `Scan` → `Quantity`: activity concentration [Bq/mL] at the middle of each frame."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Quantity, Scan
from tracker.nuclides import Nuclide, nuclide
from tracker.pet import crosscheck
from tracker.pet.header import PetHeader
from tracker.pet.timing import check_decay_factor, middle_factor, reference
from tracker.pet.units import Given, header_dose_bq, to_bq_per_ml
from tracker.study.model import Context


def _nuclide(context: Context) -> Nuclide:
    if context.label.kind != "radionuclide":
        raise InputError(
            "label_not_radioactive",
            "a PET or SPECT scan needs a radionuclide label",
            found=f"label {context.label.label} of kind {context.label.kind}",
            expected="radionuclide",
            do="name the radionuclide's label in the acquisitions sheet",
        )
    return nuclide(context.label.nuclide)


def _shifted(times: FrameTimes, offset_s: float) -> FrameTimes:
    return FrameTimes(times.origin + timedelta(seconds=offset_s), times.start_s, times.duration_s)


def _gap_finding(times: FrameTimes) -> Finding | None:
    ends = np.array(times.start_s) + np.array(times.duration_s)
    gaps_s = np.array(times.start_s)[1:] - ends[:-1]
    # Clocks are written to the second; frames that follow within one are contiguous.
    if gaps_s.size and gaps_s.max() > 1.0:
        return Finding("frame_gaps", "warn", f"{int((gaps_s > 1.0).sum())} gap(s) between frames, the longest {gaps_s.max():.3g} s")
    return None


def calibrate(scan: Scan, context: Context) -> Quantity:
    """Activity concentration (t, z, y, x) [Bq/mL] at the middle of each frame, lazily; the scan is not changed.

    value = stored value × scale to Bq/mL (`units`) × decay from the header's reference to the frame's middle (`timing`) × branching.
    The dose and the animal enter only where the values are SUVs, and then as the scanner knew them; the sheets are compared with the
    header and every disagreement is a finding. ``scale_cv`` is pet.calibration_sd_percent, None where that is not stated.
    Raises `InputError` where units, times or nuclide leave more than one answer. It does not correct for spill-over or dead time.
    """
    header: PetHeader = scan.header
    known = _nuclide(context)
    scanner_half_life_s, half_life = crosscheck.scanner_half_life(header, known, context)
    given_at, injection = crosscheck.administered(header, context, scan.times.origin)
    sheet_bq = tuple(d.amount for d in context.doses if d.amount is not None and d.amount_unit == "Bq")
    shared = crosscheck.shared_bed(context)
    given = Given(scan.times.origin, given_at, sheet_bq, context.subject.species, context.constants, shared)
    ref = reference(header, scan.times.origin, scanner_half_life_s, given_at)
    scale = to_bq_per_ml(header, ref, scanner_half_life_s, given)
    share, branch = crosscheck.branching(header, known, context)
    factor = middle_factor(header, scan.times, ref, (scanner_half_life_s, known.half_life_s)) * scale.factor * share
    times = _shifted(scan.times, float(context.constants.get("clock_offset_s", 0.0)))
    crosscheck.check_delay(context, known, times.origin)
    dose = None if scale.findings or shared else _header_dose(header, sheet_bq)
    checks: tuple[Finding | None, ...] = (
        half_life,
        branch,
        check_decay_factor(header, scan.times.origin, ref, scanner_half_life_s),
        crosscheck.check_weight(header, context),
    )
    checks += (crosscheck.check_dose(dose, context), _gap_finding(times))
    noted = scan.findings + ref.findings + scale.findings + (() if shared else injection) + crosscheck.check_corrections(header)
    sd_percent = context.constants.get("calibration_sd_percent")
    return Quantity(
        values=scan.values * factor.astype(np.float32)[:, :, None, None],
        unit="Bq/mL",
        grid=scan.grid,
        times=times,
        scale_cv=None if sd_percent is None else float(sd_percent) / 100,
        method=f"{header.source} {scale.how}>{ref.how}>middle of frame",
        findings=noted + tuple(c for c in checks if c is not None),
    )


def _header_dose(header: PetHeader, sheet_bq: tuple[float, ...]) -> float | None:
    """The header's dose for comparison only; one that cannot be read as a dose is not compared."""
    try:
        return header_dose_bq(header, sheet_bq)[0]
    except InputError:
        return None
