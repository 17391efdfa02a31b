"""NIfTI label maps: order of axes, other grids, labels, names."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker.errors import InputError
from tracker.image import Grid
from tracker.organs import read_organs

NAMES = {1: "liver", 2: "left_kidney", 7: "tail"}
ORDERS = [(p, f) for p in permutations(range(3)) for f in product((1, -1), repeat=3)]


def random_labels(shape: tuple[int, int, int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, 1, 2, 7], size=shape).astype(np.int16)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.sampled_from(ORDERS), degrees=st.sampled_from([0.0, 17.0]))
def test_any_order_of_storage_is_the_same_space(
    order: tuple[tuple[int, ...], tuple[int, ...]],
    degrees: float,
    make_grid: Callable[..., Grid],
    write_map: Callable[..., Path],
) -> None:
    grid = make_grid(degrees=degrees)
    labels = random_labels(grid.shape)
    turned = nib.Nifti1Image(labels.T, grid.affine).as_reoriented(np.c_[order[0], order[1]].astype(float))
    path = write_map(np.asarray(turned.dataobj).T, turned.affine, NAMES)
    organs = read_organs(path, grid)
    assert (organs.labels == labels).all() and organs.labels.dtype == np.uint16
    assert organs.names == NAMES and organs.grid is grid and organs.method == "segmentation"
    assert not organs.findings


def test_a_cropped_map_is_placed_exactly(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    labels = np.zeros(grid.shape, np.int16)
    labels[2:5, 3:8, 4:10] = random_labels((3, 5, 6)) | 1
    affine = grid.affine.copy()
    affine[:3, 3] = (grid.affine @ [4, 3, 2, 1])[:3]
    names = {n: f"o{n}" for n in range(1, 8)}
    organs = read_organs(write_map(labels[2:5, 3:8, 4:10], affine, names), grid)
    assert (organs.labels == labels).all()
    assert {f.check for f in organs.findings} <= {"empty_organ"}


def test_map_on_half_the_voxel_size_keeps_blocks(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    # Three fine voxels per scan voxel: the centre of each scan voxel is the centre of a fine one, so nothing is ambiguous.
    grid = make_grid()
    labels = random_labels(grid.shape)
    fine = labels.repeat(3, 0).repeat(3, 1).repeat(3, 2)
    affine = grid.affine @ np.diag([1 / 3, 1 / 3, 1 / 3, 1])
    affine[:3, 3] = (grid.affine @ [-1 / 3, -1 / 3, -1 / 3, 1])[:3]
    organs = read_organs(write_map(fine, affine, NAMES), grid)
    assert (organs.labels == labels).all()
    assert [(f.check, f.status) for f in organs.findings] == [("organ_map_resampled", "ok")]


def test_sphere_on_another_oblique_grid_stays_a_sphere(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid((40, 60, 50), (1.0, 1.0, 1.0))
    source = make_grid((90, 110, 100), (0.6, 0.6, 0.6), degrees=25.0)
    centre_mm = (grid.affine @ [25, 30, 20, 1])[:3]
    affine = source.affine.copy()
    affine[:3, 3] = centre_mm - affine[:3, :3] @ np.array([50, 55, 45])
    z, y, x = np.indices(source.shape)
    fine = (np.linalg.norm(np.stack([x - 50, y - 55, z - 45]), axis=0) * 0.6 < 12).astype(np.uint8)
    organs = read_organs(write_map(fine, affine, {1: "ball"}), grid)
    z, y, x = np.indices(grid.shape)
    radius = np.linalg.norm(np.stack([x - 25, y - 30, z - 20]), axis=0)
    # A centre is at most half a fine voxel's diagonal (0.52 mm) from the fine centre that decides it.
    assert organs.labels[radius < 11.4].all() and not organs.labels[radius > 12.6].any()
    assert organs.labels.sum() == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.02)


def test_an_organ_that_resampling_loses_is_refused(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    fine = np.zeros([3 * n for n in grid.shape], np.uint8)
    fine[6:15, 6:15, 6:15] = 1
    fine[15, 18, 18] = 2  # a corner of a scan voxel, away from its centre
    affine = grid.affine @ np.diag([1 / 3, 1 / 3, 1 / 3, 1])
    affine[:3, 3] = (grid.affine @ [-1 / 3, -1 / 3, -1 / 3, 1])[:3]
    with pytest.raises(InputError, match="node") as error:
        read_organs(write_map(fine, affine, {1: "liver", 2: "node"}), grid)
    assert error.value.code == "organ_volume_changed"


def test_organs_cut_by_the_field_are_told_apart_from_changed_volume(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    labels = np.ones((6, 9, 11), np.uint8)
    labels[:, :, :5] = 2
    shifted = grid.affine.copy()
    shifted[:3, 3] = (grid.affine @ [-8, 0, 0, 1])[:3]
    organs = read_organs(write_map(labels, shifted, {1: "liver", 2: "arm"}), grid)
    assert organs.labels.sum() == 6 * 9 * 3
    checks = {f.check: f.reason for f in organs.findings}
    assert "arm 100.0%" in checks["organ_cut_by_fov"] and "liver 50.0%" in checks["organ_cut_by_fov"]
    assert "arm" in checks["empty_organ"]


def code_of(path: Path, grid: Grid) -> str:
    with pytest.raises(InputError) as error:
        read_organs(path, grid)
    return error.value.code


def test_map_beside_the_scan_is_refused(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    far = grid.affine.copy()
    far[0, 3] += 500
    assert code_of(write_map(random_labels(grid.shape), far, NAMES), grid) == "organs_outside_scan"


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        (np.full((6, 9, 11), 1.5, np.float32), "labels_not_integer"),
        (np.full((6, 9, 11), np.nan, np.float32), "labels_not_integer"),
        (np.full((6, 9, 11), -1, np.int16), "label_out_of_range"),
        (np.full((6, 9, 11), 70000, np.int32), "label_out_of_range"),
        (np.full((6, 9, 11), 3, np.int16), "unnamed_label"),
        (np.full((2, 6, 9, 11), 1, np.int16), "organ_map_frames"),
    ],
)
def test_values_that_are_no_labels(labels: np.ndarray, code: str, make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    assert code_of(write_map(labels, grid.affine, NAMES), grid) == code


def test_float_storage_of_whole_numbers_and_one_frame_are_fine(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    labels = random_labels(grid.shape)
    assert (read_organs(write_map(labels[None].astype(np.float64), grid.affine, NAMES), grid).labels == labels).all()


def test_unnamed_label_names_the_nearest(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    with pytest.raises(InputError, match=r"unnamed_label.*\[3\].*nearest to 3 is 2 left_kidney"):
        read_organs(write_map(np.full(grid.shape, 3, np.int16), grid.affine, NAMES), grid)


def test_empty_map_keeps_its_organs_with_a_finding(make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    organs = read_organs(write_map(np.zeros(grid.shape, np.uint8), grid.affine, NAMES), grid)
    assert organs.names == NAMES and [(f.check, f.status) for f in organs.findings] == [("empty_organ", "warn")]


def test_findings_of_the_affine_reach_the_map(tmp_path: Path, make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    image = nib.load(write_map(random_labels(grid.shape), grid.affine, NAMES))
    moved = grid.affine.copy()
    moved[0, 3] += 1.0
    image.set_qform(moved, 1)
    nib.save(image, tmp_path / "organs.nii.gz")
    organs = read_organs(tmp_path / "organs.nii.gz", grid)
    assert [f.check for f in organs.findings] == ["nifti_sform_qform"]


def test_content_counts_not_the_extension_and_folders_hold_one(
    tmp_path: Path, make_grid: Callable[..., Grid], write_map: Callable[..., Path]
) -> None:
    grid = make_grid()
    path = write_map(random_labels(grid.shape), grid.affine, NAMES)
    path.rename(tmp_path / "organs.dat")  # gzipped all the same
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert read_organs(tmp_path, grid).names == NAMES
    (tmp_path / "second.nii").write_bytes((tmp_path / "organs.dat").read_bytes())
    assert code_of(tmp_path, grid) == "organs_ambiguous"
    assert code_of(tmp_path / "nothing", grid) == "organs_missing"
    assert code_of(tmp_path / "organs.tsv", grid) == "organs_format"


def test_truncated_map_is_refused(tmp_path: Path, make_grid: Callable[..., Grid], write_map: Callable[..., Path]) -> None:
    grid = make_grid()
    path = write_map(random_labels(grid.shape), grid.affine, NAMES)
    path.write_bytes(path.read_bytes()[:-60])
    assert code_of(path, grid) == "nifti_truncated"
