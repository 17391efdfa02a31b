"""NM Image Storage, RECON TOMO: one file, the slices as frames; counts, or Bq/mL through a Real World Value Mapping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import NuclearMedicineImageStorage

from tracker.digital import dicom as shared
from tracker.image import voxel_volume_ml
from tracker.pet.phantom import dicom
from tracker.pet.phantom.options import ScanOptions, after_start, decay_factor
from tracker.pet.phantom.truth import PetImage

_VIEWS = 60


def _counts(image: PetImage, options: ScanOptions) -> np.ndarray:
    """Counts per voxel: mean concentration · volume · sensitivity · time, to the next whole number."""
    if options.decay_correction != "NONE":
        raise ValueError("counts have no decay correction: set decay_correction to NONE")
    per_s = float(options.sensitivity_cps_per_bq or 0.0) * voxel_volume_ml(image.grid)
    counts = np.rint(image.values[0] * per_s * image.duration_s[0, 0])
    if counts.min() < 0 or counts.max() > np.iinfo(np.uint16).max:
        raise ValueError(f"counts from {counts.min()} to {counts.max()} do not fit unsigned 16 bits: change the sensitivity")
    return np.asarray(counts, dtype="<u2")


def _mapping(slope: float, stored: np.ndarray) -> Dataset:
    item = Dataset()
    item.LUTExplanation, item.LUTLabel = "activity concentration", "BQML"
    item.MeasurementUnitsCodeSequence = [shared.code("Bq/ml", "UCUM", "Bq/ml")]
    item.add_new(Tag("RealWorldValueFirstValueMapped"), "SS", int(stored.min()))
    item.add_new(Tag("RealWorldValueLastValueMapped"), "SS", int(stored.max()))
    item.RealWorldValueIntercept, item.RealWorldValueSlope = 0.0, slope
    return item


def _window(options: ScanOptions) -> Dataset:
    energies_kev = {"99mTc": (126.0, 154.0), "111In": (154.0, 188.0)}.get(options.nuclide, (435.0, 588.0))
    limits, window = Dataset(), Dataset()
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = energies_kev
    window.EnergyWindowName, window.EnergyWindowRangeSequence = options.nuclide, [limits]
    return window


def _rotation(duration_s: float) -> Dataset:
    item = Dataset()
    item.StartAngle, item.AngularStep, item.RotationDirection, item.ScanArc = "0", str(360 / _VIEWS), "CW", "360"
    item.ActualFrameDuration, item.NumberOfFramesInRotation = round(duration_s * 1000 / _VIEWS), _VIEWS
    return item


def _detector(image: PetImage) -> Dataset:
    item = Dataset()
    item.CollimatorType, item.CollimatorGridName, item.FocalDistance = "PINH", "multi-pinhole", "0"
    item.ImageOrientationPatient = shared.orientation_lps(image.grid)
    item.ImagePositionPatient = shared.position_lps(image.grid, 0)
    return item


def _image(image: PetImage, options: ScanOptions) -> Dataset:
    ds = Dataset()
    dicom.add_patient_and_study(ds, options)
    dicom.add_space(ds, options, image.grid)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = NuclearMedicineImageStorage, dicom.uid(options, "nm"), "NM"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription, ds.InstanceNumber = dicom.uid(options, "series"), 1, "SPECT", 1
    series, begin = after_start(options, options.series_later_s), after_start(options, float(image.start_s[0, 0]))
    ds.SeriesDate, ds.SeriesTime = shared.date_da(series), shared.time_tm(series)
    ds.AcquisitionDate, ds.AcquisitionTime = shared.date_da(begin), shared.time_tm(begin)
    ds.ContentDate, ds.ContentTime = ds.AcquisitionDate, ds.AcquisitionTime
    ds.PatientPosition = options.patient_position
    # Empty type 2 sequences beside Patient Position: not quite the standard, but what files in the wild look like.
    ds.PatientOrientationCodeSequence, ds.PatientGantryRelationshipCodeSequence = [], []
    ds.RadiopharmaceuticalInformationSequence = [dicom.radiopharmaceutical(options, dose_per_bq=1e-6)]
    ds.EnergyWindowInformationSequence, ds.NumberOfEnergyWindows = [_window(options)], 1
    ds.DetectorInformationSequence, ds.NumberOfDetectors = [_detector(image)], 1
    ds.RotationInformationSequence, ds.NumberOfRotations = [_rotation(float(image.duration_s[0, 0]))], 1
    ds.CorrectedImage = [*options.corrected, *(["DECY"] if options.decay_correction != "NONE" else [])]
    if options.decay_correction != "NONE":
        ds.DecayCorrection = options.decay_correction
    spacing, slice_mm = shared.spacing_mm(image.grid)
    ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = spacing, slice_mm, slice_mm
    return ds


def write_nm(folder: Path, image: PetImage, options: ScanOptions) -> tuple[Path, ...]:
    """The one file of a reconstructed SPECT series in ``folder``; geometry in Detector Information, dose in MBq.

    With ``sensitivity_cps_per_bq`` [counts/s per Bq of the whole system] pixels are whole counts with no slope. Otherwise they
    are numbers whose Real World Value Mapping (no Rescale Slope: a reader that ignores the mapping is wrong) gives Bq/mL,
    decay-corrected as the options say. Raises ValueError for more than one frame in time, several beds, or
    decay correction to the administration.
    """
    if image.values.shape[0] != 1 or np.ptp(image.start_s) > 0:
        raise ValueError("an NM phantom has one frame and one bed")
    if options.decay_correction == "ADMIN":
        raise ValueError("NM can only say that decay was corrected, not to when: the start is meant")
    folder.mkdir(parents=True, exist_ok=True)
    ds = _image(image, options)
    if options.sensitivity_cps_per_bq is not None:
        stored = _counts(image, options)
    else:
        factor = decay_factor(options, float(image.start_s[0, 0]), float(image.duration_s[0, 0]))
        slope, stored = dicom.quantise(image.values[0] * factor)
        ds.RealWorldValueMappingSequence = [_mapping(slope, stored)]
    ds.CountsAccumulated = None
    ds.NumberOfFrames = ds.NumberOfSlices = image.grid.shape[0]
    ds.FrameIncrementPointer = Tag("SliceVector")
    ds.SliceVector = list(range(1, image.grid.shape[0] + 1))
    shared.add_pixels(ds, stored)
    return (dicom.save(ds, folder / "recon_tomo.dcm", options),)
