"""From a calibrated image and an organ map to the table's rows: signal, concentration, its maximum and its peak."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tracker.clock import seconds_between
from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity, frame_middle, voxel_volume_ml
from tracker.quantify.noise import Noise, organ_noise
from tracker.quantify.peak import organ_peak, peak_cells
from tracker.quantify.plan import Organ, Plan, check_grids, make_plan
from tracker.quantify.spill import VISIBLE_CHANGE, spill_change
from tracker.quantify.statistics import LabelStatistics, label_statistics
from tracker.study.model import Context
from tracker.table import Row


@dataclass(frozen=True, slots=True)
class Quantified:
    """The rows of one scan, by frame, organ and quantity, and what was noted on the way."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Value:
    """One number for a row: its quantity and unit, the value and its noise."""

    quantity: str
    unit: str
    value: float | None
    sd_noise: float | None


def quantify(quantity: Quantity, organ_map: OrganMap, context: Context) -> Quantified:
    """Rows for each frame and organ, in the order of frames and labels.

    ``concentration`` = mean of the organ's finite voxels; ``signal`` = that mean × the volume of all its voxels (so a NaN voxel counts
    as the organ's mean, never as 0); ``concentration_max``; ``concentration_peak`` = highest mean over a sphere of
    ``organs.peak_sphere_ml`` (1 mL for humans; no such rows for others unless set). ``n_voxels`` counts finite voxels, ``volume_ml`` and
    ``mass_g`` all. An organ without voxels, or that touches the edge of the image, or all NaN, has rows without a value and a flag.

    ``sd_noise`` is the image's own noise (`organ_noise`), or ``sd_voxel`` with that noise's correlation; that of the maximum and the
    peak is of one voxel or sphere at a fixed place and leaves out that the highest was chosen. ``sd_scale`` = |value| × ``scale_cv``.
    The rows do not hold corrections for spill-over, background or decay to the dose.

    Frames are computed one at a time. Inputs are not changed. Raises `InputError`: ``quantity_kind``, ``quantity_unit``,
    ``frame_mismatch``, ``grid_mismatch``, ``duplicate_organ``, ``no_organs``, ``ambiguous_density``, and those of `label_statistics`.
    """
    _check(quantity, organ_map)
    plan = make_plan(organ_map, context)
    rows: list[Row] = []
    worst = np.zeros(len(plan.organs))
    unknown: set[str] = set()
    spilled: set[str] = set()
    for frame in range(quantity.values.shape[0]):
        values = np.asarray(quantity.values[frame])
        found = label_statistics(values, organ_map.labels, plan.wanted.tolist())
        spread = _noise(quantity, frame, values, organ_map, plan, found)
        worst = np.maximum(worst, found.n_nan / np.maximum(found.n + found.n_nan, 1))
        unknown |= {o.name for o, v in zip(plan.organs, spread.variance, strict=True) if o.measurable and np.isnan(v)}
        mixed = _mixed(values, organ_map, plan, found, context)
        spilled |= {o.name for o, m in zip(plan.organs, mixed, strict=True) if m}
        blank = _blank(quantity, organ_map, context, frame)
        for i, organ in enumerate(plan.organs):
            base = _organ_row(blank, organ, int(found.n[i]), (bool(found.n_nan[i]), bool(mixed[i])))
            numbers = _numbers(quantity.unit, values, organ_map, plan, found, spread, i)
            rows += [_row(base, number, quantity.scale_cv) for number in numbers]
    return Quantified(tuple(rows), (*plan.findings, *_nan_findings(plan, worst), *_noise_findings(unknown), *_spill_findings(spilled)))


def _check(quantity: Quantity, organ_map: OrganMap) -> None:
    if quantity.kind != "concentration":
        raise InputError("quantity_kind", "this kind of quantity cannot be summed", found=quantity.kind, expected="concentration")
    if not quantity.unit.endswith("/mL"):
        raise InputError("quantity_unit", "a concentration is an amount per mL", found=quantity.unit, expected="for example Bq/mL")
    n_frames = len(quantity.times.start_s)
    if quantity.values.ndim != 4 or quantity.values.shape[0] != n_frames:
        raise InputError("frame_mismatch", "image and frame times differ", found=quantity.values.shape, expected=f"{n_frames} frames")
    check_grids(quantity.grid, organ_map.grid, quantity.values.shape[1:], organ_map.labels.shape)


def _noise(quantity: Quantity, frame: int, values: np.ndarray, organ_map: OrganMap, plan: Plan, found: LabelStatistics) -> Noise:
    own = organ_noise(values, organ_map.labels, plan.wanted, found.mean, plan.sites)
    if quantity.sd_voxel is None:
        return own
    stated = label_statistics(np.asarray(quantity.sd_voxel[frame]), organ_map.labels, plan.wanted.tolist())
    # Mean of sd²: the mean's square plus the scatter about it.
    return replace(own, variance=stated.mean**2 + stated.squares / np.maximum(stated.n, 1))


def _blank(quantity: Quantity, organ_map: OrganMap, context: Context, frame: int) -> Row:
    """What all rows of a frame share; organ, quantity, value and unit still to be filled in."""
    middle, half = frame_middle(quantity.times, frame), timedelta(seconds=quantity.times.duration_s[frame] / 2)
    mid, start, end = (_hours(context.first_dose_time, moment) for moment in (middle, middle - half, middle + half))
    who, scan = context.subject, context.acquisition
    return Row(
        study=context.study,
        subject=who.subject,
        group=who.group,
        session=scan.session,
        modality=scan.modality,
        label=context.label.label,
        organ="",
        time_h=mid,
        time_start_h=start,
        time_end_h=end,
        quantity="",
        value=None,
        unit="",
        method=">".join(part for part in (quantity.method, organ_map.method, "quantify") if part),
    )


def _hours(earlier: datetime | None, later: datetime) -> float | None:
    return None if earlier is None else seconds_between(later, earlier) / 3600.0


def _mixed(values: np.ndarray, organ_map: OrganMap, plan: Plan, found: LabelStatistics, context: Context) -> np.ndarray:
    """Which organs' means the blur has changed visibly; none where the config does not say how wide it is."""
    width_mm = context.constants.get("psf_fwhm_mm")
    if width_mm is None:
        return np.zeros(len(plan.organs), bool)
    change = spill_change(values, organ_map.labels, found, organ_map.grid, width_mm)
    return np.asarray([o.measurable and abs(c) > VISIBLE_CHANGE for o, c in zip(plan.organs, change, strict=True)])


def _organ_row(blank: Row, organ: Organ, n: int, doubts: tuple[bool, bool]) -> Row:
    """An organ's row without numbers; ``doubts``: whether it has NaN voxels, and whether spill-over changes it visibly."""
    names = ("nonfinite_voxels", "partial_volume")
    flag = tuple(dict.fromkeys((*organ.flag, *(name for name, doubt in zip(names, doubts, strict=True) if doubt))))
    return replace(blank, organ=organ.name, n_voxels=n, volume_ml=organ.volume_ml, mass_g=organ.mass_g, flag=flag)


def _numbers(
    unit: str, values: np.ndarray, organ_map: OrganMap, plan: Plan, found: LabelStatistics, spread: Noise, i: int
) -> Iterator[_Value]:
    """Signal, concentration, maximum and peak of one organ, all without a value where it cannot be measured."""
    organ, amount = plan.organs[i], unit.removesuffix("/mL")
    there = organ.measurable and found.n[i] > 0
    mean, high = (float(found.mean[i]), float(found.high[i])) if there else (None, None)
    sd_voxel = _sd(spread.variance[i]) if there else None
    sd_mean = _sd(spread.variance[i] * spread.cells[i] / found.n[i]) if there else None
    volume_ml = organ.n * voxel_volume_ml(organ_map.grid)
    yield _Value("signal", amount, _times(mean, volume_ml), _times(sd_mean, volume_ml))
    yield _Value("concentration", unit, mean, sd_mean)
    yield _Value("concentration_max", unit, high, sd_voxel)
    if plan.ball is not None:
        top = organ_peak(values, organ_map.labels, int(plan.wanted[i]), plan.box[i], plan.ball) if there else None
        sd_top = _times(sd_voxel, float(np.sqrt(peak_cells(plan.ball, spread.length)))) if there else None
        yield _Value("concentration_peak", unit, top, sd_top)


def _sd(variance: Any) -> float | None:
    return float(np.sqrt(variance)) if np.isfinite(variance) else None


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _row(base: Row, number: _Value, scale_cv: float | None) -> Row:
    scale = None if number.value is None or scale_cv is None else abs(number.value) * scale_cv
    cens = None if number.value is None else 0
    return replace(
        base, quantity=number.quantity, value=number.value, unit=number.unit, sd_noise=number.sd_noise, sd_scale=scale, cens=cens
    )


def _nan_findings(plan: Plan, worst: np.ndarray) -> list[Finding]:
    return [
        Finding("nonfinite_voxels", "warn", f"{organ.name}: up to {100 * share:.3g} % of its voxels are NaN in a frame and were left out")
        for organ, share in zip(plan.organs, worst, strict=True)
        if share > 0
    ]


def _spill_findings(spilled: set[str]) -> list[Finding]:
    if not spilled:
        return []
    words = f"the scanner's blur changes {', '.join(sorted(spilled))} by more than {100 * VISIBLE_CHANGE:g} %: spill-over is not corrected"
    return [Finding("partial_volume", "warn", words)]


def _noise_findings(unknown: set[str]) -> list[Finding]:
    if not unknown:
        return []
    return [Finding("noise_unknown", "warn", f"no noise could be read from the image for {', '.join(sorted(unknown))}: no sd_noise")]
