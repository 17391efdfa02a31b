"""Rows of a planar image's regions: a region has an area and no volume, may overlap another, and was measured over the whole scan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tracker.clock import seconds_between
from tracker.image import OrganMap, Quantity
from tracker.quantify.density import density_g_per_ml
from tracker.quantify.rows import OrganValue
from tracker.study.model import Context
from tracker.table import Row


def planar_rows(quantity: Quantity, organ_map: OrganMap, context: Context, values: Sequence[OrganValue]) -> tuple[Row, ...]:
    """The rows of values that a modality's own code read from regions (``organ_map.shares``) or worked out for organs behind them.

    Times are those of the whole scan, from its first image to the end of its last. ``n_voxels`` counts pixels that a region has part
    of, ``volume_ml`` and ``mass_g`` are the organ's own where its value states them. ``cens`` is -1 for a value with ``uloq``, 1 for one
    below ``lloq``, which stays as it is.
    """
    indices = {name: index for index, name in organ_map.names.items()}
    start, end = _span(quantity)
    first, who, scan = context.first_dose_time, context.subject, context.acquisition
    rows = []
    for one in values:
        share = organ_map.shares.get(indices.get(one.organ, 0))
        density = density_g_per_ml(one.organ, context.organs.density_g_per_ml)
        rows.append(
            Row(
                study=context.study,
                subject=who.subject,
                group=who.group,
                session=scan.session,
                modality=scan.modality,
                label=context.label.label,
                organ=one.organ,
                time_h=_hours(first, start + (end - start) / 2),
                time_start_h=_hours(first, start),
                time_end_h=_hours(first, end),
                quantity=one.quantity,
                value=one.value,
                unit=one.unit,
                sd_noise=None if one.value is None else one.sd_noise,
                sd_scale=None if one.value is None else one.sd_scale,
                lloq=one.lloq,
                uloq=one.uloq,
                cens=_censored(one),
                n_voxels=None if share is None else int((share > 0).sum()),
                volume_ml=one.volume_ml,
                mass_g=None if one.volume_ml is None or density is None else one.volume_ml * density,
                flag=one.flag,
                method=">".join(part for part in (quantity.method, organ_map.method, "quantify", one.method) if part),
            )
        )
    return tuple(rows)


def _span(quantity: Quantity) -> tuple[datetime, datetime]:
    times = quantity.times
    ends = [start + duration for start, duration in zip(times.start_s, times.duration_s, strict=True)]
    return times.origin + timedelta(seconds=min(times.start_s)), times.origin + timedelta(seconds=max(ends))


def _hours(earlier: datetime | None, later: datetime) -> float | None:
    return None if earlier is None else seconds_between(later, earlier) / 3600.0


def _censored(one: OrganValue) -> int | None:
    if one.uloq is not None:
        return -1
    if one.value is None:
        return None
    return 1 if one.lloq is not None and one.value < one.lloq else 0
