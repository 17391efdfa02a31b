"""Enhanced PET: every frame its own scale, the real-world map before the rescale slope, times and corrections as stated."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.pet.pet_cases import HALF_LIFE_S, INJECTION, START, calibrated, context_of, flat, image_of, statuses, uneven
from tracker.errors import InputError
from tracker.pet.read import read

F18 = HALF_LIFE_S["18F"]
EXACT = 3e-7  # ten digits of slope, float32 values
FRAMES = [(0.0, 60.0), (60.0, 600.0), (660.0, 1800.0)]


def refused(path: Any, code: str) -> InputError:
    with pytest.raises(InputError) as raised:
        np.asarray(calibrated(path, context_of(path)).values)
    assert raised.value.code == code, str(raised.value)
    return raised.value


def each(change: Callable[[Dataset], None]) -> Callable[[Dataset], None]:
    """An edit of every frame's functional groups."""

    def edit(ds: Dataset) -> None:
        for groups in ds.PerFrameFunctionalGroupsSequence:
            change(groups)

    return edit


def test_slopes_per_frame_are_not_the_first_frames(tmp_path, write):
    # The published trap: raw 1, 49, 97, 145, 193 with slopes 1 … 5 is 1, 98, 291, 580, 965; with frame 1's slope it is 1, 49, ….
    raw, slopes = np.array([1, 49, 97, 145, 193]), np.arange(1.0, 6.0)

    def edit(ds: Dataset) -> None:
        ds.PixelData = np.repeat(raw.astype("<i2"), 15).tobytes()
        for n, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
            groups.PixelValueTransformationSequence[0].RescaleSlope = slopes[n]
            del groups.RealWorldValueMappingSequence

    path = write("enhanced", image_of(flat(5), [(0, 600)], F18), edit=edit)
    values = np.asarray(read(path, "", context_of(path)).values)[0]
    assert sorted(values[:, 0, 0].tolist()) == [1.0, 98.0, 291.0, 580.0, 965.0]


@pytest.mark.parametrize("real_world", ["none", "same", "only"])
@pytest.mark.parametrize("correction", ["START", "ADMIN", "NONE"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_dynamic_scan_is_right_in_every_frame(write, real_world, correction, shuffled):
    path = write("enhanced", image_of(flat(), FRAMES, F18), real_world=real_world, decay_correction=correction, shuffled=shuffled)
    found = calibrated(path, context_of(path))
    for t, (start_s, length_s) in enumerate(FRAMES):
        np.testing.assert_allclose(np.asarray(found.values[t]), flat() * 2 ** (-(start_s + length_s / 2) / F18), rtol=EXACT)
    assert found.times.start_s == (0, 60, 660) and found.times.origin == START
    assert set(statuses(found.findings).values()) == {"ok"}


def test_the_real_world_map_counts_before_the_rescale_slope(write):
    # Disagreeing on purpose.
    path = write(
        "enhanced",
        image_of(flat(), [(0, 600)], F18),
        edit=each(lambda g: setattr(g.PixelValueTransformationSequence[0], "RescaleSlope", "77")),
    )
    np.testing.assert_allclose(np.asarray(calibrated(path, context_of(path)).values)[0], flat() * 2 ** (-300 / F18), rtol=EXACT)


def test_the_map_to_activity_is_found_among_several(write):
    def suv_first(groups: Dataset) -> None:
        activity = groups.RealWorldValueMappingSequence[0]
        suv = deepcopy(activity)
        suv.MeasurementUnitsCodeSequence[0].CodeValue, suv.RealWorldValueSlope = "g/ml{SUVbw}", 1e-5
        groups.RealWorldValueMappingSequence = [suv, activity]

    path = write("enhanced", image_of(flat(), [(0, 600)], F18), edit=each(suv_first))
    np.testing.assert_allclose(np.asarray(calibrated(path, context_of(path)).values)[0], flat() * 2 ** (-300 / F18), rtol=EXACT)


def test_suvs_by_the_real_world_map_are_turned_back(write):
    dose_at_start = 8e6 * 2 ** (-3600 / F18)

    def suv(groups: Dataset) -> None:
        mapping = groups.RealWorldValueMappingSequence[0]
        mapping.MeasurementUnitsCodeSequence[0].CodeValue = "g/ml{SUVbw}"
        mapping.RealWorldValueSlope = mapping.RealWorldValueSlope * 25.0 / dose_at_start

    path = write("enhanced", image_of(flat(), [(0, 600)], F18), edit=each(suv))
    np.testing.assert_allclose(np.asarray(calibrated(path, context_of(path)).values)[0], flat() * 2 ** (-300 / F18), rtol=EXACT)


@pytest.mark.parametrize("nuclide", ["89Zr", "64Cu"])
@pytest.mark.parametrize("correction", ["ADMIN", "NONE"])
def test_decay_over_days(write, nuclide, correction):
    half_life, start = HALF_LIFE_S[nuclide], INJECTION + timedelta(days=7)
    level = flat() * 2 ** (-7 * 86400 / half_life)
    path = write("enhanced", image_of(level, [(0, 1200)], half_life), nuclide=nuclide, scan_start=start, decay_correction=correction)
    found = calibrated(path, context_of(path, nuclide))
    np.testing.assert_allclose(np.asarray(found.values)[0], flat() * 2 ** (-(7 * 86400 + 600) / half_life), rtol=1e-6)


def test_uneven_values_in_a_shuffled_file(write):
    path = write("enhanced", image_of(uneven(), FRAMES, F18), shuffled=True)
    found = np.asarray(calibrated(path, context_of(path)).values)
    for t, (start_s, length_s) in enumerate(FRAMES):
        truth = uneven() * 2 ** (-(start_s + length_s / 2) / F18)
        assert (abs(found[t] - truth) <= 0.5001 * truth.max(axis=(1, 2), keepdims=True) / 32760 + 1e-6 * truth).all()


def test_offsets_from_utc(write):
    path = write("enhanced", image_of(flat(), FRAMES, F18), timezone="-0500", decay_correction="ADMIN")
    found = calibrated(path, context_of(path))
    assert found.times.origin.utcoffset() == timedelta(hours=-5)
    np.testing.assert_allclose(np.asarray(found.values[0]), flat() * 2 ** (-30 / F18), rtol=EXACT)


@pytest.mark.parametrize(
    "tag", ["AttenuationCorrected", "ScatterCorrected", "RandomsCorrected", "DeadTimeCorrected", "DetectorNormalizationCorrection"]
)
def test_row_20_a_correction_that_was_not_done_is_told(write, tag):
    path = write("enhanced", image_of(flat(), [(0, 600)], F18), edit=lambda ds: setattr(ds, tag, "NO"))
    (one,) = [f for f in calibrated(path, context_of(path)).findings if f.check == "corrections_missing"]
    words = {"Atten": "attenuation", "Scatt": "scatter", "Rando": "randoms", "DeadT": "dead time", "Detec": "normalisation"}
    assert one.status == "warn" and words[tag[:5]] in one.reason


def drop(*keywords: str) -> Callable[[Dataset], None]:
    def edit(ds: Dataset) -> None:
        for keyword in keywords:
            delattr(ds, keyword)

    return edit


def intercept(groups: Dataset) -> None:
    groups.PixelValueTransformationSequence[0].RescaleIntercept = "1"
    del groups.RealWorldValueMappingSequence


def mixed_units(ds: Dataset) -> None:
    first = ds.PerFrameFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    first.MeasurementUnitsCodeSequence[0].CodeValue = "g/ml{SUVbw}"


def turned_frame(ds: Dataset) -> None:
    item = Dataset()
    item.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    ds.PerFrameFunctionalGroupsSequence[0].PlaneOrientationSequence = [item]


def other_size(ds: Dataset) -> None:
    item = Dataset()
    item.PixelSpacing, item.SliceThickness = [9.0, 9.0], 2.0
    ds.PerFrameFunctionalGroupsSequence[0].PixelMeasuresSequence = [item]


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (drop("DecayCorrected"), "decay_correction_unknown"),
        (drop("DecayCorrectionDateTime"), "decay_correction_unknown"),
        (drop("PerFrameFunctionalGroupsSequence"), "frames_missing"),
        (lambda ds: setattr(ds, "PerFrameFunctionalGroupsSequence", ds.PerFrameFunctionalGroupsSequence[:-1]), "frames_missing"),
        (drop("SharedFunctionalGroupsSequence"), "geometry_missing"),
        (each(lambda g: delattr(g.PlanePositionSequence[0], "ImagePositionPatient")), "geometry_missing"),
        (each(intercept), "rescale_intercept"),
        (each(lambda g: setattr(g.RealWorldValueMappingSequence[0], "RealWorldValueIntercept", 3.0)), "rescale_intercept"),
        (each(lambda g: delattr(g.RealWorldValueMappingSequence[0], "RealWorldValueSlope")), "real_world_map"),
        (
            each(lambda g: setattr(g.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0], "CodeValue", "kBq/ml")),
            "real_world_map",
        ),
        (each(drop("PixelValueTransformationSequence", "RealWorldValueMappingSequence")), "rescale_slope"),
        (mixed_units, "mixed_series"),
        (turned_frame, "mixed_orientations"),
        (other_size, "mixed_orientations"),
        (each(drop("FrameContentSequence")), "acquisition_time_missing"),
        (each(lambda g: setattr(g.FrameContentSequence[0], "FrameAcquisitionDateTime", "yesterday")), "bad_time"),
        (each(lambda g: delattr(g.FrameContentSequence[0], "FrameAcquisitionDuration")), "frame_duration_missing"),
    ],
)
def test_what_leaves_more_than_one_answer_is_refused(write, edit, code):
    def dynamic(ds: Dataset) -> None:
        edit(ds)
        if code == "acquisition_time_missing":
            del ds.AcquisitionDateTime

    error = refused(write("enhanced", image_of(flat(), FRAMES, F18), edit=dynamic), code)
    assert error.found and error.expected


def test_row_30_a_missing_frame(write):
    def edit(ds: Dataset) -> None:
        ds.PerFrameFunctionalGroupsSequence = [g for n, g in enumerate(ds.PerFrameFunctionalGroupsSequence) if n != 6]
        ds.NumberOfFrames = 11
        ds.PixelData = ds.PixelData[: 11 * 30]

    assert "one of 3 frames" in refused(write("enhanced", image_of(flat(), FRAMES, F18), edit=edit), "missing_slice").what


def test_overlapping_frames(write):
    refused(write("enhanced", image_of(flat(), [(0.0, 600.0), (100.0, 600.0)], F18)), "frames_overlap")


def test_gates_at_one_time_are_not_frames(write):
    def gates(groups: Dataset) -> None:
        groups.FrameContentSequence[0].FrameAcquisitionDateTime = "20260302110000"

    refused(write("enhanced", image_of(flat(), FRAMES, F18), edit=each(gates)), "duplicate_position")


def test_two_files_of_one_series_are_refused(write):
    path = write("enhanced", image_of(flat(), FRAMES, F18))
    ds = pydicom.dcmread(path / "enhanced.dcm")
    ds.SOPInstanceUID = "1.2.9"
    ds.save_as(path / "second.dcm")
    assert "2 files" in refused(path, "several_files").found


@pytest.mark.parametrize("syntax", [pydicom.uid.RLELossless, pydicom.uid.JPEG2000Lossless])
def test_compressed(write, syntax):
    image = image_of(np.repeat(np.repeat(flat(), 16, axis=1), 10, axis=2), FRAMES, F18)
    path = write("enhanced", image)
    plain = np.asarray(calibrated(path, context_of(path)).values)
    ds = pydicom.dcmread(path / "enhanced.dcm")
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(path / "enhanced.dcm")
    np.testing.assert_array_equal(np.asarray(calibrated(path, context_of(path)).values), plain)
