"""RTSTRUCT: which slice, what it encloses, whose frame of reference; and masks of real and reference contours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from tracker.errors import InputError
from tracker.image import Grid
from tracker.organs import read_organs

SHAPE = (12, 40, 44)


def box(x0: float, y0: float, x1: float, y1: float, z: float) -> np.ndarray:
    return np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]], dtype=float)


def boxes(x0: float, x1: float, slices: range) -> list[np.ndarray]:
    return [box(x0, 4.5, x1, 14.5, z) for z in slices]


def circle(x: float, y: float, z: float, radius: float) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    return np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle), np.full(200, z)]


def code_of(path: Path, grid: Grid) -> str:
    with pytest.raises(InputError) as error:
        read_organs(path, grid)
    return error.value.code


def checks(organs: object) -> dict[str, str]:
    return {f.check: f.status for f in organs.findings}  # type: ignore[attr-defined]


@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_boxes_on_straight_and_oblique_slices(degrees: float, make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE, degrees=degrees)
    path = write_rtstruct({"Left kidney": boxes(2.5, 10.5, range(3, 7)), "liver": boxes(10.5, 20.5, range(2, 9))}, grid)
    organs = read_organs(path, grid)
    expected = np.zeros(SHAPE, np.uint16)
    expected[3:7, 5:15, 3:11] = 1
    expected[2:9, 5:15, 11:21] = 2
    assert (organs.labels == expected).all() and organs.names == {1: "Left_kidney", 2: "liver"}
    assert checks(organs) == {"organ_renamed": "ok", "contour_volume": "ok"}


@pytest.mark.parametrize("flip", [(1, 1, -1), (-1, 1, 1), (1, -1, -1)])
def test_storage_order_of_the_scan_does_not_matter(
    flip: tuple[int, ...], make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]
) -> None:
    grid = make_grid(SHAPE)
    path = write_rtstruct({"a": boxes(2.5, 10.5, range(3, 7))}, grid)
    last = np.array(SHAPE[::-1]) - 1
    turn = np.diag([*flip, 1.0])
    turn[:3, 3] = [n if f < 0 else 0 for f, n in zip(flip, last, strict=True)]
    turned = Grid(SHAPE, grid.affine @ turn, grid.frame_of_reference_uid)
    back = tuple(slice(None, None, f) for f in flip[::-1])
    assert (read_organs(path, turned).labels[back] == read_organs(path, grid).labels).all()


def test_organs_that_share_edges_through_centres_do_not_overlap(
    make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]
) -> None:
    grid = make_grid(SHAPE)
    organs = read_organs(write_rtstruct({"a": boxes(2, 10, range(3, 7)), "b": boxes(10, 20, range(3, 7))}, grid), grid)
    assert (organs.labels == 1).sum() == 4 * 10 * 8 and (organs.labels == 2).sum() == 4 * 10 * 10


def test_sphere_has_the_volume_of_a_sphere(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid((40, 50, 52), (1.0, 1.0, 1.0))
    contours = [circle(25, 24, z, np.sqrt(15**2 - (z - 20) ** 2)) for z in range(6, 35)]
    organs = read_organs(write_rtstruct({"ball": contours}, grid), grid)
    # Counting centres in a sphere of 15 voxels is good to about 1 % (surface / volume = 3/15, half a voxel, averaged).
    assert organs.labels.sum() == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.01)
    assert checks(organs) == {"contour_volume": "ok"}


def test_hole_in_an_organ_may_hold_another(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    outer, inner = [box(2.5, 4.5, 22.5, 24.5, z) for z in range(3, 7)], [box(7.5, 9.5, 12.5, 14.5, z) for z in range(3, 7)]
    organs = read_organs(write_rtstruct({"wall": [*outer, *inner], "lumen": inner}, grid), grid)
    assert (organs.labels == 1).sum() == 4 * (400 - 25) and (organs.labels == 2).sum() == 4 * 25
    assert code_of(write_rtstruct({"wall": outer, "lumen": inner}, grid), grid) == "overlapping_organs"
    with pytest.raises(InputError, match="wall and lumen: 100 voxels"):
        read_organs(write_rtstruct({"wall": outer, "lumen": inner}, grid), grid)


def test_missing_slice_is_told_and_not_filled(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    contours = boxes(2.5, 10.5, range(2, 9))
    del contours[3]
    organs = read_organs(write_rtstruct({"a": contours}, grid), grid)
    assert not organs.labels[5].any() and organs.labels[4].any()
    assert checks(organs) == {"missing_contour": "warn", "contour_volume": "ok"}


def test_contours_of_another_series_are_refused(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    coarse = [box(2.5, 4.5, 10.5, 14.5, z) for z in range(1, 11, 2)]  # every second slice: half of the volume
    assert code_of(write_rtstruct({"a": coarse}, grid), grid) == "contour_volume"
    fine = [box(2.5, 4.5, 10.5, 14.5, z / 2) for z in range(4, 16)]  # two planes a slice: exclusive or would leave nothing
    assert code_of(write_rtstruct({"a": fine}, grid), grid) == "contours_between_slices"
    between = [box(2.5, 4.5, 10.5, 14.5, z + 0.3) for z in range(4, 8)]
    organs = read_organs(write_rtstruct({"a": between}, grid), grid)
    assert organs.labels[4:8].any(axis=(1, 2)).all() and checks(organs)["contour_off_slice"] == "warn"


def test_planes_midway_between_slices_do_not_collapse(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE, degrees=20.0)
    organs = read_organs(write_rtstruct({"a": [box(2.5, 4.5, 10.5, 14.5, z + 0.5) for z in range(3, 8)]}, grid), grid)
    assert np.flatnonzero(organs.labels.any(axis=(1, 2))).tolist() == [4, 5, 6, 7, 8]


def test_oblique_crossing_and_broken_contours_are_refused(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    tilted = box(2.5, 4.5, 10.5, 14.5, 3)
    tilted[:2, 2] += 1
    assert code_of(write_rtstruct({"a": [tilted]}, grid), grid) == "oblique_contours"
    crossing = [b for z in range(3, 7) for b in (box(2.5, 4.5, 12.5, 14.5, z), box(8.5, 8.5, 18.5, 18.5, z))]
    assert code_of(write_rtstruct({"a": crossing}, grid), grid) == "crossing_contours"
    bow = np.array([[2.5, 4.5, 3], [22.5, 24.5, 3], [22.5, 4.5, 3], [2.5, 24.5, 3]])  # a figure of eight: its areas cancel
    assert code_of(write_rtstruct({"a": [bow]}, grid), grid) == "contour_volume"


def test_frame_of_reference(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    path = write_rtstruct({"a": boxes(2.5, 10.5, range(3, 7))}, grid, frame_uid="1.2.3.4")
    assert code_of(path, grid) == "frame_of_reference_mismatch"
    unknown = Grid(grid.shape, grid.affine)
    assert checks(read_organs(path, unknown))["frame_of_reference_unknown"] == "warn"


def test_series_the_organs_were_drawn_on(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    path = write_rtstruct({"a": boxes(2.5, 10.5, range(3, 7))}, grid)
    assert checks(read_organs(path, grid, referenced_series_uid="9.9"))["organs_of_other_series"] == "warn"
    assert "organs_of_other_series" not in checks(read_organs(path, grid, referenced_series_uid="1.2.826.0.1.3680043.10.1.2"))


def test_open_contours_points_and_empty_rois(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    rois = {"a": [*boxes(2.5, 10.5, range(3, 7)), ("POINT", np.array([[1.0, 1, 1]])), ("OPEN_PLANAR", box(0, 0, 9, 9, 1))], "b": []}
    organs = read_organs(write_rtstruct(rois, grid), grid)
    assert organs.labels.sum() == 4 * 80 and organs.names == {1: "a", 2: "b"}
    assert checks(organs) == {"contours_ignored": "warn", "contour_volume": "ok", "empty_organ": "warn"}


def test_organs_at_and_beyond_the_edge_of_the_field(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    organs = read_organs(write_rtstruct({"a": boxes(2.5, 10.5, range(9, 15)), "b": boxes(30.5, 60.5, range(3, 7))}, grid), grid)
    assert (organs.labels == 1).sum() == 3 * 80 and (organs.labels == 2).sum() == 4 * 10 * 13
    assert [f.status for f in organs.findings if f.check == "organ_cut_by_fov"] == ["warn", "warn"]
    assert code_of(write_rtstruct({"a": boxes(2.5, 10.5, range(20, 25))}, grid), grid) == "organs_outside_scan"


def test_broken_files(make_grid: Callable[..., Grid], write_rtstruct: Callable[..., Path]) -> None:
    grid = make_grid(SHAPE)
    path = write_rtstruct({"a": boxes(2.5, 10.5, range(3, 7))}, grid)
    good = pydicom.dcmread(path)
    good.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 5
    good.save_as(path)
    assert code_of(path, grid) == "contour_data"
    del good.StructureSetROISequence[0].ROINumber
    good.save_as(path)
    assert code_of(path, grid) == "organs_dicom"
    del good.StructureSetROISequence
    good.save_as(path)
    assert code_of(path, grid) == "rtstruct_empty"


@pytest.mark.shared
@pytest.mark.parametrize("patient", ["STS_001", "STS_010"])
def test_real_contours_give_the_published_mask(patient: str, shared_data: Path, dicom_grid: Callable[[Path], Grid]) -> None:
    folder = shared_data / "fdg_sarcoma"
    grid = dicom_grid(folder / "dicom" / patient / "PET" / "image")
    organs = read_organs(folder / "dicom" / patient / "PET" / "mask", grid)
    mask = np.asarray(nib.load(folder / "nifti" / patient / "PET_mask.nii.gz").dataobj).T
    assert (organs.labels == mask).all() and organs.names == {1: "GTV_Mass_PET"}
    assert checks(organs) == {"contour_volume": "ok"}


@pytest.mark.shared
def test_reference_object_contours_lie_within_its_mask(shared_data: Path, dicom_grid: Callable[[Path], Grid], tmp_path: Path) -> None:
    folder = shared_data / "ibsi_suv" / "DRO_0_0"
    grid = dicom_grid(folder / "PT")
    drawn = read_organs(folder / "RS", grid).labels > 0
    (tmp_path / "m.nii.gz").write_bytes((folder / "mask" / "DRO_mask.nii.gz").read_bytes())
    (tmp_path / "m.tsv").write_text("index\tname\n1\tregion\n")
    mask = read_organs(tmp_path / "m.nii.gz", grid).labels > 0
    # The object's two regions are not the same by design: 18 slices of a disc of 60 voxels, against 16 contours 1.3 voxels smaller.
    assert mask.sum() == 203202 and np.flatnonzero(mask.any(axis=(1, 2))).tolist() == list(range(1, 19))
    assert not (drawn & ~mask).any() and np.flatnonzero(drawn.any(axis=(1, 2))).tolist() == list(range(2, 18))
    contours = pydicom.dcmread(next((folder / "RS").glob("*.dcm"))).ROIContourSequence[0].ContourSequence
    x, y, _ = np.array(contours[5].ContourData, dtype=float).reshape(-1, 3).T / 4.0
    radius = np.hypot(x - x.mean(), y - y.mean())
    z = round(float(contours[5].ContourData[2]) / 4.0)
    assert drawn[z].sum() == pytest.approx(np.pi * np.mean(radius**2), rel=0.01)  # vertices are not evenly spaced along the circle
    # Both regions hold the same extremes and median of the image, so SUV statistics agree.
    images = sorted((pydicom.dcmread(f) for f in (folder / "PT").glob("*.dcm")), key=lambda d: float(d.ImagePositionPatient[2]))
    values = np.stack([d.pixel_array for d in images])
    for statistic in (np.min, np.median, np.max):
        assert statistic(values[drawn]) == statistic(values[mask])
