"""Organ maps as the workflow hands them out, and which pictures a scan gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.pet.pet_cases import context_of
from tracker import stages
from tracker.image import FrameTimes, Grid, OrganMap, Quantity
from tracker.nifti import write_organ_map, write_quantity
from tracker.organs import read_organs
from tracker.study.model import Context


def _staged(folder: Path, context: Context, shape: tuple[int, int, int] = (12, 12, 12)) -> tuple[Path, Path, OrganMap]:
    quantities, organs = folder / "quantity", folder / "organs"
    quantities.mkdir(parents=True)
    organs.mkdir()
    labels = np.zeros(shape, np.uint8)
    labels[shape[0] // 4 : shape[0] // 4 * 3 or 1, 3:6, 2:10], labels[shape[0] // 4 : shape[0] // 4 * 3 or 1, 6:9, 2:10] = 1, 2
    organ_map = OrganMap(labels, {1: "liver", 2: "spleen"}, Grid(shape, np.diag([0.5, 0.5, 0.5, 1.0])))
    values = np.where(labels == 1, 5.0, 1.0)[None].astype(np.float32)
    times = FrameTimes(context.doses[0].dose_time, (0.0,), (60.0,))
    write_quantity(quantities / f"{context.acquisition.key}.nii", Quantity(values, "Bq/mL", organ_map.grid, times))
    write_organ_map(organs / f"{context.acquisition.key}.nii", organ_map)
    return quantities, organs, organ_map


def test_maps_are_written_for_every_scan_and_read_back(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    _, organs, organ_map = _staged(tmp_path / "stages", context)
    assert stages.export_organs([context], organs, tmp_path / "out") == ()
    key = context.acquisition.key
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{key}.nii.gz", f"{key}.tsv"]
    back = read_organs(tmp_path / "out" / f"{key}.nii.gz", organ_map.grid)
    assert (back.labels == organ_map.labels).all() and back.names == organ_map.names


def test_a_scan_that_is_no_dicom_has_no_seg_and_says_so(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    context = replace(context, organs=replace(context.organs, dicom_seg=True))
    _, organs, _ = _staged(tmp_path / "stages", context)
    (row,) = stages.export_organs([context], organs, tmp_path / "out")
    assert (row.check, row.status) == ("dicom_seg", "warn") and "not DICOM" in row.reason
    assert not list((tmp_path / "out").glob("*.dcm"))


def _drawn(tmp_path: Path, context: Context, shape: tuple[int, int, int]) -> list[tuple[str, str]]:
    quantities, organs, _ = _staged(tmp_path / "stages", context, shape)
    seen: list[tuple[str, str]] = []

    def draw(kind: str) -> Any:
        return lambda path, *_: seen.append((kind, path.name))

    drawing = stages.Drawing(draw("one"), draw("together"), draw("organs"), draw("undone"))
    rows = stages.quantify([context], (quantities, organs), (tmp_path / "tables", tmp_path / "pictures"), drawing)
    assert all(row.status != "fail" for row in rows), rows
    return seen


def test_a_scan_has_its_organs_drawn_and_what_was_undone(tmp_path: Path) -> None:
    context = context_of(tmp_path, constants={"psf_fwhm_mm": 0.8, "spill_over": "gtm"})
    scan = context.acquisition
    name = f"{scan.modality}_{scan.subject}_{scan.key}"
    assert _drawn(tmp_path, context, (12, 12, 12)) == [
        ("undone", f"{name}_spill_over.png"),
        ("one", f"{name}.png"),
        ("organs", f"{name}_organs.png"),
    ]


def test_a_planar_image_has_no_slices(tmp_path: Path) -> None:
    assert [kind for kind, _ in _drawn(tmp_path, context_of(tmp_path, constants={}), (1, 12, 12))] == ["one"]
