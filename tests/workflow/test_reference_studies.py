"""Reference and real PET data, run as studies through the workflow."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.workflow.conftest import StudyText, write_study

pytestmark = [pytest.mark.shared, pytest.mark.workflow]
# The reference objects' patient: 70 kg, 368.08 MBq at 10:00 (23:30 the day before in the one that spans midnight).
DOSE = 368.08
OBJECTS = ("DRO_0_0", "DRO_1_0", "DRO_2_0", "DRO_2_4", "DRO_3_0", "DRO_3_1", "DRO_4_2")


def _ibsi_study(folder: Path, data: Path) -> Path:
    subjects, doses, acquisitions = [], [], []
    for name in OBJECTS:
        subject = name.replace("_", "")
        subjects.append((subject, "human", 70000, "", ""))
        doses.append((subject, "2025-01-01T23:30:00" if name == "DRO_4_2" else "2025-01-01T10:00:00", "fdg", 0, "iv", DOSE, "MBq"))
        organs = folder / f"{subject}.nii.gz"
        organs.symlink_to(data / name / "mask" / "DRO_mask.nii.gz")
        (folder / f"{subject}.tsv").write_text("index\tname\n1\tregion\n", encoding="utf-8")
        acquisitions.append((subject, "scan", "pet", data / name / "PT", "fdg", organs))
    return write_study(folder, "ibsi", StudyText(subjects, doses, acquisitions, config="pet: {accept_philips_counts: true}"))


def test_seven_ibsi_objects_give_the_published_suv(shared_data: Path, tmp_path: Path, run_workflow) -> None:
    folder = tmp_path / "ibsi"
    folder.mkdir()
    ran = run_workflow(_ibsi_study(folder, shared_data / "ibsi_suv"), "ibsi")
    assert ran.code == 0, ran.output
    rows = ran.table("curves/biodistribution.csv")
    for name in OBJECTS:
        subject = name.replace("_", "")
        own = {r["quantity"]: r for r in rows if r["subject"] == subject}
        image = np.asarray(nibabel.load(ran.results / "stages" / "pet" / subject / "quantity" / "scan.nii").dataobj).T[0]
        mask = np.asarray(nibabel.load(shared_data / "ibsi_suv" / name / "mask" / "DRO_mask.nii.gz").dataobj).T > 0
        # SUV of a voxel: its concentration times what the table's SUV of the region is per concentration.
        suv = image[mask] * float(own["suv"]["value"]) / float(own["concentration"]["value"])
        assert [f"{v:.2f}" for v in (suv.min(), np.median(suv), suv.max())] == ["0.20", "1.00", "4.00"], name
        assert f"{float(own['suv_max']['value']):.2f}" == "4.00", name


def test_two_real_patients_with_their_contours(shared_data: Path, tmp_path: Path, run_workflow) -> None:
    data = shared_data / "fdg_sarcoma" / "dicom"
    text = StudyText(
        subjects=[("STS001", "human", 71000, "M", ""), ("STS010", "human", 65000, "", "")],
        doses=[
            ("STS001", "2000-09-07T10:35:00", "fdg", 0, "iv", 388777472, "Bq"),
            ("STS010", "2003-12-30T12:54:00", "fdg", 0, "iv", 373378368, "Bq"),
        ],
        acquisitions=[
            (s, "scan", "pet", data / f / "PET" / "image", "fdg", data / f / "PET" / "mask" / "RS.dcm")
            for s, f in (("STS001", "STS_001"), ("STS010", "STS_010"))
        ],
    )
    ran = run_workflow(write_study(tmp_path / "sarcoma", "sarcoma", text), "sarcoma")
    assert ran.code == 0, ran.output
    got = {(r["subject"], r["quantity"]): float(r["value"]) for r in ran.table("curves/biodistribution.csv") if r["value"]}
    assert f"{got['STS001', 'suv_max']:.2f}" == "7.91"
    assert f"{got['STS010', 'suv_max']:.2f}" == "11.81"
    assert f"{got['STS001', 'suv']:.2f}" == "2.56"
    assert f"{got['STS010', 'suv']:.2f}" == "5.18"
    # The second patient's header is dated a day after the scan (anonymised): reported, not believed.
    checks = [r for r in ran.table("qc/checks.csv") if r["subject"] == "STS010" and r["check"] == "injection_time"]
    assert checks[0]["status"] == "warn"
    assert "2003-12-31" in checks[0]["reason"]
