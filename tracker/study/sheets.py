"""A TSV or CSV file → records whose cells are typed as the sheet's columns say; every error is collected, none stops the reading."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tracker.errors import InputError
from tracker.study.cell import Value, parse_cell
from tracker.study.columns import Column, Sheet
from tracker.study.near import ask_near, listed

_SIGNATURES = (
    (b"PK\x03\x04", "an Excel or OpenDocument workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
_SAVE_AS = "save the sheet as CSV UTF-8 or as tab-separated text"


@dataclass(frozen=True, slots=True)
class Record:
    """One row as read: the typed ``values`` of its cells that are neither empty nor wrong; ``bad`` names the wrong ones."""

    shown: str
    line: int
    values: Mapping[str, Value]
    bad: frozenset[str] = frozenset()

    def at(self, column: str = "") -> str:
        """Where the row, or one of its cells, stands, for a message."""
        return f"{self.shown}, line {self.line}" + (f", column {column}" if column else "")


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet as read; ``complete`` is False where an error left rows or cells out."""

    shown: str
    records: tuple[Record, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class _Lines:
    """The cells of a file, stripped, with the line each row starts on; blank lines are gone."""

    header: tuple[str, ...]
    header_line: int
    rows: tuple[tuple[int, tuple[str, ...]], ...] = field(default=())


def read_sheet(path: Path, shown: str, sheet: Sheet, errors: list[InputError]) -> Table:
    """The records of one sheet. ``shown`` is how messages call the file; what is wrong is appended to ``errors``."""
    before = len(errors)
    try:
        lines = _split(_text(path, shown), shown)
        columns = _columns(lines, shown, sheet)
    except _Several as several:
        errors.extend(several.errors)
        return Table(shown)
    except InputError as error:
        errors.append(error)
        return Table(shown)
    records = tuple(r for line, cells in lines.rows if (r := _record(line, cells, columns, shown, errors)) is not None)
    if not lines.rows and sheet.required:
        errors.append(InputError("empty_sheet", "the sheet has a header and no rows", expected=f"one row for {sheet.row_is}", where=shown))
    errors.extend(_duplicates(records, sheet))
    return Table(shown, records, complete=len(errors) == before)


class _Several(Exception):
    """All that is wrong with one header."""

    def __init__(self, errors: list[InputError]) -> None:
        self.errors = errors
        super().__init__()


def _text(path: Path, shown: str) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        names = sorted(p.name for p in path.parent.iterdir() if p.is_file()) if path.parent.is_dir() else []
        do = ask_near(path.name, names) if names else "check the name in the config"
        raise InputError(
            "missing_file", f"the file cannot be read ({error.strerror})", expected=listed(names), where=shown, do=do
        ) from None
    for signature, what in _SIGNATURES:
        if raw.startswith(signature):
            raise InputError("not_text", "this is not a text sheet", found=what, expected="TSV or CSV, UTF-8", where=shown, do=_SAVE_AS)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The error's own bytes: without the BOM, they are what its offset counts from.
        before = error.object[: error.start]
        found, where = f"byte {error.object[error.start]:#04x}", f"{shown}, line {before.count(10) + 1}"
        raise InputError("not_utf8", "the text is not UTF-8", found=found, expected="UTF-8", where=where, do=_SAVE_AS) from None
    if "\0" in text:
        raise InputError("not_text", "the file holds zero bytes", expected="TSV or CSV, UTF-8", where=shown, do=_SAVE_AS)
    return text


def _split(text: str, shown: str) -> _Lines:
    rows: list[tuple[int, tuple[str, ...]]] = []
    # newline="" keeps line ends as they are: csv itself knows \n, \r\n and \r, and line breaks inside quotes.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, shown), strict=True)
    line = 1
    try:
        for cells in reader:
            stripped = tuple(c.strip() for c in cells)
            if any(stripped):
                rows.append((line, stripped))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            "bad_quotes", f"the row cannot be split into cells ({error})", where=f"{shown}, line {line}", do="check the quotation marks"
        ) from None
    if not rows:
        raise InputError("empty_sheet", "the file is empty", expected="a header line", where=shown)
    return _Lines(rows[0][1], rows[0][0], tuple(rows[1:]))


def _delimiter(text: str, shown: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    if "\t" in header:
        return "\t"
    if ";" in header:
        raise InputError(
            "semicolons", "the cells are separated by semicolons", found=repr(header), expected="tabs or commas", where=shown, do=_SAVE_AS
        )
    return ","


def _columns(lines: _Lines, shown: str, sheet: Sheet) -> tuple[Column, ...]:
    known = {c.name: c for c in sheet.columns}
    where = f"{shown}, line {lines.header_line}"
    wrong = []
    for number, name in enumerate(lines.header, 1):
        at = f"{where}, column {name or number}"
        if not name:
            wrong.append(InputError("blank_header", "a column has no name", found=f"column {number}", expected="a name", where=at))
        elif name not in known:
            free = [n for n in known if n not in lines.header]
            wrong.append(
                InputError(
                    "unknown_column", "no such column", found=repr(name), expected=listed(known), where=at, do=ask_near(name, free or known)
                )
            )
        elif name in lines.header[: number - 1]:
            wrong.append(InputError("duplicate_column", "a column is there twice", found=repr(name), expected="once", where=at))
    for column in sheet.columns:
        if column.required and column.name not in lines.header:
            do = f"add it: {column.meaning}"
            wrong.append(
                InputError(
                    "missing_column",
                    "a required column is missing",
                    expected=repr(column.name),
                    where=f"{where}, column {column.name}",
                    do=do,
                )
            )
    if wrong:
        raise _Several(wrong)
    return tuple(known[name] for name in lines.header)


def _record(line: int, cells: tuple[str, ...], columns: tuple[Column, ...], shown: str, errors: list[InputError]) -> Record | None:
    if len(cells) != len(columns):
        do = "a text with commas needs quotation marks; a decimal comma must be a point; empty cells at the end need their separators"
        errors.append(
            InputError(
                "ragged_row",
                "wrong number of cells",
                found=str(len(cells)),
                expected=str(len(columns)),
                where=f"{shown}, line {line}",
                do=do,
            )
        )
        return None
    values: dict[str, Value] = {}
    bad = set()
    for column, text in zip(columns, cells, strict=True):
        try:
            if text:
                values[column.name] = parse_cell(text, column, f"{shown}, line {line}, column {column.name}")
            elif column.required:
                raise _empty(column, f"{shown}, line {line}, column {column.name}")
        except InputError as error:
            errors.append(error)
            bad.add(column.name)
    return Record(shown, line, values, frozenset(bad))


def _empty(column: Column, where: str) -> InputError:
    return InputError(
        "empty_cell", "a required cell is empty", expected=column.meaning, where=where, do="fill it; merged cells hold their text once only"
    )


def _duplicates(records: tuple[Record, ...], sheet: Sheet) -> list[InputError]:
    errors = []
    for key in sheet.keys:
        first: dict[tuple[Value | None, ...], int] = {}
        for record in records:
            if record.bad.intersection(key):
                continue
            found = tuple(record.values.get(name) for name in key)
            if found in first:
                names = ", ".join(n for n in key if n in record.values)
                errors.append(
                    InputError(
                        "duplicate_row",
                        f"the same {names} as in line {first[found]}",
                        found=", ".join(str(v) for v in found if v is not None),
                        expected="a row of its own",
                        where=record.at(key[0]),
                        do="remove one of the two rows",
                    )
                )
            first.setdefault(found, record.line)
    return errors
