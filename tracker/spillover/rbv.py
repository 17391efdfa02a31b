"""The image as it would look without the blur between organs: for people to look at."""

from __future__ import annotations

import numpy as np

from tracker.errors import InputError
from tracker.spillover.spread import Spread
from tracker.spillover.width import blur_kernel

# Where the model's image is below this share of its highest level there is nothing to compare with.
_NOTHING = 1e-6


def rbv_image(values: np.ndarray, labels: np.ndarray, means: np.ndarray, spread: Spread) -> np.ndarray:
    """Image (z, y, x) float32 with the spill between organs undone, voxel by voxel: region-based voxel-wise correction (RBV).

    f · s / (h * s), s the image that has the true mean T_j in all voxels of organ j and h the blur of ``spread``. ``values`` (z, y, x)
    f; ``labels`` (z, y, x); ``means`` (k,) T from `unmix`. A negative T counts as 0 in s. Where T is not known (NaN) s is the measured
    image itself, and where the model has nothing within reach the measured value stays. NaN stays NaN.

    Not for measuring: noise is scaled with the image, and edges are as sharp as the organ map, right or wrong. Raises `InputError`
    (``shape_mismatch``).

    Thomas et al. 2011, Eur J Nucl Med Mol Imaging 38:1104, doi:10.1007/s00259-011-1745-9.

    >>> labels = np.ones((1, 1, 4), int); spread = Spread((1,), np.eye(1), np.array([4]), 1.0, (0.0, 0.0, 0.0))
    >>> rbv_image(np.full((1, 1, 4), 3.0), labels, np.array([3.0]), spread).ravel().tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    values, labels = np.asarray(values, np.float32), np.asarray(labels)
    if values.shape != labels.shape:
        raise InputError("shape_mismatch", "image and organ map differ in shape", found=values.shape, expected=labels.shape)
    model = _model(values, labels, np.asarray(means, float), spread)
    blurred = _blurred(model, spread)
    seen = blurred > _NOTHING * float(model.max(initial=0.0))
    ratio = np.divide(model, blurred, out=np.ones_like(model), where=seen)
    return np.asarray(values * ratio)


def _model(values: np.ndarray, labels: np.ndarray, means: np.ndarray, spread: Spread) -> np.ndarray:
    table = np.zeros(max(int(labels.max(initial=0)), *spread.labels) + 1, np.float32)
    table[list(spread.labels)] = np.where(means < 0, 0.0, means)
    model = np.where(labels >= 0, table[np.maximum(labels, 0)], np.float32(0.0))
    return np.asarray(np.where(np.isnan(model), np.maximum(np.nan_to_num(values), 0.0), model))


def _blurred(model: np.ndarray, spread: Spread) -> np.ndarray:
    from scipy.ndimage import correlate1d

    for axis, sd in enumerate(spread.sd_voxels):
        model = correlate1d(model, blur_kernel(sd), axis=axis, mode="constant")
    return model
