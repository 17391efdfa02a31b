"""Names of organs: from the table beside a NIfTI, or from a DICOM file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tracker.errors import Finding, InputError
from tracker.nifti.objects import beside

NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_+-]*")  # no leading + or -: a spreadsheet would take the name for a formula
MAX_INDEX = 65535  # labels are stored as uint16
_BACKGROUND = ("background", "none")


def clean_name(text: str) -> str:
    """The text in the alphabet of organ names; empty where nothing is left.

    >>> clean_name("Left Kidney (cortex)")
    'Left_Kidney_cortex'
    """
    return re.sub(r"_+", "_", re.sub(r"[^0-9A-Za-z_+-]", "_", text.strip())).strip("_").lstrip("+-")


def check_unique(names: Mapping[int, str], where: str) -> None:
    """Raises `InputError` where two organs have one name; case does not tell organs apart."""
    seen: dict[str, int] = {}
    for index, name in names.items():
        other = seen.setdefault(name.lower(), index)
        if other != index:
            found = f"{other} {names[other]}, {index} {name}"
            do = "give each organ a name of its own, or one index to parts that belong together"
            raise InputError("duplicate_organ_name", "two organs have the same name", found=found, where=where, do=do)


def names_from_dicom(originals: Mapping[int, str], where: str) -> tuple[dict[int, str], tuple[Finding, ...]]:
    """Names in our alphabet for the names of a DICOM file; a finding lists those that were changed."""
    names = {index: clean_name(text) for index, text in originals.items()}
    for index, name in names.items():
        if not name:
            raise InputError("organ_name", f"organ {index} has no usable name", found=repr(originals[index]), where=where, do="name it")
    check_unique(names, where)
    changed = [f"{originals[i]!r} is {names[i]}" for i in names if originals[i] != names[i]]
    return names, (Finding("organ_renamed", "ok", "; ".join(changed)),) if changed else ()


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and cells, without blank lines; a tab in the header makes it TSV, else it is CSV."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("organ_names_table", "the table is not UTF-8", where=path.name, do="save it as UTF-8") from error
    tab = "\t" in text.split("\n", 1)[0]
    lines = enumerate(csv.reader(text.splitlines(), delimiter="\t" if tab else ","), start=1)
    return [(n, [cell.strip() for cell in cells]) for n, cells in lines if any(cell.strip() for cell in cells)]


def _row(cells: list[str], columns: list[str], where: str) -> tuple[int, str]:
    """Index and name of one line."""
    if len(cells) != len(columns):
        raise InputError("organ_names_table", "a line must have two cells", found=cells, expected=columns, where=where)
    index_text, name = cells[columns.index("index")], cells[columns.index("name")]
    if not re.fullmatch(r"[0-9]+", index_text) or int(index_text) > MAX_INDEX:
        expected = f"a whole number from 1 to {MAX_INDEX}"
        raise InputError("organ_names_table", "index is no label", found=repr(index_text), expected=expected, where=where)
    if int(index_text) == 0 and name.lower() not in _BACKGROUND:
        do = "give the organ an index of 1 or more in map and table"
        raise InputError("organ_names_table", "label 0 means no organ", found=name, expected="background", where=where, do=do)
    if not NAME.fullmatch(name):
        do = f"write {clean_name(name) or 'a name'}"
        raise InputError("organ_name", "the name has other characters", found=repr(name), expected=NAME.pattern, where=where, do=do)
    return int(index_text), name


def read_names(image: Path) -> dict[int, str]:
    """index → name from the TSV or CSV beside a label map. Raises `InputError`, which names the expected file, the line or the cell."""
    tables = [t for t in (beside(image, ".tsv"), beside(image, ".csv")) if t.is_file()]
    if len(tables) != 1:
        code, found = ("organ_names_ambiguous", "both") if tables else ("organ_names_missing", "none")
        do = "one table with the columns index and name, beside the map"
        expected = f"{beside(image, '.tsv').name} or {beside(image, '.csv').name}"
        raise InputError(code, "a label map needs one table of its names", found=found, expected=expected, where=image.name, do=do)
    table = tables[0]
    rows = _rows(table)
    columns = rows[0][1] if rows else []
    if sorted(columns) != ["index", "name"]:
        do = "name the two columns index and name, with a tab or a comma between"
        raise InputError("organ_names_table", "the columns are others", found=columns, expected="index, name", where=table.name, do=do)
    names: dict[int, str] = {}
    for line, cells in rows[1:]:
        index, name = _row(cells, columns, f"{table.name}, line {line}")
        if index in names:
            raise InputError("organ_names_table", "an index appears twice", found=index, where=f"{table.name}, line {line}")
        names[index] = name
    names.pop(0, None)
    check_unique(names, table.name)
    return names


def check_named(labels: Iterable[int], names: Mapping[int, str], where: str) -> None:
    """Raises `InputError` ``unnamed_label`` where the map holds a label that the table does not name."""
    unnamed = sorted(set(labels) - {0} - set(names))
    if unnamed:
        near = [(n, min((abs(k - n), k) for k in names)[1]) for n in unnamed[:5]] if names else []
        hint = "; ".join(f"nearest to {n} is {k} {names[k]}" for n, k in near)
        what, do = "the map holds labels without a name", "add them to the table" + (f" ({hint})" if hint else "")
        raise InputError("unnamed_label", what, found=unnamed, expected=f"one of {sorted(names)}", where=where, do=do)
