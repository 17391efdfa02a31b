"""From a click folder of the phantom back to flux and organs: written by one code, read by another."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracker.bli.calibrate import calibrate
from tracker.bli.locate import locate
from tracker.bli.measure import measure
from tracker.bli.phantom import (
    Camera,
    Click,
    ClickOptions,
    Deposit,
    Mouse,
    Pose,
    brightness,
    pixel_cm2,
    posed_labels,
    radiance,
    view_of,
    write_click,
    write_sequence,
)
from tracker.bli.read import read
from tracker.bli.unmix import Unmixed, unmix
from tracker.digital import write_organs
from tracker.image import Quantity
from tracker.mouse import mouse_grid, mouse_labels
from tracker.nifti import write_organ_map
from tracker.quantify import OrganValue
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Dose, Label, Roi, Subject

START = datetime(2026, 3, 2, 10, 0)
DEFAULTS: dict[str, Any] = {"image": "corrected", "cosmic_hits": "replace", "clock_offset_s": 0, "depth": "none", "focal_tissue": "muscle"}
# A source of 1e7 photons/s under the skin of the back of an animal that lies on its belly.
SITE = Deposit(1e7, (3.0, -7.0, -22.0), radius_mm=1.2)
LYING = Pose(112.0, 112.0, angle_deg=8.0, lies="prone")


def _context(path: Path, rois: tuple[Roi, ...] = (), organs: Path | None = None, **constants: Any) -> Context:
    scan = Acquisition("m1", "d1", "bli", path, "d1", label="luc", organs=organs, luciferin_time=START - timedelta(minutes=10))
    doses = (Dose("m1", START - timedelta(hours=24), "luc", 1e6, "iv"),)
    who, settings = Subject("m1", "mouse", 25.0), DEFAULTS | constants
    return Context("s", scan, who, doses, Label("luc", "reporter"), doses[0].dose_time, settings, Organs(), Corrections(), rois=rois)


def _roi(mm: float, context: float = 60.0) -> tuple[Roi, ...]:
    return (Roi("d1", "scan", "circle", "m1", "site", x_mm=mm, y_mm=mm, width_mm=context, height_mm=context),)


def _flux(context: Context) -> tuple[OrganValue, Quantity]:
    scan = read(context.acquisition.path, "", context)
    quantity = calibrate(scan, context)
    values, _ = measure(quantity, locate(quantity, context), context)
    (value,) = [v for v in values if v.quantity == "signal" and v.organ == "site"]
    return value, quantity


def _written(folder: Path, camera: Camera, image: np.ndarray, **options: Any) -> Path:
    mouse = Mouse(25.0, LYING)
    write_click(folder, Click(image, camera, ClickOptions(start=START, **options)), brightness([mouse], camera))
    return folder


def _true_flux(image: np.ndarray, camera: Camera, mm: float, across_mm: float) -> float:
    """4π Σ L · pixel area within a circle, by sampling each pixel 8 × 8: not the shapes' own code."""
    view, n = view_of(camera), 8
    fine = (np.arange(view.columns * n) + 0.5) * view.fov_mm / view.columns / n
    inside = np.hypot(fine[:, None] - mm, fine[None, :] - mm) <= across_mm / 2
    share = inside.reshape(view.columns, n, view.columns, n).mean(axis=(1, 3))
    return float(4 * math.pi * (image * share).sum() * pixel_cm2(view))


@pytest.mark.parametrize("corrected", [False, True])
def test_flux_comes_back_within_a_percent(tmp_path: Path, corrected: bool) -> None:
    camera = Camera(cosmic_hits=12, seed=3)
    image = radiance([Mouse(25.0, LYING, deposits=(SITE,))], camera, "Open")
    path = _written(tmp_path / "scan", camera, image, corrected=corrected)
    value, quantity = _flux(_context(path, _roi(112.0)))
    true = _true_flux(image, camera, 112.0, 60.0)
    assert true > 1e5 and value.value == pytest.approx(true, rel=0.01)
    assert ("vendor" in quantity.method) == corrected


def test_counts_and_the_corrected_image_have_one_flux(tmp_path: Path) -> None:
    camera = Camera(seed=4)
    image = radiance([Mouse(25.0, LYING, deposits=(SITE,))], camera, "Open")
    path = _written(tmp_path / "scan", camera, image, corrected=True)
    one, other = (_flux(_context(path, _roi(112.0), image=which))[0].value for which in ("corrected", "counts"))
    assert one == pytest.approx(other, rel=0.01)


SETTINGS = [
    Camera(),
    Camera(shelf="C", f_number=2, binning=4, exposure_s=90.0),
    Camera(f_number=4, binning=16, exposure_s=120.0),
    Camera(binning=4, exposure_s=150.0),
]


def test_one_animal_at_four_settings(tmp_path: Path) -> None:
    found = []
    for i, camera in enumerate(SETTINGS):
        mm = view_of(camera).fov_mm / 2
        mouse = Mouse(25.0, replace(LYING, x_mm=mm, y_mm=mm), deposits=(SITE,))
        camera = replace(camera, seed=10 + i)
        image = radiance([mouse], camera, "Open")
        write_click(tmp_path / str(i), Click(image, camera, ClickOptions(start=START)), brightness([mouse], camera))
        value, _ = _flux(_context(tmp_path / str(i), _roi(mm, 50.0)))
        found.append((value.value, value.sd_noise))
    fluxes, sds = np.array(found).T
    mean = (fluxes / sds**2).sum() / (1 / sds**2).sum()
    # Noise alone moves a value by its own sd; half a percent is the bodies' voxels on pixels of other sizes.
    assert (np.abs(fluxes - mean) < 4 * sds + 0.005 * mean).all(), found


# --- organs -------------------------------------------------------------------------------------------------------------------

LIGHT = {"liver": 3e7, "lung_left": 1.2e7, "lung_right": 1.8e7, "spleen": 8e6}
FILTERS = ("600", "620", "640", "660")


def _series(folder: Path, mouse: Mouse, emissions: tuple[str, ...] = FILTERS, exposure_s: float = 120.0) -> Path:
    clicks, bright = [], None
    for i, emission in enumerate(emissions):
        camera = Camera(exposure_s=exposure_s, seed=20 + i)
        options = ClickOptions(emission=emission, start=START + timedelta(seconds=i * (exposure_s + 10)))
        clicks.append(Click(radiance([mouse], camera, emission, voxel_mm=0.7), camera, options))
        bright = brightness([mouse], camera)
    write_sequence(folder, clicks, bright)
    return folder


def _organs(context: Context) -> dict[str, OrganValue]:
    quantity = calibrate(read(context.acquisition.path, "", context), context)
    done: Unmixed = unmix(quantity, locate(quantity, context), context)
    shapes = {picture.shape for _, picture in done.pictures}
    # Measured and expected, side by side for each filter.
    assert len(done.pictures) == 2 * len(FILTERS) and len(shapes) == 1
    return {v.organ: v for v in done.values}


@pytest.fixture(scope="module")
def lit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lit")
    mouse = Mouse(25.0, replace(LYING, lies="supine"), LIGHT)
    _series(folder / "scan", mouse)
    write_organs(folder / "organs.nii.gz", posed_labels(25.0, mouse.pose, 0.7))
    write_organ_map(folder / "atlas.nii.gz", mouse_labels(25.0, mouse_grid(25.0, 0.6)))
    return folder


def test_organs_by_the_animals_own_map(lit: Path) -> None:
    found = _organs(_context(lit / "scan", organs=lit / "organs.nii.gz", depth="organs"))
    for organ, true in LIGHT.items():
        assert found[organ].value == pytest.approx(true, rel=0.25), organ
        assert found[organ].volume_ml and found[organ].method.endswith("organ tomography")
    # What is dark stays below what would have been seen, or is not observable.
    for organ in ("brain", "bladder", "kidney_left"):
        assert found[organ].value is None or found[organ].value < 0.1 * LIGHT["spleen"], organ
    assert found["body"].value == pytest.approx(sum(LIGHT.values()), rel=0.2)


@pytest.mark.slow
def test_organs_by_an_atlas_laid_under_the_camera(lit: Path) -> None:
    context = _context(lit / "scan", depth="organs", posture="supine", head="up")
    context = replace(context, organs=Organs(atlas_labels=lit / "atlas.nii.gz", atlas_names=lit / "atlas.tsv"))
    found = _organs(context)
    for organ, true in LIGHT.items():
        # The pose is fitted to the outline in pixels of 0.93 mm.
        assert found[organ].value == pytest.approx(true, rel=0.35), organ
