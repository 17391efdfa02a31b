"""What was done, and what was assumed, in sentences that a paper can take over; from the study's own sheets and config."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracker.report.relaxation import rate_assumptions, rate_sentences
from tracker.report.summary import duration_text, number_text, ordered
from tracker.study.model import Study
from tracker.study.rows import Dose, Label
from tracker.table import FLAGS, Row

_BACKGROUND = {
    "none": "No background was subtracted.",
    "baseline": "What each organ shows without label was subtracted as background, where that is known: from the animal's own scan "
    "before the dose, else a reference organ or the control group.",
}


def methods_text(study: Study, rows: Sequence[Row]) -> tuple[str, ...]:
    """Sentences on what was done, in the order of the flow: scans, labels, organs, doses, corrections, uncertainty, cells."""
    sentences = [_scans(study, rows)]
    sentences += [_label(label) for label in study.labels if any(d.label == label.label for d in study.doses)]
    sentences += [*_constants(study), *_organs(study), *_doses(study), *_corrections(study)]
    return tuple(s for s in (*sentences, *rate_sentences(rows), *_quantities(study, rows), *_uncertainty(study, rows)) if s)


def assumptions(study: Study, rows: Sequence[Row]) -> tuple[str, ...]:
    """Sentences on what was taken for granted: where the sheets and the config are silent, and each flag in the table."""
    corrections = study.config.corrections
    used = [label for label in study.labels if any(d.label == label.label for d in study.doses)]
    found = []
    if any(r.quantity == "cells_equivalent" for r in rows):
        found.append("All label is in live cells: label set free by dying cells, or taken up by others, counts as cells.")
        found += [f"Label {one.label} leaves no cell: the labels sheet has no retention." for one in used if not _has_retention(one)]
        found += [f"Label {one.label} is not diluted by division: the sheet is empty." for one in used if one.dilutes is None]
    if corrections.dose_sd_percent is None and any(r.quantity.startswith("injected_percent") for r in rows):
        found.append("No uncertainty of the dose is stated in the config (corrections: dose_sd_percent).")
    if corrections.body_weight_sd_percent is None and any(r.quantity.startswith("suv") for r in rows):
        found.append("No uncertainty of the body weight is stated in the config (corrections: body_weight_sd_percent).")
    found += [*rate_assumptions(rows), *_dose_assumptions(study.doses)]
    return tuple(found + _flag_counts(rows))


def _list(items: Iterable[str]) -> str:
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _scans(study: Study, rows: Sequence[Row]) -> str:
    kinds = []
    for modality in ordered(a.modality for a in study.acquisitions):
        own = [a for a in study.acquisitions if a.modality == modality]
        kinds.append(f"{_count(len(own), f'{modality} scan')} of {_count(len({a.subject for a in own}), 'subject')}")
    times = [r.time_h for r in rows if r.time_h is not None and r.value is not None]
    after, before = [t for t in times if t >= 0], [t for t in times if t < 0]
    span = f", {duration_text(min(after))} to {duration_text(max(after))} after the first dose" if after else ""
    span += f"; baseline scans up to {duration_text(-min(before))} before it" if before else ""
    species = _list(ordered(s.species for s in study.subjects)) if study.subjects else ""
    scans = _list(kinds) if kinds else "no scan"
    holds = "Time zero is each subject's first dose; a value holds at the middle of its frame."
    return f"The study has {scans}{span}; species: {species}. {holds}"


def _label(label: Label) -> str:
    what = f"Label {label.label} ({label.kind})"
    if label.nuclide:
        from tracker.nuclides import TABLE_VERSION, nuclide

        known = nuclide(label.nuclide)
        half_life = number_text(known.half_life_s / 3600, 4)
        what += f" is {known.name}, half-life {half_life} h ({known.source}, table {TABLE_VERSION})"
    parts = [what]
    if label.amount_per_cell is not None:
        sd = "" if label.amount_per_cell_sd is None else f" ± {label.amount_per_cell_sd:.3g}"
        parts.append(f"amount per cell {label.amount_per_cell:.4g}{sd} {label.amount_per_cell_unit}")
    if label.dilutes and label.doubling_time_h is not None:
        parts.append(f"halved at each division, doubling time {label.doubling_time_h:g} h")
    if label.retention_table:
        parts.append(f"retention in cells from a table of {_count(len(label.retention_table), 'point')}")
    elif label.retention_half_time_h is not None:
        parts.append(f"leaves cells with a half-time of {label.retention_half_time_h:g} h")
    return "; ".join(parts) + (f" (reference: {label.reference})." if label.reference else ".")


def _has_retention(label: Label) -> bool:
    return bool(label.retention_table) or label.retention_half_time_h is not None


def _constants(study: Study) -> list[str]:
    stated = {package: values for package, values in study.config.constants.items() if values}
    return [f"Constants of {p}: {', '.join(f'{k} = {v}' for k, v in sorted(values.items()))}." for p, values in sorted(stated.items())]


_ORGANS = {
    "segmentation": "the organ maps that the acquisitions sheet names",
    "propagated": "the organ maps that the acquisitions sheet names, carried to an animal's other sessions by registering anatomy scans",
    "atlas": "an atlas registered to each animal's anatomy scan, where the acquisitions sheet names no map",
}


def _organs(study: Study) -> list[str]:
    organs = study.config.organs
    source = _ORGANS.get(organs.source, organs.source)
    sentences = [f"Organs are from {source}; an organ's volume is the sum of its voxels."]
    if organs.density_g_per_ml:
        named = sorted(organs.density_g_per_ml.items(), key=lambda item: (item[0] == "default", item[0]))
        densities = ", ".join(f"{'all others' if name == 'default' else name} {value:g}" for name, value in named)
        sentences.append(f"Mass is volume × density; densities [g/mL]: {densities}.")
    if organs.peak_sphere_ml is not None:
        sentences.append(f"Peak values are means over a sphere of {organs.peak_sphere_ml:g} mL.")
    return sentences


def _doses(study: Study) -> list[str]:
    if not study.doses:
        return []
    assayed = sum(d.amount is not None for d in study.doses)
    routes = _list(ordered(d.route for d in study.doses))
    text = f"{_count(len(study.doses), 'dose')} (route {routes}; {assayed} with a measured amount)"
    net = "The label given is what was drawn up minus what stayed behind, each decayed to the time of the dose, minus the free label"
    return [f"{text}. {net}; the cells given are the live ones where a viability is stated."]


def _corrections(study: Study) -> list[str]:
    corrections = study.config.corrections
    states = {"decay": corrections.decay, "dilution by division": corrections.dilution, "loss from cells": corrections.retention}
    on, off = ([name for name, state in states.items() if state is wanted] for wanted in (True, False))
    done = f"Corrected where the label calls for it: {_list(on)}." if on else ""
    left = f"Switched off in the config: {_list(off)}." if off else ""
    background = _BACKGROUND.get(corrections.background, f"Background: {corrections.background}.")
    return [" ".join(part for part in (done, left, background) if part)]


def _quantities(study: Study, rows: Sequence[Row]) -> list[str]:
    # How iron becomes an amount is told with the rates: it does not decay.
    present = {r.quantity for r in rows if (r.quantity, r.unit) != ("label_amount", "ug")}
    when = "corrected for decay to the first dose" if study.config.corrections.decay else "as at the time of the scan"
    told = {
        "label_amount": f"Label amount is the organ's label, {when}.",
        "injected_percent": "Injected percent (%ID) is the organ's label over the label given, as if none had left the body, both at the "
        "time of the scan; %ID/g is that over the organ's mass.",
        "suv": "SUV is concentration × body weight over the label given, decayed to the time of the scan.",
        "cells_equivalent": "Cell equivalents are the organ's label over the label in one live cell, both at the time of the scan, "
        "taking all label to be in live cells; they are not a count of live cells.",
    }
    return [text for quantity, text in told.items() if quantity in present]


def _uncertainty(study: Study, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    corrections = study.config.corrections
    parts = (("dose", corrections.dose_sd_percent), ("weight", corrections.body_weight_sd_percent))
    stated = [f"{name} {percent:g} %" for name, percent in parts if percent is not None]
    given = f" (stated relative sd: {_list(stated)})" if stated else ""
    return [
        "Each value has two standard deviations: sd_noise from what differs between the points of a curve (noise of the image, correlated "
        f"between neighbouring voxels), and sd_scale from what all its points share (calibration, dose, weight, label per cell){given}. "
        f"sd_scale is empty where one of its parts is not stated. {_borders(rows)}",
        "Values beyond a limit of quantification keep their raw value and are marked; a missing value is empty, never 0.",
    ]


def _borders(rows: Sequence[Row]) -> str:
    if not any("boundary" in r.method.split(">") for r in rows):
        return "Neither holds how the organs were drawn."
    return (
        "Where the method has the stage boundary, sd_noise also holds how far the organs' borders may lie from where they were put: mean "
        "and amount were measured again over 32 drawn borders, each moved by a shift and by a smooth field along its normal, half of the "
        "variance each, correlated over the organ's radius; maxima, peaks and volumes do not hold it."
    )


def _dose_assumptions(doses: Sequence[Dose]) -> list[str]:
    with_amount = [d for d in doses if d.amount is not None]
    silent = {
        "no residual: it is taken as 0": sum(d.residual_amount is None for d in with_amount),
        "no assay time: the amount is taken as of the dose": sum(d.assay_time is None for d in with_amount),
        "no free label: it is taken as 0": sum(d.free_label_percent is None for d in with_amount if d.cells > 0),
        "no viability: all cells given are taken as live": sum(d.viability_percent is None for d in doses if d.cells > 0),
    }
    return [f"{_count(count, 'dose has', 'doses have')} {what}." for what, count in silent.items() if count]


def _flag_counts(rows: Sequence[Row]) -> list[str]:
    counts = {flag: sum(flag in r.flag for r in rows) for flag in FLAGS}
    return [f"{_count(n, 'value')} with flag {flag}: {FLAGS[flag]}." for flag, n in counts.items() if n]
