"""From click folders to living cells through the stages, beside the truth the phantom wrote: cells that divide and die, a baseline."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.digital_study import digital_study, run_stages
from tracker.modality import part
from tracker.qc import QcRow
from tracker.study import Study
from tracker.table import Row, check_row
from tracker.truth import read_truth

ANIMAL = "m03"
BRIGHT = ("lung_left", "lung_right", "liver")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], list[QcRow], Path]:
    folder = tmp_path_factory.mktemp("bli")
    study: Study = digital_study(folder / "study", {}, modality="bli")
    study = replace(study, acquisitions=tuple(a for a in study.acquisitions if a.subject == ANIMAL))
    part("bli", "phantom").write_animal_raw(study, "bli", ANIMAL, folder / "truth.csv")
    rows, noted = run_stages(study, folder)
    return rows, noted, folder


def test_living_cells_of_organs_are_near_the_truth_and_their_interval_holds_it(measured: tuple[list[Row], list[QcRow], Path]) -> None:
    rows, _, folder = measured
    truth = read_truth(folder / "truth.csv", "cells_viable")
    held = []
    for row in rows:
        check_row(row)
        if row.quantity != "cells_viable" or row.organ == "body" or row.value is None or row.sd_noise is None or row.sd_scale is None:
            continue
        true = truth[row.subject, row.session, row.modality, row.organ, round(row.time_h, 5)]  # type: ignore[arg-type]
        if row.organ in BRIGHT:
            # A fifth is what the 25 % leave beside the phantom's light per cell, which is off by 10 %, and 20 % of blood.
            assert row.value == pytest.approx(true, rel=0.3), (row.session, row.organ)
        held.append(abs(row.value - true) <= 1.96 * math.hypot(row.sd_noise, row.sd_scale))
    assert len(held) >= 16
    # 26 organs, some hidden behind others, share one light per cell and one blood: nine in ten cannot be told from eight.
    assert sum(held) / len(held) >= 0.75


def test_what_is_seen_stays_beside_what_is_worked_out(measured: tuple[list[Row], list[QcRow], Path]) -> None:
    rows, _, _ = measured
    liver = {r.quantity: r for r in rows if r.organ == "liver" and r.session == "h024"}
    assert {"signal", "concentration", "concentration_max", "label_amount", "cells_viable", "cells_viable_per_g"} <= liver.keys()
    assert "attenuated" in liver["signal"].flag and "attenuated" not in liver["cells_viable"].flag
    assert "organ tomography" in liver["label_amount"].method and "baseline of b" in liver["label_amount"].method
    # Most of the liver's light never leaves the animal.
    assert liver["label_amount"].value > 3 * liver["signal"].value  # type: ignore[operator]


def test_scans_before_the_dose_have_no_cells_and_nothing_failed(measured: tuple[list[Row], list[QcRow], Path]) -> None:
    rows, noted, _ = measured
    assert not [r for r in rows if r.session == "b" and r.quantity in ("cells_viable", "label_amount")]
    assert not [q for q in noted if q.status == "fail"]
    assert {q.check for q in noted} >= {"tomography", "animals", "organs_under_camera"}


def test_organs_add_up_to_the_animal(measured: tuple[list[Row], list[QcRow], Path]) -> None:
    rows, _, folder = measured
    for session in ("h001", "h024"):
        cells = {r.organ: r for r in rows if r.quantity == "cells_viable" and r.session == session}
        with (folder / "truth.csv").open(newline="", encoding="utf-8") as file:
            true = sum(float(t["cells_viable"]) for t in csv.DictReader(file) if t["session"] == session)
        body = cells.pop("body")
        organs = sum(r.value for r in cells.values() if r.value is not None)
        # Organs without a value in one scan or the other, and the baseline of each, are all that the sums may differ by.
        assert body.value == pytest.approx(organs, rel=0.02)
        assert body.value == pytest.approx(true, rel=0.3)
