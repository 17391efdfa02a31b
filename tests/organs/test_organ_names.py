"""The table beside a map, and names of DICOM files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.errors import InputError
from tracker.organs.names import names_from_dicom, read_names


def table(folder: Path, text: str, name: str = "m.tsv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / "m.nii.gz"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("index\tname\n1\tliver\n3\tCD8+\n", "m.tsv"),
        ("index,name\n1,liver\n3,CD8+\n", "m.csv"),
        ("\ufeffname , index\n\nliver,1 \n CD8+ ,3\n\n", "m.tsv"),
        ("index\tname\r\n0\tbackground\r\n1\tliver\r\n3\tCD8+\r\n", "m.tsv"),
    ],
)
def test_tables_that_say_the_same(tmp_path: Path, text: str, name: str) -> None:
    assert read_names(table(tmp_path, text, name)) == {1: "liver", 3: "CD8+"}


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("index\tname\n1\tliver\n1\tspleen\n", "organ_names_table", "line 3"),
        ("index\tname\n1\tLiver\n2\tliver\n", "duplicate_organ_name", "1 Liver, 2 liver"),
        ("Index\tname\n1\tliver\n", "organ_names_table", "index and name"),
        ("index\tname\tcolour\n1\tliver\tred\n", "organ_names_table", "colour"),
        ("index;name\n1;liver\n", "organ_names_table", "index;name"),
        ("index\tname\n1.0\tliver\n", "organ_names_table", "1.0"),
        ("index\tname\n-1\tliver\n", "organ_names_table", "-1"),
        ("index\tname\n0\tliver\n", "organ_names_table", "no organ"),
        ("index\tname\n1\n", "organ_names_table", "two cells"),
        ("index\tname\n1\tleft kidney\n", "organ_name", "write left_kidney"),
        ("index\tname\n1\t=cmd()\n", "organ_name", "write cmd"),
        ("index\tname\n1\t+1\n", "organ_name", "write 1"),
        ("", "organ_names_table", "index, name"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, code: str, says: str) -> None:
    with pytest.raises(InputError) as error:
        read_names(table(tmp_path, text))
    assert error.value.code == code and says in str(error.value)


def test_missing_and_double_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"organ_names_missing.*m\.tsv"):
        read_names(tmp_path / "m.nii.gz")
    table(tmp_path, "index\tname\n1\ta\n")
    with pytest.raises(InputError, match="organ_names_ambiguous"):
        read_names(table(tmp_path, "index,name\n1,b\n", "m.csv"))


def test_names_of_dicom_are_brought_to_the_alphabet() -> None:
    names, findings = names_from_dicom({1: "Kidney, left", 2: "<b>GTV</b>", 3: "liver"}, "rs")
    assert names == {1: "Kidney_left", 2: "b_GTV_b", 3: "liver"}
    assert len(findings) == 1 and "'Kidney, left' is Kidney_left" in findings[0].reason and "liver" not in findings[0].reason


@pytest.mark.parametrize("originals", [{1: "left kidney", 2: "Left_Kidney"}, {1: "**"}])
def test_dicom_names_that_cannot_be_told_apart(originals: dict[int, str]) -> None:
    with pytest.raises(InputError):
        names_from_dicom(originals, "rs")
