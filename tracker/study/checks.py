"""Checks across the sheets: what one row says against another, and against what is plausible. None changes a value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from tracker.errors import InputError
from tracker.study.draft import Draft, Placed
from tracker.study.near import ask_near, listed, nearest
from tracker.study.rows import Dose, Label
from tracker.study.sheets import Record
from tracker.study.units import UNIT_OF_KIND

# Body weights [g] outside of which a unit or a column was surely mixed up. Not a norm: wide enough for pups, giants and disease.
PLAUSIBLE_WEIGHT_G = {"mouse": (10.0, 60.0), "rat": (80.0, 1000.0), "human": (2000.0, 300_000.0)}

_REFERENCES = (
    ("doses", "subject", "subjects"),
    ("doses", "label", "labels"),
    ("acquisitions", "subject", "subjects"),
    ("acquisitions", "label", "labels"),
    ("measurements", "subject", "subjects"),
    ("rois", "subject", "subjects"),
    ("beds", "subject", "subjects"),
)


def check_sheets(draft: Draft) -> list[InputError]:
    """All that is wrong between the rows of subjects, doses, labels and the sheets that name them."""
    return [
        *_references(draft),
        *_species(draft),
        *_weights(draft),
        *(error for one in draft.labels for error in _label(one)),
        *(error for one in draft.doses for error in _dose(one)),
        *_dose_units(draft),
        *_offsets(draft),
    ]


def _references(draft: Draft) -> list[InputError]:
    errors = []
    for sheet, column, target in _REFERENCES:
        key = target.removesuffix("s")
        known = list(dict.fromkeys(draft.names(target, key)))
        for record in draft.tables[sheet].records:
            name = record.values.get(column)
            # Nothing known: that sheet could not be read, and its own error says why.
            if known and isinstance(name, str) and name not in known:
                where = record.at(column)
                what, do = f"no row of {target} has this {key}", ask_near(name, known)
                errors.append(InputError(f"unknown_{key}", what, found=repr(name), expected=listed(known), where=where, do=do))
    return errors


def _species(draft: Draft) -> list[InputError]:
    errors = []
    for one in draft.subjects:
        species = one.row.species.lower()
        # Closer than usual: a misspelt mouse would escape the weight check, while any real species must pass.
        near = nearest(species, PLAUSIBLE_WEIGHT_G, cutoff=0.8)
        if species not in PLAUSIBLE_WEIGHT_G and near:
            where = one.record.at("species")
            what, do = "almost, but not quite, a species that is known", f"did you mean {near!r}?"
            errors.append(InputError("unknown_species", what, found=repr(one.row.species), expected=near, where=where, do=do))
    return errors


def _weights(draft: Draft) -> list[InputError]:
    species = {one.row.subject: one.row.species.lower() for one in draft.subjects}
    rows = [(one.record, one.row.subject, one.row.body_weight_g) for one in draft.subjects]
    rows += [(one.record, one.row.subject, one.row.body_weight_g) for one in draft.acquisitions if one.row.body_weight_g is not None]
    errors = []
    for record, subject, weight in rows:
        kind = species.get(subject, "")
        low, high = PLAUSIBLE_WEIGHT_G.get(kind, (0.0, float("inf")))
        if not low <= weight <= high:
            do = "25 g is 25, not 0.025; a person of 70 kg is 70000"
            found, expected = f"{weight:g} g for a {kind}", f"{low:g} to {high:g} g"
            what, where = "this body weight is not plausible: is it in grams?", record.at("body_weight_g")
            errors.append(InputError("implausible_weight", what, found=found, expected=expected, where=where, do=do))
    return errors


def _needs(record: Record, pairs: Iterable[tuple[str, str, str]]) -> list[InputError]:
    """Errors where a column is filled and the one it needs is empty: (filled, needed, why)."""
    return [
        InputError(
            f"{needed}_missing",
            f"{filled} is given and {needed} is empty",
            found=f"{filled} {record.values[filled]}",
            expected=f"a value in {needed}",
            where=record.at(needed),
            do=why,
        )
        for filled, needed, why in pairs
        if filled in record.values and needed not in record.values
    ]


def _dose(one: Placed[Dose]) -> list[InputError]:
    record, row = one.record, one.row
    errors = _needs(
        record,
        (
            ("amount", "amount_unit", "state the unit: a number alone can be 37000 times another"),
            ("amount_unit", "amount", "give the amount, or empty the unit"),
            ("residual_amount", "amount", "give the amount the residual is to be taken from"),
            ("residual_time", "residual_amount", "give the residual, or empty its time"),
            ("assay_time", "amount", "give the amount that was measured then, or empty the time"),
        ),
    )
    if row.amount_unit == "Bq":
        errors += _needs(record, (("residual_amount", "residual_time", "say when it was measured: it decays"),))
    if row.amount is not None and row.residual_amount is not None and row.residual_amount > row.amount and _later(row):
        found, where = f"{row.residual_amount:g} of {row.amount:g} {row.amount_unit}", record.at("residual_amount")
        errors.append(
            InputError("residual_above_amount", "more is left than there was", found=found, expected="less than amount", where=where)
        )
    return errors


def _later(row: Dose) -> bool:
    """Whether the residual was measured after the amount, so that decay cannot explain that it is larger."""
    start = row.assay_time or row.dose_time
    if row.residual_time is None or (start.tzinfo is None) != (row.residual_time.tzinfo is None):
        return row.residual_time is None
    return row.residual_time >= start


def _label(one: Placed[Label]) -> list[InputError]:
    record, row = one.record, one.row
    errors = _needs(
        record,
        (
            ("amount_per_cell", "amount_per_cell_unit", "state the unit"),
            ("amount_per_cell_unit", "amount_per_cell", "give the amount, or empty the unit"),
            ("amount_per_cell_sd", "amount_per_cell", "give the amount, or empty its standard deviation"),
            ("doubling_time_sd_h", "doubling_time_h", "give the doubling time, or empty its standard deviation"),
            ("retention_sd_h", "retention_half_time_h", "give the half-time, or empty its standard deviation"),
        ),
    )
    if row.dilutes and row.doubling_time_h is None:
        do = "give the doubling time of the cells in hours, or write dilutes no"
        what, where = "the label dilutes by division and nobody says how fast", record.at("doubling_time_h")
        errors.append(InputError("doubling_time_h_missing", what, found="dilutes yes", expected="doubling_time_h", where=where, do=do))
    if "retention_table" in record.values and "retention_half_time_h" in record.values:
        where = record.at("retention_table")
        errors.append(
            InputError("retention_twice", "a half-time and a table of retention", expected="one of the two", where=where, do="empty one")
        )
    return errors + _nuclide(one) + _unit_of_kind(row.kind, row.amount_per_cell_unit, record, "amount_per_cell_unit")


def _nuclide(one: Placed[Label]) -> list[InputError]:
    # Late: the table of nuclides is only read where a study has one.
    from tracker.nuclides import nuclide

    row, where = one.row, one.record.at("nuclide")
    if row.kind != "radionuclide":
        what = "a nuclide for a label that is no radionuclide"
        return (
            [InputError("nuclide_unexpected", what, found=row.nuclide, expected=f"none for {row.kind}", where=where)] if row.nuclide else []
        )
    if not row.nuclide:
        return [InputError("nuclide_missing", "a radionuclide without its name", expected="as Zr-89", where=where, do="name the nuclide")]
    try:
        nuclide(row.nuclide)
    except InputError as e:
        return [InputError(e.code, e.what, found=e.found, expected=e.expected, where=where, do=e.do)]
    return []


def _unit_of_kind(kind: str, unit: str, record: Record, column: str) -> list[InputError]:
    expected = UNIT_OF_KIND.get(kind, unit)
    if not unit or unit == expected:
        return []
    found, what = str(record.values[column]), f"this unit cannot be that of a label of kind {kind}"
    return [InputError("wrong_unit", what, found=found, expected=f"a unit of {expected}", where=record.at(column))]


def _dose_units(draft: Draft) -> list[InputError]:
    kinds = {one.row.label: one.row.kind for one in draft.labels}
    # Light is not given in a syringe: a reporter's dose is its cells, and its amount may be in any unit.
    return [
        error
        for one in draft.doses
        if kinds.get(one.row.label) != "reporter"
        for error in _unit_of_kind(kinds.get(one.row.label, ""), one.row.amount_unit, one.record, "amount_unit")
    ]


def _offsets(draft: Draft) -> list[InputError]:
    """Times with and without an offset cannot be told apart in order: one subject's must be all of a kind."""
    stamps: dict[str, list[tuple[Record, str, datetime]]] = defaultdict(list)
    for sheet in ("doses", "acquisitions"):
        for record in draft.tables[sheet].records:
            times = [(record, name, value) for name, value in record.values.items() if isinstance(value, datetime)]
            stamps[str(record.values.get("subject"))] += times
    errors = []
    for subject, found in stamps.items():
        first = found[0] if found else None
        for record, name, value in found:
            if first and (value.tzinfo is None) != (first[2].tzinfo is None):
                what = f"times of {subject} with and without an offset"
                expected, do = (
                    f"as {first[2].isoformat()} in {first[0].at(first[1])}",
                    "write the offset (+01:00) on all of them or on none",
                )
                where = record.at(name)
                errors.append(InputError("mixed_offsets", what, found=value.isoformat(), expected=expected, where=where, do=do))
    return errors
