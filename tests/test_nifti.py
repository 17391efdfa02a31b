"""NIfTI in and out: index order, affine rules, laziness, and objects that come back as they were."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dask.array as da
import nibabel as nib
import numpy as np
import pytest

from tracker.errors import Finding, InputError
from tracker.image import FrameTimes, Grid, OrganMap, Quantity
from tracker.nifti import nifti_grid, read_nifti, read_organ_map, read_quantity, write_nifti, write_organ_map, write_quantity

AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, 30], [0, 0, 0, 1]])
SHEARED = AFFINE + np.array([[0, 1.0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
GRID = Grid((4, 5, 6), AFFINE)


def nifti(path: Path, sform: np.ndarray | None, qform: np.ndarray | None, unit: Any = "mm", scale: float = 1.0) -> Path:
    image = nib.Nifti1Image(np.zeros((6, 5, 4), np.uint8), AFFINE * scale)
    image.header.set_xyzt_units(unit)
    image.set_sform(sform, code=0 if sform is None else 1)
    image.set_qform(qform if qform is not None else AFFINE, code=0 if qform is None else 1)
    nib.save(image, path)
    return path


def code_of(path: Path) -> str:
    with pytest.raises(InputError) as error:
        nifti_grid(path)
    assert path.name in str(error.value)
    return error.value.code


# --- where the voxels are


def test_one_form_alone_counts(tmp_path: Path) -> None:
    moved = AFFINE + np.eye(4, k=3) * 5
    for sform, qform, expected in ((moved, None, moved), (None, moved, moved), (AFFINE, AFFINE, AFFINE), (SHEARED, None, SHEARED)):
        grid, findings = nifti_grid(nifti(tmp_path / "a.nii", sform, qform))
        assert np.allclose(grid.affine, expected, atol=1e-5) and not findings and grid.shape == (4, 5, 6)


def test_neither_form_is_an_error(tmp_path: Path) -> None:
    assert code_of(nifti(tmp_path / "a.nii", None, None)) == "nifti_no_orientation"


@pytest.mark.parametrize(("shift_mm", "warns"), [(0.19, False), (0.21, True)])
def test_forms_may_differ_by_a_tenth_of_a_voxel(tmp_path: Path, shift_mm: float, warns: bool) -> None:
    moved = AFFINE + np.eye(4, k=3) * shift_mm  # the smallest edge is 2 mm
    grid, findings = nifti_grid(nifti(tmp_path / "a.nii", moved, AFFINE))
    assert [f.check for f in findings] == (["nifti_sform_qform"] if warns else [])
    assert np.allclose(grid.affine, moved, atol=1e-5)


def test_sheared_sform_that_differs_is_an_error(tmp_path: Path) -> None:
    assert code_of(nifti(tmp_path / "a.nii", SHEARED, AFFINE)) == "nifti_sform_sheared"


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1.0), ("micron", 1000.0), ("meter", 0.001)])
def test_units_become_mm(tmp_path: Path, unit: str, scale: float) -> None:
    scaled = np.diag([scale, scale, scale, 1]) @ AFFINE
    grid, findings = nifti_grid(nifti(tmp_path / "a.nii", scaled, scaled, unit))
    assert np.allclose(grid.affine, AFFINE, rtol=1e-5, atol=1e-5) and not findings


def test_unknown_unit_is_mm_only_where_that_is_possible(tmp_path: Path) -> None:
    grid, findings = nifti_grid(nifti(tmp_path / "a.nii", AFFINE, AFFINE, 0))
    assert np.allclose(grid.affine, AFFINE) and [f.check for f in findings] == ["nifti_units"]
    metres, microns = np.diag([0.001] * 3 + [1]) @ AFFINE, np.diag([1000.0] * 3 + [1]) @ AFFINE
    assert code_of(nifti(tmp_path / "m.nii", metres, metres, 0)) == "nifti_units"
    assert code_of(nifti(tmp_path / "u.nii", microns, microns, 0)) == "nifti_units"


def test_affine_without_volume_is_an_error(tmp_path: Path) -> None:
    flat = AFFINE.copy()
    flat[2, 2] = 0
    assert code_of(nifti(tmp_path / "a.nii", flat, None)) == "nifti_affine"


# --- values


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.dat"])
@pytest.mark.parametrize("frames", [None, 3])
def test_what_nibabel_writes_is_read_in_our_order(tmp_path: Path, name: str, frames: int | None) -> None:
    shape = (6, 5, 4) if frames is None else (6, 5, 4, frames)
    xyzt = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    nib.save(nib.Nifti1Image(xyzt, AFFINE), tmp_path / ("a.nii" if name == "a.dat" else name))
    if name == "a.dat":
        (tmp_path / "a.nii").rename(tmp_path / name)
    values, grid = read_nifti(tmp_path / name)
    assert values.shape == shape[::-1] and grid.shape == (4, 5, 6)
    assert (np.asarray(values) == xyzt.T).all()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_slope_and_intercept_are_applied_lazily(tmp_path: Path, name: str) -> None:
    stored = np.arange(6 * 5 * 4 * 2, dtype=np.int16).reshape(6, 5, 4, 2)
    image = nib.Nifti1Image(stored, AFFINE)
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / name)
    raw = np.asarray(nib.load(tmp_path / name).dataobj)  # nibabel applies what it stored
    values, _ = read_nifti(tmp_path / name)
    assert isinstance(values, da.Array) and np.allclose(values.compute(), raw.T)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [Grid((4, 5, 6), AFFINE), Grid((4, 5, 6), SHEARED)])
def test_nibabel_reads_what_is_written(tmp_path: Path, name: str, kind: Grid) -> None:
    values = np.random.default_rng(1).normal(size=(3, 4, 5, 6))
    write_nifti(tmp_path / name, da.from_array(values, chunks=(1, 4, 5, 6)), kind)
    image = nib.load(tmp_path / name)
    assert (np.asarray(image.dataobj) == values.T.astype(np.float32)).all() and image.get_data_dtype() == np.float32
    assert np.allclose(image.affine, kind.affine) and image.header.get_xyzt_units() == ("mm", "sec")
    assert not nifti_grid(tmp_path / name)[1]
    assert not list(tmp_path.glob("*.part"))


def test_equal_data_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, np.ones((4, 5, 6)), GRID)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("value", [-1, 70000, 0.5, np.nan])
def test_integers_are_not_wrapped_or_cut(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="uint16"):
        write_nifti(tmp_path / "a.nii", np.full((4, 5, 6), value), GRID, np.uint16)
    assert not (tmp_path / "a.nii").exists()
    with pytest.raises(ValueError, match="grid"):
        write_nifti(tmp_path / "a.nii", np.zeros((4, 5, 7)), GRID)


def test_memory_does_not_grow_with_frames(tmp_path: Path) -> None:
    grid = Grid((32, 64, 64), AFFINE)
    frame_bytes = 32 * 64 * 64 * 8

    def peak(frames: int) -> int:
        values = da.ones((frames, *grid.shape), chunks=(1, *grid.shape))
        tracemalloc.start()
        write_nifti(tmp_path / "a.nii", values, grid)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)  # first use imports and caches
    # 40 frames are 42 MB in float64; a frame, its float32 copy and dask's own bookkeeping must be all that is held.
    assert peak(40) < 5 * frame_bytes


def test_broken_files(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii", np.ones((4, 5, 6)), GRID)
    data = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "short.nii").write_bytes(data[:-1])
    (tmp_path / "text.nii").write_text("no image")
    (tmp_path / "stub.nii.gz").write_bytes(gzip.compress(data)[:40])
    huge = nib.Nifti1Header()
    huge.set_data_shape((30000, 30000, 30000))
    huge.set_sform(AFFINE, 1)
    huge.set_xyzt_units("mm")
    huge["magic"] = b"n+1"
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(huge.binaryblock + bytes(100)))
    for name, code in (
        ("short.nii", "nifti_truncated"),
        ("text.nii", "not_nifti"),
        ("stub.nii.gz", "not_nifti"),
        ("bomb.nii.gz", "nifti_truncated"),
    ):
        with pytest.raises(InputError) as error:
            read_nifti(tmp_path / name)
        assert error.value.code == code and name in str(error.value)


def test_colours_and_five_axes_are_refused(tmp_path: Path) -> None:
    colour = np.zeros((6, 5, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for name, values, code in (("c", colour, "nifti_type"), ("v", np.zeros((6, 5, 4, 1, 3), np.float32), "nifti_shape")):
        nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / f"{name}.nii")
        with pytest.raises(InputError) as error:
            read_nifti(tmp_path / f"{name}.nii")
        assert error.value.code == code


# --- objects

ODD = np.array([[0.1, 1 / 3, 0, np.pi], [-1 / 3, 0.1, 0, 1e-9], [0, 0, 0.7, -1234.56789012345], [0, 0, 0, 1]])


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("origin", [datetime(2024, 3, 31, 1, 59, 59, 123456), datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=5)])
def test_quantity_comes_back(tmp_path: Path, frames: int, origin: datetime) -> None:
    values = np.random.default_rng(2).normal(size=(frames, 4, 5, 6)).astype(np.float32)
    values[0, 0, 0, 0] = np.nan
    times = FrameTimes(origin, tuple(0.1 * i for i in range(frames)), (1 / 3,) * frames)
    findings = (Finding("a", "warn", "µ, ö"), Finding("b", "ok", ""))
    one = Quantity(values, "Bq/mL", Grid((4, 5, 6), ODD, "1.2.3"), times, "concentration", np.abs(values), 0.05, "a>b", findings)
    write_quantity(tmp_path / "q.nii", one)
    two = read_quantity(tmp_path / "q.nii")
    assert np.array_equal(two.values, values, equal_nan=True) and np.array_equal(two.sd_voxel, np.abs(values), equal_nan=True)
    assert (two.unit, two.times, two.kind, two.scale_cv, two.method, two.findings) == (
        one.unit, one.times, one.kind, one.scale_cv, one.method, one.findings,
    )  # fmt: skip
    assert (two.grid.affine == ODD).all() and two.grid.shape == (4, 5, 6) and two.grid.frame_of_reference_uid == "1.2.3"
    assert isinstance(two.values, np.memmap) and not two.values.flags.writeable


def test_quantity_without_noise_and_scale(tmp_path: Path) -> None:
    one = Quantity(da.zeros((2, 4, 5, 6)), "ug/mL", GRID, FrameTimes(datetime(2024, 1, 1), (0.0, 1.0), (1.0, 1.0)))
    write_quantity(tmp_path / "q.nii", one)
    two = read_quantity(tmp_path / "q.nii")
    assert two.sd_voxel is None and two.scale_cv is None and sorted(p.name for p in tmp_path.iterdir()) == ["q.json", "q.nii"]
    with pytest.raises(ValueError, match="uncompressed"):
        write_quantity(tmp_path / "q.nii.gz", one)


@pytest.mark.parametrize("name", ["o.nii", "o.nii.gz"])
def test_organ_map_comes_back(tmp_path: Path, name: str) -> None:
    labels = np.random.default_rng(3).choice([0, 1, 65535], size=(4, 5, 6)).astype(np.uint16)
    one = OrganMap(labels, {1: "liver", 65535: "CD8+"}, Grid((4, 5, 6), ODD, "1.2"), "atlas", (Finding("x", "ok", "y"),))
    write_organ_map(tmp_path / name, one)
    two = read_organ_map(tmp_path / name)
    assert (two.labels == labels).all() and two.labels.dtype == np.uint16 and (two.grid.affine == ODD).all()
    assert (two.names, two.method, two.findings, two.grid.frame_of_reference_uid) == (one.names, "atlas", one.findings, "1.2")
    assert (tmp_path / "o.tsv").read_text() == "index\tname\n1\tliver\n65535\tCD8+\n"
    assert nib.load(tmp_path / name).get_data_dtype() == np.uint16


def test_a_stage_cannot_take_one_object_for_another(tmp_path: Path) -> None:
    write_organ_map(tmp_path / "o.nii", OrganMap(np.zeros((4, 5, 6), np.uint16), {}, GRID))
    for content, code in (((tmp_path / "o.json").read_text(), "sidecar_broken"), ("{", "sidecar_broken"), (None, "sidecar_missing")):
        (tmp_path / "o.json").unlink()
        if content is not None:
            (tmp_path / "o.json").write_text(content)
        with pytest.raises(InputError) as error:
            read_quantity(tmp_path / "o.nii")
        assert error.value.code == code
        (tmp_path / "o.json").write_text(json.dumps({}))
