"""How far curves are from the truth: signs, medians, coverage, and what does not count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tracker.table import Row
from tracker.truth import Comparison, compare, read_comparison, write_comparison

HEADER = "subject,session,modality,organ,time_h,injected_percent,cells\n"


def row(organ: str, value: float | None, time_h: float = 1.0, **more: object) -> Row:
    names = Row.__dataclass_fields__
    known = {"study": "s", "subject": "m1",
             "group": "g", "session": "d0", "modality": "pet", "label": "l", "organ": organ, "time_h": time_h,
             "time_start_h": time_h, "time_end_h": time_h, "quantity": "injected_percent", "value": value, "unit": "%"}  # fmt: skip
    return Row(**{k: v for k, v in (dict.fromkeys(names) | {"cens": 0, "flag": "", "method": ""} | known | more).items() if k in names})  # type: ignore[arg-type]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "truth.csv"
    path.write_text(
        HEADER + "m1,d0,pet,liver,1.0,20,5\nm1,d1,pet,liver,2.0,10,5\nm1,d0,pet,brain,1.0,0,0\nm1,d0,pet,lung,1.00000001,50,5\n"
    )
    return path


def test_differences_are_signed_and_in_percent_of_the_truth(truth):
    rows = [row("liver", 22.0), row("liver", 7.0, 2.0, session="d1"), row("lung", 50.0)]
    assert compare(rows, [truth]) == [
        Comparison("pet", "liver", 2, 0, pytest.approx(-10.0), pytest.approx(-30.0), None, 15.0, pytest.approx(-0.5)),
        Comparison("pet", "lung", 1, 0, 0.0, 0.0, None, 50.0, 0.0),
    ]


def test_missing_values_other_quantities_and_unknown_places_do_not_count(truth):
    rows = [
        row("liver", None),
        row("liver", 20.0, quantity="suv"),
        row("spleen", 3.0),
        row("liver", 20.0, 1.5),
        row("liver", 20.0, subject="m2"),
    ]
    assert compare(rows, [truth]) == []


def test_an_organ_without_any_is_left_out(truth):
    assert compare([row("brain", 0.1)], [truth]) == []


@pytest.mark.parametrize(("value", "covered"), [(20.0, 100.0), (20 + 1.9 * 5, 100.0), (20 - 2.0 * 5, 0.0)])
def test_coverage_takes_both_uncertainties(truth, value, covered):
    # hypot(3, 4) = 5
    (found,) = compare([row("liver", value, sd_noise=3.0, sd_scale=4.0)], [truth])
    assert found.covered_percent == covered


def test_truths_of_several_studies_are_taken_together(truth, tmp_path):
    more = tmp_path / "more.csv"
    more.write_text(HEADER + "m9,d0,pet,liver,1.0,40,5\n")
    (found,) = compare([row("liver", 20.0), row("liver", 30.0, subject="m9")], [truth, more])
    assert (found.n, found.largest_percent, found.median_truth) == (2, pytest.approx(-25.0), 30.0)


def test_coverage_counts_only_values_with_an_interval(truth):
    rows = [row("liver", 20.0, sd_noise=3.0, sd_scale=4.0), row("liver", 99.0, 2.0, session="d1", sd_noise=1.0)]
    (found,) = compare(rows, [truth])
    assert found.covered_percent == 100.0 and found.n == 2


def test_comparisons_come_back_from_their_file(tmp_path):
    rows = [
        Comparison("pet", "liver", 2, 1, -10.0, -30.0, 50.0, 15.0, -0.5),
        Comparison("pet", "a, b", 1, 0, 0.123456789, 1e-9, None, 20.0, 0.0),
        Comparison("mri", "spleen", 0, 3, None, None, 100.0, None, None),
    ]
    write_comparison(tmp_path / "c.csv", rows)
    assert read_comparison(tmp_path / "c.csv") == rows
    assert not list(tmp_path.glob("*.part"))
    write_comparison(tmp_path / "c.csv", [replace(rows[0], n=3)])
    assert read_comparison(tmp_path / "c.csv")[0].n == 3


def test_modalities_are_compared_each_by_itself(truth, tmp_path):
    more = tmp_path / "mri.csv"
    more.write_text(HEADER + "m1,d0,mri,liver,1.0,40,5\n")
    found = compare([row("liver", 22.0), row("liver", 30.0, modality="mri")], [truth, more])
    assert [(c.modality, c.organ, c.n) for c in found] == [("pet", "liver", 1), ("mri", "liver", 1)]
    assert [c.median_percent for c in found] == [pytest.approx(10.0), pytest.approx(-25.0)]


def test_values_beyond_a_limit_are_counted_and_have_no_difference(truth):
    rows = [row("liver", 22.0), row("liver", 6.0, 2.0, session="d1", cens=-1, uloq=6.0)]
    (found,) = compare(rows, [truth])
    assert (found.n, found.n_censored, found.median_percent, found.median_truth) == (1, 1, pytest.approx(10.0), 20.0)


# The truth is 20.
@pytest.mark.parametrize(
    ("limits", "covered"),
    [
        ({"cens": -1, "uloq": 19.0}, 100.0),
        ({"cens": -1, "uloq": 21.0}, 0.0),
        ({"cens": -1, "uloq": 29.0, "sd_noise": 3.0, "sd_scale": 4.0}, 100.0),
        ({"cens": -1, "uloq": 31.0, "sd_noise": 3.0, "sd_scale": 4.0}, 0.0),
        ({"cens": 1, "lloq": 21.0}, 100.0),
        ({"cens": 1, "lloq": 19.0}, 0.0),
        ({"cens": -1}, None),
    ],
)
@pytest.mark.parametrize("value", [19.0, None])
def test_a_bound_covers_what_lies_beyond_it(truth, limits, covered, value):
    (found,) = compare([row("liver", value, **limits)], [truth])
    assert (found.n, found.n_censored, found.covered_percent) == (0, 1, covered)
    assert found.median_percent is None and found.median_difference is None
