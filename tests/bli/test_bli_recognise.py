"""`celltracker scan` on folders that hold click folders among DICOM and litter."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tifffile import imwrite

from tests.bli.click_files import NAMES, START, spots, write_click
from tracker import cli, inventory
from tracker.bli.recognise import recognise_files
from tracker.inventory import Inventory, draft_acquisitions, take_inventory
from tracker.modality import Modality, modalities

SHAPE = (24, 24)
TRUTH = spots(SHAPE, [(12, 12, 3, 1e6)])


@pytest.fixture(autouse=True)
def with_bli(monkeypatch):
    """The room as a modality, whether or not it is one yet."""
    folder = Path(inventory.__file__).parent / "bli"
    others = tuple(m for m in modalities() if m.package != "bli")
    monkeypatch.setattr(inventory, "modalities", lambda: (*others, Modality("bli", ("bli",), "image", folder)))


def listed(root: Path) -> Inventory:
    *_, last = take_inventory(root)
    assert isinstance(last, Inventory)
    return last


def dicom(folder: Path) -> None:
    """One CT slice, by its headers."""
    folder.mkdir(parents=True, exist_ok=True)
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.1", "1.2.3"
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.Modality, ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = "CT", 2, 2, 16, 16, 15
    ds.SamplesPerPixel, ds.PixelRepresentation, ds.PhotometricInterpretation, ds.PixelData = 1, 0, "MONOCHROME2", b"\0" * 8
    ds.save_as(folder / "ct.dcm", enforce_file_format=True)


@pytest.fixture
def mixed(tmp_path):
    dicom(tmp_path / "ct")
    dicom(tmp_path / "day1" / "XQ20260302110005")
    write_click(tmp_path / "clicks" / "XQ20260302110005", TRUTH)
    write_click(tmp_path / "clicks" / "XQ20260302113000", TRUTH, start=START + timedelta(minutes=30))
    for n in (1, 2, 3):
        write_click(tmp_path / "XQ2_SEQ" / f"XQ2_{n:03d}", TRUTH, start=START + timedelta(days=1, minutes=n))
    (tmp_path / "XQ2_SEQ" / "SequenceInfo.txt").write_text("*** Sequence:\tx\nClickNumber 1:\tXQ2_001\n")
    write_click(tmp_path / "XQ2_SEQ" / "XQ2_UMX1", TRUTH)
    write_click(tmp_path / "broken", TRUTH, keys={"Luminescent Exposure (Seconds)": None})
    cut = write_click(tmp_path / "cut", TRUTH) / "luminescent.TIF"
    cut.write_bytes(cut.read_bytes()[:600])
    (tmp_path / "other").mkdir()
    for name, keys in (("m", {"unit": "p/s/cm2/sr", "pixel_mm": 1, "exposure_s": 1, "acquired": "2026-03-04T10:00:00"}), ("n", {"a": 1})):
        imwrite(tmp_path / "other" / f"{name}.tif", TRUTH.astype(np.float32))
        (tmp_path / "other" / f"{name}.json").write_text(json.dumps(keys))
    (tmp_path / "clicks" / "notes.txt").write_text("late")
    return tmp_path


def test_clicks_and_sequences_are_found_among_dicom(mixed):
    found = {str(s.folder.relative_to(mixed)): s for s in listed(mixed).series}
    assert set(found) == {
        "ct",
        "day1/XQ20260302110005",
        "clicks/XQ20260302110005",
        "clicks/XQ20260302113000",
        "XQ2_SEQ",
        "XQ2_SEQ/XQ2_UMX1",
        "broken",
        "cut",
        "other/m.tif",
    }
    click, sequence, plain = found["clicks/XQ20260302110005"], found["XQ2_SEQ"], found["other/m.tif"]
    assert (click.dicom_modality, click.modality, click.role, click.shape, click.acquired, click.files, click.problem) == (
        "IVIS", "bli", "followup", "1 × 24 × 24", START, 5, "")  # fmt: skip
    assert (sequence.shape, sequence.files, sequence.acquired) == ("3 × 24 × 24", 16, START + timedelta(days=1, minutes=1))
    assert (plain.dicom_modality, plain.shape, plain.problem, plain.acquired.day) == ("TIFF", "1 × 24 × 24", "", 4)
    assert found["broken"].problem.startswith("no_exposure") and found["cut"].problem.startswith("tiff_truncated")
    assert "unmixed" in found["XQ2_SEQ/XQ2_UMX1"].problem


def test_no_file_is_lost_and_none_is_counted_twice(mixed):
    kept = listed(mixed)
    assert sum(s.files for s in kept.series) + len(kept.dropped) == sum(p.is_file() for p in mixed.rglob("*"))
    assert {d.path.name for d in kept.dropped} == {"notes.txt", "n.tif", "n.json"}


def test_the_draft_has_a_row_for_each_and_no_animal(mixed):
    header, *lines = draft_acquisitions(listed(mixed), mixed)
    rows = {line[header.index("path")]: dict(zip(header, line, strict=True)) for line in lines}
    wanted = {"clicks/XQ20260302110005": "day1", "clicks/XQ20260302113000": "day1", "XQ2_SEQ": "day2", "other/m.tif": "day3"}
    assert {path: row["session"] for path, row in rows.items() if row["modality"] == "bli"} == wanted
    assert all(row["subject"] == row["label"] == row["series"] == "" for row in rows.values())


def test_the_command_lists_them_and_names_nobody(mixed, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["scan", str(mixed), "--draft", str(mixed / "draft.tsv")]) == 0
    said = capsys.readouterr().out + (mixed / "draft.tsv").read_text(encoding="utf-8")
    assert "XQ2_SEQ" in said and "IVIS" in said and "bli" in said
    for name in NAMES:
        assert name.split()[0] not in said


def test_what_the_draft_names_can_be_read(mixed):
    from tests.bli.click_files import context_of
    from tracker.bli.read import read

    usable = [s for s in listed(mixed).series if not s.problem and s.modality == "bli"]
    for one in usable:
        assert len(read(one.folder, "", context_of(one.folder)).values) == int(one.shape.split()[0])


def test_nothing_is_found_where_there_is_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert recognise_files([tmp_path / "a.txt"]) == ()
