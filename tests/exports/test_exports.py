"""The PK files of a small study, read back with plain csv: what each format's reader demands, and nothing made up."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from tracker.exports import write_exports
from tracker.study.model import Config, Corrections, Organs, PkTarget, Study
from tracker.study.rows import Dose, Label, Subject
from tracker.table import Row

T0 = datetime(2026, 3, 1, 23, 30)
IDS = ("NA", "007", "1E5")
CELLS = (PkTarget("cells_equivalent", "pet"),)
FILES = {"nonmem.csv", "monolix.csv", "id_map.csv", "left_out.csv", "nca.csv", "pixi_biodistribution.csv"}


def study(targets: Sequence[PkTarget] = CELLS, doses: Sequence[Dose] | None = None, decay: bool = True) -> Study:
    subjects = tuple(Subject(s, "mouse", 20.0 + i, group=("treated, high", "")[i % 2]) for i, s in enumerate(IDS))
    given = tuple(Dose(s, T0, "zr", 5e5, "iv", amount=1e6, amount_unit="Bq", residual_amount=0.0) for s in IDS)
    labels = (Label("zr", "radionuclide", nuclide="89Zr"), Label("luc", "reporter"))
    config = Config("demo", Organs(), Corrections(decay=decay), tuple(targets), {})
    return Study(config, Path("config.yaml"), Path(), subjects, given if doses is None else tuple(doses), labels, ())


def row(subject: str, organ: str, time_h: float, value: float | None, quantity: str = "cells_equivalent", **changes: object) -> Row:
    unit = {"cells_equivalent": "cells", "cells_viable": "cells", "injected_percent": "%", "injected_percent_per_g": "%/g"}[quantity]
    base = Row("demo", subject, "", "d", "pet", "zr", organ, time_h, time_h, time_h, quantity, value, unit, 10.0, 20.0, lloq=100.0, cens=0)
    return replace(base, **changes)  # type: ignore[arg-type]


def table(quantity: str = "cells_equivalent") -> list[Row]:
    return [
        row(s, organ, t, 1e5 * math.exp(-0.1 * t) * (1 + i), quantity)
        for t in (24.0, 0.0, 1.0)
        for i, s in enumerate(IDS)
        for organ in ("lung", "left kidney", "left-kidney")
    ]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(folder: Path, kind: str) -> dict[str, int]:
    return {r["text"]: int(r["number"]) for r in read(folder / "id_map.csv") if r["kind"] == kind}


def names(folder: Path, kind: str) -> dict[str, str]:
    return {r["text"]: r["name"] for r in read(folder / "id_map.csv") if r["kind"] == kind}


def checks(findings: object) -> list[tuple[str, str]]:
    return [(f.check, f.status) for f in findings]  # type: ignore[attr-defined]


# --- every file --------------------------------------------------------------------------------------------------------


def test_all_files_are_written_whole_with_one_header_and_unix_lines(tmp_path: Path) -> None:
    findings = write_exports(study(), table(), tmp_path / "pk")
    assert {p.name for p in (tmp_path / "pk").iterdir()} == FILES
    for path in (tmp_path / "pk").iterdir():
        raw = path.read_bytes()
        assert b"\r" not in raw
        assert b"\n\n" not in raw
        assert raw.endswith(b"\n")
        assert not raw.startswith(b"\xef\xbb\xbf")
    assert checks(findings) == [("pk_exports", "ok")]
    assert findings[0].reason == "27 observations and 3 doses of 3 subjects"


def test_the_same_rows_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    write_exports(study(), table(), tmp_path / "a")
    write_exports(study(), table()[::-1], tmp_path / "b")
    for name in FILES - {"pixi_biodistribution.csv"}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_an_empty_table_gives_headers_and_a_warning(tmp_path: Path) -> None:
    findings = write_exports(study(), [], tmp_path)
    assert all(len((tmp_path / name).read_text().splitlines()) == 1 for name in FILES - {"id_map.csv"})
    assert checks(findings) == [("pk_exports", "warn"), ("pk_target_empty", "warn")]


# --- NONMEM ------------------------------------------------------------------------------------------------------------


def test_nonmem_has_only_numbers_below_a_header_that_ignore_at_skips(tmp_path: Path) -> None:
    rows = [*table(), row("007", "lung", 2.0, 3.0, sd_noise=None, sd_scale=None, lloq=None, cens=None)]
    write_exports(study(), rows, tmp_path)
    header, *lines = (tmp_path / "nonmem.csv").read_text().splitlines()
    # IGNORE=@ skips lines whose first character that is not blank is a letter or @.
    assert header.startswith("ID,TIME,AMT,DV,MDV,EVID,CMT,DVID,CENS,LLOQ,SDN,SDS,BW,GROUP")
    for line in lines:
        items = line.split(",")
        assert len(items) == len(header.split(","))
        assert all(len(item) <= 24 and math.isfinite(float(item)) for item in items)


def test_nonmem_records_of_an_id_are_together_in_time_order_doses_first(tmp_path: Path) -> None:
    write_exports(study(), table(), tmp_path)
    records = read(tmp_path / "nonmem.csv")
    ids = [key for key, _ in groupby(records, key=lambda r: r["ID"])]
    assert ids == ["1", "2", "3"]
    for a, b in pairwise(records):
        if a["ID"] == b["ID"]:
            assert float(a["TIME"]) <= float(b["TIME"])
            assert (a["TIME"] != b["TIME"]) or a["EVID"] >= b["EVID"]
    assert [r["EVID"] for r in records if r["ID"] == "1"] == ["1"] + ["0"] * 9


def test_ids_that_look_like_numbers_or_missing_are_mapped(tmp_path: Path) -> None:
    write_exports(study(), table(), tmp_path)
    ids = numbers(tmp_path, "subject")
    assert ids == {"007": 1, "1E5": 2, "NA": 3}
    weight = {r["ID"]: r["BW"] for r in read(tmp_path / "nonmem.csv")}
    assert weight == {str(ids["NA"]): "20", str(ids["007"]): "21", str(ids["1E5"]): "22"}
    groups = numbers(tmp_path, "group")
    assert set(groups) == {"", "treated, high"}
    assert {r["GROUP"] for r in read(tmp_path / "nonmem.csv") if r["ID"] == "1"} == {str(groups[""])}


def test_nonmem_observations_and_doses(tmp_path: Path) -> None:
    write_exports(study(), table(), tmp_path)
    records = read(tmp_path / "nonmem.csv")
    dose = next(r for r in records if r["EVID"] == "1")
    assert (dose["TIME"], dose["AMT"], dose["DV"], dose["MDV"], dose["DVID"]) == ("0", "500000", "0", "1", "0")
    organ = numbers(tmp_path, "dvid")
    cmt = numbers(tmp_path, "cmt")
    assert set(organ) == {"lung", "left kidney", "left-kidney"}
    assert set(cmt) == {"iv cells", *organ}
    assert dose["CMT"] == str(cmt["iv cells"]) == "1"
    (seen,) = (r for r in records if (r["ID"], r["TIME"], r["DVID"]) == ("1", "24", str(organ["lung"])))
    assert float(seen["DV"]) == pytest.approx(2e5 * math.exp(-2.4), rel=1e-8)
    assert (seen["AMT"], seen["MDV"], seen["EVID"], seen["CMT"]) == ("0", "0", "0", str(cmt["lung"]))
    assert (seen["CENS"], seen["LLOQ"], seen["SDN"], seen["SDS"]) == ("0", "100", "10", "20")


def test_several_quantities_have_their_own_dvid_and_the_same_compartment(tmp_path: Path) -> None:
    targets = (*CELLS, PkTarget("injected_percent", "pet"))
    write_exports(study(targets), table() + table("injected_percent"), tmp_path)
    dvid = numbers(tmp_path, "dvid")
    assert len(dvid) == 6
    records = [r for r in read(tmp_path / "nonmem.csv") if r["EVID"] == "0"]
    of_lung = {r["DVID"] for r in records if r["CMT"] == str(numbers(tmp_path, "cmt")["lung"])}
    assert of_lung == {str(dvid["cells_equivalent lung"]), str(dvid["injected_percent lung"])}
    doses = [r for r in read(tmp_path / "nonmem.csv") if r["EVID"] == "1" and r["ID"] == "1"]
    assert [(r["AMT"], r["CMT"]) for r in doses] == [("500000", "1"), ("1000000", "2")]
    assert {k for k in numbers(tmp_path, "cmt") if " " in k and "kidney" not in k} == {"iv cells", "iv zr Bq"}


# --- limits and missing values -----------------------------------------------------------------------------------------


def test_below_and_above_the_limits(tmp_path: Path) -> None:
    rows = [
        row("007", "lung", 1.0, -3.0, cens=1),
        row("007", "lung", 2.0, 9e9, cens=-1, uloq=1e9),
        row("007", "lung", 3.0, 500.0),
    ]
    write_exports(study(), rows, tmp_path)
    nonmem = [(r["TIME"], r["DV"], r["CENS"], r["LLOQ"]) for r in read(tmp_path / "nonmem.csv") if r["EVID"] == "0"]
    assert nonmem == [("1", "100", "1", "100"), ("2", "1e+09", "-1", "100"), ("3", "500", "0", "100")]
    monolix = [(r["TIME"], r["DV"], r["CENS"], r["LIMIT"]) for r in read(tmp_path / "monolix.csv") if r["EVID"] == "0"]
    assert monolix == [("1", "100", "1", "0"), ("2", "1e+09", "-1", "."), ("3", "500", "0", ".")]


def test_a_missing_value_never_becomes_zero(tmp_path: Path) -> None:
    rows = [
        *table(),
        row("007", "lung", 2.0, None, flag=("fit_failed",)),
        row("007", "lung", 3.0, 5.0, cens=1, lloq=None),
        row("007", "lung", 4.0, 5.0, cens=-1),
        row("007", "lung", -24.0, 5.0),
        replace(row("007", "lung", 0.0, 5.0), time_h=None),
        row("stranger", "lung", 1.0, 5.0),
    ]
    findings = write_exports(study(), rows, tmp_path)
    for name in ("nonmem.csv", "monolix.csv"):
        records = [r for r in read(tmp_path / name) if r["EVID"] == "0"]
        assert len(records) == len(table())
        assert all(float(r["DV"]) > 0 for r in records)
    left = {(r["time_h"], r["reason"]) for r in read(tmp_path / "left_out.csv")}
    reasons = {("2", "missing_value"), ("3", "no_lloq"), ("4", "no_uloq"), ("-24", "before_dose")}
    assert left == {*reasons, ("", "missing_time"), ("1", "unknown_subject")}
    assert ("pk_left_out", "warn") in checks(findings)


def test_an_unknown_deviation_or_limit_is_not_zero(tmp_path: Path) -> None:
    write_exports(study(), [row("007", "lung", 1.0, 5.0, sd_noise=None, sd_scale=None, lloq=None, cens=None)], tmp_path)
    (seen,) = (r for r in read(tmp_path / "nonmem.csv") if r["EVID"] == "0")
    assert (seen["SDN"], seen["SDS"], seen["LLOQ"], seen["CENS"]) == ("-99", "-99", "-99", "0")
    assert [r["number"] for r in read(tmp_path / "id_map.csv") if r["kind"] == "missing"] == ["-99"]
    (text,) = (r for r in read(tmp_path / "monolix.csv") if r["EVID"] == "0")
    assert (text["SD_NOISE"], text["SD_SCALE"]) == (".", ".")


def test_a_negative_value_survives(tmp_path: Path) -> None:
    write_exports(study(), [row("007", "lung", 1.0, -3.5)], tmp_path)
    assert [r["DV"] for r in read(tmp_path / "nonmem.csv") if r["EVID"] == "0"] == ["-3.5"]


def test_no_value_is_in_the_files_that_is_not_in_the_table(tmp_path: Path) -> None:
    write_exports(study(), table(), tmp_path)
    known = {f"{r.value:.9g}" for r in table()}
    for name in ("nonmem.csv", "monolix.csv"):
        assert {r["DV"] for r in read(tmp_path / name) if r["EVID"] == "0"} == known


# --- Monolix -----------------------------------------------------------------------------------------------------------


def test_monolix_header_and_order(tmp_path: Path) -> None:
    write_exports(study(), table(), tmp_path)
    records = read(tmp_path / "monolix.csv")
    assert all(c.replace("_", "a").isalnum() and c[0].isalpha() for c in records[0])
    assert [key for key, _ in groupby(r["ID"] for r in records)] == ["007", "1E5", "NA"]
    keys = [(r["ID"], float(r["TIME"]), r["EVID"] == "0") for r in records]
    assert keys == sorted(keys)
    assert all(None not in r and None not in r.values() and "" not in r.values() for r in records)


def test_monolix_doses_observations_and_names(tmp_path: Path) -> None:
    write_exports(study(), table(), tmp_path)
    records = read(tmp_path / "monolix.csv")
    dose, first = records[0], records[1]
    assert [dose[c] for c in ("TIME", "AMT", "ADM", "EVID", "DV", "DVID", "CENS", "WEIGHT", "GROUP")] == [
        *("0", "500000", "1", "1", ".", ".", ".", "21", "none")
    ]
    assert (first["AMT"], first["ADM"], first["LABEL"], first["MODALITY"], first["QUANTITY"]) == (".", ".", "zr", "pet", "cells_equivalent")
    organs = {r["DVID"] for r in records if r["EVID"] == "0"}
    assert organs == set(names(tmp_path, "dvid").values())
    assert len(organs) == 3  # "left kidney" and "left-kidney" stay two
    assert all(o.replace("_", "a").isalnum() for o in organs)
    assert {r["GROUP"] for r in records} == {"none", "treated__high"}


# --- doses -------------------------------------------------------------------------------------------------------------


def test_two_labels_on_the_same_cells_are_one_dose_of_cells(tmp_path: Path) -> None:
    two = [Dose("007", T0, "zr", 5e5, "iv", amount=1e6, amount_unit="Bq"), Dose("007", T0, "luc", 5e5, "iv")]
    rows = [row("007", "lung", 1.0, 3e5, "cells_viable", modality="joint", label="zr+luc")]
    write_exports(study([PkTarget("cells_viable", "joint")], two), rows, tmp_path)
    assert [r["AMT"] for r in read(tmp_path / "nonmem.csv") if r["EVID"] == "1"] == ["500000"]


def test_doses_are_live_cells_at_hours_from_the_first(tmp_path: Path) -> None:
    later = T0 + timedelta(hours=48, minutes=30)
    two = [Dose("007", later, "zr", 2e5, "iv", 90.0), Dose("007", T0, "zr", 5e5, "iv", 80.0)]
    findings = write_exports(study(doses=two), [row("007", "lung", t, 1e5 / (t + 1)) for t in (1.0, 48.5, 72.0)], tmp_path)
    records = [(r["TIME"], r["AMT"], r["EVID"]) for r in read(tmp_path / "nonmem.csv")]
    assert records == [("0", "400000", "1"), ("1", "0", "0"), ("48.5", "180000", "1"), ("48.5", "0", "0"), ("72", "0", "0")]
    assert ("nca_repeat_doses", "warn") in checks(findings)


def test_an_amount_is_net_and_at_the_time_of_the_dose(tmp_path: Path) -> None:
    # 1 MBq one half-life (78.41 h) before the dose is 0.5 MBq at it; minus 0.1 MBq measured at it.
    before = T0 - timedelta(seconds=282276)
    one = Dose("007", T0, "zr", 5e5, "iv", amount=1e6, amount_unit="Bq", assay_time=before, residual_amount=1e5, residual_time=T0)
    write_exports(study([PkTarget("injected_percent", "pet")], [one]), [row("007", "lung", 1.0, 30.0, "injected_percent")], tmp_path)
    assert [r["AMT"] for r in read(tmp_path / "nonmem.csv") if r["EVID"] == "1"] == ["400000"]


def test_a_dose_without_amount_is_left_out_and_said(tmp_path: Path) -> None:
    one = Dose("007", T0, "zr", 5e5, "iv")
    rows = [row("007", "lung", 1.0, 30.0, "injected_percent")]
    findings = write_exports(study([PkTarget("injected_percent", "pet")], [one]), rows, tmp_path)
    assert [r["EVID"] for r in read(tmp_path / "nonmem.csv")] == ["0"]
    assert ("pk_dose_missing", "warn") in checks(findings)


def test_subjects_without_observations_have_no_record(tmp_path: Path) -> None:
    write_exports(study(), [row("007", "lung", 1.0, 30.0)], tmp_path)
    assert {r["ID"] for r in read(tmp_path / "monolix.csv")} == {"007"}


# --- targets -----------------------------------------------------------------------------------------------------------


def test_a_target_without_rows_is_a_warning_and_is_not_replaced(tmp_path: Path) -> None:
    findings = write_exports(study([PkTarget("cells_viable", "joint")]), table(), tmp_path)
    assert read(tmp_path / "nonmem.csv") == []
    (said,) = (f for f in findings if f.check == "pk_target_empty")
    assert said.reason == "no rows for target cells_viable, modality joint"


def test_targets_choose_organs_subjects_and_modality(tmp_path: Path) -> None:
    rows = [*table(), *(replace(r, modality="spect") for r in table())]
    write_exports(study([PkTarget("cells_equivalent", "pet", ("lung",), ("007", "NA"))]), rows, tmp_path)
    records = [r for r in read(tmp_path / "monolix.csv") if r["EVID"] == "0"]
    assert {(r["ID"], r["ORGAN"], r["MODALITY"]) for r in records} == {("007", "lung", "pet"), ("NA", "lung", "pet")}
    assert len(records) == 6


def test_overlapping_targets_hand_a_row_over_once(tmp_path: Path) -> None:
    write_exports(study([*CELLS, PkTarget("cells_equivalent", "pet", ("lung",))]), table(), tmp_path)
    assert sum(r["EVID"] == "0" for r in read(tmp_path / "nonmem.csv")) == len(table())


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        (("injected_percent", "cells_equivalent"), "cells_equivalent"),
        (("injected_percent_per_g", "injected_percent"), "injected_percent"),
        (("injected_percent_per_g",), None),
    ],
)
def test_default_target(tmp_path: Path, present: tuple[str, ...], chosen: str | None) -> None:
    write_exports(study(()), [r for q in present for r in table(q)], tmp_path)
    seen = {r["QUANTITY"] for r in read(tmp_path / "monolix.csv") if r["EVID"] == "0"}
    assert seen == ({chosen} if chosen else set())


# --- nca.csv and PIXI --------------------------------------------------------------------------------------------------


def _percent(organ: str = "lung") -> list[Row]:
    return [row("007", organ, t, 50.0, "injected_percent") for t in (0.0, 100.0, 1000.0)]


def test_nca_has_the_targets_quantities_and_the_label_s_half_life(tmp_path: Path) -> None:
    write_exports(study([PkTarget("injected_percent", "pet")]), [*_percent(), *table()], tmp_path)
    (result,) = read(tmp_path / "nca.csv")
    # A label that stays: half of the mean life of 89Zr, 78.41 h / ln 2.
    assert float(result["residence_time_h"]) == pytest.approx(0.5 * 282276 / 3600 / math.log(2), rel=1e-8)
    assert result["subject"] == "007"


def test_without_decay_correction_there_is_no_residence_time(tmp_path: Path) -> None:
    findings = write_exports(study([PkTarget("injected_percent", "pet")], decay=False), _percent(), tmp_path)
    assert [r["residence_time_h"] for r in read(tmp_path / "nca.csv")] == [""]
    assert ("nca_no_decay_correction", "warn") in checks(findings)


def test_two_values_at_one_time_set_that_curve_aside_only(tmp_path: Path) -> None:
    rows = [*_percent(), row("007", "lung", 100.0, 40.0, "injected_percent", session="again"), *_percent("liver")]
    findings = write_exports(study([PkTarget("injected_percent", "pet")]), rows, tmp_path)
    assert ("nca_duplicate_time", "fail") in checks(findings)
    results = {r["organ"]: (r["auc_last"], r["flag"]) for r in read(tmp_path / "nca.csv")}
    assert results["lung"] == ("", "duplicate_time")
    assert float(results["liver"][0]) == 50_000


def test_pixi_lines(tmp_path: Path) -> None:
    rows = [row("007", "lung", 24.5, 12.5, "injected_percent_per_g", group="g1"), row("007", "lung", 48.0, None, "injected_percent_per_g")]
    write_exports(study(), rows, tmp_path)
    (line,) = (tmp_path / "pixi_biodistribution.csv").read_text().splitlines()[1:]
    assert line == "007,lung,g1,12.5,zr,2026-03-03 00:00:00,2026-03-01 23:30:00"


def test_one_subject_with_offsets_from_utc_and_another_without(tmp_path: Path) -> None:
    # The config's rule is per subject: all of its times state an offset, or none.
    later = T0 + timedelta(hours=2)
    times = {"NA": T0.replace(tzinfo=UTC), "007": T0, "1E5": T0}
    doses = [Dose(s, t, "zr", 5e5, "iv", amount=1e6, amount_unit="Bq", residual_amount=0.0) for s, t in times.items()]
    doses.insert(0, replace(doses[1], dose_time=later))
    rows = [row(s, "lung", 1.0, 2.0, "injected_percent_per_g") for s in ("NA", "007")]
    write_exports(study(doses=doses), rows, tmp_path)
    lines = (tmp_path / "pixi_biodistribution.csv").read_text().splitlines()[1:]
    assert [line.rsplit(",", 1)[1] for line in lines] == ["2026-03-01 23:30:00+00:00", "2026-03-01 23:30:00"]
