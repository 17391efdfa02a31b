"""Real and reference data: IBSI's digital objects, two patients with published SUVs, four makers' headers."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.pet.pet_cases import calibrated, context_of
from tracker.digital.dicom import ds_text
from tracker.image import Quantity

pytestmark = pytest.mark.shared


def suv_bw(found: Quantity, dose_bq: float, injected: datetime, weight_g: float, half_life_s: float) -> np.ndarray:
    """SUVbw by its definition: concentration at the frame's middle × weight ÷ dose decayed to then."""
    middle_s = (found.times.origin.replace(tzinfo=None) - injected).total_seconds() + found.times.start_s[0] + found.times.duration_s[0] / 2
    return np.asarray(found.values[0]) * weight_g / (dose_bq * 2 ** (-middle_s / half_life_s))


def mask(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj).T > 0


IBSI = ["DRO_0_0", "DRO_1_0", "DRO_2_0", "DRO_2_4", "DRO_3_0", "DRO_3_1", "DRO_4_2"]


@pytest.mark.parametrize("name", IBSI)
def test_ibsi_reference_objects(shared_data, name):
    folder = shared_data / "ibsi_suv" / name
    injected = datetime(2025, 1, 1, 23, 30) if name == "DRO_4_2" else datetime(2025, 1, 1, 10)
    constants = {"accept_philips_counts": True}
    context = context_of(folder / "PT", "18F", injected, species="human", weight_g=70000.0, amount_bq=368.08e6, constants=constants)
    inside = suv_bw(calibrated(folder / "PT", context), 368.08e6, injected, 70000.0, 6586.2)[mask(folder / "mask" / "DRO_mask.nii.gz")]
    # The objects' own tolerance: two decimals.
    assert [f"{v:.2f}" for v in (inside.min(), np.median(inside), inside.max())] == ["0.20", "1.00", "4.00"]


@pytest.mark.parametrize(
    ("name", "injected", "dose_bq", "weight_g", "highest", "mean"),
    [
        ("STS_001", datetime(2000, 9, 7, 10, 35), 388777472.0, 71000.0, 7.91, 2.56),
        ("STS_010", datetime(2003, 12, 30, 12, 54), 373378368.0, 65000.0, 11.81, 5.18),
    ],
)
def test_patients_with_published_suvs(shared_data, name, injected, dose_bq, weight_g, highest, mean):
    folder = shared_data / "fdg_sarcoma" / "dicom" / name / "PET"
    found = calibrated(folder, context_of(folder, "18F", injected, species="human", weight_g=weight_g, amount_bq=dose_bq))
    suv = suv_bw(found, dose_bq, injected, weight_g, 6586.2)
    nifti = shared_data / "fdg_sarcoma" / "nifti" / name
    tumour = mask(nifti / "PET_mask.nii.gz")
    assert (round(float(suv[tumour].max()), 2), round(float(suv[tumour].mean()), 2)) == (highest, mean)
    # The NIfTI holds the maker's SUVs, decay-corrected with the header's 6588 s; ours uses 6586.2 s from injection to scan.
    uptake_s = (found.times.origin - injected).total_seconds() + found.times.duration_s[0] / 2
    ratio = 2 ** (uptake_s * (1 / 6586.2 - 1 / 6588.0))
    # The two sets of files agree to 1.1e-6 SUV.
    np.testing.assert_allclose(suv, np.asarray(nib.load(nifti / "PET_image.nii.gz").dataobj).T * ratio, rtol=1e-6, atol=2e-6)
    assert found.grid.affine == pytest.approx(nib.load(nifti / "PET_image.nii.gz").affine, abs=1e-3)


def header_files(record: list[dict[str, Any]], folder: Path) -> float:
    """Writes the JSON headers as DICOM slices whose every stored value is 1000; returns the half-life they state."""
    folder.mkdir()
    for z, tags in enumerate(record):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = "1.2.840.10008.5.1.4.1.1.128", f"1.2.{z + 1}", "1.2"
        ds.Modality, ds.NumberOfSlices, ds.Rows, ds.Columns = "PT", len(record), 1, 1
        ds.PixelSpacing, ds.SliceThickness = [4, 4], 4
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 4 * z], [1, 0, 0, 0, 1, 0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 1
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.RescaleSlope, ds.RescaleIntercept = 16, 16, 15, 1, 0
        ds.PixelData = np.array([1000], "<i2").tobytes()
        item = Dataset()
        for keyword, value in tags.items():
            if keyword == "PhilipsPETPrivateGroup":
                if value:
                    block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
                    block.add_new(0x00, "DS", value["SUVScaleFactor"])
            elif keyword.startswith("Radi"):
                setattr(item, keyword, ds_text(value) if isinstance(value, float) else value)
            else:
                setattr(ds, keyword, ds_text(value) if isinstance(value, float) else value)
        ds.RadiopharmaceuticalInformationSequence = [item]
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dcmwrite(folder / f"{z}.dcm", ds, enforce_file_format=True)
    return float(record[0]["RadionuclideHalfLife"])


HEADERS = ["SIEMENS.json", "GE_MEDICAL_AND_BQML.json", "PHILIPS_CNTS_AND_SUV.json", "BQML_AC_DT_lessThan_S_DT_SIEMENS.json"]


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_four_makers(shared_data, tmp_path, monkeypatch, name):
    folder = shared_data / "pet_headers"
    with (folder / "truth.csv").open(newline="") as file:
        factor = {row["file"]: float(row["suvbw_factor"]) for row in csv.DictReader(file)}[name]
    record = json.loads((folder / name).read_text())
    half_life_s = header_files(record, tmp_path / "scan")
    # The published factors are arithmetic of the header alone: its half-life stands for the nuclide's own too.
    from tracker import nuclides
    from tracker.pet import calibrate

    fluorine = nuclides.Nuclide("18F", half_life_s, 0.9673, "the header")
    monkeypatch.setattr(calibrate, "nuclide", lambda _: fluorine)
    tags = record[0]
    injected = datetime.strptime(tags["SeriesDate"] + tags["RadiopharmaceuticalStartTime"][:6], "%Y%m%d%H%M%S")
    dose_bq, weight_g = float(tags["RadionuclideTotalDose"]), 1000.0 * tags["PatientWeight"]
    constants = {"accept_philips_counts": True}
    context = context_of(tmp_path / "scan", "18F", injected, species="human", weight_g=weight_g, amount_bq=dose_bq, constants=constants)
    suv = suv_bw(calibrated(tmp_path / "scan", context), dose_bq, injected, weight_g, half_life_s)
    np.testing.assert_allclose(suv / 1000, factor, rtol=1e-6)
