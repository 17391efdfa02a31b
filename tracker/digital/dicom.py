"""DICOM that a phantom of any modality writes: geometry in patient coordinates, numbers and times as text, data sets as files."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from tracker.image import Grid, voxel_size_mm

_LPS = np.array([-1.0, -1.0, 1.0])


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


def spacing_mm(grid: Grid) -> tuple[list[float], float]:
    """Pixel Spacing (rows, columns) and the distance of slices [mm]."""
    z, y, x = voxel_size_mm(grid)
    return [round(y, 9), round(x, 9)], round(z, 9)


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def add_pixels(ds: Dataset, stored: np.ndarray) -> None:
    """Image pixel module of 16-bit numbers, signed or not as ``stored`` is."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.add_new(Tag("PixelData"), "OW", np.ascontiguousarray(stored).tobytes())


def encode(ds: Dataset) -> bytes:
    """A data set's elements as bytes, for `decode`."""
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, ds)
    return bytes(file.getvalue())


def decode(elements: bytes) -> Dataset:
    """A new data set of encoded elements: they stay as they are until someone asks, and are written twice as fast."""
    return read_dataset(BytesIO(elements), is_implicit_VR=False, is_little_endian=True)


def date_da(moment: datetime) -> str:
    """A date as DICOM's DA."""
    return moment.strftime("%Y%m%d")


def time_tm(moment: datetime) -> str:
    """A time of day as DICOM's TM, to the microsecond."""
    return moment.strftime("%H%M%S.%f")


def save(ds: Dataset, path: Path) -> Path:
    """Writes a data set as Explicit VR Little Endian; its path."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    dcmwrite(path, ds, enforce_file_format=True)
    return path
