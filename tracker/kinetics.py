"""Cells and their label in the body after an intravenous dose: a small physiological model for digital studies and fits.

Compartments: well-mixed blood, and in lung, liver, spleen, kidney and the rest cells arrested in the capillary bed.
Blood passes each organ at its flow Q; a share E of the cells in it stays (arrest), and leaves again (release) or dies:

    dB/dt = -Σ (Q E / V) B + Σ r A        dA/dt = (Q E / V) B - (r + d) A

Label (in units of the label a cell had at the injection) follows the live cells, P, until it elutes (rate k_e, into F, the
free label of the rest of the body) or its cell dies (into D, dead label in that organ), and is then cleared to X:

    dP/dt = as the cells - k_e P        dD/dt = d P - c D        dF/dt = k_e ΣP - f F        dX/dt = c ΣD + f F

so that ΣP + ΣD + F + X is constant. Division adds cells and no label.

Flows and volumes are a mouse's (Brown et al. 1997, doi:10.1177/074823379701300401). **The extractions and rates are our own,
chosen to look like published curves (lung first, then liver and spleen, gone in weeks); they are no published parameters**
and say nothing about any real cell. The lung takes the whole cardiac output; liver's flow includes the portal vein, whose
passage through gut and spleen is not modelled apart; all cells are taken to be alive at the injection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ORGANS = ("lung", "liver", "spleen", "kidney", "rest")
COMPARTMENTS = ("blood", *ORGANS)
_N = len(ORGANS)
# Where each quantity sits in the state: P of blood and organs, D of organs, F, X.
_LIVE, _DEAD, _FREE, _GONE, _SIZE = 0, 1 + _N, 1 + 2 * _N, 2 + 2 * _N, 3 + 2 * _N


@dataclass(frozen=True, slots=True)
class OrganRates:
    """One organ: blood flow, the share of passing cells that arrest (``extraction``, 0 to 1), release and death of those."""

    flow_ml_per_h: float
    extraction: float
    release_per_h: float
    death_per_h: float


@dataclass(frozen=True, slots=True)
class CellRates:
    """All rates of the model; ``dead_clearance_per_h`` empties dead label from the body, ``free_clearance_per_h`` eluted label."""

    blood_ml: float
    lung: OrganRates
    liver: OrganRates
    spleen: OrganRates
    kidney: OrganRates
    rest: OrganRates
    dead_clearance_per_h: float
    free_clearance_per_h: float


@dataclass(frozen=True, slots=True)
class LabelFate:
    """What happens to cells and label wherever they are: first-order elution and division; ``free`` is the share of the dose
    that was never in a cell."""

    elution_per_h: float = 0.0
    division_per_h: float = 0.0
    free: float = 0.0


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The model's answer at ``times_h`` (t). Columns of (t, 6) arrays are `COMPARTMENTS`; label is in cells at injection.

    ``live_cells`` (t, 6) [cells], with division; ``label_live``, ``label_dead`` (t, 6); ``label_free``, ``label_gone`` (t).
    """

    times_h: np.ndarray
    live_cells: np.ndarray
    label_live: np.ndarray
    label_dead: np.ndarray
    label_free: np.ndarray
    label_gone: np.ndarray


def mouse_rates(body_weight_g: float = 25.0, *, injured: bool = False) -> CellRates:
    """Illustrative rates for a mouse (not published parameters, see the module's text); ``injured`` kidneys catch more cells.

    Flows of a 25 g mouse [mL/min]: heart 13.98, liver 2.251, spleen 0.1573, kidney 1.272, in proportion to W^0.75;
    blood 1.225 mL in proportion to W.

    >>> mouse_rates(injured=True).kidney.extraction > mouse_rates().kidney.extraction
    True
    """
    per_h = 60.0 * (body_weight_g / 25.0) ** 0.75
    return CellRates(
        blood_ml=1.225 * body_weight_g / 25.0,
        lung=OrganRates(13.98 * per_h, extraction=0.50, release_per_h=0.35, death_per_h=0.010),
        liver=OrganRates(2.251 * per_h, extraction=0.30, release_per_h=0.002, death_per_h=0.006),
        spleen=OrganRates(0.1573 * per_h, extraction=0.90, release_per_h=0.002, death_per_h=0.006),
        kidney=OrganRates(1.272 * per_h, extraction=0.35 if injured else 0.05, release_per_h=0.005, death_per_h=0.008),
        rest=OrganRates((13.98 - 2.251 - 1.272) * per_h, extraction=0.01, release_per_h=0.010, death_per_h=0.010),
        dead_clearance_per_h=0.012,
        free_clearance_per_h=0.030,
    )


def _organs(rates: CellRates) -> tuple[OrganRates, ...]:
    return rates.lung, rates.liver, rates.spleen, rates.kidney, rates.rest


def rate_matrix(rates: CellRates, elution_per_h: float = 0.0) -> np.ndarray:
    """M of dy/dt = M y [1/h], (13, 13): y is P of blood and organs, D of organs, F, X. Columns add up to 0 (nothing is lost)."""
    m = np.zeros((_SIZE, _SIZE))
    for n, organ in enumerate(_organs(rates)):
        arrest = organ.flow_ml_per_h * organ.extraction / rates.blood_ml
        cell, dead = _LIVE + 1 + n, _DEAD + n
        m[cell, _LIVE] += arrest
        m[_LIVE, cell] += organ.release_per_h
        m[dead, cell] += organ.death_per_h
        m[_GONE, dead] += rates.dead_clearance_per_h
    m[_FREE, _LIVE:_DEAD] += elution_per_h
    m[_GONE, _FREE] += rates.free_clearance_per_h
    return m - np.diag(m.sum(axis=0))


def simulate(rates: CellRates, cells: float, times_h: Sequence[float], fate: LabelFate | None = None) -> Trajectory:
    """Cells and label in blood and organs at ``times_h`` (h after the injection) of a dose of ``cells`` into the blood.

    y(t) = exp(M t) y(0), so there is no step size. Division and elution are the same everywhere, hence
    live cells = P · exp((division + elution) t).

    >>> lung = simulate(mouse_rates(), 1e6, [1.0]).live_cells[0, COMPARTMENTS.index("lung")]
    >>> bool(lung > 5e5)
    True
    """
    from scipy.linalg import expm

    fate = fate or LabelFate()
    times = np.asarray(times_h, dtype=float)
    if np.any(times < 0):
        raise ValueError("a time before the injection has no cells")
    if not 0 <= fate.free < 1:
        raise ValueError(f"the free share of the label is {fate.free}: it must be at least 0 and below 1")
    start = np.zeros(_SIZE)
    start[_LIVE], start[_FREE] = cells * (1 - fate.free), cells * fate.free
    matrix = rate_matrix(rates, fate.elution_per_h)
    y = np.array([expm(matrix * t) @ start for t in times]).reshape(times.size, _SIZE)
    live = y[:, _LIVE:_DEAD]
    dead = np.concatenate([np.zeros((times.size, 1)), y[:, _DEAD:_FREE]], axis=1)
    # Label that was never in a cell does not lessen the number of cells.
    cells_per_label = np.exp((fate.division_per_h + fate.elution_per_h) * times) / (1 - fate.free)
    return Trajectory(times, live * cells_per_label[:, None], live, dead, y[:, _FREE], y[:, _GONE])


def label_in_organs(trajectory: Trajectory) -> np.ndarray:
    """All label in blood and organs (t, 6) [cells at injection], in live cells, in dead ones, and (in the rest) free.

    Times the label per cell at the injection this is the organ's amount, decay-corrected to the dose [Bq or ug]. What is
    missing from the dose is ``label_gone``, no longer in the body. It does not say how many cells are alive.
    """
    total: np.ndarray = np.add(trajectory.label_live, trajectory.label_dead)
    total[:, COMPARTMENTS.index("rest")] += trajectory.label_free
    return total


def per_h(half_time_h: float | None) -> float:
    """First-order rate [1/h] of a half or doubling time [h]: ln 2 / T; 0 where there is none.

    >>> per_h(None), round(per_h(24.0), 6)
    (0.0, 0.028881)
    """
    return 0.0 if half_time_h is None else math.log(2.0) / half_time_h
