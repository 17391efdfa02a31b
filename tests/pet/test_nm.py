"""SPECT as NM objects: counts by the measured sensitivity, or Bq/mL by the real-world map; geometry from the detector."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.pet.pet_cases import HALF_LIFE_S, START, calibrated, context_of, flat, image_of, statuses
from tracker.errors import InputError

IN111, TC99M = HALF_LIFE_S["111In"], HALF_LIFE_S["99mTc"]
LENGTH_S, SENSITIVITY = 2400.0, 5e-4
CONSTANTS = {"sensitivity_cps_per_bq": SENSITIVITY}
VOXEL_ML = 1.0 * 1.5 * 2.0 / 1000
COUNTS = {"sensitivity_cps_per_bq": SENSITIVITY, "decay_correction": "NONE", "nuclide": "99mTc"}


def scan(write: Callable[..., Any], half_life: float = TC99M, **options: Any) -> Any:
    return write("nm", image_of(flat(), [(0, LENGTH_S)], half_life), **({"nuclide": "99mTc"} | options))


def refused(path: Any, code: str, **context: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        np.asarray(calibrated(path, context_of(path, "99mTc", **context)).values)
    assert raised.value.code == code, str(raised.value)
    assert raised.value.found and raised.value.expected
    return raised.value


@pytest.mark.parametrize(("nuclide", "golden"), [("99mTc", 1.03890393), ("111In", None)])
def test_counts_become_activity_at_the_middle(write, nuclide, golden):
    half_life = HALF_LIFE_S[nuclide]
    path = scan(write, half_life, **{**COUNTS, "nuclide": nuclide})
    found = calibrated(path, context_of(path, nuclide, constants=CONSTANTS))
    truth = flat() * 2 ** (-LENGTH_S / 2 / half_life)
    # Whole counts: the writer's image has at least 2e4 Bq/mL · 0.003 mL · 5e-4 /s/Bq · 2400 s = 72 of them.
    step = 0.5 / (VOXEL_ML * SENSITIVITY * LENGTH_S) * 1.05
    np.testing.assert_allclose(np.asarray(found.values)[0], truth, atol=step)
    if golden:
        mean = (1 - 2 ** (-LENGTH_S / half_life)) / (np.log(2) * LENGTH_S / half_life)
        assert 1 / mean == pytest.approx(golden, abs=5e-9)
    assert found.times.origin == START and found.times.duration_s == (LENGTH_S,)


def test_counts_by_hand(write):
    def edit(ds: Dataset) -> None:
        ds.PixelData = np.full(60, 720, "<u2").tobytes()

    path = scan(write, **COUNTS, edit=edit)
    found = np.asarray(calibrated(path, context_of(path, "99mTc", constants=CONSTANTS)).values)
    # C = N / (T · S · V), a mean over 40 min; 99mTc's exact in-frame factor is 1.03890393 to the start.
    expected = 720 / (2400 * 5e-4 * 0.003) * 1.03890393 * 2 ** (-1200 / TC99M)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_all_rotations_count(write, rotations):
    def edit(ds: Dataset) -> None:
        ds.NumberOfRotations = rotations
        ds.PixelData = np.full(60, 720, "<u2").tobytes()

    path = scan(write, **COUNTS, edit=edit)
    found = calibrated(path, context_of(path, "99mTc", constants=CONSTANTS))
    seconds = 2400 * rotations
    x = np.log(2) * seconds / TC99M
    expected = 720 / (seconds * 5e-4 * 0.003) * x / -np.expm1(-x) * 2 ** (-seconds / 2 / TC99M)
    np.testing.assert_allclose(np.asarray(found.values), expected, rtol=1e-6)
    assert found.times.duration_s == (seconds,)


@pytest.mark.parametrize("correction", ["START", "NONE"])
def test_the_real_world_map_gives_activity(write, correction):
    # There is no rescale slope: a reader that ignores the map gives raw numbers.
    path = scan(write, decay_correction=correction)
    found = calibrated(path, context_of(path, "99mTc"))
    # One int16 scale over the volume.
    np.testing.assert_allclose(np.asarray(found.values)[0], flat() * 2 ** (-LENGTH_S / 2 / TC99M), atol=8e4 / 32760)
    assert ("stated moment" if correction == "START" else "not corrected") in found.method


def test_decay_correction_to_the_administration_counts_where_a_maker_states_it(write):
    def edit(ds: Dataset) -> None:
        ds.DecayCorrection = "ADMIN"
        mapping = ds.RealWorldValueMappingSequence[0]
        mapping.RealWorldValueSlope = mapping.RealWorldValueSlope * 2 ** (3600 / TC99M)

    path = scan(write, edit=edit)
    found = calibrated(path, context_of(path, "99mTc"))
    np.testing.assert_allclose(np.asarray(found.values)[0], flat() * 2 ** (-LENGTH_S / 2 / TC99M), atol=8e4 / 32760)


def test_decay_in_the_list_and_not_in_the_tag_is_a_contradiction(write):
    refused(scan(write, edit=lambda ds: setattr(ds, "DecayCorrection", "NONE")), "decay_contradiction")


def test_without_a_list_of_corrections_values_are_means_and_that_is_told(write):
    path = scan(write, decay_correction="NONE", edit=lambda ds: (delattr(ds, "CorrectedImage"), ds.pop("DecayCorrection", None)))
    found = calibrated(path, context_of(path, "99mTc"))
    np.testing.assert_allclose(np.asarray(found.values)[0], flat() * 2 ** (-LENGTH_S / 2 / TC99M), atol=8e4 / 32760)
    assert statuses(found.findings)["decay_correction"] == "warn"


def test_the_dose_of_nm_is_in_mbq(write):
    path = scan(write)
    assert statuses(calibrated(path, context_of(path, "99mTc")).findings)["dose"] == "ok"
    assert statuses(calibrated(path, context_of(path, "99mTc", amount_bq=8e5)).findings)["dose"] == "warn"


def test_the_direction_of_slices_is_told_to_be_uncertain(write):
    path = scan(write)
    assert statuses(calibrated(path, context_of(path, "99mTc")).findings)["slice_direction"] == "warn"


@pytest.mark.parametrize("sign", [1, -1])
def test_the_distance_of_slices_is_signed_and_not_their_thickness(write, sign):
    def edit(ds: Dataset) -> None:
        ds.SpacingBetweenSlices, ds.SliceThickness = sign * 2.0, 9.0

    path = scan(write, edit=edit)
    grid = calibrated(path, context_of(path, "99mTc")).grid
    np.testing.assert_allclose(grid.affine @ [1, 2, 3, 1], [11.0, 4.0, -30.0 + sign * 6.0, 1.0], atol=1e-9)
    assert grid.shape == (4, 3, 5)


def test_the_slice_vector_orders_slices(write):
    def edit(ds: Dataset) -> None:
        frames = [ds.PixelData[n * 30 : n * 30 + 30] for n in range(4)]
        ds.SliceVector = [3, 1, 4, 2]
        ds.PixelData = b"".join(frames[n - 1] for n in (3, 1, 4, 2))

    path = scan(write, edit=edit)
    found = np.asarray(calibrated(path, context_of(path, "99mTc")).values)[0]
    np.testing.assert_allclose(found, flat() * 2 ** (-LENGTH_S / 2 / TC99M), atol=8e4 / 32760)


def test_positron_fractions_do_not_concern_single_photons(write):
    # A study's PET constants hold for its SPECT too.
    for constants in ({"branching_applied": "no"}, {"branching_fraction_scanner": 0.184}):
        path = scan(write)
        found = calibrated(path, context_of(path, "99mTc", constants=constants))
        np.testing.assert_allclose(np.asarray(found.values)[0], flat() * 2 ** (-LENGTH_S / 2 / TC99M), atol=8e4 / 32760)


def test_scan_days_after_the_injection(write):
    injection = START - timedelta(days=6)
    level = flat() * 2 ** (-6 * 86400 / IN111)
    path = write("nm", image_of(level, [(0, LENGTH_S)], IN111), nuclide="111In", injection=injection)
    found = calibrated(path, context_of(path, "111In", dose_time=injection))
    np.testing.assert_allclose(np.asarray(found.values)[0], flat() * 2 ** (-(6 * 86400 + LENGTH_S / 2) / IN111), atol=8e4 / 32760)
    assert statuses(found.findings)["injection_time"] == "ok"


def drop(*keywords: str) -> Callable[[Dataset], None]:
    def edit(ds: Dataset) -> None:
        for keyword in keywords:
            delattr(ds, keyword)

    return edit


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda ds: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]), "not_reconstructed"),
        (lambda ds: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY"]), "not_reconstructed"),
        (lambda ds: setattr(ds, "EnergyWindowVector", [1, 1, 2, 2]), "several_energy_windows"),
        (lambda ds: setattr(ds, "SliceVector", [1, 2, 2, 4]), "missing_slice"),
        (lambda ds: setattr(ds, "SliceVector", [1, 2, 3]), "missing_slice"),
        (lambda ds: setattr(ds, "TimeSliceVector", [1, 1, 2, 2]), "missing_slice"),
        (drop("DetectorInformationSequence"), "geometry_missing"),
        (lambda ds: delattr(ds.DetectorInformationSequence[0], "ImagePositionPatient"), "geometry_missing"),
        (drop("SpacingBetweenSlices"), "geometry_missing"),
        (lambda ds: setattr(ds, "SpacingBetweenSlices", "0"), "geometry_missing"),
        (drop("PixelSpacing"), "geometry_missing"),
        (drop("RotationInformationSequence"), "acquisition_time_missing"),
        (drop("AcquisitionTime"), "acquisition_time_missing"),
        (lambda ds: setattr(ds, "RealWorldValueMappingSequence", []), "spect_not_calibrated"),
        (lambda ds: setattr(ds.RealWorldValueMappingSequence[0], "RealWorldValueIntercept", 2.0), "rescale_intercept"),
        (lambda ds: setattr(ds.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0], "CodeValue", "cps"), "real_world_map"),
        (lambda ds: setattr(ds, "NumberOfFrames", 5), "truncated_pixels"),
    ],
)
def test_what_leaves_more_than_one_answer_is_refused(write, edit, code):
    refused(scan(write, edit=edit), code)


@pytest.mark.parametrize(("edit", "constants"), [(None, {}), (drop("RotationInformationSequence"), CONSTANTS)])
def test_counts_without_sensitivity_or_time_are_refused(write, edit, constants):
    error = refused(scan(write, **COUNTS, edit=edit), "spect_not_calibrated", constants=constants)
    assert "sensitivity_cps_per_bq" in error.expected


def test_the_sheet_can_give_the_start(write):
    path = scan(write, edit=drop("AcquisitionTime", "AcquisitionDate"))
    assert calibrated(path, context_of(path, "99mTc", acquired=START)).times.origin == START
