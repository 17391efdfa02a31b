"""The descriptions of the tables: they agree with the tables, with the file in the repository and with what is written."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tracker.curves import GROUP_COLUMNS, GroupRow, write_groups
from tracker.datapackage import (
    BIODISTRIBUTION,
    GROUPS,
    QUANTITY_MEANINGS,
    biodistribution_schema,
    data_package,
    to_json,
    write_descriptions,
)
from tracker.table import COLUMNS, FLAGS, QUANTITIES, Row, write_rows

SCHEMA_FILE = Path(__file__).parents[1] / "workflow" / "schemas" / "biodistribution.json"

ROW = Row("s", "007", "", "d1", "any", "zr", "liver", 3.0, 2.9, 3.1, "signal", -1.5, "Bq", 0.1, None, None, None, 0, 12, 0.3, 0.31)
ROWS = [ROW, Row("s", "NA", "A", "", "joint", "", "lung", None, None, None, "suv", None, "g/mL", flag=("fit_failed", "no_residual"))]
GROUP = GroupRow("s", "A", "d1", "any", "zr", "liver", 24.0, "suv", "g/mL", 2, 1.0, 0.5, 0.5, 1.0, 0, 1)


def _refuse(field: dict[str, Any], cell: str) -> str:
    """Why Table Schema would refuse a cell, after the specification's rules for the parts used here; empty if it would not."""
    constraints = field.get("constraints", {})
    if cell == "":
        return "required" if constraints.get("required") else ""
    value: object = {"string": str, "number": float, "integer": int}[field["type"]](cell)
    if "enum" in constraints and value not in constraints["enum"]:
        return "enum"
    if "pattern" in constraints and not re.fullmatch(constraints["pattern"], cell):
        return "pattern"
    return ""


def test_columns_are_those_of_the_tables() -> None:
    assert tuple(c.name for c in BIODISTRIBUTION) == COLUMNS
    assert tuple(c.name for c in GROUPS) == GROUP_COLUMNS


def test_every_column_quantity_and_flag_has_a_meaning() -> None:
    assert all(c.meaning for c in (*BIODISTRIBUTION, *GROUPS))
    assert set(QUANTITY_MEANINGS) == set(QUANTITIES)
    schema = biodistribution_schema()
    assert [f["name"] for f in schema["flags"]] == list(FLAGS)
    assert {q["name"]: tuple(q["units"]) for q in schema["quantities"]} == QUANTITIES


def test_the_file_in_the_repository_agrees() -> None:
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    assert text == to_json(biodistribution_schema()), "regenerate workflow/schemas/biodistribution.json from tracker.datapackage"


def test_what_is_written_passes_its_own_description(tmp_path: Path) -> None:
    write_rows(tmp_path / "biodistribution.csv", ROWS)
    write_groups(tmp_path / "groups.csv", [GROUP])
    for resource in data_package("demo")["resources"]:
        with (tmp_path / resource["path"]).open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                refused = {f["name"]: _refuse(f, line[f["name"]]) for f in resource["schema"]["fields"]}
                assert not any(refused.values()), refused


@pytest.mark.parametrize(
    ("column", "cell"), [("quantity", "SUV"), ("cens", "2"), ("unit", "MBq"), ("flag", "fit_failed;"), ("flag", "odd"), ("subject", "")]
)
def test_what_breaks_the_contract_is_refused(column: str, cell: str) -> None:
    (field,) = [f for f in biodistribution_schema()["fields"] if f["name"] == column]
    assert _refuse(field, cell)


def test_package_is_what_frictionless_asks_for(tmp_path: Path) -> None:
    write_descriptions(tmp_path, "MSC lung/Ödem")
    package = json.loads((tmp_path / "datapackage.json").read_text(encoding="utf-8"))
    assert re.fullmatch(r"[a-z0-9._-]+", package["name"])
    assert [r["path"] for r in package["resources"]] == ["biodistribution.csv", "groups.csv"]
    for resource in package["resources"]:
        assert {"name", "path", "schema"} <= set(resource)
        assert resource["schema"]["missingValues"] == [""]
        assert {f["type"] for f in resource["schema"]["fields"]} <= {"string", "number", "integer"}
    assert json.loads((tmp_path / "biodistribution.json").read_text(encoding="utf-8")) == biodistribution_schema()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["biodistribution.json", "datapackage.json"]


def test_no_absolute_path_in_a_package() -> None:
    assert '"/' not in to_json(data_package("demo"))
