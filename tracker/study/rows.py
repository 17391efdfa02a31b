"""The typed rows of the study's sheets; one class a sheet, fields named as the columns, units last in the name.

Amounts are converted at the door: ``Dose.amount`` and ``Label.amount_per_cell`` are in ``Bq`` or ``ug``.
None is a cell left empty. Times are wall clock: the lab's own, or with an offset where the sheet states one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Subject:
    """An animal or person."""

    subject: str
    species: str
    body_weight_g: float
    strain: str = ""
    sex: str = ""
    group: str = ""
    site: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Dose:
    """One administration. ``amount`` and ``residual_amount`` [Bq or ug, as ``amount_unit`` says]; ``cells`` 0 for a free tracer."""

    subject: str
    dose_time: datetime
    label: str
    cells: float
    route: str
    viability_percent: float | None = None
    amount: float | None = None
    amount_unit: str = ""
    assay_time: datetime | None = None
    residual_amount: float | None = None
    residual_time: datetime | None = None
    free_label_percent: float | None = None
    product: str = ""
    batch: str = ""
    passage: str = ""


@dataclass(frozen=True, slots=True)
class RetentionPoint:
    """One line of a retention table: share of the label still in the cell, with its standard deviation."""

    time_h: float
    retained: float
    sd: float | None


@dataclass(frozen=True, slots=True)
class Label:
    """One way of labelling cells. ``dilutes`` None where the sheet is empty; ``retention_table`` empty where not given."""

    label: str
    kind: str
    nuclide: str = ""
    dilutes: bool | None = None
    doubling_time_h: float | None = None
    doubling_time_sd_h: float | None = None
    retention_half_time_h: float | None = None
    retention_sd_h: float | None = None
    retention_table: tuple[RetentionPoint, ...] = ()
    amount_per_cell: float | None = None
    amount_per_cell_unit: str = ""
    amount_per_cell_sd: float | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One scan. ``path`` and ``organs`` are absolute; ``key`` is unique for a subject and modality and safe in file names."""

    subject: str
    session: str
    modality: str
    path: Path
    key: str
    role: str = "followup"
    label: str = ""
    organs: Path | None = None
    body_weight_g: float | None = None
    series: str = ""
    acquired: datetime | None = None
    echo_times_ms: tuple[float, ...] = ()
    luciferin_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One ex vivo sample."""

    subject: str
    time_h: float
    organ: str
    method: str
    value: float
    unit: str
    sd: float | None = None
    mass_g: float | None = None
    standard_curve: str = ""


@dataclass(frozen=True, slots=True)
class Roi:
    """A 2-D region of a planar image and whose it is."""

    session: str
    path: str
    roi: str
    subject: str
    organ: str
    x_mm: float | None = None
    y_mm: float | None = None
    width_mm: float | None = None
    height_mm: float | None = None
    angle_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Bed:
    """One animal of a shared bed or image."""

    session: str
    modality: str
    path: str
    position: str
    subject: str
    view: str = ""
