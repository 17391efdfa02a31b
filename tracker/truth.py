"""How far a digital study's curves are from the truth its phantoms wrote down."""

from __future__ import annotations

import csv
import math
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from tracker.table import Row

# The normal distribution's 95 % interval.
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Comparison:
    """One organ over all scans of a modality: how far its measured values are from the truth, and how often their interval holds it.

    ``n`` measured values with their median and largest difference [% of the truth], and the median truth and median difference in
    the quantity's own unit, which say whether a large percentage matters; None where there is none. ``n_censored`` values beyond
    a limit, which have no difference. ``covered_percent``: share of the 95 % intervals that hold the truth, None where no value
    has one; that of a value above a limit is all from the limit up, of one below it all up to the limit, each widened by the
    limit's own uncertainty where that is stated. Missing values do not count.
    """

    modality: str
    organ: str
    n: int
    n_censored: int
    median_percent: float | None
    largest_percent: float | None
    covered_percent: float | None
    median_truth: float | None
    median_difference: float | None


def _key(subject: str, session: str, modality: str, organ: str, time_h: float) -> tuple[str, str, str, str, float]:
    # Times are written with 9 digits; a hundredth of a second tells frames apart.
    return subject, session, modality, organ, round(time_h, 5)


def read_truth(path: Path, quantity: str) -> dict[tuple[str, str, str, str, float], float]:
    """The true values of one quantity by (subject, session, modality, organ, time_h)."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            _key(r["subject"], r["session"], r["modality"], r["organ"], float(r["time_h"])): float(r[quantity])
            for r in csv.DictReader(file)
            # What a label's phantom knows of the dose, a reporter's does not, and the other way round.
            if quantity in r
        }


def compare(rows: Iterable[Row], truths: Iterable[Path], quantity: str = "injected_percent") -> list[Comparison]:
    """Every modality's and organ's differences from the truth, in the order of the rows; where the truth is 0 it is left out."""
    true = {key: value for path in truths for key, value in read_truth(path, quantity).items()}
    found: dict[tuple[str, str], list[tuple[Row, float]]] = {}
    for row in rows:
        if row.quantity == quantity and row.time_h is not None and (row.cens or row.value is not None):
            value = true.get(_key(row.subject, row.session, row.modality, row.organ, row.time_h))
            if value:
                found.setdefault((row.modality, row.organ), []).append((row, value))
    return [_comparison(*place, pairs) for place, pairs in found.items()]


def _comparison(modality: str, organ: str, pairs: Sequence[tuple[Row, float]]) -> Comparison:
    measured = [(row.value, true) for row, true in pairs if not row.cens and row.value is not None]
    percent = [100 * (value / true - 1) for value, true in measured]
    held = [inside for inside in (_holds(row, true) for row, true in pairs) if inside is not None]
    return Comparison(
        modality,
        organ,
        n=len(measured),
        n_censored=len(pairs) - len(measured),
        median_percent=statistics.median(percent) if percent else None,
        largest_percent=max(percent, key=abs) if percent else None,
        covered_percent=100 * sum(held) / len(held) if held else None,
        median_truth=statistics.median(true for _, true in measured) if measured else None,
        median_difference=statistics.median(value - true for value, true in measured) if measured else None,
    )


def _holds(row: Row, true: float) -> bool | None:
    """Whether a value's 95 % interval holds the truth; None where it has no interval."""
    stated = row.sd_noise is not None and row.sd_scale is not None
    half = _Z95 * math.hypot(row.sd_noise or 0.0, row.sd_scale or 0.0) if stated else 0.0
    if row.cens == -1:
        return None if row.uloq is None else true >= row.uloq - half
    if row.cens == 1:
        return None if row.lloq is None else true <= row.lloq + half
    return abs((row.value or 0.0) - true) <= half if stated else None


COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(Comparison))


def write_comparison(path: Path, rows: Iterable[Comparison]) -> None:
    """Writes the comparison as CSV, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows(["" if v is None else f"{v:.9g}" if isinstance(v, float) else v for v in astuple(row)] for row in rows)
    os.replace(part, path)


def read_comparison(path: Path) -> list[Comparison]:
    """The rows that `write_comparison` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return [_read(line) for line in lines]


def _read(line: Mapping[str, str]) -> Comparison:
    numbers: dict[str, Any] = {k: float(v) if v else None for k, v in line.items() if k.endswith(("_percent", "_truth", "_difference"))}
    return Comparison(line["modality"], line["organ"], int(line["n"]), int(line["n_censored"]), **numbers)
