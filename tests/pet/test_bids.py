"""NIfTI with a BIDS-PET sidecar: what it must state, and how its clock and the sheet's date fit together."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.pet.pet_cases import HALF_LIFE_S, INJECTION, START, calibrated, context_of, flat, image_of, statuses, uneven
from tracker.errors import InputError

F18 = HALF_LIFE_S["18F"]
FRAMES = [(0.0, 60.0), (60.0, 600.0), (660.0, 1800.0)]
FLOAT32 = 3e-7  # float32 file, float32 values


def sidecar(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")


def edit(path: Path, **changes: Any) -> Path:
    """Changes keys of the sidecar; None removes one."""
    record = json.loads(sidecar(path).read_text())
    for key, value in changes.items():
        record.pop(key, None)
        if value is not None:
            record[key] = value
    sidecar(path).write_text(json.dumps(record))
    return path


@pytest.fixture
def volume(write) -> Callable[..., Path]:
    def make(frames: Any = FRAMES, **options: Any) -> Path:
        return write("nifti", image_of(uneven(), frames, F18), **options)

    return make


def refused(path: Path, code: str, **context: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        calibrated(path, context_of(path, **({"acquired": START} | context)))
    assert raised.value.code == code, str(raised.value)
    return raised.value


def right(path: Path, frames: Any = FRAMES, **context: Any) -> Any:
    found = calibrated(path, context_of(path, **({"acquired": START} | context)))
    for t, (start_s, length_s) in enumerate(frames):
        truth = uneven() * 2 ** (-(start_s + length_s / 2) / F18)
        np.testing.assert_allclose(np.asarray(found.values[t]), truth, rtol=FLOAT32)
    return found


@pytest.mark.parametrize("correction", ["START", "ADMIN", "NONE"])
def test_frames_are_right_whatever_the_decay_correction(volume, correction):
    found = right(volume(decay_correction=correction))
    assert found.times.origin == START and found.times.start_s == (0, 60, 660) and found.times.duration_s == (60, 600, 1800)
    assert statuses(found.findings)["injection_time"] == "ok" and statuses(found.findings)["dose"] == "ok"


def test_a_folder_with_one_volume_is_that_volume(volume):
    path = volume()
    np.testing.assert_array_equal(np.asarray(right(path).values), np.asarray(right(path.parent).values))


def test_a_folder_with_two_volumes_is_asked_about(volume):
    path = volume()
    second = path.with_name("second.nii.gz")
    second.write_bytes(path.read_bytes())
    sidecar(second).write_text(sidecar(path).read_text())
    error = refused(path.parent, "series_ambiguous")
    assert "second.nii.gz" in error.found and path.name in error.found
    right(path.parent, series="second.nii.gz")


def test_a_converted_copy_beside_its_dicom_is_not_preferred(volume, write):
    path = volume(name="both")
    folder = write("classic", image_of(flat(), [(0, 600)], F18), name="both")
    found = calibrated(folder, context_of(folder))
    assert found.method.startswith("classic") and folder == path.parent


def test_time_zero_before_the_scan(volume):
    # TimeZero is the injection, an hour before the scan: all times in the sidecar count from there.
    path = edit(
        volume(),
        TimeZero="10:00:00",
        ScanStart=3600.0,
        InjectionStart=0.0,
        FrameTimesStart=[3600.0, 3660.0, 4260.0],
        ImageDecayCorrectionTime=3600.0,
    )
    found = right(path)
    assert found.times.origin == START and statuses(found.findings)["injection_time"] == "ok"


def test_scan_start_and_frame_times_on_two_clocks_are_refused(volume):
    # Frames counted from the scan's start beside a ScanStart counted from TimeZero: an hour would be lost.
    error = refused(edit(volume(), TimeZero="10:00:00", ScanStart=3600.0), "frame_times")
    assert "3600" in error.found


@pytest.mark.parametrize("later", [timedelta(minutes=5), timedelta(hours=-1)])
def test_a_sheet_that_disagrees_with_time_zero_is_refused(volume, later):
    error = refused(volume(), "acquired_disagrees", acquired=START + later)
    assert "11:00" in error.found


def test_the_date_is_the_sheets_alone(volume):
    moved = timedelta(days=3)
    assert right(volume(), acquired=START + moved, dose_time=INJECTION + moved).times.origin == START + moved


def test_without_a_date_it_is_asked_for(volume):
    assert "`acquired`" in refused(volume(), "acquisition_time_missing", acquired=None).do


def test_midnight_between_time_zero_and_the_scan(volume):
    start = START.replace(hour=0, minute=20) + timedelta(days=1)
    path = edit(
        volume(),
        TimeZero="23:50:00",
        ScanStart=1800.0,
        InjectionStart=0.0,
        FrameTimesStart=[1800.0, 1860.0, 2460.0],
        ImageDecayCorrectionTime=1800.0,
    )
    assert right(path, acquired=start, dose_time=start - timedelta(minutes=30)).times.origin == start


@pytest.mark.parametrize(
    "key", ["Units", "TimeZero", "FrameTimesStart", "FrameDuration", "ImageDecayCorrected", "ImageDecayCorrectionTime"]
)
@pytest.mark.parametrize("empty", [None, "", []])
def test_keys_that_must_be_there_are_named(volume, key, empty):
    error = refused(edit(volume(), **{key: empty}), "sidecar_key_missing")
    assert key in error.what and error.where.endswith(".json")


@pytest.mark.parametrize("key", ["InjectedRadioactivity", "InjectionStart", "BodyWeight"])
@pytest.mark.parametrize("value", [None, "n/a", "N/A"])
def test_keys_that_are_only_compared_may_be_missing(volume, key, value):
    right(edit(volume(), **{key: value}))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"FrameTimesStart": [0.0, 60.0]}, "frame_times"),
        ({"FrameDuration": [60.0, 600.0]}, "frame_times"),
        ({"FrameTimesStart": [0.0, 0.0, 60.0]}, "frame_times"),
        ({"FrameTimesStart": [0.0, 660.0, 60.0]}, "frame_times"),
        ({"FrameDuration": [60.0, 0.0, 1800.0]}, "frame_times"),
        ({"FrameDuration": [60.0, 900.0, 1800.0]}, "frames_overlap"),
        ({"FrameDuration": [60.0, "long", 1800.0]}, "bad_number"),
        ({"FrameDuration": [60.0, True, 1800.0]}, "bad_number"),
        ({"FrameDuration": [60.0, None, 1800.0]}, "bad_number"),
        ({"ImageDecayCorrected": "yes"}, "decay_correction_unknown"),
        ({"TimeZero": "eleven"}, "bad_time"),
        ({"Units": "SUV"}, "units_unsupported"),
        ({"InjectedRadioactivityUnits": "drops"}, "dose_unit_unclear"),
    ],
)
def test_what_contradicts_itself_is_refused(volume, changes, code):
    error = refused(edit(volume(), **changes), code)
    assert error.found and error.expected


@pytest.mark.parametrize(("unit", "scale"), [("kBq/mL", 1000.0), ("Bq/ml", 1.0), ("bq/cc", 1.0)])
def test_units(volume, unit, scale):
    path = edit(volume(), Units=unit)
    found = calibrated(path, context_of(path, acquired=START))
    np.testing.assert_allclose(np.asarray(found.values[0]), uneven() * scale * 2 ** (-30 / F18), rtol=FLOAT32)


@pytest.mark.parametrize(("unit", "amount"), [("MBq", 8.0), ("kBq", 8000.0), ("Bq", 8e6)])
def test_units_of_the_dose(volume, unit, amount):
    path = edit(volume(), InjectedRadioactivity=amount, InjectedRadioactivityUnits=unit)
    assert statuses(right(path).findings)["dose"] == "ok"


@pytest.mark.parametrize("content", [None, "{", "[1, 2]", b"\xff\xfe\x00"])
def test_sidecars_that_cannot_be_read(volume, content):
    path = volume()
    if content is None:
        sidecar(path).unlink()
        refused(path, "sidecar_missing")
    else:
        sidecar(path).write_bytes(content if isinstance(content, bytes) else content.encode())
        refused(path, "sidecar_unreadable")


def test_a_single_volume_without_a_time_axis(volume):
    path = volume(frames=[(0.0, 600.0)])
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[..., 0], image.affine), path)
    right(path, [(0.0, 600.0)])


def test_the_grid_is_the_files(volume):
    path = volume()
    np.testing.assert_allclose(right(path).grid.affine, nib.load(path).affine)
