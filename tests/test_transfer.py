"""What a job is told travels as text and comes back the same: every type that study and context have."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.study.model import Config, Context, Corrections, Organs, PkTarget, Study
from tracker.study.rows import Acquisition, Bed, Dose, Label, Measurement, RetentionPoint, Roi, Subject
from tracker.transfer import decode, decode_all, encode

MOMENT = datetime(2026, 3, 2, 10, 0, 30, 250000)
ZONED = MOMENT.replace(tzinfo=timezone(timedelta(hours=5, minutes=45)))

SUBJECT = Subject("007", "mouse", 25.0, strain="C57BL/6", sex="F", group="1E5", site="", notes='quote " comma, tab\t µg ü 小鼠')
DOSE = Dose("007", ZONED, "NA", 1e6, "iv", amount=8e6, amount_unit="Bq", assay_time=MOMENT, residual_amount=0.1 + 0.2, residual_time=None)
LABEL = Label(
    "NA", "radionuclide", "89Zr", dilutes=False, retention_table=(RetentionPoint(0.0, 1.0, None), RetentionPoint(24.0, 0.9, 0.05))
)
ACQUISITION = Acquisition(
    "007", "d0", "pet", Path("/data/Maus 7/ü"), "007_d0", organs=Path("/data/organs.nii.gz"), body_weight_g=None, acquired=ZONED
)
ORGANS = Organs(density_g_per_ml={"lung": 0.3, "default": 1.05}, atlas_labels=Path("/a.nii"))
CONSTANTS = {"psf_fwhm_mm": 1.6, "deep": {"on": True, "list": [1, "a", None]}}
CORRECTIONS = Corrections(dilution=False, dose_sd_percent=5.0)
CONTEXT = Context("study", ACQUISITION, SUBJECT, (DOSE, replace(DOSE, cells=0)), LABEL, MOMENT, CONSTANTS, ORGANS, CORRECTIONS)
TARGETS = (PkTarget("suv", "pet", ("liver",)),)
CONFIG = Config("study", ORGANS, Corrections(), TARGETS, {"pet": {"psf_fwhm_mm": 1.6}, "mri": {}}, {"seed": 3})
STUDY = Study(
    CONFIG,
    Path("/s/config.yaml"),
    Path("/s"),
    (SUBJECT,),
    (DOSE,),
    (LABEL,),
    (ACQUISITION,),
    (Measurement("007", 24.0, "liver", "qpcr", 1.5, "cells", None),),
    (Roi("d0", "a.tif", "1", "007", "liver", x_mm=1.25),),
    (Bed("d0", "pet", "p", "left", "007"),),
    {"doses": Path("/s/doses.tsv")},
)


@pytest.mark.parametrize(
    "value", [SUBJECT, DOSE, LABEL, ACQUISITION, CONTEXT, CONFIG, STUDY, replace(CONFIG, phantom=None)], ids=lambda v: type(v).__name__
)
def test_every_object_comes_back_equal(value):
    again = decode(type(value), encode(value))
    assert again == value
    for field in fields(value):
        # Equality alone would take 1 for True and a list for nothing.
        assert type(getattr(again, field.name)) is type(getattr(value, field.name)), field.name


def test_offsets_paths_tuples_and_none_keep_their_types():
    again = decode(Context, encode(CONTEXT))
    assert again.doses[0].dose_time.utcoffset() == timedelta(hours=5, minutes=45) and again.first_dose_time.tzinfo is None
    assert (
        isinstance(again.acquisition.path, Path)
        and isinstance(again.doses, tuple)
        and isinstance(again.label.retention_table[1], RetentionPoint)
    )
    assert again.doses[0].residual_time is None and again.label.dilutes is False and again.organs.atlas_names is None
    assert again.subject.subject == "007" and again.subject.group == "1E5" and again.label.label == "NA"


def test_text_is_one_line_and_stable():
    assert "\n" not in encode(STUDY)
    assert encode(STUDY) == encode(decode(Study, encode(STUDY)))
    shuffled = replace(ORGANS, density_g_per_ml={"default": 1.05, "lung": 0.3})
    assert encode(shuffled) == encode(ORGANS)


@pytest.mark.parametrize("change", [{"body_weight_g": 25.000000000000004}, {"notes": ""}, {"subject": "7"}])
def test_any_edit_shows(change):
    assert encode(replace(SUBJECT, **change)) != encode(SUBJECT)


def test_lists():
    assert decode_all(Dose, encode([DOSE, DOSE])) == (DOSE, DOSE)
    assert decode_all(Dose, encode([])) == ()


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20), st.datetimes(timezones=st.none() | st.just(UTC)))
def test_numbers_text_and_times_come_back_to_the_last_bit(number, text, moment):
    dose = replace(DOSE, cells=number, product=text, dose_time=moment)
    assert decode(Dose, encode(dose)) == dose


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_does_not_travel(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(replace(DOSE, cells=number))


def test_the_original_is_not_shared():
    @dataclass(frozen=True)
    class Holder:
        constants: Any

    held = Holder({"list": [1]})
    decode(Holder, encode(held)).constants["list"].append(2)
    assert held.constants == {"list": [1]}
