"""The stages of one subject: what is set aside stays out, says why, and is counted once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pet.pet_cases import context_of
from tracker import stages
from tracker.qc import QcRow, write_qc
from tracker.setaside import set_aside_text


def test_organ_maps_are_listed_with_the_raw_files(tmp_path: Path) -> None:
    scan = tmp_path / "scan"
    scan.mkdir()
    (scan / "1.dcm").write_bytes(b"one")
    (tmp_path / "organs.nii.gz").write_bytes(b"map")
    (tmp_path / "organs.tsv").write_bytes(b"names")
    context = context_of(scan)
    context = replace(context, acquisition=replace(context.acquisition, organs=tmp_path / "organs.nii.gz"))
    (row,) = stages.ingest([context], tmp_path / "manifest.json")
    listed = [(f["scan"], f["name"]) for f in json.loads((tmp_path / "manifest.json").read_text())]
    assert listed == [
        ("m1/m1_d0/pet", "1.dcm"),
        ("m1/m1_d0/pet/organs", "organs.nii.gz"),
        ("m1/m1_d0/pet/organs", "organs.tsv"),
    ]
    assert (row.status, row.reason) == ("ok", "1 file(s), 3 bytes")


def test_a_scan_that_ingest_set_aside_is_not_calibrated_from_the_files_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "scan"
    scan.mkdir()
    (scan / "1.dcm").write_bytes(b"one")

    def no_leave(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(scan / "1.dcm"))

    # Tests may run as root, whom no file mode stops.
    monkeypatch.setattr(stages, "raw_files", no_leave)
    manifest = tmp_path / "manifest.json"
    (row,) = stages.ingest([context_of(scan)], manifest)
    assert (row.check, row.status) == ("unreadable_file", "fail")
    assert "1.dcm" in row.reason and str(tmp_path) not in row.reason
    assert stages.calibrate([context_of(scan)], manifest, tmp_path / "quantity") == ()


def test_a_scan_with_two_reasons_is_one_scan(tmp_path: Path) -> None:
    rows = [QcRow("s", "m1", "d0", "pet", stage, "x", "fail", stage) for stage in ("ingest", "organs")]
    write_qc(tmp_path / "checks.csv", [*rows, QcRow("s", "m2", "d0", "pet", "ingest", "x", "ok", "")])
    assert set_aside_text(tmp_path / "checks.csv").startswith("1 scan(s) set aside")


def test_a_scan_whose_spill_over_cannot_be_undone_is_not_handed_on_without(tmp_path: Path) -> None:
    import numpy as np

    from tracker.image import FrameTimes, Grid, OrganMap, Quantity
    from tracker.nifti import write_organ_map, write_quantity

    quantities, organs, tables, pictures = (tmp_path / name for name in ("quantity", "organs", "tables", "pictures"))
    quantities.mkdir()
    organs.mkdir()
    # Two organs as the fields of a chessboard, under a blur much wider than a field: nothing tells them apart.
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[2:10, 2:10, 2:10] = 1 + np.indices((8, 8, 8)).sum(axis=0) % 2
    context = context_of(tmp_path, constants={"psf_fwhm_mm": 6.0, "spill_over": "gtm"})
    key, grid = context.acquisition.key, Grid((12, 12, 12), np.eye(4))
    values = np.where(labels == 1, 5.0, 1.0)[None].astype(np.float32)
    times = FrameTimes(context.doses[0].dose_time, (0.0,), (60.0,))
    write_quantity(quantities / f"{key}.nii", Quantity(values, "Bq/mL", grid, times))
    write_organ_map(organs / f"{key}.nii", OrganMap(labels, {1: "white", 2: "black"}, grid))
    nothing = stages.Drawing(lambda *_: None, lambda *_: None)
    (row,) = stages.quantify([context], (quantities, organs), (tables, pictures), nothing)
    assert (row.check, row.status) == ("spread_ill_conditioned", "fail") and "white" in row.reason
    assert stages.correct([context], tables, tmp_path / "rows.csv") == ()
