"""A study as read: the config's typed values and the sheets' rows; and what one scan's stages are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tracker.study.rows import Acquisition, Bed, Dose, Label, Measurement, Roi, Subject


@dataclass(frozen=True, slots=True)
class Organs:
    """``organs:`` of the config. ``density_g_per_ml`` by organ name, ``default`` for all others; ``boundary_sd_mm`` likewise, where stated.

    ``atlas_image``: the atlas's own intensities on the grid of its labels; ``dicom_seg``: organ maps are written as DICOM SEG too.
    """

    source: str = "segmentation"
    density_g_per_ml: Mapping[str, float] = field(default_factory=dict)
    peak_sphere_ml: float | None = None
    atlas_labels: Path | None = None
    atlas_names: Path | None = None
    atlas_image: Path | None = None
    boundary_sd_mm: Mapping[str, float] = field(default_factory=dict)
    dicom_seg: bool = False


@dataclass(frozen=True, slots=True)
class Corrections:
    """``corrections:`` of the config: what is done to a label, whatever measured it."""

    decay: bool = True
    dilution: bool = True
    retention: bool = True
    background: str = "none"
    dose_sd_percent: float | None = None
    body_weight_sd_percent: float | None = None


@dataclass(frozen=True, slots=True)
class PkTarget:
    """One curve set to hand over to PK; empty ``organs`` or ``subjects`` means all."""

    quantity: str
    modality: str
    organs: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """``config.yaml``. ``constants`` holds each modality's own section by package name, checked by that folder's schema.

    ``phantom`` is set for a digital study, whose raw files the workflow makes itself from the sheets.
    """

    study: str
    organs: Organs
    corrections: Corrections
    pk_targets: tuple[PkTarget, ...]
    constants: Mapping[str, Mapping[str, Any]]
    phantom: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """One study: config, rows, and ``root``, the folder of the config that all paths in it are relative to."""

    config: Config
    config_path: Path
    root: Path
    subjects: tuple[Subject, ...]
    doses: tuple[Dose, ...]
    labels: tuple[Label, ...]
    acquisitions: tuple[Acquisition, ...]
    measurements: tuple[Measurement, ...] = ()
    rois: tuple[Roi, ...] = ()
    beds: tuple[Bed, ...] = ()
    sheet_paths: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A scan that an animal's organs were drawn on, and the anatomy scan of that session, if there is one.

    ``told`` is what the stages of that scan are told; None for an anatomy scan, which has none. ``weights_g`` of all animals whose
    anatomy that scan is: more than one in a shared bed.
    """

    scan: Acquisition
    anatomy: Acquisition | None = None
    told: Context | None = None
    weights_g: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """All that one scan's stages may know: its sheet row, its animal, that animal's doses of this label (by time), the label.

    ``first_dose_time`` of any label is time zero of the subject's curves, None for an animal that was given nothing (a control).
    ``constants`` is the modality's config section. ``beds`` are all rows of the beds sheet for this scan, in its order, empty where the
    animal lay alone; ``bed_weights_g`` their animals' weights that day; ``organs_shared``: another of them names the same organ map.
    ``anatomy`` is the session's anatomy scan of the animal, if there is one; ``drawn`` its other scans with organs of their own, by
    session as in the sheet; ``rois`` the rows of the rois sheet for this scan, of all animals in it.
    """

    study: str
    acquisition: Acquisition
    subject: Subject
    doses: tuple[Dose, ...]
    label: Label
    first_dose_time: datetime | None
    constants: Mapping[str, Any]
    organs: Organs
    corrections: Corrections
    beds: tuple[Bed, ...] = ()
    bed_weights_g: Mapping[str, float] = field(default_factory=dict)
    organs_shared: bool = False
    anatomy: Acquisition | None = None
    drawn: tuple[Drawn, ...] = ()
    rois: tuple[Roi, ...] = ()
