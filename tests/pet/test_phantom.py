"""The PET phantom: what is written is the truth, by pydicom and numpy by hand, never by the code that reads scans."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from tracker.digital import DigitalStudy, animal_rates, digital_study, organ_shares, write_organs
from tracker.errors import InputError
from tracker.image import Grid, voxel_volume_ml
from tracker.mouse import mouse_grid, mouse_labels
from tracker.pet.phantom import (
    WRITERS,
    Degradation,
    PetImage,
    PetTruth,
    ScanOptions,
    Slot,
    concentration_at_dose,
    map_fractions,
    net_dose_bq,
    pet_phantom,
    scan,
    write_acquisition,
    write_classic,
    write_enhanced,
    write_nifti_bids,
    write_nm,
    write_scan_raw,
    write_study_raw,
)
from tracker.pet.phantom.study import nuclide_key
from tracker.study.load import load_study
from tracker.study.model import Config, Corrections, Organs, Study
from tracker.study.rows import Acquisition, Dose, Label, Subject

F18_S, ZR89_S = 6586.2, 282276.0  # ICRP 107
INJECTION = datetime(2026, 3, 2, 9, 30)
FRAME = Slot(3600.0, 3600.0)
OPTIONS = ScanOptions(INJECTION + timedelta(hours=1), INJECTION, nuclide="18F", dose_bq=8e6, weight_kg=0.025)


@pytest.fixture(scope="module")
def truth() -> PetTruth:
    grid = mouse_grid(25.0, 2.0)
    names, fractions = map_fractions(mouse_labels(25.0, grid))
    return PetTruth(grid, names, fractions, np.linspace(1e5, 1e6, len(names)), F18_S)


@pytest.fixture(scope="module")
def noisy(truth: PetTruth) -> PetImage:
    return scan(truth, [[FRAME]], 3600.0, Degradation(noise_percent=10.0, seed=2))


@pytest.fixture(scope="module")
def image(truth: PetTruth) -> PetImage:
    return scan(truth, [[FRAME]], 3600.0)


def decay(half_life_s: float, seconds: float) -> float:
    return float(np.exp(-np.log(2.0) * seconds / half_life_s))


def mean_by_sum(half_life_s: float, duration_s: float) -> float:
    """Mean over a frame by the midpoint rule: 1e5 steps are exact to 1e-10 for frames of an half-life."""
    t = (np.arange(100_000) + 0.5) / 100_000 * duration_s
    return float(np.mean(0.5 ** (t / half_life_s)))


def load(paths: tuple[Path, ...]) -> list[pydicom.Dataset]:
    return sorted((pydicom.dcmread(p) for p in paths), key=lambda d: (float(d.FrameReferenceTime), float(d.ImagePositionPatient[2])))


def stack(slices: list[pydicom.Dataset]) -> np.ndarray:
    return np.stack([d.pixel_array * float(d.RescaleSlope) for d in slices])


def worst_slope(slices: list[pydicom.Dataset]) -> float:
    return max(float(d.RescaleSlope) for d in slices)


DEMO = Path(__file__).parents[2]


# --- the image -------------------------------------------------------------------------------------------------------


def test_activity_is_where_it_should_be(truth: PetTruth) -> None:
    at_dose = concentration_at_dose(truth)
    for n, name in enumerate(truth.names):
        inside = truth.fractions[n] > 0
        assert at_dose[inside].sum() * voxel_volume_ml(truth.grid) == pytest.approx(truth.activity_bq[n]), name
        assert np.ptp(at_dose[inside]) == pytest.approx(0.0, abs=1e-6 * at_dose.max())


def test_frame_is_the_mean_over_its_time(truth: PetTruth, image: PetImage) -> None:
    want = concentration_at_dose(truth) * decay(F18_S, 3600.0) * mean_by_sum(F18_S, 3600.0)
    assert image.values[0] == pytest.approx(want, rel=1e-8)


def test_organ_without_voxels_is_an_error(truth: PetTruth) -> None:
    fractions = truth.fractions.copy()
    fractions[0] = 0.0
    with pytest.raises(ValueError, match="no voxel"):
        concentration_at_dose(replace(truth, fractions=fractions))


def test_nothing_in_nothing_out_and_twice_in_twice_out(truth: PetTruth) -> None:
    how = Degradation(psf_fwhm_mm=3.0, calibration_error=1.1)
    zero = scan(replace(truth, activity_bq=np.zeros(len(truth.names))), [[FRAME]], 3600.0, replace(how, noise_percent=10.0))
    assert not zero.values.any()
    one, two = (scan(replace(truth, activity_bq=k * truth.activity_bq), [[FRAME]], 3600.0, how).values for k in (1, 2))
    assert two == pytest.approx(2 * one)


def test_blur_keeps_activity_and_has_the_stated_width() -> None:
    grid = Grid((61, 51, 41), np.diag([0.5, 0.5, 0.8, 1.0]))
    fractions = np.zeros((1, *grid.shape), dtype=np.float32)
    fractions[0, 30, 25, 20] = 1.0
    point = PetTruth(grid, ("point",), fractions, np.array([1e4]), ZR89_S)
    seen = scan(point, [[Slot(0.0, 1.0)]], 0.0, Degradation(psf_fwhm_mm=3.0)).values[0]
    sharp = scan(point, [[Slot(0.0, 1.0)]], 0.0).values[0]
    assert seen.sum() == pytest.approx(sharp.sum(), rel=1e-9)
    # half the peak at half the FWHM: 1.5 mm is 3 voxels in x
    assert seen[30, 25, 23] / seen[30, 25, 20] == pytest.approx(0.5, rel=1e-9)
    z_mm = (np.arange(61) - 30) * 0.8
    profile = seen.sum(axis=(1, 2))
    assert np.sqrt(np.average(z_mm**2, weights=profile)) * 2.3548 == pytest.approx(3.0, rel=1e-4)


def noise_of_a_block(how: Degradation) -> tuple[np.ndarray, float]:
    grid = Grid((40, 40, 40), np.diag([1.0, 1.0, 1.0, 1.0]))
    block = PetTruth(grid, ("block",), np.ones((1, 40, 40, 40), dtype=np.float32), np.array([6.4e6]), ZR89_S)
    level = scan(block, [[Slot(0.0, 1.0)]], 0.0).values[0]
    return scan(block, [[Slot(0.0, 1.0)]], 0.0, how).values[0] - level, float(level.mean())


@pytest.mark.parametrize("fwhm_mm", [0.0, 3.0])
def test_noise_level(fwhm_mm: float) -> None:
    noise, level = noise_of_a_block(Degradation(noise_percent=10.0, noise_fwhm_mm=fwhm_mm, seed=3))
    # 64 000 voxels; with a grain of (3 mm)³ · 3.3 about 700 are independent: sd of an sd 2.7 %, 4 of them allowed
    assert noise.std() / level == pytest.approx(0.10, rel=0.11 if fwhm_mm else 0.012)


def test_noise_correlation() -> None:
    noise, _ = noise_of_a_block(Degradation(noise_percent=10.0, noise_fwhm_mm=3.0, seed=4))
    sigma = 3.0 / 2.3548
    for shift in (1, 2, 3):
        measured = np.mean([np.mean(noise * np.roll(noise, shift, axis)) for axis in range(3)]) / noise.var()
        assert measured == pytest.approx(np.exp(-(shift**2) / (4 * sigma**2)), abs=0.05)  # 1/sqrt(700 independent) ≈ 0.04


def test_noise_grows_with_the_root_of_activity() -> None:
    grid = Grid((40, 40, 40), np.eye(4))
    fractions = np.zeros((2, 40, 40, 40), dtype=np.float32)
    fractions[0, :20], fractions[1, 20:] = 1.0, 1.0
    both = PetTruth(grid, ("low", "high"), fractions, np.array([1e5, 9e5]), ZR89_S)
    level = scan(both, [[Slot(0.0, 1.0)]], 0.0).values[0]
    noise = scan(both, [[Slot(0.0, 1.0)]], 0.0, Degradation(noise_percent=5.0, seed=1)).values[0] - level
    assert noise[20:].std() / noise[:20].std() == pytest.approx(3.0, rel=0.03)  # 32 000 voxels each: 0.6 % sd of the ratio


def test_calibration_error_is_a_factor(truth: PetTruth, image: PetImage) -> None:
    assert scan(truth, [[FRAME]], 3600.0, Degradation(calibration_error=1.07)).values == pytest.approx(1.07 * image.values)


# --- classic ---------------------------------------------------------------------------------------------------------


def test_classic_class_slopes_and_values(tmp_path: Path, truth: PetTruth, noisy: PetImage) -> None:
    paths = write_classic(tmp_path, noisy, OPTIONS)
    slices = load(paths)
    assert len(slices) == truth.grid.shape[0]
    assert {d.SOPClassUID.name for d in slices} == {"Positron Emission Tomography Image Storage"}
    assert {d.file_meta.TransferSyntaxUID.name for d in slices} == {"Explicit VR Little Endian"}
    assert len({d.SOPInstanceUID for d in slices}) == len(slices)
    filled = [d for d in slices if d.pixel_array.any()]
    assert len({float(d.RescaleSlope) for d in filled}) == len(filled) > 20
    assert {float(d.RescaleIntercept) for d in slices} == {0.0}
    # corrected to the scan's start: the value is the concentration at that instant
    want = noisy.values[0] / mean_by_sum(F18_S, 3600.0)
    assert np.abs(stack(slices) - want).max() <= 0.5001 * worst_slope(slices)


def test_classic_geometry(tmp_path: Path, truth: PetTruth, image: PetImage) -> None:
    first = load(write_classic(tmp_path, image, OPTIONS))[0]
    row, column = np.array(first.ImageOrientationPatient[:3]), np.array(first.ImageOrientationPatient[3:])
    j, i = 5, 3
    lps = np.array(first.ImagePositionPatient) + i * first.PixelSpacing[1] * row + j * first.PixelSpacing[0] * column
    want = truth.grid.affine @ [i, j, 0, 1]
    assert lps * [-1, -1, 1] == pytest.approx(want[:3])


@pytest.mark.parametrize("edge", ["START", "ADMIN", "NONE"])
def test_classic_decay_correction(tmp_path: Path, truth: PetTruth, image: PetImage, edge: str) -> None:
    slices = load(write_classic(tmp_path, image, replace(OPTIONS, decay_correction=edge)))
    at_dose = concentration_at_dose(truth)
    want = {
        "START": at_dose * decay(F18_S, 3600.0),
        "ADMIN": at_dose,
        "NONE": at_dose * decay(F18_S, 3600.0) * mean_by_sum(F18_S, 3600.0),
    }[edge]
    assert np.abs(stack(slices) - want).max() <= 0.5001 * worst_slope(slices)
    assert ("DECY" in slices[0].CorrectedImage) == (edge != "NONE")
    if edge == "START":
        assert float(slices[0].DecayFactor) == pytest.approx(1.20136974, rel=1e-8)  # golden number of physics 2.1
    if edge == "NONE":
        assert "DecayFactor" not in slices[0]


def test_other_half_life_is_stated_and_used(tmp_path: Path, image: PetImage) -> None:
    slices = load(write_classic(tmp_path, image, replace(OPTIONS, half_life_s=6000.0)))
    assert float(slices[0].RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife) == 6000.0
    assert np.abs(stack(slices) - image.values[0] / mean_by_sum(6000.0, 3600.0)).max() <= 0.5001 * worst_slope(slices)


def test_post_processed_series(tmp_path: Path, image: PetImage) -> None:
    plain = load(write_classic(tmp_path / "a", image, OPTIONS))
    later = load(write_classic(tmp_path / "b", image, replace(OPTIONS, series_later_s=5400.0)))
    assert later[0].SeriesTime == "120000.000000"
    assert later[0].AcquisitionTime == plain[0].AcquisitionTime == "103000.000000"
    assert stack(later) == pytest.approx(stack(plain))
    # the reference the pixels are valid at is the old start: acquisition - FrameReferenceTime + T_ave
    assert float(later[0].FrameReferenceTime) / 1000 == pytest.approx(1743.2370, abs=1e-3)  # golden T_ave, frame at the start


def test_philips_counts(tmp_path: Path, truth: PetTruth, image: PetImage) -> None:
    slices = load(write_classic(tmp_path, image, replace(OPTIONS, units="CNTS", activity_factor=2.5)))
    assert slices[0][0x7053, 0x0010].value == "Philips PET Private Group"
    to_bq, to_suv = float(slices[0][0x7053, 0x1009].value), float(slices[0][0x7053, 0x1000].value)
    want = concentration_at_dose(truth) * decay(F18_S, 3600.0)
    assert np.abs(stack(slices) * to_bq - want).max() <= 0.5001 * worst_slope(slices) * to_bq
    dose_now = 8e6 * decay(F18_S, 3600.0)
    assert stack(slices).max() * to_suv == pytest.approx(want.max() * 25.0 / dose_now, rel=1e-4)  # one of 32 760 steps is 3e-5


def test_philips_factor_is_zero_where_there_is_none(tmp_path: Path, image: PetImage) -> None:
    slices = load(write_classic(tmp_path, image, replace(OPTIONS, units="CNTS", weight_kg=None)))
    assert float(slices[0][0x7053, 0x1000].value) == 0.0
    assert "PatientWeight" not in slices[0]


def test_suv(tmp_path: Path, truth: PetTruth, image: PetImage) -> None:
    slices = load(write_classic(tmp_path, image, replace(OPTIONS, units="GML")))
    assert (slices[0].Units, slices[0].SUVType) == ("GML", "BW")
    want = concentration_at_dose(truth) * 25.0 / 8e6  # dose and tissue decay alike
    assert np.abs(stack(slices) - want).max() <= 0.5001 * worst_slope(slices)


@pytest.mark.parametrize("wrong", [{"dose_bq": None}, {"weight_kg": None}, {"decay_correction": "NONE"}])
def test_suv_needs_dose_weight_and_reference(tmp_path: Path, image: PetImage, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="SUV needs"):
        write_classic(tmp_path, image, replace(OPTIONS, units="GML", **wrong))


def test_dynamic(tmp_path: Path, truth: PetTruth) -> None:
    slots = [Slot(3600.0, 60.0), Slot(3660.0, 600.0), Slot(4260.0, 3600.0)]
    nz = truth.grid.shape[0]
    slices = load(
        write_classic(tmp_path, scan(truth, [[s] for s in slots], 3600.0), replace(OPTIONS, decay_correction="NONE", shuffled=True))
    )
    assert slices[0].SeriesType[0] == "DYNAMIC"
    assert slices[0].NumberOfTimeSlices == 3
    assert len(slices) == 3 * nz
    for t, slot in enumerate(slots):
        frame = slices[t * nz : (t + 1) * nz]
        assert {d.ActualFrameDuration for d in frame} == {slot.duration_s * 1000}
        want = concentration_at_dose(truth) * decay(F18_S, slot.start_s) * mean_by_sum(F18_S, slot.duration_s)
        assert np.abs(stack(frame) - want).max() <= 0.5001 * worst_slope(frame)


def test_shuffled_names_are_not_in_order(tmp_path: Path, image: PetImage) -> None:
    z = [float(pydicom.dcmread(p).ImagePositionPatient[2]) for p in write_classic(tmp_path, image, replace(OPTIONS, shuffled=True))]
    assert z != sorted(z)


def test_two_beds(tmp_path: Path, truth: PetTruth) -> None:
    nz = truth.grid.shape[0]
    cut = nz // 2
    beds = [Slot(3600.0, 600.0, 0, cut - 1), Slot(4300.0, 600.0, cut, nz - 1)]
    picture = scan(truth, [beds], 3600.0)
    slices = sorted(
        (pydicom.dcmread(p) for p in write_classic(tmp_path / "n", picture, replace(OPTIONS, decay_correction="NONE"))),
        key=lambda d: d.ImagePositionPatient[2],
    )
    assert slices[0].SeriesType[0] == "WHOLE BODY"
    assert (slices[0].AcquisitionTime, slices[-1].AcquisitionTime) == ("103000.000000", "104140.000000")
    at_dose = concentration_at_dose(truth)
    mean = mean_by_sum(F18_S, 600.0)
    want = np.concatenate([at_dose[:cut] * decay(F18_S, 3600.0) * mean, at_dose[cut:] * decay(F18_S, 4300.0) * mean])
    assert np.abs(stack(slices) - want).max() <= 0.5001 * worst_slope(slices)
    corrected = sorted(
        (pydicom.dcmread(p) for p in write_classic(tmp_path / "s", picture, OPTIONS)), key=lambda d: d.ImagePositionPatient[2]
    )
    assert np.abs(stack(corrected) - at_dose * decay(F18_S, 3600.0)).max() <= 0.5001 * worst_slope(corrected)


def test_header_of_the_dose(tmp_path: Path, image: PetImage) -> None:
    first = load(write_classic(tmp_path, image, replace(OPTIONS, timezone="+0100")))[0]
    item = first.RadiopharmaceuticalInformationSequence[0]
    assert float(item.RadionuclideTotalDose) == 8e6  # Bq in PET
    assert item.RadiopharmaceuticalStartDateTime == "20260302093000.000000+0100"
    assert item.RadiopharmaceuticalStartTime == "093000.000000"
    assert (item.RadionuclideCodeSequence[0].CodeValue, item.RadionuclideCodeSequence[0].CodeMeaning) == ("77004003", "^18^Fluorine")
    assert float(first.PatientWeight) == 0.025
    assert first.TimezoneOffsetFromUTC == "+0100"


def test_negative_values_survive(tmp_path: Path, truth: PetTruth) -> None:
    picture = scan(truth, [[FRAME]], 3600.0, Degradation(noise_percent=200.0, seed=5))
    slices = load(write_classic(tmp_path, picture, OPTIONS))
    assert picture.values.min() < 0
    assert stack(slices).min() == pytest.approx(picture.values.min() / mean_by_sum(F18_S, 3600.0), rel=1e-3)


def test_edit_damages_every_file(tmp_path: Path, image: PetImage) -> None:
    def drop(ds: pydicom.Dataset) -> None:
        del ds.Units
        ds.PatientID = "other"

    slices = load(write_classic(tmp_path, image, replace(OPTIONS, edit=drop)))
    assert all("Units" not in d and d.PatientID == "other" for d in slices)


@pytest.mark.parametrize("wrong", [{"units": "PROPCPS"}, {"decay_correction": "start"}, {"nuclide": "X"}, {"real_world": "maybe"}])
def test_unknown_options_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not one of"):
        replace(OPTIONS, **wrong)


# --- enhanced --------------------------------------------------------------------------------------------------------


def frames_of(ds: pydicom.Dataset) -> list[tuple[pydicom.Dataset, np.ndarray]]:
    pairs = zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True)
    return sorted(pairs, key=lambda p: list(p[0].FrameContentSequence[0].DimensionIndexValues))


@pytest.mark.parametrize("shuffled", [False, True])
def test_enhanced_frames(tmp_path: Path, truth: PetTruth, shuffled: bool) -> None:
    slots = [Slot(3600.0, 600.0), Slot(4200.0, 1200.0)]
    picture = scan(truth, [[s] for s in slots], 3600.0, Degradation(noise_percent=10.0, seed=2))
    (path,) = write_enhanced(tmp_path, picture, replace(OPTIONS, shuffled=shuffled))
    ds = pydicom.dcmread(path)
    nz = truth.grid.shape[0]
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.130"
    assert (ds.NumberOfFrames, ds.DecayCorrected, ds.DecayCorrectionDateTime) == (2 * nz, "YES", "20260302103000.000000")
    frames = frames_of(ds)
    want = [
        v * 0.5 ** (-(s.start_s - 3600.0) / F18_S) / mean_by_sum(F18_S, s.duration_s) for v, s in zip(picture.values, slots, strict=True)
    ]
    slopes = [float(g.PixelValueTransformationSequence[0].RescaleSlope) for g, _ in frames]
    filled = [s for s, (_, p) in zip(slopes, frames, strict=True) if p.any()]
    assert len(set(filled)) == len(filled) > nz
    for n, (groups, pixels) in enumerate(frames):
        t, z = divmod(n, nz)
        content = groups.FrameContentSequence[0]
        assert content.FrameAcquisitionDuration == slots[t].duration_s * 1000
        assert content.FrameAcquisitionDateTime == ("20260302103000.000000", "20260302104000.000000")[t]
        x, y, height = groups.PlanePositionSequence[0].ImagePositionPatient
        assert [-x, -y, height] == pytest.approx((truth.grid.affine @ [0, 0, z, 1])[:3])
        assert np.abs(pixels * slopes[n] - want[t][z]).max() <= 0.5001 * slopes[n]
        assert groups.RealWorldValueMappingSequence[0].RealWorldValueSlope == pytest.approx(slopes[n], rel=1e-9)
        assert groups.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "Bq/ml"


def test_enhanced_real_world_only(tmp_path: Path, truth: PetTruth, image: PetImage) -> None:
    (path,) = write_enhanced(tmp_path, image, replace(OPTIONS, real_world="only"))
    want = concentration_at_dose(truth) * decay(F18_S, 3600.0)
    for z, (groups, pixels) in enumerate(frames_of(pydicom.dcmread(path))):
        assert float(groups.PixelValueTransformationSequence[0].RescaleSlope) == 1.0
        slope = groups.RealWorldValueMappingSequence[0].RealWorldValueSlope
        assert np.abs(pixels * slope - want[z]).max() <= 0.5001 * slope


def test_enhanced_without_mapping_or_decay_correction(tmp_path: Path, image: PetImage) -> None:
    (path,) = write_enhanced(tmp_path, image, replace(OPTIONS, real_world="none", decay_correction="NONE", corrected=("ATTN",)))
    ds = pydicom.dcmread(path)
    assert "RealWorldValueMappingSequence" not in ds.PerFrameFunctionalGroupsSequence[0]
    assert ds.DecayCorrected == "NO"
    assert "DecayCorrectionDateTime" not in ds
    assert (ds.AttenuationCorrected, ds.ScatterCorrected) == ("YES", "NO")
    item = ds.RadiopharmaceuticalInformationSequence[0]
    assert item.RadiopharmaceuticalStartDateTime.startswith("20260302093000")


def test_enhanced_is_in_bqml_only(tmp_path: Path, image: PetImage) -> None:
    with pytest.raises(ValueError, match="BQML only"):
        write_enhanced(tmp_path, image, replace(OPTIONS, units="CNTS"))


# --- NM --------------------------------------------------------------------------------------------------------------

NM = replace(OPTIONS, nuclide="99mTc", decay_correction="NONE")


def test_nm_real_world(tmp_path: Path, truth: PetTruth, image: PetImage) -> None:
    (path,) = write_nm(tmp_path, image, NM)
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID.name == "Nuclear Medicine Image Storage"
    assert list(ds.ImageType)[2] == "RECON TOMO"
    assert ds.FrameIncrementPointer == 0x00540080
    assert list(ds.SliceVector) == list(range(1, truth.grid.shape[0] + 1))
    assert "RescaleSlope" not in ds
    slope = ds.RealWorldValueMappingSequence[0].RealWorldValueSlope
    assert np.abs(ds.pixel_array * slope - image.values[0]).max() <= 0.5001 * slope
    detector = ds.DetectorInformationSequence[0]
    assert np.array(detector.ImagePositionPatient) * [-1, -1, 1] == pytest.approx(truth.grid.affine[:3, 3])
    assert float(ds.SpacingBetweenSlices) == 2.0
    assert float(ds.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose) == pytest.approx(8.0)  # MBq in NM
    rotation = ds.RotationInformationSequence[0]
    assert rotation.ActualFrameDuration * rotation.NumberOfFramesInRotation == 3600_000
    assert "DECY" not in ds.CorrectedImage


def test_nm_counts(tmp_path: Path, image: PetImage) -> None:
    (path,) = write_nm(tmp_path, image, replace(NM, sensitivity_cps_per_bq=1e-4))
    ds = pydicom.dcmread(path)
    per_bq_ml = 3600.0 * 1e-4 * 0.008  # time [s] · sensitivity · 8 mm³ in mL
    assert ds.pixel_array.dtype == np.uint16
    assert ds.pixel_array.max() > 1000
    assert np.abs(ds.pixel_array - image.values[0] * per_bq_ml).max() <= 0.5001
    assert "RealWorldValueMappingSequence" not in ds


def test_nm_decay_corrected(tmp_path: Path, image: PetImage) -> None:
    (path,) = write_nm(tmp_path, image, replace(NM, decay_correction="START"))
    ds = pydicom.dcmread(path)
    slope = ds.RealWorldValueMappingSequence[0].RealWorldValueSlope
    assert ds.pixel_array.max() * slope == pytest.approx(image.values.max() / mean_by_sum(21654.0, 3600.0), rel=1e-4)
    assert "DECY" in ds.CorrectedImage


@pytest.mark.parametrize("wrong", [{"decay_correction": "ADMIN"}, {"sensitivity_cps_per_bq": 1e3}])
def test_nm_refuses(tmp_path: Path, image: PetImage, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"NM can only|do not fit"):
        write_nm(tmp_path, image, replace(NM, **wrong))


def test_nm_refuses_corrected_counts_and_frames(tmp_path: Path, truth: PetTruth, image: PetImage) -> None:
    with pytest.raises(ValueError, match="no decay correction"):
        write_nm(tmp_path, image, replace(NM, decay_correction="START", sensitivity_cps_per_bq=1e-4))
    with pytest.raises(ValueError, match="one frame"):
        write_nm(tmp_path, scan(truth, [[FRAME], [Slot(7200.0, 60.0)]], 3600.0), NM)


# --- NIfTI -----------------------------------------------------------------------------------------------------------


def test_bids(tmp_path: Path, truth: PetTruth, image: PetImage) -> None:
    nifti, sidecar, scans = write_nifti_bids(tmp_path, image, OPTIONS)
    got = nib.load(nifti)
    want = concentration_at_dose(truth) * decay(F18_S, 3600.0)
    # float32 holds 24 bits
    assert np.transpose(got.get_fdata())[0] == pytest.approx(want, rel=1e-6)
    assert got.affine == pytest.approx(truth.grid.affine)
    record = json.loads(sidecar.read_text())
    assert record["Units"] == "Bq/mL"
    assert (record["TimeZero"], record["ScanStart"], record["InjectionStart"]) == ("10:30:00", 0.0, -3600.0)
    assert (record["FrameTimesStart"], record["FrameDuration"]) == ([0.0], [3600.0])
    assert (record["ImageDecayCorrected"], record["ImageDecayCorrectionTime"]) == (True, 0.0)
    assert (record["InjectedRadioactivity"], record["InjectedRadioactivityUnits"]) == (8e6, "Bq")
    assert record["TracerRadionuclide"] == "F18"
    assert scans.read_text().splitlines()[1].endswith("2026-03-02T10:30:00")


def test_bids_decay_to_the_injection(tmp_path: Path, truth: PetTruth, image: PetImage) -> None:
    nifti, sidecar, _ = write_nifti_bids(tmp_path, image, replace(OPTIONS, decay_correction="ADMIN"))
    assert json.loads(sidecar.read_text())["ImageDecayCorrectionTime"] == -3600.0
    assert np.transpose(nib.load(nifti).get_fdata())[0] == pytest.approx(concentration_at_dose(truth), rel=1e-6)


def test_radionuclide_names_of_bids(tmp_path: Path, image: PetImage) -> None:
    for nuclide, name in (("89Zr", "Zr89"), ("64Cu", "Cu64"), ("99mTc", "Tc99m")):
        _, sidecar, _ = write_nifti_bids(tmp_path, image, replace(OPTIONS, nuclide=nuclide))
        assert json.loads(sidecar.read_text())["TracerRadionuclide"] == name


def test_organ_map(tmp_path: Path) -> None:
    organs = mouse_labels(25.0, mouse_grid(25.0, 2.0))
    table = write_organs(tmp_path / "organs.nii.gz", organs)
    assert table == tmp_path / "organs.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert rows[0] == ["index", "name"]
    assert {int(n): name for n, name in rows[1:]} == organs.names
    got = nib.load(tmp_path / "organs.nii.gz")
    assert np.array_equal(np.transpose(np.asarray(got.dataobj)), organs.labels)
    assert got.affine == pytest.approx(organs.grid.affine)


# --- all formats -----------------------------------------------------------------------------------------------------


def digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return hashlib.sha256(b"".join(p.relative_to(folder).as_posix().encode() + p.read_bytes() for p in files)).hexdigest()


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_same_seed_same_bytes(tmp_path: Path, truth: PetTruth, kind: str) -> None:
    options = replace(OPTIONS, decay_correction="NONE")
    pictures = [scan(truth, [[FRAME]], 3600.0, Degradation(noise_percent=5.0, noise_fwhm_mm=4.0, seed=s)) for s in (1, 1, 2)]
    for name, picture in zip("abc", pictures, strict=True):
        assert all(p.is_file() for p in write_acquisition(tmp_path / name, picture, options, kind))
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_input_is_not_changed(tmp_path: Path, truth: PetTruth) -> None:
    picture = scan(truth, [[FRAME]], 3600.0)
    before = picture.values.copy()
    for kind in sorted(WRITERS):
        write_acquisition(tmp_path / kind, picture, replace(OPTIONS, decay_correction="NONE"), kind)
    assert np.array_equal(picture.values, before)


# --- a digital study -------------------------------------------------------------------------------------------------


def make_study(root: Path, **phantom: object) -> Study:
    sessions = {"h001": 1.0, "h024": 24.0}
    shared = {f.name for f in fields(DigitalStudy)}
    section: dict[str, object] = {"seed": 5, "voxel_mm": 2.0, "session_hours": sessions}
    section |= {key: value for key, value in phantom.items() if key in shared}
    section["pet"] = {key: value for key, value in phantom.items() if key not in shared}
    config = Config("digital", Organs(), Corrections(), (), {}, section)
    at = datetime(2026, 3, 2, 9)
    dose = Dose("", at, "zr", 5e5, "intravenous", amount=4e5, amount_unit="Bq", assay_time=at - timedelta(hours=1),
                residual_amount=2e4, residual_time=at + timedelta(minutes=10))  # fmt: skip
    label = Label("zr", "radionuclide", "Zr-89", True, 96.0, retention_half_time_h=140.0)
    animals = (("a1", 23.0, "healthy"), ("a2", 27.0, "injured"))
    rows = tuple(
        Acquisition(a, s, "pet", root / a / s / "pet", f"{a}_{s}", label="zr", organs=root / a / s / "organs.nii.gz")
        for a, *_ in animals
        for s in sessions
    )
    subjects = tuple(Subject(a, "mouse", w, group=g) for a, w, g in animals)
    return Study(config, root / "config.yaml", root, subjects, tuple(replace(dose, subject=a) for a, *_ in animals), (label,), rows)


def truth_of(path: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    with path.open(newline="") as file:
        return {(r["subject"], r["session"], r["organ"]): r for r in csv.DictReader(file)}


def test_study_read_back_by_hand(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    rows = truth_of(write_study_raw(study))
    half_frame = 600.0
    for a in study.acquisitions:
        files = sorted(a.path.iterdir())
        if a.session == "h001":  # classic first, then enhanced
            slices = load(tuple(files))
            at_start, step = stack(slices), worst_slope(slices)
        else:
            frames = frames_of(pydicom.dcmread(files[0]))
            slopes = [float(g.PixelValueTransformationSequence[0].RescaleSlope) for g, _ in frames]
            at_start, step = np.stack([p * s for s, (_, p) in zip(slopes, frames, strict=True)]), max(slopes)
        labels = np.transpose(np.asarray(nib.load(str(a.organs)).dataobj))
        names = [line.split("\t") for line in (a.organs.parent / "organs.tsv").read_text().splitlines()[1:]] if a.organs else []
        for index, organ in names:
            row = rows[a.subject, a.session, organ]
            inside = labels == int(index)
            assert inside.sum() * 0.008 == pytest.approx(float(row["volume_ml"]))
            got = at_start[inside].sum() * 0.008 * decay(ZR89_S, half_frame)
            # every voxel is within half a step of its slope
            assert got == pytest.approx(float(row["activity_bq"]), abs=0.5001 * step * inside.sum() * 0.008 + 1e-6 * got)
            assert float(row["concentration_bq_per_ml"]) == pytest.approx(float(row["activity_bq"]) / float(row["volume_ml"]), rel=1e-6)
            seconds = float(row["time_h"]) * 3600
            assert float(row["label_amount_bq"]) * decay(ZR89_S, seconds) == pytest.approx(float(row["activity_bq"]), rel=1e-6)


def test_study_dose_and_shares(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    rows = truth_of(write_study_raw(study))
    net = 4e5 * decay(ZR89_S, 3600.0) - 2e4 / decay(ZR89_S, 600.0)  # assayed 1 h before, residual 10 min after
    assert net_dose_bq(study.doses[0], ZR89_S) == pytest.approx(net)
    early = [r for (s, t, _), r in rows.items() if (s, t) == ("a1", "h001")]
    total = sum(float(r["injected_percent"]) for r in early)
    assert 98.0 < total <= 100.0  # an hour: hardly anything has left the body
    assert sum(float(r["label_amount_bq"]) for r in early) == pytest.approx(net * total / 100)
    assert all(float(r["time_h"]) == pytest.approx(1 + 1 / 6) for r in early)
    lung = [r for r in early if r["organ"].startswith("lung")]
    assert sum(float(r["injected_percent"]) for r in lung) > 50
    per_cell = net / 5e5 * 0.5 ** ((7 / 6) / 96) * 0.5 ** ((7 / 6) / 140)
    assert float(lung[0]["cells_equivalent"]) == pytest.approx(float(lung[0]["label_amount_bq"]) / per_cell, rel=1e-6)
    assert float(lung[0]["cells"]) < float(lung[0]["cells_equivalent"])  # label of dead cells is still there


def test_study_header_is_what_a_console_knows(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    write_scan_raw(study, study.acquisitions[0])
    first = pydicom.dcmread(next(iter(sorted(study.acquisitions[0].path.iterdir()))))
    item = first.RadiopharmaceuticalInformationSequence[0]
    assert float(item.RadionuclideTotalDose) == pytest.approx(4e5 * decay(ZR89_S, 3600.0), rel=1e-9)  # residual not taken off
    assert (first.PatientID, float(first.PatientWeight)) == ("a1", 0.023)
    assert (first.AcquisitionDate, first.AcquisitionTime) == ("20260302", "100000.000000")


def test_injured_kidneys_hold_more(tmp_path: Path) -> None:
    rows = truth_of(write_study_raw(make_study(tmp_path)))
    healthy, injured = (float(rows[a, "h024", "kidney_left"]["injected_percent"]) for a in ("a1", "a2"))
    assert injured > 3 * healthy


def test_study_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    options = {"noise_percent": 10.0, "noise_fwhm_mm": 4.0, "variation_percent": 10.0, "calibration_cv_percent": 3.0}
    folders = [tmp_path / n for n in "abc"]
    for folder, seed in zip(folders, (1, 1, 2), strict=True):
        folder.mkdir()
        write_study_raw(make_study(folder, seed=seed, **options))
    assert digest(folders[0]) == digest(folders[1]) != digest(folders[2])


def test_calibration_factor_is_shared_by_the_scans_of_an_animal(tmp_path: Path) -> None:
    study = make_study(tmp_path, calibration_cv_percent=10.0, formats=["nifti"])
    exact = make_study(tmp_path / "exact", formats=["nifti"])
    ratio: dict[str, list[float]] = {}
    for a, b in zip(study.acquisitions, exact.acquisitions, strict=True):
        write_scan_raw(study, a)
        write_scan_raw(exact, b)
        one, two = (nib.load(next(x.path.glob("*.nii.gz"))).get_fdata().sum() for x in (a, b))
        ratio.setdefault(a.subject, []).append(float(one / two))
    assert ratio["a1"][0] == pytest.approx(ratio["a1"][1], rel=1e-5)  # float32
    assert abs(ratio["a1"][0] - ratio["a2"][0]) > 1e-4
    assert all(0.6 < r[0] < 1.6 for r in ratio.values())


def test_a_scan_takes_the_dose_of_its_own_label(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    iron = Dose("a1", study.doses[0].dose_time, "spio", 5e5, "intravenous", amount=6.0, amount_unit="ug")
    both = replace(study, doses=(iron, *study.doses), labels=(Label("spio", "iron", dilutes=True, doubling_time_h=96.0), *study.labels))
    assert write_scan_raw(both, both.acquisitions[0]) == write_scan_raw(study, study.acquisitions[0])


def test_animals_vary(tmp_path: Path) -> None:
    study = make_study(tmp_path, variation_percent=10.0)
    one, two = (animal_rates(digital_study(study), replace(study.subjects[0], subject=s)) for s in ("a1", "a9"))
    assert one.liver.extraction != two.liver.extraction
    assert one == animal_rates(digital_study(study), study.subjects[0])


def test_spect_rows_are_nm(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    row = replace(study.acquisitions[0], modality="spect")
    assert {r.modality for r in write_scan_raw(study, row)} == {"spect"}
    assert pydicom.dcmread(next(row.path.iterdir())).Modality == "NM"


def test_shares_of_compartments() -> None:
    shares = organ_shares(
        {"lung_left": 1.0, "lung_right": 3.0, "liver": 1.0, "spleen": 1.0, "kidney_left": 1.0, "kidney_right": 1.0, "gut": 2.0, "rest": 6.0}
    )
    assert shares.sum(axis=1) == pytest.approx(np.ones(6))
    assert shares[1, :2] == pytest.approx([0.25, 0.75])
    assert shares[0, -2:] == pytest.approx([0.25, 0.75])  # blood is spread like the rest


@pytest.mark.parametrize(
    ("text", "key"), [("Zr-89", "89Zr"), ("89Zr", "89Zr"), ("Tc-99m", "99mTc"), ("Tc99m", "99mTc"), ("x", ""), ("89", "")]
)
def test_nuclide_names(text: str, key: str) -> None:
    assert nuclide_key(text) == key


def _no_dose(s: Study) -> Study:
    return replace(s, doses=())


def _two_doses(s: Study) -> Study:
    return replace(s, doses=(*s.doses, s.doses[0]))


def _other_nuclide(s: Study) -> Study:
    return replace(s, labels=(replace(s.labels[0], nuclide="Xx-1"),))


def _no_session(s: Study) -> Study:
    return replace(s, config=replace(s.config, phantom=dict(s.config.phantom or {}) | {"session_hours": {"h999": 1.0}}))


def _unknown_key(s: Study) -> Study:
    return replace(s, config=replace(s.config, phantom=dict(s.config.phantom or {}) | {"voxels": 1.0}))


def _unknown_pet_key(s: Study) -> Study:
    return replace(s, config=replace(s.config, phantom=dict(s.config.phantom or {}) | {"pet": {"noise": 1.0}}))


def _unknown_format(s: Study) -> Study:
    return replace(s, config=replace(s.config, phantom=dict(s.config.phantom or {}) | {"pet": {"formats": ["classical"]}}))


def _doses_apart(s: Study) -> Study:
    later = replace(s.doses[0], label="spio", dose_time=s.doses[0].dose_time + timedelta(hours=1))
    return replace(s, doses=(*s.doses, later))


def _no_section(s: Study) -> Study:
    return replace(s, config=replace(s.config, phantom=None))


@pytest.mark.parametrize(
    "damage",
    [_no_dose, _two_doses, _doses_apart, _other_nuclide, _no_session, _unknown_key, _unknown_pet_key, _unknown_format, _no_section],
)
def test_wrong_study_is_an_input_error(tmp_path: Path, damage: Callable[[Study], Study]) -> None:
    study = damage(make_study(tmp_path))
    with pytest.raises(InputError, match=r"phantom_config|phantom_sheets"):
        write_scan_raw(study, study.acquisitions[0])


@pytest.mark.parametrize(("name", "scans"), [("config", 20), ("config/small", 4)])
def test_demo_studies_load(name: str, scans: int) -> None:
    study = load_study(DEMO / name / "config.yaml", check_paths=False)
    digital = digital_study(study)
    assert pet_phantom(study).formats == ("classic", "enhanced")
    assert len([a for a in study.acquisitions if a.modality == "pet"]) == scans
    assert {a.session for a in study.acquisitions} == set(digital.session_hours)
    assert {s.group for s in study.subjects} == {"healthy", digital.injured_group}
    weights = [s.body_weight_g for s in study.subjects]
    assert 22 <= min(weights) < max(weights) <= 28


def test_small_demo_is_written_where_its_rows_say(tmp_path: Path) -> None:
    shutil.copytree(DEMO / "config/small", tmp_path / "small", ignore=shutil.ignore_patterns("raw", "results", "phantom_truth.csv"))
    study = load_study(tmp_path / "small" / "config.yaml")
    rows = truth_of(write_study_raw(study))
    scans = [a for a in study.acquisitions if a.modality == "pet"]
    assert all(any(a.path.iterdir()) and a.organs is not None and a.organs.is_file() for a in scans)
    kinds = {a.session: {pydicom.dcmread(p, stop_before_pixels=True).SOPClassUID.name for p in a.path.iterdir()} for a in scans}
    assert kinds == {"h001": {"Positron Emission Tomography Image Storage"}, "h024": {"Enhanced PET Image Storage"}}
    lung, liver = (float(rows["m01", "h024", organ]["injected_percent"]) for organ in ("lung_left", "liver"))
    early_lung, early_liver = (float(rows["m01", "h001", organ]["injected_percent"]) for organ in ("lung_left", "liver"))
    assert early_lung > 2 * lung > 0
    assert liver > 2 * early_liver > 0


def test_voxels_too_coarse_for_an_organ(tmp_path: Path) -> None:
    study = make_study(tmp_path, voxel_mm=9.0)
    with pytest.raises(InputError, match="too coarse"):
        write_scan_raw(study, study.acquisitions[0])


def test_digital_study_is_made_anew_without_leftovers(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    row = study.acquisitions[0]
    write_scan_raw(study, row)
    many = len(list(row.path.iterdir()))
    write_scan_raw(make_study(tmp_path, voxel_mm=2.5), row)
    assert 0 < len(list(row.path.iterdir())) < many


@pytest.mark.parametrize("taken", ["pet/real.dcm", "organs.nii.gz"])
def test_real_data_are_never_written_over(tmp_path: Path, taken: str) -> None:
    study = make_study(tmp_path)
    row = study.acquisitions[0]
    real = row.path.parent / taken
    real.parent.mkdir(parents=True)
    real.write_text("precious")
    with pytest.raises(InputError, match="phantom_would_overwrite"):
        write_scan_raw(study, row)
    assert real.read_text() == "precious"
    assert [p for p in row.path.parent.rglob("*") if p.is_file()] == [real]
