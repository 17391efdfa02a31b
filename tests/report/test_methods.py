"""The methods text says what this study did, and the assumptions what it left open."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tracker.report.methods import assumptions, methods_text
from tracker.study.model import Config, Corrections, Organs, Study
from tracker.study.rows import Acquisition, Dose, Label, RetentionPoint, Subject
from tracker.table import Row

SCANS = tuple(Acquisition(s, f"{t}h", "pet", Path(f"/lab/{s}"), f"{s}_{t}h") for s in ("m01", "m02") for t in (1, 24))
ZR = Label("zr89", "radionuclide", nuclide="Zr-89", dilutes=True, doubling_time_h=36.0, reference="lab book 7")
WHEN = datetime(2026, 3, 1)
DOSE = Dose("m01", WHEN, "zr89", 1e6, "iv", 90.0, 1e6, "Bq", WHEN, 1e4, WHEN, 2.0)


@pytest.fixture
def study() -> Study:
    """Two mice, one label, all stated."""
    config = Config(
        "demo",
        Organs(density_g_per_ml={"default": 1.05, "lung": 0.3}),
        Corrections(dose_sd_percent=3.0, body_weight_sd_percent=1.0),
        (),
        {"pet": {"psf_fwhm_mm": 1.6}},
    )
    subjects = tuple(Subject(s, "mouse", 25.0) for s in ("m01", "m02"))
    doses = (DOSE, replace(DOSE, subject="m02"))
    return Study(config, Path("/lab/config.yaml"), Path("/lab"), subjects, doses, (ZR,), SCANS)


def _all(study: Study, rows: tuple[Row, ...]) -> str:
    return " ".join(methods_text(study, rows))


def test_methods_state_what_a_reader_needs(study: Study, rows: tuple[Row, ...]) -> None:
    text = _all(study, rows)
    for fact in (
        "4 pet scans of 2 subjects", "mouse", "89Zr", "78.41 h (ICRP107", "lab book 7",
        "lung 0.3", "all others 1.05", "psf_fwhm_mm = 1.6",
        "2 doses (route iv; 2 with a measured amount)",
        "Corrected where the label calls for it: decay, dilution by division and loss from cells.",
               "No background", "%ID", "SUV", "Cell equivalents", "sd_noise", "sd_scale", "dose 3 % and weight 1 %", "doubling time 36 h",
    ):  # fmt: skip
        assert fact in text, fact


def test_methods_name_no_place_of_the_machine(study: Study, rows: tuple[Row, ...]) -> None:
    assert "/lab" not in _all(study, rows) + " ".join(assumptions(study, rows))


def test_switched_off_corrections_are_said(study: Study, rows: tuple[Row, ...]) -> None:
    off = replace(study, config=replace(study.config, corrections=Corrections(decay=False, dilution=False, retention=False)))
    text = _all(off, rows)
    assert "Label amount is the organ's label, as at the time of the scan." in text
    assert "Switched off in the config: decay, dilution by division and loss from cells." in text and "Corrected where" not in text
    assert "No uncertainty of the dose" in " ".join(assumptions(off, rows))


def test_only_quantities_of_the_table_are_explained(study: Study, rows: tuple[Row, ...]) -> None:
    text = _all(study, tuple(r for r in rows if r.quantity == "suv"))
    assert "SUV is" in text and "%ID" not in text and "Cell equivalents" not in text


def test_a_label_that_nobody_was_given_is_not_described(study: Study, rows: tuple[Row, ...]) -> None:
    more = replace(study, labels=(ZR, Label("unused", "iron")))
    assert "unused" not in _all(more, rows) + " ".join(assumptions(more, rows))


def test_all_stated_leaves_only_what_no_sheet_can_state(study: Study, rows: tuple[Row, ...]) -> None:
    held = replace(study, labels=(replace(ZR, retention_table=(RetentionPoint(24.0, 0.9, None),)),))
    found = assumptions(held, rows)
    assert len(found) == 2 and found[0].startswith("All label is in live cells") and "assumed_all_live" in found[1]


def test_silent_sheets_are_named(study: Study, rows: tuple[Row, ...]) -> None:
    bare = replace(DOSE, residual_amount=None, assay_time=None, free_label_percent=None, viability_percent=None)
    silent = replace(study, doses=(bare, DOSE), labels=(replace(ZR, dilutes=None),))
    text = " ".join(assumptions(silent, rows))
    for fact in (
        "1 dose has no residual",
        "1 dose has no assay time",
        "1 dose has no free label",
        "1 dose has no viability",
        "not diluted",
        "leaves no cell",
    ):
        assert fact in text, fact


def test_flags_are_counted_with_their_meaning(study: Study, rows: tuple[Row, ...]) -> None:
    flagged = (*rows[:-1], replace(rows[-1], flag=("no_residual",)))
    assert "1 value with flag no_residual: no residual activity in the sheet: taken as 0." in assumptions(study, flagged)


def test_empty_study_has_text(study: Study) -> None:
    empty = replace(study, subjects=(), doses=(), labels=(), acquisitions=())
    assert "no scan" in _all(empty, ()) and assumptions(empty, ()) == ()


def test_scans_before_the_dose_are_not_after_it(study: Study, rows: tuple[Row, ...]) -> None:
    text = _all(study, (*rows, replace(rows[0], time_h=-30.0)))
    assert "7.08 d after the first dose; baseline scans up to 30 h before it" in text
    assert "baseline" not in _all(study, rows)


def test_iron_beside_a_nuclide_has_its_own_sentences(study: Study, rows: tuple[Row, ...]) -> None:
    iron = tuple(
        replace(r, modality="mri", label="fe", unit="ug", flag=("relaxivity_prior",)) for r in rows if r.quantity == "label_amount"
    )
    both, alone = _all(study, (*rows, *iron)), _all(study, iron)
    assert "Iron is taken from the rate" in both and "corrected for decay to the first dose" in both
    assert "Iron is taken from the rate" in alone and "corrected for decay to the first dose" not in alone
    assert "Yablonskiy" in " ".join(assumptions(study, iron)) and "Yablonskiy" not in " ".join(assumptions(study, rows))
