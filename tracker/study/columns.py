"""The sheets of a study, column by column: what each cell may hold and means. Reader, schemas and manual all follow this file."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.study.units import DOSE_UNITS, PER_CELL_UNITS

ID_PATTERN = r"[0-9A-Za-z+]+"
ORGAN_PATTERN = r"[0-9A-Za-z_+-]+"
KINDS = ("radionuclide", "iron", "reporter", "dye", "gene")
ROLES = ("baseline", "followup", "anatomy")
# Places in a bed: of a 3 × 3 board, or numbers along one row or column of animals; 1 to 4 also in reading order of two rows.
POSITIONS = (
    "left",
    "right",
    "centre",
    "top",
    "bottom",
    "top_left",
    "top_right",
    "bottom_left",
    "bottom_right",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``kind`` of its cells (id, organ, text, number, numbers, time, yes_no, choice), and the bounds of a number.

    ``minimum`` and ``maximum`` may be reached, ``above`` may not. ``required``: the column must be there, with no empty cell.
    """

    name: str
    kind: str
    meaning: str
    required: bool = False
    unit: str = ""
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: its columns, the groups of columns that no two rows may share (``keys``), and whether a study needs it."""

    name: str
    row_is: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    required: bool = False


def _id(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "id", meaning, required)


def _text(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "text", meaning, required)


def _time(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "time", meaning, required, unit="ISO 8601 date and time")


def _above_zero(name: str, unit: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "number", meaning, required, unit, above=0.0)


def _from_zero(name: str, unit: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "number", meaning, required, unit, minimum=0.0)


def _percent(name: str, meaning: str) -> Column:
    return Column(name, "number", meaning, False, "%", minimum=0.0, maximum=100.0)


def _number(name: str, unit: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "number", meaning, required, unit)


def _choice(name: str, choices: tuple[str, ...], meaning: str, required: bool = False) -> Column:
    return Column(name, "choice", meaning, required, choices=choices)


_SUBJECTS = Sheet(
    "subjects",
    "an animal or person",
    (
        _id("subject", "name of the animal or person, used in all other sheets", True),
        _text("species", "mouse, rat and human are checked for a plausible weight; any other word is taken as it is", True),
        _above_zero("body_weight_g", "g", "weight in grams: a mouse of 25 g is 25, a person of 70 kg is 70000", True),
        _text("strain", "strain or line"),
        _text("sex", "as you write it"),
        _text("group", "study group, used to group curves"),
        _text("site", "where it was scanned"),
        _text("notes", "free text, never interpreted"),
    ),
    (("subject",),),
    required=True,
)

_DOSES = Sheet(
    "doses",
    "one administration of cells (or of a free tracer) with one label; repeat doses and second labels are more rows",
    (
        _id("subject", "who was given it", True),
        _time("dose_time", "when it was given; times of one subject all have an offset (+02:00, Z) or none has", True),
        _id("label", "which label of the sheet labels it carries", True),
        _from_zero("cells", "cells", "how many cells; 0 for a free tracer", True),
        _text("route", "intravenous, intra-arterial, subcutaneous ...", True),
        _percent("viability_percent", "share of the cells that were alive when given"),
        _above_zero("amount", "amount_unit", "label in the syringe, in amount_unit, at assay_time"),
        _choice("amount_unit", DOSE_UNITS, "unit of amount and residual_amount; an amount without a unit is refused"),
        _time("assay_time", "when amount was measured, before or after the injection; empty means it is stated for dose_time"),
        _from_zero("residual_amount", "amount_unit", "label left in syringe and line, in amount_unit, at residual_time"),
        _time("residual_time", "when residual_amount was measured; needed where it is an activity, since that decays"),
        _percent("free_label_percent", "share of the amount that was not in cells"),
        _text("product", "cell product"),
        _text("batch", "batch of the product"),
        _text("passage", "passage number"),
    ),
    (("subject", "label", "dose_time"),),
    required=True,
)

_LABELS = Sheet(
    "labels",
    "one way of labelling cells",
    (
        _id("label", "name of the label, used in doses and acquisitions", True),
        _choice("kind", KINDS, "what the label is; fluorine for 19F is a dye, with its amount per cell in pg or ug of fluorine", True),
        _text("nuclide", "element and mass number, as Zr-89; needed for a radionuclide, empty for all others"),
        Column("dilutes", "yes_no", "yes: each division halves the label of a cell; then doubling_time_h is needed"),
        _above_zero("doubling_time_h", "h", "doubling time of the cells"),
        _from_zero("doubling_time_sd_h", "h", "its standard deviation"),
        _above_zero("retention_half_time_h", "h", "time after which half of the label has left living cells; not with retention_table"),
        _from_zero("retention_sd_h", "h", "standard deviation of retention_half_time_h"),
        _text("retention_table", "file with the columns time_h, retained, sd; starts at time 0 with 1; not with retention_half_time_h"),
        _above_zero("amount_per_cell", "amount_per_cell_unit", "label in one cell when given, in amount_per_cell_unit"),
        _choice("amount_per_cell_unit", PER_CELL_UNITS, "unit of amount_per_cell and its standard deviation"),
        _from_zero("amount_per_cell_sd", "amount_per_cell_unit", "standard deviation of amount_per_cell"),
        _text("reference", "where these numbers come from"),
    ),
    (("label",),),
    required=True,
)

_ACQUISITIONS = Sheet(
    "acquisitions",
    "one scan of one animal",
    (
        _id("subject", "who was scanned", True),
        _id("session", "name of the time point, as d1", True),
        _id("modality", "what measured it; for role anatomy any word (ct, mr)", True),
        _text("path", "folder or file with the raw data, relative to the config file or absolute", True),
        _choice("role", ROLES, "baseline (before the dose), followup (also if empty), anatomy (not measured)"),
        _id("label", "which label the scan measures; may be empty where the subject was given one label only"),
        _text("organs", "label map in the scan's own space: NIfTI with a TSV index, name beside it, DICOM SEG or RTSTRUCT"),
        _above_zero("body_weight_g", "g", "weight on the day of the scan"),
        _text("series", "which series of the folder, where it holds more than one"),
        _time("acquired", "start of the scan, only where the raw files do not say"),
        Column("echo_times_ms", "numbers", "echo times in their order, as 4 8 12, only where the raw files do not say", unit="ms"),
        _time("luciferin_time", "when luciferin was given for this image"),
    ),
    # Not here: two spellings of one path, or an empty and a stated role, are the same scan (checks_acquisitions.py).
    (),
    required=True,
)

_MEASUREMENTS = Sheet(
    "measurements",
    "one ex vivo sample (qPCR, gamma counter, flow, histology)",
    (
        _id("subject", "whose sample", True),
        _from_zero("time_h", "h", "hours from the subject's first dose to the sample", True),
        Column("organ", "organ", "organ the sample is of", True),
        _text("method", "qPCR, gamma_counter, flow, histology ...", True),
        _number("value", "unit", "what was measured, in unit", True),
        _text("unit", "unit of value and sd", True),
        _from_zero("sd", "unit", "standard deviation of value"),
        _above_zero("mass_g", "g", "mass of the sample"),
        _text("standard_curve", "which standard curve turned the reading into value"),
    ),
    # Replicates share all but their value: only a row that repeats another in every cell is taken for a mistake.
    (("subject", "time_h", "organ", "method", "value", "unit", "sd", "mass_g", "standard_curve"),),
)

_ROIS = Sheet(
    "rois",
    "a region of a planar image, and whose it is",
    (
        _id("session", "session of the scan", True),
        _text("path", "path of the image, as in acquisitions", True),
        _text("roi", "the vendor's name of the region, or a shape (rectangle, ellipse) with the five columns below", True),
        _id("subject", "whose region it is", True),
        Column("organ", "organ", "organ the region shows, or background", True),
        _number("x_mm", "mm", "centre of the shape along the image's rows"),
        _number("y_mm", "mm", "centre of the shape along the image's columns"),
        _above_zero("width_mm", "mm", "full width of the shape"),
        _above_zero("height_mm", "mm", "full height of the shape"),
        _number("angle_deg", "degree", "turn of the shape, counter-clockwise"),
    ),
    (("session", "path", "roi", "x_mm", "y_mm"),),
)

_BEDS = Sheet(
    "beds",
    "one animal of a shared bed or a shared image",
    (
        _id("session", "session of the scan", True),
        _id("modality", "modality of the scan", True),
        _text("path", "path of the scan, as in acquisitions", True),
        _choice("position", POSITIONS, "place in the bed; numbers run from left to right, then down; an empty place has no row", True),
        _id("subject", "who lay there", True),
        _choice(
            "view",
            ("technician", "image"),
            "whose left and right, and what is up: technician, in front of the scanner looking into it; image, an axial slice with the "
            "patient's right on its left and anterior up; needed where animals share a bed",
        ),
    ),
    (("session", "modality", "path", "position"), ("session", "modality", "path", "subject")),
)

SHEETS: dict[str, Sheet] = {s.name: s for s in (_SUBJECTS, _DOSES, _LABELS, _ACQUISITIONS, _MEASUREMENTS, _ROIS, _BEDS)}

RETENTION = Sheet(
    "retention_table",
    "one time after labelling",
    (
        _from_zero("time_h", "h", "hours after labelling, rising, the first 0", True),
        Column("retained", "number", "share of the label still in living cells, the first 1", True, "1", minimum=0.0, maximum=1.0),
        _from_zero("sd", "1", "standard deviation of retained"),
    ),
    (("time_h",),),
    required=True,
)
