"""From what a planar image shows to the light that cells made: background off, and depth undone where that is asked for."""

from __future__ import annotations

import math

from tracker.bli.focal import focal_light
from tracker.bli.measure import flux_unit
from tracker.bli.organs import organ_light
from tracker.bli.reading import Reading, background_index, read_region
from tracker.bli.result import Unmixed
from tracker.errors import InputError
from tracker.image import OrganMap, Quantity
from tracker.quantify import OrganValue
from tracker.study.model import Context


def unmix(quantity: Quantity, organ_map: OrganMap, context: Context) -> Unmixed:
    """The light of each region or organ, ``signal`` [photons/s], as label is derived from it.

    depth none: flux of each region less the background region's (none without one), still flagged ``attenuated``. depth focal: of each
    region that is seen through two filters, the light of a point source at the depth that their ratio tells. depth organs: the light of
    each organ by planar tomography (`solve_organs`), all filters together; an organ that would not stand out of the noise has no value and
    the flag ``not_observable``, with what would have been seen as ``lloq``.
    Raises `InputError` as `organs_inside`, `spread_operator` and `solve_organs` do.
    """
    depth = context.constants.get("depth", "none")
    if quantity.kind != "radiance" and depth != "none":
        what = "light that was sent in from outside has no depth correction here"
        raise InputError("depth_of_fluorescence", what, found=f"depth: {depth}", expected="depth: none", do="set bli.depth to none")
    if depth == "organs":
        return organ_light(quantity, organ_map, context)
    readings = {n: read_region(quantity, organ_map, i) for i, n in organ_map.names.items() if i != background_index(organ_map)}
    if depth == "focal":
        return focal_light(quantity, organ_map, context, readings)
    if background_index(organ_map) is None:
        return Unmixed((), ())
    return Unmixed(tuple(_net(name, reading, quantity) for name, reading in readings.items()), ())


def _net(name: str, reading: Reading, quantity: Quantity) -> OrganValue:
    known, full = math.isfinite(reading.net_ph_per_s), reading.flux.saturated
    cv = quantity.scale_cv
    return OrganValue(
        organ=name,
        quantity="signal",
        unit=flux_unit(quantity),
        value=reading.net_ph_per_s if known and not full else None,
        sd_noise=reading.net_sd_ph_per_s if math.isfinite(reading.net_sd_ph_per_s) else None,
        sd_scale=None if cv is None or not known else abs(reading.net_ph_per_s) * cv,
        flag=tuple(dict.fromkeys((*reading.flags, "attenuated"))),
        method=f"{reading.method}>background region",
        uloq=reading.net_ph_per_s if known and full else None,
        lloq=reading.loq_ph_per_s if known and not full else None,
    )
