"""PET Image Storage: one file a slice and frame, each with its own Rescale Slope."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from tracker.digital import dicom as shared
from tracker.pet.phantom import dicom
from tracker.pet.phantom.options import (
    ScanOptions,
    after_start,
    average_time_s,
    decay_factor,
    in_units,
    suv_factor,
)
from tracker.pet.phantom.truth import PetImage


def _series(image: PetImage, options: ScanOptions) -> Dataset:
    ds = Dataset()
    dicom.add_patient_and_study(ds, options)
    dicom.add_space(ds, options, image.grid)
    ds.SOPClassUID, ds.Modality = PositronEmissionTomographyImageStorage, "PT"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = dicom.uid(options, "series"), 1, "PET"
    series = after_start(options, options.series_later_s)
    ds.SeriesDate, ds.SeriesTime = shared.date_da(series), shared.time_tm(series)
    ds.PatientPosition = options.patient_position
    # Empty type 2 sequences beside Patient Position: not quite the standard, but what files in the wild look like.
    ds.PatientOrientationCodeSequence, ds.PatientGantryRelationshipCodeSequence = [], []
    ds.Units, ds.CountsSource = options.units, "EMISSION"
    nt, nz = image.start_s.shape
    beds = np.ptp(image.start_s, axis=1).max() > 0
    ds.SeriesType = ["DYNAMIC" if nt > 1 else ("WHOLE BODY" if beds else "STATIC"), "IMAGE"]
    ds.NumberOfSlices = nz
    if nt > 1:
        ds.NumberOfTimeSlices = nt
    ds.CorrectedImage = [*options.corrected, *(["DECY"] if options.decay_correction != "NONE" else [])]
    ds.DecayCorrection, ds.CollimatorType = options.decay_correction, "NONE"
    ds.RandomsCorrectionMethod, ds.AttenuationCorrectionMethod, ds.ScatterCorrectionMethod = "DLYD", "CT", "model"
    ds.RadiopharmaceuticalInformationSequence = [dicom.radiopharmaceutical(options)]
    spacing, slice_mm = shared.spacing_mm(image.grid)
    ds.PixelSpacing, ds.SliceThickness = spacing, slice_mm
    ds.ImageOrientationPatient = shared.orientation_lps(image.grid)
    _add_unit(ds, options)
    return ds


def _add_unit(ds: Dataset, options: ScanOptions) -> None:
    if options.units == "GML":
        ds.SUVType = "BW"
    if options.units == "CNTS":
        block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
        can_suv = options.dose_bq is not None and options.weight_kg is not None and options.decay_correction != "NONE"
        # 0 is how these files say that a factor is absent.
        block.add_new(0x00, "DS", shared.ds_text(suv_factor(options) * options.activity_factor) if can_suv else "0")
        block.add_new(0x09, "DS", shared.ds_text(options.activity_factor))


def _slice(series: bytes, image: PetImage, options: ScanOptions, t: int, z: int) -> Dataset:
    ds = shared.decode(series)
    start_s, duration_s = float(image.start_s[t, z]), float(image.duration_s[t, z])
    factor = decay_factor(options, start_s, duration_s)
    slope, stored = dicom.quantise(image.values[t, z] * (factor * in_units(options)))
    number = t * image.grid.shape[0] + z + 1
    ds.SOPInstanceUID, ds.InstanceNumber, ds.ImageIndex = dicom.uid(options, "classic", number), number, number
    begin = after_start(options, start_s)
    ds.AcquisitionDate, ds.AcquisitionTime = shared.date_da(begin), shared.time_tm(begin)
    ds.ContentDate, ds.ContentTime = ds.AcquisitionDate, ds.AcquisitionTime
    ds.ActualFrameDuration = round(duration_s * 1000)
    ds.FrameReferenceTime = shared.ds_text((start_s + average_time_s(options, duration_s)) * 1000)
    if options.decay_correction != "NONE":
        ds.DecayFactor = shared.ds_text(factor)
    ds.ImagePositionPatient = shared.position_lps(image.grid, z)
    ds.RescaleIntercept, ds.RescaleSlope = "0", shared.ds_text(slope)
    shared.add_pixels(ds, stored)
    return ds


def write_classic(folder: Path, image: PetImage, options: ScanOptions) -> tuple[Path, ...]:
    """The files of a classic PET series in ``folder`` (made if need be), in file name order.

    Pixel values are decay-corrected with the header's own half-life; int16 with the slope of their own slice. Frame Reference
    Time counts from the scan's start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    nt, nz = image.start_s.shape
    order = np.arange(nt * nz)
    if options.shuffled:
        order = np.random.default_rng(options.seed).permutation(order)
    series = shared.encode(_series(image, options))
    return tuple(
        dicom.save(_slice(series, image, options, int(n) // nz, int(n) % nz), folder / f"{name:05d}.dcm", options)
        for name, n in enumerate(order, start=1)
    )
