"""DICOM SEG written with highdicom and read back on the scan's grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage

from tracker.errors import InputError
from tracker.image import Grid
from tracker.organs import read_organs

SHAPE = (5, 7, 9)  # 63 pixels a frame: packed bits of a frame do not end at a byte


def sources(grid: Grid) -> list[Dataset]:
    """Headers of the PET slices on this grid."""
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine
    size = np.linalg.norm(to_lps[:3, :3], axis=0)
    out = []
    for z in range(grid.shape[0]):
        d = Dataset()
        d.file_meta = FileMetaDataset()
        d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        d.SOPClassUID, d.SOPInstanceUID, d.Modality = PositronEmissionTomographyImageStorage, f"1.2.826.9.{z + 1}", "PT"
        d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = "1.2.826.8", "1.2.826.7", grid.frame_of_reference_uid
        d.PatientID = d.PatientName = d.PatientBirthDate = d.PatientSex = d.AccessionNumber = d.StudyID = ""
        d.StudyDate, d.StudyTime, d.InstanceNumber, d.PositionReferenceIndicator = "20240101", "120000", z + 1, ""
        d.Rows, d.Columns, d.NumberOfFrames = grid.shape[1], grid.shape[2], 1
        d.PixelSpacing, d.SliceThickness = [float(size[1]), float(size[0])], float(size[2])
        d.ImageOrientationPatient = [float(f"{v:.12g}") for v in (*(to_lps[:3, 0] / size[0]), *(to_lps[:3, 1] / size[1]))]
        d.ImagePositionPatient = [float(f"{v:.12g}") for v in (to_lps @ [0, 0, z, 1])[:3]]
        d.BitsAllocated = d.BitsStored = 16
        d.HighBit, d.PixelRepresentation, d.SamplesPerPixel, d.PhotometricInterpretation = 15, 0, 1, "MONOCHROME2"
        out.append(d)
    return out


def segment(number: int, name: str) -> hd.seg.SegmentDescription:
    code = CodedConcept("123037004", "SCT", "Anatomical Structure")
    return hd.seg.SegmentDescription(number, name, code, code, hd.seg.SegmentAlgorithmTypeValues.MANUAL)


@pytest.fixture
def write_seg(tmp_path: Path) -> Callable[..., Path]:
    def write(pixels: np.ndarray, grid: Grid, names: list[str], kind: str = "BINARY", **more: Any) -> Path:
        seg = hd.seg.Segmentation(
            source_images=sources(grid),
            pixel_array=pixels,
            segmentation_type=kind,
            segment_descriptions=[segment(i, n) for i, n in enumerate(names, start=1)],
            series_instance_uid="1.2.826.6",
            series_number=2,
            sop_instance_uid="1.2.826.5",
            instance_number=1,
            manufacturer="x",
            manufacturer_model_name="x",
            software_versions="1",
            device_serial_number="1",
            **more,
        )
        seg.save_as(tmp_path / "seg.dcm")
        return tmp_path / "seg.dcm"

    return write


def labels_of(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[1:3, 2:5, 3:8] = 1
    labels[3, 4:7, 0:3] = 2
    return labels


def code_of(path: Path, grid: Grid) -> str:
    with pytest.raises(InputError) as error:
        read_organs(path, grid)
    return error.value.code


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("degrees", [0.0, 25.0])
@pytest.mark.parametrize("sparse", [True, False])
def test_segments_come_back(
    kind: str, degrees: float, sparse: bool, make_grid: Callable[..., Grid], write_seg: Callable[..., Path]
) -> None:
    grid = make_grid(SHAPE, degrees=degrees)
    organs = read_organs(write_seg(labels_of(), grid, ["left kidney", "liver"], kind, omit_empty_frames=sparse), grid)
    assert (organs.labels == labels_of()).all()
    assert organs.names == {1: "left_kidney", 2: "liver"} and {f.check for f in organs.findings} == {"organ_renamed"}


def test_frames_two_slices_apart_stay_where_they_are(make_grid: Callable[..., Grid], write_seg: Callable[..., Path]) -> None:
    # Empty frames are left out: the distance of frames is not the distance of slices.
    grid = make_grid(SHAPE)
    labels = np.zeros(SHAPE, np.uint8)
    labels[[0, 2, 4], 2:5, 2:5] = 1
    assert (read_organs(write_seg(labels, grid, ["a"]), grid).labels == labels).all()


def test_scan_stored_the_other_way_round(make_grid: Callable[..., Grid], write_seg: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    path = write_seg(labels_of(), grid, ["a", "b"])
    turn = np.diag([1.0, 1, -1, 1])
    turn[2, 3] = SHAPE[0] - 1
    turned = Grid(SHAPE, grid.affine @ turn, grid.frame_of_reference_uid)
    assert (read_organs(path, turned).labels == labels_of()[::-1]).all()


def test_overlap_names_the_organs(make_grid: Callable[..., Grid], write_seg: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    stack = np.stack([labels_of() == 1, np.zeros(SHAPE, bool)], axis=-1).astype(np.uint8)
    stack[2, 2:4, 3:6, 1] = 1
    with pytest.raises(InputError, match=r"overlapping_organs.*a and b: 6 voxels"):
        read_organs(write_seg(stack, grid, ["a", "b"]), grid)


def test_fractions_and_other_frames_of_reference_are_refused(make_grid: Callable[..., Grid], write_seg: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    shares = (labels_of() == 1).astype(np.float32) * 0.5
    path = write_seg(shares, grid, ["a"], "FRACTIONAL", fractional_type="PROBABILITY")
    assert code_of(path, grid) == "seg_fractional"
    other = Grid(grid.shape, grid.affine, "1.2.3.4")
    assert code_of(write_seg(labels_of(), grid, ["a", "b"]), other) == "frame_of_reference_mismatch"


def test_broken_positions_are_refused(make_grid: Callable[..., Grid], write_seg: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    path = write_seg(labels_of(), grid, ["a", "b"])
    dataset = pydicom.dcmread(path)
    position = dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    x, y, z = position.ImagePositionPatient
    position.ImagePositionPatient = [x, y, z + 1.2]
    dataset.save_as(path)
    assert code_of(path, grid) == "seg_irregular"
    del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence
    dataset.save_as(path)
    assert code_of(path, grid) == "seg_incomplete"
