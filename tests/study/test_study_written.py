"""What the package writes: schemas, the manual, and an empty study that loads once it is filled in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError
from study_folder import ACQUISITIONS, DOSES, LABELS, RETENTION, SUBJECTS, tsv

from tracker.errors import InputError, StudyErrors
from tracker.modality import modalities
from tracker.study import load_study
from tracker.study.columns import SHEETS
from tracker.study.config import config_schema, section_schema, shared_schema
from tracker.study.manual import manual, section_manual
from tracker.study.schemas import write_schemas
from tracker.study.template import write_template
from tracker.table import QUANTITIES

TREE = Path(__file__).parents[2]


def leaves(schema, above=""):
    for key, one in schema.get("properties", {}).items():
        yield f"{above}{key}", one
        yield from leaves(one, f"{above}{key}.")
        yield from leaves(one.get("items", {}), f"{above}{key}[].")


def test_every_key_has_a_description_and_a_unit():
    for key, one in leaves(config_schema()):
        assert len(one["description"]) > 5, key
        assert one.get("unit") or "properties" in one, key


def test_sections_refuse_unknown_keys():
    for key, one in [("", config_schema()), *leaves(config_schema())]:
        if "properties" in one and key not in ("phantom", "organs.density_g_per_ml"):
            assert one["additionalProperties"] is False, key


@pytest.mark.parametrize("name", ["config", *SHEETS])
def test_schemas_are_schemas(tmp_path, name):
    write_schemas(tmp_path)
    Draft202012Validator.check_schema(json.loads((tmp_path / f"{name}.schema.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", list(SHEETS))
def test_written_sheet_schemas_are_those_of_the_code(tmp_path, name):
    write_schemas(tmp_path)
    file = f"{name}.schema.json"
    # After a change: write_schemas(Path("workflow/schemas")).
    assert (TREE / "workflow/schemas" / file).read_text(encoding="utf-8") == (tmp_path / file).read_text(encoding="utf-8")


def test_written_config_schema_is_that_of_the_code():
    written = json.loads((TREE / "workflow/schemas/config.schema.json").read_text(encoding="utf-8"))
    sections = {one.package: section_schema(one) for one in modalities()}
    # A new modality is one new folder: until its section is written here, that is no fault of the shared part.
    for package in [p for p in sections if p in written["properties"]]:
        assert written["properties"].pop(package) == sections[package]
    assert written == shared_schema()


def test_quantities_are_those_of_the_table():
    target = config_schema()["properties"]["pk"]["properties"]["targets"]["items"]["properties"]
    assert target["quantity"]["enum"] == list(QUANTITIES)


def test_a_row_schema_judges_as_the_reader_does():
    validator = Draft202012Validator(json.loads((TREE / "workflow/schemas/doses.schema.json").read_text(encoding="utf-8")))
    row = {"subject": "007", "dose_time": "2026-03-04T10:00:00", "label": "zr", "cells": 1e6, "route": "iv", "viability_percent": 95}
    validator.validate(row)
    for bad in (
        {"subject": "m-1"},
        {"dose_time": "2026-03-04"},
        {"cells": -1},
        {"viability_percent": 101},
        {"amount_unit": "GBq"},
        {"dose": 1},
    ):
        with pytest.raises(ValidationError):
            validator.validate({**row, **bad})
    with pytest.raises(ValidationError):
        validator.validate({key: value for key, value in row.items() if key != "route"})


def test_the_readme_is_the_manual():
    written = (TREE / "config/README.md").read_text(encoding="utf-8")
    known = [one for one in modalities() if f"### `{one.package}:`" in written]
    # After a change: write manual(modalities()) to config/README.md.
    assert written == manual(tuple(known))


def test_the_manual_names_every_key_and_column():
    text = manual(modalities())
    packages = [one.package for one in modalities()]
    for key, _ in leaves(config_schema()):
        assert f"`{key}`" in text or (key in packages and f"`{key}:`" in text), key
    for sheet in SHEETS.values():
        chapter = text.split(f"## Sheet `{sheet.name}`")[1].split("\n## ")[0]
        for column in sheet.columns:
            assert f"`{column.name}`" in chapter and column.meaning in chapter
    assert all(section_manual(one) in text for one in modalities())


# --- the template ----------------------------------------------------------------------------------------------------


def fill(folder: Path) -> None:
    """Fills the sheets as their manual says, under the template's own headers."""
    for name, text in (("subjects", SUBJECTS), ("doses", DOSES), ("acquisitions", ACQUISITIONS)):
        fill_sheet(folder / f"{name}.tsv", [line.split("\t") for line in tsv(text).splitlines()])
    luc_and_zr = [line.replace('"Bansal 2015, table 1"', "Bansal").split(",") for line in LABELS.splitlines()]
    fill_sheet(folder / "labels.tsv", luc_and_zr)
    (folder / "retention.csv").write_text(RETENTION, encoding="utf-8")


def fill_sheet(path: Path, lines: list[list[str]]) -> None:
    header = path.read_text(encoding="utf-8").rstrip("\n").split("\t")
    rows = [dict(zip(lines[0], cells, strict=True)) for cells in lines[1:]]
    path.write_text("".join("\t".join(r.get(c, "") for c in header) + "\n" for r in [{c: c for c in header}, *rows]), encoding="utf-8")


def test_the_template_loads_once_filled_in(tmp_path):
    folder = tmp_path / "my study (1)"
    written = write_template(folder)
    assert {p.name for p in written} == {"config.yaml", "README.txt", *(f"{name}.tsv" for name in SHEETS)}
    fill(folder)
    study = load_study(folder / "config.yaml", check_paths=False)
    assert study.config.study == "my_study_1" and len(study.acquisitions) == 5
    # What it sets are the defaults: the same config with two keys only means the same.
    sheets = ", ".join(f"{name}: {name}.tsv" for name in SHEETS)
    (folder / "config.yaml").write_text(f"study: my_study_1\nsheets: {{{sheets}}}\n", encoding="utf-8")
    assert load_study(folder / "config.yaml", check_paths=False).config == study.config


def test_an_empty_template_asks_for_rows_and_nothing_else(tmp_path):
    write_template(tmp_path / "new")
    with pytest.raises(StudyErrors) as caught:
        load_study(tmp_path / "new/config.yaml")
    assert [(e.code, e.where) for e in caught.value.errors] == [
        ("empty_sheet", f"{name}.tsv") for name in ("subjects", "doses", "labels", "acquisitions")
    ]  # fmt: skip


def test_the_template_comments_on_every_key(tmp_path):
    write_template(tmp_path / "new")
    text = (tmp_path / "new/config.yaml").read_text(encoding="utf-8")
    for key, _ in leaves(config_schema()):
        if "[]" not in key:
            assert f"{key.split('.')[-1]}:" in text
    assert text.count("##") >= len([key for key, _ in leaves(config_schema()) if "[]" not in key])


def test_all_that_is_commented_out_loads_when_it_is_set(tmp_path):
    folder = tmp_path / "new"
    write_template(folder)
    fill(folder)
    values = {"peak_sphere_ml": 1, "dose_sd_percent": 2, "body_weight_sd_percent": 1, "psf_fwhm_mm": 1.5, "calibration_sd_percent": 3,
              "psf_fwhm_sd_percent": 5,
              "units_calibration_bq_per_ml_per_unit": 2, "branching_fraction_scanner": 0.2, "branching_applied": '"yes"',
              "sensitivity_cps_per_bq": 1e-4, "labels": "a.nii", "names": "a.tsv", "image": "i.nii", "seed": 1,
              "noise_sd": 4, "relaxivity_per_s_per_mmolar": 250, "relaxivity_sd_per_s_per_mmolar": 20,
              "saturation_magnetisation_a_m2_per_kg": 94, "reference_organ": "muscle", "reference_organ_sd_per_s": 3,
              "control_group": "control", "session_sd_per_s": 2, "field_t": 9.4, "echo_time_ms": 4, "cells_per_ml": 1e6,
              "cells_per_ml_sd": 1e5, "voxel_mm": [0.1, 0.1, 0.3], "reference_ug_per_ml": 900, "reference_sd_ug_per_ml": 9,
              "electrons_per_count": 1.5, "read_noise_counts": 4, "saturation_level_counts": 61000, "autofluorescence_scale": 1.1,
              "excitation_irradiance_uw_per_cm2": 90, "photons_per_s_per_cell": 120, "photons_per_s_per_cell_sd": 12,
              "posture": "prone", "head": "up", "technician_at": "bottom",
              "signal_ratio": 1.2, "signal_ratio_sd": 0.1}  # fmt: skip
    lines = []
    for line in (folder / "config.yaml").read_text(encoding="utf-8").splitlines():
        bare = (
            line.replace("# ", "", 1)
            if line.lstrip().startswith("# ") and "##" not in line and line.rstrip().endswith((":", "]", "}"))
            else line
        )
        key = bare.strip().rstrip(":")
        lines.append(f"{bare} {values[key]}" if bare != line and key in values else bare)
    (folder / "config.yaml").write_text("\n".join(lines), encoding="utf-8")
    config = load_study(folder / "config.yaml", check_paths=False).config
    assert config.organs.peak_sphere_ml == 1 and config.organs.atlas_labels == folder / "a.nii"
    assert config.organs.atlas_image == folder / "i.nii" and config.organs.boundary_sd_mm == {"default": 0.2}
    assert config.constants["pet"]["branching_applied"] == "yes" and config.pk_targets[0].modality == "joint"
    assert config.phantom == {"seed": 1}
    mri = config.constants["mri"]
    assert mri["focal"]["calibration"]["voxel_mm"] == [0.1, 0.1, 0.3] and mri["fluorine"]["signal_ratio"] == 1.2


def test_a_section_with_required_keys_stays_away_until_it_is_written(tmp_path):
    """Its defaults alone would switch on what nobody asked for."""
    folder = tmp_path / "new"
    write_template(folder)
    fill(folder)
    assert "focal" not in load_study(folder / "config.yaml", check_paths=False).config.constants["mri"]
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    written = text.replace("\nmri:\n", "\nmri:\n  focal: {reference_organ: muscle, echo_time_ms: 8}\n", 1)
    (folder / "config.yaml").write_text(written, encoding="utf-8")
    focal = load_study(folder / "config.yaml", check_paths=False).config.constants["mri"]["focal"]
    assert focal == {"reference_organ": "muscle", "echo_time_ms": 8, "threshold_sd": 5}


def test_the_template_overwrites_nothing(tmp_path):
    (tmp_path / "doses.tsv").write_text("mine")
    with pytest.raises(InputError, match=r"file_exists.*doses\.tsv"):
        write_template(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["doses.tsv"] and (tmp_path / "doses.tsv").read_text() == "mine"
