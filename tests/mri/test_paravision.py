"""ParaVision folders: what a frame is worth, which echo and slice it is, and where its voxels lie."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracker.errors import InputError
from tracker.image import Grid
from tracker.mri.paravision import frames, is_paravision, read_paravision
from tracker.mri.phantom.paravision import ParavisionOptions, write_paravision
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Label, Subject

START = datetime(2026, 3, 2, 11, 0, 0, 250000, timezone(timedelta(hours=1)))
TIMES_MS = (3.0, 6.5, 10.0, 14.5)
# Right-handed, no cube, axes mixed: nothing that is exchanged or negated stays unseen.
GRID = Grid((3, 4, 5), np.array([[-0.2, 0, 0, 4.0], [0, -0.25, 0, 7.0], [0, 0, 0.8, -3.0], [0, 0, 0, 1.0]]))


def context_of(path: Path, **more: Any) -> Context:
    """What the reader is told; ``more``: echo_times_ms, acquired."""
    scan = Acquisition("m1", "d1", "mri", path, "m1_d1", label="cells", **more)
    label = Label("cells", "iron", "Fe")
    return Context("study", scan, Subject("m1", "mouse", 25.0), (), label, None, {}, Organs(), Corrections())


def read(path: Path, series: str = "", **more: Any) -> Any:
    return read_paravision(path, series, context_of(path, **more))


def image(*leading: int, seed: int = 1) -> np.ndarray:
    """Whole numbers, (…, z, y, x): exact in 16 bits, each voxel another."""
    return np.random.default_rng(seed).permutation(np.prod((*leading, *GRID.shape))).reshape(*leading, *GRID.shape).astype(float) + 1


def options(**more: Any) -> ParavisionOptions:
    return ParavisionOptions(**{"start": START, "slopes": (1.0,) * len(TIMES_MS), **more})


def written(folder: Path, magnitude: np.ndarray | None = None, grid: Grid = GRID, times: tuple[float, ...] = TIMES_MS, **more: Any) -> Path:
    if len(times) != len(TIMES_MS):
        more = {"slopes": (1.0,) * len(times), **more}
    return write_paravision(folder, image(len(times)) if magnitude is None else magnitude, times, grid, options(**more))


def setting(**texts: str | None) -> Callable[[dict[str, str]], None]:
    """An edit of visu_pars: another text, or None to leave the parameter out."""

    def edit(visu: dict[str, str]) -> None:
        for key, text in texts.items():
            visu.pop(key, None)
            if text is not None:
                visu[key] = text

    return edit


def refusal(path: Path, series: str = "", **more: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path, series, **more)
    return caught.value


def statuses(scan: Any) -> dict[str, str]:
    return {f.check: f.status for f in scan.findings}


# --- values


def test_each_frame_has_its_own_slope(tmp_path: Path) -> None:
    # With the first slope for all (as brkraw does) R2* would be wrong by ln(slope ratio) / echo spacing: here 0.7 / 4 ms = 200 /s.
    slopes = (0.5, 0.25, 2.0, 0.125)
    stored = image(4)
    scan = read(written(tmp_path, stored * np.array(slopes)[:, None, None, None], slopes=slopes))
    assert scan.values.dtype == np.float32
    # Halves of small whole numbers have no rounding in float32: equal, not close.
    np.testing.assert_array_equal(scan.values, stored * np.array(slopes)[:, None, None, None])
    assert scan.header.echo_times_s == pytest.approx([0.003, 0.0065, 0.010, 0.0145])
    assert (scan.header.n_repeats, scan.header.source, scan.header.phase_rad) == (1, "paravision", None)


def test_offsets_count(tmp_path: Path) -> None:
    wanted = image(4) * 4 + 3
    np.testing.assert_array_equal(read(written(tmp_path, wanted, slopes=(4.0,) * 4, offset=3.0)).values, wanted)


@pytest.mark.parametrize(("word", "big_endian"), [("int16", False), ("int16", True), ("int32", False), ("int32", True)])
def test_words_and_byte_orders(tmp_path: Path, word: str, big_endian: bool) -> None:
    np.testing.assert_array_equal(read(written(tmp_path, word=word, big_endian=big_endian)).values, image(4))


@pytest.mark.parametrize(("word", "kind"), [("_8BIT_UNSGN_INT", "u1"), ("_32BIT_FLOAT", "<f4")])
def test_bytes_and_floats(tmp_path: Path, word: str, kind: str) -> None:
    folder = written(tmp_path, edit=setting(VisuCoreWordType=word))
    pixels = folder / "pdata" / "1" / "2dseq"
    np.fromfile(pixels, "<i2").astype(kind).tofile(pixels)
    np.testing.assert_array_equal(read(folder).values, image(4))


def test_a_slope_per_frame_fills_the_word(tmp_path: Path) -> None:
    wanted = image(4) * np.exp(-np.arange(4))[:, None, None, None]
    scan = read(written(tmp_path, wanted, slopes=()))
    # Half a step of a word that reaches 32000.
    assert np.abs(scan.values - wanted).max() <= 0.5 * wanted.max() / 32000 * 1.0001


@pytest.mark.parametrize("key", ["VisuCoreDataSlope", "VisuCoreDataOffs"])
@pytest.mark.parametrize("damage", ["missing", "inf", "nan", "short", "word"])
def test_slopes_and_offsets_that_say_nothing(tmp_path: Path, key: str, damage: str) -> None:
    ones = ["1"] * 12
    text = {"missing": None, "inf": ["inf"], "nan": ["nan"], "short": [], "word": ["oops"]}[damage]
    value = None if text is None else f"( {11 if not text else 12} )\n" + " ".join(ones[:11] + text)
    found = refusal(written(tmp_path, edit=setting(**{key: value})))
    assert (found.code, key in found.what) == ("slope_missing", True)


def test_a_slope_of_zero_is_none(tmp_path: Path) -> None:
    found = refusal(written(tmp_path, edit=setting(VisuCoreDataSlope="( 12 )\n1 1 1 0 1 1 1 1 1 1 1 1")))
    assert found.code == "slope_missing"


def test_one_slope_counts_for_all(tmp_path: Path) -> None:
    folder = written(tmp_path, edit=setting(VisuCoreDataSlope="( 1 )\n2", VisuCoreDataOffs="( 1 )\n1"))
    np.testing.assert_array_equal(read(folder).values, image(4) * 2 + 1)


@pytest.mark.parametrize(("change", "code"), [(-1, "truncated_pixels"), (2, "frames_disagree"), (None, "pixels_missing")])
def test_files_of_another_length(tmp_path: Path, change: int | None, code: str) -> None:
    folder = written(tmp_path)
    pixels = folder / "pdata" / "1" / "2dseq"
    data = pixels.read_bytes()
    if change is None:
        pixels.rename(pixels.with_name("2dseq.old"))
        with pytest.raises(InputError) as caught:
            frames(folder / "pdata" / "1")
        assert caught.value.code == code
        return
    pixels.write_bytes(data[:change] if change < 0 else data + bytes(change))
    assert refusal(folder).code == code


# --- frames


@pytest.mark.parametrize("order", list(itertools.permutations(("FG_ECHO", "FG_SLICE", "FG_COMPLEX", "FG_CYCLE"))))
def test_loops_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    magnitude = image(2, 4)
    phase = np.linspace(-3, 3, magnitude.size).reshape(magnitude.shape)
    folder = written(tmp_path, magnitude, parts="phase", phase_rad=phase, order=order, word="int32", slopes=(1e-3,) * 4)
    scan = read(folder)
    assert scan.header.n_repeats == 2
    np.testing.assert_allclose(scan.values.reshape(magnitude.shape), magnitude, rtol=1e-6)  # float32
    np.testing.assert_allclose(scan.header.phase_rad.reshape(magnitude.shape), phase, atol=0.51e-3)  # half a stored step
    # 240 s in two halves.
    assert (scan.times.start_s, scan.times.duration_s) == ((0.0, 120.0), (120.0, 120.0))


def test_complex_images_become_magnitude_and_phase(tmp_path: Path) -> None:
    magnitude = image(4)
    phase = np.random.default_rng(3).uniform(-3.1, 3.1, magnitude.shape)
    scan = read(written(tmp_path, magnitude, parts="complex", phase_rad=phase, word="int32", slopes=(1e-5,) * 4))
    np.testing.assert_allclose(scan.values, magnitude, rtol=2e-5)  # steps of 1e-5 in values from 1
    np.testing.assert_allclose(scan.header.phase_rad, phase, atol=2e-5)


def test_parts_named_in_other_places(tmp_path: Path) -> None:
    magnitude, phase = image(4), np.full((4, *GRID.shape), 0.5)
    more = {"magnitude": magnitude, "phase_rad": phase, "word": "int32", "slopes": (1e-5,) * 4}
    edit = setting(VisuCoreFrameType=None, VisuFGElemComment="( 2, 65 )\n<Phase> <Magnitude>")
    comment = written(tmp_path / "a", parts="phase", edit=edit, **{**more, "magnitude": phase, "phase_rad": magnitude})
    np.testing.assert_allclose(read(comment).values, magnitude, rtol=1e-6)
    reco = written(tmp_path / "b", parts="complex", edit=setting(VisuCoreFrameType=None), **more)
    np.testing.assert_allclose(read(reco).values, magnitude, rtol=2e-5)


@pytest.mark.parametrize("kind", ["PHASE_IMAGE", "REAL_IMAGE", "IMAGINARY_IMAGE", "T2_MAP"])
def test_what_is_no_magnitude(tmp_path: Path, kind: str) -> None:
    folder = written(tmp_path, edit=setting(VisuCoreFrameType=kind))
    (folder / "pdata" / "1" / "reco").unlink()
    assert refusal(folder).code == "not_magnitude"


def test_magnitudes_are_never_negative(tmp_path: Path) -> None:
    wanted = image(4)
    wanted[2, 1, 2, 3] = -4
    assert refusal(written(tmp_path, wanted)).code == "not_magnitude"


def test_phase_must_be_in_radians(tmp_path: Path) -> None:
    folder = written(tmp_path, parts="phase", phase_rad=np.full((4, *GRID.shape), 90.0))
    assert refusal(folder).code == "phase_unit"


@pytest.mark.parametrize("name", ["FG_COIL", "FG_ISA", "FG_DIFFUSION", "FG_SOMETHING_NEW"])
def test_loops_that_nobody_knows_are_named(tmp_path: Path, name: str) -> None:
    groups = f"( 2 )\n(4, <FG_ECHO>, <>, 0, 1) (3, <{name}>, <y=A+C*exp(-t/T2)>, 1, 2)"
    found = refusal(written(tmp_path, edit=setting(VisuFGOrderDesc=groups)))
    assert (found.code, name in str(found)) == ("frame_group_unknown", True)


def test_unknown_loops_of_one_frame_do_not_matter(tmp_path: Path) -> None:
    groups = "( 3 )\n(4, <FG_ECHO>, <>, 0, 1) (1, <FG_COIL>, <>, 0, 0) (3, <FG_SLICE>, <>, 1, 2)"
    np.testing.assert_array_equal(read(written(tmp_path, edit=setting(VisuFGOrderDesc=groups))).values, image(4))


def test_movie_frames_are_repeats_and_the_slower_loop_comes_first(tmp_path: Path) -> None:
    magnitude = image(6, 4)
    groups = "( 4 )\n(4, <FG_ECHO>, <>, 0, 1) (3, <FG_SLICE>, <>, 1, 2) (2, <FG_MOVIE>, <>, 0, 0) (3, <FG_CYCLE>, <>, 0, 0)"
    scan = read(written(tmp_path, magnitude, edit=setting(VisuFGOrderDesc=groups)))
    np.testing.assert_array_equal(scan.values.reshape(magnitude.shape), magnitude)


def test_frames_without_a_loop(tmp_path: Path) -> None:
    assert refusal(written(tmp_path / "a", edit=setting(VisuFGOrderDesc=None))).code == "frame_group_unknown"
    stopped = setting(VisuCoreFrameCount="11")
    assert refusal(written(tmp_path / "b", edit=stopped)).code == "frames_disagree"


def test_transposed_frames_are_turned_back(tmp_path: Path) -> None:
    folder = written(tmp_path, edit=setting(VisuCoreTransposition="( 12 )\n" + " ".join(["1"] * 12)))
    pixels = folder / "pdata" / "1" / "2dseq"
    # On disk x and y are exchanged.
    np.ascontiguousarray(np.fromfile(pixels, "<i2").reshape(12, 4, 5).swapaxes(1, 2)).tofile(pixels)
    scan = read(folder)
    np.testing.assert_array_equal(scan.values, image(4))
    assert statuses(scan)["transposition"] == "warn"


@pytest.mark.parametrize("code", [1, 2, 3])
def test_transposed_solid_frames_as_brukerapi_turns_them(tmp_path: Path, code: int) -> None:
    from brukerapi.dataset import Dataset

    more = {"order": ("FG_ECHO", "FG_SLICE", "FG_COMPLEX", "FG_CYCLE"), "solid": True}
    folder = written(tmp_path, edit=setting(VisuCoreTransposition=f"( 4 )\n{code} {code} {code} {code}"), **more)
    theirs = np.squeeze(np.asarray(Dataset(folder / "pdata" / "1" / "2dseq").data)).T
    np.testing.assert_array_equal(frames(folder / "pdata" / "1").values, theirs)


# --- space

# Directions of the animal's left, back and head in the magnet (x to the side, y up, z into the bore), by how it lies.
LYING = {
    "Head_Supine": np.array([[-1, 0, 0], [0, -1, 0], [0, 0, 1]]),
    "Head_Prone": np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "Foot_Supine": np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
    "Foot_Prone": np.array([[-1, 0, 0], [0, 1, 0], [0, 0, -1]]),
}
# Directions of the image's columns, rows and slices in the magnet.
PLANES = {
    "axial": np.array([[1, 0, 0], [0, -1, 0], [0, 0, -1]]),
    "coronal": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "sagittal": np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]]),
    "oblique": np.array([[0.6, 0.8, 0], [0.8, -0.6, 0], [0, 0, -1]]),
}


@pytest.mark.parametrize("lying", LYING)
@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("solid", [False, True])
def test_a_spot_in_the_animal_lands_where_it_is(tmp_path: Path, lying: str, plane: str, solid: bool) -> None:
    # A spot 1.4 mm to the animal's left, 2.2 mm to its belly, 3.0 mm to its head, seen by slices that are fixed in the magnet.
    spot_lps = np.array([1.4, -2.2, 3.0])
    to_magnet, axes = LYING[lying].T, PLANES[plane].astype(float)
    edges, shape_xyz, spot_index = np.array([0.2, 0.25, 0.8]), (5, 4, 3), (3, 1, 2)
    first = to_magnet @ spot_lps - axes.T @ (edges * spot_index)
    # ParaVision states directions and positions in the animal's own left, back, head.
    matrix = axes @ LYING[lying].T
    if np.linalg.det(matrix) < 0:
        raise AssertionError("the truth is left-handed")
    centres = [LYING[lying] @ (first + axes[2] * edges[2] * k) for k in range(1 if solid else 3)]
    edit = setting(
        VisuCoreOrientation=f"( {len(centres)}, 9 )\n" + " ".join(f"{v:.9f}" for _ in centres for v in matrix.ravel()),
        VisuCorePosition=f"( {len(centres)}, 3 )\n" + " ".join(f"{v:.9f}" for c in centres for v in c),
        VisuCoreExtent=f"( {3 if solid else 2} )\n1.0 1.0" + (" 2.4" if solid else ""),
        VisuCoreFrameThickness="( 1 )\n" + ("2.4" if solid else "0.8"),
    )
    magnitude = np.ones((4, *shape_xyz[::-1]))
    magnitude[(slice(None), *spot_index[::-1])] = 1000
    scan = read(written(tmp_path, magnitude, solid=solid, subject_position=lying, edit=edit))
    z, y, x = np.unravel_index(int(np.argmax(scan.values[0])), scan.grid.shape)
    # RAS+: right and front are minus left and minus back.
    assert scan.grid.affine @ [x, y, z, 1] == pytest.approx([-1.4, 2.2, 3.0, 1], abs=1e-6)
    assert np.linalg.norm(scan.grid.affine[:3, :3], axis=0) == pytest.approx(edges, abs=1e-6)
    assert scan.header.planar is not solid


def test_the_grid_comes_back(tmp_path: Path) -> None:
    scan = read(written(tmp_path))
    assert scan.grid.shape == GRID.shape
    assert scan.grid.affine == pytest.approx(GRID.affine, abs=1e-12)


def test_slices_may_run_against_the_normal(tmp_path: Path) -> None:
    down = Grid(GRID.shape, GRID.affine @ np.diag([1.0, 1.0, -1.0, 1.0]))
    assert read(written(tmp_path, grid=down)).grid.affine == pytest.approx(down.affine, abs=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_solid_frames_may_be_stored_from_the_last_slice(tmp_path: Path, reverse: bool) -> None:
    scan = read(written(tmp_path, solid=True, slices_reversed=reverse))
    np.testing.assert_array_equal(scan.values, image(4))
    assert scan.grid.affine == pytest.approx(GRID.affine, abs=1e-12)


def test_positions_of_flat_slices_hold_whatever_the_disk_order_says(tmp_path: Path) -> None:
    scan = read(written(tmp_path, edit=setting(VisuCoreDiskSliceOrder="disk_reverse_slice_order")))
    np.testing.assert_array_equal(scan.values, image(4))
    assert scan.grid.affine == pytest.approx(GRID.affine, abs=1e-12)


def test_spacing_is_measured_and_a_gap_is_told(tmp_path: Path) -> None:
    scan = read(written(tmp_path, edit=setting(VisuCoreFrameThickness="( 1 )\n0.5")))
    assert np.linalg.norm(scan.grid.affine[:3, 2]) == pytest.approx(0.8)
    assert statuses(scan)["slice_gap"] == "warn"


def test_one_slice_takes_its_thickness(tmp_path: Path) -> None:
    one = Grid((1, *GRID.shape[1:]), GRID.affine)
    folder = written(tmp_path, np.full((4, *one.shape), 7.0), grid=one)
    assert read(folder).grid.affine == pytest.approx(GRID.affine, abs=1e-12)


@pytest.mark.parametrize(
    ("positions", "code"),
    [
        ("-4 -7 -3  -4 -7 -2.2  -4 -7 -0.6", "slices_irregular"),
        ("-4 -7 -3  -4 -7 -3  -4 -7 -3", "slices_irregular"),
        ("-4 -7 -3  -4 -6.8 -2.2  -4 -6.6 -1.4", "slices_irregular"),
        ("-4 -7 -3  -4 -7 -2.2", "geometry_missing"),
        (None, "geometry_missing"),
    ],
)
def test_stacks_that_are_none(tmp_path: Path, positions: str | None, code: str) -> None:
    text = None if positions is None else f"( {len(positions.split()) // 3}, 3 )\n{positions}"
    assert refusal(written(tmp_path, edit=setting(VisuCorePosition=text))).code == code


def test_orientations_must_be_one(tmp_path: Path) -> None:
    # Said before echoes, spin echoes or anything else is complained of.
    rows = "( 3, 9 )\n1 0 0 0 1 0 0 0 1  0 1 0 0 0 -1 -1 0 0  1 0 0 0 -1 0 0 0 -1"
    found = refusal(written(tmp_path, edit=setting(VisuCoreOrientation=rows, VisuAcqEchoTime=None), echo_type="SpinEcho"))
    assert (found.code, found.what) == ("orientation_mixed", "slices have 3 orientations: a localiser, not a volume")


def test_positions_may_be_stated_for_every_frame(tmp_path: Path) -> None:
    places = [(-4, -7, -3 + 0.8 * k) for k in range(3) for _ in range(4)]
    text = "( 12, 3 )\n" + " ".join(str(v) for p in places for v in p)
    assert read(written(tmp_path / "a", edit=setting(VisuCorePosition=text))).grid.affine == pytest.approx(GRID.affine)
    places[1] = (-4, -7, 3)
    text = "( 12, 3 )\n" + " ".join(str(v) for p in places for v in p)
    assert refusal(written(tmp_path / "b", edit=setting(VisuCorePosition=text))).code == "geometry_mixed"


@pytest.mark.parametrize(
    ("kind", "position", "status"),
    [
        ("Quadruped", "Head_Prone", "ok"),
        ("Biped", "Head_Prone", "ok"),
        ("Quadruped", "Head_Supine", "warn"),
        ("Quadruped", "Foot_Prone", "warn"),
        ("Phantom", "Head_Prone", "warn"),
    ],
)
def test_what_was_entered_about_the_animal_is_repeated(tmp_path: Path, kind: str, position: str, status: str) -> None:
    scan = read(written(tmp_path, subject_type=kind, subject_position=position))
    finding = next(f for f in scan.findings if f.check == "orientation")
    assert (finding.status, kind in finding.reason, position in finding.reason) == (status, True, True)


@pytest.mark.parametrize("damage", [{"VisuCoreDimDesc": "( 2 )\nspectroscopic spatial"}, {"VisuCoreUnits": "( 2, 65 )\n<ppm> <mm>"}])
def test_spectra_are_no_images(tmp_path: Path, damage: dict[str, str]) -> None:
    assert refusal(written(tmp_path, edit=setting(**damage))).code == "not_an_image"


@pytest.mark.parametrize("solid", [False, True])
def test_as_brukerapi_reads_it(tmp_path: Path, solid: bool) -> None:
    from brukerapi.dataset import Dataset

    turned = np.eye(4)
    turned[:3, :3] = [[0.36, 0.48, -0.8], [-0.8, 0.6, 0], [0.48, 0.64, 0.6]]
    grid = Grid(GRID.shape, turned @ GRID.affine)
    folder = written(tmp_path, image(2, 4), grid=grid, solid=solid, slopes=(0.3, 0.7, 1.1, 5.0), offset=2.0)
    theirs = Dataset(folder / "pdata" / "1" / "2dseq")
    scan = read(folder)
    data = np.asarray(theirs.data)
    # (x, y, echo, slice, part, cycle) or (x, y, z, echo, part, cycle) there.
    moved = data[:, :, :, :, 0].transpose(4, 3, 2, 1, 0) if solid else data[:, :, :, :, 0].transpose(4, 2, 3, 1, 0)
    np.testing.assert_allclose(scan.values.reshape(moved.shape), moved, rtol=1e-6)  # float32
    assert scan.grid.affine == pytest.approx(np.diag([-1, -1, 1, 1]) @ theirs.affine, abs=1e-9)


# --- echoes


@pytest.mark.parametrize("key", ["visu", "method", "acqp"])
def test_echo_times_from_any_file(tmp_path: Path, key: str) -> None:
    folder = written(tmp_path, edit=setting(**({} if key == "visu" else {"VisuAcqEchoTime": None})))
    for name in {"method", "acqp"} - {key}:
        (folder / name).unlink()
    assert read(folder).header.echo_times_s == pytest.approx([0.003, 0.0065, 0.010, 0.0145])


def test_echo_times_from_the_sheet_alone(tmp_path: Path) -> None:
    folder = written(tmp_path, edit=setting(VisuAcqEchoTime="( 1 )\n3"))
    for name in ("method", "acqp"):
        (folder / name).unlink()
    assert refusal(folder).code == "echo_time_missing"
    assert read(folder, echo_times_ms=(2.0, 4.0, 6.0, 8.0)).header.echo_times_s == pytest.approx([0.002, 0.004, 0.006, 0.008])
    assert refusal(folder, echo_times_ms=(2.0, 4.0, 6.0)).code == "echo_times_disagree"


def test_echo_times_that_contradict_one_another(tmp_path: Path) -> None:
    other = setting(VisuAcqEchoTime="( 4 )\n3 6 9 12")
    found = refusal(written(tmp_path / "a", edit=other))
    assert (found.code, "EffectiveTE" in found.what) == ("echo_times_disagree", True)
    assert refusal(written(tmp_path / "b"), echo_times_ms=(3.0, 6.0, 9.0, 12.0)).code == "echo_times_disagree"


def test_echo_times_begin_where_the_file_says(tmp_path: Path) -> None:
    depend = "( 3 )\n(<VisuAcqEchoTime>, 1) (<VisuCoreOrientation>, 0) (<VisuCorePosition>, 0)"
    folder = written(tmp_path, edit=setting(VisuAcqEchoTime="( 5 )\n1 3 6.5 10 14.5", VisuGroupDepVals=depend))
    assert read(folder).header.echo_times_s == pytest.approx([0.003, 0.0065, 0.010, 0.0145])


def test_echoes_are_put_in_order(tmp_path: Path) -> None:
    backwards = (14.5, 10.0, 6.5, 3.0)
    scan = read(written(tmp_path, image(4)[::-1], times=backwards))
    np.testing.assert_array_equal(scan.values, image(4))
    assert scan.header.echo_times_s == pytest.approx([0.003, 0.0065, 0.010, 0.0145])


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ((0.003, 0.0065, 0.010, 0.0145), "echo_time_implausible"),
        ((300.0, 650.0, 1000.0, 1450.0), "echo_time_implausible"),
        ((3.0, 3.0, 6.0, 9.0), "echo_order"),
        ((3.0, 6.5), "echoes_too_few"),
    ],
)
def test_echo_times_that_cannot_be(tmp_path: Path, times: tuple[float, ...], code: str) -> None:
    assert refusal(written(tmp_path, times=times)).code == code


def test_fluorine_needs_no_echoes(tmp_path: Path) -> None:
    scan = read(written(tmp_path, times=(3.0,), nucleus="19F", field_t=11.7, echo_type="SpinEcho"))
    assert (scan.header.nucleus, scan.header.field_t) == ("19F", pytest.approx(11.7))


OTHER_ECHOES = [
    {"echo_type": "SpinEcho"},
    {"echo_type": "Both"},
    {"version": 5, "method": "MSME"},
    {"version": 5, "method": "Bruker:RARE"},
]


@pytest.mark.parametrize("more", OTHER_ECHOES)
def test_spin_echoes_show_another_decay(tmp_path: Path, more: dict[str, Any]) -> None:
    assert refusal(written(tmp_path, **more)).code == "not_gradient_echo"


# --- what the scanner was set to, and when


def test_header(tmp_path: Path) -> None:
    header = read(written(tmp_path, field_t=7.0, receiver_gain=64.5, repetition_ms=650.0, flip_angle_deg=22.0)).header
    assert (header.nucleus, header.receiver_gain, header.flip_angle_deg) == ("1H", 64.5, 22.0)
    assert (header.field_t, header.repetition_time_s) == (pytest.approx(7.0), pytest.approx(0.65))


def test_without_acqp_and_method_the_gain_is_unknown(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "acqp").unlink()
    (folder / "method").unlink()
    assert read(folder).header.receiver_gain is None


@pytest.mark.parametrize("version", [5, 6])
def test_times(tmp_path: Path, version: int) -> None:
    times = read(written(tmp_path, version=version)).times
    # ParaVision 5 writes wall clock to the second.
    assert times.origin == (START if version == 6 else datetime(2026, 3, 2, 11, 0))
    assert (times.start_s, times.duration_s) == ((0.0,), (240.0,))


@pytest.mark.parametrize("date", [None, "( 21 )\n<>", "( 21 )\n<yesterday>", "( 21 )\n<2026-03-02>", "( 21 )\n<11:00:00 31 Feb 2026>"])
def test_the_sheet_says_when_where_the_files_do_not(tmp_path: Path, date: str | None) -> None:
    folder = written(tmp_path, edit=setting(VisuAcqDate=date))
    assert refusal(folder).code == "acquisition_time_missing"
    assert read(folder, acquired=datetime(2026, 3, 2, 9)).times.origin == datetime(2026, 3, 2, 9)


def test_unknown_length(tmp_path: Path) -> None:
    scan = read(written(tmp_path, edit=setting(VisuAcqScanTime=None)))
    assert (scan.times.duration_s, statuses(scan)["scan_length"]) == ((0.0,), "warn")


def test_no_person_leaves_the_reader(tmp_path: Path) -> None:
    secret = "Jane^Doe"
    folder = written(tmp_path, edit=setting(VisuSubjectName=f"( 65 )\n<{secret}>", VisuStudyReferringPhysician=f"( 65 )\n<{secret}>"))
    scan = read(folder)
    assert secret not in repr((scan.header, scan.findings, scan.times, scan.grid, scan.unit))
    assert secret not in str(refusal(written(tmp_path / "b", edit=setting(VisuSubjectName=f"( 65 )\n<{secret}>", VisuCorePosition=None))))


# --- folders


def test_what_is_paravision(tmp_path: Path) -> None:
    experiment = written(tmp_path / "study")
    for path in (tmp_path / "study", experiment, experiment / "pdata", experiment / "pdata" / "1", experiment / "pdata" / "1" / "2dseq"):
        assert is_paravision(path), path
        assert read(path).values.shape == (4, 3, 4, 5)
    (tmp_path / "other" / "1").mkdir(parents=True)
    for path in (tmp_path / "other", tmp_path, experiment / "acqp", tmp_path / "absent"):
        assert not is_paravision(path), path


def test_series_chooses_the_experiment(tmp_path: Path) -> None:
    written(tmp_path, image(4), experiment=5)
    written(tmp_path, image(4) + 1, experiment=12)
    found = refusal(tmp_path)
    assert (found.code, found.found) == ("series_ambiguous", "5/1, 12/1")
    np.testing.assert_array_equal(read(tmp_path, "12").values, image(4) + 1)
    np.testing.assert_array_equal(read(tmp_path, "5/1").values, image(4))
    assert refusal(tmp_path, "1").code == "no_series"


def test_series_chooses_the_reconstruction(tmp_path: Path) -> None:
    experiment = written(tmp_path / "a", image(4))
    second = written(tmp_path / "b", image(4) + 1) / "pdata" / "1"
    second.rename(experiment / "pdata" / "2")
    assert refusal(tmp_path / "a", "5").code == "series_ambiguous"
    np.testing.assert_array_equal(read(tmp_path / "a", "5/2").values, image(4) + 1)
    np.testing.assert_array_equal(read(experiment, "2").values, image(4) + 1)


def test_folders_without_visu_pars(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "pdata" / "1" / "visu_pars").unlink()
    found = refusal(folder)
    assert (found.code, "visu_pars" in found.found) == ("visu_pars_missing", True)


@pytest.mark.parametrize("name", ["pdata/1/visu_pars", "method", "acqp"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00rubbish", b"##TITLE=x\n##JCAMPDX=9.9\n##END=\n"])
def test_damaged_parameter_files(tmp_path: Path, name: str, content: bytes) -> None:
    folder = written(tmp_path)
    (folder / name).write_bytes(content)
    assert refusal(folder).code == "parameters_unreadable"


def test_any_lost_line_is_an_input_error_or_harmless(tmp_path: Path) -> None:
    folder = written(tmp_path)
    whole = read(folder)
    visu = folder / "pdata" / "1" / "visu_pars"
    text = visu.read_text()
    for cut in range(0, len(text), 97):
        visu.write_text(text[:cut] + "\n##END=\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                scan = read(folder)
            except InputError:
                continue
        np.testing.assert_array_equal(scan.values, whole.values)
        assert scan.grid.affine == pytest.approx(whole.grid.affine)


@pytest.mark.shared
def test_a_real_localiser_opens_and_is_refused_as_a_volume(shared_data: Path) -> None:
    folder = shared_data / "bruker_pv51" / "example_dataset" / "100"
    found = frames(folder / "pdata" / "1" / "2dseq")
    assert found.values.shape == (3, 128, 128)
    # 32766 x 5.42365815326769, in float32.
    assert float(found.values.max()) == pytest.approx(177711.58, abs=0.02)
    assert [(g.name, g.size) for g in found.groups] == [("FG_SLICE", 3)]
    assert is_paravision(folder)
    assert refusal(folder).what == "slices have 3 orientations: a localiser, not a volume"
    assert math.isclose(float(found.values[1].max()), 25645 * 5.42365815326769, rel_tol=1e-6)
