"""NIfTI with and without sidecars: names of BIDS and dcm2niix, echo times never assumed, phase in radians."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.mri.mri_cases import START, TIMES_MS, context_of, full_turn, numbers, statuses, write_volume
from tracker.errors import InputError
from tracker.image import Scan
from tracker.mri.read import read

RECORD = {"AcquisitionDateTime": "2026-03-02T11:00:00", "MagneticFieldStrength": 7, "RepetitionTime": 0.05, "FlipAngle": 20,
          "ImagedNucleus": "1H", "MRAcquisitionType": "3D", "ScanningSequence": "GR"}  # fmt: skip
BIDS, CONVERTER = "sub-1_echo-{}_part-{}_MEGRE.nii.gz", "scan_e{}{}.nii"


def scan_of(path: Path, series: str = "", **row: Any) -> Scan:
    return read(path, series, context_of(path, **row))


def refused(path: Path, code: str, series: str = "", **row: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        scan_of(path, series, **row)
    assert raised.value.code == code, raised.value
    return raised.value


def write_echoes(folder: Path, stored: np.ndarray, name: str = BIDS, part: str = "mag", **more: Any) -> Path:
    """One file per echo (echo, …, z, y, x) with EchoTime in its sidecar; the record's keys may be overridden."""
    for echo, values in enumerate(stored):
        record = {**RECORD, "EchoTime": TIMES_MS[echo] / 1000, **more}
        write_volume(folder / name.format(echo + 1, part), values, {k: v for k, v in record.items() if v is not None})
    return folder


def test_one_file_of_all_echoes(tmp_path):
    stored = numbers()[0]
    path = write_volume(tmp_path / "gre.nii", stored, {**RECORD, "EchoTime": [t / 1000 for t in TIMES_MS]}, np.int16)
    scan = scan_of(path)
    assert (np.asarray(scan.values) == stored).all() and scan.values.dtype == np.float32 and scan.unit == "arbitrary"
    header = scan.header
    assert header.echo_times_s == (0.003, 0.006, 0.009, 0.012) and header.n_repeats == 1 and header.phase_rad is None
    assert (header.field_t, header.nucleus, header.repetition_time_s, header.flip_angle_deg) == (7.0, "1H", 0.05, 20.0)
    assert (header.planar, header.source, scan.times.origin, scan.times.start_s) == (False, "nifti", START, (0.0,))
    assert scan.grid.affine == pytest.approx(np.diag([0.5, 0.4, 1.0, 1.0]))


@pytest.mark.parametrize(("name", "parts"), [(BIDS, ("mag", "phase")), (CONVERTER, ("", "_ph"))])
def test_one_file_per_echo_and_phase_beside(tmp_path, name, parts):
    stored, turn = numbers()[0], full_turn(low=-4096, high=4094)[0]
    write_echoes(tmp_path, stored, name, parts[0])
    write_echoes(tmp_path, turn, name, parts[1])
    # A folder, or the first file of it: the same scan.
    for path in (tmp_path, tmp_path / name.format(1, parts[0])):
        scan = scan_of(path)
        assert (np.asarray(scan.values) == stored).all() and scan.header.echo_times_s == pytest.approx([0.003, 0.006, 0.009, 0.012])
        np.testing.assert_allclose(np.asarray(scan.header.phase_rad), turn * np.pi / 4096, atol=1e-6)  # float32 of up to pi
        assert statuses(scan.findings)["phase"] == "ok"


def test_ten_echoes_are_in_order_of_number_not_of_name(tmp_path):
    stored = np.arange(12 * 6).reshape(12, 1, 2, 3)
    for echo in range(12):
        write_volume(tmp_path / f"scan_e{echo + 1}.nii", stored[echo], {**RECORD, "EchoTime": 0.002 * (echo + 1)})
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored).all() and scan.header.echo_times_s[9] == 0.02


def test_repeats_in_each_echos_file(tmp_path):
    stored = numbers(repeats=2)
    scan = scan_of(write_echoes(tmp_path, stored.transpose(1, 0, 2, 3, 4)))
    assert scan.header.n_repeats == 2 and (np.asarray(scan.values) == stored.reshape(8, 3, 2, 3)).all()


@pytest.mark.parametrize(("low", "high", "factor", "check"), [
    (-np.pi, np.pi, 1.0, "phase"),
    (-3141.0, 3141.0, 1e-3, "phase"),
    (-180.0, 180.0, np.pi / 180, "phase"),
    (-2.0, 1.5, 1.0, "phase"),
    (-0.25, 0.25, 4 * np.pi, "phase_scaled"),
    (-70000.0, 70000.0, np.pi / 70000, "phase_scaled"),
])  # fmt: skip
def test_phase_scales(tmp_path, low, high, factor, check):
    turn = np.linspace(low, high, 72).reshape(4, 3, 2, 3)
    row = {"echo_times_ms": TIMES_MS, "acquired": START}
    write_volume(tmp_path / "Mag.nii", numbers()[0])
    write_volume(tmp_path / "Phase.nii", turn)
    scan = scan_of(tmp_path / "Mag.nii", **row)
    assert check in statuses(scan.findings)
    # 3141 is written for 1000 pi: 2e-4 of it.
    np.testing.assert_allclose(np.asarray(scan.header.phase_rad), turn * factor, atol=1e-3)


def test_an_unclear_phase_is_left_out_unless_its_unit_is_told(tmp_path):
    turn, times = np.linspace(0, 30, 72).reshape(4, 3, 2, 3), {"EchoTime": [t / 1000 for t in TIMES_MS]}
    write_volume(tmp_path / "a_part-mag.nii", numbers()[0], {**RECORD, **times})
    write_volume(tmp_path / "a_part-phase.nii", turn, {**RECORD, **times})
    scan = scan_of(tmp_path)
    assert scan.header.phase_rad is None and statuses(scan.findings)["phase_scale_unclear"] == "warn"
    write_volume(tmp_path / "a_part-phase.nii", turn, {**RECORD, **times, "Units": "rad"})
    np.testing.assert_allclose(np.asarray(scan_of(tmp_path).header.phase_rad), turn, rtol=1e-6)


def test_phase_of_another_shape_is_left_out(tmp_path):
    write_echoes(tmp_path, numbers()[0])
    write_echoes(tmp_path, full_turn(echoes=3)[0], part="phase")
    scan = scan_of(tmp_path)
    assert scan.header.phase_rad is None and statuses(scan.findings)["phase_left_out"] == "warn"


def test_real_and_imaginary(tmp_path):
    real, imaginary = numbers(low=-30)[0], numbers(low=-41)[0]
    write_echoes(tmp_path, real, part="real")
    write_echoes(tmp_path, imaginary, part="imag")
    scan, truth = scan_of(tmp_path), real + 1j * imaginary
    np.testing.assert_allclose(np.asarray(scan.values), np.abs(truth), rtol=1e-6)  # float32
    np.testing.assert_allclose(np.asarray(scan.header.phase_rad), np.angle(truth), atol=1e-6)


def test_swapped_files_are_refused(tmp_path):
    write_echoes(tmp_path, full_turn(low=-4096, high=4094)[0])
    write_echoes(tmp_path, numbers()[0], part="phase")
    refused(tmp_path, "magnitude_negative")


def test_a_few_negative_values_are_kept(tmp_path):
    stored = numbers(low=-5)[0]
    assert float(np.asarray(scan_of(write_echoes(tmp_path, stored)).values).min()) == -5.0


def test_a_scaled_and_packed_file(tmp_path):
    stored = numbers()[0].astype(np.int16)
    image = nib.Nifti1Image(stored.T, np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, tmp_path / "gre.nii.gz")
    scan = scan_of(tmp_path / "gre.nii.gz", echo_times_ms=TIMES_MS, acquired=START)
    written = np.asarray(nib.load(tmp_path / "gre.nii.gz").dataobj).T
    assert (np.asarray(scan.values) == written).all()


def test_echo_times_are_never_assumed(tmp_path):
    path = write_volume(tmp_path / "gre.nii", numbers()[0])
    assert "echo_times_ms" in refused(path, "echo_time_missing", acquired=START).do
    refused(path, "echo_count", acquired=START, echo_times_ms=(3.0, 6.0, 9.0))
    scan = scan_of(path, acquired=START, echo_times_ms=TIMES_MS)
    assert scan.header.echo_times_s == pytest.approx([0.003, 0.006, 0.009, 0.012])
    write_volume(path, numbers()[0], {**RECORD, "EchoTime": 0.003})
    refused(path, "echo_count")


@pytest.mark.parametrize(("change", "code"), [
    ({"EchoTime": 3.0}, "echo_time_implausible"),
    ({"EchoTime": 0.003}, "echo_order"),
    ({"EchoTime": "three"}, "bad_number"),
    ({"ScanningSequence": "SE"}, "not_gradient_echo"),
    ({"ScanningSequence": ["SE", "IR"]}, "not_gradient_echo"),
    ({"AcquisitionDateTime": None}, "acquisition_time_missing"),
    ({"AcquisitionDateTime": "2026-03-02 noon"}, "bad_time"),
])  # fmt: skip
def test_what_leaves_more_than_one_answer_is_refused(tmp_path, change, code):
    refused(write_echoes(tmp_path, numbers()[0], **change), code)


def test_missing_and_surplus_files(tmp_path):
    write_echoes(tmp_path, numbers()[0])
    row = {"echo_times_ms": (3.0, 6.0, 9.0, 13.0)}
    refused(tmp_path, "echo_times_disagree", **row)
    second = tmp_path / BIDS.format(2, "mag")
    kept = second.read_bytes()
    second.unlink()
    assert "echo 2" in refused(tmp_path, "echo_missing").what
    second.write_bytes(kept)
    (tmp_path / "sub-1_echo-2_part-mag_MEGRE.json").unlink()
    refused(tmp_path, "echo_time_missing")
    write_volume(tmp_path / "sub-1_echo-2_part-mag_MEGRE.nii", numbers()[0][1])
    refused(tmp_path, "echo_count")


def test_echoes_on_different_grids(tmp_path):
    write_echoes(tmp_path, numbers()[0])
    write_volume(tmp_path / BIDS.format(3, "mag"), np.zeros((4, 2, 3)))
    refused(tmp_path, "echo_grid_differs")


def test_too_few_echoes_and_fluorine(tmp_path):
    refused(write_echoes(tmp_path / "h", numbers()[0][:2]), "echoes_too_few")
    single = write_volume(tmp_path / "f" / "tube.nii", numbers()[0][0], {**RECORD, "EchoTime": 0.01, "ImagedNucleus": "19F"})
    scan = scan_of(single)
    assert scan.header.nucleus == "19F" and scan.values.shape == (1, 3, 2, 3)
    write_volume(tmp_path / "f" / "anatomy.nii", numbers()[0][0], {**RECORD, "EchoTime": 0.01})
    assert scan_of(tmp_path / "f").header.nucleus == "19F"


def test_other_files_in_the_folder(tmp_path):
    stored = numbers()[0]
    write_echoes(tmp_path, stored)
    write_volume(tmp_path / "organs.nii.gz", np.ones((3, 2, 3)))
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored).all() and statuses(scan.findings)["other_series"] == "ok"
    write_echoes(tmp_path, stored + 100, "late_echo-{}_part-{}.nii")
    assert "late_echo-1" in refused(tmp_path, "series_ambiguous").found
    for named in ("late", "late_echo-1_part-mag", "late_echo-2_part-mag.nii"):
        assert (np.asarray(scan_of(tmp_path, named).values) == stored + 100).all()


def test_time_of_the_scan(tmp_path):
    stored = numbers()[0]
    late = datetime(2026, 3, 2, 15, 0)
    whole = write_echoes(tmp_path / "whole", stored, AcquisitionDuration=240)
    assert scan_of(whole).times.duration_s == (240.0,)
    assert scan_of(whole, acquired=START).times.origin == START
    refused(whole, "acquired_disagrees", acquired=late)
    dated = write_echoes(tmp_path / "dated", stored, AcquisitionDateTime=None, AcquisitionDate="2026-03-02", AcquisitionTime="11:00:00.500")
    assert scan_of(dated).times.origin == START.replace(microsecond=500000)
    clock = write_echoes(tmp_path / "clock", stored, AcquisitionDateTime=None, AcquisitionTime="11:00:30")
    refused(clock, "acquisition_time_missing")
    assert statuses(scan_of(clock, acquired=START).findings)["acquired"] == "warn"
    refused(clock, "acquired_disagrees", acquired=late)


def test_field_from_the_frequency(tmp_path):
    scan = scan_of(write_echoes(tmp_path, numbers()[0], MagneticFieldStrength=None, ImagingFrequency=400.2))
    assert scan.header.field_t == pytest.approx(9.4, abs=0.001)


@pytest.mark.shared
def test_real_gradient_echoes(shared_data):
    path = shared_data / "mri_megre" / "Mag.nii"
    scan = scan_of(path, echo_times_ms=(4.0, 8.0, 12.0), acquired=START)
    assert scan.header.echo_times_s == pytest.approx([0.004, 0.008, 0.012]) and scan.values.shape == (3, 41, 51, 51)
    assert (np.asarray(scan.values) == np.asarray(nib.load(path).dataobj).T.astype(np.float32)).all()
    turn = np.asarray(nib.load(path.with_name("Phase.nii")).dataobj).T
    found = np.asarray(scan.header.phase_rad)
    assert statuses(scan.findings)["phase_scaled"] == "warn" and np.abs(found).max() == pytest.approx(np.pi, rel=1e-6)
    # One factor for all: the ratio of turns is that of the file's numbers.
    np.testing.assert_allclose(found, turn * (np.pi / np.abs(turn).max()), atol=1e-5)
    with pytest.raises(InputError, match="echo_time_missing"):
        scan_of(path, acquired=START)
