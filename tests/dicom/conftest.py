"""Single slices written by pydicom, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

PET = "1.2.840.10008.5.1.4.1.1.128"


def dataset(z: int = 0, **tags: object) -> Dataset:
    """A PET slice of 3 × 4 voxels at ``z`` × 2 mm; its stored values are 100 z + 0 … 11."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = PET, f"1.2.3.4.{z + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", "1.2.3.1", "1.2.3.9"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "PT", 5, z + 1
    ds.AcquisitionDate, ds.AcquisitionTime = "20260302", "100000"
    ds.Rows, ds.Columns, ds.PixelSpacing, ds.SliceThickness = 3, 4, [1.5, 1.0], 2.0
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-10.0, 20.0, 2.0 * z], [1, 0, 0, 0, 1, 0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.RescaleSlope, ds.RescaleIntercept = 1.0, 0
    ds.PixelData = (100 * z + np.arange(12)).astype("<i2").tobytes()
    ds["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


@pytest.fixture
def write_slice(tmp_path: Path) -> Callable[..., Path]:
    """Writes a slice (see ``dataset``) below the test's folder; ``edit`` changes it last."""

    def write(
        name: str, z: int = 0, *, edit: Callable[[Dataset], None] | None = None, syntax: str = ExplicitVRLittleEndian, **tags: object
    ) -> Path:
        ds = dataset(z, **tags)
        if edit is not None:
            edit(ds)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dcmwrite(path, ds, enforce_file_format=True)
        return path

    return write
