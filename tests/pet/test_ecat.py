"""ECAT 7 files, written with nibabel's structures: values, frames in time order, decay correction, the sheet's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nibabel.ecat import EcatHeader, subhdr_dtype

from tests.pet.pet_cases import HALF_LIFE_S, INJECTION, START, calibrated, context_of, statuses
from tracker.errors import InputError

F18 = HALF_LIFE_S["18F"]
FRAMES = [(0, 60), (60, 600), (660, 1800)]
SHAPE = (4, 3, 5)
STORED = 100 * np.arange(1, 61).reshape(SHAPE)
# Two scales: the scanner's calibration and each frame's own.
CALIBRATION, SCALES = 2.5, (0.5, 0.25, 3.0)
DECAY_CORRECTED, MEASURED_ATTENUATION, ONLINE = 512, 2, 1024


def write_ecat(
    path: Path, *, order: tuple[int, ...] = (0, 1, 2), processing: tuple[int, ...] = (0, 0, 0), frames: Any = FRAMES, **main: Any
) -> Path:
    """An ECAT 7 volume file laid out by hand: main header, matrix list, and per frame a subheader and big-endian int16 planes."""
    header = EcatHeader(endianness=">")
    known = {
        "magic_number": b"MATRIX72v", "file_type": 7, "num_frames": len(frames), "num_planes": SHAPE[0], "num_gates": 1,
        "patient_orientation": 3,
        "ecat_calibration_factor": CALIBRATION, "data_units": b"Bq/cc", "isotope_name": b"F-18", "isotope_halflife": F18, "dosage": 8e6,
        "branching_fraction": 0.9673, "scan_start_time": int(START.replace(tzinfo=UTC).timestamp()),
    }  # fmt: skip
    for field, value in (known | main).items():
        header[field] = value
    blocks = 1 + -(-STORED.size * 2 // 512)
    directory = np.zeros((32, 4), ">i4")
    directory[0] = (31 - len(frames), 2, 0, len(frames))
    content = [header.binaryblock.ljust(512, b"\0"), b""]
    for n, t in enumerate(order):
        first = 3 + n * blocks
        # Matrix id: frame number, plane 1, gate 1.
        directory[1 + n] = ((t + 1) | 1 << 16 | 1 << 24, first, first + blocks - 1, 1)
        sub = np.zeros((), subhdr_dtype.newbyteorder(">"))
        sub["data_type"], sub["num_dimensions"] = 6, 3
        sub["x_dimension"], sub["y_dimension"], sub["z_dimension"] = SHAPE[::-1]
        sub["x_pixel_size"], sub["y_pixel_size"], sub["z_pixel_size"] = 0.1, 0.15, 0.2
        sub["scale_factor"] = SCALES[t]
        sub["frame_start_time"], sub["frame_duration"] = (int(v * 1000) for v in frames[t])
        sub["corrections_applied"] = processing[t]
        content += [sub.tobytes().ljust(512, b"\0"), STORED.astype(">i2").tobytes().ljust((blocks - 1) * 512, b"\0")]
    content[1] = directory.tobytes()
    path.write_bytes(b"".join(content))
    return path


def oriented(found: np.ndarray) -> np.ndarray:
    """The stored planes' own numbers, whichever axes the reader turned: sorted."""
    return np.sort(found.ravel())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("corrected", [True, False])
def test_frames_are_right_in_any_order_of_the_file(tmp_path, order, corrected):
    code = MEASURED_ATTENUATION | (DECAY_CORRECTED if corrected else 0)
    path = write_ecat(tmp_path / "scan.v", order=order, processing=(code,) * 3)
    found = calibrated(path, context_of(path, acquired=START))
    for t, (start_s, length_s) in enumerate(FRAMES):
        x = np.log(2) * length_s / F18
        # Corrected values are those of the scan's start; uncorrected ones are means over the frame.
        factor = 2 ** (-(start_s + length_s / 2) / F18) if corrected else x / -np.expm1(-x) * 2 ** (-length_s / 2 / F18)
        # float32 headers (calibration, half-life) and values.
        np.testing.assert_allclose(oriented(np.asarray(found.values[t])), oriented(STORED) * CALIBRATION * SCALES[t] * factor, rtol=1e-6)
    assert found.times.origin == START and found.times.start_s == (0, 60, 660) and found.times.duration_s == (60, 600, 1800)


def test_online_compression_is_not_decay_correction(tmp_path):
    path = write_ecat(tmp_path / "scan.v", processing=(ONLINE,) * 3)
    assert "not corrected" in calibrated(path, context_of(path, acquired=START)).method
    path = write_ecat(tmp_path / "scan.v", processing=(DECAY_CORRECTED,) * 3)
    assert "stated moment" in calibrated(path, context_of(path, acquired=START)).method


def test_voxels_lie_where_the_affine_says(tmp_path):
    path = write_ecat(tmp_path / "scan.v")
    grid = calibrated(path, context_of(path, acquired=START)).grid
    assert grid.shape == SHAPE
    np.testing.assert_allclose(np.linalg.norm(grid.affine[:3, :3], axis=0), [1.0, 1.5, 2.0], rtol=1e-6)


def refused(path: Path, code: str, **context: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        calibrated(path, context_of(path, **({"acquired": START} | context)))
    assert raised.value.code == code, str(raised.value)
    return raised.value


def test_the_clock_without_a_zone_needs_the_sheet(tmp_path):
    assert "`acquired`" in refused(write_ecat(tmp_path / "scan.v"), "acquisition_time_missing", acquired=None).do


@pytest.mark.parametrize(
    ("shift", "fits"), [(timedelta(hours=1), True), (timedelta(hours=-5, minutes=-30), True), (timedelta(minutes=7), False)]
)
def test_the_sheet_may_differ_by_a_time_zone_only(tmp_path, shift, fits):
    path = write_ecat(tmp_path / "scan.v", scan_start_time=int((START - shift).replace(tzinfo=UTC).timestamp()))
    if fits:
        assert calibrated(path, context_of(path, acquired=START)).times.origin == START
    else:
        refused(path, "acquired_disagrees")


def test_contradictions_are_refused(tmp_path):
    refused(write_ecat(tmp_path / "a.v", processing=(DECAY_CORRECTED, 0, 0)), "frame_times")
    refused(write_ecat(tmp_path / "b.v", frames=[(0, 60), (60, 0), (660, 1800)]), "frame_times")
    refused(write_ecat(tmp_path / "c.v", frames=[(0, 600), (60, 600), (660, 1800)]), "frames_overlap")
    refused(write_ecat(tmp_path / "d.v", data_units=b"ECAT counts"), "units_unsupported")
    refused(write_ecat(tmp_path / "e.v", isotope_halflife=4062.6), "nuclide_mismatch")
    refused(write_ecat(tmp_path / "f.v", isotope_name=b"Ga-68"), "nuclide_mismatch")


def test_what_the_file_does_not_say_is_told(tmp_path):
    path = write_ecat(tmp_path / "scan.v")
    found = statuses(calibrated(path, context_of(path, acquired=START)).findings)
    assert found["corrections_missing"] == "warn" and found["injection_time"] == "warn"
    assert INJECTION < START and datetime(1970, 1, 1) < START


@pytest.mark.parametrize("size", [600, 1100, 2000])
def test_a_file_cut_short_is_refused(tmp_path, size):
    path = write_ecat(tmp_path / "scan.v")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError):
        np.asarray(calibrated(path, context_of(path, acquired=START)).values)
