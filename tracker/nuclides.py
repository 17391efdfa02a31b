"""Half-lives and positron fractions: one versioned table, and every spelling of a nuclide that sheets and headers use."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import InputError

_FILE = Path(__file__).with_name("nuclides.tsv")


@dataclass(frozen=True, slots=True)
class Nuclide:
    """A radionuclide: ``half_life_s`` [s], ``positron_fraction`` of decays that emit a positron, ``source`` of both."""

    name: str
    half_life_s: float
    positron_fraction: float
    source: str


def _key(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


def _spellings(name: str, element: str, codes: str) -> set[str]:
    # Listed rather than parsed: "52mn" read by a pattern could be 52-Mn or 52m-N, a list cannot confuse them.
    mass, symbol = re.match(r"(\d+m?)([A-Z][a-z]?)$", name).groups()  # type: ignore[union-attr]
    forms = {mass + symbol, symbol + mass, mass + element, element + mass, element + symbol + mass}
    return {_key(form) for form in forms} | {_key(code) for code in codes.split()}


def _load() -> tuple[str, dict[str, Nuclide]]:
    with _FILE.open(encoding="utf-8", newline="") as file:
        version = file.readline().removeprefix("# version ").split(":")[0]
        known: dict[str, Nuclide] = {}
        for row in csv.DictReader(file, delimiter="\t"):
            one = Nuclide(row["nuclide"], float(row["half_life_s"]), float(row["positron_fraction"]), row["source"])
            known |= dict.fromkeys(_spellings(one.name, row["element"], row["codes"]), one)
    return version, known


TABLE_VERSION, _KNOWN = _load()


def known_nuclides() -> tuple[Nuclide, ...]:
    """Every nuclide of the table, in the table's order."""
    return tuple(dict.fromkeys(_KNOWN.values()))


def nuclide(name: str) -> Nuclide:
    """The nuclide that a sheet or a header calls ``name``: 89Zr, Zr-89, ^89^Zirconium, or its DICOM code value.

    Half-lives [s] and positron fractions are those of ICRP Publication 107 (Ann. ICRP 38 (3), 2008). DDEP's differ by up to
    0.4 % (123I 13.223 h here 13.27 h): over four half-lives that is 1 %. The table is a convention shared by dose and image,
    not a claim about the best value; what a scanner's own software used is undone with the scanner's own number.
    Codes: DICOM PS3.16 CID 18 and CID 4020 (SNOMED CT, and the older SNOMED-RT values).
    Raises `InputError` ``unknown_nuclide`` with the nearest names; there is no default half-life.

    >>> nuclide("Zr-89").half_life_s, nuclide("^99m^Technetium").name, nuclide("C-111A1").name
    (282276.0, '99mTc', '18F')
    """
    found = _KNOWN.get(_key(name))
    if found is None:
        raise InputError(
            "unknown_nuclide",
            "the table has no such nuclide",
            found=repr(name),
            expected=", ".join(_nearest(name)),
            do="name one as in 89Zr; there is no default half-life",
        )
    return found


def _nearest(name: str) -> list[str]:
    from difflib import get_close_matches

    near = [_KNOWN[k].name for k in get_close_matches(_key(name), _KNOWN, n=5, cutoff=0.5)]
    return list(dict.fromkeys(near)) or [n.name for n in known_nuclides()]
