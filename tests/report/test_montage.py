"""The montage of organs and the picture of undone spill-over: sides, levels, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tracker.errors import InputError
from tracker.image import FrameTimes, Grid, OrganMap, Quantity
from tracker.mouse import mouse_labels, organ_shapes
from tracker.report.montage import _tile, _view, write_montage
from tracker.report.undone import _most_changed, write_undone
from tracker.report.upright import upright

TIMES = FrameTimes(datetime(2024, 5, 2), (0.0,), (60.0,))


def _grid(turn: np.ndarray, shape_xyz: tuple[int, int, int], size_mm: tuple[float, float, float]) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(size_mm)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape_xyz) - 1) / 2)
    return Grid(shape_xyz[::-1], affine)


STRAIGHT = _grid(np.diag([-1.0, -1.0, 1.0]), (30, 26, 100), (1.0, 1.0, 1.0))
# Columns to the foot, rows to the back, slices to the right; 20° aslant; voxels that are no cubes.
SLANT = np.array([[np.cos(0.35), -np.sin(0.35), 0], [np.sin(0.35), np.cos(0.35), 0], [0, 0, 1.0]])
TURNED = _grid(SLANT @ np.array([[0, 0, 1.0], [0, -1.0, 0], [-1.0, 0, 0]]), (100, 36, 24), (1.0, 1.0, 1.6))


def _scan(grid: Grid) -> tuple[Quantity, OrganMap]:
    organs = mouse_labels(25.0, grid)
    values = ((7 * organs.labels.astype(float)) % 11 + 1.0) * (organs.labels > 0)
    return Quantity(values[None].astype(np.float32), "Bq/mL", grid, TIMES), organs


@pytest.mark.parametrize("grid", [STRAIGHT, TURNED], ids=["straight", "turned"])
def test_sides_of_every_tile_are_those_of_the_patient(grid: Grid) -> None:
    quantity, organs = _scan(grid)
    turned = upright(quantity.values[0], organs.labels, grid)
    shapes = organ_shapes(25.0)
    ways = {"L": np.array([-1.0, 0, 0]), "P": np.array([0, -1.0, 0]), "F": np.array([0, 0, -1.0])}
    for index, name in organs.names.items():
        if name in ("bone", "rest"):
            continue
        tile = _tile(turned, index)
        view = _view(turned, tile, organs.names)
        mask = view.masks[index]
        assert mask.sum() == max((turned.labels == index).sum(axis=tuple(a for a in range(3) if a != tile.axis)))
        # The way from this organ to any other in the tile is the patient's way, along the tile's sides.
        for other, seen in view.masks.items():
            if organs.names[other] in ("bone", "rest") or other == index:
                continue
            apart = np.array(shapes[organs.names[other]].centre_mm) - np.array(shapes[name].centre_mm)
            rows, columns = (np.argwhere(m).mean(axis=0) for m in (seen, mask))
            for low, high, step in (
                (view.marks[2], view.marks[3], (rows - columns)[0]),
                (view.marks[0], view.marks[1], (rows - columns)[1]),
            ):
                along = -float(apart @ ways[low])
                assert (low, high) in (("L", "R"), ("P", "A"), ("F", "H"))
                # Middles that differ by less than a tilted slice hides say nothing.
                assert abs(along) < 6 or np.sign(along) == np.sign(step), (name, organs.names[other], low)


def test_a_mirrored_grid_shows_the_same_animal() -> None:
    quantity, organs = _scan(STRAIGHT)
    turn = np.diag([-1.0, 1.0, 1.0, 1.0])
    turn[0, 3] = STRAIGHT.shape[2] - 1
    grid = Grid(STRAIGHT.shape, STRAIGHT.affine @ turn)
    first = upright(quantity.values[0], organs.labels, STRAIGHT)
    second = upright(quantity.values[0][:, :, ::-1], organs.labels[:, :, ::-1], grid)
    for index in organs.names:
        one, other = (_view(t, _tile(t, index), organs.names) for t in (first, second))
        assert (one.picture == other.picture).all() and one.title == other.title


@pytest.mark.parametrize("grid", [STRAIGHT, TURNED], ids=["straight", "turned"])
def test_pictures_are_written(grid: Grid, tmp_path: Path) -> None:
    quantity, organs = _scan(grid)
    organs = replace(organs, names={**organs.names, 40: "no voxel $of_it"})
    write_montage(tmp_path / "organs.png", quantity, organs, "m1, d0")
    write_undone(tmp_path / "undone.png", quantity, quantity.values[0] * 1.1, organs, "m1, d0")
    for name in ("organs.png", "undone.png"):
        picture = np.asarray(Image.open(tmp_path / name))
        assert picture.shape[2] == 3 and 0.01 < (picture < 100).any(axis=2).mean() < 0.9
    first = (tmp_path / "organs.png").read_bytes()
    write_montage(tmp_path / "organs.png", quantity, organs, "m1, d0")
    assert (tmp_path / "organs.png").read_bytes() == first


def test_empty_maps_nan_and_large_names_do_not_stop_it(tmp_path: Path) -> None:
    quantity, organs = _scan(STRAIGHT)
    nothing = replace(organs, labels=np.zeros_like(organs.labels), names={})
    dark = replace(quantity, values=np.full_like(quantity.values, np.nan))
    for n, (q, m) in enumerate(((quantity, nothing), (dark, organs), (dark, nothing))):
        write_montage(tmp_path / f"{n}.png", q, m, "m1")
        write_undone(tmp_path / f"{n}u.png", q, q.values[0], m, "m1")
    with pytest.raises(InputError):
        write_montage(tmp_path / "no.png", quantity, replace(organs, labels=organs.labels[1:]), "m1")


def test_the_organ_that_changed_most_is_shown() -> None:
    labels = np.repeat([1, 2, 3], 8).reshape(6, 2, 2)
    before = np.where(labels == 2, 10.0, 100.0)
    after = before + np.where(labels == 2, 5.0, 20.0)
    assert _most_changed(before, after, labels, (1, 2, 3)) == 2
    assert _most_changed(before, before, np.where(labels == 2, 3, labels), (1, 2, 3)) == 3
