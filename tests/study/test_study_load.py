"""A valid study, read whole; and that errors are collected, not met one by one."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import pytest

from tracker.errors import StudyErrors
from tracker.study import context_for, contexts, load_study, rows
from tracker.study.columns import RETENTION, SHEETS


def test_a_full_study_loads_typed(folder):
    study = folder.load()
    assert study.config.study == "msc_lung_homing"
    assert [s.subject for s in study.subjects] == ["007", "NA", "1E5"]
    assert study.subjects[1] == rows.Subject("NA", "mouse", 22.5, strain="C57BL/6", group="treated")
    assert study.doses[0].dose_time == datetime(2026, 3, 4, 10)
    assert study.doses[1].assay_time is None
    assert study.doses[2].cells == 0.0
    assert study.labels[0].dilutes is True and study.labels[0].reference == "Bansal 2015, table 1"
    assert study.labels[0].retention_table == (
        rows.RetentionPoint(0.0, 1.0, 0.0),
        rows.RetentionPoint(24.0, 0.9, 0.03),
        rows.RetentionPoint(168.0, 0.7, None),
    )
    assert study.root == folder.root and study.sheet_paths["labels"] == folder.root / "labels.csv"


def test_the_contract_s_example_config_loads(folder):
    # outputs.md, without the sections of modalities that are not in the tree.
    text = """\
study: msc_lung_homing
sheets: {subjects: subjects.tsv, doses: doses.tsv, labels: labels.csv, acquisitions: acquisitions.tsv,
  measurements: measurements.tsv, rois: rois.tsv, beds: beds.tsv}
organs: {source: segmentation}            # segmentation | atlas | propagated; atlas: {labels: atlas.nii.gz, names: atlas.tsv}
pet: {psf_fwhm_mm: 1.6, spill_over: gtm}   # each modality's own constants, from its own schema
corrections: {decay: true, dilution: true, retention: true, background: baseline}
pk: {targets: [{quantity: cells_viable, modality: joint}]}
"""
    folder.write("config.yaml", text)
    folder.sheet("measurements.tsv", "subject time_h organ method value unit mass_g\nNA 24 liver gamma_counter 1.2e4 Bq 0.9\n")
    folder.sheet("rois.tsv", "session path roi subject organ x_mm\n d1 scans/NAd1 ROI1 NA background -2.5\n")
    folder.sheet("beds.tsv", "session modality path position subject view\nd1 pet scans/NAd1 left NA image\n")
    study = folder.load()
    assert study.measurements == (rows.Measurement("NA", 24.0, "liver", "gamma_counter", 12000.0, "Bq", mass_g=0.9),)
    assert study.rois == (rows.Roi("d1", "scans/NAd1", "ROI1", "NA", "background", x_mm=-2.5),)
    assert study.beds == (rows.Bed("d1", "pet", "scans/NAd1", "left", "NA", "image"),)


@pytest.mark.parametrize(
    ("amount", "unit", "stored"),
    [
        # 1 Ci = 3.7e10 Bq by definition.
        ("200", "uCi", 7.4e6),
        ("2", "mCi", 7.4e7),
        ("7.4", "MBq", 7.4e6),
        ("37", "kBq", 3.7e4),
        ("5", "Bq", 5.0),
    ],
)
def test_amounts_become_becquerel_at_the_door(folder, amount, unit, stored):
    folder.change("doses.tsv", "7.4\tMBq", f"{amount}\t{unit}")
    dose = folder.load().doses[1]
    assert (dose.amount_unit, dose.amount) == ("Bq", pytest.approx(stored, rel=1e-15))


def test_the_residual_has_the_unit_of_the_amount(folder):
    assert folder.load().doses[0].residual_amount == 5 * 37000.0


@pytest.mark.parametrize(("unit", "stored", "base"), [("pg", 1.5e-5, "ug"), ("ug", 15.0, "ug")])
def test_iron_per_cell_becomes_microgram(folder, unit, stored, base):
    folder.write("labels.csv", "\n".join([
        "label,kind,nuclide,amount_per_cell,amount_per_cell_unit,amount_per_cell_sd",
        "zr,radionuclide,89Zr,,,", f"spio,iron,,15,{unit},3\n"]))  # fmt: skip
    label = folder.load().labels[1]
    # 1e-6 is no binary number: the product may be off by one rounding.
    assert label.amount_per_cell == pytest.approx(stored, rel=1e-15) and label.amount_per_cell_unit == base
    assert label.amount_per_cell_sd == pytest.approx(stored / 5, rel=1e-15)


def test_light_per_cell_stays_light(folder):
    assert folder.load().labels[1].amount_per_cell_unit == "photons/s"


def test_labels_roles_and_paths_are_filled_in(folder):
    rows_ = folder.load().acquisitions
    assert [a.label for a in rows_] == ["zr", "zr", "zr", "zr", ""]
    assert [a.role for a in rows_] == ["baseline", "followup", "followup", "followup", "anatomy"]
    assert rows_[1].path == folder.root / "scans/007d1" and rows_[1].organs == folder.root / "seg/007.nii"
    assert rows_[4].organs is None


def test_defaults_of_the_config_are_filled_in(folder):
    config = folder.load().config
    assert config.constants["pet"]["psf_fwhm_mm"] == 1.6
    assert config.constants["pet"]["time_tolerance_s"] == 60 and "sensitivity_cps_per_bq" not in config.constants["pet"]
    assert config.organs.density_g_per_ml == {"default": 1.05, "lung": 0.3, "bone": 1.5}
    assert config.corrections.background == "baseline" and config.corrections.dose_sd_percent is None
    assert config.phantom is None


def test_densities_are_merged_whatever_the_case(folder):
    folder.change("config.yaml", "organs: {source: segmentation}", "organs: {density_g_per_ml: {Lung: 0.4, liver: 1.06}}")
    density = folder.load().config.organs.density_g_per_ml
    assert density == {"default": 1.05, "lung": 0.4, "bone": 1.5, "liver": 1.06}


def test_context_has_the_doses_of_this_label_by_time(folder):
    folder.change("doses.tsv", "NA\t2026-03-04T10:10\tzr", "NA\t2026-03-04T12:10\tzr")
    extra = "NA\t2026-03-04T11:00\tzr\t5\tiv\t1\tMBq\t\t\t\nNA\t2026-03-04T09:00\tluc\t5\tiv\t\t\t\t\t\n"
    folder.write("doses.tsv", (folder.root / "doses.tsv").read_text() + extra)
    study = folder.load()
    context = context_for(study, study.acquisitions[2])
    assert [d.dose_time.hour for d in context.doses] == [11, 12]
    assert context.first_dose_time == datetime(2026, 3, 4, 9)
    assert context.label.label == "zr" and context.subject.subject == "NA" and context.study == "msc_lung_homing"
    assert context.constants["psf_fwhm_mm"] == 1.6 and context.corrections.background == "baseline"


def test_contexts_leave_anatomy_out(folder):
    study = folder.load()
    assert [c.acquisition.key for c in contexts(study)] == ["d0", "d1", "d1", "d1"]
    with pytest.raises(Exception, match="no_label"):
        context_for(study, study.acquisitions[4])


def test_all_errors_come_together(folder):
    folder.change("config.yaml", "background", "backgruond")
    folder.change("subjects.tsv", "22.5", "0.0225")
    folder.change("doses.tsv", "uCi", "µCi")
    folder.change("labels.csv", "Zr-89", "Zr-889")
    folder.change("acquisitions.tsv", "scans/NAd1", "scans/NAd2")
    assert {e.code for e in folder.errors()} == {
        "unknown_key", "implausible_weight", "bad_choice", "unknown_nuclide", "missing_path", "folder_differs",
    }  # fmt: skip


def test_a_bad_weight_does_not_make_a_subject_unknown(folder):
    folder.change("subjects.tsv", "22.5", "heavy")
    assert folder.only("bad_number").where == "subjects.tsv, line 3, column body_weight_g"


def test_a_bad_dose_row_does_not_make_a_scan_undosed(folder):
    folder.change("doses.tsv", "2026-03-04T10:10", "2026-03-04")
    assert folder.only("time_of_day_missing").where == "doses.tsv, line 3, column dose_time"


def test_errors_cross_a_process_boundary(folder):
    folder.change("subjects.tsv", "22.5", "heavy")
    error = folder.errors()[0]
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_study_can_be_pickled(folder):
    study = folder.load()
    assert pickle.loads(pickle.dumps(study)) == study


def test_relative_and_linked_config_paths(folder, monkeypatch):
    monkeypatch.chdir(folder.root)
    assert load_study(Path("config.yaml")).root == folder.root
    (folder.root / "scans/link").symlink_to(folder.root / "scans/NAd1")
    folder.change("acquisitions.tsv", "scans/NAd1", "scans/link")
    # As named: what a link points to may change, the sheet's name does not.
    assert folder.load().acquisitions[2].path == folder.root / "scans/link"


def test_no_config(tmp_path):
    with pytest.raises(StudyErrors, match=r"missing_file: the config cannot be read.*at config\.yaml"):
        load_study(tmp_path / "config.yaml")


@pytest.mark.parametrize("name", SHEETS)
def test_columns_are_the_fields_of_the_rows(name):
    row = {"subjects": rows.Subject, "doses": rows.Dose, "labels": rows.Label, "acquisitions": rows.Acquisition,
           "measurements": rows.Measurement, "rois": rows.Roi, "beds": rows.Bed}[name]  # fmt: skip
    assert {c.name for c in SHEETS[name].columns} == {f.name for f in fields(row)} - {"key"}
    assert {c.name for c in RETENTION.columns} == {f.name for f in fields(rows.RetentionPoint)}


def test_required_columns_are_those_of_the_contract():
    bold = {name: [c.name for c in sheet.columns if c.required] for name, sheet in SHEETS.items()}
    assert bold == {
        "subjects": ["subject", "species", "body_weight_g"],
        "doses": ["subject", "dose_time", "label", "cells", "route"],
        "labels": ["label", "kind"],
        "acquisitions": ["subject", "session", "modality", "path"],
        "measurements": ["subject", "time_h", "organ", "method", "value", "unit"],
        "rois": ["session", "path", "roi", "subject", "organ"],
        "beds": ["session", "modality", "path", "position", "subject"],
    }


def test_import_brings_no_heavy_package():
    heavy = "{'numpy', 'scipy', 'pandas', 'pydantic', 'yaml', 'jsonschema', 'pydicom', 'nibabel'}"
    code = f"import tracker.study, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"
