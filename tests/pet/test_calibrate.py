"""The whole of `calibrate`: unit, uncertainty, times, method, and what a common factor does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from tests.pet.pet_cases import HALF_LIFE_S, INJECTION, START, calibrated, context_of, flat, image_of
from tracker.image import Scan
from tracker.pet.calibrate import calibrate
from tracker.pet.phantom import PetImage
from tracker.pet.read import read

F18 = HALF_LIFE_S["18F"]


def test_what_a_quantity_says_of_itself(write):
    path = write("classic", image_of(flat(), [(0, 600)], F18))
    found = calibrated(path, context_of(path))
    assert (found.unit, found.kind, found.scale_cv, found.sd_voxel) == ("Bq/mL", "concentration", None, None)
    assert found.method == "classic Bq/mL>series start>middle of frame"
    assert calibrated(path, context_of(path, constants={"calibration_sd_percent": 5.0})).scale_cv == 0.05


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(1e-6, 1e6))
def test_a_factor_in_is_a_factor_out(write, factor):
    path = write("classic", image_of(flat(), [(0, 600)], F18))
    context = context_of(path)
    scan = read(path, "", context)
    once = np.asarray(calibrate(scan, context).values)
    more = Scan(np.asarray(scan.values) * np.float32(factor), scan.unit, scan.grid, scan.times, scan.header, scan.findings)
    # Two float32 products.
    np.testing.assert_allclose(np.asarray(calibrate(more, context).values), once * np.float32(factor), rtol=3e-7)


@pytest.mark.parametrize(("nuclide", "length_s"), [("18F", 3600.0), ("15O", 120.0), ("11C", 600.0)])
def test_long_frames_against_numerical_integration(write, nuclide, length_s):
    half_life = HALF_LIFE_S[nuclide]
    mean = quad(lambda t: 2 ** (-t / half_life), 0, length_s, epsrel=1e-12)[0] / length_s
    image = image_of(flat(), [(0, length_s)], half_life)
    seen = PetImage(flat()[None] * mean, image.start_s, image.duration_s, image.grid)

    def short_lived(ds):
        # The writers know 18F, 64Cu, 89Zr, 99mTc and 111In; uncorrected values need no more of a nuclide than this.
        item = ds.RadiopharmaceuticalInformationSequence[0]
        item.RadionuclideHalfLife, item.RadionuclideCodeSequence, item.RadionuclidePositronFraction = f"{half_life}", [], None
        start = START.replace(minute=0).strftime("%Y%m%d%H%M%S")
        item.RadiopharmaceuticalStartDateTime, item.RadiopharmaceuticalStartTime = start, start[8:]

    path = write("classic", seen, decay_correction="NONE", edit=short_lived)
    found = np.asarray(calibrated(path, context_of(path, nuclide, dose_time=START)).values)[0]
    np.testing.assert_allclose(found, flat() * 2 ** (-length_s / 2 / half_life), rtol=1e-6)


def test_the_sheets_dose_and_weight_do_not_touch_activities(write):
    path = write("classic", image_of(flat(), [(0, 600)], F18))
    one = np.asarray(calibrated(path, context_of(path)).values)
    other = np.asarray(calibrated(path, context_of(path, amount_bq=1e3, weight_g=60.0, dose_time=INJECTION.replace(hour=9))).values)
    np.testing.assert_array_equal(one, other)


def test_negative_values_are_kept(write):
    path = write("classic", image_of(-flat(), [(0, 600)], F18))
    assert (np.asarray(calibrated(path, context_of(path)).values) < 0).all()
