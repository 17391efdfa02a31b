"""Several transforms one after the other as one, so that what is carried along them is looked up once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracker.errors import Finding
from tracker.image import Grid
from tracker.register.transform import Bend, Transform, index_matrix, points_to_moving


def chain(transforms: Sequence[Transform], grid: Grid) -> Transform:
    """One transform that does what ``transforms`` do in turn (first the one of ``grid``'s own scan), exact at the voxels of ``grid``.

    Labels carried step by step lose up to half a voxel at each; carried along the chain, once. Between voxels, and outside the grid, it is
    only as good as linear interpolation. Without a bend among them the result has none. Findings are those of all.

    >>> shift = np.eye(4); shift[0, 3] = 2.0
    >>> both = chain([Transform(shift), Transform(shift)], Grid((2, 2, 2), np.eye(4)))
    >>> float(both.affine[0, 3]), both.bend is None
    (4.0, True)
    """
    affine, findings = np.eye(4), list[Finding]()
    for one in transforms:
        affine = one.affine @ affine
        findings += one.findings
    if all(one.bend is None for one in transforms):
        return Transform(affine, findings=tuple(findings))
    back, matrix = np.linalg.inv(affine), index_matrix(grid)
    vectors = np.empty((*grid.shape, 3), np.float32)
    y, x = np.indices(grid.shape[1:]).reshape(2, -1)
    for z in range(grid.shape[0]):
        # Plane by plane: points in double precision are three times the size of a scan.
        start = np.stack([np.full(y.size, z), y, x], axis=1) @ matrix[:3, :3].T + matrix[:3, 3]
        end = start
        for one in transforms:
            end = points_to_moving(one, end)
        vectors[z] = (end @ back[:3, :3].T + back[:3, 3] - start).reshape(*grid.shape[1:], 3)
    return Transform(affine, Bend(vectors, grid), findings=tuple(findings))
