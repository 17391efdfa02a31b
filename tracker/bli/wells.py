"""The light of each well of a plate under the camera, by the grid drawn on it in the vendor's software."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracker.bli.click import open_click, read_click
from tracker.bli.header import RADIANCE
from tracker.bli.radiance import image_radiance
from tracker.bli.read import planar_grid
from tracker.bli.rois import VendorRoi, read_rois
from tracker.bli.shapes import area_shares, pixel_area_mm2
from tracker.bli.shapes import wells as well_outlines
from tracker.errors import InputError

_MM2_PER_CM2 = 100.0


@dataclass(frozen=True, slots=True)
class WellFlux:
    """Total flux of a well [photons/s] and whether a pixel of it was full: then it is a lower bound."""

    flux_ph_per_s: float
    saturated: bool


def plate_flux(folder: Path) -> dict[str, WellFlux]:
    """The flux of each well (A1 upper left) of a click folder whose analysed file has one grid: Σ radiance · 4π · pixel area.

    Of the vendor's corrected image where it is in radiance, else of the counts. Raises `InputError`: ``no_grid`` where there is not one
    grid with its numbers of rows and columns, and those of `read_click` and `image_radiance`.
    """
    grid_roi = _grid(folder)
    click = read_click(open_click(folder, None), {})
    corrected = click.corrected.values if click.corrected is not None and click.corrected.unit == RADIANCE else None
    own = image_radiance(click, {}) if corrected is None else None
    values = own.values if own is not None else corrected if corrected is not None else np.empty((0, 0))
    full = click.raw.saturated if click.raw is not None else np.zeros(values.shape, dtype=bool)
    grid = planar_grid((values.shape[0], values.shape[1]), 10 * click.settings.field_of_view_cm / values.shape[1])
    area_cm2 = pixel_area_mm2(grid) / _MM2_PER_CM2
    size = grid_roi.width_mm, grid_roi.height_mm
    outlines = well_outlines((grid_roi.x_mm, grid_roi.y_mm), size, grid_roi.angle_deg, (grid_roi.rows, grid_roi.columns))
    found = {}
    for name, outline in outlines.items():
        shares = area_shares(outline, grid)
        found[name] = WellFlux(float((values * shares).sum()) * 4 * math.pi * area_cm2, bool((full & (shares > 0)).any()))
    return found


def _grid(folder: Path) -> VendorRoi:
    grids = [r for r in read_rois(folder) if r.shape == "grid"]
    if len(grids) != 1 or not (grids[0].rows and grids[0].columns):
        stated = ", ".join(f"{r.rows} × {r.columns}" for r in grids) or "no grid"
        raise InputError("no_grid", "the click has not one grid of wells with rows and columns", found=stated, expected="one grid",
                         where=folder, do="draw a grid on the plate, or write each well's flux into the table")  # fmt: skip
    return grids[0]
