"""What every modality of the image kind keeps; a new folder is picked up by itself.

A modality's ``phantom.contract`` gives `contract_case(folder, strength)`: raw files of a known truth and what the stages
are told of them (`tracker.digital.ContractCase`). What a scan shows is the tissue's own, which strength 0 has, and the label's on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tracker.image import Quantity
from tracker.modality import Modality, has_part, modalities
from tracker.organs import read_organs
from tracker.quantify import planar_rows, quantify
from tracker.table import Row

IMAGES = [m for m in modalities() if m.kind == "image"]


def _part(one: Modality, name: str) -> ModuleType:
    return import_module(f"tracker.{one.package}.{name}")


def _quantity(one: Modality, case: Any) -> Quantity:
    scan = _part(one, "read").read(case.context.acquisition.path, "", case.context)
    return _part(one, "calibrate").calibrate(scan, case.context)


def _rows(one: Modality, case: Any, quantity: Quantity) -> Sequence[Row]:
    if not has_part(one.names[0], "locate"):
        return quantify(quantity, read_organs(case.organs, quantity.grid), case.context).rows
    regions = _part(one, "locate").locate(quantity, case.context)
    return planar_rows(quantity, regions, case.context, _part(one, "measure").measure(quantity, regions, case.context)[0])


def _amounts(one: Modality, case: Any) -> dict[str, float]:
    rows = _rows(one, case, _quantity(one, case))
    return {r.organ: r.value for r in rows if r.quantity == case.quantity}


@pytest.fixture(params=IMAGES, ids=lambda m: m.package)
def one(request: pytest.FixtureRequest) -> Modality:
    return request.param


def test_truth_comes_back_in_the_unit_declared(one: Modality, tmp_path: Path) -> None:
    case = _part(one, "phantom.contract").contract_case(tmp_path, 1.0)
    assert _quantity(one, case).unit == case.unit
    found = _amounts(one, case)
    assert found.keys() == case.amounts.keys()
    for organ, amount in case.amounts.items():
        # Stored values are 16-bit integers with one slope a slice: a cold organ beside a hot one is rounded by up to a percent.
        assert found[organ] == pytest.approx(amount, rel=0.02), organ


def test_no_label_in_no_label_out(one: Modality, tmp_path: Path) -> None:
    case = _part(one, "phantom.contract").contract_case(tmp_path, 0.0)
    found = _amounts(one, case)
    assert found.keys() == case.amounts.keys()
    for organ, own in case.amounts.items():
        # An amount is exactly 0; a rate is the tissue's own, which every scan of this animal shows.
        assert found[organ] == pytest.approx(own, rel=case.rounding, abs=case.floor), organ


def test_twice_in_twice_out(one: Modality, tmp_path: Path) -> None:
    cases = [_part(one, "phantom.contract").contract_case(tmp_path / str(s), s) for s in (0.0, 1.0, 2.0)]
    empty, once, twice = (_amounts(one, case) for case in cases)
    for organ, own in empty.items():
        assert twice[organ] - own == pytest.approx(2 * (once[organ] - own), rel=cases[0].rounding, abs=cases[0].floor), organ


def test_input_is_not_changed(one: Modality, tmp_path: Path) -> None:
    case = _part(one, "phantom.contract").contract_case(tmp_path, 1.0)
    files = {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    scan = _part(one, "read").read(case.context.acquisition.path, "", case.context)
    before = np.asarray(scan.values).copy()
    np.asarray(_part(one, "calibrate").calibrate(scan, case.context).values)
    assert (np.asarray(scan.values) == before).all()
    assert {p: p.read_bytes() for p in sorted(tmp_path.rglob("*")) if p.is_file()} == files


def test_the_same_files_are_in_every_room(one: Modality) -> None:
    for name in ("__init__.py", "read.py", "calibrate.py", "config.schema"):
        assert (one.folder / name).is_file(), name
    assert (one.folder / "phantom.py").is_file() or (one.folder / "phantom").is_dir()


def test_a_table_modality_would_be_found_by_its_file() -> None:
    assert all(m.kind in ("image", "table") for m in modalities())
    assert all((m.folder / ("calibrate.py" if m.kind == "image" else "tabulate.py")).is_file() for m in modalities())
