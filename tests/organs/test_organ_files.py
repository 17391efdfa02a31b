"""Organ maps written for other programs come back as they were: NIfTI with its table, and DICOM SEG tied to the scan's images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.organs.test_seg import sources
from tracker.image import Grid, OrganMap
from tracker.organs import read_organs
from tracker.organs.write import write_map
from tracker.organs.write_seg import write_seg

SHAPE = (5, 7, 9)
NAMES = {1: "liver", 2: "left_kidney", 3: "spleen"}


def _labels() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint16)
    labels[1:3, 2:5, 3:8], labels[3, 4:7, 0:3], labels[0, 0, 0] = 1, 2, 3
    return labels


@pytest.fixture
def scan(tmp_path: Path) -> Callable[[Grid], Path]:
    """A folder with the DICOM slices of a grid (headers and pixels)."""

    def write(grid: Grid) -> Path:
        folder = tmp_path / "scan"
        folder.mkdir()
        for n, one in enumerate(sources(grid)):
            one.file_meta.MediaStorageSOPClassUID, one.file_meta.MediaStorageSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
            one.PixelData = np.zeros((one.Rows, one.Columns), np.uint16).tobytes()
            one.save_as(folder / f"{n:03}.dcm", enforce_file_format=True)
        return folder

    return write


@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_nifti_and_table_come_back_and_open_elsewhere(degrees: float, make_grid: Callable[..., Grid], tmp_path: Path) -> None:
    organs = OrganMap(_labels(), {**NAMES, 40: "empty"}, make_grid(SHAPE, degrees=degrees))
    write_map(tmp_path / "pet_m1_d0.nii.gz", organs)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pet_m1_d0.nii.gz", "pet_m1_d0.tsv"]
    back = read_organs(tmp_path / "pet_m1_d0.nii.gz", organs.grid)
    assert (back.labels == organs.labels).all() and back.names == organs.names
    other = nib.load(tmp_path / "pet_m1_d0.nii.gz")
    assert (organs.labels == np.asarray(other.dataobj).T).all()
    # NIfTI's affine has 7 digits.
    np.testing.assert_allclose(other.affine, organs.grid.affine, atol=1e-5)
    before = (tmp_path / "pet_m1_d0.nii.gz").read_bytes()
    write_map(tmp_path / "pet_m1_d0.nii.gz", organs)
    assert (tmp_path / "pet_m1_d0.nii.gz").read_bytes() == before


def _mirrored(grid: Grid) -> Grid:
    turn = np.diag([1.0, 1.0, -1.0, 1.0])
    turn[2, 3] = grid.shape[0] - 1
    return Grid(grid.shape, grid.affine @ turn, grid.frame_of_reference_uid)


@pytest.mark.parametrize(
    "names", [NAMES, {1: "liver", 2: "left_kidney", 3: "spleen", 4: "empty"}, {7: "liver", 300: "left_kidney", 9: "x"}]
)
@pytest.mark.parametrize("degrees", [0.0, 25.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_seg_comes_back(
    names: dict[int, str], degrees: float, mirrored: bool, make_grid: Callable[..., Grid], scan: Callable[[Grid], Path], tmp_path: Path
) -> None:
    grid = make_grid(SHAPE, degrees=degrees)
    folder = scan(grid)
    grid = _mirrored(grid) if mirrored else grid
    numbers = np.array([0, *list(names)[:3]], np.uint16)
    organs = OrganMap(numbers[_labels()], names, grid, method="atlas>carried")
    (found,) = write_seg(tmp_path / "organs.dcm", organs, folder)
    assert found.status == "ok" and "5 file(s)" in found.reason
    back = read_organs(tmp_path / "organs.dcm", grid, referenced_series_uid="1.2.826.7")
    assert (back.labels == organs.labels).all() and back.names == names
    assert {f.check for f in back.findings} <= {"empty_organ"}
    # By highdicom's own reader: same geometry, same voxels.
    seg = hd.seg.segread(tmp_path / "organs.dcm")
    assert seg.FrameOfReferenceUID == grid.frame_of_reference_uid and seg.PatientID == ""
    assert [seg.get_segment_description(n).segment_label for n in sorted(names)] == [names[n] for n in sorted(names)]
    volume = seg.get_volume(combine_segments=True)
    assert int((volume.array == numbers[1]).sum()) == int((organs.labels == numbers[1]).sum())


def test_the_same_map_has_the_same_uid_and_another_another(
    make_grid: Callable[..., Grid], scan: Callable[[Grid], Path], tmp_path: Path
) -> None:
    grid = make_grid(SHAPE)
    folder, labels, found = scan(grid), _labels(), []
    for change in (0, 0, 1):
        labels = labels.copy()
        labels[4, 6, 8] = change
        write_seg(tmp_path / "organs.dcm", OrganMap(labels, NAMES, grid), folder)
        found.append(pydicom.dcmread(tmp_path / "organs.dcm").SOPInstanceUID)
    assert found[0] == found[1] != found[2]


def test_what_cannot_be_a_seg_is_said_and_no_file_is_left(
    make_grid: Callable[..., Grid], scan: Callable[[Grid], Path], tmp_path: Path
) -> None:
    grid = make_grid(SHAPE)
    folder, out = scan(grid), tmp_path / "organs.dcm"
    other = Grid(SHAPE, grid.affine, "1.2.3.4")
    nothing = Grid(SHAPE, grid.affine, "")
    empty = OrganMap(np.zeros(SHAPE, np.uint16), NAMES, grid)
    told = []
    for organs in (OrganMap(_labels(), NAMES, other), OrganMap(_labels(), NAMES, nothing), empty):
        (finding,) = write_seg(out, organs, folder)
        assert (finding.check, finding.status) == ("dicom_seg", "warn") and not out.exists()
        told.append(finding.reason)
    assert "frame of reference" in told[0] and "not DICOM" in told[1] and "no organ has a voxel" in told[2]
    sheared = grid.affine.copy()
    sheared[0, 1] += 0.5
    (finding,) = write_seg(out, OrganMap(_labels(), NAMES, Grid(SHAPE, sheared, grid.frame_of_reference_uid)), folder)
    assert finding.status == "warn" and not out.exists()


def test_the_named_series_is_referred_to(make_grid: Callable[..., Grid], scan: Callable[[Grid], Path], tmp_path: Path) -> None:
    grid = make_grid(SHAPE)
    folder = scan(grid)
    for path in sorted(folder.iterdir())[:3]:
        one: Dataset = pydicom.dcmread(path)
        one.SeriesInstanceUID, one.SOPInstanceUID = "1.2.826.77", f"{one.SOPInstanceUID}.7"
        one.save_as(folder / f"second_{path.name}")
    for named, uid in (("", "1.2.826.7"), ("1.2.826.77", "1.2.826.77")):
        (finding,) = write_seg(tmp_path / "organs.dcm", OrganMap(_labels(), NAMES, grid), folder, named)
        assert finding.reason.endswith(f"series {uid}"), finding
