"""An atlas, and what came of laying it on a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding
from tracker.image import OrganMap
from tracker.register import Pose, Transform


@dataclass(frozen=True, slots=True)
class Atlas:
    """A labelled animal that stands for others: its ``organ_map`` and ``values`` (z, y, x), its own intensities on the same grid, or None
    where it has none."""

    organ_map: OrganMap
    values: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class FittedAtlas:
    """An atlas laid on an animal.

    ``organ_map`` on the scan's grid, its ``boundary_sd_mm`` filled for every organ that arrived; ``transform`` from the scan to the
    atlas; ``pose`` the way of lying that was used (never a mirrored one); ``findings`` all that was noted, the map's and the transform's
    too.
    """

    organ_map: OrganMap
    transform: Transform
    pose: Pose
    findings: tuple[Finding, ...] = ()
