"""The complex fit: truth comes back without a noise floor, standard errors are what they say, nothing above the limit is a number."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.optimize import least_squares

from tracker.errors import InputError
from tracker.mri.complexfit import fit_complex
from tracker.mri.header import MEASURED, NOT_DECAYING, NOT_FINITE, SATURATED, VOID, Noise

TE_S = tuple(0.003 * k for k in range(1, 9))
NOISE = Noise(1.0, 1, "config")


def voxels(
    seed: int, rate_per_s: float, snr: float, n: int = 4000, te_s: tuple[float, ...] = TE_S, noisy: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Magnitude and phase (echo, 1, 1, n) of one rate in as many fields and starting phases as voxels, noise of sigma 1 in each part."""
    rng = np.random.default_rng(seed)
    t = np.asarray(te_s)[:, None]
    reach = 0.45 / np.diff(te_s).min()
    signal = snr * np.exp((2j * np.pi * rng.uniform(-reach, reach, n) - rate_per_s) * t + 1j * rng.uniform(-np.pi, np.pi, n))
    if noisy:
        signal = signal + rng.normal(size=signal.shape) + 1j * rng.normal(size=signal.shape)
    cube = signal.reshape(len(te_s), 1, 1, n)
    return np.abs(cube), np.angle(cube)


@pytest.mark.parametrize("rate_per_s", [1.0, 30.0, 250.0, 800.0])
@pytest.mark.parametrize("te_s", [TE_S, TE_S[:2], (0.002, 0.005, 0.0061, 0.011), (0.0005, 0.0012)])
def test_without_noise_the_truth_to_single_precision(rate_per_s: float, te_s: tuple[float, ...]) -> None:
    magnitude, phase = voxels(1, rate_per_s, 1e5, 300, te_s, noisy=False)
    fit, findings = fit_complex(magnitude, phase, te_s, NOISE)
    assert (fit.status == MEASURED).all() and findings == ()
    # float32 values: 1e-7 of the signal, over a time of R2*·span.
    assert fit.r2star_per_s == pytest.approx(rate_per_s, rel=1e-4, abs=1e-3)
    assert fit.s0 == pytest.approx(1e5, rel=1e-4)


# Rates below R2*max (584 /s at SNR 100, 384 at 30, 268 at 15) by enough that few voxels are censored.
@pytest.mark.parametrize(("rate_per_s", "snr"), [(30, 15), (30, 30), (30, 100), (100, 15), (100, 30), (250, 30), (250, 100), (400, 100)])
def test_no_floor_bias_and_honest_errors(rate_per_s: float, snr: float) -> None:
    fit, _ = fit_complex(*voxels(2, rate_per_s, snr, 20000), TE_S, NOISE)
    good = fit.status == MEASURED
    # The fitted decay is flat in median to 2 %, where a tenth of its voxels or fewer are censored.
    assert good.mean() > 0.9
    assert np.median(fit.r2star_per_s[good]) == pytest.approx(rate_per_s, rel=0.02)
    pull = (fit.r2star_per_s[good] - rate_per_s) / fit.sd_per_s[good]
    width = (np.quantile(pull, 0.841) - np.quantile(pull, 0.159)) / 2
    # 20000 voxels tell the width to 1 %; the error is of first order, and large ones (30 % of R2*) are not Gaussian.
    assert width == pytest.approx(1.0, abs=0.08)


def test_rms_reaches_the_bound() -> None:
    fit, _ = fit_complex(*voxels(3, 100.0, 50.0, 20000), TE_S, NOISE)
    t, e = np.asarray(TE_S), np.exp(-100.0 * np.asarray(TE_S))
    # Fisher information written out for (S0, R2*), as in the magnitude model: phase parameters are orthogonal.
    fisher = np.array([[np.sum(e**2), -50 * np.sum(t * e**2)], [-50 * np.sum(t * e**2), 2500 * np.sum(t**2 * e**2)]])
    bound = math.sqrt(np.linalg.inv(fisher)[1, 1])
    assert np.nanstd(fit.r2star_per_s) == pytest.approx(bound, rel=0.04)


def test_the_same_minimum_as_a_general_optimiser() -> None:
    magnitude, phase = voxels(4, 120.0, 20.0, 12)
    fit, _ = fit_complex(magnitude, phase, TE_S, NOISE)
    y, t = (magnitude * np.exp(1j * phase)).reshape(len(TE_S), -1), np.asarray(TE_S)

    def misfit(p: np.ndarray, data: np.ndarray) -> np.ndarray:
        left = data - (p[0] + 1j * p[1]) * np.exp((1j * p[3] - p[2] * 100) * t)
        return np.concatenate([left.real, left.imag])

    for v in range(12):
        starts = [least_squares(misfit, [10, 10, 1.0, w], args=(y[:, v],), x_scale=[10, 10, 1, 100]) for w in np.linspace(-1000, 1000, 24)]
        best = min(starts, key=lambda s: s.cost)
        assert fit.r2star_per_s[0, 0, v] == pytest.approx(100 * best.x[2], rel=2e-3)


@pytest.mark.parametrize("snr", [15.0, 30.0, 100.0])
@pytest.mark.parametrize("rate_per_s", [200.0, 500.0, 800.0, 3000.0])
def test_no_number_above_its_limit(rate_per_s: float, snr: float) -> None:
    fit, _ = fit_complex(*voxels(5, rate_per_s, snr), TE_S, NOISE)
    good = fit.status == MEASURED
    assert (fit.r2star_per_s[good] <= fit.limit_per_s[good]).all()
    limit = np.log(fit.s0[good] / 3) / TE_S[1]
    assert fit.limit_per_s[good] == pytest.approx(limit, rel=1e-5)
    assert np.isnan(fit.r2star_per_s[~good]).all() and np.isnan(fit.sd_per_s[~good]).all() and np.isnan(fit.s0[~good]).all()
    if rate_per_s > 1.3 * math.log(snr / 3) / TE_S[1]:
        assert ((fit.status == SATURATED) | (fit.status == VOID)).mean() > 0.9


def test_a_known_s0_censors_what_chance_brings() -> None:
    magnitude, phase = voxels(6, 800.0, 30.0)
    fit, _ = fit_complex(magnitude, phase, TE_S, NOISE, np.full((1, 1, 4000), 30.0))
    assert (fit.status == MEASURED).mean() < 0.01
    assert fit.limit_per_s == pytest.approx(math.log(10) / TE_S[1], rel=1e-5)


def test_status_of_what_is_no_decay() -> None:
    magnitude, phase = voxels(7, 20.0, 50.0, 6, noisy=False)
    magnitude[:, 0, 0, 0] = 0.5
    magnitude[:, 0, 0, 1] = magnitude[::-1, 0, 0, 1]
    magnitude[3, 0, 0, 2] = np.nan
    phase[5, 0, 0, 3] = np.inf
    magnitude[1:, 0, 0, 4] = 0.1
    fit, _ = fit_complex(magnitude, phase, TE_S, NOISE)
    assert fit.status.ravel().tolist() == [VOID, NOT_DECAYING, NOT_FINITE, NOT_FINITE, SATURATED, MEASURED]


@pytest.mark.parametrize("angle_rad", [-0.6, -0.1, 0.05, 0.3, 0.7, 1.2])
def test_two_readout_directions_are_set_right(angle_rad: float) -> None:
    # Odd echoes have half of this more, even ones half less; two directions further apart than π/2 are a shift of frequency.
    magnitude, phase = voxels(8, 60.0, 60.0)
    sign = np.where(np.arange(8) % 2 == 0, 1.0, -1.0)[:, None, None, None]
    turned = np.angle(np.exp(1j * (phase + sign * angle_rad)))
    fit, findings = fit_complex(magnitude, turned, TE_S, NOISE)
    plain, none = fit_complex(magnitude, phase, TE_S, NOISE)
    assert [f.check for f in findings] == ["bipolar_phase"] and none == ()
    # The angle is known to 0.3 rad / √4000 here: a tenth of each voxel's own error.
    assert np.nanmax(np.abs(fit.r2star_per_s - plain.r2star_per_s)) < 0.3 * np.nanmedian(plain.sd_per_s)


def test_eddy_phase_that_does_not_alternate_is_no_bipolar_readout() -> None:
    magnitude, phase = voxels(9, 60.0, 60.0)
    bent = np.angle(np.exp(1j * (phase + 0.1 * np.exp(-np.arange(8) / 3)[:, None, None, None])))
    assert fit_complex(magnitude, bent, TE_S, NOISE)[1] == ()


def test_gain_changes_nothing_and_the_input_is_untouched() -> None:
    magnitude, phase = voxels(10, 80.0, 20.0, 500)
    before = magnitude.copy(), phase.copy()
    one, _ = fit_complex(magnitude, phase, TE_S, NOISE)
    other, _ = fit_complex(magnitude * 1.7e-4, phase, TE_S, Noise(1.7e-4, 1, "config"))
    assert np.array_equal(one.status, other.status)
    # Each fit stops within 1e-4 of its standard error.
    assert np.nanmax(np.abs(one.r2star_per_s - other.r2star_per_s) / one.sd_per_s) < 1e-3
    assert np.array_equal(magnitude, before[0]) and np.array_equal(phase, before[1])


def test_what_cannot_be_fitted() -> None:
    magnitude, phase = voxels(11, 80.0, 20.0, 10)
    with pytest.raises(InputError, match="complex_needs_one_channel"):
        fit_complex(magnitude, phase, TE_S, Noise(1.0, 4, "config"))
    with pytest.raises(InputError, match="too_few_echoes"):
        fit_complex(magnitude[:1], phase[:1], TE_S[:1], NOISE)
    with pytest.raises(InputError, match="shape_mismatch"):
        fit_complex(magnitude, phase[:4], TE_S, NOISE)


def test_a_mouse_takes_seconds() -> None:
    magnitude, phase = voxels(12, 80.0, 30.0, 1000)
    fit_complex(magnitude, phase, TE_S, NOISE)  # compiles
    magnitude, phase = voxels(12, 80.0, 30.0, 100_000)
    start = time.process_time()
    fit_complex(magnitude, phase, TE_S, NOISE)
    # 0.4 s of processor time when quiet.
    assert time.process_time() - start < 10
