"""What a result was made of: digests that change when they must and only then, and a crate without paths or persons."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tracker.provenance import RawFile, code_digest, fingerprint, raw_files, ro_crate, versions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scan = tmp_path / "scan"
    (scan / "sub").mkdir(parents=True)
    (scan / "1.dcm").write_bytes(b"one")
    (scan / "sub" / "2.dcm").write_bytes(b"two")
    return scan


def add(scan: Path) -> None:
    (scan / "3.dcm").write_bytes(b"")


def remove(scan: Path) -> None:
    (scan / "1.dcm").unlink()


def grow(scan: Path) -> None:
    stat = (scan / "1.dcm").stat()
    (scan / "1.dcm").write_bytes(b"longer")
    os.utime(scan / "1.dcm", ns=(stat.st_atime_ns, stat.st_mtime_ns))


def touch(scan: Path) -> None:
    stat = (scan / "sub" / "2.dcm").stat()
    os.utime(scan / "sub" / "2.dcm", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def rename(scan: Path) -> None:
    (scan / "1.dcm").rename(scan / "0.dcm")


@pytest.mark.parametrize("change", [add, remove, grow, touch, rename])
def test_a_fingerprint_shows_every_change(folder, change):
    before = fingerprint([folder])
    assert fingerprint([folder]) == before
    change(folder)
    assert fingerprint([folder]) != before


def test_a_file_that_may_be_read_again_has_another_fingerprint(folder, monkeypatch):
    # Leave to read is given without a new time or size; without this its scan would stay set aside for ever.
    after = fingerprint([folder])
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "1.dcm")
    assert fingerprint([folder]) != after


def test_a_fingerprint_does_not_depend_on_where_the_study_lies(folder, tmp_path):
    moved = tmp_path / "elsewhere" / "scan"
    shutil.copytree(folder, moved)
    assert fingerprint([moved]) == fingerprint([folder])


@pytest.mark.parametrize("name", ["enhanced.dcm", "IM0001", "scan.v", "scan[1].nii.gz", "a.b.nii"])
def test_a_single_file_is_fingerprinted_and_listed_whatever_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"12345")
    before = fingerprint([path])
    path.write_bytes(b"123456")
    assert fingerprint([path]) != before
    assert [(f.name, f.bytes) for f in raw_files("s", path)] == [(name, 6)]


def test_a_volumes_sidecar_counts_with_it_and_its_neighbours_do_not(tmp_path):
    path = tmp_path / "sub-1_pet.nii.gz"
    for name in (path.name, "sub-1_pet.json", "sub-1_pet.tsv", "sub-1_pet_other.json", "sub-2_pet.nii.gz"):
        (tmp_path / name).write_bytes(b"x")
    assert [f.name for f in raw_files("s", path)] == ["sub-1_pet.json", "sub-1_pet.nii.gz", "sub-1_pet.tsv"]
    before = fingerprint([path])
    (tmp_path / "sub-2_pet.nii.gz").write_bytes(b"changed")
    assert fingerprint([path]) == before
    (tmp_path / "sub-1_pet.json").write_bytes(b"changed")
    assert fingerprint([path]) != before


def test_raw_files_have_their_sha256_and_names_relative_to_the_scan(folder):
    found = raw_files("m1/d0/pet", folder)
    assert [(f.scan, f.name, f.bytes) for f in found] == [("m1/d0/pet", "1.dcm", 3), ("m1/d0/pet", "sub/2.dcm", 3)]
    assert found[1].sha256 == hashlib.sha256(b"two").hexdigest()


def test_versions_name_what_numbers_depend_on():
    found = versions()
    assert {"celltracker", "numpy", "scipy", "pydicom", "nibabel", "dask"} <= set(found) and all(v[0].isdigit() for v in found.values())


def test_the_crate_is_whole_and_has_no_path_and_no_user():
    inputs = [RawFile("m1/d0/pet", "sub/1.dcm", 3, "ab" * 32)]
    results = [RawFile("", "curves/biodistribution.csv", 9, "cd" * 32)]
    crate = ro_crate("study", inputs, results, {"pet": {"psf_fwhm_mm": 1.6}})
    text = json.dumps(crate)
    assert str(Path.home()) not in text and str(Path.cwd()) not in text and '"/' not in text
    graph = {e["@id"]: e for e in crate["@graph"]}  # type: ignore[index, union-attr]
    assert graph["raw/m1/d0/pet/sub/1.dcm"]["sha256"] == "ab" * 32 and graph["curves/biodistribution.csv"]["contentSize"] == "9"
    # Everything that is referred to is there.
    refer = [r["@id"] for e in graph.values() for key in ("hasPart", "object", "result", "instrument") for r in e.get(key, [])]
    assert set(refer) <= set(graph) and graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert json.loads(graph["#run"]["description"]) == {"pet": {"psf_fwhm_mm": 1.6}}


def digest_of(copy: Path, package: str) -> str:
    command = "import sys; from tracker.provenance import code_digest; sys.stdout.write(code_digest(sys.argv[1]))"
    return subprocess.run(
        [sys.executable, "-c", command, package], cwd=copy, check=True, capture_output=True, text=True, env={"PYTHONPATH": str(copy)}
    ).stdout


def test_the_digest_of_the_code_shows_edits_that_can_change_a_number_and_no_others(repository, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(repository / "tracker", copy / "tracker", ignore=shutil.ignore_patterns("__pycache__"))
    before = digest_of(copy, "pet")
    assert before == code_digest("pet") and before != digest_of(copy, "")
    for file, shows in (
        ("pet/units.py", True),
        ("nuclides.tsv", True),
        ("pet/config.schema", True),
        ("report/__init__.py", False),
        ("pet/phantom/nm.py", False),
    ):
        path = copy / "tracker" / file
        original = path.read_text()
        path.write_text(original + "\n# edited\n")
        assert (digest_of(copy, "pet") != before) is shows, file
        path.write_text(original)
    assert digest_of(copy, "pet") == before
    # The report's own stage must see what its page is made of.
    page = digest_of(copy, "report")
    for file in ("report/charts.py", "report/page.html.j2"):
        path = copy / "tracker" / file
        path.write_text(path.read_text() + "\n")
        assert digest_of(copy, "report") != page, file
        page = digest_of(copy, "report")
    assert digest_of(copy, "pet") == before
