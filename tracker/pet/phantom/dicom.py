"""What the DICOM writers share: identifiers from the seed, quantised pixels, the modules every image has."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tracker.image import Grid, voxel_size_mm
from tracker.pet.phantom.options import NUCLIDES, ScanOptions, date_da, header_half_life_s, moment_dt, time_tm

_LARGEST = 32760  # a little below 32767, so that a slope rounded to a DS of 16 characters cannot overflow
_LPS = np.array([-1.0, -1.0, 1.0])


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


def ds_text(value: float) -> str:
    """A number as a DS: at most 16 characters, ten significant digits."""
    return f"{value:.9e}"


def position_lps(grid: Grid, z: int) -> list[float]:
    """Image Position (Patient) of slice ``z`` [mm, LPS]: the centre of its first voxel."""
    return [round(float(v), 9) for v in (grid.affine @ [0.0, 0.0, z, 1.0])[:3] * _LPS]


def orientation_lps(grid: Grid) -> list[float]:
    """Image Orientation (Patient): directions of growing column and row index, LPS."""
    columns, rows = grid.affine[:3, 0], grid.affine[:3, 1]
    return [round(float(v), 12) for axis in (columns, rows) for v in axis / np.linalg.norm(axis) * _LPS]


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


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


def add_pixels(ds: Dataset, stored: np.ndarray) -> None:
    """Image pixel module of 16-bit numbers, signed or not as ``stored`` is."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.add_new(Tag("PixelData"), "OW", np.ascontiguousarray(stored).tobytes())


def spacing_mm(grid: Grid) -> tuple[list[float], float]:
    """Pixel Spacing (rows, columns) and the distance of slices [mm]."""
    z, y, x = voxel_size_mm(grid)
    return [round(y, 9), round(x, 9)], round(z, 9)


def encode(ds: Dataset) -> bytes:
    """A data set's elements as bytes, for `decode`."""
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, ds)
    return bytes(file.getvalue())


def decode(elements: bytes) -> Dataset:
    """A new data set of encoded elements: they stay as they are until someone asks, and are written twice as fast."""
    return read_dataset(BytesIO(elements), is_implicit_VR=False, is_little_endian=True)


def save(ds: Dataset, path: Path, options: ScanOptions) -> Path:
    """Writes a data set as Explicit VR Little Endian, after the options' ``edit``."""
    if options.edit is not None:
        options.edit(ds)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    dcmwrite(path, ds, enforce_file_format=True)
    return path
