"""The small demo study with other phantom settings, its raw files in a folder of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracker.study import Study, load_study

SMALL = Path(__file__).resolve().parents[1] / "config" / "small"
# A scanner without noise, blur or calibration error: what is left is rounding and the method's own error.
PERFECT = {"noise_percent": 0, "psf_fwhm_mm": 0, "calibration_cv_percent": 0}


def copy_small(folder: Path, phantom: Mapping[str, Any], name: str = "") -> Path:
    """Copies the small study's text files and changes keys of ``phantom:``; returns the config."""
    folder.mkdir(parents=True)
    for source in SMALL.iterdir():
        if source.suffix in (".yaml", ".tsv"):
            shutil.copyfile(source, folder / source.name)
    config = folder / "config.yaml"
    lines = []
    for line in config.read_text(encoding="utf-8").splitlines():
        key = line.split(":")[0].strip()
        if line.startswith("  ") and key in phantom and "phantom:" in "\n".join(lines):
            line = f"  {key}: {phantom[key]}"
        lines.append(f"study: {name}" if name and line.startswith("study:") else line)
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


def digital_study(folder: Path, phantom: Mapping[str, Any]) -> Study:
    """The small study, loaded, with ``phantom`` keys changed; nothing is left to the config's own uncertainties of dose and weight."""
    study = load_study(copy_small(folder, phantom))
    corrections = replace(study.config.corrections, dose_sd_percent=0.0, body_weight_sd_percent=0.0)
    return replace(study, config=replace(study.config, corrections=corrections))
