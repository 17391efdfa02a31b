"""Scans' grids and organ files with a known truth, written with nibabel, pydicom and highdicom rather than with tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from tracker.image import Grid

FRAME_UID = "1.2.826.0.1.3680043.10.1.1"
SERIES_UID = "1.2.826.0.1.3680043.10.1.2"


def _rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


@pytest.fixture
def make_grid() -> Callable[..., Grid]:
    """A scan's grid: DICOM's usual axes (x to the left, y to the back), turned by ``degrees`` where asked."""

    def make(shape: tuple[int, int, int] = (6, 9, 11), size_mm: tuple[float, ...] = (2.0, 1.5, 3.0), degrees: float = 0.0) -> Grid:
        affine = np.eye(4)
        affine[:3, :3] = _rotation(degrees) @ np.diag([-size_mm[0], -size_mm[1], size_mm[2]])
        affine[:3, 3] = 12.5, -7.25, 40.0
        return Grid(shape, affine, FRAME_UID)

    return make


@pytest.fixture
def write_map(tmp_path: Path) -> Callable[..., Path]:
    """A NIfTI label map (labels (z, y, x)) and its table."""

    def write(labels: np.ndarray, affine: np.ndarray, names: Mapping[int, str] | None, name: str = "organs.nii.gz") -> Path:
        image = nib.Nifti1Image(labels.T, affine)
        image.header.set_xyzt_units("mm")
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        nib.save(image, tmp_path / name)
        if names is not None:
            lines = ["index\tname", *(f"{i}\t{n}" for i, n in names.items())]
            (tmp_path / name.replace(".gz", "").replace(".nii", ".tsv")).write_text("\n".join(lines) + "\n")
        return tmp_path / name

    return write


def _sequence(*items: dict[str, Any]) -> DicomSequence:
    datasets = []
    for item in items:
        dataset = Dataset()
        for key, value in item.items():
            setattr(dataset, key, value)
        datasets.append(dataset)
    return DicomSequence(datasets)


@pytest.fixture
def write_rtstruct(tmp_path: Path) -> Callable[..., Path]:
    """An RTSTRUCT: per ROI name its contours, points (n, 3) in voxel index (x, y, z) of ``grid``, or (type, points)."""

    def write(rois: Mapping[str, Sequence[Any]], grid: Grid, frame_uid: str = FRAME_UID, name: str = "rs.dcm") -> Path:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = RTStructureSetStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = "1.2.3"
        out = FileDataset(str(tmp_path / name), {}, file_meta=meta, preamble=b"\0" * 128)
        out.SOPClassUID, out.SOPInstanceUID, out.Modality = RTStructureSetStorage, "1.2.3", "RTSTRUCT"
        series = _sequence({"SeriesInstanceUID": SERIES_UID})
        study = _sequence({"ReferencedSOPInstanceUID": "1.2.4", "RTReferencedSeriesSequence": series})
        out.ReferencedFrameOfReferenceSequence = _sequence({"FrameOfReferenceUID": frame_uid, "RTReferencedStudySequence": study})
        numbers = {roi: 10 + i for i, roi in enumerate(rois)}
        out.StructureSetROISequence = _sequence(
            *({"ROINumber": n, "ROIName": roi, "ReferencedFrameOfReferenceUID": frame_uid} for roi, n in numbers.items())
        )
        items = []
        for roi, contours in rois.items():
            drawn = []
            for contour in contours:
                kind, points = contour if isinstance(contour, tuple) else ("CLOSED_PLANAR", contour)
                ras = np.c_[points, np.ones(len(points))] @ grid.affine.T
                lps = ras[:, :3] * [-1, -1, 1]
                data = [f"{v:.7g}" for v in lps.ravel()]
                drawn.append({"ContourGeometricType": kind, "NumberOfContourPoints": len(points), "ContourData": data})
            items.append({"ReferencedROINumber": numbers[roi], "ContourSequence": _sequence(*drawn)})
        out.ROIContourSequence = _sequence(*items)
        out.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return write


@pytest.fixture
def dicom_grid() -> Callable[[Path], Grid]:
    """Grid of a folder with an axial DICOM series, from its headers alone."""

    def read(folder: Path) -> Grid:
        headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in sorted(folder.glob("*.dcm"))]
        headers.sort(key=lambda h: float(h.ImagePositionPatient[2]))
        first, last = headers[0], headers[-1]
        step = (float(last.ImagePositionPatient[2]) - float(first.ImagePositionPatient[2])) / (len(headers) - 1)
        x, y, z = (float(v) for v in first.ImagePositionPatient)
        affine = np.diag([-float(first.PixelSpacing[1]), -float(first.PixelSpacing[0]), step, 1.0])
        affine[:3, 3] = -x, -y, z
        return Grid((len(headers), first.Rows, first.Columns), affine, str(first.FrameOfReferenceUID))

    return read
