"""Light per cell from wells of known numbers: a line through the blank, its error, where it holds, and the fewest cells told from none."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Mean blank + 3 and + 10 standard deviations.
_LOD_SDS, _LOQ_SDS = 3.0, 10.0
# A level is off the line where it is so far off, and by more than its scatter allows at this probability.
_OFF, _ALPHA = 0.20, 0.01
# Levels that must stay for a line to be one.
_LEVELS = 3
# The scatter of wells is sought between 0 and 10 by halving, to 1e-8; weights settle in a few rounds.
_HALVINGS, _ROUNDS = 30, 8


@dataclass(frozen=True, slots=True)
class Wells:
    """Wells with cells, by their number: ``cells`` and ``flux_ph_per_s`` (n,); ``blanks_ph_per_s`` (m,) of wells without."""

    cells: np.ndarray
    flux_ph_per_s: np.ndarray
    blanks_ph_per_s: np.ndarray


@dataclass(frozen=True, slots=True)
class PlateLine:
    """flux = ``blank`` + ``slope`` · cells, with the slope's standard error and ``freedom``.

    ``well_cv``: how much wells of one number scatter, of their light; ``blank_sd``, ``lod_cells``, ``loq_cells`` from the blanks.
    ``range_cells``: least and largest number on the line; ``off_cells`` levels that are not. ``power``, ``power_se``: the exponent of
    flux = a · cells^power over the levels above the LOQ, which is 1 for a line; None where fewer than three are.
    """

    blank: float
    blank_sd: float
    slope: float
    slope_se: float
    freedom: int
    well_cv: float
    lod_cells: float
    loq_cells: float
    range_cells: tuple[float, float]
    off_cells: tuple[float, ...]
    power: float | None
    power_se: float | None


@dataclass(frozen=True, slots=True)
class _Fit:
    slope: float
    se: float
    cv: float


def fit_plate(wells: Wells) -> PlateLine:
    """The line through the mean blank by weighted least squares, over the levels that lie on it.

    net = flux - mean blank = s · N with variance sd_blank² + (c s N)²: near the blank wells scatter as blanks do, above by a share c of
    their light (pipetting), which is found from the wells themselves (weighted squares = degrees of freedom). That is a fit on a linear
    scale at the bottom and on a logarithmic one at the top, without taking a logarithm of wells below the blank. The error of the mean
    blank is in the slope's. Levels at the top or bottom that lie more than 20 % off the line of the others, beyond their scatter
    (p < 0.01), are left out one by one while three levels stay: ``off_cells``. LOD = 3 sd_blank/s, LOQ = 10 sd_blank/s (Bonferroni is
    not asked for: levels are few). It does not see what moves all wells alike: a wrong count of the stock scales s by as much.

    >>> line = fit_plate(Wells(np.array([1e3, 1e4, 1e5]), np.array([1.1e5, 1.01e6, 1.001e7]), np.array([9e3, 1.1e4])))
    >>> round(line.slope), line.range_cells
    (100, (1000.0, 100000.0))
    """
    blank, sd = float(wells.blanks_ph_per_s.mean()), float(wells.blanks_ph_per_s.std(ddof=1))
    net = wells.flux_ph_per_s - blank
    kept = np.ones(len(net), dtype=bool)
    off: list[float] = []
    while (level := _off_the_line(wells, net, kept, sd)) is not None:
        kept &= wells.cells != level
        off.append(level)
    fit = _fit(wells.cells[kept], net[kept], sd, len(wells.blanks_ph_per_s))
    levels = wells.cells[kept]
    slope = fit.slope
    power, power_se = _power(levels, net[kept], _LOQ_SDS * sd)
    lod, loq = (math.inf if slope <= 0 else k * sd / slope for k in (_LOD_SDS, _LOQ_SDS))
    span = float(levels.min()), float(levels.max())
    return PlateLine(blank, sd, slope, fit.se, len(levels) - 1, fit.cv, lod, loq, span, tuple(sorted(off)), power, power_se)


def _fit(cells: np.ndarray, net: np.ndarray, sd: float, blanks: int) -> _Fit:
    """Slope, its standard error and the wells' own scatter c, which makes the weighted squares as large as their freedom."""
    low, high = 0.0, 10.0
    slope = _slope(cells, net, sd, 0.0)
    if _squares(cells, net, sd, 0.0, slope) > len(net) - 1:
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            slope = _slope(cells, net, sd, middle)
            low, high = (middle, high) if _squares(cells, net, sd, middle, slope) > len(net) - 1 else (low, middle)
    else:
        high = 0.0
    weight = 1 / _variance(cells, sd, high, slope)
    spread = float((weight * cells**2).sum())
    shared = float((weight * cells).sum()) / spread * sd / math.sqrt(blanks)
    return _Fit(slope, math.sqrt(1 / spread + shared**2), high)


def _variance(cells: np.ndarray, sd: float, cv: float, slope: float) -> np.ndarray:
    # Blanks without any scatter would give wells an infinite weight.
    return np.maximum(sd**2 + (cv * slope * cells) ** 2, (1e-9 * slope * cells) ** 2 + 1e-300)


def _slope(cells: np.ndarray, net: np.ndarray, sd: float, cv: float) -> float:
    slope = float(np.median(net / cells))
    for _ in range(_ROUNDS):
        weight = 1 / _variance(cells, sd, cv, slope)
        slope = float((weight * cells * net).sum() / (weight * cells**2).sum())
    return slope


def _squares(cells: np.ndarray, net: np.ndarray, sd: float, cv: float, slope: float) -> float:
    return float(((net - slope * cells) ** 2 / _variance(cells, sd, cv, slope)).sum())


def _off_the_line(wells: Wells, net: np.ndarray, kept: np.ndarray, sd: float) -> float | None:
    """The top or bottom level that lies off the line of the others, the one further off first; None where neither does."""
    from scipy import stats

    levels = np.unique(wells.cells[kept])
    found: list[tuple[float, float]] = []
    for level in (levels[-1], levels[0]) if len(levels) > _LEVELS else ():
        mine, others = kept & (wells.cells == level), kept & (wells.cells != level)
        fit = _fit(wells.cells[others], net[others], sd, len(wells.blanks_ph_per_s))
        if fit.slope <= 0:
            continue
        expected = fit.slope * level
        ratio = float(net[mine].mean()) / expected
        se = math.sqrt(float(_variance(np.array([level]), sd, fit.cv, fit.slope)[0]) / mine.sum() + (fit.se * level) ** 2) / expected
        p = float(2 * stats.t.sf(abs(ratio - 1) / se, int(others.sum()) - 1))
        if abs(ratio - 1) > _OFF and p < _ALPHA:
            found.append((abs(ratio - 1), float(level)))
    return max(found)[1] if found else None


def _power(cells: np.ndarray, net: np.ndarray, above: float) -> tuple[float | None, float | None]:
    """Exponent of flux over cells in the levels whose wells are all above the LOQ, by least squares of logarithms."""
    from scipy import stats

    good = np.isin(cells, [level for level in np.unique(cells) if (net[cells == level] > max(above, 0.0)).all()])
    if len(np.unique(cells[good])) < _LEVELS:
        return None, None
    line = stats.linregress(np.log(cells[good]), np.log(net[good]))
    return float(line.slope), float(line.stderr)


def widening(freedom: int) -> float:
    """How much wider a 95 % interval of so few degrees of freedom is than a normal one.

    >>> round(widening(5), 2)
    1.31
    """
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975))
