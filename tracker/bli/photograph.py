"""The photograph of a click on the grid of its luminescence."""

from __future__ import annotations

import numpy as np

from tracker.bli.clickinfo import ClickText, block_of, find_file, numbers_in, value_of
from tracker.bli.tiff import read_tiff
from tracker.errors import Finding, InputError

# Less than this of a row is rounding of an edge.
_NOTHING = 1e-9


def read_photograph(text: ClickText, shape: tuple[int, int], field_of_view_cm: float) -> tuple[np.ndarray | None, tuple[Finding, ...]]:
    """The photograph's mean over each pixel of the images (ny, nx), None where there is no usable one; and what is wrong with it.

    Both grids start at the top-left corner of the same field; where the photograph's block states another field of view, both fields
    have the same middle. Colour is averaged.
    """
    path = find_file(text.folder, "photograph.TIF") or find_file(text.folder, "photograph.TIFF")
    if path is None:
        return None, (Finding("photograph", "warn", "no photograph: animals cannot be found on it, nor shown"),)
    try:
        page = read_tiff(path, "uf")[0]
    except InputError as error:
        return None, (Finding("photograph", "warn", f"the photograph is not used: {error.what}, {error.found}"),)
    grey = page.astype(np.float64) if page.ndim == 2 else page[..., :3].astype(np.float64).mean(axis=-1)
    block = block_of(text, "photograph")
    stated = numbers_in(value_of(block, "Field of View").lower().replace("cm", " "))
    ratio = stated[0] / field_of_view_cm if stated and stated[0] > 0 else 1.0
    return area_mean(grey, shape, ratio), ()


def area_mean(image: np.ndarray, shape: tuple[int, int], ratio: float = 1.0) -> np.ndarray:
    """An image averaged over the pixels of a coarser grid (ny, nx), each weighed by the area it shares; NaN outside the image.

    ``ratio``: the image's field over the grid's, both about one middle. Exact for any ratio of pixel sizes.

    >>> area_mean(np.arange(16.0).reshape(4, 4), (2, 2)).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    sums, rows = _integrated(image, shape[0], ratio)
    sums, columns = _integrated(sums.T, shape[1], ratio)
    covered = np.outer(rows, columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(covered > _NOTHING, sums.T / covered, np.nan))


def _integrated(image: np.ndarray, n_out: int, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Integral of each column over the ``n_out`` cells of a line along the rows, and how many rows each cell covers (n_out,)."""
    n_in = len(image)
    # Edges of the cells in rows of the image; beyond it there is nothing.
    edges = np.clip((0.5 + (np.arange(n_out + 1) / n_out - 0.5) / ratio) * n_in, 0, n_in)
    below = np.minimum(edges.astype(int), n_in - 1)
    running = np.concatenate([np.zeros((1, image.shape[1])), np.cumsum(image, axis=0)])
    at = running[below] + (edges - below)[:, None] * image[below]
    return np.diff(at, axis=0), np.diff(edges)
