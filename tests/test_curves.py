"""Order, group figures done by hand, and whether organs add up to the dose."""

from __future__ import annotations

import csv
import random
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.curves import GROUP_COLUMNS, biodistribution, flag_recovery, group_summary, nominal_times, recovery_findings, write_groups
from tracker.table import QUANTITIES, Row


def _row(subject: str = "m1", organ: str = "liver", value: float | None = 10.0, hours: float | None = 24.0, **changes: object) -> Row:
    base = Row("s", subject, "A", "d1", "any", "zr", organ, hours, hours, hours, "injected_percent", value, "%", cens=0, method="m")
    return replace(base, **changes)  # type: ignore[arg-type]


def test_order_is_stable_and_complete() -> None:
    rows = [
        _row("m1", "liver", hours=1.0, session="late_name_but_early", quantity="signal", unit="Bq"),
        _row("m1", "liver", hours=1.0, session="late_name_but_early", quantity="injected_percent"),
        _row("m1", "lung", hours=1.0, session="late_name_but_early"),
        _row("m1", "liver", hours=24.0, session="a"),
        _row("m1", "liver", hours=24.5, session="a"),
        _row("m1", "liver", hours=24.0, session="a", modality="other"),
        _row("m1", "liver", hours=None, session="b"),
        _row("m10", "liver", hours=1.0, session="a"),
        _row("m2", "liver", hours=1.0, session="a"),
    ]
    for seed in range(5):
        shuffled = rows.copy()
        random.Random(seed).shuffle(shuffled)
        assert biodistribution(shuffled) == rows


def test_quantities_come_in_the_order_of_the_contract() -> None:
    rows = [_row(quantity=q, unit=units[0]) for q, units in reversed(QUANTITIES.items())]
    assert [r.quantity for r in biodistribution(rows)] == list(QUANTITIES)


def test_group_figures_by_hand() -> None:
    rows = [
        _row("m1", value=2.0, hours=23.9),
        _row("m2", value=4.0, hours=24.1),
        _row("m3", value=9.0, hours=24.6, cens=1),
        _row("m4", value=None, hours=24.0, cens=None, flag=("fit_failed",)),
    ]
    (group,) = group_summary(rows)
    # mean 15/3; deviations -3, -1, 4: sum of squares 26, over n - 1 = 2 gives 13.
    assert (group.n, group.mean, group.median, group.n_censored, group.n_missing) == (3, 5.0, 4.0, 1, 1)
    assert group.sd == pytest.approx(13**0.5, rel=1e-15)
    assert group.cv == pytest.approx(13**0.5 / 5, rel=1e-15)
    assert group.time_h == 24.1  # median of 23.9, 24.0, 24.1, 24.6 is 24.05; to three digits 24.1


def test_one_subject_has_no_sd_and_none_has_no_mean() -> None:
    (one,) = group_summary([_row(value=3.0)])
    assert (one.n, one.mean, one.sd, one.cv, one.median) == (1, 3.0, None, None, 3.0)
    (none,) = group_summary([_row(value=None), _row("m2", value=None)])
    assert (none.n, none.mean, none.sd, none.cv, none.median, none.n_missing) == (0, None, None, None, None, 2)


def test_cv_of_what_is_not_above_zero_is_none() -> None:
    (group,) = group_summary([_row("m1", value=-1.0), _row("m2", value=-3.0)])
    assert (group.mean, group.sd, group.cv) == (-2.0, pytest.approx(2**0.5), None)


def test_groups_organs_and_quantities_are_kept_apart() -> None:
    rows = [_row(), _row("m2", group="B"), _row(organ="lung"), _row(quantity="suv", unit="g/mL"), _row(modality="other"), _row(label="cu")]
    assert len(group_summary(rows)) == 6
    assert all(g.n == 1 for g in group_summary(rows))


def test_frames_are_matched_by_number_within_a_session() -> None:
    rows = [_row(s, value=v, hours=t) for s, shift in (("m1", 0.0), ("m2", 0.01)) for t, v in ((0.1 + shift, 1.0), (0.5 + shift, 2.0))]
    times = nominal_times(rows)
    assert times == {("d1", "any", "zr", 0): pytest.approx(0.105), ("d1", "any", "zr", 1): pytest.approx(0.505)}
    assert [(g.n, g.mean) for g in group_summary(rows)] == [(2, 1.0), (2, 2.0)]


def test_frames_that_rounding_would_merge_are_not_rounded() -> None:
    rows = [_row(hours=24.001), _row(hours=24.004), _row(session="d2", hours=48.004)]
    assert sorted(nominal_times(rows).values()) == [24.001, 24.004, 48.0]
    assert len(group_summary(rows)) == 3


def test_scans_of_two_labels_in_a_session_are_not_frames_of_one_another() -> None:
    rows = [_row("m1", label="zr", hours=24.0), _row("m1", label="cu", hours=25.0), _row("m2", label="cu", hours=25.0)]
    assert {(g.label, g.time_h, g.n) for g in group_summary(rows)} == {("zr", 24.0, 1), ("cu", 25.0, 2)}


def test_rows_without_a_time_stay() -> None:
    (group,) = group_summary([_row(hours=None)])
    assert group.time_h is None and group.n == 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12), st.floats(0.1, 10.0))
def test_scaling_scales_mean_sd_and_median(values: list[float], factor: float) -> None:
    (once,) = group_summary([_row(f"m{i}", value=v) for i, v in enumerate(values)])
    (scaled,) = group_summary([_row(f"m{i}", value=v * factor) for i, v in enumerate(values)])
    size = max(map(abs, values)) * factor * 1e-12  # rounding relative to the largest value, since a mean may cancel
    for name in ("mean", "sd", "median"):
        assert getattr(scaled, name) == pytest.approx(getattr(once, name) * factor, rel=1e-12, abs=size)


def test_groups_csv(tmp_path: Path) -> None:
    groups = group_summary([_row("m1", value=1 / 3), _row("m2", value=2 / 3), _row(organ="lung", value=None)])
    path = tmp_path / "groups.csv"
    write_groups(path, groups)
    text = path.read_bytes().decode("utf-8")
    assert "\r" not in text and text.endswith("\n")
    lines = list(csv.DictReader(text.splitlines()))
    assert tuple(lines[0]) == GROUP_COLUMNS
    assert [line["organ"] for line in lines] == ["liver", "lung"]
    assert (lines[0]["mean"], lines[0]["sd"], lines[0]["n"]) == ("0.5", "0.23570226", "2")
    assert (lines[1]["mean"], lines[1]["n"], lines[1]["n_missing"]) == ("", "0", "1")
    assert len(astuple(groups[0])) == len(GROUP_COLUMNS)
    assert [p.name for p in tmp_path.iterdir()] == ["groups.csv"]


def _body(**organs: float | None) -> list[Row]:
    return [_row(organ=name, value=value) for name, value in organs.items()]


@pytest.mark.parametrize(
    ("organs", "checks"),
    [
        ({"liver": 40.0, "rest": 58.0}, []),
        ({"liver": 40.0, "rest": 49.0}, ["mass_balance"]),
        ({"liver": 40.0, "carcass": 49.0}, ["mass_balance"]),
        ({"liver": 40.0, "lung": 10.0}, []),  # no rest of the body: the sum says nothing
        ({"liver": 40.0, "rest": 40.0, "lung": None}, []),  # an organ is missing: the sum may well be too low
        ({"liver": 80.0, "lung": 31.0}, ["mass_balance"]),  # too much is too much
        ({"liver": 80.0, "lung": 31.0, "spleen": None}, ["mass_balance"]),
        ({"tail": 11.0, "rest": 89.0}, ["extravasation"]),
        ({"tail": 9.0, "rest": 91.0}, []),
        ({"injection_site": 30.0}, ["extravasation"]),
        ({"tail": 60.0, "rest": 60.0}, ["mass_balance", "extravasation"]),
        ({"tail": None}, []),
    ],
)
def test_recovery(organs: dict[str, float | None], checks: list[str]) -> None:
    findings = recovery_findings(_body(**organs))
    assert [f.check for f in findings] == checks
    assert all(f.status == "warn" and "m1" in f.reason and "24 h" in f.reason for f in findings)


def test_recovery_is_per_frame_and_scan() -> None:
    rows = [_row(value=60.0, hours=1.0), _row(value=60.0, hours=2.0), _row("m2", value=60.0), _row(value=60.0, modality="other")]
    assert recovery_findings(rows) == []
    assert recovery_findings([_row(quantity="signal", unit="Bq", value=1e6)]) == []


def test_flags_reach_all_that_the_dose_made_in_that_frame() -> None:
    rows = [
        _row(value=120.0, flag=("no_residual",)),
        _row(quantity="suv", unit="g/mL"),
        _row(quantity="signal", unit="Bq"),
        _row(value=50.0, hours=48.0),
    ]
    flagged = flag_recovery(rows)
    assert [r.flag for r in flagged] == [("no_residual", "mass_balance"), ("mass_balance",), (), ()]
    assert rows[1].flag == ()
