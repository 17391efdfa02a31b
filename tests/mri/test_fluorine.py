"""19F: the noise floor taken off magnitudes, and fluorine by a reference tube."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from tracker.errors import InputError
from tracker.image import FrameTimes, Grid, OrganMap, Quantity, Scan
from tracker.mri.fluorine import KIND, fluorine_quantity, measure_fluorine, signal_sd, signed_signal
from tracker.mri.header import MriHeader, Noise
from tracker.mri.measure import measure
from tracker.table import FLAGS, QUANTITIES

# 1 mm³ voxels of 0.001 mL.
GRID = Grid((16, 32, 32), np.eye(4))
TIMES = FrameTimes(datetime(2026, 3, 4, 10), (0.0,), (60.0,))
NAMES = {1: "tube", 2: "liver", 3: "muscle"}
TUBE = {
    "reference_organ": "tube",
    "reference_ug_per_ml": 900.0,
    "signal_ratio": 1.25,
    "reference_sd_ug_per_ml": 18.0,
    "signal_ratio_sd": 0.05,
}


def organs():
    labels = np.zeros(GRID.shape, np.uint16)
    labels[2:14, 4:14, 4:14], labels[2:14, 4:14, 18:28], labels[2:14, 18:28, 4:28] = 1, 2, 3
    return OrganMap(labels, NAMES, GRID)


def truth(tube, liver):
    labels = organs().labels
    return np.select([labels == 1, labels == 2], [tube, liver], 0.0)


def magnitudes(image, sigma, coils, seed):
    """Root of the sum of squares over coils, the signal's power shared among them, noise in both parts of each."""
    random = np.random.default_rng(seed)
    real = image / np.sqrt(coils) + random.normal(0, sigma, (coils, *image.shape))
    imaginary = random.normal(0, sigma, real.shape)
    return np.sqrt((real**2 + imaginary**2).sum(axis=0))


def quantity(image, sigma=1.0, coils=1, seed=0):
    values = magnitudes(image, sigma, coils, seed)[None].astype(np.float32)
    return Quantity(values, "a.u.", GRID, TIMES, KIND, facts={"noise_sigma": sigma, "channels": float(coils)})


def run(tube, liver, fluorine=TUBE, **noise):
    return measure_fluorine(quantity(truth(tube, liver), **noise), organs(), {"fluorine": fluorine})


def of(values, organ, name="concentration"):
    return next(v for v in values if v.organ == organ and v.quantity == name)


# --- the noise floor --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coils", [1, 2, 4, 8])
def test_pure_noise_averages_to_nothing(coils):
    noise, m = Noise(3.0, coils, "config"), magnitudes(np.zeros(400_000), 3.0, coils, 1)
    signal = signed_signal(m, noise)
    # Standard error of the mean: 1.7 to 2.4 sigma / 632, 0.004; three of them.
    assert abs(signal.mean(dtype=float)) / 3.0 < 0.012
    # What is subtracted without the gain, and the magnitude itself, are far from it.
    assert abs(np.mean(m)) / 3.0 > 1.2


@pytest.mark.parametrize(
    ("coils", "snr", "bias"),
    # The docstring's figures, in sigma.
    [(1, 0.5, -0.33), (1, 1, -0.39), (1, 2, -0.17), (1, 3, -0.034), (1, 4, -0.007), (1, 10, 0.0), (4, 3, -0.175), (4, 4, -0.052)],
)
def test_the_bias_is_the_one_stated(coils, snr, bias):
    signal = signed_signal(magnitudes(np.full(400_000, float(snr)), 1.0, coils, 2), Noise(1.0, coils, "config"))
    assert signal.mean(dtype=float) - snr == pytest.approx(bias, abs=0.01)


@pytest.mark.parametrize("snr", [0.0, 1.0, 2.0, 3.0, 5.0, 20.0])
def test_the_stated_scatter_is_the_scatter(snr):
    noise = Noise(2.0, 1, "config")
    signal = signed_signal(magnitudes(np.full(200_000, 2.0 * snr), 2.0, 1, 3), noise)
    # 200 000 draws know a standard deviation to 0.2 %; levels between those tabulated to 1 %.
    assert signal_sd(np.array([2.0 * snr]), noise)[0] == pytest.approx(signal.std(), rel=0.015)


def test_strong_signal_is_left_alone_and_order_is_kept():
    m = np.linspace(0.0, 100.0, 2001)
    signal = signed_signal(m, Noise(1.0, 1, "config"))
    assert (np.diff(signal) > 0).all() and signal[-1] == pytest.approx(100.0, rel=1e-4)


def test_nan_stays_nan_and_the_input_is_not_changed():
    m = np.array([np.nan, 3.0])
    m.flags.writeable = False
    assert np.isnan(signed_signal(m, Noise(1.0, 1, "config"))[0])


# --- fluorine by the tube ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("coils", "liver_snr"), [(1, 3.0), (1, 4.0), (1, 8.0), (4, 5.0)])
def test_two_tubes_at_low_snr(coils, liver_snr):
    """The tube at SNR 10 with 900 ug/mL, label 1.25 times as bright per fluorine: liver holds snr/10 · 900/1.25 ug/mL."""
    values, findings = run(10.0, liver_snr, coils=coils, seed=4)
    true = liver_snr / 10 * 900 / 1.25
    # Bias 1.1 % at SNR 3, and three times the noise of 1200 voxels, 1 % at most each.
    assert of(values, "liver").value == pytest.approx(true, rel=0.03)
    assert of(values, "liver", "signal").value == pytest.approx(of(values, "liver").value * 1200 * 0.001, rel=1e-9)
    assert abs(of(values, "muscle").value) < 4 * of(values, "muscle").sd_noise and findings == ()
    assert {v.organ for v in values} == {"liver", "muscle"}
    assert all(v.unit in QUANTITIES[v.quantity] and set(v.flag) <= set(FLAGS) for v in values)


def test_magnitudes_alone_would_not_do():
    m = magnitudes(truth(10.0, 0.0), 1.0, 1, 5)
    labels = organs().labels
    assert m[labels == 3].mean() / m[labels == 1].mean() > 0.12, "the floor alone would be an eighth of the tube"
    values, _ = run(10.0, 0.0, seed=5)
    assert abs(of(values, "muscle").value) < 0.01 * 720


def test_a_hot_spot_is_not_spread_over_its_organ():
    """A hundredth of the liver at SNR 20: the mean is 0.2, the root mean square would be 2."""
    image = truth(10.0, 0.0)
    where = np.argwhere(organs().labels == 2)[::100]
    image[tuple(where.T)] = 20.0
    value = of(measure_fluorine(quantity(image, seed=6), organs(), {"fluorine": TUBE})[0], "liver")
    assert abs(value.value - 0.2 / 10 * 720) < 3 * value.sd_noise < 0.2 * 720


def test_the_errors_hold_the_truth():
    """150 images: the truth lies within 1.96 sd_noise as often as it should, 95 ± 3 binomial standard errors of 1.8 %."""
    inside = {"liver": 0, "muscle": 0}
    for seed in range(150):
        values, _ = run(12.0, 6.0, seed=seed)
        for organ, true in (("liver", 360.0), ("muscle", 0.0)):
            value = of(values, organ)
            inside[organ] += abs(value.value - true) < 1.96 * value.sd_noise
    assert all(n / 150 >= 0.896 for n in inside.values()), inside


def test_scale_errors_by_hand():
    value = of(run(20.0, 10.0)[0], "liver")
    # 18/900 = 2 % and 0.05/1.25 = 4 %: √20 %.
    assert value.sd_scale == pytest.approx(value.value * np.hypot(0.02, 0.04))
    for key in ("reference_sd_ug_per_ml", "signal_ratio_sd"):
        values, findings = run(20.0, 10.0, {k: v for k, v in TUBE.items() if k != key})
        assert of(values, "liver").sd_scale is None and [f.check for f in findings] == ["fluorine_scale_unstated"]


def test_signal_near_the_noise_is_said_with_its_upper_end():
    """At SNR 1 a voxel loses 0.39 sigma: the value is 39 % too low, and the finding's upper end holds the truth, 72 ug/mL."""
    values, findings = run(10.0, 1.0, seed=7)
    assert of(values, "liver").value == pytest.approx(0.61 * 72, rel=0.1)
    assert [f.check for f in findings] == ["fluorine_near_noise"] and "liver" in findings[0].reason
    low, high = (float(word) for word in findings[0].reason.split("liver ")[1].split(" ug/mL")[0].split(" to "))
    assert low == pytest.approx(of(values, "liver").value, rel=0.01) and high == pytest.approx(72, rel=0.1)


def test_a_weak_or_absent_tube_is_refused():
    with pytest.raises(InputError, match="reference_too_weak"):
        run(0.0, 10.0)
    with pytest.raises(InputError, match=r"reference_organ_missing.*liver, muscle.*cap"):
        measure_fluorine(quantity(truth(10.0, 5.0)), organs(), {"fluorine": {**TUBE, "reference_organ": "cap"}})


def test_nan_voxels_are_left_out_and_flagged():
    one = quantity(truth(10.0, 5.0))
    one.values[0, 5, 5, 20:24] = np.nan
    value = of(measure_fluorine(one, organs(), {"fluorine": TUBE})[0], "liver")
    assert value.flag == ("nonfinite_voxels",) and value.value == pytest.approx(360, rel=0.03)
    one.values[0][organs().labels == 2] = np.nan
    assert of(measure_fluorine(one, organs(), {"fluorine": TUBE})[0], "liver").value is None


# --- from a scan ------------------------------------------------------------------------------------------------------


def context(**constants):
    return SimpleNamespace(constants={"coils": 1, **constants}, label=SimpleNamespace(label="pfc", kind="dye"))


def read(image, repeats=1, echoes=(0.002,), sigma=1.0):
    stack = [magnitudes(image * (1.0 if e == 0 else 0.2), sigma, 1, 100 * r + e) for r in range(repeats) for e in range(len(echoes))]
    times = FrameTimes(datetime(2026, 3, 4, 10), (0.0,), (60.0,))
    return Scan(np.array(stack, np.float32), "a.u.", GRID, times, MriHeader(echoes, repeats, None, "19F", 9.4, "classic"))


def test_from_a_scan_to_an_organ():
    made = fluorine_quantity(read(truth(10.0, 5.0)), context(fluorine=TUBE, noise_sd=1.0))
    assert made.kind == KIND and made.values.shape == (1, *GRID.shape) and made.facts == {"noise_sigma": 1.0, "channels": 1.0}
    values, _ = measure(made, organs(), context(fluorine=TUBE))
    assert of(values, "liver").value == pytest.approx(360, rel=0.03)


def test_repeats_and_later_echoes():
    """Nine repeats of SNR 3 with a second echo that is a fifth: the first echo counts, at a third of the noise."""
    made = fluorine_quantity(read(truth(9.0, 3.0), repeats=9, echoes=(0.002, 0.02)), context(fluorine=TUBE, noise_sd=1.0))
    assert made.facts["noise_sigma"] == pytest.approx(1 / 3) and made.facts["channels"] == 9.0
    values, _ = measure(made, organs(), context(fluorine=TUBE))
    value = of(values, "liver")
    assert value.value == pytest.approx(240, rel=0.02) and value.sd_noise < 0.01 * value.value
    assert abs(of(values, "muscle").value) < 4 * of(values, "muscle").sd_noise


def test_what_a_scan_needs():
    with pytest.raises(InputError, match="fluorine_unset"):
        fluorine_quantity(read(truth(9.0, 3.0)), context(noise_sd=1.0))
    iron = SimpleNamespace(constants={"fluorine": TUBE}, label=SimpleNamespace(label="spio", kind="iron"))
    with pytest.raises(InputError, match="label_not_fluorine"):
        fluorine_quantity(read(truth(9.0, 3.0)), iron)
