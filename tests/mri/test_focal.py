"""Signal voids: their volume and its error, and the calibration that is for one protocol only."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from tracker.errors import InputError
from tracker.image import FrameTimes, Grid, OrganMap, Quantity
from tracker.mri.focal import measure_voids, threshold, void_noise
from tracker.mri.measure import measure
from tracker.table import FLAGS, QUANTITIES

GRID = Grid((12, 20, 20), np.diag([0.1, 0.1, 0.3, 1.0]))
# 0.1 × 0.1 × 0.3 mm is 0.003 mm³, 3e-6 mL.
VOXEL_ML = 3e-6
NAMES = {1: "muscle", 2: "liver", 3: "heart"}
CALIBRATION = {"cells_per_ml": 2e7, "cells_per_ml_sd": 4e6, "field_t": 9.4, "echo_time_ms": 8.0, "voxel_mm": [0.3, 0.1, 0.1]}
FOCAL = {"reference_organ": "muscle", "echo_time_ms": 8.0, "threshold_sd": 5}
FACTS = {"field_t": 9.4, "focal_echo_time_ms": 8.0, "noise_sigma": 3.0}


def organs():
    labels = np.zeros(GRID.shape, np.uint16)
    labels[1:11, 1:19, 1:7], labels[1:11, 1:19, 7:13], labels[1:11, 1:19, 13:19] = 1, 2, 3
    return OrganMap(labels, NAMES, GRID)


def body(voids, level=100.0):
    """A body of one signal in which the first ``voids`` voxels of the liver are dark, without noise."""
    labels, image = organs().labels, np.full(GRID.shape, level)
    image[labels == 0] = 0.0
    where = np.argwhere(labels == 2)[:voids]
    image[tuple(where.T)] = 5.0
    return image


def rician(image, sigma, seed):
    random = np.random.default_rng(seed)
    return np.hypot(image + random.normal(0, sigma, image.shape), random.normal(0, sigma, image.shape)).astype(np.float32)


def scan(image, facts=FACTS, grid=GRID):
    times = FrameTimes(datetime(2026, 3, 4, 10), (0.0,), (60.0,))
    maps = {"focal_magnitude": np.asarray(image, np.float32)[None]}
    return Quantity(np.zeros((1, *grid.shape), np.float32), "1/s", grid, times, "relaxation_rate", maps=maps, facts=facts)


def run(image, focal=FOCAL, organ_map=None, **of_scan):
    return measure_voids(scan(image, **of_scan), organ_map or organs(), {"focal": focal})


def rows(values, quantity="hypointense_volume"):
    return {v.organ: v for v in values if v.quantity == quantity}


def test_the_volume_of_a_known_void():
    values, findings = run(rician(body(137), 3.0, seed=1))
    found = rows(values)
    # 100 ± 3 against 5: the threshold at 85 is 5 noise sds from tissue and 26 from the void, no voxel crosses.
    assert found["liver"].value == pytest.approx(137 * VOXEL_ML, rel=1e-12) and found["heart"].value == 0.0
    assert set(found) == {"liver", "heart"} and findings == () and not rows(values, "cells_focal")
    assert found["liver"].sd_scale == 0.0 and found["heart"].sd_noise is not None
    assert all(v.unit in QUANTITIES[v.quantity] and set(v.flag) <= set(FLAGS) for v in values)


def test_gain_changes_nothing():
    image = rician(body(40), 3.0, seed=2)
    once, _ = run(image)
    again, _ = run(1.7 * image, facts={**FACTS, "noise_sigma": 1.7 * 3.0})
    assert [v.value for v in once] == [v.value for v in again]
    assert [v.sd_noise for v in once] == pytest.approx([v.sd_noise for v in again], rel=1e-4)


def test_the_threshold_by_hand():
    # Mean 100, squared distances 4 + 4 + 1 + 1 = 10, SD √(10/3) = 1.8257; error SD·√((1 + 9/2)/4).
    limit = threshold(np.array([98.0, 102.0, 99.0, 101.0, np.nan]), 3.0)
    assert limit.level == pytest.approx(100 - 3 * 1.825742) and limit.sd == pytest.approx(1.825742 * np.sqrt(5.5 / 4))
    assert limit.noise_sd == pytest.approx(1.825742) and threshold(np.array([98.0, 102.0]), 3.0, 1.0).noise_sd == 1.0


def test_the_error_is_the_scatter_of_repeats():
    """A void with a wide soft edge, as susceptibility makes: 300 noisy images of it, against what each one says of itself."""
    image, labels = body(0), organs().labels
    z, y, x = np.indices(GRID.shape)
    radius = np.sqrt(((z - 6) * 3.0) ** 2 + (y - 10) ** 2 + (x - 10) ** 2)
    image = np.where(labels > 0, image * np.clip(radius / 9, 0.05, 1.0), 0.0)
    image[labels == 1] = 100.0
    volumes, stated = [], []
    for seed in range(300):
        liver = rows(run(rician(image, 4.0, seed), facts={**FACTS, "noise_sigma": 4.0})[0])["liver"]
        volumes.append(liver.value)
        stated.append(liver.sd_noise)
    assert np.std(volumes) > 2 * VOXEL_ML, "the noise must move the volume for this test to say anything"
    # A scatter of 300 is known to 4 %; the plug-in of measured for true signals costs a few percent more.
    assert np.sqrt(np.mean(np.square(stated))) == pytest.approx(np.std(volumes), rel=0.15)


def test_no_noise_no_error():
    assert void_noise(np.array([1.0, 2.0]), threshold(np.array([5.0, 5.0]), 5.0)) == 0.0


def test_cells_where_the_protocol_is_the_calibrations():
    values, findings = run(rician(body(100), 3.0, seed=3), {**FOCAL, "calibration": CALIBRATION})
    liver, volume = rows(values, "cells_focal")["liver"], rows(values)["liver"]
    # 100 voxels of 3e-6 mL at 2e7 cells/mL are 6000 cells; a fifth of it is the calibration's.
    assert liver.value == pytest.approx(6000) and liver.sd_scale == pytest.approx(1200) and findings == ()
    assert liver.sd_noise == pytest.approx(volume.sd_noise * 2e7) and liver.unit == "cells"
    no_sd = {key: value for key, value in CALIBRATION.items() if key != "cells_per_ml_sd"}
    assert rows(run(body(100), {**FOCAL, "calibration": no_sd})[0], "cells_focal")["liver"].sd_scale is None


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"field_t": 7.0}, "field_t 9.4 T, calibrated at 7 T"),
        ({"echo_time_ms": 7.9}, "echo_time_ms 8 ms, calibrated at 7.9 ms"),
        ({"voxel_mm": [0.1, 0.1, 0.2]}, "voxel 0.1 x 0.1 x 0.3 mm, calibrated at 0.1 x 0.1 x 0.2 mm"),
    ],
)
def test_a_calibration_is_not_carried_over(changed, word):
    values, findings = run(rician(body(100), 3.0, seed=3), {**FOCAL, "calibration": {**CALIBRATION, **changed}})
    assert all(v.value is None and v.sd_noise is None and v.sd_scale is None for v in rows(values, "cells_focal").values())
    assert rows(values)["liver"].value == pytest.approx(100 * VOXEL_ML)
    assert [(f.check, f.status) for f in findings] == [("focal_calibration_other_protocol", "warn")]
    assert "refused" in findings[0].reason and word in findings[0].reason


@pytest.mark.parametrize("changed", [{"field_t": 9.48}, {"echo_time_ms": 8.07}, {"voxel_mm": [0.104, 0.1, 0.3]}])
def test_rounding_is_no_other_protocol(changed):
    values, findings = run(rician(body(100), 3.0, seed=3), {**FOCAL, "calibration": {**CALIBRATION, **changed}})
    assert findings == () and rows(values, "cells_focal")["liver"].value is not None


def test_an_unknown_field_is_not_the_same_field():
    facts = {key: value for key, value in FACTS.items() if key != "field_t"}
    constants = {"focal": {**FOCAL, "calibration": CALIBRATION}}
    _, findings = measure_voids(scan(body(9), facts), organs(), constants)
    assert "field_t unknown" in findings[0].reason
    assert measure_voids(scan(body(9), facts), organs(), {**constants, "field_t": 9.4})[1] == ()


def test_a_threshold_in_the_noise_is_said():
    """SNR 7: 5 sds below the mean is 2 sds above nothing, where noise alone often lies."""
    _, findings = run(rician(body(50, level=21.0), 3.0, seed=4))
    assert [f.check for f in findings] == ["focal_threshold_in_noise"] and "too small" in findings[0].reason
    values, findings = run(rician(body(50, level=12.0), 3.0, seed=4))
    assert "no volume" in findings[0].reason and all(v.value is None for v in values)


def test_an_organ_that_is_dark_by_itself_is_said():
    # Lung beside muscle: nine of ten voxels are void before any cell came, and a deposit would change nothing.
    voxels = int((organs().labels == 2).sum())
    values, findings = run(rician(body(round(0.9 * voxels)), 3.0, seed=5))
    assert [(f.check, f.status) for f in findings] == [("focal_organ_dark", "warn")] and "liver" in findings[0].reason
    liver = rows(values)["liver"]
    assert (liver.value, liver.sd_noise) == (None, None) and "saturated" in liver.flag


def test_voxels_that_are_not_finite_are_no_void():
    image = rician(body(20), 3.0, seed=5)
    image[5, 5, 12] = np.nan
    liver = rows(run(image)[0])["liver"]
    assert liver.value == pytest.approx(20 * VOXEL_ML) and liver.flag == ("nonfinite_voxels",)
    image[organs().labels == 3] = np.nan
    assert rows(run(image)[0])["heart"].value is None


@pytest.mark.parametrize("organ", ["spleen", "bone"])
def test_a_missing_reference_is_refused(organ):
    organ_map = OrganMap(organs().labels, {**NAMES, 4: "bone"}, GRID)
    with pytest.raises(InputError) as caught:
        run(body(5), {**FOCAL, "reference_organ": organ}, organ_map)
    assert caught.value.code == "reference_organ_missing" and organ in str(caught.value)


def test_nothing_is_measured_unasked():
    context = SimpleNamespace(constants={"coils": 1})
    assert measure(scan(body(50)), organs(), context) == ((), ())
    context.constants["focal"] = FOCAL
    assert len(measure(scan(body(50)), organs(), context)[0]) == 2


def test_the_image_is_not_changed():
    image = rician(body(20), 3.0, seed=6)
    quantity = scan(image)
    quantity.maps["focal_magnitude"].flags.writeable = False
    measure_voids(quantity, organs(), {"focal": FOCAL})
