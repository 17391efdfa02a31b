"""What the page says of how organs fit: only where they were brought from elsewhere, scan by scan."""

from __future__ import annotations

from tracker.qc import QcRow
from tracker.report import ReportInputs, _fits, render
from tracker.table import Row


def _check(session: str, check: str, status: str, reason: str = "x") -> QcRow:
    return QcRow("s", "m1", session, "pet", "organs", check, status, reason)


def test_fits_are_listed_by_scan_with_their_numbers() -> None:
    found = [
        _check("d7", "organ_agreement", "ok", "mean Dice 0.93, distance 0.2 mm"),
        _check("d1", "registration", "warn", "mutual information 0.4, folding 0"),
        _check("d1", "raw_files", "ok", "111 files"),
        _check("d1", "organ_volume", "ok", "plausible"),
    ]
    page = render(ReportInputs("s", (), tuple(found)))
    part = page[page.index('id="fits"') : page.index('id="checks"')]
    assert part.index("mutual information 0.4") < part.index("plausible") < part.index("mean Dice 0.93") and "111 files" not in part
    assert "<details open>" in part


def test_organs_drawn_on_the_scan_itself_make_no_section() -> None:
    found = (_check("d1", "organ_volume", "ok"), _check("d1", "raw_files", "ok"))
    assert _fits(found) == [] and 'id="fits"' not in render(ReportInputs("s", (), found))


def test_methods_say_whether_borders_are_in_the_interval() -> None:
    from tracker.report.methods import _borders

    row = Row("s", "m1", "a", "d0", "pet", "zr", "liver", 1.0, 0.9, 1.1, "signal", 1.0, "Bq", method="segmentation>quantify>boundary>decay")
    assert _borders([row]).startswith("Where the method has the stage boundary")
    assert _borders([]) == "Neither holds how the organs were drawn."
