"""Where voxels lie: against DICOM's own equation, voxel by voxel; gaps, tilts and incomplete frames are refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.dicom import read_instances, stack
from tracker.dicom.geometry import Slices, affine_from, arrange, slice_normal
from tracker.errors import InputError
from tracker.image import voxel_size_mm


def turned(degrees: tuple[float, float, float]) -> list[float]:
    """Row and column direction of an axial slice after turns about x, y and z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[b, a], turn[a, b] = np.sin(angle), -np.sin(angle)
        matrix = turn @ matrix
    return [*matrix[:, 0], *matrix[:, 1]]


ORIENTATIONS = {
    "axial head first": [1, 0, 0, 0, 1, 0],
    "axial feet first": [-1, 0, 0, 0, 1, 0],
    "axial prone": [-1, 0, 0, 0, -1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
    "sagittal": [0, 1, 0, 0, 0, -1],
    "oblique": turned((20, -35, 50)),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_voxel_is_where_dicoms_equation_puts_it(write_slice, name):
    row, column = np.array(ORIENTATIONS[name][:3], float), np.array(ORIENTATIONS[name][3:], float)
    normal = np.cross(row, column)
    places = [np.array([-7.0, 11.0, 3.0]) + 2.5 * z * normal for z in range(4)]
    # File names, instance numbers and order say nothing: positions alone count.
    paths = [
        write_slice(
            f"{9 - z}.dcm",
            z,
            ImagePositionPatient=[f"{v:.10g}" for v in places[z]],
            ImageOrientationPatient=[f"{v:.10g}" for v in [*row, *column]],
        )
        for z in (2, 0, 3, 1)
    ]
    instances, _ = read_instances(sorted(paths))
    found = stack(instances, [0.0] * 4, "here")
    assert found.grid.shape == (4, 3, 4) and len(found.slices) == 1
    for z, slice_ in enumerate(found.slices[0]):
        origin = np.array([float(v) for v in slice_.get("ImagePositionPatient")])
        for y, x in itertools.product(range(3), range(4)):
            # PS3.3 C.7.6.2.1-1: P = S + row direction · column spacing · column index + column direction · row spacing · row index
            lps = origin + row * 1.0 * x + column * 1.5 * y
            ras = lps * [-1, -1, 1]
            # Positions are written with ten digits.
            np.testing.assert_allclose((found.grid.affine @ [x, y, z, 1])[:3], ras, atol=1e-7)
    np.testing.assert_allclose(voxel_size_mm(found.grid), (2.5, 1.5, 1.0), rtol=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.floats(0.1, 5), st.floats(0.1, 5))
def test_affine_keeps_lengths_right_angles_and_handedness(angles, row_mm, column_mm):
    directions = turned(angles)
    normal = slice_normal(directions)
    affine = affine_from([1, 2, 3], directions, (row_mm, column_mm), normal * 0.7)
    linear = affine[:3, :3]
    assert np.linalg.norm(linear, axis=0) == pytest.approx([column_mm, row_mm, 0.7])
    # LPS to RAS turns two axes: a right-handed stack stays right-handed.
    assert np.linalg.det(linear) == pytest.approx(row_mm * column_mm * 0.7)


def slices(depths: list[float], shift: dict[int, float] | None = None, thickness_mm: float | None = None) -> Slices:
    positions = np.array([[(shift or {}).get(n, 0.0), 0.0, d] for n, d in enumerate(depths)])
    return Slices(positions, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, 1.0), thickness_mm, "")


def refused(code: str, *args: object) -> InputError:
    with pytest.raises(InputError) as raised:
        arrange(*args, "here")
    assert raised.value.code == code
    return raised.value


@pytest.mark.parametrize("gone", range(1, 9))
def test_row_30_a_missing_slice_inside_is_counted_and_placed(gone):
    error = refused("missing_slice", slices([2.0 * z for z in range(10) if z != gone]), [0.0] * 9)
    assert "1 slice(s) missing" in error.what and f"after slice {gone}" in error.what
    assert "4 mm" in error.found and "2 mm" in error.expected


def test_row_30_two_missing_slices_are_two():
    assert "2 slice(s) missing" in refused("missing_slice", slices([0, 2, 4, 10, 12, 14]), [0.0] * 6).what


def test_row_31_irregular_spacing_is_refused():
    assert "2.5 mm" in refused("irregular_spacing", slices([0, 2, 4, 6.5, 8.5, 10.5]), [0.0] * 6).found


def test_row_31_rounded_positions_are_regular():
    # Thirds of a millimetre written with three digits differ by 1e-3 of a millimetre from slice to slice.
    found = arrange(slices([round(z * 10 / 3, 3) for z in range(40)]), [0.0] * 40, "here")
    assert found.affine[2, 2] == pytest.approx(10 / 3, rel=1e-5)


def test_row_31_a_tilted_stack_is_refused():
    assert "normal" in refused("tilted_stack", slices([0, 2, 4, 6], {n: 0.5 * n for n in range(4)}), [0.0] * 4).what


def test_row_31_slices_that_wander_to_and_fro_are_refused():
    # The mean step follows the normal; no affine describes the slices.
    refused("tilted_stack", slices([0, 2, 4, 6, 8], {1: 3.0, 3: 3.0}), [0.0] * 5)


def test_row_32_positions_win_over_slice_thickness():
    found = arrange(slices([0, 2, 4], thickness_mm=5.0), [0.0] * 3, "here")
    assert found.affine[2, 2] == 2.0
    assert [(f.check, f.status) for f in found.findings] == [("slice_thickness", "warn")] and "5 mm" in found.findings[0].reason


def test_a_single_slice_needs_its_thickness():
    assert arrange(slices([3], thickness_mm=1.25), [0.0], "here").affine[2, 2] == 1.25
    refused("geometry_missing", slices([3]), [0.0])


@pytest.mark.parametrize("order", [list(range(12)), list(range(12))[::-1], [5, 0, 11, 3, 8, 1, 10, 2, 7, 4, 9, 6]])
def test_frames_are_ordered_by_time_and_slices_by_place(order):
    depth = np.repeat([0.0, 2.0, 4.0, 6.0], 3)
    time = np.tile([0.0, 60.0, 120.0], 4)
    found = arrange(slices(depth[order].tolist()), time[order].tolist(), "here")
    assert [[depth[order][i] for i in frame] for frame in found.order] == [[0, 2, 4, 6]] * 3
    assert [{time[order][i] for i in frame} for frame in found.order] == [{0.0}, {60.0}, {120.0}]


def test_beds_of_one_frame_stay_together_over_several_passes():
    # Two beds of two slices, two passes: eight times, two frames.
    depth, time = [0, 2, 4, 6] * 2, [0, 0, 100, 100, 200, 200, 300, 300]
    found = arrange(slices([float(d) for d in depth]), [float(t) for t in time], "here")
    assert [[time[i] for i in frame] for frame in found.order] == [[0, 0, 100, 100], [200, 200, 300, 300]]


def test_row_30_a_slice_missing_in_one_frame_names_the_place():
    depth = [0.0, 2.0, 4.0] * 3
    time = [t for t in (0.0, 60.0, 120.0) for _ in range(3)]
    del depth[4], time[4]
    error = refused("missing_slice", slices(depth), time)
    assert "one of 3 frames" in error.what and "[2.0]" in error.found and "3 positions 3 times" in error.expected


@pytest.mark.parametrize("orientation", [[1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 2, 0], [0, 0, 0, 0, 0, 0]])
def test_directions_must_be_unit_vectors_at_right_angles(orientation):
    with pytest.raises(InputError, match="orientation_not_orthonormal"):
        slice_normal(orientation)


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": None},
        {"PixelSpacing": [0, 0]},
        {"PixelSpacing": [1.0]},
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": [1, 0, 0]},
    ],
)
def test_missing_or_impossible_geometry_is_an_error_with_the_file(write_slice, tags):
    instances, _ = read_instances([write_slice("1.dcm", 0, **tags), write_slice("2.dcm", 1, **tags)])
    with pytest.raises(InputError) as raised:
        stack(instances, [0.0, 0.0], "here")
    assert raised.value.code == "geometry_missing" and next(iter(tags)) in raised.value.what and raised.value.where.endswith(".dcm")
