"""How far a digital study's curves are from the truth its phantoms wrote down."""

from __future__ import annotations

import csv
import math
import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from tracker.table import Row

# The normal distribution's 95 % interval.
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Comparison:
    """One organ over all scans: ``n`` values, the median and the largest difference from the truth [% of the truth], the share of
    values whose 95 % interval covers it (None where no value has an interval), the median truth and the median difference in
    the quantity's own unit, which say whether a large percentage matters. Missing values do not count."""

    organ: str
    n: int
    median_percent: float
    largest_percent: float
    covered_percent: float | None
    median_truth: float
    median_difference: float


def _key(subject: str, session: str, modality: str, organ: str, time_h: float) -> tuple[str, str, str, str, float]:
    # Times are written with 9 digits; a hundredth of a second tells frames apart.
    return subject, session, modality, organ, round(time_h, 5)


def read_truth(path: Path, quantity: str) -> dict[tuple[str, str, str, str, float], float]:
    """The true values of one quantity by (subject, session, modality, organ, time_h)."""
    with path.open(newline="", encoding="utf-8") as file:
        return {
            _key(r["subject"], r["session"], r["modality"], r["organ"], float(r["time_h"])): float(r[quantity])
            for r in csv.DictReader(file)
        }


def compare(rows: Iterable[Row], truths: Iterable[Path], quantity: str = "injected_percent") -> list[Comparison]:
    """Every organ's differences from the truth, in the order of the rows; organs whose truth is 0 everywhere are left out."""
    true = {key: value for path in truths for key, value in read_truth(path, quantity).items()}
    found: dict[str, list[tuple[Row, float]]] = {}
    for row in rows:
        if row.quantity == quantity and row.value is not None and row.time_h is not None:
            value = true.get(_key(row.subject, row.session, row.modality, row.organ, row.time_h))
            if value:
                found.setdefault(row.organ, []).append((row, value))
    return [_comparison(organ, pairs) for organ, pairs in found.items()]


def _comparison(organ: str, pairs: Sequence[tuple[Row, float]]) -> Comparison:
    percent = [100 * ((row.value or 0.0) / true - 1) for row, true in pairs]
    inside = [
        abs((row.value or 0.0) - true) <= _Z95 * math.hypot(row.sd_noise, row.sd_scale)
        for row, true in pairs
        if row.sd_noise is not None and row.sd_scale is not None
    ]
    covered = 100 * sum(inside) / len(inside) if inside else None
    differences = [(row.value or 0.0) - true for row, true in pairs]
    largest = max(percent, key=abs)
    truth = statistics.median(true for _, true in pairs)
    return Comparison(organ, len(pairs), statistics.median(percent), largest, covered, truth, statistics.median(differences))


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
    numbers = [{k: float(v) if v else None for k, v in line.items() if k not in ("organ", "n")} for line in lines]
    return [Comparison(organ=line["organ"], n=int(line["n"]), **n) for line, n in zip(lines, numbers, strict=True)]  # type: ignore[arg-type]
