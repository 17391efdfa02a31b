"""The change that the scanner's blur makes, beside integrals written down here."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from tracker.image import Grid
from tracker.quantify.spill import spill_change
from tracker.quantify.statistics import label_statistics


def _slabs(thickness: int, voxel_mm: float) -> tuple[np.ndarray, np.ndarray, Grid]:
    labels = np.ones((8, 8, 121), np.uint8)
    labels[:, :, 60 - thickness // 2 : 60 - thickness // 2 + thickness] = 2
    return np.where(labels == 2, 10.0, 1.0), labels, Grid(labels.shape, np.diag([voxel_mm, 1.0, 1.0, 1.0]))


@pytest.mark.parametrize(("thickness", "voxel_mm", "fwhm_mm"), [(10, 1.0, 3.0), (24, 0.5, 3.0), (6, 2.0, 8.0)])
def test_a_slab_changes_as_its_integral_says(thickness: int, voxel_mm: float, fwhm_mm: float) -> None:
    values, labels, grid = _slabs(thickness, voxel_mm)
    found = label_statistics(values, labels, [1, 2])
    change = spill_change(values, labels, found, grid, fwhm_mm)
    width, sd = thickness * voxel_mm, fwhm_mm / (8 * np.log(2)) ** 0.5
    inside = quad(lambda x: ndtr((width / 2 - x) / sd) - ndtr((-width / 2 - x) / sd), -width / 2, width / 2)[0] / width
    expected = (10 * inside + 1 * (1 - inside)) / 10 - 1
    # The mean over voxel middles is a midpoint sum of that integral, the kernel ends at three sd: 1 % of the value is theirs.
    assert change[1] == pytest.approx(expected, abs=0.01)
    assert change[0] > 0


def test_a_flat_image_does_not_change_and_nothing_is_written() -> None:
    values, labels, grid = _slabs(10, 1.0)
    flat = np.full_like(values, 7.0)
    before = flat.copy(), labels.copy()
    change = spill_change(flat, labels, label_statistics(flat, labels, [1, 2]), grid, (3.0, 2.0, 1.0))
    assert np.abs(change).max() < 1e-5
    assert (flat == before[0]).all() and (labels == before[1]).all()
