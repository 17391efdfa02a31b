"""What bad MR input gets, row by row of the list of bad inputs: an error that says found, expected and what to do, or a finding.

Rows that other files hold: 26, 28-33 of files (tests/dicom, test_mri_classic), 83, 84 (labels sheet), baselines (test_background).
Each scan is a box of 1000 with 40 /s in air, with a liver of 90 /s in it, written as files and read back.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.mri.mri_cases import START, Series, context_of, phase_series, write_classic, write_volume
from tracker.errors import Finding, InputError
from tracker.image import Grid, Quantity
from tracker.mri.calibrate import calibrate
from tracker.mri.phantom.paravision import ParavisionOptions, write_paravision
from tracker.mri.read import read

TE_MS = (2.5, 5.0, 7.5, 10.0, 12.5, 15.0)
SHAPE = (8, 40, 40)
BODY, LIVER = np.s_[1:7, 10:30, 8:32], np.s_[2:6, 12:20, 10:20]
RATE, SIGMA = 90.0, 8.0
# A voxel's standard error is 1.7 /s; the median of 320 is good to 0.12 /s, 0.13 %. Four of them.
CLOSE = 0.005
Edit = Callable[[Dataset, int, int, int], None]


def signal(rate: float = RATE) -> np.ndarray:
    """Complex signal (echo, z, y, x) with a phase that winds and noise of `SIGMA`."""
    rng, s0, rates, (_, _, x) = np.random.default_rng(0), np.zeros(SHAPE), np.zeros(SHAPE), np.indices(SHAPE)
    s0[BODY], rates[BODY], rates[LIVER] = 1000.0, 40.0, rate
    echoes = [s0 * np.exp(-rates * t / 1000 + 1j * (0.4 * x + 6.3 * (x - 20) * t / 1000)) for t in TE_MS]
    return np.array([e + rng.normal(0, SIGMA, SHAPE) + 1j * rng.normal(0, SIGMA, SHAPE) for e in echoes])


COMPLEX = signal()
MAGNITUDE = np.abs(COMPLEX)
STORED = np.rint(20 * MAGNITUDE).astype(int)[None]
PHASE = np.clip(np.rint((np.angle(COMPLEX) / np.pi + 1) * 2048), 0, 4095).astype(int)[None]


def classic(folder: Path, stored: np.ndarray = STORED, edit: Edit | None = None, **more: Any) -> Path:
    return write_classic(folder, Series(stored, more.pop("times_ms", TE_MS), edit=edit, **more))


def without(folder: Path, gone: Callable[[Dataset], bool]) -> Path:
    for file in folder.iterdir():
        if gone(pydicom.dcmread(file)):
            file.unlink()
    return folder


def volumes(
    folder: Path, magnitude: np.ndarray = MAGNITUDE, times_ms: tuple[float, ...] = TE_MS, dtype: Any = np.float32, **more: Any
) -> Path:
    """BIDS files, one an echo."""
    record = {"MagneticFieldStrength": 9.4, "ImagedNucleus": "1H", "ScanningSequence": "GR", "AcquisitionDateTime": START.isoformat()}
    for e, (image, t) in enumerate(zip(magnitude, times_ms, strict=True), start=1):
        write_volume(folder / f"s_echo-{e}_MEGRE.nii", image, {**record, "EchoTime": t / 1000}, dtype)
    return folder


def bruker(folder: Path, **more: Any) -> Path:
    grid = Grid(SHAPE, np.array([[-0.4, 0, 0, 8], [0, -0.5, 0, 10], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    return write_paravision(folder, MAGNITUDE, TE_MS, grid, ParavisionOptions(START, **more))


def found(path: Path, constants: dict[str, Any] | None = None, **row: Any) -> Quantity:
    context = replace(context_of(path, **row), constants={"relaxivity_per_s_per_mmolar": 300.0, **(constants or {})})
    return calibrate(read(path, row.get("series", ""), context), context)


def refused(path: Path, code: str, constants: dict[str, Any] | None = None, **row: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        found(path, constants, **row)
    error = raised.value
    assert error.code == code, str(error)
    assert error.found and error.expected and len(str(error)) < 700, "an error says what was found and expected, in few words"
    return error


def right(quantity: Quantity, within: float = CLOSE) -> None:
    assert np.nanmedian(quantity.values[0][LIVER]) == pytest.approx(RATE, rel=within)


def warned(quantity: Quantity) -> set[str]:
    return {f.check for f in quantity.findings if f.status == "warn"}


def finding(quantity: Quantity, check: str) -> Finding:
    (one,) = [f for f in quantity.findings if f.check == check]
    return one


@pytest.mark.parametrize("write", [classic, volumes, bruker])
def test_no_fault_no_warning(tmp_path, write):
    quantity = found(write(tmp_path / "s"))
    right(quantity)
    assert not warned(quantity) and not quantity.censored.any(where=np.isfinite(quantity.values))


# Geometry and files


def test_row_26_a_localiser_in_the_folder_is_left_out(tmp_path):
    path = classic(tmp_path)
    write_classic(path, Series(STORED[:, :1], (4.0,), uid="1.2.3.8", number=1, tags={"RepetitionTime": 3.0}))
    right(found(path))


def test_row_26_two_multi_echo_scans_are_asked_about(tmp_path):
    path = classic(tmp_path)
    write_classic(path, Series(STORED // 2, TE_MS, uid="1.2.3.8", number=9, tags={"AcquisitionTime": "113000"}))
    assert "`series`" in refused(path, "series_ambiguous").do
    right(found(path, series="9"))


def test_row_27_a_localiser_with_the_series_uid_is_split_off_and_told(tmp_path):
    def turned(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.ImageOrientationPatient, ds.ImagePositionPatient, ds.SOPInstanceUID = [1, 0, 0, 0, 0, -1], [-10.0, float(z), 20.0], f"1.2.9.{z}"

    path = classic(tmp_path / "s")
    for file in write_classic(tmp_path / "l", Series(STORED[:, :1, :3], (4.0,), edit=turned)).iterdir():
        shutil.move(file, path / f"localiser_{file.name}")
    quantity = found(path)
    right(quantity)
    assert finding(quantity, "series_split").status == "warn"


@pytest.mark.parametrize("place", [[-9.0, 20.0, 0.0], [-10.0, 19.0, 0.0], [-10.0, 20.0, 0.5]])
def test_row_29_an_echo_at_another_place_is_refused(tmp_path, place):
    # Its voxels are not the others': by a millimetre in the plane, or by half a slice.
    def moved(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        if echo == 3:
            ds.ImagePositionPatient = [place[0], place[1], place[2] + float(z)]

    refused(classic(tmp_path, edit=moved), "echo_grid_differs")


def test_row_29_an_echo_in_another_orientation_is_missed(tmp_path):
    def turned(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        if echo == 3:
            ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    assert "4" in refused(classic(tmp_path, edit=turned), "echo_missing").what


@pytest.mark.parametrize("echo", [1, 3])
def test_row_30_a_missing_echo(tmp_path, echo):
    error = refused(without(classic(tmp_path), lambda ds: ds.EchoNumbers == echo), "echo_missing")
    assert f"echo {echo} " in error.what


def test_row_30_a_missing_last_echo_is_told_by_the_echo_train(tmp_path):
    quantity = found(without(classic(tmp_path), lambda ds: ds.EchoNumbers == 6))
    right(quantity)
    assert warned(quantity) == {"echo_train"}


@pytest.mark.parametrize("z", [3.0, 7.0])
def test_row_30_a_missing_slice_of_the_last_echo(tmp_path, z):
    path = without(classic(tmp_path), lambda ds: ds.EchoNumbers == 6 and ds.ImagePositionPatient[2] == z)
    assert "echo 6" in refused(path, "echo_incomplete").what


def test_row_30_a_huge_echo_number_is_refused_at_once(tmp_path):
    def huge(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.EchoNumbers = 2**31 - 1 if echo == 5 else echo + 1

    refused(classic(tmp_path, edit=huge), "echo_missing")


def test_row_43_to_45_shuffled_files_and_numbers_change_nothing(tmp_path):
    def shuffled(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.InstanceNumber = int(np.random.default_rng(100 * echo + z).integers(1000))

    np.testing.assert_array_equal(found(classic(tmp_path / "a", edit=shuffled)).values, found(classic(tmp_path / "b")).values)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_49_a_voxel_that_is_not_finite_has_no_number(tmp_path, value):
    broken = MAGNITUDE.copy()
    broken[2, 3, 15, 15] = value
    quantity = found(volumes(tmp_path, broken))
    right(quantity)
    assert np.isnan(quantity.values[0, 3, 15, 15]) and not quantity.censored[0, 3, 15, 15]
    assert "1 voxels not_finite" in finding(quantity, "fit_status").reason


@pytest.mark.parametrize("slope", ["nan", "inf", "0"])
def test_row_50_a_bruker_slope_that_is_none(tmp_path, slope):
    def edit(visu: dict[str, str]) -> None:
        visu["VisuCoreDataSlope"] = re.sub(r"\n\S+", f"\n{slope}", visu["VisuCoreDataSlope"], count=1)

    refused(bruker(tmp_path, edit=edit), "slope_missing")


@pytest.mark.parametrize(
    ("key", "text", "code"),
    [
        ("VisuCoreDataSlope", None, "slope_missing"),
        ("VisuCoreSize", None, "parameters_missing"),
        ("VisuCoreWordType", "_32BIT_SGN_INT", "truncated_pixels"),
        ("VisuCoreWordType", "_8BIT_UNSGN_INT", "frames_disagree"),
        ("VisuCoreByteOrder", "bigEndian", "not_magnitude"),
        ("VisuCoreFrameCount", "1000000000", "frames_disagree"),
        ("VisuFGOrderDesc", None, "frame_group_unknown"),
    ],
)
def test_row_50_bruker_parameters_that_lack_or_lie(tmp_path, key, text, code):
    def edit(visu: dict[str, str]) -> None:
        visu.pop(key)
        if text is not None:
            visu[key] = text

    refused(bruker(tmp_path, edit=edit), code)


def test_row_51_bruker_without_a_type_of_subject_is_told(tmp_path):
    quantity = found(bruker(tmp_path, edit=lambda visu: visu.pop("VisuSubjectType")))
    right(quantity)
    assert warned(quantity) == {"orientation"}


# Magnitudes that are none


def test_row_80_a_rate_above_what_the_echoes_tell_is_a_bound_and_no_number(tmp_path):
    quantity = found(volumes(tmp_path, np.abs(signal(1500.0))))
    assert quantity.censored[0][LIVER].all() and np.isnan(quantity.values[0][LIVER]).all()


@pytest.mark.parametrize("signed", [True, False])
def test_magnitude_and_phase_swapped(tmp_path, signed):
    path = classic(tmp_path, PHASE, **({"slope": 2.0, "intercept": -4096.0} if signed else {}))
    write_classic(path, phase_series(STORED, times_ms=TE_MS))
    refused(path, "magnitude_negative" if signed else "phase_as_magnitude")


@pytest.mark.parametrize("factor", [0.5, 0.85, 1.2, 1.5])
def test_row_33_an_echo_with_a_scale_of_its_own_that_nobody_tells(tmp_path, factor):
    # Noise has one level, and signal in air only falls: an echo that is lower than those after it was scaled.
    stored = STORED.copy()
    stored[0, 3] = np.rint(factor * stored[0, 3])
    refused(classic(tmp_path, stored), "echo_scaling")


def test_row_33_an_echo_with_a_scale_of_its_own_in_its_header(tmp_path):
    stored = STORED.copy()
    stored[0, 3] = np.rint(0.5 * stored[0, 3])
    right(found(classic(tmp_path, stored, lambda ds, r, echo, z: setattr(ds, "RescaleSlope", 2.0 if echo == 3 else 1.0))))


def test_row_33_philips_scale_slopes(tmp_path):
    def edit(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.Manufacturer, ds.RescaleSlope = "Philips Medical Systems", 1.0 + 0.2 * echo  # for the screen
        ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.5)

    right(found(classic(tmp_path, edit=edit)))


@pytest.mark.parametrize("top", [900.0, 600.0])
def test_magnitudes_cut_off_at_the_top_are_told(tmp_path, top):
    assert "magnitude_clipped" in warned(found(volumes(tmp_path, np.minimum(MAGNITUDE, top))))


def test_integers_that_overflow_are_refused(tmp_path):
    refused(volumes(tmp_path / "i", np.rint(38 * MAGNITUDE).astype(np.int64).astype(np.int16), dtype=np.int16), "magnitude_negative")
    refused(volumes(tmp_path / "u", np.rint(100 * MAGNITUDE) % 65536, dtype=np.uint16), "not_decaying")


@pytest.mark.parametrize("level", [0.02, 0.1])
def test_row_48_coarse_integers_are_still_read(tmp_path, level):
    # At 0.02 noise is a sixth of a count: it no longer tells itself from the air, and is said to come from elsewhere.
    quantity = found(volumes(tmp_path, np.rint(level * MAGNITUDE), dtype=np.int16))
    right(quantity, 0.01)
    assert ("noise_from_residuals" in warned(quantity)) == (level == 0.02)


@pytest.mark.parametrize("echo", [None, 2, 5])
def test_zeros_are_no_scan(tmp_path, echo):
    empty = MAGNITUDE.copy()
    empty[slice(None) if echo is None else echo] = 0
    refused(volumes(tmp_path, empty), "empty_image")


def test_an_echo_copied_over_another(tmp_path):
    refused(volumes(tmp_path, MAGNITUDE[[0, 1, 1, 3, 4, 5]]), "identical_images")


@pytest.mark.parametrize("order", [[5, 4, 3, 2, 1, 0], [0, 2, 1, 3, 4, 5]])
def test_echoes_in_the_wrong_order(tmp_path, order):
    if order[0]:
        refused(volumes(tmp_path, MAGNITUDE[order]), "not_decaying")
    else:
        assert "decay_not_monotone" in warned(found(volumes(tmp_path, MAGNITUDE[order])))


@pytest.mark.parametrize("outside", [0.0, np.nan])
def test_a_masked_background_gives_the_rate_and_says_where_noise_is_from(tmp_path, outside):
    masked = np.full(MAGNITUDE.shape, outside)
    masked[(slice(None), *BODY)] = MAGNITUDE[(slice(None), *BODY)]
    quantity = found(volumes(tmp_path, masked))
    right(quantity)
    assert warned(quantity) == {"noise_background_not_rayleigh", "noise_from_residuals"}
    assert not warned(found(tmp_path, {"noise_sd": SIGMA}))


# What the scan is


@pytest.mark.parametrize("factor", [1e-3, 1e3])
@pytest.mark.parametrize("write", [classic, volumes])
def test_row_82_echo_times_in_another_unit(tmp_path, write, factor):
    error = refused(write(tmp_path, times_ms=tuple(factor * t for t in TE_MS)), "echo_time_implausible")
    assert "s and ms" in error.what


def test_row_82_echo_times_missing_and_given_by_the_sheet(tmp_path):
    path = classic(tmp_path, tags={"EchoTime": None})
    assert "`echo_times_ms`" in refused(path, "echo_time_missing").do
    right(found(path, echo_times_ms=TE_MS))
    refused(path, "echo_time_implausible", echo_times_ms=tuple(t / 1000 for t in TE_MS))


def test_row_82_the_sheet_does_not_overrule_the_files(tmp_path):
    refused(classic(tmp_path), "echo_times_disagree", echo_times_ms=(3.0, 6.0, 9.0, 12.0, 15.0, 18.0))


def test_spin_echoes_and_too_few_echoes(tmp_path):
    refused(classic(tmp_path / "se", tags={"ScanningSequence": "SE"}), "not_gradient_echo")
    refused(bruker(tmp_path / "pv", echo_type="SpinEcho"), "not_gradient_echo")
    for n in (1, 2):
        refused(classic(tmp_path / f"{n}", STORED[:, :n], times_ms=TE_MS[:n]), "echoes_too_few")


def test_row_81_a_field_that_is_not_the_configs(tmp_path):
    assert "9.4" in refused(classic(tmp_path), "field_differs", {"field_t": 7.0}).found


@pytest.mark.parametrize("constants", [{"estimator": "complex"}, {"b0_correction": "polynomial"}])
def test_what_needs_phase_and_has_none(tmp_path, constants):
    refused(classic(tmp_path), "phase_missing", constants)


@pytest.mark.parametrize("kind", ["radionuclide", "reporter", "dye"])
def test_a_label_that_is_not_iron(tmp_path, kind):
    context = context_of(classic(tmp_path))
    context = replace(context, label=replace(context.label, kind=kind))
    with pytest.raises(InputError, match="label_not_iron"):
        calibrate(read(tmp_path, "", context), context)
