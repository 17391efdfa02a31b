"""The text files of a click folder as blocks of keys; what people typed into the user labels is dropped while it is read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import InputError

# A real one has some 50 kB; more than this is another file under that name.
_MOST_BYTES = 4_000_000
_LINES = re.compile(r"\r\n|\r|\n")
_TRAILING_COMMENT = re.compile(r"\s+#.*$")
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s,;][^\d,;]*)?")
_NUMBERS = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
# Blocks in which people type: nothing of them is kept but the time of the luciferin, and whether two clicks name the same animals.
_TYPED = re.compile(r"user|label|comment|operator", re.IGNORECASE)
_LUCIFERIN, _ANIMALS = "luc injection time", ("experiment", "animal number")


@dataclass(frozen=True, slots=True)
class Block:
    """One ``*** name: file`` block; ``entries`` (key, value) in their order, comments with the key ``#``."""

    name: str
    file: str
    entries: tuple[tuple[str, str], ...]
    source: Path


@dataclass(frozen=True, slots=True)
class ClickText:
    """The blocks of a click folder's text files, those of ``ClickInfo.txt`` first.

    ``luciferin`` is the text of the label `Luc Injection Time`, for `luciferin` alone; ``animals`` a number that two clicks of this
    process share where they name the same animals, 0 where they name none.
    """

    folder: Path
    blocks: tuple[Block, ...]
    luciferin: str = ""
    animals: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    """A number with the unit that stood beside it, lower case; empty where none did."""

    value: float
    unit: str


def find_file(folder: Path, name: str) -> Path | None:
    """The file of a folder with this name in any case; None where there is none."""
    wanted = name.lower()
    return next((p for p in sorted(folder.iterdir()) if p.name.lower() == wanted and p.is_file()), None) if folder.is_dir() else None


def is_click(folder: Path) -> bool:
    """Whether a folder is one click: it holds a ``ClickInfo.txt`` or an ``AnalyzedClickInfo.txt``."""
    return any(find_file(folder, name) is not None for name in ("ClickInfo.txt", "AnalyzedClickInfo.txt"))


def read_click_text(folder: Path) -> ClickText:
    """The blocks of a click folder: of ``ClickInfo.txt`` and, after them, of ``AnalyzedClickInfo.txt``, whose labels are the newer ones.

    Raises `InputError` where neither is there (``not_a_click``), or one cannot be read as text with blocks (``clickinfo_unreadable``).
    """
    paths = [p for name in ("ClickInfo.txt", "AnalyzedClickInfo.txt") if (p := find_file(folder, name)) is not None]
    if not paths:
        raise InputError("not_a_click", "the folder is no click folder", found="no ClickInfo.txt", expected="ClickInfo.txt", where=folder,
                         do="`celltracker scan` lists the click folders below a folder")  # fmt: skip
    blocks: list[Block] = []
    typed: dict[str, str] = {}
    for path in paths:
        for block in parse_blocks(decode(path), path):
            if not _TYPED.search(block.name):
                blocks.append(block)
            # The analysed file comes last, so that what was typed later wins; an empty label says nothing.
            typed |= {key.lower(): value for key, value in block.entries if value and _TYPED.search(block.name)}
    named = tuple(typed.get(key, "") for key in _ANIMALS)
    return ClickText(folder, tuple(blocks), typed.get(_LUCIFERIN, ""), hash(named) if any(named) else 0)


def decode(path: Path) -> str:
    """The text of a file: UTF-8 or UTF-16 where it says so or is valid, else Latin-1. Raises `InputError` (``clickinfo_unreadable``)."""
    if path.stat().st_size > _MOST_BYTES:
        raise _unreadable(path, f"{path.stat().st_size} bytes")
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw:
        raise _unreadable(path, "binary data")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _unreadable(path: Path, found: str) -> InputError:
    return InputError(
        "clickinfo_unreadable",
        "the file cannot be read as blocks of keys",
        found=found,
        expected="lines `*** block name:` and `Key:<TAB>value`",
        where=path,
        do="copy the folder from the camera again",
    )


def parse_blocks(text: str, source: Path) -> tuple[Block, ...]:
    """The blocks of a text; what stands before the first block is in none. Raises `InputError` where there is no block.

    >>> parse_blocks("*** luminescent image:\\tluminescent.TIF\\rf Number:\\t1\\r", Path("x"))[0].entries
    (('f Number', '1'),)
    """
    blocks: list[tuple[str, str, list[tuple[str, str]]]] = []
    for line in (one.strip() for one in _LINES.split(text)):
        if line.startswith("***"):
            name, _, file = line.strip("* \t").partition(":")
            blocks.append((name.strip(), _TRAILING_COMMENT.sub("", file).strip(), []))
        elif line.startswith("#"):
            if blocks and line.strip("# \t"):
                blocks[-1][2].append(("#", line.strip("# \t")))
        elif blocks and ":" in line:
            blocks[-1][2].append(_entry(line))
    if not blocks:
        raise _unreadable(source, "no block" if text.strip() else "an empty file")
    return tuple(Block(name, file, tuple(entries), source) for name, file, entries in blocks)


def _entry(line: str) -> tuple[str, str]:
    """Key and value: parted at a colon before a tab, for keys that hold a colon themselves, else at the first."""
    tabbed = re.search(r":[ ]*\t", line)
    key, value = (line[: tabbed.start()], line[tabbed.end() :]) if tabbed else line.split(":", 1)
    return " ".join(key.split()), _TRAILING_COMMENT.sub("", value).strip()


def block_of(text: ClickText, name: str, file: str = "") -> Block | None:
    """The first block whose name begins so (in any case) and whose file is this one, where one is asked for."""
    for block in text.blocks:
        if block.name.lower().startswith(name.lower()) and (not file or Path(block.file).name.lower() == file.lower()):
            return block
    return None


def value_of(block: Block | None, *keys: str) -> str:
    """The value of the first of these keys that has one; empty where none has.

    Raises `InputError` (``key_twice``) where a key stands twice in its block with two values.
    """
    for key in keys if block is not None else ():
        values = {v for k, v in block.entries if k.lower() == key.lower() and v} if block is not None else set()
        if len(values) > 1 and block is not None:
            raise InputError("key_twice", f"`{key}` has two values in one block", found=", ".join(sorted(values)), expected="one",
                             where=f"{block.source}, block {block.name}", do="copy the folder from the camera again")  # fmt: skip
        if values:
            return values.pop()
    return ""


def number_of(block: Block | None, *keys: str) -> Number | None:
    """The number of the first of these keys that has a value; None where none has. Raises `InputError` (``bad_number``).

    >>> number_of(Block("b", "", (("Field of View", "22.4 cm"),), Path("x")), "Field of View")
    Number(value=22.4, unit='cm')
    """
    text = value_of(block, *keys)
    if not text or block is None:
        return None
    found = _NUMBER.fullmatch(text)
    if found is None or not math.isfinite(float(found[1])):
        raise InputError("bad_number", f"`{keys[0]}` is not a number", found=repr(text[:40]), expected="digits with a decimal point",
                         where=f"{block.source}, block {block.name}", do="correct the value in a copy of the folder")  # fmt: skip
    return Number(float(found[1]), (found[2] or "").strip().lower())


def numbers_in(text: str) -> tuple[float, ...]:
    """All numbers that stand by themselves in a text; the digits of names are none.

    >>> numbers_in("k0,k1: 1.02, -3e-4")
    (1.02, -0.0003)
    """
    return tuple(float(one) for one in _NUMBERS.findall(text))
