"""From a calibrated image and an organ map to the table's rows: signal, concentration, its maximum and its peak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from tracker.clock import seconds_between
from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity, frame_middle
from tracker.quantify.border import Borders, find_borders
from tracker.quantify.boundary import BoundarySd, boundary_sd
from tracker.quantify.ceiling import Ceiling, ceilings_of
from tracker.quantify.level import Level, both, bounded, read_level, scaled, with_border
from tracker.quantify.noise import Noise, organ_noise
from tracker.quantify.notes import boundary_findings, nan_findings, noise_findings, saturated_findings, spill_findings
from tracker.quantify.plan import Organ, Plan, check_grids, make_plan
from tracker.quantify.spill import VISIBLE_CHANGE, spill_change
from tracker.quantify.statistics import LabelStatistics, label_statistics
from tracker.quantify.unmixed import blur_fwhm_mm
from tracker.quantify.volumes import volume_findings
from tracker.study.model import Context
from tracker.table import Row


@dataclass(frozen=True, slots=True)
class Quantified:
    """The rows of one scan, by frame, organ and quantity, and what was noted on the way."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class OrganValue:
    """One number of one organ, as a modality's own ``measure`` gives it: a row without what `quantify` knows of organ and scan.

    ``sd_noise``, ``sd_scale``, ``lloq`` and ``uloq`` are in ``unit``; ``method`` is added to the chain. A lower bound has ``uloq``.
    ``volume_ml``: of the organ, where the image itself does not show it (a region of a planar image has none).
    """

    organ: str
    quantity: str
    unit: str
    value: float | None
    sd_noise: float | None = None
    sd_scale: float | None = None
    flag: tuple[str, ...] = ()
    method: str = ""
    uloq: float | None = None
    lloq: float | None = None
    volume_ml: float | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """What other scans and the modality's own code add: ``ceilings`` by organ (see `organ_ceilings`), and ``values`` of the first frame."""

    ceilings: Mapping[str, float] = field(default_factory=dict)
    values: Sequence[OrganValue] = ()


def quantify(quantity: Quantity, organ_map: OrganMap, context: Context, beside: Beside | None = None) -> Quantified:
    """Rows for each frame and organ, in the order of frames and labels.

    ``concentration`` = mean of the organ's finite voxels; ``signal`` = that mean × the volume of all its voxels (so a NaN voxel counts
    as the organ's mean, never as 0); ``concentration_max``; ``concentration_peak`` = highest mean over a sphere of
    ``organs.peak_sphere_ml`` (1 mL for humans; no such rows for others unless set). A relaxation rate gives ``r2star``, the mean
    [1/s], and these quantities as the rate's ``conversion`` makes them: what the tissue has of its own is included.
    ``n_voxels`` counts finite voxels, ``volume_ml`` and ``mass_g`` all. An organ without voxels, or that touches the edge of the
    image, or all NaN, has rows without a value and a flag.

    Voxels above the limit (``censored``) count as the least they must hold; the organ is then a lower bound: ``cens`` -1, ``uloq`` and
    the value that bound, flag ``saturated``; an organ with no other voxel has no value, only the bound.

    ``sd_noise`` is the image's own noise (`organ_noise`), or ``sd_voxel`` with that noise's correlation; that of the maximum and the
    peak is of one voxel or sphere at a fixed place and leaves out that the highest was chosen. Where the map says how far borders may
    be off (``boundary_sd_mm``), signal, mean and rate have that in it too, from an organ's own border and what it shares with its
    neighbours (`boundary_sd`; stage ``boundary`` of the method); a rate's signal has the mean's error × volume, since the tissue's own
    part is taken off for the same volume later: the volume's error of what is left is not in it. ``sd_scale`` = |value| × ``scale_cv``.
    The rows do not hold corrections for spill-over, background or decay to the dose.

    Frames are computed one at a time. Inputs are not changed. Raises `InputError`: ``quantity_kind``, ``quantity_unit``,
    ``frame_mismatch``, ``grid_mismatch``, ``duplicate_organ``, ``no_organs``, ``ambiguous_density``, and those of `label_statistics`.
    """
    beside = beside or Beside()
    _check(quantity, organ_map, beside)
    plan = make_plan(organ_map, context)
    # A planar image shows areas.
    sized = volume_findings(plan.organs, context) if min(organ_map.grid.shape) > 1 else []
    if quantity.kind not in _UNITS:
        rows = _own_rows(_blank(quantity, organ_map, context, 0), plan, beside.values)
        return Quantified(tuple(rows), (*plan.findings, *sized))
    borders = find_borders(organ_map.labels, plan.wanted, organ_map.boundary_sd_mm, organ_map.grid)
    rows = []
    worst = np.zeros(len(plan.organs))
    unknown: set[str] = set()
    spilled: set[str] = set()
    saturated: dict[str, float] = {}
    lost: set[str] = set()
    for frame in range(quantity.values.shape[0]):
        values = np.asarray(quantity.values[frame])
        found = label_statistics(values, organ_map.labels, plan.wanted.tolist())
        above = ceilings_of(quantity, frame, organ_map, beside.ceilings)
        failed = found.n_nan - np.array([above[int(label)].n if int(label) in above else 0 for label in plan.wanted])
        spread = _noise(quantity, frame, values, organ_map, plan, found)
        worst = np.maximum(worst, failed / np.maximum(found.n + found.n_nan, 1))
        unknown |= {o.name for o, v, n in zip(plan.organs, spread.variance, found.n, strict=True) if o.measurable and n and np.isnan(v)}
        mixed = _mixed(values, organ_map, plan, found, context)
        spilled |= {o.name for o, m in zip(plan.organs, mixed, strict=True) if m}
        doubt = None if borders is None else _doubt(quantity, frame, organ_map, (borders, found), above)
        lost |= {o.name for i, o in enumerate(plan.organs) if doubt is not None and o.measurable and np.isnan(doubt.mean[i])}
        blank = _blank(quantity, organ_map, context, frame)
        for i, organ in enumerate(plan.organs):
            level = read_level(values, organ_map, plan, found, spread, i)
            ceiling = above.get(int(plan.wanted[i]))
            if ceiling is not None:
                saturated[organ.name] = max(saturated.get(organ.name, 0.0), ceiling.n / organ.n)
                level = bounded(level, int(found.n[i]), ceiling, organ, context)
            if doubt is not None:
                level = with_border(level, doubt, i)
            base = _organ_row(blank, organ, int(found.n[i]), (bool(failed[i]), bool(mixed[i]), level.censored))
            rows += _rows(base, level, quantity, plan.ball is not None)
    rows += _own_rows(_blank(quantity, organ_map, context, 0), plan, beside.values)
    noted = (*nan_findings(plan, worst), *noise_findings(unknown), *spill_findings(spilled), *saturated_findings(saturated))
    return Quantified(tuple(rows), (*plan.findings, *sized, *noted, *boundary_findings(lost)))


# The kinds that a mean over an organ makes sense of, and what their unit ends in.
_UNITS = {"concentration": "/mL", "relaxation_rate": "1/s"}


def _check(quantity: Quantity, organ_map: OrganMap, beside: Beside) -> None:
    ending = _UNITS.get(quantity.kind)
    if ending is None and not beside.values:
        raise InputError("quantity_kind", "this kind of quantity cannot be summed", found=quantity.kind, expected=" or ".join(_UNITS))
    if ending is not None and not quantity.unit.endswith(ending):
        expected = "an amount per mL, as Bq/mL" if ending == "/mL" else ending
        raise InputError("quantity_unit", f"the unit is not that of a {quantity.kind}", found=quantity.unit, expected=expected)
    if quantity.kind == "relaxation_rate" and quantity.conversion is None:
        raise InputError(
            "quantity_kind", "a relaxation rate needs what turns it into label", found="no conversion", expected="a relaxivity"
        )
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


def _doubt(
    quantity: Quantity, frame: int, organ_map: OrganMap, known: tuple[Borders, LabelStatistics], above: Mapping[int, Ceiling]
) -> BoundarySd:
    """What borders in doubt do to each organ; voxels above the limit count as the least they must hold, as they do in its value."""
    (borders, found), values = known, np.asarray(quantity.values[frame])
    if not above:
        return boundary_sd(values, borders, found.mean, found.n)
    beyond, values = np.asarray(quantity.censored[frame]).astype(bool), values.copy()
    for label, ceiling in above.items():
        values[beyond & (organ_map.labels == label)] = np.nan if ceiling.least is None else ceiling.least
    found = label_statistics(values, organ_map.labels, found.labels.tolist())
    return boundary_sd(values, borders, found.mean, found.n)


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
    if context.constants.get("psf_fwhm_mm") is None:
        return np.zeros(len(plan.organs), bool)
    change = spill_change(values, organ_map.labels, found, organ_map.grid, blur_fwhm_mm(context))
    return np.asarray([o.measurable and abs(c) > VISIBLE_CHANGE for o, c in zip(plan.organs, change, strict=True)])


def _organ_row(blank: Row, organ: Organ, n: int, doubts: tuple[bool, bool, bool]) -> Row:
    """An organ's row without numbers; ``doubts``: whether it has NaN voxels, spill-over changes it visibly, voxels are above the limit."""
    names = ("nonfinite_voxels", "partial_volume", "saturated")
    flag = tuple(dict.fromkeys((*organ.flag, *(name for name, doubt in zip(names, doubts, strict=True) if doubt))))
    return replace(blank, organ=organ.name, n_voxels=n, volume_ml=organ.volume_ml, mass_g=organ.mass_g, flag=flag)


def _rows(base: Row, level: Level, quantity: Quantity, with_peak: bool) -> Iterator[Row]:
    """All rows of one organ in one frame, from its reading in the image's own unit."""
    factor, unit, scale_cv = 1.0, quantity.unit, quantity.scale_cv
    conversion, doubted = quantity.conversion, (">boundary" if level.border or level.border_amount else "")
    if quantity.kind == "relaxation_rate" and conversion is not None:
        # The rate itself hangs on no calibration: its scale has no error.
        sd_rate = both(level.sd_mean, level.border)
        yield _row(_by(base, doubted), "r2star", quantity.unit, (level.mean, sd_rate, level.bound), level, 0.0)
        factor, unit, scale_cv = conversion.factor, conversion.unit, conversion.scale_cv
        method = ">".join((base.method, conversion.method))
        base = replace(base, flag=tuple(dict.fromkeys((*base.flag, *conversion.flags))), method=method)
    mean, sd_mean, bound = scaled(level.mean, factor), scaled(level.sd_mean, factor), scaled(level.bound, factor)
    volume_ml = base.volume_ml or 0.0
    # Of a rate most is the tissue's own, which is taken off for the same volume, right or wrong: only the mean's error stays.
    border = level.border * volume_ml if quantity.kind == "relaxation_rate" else level.border_amount
    sd_amount = both(scaled(sd_mean, volume_ml), scaled(border, factor))
    amount = (scaled(mean, volume_ml), sd_amount, scaled(bound, volume_ml))
    sd_mean = both(sd_mean, scaled(level.border, factor))
    yield _row(_by(base, doubted), "signal", unit.removesuffix("/mL"), amount, level, scale_cv)
    yield _row(_by(base, doubted), "concentration", unit, (mean, sd_mean, bound), level, scale_cv)
    high = (scaled(level.high, factor), scaled(level.sd_high, factor), scaled(level.bound_high, factor))
    yield _row(base, "concentration_max", unit, high, level, scale_cv)
    if with_peak:
        yield _row(base, "concentration_peak", unit, (scaled(level.top, factor), scaled(level.sd_top, factor), None), level, scale_cv)


def _by(base: Row, stage: str) -> Row:
    return replace(base, method=base.method + stage)


def _row(base: Row, quantity: str, unit: str, numbers: tuple[float | None, ...], level: Level, scale_cv: float | None) -> Row:
    """One row of ``numbers`` (value, sd_noise, lower bound); of an organ above the limit the bound is the value, if it has other voxels."""
    value, sd_noise, bound = numbers
    cens = None if value is None else 0
    if level.censored:
        value = bound if value is not None else None
        cens = None if bound is None else -1
    scale = None if value is None or scale_cv is None else abs(value) * scale_cv
    uloq = bound if level.censored else None
    sd = None if value is None else sd_noise
    return replace(base, quantity=quantity, value=value, unit=unit, sd_noise=sd, sd_scale=scale, cens=cens, uloq=uloq)


def _own_rows(blank: Row, plan: Plan, values: Sequence[OrganValue]) -> list[Row]:
    """The rows of values that the modality's own code measured; one of an organ that cannot be measured has no value."""
    organs = {organ.name: organ for organ in plan.organs}
    rows = []
    for one in values:
        organ = organs[one.organ]
        base = _organ_row(blank, organ, organ.n, (False, False, False))
        known = organ.measurable and one.value is not None
        cens = -1 if one.uloq is not None else 0 if known else None
        rows.append(
            replace(
                base,
                quantity=one.quantity,
                unit=one.unit,
                value=one.value if known else None,
                sd_noise=one.sd_noise if known else None,
                sd_scale=one.sd_scale if known else None,
                uloq=one.uloq,
                cens=cens,
                flag=tuple(dict.fromkeys((*base.flag, *one.flag))),
                method=">".join(part for part in (base.method, one.method) if part),
            )
        )
    return rows
