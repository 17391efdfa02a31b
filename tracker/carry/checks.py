"""What can be told of a carried map: the body against the scale, and the carried organs against drawn ones."""

from __future__ import annotations

import numpy as np

from tracker.carry.seen import Seen
from tracker.errors import Finding
from tracker.image import OrganMap
from tracker.register import dice, surface_distance_mm

# Density of a whole animal [g/mL], and how far outline and scale may differ: 5 % of gas and fur, and what the outline's level leaves; more
# in MR, where fat and skin may be dark. Between two sessions most of that is the same.
_G_PER_ML = 1.05
_TOLERANCE = {"ct": 0.15, "mr": 0.30, "other": 0.30}
_BETWEEN = 0.12
_POOR_DICE = 0.7


def body_findings(seen: Seen, weight_g: float, other: Seen | None = None, other_weight_g: float | None = None) -> tuple[Finding, ...]:
    """Whether the outline's volume is that of the animal's weight, and grew between two sessions as the weight did.

    ``suspected_swap`` (warn) where it is not: another animal's scan, or a wrong weight. A body that is cut off can only be too large.
    Two animals of one weight that were exchanged are *not* told by this, nor by anything else here: nothing in two scans says that they
    are of one animal.
    """
    if seen.body is None:
        return ()
    expected = weight_g / _G_PER_ML
    ratio = seen.body.volume_ml / expected
    limit = _TOLERANCE[seen.contrast]
    text = f"{seen.name}: body of {seen.body.volume_ml:.1f} mL, {expected:.1f} mL by its weight of {weight_g:.1f} g ({ratio - 1:+.0%})"
    text += ", cut off by the field" if seen.body.cut else ""
    wrong = ratio > 1 + limit or (ratio < 1 - limit and not seen.body.cut)
    if other is not None and other.body is not None and other_weight_g and not (seen.body.cut or other.body.cut):
        grown, heavier = seen.body.volume_ml / other.body.volume_ml, weight_g / other_weight_g
        text += f"; {grown:.2f} times that of the {other.name}, {heavier:.2f} times its weight"
        # Two contrasts draw their outlines differently.
        wrong |= seen.contrast == other.contrast and abs(np.log(grown / heavier)) > np.log(1 + _BETWEEN)
    if wrong:
        do = "is it another animal's scan, or is body_weight_g wrong?"
        return (Finding("suspected_swap", "warn", f"{text}: {do}"),)
    return (Finding("body_volume", "ok", f"{text}; an animal of the same size would not be told from it"),)


def agreement(own: OrganMap, carried: OrganMap, source: str) -> Finding:
    """How well organs carried from ``source`` agree with those drawn on the scan itself, by name: Dice and mean distance of surfaces.

    ``warn`` where one has a Dice below 0.7. Small and thin organs come out lower at the same distance.
    """
    by_name = {name.lower(): index for index, name in carried.names.items()}
    parts, worst = [], 1.0
    for index, name in own.names.items():
        other = by_name.get(name.lower())
        mask = own.labels == index
        if other is None or not mask.any():
            continue
        pair = mask.astype(np.uint8), (carried.labels == other).astype(np.uint8)
        share = dice(*pair, 1) or 0.0
        apart = surface_distance_mm(*pair, 1, own.grid)
        parts.append(f"{name} {share:.2f}" + (f" ({apart[0]:.2f} mm)" if apart else ""))
        worst = min(worst, share)
    if not parts:
        return Finding("organ_agreement", "warn", f"no organ has a name that the {source} has too")
    text = f"Dice (mean distance of surfaces) between the scan's own organs and those carried from the {source}: {', '.join(parts)}"
    return Finding("organ_agreement", "warn" if worst < _POOR_DICE else "ok", text)
