"""What a sheet may look like, and what the reader says about one that cannot be read safely (bad-inputs 65, 86-88)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from study_folder import says

from tracker.errors import InputError
from tracker.study.cell import parse_cell
from tracker.study.columns import SHEETS, Column
from tracker.study.sheets import read_sheet

# --- tolerated -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bend",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\t", " \t ").replace("\n", "  \n"),
        lambda text: "\n\n" + text.replace("\n", "\n\n") + "\t\t\t\t\n   \n",
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\t", ","),
        lambda text: "\n".join("\t".join(f'"{c}"' for c in line.split("\t")) for line in text.splitlines()),
    ],
    ids=["bom", "crlf", "cr", "spaces", "blank lines", "no last newline", "commas in a .tsv", "all quoted"],
)
def test_harmless_differences_change_nothing(folder, bend):
    expected = folder.load()
    text = (folder.root / "subjects.tsv").read_text(encoding="utf-8")
    folder.write("subjects.tsv", bend(text))
    assert folder.load() == expected


def test_lines_are_counted_as_an_editor_counts_them(folder):
    folder.write(
        "subjects.tsv", '\nsubject\tspecies\tbody_weight_g\tnotes\n007\tmouse\t25\t"two\nlines"\n\nNA\tmouse\tx\t\n1E5\trat\t310\t\n'
    )
    assert folder.only("bad_number").where == "subjects.tsv, line 6, column body_weight_g"


def test_columns_in_any_order(folder):
    folder.sheet("subjects.tsv", "body_weight_g subject species\n25 007 mouse\n22.5 NA mouse\n310 1E5 rat\n")
    assert [(s.subject, s.body_weight_g) for s in folder.load().subjects] == [("007", 25.0), ("NA", 22.5), ("1E5", 310.0)]


# --- ids -------------------------------------------------------------------------------------------------------------

ids = st.one_of(st.sampled_from(["007", "NA", "1E5", "nan", "null", "0x10", "TRUE", "1e999", "+1", "00"]),
                st.text("0123456789abcXYZNAEe+", min_size=1, max_size=12))  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(names=st.lists(ids, min_size=1, max_size=5, unique=True))
def test_ids_stay_text(tmp_path, names):
    path = tmp_path / "subjects.csv"
    path.write_text("subject,species,body_weight_g\n" + "".join(f"{n},mouse,25\n" for n in names), encoding="utf-8")
    errors: list[InputError] = []
    table = read_sheet(path, "subjects.csv", SHEETS["subjects"], errors)
    assert errors == [] and [r.values["subject"] for r in table.records] == names


@pytest.mark.parametrize("name", ["m 1", "m-1", "m_1", "müller", "1.5", "../m1", "=1+1", "m1;m2", "٣"])
def test_other_characters_are_no_id(folder, name):
    folder.change("subjects.tsv", "NA\tmouse", f"{name}\tmouse")
    error = folder.with_code("bad_id")[0]
    assert says(error, "subjects.tsv, line 3, column subject", repr(name), "[0-9A-Za-z+]+")


@pytest.mark.parametrize("name", ["1.00E+05", "3-Mar", "07.0"])
def test_ids_that_a_spreadsheet_changed(folder, name):
    folder.change("subjects.tsv", "1E5\trat", f"{name}\trat")
    assert says(folder.with_code("bad_id")[0], "spreadsheet", "line 4", "format the column as text")


def test_an_id_that_became_a_number_is_unknown_elsewhere(folder):
    folder.change("subjects.tsv", "007\t", "7\t")
    errors = folder.with_code("unknown_subject")
    assert [e.where for e in errors] == [
        "doses.tsv, line 2, column subject", "acquisitions.tsv, line 2, column subject", "acquisitions.tsv, line 3, column subject",
    ]  # fmt: skip
    assert says(errors[0], "'007'", "7, NA, 1E5")


# --- headers ---------------------------------------------------------------------------------------------------------


def test_misspelt_column(folder):
    folder.change("subjects.tsv", "strain", "strian")
    assert says(
        folder.only("unknown_column"), "subjects.tsv, line 1, column strian", "did you mean 'strain'?", "found 'strian'", "body_weight_g"
    )


def test_misspelt_required_column_is_unknown_and_missing(folder):
    folder.change("subjects.tsv", "body_weight_g", "body_weight_kg")
    errors = folder.errors()
    assert [e.code for e in errors] == ["unknown_column", "missing_column"]
    assert says(errors[0], "did you mean 'body_weight_g'?") and says(
        errors[1], "'body_weight_g'", "weight in grams", "subjects.tsv, line 1"
    )


def test_case_matters_and_is_explained(folder):
    folder.change("subjects.tsv", "subject\t", "Subject\t")
    assert says(folder.with_code("unknown_column")[0], "did you mean 'subject'?")


def test_blank_header(folder):
    folder.change("subjects.tsv", "strain", "")
    assert says(folder.only("blank_header"), "subjects.tsv, line 1, column 4", "has no name")


def test_duplicate_header(folder):
    folder.change("subjects.tsv", "strain", "species")
    assert says(folder.only("duplicate_column"), "subjects.tsv, line 1, column species", "twice")


# --- files -----------------------------------------------------------------------------------------------------------


def test_semicolons(folder):
    text = (folder.root / "subjects.tsv").read_text().replace("\t", ";").replace("22.5", "22,5")
    folder.write("subjects.tsv", text)
    assert says(folder.only("semicolons"), "subjects.tsv", "subject;species", "expected tabs or commas", "CSV UTF-8")


def test_decimal_comma_in_a_tsv(folder):
    folder.change("subjects.tsv", "22.5", "22,5")
    assert says(folder.only("bad_number"), "subjects.tsv, line 3, column body_weight_g", "'22,5'", "write a point")


def test_decimal_comma_in_a_csv(folder):
    folder.change("labels.csv", "yes,30,", "yes,30,5,")
    error = folder.with_code("ragged_row")[0]
    assert says(error, "labels.csv, line 2", "found 10", "expected 9", "decimal comma")


def test_quoted_decimal_comma_in_a_csv(folder):
    folder.change("labels.csv", "yes,30,", 'yes,"30,5",')
    assert says(folder.with_code("bad_number")[0], "labels.csv, line 2, column doubling_time_h", "'30,5'", "write a point")


@pytest.mark.parametrize("cells", ["NA\tmouse", "NA\tmouse\t22.5\tB6\ttreated\textra"])
def test_ragged_rows(folder, cells):
    folder.change("subjects.tsv", "NA\tmouse\t22.5\tC57BL/6\ttreated", cells)
    assert says(folder.with_code("ragged_row")[0], "subjects.tsv, line 3", f"found {len(cells.split(chr(9)))}", "expected 5")


def test_invalid_utf8_names_the_line(folder):
    raw = b"\xef\xbb\xbf" + (folder.root / "subjects.tsv").read_bytes().replace(b"Lewis", b"Lew\xefs")
    folder.write("subjects.tsv", raw)
    assert says(folder.with_code("not_utf8")[0], "subjects.tsv, line 4", "byte 0xef", "UTF-8")


@pytest.mark.parametrize(
    ("raw", "what"),
    [(b"PK\x03\x04rest", "workbook"), ("subject\tspecies".encode("utf-16"), "UTF-16"), (b"subject\0species", "zero bytes")],
)
def test_workbooks_and_other_encodings(folder, raw, what):
    folder.write("subjects.tsv", raw)
    assert says(folder.only("not_text"), what, "subjects.tsv", "CSV UTF-8")


def test_open_quotes(folder):
    folder.change("labels.csv", 'table 1"', "table 1")
    assert says(folder.with_code("bad_quotes")[0], "labels.csv, line 2", "quotation marks")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_empty_file(folder, text):
    folder.write("subjects.tsv", text)
    assert says(folder.with_code("empty_sheet")[0], "subjects.tsv", "header")


def test_header_alone(folder):
    folder.write("subjects.tsv", "subject\tspecies\tbody_weight_g\n")
    assert says(folder.with_code("empty_sheet")[0], "subjects.tsv", "one row for an animal or person")


def test_missing_sheet_names_its_neighbours(folder):
    folder.change("config.yaml", "subjects.tsv", "subject.tsv")
    assert says(folder.with_code("missing_file")[0], "subject.tsv", "did you mean 'subjects.tsv'?")


def test_a_folder_is_no_sheet(folder):
    folder.change("config.yaml", "subjects.tsv", "scans")
    assert folder.with_code("missing_file")[0].where == "scans"


# --- rows ------------------------------------------------------------------------------------------------------------


def test_merged_cells_leave_required_cells_empty(folder):
    folder.change("subjects.tsv", "NA\tmouse", "NA\t")
    assert says(folder.only("empty_cell"), "subjects.tsv, line 3, column species", "merged cells")


def test_duplicate_subject(folder):
    folder.change("subjects.tsv", "NA\tmouse", "007\tmouse")
    assert says(folder.with_code("duplicate_row")[0], "subjects.tsv, line 3, column subject", "as in line 2", "007")


def test_duplicate_dose_is_seen_through_the_spelling_of_its_time(folder):
    folder.write("doses.tsv", (folder.root / "doses.tsv").read_text() + "NA\t2026-03-04 10:10:00.0\tzr\t2\tiv\t1\tMBq\t\t\t\n")
    assert says(folder.only("duplicate_row"), "doses.tsv, line 5, column subject", "subject, label, dose_time as in line 3")


def test_repeat_doses_are_fine(folder):
    folder.write("doses.tsv", (folder.root / "doses.tsv").read_text() + "NA\t2026-03-05T10:10\tzr\t2\tiv\t1\tMBq\t\t\t\n")
    assert len(folder.load().doses) == 4


def test_replicates_are_no_duplicates(folder):
    folder.change("config.yaml", "labels: labels.csv", "labels: labels.csv, measurements: m.tsv")
    head = "subject time_h organ method value unit\n"
    folder.sheet("m.tsv", head + "NA 24 liver qPCR 10 copies\nNA 24 liver qPCR 11 copies\n")
    assert len(folder.load().measurements) == 2
    folder.sheet("m.tsv", head + "NA 24 liver qPCR 10 copies\nNA 24 liver qPCR 10.0 copies\n")
    assert says(folder.only("duplicate_row"), "m.tsv, line 3", "as in line 2")


# --- cells -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("2026-03-04", "time_of_day_missing", "give the time too"),
        ("10:10", "date_missing", "give the date too"),
        ("10:10:00 PM", "date_missing", "give the date too"),
        ("03/04/2026", "spreadsheet_date", "day and month can be confused"),
        ("04.03.2026 10:10", "spreadsheet_date", "year-month-day"),
        ("4-Mar-26", "spreadsheet_date", "year-month-day"),
        ("45000.5", "spreadsheet_date", "serial number"),
        ("2026-02-30T10:10", "bad_time", "does not exist"),
        ("2026-03-04T25:00", "bad_time", "does not exist"),
        ("1899-12-30T10:10", "bad_time", "give the date"),
        ("soon", "bad_time", "ISO 8601"),
        ("2026-03-04T10", "bad_time", "ISO 8601"),
    ],
)
def test_times_that_are_none(folder, text, code, part):
    folder.change("doses.tsv", "2026-03-04T10:10", text)
    assert says(folder.only(code), "doses.tsv, line 3, column dose_time", repr(text), part)


@pytest.mark.parametrize(
    ("text", "utc_hour"), [("2026-03-04T10:10:30.5+02:00", 8), ("2026-03-04T10:10Z", 10), ("2026-03-04 10:10-0130", 11)]
)
def test_times_with_an_offset(text, utc_hour):
    value = parse_cell(text, Column("t", "time", ""), "")
    assert value.utctimetuple().tm_hour == utc_hour


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "0x10", "1_000", "1 000", "1,000", "25 g", "٢٥", "1e", "--1", "25%", "<5"])
def test_words_that_python_or_a_spreadsheet_would_take_for_numbers(text):
    with pytest.raises(InputError, match="bad_number"):
        parse_cell(text, Column("n", "number", ""), "here")


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_finite_number_comes_back(value):
    assert parse_cell(repr(value), Column("n", "number", ""), "") == value


@pytest.mark.parametrize(
    ("sheet", "old", "new", "column", "limit"),
    [
        ("subjects.tsv", "\t22.5", "\t0", "body_weight_g", "above 0"),
        ("subjects.tsv", "\t22.5", "\t-22.5", "body_weight_g", "above 0"),
        ("doses.tsv", "\t1000000", "\t-1", "cells", "at least 0"),
        ("doses.tsv", "\t7.4", "\t0", "amount", "above 0"),
        ("labels.csv", "yes,30", "yes,0", "doubling_time_h", "above 0"),
        ("labels.csv", "yes,30", "yes,-30", "doubling_time_h", "above 0"),
    ],
)
def test_numbers_that_cannot_be(folder, sheet, old, new, column, limit):
    folder.change(sheet, old, new)
    error = folder.with_code("out_of_range")[0]
    assert says(error, sheet, f"column {column}", limit)


@pytest.mark.parametrize("text", ["-0.1", "100.1"])
def test_percent_goes_from_0_to_100(folder, text):
    folder.sheet("doses.tsv", f"subject dose_time label cells route viability_percent\n007 2026-03-04T10:00 zr 1 iv {text}\n")
    assert says(folder.with_code("out_of_range")[0], "column viability_percent", "at least 0 and at most 100 [%]")


@pytest.mark.parametrize(("text", "near"), [("Yes", "yes"), ("n", "no"), ("true", "")])
def test_yes_and_no_only(folder, text, near):
    folder.change("labels.csv", "Zr-89,yes", f"Zr-89,{text}")
    error = folder.with_code("bad_choice")[0]
    assert says(error, "labels.csv, line 2, column dilutes", "yes, no", f"did you mean {near!r}?" if near else "use one of the known names")


def test_misspelt_words_get_the_near_one(folder):
    folder.change("labels.csv", "radionuclide", "radionucleide")
    folder.change("acquisitions.tsv", "baseline", "base_line")
    choices = folder.with_code("bad_choice")
    assert says(choices[0], "labels.csv, line 2, column kind", "did you mean 'radionuclide'?")
    assert says(choices[1], "acquisitions.tsv, line 2, column role", "did you mean 'baseline'?")


def test_organ_names():
    column = Column("organ", "organ", "")
    assert parse_cell("left_lung-2+", column, "") == "left_lung-2+"
    with pytest.raises(InputError, match="bad_organ_name"):
        parse_cell("left lung", column, "")
