"""What the PET and SPECT writers share: identifiers from the seed, quantised pixels, the modules every image has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tracker.digital import dicom as shared
from tracker.digital.dicom import code, date_da, ds_text, time_tm
from tracker.image import Grid
from tracker.pet.phantom.options import NUCLIDES, ScanOptions, header_half_life_s, moment_dt

_LARGEST = 32760  # a little below 32767, so that a slope rounded to a DS of 16 characters cannot overflow


def uid(options: ScanOptions, *what: object) -> str:
    """A valid UID that depends only on the options' patient, start, seed and on ``what`` it is for."""
    return str(generate_uid(entropy_srcs=[options.patient_id, options.scan_start.isoformat(), str(options.seed), *map(str, what)]))


def quantise(values: np.ndarray) -> tuple[float, np.ndarray]:
    """Slope and int16 numbers with slope · number = values within half a slope; slope 1 for an image of zeros.

    The slope is exactly what ten significant digits (a DS of 16 characters) hold.
    """
    peak = float(np.abs(values).max())
    slope = float(f"{peak / _LARGEST:.9e}") if peak > 0 else 1.0
    return slope, np.rint(values / slope).astype("<i2")


def radiopharmaceutical(options: ScanOptions, *, dose_per_bq: float = 1.0) -> Dataset:
    """The item of Radiopharmaceutical Information Sequence; ``dose_per_bq`` 1e-6 where the IOD wants MBq."""
    _, snomed, meaning, positrons = NUCLIDES[options.nuclide]
    item = Dataset()
    item.Radiopharmaceutical = f"{options.nuclide} labelled cells"
    item.RadiopharmaceuticalStartTime = time_tm(options.injection)
    item.RadiopharmaceuticalStartDateTime = moment_dt(options, options.injection)
    if options.dose_bq is not None:
        item.RadionuclideTotalDose = ds_text(options.dose_bq * dose_per_bq)
    item.RadionuclideHalfLife = ds_text(header_half_life_s(options))
    if positrons > 0:
        item.RadionuclidePositronFraction = positrons
    item.RadionuclideCodeSequence = [code(snomed, "SCT", meaning)]
    item.RadiopharmaceuticalCodeSequence = [code("CELLS", "99PHANTOM", "labelled cells")]
    item.AdministrationRouteCodeSequence = [code("47625008", "SCT", "Intravenous route")]
    return item


def add_patient_and_study(ds: Dataset, options: ScanOptions) -> None:
    """Patient, study, frame of reference and equipment."""
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = options.patient_id, options.patient_id
    ds.PatientBirthDate, ds.PatientSex = "", ""
    if options.weight_kg is not None:
        ds.PatientWeight = ds_text(options.weight_kg)
    ds.StudyInstanceUID = uid(options, "study")
    ds.StudyDate, ds.StudyTime = date_da(options.scan_start), time_tm(options.scan_start)
    ds.BodyPartExamined = "WHOLEBODY"
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "", ""
    ds.Manufacturer, ds.ManufacturerModelName = options.manufacturer, "digital"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", "1"
    if options.timezone:
        ds.TimezoneOffsetFromUTC = options.timezone


def add_space(ds: Dataset, options: ScanOptions, grid: Grid) -> None:
    """Frame of reference and matrix of an image on ``grid``."""
    ds.FrameOfReferenceUID = grid.frame_of_reference_uid or uid(options, "frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.Rows, ds.Columns = grid.shape[1], grid.shape[2]


def save(ds: Dataset, path: Path, options: ScanOptions) -> Path:
    """Writes a data set as Explicit VR Little Endian, after the options' ``edit``."""
    if options.edit is not None:
        options.edit(ds)
    return shared.save(ds, path)
