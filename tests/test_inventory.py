"""What a folder of mixed raw files holds: found, kept, dropped with reasons, and the sheet drafted from it."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.pet.pet_cases import HALF_LIFE_S, START, flat, image_of
from tracker.errors import InputError
from tracker.inventory import Inventory, Progress, draft_acquisitions, dropped_summary, take_inventory
from tracker.pet.phantom import WRITERS, ScanOptions

PET, RTSTRUCT, CT = "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.5.1.4.1.1.2"


def scan(folder: Path, kind: str = "classic", start: datetime = START, **more: object) -> Path:
    options = ScanOptions(start, start - timedelta(hours=1), nuclide="18F", dose_bq=8e6, weight_kg=0.025, **more)  # type: ignore[arg-type]
    WRITERS[kind](folder, image_of(flat(), [(0, 600)], HALF_LIFE_S["18F"]), options)
    return folder


def changed(source: Path, target: Path, **tags: object) -> Path:
    ds = pydicom.dcmread(source)
    for keyword, value in tags.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    target.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(target)
    return target


def inventory(root: Path) -> Inventory:
    *progress, last = take_inventory(root)
    assert isinstance(last, Inventory) and all(isinstance(p, Progress) for p in progress)
    return last


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A PET series with all that exporters leave beside it."""
    folder = scan(tmp_path / "m1" / "day1")
    files = sorted(folder.iterdir())
    for n, file in enumerate(files[:3]):
        changed(
            file,
            folder / f"ct{n}.dcm",
            Modality="CT",
            SOPClassUID=CT,
            SeriesInstanceUID="1.2.9",
            SOPInstanceUID=f"1.2.9.{n}",
            SeriesNumber=9,
        )
    scout = {"SOPInstanceUID": "1.2.8", "ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    changed(files[0], folder / "scout.dcm", **scout)
    shutil.copy(files[0], folder / "twice.dcm")
    changed(files[0], folder / "rs.dcm", Modality="RTSTRUCT", SOPClassUID=RTSTRUCT, SOPInstanceUID="1.2.7", PixelData=None)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "notes.txt").write_text("late")
    return tmp_path


def test_series_are_found_kept_and_told_apart(mixed):
    found = {(s.dicom_modality, s.part): s for s in inventory(mixed).series}
    assert set(found) == {("PT", 0), ("PT", 1), ("CT", 0)}
    pet = found["PT", 0]
    assert (pet.files, pet.shape, pet.acquired, pet.modality, pet.role, pet.problem) == (4, "4 × 3 × 5", START, "pet", "followup", "")
    assert "localiser" in found["PT", 1].problem
    assert (found["CT", 0].modality, found["CT", 0].role) == ("ct", "anatomy")


def test_every_other_file_has_its_reason(mixed):
    kept = inventory(mixed)
    assert {(d.path.name, d.reason) for d in kept.dropped} == {
        ("twice.dcm", "duplicate"), ("rs.dcm", "no_pixels"), (".DS_Store", "litter"), ("empty.dcm", "empty"), ("notes.txt", "not_dicom"),
    }  # fmt: skip
    summary = {reason: (count, example) for reason, count, example in dropped_summary(kept)}
    assert summary["empty"] == (1, "empty.dcm (0 bytes)") and summary["no_pixels"] == (1, "rs.dcm (RTSTRUCT)")
    files = sum(s.files for s in kept.series) + len(kept.dropped)
    assert files == sum(p.is_file() for p in mixed.rglob("*")), "no file is lost"


def test_the_draft_names_what_is_usable(mixed):
    header, *lines = draft_acquisitions(inventory(mixed), mixed)
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert [(r["modality"], r["path"], r["role"], r["session"]) for r in rows] == [
        ("pet", "m1/day1", "followup", "day1"),
        ("ct", "m1/day1", "anatomy", "day1"),
    ]
    assert all(r["subject"] == r["label"] == r["series"] == "" for r in rows), "what a person must decide stays open"


def test_two_series_of_one_modality_are_named_in_the_draft(tmp_path):
    folder = scan(tmp_path / "both")
    for n, file in enumerate(sorted(folder.iterdir())):
        changed(file, folder / f"o{n}.dcm", SeriesInstanceUID="1.2.9", SOPInstanceUID=f"1.2.9.{n}")
    header, *lines = draft_acquisitions(inventory(tmp_path), tmp_path)
    series = [line[header.index("series")] for line in lines]
    assert len(series) == 2 and "1.2.9" in series and all(series)


def test_sessions_are_days_in_order(tmp_path):
    for n, days in enumerate((7, 0, 1)):
        scan(tmp_path / f"s{n}", start=START + timedelta(days=days), seed=n)
    header, *lines = draft_acquisitions(inventory(tmp_path), tmp_path)
    assert {line[header.index("path")]: line[header.index("session")] for line in lines} == {"s0": "day3", "s1": "day1", "s2": "day2"}


def test_headers_with_and_without_an_offset_in_one_folder(tmp_path):
    scan(tmp_path / "a")
    scan(tmp_path / "a", "enhanced", timezone="+0100", seed=4)
    found = inventory(tmp_path)
    assert len(draft_acquisitions(found, tmp_path)) == 3
    assert {s.acquired for s in found.series} == {START}


def test_spect_is_told_from_pet(tmp_path):
    scan(tmp_path, "nm")
    (one,) = inventory(tmp_path).series
    assert (one.dicom_modality, one.modality, one.shape) == ("NM", "spect", "4 × 3 × 5")


def test_an_unusable_series_says_why_and_is_not_drafted(tmp_path):
    folder = scan(tmp_path / "gap")
    sorted(folder.iterdir())[1].unlink()
    cut = scan(tmp_path / "cut", seed=2)
    file = sorted(cut.iterdir())[0]
    file.write_bytes(file.read_bytes()[:-5])
    problems = {s.folder.name: s.problem for s in inventory(tmp_path).series}
    assert problems["gap"].startswith("missing_slice") and problems["cut"].startswith("truncated_pixels")
    assert len(draft_acquisitions(inventory(tmp_path), tmp_path)) == 1


def test_a_bad_value_in_one_header_is_that_series_problem(tmp_path):
    folder = scan(tmp_path / "bad", edit=lambda ds: setattr(ds, "SliceThickness", "7.654321"))
    scan(tmp_path / "good", seed=2)
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes().replace(b"7.654321", b"7,654321"))
    problems = {s.folder.name: s.problem for s in inventory(tmp_path).series}
    assert "SliceThickness" in problems["bad"] and problems["good"] == ""


def test_a_modality_that_nothing_measures(tmp_path):
    folder = scan(tmp_path / "a", edit=lambda ds: setattr(ds, "Modality", "US"))
    (one,) = inventory(folder).series
    assert one.modality == "" and "US" in one.problem


def test_progress_reaches_the_end(tmp_path):
    scan(tmp_path)
    steps = [p for p in take_inventory(tmp_path) if isinstance(p, Progress)]
    assert steps[-1] == Progress(4, 4)


def test_no_persons_name(tmp_path):
    scan(tmp_path, edit=lambda ds: setattr(ds, "PatientName", "Secret^Person"))
    assert "Secret" not in repr(inventory(tmp_path)) + repr(draft_acquisitions(inventory(tmp_path), tmp_path))


def test_one_uid_with_two_images_and_a_missing_folder_are_errors(tmp_path):
    folder = scan(tmp_path / "a")
    first = sorted(folder.iterdir())[0]
    changed(first, folder / "other.dcm", PixelData=np.arange(15, dtype="<i2").tobytes())
    with pytest.raises(InputError, match="duplicate_uid_different_pixels"):
        inventory(tmp_path)
    with pytest.raises(InputError, match="path_missing"):
        inventory(tmp_path / "gone")
