"""Scans before and after stand in time order on one scale, through the organ that changed, and lost voxels show as lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from tests.report.rate_scans import LIVER, SHAPE, labels_of, rate_scan
from tracker.errors import InputError
from tracker.image import OrganMap, Quantity
from tracker.report import before_after
from tracker.report.before_after import EMPTY, write_before_after
from tracker.report.picture import ABOVE, NO_VALUE, View
from tracker.report.rates import rate_image, rate_slice, rate_top

Scan = tuple[str, Quantity, OrganMap]


def _drawn(monkeypatch: pytest.MonkeyPatch, folder: Path, scans: list[Scan]) -> list[tuple[View, float]]:
    """The views that the picture is made of, each with the top of its scale, in the order they are drawn."""
    seen: list[tuple[View, float]] = []
    draw = before_after.draw_view

    def spy(axes, view, top, styles, mark_size):  # type: ignore[no-untyped-def]
        seen.append((view, top))
        return draw(axes, view, top, styles, mark_size)

    monkeypatch.setattr(before_after, "draw_view", spy)
    write_before_after(folder / "a.png", scans, "m01, R2* before and after")
    return seen


def _count(path: Path, colour: str) -> int:
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - np.round(255 * np.array(to_rgb(colour)))).max(axis=2) <= 2).sum())


def test_columns_are_in_time_order_whatever_the_order_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scans = [(f"d{day}", *rate_scan(day, {2: 10.0 * day})) for day in (7, 0, 1)]
    views = [view for view, _ in _drawn(monkeypatch, tmp_path, scans)]
    assert [view.title for view in views[::2]] == ["d0", "d1, 24 h later", "d7, 7 d later"]
    assert [float(np.nanmax(view.picture)) for view in views[::2]] == [LIVER, LIVER + 10, LIVER + 70]


def test_of_many_scans_five_are_shown_with_the_first_and_the_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scans = [(f"s{day}", *rate_scan(day, {2: day})) for day in range(10)]
    titles = [view.title.split(",")[0] for view, _ in _drawn(monkeypatch, tmp_path, scans)][::2]
    # Nine follow-ups, numbered 1 to 9: every 2.67th.
    assert titles == ["s0", "s1", "s4", "s6", "s9"]


def test_all_views_share_one_scale_that_one_wild_voxel_does_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before, after = rate_scan(0), rate_scan(1, {2: 40.0})
    after[0].values[0, 12, 8, 10] = 1e5
    tops = {top for _, top in _drawn(monkeypatch, tmp_path, [("a", *before), ("b", *after)])}
    assert tops == {LIVER + 40.0}


@pytest.mark.parametrize(("rise", "organ"), [({2: 30.0}, 2), ({3: 200.0}, 3), ({}, 2), ({1: 5.0}, 2)])
def test_slices_go_through_the_organ_that_changed_where_it_is_widest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rise: dict[int, float], organ: int
) -> None:
    # Nothing changed, or only the rest of the body by a drift: the largest organ.
    labels = labels_of()
    coronal, axial = [view for view, _ in _drawn(monkeypatch, tmp_path, [("a", *rate_scan(0)), ("b", *rate_scan(1, rise))])][2:]
    key = {1: 0, 2: 1, 3: 2}[organ]
    assert coronal.masks[key].sum() == (labels == organ).sum(axis=(0, 2)).max()
    assert axial.masks[key].sum() == (labels == organ).sum(axis=(1, 2)).max()


def test_an_organ_that_is_lost_altogether_is_the_one_that_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spleen = labels_of() == 3
    views = _drawn(monkeypatch, tmp_path, [("a", *rate_scan(0)), ("b", *rate_scan(1, {2: 5.0}, above=spleen))])
    assert views[2][0].masks[2].sum() == spleen.sum(axis=(0, 2)).max()


def test_voxels_without_a_number_are_painted_by_their_kind(tmp_path: Path) -> None:
    labels = labels_of()
    beyond = labels == 2
    failed = rate_scan(1)
    failed[0].values[0][labels == 3] = np.nan  # not censored: a fit that failed
    scans = [("a", *rate_scan(0)), ("b", *rate_scan(1, above=beyond)), ("c", *failed)]
    image = rate_image(*scans[1][1:])
    assert image.above.sum() == beyond.sum() and image.missing.sum() == 0  # air is beyond the limit too, but in no organ
    image = rate_image(*scans[2][1:])
    assert image.above.sum() == 0 and image.missing.sum() == (labels == 3).sum()
    # In the picture: the legend's patches alone, or the organs too.
    write_before_after(tmp_path / "plain.png", [scans[0], scans[0]], "x")
    write_before_after(tmp_path / "above.png", scans[:2], "x")
    legend = _count(tmp_path / "plain.png", ABOVE)
    assert 20 < legend < 400 and _count(tmp_path / "above.png", ABOVE) > legend + 1000
    assert _count(tmp_path / "plain.png", EMPTY) > 5000


def test_a_slice_holds_the_voxels_of_plain_numpy() -> None:
    quantity, organs = rate_scan(0, above=labels_of() == 3)
    quantity.values[0, 12, 8, 9] = np.nan
    image = rate_image(quantity, organs)
    for axis, level in ((0, 12), (1, 8), (2, 9)):
        view = rate_slice(image, axis, level, {5: [2, 3]}, EMPTY)
        np.testing.assert_array_equal(view.picture, quantity.values[0].take(level, axis))
        np.testing.assert_array_equal(view.masks[5], (organs.labels >= 2).take(level, axis))
        (above, above_mask), (missing, missing_mask) = view.paint
        assert (above, missing) == (ABOVE, NO_VALUE) and missing_mask.sum() == 1
        np.testing.assert_array_equal(above_mask, (organs.labels == 3).take(level, axis))


def test_grids_may_differ_and_keep_their_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fine = rate_scan(1, {2: 30.0}, tuple(2 * n for n in SHAPE))  # type: ignore[arg-type]
    spans = [before_after.span_mm(view) for view, _ in _drawn(monkeypatch, tmp_path, [("a", *rate_scan(0)), ("b", *fine)])]
    assert spans == [(10.0, 12.0), (10.0, 8.0), (20.0, 24.0), (20.0, 16.0)]
    size, places = before_after._places([spans[:2], spans[2:]])
    for place, (across, up) in zip([spot for column in places for spot in column], spans, strict=True):
        assert place[2] / across == pytest.approx(place[3] / up)  # square millimetres
        assert place[2] / across == pytest.approx(places[0][0][2] / 10.0)  # and the same in all views
        assert place[0] >= 0 and place[1] >= 0 and place[0] + place[2] < size[0] and place[1] + place[3] < size[1]


def test_labels_are_matched_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quantity, organs = rate_scan(1, {2: 30.0})
    swapped = OrganMap(np.where(organs.labels == 2, 9, organs.labels), {9: "liver", 1: "rest"}, organs.grid)
    views = [view for view, _ in _drawn(monkeypatch, tmp_path, [("a", *rate_scan(0)), ("b", quantity, swapped)])]
    np.testing.assert_array_equal(views[0].masks[1], views[2].masks[1])  # the liver in both
    assert not views[2].masks[2].any()  # no spleen in the second map


def test_side_of_the_patient_follows_the_affine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quantity, organs = rate_scan(0)
    grid = replace(quantity.grid, affine=quantity.grid.affine @ np.diag([-1.0, 1, 1, 1]))
    mirrored = (replace(quantity, grid=grid), replace(organs, grid=grid))
    plain, turned = (_drawn(monkeypatch, tmp_path, [("a", *scan)])[0][0] for scan in (rate_scan(0), mirrored))
    assert plain.marks == turned.marks == ("L", "R", "F", "H")
    np.testing.assert_array_equal(plain.picture, turned.picture[:, ::-1])


def test_same_scans_same_bytes_and_inputs_stay(tmp_path: Path) -> None:
    scans = [("a", *rate_scan(0)), ("b", *rate_scan(1, {2: 30.0}, above=labels_of() == 3))]
    kept = [q.values.copy() for _, q, _ in scans]
    write_before_after(tmp_path / "a.png", scans, "m01 <&$ *")
    write_before_after(tmp_path / "b.png", scans, "m01 <&$ *")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    for (_, q, _), values in zip(scans, kept, strict=True):
        np.testing.assert_array_equal(q.values, values)


def test_scans_without_any_number_or_organ_still_draw(tmp_path: Path) -> None:
    quantity, organs = rate_scan(0)
    empty = replace(quantity, values=np.full_like(quantity.values, np.nan), censored=None, limit=None)
    none = OrganMap(np.zeros_like(organs.labels), {}, organs.grid)
    write_before_after(tmp_path / "a.png", [("a", empty, organs), ("b", empty, none)], "x")
    assert rate_top([rate_image(empty, none)]) == 1.0 and (tmp_path / "a.png").stat().st_size > 1000


def test_no_scan_and_a_map_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a scan"):
        write_before_after(tmp_path / "a.png", [], "x")
    quantity, organs = rate_scan(0)
    with pytest.raises(InputError, match="organ_map_grid"):
        write_before_after(tmp_path / "a.png", [("a", quantity, replace(organs, labels=organs.labels[:-1]))], "x")
    assert not (tmp_path / "a.png").exists()
