"""What one sheet says against another, and against what is plausible (bad-inputs 2, 12, 62, 65, 66, 83)."""

from __future__ import annotations

import pytest
from study_folder import says

HEAD = "subject session modality path role label organs series\n"

# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("species", "weight", "fine"),
    [
        ("mouse", 10, True), ("mouse", 60, True), ("mouse", 9.9, False), ("mouse", 60.1, False), ("mouse", 0.025, False),
        ("Mouse", 0.025, False), ("rat", 80, True), ("rat", 1000, True), ("rat", 79, False), ("rat", 1001, False), ("rat", 0.3, False),
        ("human", 2000, True), ("human", 300000, True), ("human", 70, False), ("human", 300001, False),
        ("pig", 0.001, True), ("pig", 1e6, True),
    ],
)  # fmt: skip
def test_weights_per_species(folder, species, weight, fine):
    folder.change("subjects.tsv", "NA\tmouse\t22.5", f"NA\t{species}\t{weight}")
    if fine:
        assert folder.load().subjects[1].body_weight_g == weight
    else:
        assert says(
            folder.only("implausible_weight"),
            "subjects.tsv, line 3, column body_weight_g", f"found {weight:g} g for a {species.lower()}",
            "25 g is 25, not 0.025; a person of 70 kg is 70000",
        )  # fmt: skip


def test_weight_on_the_day(folder):
    folder.sheet("acquisitions.tsv", "subject session modality path organs body_weight_g\nNA d1 pet scans/NAd1 seg/NA.nii 0.023\n")
    assert says(folder.only("implausible_weight"), "acquisitions.tsv, line 2, column body_weight_g", "0.023 g for a mouse")
    folder.change("acquisitions.tsv", "0.023", "23")
    assert folder.load().acquisitions[0].body_weight_g == 23.0


def test_a_misspelt_species_does_not_escape_the_check(folder):
    folder.change("subjects.tsv", "NA\tmouse", "NA\tmosue")
    assert says(folder.only("unknown_species"), "subjects.tsv, line 3, column species", "did you mean 'mouse'?")


@pytest.mark.parametrize("species", ["rabbit", "hamster", "cat", "pig", "dog", "macaque", "zebrafish", "goat"])
def test_other_species_pass(folder, species):
    folder.change("subjects.tsv", "NA\tmouse", f"NA\t{species}")
    assert folder.load().subjects[1].species == species


# --- doses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code", "column", "line"),
    [
        ("7.4\tMBq", "7.4\t", "amount_unit_missing", "amount_unit", 3),
        ("7.4\tMBq", "\tMBq", "amount_missing", "amount", 3),
        ("\t5\t2026-03-04T10:05:00", "\t5\t", "residual_time_missing", "residual_time", 2),
        ("\t5\t2026-03-04T10:05:00", "\t\t2026-03-04T10:05:00", "residual_amount_missing", "residual_amount", 2),
        ("7.4\tMBq\t", "\t\t2026-03-04T10:00", "amount_missing", "amount", 3),
        ("\t5\t", "\t500\t", "residual_above_amount", "residual_amount", 2),
        ("uCi", "ug", "wrong_unit", "amount_unit", 2),
    ],
)
def test_amounts(folder, old, new, code, column, line):
    folder.change("doses.tsv", old, new)
    assert says(folder.only(code), f"doses.tsv, line {line}, column {column}")


def test_iron_needs_no_residual_time(folder):
    folder.write("labels.csv", "label,kind\nzr,iron\n")
    folder.sheet("doses.tsv", "subject dose_time label cells route amount amount_unit residual_amount\n" + "".join(
        f"{s} 2026-03-04T10:00 zr 1e6 iv 10 ug 1\n" for s in ("007", "NA", "1E5")))  # fmt: skip
    assert folder.load().doses[0].residual_amount == 1.0


def test_an_assay_after_the_injection_is_fine(folder):
    folder.change("doses.tsv", "2026-03-04T09:30:00", "2026-03-04T11:30:00")
    assert folder.load().doses[0].assay_time.hour == 11


def test_units_that_are_not_in_the_list(folder):
    folder.change("doses.tsv", "uCi", "µCi")
    assert says(folder.only("bad_choice"), "doses.tsv, line 2, column amount_unit", "'µCi'", "did you mean 'uCi'?")


def test_times_with_and_without_an_offset_in_one_subject(folder):
    folder.change("doses.tsv", "2026-03-04T09:30:00", "2026-03-04T09:30:00+01:00")
    error = folder.only("mixed_offsets")
    assert says(error, "doses.tsv, line 2, column assay_time", "times of 007", "2026-03-04T09:30:00+01:00", "all of them or on none")


def test_acquired_is_one_of_the_subject_s_times(folder):
    folder.sheet("acquisitions.tsv", "subject session modality path organs acquired\nNA d1 pet scans/NAd1 seg/NA.nii 2026-03-05T10:00Z\n")
    assert says(folder.only("mixed_offsets"), "acquisitions.tsv, line 2, column acquired", "line 3, column dose_time")


def test_offsets_may_differ_between_subjects(folder):
    folder.change("doses.tsv", "2026-03-04T10:10", "2026-03-04T10:10+01:00")
    assert folder.load().doses[1].dose_time.utcoffset() is not None


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code", "parts"),
    [
        ("Zr-89", "", "nuclide_missing", ("column nuclide", "name the nuclide")),
        ("Zr-89", "Zr-88x", "unknown_nuclide", ("column nuclide", "Zr-88x")),
        ("yes,30", "yes,", "doubling_time_h_missing", ("column doubling_time_h", "nobody says how fast")),
        ("reporter,,no", "reporter,Zr-89,no", "nuclide_unexpected", ("line 3, column nuclide", "none for reporter")),
        ("120,photons/s", "120,", "amount_per_cell_unit_missing", ("line 3, column amount_per_cell_unit",)),
        ("120,photons/s", ",photons/s", "amount_per_cell_missing", ("line 3, column amount_per_cell",)),
        ("120,photons/s", "120,Bq", "wrong_unit", ("line 3, column amount_per_cell_unit", "kind reporter", "photons/s")),
        ("120,photons/s", "120,photon/s", "bad_choice", ("did you mean 'photons/s'?",)),
    ],
)
def test_labels(folder, old, new, code, parts):
    folder.change("labels.csv", old, new)
    assert says(folder.only(code), "labels.csv", *parts)


def test_the_nearest_nuclide_is_named(folder):
    folder.change("labels.csv", "Zr-89", "Zr-8")
    assert says(folder.only("unknown_nuclide"), "labels.csv, line 2, column nuclide", "89")


def test_two_ways_of_retention(folder):
    folder.change("labels.csv", "retention_table,", "retention_table,retention_half_time_h,")
    folder.change("labels.csv", "retention.csv,", "retention.csv,200,")
    folder.change("labels.csv", "luc,reporter,,no,,,", "luc,reporter,,no,,,,")
    assert says(folder.only("retention_twice"), "labels.csv, line 2, column retention_table", "one of the two")


@pytest.mark.parametrize(
    ("table", "code", "parts"),
    [
        ("time_h,retained,sd\n24,0.9,0\n48,0.8,0\n", "retention_start",
         ("retention.csv, line 2", "time_h 24, retained 0.9", "add a first row 0, 1")),
        ("time_h,retained\n0,0.95\n48,0.8\n", "retention_start", ("retention.csv, line 2", "retained 0.95")),
        ("time_h,retained\n0,1\n48,0.8\n24,0.9\n", "retention_order", ("retention.csv, line 4, column time_h", "24.0 after 48.0")),
        ("time_h,retained\n0,1\n24,0.8\n24,0.9\n", "duplicate_row", ("retention.csv, line 4",)),
        ("time_h,retained\n0,1\n24,80\n", "out_of_range", ("retention.csv, line 3, column retained", "at most 1")),
        ("time_h,retention\n0,1\n", "missing_column", ("retention.csv, line 1", "'retained'")),
        ("time_h,retained\n", "empty_sheet", ("retention.csv",)),
        ("time_h;retained\n0;1\n", "semicolons", ("retention.csv",)),
    ],
)  # fmt: skip
def test_retention_tables(folder, table, code, parts):
    folder.write("retention.csv", table)
    assert says(folder.with_code(code)[0], *parts)


def test_a_retention_table_that_is_not_there(folder):
    (folder.root / "retention.csv").unlink()
    assert says(folder.only("missing_file"), "retention.csv")


# --- references ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sheet", "old", "new", "code", "parts"),
    [
        ("doses.tsv", "NA\t", "Na\t", "unknown_subject", ("doses.tsv, line 3, column subject", "did you mean 'NA'?", "007, NA, 1E5")),
        ("doses.tsv", "\tzr\t", "\tzt\t", "unknown_label", ("doses.tsv, line 2, column label", "did you mean 'zr'?")),
        ("acquisitions.tsv", "NA\td1", "NAA\td1", "unknown_subject", ("acquisitions.tsv, line 4, column subject", "did you mean 'NA'?")),
        ("acquisitions.tsv", "followup\tzr", "followup\tzr89", "unknown_label",
         ("acquisitions.tsv, line 4, column label", "did you mean 'zr'?")),
        ("acquisitions.tsv", "d1\tpet", "d1\tpett", "unknown_modality",
         ("acquisitions.tsv, line 3, column modality", "did you mean 'pet'?", "spect")),
        ("acquisitions.tsv", "followup\tzr", "followup\tluc", "label_not_dosed",
         ("acquisitions.tsv, line 4, column label", "NA was not given")),
    ],
)  # fmt: skip
def test_names_that_are_not_known(folder, sheet, old, new, code, parts):
    folder.change(sheet, old, new)
    assert says(folder.with_code(code)[0], *parts)


def test_other_sheets_name_subjects_too(folder):
    folder.change("config.yaml", "doses: doses.tsv", "doses: doses.tsv, measurements: m.csv, rois: r.csv, beds: b.csv")
    folder.write("m.csv", "subject,time_h,organ,method,value,unit\nN4,1,liver,qPCR,1,copies\n")
    folder.write("r.csv", "session,path,roi,subject,organ\nd1,scans/NAd1,a,N4,liver\n")
    folder.write("b.csv", "session,modality,path,position,subject\nd1,pet,scans/NAd1,left,N4\n")
    assert [e.where for e in folder.with_code("unknown_subject")] == [
        "m.csv, line 2, column subject", "r.csv, line 2, column subject", "b.csv, line 2, column subject",
    ]  # fmt: skip


def test_a_followup_without_a_dose(folder):
    lines = (folder.root / "doses.tsv").read_text().splitlines(keepends=True)
    folder.write("doses.tsv", "".join(line for line in lines if not line.startswith("NA")))
    assert says(folder.only("no_dose"), "acquisitions.tsv, line 4, column subject", "a followup of NA")


def test_which_label_is_asked_where_two_were_given(folder):
    folder.write("doses.tsv", (folder.root / "doses.tsv").read_text() + "007\t2026-03-04T10:00\tluc\t1e6\tiv\t\t\t\t\t\n")
    errors = folder.errors()
    assert [e.code for e in errors] == ["label_missing", "label_missing"]
    assert says(errors[1], "acquisitions.tsv, line 3, column label", "007 was given zr, luc")


def test_anatomy_needs_no_known_modality_but_a_name(folder):
    folder.change("acquisitions.tsv", "1E5\td1\tct", "1E5\td1\tt2-rare")
    assert says(folder.only("bad_id"), "acquisitions.tsv, line 6, column modality")


# --- acquisitions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", ["007 d1 pet scans/007d1 - - seg/007.nii -", "007 d1 pet scans/../scans/007d1 followup zr seg/NA.nii -"])
def test_one_scan_twice_however_it_is_spelt(folder, again):
    folder.sheet("acquisitions.tsv", f"{HEAD}007 d1 pet scans/007d1 - - seg/007.nii -\n{again}\n")
    assert says(folder.only("duplicate_row"), "acquisitions.tsv, line 3, column subject", "as in line 2")


def test_keys_are_sessions_where_that_is_enough(folder):
    assert [a.key for a in folder.load().acquisitions] == ["d0", "d1", "d1", "d1", "d1"]


def test_keys_get_labels_then_numbers(folder):
    folder.write("doses.tsv", (folder.root / "doses.tsv").read_text() + "007\t2026-03-04T10:00\tluc\t1e6\tiv\t\t\t\t\t\n")
    folder.sheet("acquisitions.tsv", HEAD + "\n".join([
        "007 d1 pet scans/007d1 - zr seg/007.nii a",
        "007 d1 pet scans/007d1 - luc seg/007.nii b",
        "007 d1 pet scans/007d1 - zr seg/007.nii c",
        "007 d2 pet scans/007d1 - zr seg/007.nii a",
        "007 d2 pet scans/007d1 - zr seg/007.nii b",
        "007 D2 pet scans/007d1 - zr seg/007.nii c",
        "007 d2 spect scans/007d1 - zr seg/007.nii d",
    ]))  # fmt: skip
    keys = [a.key for a in folder.load().acquisitions]
    # D2 and d2 are one file on some disks.
    assert keys == ["d1_zr", "d1_luc", "d1_zr_2", "d2", "d2_2", "D2_3", "d2"]


def test_a_shared_bed_must_be_told_apart(folder):
    folder.sheet("acquisitions.tsv", HEAD + "007 d1 pet scans/007d1 - zr seg/007.nii -\nNA d1 pet scans/007d1 - zr seg/007.nii -\n")
    errors = folder.errors()
    assert [e.code for e in errors] == ["shared_scan", "shared_scan"]
    assert says(errors[1], "acquisitions.tsv, line 3, column path", "007, NA", "beds or rois")


@pytest.mark.parametrize("way", ["beds", "rois", "maps"])
def test_three_ways_to_tell_a_shared_bed_apart(folder, way):
    second = "seg/NA.nii" if way == "maps" else "seg/007.nii"
    folder.sheet("acquisitions.tsv", f"{HEAD}007 d1 pet scans/007d1 - zr seg/007.nii -\nNA d1 pet scans/007d1 - zr {second} -\n")
    if way != "maps":
        folder.change("config.yaml", "labels: labels.csv", f"labels: labels.csv, {way}: {way}.tsv")
    places = "d1 pet scans/007d1 left 007 image\nd1 pet ./scans/007d1 right NA image\n"
    folder.sheet("beds.tsv", f"session modality path position subject view\n{places}")
    folder.sheet("rois.tsv", "session path roi subject organ\nd1 scans/007d1 1 007 liver\nd1 ./scans/007d1 2 NA liver\n")
    assert len(folder.load().acquisitions) == 2


def test_rows_of_beds_must_belong_to_a_scan(folder):
    folder.change("config.yaml", "labels: labels.csv", "labels: labels.csv, beds: b.tsv")
    folder.sheet("b.tsv", "session modality path position subject\nd1 pet scans/NAd2 left NA\n")
    assert says(folder.only("unknown_acquisition"), "b.tsv, line 2, column path", "did you mean 'scans/NAd1'?")


def test_one_animal_in_two_places_of_a_bed(folder):
    folder.change("config.yaml", "labels: labels.csv", "labels: labels.csv, beds: b.tsv")
    folder.sheet("b.tsv", "session modality path position subject\nd1 pet scans/NAd1 left NA\nd1 pet scans/NAd1 right NA\n")
    assert says(folder.with_code("duplicate_row")[0], "b.tsv, line 3", "session, modality, path, subject as in line 2")


def test_a_scan_without_organs(folder):
    folder.change("acquisitions.tsv", "zr\tseg/NA.nii", "zr\t")
    assert says(folder.only("organs_missing"), "acquisitions.tsv, line 4, column organs", "rois")


# --- paths -----------------------------------------------------------------------------------------------------------


def test_a_missing_scan_is_named_with_both_lists(folder):
    (folder.root / "scans/NAd1").rename(folder.root / "scans/NA_d1")
    (folder.root / "scans/.DS_Store").write_text("")
    missing, differs = folder.errors()
    assert says(missing, "missing_path", "acquisitions.tsv, line 4, column path", "'scans/NAd1'", "did you mean 'NA_d1'?")
    assert says(
        differs,
        "folder_differs",
        "only in the sheet: NAd1",
        "only in the folder: NA_d1",
        "007d0, 007d1, 1E5d1, NA_d1, ct",
        "5 as in the sheet",
    )
    assert ".DS_Store" not in str(differs)


def test_twenty_in_the_sheet_nineteen_in_the_folder(folder):
    rows = [f"007 s{n} pet raw/s{n} - - seg/007.nii -" for n in range(20)]
    folder.sheet("acquisitions.tsv", HEAD + "\n".join(rows))
    for n in range(19):
        folder.write(f"raw/s{n}/x.dcm", "")
    differs = folder.with_code("folder_differs")[0]
    assert says(differs, "19 in the folder", "20 as in the sheet", "only in the sheet: s19;", "only in the folder: none")
    assert [e.where for e in folder.with_code("missing_path")] == ["acquisitions.tsv, line 21, column path"]


def test_more_in_the_folder_than_in_the_sheet_is_fine(folder):
    folder.write("scans/notes.txt", "")
    assert folder.errors() == []


def test_missing_organ_map(folder):
    (folder.root / "seg/NA.nii").unlink()
    assert says(folder.only("missing_path"), "acquisitions.tsv, line 4, column organs", "'seg/NA.nii'", "007.nii")


@pytest.mark.parametrize("path", ["nowhere/at/all", "x" * 5000, "config.yaml/inside", "/no/such/root/folder"])
def test_odd_missing_paths(folder, path):
    folder.change("acquisitions.tsv", "scans/NAd1", path)
    assert says(folder.with_code("missing_path")[0], "acquisitions.tsv, line 4, column path")


def test_paths_need_not_be_there_where_nobody_asks(folder):
    folder.change("acquisitions.tsv", "scans/NAd1", "elsewhere")
    assert len(folder.load(check_paths=False).acquisitions) == 5


def test_absolute_paths_and_paths_outside(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    folder.change("acquisitions.tsv", "scans/NAd1", str(outside))
    assert folder.load().acquisitions[2].path == outside
