"""The sheet `beds`: places by a closed list of names, one view, every animal of the scan; and what a scan's stages are told of it."""

from __future__ import annotations

import pytest

from tests.study.study_folder import says
from tracker.study import Context, contexts, study_of
from tracker.study.columns import POSITIONS
from tracker.transfer import decode, encode

HEAD = "subject session modality path role label organs body_weight_g\n"
SHARED = "007 d1 pet scans/007d1 - zr {one} 27.5\nNA d1 pet ./scans/007d1 - zr {two} -\n"
BEDS = "session modality path position subject view\n"


@pytest.fixture
def bed(folder):
    """A study with one scan of two animals; the sheet beds is each test's own."""
    folder.change("config.yaml", "labels: labels.csv", "labels: labels.csv, beds: b.tsv")
    folder.sheet("acquisitions.tsv", HEAD + SHARED.format(one="seg/007.nii", two="seg/NA.nii"))
    return folder


def beds(folder, first: str, second: str) -> None:
    folder.sheet("b.tsv", f"{BEDS}d1 pet scans/007d1 {first}\nd1 pet scans/../scans/007d1 {second}\n")


def test_a_good_bed(bed):
    beds(bed, "left 007 image", "right NA image")
    assert [b.position for b in bed.load().beds] == ["left", "right"]


@pytest.mark.parametrize("position", POSITIONS)
def test_every_position_of_the_list_is_read(bed, position):
    other = "2" if position == "1" else "1" if position.isdigit() else "centre" if position != "centre" else "top"
    beds(bed, f"{position} 007 image", f"{other} NA image")
    assert bed.load().beds[0].position == position


def test_an_unknown_position_is_named_with_its_neighbour(bed):
    beds(bed, "top_lefft 007 image", "right NA image")
    assert says(bed.with_code("bad_choice")[0], "b.tsv, line 2, column position", "'top_lefft'", "did you mean 'top_left'?", "centre")


def test_left_of_whom_is_asked(bed):
    beds(bed, "left 007 -", "right NA image")
    assert says(bed.only("view_missing"), "b.tsv, line 2, column view", "found left", "technician or image")
    beds(bed, "top 007 -", "bottom NA -")
    assert len(bed.with_code("view_missing")) == 2


def test_the_middle_is_the_middle_from_every_side(bed):
    beds(bed, "centre 007 -", "right NA image")
    assert len(bed.load().beds) == 2


def test_one_bed_has_one_view(bed):
    beds(bed, "left 007 image", "right NA technician")
    assert says(bed.only("view_mixed"), "b.tsv, line 3, column view", "found technician", "expected image")


def test_numbers_and_names_do_not_mix(bed):
    beds(bed, "1 007 image", "right NA image")
    assert says(bed.only("positions_mixed"), "b.tsv, line 3, column position", "found right", "as 1 in line 2")


def test_a_place_holds_one_animal_however_the_path_is_spelt(bed):
    beds(bed, "left 007 image", "left NA image")
    assert says(bed.only("duplicate_row"), "b.tsv, line 3, column position", "as in line 2")


def test_an_animal_of_the_scan_without_a_row(bed):
    # Its own organ map tells it apart, but the bodies would not be as many as the rows.
    bed.sheet("b.tsv", f"{BEDS}d1 pet scans/007d1 left 007 image\n")
    assert says(bed.only("bed_missing"), "acquisitions.tsv, line 3, column subject", "found NA", "expected 007")


def test_what_the_stages_are_told(bed):
    beds(bed, "left 007 image", "right NA image")
    context = contexts(bed.load())[1]
    assert [(b.subject, b.position) for b in context.beds] == [("007", "left"), ("NA", "right")]
    # The day's weight where there is one, else the usual.
    usual = {s.subject: s.body_weight_g for s in bed.load().subjects}
    assert context.bed_weights_g == {"007": 27.5, "NA": usual["NA"]}
    assert not context.organs_shared
    assert decode(Context, encode(context)) == context


def test_one_map_for_two_animals_is_noticed(bed):
    bed.sheet("acquisitions.tsv", HEAD + SHARED.format(one="seg/007.nii", two="seg/../seg/007.nii"))
    beds(bed, "left 007 image", "right NA image")
    assert [c.organs_shared for c in contexts(bed.load())] == [True, True]


def test_an_animal_alone_is_told_of_no_bed(folder):
    assert all(c.beds == () and c.bed_weights_g == {} for c in contexts(folder.load()))


def test_one_subject_s_study_keeps_who_lay_beside_it(bed):
    beds(bed, "left 007 image", "right NA image")
    study = bed.load()
    assert study_of(study, "007").beds == study.beds
    assert study_of(study, "1E5").beds == ()
