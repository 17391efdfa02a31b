"""From the header's unit to Bq/mL: activity, makers' counts, and SUVs turned back with the dose and weight the scanner used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from tracker.clock import seconds_between
from tracker.decay import decay_factor
from tracker.errors import Finding, InputError
from tracker.pet.header import PetHeader
from tracker.pet.suv import normaliser
from tracker.pet.timing import Reference

# Below this, a «dose in Bq» cannot have been imaged; it is read as MBq only where the sheet's dose says the same.
_LEAST_DOSE_BQ = 1e4


@dataclass(frozen=True, slots=True)
class Scale:
    """``factor`` (t, z) or scalar: header value × factor = Bq/mL at the values' own reference time; ``how`` for the method chain."""

    factor: Any
    how: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What turning SUVs back needs beside the header: ``origin`` of the scan, ``administered`` as the scanner knew it,
    the sheet's gross doses [Bq] to recognise a header dose in MBq, the ``species``, and the config's constants. ``shared_bed``: several
    animals lay in the scan, and the header's dose and weight are of none of them alone."""

    origin: datetime
    administered: datetime | None
    sheet_doses_bq: tuple[float, ...]
    species: str
    constants: Mapping[str, Any]
    shared_bed: bool = False


def header_dose_bq(header: PetHeader, sheet_doses_bq: tuple[float, ...]) -> tuple[float | None, tuple[Finding, ...]]:
    """RadionuclideTotalDose in Bq: as the IOD says (Bq in PET, MBq in NM), or MBq where only that agrees with the sheet.

    None where the header has no dose. Raises `InputError` for a value that is no dose in Bq and neither the sheet's in Bq nor in MBq.
    """
    tracer = header.tracer
    if tracer is None or tracer.dose is None:
        return None, ()
    stated = tracer.dose
    if tracer.dose_unit == "MBq" and stated < _LEAST_DOSE_BQ:
        return stated * 1e6, ()
    # A factor of 2 is far from the 1e6 between the units and wide enough for residuals and assay times.
    if stated >= _LEAST_DOSE_BQ or any(0.5 * dose < stated < 2 * dose for dose in sheet_doses_bq):
        return stated, ()
    if any(0.5 * dose < stated * 1e6 < 2 * dose for dose in sheet_doses_bq):
        return stated * 1e6, (
            Finding("header_dose_unit", "warn", f"RadionuclideTotalDose {stated:g} is in MBq, as the sheet's dose shows, not Bq"),
        )
    raise InputError(
        "dose_unit_unclear",
        "RadionuclideTotalDose is too small for a dose in Bq",
        found=f"{stated:g}",
        expected=f"Bq; or the sheet's dose ({', '.join(f'{d:.4g}' for d in sheet_doses_bq)} Bq) in MBq",
        do="check the dose in the `doses` sheet and its unit",
    )


def _from_suv(header: PetHeader, suv_type: str, ref: Reference, half_life_s: float, given: Given) -> Scale:
    """SUV → Bq/mL at the reference time: C = SUV · D(t_ref) / normaliser, all as the scanner had them."""
    if given.shared_bed:
        raise InputError(
            "shared_bed_suv",
            "the values of a shared bed are SUVs: one dose and one weight cannot be those of several animals",
            found=f"SUV{suv_type.lower() or 'bw'}",
            expected="a series in Bq/mL",
            do="use the series in Bq/mL; each animal's dose and weight are taken from the sheets",
        )
    dose_bq, findings = header_dose_bq(header, given.sheet_doses_bq)
    norm = normaliser(suv_type, header.weight_kg, header.height_m, header.sex, given.species)
    if dose_bq is None or given.administered is None:
        raise InputError(
            "suv_needs_dose",
            "the values are SUVs and cannot be turned back into activity",
            found="no RadionuclideTotalDose or no administration time in the header",
            expected="the dose, weight and times that the scanner divided by",
            do="use the series in Bq/mL",
        )
    since_s = ref.seconds - seconds_between(given.administered, given.origin)
    return Scale(dose_bq * decay_factor(since_s, half_life_s) / norm, f"SUV{suv_type.lower() or 'bw'}", findings)


def _from_counts(header: PetHeader, ref: Reference, half_life_s: float, given: Given) -> Scale:
    configured = given.constants.get("units_calibration_bq_per_ml_per_unit")
    if configured is not None:
        return Scale(float(configured), "configured calibration")
    found = header.philips_activity_factor or header.philips_suv_factor
    if found is None:
        raise InputError(
            "units_counts",
            "the values are counts without a calibration",
            found="Units CNTS, no Philips scale (7053,xx00) or (7053,xx09)",
            expected="a series in BQML",
            do="reconstruct in BQML, or give pet.units_calibration_bq_per_ml_per_unit from a phantom scan",
        )
    if not given.constants.get("accept_philips_counts"):
        raise InputError(
            "units_philips_counts",
            "the values are counts with Philips' private scale",
            found=f"Units CNTS, scale {found:g}",
            expected="your consent to use it",
            do="set `pet: {accept_philips_counts: true}` in the config, or reconstruct in BQML",
        )
    if header.philips_activity_factor is not None:
        return Scale(header.philips_activity_factor, "Philips activity scale")
    suv = _from_suv(header, "BW", ref, half_life_s, given)
    return Scale(np.asarray(suv.factor) * found, "Philips SUV scale", suv.findings)


def to_bq_per_ml(header: PetHeader, ref: Reference, half_life_s: float, given: Given) -> Scale:
    """The factor from the header's values to Bq/mL at the moment they refer to (``ref``).

    ``half_life_s`` is the one the scanner used. BQML is 1; GML and CM2ML are SUVs of their SUVType, turned back with the header's
    own dose, weight and times; CNTS needs Philips' factors (by consent) or a configured calibration.
    Raises `InputError` for every other unit: nothing is guessed.
    """
    units, suv_type = header.units, header.suv_type
    if units == "BQML":
        return Scale(1.0, "Bq/mL")
    if units == "GML" and suv_type != "BSA":
        return _from_suv(header, suv_type, ref, half_life_s, given)
    if units == "CM2ML" and suv_type in ("", "BSA"):
        return _from_suv(header, "BSA", ref, half_life_s, given)
    if units == "CNTS":
        return _from_counts(header, ref, half_life_s, given)
    configured = given.constants.get("units_calibration_bq_per_ml_per_unit")
    if units in ("PROPCPS", "CPS", "PROPCNTS", "NONE") and configured is not None:
        return Scale(float(configured), "configured calibration")
    raise InputError(
        "units_unsupported",
        "the values are not an activity concentration",
        found=f"Units {units or 'missing'}" + (f", SUVType {suv_type}" if suv_type else ""),
        expected="BQML; GML or CM2ML with the dose and weight in the header; CNTS with a calibration",
        do="reconstruct in BQML, or give pet.units_calibration_bq_per_ml_per_unit from a phantom scan",
    )
