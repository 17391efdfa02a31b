"""What a scan's stages are told of anatomy scans, of organs drawn elsewhere, and of regions."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_folder import Folder, says

from tracker.study import Context, contexts, files_of, study_of
from tracker.study.model import Study
from tracker.transfer import decode_all, encode

ROWS = """\
subject session modality path role label organs
007 d0 pet scans/007d0 baseline - -
007 d0 ct scans/ct anatomy - seg/007.nii
007 d1 pet scans/007d1 - - -
007 d1 ct scans/ct1 anatomy - -
NA d1 pet scans/NAd1 followup zr seg/NA.nii
1E5 d1 spect scans/1E5d1 followup zr seg/1E5.nii
"""


def followed(folder: Folder, source: str = "propagated", rows: str = ROWS) -> Folder:
    (folder.root / "scans/ct1").mkdir(exist_ok=True)
    folder.change("config.yaml", "organs: {source: segmentation}", f"organs: {{source: {source}}}")
    folder.sheet("acquisitions.tsv", rows)
    return folder


def told(study: Study, subject: str, session: str) -> Context:
    return next(c for c in contexts(study) if (c.acquisition.subject, c.acquisition.session) == (subject, session))


def test_each_scan_is_told_its_anatomy_and_where_organs_were_drawn(folder: Folder) -> None:
    later = told(followed(folder).load(), "007", "d1")
    assert later.anatomy is not None and later.anatomy.path.name == "ct1" and later.anatomy.organs is None
    (drawn,) = later.drawn
    assert (drawn.scan.session, drawn.scan.modality, drawn.told, drawn.weights_g) == ("d0", "ct", None, (25.0,))
    assert drawn.anatomy == drawn.scan
    assert {p.name for p in files_of(later)} == {"007d1", "ct1", "ct", "007.nii"}


def test_a_measured_scan_with_organs_brings_what_its_own_stages_are_told(folder: Folder) -> None:
    rows = ROWS.replace("007 d0 pet scans/007d0 baseline - -", "007 d0 pet scans/007d0 baseline - seg/007.nii").replace(
        "- seg/007.nii\n007 d1", "- -\n007 d1"
    )
    (drawn,) = told(followed(folder, rows=rows).load(), "007", "d1").drawn
    assert drawn.told is not None and drawn.told.acquisition == drawn.scan and drawn.told.drawn == ()
    assert drawn.anatomy is not None and drawn.anatomy.path.name == "ct"


def test_nothing_is_told_of_other_sessions_where_nothing_is_carried(folder: Folder) -> None:
    rows = ROWS.replace("007 d1 ct scans/ct1 anatomy - -", "007 d1 ct scans/ct1 anatomy - seg/NA.nii")
    study = followed(folder, "segmentation", rows).load()
    assert all(c.drawn == () for c in contexts(study)) and told(study, "007", "d0").anatomy is not None


def test_it_travels_as_text(folder: Folder) -> None:
    whole = contexts(followed(folder).load())
    assert decode_all(Context, encode(whole)) == whole
    assert told(study_of(folder.load(), "007"), "007", "d1").drawn[0].scan.session == "d0"


def test_regions_of_the_scan_alone(folder: Folder) -> None:
    folder.change("config.yaml", "acquisitions: acquisitions.tsv}", "acquisitions: acquisitions.tsv, rois: rois.tsv}")
    folder.sheet("rois.tsv", "session path roi subject organ\nd1 scans/007d1 1 007 liver\nd0 scans/../scans/007d0 1 007 lung\n")
    study = folder.load()
    assert [r.organ for r in told(study, "007", "d1").rois] == ["liver"]
    assert [r.organ for r in told(study, "007", "d0").rois] == ["lung"]
    assert len(study_of(study, "007").rois) == 2 and study_of(study, "NA").rois == ()


def test_two_anatomy_scans_of_a_session_are_asked_about_where_one_is_needed(folder: Folder) -> None:
    rows = ROWS + "007 d1 mr scans/ct anatomy - -\n"
    error = followed(folder, rows=rows).only("anatomy_ambiguous")
    assert says(error, "acquisitions.tsv, line 8", "ct ct1, mr ct", "name organs for one of them")
    folder.sheet("acquisitions.tsv", rows.replace("007 d1 pet scans/007d1 - - -", "007 d1 pet scans/007d1 - - seg/007.nii"))
    folder.change("config.yaml", "propagated", "segmentation")
    assert folder.errors() == []


@pytest.mark.parametrize(("source", "words"), [("segmentation", "session's anatomy scan"), ("propagated", "another scan of the animal")])
def test_scans_that_no_organs_can_come_to(folder: Folder, source: str, words: str) -> None:
    rows = ROWS.replace("scans/ct anatomy - seg/007.nii", "scans/ct anatomy - -")
    found = followed(folder, source, rows).with_code("organs_missing")
    assert len(found) == 2 and all(words in str(e) for e in found)


def test_paths_are_taken_out_of_what_goes_to_others(folder: Folder, tmp_path: Path) -> None:
    from tracker.errors import InputError
    from tracker.stages import each_scan

    context = told(followed(folder).load(), "007", "d1")

    def work(_: Context) -> tuple[()]:
        raise InputError("no_series", "nothing here", where=context.drawn[0].scan.path)

    (row,) = each_scan([context], "organs", work)
    assert str(tmp_path) not in row.reason and "at ct" in row.reason
