"""What a result was made of: digests of code and raw files, versions, and the RO-Crate that lists them without paths or persons."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

_HOME = Path(__file__).parent
# What a number can depend on; the rest of the environment is in the lock file.
_PACKAGES = ("brukerapi", "dask", "nibabel", "numba", "numpy", "pydicom", "scipy", "snakemake")
# Shared by the phantoms and by nothing that measures.
_FOR_PHANTOMS = ("digital", "mouse", "kinetics")


@cache
def code_digest(package: str = "", *, phantoms: bool = False) -> str:
    """Digest of the library's shared files and, if named, one modality's or the report's folder: what a stage's result depends on.

    Snakemake watches scripts, not what they import; this goes into each rule's ``params`` so that an edit reruns what it touches.
    Other modalities and, unless named, the report do not count; what makes digital studies only with ``phantoms``.
    """
    shared = [p for p in _HOME.rglob("*") if p.suffix in (".py", ".tsv", ".schema", ".j2", ".css")]
    folders = {p.parent for p in _HOME.glob("*/calibrate.py")} | {p.parent for p in _HOME.glob("*/tabulate.py")}
    own = _HOME / package if package else None
    skipped = (folders | {_HOME / "report"}) - {own}
    digest = hashlib.sha256()
    for path in sorted(shared):
        digital = bool({"phantom", *_FOR_PHANTOMS} & {*path.relative_to(_HOME).parts, path.stem})
        if (phantoms or not digital) and not any(path.is_relative_to(s) for s in skipped):
            digest.update(path.relative_to(_HOME).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        # A NIfTI volume's sidecar or name table lies beside it and counts with it; every other file stands for itself.
        stem = path.name.removesuffix(".gz").removesuffix(".nii")
        beside = (f"{stem}.json", f"{stem}.tsv") if stem != path.name.removesuffix(".gz") else ()
        return sorted([path, *(p for p in map(path.with_name, beside) if p.is_file())])
    return sorted(p for p in path.rglob("*") if p.is_file())


def fingerprint(paths: Iterable[Path]) -> str:
    """A cheap digest of files' names, sizes, times and readability: changes when a raw file is added, removed, replaced or opened up.

    Reads no content, so that it can be taken for every animal each time the workflow is parsed.
    """
    digest = hashlib.sha256()
    for root in paths:
        for file in _files(root):
            status = file.stat()
            # A file that may now be read has no new time.
            facts = (os.path.relpath(file, root), status.st_size, status.st_mtime_ns, os.access(file, os.R_OK))
            digest.update(("\0".join(map(str, facts)) + "\n").encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class RawFile:
    """One input file: ``name`` relative to its scan's path, ``bytes`` and SHA-256 of its content."""

    scan: str
    name: str
    bytes: int
    sha256: str


def raw_files(scan: str, path: Path) -> list[RawFile]:
    """Every file of one scan with its SHA-256, names relative to the scan's path."""
    found = []
    for file in _files(path):
        with file.open("rb") as stream:
            name = file.name if path.is_file() else file.relative_to(path).as_posix()
            found.append(RawFile(scan, name, file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()))
    return found


def versions() -> dict[str, str]:
    """Versions of this library and of the packages its numbers depend on."""
    return {"celltracker": metadata.version("celltracker")} | {p: metadata.version(p) for p in _PACKAGES}


def _entity(file: RawFile) -> dict[str, object]:
    return {"@id": f"raw/{file.scan}/{file.name}", "@type": "File", "contentSize": str(file.bytes), "sha256": file.sha256}


def ro_crate(study: str, inputs: Sequence[RawFile], results: Sequence[RawFile], constants: dict[str, object]) -> dict[str, object]:
    """An RO-Crate 1.1 description of a run: inputs and results with SHA-256, versions, constants; no absolute path, no user name.

    Source: Soiland-Reyes 2022 doi:10.3233/DS-210053.
    """
    files = [_entity(f) for f in inputs] + [{**_entity(f), "@id": f.name} for f in results]
    root = {"@id": "./", "@type": "Dataset", "name": study, "hasPart": [{"@id": f["@id"]} for f in files]}
    about = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    software = [{"@id": f"#{n}", "@type": "SoftwareApplication", "name": n, "softwareVersion": v} for n, v in versions().items()]
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"snakemake, study {study}",
        "instrument": [{"@id": s["@id"]} for s in software],
        "object": [{"@id": _entity(f)["@id"]} for f in inputs],
        "result": [{"@id": f.name} for f in results],
        "description": json.dumps(constants, sort_keys=True, ensure_ascii=False, default=str),
    }
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": [about, root, action, *software, *files]}
