"""One plain image with a known truth, for the contract that every modality keeps (tests/test_modality_contract.py)."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import numpy as np

from tracker.bli.phantom.click import Click, write_click
from tracker.bli.phantom.options import Camera, ClickOptions, counts_per_radiance
from tracker.bli.phantom.pose import pixel_cm2
from tracker.bli.phantom.scene import view_of
from tracker.digital import ContractCase
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Dose, Label, Roi, Subject

_INJECTED, _LUCIFERIN, _START = datetime(2026, 3, 2, 9, 0), datetime(2026, 3, 2, 9, 48), datetime(2026, 3, 2, 10, 0)
# Organ -> middle of the spot on the skin [mm], its flux at strength 1 [photons/s].
_SPOTS: dict[str, tuple[float, float, float]] = {
    "lung": (62.3, 80.1, 4e6),
    "liver": (111.8, 95.4, 8e6),
    "spleen": (158.6, 140.2, 2e6),
    "muscle": (88.9, 165.7, 1.2e7),
}
_SPOT_MM, _ROI_MM = 6.0, 22.0


def _spot(camera: Camera, x_mm: float, y_mm: float) -> np.ndarray:
    """Radiance (y, x) of a round spot that ends at 6 mm, as if it shone 1 photon/s in all directions: 4π Σ L · pixel area = 1."""
    view = view_of(camera)
    along_mm = (np.arange(view.columns) + 0.5) * view.fov_mm / view.columns
    away = np.hypot(along_mm[None, :] - x_mm, along_mm[:, None] - y_mm)
    bump = np.maximum(1.0 - (away / _SPOT_MM) ** 2, 0.0) ** 2
    return np.asarray(bump / (bump.sum() * pixel_cm2(view) * 4.0 * math.pi))


def contract_case(folder: Path, strength: float) -> ContractCase:
    """Writes an image of four bright spots of ``strength`` × another flux each; 0 is dark. The regions of the sheet hold all of each.

    There is no organ map: ``context.rois`` are the regions. There is no noise but the rounding of counts, to half of one.
    """
    camera = Camera(electrons_per_count=None, dark_counts_per_s=0.0)
    flux = {organ: strength * spot[2] for organ, spot in _SPOTS.items()}
    image = sum((flux[organ] * _spot(camera, x, y) for organ, (x, y, _) in _SPOTS.items()), np.zeros((240, 240)))
    write_click(folder / "scan", Click(image, camera, ClickOptions(start=_START)))
    row = Acquisition("m1", "d0", "bli", folder / "scan", "d0", label="luc", luciferin_time=_LUCIFERIN)
    rois = tuple(
        Roi("d0", "scan", "ellipse", "m1", organ, x_mm=x, y_mm=y, width_mm=_ROI_MM, height_mm=_ROI_MM, angle_deg=0.0)
        for organ, (x, y, _) in _SPOTS.items()
    )
    doses = (Dose("m1", _INJECTED, "luc", 1e6, "iv"),)
    label = Label("luc", "reporter", dilutes=False)
    constants = {"photons_per_s_per_cell": 120.0}
    subject = Subject("m1", "mouse", 25.0)
    context = Context("contract", row, subject, doses, label, _INJECTED, constants, Organs(), Corrections(), rois=rois)
    # Half a count in each of some 130 pixels of a spot of 1e5 counts; and the text files' C has seven digits.
    pixels = math.pi / 4 * _ROI_MM**2 * pixel_cm2(view_of(camera)) ** -1 / 100
    per_count = 4 * math.pi * pixel_cm2(view_of(camera)) / counts_per_radiance(camera)
    floor = 0.5 * pixels * per_count
    return ContractCase(context, folder / "organs.nii.gz", "photons/s/cm2/sr", flux, rounding=5e-3, floor=floor)
