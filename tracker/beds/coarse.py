"""A shared scan on a coarser grid, its first axis along the bed: fine enough to tell animals apart, small enough for any scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.image import Grid, voxel_size_mm

# Voxels of an animal's girth: about 2 mm in a mouse.
_PER_GIRTH = 11.0


@dataclass(frozen=True, slots=True)
class Coarse:
    """Means of blocks of voxels. ``values`` (along the bed, across, across); ``size_mm`` its voxels' edges; ``block`` voxels a block.

    ``axis`` of the scan's array (z, y, x) that runs along the bed; ``to_ras`` 4 × 4 from the coarse index to RAS+ [mm].
    """

    values: np.ndarray
    size_mm: np.ndarray
    block: tuple[int, int, int]
    axis: int
    to_ras: np.ndarray

    @property
    def voxel_ml(self) -> float:
        """Volume of a coarse voxel [mL]."""
        return float(np.prod(self.size_mm)) / 1000.0

    def centres_mm(self, labels: np.ndarray) -> np.ndarray:
        """Middle (k, 3) RAS+ [mm] of the voxels of each label from 1."""
        index = [np.argwhere(labels == n).mean(axis=0) for n in range(1, int(labels.max()) + 1)]
        return np.array([(self.to_ras @ [*i, 1.0])[:3] for i in index])


def along_bed(grid: Grid) -> int:
    """Which axis of the array (z, y, x) runs along the bed, from feet to head.

    >>> along_bed(Grid((2, 3, 4), np.eye(4)))
    0
    """
    unit = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    return 2 - int(np.abs(unit[2]).argmax())


def coarse_image(image: np.ndarray, grid: Grid, girth_mm: float) -> Coarse:
    """Block means of an image (z, y, x), blocks of about 1/11 girth; what is not finite counts as 0, as air does."""
    axis = along_bed(grid)
    order = [axis, *(a for a in range(3) if a != axis)]
    size_mm = np.array(voxel_size_mm(grid))[order]
    block = np.maximum(1, np.rint(girth_mm / _PER_GIRTH / size_mm)).astype(int)
    values = np.nan_to_num(np.moveaxis(image, axis, 0), nan=0.0, posinf=0.0, neginf=0.0)
    for a, n in enumerate(block):
        values = _means(values, a, int(n))
    # Coarse index i covers fine indices i·n … i·n + n - 1.
    columns = grid.affine[:3, :3][:, [2 - a for a in order]]
    to_ras = np.eye(4)
    to_ras[:3, :3] = columns * block
    to_ras[:3, 3] = grid.affine[:3, 3] + columns @ ((block - 1) / 2)
    return Coarse(values, size_mm * block, (int(block[0]), int(block[1]), int(block[2])), axis, to_ras)


def _means(values: np.ndarray, axis: int, n: int) -> np.ndarray:
    """Means of ``n`` voxels along an axis; the last block of those that are left."""
    if n == 1:
        return values
    starts = np.arange(0, values.shape[axis], n)
    counts = np.diff([*starts, values.shape[axis]])
    shape = [1, 1, 1]
    shape[axis] = -1
    return np.asarray(np.add.reduceat(values, starts, axis=axis) / counts.reshape(shape))


def refine(labels: np.ndarray, coarse: Coarse, shape: tuple[int, ...]) -> np.ndarray:
    """Coarse labels on the scan's own grid (z, y, x) of ``shape``: each voxel has its block's."""
    for a, n in enumerate(coarse.block):
        labels = np.repeat(labels, n, axis=a)
    return np.ascontiguousarray(np.moveaxis(labels, 0, coarse.axis)[tuple(slice(n) for n in shape)])
