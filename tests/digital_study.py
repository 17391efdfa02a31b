"""The small demo study with other phantom settings, its raw files in a folder of the test's own."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tracker import stages
from tracker.qc import QcRow
from tracker.study import Study, contexts, load_study
from tracker.table import Row, read_rows

SMALL = Path(__file__).resolve().parents[1] / "config" / "small"
# A scanner without noise, blur or calibration error: what is left is rounding and the method's own error.
PERFECT = {"pet": {"noise_percent": 0, "psf_fwhm_mm": 0, "calibration_cv_percent": 0}}


def copy_small(folder: Path, phantom: Mapping[str, Any], name: str = "", *, modality: str = "") -> Path:
    """Copies the small study's text files and changes keys of ``phantom:`` and of its sections; returns the config.

    ``modality`` keeps that modality's scans alone, and leaves the other's curves out of the hand-over.
    """
    folder.mkdir(parents=True)
    for source in SMALL.iterdir():
        if source.suffix in (".yaml", ".tsv"):
            shutil.copyfile(source, folder / source.name)
    config = folder / "config.yaml"
    text = config.read_text(encoding="utf-8")
    if name:
        text = text.replace("study: demo_small", f"study: {name}")
    if phantom.get("pet", {}).get("psf_fwhm_mm") == 0:
        # A scanner without blur mixes nothing: undoing what is not there would be an error.
        text = text.replace("spill_over: gtm", "spill_over: none")
    head, marker, _ = text.partition("phantom:\n")
    section = yaml.safe_load(text)["phantom"]
    for key, value in phantom.items():
        section[key] = section[key] | value if isinstance(value, dict) else value
    text = head + marker + "".join(f"  {line}\n" for line in yaml.safe_dump(section, sort_keys=False).splitlines())
    if modality:
        text = "".join(line for line in text.splitlines(keepends=True) if f"modality: {modality}" in line or "modality: " not in line)
        _keep(folder / "acquisitions.tsv", modality)
    config.write_text(text, encoding="utf-8")
    return config


def _keep(sheet: Path, modality: str) -> None:
    with sheet.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    kept = [header, *(row for row in rows if row[header.index("modality")] == modality)]
    sheet.write_text("".join("\t".join(row) + "\n" for row in kept), encoding="utf-8")


def digital_study(folder: Path, phantom: Mapping[str, Any], *, modality: str) -> Study:
    """The small study's scans of one modality, loaded, with ``phantom`` keys changed; dose and weight are taken to be exact."""
    study = load_study(copy_small(folder, phantom, modality=modality))
    corrections = replace(study.config.corrections, dose_sd_percent=0.0, body_weight_sd_percent=0.0)
    return replace(study, config=replace(study.config, corrections=corrections))


def _nothing(*_: object) -> None:
    """Draws nothing."""


def run_stages(study: Study, folder: Path) -> tuple[list[Row], list[QcRow]]:
    """The study's rows after all stages, and what they noted; raw files are there already."""
    told, names = contexts(study), ("quantity", "organs", "tables", "pictures")
    quantities, organs, tables, pictures = (folder / name for name in names)
    noted = list(stages.ingest(told, folder / "manifest.json"))
    noted += stages.calibrate(told, folder / "manifest.json", quantities)
    noted += stages.organs(told, quantities, organs)
    noted += stages.quantify(told, (quantities, organs), (tables, pictures), stages.Drawing(_nothing, _nothing))
    noted += stages.correct(told, tables, folder / "rows.csv")
    return read_rows(folder / "rows.csv"), noted
