"""From a study's result files to its page, pictures and provenance: what the last stage does."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tracker import __version__
from tracker.nuclides import TABLE_VERSION, nuclide
from tracker.provenance import RawFile, raw_files, ro_crate
from tracker.qc import QcRow, read_qc
from tracker.report import ReportInputs, write_report
from tracker.report.methods import assumptions, methods_text
from tracker.report.summary import Table
from tracker.study.model import Study
from tracker.table import read_rows
from tracker.truth import Comparison, compare, write_comparison


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """What the earlier stages left: tables, the folders of pictures, the lists of raw files, and a digital study's truth if any."""

    root: Path
    curves: Path
    checks: tuple[Path, ...]
    nca: Path
    pictures: tuple[Path, ...]
    manifests: tuple[Path, ...]
    truth: tuple[Path, ...] = ()


def _table(path: Path) -> Table:
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(tuple(line) for line in csv.reader(file))


def _pictures(files: ResultFiles) -> tuple[tuple[str, Path], ...]:
    """Copies every picture into qc/, where people look for them, and gives each with its title."""
    shown = []
    for source in sorted(p for folder in files.pictures for p in folder.glob("*.png")):
        target = files.root / "qc" / source.name
        shutil.copyfile(source, target)
        shown.append((source.stem.replace("_", " "), target))
    return tuple(shown)


def _truth(files: ResultFiles, study: Study) -> Table:
    if not files.truth:
        return ()
    rows = read_rows(files.curves)
    # A label is compared by its share of the dose; a reporter, which is given as cells, by its living cells.
    measured = {row.modality for row in rows if row.quantity == "injected_percent"}
    living = [row for row in rows if row.modality not in measured]
    found = [*compare(rows, files.truth), *compare(living, files.truth, "cells_viable")]
    write_comparison(files.root / "qc" / "truth.csv", found)
    return (tuple(f.name for f in fields(Comparison)), *(astuple(row) for row in found))


def assemble(study: Study, files: ResultFiles, page: Path) -> None:
    """Writes the report to ``page``, the pictures (and a digital study's comparison with its truth) to ``qc/``."""
    rows = tuple(read_rows(files.curves))
    checks: tuple[QcRow, ...] = tuple(row for path in files.checks for row in read_qc(path))
    inputs = ReportInputs(
        study=study.config.study,
        rows=rows,
        findings=checks,
        overlays=_pictures(files),
        nca=_table(files.nca),
        methods=methods_text(study, rows),
        assumptions=assumptions(study, rows),
        truth=_truth(files, study),
        version=f"celltracker {__version__}",
    )
    write_report(page, inputs)


def _constants(study: Study) -> dict[str, object]:
    used = {label.nuclide for label in study.labels if label.nuclide}
    half_lives = {nuclide(name).name: {"half_life_s": nuclide(name).half_life_s, "source": nuclide(name).source} for name in sorted(used)}
    return {"nuclides": half_lives, "nuclide_table": TABLE_VERSION, "density_g_per_ml": dict(study.config.organs.density_g_per_ml)}


def _inputs(study: Study, manifests: Iterable[Path]) -> list[RawFile]:
    raw = [RawFile(**entry) for path in manifests for entry in json.loads(path.read_text(encoding="utf-8"))]
    sheets = [study.config_path, *study.sheet_paths.values()]
    return raw + [f for path in sheets if path.is_file() for f in raw_files("study", path) if f.name == path.name]


def write_crate(study: Study, files: ResultFiles, results: Sequence[Path], crate: Path) -> None:
    """Writes the RO-Crate of a run: inputs and results with SHA-256, versions and constants; no absolute path, no user name."""
    made = [
        RawFile("", path.relative_to(files.root).as_posix(), f.bytes, f.sha256)
        for path in results
        for f in raw_files("", path)
        if f.name == path.name
    ]
    content = ro_crate(study.config.study, _inputs(study, files.manifests), made, _constants(study))
    part = crate.with_name(crate.name + ".part")
    part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, crate)
