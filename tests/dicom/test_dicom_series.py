"""Which files belong together: mixed folders split, duplicates dropped or refused, the meant series chosen or asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from tracker.dicom import Series, choose_series, group_series, read_instances, walk
from tracker.errors import InputError

AXIAL, CORONAL = [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]


def grouped(folder: Path) -> tuple[tuple[Series, ...], dict[str, str]]:
    instances, _ = read_instances(walk(folder).files)
    series, dropped = group_series(instances)
    return series, {d.path.name: d.reason for d in dropped}


def uid(z: int, series: str) -> dict[str, object]:
    return {"SeriesInstanceUID": series, "SOPInstanceUID": f"{series}.{z + 1}"}


def test_row_26_a_mixed_folder_is_split_by_series(write_slice, tmp_path):
    for z in range(3):
        write_slice(f"{z}a.dcm", z)
        write_slice(f"{z}b.dcm", z, **uid(z, "1.2.7"), Modality="CT", SeriesNumber=2)
    series, dropped = grouped(tmp_path)
    assert {(s.uid, s.part, len(s.instances)) for s in series} == {("1.2.3.1", 0, 3), ("1.2.7", 0, 3)} and not dropped
    assert choose_series(series, ("PT",), "", tmp_path).uid == "1.2.3.1"


def test_row_26_two_series_of_one_modality_are_asked_about(write_slice, tmp_path):
    for z in range(3):
        write_slice(f"{z}a.dcm", z)
        write_slice(f"{z}b.dcm", z, **uid(z, "1.2.7"), SeriesNumber=6)
    series, _ = grouped(tmp_path)
    with pytest.raises(InputError) as raised:
        choose_series(series, ("PT",), "", tmp_path)
    error = raised.value
    assert error.code == "series_ambiguous" and "1.2.3.1" in error.found and "1.2.7" in error.found and "`series`" in error.do
    assert choose_series(series, ("PT",), "1.2.7", tmp_path).uid == "1.2.7"
    assert choose_series(series, ("PT",), "6", tmp_path).uid == "1.2.7"
    with pytest.raises(InputError, match=r"series_not_found.*perhaps 1\.2\.7"):
        choose_series(series, ("PT",), "1.2.77", tmp_path)


def test_no_series_of_the_modality(write_slice, tmp_path):
    write_slice("1.dcm", 0, Modality="CT")
    with pytest.raises(InputError, match="no_series"):
        choose_series(grouped(tmp_path)[0], ("PT", "NM"), "", tmp_path)


@pytest.mark.parametrize(
    "localiser", [{"ImageOrientationPatient": CORONAL}, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, {"Columns": 3, "Rows": 4}]
)
@pytest.mark.parametrize("name", ["0.dcm", "zz.dcm"])
def test_row_27_a_localiser_with_the_same_uid_is_split_off(write_slice, tmp_path, localiser, name):
    for z in range(4):
        write_slice(f"s{z}.dcm", z)
    write_slice(name, 7, **localiser)
    series, _ = grouped(tmp_path)
    assert [(s.part, len(s.instances)) for s in sorted(series, key=lambda s: s.part)] == [(0, 4), (1, 1)]
    assert len(choose_series(series, ("PT",), "", tmp_path).instances) == 4


def test_row_27_a_localiser_never_wins_by_number(write_slice, tmp_path):
    for z in range(2):
        write_slice(f"s{z}.dcm", z)
    for z in range(5):
        write_slice(f"l{z}.dcm", 10 + z, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=CORONAL)
    chosen = choose_series(grouped(tmp_path)[0], ("PT",), "", tmp_path)
    assert {i.path.name for i in chosen.instances} == {"s0.dcm", "s1.dcm"}


@pytest.mark.parametrize("first", ["a", "z"])
def test_two_geometries_of_the_same_size_under_one_uid_are_asked_about(write_slice, tmp_path, first):
    # Which one is meant must not depend on file names.
    for z in range(3):
        write_slice(f"{first}{z}.dcm", z)
        write_slice(f"m{z}.dcm", 10 + z, PixelSpacing=[2.0, 2.0])
    with pytest.raises(InputError, match="series_ambiguous"):
        choose_series(grouped(tmp_path)[0], ("PT",), "", tmp_path)


def test_directions_that_differ_in_the_last_digit_are_one_series(write_slice, tmp_path):
    # 0.5005 rounds down or up to three digits, depending on its sixth.
    for z, jitter in enumerate((0.500499, 0.500501, 0.500499, 0.500501)):
        write_slice(
            f"{z}.dcm",
            z,
            ImageOrientationPatient=[
                f"{(1 - jitter**2) ** 0.5:.8f}",
                f"{jitter:.8f}",
                0,
                f"{-jitter:.8f}",
                f"{(1 - jitter**2) ** 0.5:.8f}",
                0,
            ],
        )
    series, _ = grouped(tmp_path)
    assert [len(s.instances) for s in series] == [4]


def test_row_28_a_duplicate_with_the_same_bytes_is_dropped_and_counted(write_slice, tmp_path):
    for z in range(3):
        path = write_slice(f"{z}.dcm", z)
    shutil.copy(path, tmp_path / "copy.dcm")
    series, dropped = grouped(tmp_path)
    assert len(series[0].instances) == 3 and dropped == {"copy.dcm": "duplicate"}


def test_row_28_duplicates_in_tags_that_are_not_read_do_not_matter(write_slice, tmp_path):
    write_slice("1.dcm", 0)
    write_slice("2.dcm", 0, PatientComments="exported twice")
    assert grouped(tmp_path)[1] == {"2.dcm": "duplicate"}


def other_pixels(ds: object) -> None:
    ds.PixelData = np.arange(1, 13, dtype="<i2").tobytes()  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", [{"edit": other_pixels}, {"RescaleSlope": 2.0}, {"AcquisitionTime": "110000"}])
def test_row_29_one_uid_with_two_contents_is_refused(write_slice, tmp_path, change: dict[str, Callable]):
    # The same numbers with another slope are other activities: which of the two is right is not for a reader to say.
    write_slice("1.dcm", 0)
    write_slice("2.dcm", 0, **change)
    with pytest.raises(InputError) as raised:
        grouped(tmp_path)
    error = raised.value
    assert error.code == "duplicate_uid_different_pixels" and "1.dcm" in error.found and "2.dcm" in error.found and error.do


def test_files_without_pixels_are_dropped_with_their_modality(write_slice, tmp_path):
    write_slice("1.dcm", 0)
    path = write_slice("rs.dcm", 1, Modality="RTSTRUCT", SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3")
    ds = dcmread(path)
    del ds.PixelData
    ds.save_as(path)
    instances, _ = read_instances(walk(tmp_path).files)
    _, dropped = group_series(instances)
    assert [(d.path.name, d.reason, d.detail) for d in dropped] == [("rs.dcm", "no_pixels", "RTSTRUCT")]
