"""What an MR scan gives an organ beside its R2*: the volume of signal voids, and fluorine of 19F scans."""

from __future__ import annotations

from tracker.errors import Finding
from tracker.image import OrganMap, Quantity
from tracker.mri.fluorine import KIND, measure_fluorine
from tracker.mri.focal import measure_voids
from tracker.quantify import OrganValue
from tracker.study.model import Context


def measure(quantity: Quantity, organ_map: OrganMap, context: Context) -> tuple[tuple[OrganValue, ...], tuple[Finding, ...]]:
    """Values of the organs of one scan, and what was noted: fluorine of a 19F scan, voids where the config has ``mri.focal``, else none.

    Raises `InputError` as `measure_fluorine` and `measure_voids` do.
    """
    if quantity.kind == KIND:
        return measure_fluorine(quantity, organ_map, context.constants)
    if "focal" in context.constants:
        return measure_voids(quantity, organ_map, context.constants)
    return (), ()
