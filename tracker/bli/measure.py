"""What a planar image gives its regions: total flux, mean and highest radiance, as the camera saw them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tracker.bli.header import EFFICIENCY
from tracker.bli.images import image_of, shown
from tracker.bli.reading import LOW_COUNTS, Reading, background_index, ground_of, read_region
from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity
from tracker.quantify import OrganValue
from tracker.study.model import Context

FLUX = "photons/s"


def flux_unit(quantity: Quantity) -> str:
    """Unit of a total flux: photons/s, or of a dye that per uW/cm2 of the light that excites it."""
    return FLUX if quantity.unit != EFFICIENCY else EFFICIENCY.replace("/cm2/sr", "", 1)


def measure(quantity: Quantity, organ_map: OrganMap, context: Context) -> tuple[tuple[OrganValue, ...], tuple[Finding, ...]]:
    """``signal`` (flux), ``concentration`` (mean radiance) and ``concentration_max`` of every region, background included.

    A region with saturated pixels has no value: its sum is a lower bound (``uloq``). ``lloq`` is the background's flux in a region of that
    size plus 10 sd of it, where there is a background region. Every flux is flagged ``attenuated``: what tissue swallowed is missing.
    Raises `InputError` ``regions_missing`` for an organ map that is no map of regions.
    """
    if not organ_map.shares:
        what, do = "a planar image is measured in regions, and there are none", "run the organs stage again"
        raise InputError("regions_missing", what, found=organ_map.method, expected="regions of the image", do=do)
    values: list[OrganValue] = []
    findings: list[Finding] = []
    for index, name in sorted(organ_map.names.items()):
        if index == background_index(organ_map) or index not in organ_map.shares:
            continue
        reading = read_region(quantity, organ_map, index)
        values += _values(name, reading, quantity)
        findings += [Finding(f.check, f.status, f"{name}: {f.reason}") for f in reading.findings]
    return tuple(values), (*_ground_finding(quantity, organ_map), *_low_counts(values), *dict.fromkeys(findings))


def _values(name: str, reading: Reading, quantity: Quantity) -> list[OrganValue]:
    flux, bound = reading.flux, reading.flux.saturated
    cv = quantity.scale_cv
    background = flux.flux_ph_per_s - reading.net_ph_per_s
    limit = None if reading.loq_ph_per_s is None else background + reading.loq_ph_per_s
    numbers = (
        ("signal", flux_unit(quantity), flux.flux_ph_per_s, flux.sd_ph_per_s, limit),
        ("concentration", quantity.unit, flux.mean, flux.sd_mean, None),
        ("concentration_max", quantity.unit, flux.high, flux.sd_high, None),
    )
    made = []
    for quantity_name, unit, value, sd, lloq in numbers:
        known = math.isfinite(value)
        made.append(
            OrganValue(
                organ=name,
                quantity=quantity_name,
                unit=unit,
                value=value if known and not bound else None,
                sd_noise=sd if math.isfinite(sd) else None,
                sd_scale=None if cv is None or not known else abs(value) * cv,
                flag=tuple(dict.fromkeys((*reading.flags, *(("attenuated",) if quantity_name == "signal" else ())))),
                method=reading.method,
                uloq=value if bound and known else None,
                lloq=lloq if known and not bound else None,
            )
        )
    return made


def _low_counts(values: Sequence[OrganValue]) -> tuple[Finding, ...]:
    dim = list(dict.fromkeys(one.organ for one in values if "low_counts" in one.flag))
    if not dim:
        return ()
    return (Finding("low_counts", "warn", f"brightest pixel under {LOW_COUNTS:.0f} counts in {', '.join(dim)}: expose longer or bin more"),)


def _ground_finding(quantity: Quantity, organ_map: OrganMap) -> tuple[Finding, ...]:
    image = shown(quantity).images[0]
    ground = ground_of(image_of(quantity, image), organ_map)
    if background_index(organ_map) is None:
        return (Finding("background_region", "ok", "no background region in this image: nothing of it is taken off"),)
    if ground is None:
        return (Finding("background_region", "warn", "the background region has no usable pixel: nothing is taken off"),)
    text = f"background {ground.mean:.4g} ± {ground.sd:.3g} {quantity.unit} between {ground.n:.0f} pixels"
    return (Finding("background_region", "ok", text),)
