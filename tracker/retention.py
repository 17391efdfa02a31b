"""How much of the label a live cell still holds: from an efflux half-time, or from the user's in-vitro table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tracker.errors import InputError
from tracker.study.rows import Label, RetentionPoint


@dataclass(frozen=True, slots=True)
class Factor:
    """A share by which the label of a cell is multiplied, and how well it is known.

    ``value`` None where nothing is known; ``sd_relative`` of what all curves share, None where not stated;
    ``stages`` names what was applied (empty: nothing, the value is 1 and exact).
    """

    value: float | None
    sd_relative: float | None = 0.0
    flags: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()


def retained(elapsed_h: float, label: Label) -> Factor:
    """Share of the label still in the cell ``elapsed_h`` [h] after the dose, division aside.

    The label's table where there is one, log-linear between its points, from 1 at 0 h unless the table says otherwise; else
    exp(-ln 2 · t/T) with its efflux half-time T; else 1 with no stage. Relative sd: ln 2 · t/T · sd_T/T, or the table's,
    linear between points. After the table's last point: None and ``retention_extrapolated``, never a guess.
    Measured in vitro, it does not say where the lost label went: in organs that clear free label the cells come out too many.
    Raises `InputError` ``retention_not_positive``.

    >>> retained(24.0, Label("in", "radionuclide", retention_half_time_h=24.0, retention_sd_h=2.4)).value
    0.5
    """
    if elapsed_h < 0:
        raise ValueError(f"elapsed_h is {elapsed_h}: cells lose label after they were labelled")
    if label.retention_table:
        return _from_table(elapsed_h, label.retention_table, label.label)
    half_time = label.retention_half_time_h
    if half_time is None:
        return Factor(1.0)
    if not half_time > 0:
        raise _not_positive(label.label, half_time)
    sd = label.retention_sd_h
    relative = None if sd is None else math.log(2.0) * elapsed_h / half_time * sd / half_time
    return Factor(2.0 ** (-elapsed_h / half_time), relative, stages=("retention",))


def _from_table(elapsed_h: float, table: Sequence[RetentionPoint], name: str) -> Factor:
    points = sorted(table, key=lambda p: p.time_h)
    if not all(p.retained > 0 for p in points):
        raise _not_positive(name, min(p.retained for p in points))
    if points[0].time_h > 0:
        points.insert(0, RetentionPoint(0.0, 1.0, 0.0))  # by definition nothing is lost at labelling
    if elapsed_h > points[-1].time_h:
        return Factor(None, None, ("retention_extrapolated",), ("retention",))
    after = next(i for i, p in enumerate(points) if p.time_h >= elapsed_h)
    b = points[after]
    a = points[after - 1] if after else b
    w = (elapsed_h - a.time_h) / (b.time_h - a.time_h) if b.time_h > a.time_h else 1.0
    value = a.retained ** (1.0 - w) * b.retained**w
    # The points of one assay share its error, so their relative sds are averaged, not added in quadrature.
    relative = _mix(a, b, w)
    return Factor(value, relative, stages=("retention",))


def _mix(a: RetentionPoint, b: RetentionPoint, w: float) -> float | None:
    parts = [(1.0 - w, a), (w, b)]
    if any(p.sd is None for share, p in parts if share > 0):
        return None
    return sum(share * (p.sd or 0.0) / p.retained for share, p in parts)


def _not_positive(name: str, found: float) -> InputError:
    return InputError(
        "retention_not_positive",
        "a cell without label cannot be counted by its label",
        found=found,
        expected="above 0",
        where=f"label {name}, retention",
        do="end the table before the label is gone, or correct the half-time",
    )
