"""Which file of a folder is the scan, and that reading is lazy, complete and says what it left out."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest

from tests.pet.pet_cases import HALF_LIFE_S, START, calibrated, context_of, flat, image_of, statuses
from tracker.errors import InputError
from tracker.pet.read import read

F18 = HALF_LIFE_S["18F"]
TRUTH = flat() * 2 ** (-300 / F18)


@pytest.mark.parametrize("kind", ["classic", "enhanced", "nm", "nifti"])
def test_all_formats_of_one_truth_give_one_quantity(write, kind):
    path = write(kind, image_of(flat(), [(0, 600)], F18))
    found = calibrated(path, context_of(path, acquired=START))
    # NM has one int16 scale for the whole volume.
    np.testing.assert_allclose(np.asarray(found.values)[0], TRUTH, rtol=3e-7, atol=8e4 / 32760 if kind == "nm" else 0)
    assert found.grid.shape == (4, 3, 5) and found.times.origin == START and found.unit == "Bq/mL" and found.kind == "concentration"


@pytest.mark.parametrize("kind", ["classic", "enhanced", "nm"])
def test_subfolders_are_searched(write, tmp_path, kind):
    path = write(kind, image_of(flat(), [(0, 600)], F18), name="deep/er")
    top = tmp_path / "deep"
    assert path.parent == top
    np.testing.assert_allclose(np.asarray(calibrated(top, context_of(top)).values)[0], TRUTH, rtol=3e-7, atol=8e4 / 32760)


@pytest.mark.parametrize("kind", ["enhanced", "nm"])
def test_a_single_file_is_a_scan(write, kind):
    folder = write(kind, image_of(flat(), [(0, 600)], F18))
    (file,) = folder.iterdir()
    assert calibrated(file, context_of(file)).grid.shape == (4, 3, 5)


def test_one_slice_of_many_is_not_a_scan(write):
    folder = write("classic", image_of(flat(), [(0, 600)], F18))
    with pytest.raises(InputError, match="missing_slice"):
        read(sorted(folder.iterdir())[0], "", context_of(folder))


def test_reading_reads_no_pixels(write):
    path = write("classic", image_of(flat(), [(0, 60), (60, 60)], F18))
    scan = read(path, "", context_of(path))
    shutil.rmtree(path)
    assert scan.values.shape == (2, 4, 3, 5)
    with pytest.raises((InputError, OSError)):
        np.asarray(scan.values)


def test_pet_and_spect_in_one_folder_are_asked_about(write):
    path = write("classic", image_of(flat(), [(0, 600)], F18))
    write("nm", image_of(flat(), [(0, 600)], F18), name="scan", seed=5)
    with pytest.raises(InputError, match="series_ambiguous"):
        read(path, "", context_of(path))


def test_other_modalities_are_left_out(write):
    path = write("classic", image_of(flat(), [(0, 600)], F18))
    for n, file in enumerate(sorted(path.iterdir())):
        ds = pydicom.dcmread(file)
        ds.Modality, ds.SOPClassUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = "CT", "1.2.840.10008.5.1.4.1.1.2", "1.2.9", f"1.2.9.{n}"
        ds.RescaleIntercept = "-1024"
        ds.save_as(path / f"ct{n}.dcm")
    found = calibrated(path, context_of(path))
    np.testing.assert_allclose(np.asarray(found.values)[0], TRUTH, rtol=3e-7)
    assert statuses(found.findings)["other_series"] == "ok"


def test_no_persons_name_in_what_is_read(write):
    path = write("classic", image_of(flat(), [(0, 600)], F18), edit=lambda ds: setattr(ds, "PatientName", "Secret^Person"))
    scan = read(path, "", context_of(path))
    assert "Secret" not in repr(scan.header) + repr(scan.findings) + repr(scan.times) + repr(scan.grid)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match=r"no_series.*0 other file"):
        read(tmp_path, "", context_of(tmp_path))
