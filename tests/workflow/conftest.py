"""Studies on disk and the real workflow run on them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SUBJECTS = ("subject", "species", "body_weight_g", "sex", "group")
DOSES = ("subject", "dose_time", "label", "cells", "route", "amount", "amount_unit")
LABELS = ("label", "kind", "nuclide", "dilutes")
ACQUISITIONS = ("subject", "session", "modality", "path", "label", "organs")


def write_sheet(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A TSV sheet."""
    path.write_text("\n".join("\t".join(map(str, row)) for row in (columns, *rows)) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class StudyText:
    """What a study's sheets hold, in the short columns above; ``config`` is appended to config.yaml."""

    subjects: Sequence[Sequence[object]]
    doses: Sequence[Sequence[object]]
    acquisitions: Sequence[Sequence[object]]
    labels: Sequence[Sequence[object]] = (("fdg", "radionuclide", "18F", "no"),)
    config: str = ""


def write_study(folder: Path, name: str, text: StudyText) -> Path:
    """Writes a study folder; returns its config."""
    folder.mkdir(parents=True, exist_ok=True)
    for sheet, columns in (("subjects", SUBJECTS), ("doses", DOSES), ("labels", LABELS), ("acquisitions", ACQUISITIONS)):
        write_sheet(folder / f"{sheet}.tsv", columns, getattr(text, sheet))
    sheets = ", ".join(f"{s}: {s}.tsv" for s in ("subjects", "doses", "labels", "acquisitions"))
    config = folder / "config.yaml"
    config.write_text(f"study: {name}\nsheets: {{{sheets}}}\n{text.config}\n", encoding="utf-8")
    return config


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished run: exit code, all output, and the results folder."""

    code: int
    output: str
    results: Path

    def table(self, name: str) -> list[dict[str, str]]:
        """A CSV of the results."""
        with (self.results / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def run_workflow(tmp_path: Path) -> Callable[..., Ran]:
    """Runs snakemake on a config in a working directory of its own."""

    def run(config: Path, study: str, *more: str) -> Ran:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            str(REPOSITORY / "Snakefile"),
            "--configfile",
            str(config),
            "--cores",
            "2",
            *more,
        ]
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=600, check=False, env=environment)
        return Ran(done.returncode, done.stdout + done.stderr, work / "results" / study)

    return run
