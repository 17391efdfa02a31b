"""From one raw folder of several animals to %ID of each: as if scanned alone; and what is wrong with a bed is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.bed_study import CONSOLE, START, UPTAKE, Mouse, held, load, occupant, run, write_bed_study
from tracker.errors import StudyErrors
from tracker.nifti import read_quantity
from tracker.pet.phantom.bed import bed_grid
from tracker.pet.phantom.truth import Degradation

# Head first, prone: the technician's left is the animal's left (-x), and up in the room is its back (-y).
FOUR = (
    Mouse("a1", 20.0, (-14.0, -12.0, 1.0), "top_left", 3e6, 24.0),
    Mouse("a2", 25.0, (14.0, -12.0, -2.0), "top_right", 5e6, 25.5),
    Mouse("a3", 28.0, (-14.0, 12.0, 0.0), "bottom_left", 2e6, 49.0),
    Mouse("a4", 22.0, (14.0, 12.0, 2.0), "bottom_right", 4e6, 23.0),
)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bed_study(tmp_path_factory.mktemp("four"), FOUR)


@pytest.mark.parametrize("mouse", FOUR, ids=lambda m: m.name)
def test_each_of_four_is_as_if_scanned_alone(four: Path, mouse: Mouse, tmp_path: Path) -> None:
    shared = run(load(four), mouse.name, tmp_path / "shared")
    grid = bed_grid([occupant(m) for m in FOUR], 1.25)
    # Alone: the others are gone, from the scanner's bed and from the sheets.
    config = write_bed_study(tmp_path / "alone_study", [mouse], view="", grid=grid)
    alone = run(load(config), mouse.name, tmp_path / "alone")
    assert shared.failed() == alone.failed() == {}
    found, expected = shared.percent(), alone.percent()
    assert set(found) == set(UPTAKE)
    for organ, percent in expected.items():
        assert found[organ] == pytest.approx(percent, rel=0.01), organ
    for quantity in ("suv", "concentration_max", "injected_percent_per_g"):
        pair = [{r.organ: r.value for r in one.rows if r.quantity == quantity} for one in (shared, alone)]
        assert pair[0] == pytest.approx(pair[1], rel=0.01)


def test_percent_of_each_animal_s_own_dose_without_blur(tmp_path: Path) -> None:
    config = write_bed_study(tmp_path / "study", FOUR, how=Degradation())
    for mouse in FOUR:
        found = run(load(config), mouse.name, tmp_path / "run").percent()
        amounts = held(mouse)
        # All of an organ's activity lies in its voxels, so only 16-bit numbers and the header's rounding are between.
        assert found == pytest.approx({organ: 100 * amounts[organ] / mouse.dose_bq for organ in found}, rel=1e-3)


def test_the_others_are_nan_the_place_is_right_and_it_is_said(four: Path, tmp_path: Path) -> None:
    ran = run(load(four), "a2", tmp_path)
    quantity = read_quantity(tmp_path / "a2/quantity/d1.nii")
    assert quantity.method.endswith(">bed:top_right")
    values, own = np.asarray(quantity.values[0]), np.asarray(quantity.maps["territory"]) > 0
    assert np.isnan(values[~own]).all() and np.isfinite(values[own]).all() and (~own).any()
    # Where the brightest voxel is: within the animal (25 g, at most 46 mm from its middle), in the scan's own patient coordinates.
    z, y, x = np.unravel_index(np.nanargmax(values), values.shape)
    at = (quantity.grid.affine @ [x, y, z, 1.0])[:3] - FOUR[1].centre_mm
    assert (np.abs(at) < [12.2, 10.2, 46.0]).all()
    words = {q.check: (q.status, q.reason) for q in ran.qc}
    assert words["beds"][0] == "ok" and "a2 top_right: R 14" in words["beds"][1] and "P 1" in words["beds"][1]
    assert words["shared_bed"][0] == "ok"
    assert not {"dose", "body_weight", "injection_time"} & set(words)


def test_decay_corrected_by_the_scanner_to_its_one_administration(tmp_path: Path) -> None:
    # The values refer to the console's time, whoever was injected then; each animal's %ID is of its own dose at its own time.
    config = write_bed_study(tmp_path / "study", FOUR, options=replace(CONSOLE, decay_correction="ADMIN"), how=Degradation())
    found, amounts = run(load(config), "a3", tmp_path / "run").percent(), held(FOUR[2])
    assert found == pytest.approx({organ: 100 * amounts[organ] / FOUR[2].dose_bq for organ in found}, rel=1e-3)


def test_one_map_for_all_is_cut_to_each_animal(four: Path, tmp_path: Path) -> None:
    study = load(four)
    from tracker.digital import write_organs
    from tracker.pet.phantom.bed import occupant_map

    grid = bed_grid([occupant(m) for m in FOUR], 1.25)
    maps = [occupant_map(occupant(m), grid) for m in FOUR]
    together = replace(maps[0], labels=np.maximum.reduce([m.labels for m in maps]))
    write_organs(tmp_path / "all.nii.gz", together)
    rows = tuple(replace(a, organs=tmp_path / "all.nii.gz") for a in study.acquisitions)
    shared = run(replace(study, acquisitions=rows), "a1", tmp_path / "shared").percent()
    assert shared == pytest.approx(run(study, "a1", tmp_path / "own").percent(), rel=1e-6)


def test_another_number_of_animals_is_an_error(tmp_path: Path) -> None:
    three = write_bed_study(tmp_path / "three", FOUR, inside=FOUR[:3])
    reason = run(load(three), "a1", tmp_path / "run3").failed()["beds_count"]
    assert "found 3, with their middles at" in reason and "expected 4: a1 top_left, a2" in reason and "at bed" in reason
    four = write_bed_study(tmp_path / "four", FOUR[:3], inside=FOUR)
    assert "found 4" in run(load(four), "a1", tmp_path / "run4").failed()["beds_count"]


@pytest.mark.parametrize("view", ["image", "technician"])
def test_a_pair_swapped_by_the_view_is_told_by_the_organ_map(tmp_path: Path, view: str) -> None:
    pair = [Mouse("m1", 25.0, (13.0, 0.0, 0.0), "left"), Mouse("m2", 25.0, (-13.0, 0.0, 0.0), "right")]
    # Supine, head first: both views agree; prone they do not.
    position = "HFS" if view == "image" else "HFP"
    config = write_bed_study(tmp_path / "study", pair, view=view, options=replace(CONSOLE, patient_position=position))
    failed = run(load(config), "m1", tmp_path / "run").failed()
    if view == "image":
        assert failed == {}
    else:
        assert "0% of them at left, where the sheet has m1; most at right, with m2" in failed["beds_swapped"]


def test_technician_without_a_patient_position_is_asked(tmp_path: Path) -> None:
    pair = [Mouse("m1", 25.0, (-13.0, 0.0, 0.0), "left"), Mouse("m2", 25.0, (13.0, 0.0, 0.0), "right")]
    config = write_bed_study(tmp_path / "study", pair, options=replace(CONSOLE, patient_position=""))
    assert "view of the sheet beds with image" in run(load(config), "m1", tmp_path / "run").failed()["beds_view"]


def test_animals_above_one_another_are_not_left_and_right(tmp_path: Path) -> None:
    pair = [Mouse("m1", 25.0, (0.0, -11.0, 0.0), "left"), Mouse("m2", 25.0, (0.0, 11.0, 0.0), "right")]
    config = write_bed_study(tmp_path / "study", pair)
    assert "do not lie as" in run(load(config), "m1", tmp_path / "run").failed()["beds_layout"]


def test_weights_that_contradict_the_bodies_are_said(tmp_path: Path) -> None:
    there = [Mouse("m1", 18.0, (-13.0, 0.0, 0.0), "left"), Mouse("m2", 32.0, (13.5, 0.0, 0.0), "right")]
    study = load(write_bed_study(tmp_path / "study", there))
    assert "beds_weights" not in {q.check for q in run(study, "m1", tmp_path / "right").qc}
    wrong = run(study, "m1", tmp_path / "wrong", bed_weights_g={"m1": 32.0, "m2": 18.0})
    assert [q.status for q in wrong.qc if q.check == "beds_weights"] == ["warn"]


def test_suv_of_a_shared_bed_is_refused_and_of_one_animal_is_not(tmp_path: Path) -> None:
    pair = [Mouse("m1", 25.0, (-13.0, 0.0, 0.0), "left"), Mouse("m2", 25.0, (13.0, 0.0, 0.0), "right")]
    suv = replace(CONSOLE, units="GML", injection=START - timedelta(hours=24))
    study = load(write_bed_study(tmp_path / "study", pair, options=suv))
    assert "dose" in run(study, "m1", tmp_path / "shared").failed()["shared_bed_suv"]
    assert run(study, "m1", tmp_path / "alone", beds=()).failed() == {}


@pytest.mark.parametrize("apart", [0.0, 1.5], ids=["touching", "thin_gap"])
def test_animals_that_touch_keep_their_own(tmp_path: Path, apart: float) -> None:
    # Half width of a 25 g mouse is 12.2 mm.
    x = 12.2 + apart / 2
    pair = [Mouse("m1", 25.0, (-x, 0.0, 0.0), "left", 2e6), Mouse("m2", 25.0, (x, 0.0, 3.0), "right", 4e6)]
    config = write_bed_study(tmp_path / "study", pair, how=Degradation(), voxel_mm=1.0)
    for mouse in pair:
        ran, amounts = run(load(config), mouse.name, tmp_path / "run"), held(mouse)
        assert ran.failed() == {}
        assert ran.percent() == pytest.approx({o: 100 * a / mouse.dose_bq for o, a in amounts.items()}, rel=0.01)


def test_a_bed_that_nobody_can_tell_apart_is_not_loaded(tmp_path: Path) -> None:
    pair = [Mouse("m1", 25.0, (-13.0, 0.0, 0.0), "left"), Mouse("m2", 25.0, (13.0, 0.0, 0.0), "upper_right")]
    config = write_bed_study(tmp_path / "study", pair)
    with pytest.raises(StudyErrors) as caught:
        load(config)
    assert [e.code for e in caught.value.errors] == ["bad_choice"] and "did you mean 'top_right'" in str(caught.value)
