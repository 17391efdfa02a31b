"""Fluorescence clicks of the same camera: radiance per power of the excitation light, and the background's own image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracker.bli.header import Click
from tracker.errors import Finding, InputError

# The vendor's names of excitation filters that excite tissue but not the dye.
_BACKGROUND = re.compile(r"b(ac)?k?g(r?ou?nd)?\b|bkg|background", re.IGNORECASE)


def split_background(clicks: Sequence[Click]) -> tuple[list[Click], Click | None, tuple[Finding, ...]]:
    """The clicks without that of the background's excitation filter, and that one; without one the clicks as they are.

    Raises `InputError` (``mixed_modes``) where there are several of them.
    """
    back = [c for c in clicks if c.settings.excitation and _BACKGROUND.search(c.settings.excitation)]
    if not back or len(back) == len(clicks):
        return list(clicks), None, ()
    if len(back) > 1:
        raise InputError("mixed_modes", "a series has several images through a background filter", found=", ".join(c.name for c in back),
                         expected="one", where=back[0].path.parent, do="give each click a row of its own")  # fmt: skip
    why = f"`{back[0].settings.excitation}` is the background's excitation filter: its image is kept beside the others"
    return [c for c in clicks if c is not back[0]], back[0], (Finding("autofluorescence", "ok", why),)


def check_modes(clicks: Sequence[Click], path: Path) -> None:
    """Raises `InputError` (``mixed_modes``) where some clicks are fluorescence and others not, or excitation filters differ."""
    filters = sorted({c.settings.excitation or "Block" for c in clicks})
    if len(filters) > 1:
        raise InputError("mixed_modes", "clicks of one series have different excitation filters", found=", ".join(filters),
                         expected="one", where=path, do="give each kind a row of its own, with the click's name in `series`")  # fmt: skip


def irradiance_uw_per_cm2(click: Click, constants: Mapping[str, Any]) -> float:
    """Power of the excitation light on the stage [uW/cm2]: the click's, else the config's excitation_irradiance_uw_per_cm2.

    Taken as even over the stage. Raises `InputError` (``no_excitation_power``) where neither states it: without it fluorescence cannot
    be compared between filters, lamps and days.
    """
    stated = click.settings.excitation_uw_per_cm2 or constants.get("excitation_irradiance_uw_per_cm2")
    if stated is None:
        raise InputError("no_excitation_power", "nothing says how much excitation light fell on the animal",
                         found=f"excitation filter {click.settings.excitation}, no power in uW/cm2", where=click.path,
                         expected="the vendor's corrected image in radiant efficiency, or the power",
                         do="set bli.excitation_irradiance_uw_per_cm2, or export radiant efficiency")  # fmt: skip
    return float(stated)
