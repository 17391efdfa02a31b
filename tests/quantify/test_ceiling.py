"""Voxels above what could be told make their organ a lower bound; a rate becomes a concentration by its relaxivity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tracker.errors import InputError
from tracker.image import Conversion
from tracker.quantify import Beside, OrganValue, organ_ceilings, quantify
from tracker.table import Row

PER_RATE = Conversion(0.2, "ug/mL", 0.15, "relaxivity")


def _labels() -> np.ndarray:
    labels = np.zeros((9, 10, 10), np.uint8)
    labels[2:5, 2:8, 2:8], labels[5:8, 2:8, 2:8] = 1, 2
    return labels


def _rates(make: Callable[..., Any], above: int = 0, **change: Any) -> Any:
    """Rates of 50 (liver) and 90 (spleen); the first ``above`` voxels of the liver are above their limit of 400."""
    labels = _labels()
    values = np.where(labels == 2, 90.0, 50.0).astype(np.float32)[None]
    censored = np.zeros(values.shape, bool)
    where = np.argwhere(labels == 1)[:above]
    censored[(0, *where.T)] = True
    values[censored] = np.nan
    limit = np.where(censored, np.nan, 400.0).astype(np.float32)
    change = {"unit": "1/s", "kind": "relaxation_rate", "conversion": PER_RATE, "scale_cv": None, **change}
    return make(values, labels, {1: "liver", 2: "spleen"}, censored=censored, limit=limit, **change)


def _one(rows: tuple[Row, ...], quantity: str, organ: str = "liver") -> Row:
    (row,) = [r for r in rows if (r.quantity, r.organ) == (quantity, organ)]
    return row


def test_a_rate_becomes_label_by_its_conversion(make, context) -> None:
    rows = quantify(*_rates(make), context).rows
    n = int((_labels() == 1).sum())
    assert (_one(rows, "r2star").value, _one(rows, "r2star").unit, _one(rows, "r2star").sd_scale) == (50.0, "1/s", 0.0)
    assert _one(rows, "concentration").value == pytest.approx(10.0)
    assert _one(rows, "concentration").sd_scale == pytest.approx(1.5)
    signal = _one(rows, "signal")
    assert (signal.value, signal.unit) == (pytest.approx(10.0 * n * 0.01), "ug")
    assert signal.method.endswith("quantify>relaxivity")
    assert _one(rows, "r2star").method.endswith("quantify")


def test_voxels_above_the_limit_make_a_lower_bound(make, context) -> None:
    n, above = int((_labels() == 1).sum()), 27
    result = quantify(*_rates(make, above), context)
    row = _one(result.rows, "r2star")
    bound = (50.0 * (n - above) + 400.0 * above) / n
    assert (row.value, row.uloq, row.cens) == (pytest.approx(bound), pytest.approx(bound), -1)
    assert "saturated" in row.flag and "nonfinite_voxels" not in row.flag
    assert _one(result.rows, "concentration_max").value == pytest.approx(80.0)
    assert _one(result.rows, "signal").uloq == pytest.approx(bound * 0.2 * n * 0.01)
    assert (_one(result.rows, "r2star", "spleen").cens, _one(result.rows, "r2star", "spleen").flag) == (0, ())
    assert [f.check for f in result.findings if f.status == "warn" and f.check != "organ_volume"] == ["saturated_voxels"]
    assert f"liver: {100 * above / n:.3g} %" in next(f.reason for f in result.findings if f.check == "saturated_voxels")


def test_the_bound_is_below_the_truth_whatever_the_voxels_hold(make, context) -> None:
    # The true mean with voxels of 400 (the least) or 4000 is never under the bound.
    row = _one(quantify(*_rates(make, 5), context).rows, "r2star")
    n = int((_labels() == 1).sum())
    for held in (400.0, 4000.0):
        assert row.value <= (50.0 * (n - 5) + held * 5) / n * (1 + 1e-6)


def test_an_organ_with_no_other_voxel_has_the_earlier_scans_bound_and_no_value(make, context) -> None:
    n = int((_labels() == 1).sum())
    quantity, organ_map = _rates(make, n)
    without = _one(quantify(quantity, organ_map, context).rows, "r2star")
    assert (without.value, without.uloq, without.cens) == (None, None, None)
    assert "saturated" in without.flag
    before = organ_ceilings(*_rates(make))
    row = _one(quantify(quantity, organ_map, context, Beside(before)).rows, "r2star")
    assert (row.value, row.uloq, row.cens, row.sd_noise) == (None, 400.0, -1, None)


def test_a_stated_share_is_let_pass_but_said(make, context) -> None:
    allowed = replace(context, constants={"saturated_share_allowed_percent": 10.0})
    result = quantify(*_rates(make, 3), allowed)
    row = _one(result.rows, "r2star")
    assert (row.cens, row.uloq) == (0, None)
    assert "saturated_voxels" in [f.check for f in result.findings]


def test_ceiling_is_what_nine_of_ten_voxels_could_show(make) -> None:
    quantity, organ_map = _rates(make)
    limit = np.asarray(quantity.limit).copy()
    inside = np.argwhere(organ_map.labels == 1)
    limit[(0, *inside.T)] = np.linspace(100, 200, len(inside))
    assert organ_ceilings(replace(quantity, limit=limit), organ_map)["liver"] == pytest.approx(110.0, abs=0.1)
    assert organ_ceilings(replace(quantity, limit=None), organ_map) == {}


def test_a_rate_without_conversion_and_an_unknown_kind_are_refused(make, context) -> None:
    with pytest.raises(InputError, match="relaxivity"):
        quantify(*_rates(make, conversion=None), context)
    with pytest.raises(InputError, match="quantity_kind"):
        quantify(*_rates(make, kind="colour"), context)
    with pytest.raises(InputError, match="quantity_unit"):
        quantify(*_rates(make, unit="1/ms"), context)


def test_values_of_the_modalitys_own_measure_become_rows(make, context) -> None:
    own = OrganValue("liver", "hypointense_volume", "mL", 0.4, 0.02, 0.0, (), "void at 10 ms")
    rows = quantify(*_rates(make), context, Beside(values=(own,))).rows
    row = _one(rows, "hypointense_volume")
    assert (row.value, row.sd_noise, row.cens) == (0.4, 0.02, 0)
    assert row.method.endswith("quantify>void at 10 ms")
    alone = quantify(*_rates(make, kind="only_measure_knows"), context, Beside(values=(own,))).rows
    assert [r.quantity for r in alone] == ["hypointense_volume"]
