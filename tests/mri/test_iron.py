"""Iron from R2*: units, the static-dephasing bound, and the prior where nobody measured a relaxivity."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import constants as codata
from scipy import integrate

from tracker.mri.iron import Prior, conversion, relaxivity_prior, sdr_bound_per_s_per_mmolar

CHECKS = {"relaxivity_per_s_per_mmolar": 200.0}


def names(findings):
    return [f.check for f in findings]


def test_iron_of_a_known_solution():
    # 2 mmol/L of iron is 2 µmol/mL, 111.69 µg/mL; at 150 /s per mmol/L it adds 300 /s.
    made, findings = conversion({"relaxivity_per_s_per_mmolar": 150.0, "relaxivity_sd_per_s_per_mmolar": 15.0})
    assert made.factor * 300.0 == pytest.approx(2 * 55.845, rel=1e-12) and made.unit == "ug/mL"
    assert made.scale_cv == pytest.approx(0.1) and made.flags == () and findings == ()


def test_picograms_of_one_deposit():
    # By hand: m [pg] = 55 845 · C [mM] · V [µL]; 0.5 mM in 2 µL is 55 845 pg.
    made, _ = conversion(CHECKS)
    ug = made.factor * (0.5 * 200.0) * 2e-3
    assert ug * 1e6 == pytest.approx(55845.0)


def test_an_unstated_sd_is_missing_and_not_zero():
    assert conversion(CHECKS)[0].scale_cv is None
    assert conversion({**CHECKS, "relaxivity_sd_per_s_per_mmolar": 0.0})[0].scale_cv == 0.0


@pytest.mark.parametrize(("magnetisation", "published"), [(70, 530), (94, 711), (127, 961)])
def test_the_bound_at_the_published_magnetisations(magnetisation, published):
    assert round(sdr_bound_per_s_per_mmolar(magnetisation)) == published


def test_the_bound_from_another_set_of_constants():
    gamma = codata.value("proton gyromag. ratio")
    per_unit = 2 * math.pi / (9 * math.sqrt(3)) * codata.mu_0 * gamma * 0.055845
    assert sdr_bound_per_s_per_mmolar(1.0) == pytest.approx(per_unit, rel=1e-8)
    assert per_unit == pytest.approx(7.567, abs=5e-4)


def draws(bound, n=400_000):
    """The prior by its description alone: log-normal, everything above the bound thrown away."""
    values = np.exp(np.random.default_rng(3).normal(math.log(422.3347), 0.928790, 4 * n))
    return values[values < bound][:n]


@pytest.mark.parametrize("magnetisation", [40.0, 70.0, 94.0, 127.0])
def test_the_prior_is_its_own_description(magnetisation):
    prior = relaxivity_prior(magnetisation)
    drawn = draws(7.5671213 * magnetisation)
    # Quantiles of at least 100 000 draws: within 1 %; the moment of 1/r has a heavier tail: within 1.5 %.
    assert [prior.low, prior.median, prior.high] == pytest.approx(np.quantile(drawn, [0.025, 0.5, 0.975]).tolist(), rel=0.01)
    assert prior.inverse_cv == pytest.approx(math.sqrt(np.mean((prior.median / drawn - 1) ** 2)), rel=0.015)
    assert prior.high < 7.568 * magnetisation


def test_the_prior_holds_the_figures_it_was_solved_for():
    prior = relaxivity_prior()
    # Median 300 and 2.5 % below 60; the upper end was asked to be about 700 and follows from the bound, 711.
    assert prior.median == pytest.approx(300.0, abs=0.01) and prior.low == pytest.approx(60.0, abs=0.01)
    assert 650 < prior.high < 711


def test_the_priors_spread_by_quadrature():
    bound, mu, s = sdr_bound_per_s_per_mmolar(94.0), math.log(422.3347), 0.928790

    def density(y):
        return math.exp(-0.5 * ((y - mu) / s) ** 2)

    total = integrate.quad(density, mu - 10 * s, math.log(bound))[0]
    squares = integrate.quad(lambda y: (300.0 * math.exp(-y) - 1) ** 2 * density(y), mu - 10 * s, math.log(bound))[0]
    assert relaxivity_prior().inverse_cv == pytest.approx(math.sqrt(squares / total), rel=1e-4)


def test_without_a_relaxivity_the_prior_is_used_and_said():
    made, findings = conversion({})
    assert made.factor == pytest.approx(55.845 / 300.0, rel=1e-4) and made.flags == ("relaxivity_prior",)
    assert made.scale_cv == pytest.approx(relaxivity_prior().inverse_cv) and made.scale_cv > 1
    assert names(findings) == ["relaxivity_prior"] and findings[0].status == "warn" and "no interval" in findings[0].reason
    weaker, _ = conversion({"saturation_magnetisation_a_m2_per_kg": 70.0})
    assert weaker.factor > made.factor, "a lower bound on r2* leaves more iron behind the same rate"


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        ({"relaxivity_per_s_per_mmolar": 960.0}, []),
        ({"relaxivity_per_s_per_mmolar": 962.0}, ["relaxivity_above_bound"]),
        ({"relaxivity_per_s_per_mmolar": 0.25}, ["relaxivity_too_small"]),
        ({"relaxivity_per_s_per_mmolar": 540.0, "saturation_magnetisation_a_m2_per_kg": 70.0}, ["relaxivity_above_bound"]),
        ({"relaxivity_per_s_per_mmolar": 520.0, "saturation_magnetisation_a_m2_per_kg": 70.0}, []),
        ({"relaxivity_per_s_per_mmolar": 200.0, "relaxivity_sd_per_s_per_mmolar": 60.0}, []),
        ({"relaxivity_per_s_per_mmolar": 200.0, "relaxivity_sd_per_s_per_mmolar": 61.0}, ["relaxivity_uncertain"]),
    ],
)
def test_what_is_said_of_a_stated_relaxivity(constants, said):
    made, findings = conversion(constants)
    assert names(findings) == said and all(f.status == "warn" for f in findings)
    assert made.flags == () and made.factor == pytest.approx(55.845 / constants["relaxivity_per_s_per_mmolar"])


def test_the_prior_is_frozen():
    with pytest.raises(AttributeError):
        Prior(1.0, 1.0, 1.0, 1.0).median = 2.0  # type: ignore[misc]
