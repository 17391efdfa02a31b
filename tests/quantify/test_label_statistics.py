"""One pass over a volume against plain loops and NumPy, and what it must refuse."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tracker.compiled import compiled
from tracker.errors import InputError
from tracker.quantify import label_statistics

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 19))
# Three pairs instead of all nine: every pair is compiled anew.
TYPES = st.sampled_from([(np.float32, np.uint8), (np.float64, np.int32), (np.int16, np.uint16)])


@st.composite
def volumes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Values (whole numbers, so that sums are exact; some NaN) and labels 0 to 4, of several types and memory orders."""
    shape = draw(SHAPES)
    value_type, label_type = draw(TYPES)
    whole = draw(arrays.arrays(np.int16, shape, elements=st.integers(-1000, 1000)))
    values = whole.astype(value_type)
    if values.dtype.kind == "f" and draw(st.booleans()):
        values[draw(arrays.arrays(bool, shape))] = np.nan
    labels = draw(arrays.arrays(label_type, shape, elements=st.integers(0, 4)))
    turn = draw(st.sampled_from(["C", "F", "reversed", "strided"]))
    if turn == "F":
        return np.asfortranarray(values), np.asfortranarray(labels)
    if turn == "reversed":
        return values[::-1, :, ::-1], labels[::-1, :, ::-1]
    if turn == "strided":
        return np.repeat(values, 2, axis=2)[:, :, ::2], labels
    return values, labels


@settings(deadline=None, max_examples=150)
@given(volumes())
def test_is_what_plain_loops_give(volume: tuple[np.ndarray, np.ndarray]) -> None:
    values, labels = volume
    found = label_statistics(values, labels, [1, 2, 3, 4])
    for i, label in enumerate((1, 2, 3, 4)):
        places = [index for index in np.ndindex(labels.shape) if labels[index] == label]
        numbers = [float(values[index]) for index in places if not math.isnan(float(values[index]))]
        assert found.n[i] == len(numbers)
        assert found.n_nan[i] == len(places) - len(numbers)
        box = [[min(p[a] for p in places), max(p[a] for p in places) + 1] for a in range(3)] if places else [[0, 0]] * 3
        assert found.box[i].tolist() == box
        assert found.at_edge[i] == any(p[a] in (0, labels.shape[a] - 1) for p in places for a in range(3))
        if not numbers:
            assert math.isnan(found.mean[i]) and math.isnan(found.low[i]) and found.sum[i] == 0
            continue
        exact = Fraction(sum(map(Fraction, numbers)))
        assert found.sum[i] == float(exact)  # whole numbers below 2**53: exact
        assert (found.low[i], found.high[i]) == (min(numbers), max(numbers))
        # Below: float64 rounding of at most 570 terms of squares up to 4e6.
        assert found.mean[i] == pytest.approx(float(exact / len(numbers)), rel=1e-13, abs=1e-10)
        squares = sum((Fraction(v) - exact / len(numbers)) ** 2 for v in numbers)
        assert found.squares[i] == pytest.approx(float(squares), rel=1e-12, abs=1e-6)


def test_variance_is_right_far_from_zero() -> None:
    # With Σ v² - (Σ v)²/n in float64, 1e9 ± 1 would keep no digit of the variance at all.
    rng = np.random.default_rng(1)
    values = 1e9 + rng.standard_normal((8, 40, 40))
    found = label_statistics(values, np.ones(values.shape, np.uint8), [1])
    exact = np.var((values - 1e9).astype(np.longdouble))
    assert found.squares[0] / found.n[0] == pytest.approx(float(exact), rel=1e-9)


def test_variance_survives_a_first_voxel_far_off() -> None:
    # Sums are taken from the organ's first voxel; an outlier there costs n · 2⁻⁵³ of the (then large) variance at most.
    values = np.random.default_rng(2).standard_normal((4, 30, 30))
    values[0, 0, 0] = 1e6
    found = label_statistics(values, np.ones(values.shape, np.uint8), [1])
    assert found.squares[0] == pytest.approx(float(((values - values.mean()) ** 2).sum()), rel=1e-11)


def test_repeats_bit_for_bit_whatever_the_threads() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((64, 130, 130)).astype(np.float32)  # above the size from which threads are used
    labels = rng.integers(0, 6, (8, 13, 13)).astype(np.uint16).repeat(8, 0).repeat(10, 1).repeat(10, 2)
    first, *others = (label_statistics(values, labels, [1, 2, 3, 4, 5], threads=t) for t in (1, 2, 3, 2))
    for other in others:
        for name in ("n", "sum", "mean", "squares", "low", "high", "box"):
            assert getattr(first, name).tobytes() == getattr(other, name).tobytes()


def test_does_not_change_or_need_to_write_its_inputs() -> None:
    values, labels = np.arange(27.0).reshape(3, 3, 3), np.ones((3, 3, 3), np.uint8)
    values.flags.writeable = labels.flags.writeable = False
    assert label_statistics(values, labels, [1]).sum[0] == 351


def test_foreign_byte_order_bool_maps_and_half_precision() -> None:
    labels = np.array([[[True, True, False]]])
    for values in (np.array([[[1.0, 2.0, 4.0]]], ">f4"), np.array([[[1, 2, 4]]], np.float16)):
        assert label_statistics(values, labels, [1]).sum[0] == 3


def test_a_gap_in_the_labels_and_a_large_one() -> None:
    labels = np.array([[[7, 0, 60000, 60000]]], np.uint16)
    assert label_statistics(np.ones((1, 1, 4)), labels, [60000, 7]).n.tolist() == [2, 1]


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_inside_an_organ_is_refused_and_outside_not(bad: float) -> None:
    values, labels = np.ones((2, 3, 4)), np.zeros((2, 3, 4), np.uint8)
    labels[1, 1, 1:3], values[0, 0, 0] = 5, bad
    assert label_statistics(values, labels, [5]).sum[0] == 2
    values[1, 1, 2] = bad
    with pytest.raises(InputError, match=r"\(1, 1, 2\)") as error:
        label_statistics(values, labels, [5])
    assert error.value.code == "infinite_voxel"


@pytest.mark.parametrize(
    ("code", "values", "labels"),
    [
        ("unnamed_label", np.ones((1, 1, 2)), np.array([[[1, 9]]])),
        ("unnamed_label", np.ones((1, 1, 2)), np.array([[[1, -3]]])),
        ("labels_not_integers", np.ones((1, 1, 2)), np.ones((1, 1, 2))),
        ("shape_mismatch", np.ones((1, 1, 3)), np.ones((1, 1, 2), int)),
    ],
)
def test_what_is_refused(code: str, values: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(InputError) as error:
        label_statistics(values, labels, [1])
    assert error.value.code == code


def test_compiles_where_no_folder_can_keep_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import caching

    # What numba does where the install folder, NUMBA_CACHE_DIR and the user's cache folder are all read-only.
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(lambda x: 2 * x)(21) == 42
