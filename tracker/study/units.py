"""Amounts of label at the door: the units a sheet may use, and the one each is stored in (Bq, ug, photons/s)."""

from __future__ import annotations

# unit -> (base unit, factor). 1 uCi is 37 000 Bq exactly (BIPM, SI Brochure, 9th edition, table of non-SI units).
_BASE: dict[str, tuple[str, float]] = {
    "Bq": ("Bq", 1.0),
    "kBq": ("Bq", 1e3),
    "MBq": ("Bq", 1e6),
    "uCi": ("Bq", 37_000.0),
    "mCi": ("Bq", 37_000_000.0),
    "ug": ("ug", 1.0),
    "pg": ("ug", 1e-6),
    "photons/s": ("photons/s", 1.0),
}

DOSE_UNITS = ("Bq", "kBq", "MBq", "uCi", "mCi", "ug")
PER_CELL_UNITS = ("Bq", "kBq", "MBq", "uCi", "mCi", "ug", "pg", "photons/s")

# The base unit that goes with a kind of label; a kind that is not here may have any.
UNIT_OF_KIND = {"radionuclide": "Bq", "iron": "ug", "reporter": "photons/s"}


def base_unit(unit: str) -> str:
    """The unit an amount in ``unit`` is stored in.

    >>> base_unit("uCi")
    'Bq'
    """
    return _BASE[unit][0]


def to_base(value: float, unit: str) -> float:
    """``value`` [unit] in the base unit of ``unit`` [Bq, ug or photons/s].

    >>> to_base(200, "uCi")
    7400000.0
    """
    return value * _BASE[unit][1]
