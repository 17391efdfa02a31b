"""Spill-over with more measurements than organs: the truth back, its covariance, and organs that cannot be seen."""

from __future__ import annotations

import numpy as np
import pytest

from tracker.errors import InputError
from tracker.spillover import unmix_nonnegative


def mixing(m: int = 60, k: int = 4, seed: int = 0) -> np.ndarray:
    """Humps of one width side by side, which overlap."""
    place = np.linspace(0.0, 1.0, m)[:, None]
    return np.exp(-0.5 * ((place - np.linspace(0.15, 0.85, k)) / 0.12) ** 2) * np.random.default_rng(seed).uniform(0.5, 2.0, k)


W = mixing()
TRUTH = np.array([5.0, 2.0, 8.0, 3.0])
SD = np.full(60, 0.1)


def test_truth_comes_back_without_noise() -> None:
    found = unmix_nonnegative(W @ TRUTH, SD, W)
    np.testing.assert_allclose(found.amounts, TRUTH, rtol=1e-10)
    assert found.observable.all() and found.findings == () and found.chi2 == pytest.approx(0.0, abs=1e-12)


def test_covariance_is_that_of_many_draws() -> None:
    rng = np.random.default_rng(1)
    sd = np.linspace(0.05, 0.3, 60)
    draws = np.array([unmix_nonnegative(W @ TRUTH + sd * rng.standard_normal(60), sd, W).amounts for _ in range(2000)])
    stated = unmix_nonnegative(W @ TRUTH, sd, W).covariance
    # 2000 draws: variances to 3 %, so 12 % is four of them; covariances against the product of the sds.
    np.testing.assert_allclose(np.cov(draws.T), stated, rtol=0.12, atol=0.05 * float(np.sqrt(np.diag(stated)).min()) ** 2)
    np.testing.assert_allclose(draws.mean(axis=0), TRUTH, atol=0.01)


def test_inverse_is_the_pseudo_inverse_of_those_that_hold_something() -> None:
    y = W @ TRUTH + 0.1 * np.random.default_rng(2).standard_normal(60)
    found = unmix_nonnegative(y, SD, W)
    np.testing.assert_allclose(found.inverse @ y, found.amounts)
    np.testing.assert_allclose(found.inverse @ np.diag(SD**2) @ found.inverse.T, found.covariance)


def test_nothing_becomes_negative_and_0_keeps_its_error() -> None:
    rng = np.random.default_rng(4)
    none = np.array([5.0, 0.0, 8.0, 3.0])
    zeros = 0
    for _ in range(200):
        found = unmix_nonnegative(W @ none + 0.1 * rng.standard_normal(60), SD, W)
        assert (found.amounts >= 0).all() and found.observable.all()
        assert np.sqrt(found.covariance[1, 1]) == pytest.approx(found.limit[1] / 3)
        assert 0 < found.limit[1] < 1
        zeros += found.amounts[1] == 0
    # Of a true 0 half of the best values are negative.
    assert 70 < zeros < 130


def test_weights_decide() -> None:
    y = W @ TRUTH
    wrong = y.copy()
    wrong[10] += 50.0
    sd = SD.copy()
    sd[10] = 1e6
    np.testing.assert_allclose(unmix_nonnegative(wrong, sd, W).amounts, TRUTH, rtol=1e-6)
    wrong[10] = np.nan
    found = unmix_nonnegative(wrong, SD, W)
    np.testing.assert_allclose(found.amounts, TRUTH, rtol=1e-10)
    assert (found.inverse[:, 10] == 0).all()


def test_scale_of_columns_does_not_matter() -> None:
    units = np.array([1e-12, 1.0, 1e9, 1e-3])
    found, plain = unmix_nonnegative(W @ TRUTH, SD, W * units), unmix_nonnegative(W @ TRUTH, SD, W)
    np.testing.assert_allclose(found.amounts * units, TRUTH, rtol=1e-8)
    assert found.condition == pytest.approx(plain.condition)


def test_an_organ_under_the_noise_has_no_value() -> None:
    dark = np.column_stack([W, 1e-5 * W[:, 1] ** 2])
    found = unmix_nonnegative(W @ TRUTH + 0.1 * np.random.default_rng(6).standard_normal(60), SD, dark, ["a", "b", "c", "d", "deep"])
    assert found.observable.tolist() == [True] * 4 + [False]
    assert np.isnan(found.amounts[4]) and np.isnan(found.covariance[4]).all() and np.isnan(found.covariance[:, 4]).all()
    assert [f.check for f in found.findings] == ["not_observable"] and "deep" in found.findings[0].reason
    # The others are as if it had not been asked for.
    assert np.isfinite(found.covariance[:4, :4]).all()


def test_a_column_of_zeros_has_no_value() -> None:
    found = unmix_nonnegative(W @ TRUTH, SD, np.column_stack([W, np.zeros(60)]))
    assert not found.observable[4] and np.isnan(found.amounts[4])
    np.testing.assert_allclose(found.amounts[:4], TRUTH, rtol=1e-9)


def test_organs_that_look_alike_are_not_told_apart() -> None:
    twin = np.column_stack([W, W[:, 2] * (1 + 1e-9 * np.arange(60))])
    found = unmix_nonnegative(W @ TRUTH + 0.1 * np.random.default_rng(7).standard_normal(60), SD, twin)
    # One of the two is left out; the other has what both hold.
    assert found.observable[[2, 4]].sum() == 1
    assert float(np.nansum(found.amounts[[2, 4]])) == pytest.approx(8.0, rel=0.05)


def test_noise_alone_keeps_limits_and_finds_next_to_nothing() -> None:
    found = unmix_nonnegative(0.1 * np.random.default_rng(8).standard_normal(60), SD, W)
    assert found.observable.all() and (found.amounts <= 1.5 * found.limit).all()
    assert (found.limit > 0).all()


def test_inputs_are_not_changed() -> None:
    y, sd, w = W @ TRUTH, SD.copy(), W.copy()
    before = y.copy()
    unmix_nonnegative(y, sd, w)
    np.testing.assert_array_equal(y, before)
    np.testing.assert_array_equal(w, W)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="shape_mismatch"):
        unmix_nonnegative(np.ones(59), SD, W)
    with pytest.raises(InputError, match="sd_not_positive"):
        unmix_nonnegative(np.ones(60), np.zeros(60), W)
    with pytest.raises(InputError, match="too_few_measurements"):
        unmix_nonnegative(np.full(60, np.nan), SD, W)
