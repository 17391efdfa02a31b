"""Voxels above what could be told: how many an organ has, and the least they must hold, so that the organ is a lower bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracker.image import OrganMap, Quantity

# Nine voxels of ten could have shown this much: a voxel above its own limit is then above this one too, save for one in ten.
_LOW_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Ceiling:
    """An organ's voxels above the limit in one frame: their number ``n``, and the least each must hold (``least``, None if unknown)."""

    n: int
    least: float | None


def organ_ceilings(quantity: Quantity, organ_map: OrganMap) -> dict[str, float]:
    """The value [the quantity's unit] that nine of ten voxels of each organ could have shown: the 10th percentile of ``limit``.

    An organ without a known limit is left out. Taken from a scan before the dose it also holds for organs that later show nothing.
    """
    if quantity.limit is None:
        return {}
    limit, found = np.asarray(quantity.limit[0]), {}
    for label, name in organ_map.names.items():
        inside = limit[organ_map.labels == label]
        inside = inside[np.isfinite(inside)]
        if inside.size:
            found[name] = float(np.quantile(inside, _LOW_SHARE))
    return found


def ceilings_of(quantity: Quantity, frame: int, organ_map: OrganMap, before: Mapping[str, float]) -> dict[int, Ceiling]:
    """By label, the organs that have voxels above the limit in this frame; ``before`` are limits known from another scan (by organ)."""
    if quantity.censored is None:
        return {}
    above = np.asarray(quantity.censored[frame]).astype(bool)
    count = np.bincount(organ_map.labels[above].astype(np.int64), minlength=max(organ_map.names, default=0) + 1)
    if not any(count[label] for label in organ_map.names):
        return {}
    known = {**organ_ceilings(quantity, organ_map), **before}
    return {label: Ceiling(int(count[label]), known.get(name)) for label, name in organ_map.names.items() if count[label]}
