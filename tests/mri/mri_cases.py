"""Contexts and raw files for tests of the MR readers, written with pydicom and nibabel alone: stored numbers are the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tracker.errors import Finding
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Label, Subject

CLASSIC, ENHANCED = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
START = datetime(2026, 3, 2, 11, 0)
TIMES_MS = (3.0, 6.0, 9.0, 12.0)
SPACING_MM = (0.5, 0.4, 1.0)  # row, column, slice


def context_of(path: Path, **row: Any) -> Context:
    """What a reader is told; ``row`` are columns of the sheet (echo_times_ms, acquired, series)."""
    acquisition = Acquisition("m1", "d0", "mri", path, "m1_d0", label="cells", **row)
    return Context("study", acquisition, Subject("m1", "mouse", 25.0), (), Label("cells", "iron"), None, {}, Organs(), Corrections())


def numbers(repeats: int = 1, echoes: int = 4, slices: int = 3, low: int = 0) -> np.ndarray:
    """Stored values (repeat, echo, z, y, x), every one another: 2 rows of 3 columns, from ``low`` up."""
    shape = (repeats, echoes, slices, 2, 3)
    return low + np.arange(np.prod(shape)).reshape(shape)


def full_turn(echoes: int = 4, slices: int = 3, low: int = 0, high: int = 4095) -> np.ndarray:
    """Stored values of phase (1, echo, z, y, x) that fill their range."""
    return np.rint(np.linspace(low, high, echoes * slices * 6)).astype(int).reshape(1, echoes, slices, 2, 3)


@dataclass(frozen=True)
class Series:
    """How a classic series is written: one file per repeat, echo and slice. ``edit`` changes a file last, with (repeat, echo, z)."""

    values: np.ndarray
    times_ms: Sequence[float] = TIMES_MS
    uid: str = "1.2.3.1"
    number: int = 5
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "M", "ND")
    slope: float = 1.0
    intercept: float = 0.0
    first_echo: int = 1
    tags: dict[str, Any] = field(default_factory=dict)
    edit: Callable[[Dataset, int, int, int], None] | None = None


def add_pixels(ds: Dataset, stored: np.ndarray) -> None:
    kind = "<i2" if stored.min() < 0 else "<u2"
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", int(kind == "<i2")
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelData = np.ascontiguousarray(stored, kind).tobytes()
    ds["PixelData"].VR = "OW"


def common(ds: Dataset, series_uid: str, number: int) -> None:
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", series_uid, "1.2.3.9"
    ds.Modality, ds.SeriesNumber, ds.Manufacturer = "MR", number, "digital"
    ds.MagneticFieldStrength, ds.MRAcquisitionType = 9.4, "3D"


def save(ds: Dataset, path: Path) -> None:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, ds, enforce_file_format=True)


def classic_file(series: Series, at: tuple[int, int, int], instance: int) -> Dataset:
    """One slice of one echo as a data set, without ``tags`` and ``edit``."""
    repeat, echo, z = at
    ds = Dataset()
    common(ds, series.uid, series.number)
    ds.SOPClassUID, ds.SOPInstanceUID = CLASSIC, f"{series.uid}.{instance}"
    ds.ImageType, ds.InstanceNumber = list(series.image_type), instance
    ds.ScanningSequence, ds.SequenceVariant, ds.ImagedNucleus = "GR", "SP", "1H"
    ds.RepetitionTime, ds.FlipAngle, ds.EchoTrainLength = 50.0, 20.0, len(series.times_ms)
    ds.EchoTime, ds.EchoNumbers = series.times_ms[echo], series.first_echo + echo
    ds.AcquisitionDate, ds.AcquisitionTime, ds.AcquisitionNumber = "20260302", "110000", repeat + 1
    ds.PixelSpacing, ds.SliceThickness = list(SPACING_MM[:2]), SPACING_MM[2]
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-10.0, 20.0, SPACING_MM[2] * z], [1, 0, 0, 0, 1, 0]
    ds.RescaleSlope, ds.RescaleIntercept = series.slope, series.intercept
    add_pixels(ds, series.values[repeat, echo, z])
    return ds


def write_classic(folder: Path, series: Series) -> Path:
    """A classic series; files are named so that their order is not that of space or time."""
    for instance, at in enumerate(np.ndindex(*series.values.shape[:3]), start=1):
        ds = classic_file(series, at, instance)
        for keyword, value in series.tags.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)
        if series.edit is not None:
            series.edit(ds, *at)
        save(ds, folder / f"{(instance * 7919) % 1000:03d}{series.image_type[2][:1]}_{series.uid}_{instance}.dcm")
    return folder


def phase_series(values: np.ndarray, **more: Any) -> Series:
    """Siemens' phase: 12 bits, -4096 to 4094 after rescale, in a series of its own."""
    given: dict[str, Any] = {"uid": "1.2.3.2", "number": 6, "image_type": ("ORIGINAL", "PRIMARY", "P", "ND"), "slope": 2.0} | more
    series = Series(values, intercept=-4096.0, **given)
    return replace(series, tags={"BitsStored": 12, "HighBit": 11, **series.tags})


def write_enhanced(path: Path, values: np.ndarray, kinds: Sequence[str] = ("MAGNITUDE",), **more: Any) -> Path:
    """An enhanced object with all kinds (kind, echo, z, y, x) in one file, frames slice by slice; ``edit`` changes the data set.

    Options: times_ms, slopes (kind, echo), intercepts (kind,), uid, edit.
    """
    times_ms, slopes = more.get("times_ms", TIMES_MS), more.get("slopes", np.ones(values.shape[:2]))
    intercepts, uid = more.get("intercepts", np.zeros(len(kinds))), more.get("uid", "1.2.3.4")
    ds = Dataset()
    common(ds, uid, 7)
    ds.SOPClassUID, ds.SOPInstanceUID = ENHANCED, f"{uid}.1"
    ds.ImageType, ds.ComplexImageComponent = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "MIXED" if len(kinds) > 1 else kinds[0]
    ds.ResonantNucleus, ds.EchoPulseSequence = "1H", "GRADIENT"
    ds.AcquisitionDateTime, ds.AcquisitionDuration = "20260302110000", 300.0
    shared, timing, measures, orientation = Dataset(), Dataset(), Dataset(), Dataset()
    timing.RepetitionTime, timing.FlipAngle = 50.0, 20.0
    measures.PixelSpacing, measures.SliceThickness = list(SPACING_MM[:2]), SPACING_MM[2]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.MRTimingAndRelatedParametersSequence, shared.PixelMeasuresSequence = [timing], [measures]
    shared.PlaneOrientationSequence = [orientation]
    ds.SharedFunctionalGroupsSequence = [shared]
    frames, pixels = [], []
    for z in range(values.shape[2]):
        for echo in range(values.shape[1]):
            for kind, word in enumerate(kinds):
                frames.append(enhanced_frame(times_ms[echo], z, word, (float(slopes[kind][echo]), float(intercepts[kind]))))
                pixels.append(values[kind, echo, z])
    ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = frames, len(frames)
    add_pixels(ds, np.array(pixels))
    if "edit" in more:
        more["edit"](ds)
    save(ds, path)
    return path


def enhanced_frame(echo_ms: float, z: int, kind: str, scale: tuple[float, float]) -> Dataset:
    frame, place, echo, content, transform, words = (Dataset() for _ in range(6))
    place.ImagePositionPatient = [-10.0, 20.0, SPACING_MM[2] * z]
    echo.EffectiveEchoTime = echo_ms
    content.FrameAcquisitionDateTime = "20260302110000"
    transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = scale[0], scale[1], "US"
    words.FrameType, words.ComplexImageComponent = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], kind
    frame.PlanePositionSequence, frame.MREchoSequence, frame.FrameContentSequence = [place], [echo], [content]
    frame.PixelValueTransformationSequence, frame.MRImageFrameTypeSequence = [transform], [words]
    return frame


def write_volume(path: Path, values: np.ndarray, record: dict[str, Any] | None = None, dtype: Any = np.float32) -> Path:
    """A NIfTI file of (z, y, x) or (t, z, y, x), and its sidecar where there is a ``record``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*SPACING_MM, 1.0])
    image = nib.Nifti1Image(np.asarray(values, dtype).T, affine)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    if record is not None:
        path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json").write_text(json.dumps(record))
    return path


def statuses(findings: Iterable[Finding]) -> dict[str, str]:
    return {f.check: f.status for f in findings}
