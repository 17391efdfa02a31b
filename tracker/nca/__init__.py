"""Non-compartmental analysis: what a curve says by itself, with no model of the body.

One row a subject, modality, label, organ and quantity, and one a group where each animal was measured once (serial sacrifice,
naive pooled: ``subject`` empty). Rules and where they come from: `nca`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.table import Row

if TYPE_CHECKING:
    from tracker.nca.points import Curve

DEFAULT_QUANTITIES = ("injected_percent_per_g", "injected_percent", "cells_equivalent")
DRAWS = 200

FLAGS: dict[str, str] = {
    "too_few_points": "fewer than two measured points: no result",
    "duplicate_time": "two values at one time: no result",
    "no_terminal_phase": "no fall fits the last points (adjusted R² < 0.8, or fewer than 3 positive points after the maximum)",
    "extrapolated": "more than 20 % of auc_inf lies after the last point",
    "c0_assumed": "more than 20 % of auc_last lies before the first point, where its value was held",
    "censored": "points below the limit were taken as 0 (leading), interpolated (in between) or dropped (at the end)",
    "above_uloq": "a point is above the upper limit: cmax and areas are lower bounds",
    "residence_extrapolated": "more than 20 % of residence_time_h lies after the last point",
    "sd_missing": "a point has no sd_noise: no standard deviations",
    "sd_without_scale": "a point has no sd_scale: standard deviations hold the noise alone",
    "naive_pooled": "points of several animals of a group, each measured once",
}


@dataclass(frozen=True, slots=True)
class NcaRow:
    """One curve's results: areas in ``unit``·h, times in h; None where there is no answer, ``flag`` says why.

    ``n_points`` counts measured points. ``*_sd`` is the standard deviation over the Monte-Carlo draws.
    """

    study: str
    subject: str
    group: str
    modality: str
    label: str
    organ: str
    quantity: str
    unit: str
    n_points: int
    cmax: float | None = None
    tmax_h: float | None = None
    auc_last: float | None = None
    auc_inf: float | None = None
    extrapolated_percent: float | None = None
    lambda_z_per_h: float | None = None
    lambda_z_points: int | None = None
    lambda_z_adj_r2: float | None = None
    half_life_h: float | None = None
    mrt_h: float | None = None
    residence_time_h: float | None = None
    cmax_sd: float | None = None
    tmax_h_sd: float | None = None
    auc_last_sd: float | None = None
    auc_inf_sd: float | None = None
    extrapolated_percent_sd: float | None = None
    lambda_z_per_h_sd: float | None = None
    half_life_h_sd: float | None = None
    mrt_h_sd: float | None = None
    residence_time_h_sd: float | None = None
    flag: tuple[str, ...] = ()


COLUMNS: tuple[str, ...] = tuple(f.name for f in fields(NcaRow))


def nca(
    rows: Iterable[Row], quantities: Sequence[str] = (), half_life_s: Mapping[str, float] | None = None, draws: int = DRAWS
) -> tuple[NcaRow, ...]:
    """The results of each curve in ``rows``, in the order of its key.

    - Areas from t = 0: linear up, log down; the value before the first point is the first point's (C0, not extrapolated).
    - λz: see `tracker.nca.integrate.terminal_slope`. auc_inf = auc_last + c_last/λz; mrt = aumc_inf/auc_inf.
    - Below the limit: 0 before the first measured point, interpolated on the log line in between, dropped after the last.
    - residence_time_h, of ``injected_percent`` only: ∫ fraction(t)·2^(-t/T½) dt, the time-integrated activity coefficient [h]. Its tail
      falls by the slower of the physical curve's own λz and physical decay: where the label washes out that is decay alone,
      an upper bound, since nobody has seen that the washout goes on.
    - Standard deviations: ``draws`` random curves, ``sd_noise`` drawn per point and ``sd_scale`` once a curve; λz is chosen
      anew in each. Empty where fewer than 90 % of the draws have a result.

    ``quantities`` default to `DEFAULT_QUANTITIES`. ``half_life_s`` [s] by label; a label without one has no residence time; give
    it for decay-corrected rows only. A curve with two values at one time raises `InputError` ``duplicate_time``.
    It does not mean: with repeat doses the areas are not those of one dose. References: PKNCA, doi:10.1007/s10928-015-9432-2;
    MIRD pamphlet 21, doi:10.2967/jnumed.108.056036 (time-integrated activity coefficient).

    >>> from tracker.table import Row
    >>> points = ((0.0, 8.0), (1.0, 4.0), (2.0, 2.0), (3.0, 1.0))
    >>> rows = [Row("s", "m1", "", "", "pet", "zr", "lung", t, t, t, "injected_percent", v, "%") for t, v in points]
    >>> [(round(r.half_life_h, 6), r.lambda_z_points) for r in nca(rows)]
    [(1.0, 3)]
    """
    from tracker.nca.points import check_times, curves

    wanted = set(quantities or DEFAULT_QUANTITIES)
    found = curves(row for row in rows if row.quantity in wanted)
    for curve in found:
        if curve.key.subject:
            check_times(curve)
    return tuple(analyse(curve, half_life_s or {}, draws) for curve in found)


def analyse(curve: Curve, half_life_s: Mapping[str, float], draws: int = DRAWS) -> NcaRow:
    """The results of one curve, as `nca` gives them, without the check for two values at one time."""
    from tracker.nca.points import measured_span
    from tracker.nca.results import results

    points = measured_span(curve.points)
    empty = NcaRow(*curve.key, n_points=sum(not p.below for p in points))
    flags = [] if curve.key.subject else ["naive_pooled"]
    if empty.n_points < 2:
        return replace(empty, flag=(*flags, "too_few_points"))
    half_life = half_life_s.get(curve.key.label) if curve.key.quantity == "injected_percent" else None
    return results(empty, curve, flags, half_life, draws)


def write_nca(path: Path, rows: Iterable[NcaRow]) -> None:
    """Writes rows as CSV (UTF-8, comma, LF, 9 significant digits, empty = missing), whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in rows)
    os.replace(part, path)


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return ";".join(value)
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)
