"""The small digital MR study through the real workflow: rates before and after, iron, cells, pictures, and what an edit reruns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.digital_study import copy_small
from tracker.table import read_rows

pytestmark = pytest.mark.workflow
REPOSITORY = Path(__file__).resolve().parents[2]


def _snakemake(config: Path, work: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--configfile", str(config), "--cores", "2", *more]
    settings = os.environ | {"XDG_CACHE_HOME": str(work / "cache")}
    return subprocess.run(
        command, cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=600, env=settings
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of the small study's MR scans, run once."""
    folder = tmp_path_factory.mktemp("mr")
    (folder / "work").mkdir()
    done = _snakemake(copy_small(folder / "study", {}, "small", modality="mri"), folder / "work")
    assert done.returncode == 0, done.stdout
    return folder / "work" / "results" / "small"


def test_rates_iron_and_cells_are_in_the_table(results: Path) -> None:
    rows = read_rows(results / "curves" / "biodistribution.csv")
    before = {"r2star", "signal", "concentration", "concentration_max"}
    after = {"delta_r2star", "label_amount", "injected_percent", "injected_percent_per_g", "cells_equivalent"}
    assert {r.quantity for r in rows if r.session == "b"} == before
    assert {r.quantity for r in rows if r.session == "h024"} == before | after
    liver = {(r.subject, r.quantity): r for r in rows if r.organ == "liver" and r.session == "h024"}
    for subject in ("m01", "m03"):
        assert liver[subject, "delta_r2star"].value > 5
        assert liver[subject, "label_amount"].unit == "ug"
        assert liver[subject, "label_amount"].method.endswith("baseline of b")
    lungs = [r for r in rows if r.organ.startswith("lung") and r.quantity == "cells_equivalent"]
    assert lungs and all(r.value is None and "saturated" in r.flag for r in lungs)


def test_maps_and_pictures_are_there(results: Path) -> None:
    for ending in ("", "_sd", "_censored", "_limit", "_fit_status", "_s0"):
        assert (results / "stages" / "mri" / "m01" / "quantity" / f"h024{ending}.nii").stat().st_size > 1000, ending
    assert (results / "qc" / "mri_m01_before_after.png").stat().st_size > 1000
    assert "mri m01 before after" in (results / "report" / "index.html").read_text(encoding="utf-8")


def test_second_run_has_nothing_to_do_and_an_edited_dose_reruns_that_animal(results: Path) -> None:
    study, work = results.parents[2] / "study", results.parents[1]
    assert "Nothing to be done" in _snakemake(study / "config.yaml", work, "-n").stdout
    sheet = study / "doses.tsv"
    before = sheet.read_text(encoding="utf-8")
    assert "m03\t2026-03-03T09:00:00\tspio\t500000" in before
    sheet.write_text(before.replace("m03\t2026-03-03T09:00:00\tspio\t500000", "m03\t2026-03-03T09:00:00\tspio\t400000"), encoding="utf-8")
    dry = _snakemake(study / "config.yaml", work, "-n").stdout
    sheet.write_text(before, encoding="utf-8")
    assert "rule correct" in dry
    assert "stages/mri/m03/" in dry and "output: results/small/stages/mri/m01" not in dry
