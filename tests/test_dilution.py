"""Division against counting generations, its sd against a Monte-Carlo, and what the config leaves out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.dilution import diluted, label_per_cell_factor, quadrature
from tracker.errors import InputError
from tracker.study.model import Corrections
from tracker.study.rows import Label, RetentionPoint

LABEL = Label(
    "zr",
    "radionuclide",
    nuclide="89Zr",
    dilutes=True,
    doubling_time_h=48.0,
    doubling_time_sd_h=4.8,
    retention_half_time_h=240.0,
    retention_sd_h=24.0,
)


@given(st.integers(0, 30))
def test_whole_generations_halve(generations: int) -> None:
    assert diluted(48.0 * generations, LABEL).value == 1 / 2**generations


@given(st.floats(0, 200), st.floats(0, 200))
def test_division_in_two_steps_is_division_in_one(a: float, b: float) -> None:
    parts = (diluted(a, LABEL).value or 0) * (diluted(b, LABEL).value or 0)
    assert parts == pytest.approx(diluted(a + b, LABEL).value, rel=1e-13)


@pytest.mark.parametrize("dilutes", [False, None])
def test_a_label_that_does_not_dilute_is_left_alone(dilutes: bool | None) -> None:
    factor = diluted(100.0, Label("luc", "reporter", dilutes=dilutes, doubling_time_h=24.0))
    assert (factor.value, factor.sd_relative, factor.stages) == (1.0, 0.0, ())


@pytest.mark.parametrize("doubling", [None, 0.0, -24.0])
def test_no_doubling_time_no_guess(doubling: float | None) -> None:
    with pytest.raises(InputError) as caught:
        diluted(24.0, Label("zr", "radionuclide", dilutes=True, doubling_time_h=doubling))
    assert caught.value.code == "no_doubling_time"


def test_sd_against_monte_carlo() -> None:
    rng = np.random.default_rng(7)
    doubling, half_time = rng.normal(48.0, 4.8, 200_000), rng.normal(240.0, 24.0, 200_000)
    log_factor = -math.log(2) * 72.0 * (1 / doubling + 1 / half_time)
    found = label_per_cell_factor(72.0, LABEL, Corrections())
    assert found.value == pytest.approx(math.exp(-math.log(2) * 72 * (1 / 48 + 1 / 240)), rel=1e-13)
    # The sd of 1/T is cv · sqrt(1 + 8 cv²) to second order, 4 % more than first order at cv 0.1; Monte-Carlo noise is 0.2 %.
    assert found.sd_relative == pytest.approx(float(np.std(log_factor)), rel=0.05)


def test_corrections_that_are_off_are_not_made_and_not_named() -> None:
    none = label_per_cell_factor(72.0, LABEL, Corrections(dilution=False, retention=False))
    assert (none.value, none.sd_relative, none.stages) == (1.0, 0.0, ())
    division = label_per_cell_factor(48.0, LABEL, Corrections(retention=False))
    assert (division.value, division.stages) == (0.5, ("dilution",))
    loss = label_per_cell_factor(240.0, LABEL, Corrections(dilution=False))
    assert (loss.value, loss.stages) == (0.5, ("retention",))
    assert label_per_cell_factor(48.0, LABEL, Corrections()).stages == ("dilution", "retention")


def test_off_means_the_sheet_is_not_even_asked() -> None:
    incomplete = Label("zr", "radionuclide", dilutes=True)
    assert label_per_cell_factor(24.0, incomplete, Corrections(dilution=False)).value == 1.0


def test_retention_table_end_reaches_the_product() -> None:
    label = Label("zr", "radionuclide", dilutes=True, doubling_time_h=24.0, retention_table=(RetentionPoint(24.0, 0.9, 0.01),))
    factor = label_per_cell_factor(25.0, label, Corrections())
    assert factor.value is None and factor.sd_relative is None
    assert factor.flags == ("retention_extrapolated",)


def test_quadrature() -> None:
    assert quadrature([]) == 0.0
    assert quadrature([0.3, 0.4, 1.2]) == pytest.approx(1.3, rel=1e-15)
    assert quadrature([0.3, None]) is None


def test_time_does_not_run_back() -> None:
    with pytest.raises(ValueError, match="elapsed_h"):
        diluted(-1.0, LABEL)
