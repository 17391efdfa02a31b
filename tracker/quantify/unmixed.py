"""A scan's organ rows with what the scanner's blur has mixed between organs undone: the geometric transfer matrix on organ means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import OrganMap, Quantity
from tracker.nuclides import nuclide
from tracker.quantify.boundary import BoundarySd
from tracker.quantify.boundary_unmixed import MixedBorders, boundary_sd_unmixed, mixed_borders
from tracker.quantify.noise import organ_noise
from tracker.quantify.sites import find_sites
from tracker.quantify.statistics import label_statistics
from tracker.spillover import Spread, covariance_of_means, fwhm_of, sd_from_width, spread_matrix, unmix, width_spreads
from tracker.study.model import Context
from tracker.table import Row

# An organ of this name holds all of the body that no other does: then voxels of no organ are air, and hold nothing.
_REST = ("rest", "rest_of_body", "carcass", "body", "background")
# The step of `width_spreads` in percent: what its change of a mean is scaled from.
_STEP_PERCENT = 10.0


@dataclass(frozen=True, slots=True)
class Unmixing:
    """Rows ``signal`` and ``concentration`` of one scan without spill-over between organs, and what was noted.

    ``means`` (k,) are the first frame's true means by the labels of ``spread``, NaN where unknown: what its picture is made with.
    """

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    means: np.ndarray
    spread: Spread


@dataclass(frozen=True, slots=True)
class _Solved:
    """One frame's true means (k,), their noise and the change that a wrong width makes, in the order of the spread's labels.

    ``doubt``: what borders in doubt make of them, None where no border is.
    """

    means: np.ndarray
    sd: np.ndarray
    sd_width: np.ndarray | None
    doubt: BoundarySd | None


def blur_fwhm_mm(context: Context) -> tuple[float, float, float]:
    """The scanner's width (z, y, x) [mm] for the scan's label: ``psf_fwhm_mm``, nuclides in either spelling. Errors as `fwhm_of`."""
    setting = context.constants["psf_fwhm_mm"]
    if not isinstance(setting, Mapping):
        return fwhm_of(setting)
    return fwhm_of({nuclide(key).name: width for key, width in setting.items()}, nuclide(context.label.nuclide).name)


def wants_unmixing(context: Context) -> bool:
    """Whether the config asks for spill-over to be undone (``spill_over: gtm``).

    Raises `InputError` ``fwhm_missing`` where it does and does not say how wide the scanner's blur is.
    """
    if context.constants.get("spill_over", "none") != "gtm":
        return False
    if context.constants.get("psf_fwhm_mm") is None:
        do = "add psf_fwhm_mm, from a point or line source, or set spill_over: none"
        raise InputError("fwhm_missing", "spill-over needs the scanner's width", found="no psf_fwhm_mm", expected="a width in mm", do=do)
    return True


def unmixed_rows(quantity: Quantity, organ_map: OrganMap, rows: Sequence[Row], context: Context) -> Unmixing:
    """The scan's ``signal`` and ``concentration`` rows with spill-over undone; ``rows`` as `quantify` made them, not changed.

    T = W⁻¹ t for each frame (`tracker.spillover`): t the organ means, W the spread of the organ map by ``psf_fwhm_mm``. Voxels of no
    organ are one more region, filled evenly, unless an organ is the rest of the body. ``sd_noise`` takes the noise of all organs and its
    grain through W⁻¹, and what borders in doubt (``boundary_sd_mm``) do to t and W together; ``sd_scale`` takes up
    ``psf_fwhm_sd_percent``, which is None where that is not stated.
    An organ that is cut by the field has no value, and what it spills into others stays in them (``spill_unknown``).
    Not corrected: organs filled unevenly, and a blur that changes over the field.
    Raises `InputError` as `spread_matrix` and `unmix` do.
    """
    fwhm = blur_fwhm_mm(context)
    names = {int(label): name for label, name in sorted(organ_map.names.items()) if label and (organ_map.labels == label).any()}
    wanted = list(names)
    if not any(name.lower() in _REST for name in names.values()) and (organ_map.labels == 0).any():
        wanted.append(0)
    spread = spread_matrix(organ_map.labels, wanted, organ_map.grid, fwhm)
    usable = {row.organ for row in rows if row.quantity == "concentration" and row.value is not None}
    borders = mixed_borders(organ_map, spread)
    solved, noted = [], []
    for frame in range(quantity.values.shape[0]):
        one, findings = _solve(np.asarray(quantity.values[frame]), organ_map, (spread, borders), (names, usable), context)
        solved.append(one)
        noted += list(findings)
    words = f"{'x'.join(f'{w:.3g}' for w in fwhm)} mm, condition {spread.condition:.3g}"
    noted.append(Finding("spill_over", "ok", f"spill-over undone between {len(names)} organs by a width of {words}"))
    if context.constants.get("psf_fwhm_sd_percent") is None:
        what = "how well the scanner's width is known is not stated (psf_fwhm_sd_percent): its error is in no interval"
        noted.append(Finding("fwhm_sd_missing", "warn", what))
    return Unmixing(tuple(_replaced(rows, solved, spread, names)), tuple(dict.fromkeys(noted)), solved[0].means, spread)


def _solve(
    values: np.ndarray,
    organ_map: OrganMap,
    mixing: tuple[Spread, MixedBorders | None],
    known: tuple[dict[int, str], set[str]],
    context: Context,
) -> tuple[_Solved, tuple[Finding, ...]]:
    """One frame. Background's mean is taken near the organs only, under a label of its own for the noise."""
    (names, usable), (spread, borders) = known, mixing
    labels, wanted = organ_map.labels, np.array(spread.labels, np.int64)
    if spread.near is not None:
        own = int(labels.max()) + 1
        # Wide enough for one more label than the map's own type may hold.
        labels = labels.astype(np.int32)
        labels = np.where(spread.near & (labels == 0), own, labels)
        wanted = np.where(wanted == 0, own, wanted)
    found = label_statistics(values, labels, wanted.tolist())
    noise = organ_noise(values, labels, wanted, found.mean, find_sites(labels, wanted, found.n, found.box))
    there = np.array([label == 0 or names[label] in usable for label in spread.labels])
    means = np.where(there, found.mean, np.nan)
    sd = np.sqrt(noise.variance * noise.cells / np.maximum(found.n, 1))
    covariance = covariance_of_means(organ_map.labels, spread, sd, tuple(noise.length))
    answer = unmix(means, covariance, spread, names)
    percent = context.constants.get("psf_fwhm_sd_percent")
    width = None
    if percent is not None:
        narrow, wide = width_spreads(organ_map.labels, spread)
        width = np.abs(sd_from_width(means, narrow, wide)) * float(percent) / _STEP_PERCENT
    doubt = None if borders is None else boundary_sd_unmixed(values, borders, means, answer.means)
    return _Solved(answer.means, np.sqrt(np.diag(answer.covariance)), width, doubt), answer.findings


def _replaced(rows: Sequence[Row], solved: Sequence[_Solved], spread: Spread, names: dict[int, str]) -> list[Row]:
    places = {names[label]: i for i, label in enumerate(spread.labels) if label}
    frames = {time: n for n, time in enumerate(dict.fromkeys(row.time_h for row in rows))}
    out = []
    for row in rows:
        if row.quantity in ("signal", "concentration"):
            one, i = solved[frames[row.time_h]], places.get(row.organ)
            out.append(row if i is None or row.value is None else _row(row, one, i))
    return out


def _row(row: Row, one: _Solved, i: int) -> Row:
    volume = (row.volume_ml or 0.0) if row.quantity == "signal" else 1.0
    value, sd, method = float(one.means[i]) * volume, float(one.sd[i]) * volume, f"{row.method}>gtm"
    if one.doubt is not None:
        border = float((one.doubt.amount if row.quantity == "signal" else one.doubt.mean)[i])
        sd = math.hypot(sd, border)
        # The plain row may have none: a border in doubt elsewhere reaches an organ by what spills.
        method = f"{row.method}>boundary>gtm" if border and not row.method.endswith(">boundary") else method
    cv = None if row.sd_scale is None or not row.value else row.sd_scale / abs(row.value)
    scale = None if cv is None or one.sd_width is None else math.hypot(cv * value, float(one.sd_width[i]) * volume)
    flag = tuple(f for f in row.flag if f != "partial_volume")
    return replace(row, value=value, sd_noise=sd if math.isfinite(sd) else None, sd_scale=scale, flag=flag, method=method)
