"""Which organs' means the scanner's blur has changed visibly: told from the image itself, so that the flag says what it costs.

It corrects nothing. The image is replaced by each organ's measured mean, blurred once more by the scanner's width, and each organ's mean
is taken again. What changes by more than a tenth is already mixed with its neighbours: out of small hot organs, into cold ones beside them.
The measured means are blurred themselves, so the true change is larger than the one seen here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracker.image import Grid, voxel_size_mm
from tracker.quantify.statistics import LabelStatistics, label_statistics

# A tenth is about what calibration, dose and noise leave open together: a smaller mixture does not show.
VISIBLE_CHANGE = 0.1
_SD_PER_FWHM = 1 / 2.354820045


def spill_change(
    values: np.ndarray, labels: np.ndarray, found: LabelStatistics, grid: Grid, fwhm_mm: float | Sequence[float]
) -> np.ndarray:
    """Relative change (k,) of each organ's mean when its image of flat organs is blurred by ``fwhm_mm`` (one, or along z, y, x).

    ``values`` and ``labels`` (z, y, x); voxels of no organ keep their own value. NaN for organs without voxels or with mean 0.

    >>> labels = np.zeros((9, 9, 9), np.uint8); labels[4, 4, 4] = 1
    >>> image = labels * 10.0
    >>> change = spill_change(image, labels, label_statistics(image, labels, [1]), Grid((9, 9, 9), np.eye(4)), 3.0)
    >>> bool(change[0] < -0.9)
    True
    """
    from scipy.ndimage import gaussian_filter

    table = np.zeros(int(labels.max(initial=0)) + 1, np.float32)
    table[found.labels] = np.nan_to_num(found.mean)
    flat = np.where(labels > 0, table[labels], np.nan_to_num(values).astype(np.float32, copy=False))
    sd_voxels = np.broadcast_to(fwhm_mm, 3) * _SD_PER_FWHM / np.array(voxel_size_mm(grid))
    # The field's border repeats the last voxel: an organ at the border is cut and has no value anyway.
    blurred = gaussian_filter(flat, sd_voxels, mode="nearest", truncate=3.0)
    again = label_statistics(blurred, labels, found.labels.tolist()).mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(again / found.mean - 1)
