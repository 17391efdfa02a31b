"""What the methods say of rates and iron is what the table's quantities, flags and methods hold."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tracker.report.relaxation import rate_assumptions, rate_sentences
from tracker.table import Row

WAY = "R2* at 9.4 T by second_moment>TE 3 to 24 ms x8>noise from air>segmentation>quantify"


def _row(quantity: str, unit: str, value: float | None = 1.0, **changes: object) -> Row:
    plain = Row("s", "m1", "g", "d1", "mri", "spio", "liver", 24.0, None, None, quantity, value, unit, 0.1, 0.1, cens=0, method=WAY)
    return replace(plain, **changes)  # type: ignore[arg-type]


def _text(*rows: Row) -> str:
    return " ".join(rate_sentences(rows))


def test_a_table_without_rates_says_nothing(rows: tuple[Row, ...]) -> None:
    assert rate_sentences(rows) == () and rate_assumptions(rows) == ()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("second_moment", "Feng 2013"),
        ("arlo", "Pei 2015"),
        ("weighted_loglinear", "line to the logarithm"),
        ("complex fit", "complex images"),
        ("arlo with background gradient", "Pei 2015"),
    ],
)
def test_only_the_estimator_that_was_used_is_named(how: str, words: str) -> None:
    text = _text(_row("r2star", "1/s", method=f"R2* at 7 T by {how}>TE 3 to 24 ms x8"))
    assert words in text and f"R2* at 7 T by {how}" in text
    others = {"Feng 2013", "Pei 2015", "line to the logarithm", "complex images"} - {words}
    assert not [other for other in others if other in text]
    assert ("smooth background field" in text) == ("gradient" in how)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("baseline of d0 d1", "own scan before the dose"),
        ("reference organ muscle", "a reference organ"),
        ("controls, n=4", "control group"),
    ],
)
def test_the_rate_without_label_is_said_to_be_from_where_it_was(part: str, words: str) -> None:
    row = _row("delta_r2star", "1/s", method=f"{WAY}>{part}")
    text = _text(row)
    assert words in text and "method column" not in text
    other = replace(row, method=f"{WAY}>controls, n=2" if "baseline" in part else f"{WAY}>baseline of d0")
    assert " or " in _text(row, other) and "method column" in _text(row, other)
    assert words not in _text(replace(row, value=None, cens=None))  # a row without a value used none


def test_iron_is_told_with_its_relaxivity_and_its_atomic_weight() -> None:
    text = _text(_row("label_amount", "ug", method=f"{WAY}>iron by r2* 320/s/mM>baseline of d0"))
    assert "Relaxivity: r2* 320/s/mM." in text
    # 1 mmol/L of iron is 55.845 µg/mL (standard atomic weight of Fe 55.845).
    assert float(re.search(r"= ([\d.]+) ·", text).group(1)) == 55.845  # type: ignore[union-attr]
    assert "Iron" not in _text(_row("label_amount", "Bq"))


def test_lower_bounds_are_explained_only_where_there_are_some() -> None:
    assert "lower bound" in _text(_row("r2star", "1/s", cens=-1, uloq=400.0))
    assert "lower bound" not in _text(_row("r2star", "1/s"))


def test_focal_deposits_are_explained() -> None:
    text = _text(_row("hypointense_volume", "mL"), _row("cells_focal", "cells"))
    assert "Hypointense volume is" in text and "20734153" in text and "R2* [1/s]" not in text


def test_assumptions_follow_the_flags() -> None:
    iron = _row("label_amount", "ug")
    assert [text.split(" ")[0:2] for text in rate_assumptions([iron])] == [["All", "change"]]
    prior = " ".join(rate_assumptions([replace(iron, flag=("relaxivity_prior",))]))
    assert "10.1002/mrm.1910320610" in prior and "factor of about three" in prior
    assert "no label is given" in " ".join(rate_assumptions([replace(iron, value=None, cens=None, flag=("no_baseline",))]))
    assert not [text for text in rate_assumptions([_row("label_amount", "Bq", flag=("no_baseline",))]) if "R2*" in text]
