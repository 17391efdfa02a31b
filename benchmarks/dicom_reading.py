"""Reading a dynamic PET series of many single-slice DICOM files to calibrated numbers, beside other readers, in one run.

    python benchmarks/dicom_reading.py [--slices 2000] [--size 128] [--runs 5]

All readers take turns; what is printed is the median with minimum and maximum, and each peer's time over ours. Every slice has its
own RescaleSlope; `values right` says whether a reader's numbers equal the truth, which is known because this script wrote the files.
Peers that are not installed are skipped with the reason: SimpleITK, dcm2niix (both on PyPI), dicomsdl.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np


def write_series(folder: Path, slices: int, size: int) -> np.ndarray:
    """A static series with another slope in every slice; returns the true values (z, y, x)."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    rng = np.random.default_rng(1)
    stored = rng.integers(0, 32767, (slices, size, size), dtype=np.int16)
    slopes = np.round(0.5 + rng.random(slices), 6)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for z in range(slices):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = series, study, frame
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.ImageType = "PT", 1, z + 1, ["ORIGINAL", "PRIMARY"]
        ds.PatientName = ds.PatientID = "phantom"
        ds.SeriesDate = ds.AcquisitionDate = ds.StudyDate = "20250101"
        ds.SeriesTime = ds.AcquisitionTime = ds.StudyTime = "110000"
        ds.Units, ds.DecayCorrection, ds.CorrectedImage = "BQML", "START", ["DECY", "ATTN", "SCAT", "NORM", "DTIM", "RAN"]
        ds.ActualFrameDuration, ds.FrameReferenceTime = 600000, 300000
        ds.Rows = ds.Columns = size
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.PixelSpacing, ds.SliceThickness = [1, 1], 1
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, z]
        ds.RescaleSlope, ds.RescaleIntercept = f"{slopes[z]:.6f}", 0
        ds.PixelData = stored[z].tobytes()
        ds.save_as(folder / f"{z:05d}.dcm", enforce_file_format=True)
    return stored * slopes[:, None, None]


def ours(folder: Path) -> np.ndarray:
    """What the workflow does to read a series: walk, headers, grouping, order, geometry and time checks, values."""
    from tracker.dicom import choose_series, group_series, read_instances, walk
    from tracker.pet.classic import read_classic
    from tracker.pet.header import PET_TAGS, private_tags

    instances, _ = read_instances(walk(folder).files, (*PET_TAGS, *private_tags()))
    series, _ = group_series(instances)
    scan = read_classic(choose_series(series, ["PT"], "", folder).instances, None, folder)
    return np.asarray(scan.values[0])


def pydicom_whole(folder: Path) -> np.ndarray:
    """pydicom, every file read whole, sorted by position, rescaled."""
    from pydicom import dcmread

    files = sorted((dcmread(p) for p in folder.iterdir()), key=lambda d: float(d.ImagePositionPatient[2]))
    return np.stack([d.pixel_array * np.float32(d.RescaleSlope) for d in files])


def simpleitk(folder: Path) -> np.ndarray:
    """SimpleITK's series reader."""
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayFromImage(reader.Execute())


def dcm2niix(folder: Path) -> np.ndarray:
    """dcm2niix to NIfTI, read back with nibabel."""
    import dcm2niix as package
    import nibabel

    out = Path(tempfile.mkdtemp())
    subprocess.run([package.bin, "-z", "n", "-f", "x", "-o", str(out), str(folder)], check=True, capture_output=True)
    values = np.asarray(nibabel.load(next(out.glob("*.nii"))).dataobj).T
    shutil.rmtree(out)
    return values[:, ::-1]


def dicomsdl(folder: Path) -> np.ndarray:
    """dicomsdl, every file, sorted by position, rescaled."""
    import dicomsdl as sdl

    files = sorted((sdl.open(str(p)) for p in folder.iterdir()), key=lambda d: float(d.ImagePositionPatient[2]))
    return np.stack([d.pixelData(storedvalue=True) * np.float32(d.RescaleSlope) for d in files])


PEERS: dict[str, tuple[str, Callable[[Path], np.ndarray]]] = {
    "pydicom, whole files": ("pydicom", pydicom_whole),
    "SimpleITK": ("SimpleITK", simpleitk),
    "dcm2niix + nibabel": ("dcm2niix", dcm2niix),
    "dicomsdl": ("dicomsdl", dicomsdl),
}


def main() -> None:
    """Writes the series, times everybody in turn, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=2000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    readers: dict[str, Callable[[Path], np.ndarray]] = {"celltracker": ours}
    for name, (package, reader) in PEERS.items():
        if find_spec(package) is None:
            print(f"{name}: skipped, {package} is not installed")
        else:
            readers[name] = reader
    with tempfile.TemporaryDirectory() as folder:
        truth = write_series(Path(folder), args.slices, args.size)
        seconds: dict[str, list[float]] = {name: [] for name in readers}
        right: dict[str, str] = {}
        for run in range(args.runs + 1):
            for name, reader in readers.items():
                start = time.perf_counter()
                values = reader(Path(folder))
                # The first round fills caches and imports and is not counted.
                seconds[name] += [time.perf_counter() - start] if run else []
                if not run:
                    same = values.shape == truth.shape
                    worst = float(np.max(np.abs(values / np.where(truth == 0, 1, truth) - 1)[truth > 0])) if same else float("nan")
                    right[name] = f"within {worst:.1e}" if same else f"shape {values.shape}"
    base = statistics.median(seconds["celltracker"])
    print(f"{args.slices} slices of {args.size} × {args.size}, another slope in each")
    print(f"seconds: median (min to max) of {args.runs}; over ours; values right")
    for name, t in seconds.items():
        m = statistics.median(t)
        print(f"{name:<24}{m:7.2f} ({min(t):.2f} to {max(t):.2f}) {m / base:7.2f}   {right[name]}")


if __name__ == "__main__":
    main()
