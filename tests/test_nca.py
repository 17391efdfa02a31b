"""Non-compartmental analysis: published results, analytic curves, quadrature, and the rules for censored points."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from tracker.errors import InputError
from tracker.nca import COLUMNS, DEFAULT_QUANTITIES, FLAGS, NcaRow, nca, write_nca
from tracker.nca.integrate import auc, aumc, decayed_auc, terminal_slope
from tracker.table import Row

HALF_LIFE_S = 45720.0  # 64Cu
DECAY_PER_H = math.log(2) * 3600 / HALF_LIFE_S

# R's datasets::Theoph (oral theophylline, 12 subjects; NONMEM user's guide V, 1994): hours, then mg/L.
THEOPH: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    1: (
        (0, 0.25, 0.57, 1.12, 2.02, 3.82, 5.1, 7.03, 9.05, 12.12, 24.37),
        (0.74, 2.84, 6.57, 10.5, 9.66, 8.58, 8.36, 7.47, 6.89, 5.94, 3.28),
    ),
    2: (
        (0, 0.27, 0.52, 1, 1.92, 3.5, 5.02, 7.03, 9, 12, 24.3),
        (0, 1.72, 7.91, 8.31, 8.33, 6.85, 6.08, 5.4, 4.55, 3.01, 0.9),
    ),
    3: (
        (0, 0.27, 0.58, 1.02, 2.02, 3.62, 5.08, 7.07, 9, 12.15, 24.17),
        (0, 4.4, 6.9, 8.2, 7.8, 7.5, 6.2, 5.3, 4.9, 3.7, 1.05),
    ),
    4: (
        (0, 0.35, 0.6, 1.07, 2.13, 3.5, 5.02, 7.02, 9.02, 11.98, 24.65),
        (0, 1.89, 4.6, 8.6, 8.38, 7.54, 6.88, 5.78, 5.33, 4.19, 1.15),
    ),
    5: (
        (0, 0.3, 0.52, 1, 2.02, 3.5, 5.02, 7.02, 9.1, 12, 24.35),
        (0, 2.02, 5.63, 11.4, 9.33, 8.74, 7.56, 7.09, 5.9, 4.37, 1.57),
    ),
    6: (
        (0, 0.27, 0.58, 1.15, 2.03, 3.57, 5, 7, 9.22, 12.1, 23.85),
        (0, 1.29, 3.08, 6.44, 6.32, 5.53, 4.94, 4.02, 3.46, 2.78, 0.92),
    ),
    7: (
        (0, 0.25, 0.5, 1.02, 2.02, 3.48, 5, 6.98, 9, 12.05, 24.22),
        (0.15, 0.85, 2.35, 5.02, 6.58, 7.09, 6.66, 5.25, 4.39, 3.53, 1.15),
    ),
    8: (
        (0, 0.25, 0.52, 0.98, 2.02, 3.53, 5.05, 7.15, 9.07, 12.1, 24.12),
        (0, 3.05, 3.05, 7.31, 7.56, 6.59, 5.88, 4.73, 4.57, 3, 1.25),
    ),
    9: (
        (0, 0.3, 0.63, 1.05, 2.02, 3.53, 5.02, 7.17, 8.8, 11.6, 24.43),
        (0, 7.37, 9.03, 7.14, 6.33, 5.66, 5.67, 4.24, 4.11, 3.16, 1.12),
    ),
    10: (
        (0, 0.37, 0.77, 1.02, 2.05, 3.55, 5.05, 7.08, 9.38, 12.1, 23.7),
        (0.24, 2.89, 5.22, 6.41, 7.83, 10.21, 9.18, 8.02, 7.14, 5.68, 2.42),
    ),
    11: (
        (0, 0.25, 0.5, 0.98, 1.98, 3.6, 5.02, 7.03, 9.03, 12.12, 24.08),
        (0, 4.86, 7.24, 8, 6.81, 5.87, 5.22, 4.45, 3.62, 2.69, 0.86),
    ),
    12: (
        (0, 0.25, 0.5, 1, 2, 3.52, 5.07, 7.07, 9.03, 12.05, 24.15),
        (0, 1.25, 3.96, 7.82, 9.72, 9.75, 8.57, 6.59, 6.11, 4.57, 1.17),
    ),
}
# Phoenix WinNonlin 6.3 and 7.0, linear up log down, as published beside the R package NonCompart, which gives the same
# (Kim, Han, Cho, Yoon, Bae 2018, doi:10.12793/tcp.2018.26.1.10, and its validation report):
# AUClast, AUCINF_obs, AUMCINF_obs, half-life.
WINNONLIN = {
    1: (147.2347485, 214.9236316, 4545.592801, 14.3043776),
    2: (88.7312755, 97.3779346, 1009.464450, 6.6593416),
    3: (95.8781978, 106.1276685, 1158.651582, 6.7660874),
    4: (102.6336232, 114.2162046, 1313.951000, 6.9812467),
    5: (118.1793538, 136.3047316, 1689.487280, 8.0022640),
    6: (71.6970150, 82.1758833, 987.9420173, 7.8949979),
    7: (87.9692274, 100.9876292, 1258.305327, 7.8466683),
    8: (86.8065635, 102.1533003, 1314.943138, 8.5100379),
    9: (83.9374360, 97.5200039, 1219.921328, 8.4059988),
    10: (135.5760701, 167.8600307, 2502.554000, 9.2469158),
    11: (77.8934723, 86.9026173, 937.9535438, 7.2612365),
    12: (115.2202082, 125.8315397, 1335.1375811, 6.2865082),
}


def curve_rows(times: object, values: object, quantity: str = "injected_percent", **changes: object) -> list[Row]:
    """Rows of one curve; values may hold None. Deviations are 0 (known and none) unless changed."""
    unit = {"injected_percent": "%", "injected_percent_per_g": "%/g", "cells_equivalent": "cells"}.get(quantity, "%")
    base = Row("s", "m1", "g", "d", "pet", "zr", "lung", None, None, None, quantity, None, unit, 0.0, 0.0)
    points = zip(np.asarray(times, dtype=object), np.asarray(values, dtype=object), strict=True)
    return [replace(base, time_h=t, value=v, **changes) for t, v in points]  # type: ignore[arg-type]


def one(rows: list[Row], **options: object) -> NcaRow:
    (row,) = nca(rows, **options)  # type: ignore[arg-type]
    return row


def theoph(subject: int) -> NcaRow:
    return one(curve_rows(*THEOPH[subject]), draws=0)


# --- published results -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", THEOPH)
def test_theophylline_is_what_winnonlin_and_noncompart_give(subject: int) -> None:
    row = theoph(subject)
    auc_last, auc_inf, aumc_inf, half_life = WINNONLIN[subject]
    # Published with 7 to 10 digits: half a unit of the seventh digit is 5e-8 of the smallest.
    assert row.auc_last == pytest.approx(auc_last, rel=1e-8)
    assert row.auc_inf == pytest.approx(auc_inf, rel=1e-8)
    assert row.half_life_h == pytest.approx(half_life, rel=2e-8)
    assert row.mrt_h == pytest.approx(aumc_inf / auc_inf, rel=1e-8)
    assert row.extrapolated_percent == pytest.approx(100 * (1 - auc_last / auc_inf), rel=1e-6)  # a difference loses digits


def test_theophylline_subject_1_as_in_pknca_vignette() -> None:
    # PKNCA, "Computing NCA Parameters for Theophylline": lambda.z 0.0484570, r.squared 0.9999997, auclast 147.2347485, tmax 1.12;
    # WinNonlin: 3 points, adjusted R² 0.999999459.
    row = theoph(1)
    assert (row.cmax, row.tmax_h, row.lambda_z_points) == (10.5, 1.12, 3)
    assert row.lambda_z_per_h == pytest.approx(0.0484570, abs=5e-8)
    assert row.lambda_z_adj_r2 == pytest.approx(0.999999459, abs=5e-10)
    assert row.flag == ("extrapolated",)


def test_theophylline_summary_of_pknca_vignette() -> None:
    # Geometric mean [geometric CV %] 98.7 [22.5], 8.65 [17.0], 115 [28.4]; mean [sd] 8.18 [2.12]; median [range] 1.14 [0.630, 3.55].
    rows = [theoph(s) for s in THEOPH]
    assert _geometric([r.auc_last for r in rows]) == ("98.7", "22.5")
    assert _geometric([r.cmax for r in rows]) == ("8.65", "17")
    assert _geometric([r.auc_inf for r in rows]) == ("115", "28.4")
    half_lives = [r.half_life_h for r in rows]
    assert f"{statistics.mean(half_lives):.3g} {statistics.stdev(half_lives):.3g}" == "8.18 2.12"
    times = [r.tmax_h for r in rows]
    # The median of the table is that of 12 values, 1.135, which the vignette prints as 1.14.
    assert (statistics.median(times), min(times), max(times)) == (pytest.approx(1.135), 0.63, 3.55)


def _geometric(values: list[float | None]) -> tuple[str, str]:
    logs = [math.log(v) for v in values if v is not None]
    cv = 100 * math.sqrt(math.expm1(statistics.variance(logs)))
    return f"{math.exp(statistics.mean(logs)):.3g}", f"{cv:.3g}"


# --- formulas ----------------------------------------------------------------------------------------------------------


def _interpolated(t: tuple[float, float], c: tuple[float, float]) -> Callable[[float], float]:
    falls = 0 < c[1] < c[0]

    def value(s: float) -> float:
        share = (s - t[0]) / (t[1] - t[0])
        return c[0] * (c[1] / c[0]) ** share if falls else c[0] + (c[1] - c[0]) * share

    return value


value = st.floats(-5, 100).map(lambda v: round(v, 6))  # quad misses the spike of a fall to 1e-300
segment = st.tuples(st.floats(0, 50), st.floats(0.01, 50), value, value)


@given(segment)
@settings(max_examples=60, deadline=None)
def test_area_of_a_segment_is_its_quadrature(s: tuple[float, float, float, float]) -> None:
    t, c = (s[0], s[0] + s[1]), (s[2], s[3])
    f, scale = _interpolated(t, c), (abs(c[0]) + abs(c[1])) * s[1]
    # 1e-9 of the bounding box: a fall of less than 1e-8 is taken as a straight line.
    got = auc(np.array(t), np.array([c]))[0]
    assert got == pytest.approx(quad(f, *t)[0], rel=1e-7, abs=1e-9 * scale)
    decayed = decayed_auc(np.array(t), np.array([c]), 0.3)[0]
    assert decayed == pytest.approx(quad(lambda x: f(x) * math.exp(-0.3 * x), *t)[0], rel=1e-7, abs=1e-9 * scale)


def test_first_moment_of_a_falling_segment_is_its_quadrature() -> None:
    t, c = (2.0, 7.0), (9.0, 0.5)
    f = _interpolated(t, c)
    assert aumc(np.array(t), np.array([c]))[0] == pytest.approx(quad(lambda x: x * f(x), *t)[0], rel=1e-12)


def test_first_moment_of_a_rising_segment_is_the_trapezoid_of_the_product() -> None:
    # By convention (WinNonlin, PKNCA), not ∫ t·line: 3/2·(1·2 + 4·8) = 51, whereas the integral would be 46.5.
    assert aumc(np.array([1.0, 4.0]), np.array([[2.0, 8.0]]))[0] == 51.0


@given(st.floats(1e-12, 1e3))
def test_decayed_area_of_a_constant_is_exact_for_every_interval(dt: float) -> None:
    assert decayed_auc(np.array([0.0, dt]), np.array([[1.0, 1.0]]), 1.0)[0] == pytest.approx(-math.expm1(-dt), rel=1e-12)


@given(st.floats(1e-9, 0.1))
def test_decayed_area_of_a_rising_line_has_no_cancellation(dt: float) -> None:
    # ∫ s/dt·e^(-s) ds = dt·(1/2 - dt/3 + dt²/8 - dt³/30 + dt⁴/144 - dt⁵/840): the next term is dt⁶/5760 < 2e-10 of the sum.
    series = sum(a * dt**i for i, a in enumerate((1 / 2, -1 / 3, 1 / 8, -1 / 30, 1 / 144, -1 / 840)))
    assert decayed_auc(np.array([0.0, dt]), np.array([[0.0, 1.0]]), 1.0)[0] == pytest.approx(dt * series, rel=1e-9)


@given(st.floats(0.001, 5), st.floats(1e-3, 1e9), st.integers(4, 12))
def test_one_exponential_gives_its_constants_back(rate: float, c0: float, n: int) -> None:
    t = np.linspace(0, 3 / rate, n)
    row = one(curve_rows(t, c0 * np.exp(-rate * t)), draws=0)
    assert row.lambda_z_per_h == pytest.approx(rate, rel=1e-9)
    assert row.half_life_h == pytest.approx(math.log(2) / rate, rel=1e-9)
    assert row.auc_inf == pytest.approx(c0 / rate, rel=1e-9)
    assert row.mrt_h == pytest.approx(1 / rate, rel=1e-9)
    assert row.extrapolated_percent == pytest.approx(100 * math.exp(-3), rel=1e-7)
    assert row.lambda_z_points == n - 1  # all are equally good, the longest wins; the maximum itself is never in it


@given(st.floats(0.1, 1000))
def test_values_scale_areas_and_leave_times(factor: float) -> None:
    t, c = THEOPH[3]
    a, b = one(curve_rows(t, c), draws=0), one(curve_rows(t, np.multiply(c, factor)), draws=0)
    for name in ("cmax", "auc_last", "auc_inf"):
        assert getattr(b, name) == pytest.approx(factor * getattr(a, name), rel=1e-12)
    for name in ("tmax_h", "half_life_h", "mrt_h", "extrapolated_percent"):
        assert getattr(b, name) == pytest.approx(getattr(a, name), rel=1e-9)
    assert a.lambda_z_points == b.lambda_z_points


def test_the_unit_of_time_only_rescales() -> None:
    t, c = THEOPH[5]
    hours, minutes = one(curve_rows(t, c), draws=0), one(curve_rows(np.multiply(t, 60.0), c), draws=0)
    for name in ("tmax_h", "auc_last", "auc_inf", "half_life_h", "mrt_h"):
        assert getattr(minutes, name) == pytest.approx(60 * getattr(hours, name), rel=1e-9)
    assert minutes.lambda_z_per_h == pytest.approx(hours.lambda_z_per_h / 60, rel=1e-9)


# --- the terminal slope ------------------------------------------------------------------------------------------------


def _slope_by_polyfit(t: np.ndarray, c: np.ndarray) -> tuple[float, int] | None:
    """The rule of the design page written out with numpy's polyfit, one window at a time."""
    fits = []
    for n in range(3, t.size - int(np.argmax(c))):
        x, y = t[-n:], np.log(c[-n:])
        line = np.polyfit(x, y, 1)
        r2 = 1 - np.sum((y - np.polyval(line, x)) ** 2) / np.sum((y - y.mean()) ** 2)
        fits.append((1 - (1 - r2) * (n - 1) / (n - 2), n, -line[0]))
    if not fits:
        return None
    best = max(f[0] for f in fits)
    r2, n, rate = max((f for f in fits if f[0] > best - 1e-4), key=lambda f: f[1])
    return (rate, n) if rate > 0 and r2 >= 0.8 else None


@given(st.integers(0, 10_000))
@settings(deadline=None)
def test_lambda_z_is_that_of_the_rule_written_out(seed: int) -> None:
    random = np.random.default_rng(seed)
    t = np.cumsum(random.uniform(0.2, 5, random.integers(4, 12)))
    c = np.exp(-0.1 * t + random.normal(0, random.choice([1e-3, 0.1, 0.6]), t.size))
    got, expected = terminal_slope(t, c[None]), _slope_by_polyfit(t, c)
    if expected is None:
        assert np.isnan(got.rate_per_h[0])
        assert got.points[0] == 0
    else:
        assert (got.rate_per_h[0], got.points[0]) == (pytest.approx(expected[0], rel=1e-6), expected[1])


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ((9.0, 1.0, 2.0, 4.0, 8.0), "rises after its maximum"),
        ((9.0, 5.0, 1.0, 6.0, 2.0, 4.9), "fits badly"),
        ((9.0, 5.0, 4.0), "two points after the maximum"),
        ((9.0, 5.0, 5.0, 5.0, 5.0), "flat"),
        ((9.0, 5.0, 3.0, 2.0, -0.1), "last value not positive"),
        ((9.0, 5.0, 3.0, -0.1, 1.0, 0.5), "only two points since a value that is not positive"),
    ],
)
def test_no_terminal_phase(values: tuple[float, ...], why: str) -> None:
    row = one(curve_rows(range(len(values)), values), draws=0)
    nothing = ("lambda_z_per_h", "lambda_z_points", "lambda_z_adj_r2", "half_life_h", "auc_inf", "extrapolated_percent", "mrt_h")
    assert {name: getattr(row, name) for name in nothing} == dict.fromkeys(nothing), why
    assert "no_terminal_phase" in row.flag
    assert row.auc_last is not None
    assert row.cmax == 9.0


# --- from rows to a curve ----------------------------------------------------------------------------------------------


def test_leading_censored_points_are_zero() -> None:
    rows = curve_rows((0, 1, 2, 3, 4, 5), (3.0, 8.0, 6.0, 4.0, 2.0, 1.0))
    rows[0] = replace(rows[0], cens=1, lloq=5.0)
    row = one(rows, draws=0)
    assert row.auc_last == pytest.approx(one(curve_rows((0, 1, 2, 3, 4, 5), (0.0, 8.0, 6.0, 4.0, 2.0, 1.0)), draws=0).auc_last)
    assert row.flag == ("censored",)
    assert row.n_points == 5


def test_censored_points_after_the_last_measured_one_are_dropped() -> None:
    rows = curve_rows((0, 1, 2, 3, 4, 5), (16.0, 8.0, 4.0, 2.0, 0.5, 0.4))
    rows[4:] = [replace(r, cens=1, lloq=1.0) for r in rows[4:]]
    kept = one(curve_rows((0, 1, 2, 3), (16.0, 8.0, 4.0, 2.0)), draws=0)
    assert replace(one(rows, draws=0), flag=()) == replace(kept, flag=())


def test_a_censored_point_in_between_is_on_the_log_line_and_not_in_the_fit() -> None:
    t = np.arange(6.0)
    rows = curve_rows(t, 32 * np.exp(-t))
    rows[3] = replace(rows[3], value=0.01, cens=1, lloq=5.0)
    row = one(rows, draws=0)
    assert row.auc_last == pytest.approx(32 * (1 - math.exp(-5)), rel=1e-12)
    assert row.lambda_z_points == 4
    assert row.flag == ("censored",)


def test_a_censored_maximum_is_not_the_maximum() -> None:
    rows = curve_rows((0, 1, 2), (2.0, 9.0, 3.0))
    rows[1] = replace(rows[1], cens=1, lloq=10.0)
    row = one(rows, draws=0)
    assert (row.cmax, row.tmax_h, row.n_points) == (3.0, 2.0, 2)


def test_above_the_upper_limit_is_flagged() -> None:
    rows = curve_rows((0, 1, 2), (9.0, 4.0, 3.0))
    rows[0] = replace(rows[0], cens=-1, uloq=8.0)
    assert "above_uloq" in one(rows, draws=0).flag


def test_a_missing_value_is_dropped_and_is_not_zero() -> None:
    t, c = (0.0, 1.0, 2.0, 3.0, 4.0), (16.0, 8.0, None, 2.0, 1.0)
    assert one(curve_rows(t, c), draws=0) == one(curve_rows((0.0, 1.0, 3.0, 4.0), (16.0, 8.0, 2.0, 1.0)), draws=0)


def test_a_row_without_time_or_before_the_dose_is_dropped() -> None:
    rows = curve_rows((-24.0, None, 0.0, 1.0), (5.0, 6.0, 4.0, 2.0))
    assert one(rows, draws=0).n_points == 2


@pytest.mark.parametrize(("values", "n"), [((None, 3.0), 1), ((None, None), 0), ((3.0,), 1)])
def test_fewer_than_two_points_have_no_result_and_a_reason(values: tuple[float | None, ...], n: int) -> None:
    row = one(curve_rows(range(len(values)), values))
    assert row == NcaRow("s", "m1", "g", "pet", "zr", "lung", "injected_percent", "%", n, flag=("too_few_points",))


def test_only_censored_points_have_no_result() -> None:
    row = one([replace(r, cens=1, lloq=9.0) for r in curve_rows((0, 1, 2), (3.0, 2.0, 1.0))])
    assert (row.n_points, row.auc_last, row.flag) == (0, None, ("too_few_points",))


def test_two_values_at_one_time_are_refused() -> None:
    with pytest.raises(InputError, match=r"duplicate_time.*24 h.*m1.*lung") as error:
        nca(curve_rows((1.0, 24.0, 24.0), (3.0, 2.0, 2.5)))
    assert error.value.code == "duplicate_time"
    assert one(curve_rows((1.0, 24.0, 24.0), (3.0, 2.0, None))).n_points == 2  # a failed repeat is not a second value


def test_the_first_value_is_held_back_to_time_zero() -> None:
    row = one(curve_rows((2.0, 4.0), (3.0, 3.0)), draws=0)
    assert row.auc_last == 12.0
    assert "c0_assumed" in row.flag
    assert "c0_assumed" not in one(curve_rows((0.1, 4.0), (3.0, 3.0)), draws=0).flag


def test_frames_of_one_session_are_points_and_order_does_not_matter() -> None:
    rows = curve_rows(*THEOPH[4])
    assert nca(rows[::-1]) == nca(rows)
    assert nca([replace(r, session=str(i)) for i, r in enumerate(rows)]) == nca(rows)


def test_quantities_default_and_choice() -> None:
    rows = [r for q in ("suv", *DEFAULT_QUANTITIES) for r in curve_rows((0, 1), (2.0, 1.0), q)]
    assert {r.quantity for r in nca(rows)} == set(DEFAULT_QUANTITIES)
    assert {r.quantity for r in nca(rows, ("suv",))} == {"suv"}
    assert nca([]) == ()


# --- serial sacrifice --------------------------------------------------------------------------------------------------


def _sacrificed(per_time: int) -> list[Row]:
    values = [(t, 10 * math.exp(-0.2 * t) + d) for t in range(1, 6) for d in np.linspace(-0.1, 0.1, per_time)]
    return [replace(curve_rows((t,), (v,))[0], subject=f"m{i}", session=f"d{t}") for i, (t, v) in enumerate(values)]


def test_animals_measured_once_are_pooled() -> None:
    rows = nca(_sacrificed(3))
    pooled = [r for r in rows if not r.subject]
    assert len(pooled) == 1
    assert pooled[0].group == "g"
    assert pooled[0].flag[0] == "naive_pooled"
    assert pooled[0].n_points == 5
    assert pooled[0].lambda_z_per_h == pytest.approx(0.2, rel=1e-9)  # means of values symmetric around the exponential
    assert pooled[0].auc_last_sd is not None
    assert all(r.flag == ("too_few_points",) for r in rows if r.subject)


def test_animals_of_a_session_are_pooled_though_minutes_apart() -> None:
    rows = [replace(r, time_h=r.time_h + d) for r, d in zip(_sacrificed(3), [-0.1, 0.0, 0.1] * 5, strict=True)]  # type: ignore[operator]
    assert nca(rows)[0].n_points == 5
    assert nca(rows)[0].auc_last == pytest.approx(nca(_sacrificed(3))[0].auc_last, rel=1e-12)
    assert nca([replace(r, session="") for r in rows])[0].n_points == 15


def test_one_animal_a_time_has_no_spread() -> None:
    pooled = nca(_sacrificed(1))[0]
    assert pooled.auc_last is not None
    assert pooled.auc_last_sd is None
    assert "sd_missing" in pooled.flag


def test_animals_measured_twice_are_not_pooled() -> None:
    rows = [replace(r, subject=s) for s in ("a", "b") for r in curve_rows((0, 1), (2.0, 1.0))]
    assert [r.subject for r in nca(rows)] == ["a", "b"]


# --- residence time ----------------------------------------------------------------------------------------------------


def residence(t: object, c: object, **changes: object) -> NcaRow:
    return one(curve_rows(t, c, **changes), half_life_s={"zr": HALF_LIFE_S}, draws=0)


def test_residence_time_of_a_label_that_stays_is_its_mean_life() -> None:
    row = residence((0, 5, 24, 48), (50.0, 50.0, 50.0, 50.0))
    assert row.residence_time_h == pytest.approx(0.5 / DECAY_PER_H, rel=1e-12)
    assert "residence_extrapolated" not in row.flag  # 2^(-48/12.7) = 7 %


def test_residence_time_of_a_label_that_washes_out() -> None:
    # Measured part exact; after it only physical decay is sure, so the tail is the upper bound a(t_last)/λ_physical.
    k, t = 0.05, np.array([0.0, 2, 6, 24, 48])
    row = residence(t, 40 * np.exp(-k * t))
    both = k + DECAY_PER_H
    expected = 0.4 * (-math.expm1(-both * 48) / both + math.exp(-both * 48) / DECAY_PER_H)
    assert row.residence_time_h == pytest.approx(expected, rel=1e-12)
    assert row.residence_time_h > 0.4 / both  # the integral of the true curve


def test_residence_time_of_an_organ_that_still_takes_up_has_the_slower_tail() -> None:
    # The physical curve falls at λ - 0.02 after its maximum at 0: slower than decay, and that is what its tail goes on with.
    t = np.array([0.0, 4, 12, 24, 48])
    c = 10 * np.exp(0.02 * t)
    row = residence(t, c)
    physical = 0.1 * np.exp((0.02 - DECAY_PER_H) * t)
    rising = sum(quad(lambda x: np.interp(x, t, c) / 100 * math.exp(-DECAY_PER_H * x), t[i], t[i + 1])[0] for i in range(4))
    assert row.residence_time_h == pytest.approx(rising + physical[-1] / (DECAY_PER_H - 0.02), rel=1e-9)
    assert "no_terminal_phase" in row.flag  # the decay-corrected curve itself rises


def test_residence_time_starts_at_the_dose() -> None:
    assert residence((6, 12, 24), (50.0, 50.0, 50.0)).residence_time_h == pytest.approx(0.5 / DECAY_PER_H, rel=1e-12)


def test_no_residence_time_without_nuclide_or_for_another_quantity() -> None:
    assert one(curve_rows((0, 1, 2), (3.0, 2.0, 1.0))).residence_time_h is None
    assert residence((0, 1, 2), (3.0, 2.0, 1.0), label="luc").residence_time_h is None
    assert residence((0, 1, 2), (3.0, 2.0, 1.0), quantity="injected_percent_per_g").residence_time_h is None


# --- uncertainty -------------------------------------------------------------------------------------------------------


def test_shared_scale_moves_areas_and_not_times() -> None:
    t = np.linspace(0, 10, 6)
    c = 100 * np.exp(-0.3 * t)
    rows = [replace(r, sd_scale=0.1 * r.value) for r in curve_rows(t, c)]  # type: ignore[operator]
    row = one(rows, draws=4000, half_life_s={"zr": HALF_LIFE_S})
    # 10 % of the area; the standard error of a standard deviation over 4000 draws is 1/sqrt(8000) = 1.1 %, four of them 4.5 %.
    assert row.auc_inf_sd == pytest.approx(0.1 * row.auc_inf, rel=0.045)
    assert row.residence_time_h_sd == pytest.approx(0.1 * row.residence_time_h, rel=0.045)
    assert row.half_life_h_sd == pytest.approx(0.0, abs=1e-9)
    assert row.tmax_h_sd == 0.0


def test_point_noise_is_that_of_independent_points() -> None:
    # Rising values: all segments straight, so the area is a known linear sum of the values.
    t, c = np.arange(5.0), np.array([10.0, 20, 30, 40, 50])
    row = one(curve_rows(t, c, sd_noise=1.0), draws=4000)
    weights = np.array([0.5, 1, 1, 1, 0.5])
    assert row.auc_last_sd == pytest.approx(math.sqrt((weights**2).sum()), rel=0.045)  # as above


def test_no_deviation_no_spread() -> None:
    row = one(curve_rows(*THEOPH[3]))
    assert {row.auc_last_sd, row.cmax_sd, row.half_life_h_sd} == {0.0}


def test_an_unknown_deviation_is_not_zero() -> None:
    rows = curve_rows((0, 1, 2, 3), (8.0, 4.0, 2.0, 1.0), sd_noise=0.1, sd_scale=0.5)
    unknown_noise = one([replace(rows[0], sd_noise=None), *rows[1:]])
    assert unknown_noise.auc_last_sd is None
    assert "sd_missing" in unknown_noise.flag
    unknown_scale = one([replace(rows[0], sd_scale=None), *rows[1:]])
    assert unknown_scale.auc_last_sd is not None
    assert "sd_without_scale" in unknown_scale.flag


def test_draws_without_a_terminal_phase_leave_its_spread_empty() -> None:
    row = one(curve_rows((0, 1, 2, 3, 4), (8.0, 4.0, 2.0, 1.0, 0.5), sd_noise=2.0))
    assert row.half_life_h is not None
    assert row.half_life_h_sd is None
    assert row.auc_last_sd is not None


def test_draws_are_the_same_in_every_run_and_order() -> None:
    a = curve_rows(*THEOPH[1], sd_noise=0.2)
    b = [replace(r, organ="liver") for r in a]
    first, second = nca(a + b), nca(b + a)
    assert first == second
    assert first[0].auc_last_sd != first[1].auc_last_sd  # another organ, other draws
    assert nca(b)[0] == first[0]


# --- the file ----------------------------------------------------------------------------------------------------------


def test_file_has_the_contract_s_columns_and_empty_for_missing(tmp_path: Path) -> None:
    rows = nca(curve_rows((0, 1, 2, 3), (8.0, 4.0, 2.0, 1.0)) + curve_rows((0,), (1.0,), "cells_equivalent"))
    write_nca(tmp_path / "nca.csv", rows)
    raw = (tmp_path / "nca.csv").read_bytes()
    assert b"\r" not in raw
    table = list(csv.DictReader(raw.decode().splitlines()))
    assert tuple(table[0]) == COLUMNS
    assert table[0]["auc_last"] == ""
    assert table[0]["flag"] == "too_few_points"
    assert float(table[1]["half_life_h"]) == pytest.approx(1.0, rel=1e-9)
    assert table[1]["auc_last"] == f"{7 / math.log(2):.9g}"
    assert not list(tmp_path.glob("*.part"))


def test_flags_are_a_closed_list() -> None:
    rows = nca(curve_rows(*THEOPH[1]) + curve_rows((0,), (1.0,), "cells_equivalent"))
    assert {f for r in rows for f in r.flag} <= set(FLAGS)
