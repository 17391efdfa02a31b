"""Classic PET DICOM from raw files to Bq/mL: each slice its own slope and time, frames by time, every way of decay correction."""

from __future__ import annotations

import hashlib
import shutil
from datetime import timedelta

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pet.pet_cases import HALF_LIFE_S, INJECTION, START, calibrated, context_of, flat, grid_of, image_of, statuses, uneven
from tracker.pet.phantom import PetImage
from tracker.pet.read import read

F18 = HALF_LIFE_S["18F"]
# Writers: int16 with ten digits of slope; reader: float32. Flat slices use the full range, so that only float32 rounds.
EXACT = 3e-7


def at_middle(level: np.ndarray, start_s: float, length_s: float, half_life_s: float) -> np.ndarray:
    return level * 2 ** (-(start_s + length_s / 2) / half_life_s)


@pytest.mark.parametrize("correction", ["START", "ADMIN", "NONE"])
@pytest.mark.parametrize("nuclide", ["18F", "64Cu", "89Zr"])
def test_a_static_scan_is_right_whatever_the_decay_correction(write, correction, nuclide):
    half_life = HALF_LIFE_S[nuclide]
    path = write("classic", image_of(flat(), [(0, 1800)], half_life), nuclide=nuclide, decay_correction=correction)
    found = calibrated(path, context_of(path, nuclide))
    np.testing.assert_allclose(np.asarray(found.values)[0], at_middle(flat(), 0, 1800, half_life), rtol=EXACT)
    assert found.unit == "Bq/mL" and found.times.origin == START and found.times.duration_s == (1800.0,)


def test_every_slice_has_its_own_slope(write):
    path = write("classic", image_of(uneven(), [(0, 600)], F18))
    slopes = {float(pydicom.dcmread(p).RescaleSlope) for p in path.iterdir()}
    assert len(slopes) == 4
    found = np.asarray(calibrated(path, context_of(path)).values)[0]
    truth = at_middle(uneven(), 0, 600, F18)
    # int16: within half a step of each slice's own slope (decayed as the slice is).
    step = truth.max(axis=(1, 2), keepdims=True) / 32760
    assert (abs(found - truth) <= 0.5001 * step + 1e-6 * truth).all()


@pytest.mark.parametrize(
    ("nuclide", "passed", "wall_clock_only"),
    [("89Zr", timedelta(days=7), 4.4), ("64Cu", timedelta(hours=48), 13.7)],
)
@pytest.mark.parametrize("correction", ["START", "ADMIN", "NONE"])
def test_decay_over_days_is_dated_and_not_by_the_time_of_day(write, nuclide, passed, wall_clock_only, correction):
    half_life = HALF_LIFE_S[nuclide]
    # The activity at the dose is 1e6 a slice number; what the scan sees has decayed for days.
    dose_level, start = flat() * 50, INJECTION + passed + timedelta(minutes=20)
    since_s = (start - INJECTION).total_seconds()
    seen = image_of(dose_level * 2 ** (-since_s / half_life), [(0, 1200)], half_life)
    path = write("classic", seen, nuclide=nuclide, scan_start=start, decay_correction=correction)
    found = calibrated(path, context_of(path, nuclide))
    truth = dose_level * 2 ** (-(since_s + 600) / half_life)
    np.testing.assert_allclose(np.asarray(found.values)[0], truth, rtol=1e-6)
    # What the difference of the two times of day would have made of it.
    time_of_day_s = since_s % 86400
    assert 2 ** ((since_s - time_of_day_s) / half_life) == pytest.approx(wall_clock_only, abs=0.05)


@pytest.mark.parametrize("correction", ["START", "ADMIN", "NONE"])
@pytest.mark.parametrize(("stated", "constants"), [(6588.0, {}), (6450.0, {}), (4062.6, {"accept_other_nuclide": True})])
def test_another_half_life_in_the_header_is_undone_and_the_nuclides_own_applied(write, correction, stated, constants):
    # Injection an hour before, so that ADMIN with a wrong half-life is off by percents until it is undone.
    path = write("classic", image_of(flat(), [(0, 1800)], F18), half_life_s=stated, decay_correction=correction)
    found = calibrated(path, context_of(path, constants=constants))
    np.testing.assert_allclose(np.asarray(found.values)[0], at_middle(flat(), 0, 1800, F18), rtol=EXACT)
    assert statuses(found.findings)["half_life"] == ("ok" if stated == 6588.0 else "warn")


FRAMES = [(0.0, 30.0), (30.0, 60.0), (90.0, 600.0), (690.0, 1800.0)]


@pytest.mark.parametrize("correction", ["START", "NONE"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_dynamic_series_is_ordered_by_time_and_right_in_every_frame(write, correction, shuffled):
    path = write("classic", image_of(flat(), FRAMES, F18), decay_correction=correction, shuffled=shuffled)
    found = calibrated(path, context_of(path))
    for t, (start_s, length_s) in enumerate(FRAMES):
        np.testing.assert_allclose(np.asarray(found.values[t]), at_middle(flat(), start_s, length_s, F18), rtol=EXACT)
    assert found.times.start_s == (0, 30, 90, 690) and found.times.duration_s == (30, 60, 600, 1800)


def test_reversed_file_names_change_nothing(write):
    path = write("classic", image_of(uneven(), FRAMES, F18))
    before = np.asarray(calibrated(path, context_of(path)).values)
    files = sorted(path.iterdir())
    turned = path.with_name("turned")
    turned.mkdir()
    for n, file in enumerate(reversed(files)):
        shutil.copy(file, turned / f"{n:04d}")
    after = calibrated(turned, context_of(turned))
    np.testing.assert_array_equal(before, np.asarray(after.values))


def test_input_files_are_not_touched(write):
    path = write("classic", image_of(uneven(), FRAMES, F18))
    before = {p.name: (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in path.iterdir()}
    np.asarray(calibrated(path, context_of(path)).values)
    assert {p.name: (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in path.iterdir()} == before


def test_the_scan_stays_as_it_was_read(write):
    path = write("classic", image_of(uneven(), [(0, 600)], F18))
    context = context_of(path)
    scan = read(path, "", context)
    before = np.asarray(scan.values).copy()
    from tracker.pet.calibrate import calibrate

    np.asarray(calibrate(scan, context).values)
    np.testing.assert_array_equal(np.asarray(scan.values), before)


@pytest.mark.parametrize("correction", ["START", "NONE"])
def test_two_beds_of_one_static_scan(write, correction):
    # The second bed is measured a quarter of an hour later: 18F has lost 9 %. One moment is given to both: the middle of the whole.
    level, starts, length_s = flat(), np.array([[0.0, 0.0, 900.0, 900.0]]), 600.0
    rate = np.log(2) / F18
    means = level * (np.exp(-rate * starts[0]) * -np.expm1(-rate * length_s) / (rate * length_s))[:, None, None]
    path = write("classic", PetImage(means[None], starts, np.full((1, 4), length_s), grid_of((4, 3, 5))), decay_correction=correction)
    found = calibrated(path, context_of(path))
    np.testing.assert_allclose(np.asarray(found.values)[0], level * 2 ** (-750 / F18), rtol=EXACT)
    assert found.times.duration_s == (1500.0,)


@pytest.mark.parametrize("feet_first", [False, True])
def test_the_grid_is_the_truths(write, feet_first):
    grid = grid_of((4, 3, 5), feet_first)
    path = write("classic", image_of(uneven(), [(0, 600)], F18, grid), shuffled=True)
    found = calibrated(path, context_of(path))
    values, at = np.asarray(found.values)[0], found.grid.affine
    # The same value at the same place, whichever way the stack runs.
    truth = at_middle(uneven(), 0, 600, F18)
    for z, y, x in np.ndindex(4, 3, 5):
        place = grid.affine @ [x, y, z, 1]
        i, j, k = np.rint(np.linalg.solve(at, place))[:3].astype(int)
        np.testing.assert_allclose(at @ [i, j, k, 1], place, atol=1e-6)
        assert values[k, j, i] == pytest.approx(truth[z, y, x], abs=truth[z].max() / 32760)


def shifted(folder, days: int, seconds: float, to):
    """Copies a series with every date and time later by the same amount."""
    from pydicom.dataset import Dataset

    moved = timedelta(days=days, seconds=seconds)

    def later(item: Dataset, date: str, clock: str) -> None:
        from tracker.dicom.times import parse_date_time

        moment = parse_date_time(item.get(date), item.get(clock))
        if moment is not None:
            setattr(item, date, (moment + moved).strftime("%Y%m%d"))
            setattr(item, clock, (moment + moved).strftime("%H%M%S.%f"))

    to.mkdir()
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        for pair in ("Series", "Acquisition", "Study", "Content"):
            later(ds, f"{pair}Date", f"{pair}Time")
        item = ds.RadiopharmaceuticalInformationSequence[0]
        injected = INJECTION + moved
        item.RadiopharmaceuticalStartDateTime = injected.strftime("%Y%m%d%H%M%S.%f")
        item.RadiopharmaceuticalStartTime = injected.strftime("%H%M%S.%f")
        ds.save_as(to / file.name)
    return to


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.integers(-4000, 4000), seconds=st.sampled_from([0, 3600, 12 * 3600 + 1800, 12 * 3600 + 3599, 13 * 3600, 23 * 3600]))
def test_shifting_all_times_changes_nothing(write, tmp_path_factory, days, seconds):
    # 12 h 30 to 13 h later the scan crosses midnight; 13 h later the injection is the only thing before it.
    folder = tmp_path_factory.mktemp("shift")
    path = write("classic", image_of(flat(), FRAMES, F18), decay_correction="ADMIN", name=folder.name)
    before = calibrated(path, context_of(path))
    later = timedelta(days=days, seconds=seconds)
    moved = shifted(path, days, seconds, folder / "moved")
    after = calibrated(moved, context_of(moved, dose_time=INJECTION + later))
    np.testing.assert_array_equal(np.asarray(before.values), np.asarray(after.values))
    assert after.times.origin - before.times.origin == later and after.times.start_s == before.times.start_s
    assert statuses(after.findings) == statuses(before.findings)


def test_doubled_stored_values_are_doubled_activity(write):
    path = write("classic", image_of(flat(), [(0, 600)], F18))
    before = np.asarray(calibrated(path, context_of(path)).values)
    for file in path.iterdir():
        ds = pydicom.dcmread(file)
        half = np.frombuffer(ds.PixelData, "<i2") // 2
        ds.PixelData = half.astype("<i2").tobytes()
        ds.save_as(file)
    np.testing.assert_allclose(2 * np.asarray(calibrated(path, context_of(path)).values), before, rtol=1e-6)


def test_zero_in_zero_out(write):
    path = write("classic", image_of(flat() * 0, [(0, 600)], F18))
    assert not np.asarray(calibrated(path, context_of(path)).values).any()


def test_frames_are_read_one_at_a_time(write):
    path = write("classic", image_of(flat(), FRAMES, F18))
    values = calibrated(path, context_of(path)).values
    assert values.chunks[0] == (1, 1, 1, 1) and values.dtype == np.float32


def test_frames_that_all_were_given_one_acquisition_time_are_refused(write):
    # Post-processing may write one acquisition time into all frames: without frame times a dynamic series is refused, never guessed.
    from tracker.errors import InputError

    path = write("classic", image_of(flat(), FRAMES, F18))
    for file in path.iterdir():
        ds = pydicom.dcmread(file)
        ds.AcquisitionTime = "110000"
        ds.save_as(file)
    with pytest.raises(InputError, match="duplicate_position"):
        read(path, "", context_of(path))
