"""Where on a planar image its regions are: those of the sheet or the animal's outline, and what lies over each organ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracker.bli.inside import organs_inside
from tracker.bli.read import read_rois
from tracker.bli.regions import regions
from tracker.bli.surface import Body
from tracker.image import Grid, OrganMap, Quantity
from tracker.study.model import Context


def locate(quantity: Quantity, context: Context) -> OrganMap:
    """The regions of one animal on a planar image, by area of each pixel (``shares``).

    Those of the sheet rois, or the animal on the photograph (`regions`). Where the config says ``depth: organs`` the image over each organ
    is a region as well, whatever lies above it: its flux is what a ruler on the image would read, not the organ's. A region that
    the sheet gives an organ's name stays as drawn. Raises `InputError` as `regions` and `organs_inside` do.
    """
    acquisition = context.acquisition
    found = regions(quantity, context, read_rois(acquisition.path, acquisition.series))
    if context.constants.get("depth") != "organs":
        return found
    inside = organs_inside(quantity, context)
    drawn = {name.lower() for name in found.names.values()}
    over = {n: s for n, s in _over(inside.body, quantity.grid).items() if n.lower() not in drawn}
    first = max(found.names) + 1
    names = {**found.names, **dict(enumerate(over, start=first))}
    shares = {**found.shares, **{first + i: share[None] for i, share in enumerate(over.values())}}
    return replace(found, names=names, shares=shares, labels=_for_the_eye(shares), findings=(*found.findings, *inside.findings))


def _over(body: Body, grid: Grid) -> dict[str, np.ndarray]:
    """By organ, the share of each pixel (y, x) under which it lies."""
    size = np.diag(grid.affine)[:2]
    steps = np.abs(np.diag(body.grid.affine)[:2] / size)
    found = {}
    for index, name in sorted(body.names.items()):
        rows, columns = np.nonzero((np.asarray(body.labels) == index).any(axis=0))
        if not rows.size:
            continue
        share = np.zeros(grid.shape[1:], np.float64)
        for dy in _inner(steps[1]):
            for dx in _inner(steps[0]):
                x = body.grid.affine[0, 0] * (columns + dx) + body.grid.affine[0, 3]
                y = body.grid.affine[1, 1] * (rows + dy) + body.grid.affine[1, 3]
                i, j = (np.rint((p - grid.affine[a, 3]) / size[a]).astype(int) for a, p in ((1, y), (0, x)))
                inside = (i >= 0) & (i < share.shape[0]) & (j >= 0) & (j < share.shape[1])
                np.add.at(share, (i[inside], j[inside]), float(steps[0] * steps[1]) / (len(_inner(steps[0])) * len(_inner(steps[1]))))
        found[name] = np.clip(share, 0.0, 1.0).astype(np.float32)
    return found


def _inner(step: float) -> np.ndarray:
    """Places within a voxel, in voxels, fine enough for pixels of ``1/step`` voxels."""
    n = max(4, int(np.ceil(4 * step)))
    return (np.arange(n) + 0.5) / n - 0.5


def _for_the_eye(shares: dict[int, np.ndarray]) -> np.ndarray:
    labels = np.zeros(next(iter(shares.values())).shape, np.uint16)
    for index in sorted(shares, key=lambda n: -float(shares[n].sum())):
        labels[shares[index] >= 0.5] = index
    return labels
