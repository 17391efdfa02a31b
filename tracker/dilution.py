"""How division thins the label: each daughter cell takes half; the label of the whole organ stays."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tracker.errors import InputError
from tracker.retention import Factor, retained
from tracker.study.model import Corrections
from tracker.study.rows import Label


def quadrature(parts: Iterable[float | None]) -> float | None:
    """Square root of the sum of squares of independent sds; None where one is not stated (unknown is not 0).

    >>> quadrature([3.0, 4.0]), quadrature([3.0, None])
    (5.0, None)
    """
    total = 0.0
    for part in parts:
        if part is None:
            return None
        total += part * part
    return math.sqrt(total)


def diluted(elapsed_h: float, label: Label) -> Factor:
    """Share of its first label that a cell holds after dividing for ``elapsed_h`` [h]: 2^(-t/Td).

    1 with no stage where the label does not dilute. Relative sd: ln 2 · t/Td · sd_Td/Td. Assumes that cells divide evenly, all at
    the sheet's rate from the dose on; cells that rest in an organ divide slower than in culture, and then come out too many.
    Raises `InputError` ``no_doubling_time`` where a label dilutes but the sheet does not say how fast.

    >>> diluted(48.0, Label("zr", "radionuclide", dilutes=True, doubling_time_h=24.0, doubling_time_sd_h=2.4)).value
    0.25
    """
    if elapsed_h < 0:
        raise ValueError(f"elapsed_h is {elapsed_h}: division thins the label after the dose")
    if not label.dilutes:
        return Factor(1.0)
    doubling = label.doubling_time_h
    if doubling is None or not doubling > 0:
        raise InputError(
            "no_doubling_time",
            "the label dilutes but its doubling time is not known",
            found=doubling,
            expected="doubling_time_h above 0",
            where=f"label {label.label}",
            do="give doubling_time_h, set dilutes to no, or set corrections: dilution: false",
        )
    sd = label.doubling_time_sd_h
    relative = None if sd is None else math.log(2.0) * elapsed_h / doubling * sd / doubling
    return Factor(2.0 ** (-elapsed_h / doubling), relative, stages=("dilution",))


def label_factors(elapsed_h: float, label: Label, corrections: Corrections) -> tuple[Factor, Factor]:
    """Division's and loss's factors (`diluted`, `retained`), each 1 with no stage where the config leaves it out."""
    division = diluted(elapsed_h, label) if corrections.dilution else Factor(1.0)
    loss = retained(elapsed_h, label) if corrections.retention else Factor(1.0)
    return division, loss


def label_per_cell_factor(elapsed_h: float, label: Label, corrections: Corrections) -> Factor:
    """Share of its first label in a live cell ``elapsed_h`` [h] after the dose: division times loss, decay aside.

        q = 2^(-t/Td) · retained(t), each only while the config asks for it

    The relative sd is that of both in quadrature. None where the retention table ends before.
    """
    division, loss = label_factors(elapsed_h, label, corrections)
    value = None if division.value is None or loss.value is None else division.value * loss.value
    stages = division.stages + loss.stages
    return Factor(value, quadrature([division.sd_relative, loss.sd_relative]), division.flags + loss.flags, stages)
