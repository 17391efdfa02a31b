"""The cell model: nothing is lost, limits that can be written by hand, and the known shape of the curves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from tracker.kinetics import (
    COMPARTMENTS,
    CellRates,
    LabelFate,
    OrganRates,
    label_in_organs,
    mouse_rates,
    per_h,
    rate_matrix,
    simulate,
)

B, LUNG, LIVER, SPLEEN, KIDNEY, REST = range(6)
SHUT = OrganRates(flow_ml_per_h=1.0, extraction=0.0, release_per_h=0.0, death_per_h=0.0)

rate = st.floats(0.0, 2.0)
organs = st.builds(OrganRates, flow_ml_per_h=st.floats(0.0, 1000.0), extraction=st.floats(0, 1), release_per_h=rate, death_per_h=rate)
models = st.builds(
    CellRates,
    blood_ml=st.floats(0.5, 3.0),
    lung=organs,
    liver=organs,
    spleen=organs,
    kidney=organs,
    rest=organs,
    dead_clearance_per_h=rate,
    free_clearance_per_h=rate,
)


@given(models, st.floats(0, 0.2), st.floats(0, 1000), st.floats(0, 0.5))
@settings(max_examples=50, deadline=None)
def test_label_is_conserved(rates: CellRates, elution: float, time_h: float, free: float) -> None:
    got = simulate(rates, 1e6, [time_h], LabelFate(elution_per_h=elution, division_per_h=0.01, free=free))
    total = label_in_organs(got).sum() + got.label_gone[0]
    # 1e-8: expm of |M t| up to 1e6 squares 20 times, each loses up to a few ulp
    assert total == pytest.approx(1e6, rel=1e-8)
    assert np.all(label_in_organs(got) >= -1e-3)


def test_columns_of_the_rate_matrix_add_up_to_zero() -> None:
    m = rate_matrix(mouse_rates(27.0), 0.01)
    assert m.shape == (13, 13)
    assert np.abs(m.sum(axis=0)).max() < 1e-10  # rates up to 1e3 per hour, 64-bit rounding
    assert np.all(m - np.diag(np.diag(m)) >= 0)


def test_one_organ_by_hand() -> None:
    # A -> dead with no release: blood falls with Q E / V, the organ follows the two-step (Bateman) solution
    lung = OrganRates(flow_ml_per_h=4.0, extraction=0.5, release_per_h=0.0, death_per_h=0.1)
    rates = CellRates(2.0, lung, SHUT, SHUT, SHUT, SHUT, dead_clearance_per_h=0.0, free_clearance_per_h=0.0)
    t = np.array([0.0, 0.5, 3.0, 20.0])
    got = simulate(rates, 100.0, t)
    assert got.live_cells[:, B] == pytest.approx(100 * np.exp(-1.0 * t))
    assert got.live_cells[:, LUNG] == pytest.approx(100 * (np.exp(-0.1 * t) - np.exp(-1.0 * t)) / 0.9)
    assert got.label_dead[:, LUNG] == pytest.approx(100 - got.live_cells[:, B] - got.live_cells[:, LUNG])


def test_agrees_with_a_step_solver() -> None:
    r = mouse_rates(24.0, injured=True)
    five = (r.lung, r.liver, r.spleen, r.kidney, r.rest)

    def slope(_: float, y: np.ndarray) -> np.ndarray:
        arrest = np.array([o.flow_ml_per_h * o.extraction / r.blood_ml for o in five]) * y[0]
        back = np.array([o.release_per_h for o in five]) * y[1:]
        die = np.array([o.death_per_h for o in five]) * y[1:]
        return np.concatenate([[back.sum() - arrest.sum()], arrest - back - die])

    want = solve_ivp(slope, (0, 48), [1e6, 0, 0, 0, 0, 0], method="LSODA", rtol=1e-10, atol=1e-6, t_eval=[1, 48]).y.T
    assert simulate(r, 1e6, [1.0, 48.0]).live_cells == pytest.approx(want, rel=1e-6)  # the solver's own tolerance over its steps


@pytest.mark.parametrize("injured", [False, True])
@pytest.mark.parametrize("weight", [20.0, 30.0])
def test_lung_first_then_liver_and_spleen_then_gone(injured: bool, weight: float) -> None:
    share = label_in_organs(simulate(mouse_rates(weight, injured=injured), 1.0, [0.25, 1.0, 24.0, 168.0, 28 * 24.0]))
    assert np.all(share[:2, LUNG] > 0.5)
    assert share[2, LUNG] < 0.5 * share[1, LUNG]
    assert share[2, LIVER] > 2 * share[1, LIVER]
    assert share[2, SPLEEN] > 2 * share[1, SPLEEN]
    assert share[3, LIVER] > share[3, LUNG]
    assert share[4].sum() < 0.05
    assert np.all(share[:, B] < 0.01)


def test_injured_kidney_gets_more() -> None:
    healthy, injured = (label_in_organs(simulate(mouse_rates(injured=i), 1.0, [24.0]))[0, KIDNEY] for i in (False, True))
    assert injured > 3 * healthy


def test_division_adds_cells_and_no_label() -> None:
    t = [0.0, 24.0, 96.0]
    still = simulate(mouse_rates(), 1e6, t)
    dividing = simulate(mouse_rates(), 1e6, t, LabelFate(division_per_h=per_h(48.0)))
    assert dividing.live_cells == pytest.approx(still.live_cells * (2.0 ** (np.array(t) / 48.0))[:, None])
    assert label_in_organs(dividing) == pytest.approx(label_in_organs(still))


def test_elution_leaves_cells_alone_and_moves_label_to_the_rest() -> None:
    rates = dataclasses.replace(mouse_rates(), free_clearance_per_h=0.0)
    t = [0.0, 24.0, 96.0]
    kept, eluted = simulate(rates, 1e6, t), simulate(rates, 1e6, t, LabelFate(elution_per_h=per_h(50.0)))
    assert eluted.live_cells == pytest.approx(kept.live_cells, rel=1e-9)
    assert eluted.label_live == pytest.approx(kept.label_live * (0.5 ** (np.array(t) / 50.0))[:, None], rel=1e-9)
    assert eluted.label_free[2] > eluted.label_free[1] > 0
    rest = label_in_organs(eluted)[:, REST]
    assert rest == pytest.approx(eluted.label_live[:, REST] + eluted.label_dead[:, REST] + eluted.label_free)


def test_free_label_is_not_in_cells() -> None:
    got = simulate(mouse_rates(), 1e6, [0.0, 1.0], LabelFate(free=0.1))
    assert got.label_free[0] == pytest.approx(1e5)
    assert got.live_cells == pytest.approx(simulate(mouse_rates(), 1e6, [0.0, 1.0]).live_cells)


def test_linear_in_the_dose_and_zero_gives_zero() -> None:
    one, two = (simulate(mouse_rates(), n, [5.0]).live_cells for n in (1e6, 2e6))
    assert two == pytest.approx(2 * one)
    assert not simulate(mouse_rates(), 0.0, [5.0]).live_cells.any()


def test_time_before_the_injection_is_refused() -> None:
    with pytest.raises(ValueError, match="before the injection"):
        simulate(mouse_rates(), 1.0, [-1.0])


@pytest.mark.parametrize("free", [-0.1, 1.0])
def test_free_share_must_leave_label_in_cells(free: float) -> None:
    with pytest.raises(ValueError, match="free share"):
        simulate(mouse_rates(), 1.0, [1.0], LabelFate(free=free))


def test_names_and_shapes() -> None:
    got = simulate(mouse_rates(), 1.0, [1.0, 2.0])
    assert got.live_cells.shape == (2, len(COMPARTMENTS)) == (2, 6)
    assert got.label_gone.shape == (2,)
