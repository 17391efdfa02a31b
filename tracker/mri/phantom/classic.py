"""MR Image Storage: one file a slice and echo; phase images as a second series in the same folder, as scanners export them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, generate_uid

from tracker.digital import dicom as shared
from tracker.image import Grid
from tracker.mri.phantom.options import ScanOptions, quantise
from tracker.mri.phantom.truth import MriImage

_MHZ_PER_T = {"1H": 42.577478, "19F": 40.078}
# Phase as 12-bit numbers: slope 2 and intercept -4096 make ±4096 of them, which stands for ±pi.
_TURN = 4096


def _uid(options: ScanOptions, *what: object) -> str:
    return str(generate_uid(entropy_srcs=[options.patient_id, options.scan_start.isoformat(), str(options.seed), *map(str, what)]))


def _series(image: MriImage, options: ScanOptions, part: str) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet, ds.SOPClassUID, ds.Modality = "ISO_IR 192", MRImageStorage, "MR"
    ds.ImageType = ["ORIGINAL", "PRIMARY", part, "ND"]
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = options.patient_id, options.patient_id, "", ""
    if options.weight_kg is not None:
        ds.PatientWeight = shared.ds_text(options.weight_kg)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(options, "study"), _uid(options, "series", part)
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "", ""
    ds.SeriesNumber, ds.SeriesDescription = (1, "MEGRE") if part == "M" else (2, "MEGRE phase")
    ds.Manufacturer, ds.ManufacturerModelName = "Digital Phantom", "digital"
    date, time = shared.date_da(options.scan_start), shared.time_tm(options.scan_start)
    ds.StudyDate, ds.SeriesDate, ds.AcquisitionDate, ds.ContentDate = date, date, date, date
    ds.StudyTime, ds.SeriesTime, ds.AcquisitionTime, ds.ContentTime = time, time, time, time
    ds.AcquisitionDuration, ds.AcquisitionNumber = options.duration_s, 1
    _add_sequence(ds, len(image.echo_times_s), options)
    _add_space(ds, image.grid, options)
    return ds


def _add_sequence(ds: Dataset, echoes: int, options: ScanOptions) -> None:
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "GR", "SP", "", "3D"
    ds.RepetitionTime, ds.FlipAngle = shared.ds_text(options.repetition_time_ms), shared.ds_text(options.flip_angle_deg)
    ds.EchoTrainLength, ds.NumberOfAverages = echoes, "1"
    ds.MagneticFieldStrength, ds.ImagedNucleus = shared.ds_text(options.field_t), options.nucleus
    ds.ImagingFrequency = shared.ds_text(options.field_t * _MHZ_PER_T[options.nucleus])


def _add_space(ds: Dataset, grid: Grid, options: ScanOptions) -> None:
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = grid.frame_of_reference_uid or _uid(options, "frame of reference"), ""
    ds.PatientPosition = "HFP"
    ds.Rows, ds.Columns = grid.shape[1], grid.shape[2]
    spacing, slice_mm = shared.spacing_mm(grid)
    ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = spacing, slice_mm, slice_mm
    ds.ImageOrientationPatient = shared.orientation_lps(grid)


def _stored(image: MriImage, part: str) -> tuple[float, float, np.ndarray]:
    """Slope, intercept and numbers (echo, z, y, x) of the magnitude (M) or phase (P) images."""
    if part == "M":
        slope, numbers = quantise(image.magnitude)
        return slope, 0.0, numbers
    numbers = np.rint((image.phase_rad / np.pi + 1.0) * _TURN / 2.0)
    return 2.0, -float(_TURN), np.clip(numbers, 0, _TURN - 1).astype("<u2")


def _one(series: bytes, image: MriImage, options: ScanOptions, where: tuple[str, int, int]) -> Dataset:
    ds = shared.decode(series)
    _, echo, z = where
    number = echo * image.grid.shape[0] + z + 1
    ds.SOPInstanceUID, ds.InstanceNumber = _uid(options, *where), number
    ds.EchoTime, ds.EchoNumbers = shared.ds_text(image.echo_times_s[echo] * 1000.0), echo + 1
    ds.ImagePositionPatient = shared.position_lps(image.grid, z)
    return ds


def write_classic(folder: Path, image: MriImage, options: ScanOptions) -> tuple[Path, ...]:
    """The files of a classic MR series in ``folder`` (made if need be), slice by slice, echo by echo, phase after magnitude.

    Magnitudes are 16-bit numbers with one slope for all echoes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = ("M", "P") if options.with_phase else ("M",)
    kinds = {part: (shared.encode(_series(image, options, part)), *_stored(image, part)) for part in parts}
    paths: list[Path] = []
    for z in range(image.grid.shape[0]):
        for echo in range(len(image.echo_times_s)):
            for part, (series, slope, intercept, stored) in kinds.items():
                ds = _one(series, image, options, (part, echo, z))
                ds.RescaleIntercept, ds.RescaleSlope = shared.ds_text(intercept), shared.ds_text(slope)
                shared.add_pixels(ds, stored[echo, z])
                if options.edit is not None:
                    options.edit(ds)
                paths.append(shared.save(ds, folder / f"{len(paths) + 1:05d}.dcm"))
    return tuple(paths)
