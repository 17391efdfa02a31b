"""Reference times and in-frame decay: against numerical integration and the golden numbers, never the same formulas."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from tests.pet.pet_cases import HALF_LIFE_S
from tracker.errors import InputError
from tracker.image import FrameTimes
from tracker.pet.header import PetHeader
from tracker.pet.timing import Reference, check_decay_factor, durations_s, middle_factor, reference

ORIGIN = datetime(2026, 3, 2, 11, 0)


def header(correction: str, start_s, duration_s, **more) -> PetHeader:
    start, length = np.atleast_2d(np.array(start_s, float)), np.atleast_2d(np.array(duration_s, float))
    nothing = np.full(start.shape, np.nan)
    plain = PetHeader("", "Maker", "BQML", "", correction, None, ORIGIN, start, length, nothing, nothing, None, None, None, None, "")
    return replace(plain, **more)


def times_of(h: PetHeader) -> FrameTimes:
    first, last = h.slice_start_s.min(axis=1), (h.slice_start_s + h.slice_duration_s).max(axis=1)
    return FrameTimes(ORIGIN, tuple(first), tuple(last - first))


def mean_activity(half_life_s: float, start_s: float, length_s: float) -> float:
    """Mean over a frame of an activity that is 1 at the origin, by numerical integration."""
    return quad(lambda t: 2 ** (-t / half_life_s), start_s, start_s + length_s, epsabs=0, epsrel=1e-13)[0] / length_s


FRAMES = [
    ("18F", 3600.0, 1.20136974),
    ("15O", 120.0, 1.37851211),
    ("11C", 600.0, 1.17958404),
    ("64Cu", 1800.0, 1.01370669),
    ("89Zr", 1200.0, 1.00147406),
]


@pytest.mark.parametrize(("nuclide", "length_s", "golden"), FRAMES)
def test_an_uncorrected_frame_becomes_the_activity_at_its_middle(nuclide, length_s, golden):
    half_life = HALF_LIFE_S[nuclide]
    h = header("NONE", 0, length_s)
    ref = reference(h, ORIGIN, half_life, None)
    factor = middle_factor(h, times_of(h), ref, (half_life, half_life))[0, 0]
    # 1e-10: the integration's own accuracy is 1e-13.
    assert factor * mean_activity(half_life, 0, length_s) == pytest.approx(2 ** (-length_s / 2 / half_life), rel=1e-10)
    assert factor * 2 ** (length_s / 2 / half_life) == pytest.approx(golden, abs=5e-9)


@pytest.mark.parametrize(("nuclide", "length_s", "golden"), FRAMES)
def test_taking_the_mean_for_the_middle_would_be_wrong_by_what_is_published(nuclide, length_s, golden):
    half_life = HALF_LIFE_S[nuclide]
    share = mean_activity(half_life, 0, length_s) * 2 ** (length_s / 2 / half_life)
    expected = {"18F": 1.0060, "15O": 1.0194}.get(nuclide)
    if expected:
        assert share == pytest.approx(expected, abs=5e-5)
    assert share > 1


def test_the_mean_time_of_18f_over_an_hour_is_the_golden_one():
    h = header("NONE", 0, 3600)
    assert reference(h, ORIGIN, 6586.2, None).seconds[0, 0] == pytest.approx(1743.2370, abs=5e-5)


@settings(max_examples=60, deadline=None)
@given(
    half_life=st.floats(60, 5e6),
    scanner=st.floats(0.97, 1.03),
    start=st.floats(0, 20000),
    length=st.floats(1, 7200),
    before=st.floats(0, 20000),
    correction=st.sampled_from(["START", "ADMIN", "TIME", "NONE"]),
)
def test_whatever_the_scanner_did_is_undone_exactly(half_life, scanner, start, length, before, correction):
    # Nature decays with half_life; the scanner corrected with its own, a few percent off, to `before` seconds before the origin.
    stated = half_life * scanner
    if max(start + before, length) > 25 * min(half_life, stated):
        return  # numbers of 1e-8 and less test rounding, not physics
    seen = mean_activity(half_life, start, length)
    if correction != "NONE":
        seen *= 2 ** ((start + before) / stated) / mean_activity(stated, 0, length)
    moment = ORIGIN - timedelta(seconds=before)
    h = header(correction, start, length, series_start=moment, decay_reference=moment)
    ref = reference(h, ORIGIN, stated, moment)
    value = seen * middle_factor(h, times_of(h), ref, (stated, half_life))[0, 0]
    # Times are kept to the microsecond: 1e-6 s of the shortest half-life is 1e-8.
    assert value == pytest.approx(2 ** (-(start + length / 2) / half_life), rel=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.floats(1, 1e5), st.integers(1, 20))
def test_a_doubled_half_life_over_doubled_times_changes_nothing(half_life, k):
    one, two = header("START", 10 * k, 60 * k), header("START", 20 * k, 120 * k)
    factors = [
        middle_factor(h, times_of(h), Reference(np.zeros((1, 1)), ""), (f, f))[0, 0] for h, f in ((one, half_life), (two, 2 * half_life))
    ]
    assert factors[0] == pytest.approx(factors[1], rel=1e-12)


def test_beds_under_start_share_one_moment_and_under_none_have_their_own():
    # Two beds of two slices, ten minutes apart, 18F.
    starts, lengths, half_life = [0.0, 0.0, 600.0, 600.0], [300.0] * 4, HALF_LIFE_S["18F"]
    none = header("NONE", starts, lengths)
    own = reference(none, ORIGIN, half_life, None).seconds[0]
    assert own[2] - own[0] == pytest.approx(600) and own[0] == own[1]
    together = reference(header("START", starts, lengths), ORIGIN, half_life, None).seconds[0]
    assert together.tolist() == [0.0] * 4
    middle_s = 450.0
    for correction, seen in (
        ("NONE", [mean_activity(half_life, s, 300) for s in starts]),
        ("START", [1.0] * 4),
    ):
        h = header(correction, starts, lengths)
        value = np.array(seen) * middle_factor(h, times_of(h), reference(h, ORIGIN, half_life, None), (half_life, half_life))[0]
        np.testing.assert_allclose(value, 2 ** (-middle_s / half_life), rtol=1e-10)


LATER = {"series_start": ORIGIN + timedelta(hours=5)}


def average_s(length_s: float, half_life_s: float) -> float:
    return -np.log(mean_activity(half_life_s, 0, length_s)) / np.log(2) * half_life_s


def test_row_19_a_redated_series_is_computed_back_from_the_reference_time():
    # Frames of one series of different length: their reference times lead to one start, ten minutes before the first.
    lengths, starts = [60.0, 300.0, 900.0], [0.0, 60.0, 360.0]
    marks = [600 + s + average_s(d, 6586.2) for s, d in zip(starts, lengths, strict=True)]
    h = header("START", [[s] for s in starts], [[d] for d in lengths], frame_reference_s=np.array(marks)[:, None], **LATER)
    np.testing.assert_allclose(reference(h, ORIGIN, 6586.2, None).seconds, -600.0, atol=1e-6)


def test_row_19_ge_counts_to_the_start_of_the_frame():
    marks = np.array([[600.0], [660.0]])
    h = header("START", [[0], [60]], [[60], [60]], frame_reference_s=marks, manufacturer="GE MEDICAL SYSTEMS", **LATER)
    np.testing.assert_allclose(reference(h, ORIGIN, 6586.2, None).seconds, -600.0, atol=1e-9)
    # A maker whose name merely contains the letters is not GE.
    other = replace(h, manufacturer="Imaging Bridge")
    assert reference(other, ORIGIN, 6586.2, None).seconds[0, 0] == pytest.approx(-600 + average_s(60, 6586.2))


def test_row_19_the_makers_private_start_is_taken_before_any_computation():
    h = header("START", 0, 300, decay_reference=ORIGIN - timedelta(seconds=77), frame_reference_s=np.array([[1e4]]), **LATER)
    found = reference(h, ORIGIN, 6586.2, None)
    assert found.seconds[0, 0] == -77 and found.how == "private scan start"


@pytest.mark.parametrize("days", [-1, 1, 400])
def test_row_19_a_private_start_that_anonymisation_left_on_another_day_is_not_used(days):
    mark = 120 + average_s(300, 6586.2)
    h = header("START", 0, 300, decay_reference=ORIGIN + timedelta(days=days), frame_reference_s=np.array([[mark]]), **LATER)
    assert reference(h, ORIGIN, 6586.2, None).seconds[0, 0] == pytest.approx(-120)


@pytest.mark.parametrize(
    ("frames", "marks", "lengths"),
    [
        ([[0], [600]], [[300], [4000]], [[300], [300]]),  # two starts
        ([[0]], [[0]], [[300]]),  # another maker's frame start: the reference would lie after the acquisition began
        ([[0]], [[60000]], [[300]]),  # seventeen hours before
    ],
)
def test_row_19_reference_times_that_lead_nowhere_are_refused(frames, marks, lengths):
    with pytest.raises(InputError) as raised:
        reference(header("START", frames, lengths, frame_reference_s=np.array(marks, float), **LATER), ORIGIN, 6586.2, None)
    assert raised.value.code == "reference_time_inconsistent" and "starts from" in raised.value.found


def test_row_19_nothing_to_compute_from_is_refused():
    with pytest.raises(InputError) as raised:
        reference(header("START", 0, 300, **LATER), ORIGIN, 6586.2, None)
    error = raised.value
    assert (
        error.code == "reference_time_unknown"
        and "16:00" in error.found
        and "11:00" in error.found
        and "FrameReferenceTime" in error.expected
    )


def test_a_series_that_began_half_a_day_before_is_a_wrong_date():
    with pytest.raises(InputError, match="acquisition_date_implausible"):
        reference(header("START", 0, 300, series_start=ORIGIN - timedelta(days=1)), ORIGIN, 6586.2, None)


@pytest.mark.parametrize(
    ("correction", "more", "code"),
    [
        ("ADMIN", {}, "reference_time_unknown"),
        ("TIME", {}, "reference_time_unknown"),
        ("START", {"series_start": None}, "series_time_missing"),
        ("", {}, "decay_correction_unknown"),
        ("YES", {}, "decay_correction_unknown"),
    ],
)
def test_moments_that_nobody_states_are_refused(correction, more, code):
    with pytest.raises(InputError, match=code):
        reference(header(correction, 0, 300, **more), ORIGIN, 6586.2, None)


@pytest.mark.parametrize(
    ("correction", "lengths"), [("NONE", [[np.nan]]), ("NONE", [[0.0]]), ("START", [[300.0], [np.nan]]), ("START", [[300.0, 0.0]])]
)
def test_row_22_a_frame_length_that_is_needed_and_missing_is_refused(correction, lengths):
    with pytest.raises(InputError) as raised:
        durations_s(header(correction, np.zeros_like(lengths), lengths))
    assert raised.value.code == "frame_duration_missing" and "ActualFrameDuration" in raised.value.do


def test_row_22_a_static_corrected_scan_without_length_holds_at_its_start():
    h = header("START", [0.0, 0.0], [np.nan, np.nan])
    ref = reference(h, ORIGIN, 6586.2, None)
    times = FrameTimes(ORIGIN, (0.0,), (0.0,))
    assert middle_factor(h, times, ref, (6586.2, 6586.2)).tolist() == [[1.0, 1.0]]
    assert [(f.check, f.status) for f in ref.findings] == [("frame_duration", "warn")]


EXACT = 2 ** (600 / 6586.2) / mean_activity(6586.2, 0, 300)


@pytest.mark.parametrize(
    ("stated", "status"),
    [
        (EXACT, "ok"),
        (2 ** (750 / 6586.2), "ok"),  # to the frame's middle
        (2 ** (600 / 6586.2), "ok"),  # to its start
        (EXACT * 1.02, "warn"),
        (1.0, None),  # some makers write 1 everywhere
        (np.nan, None),
    ],
)
def test_row_21_decay_factors_that_follow_from_the_times(stated, status):
    h = header("START", 600, 300, decay_factor=np.array([[stated]]))
    found = check_decay_factor(h, ORIGIN, reference(h, ORIGIN, 6586.2, None), 6586.2)
    assert (found.status if found else None) == status


@pytest.mark.parametrize("stated", [EXACT * 2, EXACT / 1.5, 0.0, -1.0])
def test_row_21_a_decay_factor_that_contradicts_the_times_is_refused(stated):
    h = header("START", 600, 300, decay_factor=np.array([[stated]]))
    with pytest.raises(InputError) as raised:
        check_decay_factor(h, ORIGIN, reference(h, ORIGIN, 6586.2, None), 6586.2)
    assert raised.value.code == "decay_factor_contradicts_times"
    assert raised.value.found == f"{stated:.5g}" and raised.value.expected.startswith(f"{EXACT:.5g}")
