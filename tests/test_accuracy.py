"""From raw files to %ID on the digital mouse: how near the truth, and how often the interval holds it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.digital_study import PERFECT, digital_study, run_stages
from tracker.correct import correct
from tracker.modality import part
from tracker.organs import read_organs
from tracker.quantify import quantify
from tracker.study import Study, contexts
from tracker.table import Row
from tracker.truth import read_truth


def _measure(study: Study) -> Iterator[tuple[Row, float]]:
    """Every ``injected_percent`` row of a digital study, measured from its raw files, beside the truth the phantom wrote."""
    truth = read_truth(part("pet", "phantom").write_study_raw(study), "injected_percent")
    for context in contexts(study):
        scan = context.acquisition
        quantity = part("pet", "calibrate").calibrate(part("pet", "read").read(scan.path, "", context), context)
        rows = correct(quantify(quantity, read_organs(scan.organs, quantity.grid), context).rows, context).rows
        for row in rows:
            if row.quantity == "injected_percent":
                yield row, truth[row.subject, row.session, row.modality, row.organ, round(row.time_h, 5)]


def test_percent_of_dose_without_noise_and_spill_over(tmp_path: Path) -> None:
    pairs = list(_measure(digital_study(tmp_path / "study", PERFECT, modality="pet")))
    assert len(pairs) == 2 * 2 * 13
    worst = max(pairs, key=lambda pair: abs(pair[0].value / pair[1] - 1))
    assert abs(worst[0].value / worst[1] - 1) < 0.02, worst


def test_an_interval_of_95_percent_covers_the_truth_in_90_to_99_percent_of_rows(tmp_path: Path) -> None:
    # Noise with a grain of 1.6 mm and a calibration error of 3 %, drawn anew for each animal; no spill-over, which is not corrected yet.
    held: list[bool] = []
    organs: dict[str, list[bool]] = {}
    for seed in range(20):
        scanner = {"psf_fwhm_mm": 0, "noise_percent": 20, "noise_fwhm_mm": 1.6, "calibration_cv_percent": 3}
        settings = {"seed": seed + 1, "pet": scanner}
        for row, true in _measure(digital_study(tmp_path / str(seed), settings, modality="pet")):
            inside = abs(row.value - true) <= 1.96 * math.hypot(row.sd_noise, row.sd_scale)
            held.append(inside)
            organs.setdefault(row.organ, []).append(inside)
    share = sum(held) / len(held)
    assert len(held) == 20 * 4 * 13
    assert 0.90 <= share <= 0.99, share
    # One organ has 80 rows from 40 calibrations: its share scatters by 4 %, three times that is allowed below 95 %.
    assert {o: s for o, s in ((o, sum(v) / len(v)) for o, v in organs.items()) if s < 0.83} == {}


@pytest.mark.parametrize("retained", [True, False])
def test_cells_equivalent_are_the_cells_that_carry_the_label(tmp_path: Path, retained: bool) -> None:
    study = digital_study(tmp_path / "study", PERFECT, modality="pet")
    study = replace(study, config=replace(study.config, corrections=replace(study.config.corrections, retention=retained)))
    truth = read_truth(part("pet", "phantom").write_study_raw(study), "cells_equivalent")
    context = contexts(study)[1]
    scan = context.acquisition
    quantity = part("pet", "calibrate").calibrate(part("pet", "read").read(scan.path, "", context), context)
    rows = correct(quantify(quantity, read_organs(scan.organs, quantity.grid), context).rows, context).rows
    label = context.label
    for row in (r for r in rows if r.quantity == "cells_equivalent" and r.organ in ("liver", "lung_right", "spleen")):
        true = truth[row.subject, row.session, row.modality, row.organ, round(row.time_h, 5)]
        # Without the retention correction the cells are too few by what the label lost.
        true *= 1.0 if retained else 2 ** (-row.time_h / label.retention_half_time_h)
        assert row.value == pytest.approx(true, rel=0.02), row.organ
        assert "assumed_all_live" in row.flag


def test_spill_over_is_undone_where_label_is_derived(tmp_path: Path) -> None:
    # The phantom's organs have smooth surfaces and are blurred on a finer grid by another kernel; the map is their staircase.
    study = digital_study(tmp_path / "study", {"voxel_mm": 0.8, "pet": PERFECT["pet"] | {"psf_fwhm_mm": 1.2}}, modality="pet")
    part("pet", "phantom").write_animal_raw(study, "pet", "m01", tmp_path / "truth.csv")
    study = replace(study, acquisitions=tuple(a for a in study.acquisitions if a.subject == "m01"))
    rows, noted = run_stages(study, tmp_path)
    assert [n for n in noted if n.status == "fail"] == []
    for quantity, within in (("injected_percent", 0.04), ("concentration", None)):
        truth = read_truth(tmp_path / "truth.csv", quantity if within else "concentration_bq_per_ml")
        off = {}
        for row in rows:
            if row.quantity == quantity and row.organ in ("liver", "lung_left", "lung_right", "kidney_left", "kidney_right", "spleen"):
                off[row.organ, row.session] = row.value / truth[row.subject, row.session, row.modality, row.organ, round(row.time_h, 5)] - 1
        assert len(off) == 6 * 2
        if within:
            # Organs of many voxels; what is left is the map's staircase, of which no correction knows.
            assert max(map(abs, off.values())) < within, off
            assert all(r.method.count("gtm") == 1 for r in rows if r.quantity == quantity)
        else:
            # As measured the small ones are far off: that is what the flag says, and what the derived rows no longer have.
            assert min(off.values()) < -0.1
