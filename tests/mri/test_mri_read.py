"""Which reader a path goes to, and what a folder of mixed files leaves behind; what `celltracker scan` makes of MR series."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.mri.mri_cases import (
    START,
    TIMES_MS,
    Series,
    context_of,
    full_turn,
    numbers,
    phase_series,
    statuses,
    write_classic,
    write_enhanced,
    write_volume,
)
from tracker.dicom import group_series, read_instances, walk
from tracker.errors import InputError
from tracker.image import Scan
from tracker.inventory import Inventory, draft_acquisitions, take_inventory
from tracker.mri.phase import phase_scale
from tracker.mri.read import read
from tracker.mri.recognise import recognise
from tracker.mri.tags import MR_TAGS, field_of, kind_of, nucleus_of


def scan_of(path: Path, series: str = "", **row: Any) -> Scan:
    return read(path, series, context_of(path, **row))


def refused(path: Path, code: str) -> InputError:
    with pytest.raises(InputError) as raised:
        scan_of(path)
    assert raised.value.code == code, raised.value
    return raised.value


def test_paravision_goes_to_its_own_reader(tmp_path, monkeypatch):
    asked = []
    bruker = ModuleType("tracker.mri.paravision")
    bruker.is_paravision = lambda path: path == tmp_path / "7"  # type: ignore[attr-defined]
    bruker.read_paravision = lambda path, series, context: asked.append((path, series, context))  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "tracker.mri.paravision", bruker)
    context = context_of(tmp_path)
    read(tmp_path / "7", "1", context)
    assert asked == [(tmp_path / "7", "1", context)]
    write_classic(tmp_path / "8", Series(numbers()))
    assert read(tmp_path / "8", "", context).header.source == "classic" and len(asked) == 1


def test_the_same_scan_in_every_format(tmp_path):
    stored = numbers()
    write_classic(tmp_path / "classic", Series(stored))
    write_enhanced(tmp_path / "enhanced" / "a.dcm", stored)
    write_volume(
        tmp_path / "nifti" / "gre.nii", stored[0], {"EchoTime": [t / 1000 for t in TIMES_MS], "AcquisitionDateTime": START.isoformat()}
    )
    scans = [scan_of(tmp_path / name) for name in ("classic", "enhanced", "nifti")]
    assert [s.header.source for s in scans] == ["classic", "enhanced", "nifti"]
    for scan in scans:
        assert (np.asarray(scan.values) == stored[0]).all() and scan.times.origin == START
        assert scan.header.echo_times_s == pytest.approx([0.003, 0.006, 0.009, 0.012], rel=1e-9)


def test_dicom_counts_where_a_converter_left_its_copy(tmp_path):
    stored = numbers()
    write_classic(tmp_path, Series(stored))
    write_volume(tmp_path / "copy.nii.gz", stored[0] + 1, {"EchoTime": [0.003, 0.006, 0.009, 0.012]})
    (tmp_path / "empty.dcm").write_bytes(b"")
    first = sorted(tmp_path.glob("*.dcm"))[1]
    shutil.copy(first, tmp_path / "twice.dcm")
    write_classic(tmp_path, Series(numbers(echoes=1), (3.0,), uid="1.2.3.7", number=2, tags={"Modality": "CT", "SOPClassUID": "1.2.3"}))
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all()
    found = statuses(scan.findings)
    assert found["files_empty"] == found["files_duplicate"] == "warn" and found["files_not_dicom"] == found["other_series"] == "ok"


def test_a_localiser_under_the_same_uid_is_left_out(tmp_path):
    def edit(ds: Dataset, *at: int) -> None:
        ds.SOPInstanceUID += ".8"
        ds.ImageOrientationPatient, ds.ImageType = [1, 0, 0, 0, 0, -1], ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    stored = numbers()
    write_classic(tmp_path, Series(stored))
    write_classic(tmp_path, Series(numbers(echoes=1), (3.0,), image_type=("A",) * 3, edit=edit))
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all() and statuses(scan.findings)["series_split"] == "warn"


def test_a_broken_series_beside_the_scan_is_said(tmp_path):
    stored = numbers()
    write_classic(tmp_path, Series(stored))
    write_classic(tmp_path, Series(numbers(echoes=1), (3.0,), uid="1.2.3.7", tags={"FrameOfReferenceUID": "1.2.9", "PixelSpacing": None}))
    scan = scan_of(tmp_path)
    assert (np.asarray(scan.values) == stored[0]).all() and statuses(scan.findings)["series_unreadable"] == "warn"


def test_folders_without_a_scan(tmp_path):
    refused(tmp_path, "no_series")
    refused(tmp_path / "gone", "path_missing")
    write_classic(tmp_path, Series(numbers(), tags={"Modality": "PT"}))
    refused(tmp_path, "no_series")


@pytest.mark.parametrize(("image_type", "kind"), [
    (["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"], "magnitude"),
    (["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], "magnitude"),
    (["DERIVED", "PRIMARY", "MAGNITUDE"], "magnitude"),
    (["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"], "phase"),
    (["DERIVED", "PRIMARY", "PHASE_MAP", "NONE"], "phase"),
    (["ORIGINAL", "PRIMARY", "R_FFE", "R", "FFE"], "real"),
    (["ORIGINAL", "PRIMARY", "IMAGINARY"], "imaginary"),
    (["ORIGINAL", "PRIMARY", "M", "SWI", "NORM"], "computed"),
    (["DERIVED", "PRIMARY", "MNIP"], "computed"),
    (["DERIVED", "PRIMARY", "T2_STAR MAP"], "computed"),
    (["DERIVED", "PRIMARY", "R2_STAR_MAP"], "computed"),
    (["ORIGINAL", "PRIMARY", "B0 MAP", "B0", "UNSPECIFIED"], "computed"),
    (["P", "R"], "magnitude"),
    ([], "magnitude"),
])  # fmt: skip
def test_kinds_in_the_makers_words(image_type, kind):
    assert kind_of(image_type) == kind


def test_the_component_counts_before_the_words():
    assert kind_of(["ORIGINAL", "PRIMARY", "M"], "PHASE") == "phase" and kind_of(["ORIGINAL", "PRIMARY", "P"], "MIXED") == "phase"
    assert [kind_of(["ORIGINAL", "PRIMARY", "OTHER"], "", code) for code in (0, 1, 2, 3, 9, "x", None)] == [
        "magnitude", "phase", "real", "imaginary", "magnitude", "magnitude", "magnitude",
    ]  # fmt: skip


def test_nuclei_and_fields():
    assert [nucleus_of(t) for t in ("1H", "H1", "^1H", "19F", "F19", "23Na", "")] == ["1H", "1H", "1H", "19F", "19F", "23Na", ""]
    # 400.13 MHz is sold as 9.4 T. Another nucleus' frequency says nothing of the field here.
    assert field_of(None, 400.13, "1H")[0] == pytest.approx(9.4, abs=0.01) and field_of(None, 376.5, "19F")[0] is None


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.0, 30.0), (-5.0, 300.0), (np.nan, 1.0), (-np.inf, np.inf)])
def test_phase_of_no_known_scale(low, high):
    assert phase_scale(low, high) is None


def recognised(folder: Path) -> dict[str, Any]:
    groups, _ = group_series(read_instances(walk(folder).files, MR_TAGS)[0])
    return {g.uid: known for g, known in zip(groups, recognise(groups), strict=True)}


def test_series_are_recognised_by_their_echoes(tmp_path):
    write_classic(tmp_path, Series(numbers()))
    write_classic(tmp_path, phase_series(full_turn()))
    before = {"AcquisitionTime": "104000"}
    write_classic(tmp_path, Series(numbers(echoes=1), (11.0,), uid="1.2.3.7", number=3, tags={**before, "ScanningSequence": "SE"}))
    write_classic(tmp_path, Series(numbers(echoes=3), TIMES_MS[:3], uid="1.2.3.8", number=4, tags={**before, "ScanningSequence": "SE"}))
    fluorine = {"AcquisitionTime": "113000", "ImagedNucleus": "19F", "ScanningSequence": "SE"}
    write_classic(tmp_path, Series(numbers(echoes=1), (11.0,), uid="1.2.3.9", number=9, tags=fluorine))
    found = recognised(tmp_path)
    assert {uid: (k.modality, k.role) for uid, k in found.items() if not k.problem} == {
        "1.2.3.1": ("mri", "followup"),
        "1.2.3.7": ("mr", "anatomy"),
        "1.2.3.8": ("mr", "anatomy"),
        "1.2.3.9": ("mri", "followup"),
    }
    assert "1.2.3.1" in found["1.2.3.2"].problem


def test_the_draft_has_one_row_per_scan(tmp_path):
    for echo in range(4):
        series = Series(numbers(echoes=1, low=100 * echo), (TIMES_MS[echo],), uid=f"1.2.3.1{echo}", number=5 + echo, first_echo=echo + 1)
        write_classic(tmp_path / "m1", series)
    anatomy = Series(numbers(echoes=1), (11.0,), uid="1.2.3.7", number=3, tags={"AcquisitionTime": "104000", "ScanningSequence": "SE"})
    write_classic(tmp_path / "m1", anatomy)
    *_, inventory = take_inventory(tmp_path)
    assert isinstance(inventory, Inventory)
    header, *lines = draft_acquisitions(inventory, tmp_path)
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert sorted((r["modality"], r["role"], r["path"], r["series"]) for r in rows) == [
        ("mr", "anatomy", "m1", "1.2.3.7"), ("mri", "followup", "m1", "1.2.3.10"),
    ]  # fmt: skip
    # The row as drafted is read as the whole scan.
    scan = scan_of(tmp_path / "m1", "1.2.3.10")
    assert len(scan.header.echo_times_s) == 4
