"""The picture shows the right side of the patient at the right mark, in the right proportions."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.report.conftest import mouse_scan
from tests.report.rate_scans import labels_of, rate_scan
from tracker.errors import InputError
from tracker.image import Grid, OrganMap, Quantity, voxel_size_mm
from tracker.report import overlay, picture
from tracker.report.overlay import write_overlay
from tracker.report.rates import rate_image
from tracker.report.upright import upright

IDENTITY = np.diag([0.5, 0.5, 0.8, 1.0])


def _views(affine: np.ndarray) -> tuple[picture.View, ...]:
    quantity, organs = mouse_scan(affine)
    return overlay._views(upright(quantity.values[0], organs.labels, quantity.grid), organs.names, (2, 7))


def _side(view: picture.View) -> tuple[str, str]:
    """The marks nearest to the brightest pixel: across and up."""
    row, column = np.unravel_index(np.argmax(view.picture), view.picture.shape)
    left, right, bottom, top = view.marks
    return (left if column < view.picture.shape[1] / 2 else right), (bottom if row < view.picture.shape[0] / 2 else top)


def test_hot_organ_is_at_the_mark_that_the_affine_says() -> None:
    # The ball is at low x index and high z index. Voxel x grows to the patient's right (RAS+): low is left. z grows to the head.
    assert _side(_views(IDENTITY)[0]) == ("L", "H")


def test_marks_flip_with_the_affine() -> None:
    assert _side(_views(IDENTITY @ np.diag([-1.0, 1, 1, 1]))[0]) == ("R", "H")
    assert _side(_views(IDENTITY @ np.diag([1.0, 1, -1, 1]))[0]) == ("L", "F")


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product([1, -1], repeat=3)))
def test_every_orientation_gives_the_patient_position(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, (row, sign) in enumerate(zip(order, signs, strict=True)):
        affine[row, axis] = sign * (0.5, 0.6, 0.7)[axis]
    shape = (5, 6, 7)
    values = np.zeros(shape)
    marked = (1, 4, 2)  # z, y, x
    values[marked] = 1.0
    turned = upright(values, values.astype(int), Grid(shape, affine))
    # Independent: patient coordinates of all voxels; the marked one's rank along each patient axis is its place in the picture.
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))[::-1].reshape(3, -1)
    world = affine[:3, :3] @ index
    here = affine[:3, :3] @ np.array(marked[::-1])
    ranks = [int(np.searchsorted(np.unique(world[axis].round(6)), round(here[axis], 6))) for axis in (2, 1, 0)]
    assert np.argwhere(turned.values == 1.0).tolist() == [ranks]
    assert turned.tilt_deg == pytest.approx(0.0, abs=1e-5)
    assert sorted(turned.size_mm) == [0.5, 0.6, 0.7]
    assert turned.size_mm == tuple(float(np.abs(affine[axis, :3]).max()) for axis in (2, 1, 0))


def test_oblique_grid_says_its_tilt() -> None:
    turn = np.deg2rad(12.0)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    turned = upright(np.zeros((2, 2, 2)), np.zeros((2, 2, 2), int), Grid((2, 2, 2), affine))
    assert turned.tilt_deg == pytest.approx(12.0, abs=1e-6)


def test_slice_goes_through_the_hottest_organ() -> None:
    axial = _views(IDENTITY)[2]
    assert axial.title == "axial slice, through spleen"
    assert axial.picture.max() == 5e4 and axial.masks[2].sum() == 29  # a disk of radius 3 has 29 pixels: the widest slice


def test_projections_and_outlines_are_those_of_plain_numpy() -> None:
    quantity, organs = mouse_scan(IDENTITY)
    coronal, sagittal, _ = _views(IDENTITY)
    np.testing.assert_array_equal(coronal.picture, quantity.values[0].max(axis=1))
    np.testing.assert_array_equal(sagittal.picture, quantity.values[0].max(axis=2))
    np.testing.assert_array_equal(coronal.masks[7], (organs.labels == 7).any(axis=1))
    np.testing.assert_array_equal(sagittal.masks[2], (organs.labels == 2).any(axis=2))


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _views(IDENTITY)
    monkeypatch.setattr(overlay, "SLAB_VOXELS", 1500)
    for one, other in zip(whole, _views(IDENTITY), strict=True):
        assert one.title == other.title
        for index in (2, 7):
            np.testing.assert_array_equal(one.masks[index], other.masks[index])


def test_places_keep_the_voxel_aspect() -> None:
    spans = [(24 * 0.5, 40 * 0.8), (24 * 0.5, 40 * 0.8), (24 * 0.5, 24 * 0.5)]
    places = overlay._places(spans)
    for (across, up), (_, _, w, h) in zip(spans, places, strict=True):
        assert (w * overlay.SIZE_INCH[0]) / (h * overlay.SIZE_INCH[1]) == pytest.approx(across / up)
    for (x, y, w, h), following in zip(places, [*places[1:], (0.87, 0.0, 0.0, 0.0)], strict=True):
        assert x + w < following[0] and y >= 0 and y + h <= 0.88


def test_png_is_a_picture_small_and_without_metadata(tmp_path: Path) -> None:
    quantity, organs = mouse_scan(IDENTITY)
    write_overlay(tmp_path / "a.png", quantity, organs, "m01, 24h <&$ pet")
    write_overlay(tmp_path / "b.png", quantity, organs, "m01, 24h <&$ pet")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float)
        assert picture.info == {}
    assert pixels.shape == (560, 1040, 3)
    assert pixels.std() > 5  # a white page has 0
    # The outline of the spleen is in its colour, and grey alone has no colour: the spread between channels shows it.
    assert (np.ptp(pixels, axis=2) > 60).sum() > 200
    assert (tmp_path / "a.png").stat().st_size < 130_000


@pytest.mark.parametrize("fill", [0.0, -1.0, np.nan])
def test_empty_or_missing_image_still_draws(tmp_path: Path, fill: float) -> None:
    quantity, organs = mouse_scan(IDENTITY)
    blank = Quantity(np.full_like(quantity.values, fill), "Bq/mL", quantity.grid, quantity.times)
    nothing = OrganMap(np.zeros_like(organs.labels), {}, organs.grid)
    write_overlay(tmp_path / "a.png", blank, organs, "blank")
    write_overlay(tmp_path / "b.png", blank, nothing, "no organ")
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_infinite_and_missing_voxels_do_not_set_the_scale() -> None:
    values = np.ones((10, 10, 10))
    values[0, 0, 0], values[1, 1, 1] = np.inf, np.nan
    assert overlay._upper_limit(values) == 1.0


def test_labels_outside_the_names_are_left_out() -> None:
    quantity, organs = mouse_scan(IDENTITY)
    turned = upright(quantity.values[0], np.where(organs.labels == 7, 900_000, organs.labels), quantity.grid)
    seen = overlay._see(turned, (2,))
    assert seen.coronal.sum() == (organs.labels == 2).sum() and seen.mean.tolist() == [5e4]


def test_map_of_another_shape_is_refused(tmp_path: Path) -> None:
    quantity, organs = mouse_scan(IDENTITY)
    other = OrganMap(organs.labels[:-1], organs.names, Grid((39, 24, 24), IDENTITY))
    with pytest.raises(InputError, match="organ_map_grid"):
        write_overlay(tmp_path / "a.png", quantity, other, "x")
    assert not (tmp_path / "a.png").exists()


def test_small_organs_are_drawn_over_large_ones() -> None:
    quantity, organs = mouse_scan(IDENTITY)
    turned = upright(quantity.values[0], np.where(organs.labels == 0, 9, organs.labels), quantity.grid)
    names, styles = {**organs.names, 9: "rest"}, {i: picture.Style(c, "-") for i, c in ((2, "#ff0000"), (7, "#00ff00"), (9, "#0000ff"))}
    figure = overlay._draw(overlay._views(turned, names, (2, 7, 9)), 1e4, "Bq/mL", styles)
    drawn = [tuple(c.get_edgecolor()[0][:3]) for c in figure.axes[0].collections]
    assert drawn == [(0, 0, 1), (0, 1, 0), (1, 0, 0)]


def test_forty_organs_and_long_names_fit(tmp_path: Path) -> None:
    quantity, organs = mouse_scan(IDENTITY)
    labels = np.broadcast_to(np.arange(40)[:, None, None] + 1, organs.labels.shape)
    names = {i: f"organ_with_a_very_long_name_{i}" for i in range(1, 41)}
    write_overlay(tmp_path / "a.png", quantity, OrganMap(labels, names, organs.grid), "many")
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    assert (pixels[:, -3:] == 255).all()  # no name runs over the right edge
    assert voxel_size_mm(organs.grid) == (0.8, 0.5, 0.5)


def _rate_views(quantity: Quantity, organs: OrganMap) -> tuple[picture.View, ...]:
    return overlay._slices(rate_image(quantity, organs), organs.names, (1, 2, 3))


def test_a_rate_is_shown_in_slices_and_not_by_its_noisiest_voxel() -> None:
    quantity, organs = rate_scan(0)
    quantity.values[0, 3, 4, 5] = 1e4  # noise, in a slice that is not shown
    coronal, sagittal, axial = _rate_views(quantity, organs)
    assert [v.title for v in (coronal, sagittal, axial)] == ["coronal slice", "sagittal slice", "axial slice, through liver"]
    for view, axis in ((coronal, 1), (sagittal, 2), (axial, 0)):
        liver = organs.labels == 2
        level = int(np.argmax(liver.sum(axis=tuple(k for k in range(3) if k != axis))))
        np.testing.assert_array_equal(view.picture, quantity.values[0].take(level, axis))
        np.testing.assert_array_equal(view.masks[2], liver.take(level, axis))
        assert np.nanmax(view.picture) < 100 and view.empty == "white"


def test_a_rate_s_air_is_white_and_lost_voxels_of_organs_are_not(tmp_path: Path) -> None:
    plain, lost = rate_scan(0), rate_scan(0, above=labels_of() == 2)
    write_overlay(tmp_path / "plain.png", *plain, "x")
    write_overlay(tmp_path / "lost.png", *lost, "x")
    colour = (0xE6, 0x00, 0xD8)
    counts = [(np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")) == colour).all(axis=2).sum() for name in ("plain", "lost")]
    assert 20 < counts[0] < 400 and counts[1] > counts[0] + 5000  # the legend's patch; the liver in three views
    assert sum(view.paint[0][1].sum() for view in _rate_views(*plain)) == 0
    pale = (np.asarray(Image.open(tmp_path / "plain.png").convert("RGB")) == (0xFF, 0xE9, 0xA8)).all(axis=2).sum()
    assert 20 < pale < 400  # the legend alone: air is not "no value"
