"""The small digital study through the real workflow: what comes out, what an edit reruns, and one bad animal."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.digital_study import PERFECT, copy_small
from tracker.table import COLUMNS, read_rows

pytestmark = pytest.mark.workflow
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Place:
    """A study folder and the working directory it is run in."""

    config: Path
    work: Path

    @property
    def results(self) -> Path:
        return self.work / "results" / "small"

    def snakemake(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Runs snakemake on the study; output and errors in one text."""
        snakefile = str(REPOSITORY / "Snakefile")
        command = [sys.executable, "-m", "snakemake", "-s", snakefile, "--configfile", str(self.config), "--cores", "2"]
        settings = os.environ | {"XDG_CACHE_HOME": str(self.work / "cache")}
        return subprocess.run(
            [*command, *more],
            cwd=self.work,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=600,
            env=settings,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The small study without noise and blur, run once."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "work").mkdir()
    place = Place(copy_small(folder / "study", PERFECT, "small", modality="pet"), folder / "work")
    done = place.snakemake()
    assert done.returncode == 0, done.stdout
    return place


def test_curves_hold_the_contract_and_the_truth(place: Place) -> None:
    rows = read_rows(place.results / "curves" / "biodistribution.csv")
    wanted = {"signal", "concentration", "concentration_max", "label_amount", "injected_percent", "injected_percent_per_g", "suv"}
    wanted |= {"suv_max", "cells_equivalent"}
    assert {r.quantity for r in rows} == wanted
    assert len(rows) == 2 * 2 * 13 * len(wanted)
    truth = {}
    for animal in ("m01", "m03"):
        with (place.results / "stages" / "pet" / animal / "truth.csv").open(newline="") as file:
            truth |= {(t["subject"], t["session"], t["organ"]): float(t["injected_percent"]) for t in csv.DictReader(file)}
    for row in rows:
        if row.quantity == "injected_percent":
            assert row.value == pytest.approx(truth[row.subject, row.session, row.organ], rel=0.02)
    text = (place.results / "curves" / "biodistribution.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert not re.search(r"\bnan\b|\binf\b", text, re.IGNORECASE)


def test_every_file_of_the_contract_is_there(place: Place) -> None:
    curves = ("curves/biodistribution.json", "curves/datapackage.json", "curves/groups.csv")
    pk = ("pk/nca.csv", "pk/nonmem.csv", "pk/monolix.csv", "pk/id_map.csv")
    for name in (*curves, *pk, "report/index.html", "qc/checks.csv", "provenance/ro-crate-metadata.json"):
        assert (place.results / name).stat().st_size > 0, name
    # Of each scan its projections and its organs one by one.
    assert len(list((place.results / "qc").glob("*.png"))) == 8
    exported = sorted(p.name for p in (place.results / "organs" / "pet_m01").glob("h*"))
    assert exported == ["h001.nii.gz", "h001.tsv", "h024.nii.gz", "h024.tsv"]


def test_provenance_names_no_path_of_this_machine_and_no_person(place: Place) -> None:
    text = (place.results / "provenance" / "ro-crate-metadata.json").read_text(encoding="utf-8")
    assert str(place.work) not in text
    assert str(place.config.parent) not in text
    assert str(Path.home()) not in text
    crate = json.loads(text)
    hashed = [e for e in crate["@graph"] if e["@type"] == "File"]
    assert len(hashed) > 100
    assert all(re.fullmatch(r"[0-9a-f]{64}", e["sha256"]) for e in hashed)


def test_report_and_checks_name_no_path_of_this_machine(place: Place) -> None:
    for name in ("report/index.html", "qc/checks.csv", "curves/biodistribution.csv", "pk/nonmem.csv"):
        assert str(place.config.parent) not in (place.results / name).read_text(encoding="utf-8"), name


def test_second_run_has_nothing_to_do(place: Place) -> None:
    assert "Nothing to be done" in place.snakemake("-n").stdout


def test_listed_rules_read_as_a_manual(place: Place) -> None:
    listed = place.snakemake("--list-rules").stdout
    for rule in ("ingest", "calibrate", "organs", "quantify", "correct", "curves", "pk", "report"):
        assert re.search(rf"^{rule} \(.{{20,}}\)$", listed, re.MULTILINE), rule


def test_config_on_the_command_line_is_refused(place: Place) -> None:
    done = place.snakemake("-n", "--config", "study=other")
    assert done.returncode != 0
    assert "config.yaml" in done.stdout


@pytest.fixture
def lab(place: Place, tmp_path: Path) -> Place:
    """The same raw files as a lab would have them: a study of its own, without a phantom."""
    raw = place.config.parent / "raw"
    folder = tmp_path / "study"
    config = copy_small(folder, {}, "small", modality="pet")
    kept = [line for line in config.read_text(encoding="utf-8").splitlines() if not line.startswith("  ") or "phantom:" not in line]
    text = "\n".join(kept)
    config.write_text(text[: text.index("# A digital study")] + "\n", encoding="utf-8")
    subprocess.run(["cp", "-r", str(raw), str(folder / "raw")], check=True)
    (tmp_path / "work").mkdir()
    return Place(config, tmp_path / "work")


def test_one_bad_animal_does_not_stop_the_others(lab: Place) -> None:
    scan = lab.config.parent / "raw" / "m01" / "h001" / "pet"
    victim = sorted(scan.glob("*.dcm"))[40]
    victim.unlink()
    done = lab.snakemake()
    assert done.returncode == 3, done.stdout
    assert "missing_slice" in done.stdout
    rows = read_rows(lab.results / "curves" / "biodistribution.csv")
    assert {(r.subject, r.session) for r in rows} == {("m01", "h024"), ("m03", "h001"), ("m03", "h024")}
    with (lab.results / "qc" / "checks.csv").open(newline="") as file:
        failed = [r for r in csv.DictReader(file) if r["status"] == "fail"]
    assert [(r["subject"], r["session"], r["stage"], r["check"]) for r in failed] == [("m01", "h001", "calibrate", "missing_slice")]
    assert "missing_slice" in (lab.results / "report" / "index.html").read_text(encoding="utf-8")


def test_a_scan_set_aside_comes_back_when_its_files_are_repaired(lab: Place) -> None:
    victim = sorted((lab.config.parent / "raw" / "m01" / "h001" / "pet").glob("*.dcm"))[40]
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-200])
    assert lab.snakemake().returncode == 3
    victim.write_bytes(whole)
    done = lab.snakemake()
    assert done.returncode == 0, done.stdout
    assert not re.search(r"output: \S*pet/m03/", done.stdout)
    rows = read_rows(lab.results / "curves" / "biodistribution.csv")
    assert {(r.subject, r.session) for r in rows} == {(s, h) for s in ("m01", "m03") for h in ("h001", "h024")}
    # An organ map that is edited in place counts like a raw file.
    names = lab.config.parent / "raw" / "m01" / "h001" / "organs.tsv"
    names.write_text(names.read_text(encoding="utf-8").replace("liver", "hepar"), encoding="utf-8")
    assert lab.snakemake().returncode == 0
    organs = {(r.session, r.organ) for r in read_rows(lab.results / "curves" / "biodistribution.csv") if r.subject == "m01"}
    assert ("h001", "hepar") in organs and ("h001", "liver") not in organs and ("h024", "liver") in organs


def test_an_edited_weight_reruns_that_animal_alone(lab: Place) -> None:
    assert lab.snakemake().returncode == 0
    sheet = lab.config.parent / "subjects.tsv"
    sheet.write_text(sheet.read_text(encoding="utf-8").replace("22.4", "22.9"), encoding="utf-8")
    planned = lab.snakemake("-n").stdout
    assert re.search(r"output: \S*pet/m01/quantity", planned)
    assert not re.search(r"output: \S*pet/m03/", planned)


def test_a_wrong_path_is_refused_even_when_results_exist(lab: Place) -> None:
    assert lab.snakemake().returncode == 0
    sheet = lab.config.parent / "acquisitions.tsv"
    sheet.write_text(sheet.read_text(encoding="utf-8").replace("raw/m03/h024/pet", "raw/m03/h042/pet"), encoding="utf-8")
    done = lab.snakemake()
    assert done.returncode != 0
    assert "raw/m03/h042/pet" in done.stdout
    assert "acquisitions.tsv" in done.stdout


def test_all_animals_bad_still_ends_with_a_report(lab: Place) -> None:
    for path in (lab.config.parent / "raw").glob("*/*/pet/*"):
        path.write_bytes(path.read_bytes()[:200])
    done = lab.snakemake()
    assert done.returncode == 3, done.stdout
    assert read_rows(lab.results / "curves" / "biodistribution.csv") == []
    assert "set aside" in (lab.results / "report" / "index.html").read_text(encoding="utf-8")
