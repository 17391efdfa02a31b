"""Classic MR DICOM: sorted by header alone, scaled as the makers write it, and refused where echoes leave more than one answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.mri.mri_cases import START, TIMES_MS, Series, context_of, full_turn, numbers, phase_series, statuses, write_classic
from tracker.errors import InputError
from tracker.image import Scan
from tracker.mri.read import read


def scan_of(folder: Path, series: str = "", **row: Any) -> Scan:
    return read(folder, series, context_of(folder, **row))


def refused(folder: Path, code: str, series: str = "", **row: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        scan_of(folder, series, **row)
    assert raised.value.code == code, raised.value
    assert raised.value.what and (raised.value.do or raised.value.expected)
    return raised.value


def test_echoes_come_in_order_of_time_and_nothing_is_lost(tmp_path):
    stored = numbers()
    scan = scan_of(write_classic(tmp_path, Series(stored, slope=0.5, intercept=3.0)))
    assert scan.values.shape == (4, 3, 2, 3) and scan.values.dtype == np.float32 and scan.unit == "arbitrary"
    assert (np.asarray(scan.values) == stored[0] * 0.5 + 3.0).all()
    header = scan.header
    assert header.echo_times_s == pytest.approx([0.003, 0.006, 0.009, 0.012], rel=1e-12)
    assert (header.n_repeats, header.nucleus, header.field_t, header.source, header.planar) == (1, "1H", 9.4, "classic", False)
    assert (header.repetition_time_s, header.flip_angle_deg, header.receiver_gain, header.phase_rad) == (0.05, 20.0, None, None)
    assert (scan.times.origin, scan.times.start_s) == (START, (0.0,))
    # Voxel (x, y, z) = 0 lies at LPS (-10, 20, 0): RAS (10, -20, 0); columns are 0.4 mm apart, rows 0.5, slices 1.
    assert scan.grid.affine == pytest.approx(np.array([[-0.4, 0, 0, 10], [0, -0.5, 0, -20], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    assert scan.grid.frame_of_reference_uid == "1.2.3.9"


def test_values_are_read_only_when_asked_for(tmp_path):
    scan = scan_of(write_classic(tmp_path, Series(numbers())))
    assert hasattr(scan.values, "compute") and scan.values.chunks[0] == (1, 1, 1, 1)


def test_each_slice_has_its_own_slope(tmp_path):
    def edit(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.RescaleSlope = 1 + echo + 0.25 * z

    stored = numbers()
    scan = scan_of(write_classic(tmp_path, Series(stored, edit=edit)))
    slopes = 1 + np.arange(4)[:, None] + 0.25 * np.arange(3)
    assert (np.asarray(scan.values) == stored[0] * slopes[:, :, None, None]).all()


@pytest.mark.parametrize("one_series", [True, False])
def test_magnitude_and_phase_mixed_in_one_folder(tmp_path, one_series):
    stored, turn = numbers(), full_turn()
    write_classic(tmp_path, Series(stored))
    phase = phase_series(turn)
    if one_series:

        def edit(ds: Dataset, *at: int) -> None:
            ds.SOPInstanceUID += ".7"

        phase = replace(phase, uid="1.2.3.1", edit=edit)
    write_classic(tmp_path, phase)
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all()
    # -4096 is -pi: stored 0 to 4095 with slope 2.
    expected = (turn[0] * 2.0 - 4096.0) * np.pi / 4096.0
    np.testing.assert_allclose(np.asarray(scan.header.phase_rad), expected, atol=1e-6)  # float32 of up to pi
    assert statuses(scan.findings)["phase"] == "ok"


PHASES = {
    "siemens_not_all_of_a_turn": ({"slope": 2, "intercept": -4096}, full_turn(low=1500, high=2600), lambda v: (v / 2048 - 1) * np.pi),
    "philips_radians": ({"slope": 2 * np.pi / 4095, "intercept": -np.pi}, full_turn(), lambda v: v * 2 * np.pi / 4095 - np.pi),
    "philips_milliradians": ({"slope": 1.5344, "intercept": -3141.59}, full_turn(), lambda v: (v * 1.5344 - 3141.59) / 1000),
    "ge_milliradians": ({}, full_turn(low=-3141, high=3141), lambda v: v / 1000),
    "siemens_without_rescale": ({}, full_turn(), lambda v: v * 2 * np.pi / 4096 - np.pi),
}


@pytest.mark.parametrize("maker", PHASES)
def test_phase_scales_of_the_makers(tmp_path, maker):
    scales, turn, truth = PHASES[maker]
    write_classic(tmp_path, Series(numbers()))
    scales = {k: f"{v:.10g}" for k, v in scales.items()}
    tags = {"BitsStored": 12, "HighBit": 11} if turn.min() == 0 else {}
    phase = Series(turn, uid="1.2.3.2", image_type=("ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"), tags=tags, **scales)
    write_classic(tmp_path, phase)
    found = np.asarray(scan_of(tmp_path).header.phase_rad)
    # Half a stored step of a turn in 4096.
    np.testing.assert_allclose(found, truth(turn[0].astype(float)), atol=1e-3)


def test_ge_marks_the_kind_in_a_private_tag_only(tmp_path):
    def mark(code: int) -> Any:
        def edit(ds: Dataset, *at: int) -> None:
            ds.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", code)

        return edit

    plain = ("ORIGINAL", "PRIMARY", "OTHER")
    stored, turn = numbers(), full_turn(low=-3141, high=3141)
    maker = {"Manufacturer": "GE MEDICAL SYSTEMS"}
    write_classic(tmp_path, Series(stored, image_type=plain, edit=mark(0), tags=maker))
    write_classic(tmp_path, Series(turn, uid="1.2.3.2", image_type=plain, edit=mark(1), tags=maker))
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all()
    np.testing.assert_allclose(np.asarray(scan.header.phase_rad), turn[0] / 1000, atol=1e-3)


def test_real_and_imaginary_make_magnitude_and_phase(tmp_path):
    real, imaginary = numbers(low=-30), numbers(low=-41)
    write_classic(tmp_path, Series(real, image_type=("ORIGINAL", "PRIMARY", "R", "FFE")))
    write_classic(tmp_path, Series(imaginary, uid="1.2.3.2", image_type=("ORIGINAL", "PRIMARY", "I", "FFE")))
    scan = scan_of(tmp_path)
    truth = real[0] + 1j * imaginary[0]
    np.testing.assert_allclose(np.asarray(scan.values), np.abs(truth), rtol=1e-6)  # float32
    np.testing.assert_allclose(np.asarray(scan.header.phase_rad), np.angle(truth), atol=1e-6)
    for file in tmp_path.glob("*1.2.3.2*"):
        file.unlink()
    refused(tmp_path, "magnitude_missing")


def test_an_unclear_phase_is_left_out_and_said_so(tmp_path):
    write_classic(tmp_path, Series(numbers()))
    write_classic(tmp_path, Series(full_turn(low=5, high=300), uid="1.2.3.2", image_type=("ORIGINAL", "PRIMARY", "P", "ND")))
    scan = scan_of(tmp_path)
    assert scan.header.phase_rad is None and statuses(scan.findings)["phase_scale_unclear"] == "warn"


def test_incomplete_phase_is_left_out_with_the_reason(tmp_path):
    write_classic(tmp_path, Series(numbers()))
    write_classic(tmp_path, phase_series(full_turn()))
    next(tmp_path.glob("*1.2.3.2_5.dcm")).unlink()
    scan = scan_of(tmp_path)
    (reason,) = [f.reason for f in scan.findings if f.check == "phase_left_out"]
    assert scan.header.phase_rad is None and "echo_incomplete" in reason


def test_swapped_magnitude_and_phase_are_refused(tmp_path):
    write_classic(tmp_path, replace(phase_series(full_turn()), image_type=("ORIGINAL", "PRIMARY", "M", "ND")))
    write_classic(tmp_path, Series(numbers(), image_type=("ORIGINAL", "PRIMARY", "P", "ND")))
    assert "swapped" in refused(tmp_path, "magnitude_negative").what


def test_one_series_per_echo_is_joined(tmp_path):
    stored = numbers()
    for echo in (2, 0, 3, 1):
        times = (TIMES_MS[echo],)
        write_classic(tmp_path, Series(stored[:, echo : echo + 1], times, uid=f"1.2.3.{9 - echo}1", number=20 - echo, first_echo=echo + 1))
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all() and len(scan.header.echo_times_s) == 4
    next(tmp_path.glob("*1.2.3.81_2.dcm")).unlink()
    error = refused(tmp_path, "echo_incomplete")
    assert "echo 2" in error.what and "2 slices" in error.found and "3" in error.expected


def test_two_scans_in_one_folder_must_be_named(tmp_path):
    first, second = numbers(), numbers(low=1000)
    write_classic(tmp_path, Series(first))
    write_classic(tmp_path, phase_series(full_turn()))
    later = {"AcquisitionTime": "113000"}
    write_classic(tmp_path, Series(second, uid="1.2.3.5", number=11, tags=later))
    write_classic(tmp_path, phase_series(full_turn()[:, ::-1], uid="1.2.3.6", number=12, tags=later))
    assert "1.2.3.5" in refused(tmp_path, "series_ambiguous").found
    for named in ("11", "1.2.3.5", "12"):
        scan = scan_of(tmp_path, named)
        assert (np.asarray(scan.values) == second[0]).all() and scan.times.origin == datetime(2026, 3, 2, 11, 30)
        # The phase of the same time, not the other scan's.
        assert float(np.asarray(scan.header.phase_rad).flat[0]) > 0
    refused(tmp_path, "series_not_found", "99")


def test_an_image_of_another_time_is_no_further_echo(tmp_path):
    stored = numbers()
    write_classic(tmp_path, Series(stored))
    write_classic(
        tmp_path, Series(numbers(echoes=1), (7.5,), uid="1.2.3.7", number=3, tags={"AcquisitionTime": "110500", "EchoNumbers": 1})
    )
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all() and len(scan.header.echo_times_s) == 4


def test_two_series_of_the_same_echoes_and_time_are_no_repeats(tmp_path):
    write_classic(tmp_path, Series(numbers()))
    write_classic(tmp_path, Series(numbers(low=500), uid="1.2.3.7", number=3))
    refused(tmp_path, "series_ambiguous")
    assert scan_of(tmp_path, "3").header.n_repeats == 1


def test_the_only_multi_echo_series_is_meant(tmp_path):
    stored = numbers()
    write_classic(tmp_path, Series(stored))
    spin = {"ScanningSequence": "SE", "AcquisitionTime": "105000"}
    write_classic(tmp_path, Series(numbers(echoes=1), (11.0,), uid="1.2.3.7", number=3, tags=spin))
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all() and statuses(scan.findings)["other_series"] == "ok"
    assert "R2*" in refused(tmp_path, "not_gradient_echo", "3").what


def test_a_computed_map_is_left_out(tmp_path):
    write_classic(tmp_path, Series(numbers()))
    write_classic(tmp_path, Series(numbers(echoes=1), (3.0,), uid="1.2.3.8", image_type=("DERIVED", "PRIMARY", "T2_STAR MAP", "ND")))
    scan = scan_of(tmp_path)
    assert scan.values.shape[0] == 4


def test_philips_scale_slope_takes_the_screens_scale_out(tmp_path):
    def edit(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.RescaleSlope = 2.0 + echo
        ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.5 * (1 + echo))

    stored = numbers()
    maker = {"Manufacturer": "Philips Medical Systems"}
    scan = scan_of(write_classic(tmp_path / "with", Series(stored, intercept=4.0, tags=maker, edit=edit)))
    rescale, private = (2.0 + np.arange(4))[:, None, None, None], (0.5 * (1 + np.arange(4)))[:, None, None, None]
    truth = (stored[0] * rescale + 4.0) / (rescale * private)
    np.testing.assert_allclose(np.asarray(scan.values), truth, rtol=1e-6)  # float32
    assert "echo_scale_differs" not in statuses(scan.findings)

    def without(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.RescaleSlope = 2.0 + echo

    scan = scan_of(write_classic(tmp_path / "without", Series(stored, tags=maker, edit=without)))
    assert statuses(scan.findings)["echo_scale_differs"] == "warn"
    np.testing.assert_allclose(np.asarray(scan.values), stored[0] * rescale, rtol=1e-6)


def test_repeats_are_slowest(tmp_path):
    stored = numbers(repeats=3)
    scan = scan_of(write_classic(tmp_path, Series(stored)))
    assert scan.header.n_repeats == 3 and statuses(scan.findings)["repeats"] == "ok"
    assert (np.asarray(scan.values) == stored.reshape(12, 3, 2, 3)).all()
    next(tmp_path.glob("*_1.2.3.1_17.dcm")).unlink()
    refused(tmp_path, "repeats_unequal")


def test_two_reconstructions_in_one_series_are_no_repeats(tmp_path):
    def edit(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.AcquisitionNumber = 1
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM" if repeat else "ND"]

    refused(write_classic(tmp_path, Series(numbers(repeats=2), edit=edit)), "duplicate_position")


@pytest.mark.parametrize(("removed", "code", "words"), [
    (lambda e, z: e == 1, "echo_missing", "echo 2"),
    (lambda e, z: e == 0, "echo_missing", "echo 1"),
    (lambda e, z: e == 2 and z == 1, "echo_incomplete", "echo 3 (9 ms)"),
    (lambda e, z: z == 1, "missing_slice", "1 slice(s) missing"),
    (lambda e, z: e > 1, "echoes_too_few", "R2*"),
])  # fmt: skip
def test_missing_files(tmp_path, removed, code, words):
    write_classic(tmp_path, Series(numbers(slices=4)))
    for n, (_, echo, z) in enumerate(np.ndindex(1, 4, 4), start=1):
        if removed(echo, z):
            next(tmp_path.glob(f"*_1.2.3.1_{n}.dcm")).unlink()
    assert words in refused(tmp_path, code).what


def test_a_missing_last_echo_is_at_least_said(tmp_path):
    write_classic(tmp_path, Series(numbers(), tags={"EchoTrainLength": 6}))
    assert statuses(scan_of(tmp_path).findings)["echo_train"] == "warn"


def test_echo_times_come_from_the_sheet_only_where_the_files_have_none(tmp_path):
    stored = numbers()
    numbered = write_classic(tmp_path / "numbered", Series(stored, tags={"EchoTime": None}))
    refused(numbered, "echo_time_missing")
    scan = scan_of(numbered, echo_times_ms=TIMES_MS)
    assert (np.asarray(scan.values) == stored[0]).all() and scan.header.echo_times_s == pytest.approx([0.003, 0.006, 0.009, 0.012])
    by_file = write_classic(tmp_path / "file", Series(stored, tags={"EchoTime": None, "EchoNumbers": None}))
    assert (np.asarray(scan_of(by_file, echo_times_ms=TIMES_MS).values) == stored[0]).all()
    refused(by_file, "echo_count", echo_times_ms=(3.0, 6.0, 9.0))
    stated = write_classic(tmp_path / "stated", Series(stored))
    scan_of(stated, echo_times_ms=(3.005, 6.0, 9.0, 12.05))
    error = refused(stated, "echo_times_disagree", echo_times_ms=(3.0, 6.0, 9.0, 13.0))
    assert "13" in error.found
    refused(stated, "echo_times_disagree", echo_times_ms=(3.0, 6.0, 9.0))


@pytest.mark.parametrize("times_ms", [(0.003, 0.006, 0.009, 0.012), (3000.0, 6000.0, 9000.0, 12000.0), (0.0, 3.0, 6.0, 9.0)])
def test_echo_times_in_the_wrong_unit(tmp_path, times_ms):
    assert "s and ms" in refused(write_classic(tmp_path, Series(numbers(), times_ms)), "echo_time_implausible").what


@pytest.mark.parametrize("numbered", [True, False])
def test_one_slice_with_another_echo_time(tmp_path, numbered):
    def edit(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        if (echo, z) == (1, 2):
            ds.EchoTime = 6.5
        if not numbered:
            ds.EchoNumbers = 1

    refused(write_classic(tmp_path, Series(numbers(), edit=edit)), "echo_times_inconsistent")


def test_echo_times_in_some_files_only(tmp_path):
    def edit(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        if z == 1:
            del ds.EchoTime

    refused(write_classic(tmp_path, Series(numbers(), edit=edit)), "echo_time_missing")


def test_one_image_is_enough_of_fluorine(tmp_path):
    stored = numbers(echoes=1)
    tags = {"ImagedNucleus": "F19", "ScanningSequence": "SE", "MagneticFieldStrength": None, "ImagingFrequency": 376.5}
    scan = scan_of(write_classic(tmp_path, Series(stored, (20.0,), tags=tags)))
    assert scan.header.nucleus == "19F" and scan.header.field_t is None and (np.asarray(scan.values) == stored[0]).all()


@pytest.mark.parametrize(("tags", "field_t", "check"), [
    ({"MagneticFieldStrength": 94000.0}, 9.4, "field_unit"),
    ({"MagneticFieldStrength": None, "ImagingFrequency": 300.32}, 7.054, "field_derived"),
    ({"MagneticFieldStrength": 300.0}, None, "field_implausible"),
])  # fmt: skip
def test_field(tmp_path, tags, field_t, check):
    scan = scan_of(write_classic(tmp_path, Series(numbers(), tags=tags)))
    assert scan.header.field_t == (None if field_t is None else pytest.approx(field_t, abs=0.001)) and check in statuses(scan.findings)


def test_time_of_the_scan(tmp_path):
    def edit(ds: Dataset, repeat: int, echo: int, z: int) -> None:
        ds.AcquisitionTime = f"1100{30 * z:02d}" if z < 2 else "110100"

    times = scan_of(write_classic(tmp_path / "2d", Series(numbers(), edit=edit))).times
    assert (times.origin, times.duration_s) == (START, (60.0,))
    told = scan_of(write_classic(tmp_path / "told", Series(numbers(), tags={"AcquisitionDuration": 321.0})))
    assert told.times.duration_s == (321.0,) and "acquisition_duration" not in statuses(told.findings)
    none = {"AcquisitionDate": None, "AcquisitionTime": None}
    bare = write_classic(tmp_path / "bare", Series(numbers(), tags=none))
    refused(bare, "acquisition_time_missing")
    given = scan_of(bare, acquired=START)
    assert given.times.origin == START and statuses(given.findings)["acquired"] == "warn"
    series = {**none, "SeriesDate": "20260302", "SeriesTime": "105900"}
    scan = scan_of(write_classic(tmp_path / "series", Series(numbers(), tags=series)))
    assert scan.times.origin == datetime(2026, 3, 2, 10, 59) and statuses(scan.findings)["acquisition_date"] == "warn"


def test_truncated_pixels_of_an_echo_in_its_own_series_are_not_lost(tmp_path):
    stored = numbers()
    for echo in range(4):
        series = Series(stored[:, echo : echo + 1], (TIMES_MS[echo],), uid=f"1.2.3.{9 - echo}1", first_echo=echo + 1)
        write_classic(tmp_path, series)
    file = next(tmp_path.glob("*1.2.3.61_1.dcm"))
    file.write_bytes(file.read_bytes()[:-4])
    refused(tmp_path, "truncated_pixels")


def test_input_is_not_changed(tmp_path):
    write_classic(tmp_path, Series(numbers()))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    np.asarray(scan_of(tmp_path).values)
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir()}
