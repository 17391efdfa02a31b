"""A relaxivity from a table of gels: the line, its error, what it says of itself, and what it refuses."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import yaml
from scipy import stats

from tracker.errors import InputError, StudyErrors
from tracker.mri.line import Gels, fit_line
from tracker.mri.standards import draw, fit_table, read_gels

# By hand: C 0 1 2 3, R2* 10 109 211 310. Mean C 1.5, Sxx 5; mean R 160, Sxy 501; slope 100.2, intercept 9.7.
# Residuals 0.3 -0.9 0.9 -0.3: SS 1.8, s² 0.9; SE slope √(0.9/5) = 0.42426, SE intercept √(0.9 (1/4 + 2.25/5)) = 0.79373.
HAND = "concentration_mmolar\tr2star_per_s\n0\t10\n1\t109\n2\t211\n3\t310\n"
REPLICATES = """\
concentration_mmolar,r2star_per_s,sample
0,10,a
0,11,b
0.5,112,c
0.5,108,d
1,209,e
1,212,f
"""


@pytest.fixture
def table(tmp_path):
    def _table(text, name="gels.tsv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _table


def refused(path):
    with pytest.raises((InputError, StudyErrors)) as caught:
        fit_table(path)
    return [e.code for e in getattr(caught.value, "errors", [caught.value])]


def test_a_hand_computed_line(table):
    line = fit_table(table(HAND)).line
    assert [line.slope, line.intercept] == pytest.approx([100.2, 9.7])
    assert [line.slope_se, line.intercept_se] == pytest.approx([0.424264, 0.793725], rel=1e-5)
    assert line.freedom == 2 and line.covariance == pytest.approx(-0.9 * 1.5 / 5)


def test_against_linregress():
    random = np.random.default_rng(1)
    x = np.repeat([0.05, 0.1, 0.3, 0.8], 2) + np.arange(8) * 1e-3
    y = 14 + 220 * x + random.normal(0, 3, 8)
    line, oracle = fit_line(Gels(x, y, None)), stats.linregress(x, y)
    assert [line.slope, line.intercept] == pytest.approx([oracle.slope, oracle.intercept], rel=1e-10)
    assert [line.slope_se, line.intercept_se] == pytest.approx([oracle.stderr, oracle.intercept_stderr], rel=1e-10)


def test_weights_are_those_of_repeated_rows():
    """Weight 4 on a point is that point four times, but for the degrees of freedom that only real gels bring."""
    x, y, sd = np.array([0.1, 0.4, 1.0]), np.array([33.0, 95.0, 230.0]), np.array([2.0, 1.0, 2.0])
    oracle = stats.linregress([0.1, 0.4, 0.4, 0.4, 0.4, 1.0], [33.0, 95.0, 95.0, 95.0, 95.0, 230.0])
    line = fit_line(Gels(x, y, sd))
    assert [line.slope, line.intercept] == pytest.approx([oracle.slope, oracle.intercept])
    assert line.slope_se == pytest.approx(oracle.stderr * math.sqrt(4 / 1))
    tenfold = fit_line(Gels(x, y, 10 * sd))
    assert tenfold.slope_se == pytest.approx(line.slope_se), "the error is read from the scatter: a stated sd only weighs"


@pytest.mark.parametrize("weighted", [False, True])
def test_the_intervals_hold_the_truth(weighted):
    """95 % of 4000 phantoms of six gels: within 3 binomial standard errors (0.0034 each) of 0.95, sd for the config included."""
    random, x = np.random.default_rng(7), np.array([0.0, 0.05, 0.1, 0.2, 0.4, 0.8])
    sd = (2 + 15 * x) if weighted else np.full(6, 4.0)
    widening, inside = stats.t.ppf(0.975, 4) / 1.959964, 0
    for _ in range(4000):
        line = fit_line(Gels(x, 20 + 180 * x + random.normal(0, sd), sd if weighted else None))
        # As a study uses the config's line: ± 1.96 sd.
        inside += abs(line.slope - 180) < 1.96 * line.slope_se * widening
    assert inside / 4000 == pytest.approx(0.95, abs=0.0103)


def test_repeat_readings_of_a_gel_are_one_gel(table):
    """Gels differ by 10 /s, readings by 0.1: taking 40 readings for 40 gels would claim a third of the true error."""
    random, slopes, errors = np.random.default_rng(5), [], []
    for _ in range(300):
        rows = ["concentration_mmolar,r2star_per_s,sample"]
        for gel, c in enumerate([0.1, 0.3, 0.6, 1.0]):
            level = 15 + 200 * c + random.normal(0, 10)
            rows += [f"{c},{level + random.normal(0, 0.1):.6f},g{gel}" for _ in range(10)]
        line = fit_table(table("\n".join(rows), "gels.csv")).line
        slopes.append(line.slope)
        errors.append(line.slope_se**2)
    # The mean of 300 variances of 2 degrees of freedom has a relative error of 1/√300; three of them, halved by the root: 9 %.
    assert math.sqrt(np.mean(errors)) == pytest.approx(10 / math.sqrt(0.46), rel=0.09)
    assert np.std(slopes) == pytest.approx(10 / math.sqrt(0.46), rel=0.13)
    gels = read_gels(table(REPLICATES.replace(",b", ",a"), "b.csv"))
    assert gels.r2star_per_s.tolist() == [10.5, 108, 112, 209, 212]


def test_rows_without_samples_are_one_gel_a_level(table):
    text = "\n".join(line.rsplit(",", 1)[0] for line in REPLICATES.splitlines())
    assert fit_table(table(text, "gels.csv")).line.freedom == 1
    assert fit_table(table(REPLICATES, "gels.csv")).line.freedom == 4


def test_the_three_ways_to_state_iron_agree(table):
    lines = []
    for header, cells in (
        ("concentration_mmolar", ["0.1", "0.2", "0.5", "1"]),
        ("iron_ug_per_ml", [str(55.845 * c) for c in (0.1, 0.2, 0.5, 1)]),
        # 10 pg a cell: 1 mmol/L is 55.845 µg/mL, 5.5845 million cells a mL.
        ("cells_per_ml\tpg_per_cell", [f"{5.5845e6 * c}\t10" for c in (0.1, 0.2, 0.5, 1)]),
    ):
        rows = [f"{c}\t{r}" for c, r in zip(cells, (30.1, 54, 112, 208), strict=True)]
        lines.append(fit_table(table("\n".join([f"{header}\tr2star_per_s", *rows]))).line.slope)
    assert lines[1:] == pytest.approx([lines[0]] * 2, rel=1e-9)


def test_lack_of_fit_against_a_hand_computed_f(table):
    line = fit_table(table(REPLICATES, "gels.csv")).line
    # Pure error (10-11)²/2 + (112-108)²/2 + (209-212)²/2 = 13 on 3; level means 10.5 110 210.5 lie on a line but for 0.5/√1.5 each.
    lof = 2 * (110 - (10.5 + 210.5) / 2) ** 2 / 1.5
    assert line.linear_p == pytest.approx(stats.f.sf((lof / 1) / (13 / 3), 1, 3), rel=1e-9)
    assert "scatter between gels" in line.linear_by


@pytest.mark.parametrize("replicates", [1, 3])
def test_a_line_is_called_bent_as_often_as_stated(replicates):
    """p is uniform where the truth is a line: below 0.05 in 5 % of 2000 phantoms (three binomial errors: 1.5 %)."""
    random, x = np.random.default_rng(11), np.repeat([0.1, 0.2, 0.4, 0.6, 1.0], replicates)
    small = sum((fit_line(Gels(x, 10 + 150 * x + random.normal(0, 3, len(x)), None)).linear_p or 0) < 0.05 for _ in range(2000))
    assert small / 2000 == pytest.approx(0.05, abs=0.015)


def test_saturation_is_seen_and_named(table):
    """R2* that stops rising at 0.5 mmol/L: two gels a level, 1 /s apart."""
    rows = ["concentration_mmolar,r2star_per_s,sample"]
    for c in (0.1, 0.2, 0.4, 0.5, 1.0):
        rows += [f"{c},{12 + 300 * min(c, 0.5)},{c}a", f"{c},{13 + 300 * min(c, 0.5)},{c}b"]
    found = fit_table(table("\n".join(rows), "gels.csv"))
    assert found.line.linear_p is not None and found.line.linear_p < 0.001
    assert "NOT a line" in found.text and "off by more than 20 %: 0.1" in found.text


def test_the_text_and_the_lines_to_paste(table):
    found = fit_table(table(HAND))
    pasted = yaml.safe_load("mri:\n" + "\n".join(f"  {one}" for one in found.config_lines))["mri"]
    assert pasted["relaxivity_per_s_per_mmolar"] == pytest.approx(100.2)
    # t(0.975, 2) = 4.3027: the few gels widen the error 2.195 times.
    assert pasted["relaxivity_sd_per_s_per_mmolar"] == pytest.approx(0.424264 * 4.302653 / 1.959964, rel=1e-3)
    # 3.3 · 0.793725 / 100.2 mmol/L.
    assert "0.0261 mmol/L" in found.text and "blank" in found.text and "all levels within 20 %" in found.text
    assert all(one in found.text for one in found.config_lines)


def test_a_slope_above_static_dephasing_is_said(table):
    found = fit_table(table(HAND.replace("109", "1209").replace("211", "2411").replace("310", "3610")))
    assert "look: " in found.text and "static dephasing" in found.text


def test_exact_points_have_no_error_and_no_complaint(table):
    line = fit_table(table("concentration_mmolar\tr2star_per_s\n0.1\t30\n0.2\t40\n0.4\t60\n0.7\t90\n")).line
    assert line.slope == pytest.approx(100) and line.slope_se == pytest.approx(0, abs=1e-9) and line.linear_p == 1.0


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("concentration_mmolar\tr2star_per_s\n0.1\t20\n0.1\t21\n1\t90\n", ["too_few_levels"]),
        ("concentration_mmolar\tr2star_per_s\n1\t20\n1\t21\n1\t90\n", ["too_few_levels"]),
        ("concentration_mmolar\tr2star_per_s\n", ["empty_sheet"]),
        (HAND.replace("310", "5").replace("211", "6").replace("109", "7"), ["slope_not_positive"]),
        (HAND.replace("concentration_mmolar", "concentration"), ["unknown_column"]),
        (HAND.replace("concentration_mmolar\tr2", "r2star_per_s\tr2"), ["duplicate_column"]),
        (HAND.replace("r2star_per_s", "sample"), ["missing_column"]),
        (HAND.replace("1\t109", "-1\t109"), ["out_of_range"]),
        (HAND.replace("109", "0").replace("211", "x"), ["out_of_range", "bad_number"]),
        (HAND.replace("1\t109", "1,5\t109"), ["bad_number"]),
        ("r2star_per_s\tsample\n1\ta\n2\tb\n3\tc\n", ["no_concentration"]),
        ("concentration_mmolar\tiron_ug_per_ml\tr2star_per_s\n0.1\t5\t20\n0.2\t10\t30\n0.4\t20\t50\n", ["two_concentrations"]),
        ("cells_per_ml\tpg_per_cell\tr2star_per_s\n1e6\t10\t20\n2e6\t\t30\n4e6\t10\t50\n", ["no_concentration"]),
        ("concentration_mmolar\tr2star_per_s\tsd_per_s\n0.1\t20\t1\n0.2\t30\t\n0.4\t50\t1\n", ["sd_incomplete"]),
        ("concentration_mmolar\tr2star_per_s\tsd_per_s\n0.1\t20\t0\n0.2\t30\t1\n0.4\t50\t1\n", ["out_of_range"]),
        ("concentration_mmolar\tr2star_per_s\tsample\n0.1\t20\ta\n0.2\t30\ta\n0.4\t50\tb\n", ["sample_two_concentrations"]),
        ("concentration_mmolar\tr2star_per_s\tsample\n0.1\t20\ta\n0.2\t30\t\n0.4\t50\tb\n", ["sample_incomplete"]),
    ],
)
def test_what_is_refused(table, text, codes):
    assert refused(table(text)) == codes


def test_a_missing_table_is_said(tmp_path):
    assert refused(tmp_path / "none.tsv") == ["missing_file"]


def test_the_drawing_is_whole_and_repeats(table, tmp_path):
    found = fit_table(table(REPLICATES, "gels.csv"))
    for name in ("a.svg", "b.svg"):
        draw(found, tmp_path / name)
    one = (tmp_path / "a.svg").read_bytes()
    assert one == (tmp_path / "b.svg").read_bytes()
    assert ET.fromstring(one).tag.endswith("svg") and b"mmol/L" in one
