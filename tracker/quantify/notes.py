"""What quantifying a scan has to say of its organs: each doubt once, with the organs it is about."""

from __future__ import annotations

import numpy as np

from tracker.errors import Finding
from tracker.quantify.plan import Plan
from tracker.quantify.spill import VISIBLE_CHANGE


def nan_findings(plan: Plan, worst: np.ndarray) -> list[Finding]:
    """Organs with voxels that are NaN and not above the limit: their share in the worst frame."""
    return [
        Finding("nonfinite_voxels", "warn", f"{organ.name}: up to {100 * share:.3g} % of its voxels are NaN in a frame and were left out")
        for organ, share in zip(plan.organs, worst, strict=True)
        if share > 0
    ]


def spill_findings(spilled: set[str]) -> list[Finding]:
    """Organs that the scanner's blur has changed visibly."""
    if not spilled:
        return []
    words = f"the scanner's blur changes {', '.join(sorted(spilled))} by more than {100 * VISIBLE_CHANGE:g} %: spill-over is not corrected"
    return [Finding("partial_volume", "warn", words)]


def noise_findings(unknown: set[str]) -> list[Finding]:
    """Organs whose noise could not be read from the image."""
    if not unknown:
        return []
    return [Finding("noise_unknown", "warn", f"no noise could be read from the image for {', '.join(sorted(unknown))}: no sd_noise")]


def saturated_findings(saturated: dict[str, float]) -> list[Finding]:
    """Organs with voxels above the limit: their share in the worst frame."""
    words = "of its voxels are above what could be told: the organ is a lower bound"
    return [Finding("saturated_voxels", "warn", f"{name}: {100 * share:.3g} % {words}") for name, share in sorted(saturated.items())]


def boundary_findings(lost: set[str]) -> list[Finding]:
    """Organs whose border is in doubt by more than their size."""
    if not lost:
        return []
    words = "may have none of their voxels right: the map's borders are in doubt by more than their size, no sd_noise"
    return [Finding("boundary_too_wide", "warn", f"{', '.join(sorted(lost))} {words}")]
