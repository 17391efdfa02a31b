"""The command line: what a command prints, and with which exit code it ends."""

from __future__ import annotations

import pytest

from tracker.cli import main

GELS = "concentration_mmolar\tr2star_per_s\n0\t10\n1\t109\n2\t211\n3\t310\n"


@pytest.fixture
def gels(tmp_path):
    path = tmp_path / "gels.tsv"
    path.write_text(GELS, encoding="utf-8")
    return path


def test_calibrate_prints_the_lines_for_the_config_and_draws(gels, tmp_path, capsys):
    assert main(["calibrate", "mri", str(gels), "--out", str(tmp_path / "line.svg")]) == 0
    out = capsys.readouterr().out
    assert "relaxivity_per_s_per_mmolar: 100.2\n" in out and "relaxivity_sd_per_s_per_mmolar: " in out
    assert f"figure: {tmp_path / 'line.svg'}" in out and (tmp_path / "line.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_calibrate_ends_with_2_on_a_wrong_table_and_names_all_that_is_wrong(gels, capsys):
    gels.write_text(GELS.replace("109", "x").replace("211", "-1"), encoding="utf-8")
    assert main(["calibrate", "mri", str(gels)]) == 2
    err = capsys.readouterr().err
    assert "gels.tsv, line 3, column r2star_per_s" in err and "gels.tsv, line 4, column r2star_per_s" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["pet", "x.tsv"], "no_standards"), (["mrj", "x.tsv"], "unknown_modality"), (["mri", "x.tsv"], "missing_file")],
)
def test_calibrate_refuses(arguments, code, capsys):
    assert main(["calibrate", *arguments]) == 2
    assert code in capsys.readouterr().err


def test_calibrate_writes_svg_only(gels, tmp_path, capsys):
    assert main(["calibrate", "mri", str(gels), "--out", str(tmp_path / "line.png")]) == 2
    assert "not_svg" in capsys.readouterr().err and not (tmp_path / "line.png").exists()
