"""What an organ shows without any label, and taking it off: the animal's own scan before the dose, a reference organ, or controls.

A relaxation rate is the tissue's own with the label's on top; without one of the three, what of it is label cannot be told.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from tracker.errors import Finding, InputError
from tracker.label import share_left
from tracker.study.model import Context
from tracker.table import Row

# Relative errors closer than this are the one of a calibration that all organs share.
_SAME_CV = 1e-3

RATE, LEVEL, FOCAL = "r2star", "concentration", "cells_focal"


@dataclass(frozen=True, slots=True)
class Before:
    """Rows of scans without label: ``own``, one entry a scan of the animal before its dose; ``controls``, one an animal, by its name.

    ``unmixed`` are rows of the scan at hand with spill-over between organs undone: label is derived from them.
    """

    own: Sequence[Sequence[Row]] = ()
    controls: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    unmixed: Sequence[Row] = ()


def with_unmixed(rows: Sequence[Row], unmixed: Sequence[Row]) -> list[Row]:
    """The rows, each replaced by the one of ``unmixed`` for the same organ, frame and quantity where there is one."""
    better = {(row.organ, row.time_h, row.quantity): row for row in unmixed}
    return [better.get((row.organ, row.time_h, row.quantity), row) for row in rows]


@dataclass(frozen=True, slots=True)
class Net:
    """A scan's rows with what was taken off: ``rows`` as measured (rates with their rise after them), ``signals`` net of background."""

    rows: tuple[Row, ...]
    signals: tuple[Row, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Level:
    """One organ's level without label, in the row's own unit: ``sd`` is shared by all scans that it is taken from.

    ``value`` None: there is none, for the reason in ``flags``.
    """

    value: float | None
    sd: float
    method: str
    flags: tuple[str, ...] = ()


def take_off(rows: Sequence[Row], before: Before, context: Context) -> Net:
    """The scan's signals without background, and the rise of its rates; input rows are not changed.

        delta_r2star = R2* - R2*_0        net signal = signal - c_0 · V        (V the organ's volume now, c_0 its level before)

    R2*_0 and c_0 are, in this order, the mean of the animal's own scans before the dose (of a radionuclide decayed to now), the
    reference organ of the same scan (``reference_organ``, with ``reference_organ_sd_per_s`` for how far tissues differ), or the mean
    of the control group's animals. Negative differences stay. ``sd_noise`` takes up ``session_sd_per_s``; the level's own error is
    shared by the curve and goes into ``sd_scale``: that of repeated measurement, between tissues, or between animals · √(1 + 1/n).
    A lower bound stays one, less the level. Without any of the three, or with corrections: background: none, a rate and its signal
    have no net value (flag ``no_baseline``); a signal that tissue has nothing of stays as it is.
    Not corrected: a level that changes with time for other reasons than ``session_sd_per_s`` (inflammation, bleeding, oxygen).
    A level of other echo times is taken off with a finding. Raises `InputError` ``baseline_protocol`` where rates were measured at
    another field or in another way, ``reference_organ_missing``,
    ``reference_organ_sd_missing``.
    """
    native = any(row.quantity in (RATE, FOCAL) for row in rows)
    asked = context.corrections.background == "baseline"
    findings: list[Finding] = []
    chosen = _Source(rows, before, context, findings) if asked else None
    kept: list[Row] = []
    for row in rows:
        # Cells from the volume of dark voxels are nothing before what was dark already is taken off.
        kept.append(_net(row, chosen, context, native) if row.quantity == FOCAL else row)
        if row.quantity == RATE:
            kept.append(_net(replace(row, quantity=f"delta_{RATE}"), chosen, context, native))
    signals = tuple(_net(row, chosen, context, native) for row in rows if row.quantity == "signal")
    return Net(tuple(kept), signals, tuple(dict.fromkeys((*findings, *_unmeasured(signals, context, native)))))


class _Source:
    """Where levels come from for one scan; which of the three is decided once for all its organs."""

    def __init__(self, rows: Sequence[Row], before: Before, context: Context, findings: list[Finding]) -> None:
        self.rows, self.context, self.findings = rows, context, findings
        self.per_rate = _per_rate(rows)
        self.own = [scan for scan in before.own if self._usable(scan)]
        self.reference = None if self.own else context.constants.get("reference_organ")
        self.controls = {} if self.own else {name: scan for name, scan in before.controls.items() if scan}
        focal = any(row.quantity == FOCAL for row in rows)
        # What is not taken off may have been measured in any way; no reference organ stands in for what was dark before.
        for scan in (*self.own, *(self.controls.values() if focal or not self.reference else ())):
            _same_protocol(rows, scan, context)
            findings.extend(_same_settings(rows, scan))

    def _usable(self, scan: Sequence[Row]) -> bool:
        late = [row.time_h for row in scan if row.time_h is not None and row.time_h > 0]
        if late:
            what = f"session {scan[0].session} has the role baseline but was taken {late[0]:.3g} h after the first dose: not used"
            self.findings.append(Finding("baseline_after_dose", "warn", what))
        return bool(scan) and not late

    def level(self, row: Row, quantity: str) -> _Level | None:
        """The level without label of the row's organ, in the unit of ``quantity``; None where there is no source at all."""
        if self.own:
            return self._from_own(row, quantity)
        if self.reference is not None and quantity in (RATE, LEVEL):
            return self._from_reference(row, quantity)
        return self._from_controls(row, quantity) if self.controls else None

    def in_unit(self, sd_per_s: float, quantity: str) -> float:
        """A standard deviation of a rate [1/s] in the unit of ``quantity``."""
        return sd_per_s * (1.0 if quantity == RATE else self.per_rate if quantity == LEVEL else 0.0)

    def _session_sd(self, quantity: str) -> float:
        return self.in_unit(float(self.context.constants.get("session_sd_per_s", 0.0)), quantity)

    def _from_own(self, row: Row, quantity: str) -> _Level:
        found = [_find(scan, row.organ, quantity) for scan in self.own]
        known = [one for one in found if one is not None and one.value is not None]
        if any(one is not None and one.cens == -1 for one in found):
            return _Level(None, 0.0, "baseline", ("saturated",))
        if not known:
            return _Level(None, 0.0, "baseline", ("no_baseline",))
        values = [(one.value or 0.0) * self._left(one, row) for one in known]
        noise = math.hypot(*(one.sd_noise or 0.0 for one in known)) / len(known)
        scatter = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
        sd = max(math.hypot(noise, self._session_sd(quantity) / math.sqrt(len(known))), scatter)
        return _Level(statistics.fmean(values), sd, f"baseline of {' '.join(dict.fromkeys(one.session for one in known))}")

    def _left(self, earlier: Row, now: Row) -> float:
        start = self.context.first_dose_time
        if start is None or earlier.time_h is None or now.time_h is None or earlier.quantity == RATE:
            return 1.0
        then, later = (start + timedelta(hours=hours) for hours in (earlier.time_h, now.time_h))
        return share_left(then, later, self.context.label)

    def _from_reference(self, row: Row, quantity: str) -> _Level:
        name, sd_per_s = self.reference, self.context.constants.get("reference_organ_sd_per_s")
        if sd_per_s is None:
            what = "a reference organ without how far the tissues' own rates differ from its"
            raise InputError("reference_organ_sd_missing", what, found=name, expected="reference_organ_sd_per_s", do="add it to the config")
        found = _find([one for one in self.rows if one.time_h == row.time_h], str(name), quantity)
        if found is None:
            known = sorted({one.organ for one in self.rows})
            raise InputError("reference_organ_missing", "the reference organ is not in the organ map", found=known, expected=name)
        if row.organ == name or found.value is None or found.cens:
            return _Level(None, 0.0, f"reference organ {name}", ("no_baseline",))
        sd = math.hypot(self.in_unit(float(sd_per_s), quantity), found.sd_noise or 0.0)
        return _Level(found.value, sd, f"reference organ {name}")

    def _from_controls(self, row: Row, quantity: str) -> _Level:
        found = [_find(scan, row.organ, quantity) for scan in self.controls.values()]
        if any(one is not None and one.cens == -1 for one in found):
            return _Level(None, 0.0, "controls", ("saturated",))
        values = [one.value for one in found if one is not None and one.value is not None]
        if len(values) < 2:
            what = f"{row.organ} has a value in {len(values)} control animal(s): how far animals differ cannot be told from fewer than 2"
            self.findings.append(Finding("controls_too_few", "warn", what))
            return _Level(None, 0.0, "controls", ("no_baseline",))
        sd = statistics.stdev(values) * math.sqrt(1 + 1 / len(values))
        return _Level(statistics.fmean(values), sd, f"controls, n={len(values)}")


def _find(rows: Sequence[Row], organ: str, quantity: str) -> Row | None:
    return next((row for row in rows if row.organ == organ and row.quantity == quantity), None)


def _per_rate(rows: Sequence[Row]) -> float:
    """Concentration for each 1/s of rate in this scan; 0 where it has no rates."""
    pairs = [(rate, _find(rows, rate.organ, LEVEL)) for rate in rows if rate.quantity == RATE]
    ratios = [level.value / rate.value for rate, level in pairs if level is not None and rate.value and level.value is not None]
    return ratios[0] if ratios else 0.0


def _stage(scan: Sequence[Row], at: int) -> str:
    """One stage of how a scan's rates were measured: 0 the field and estimator, 1 the echo times."""
    stages = next((row.method.split(">") for row in scan if row.quantity == RATE), [])
    return stages[at] if at < len(stages) else ""


def _same_settings(rows: Sequence[Row], other: Sequence[Row]) -> list[Finding]:
    now, then = _stage(rows, 1), _stage(other, 1)
    if now == then:
        return []
    session = f"session {other[0].session} of {other[0].subject}"
    what = f"{now} now, {then} in {session}: tissue that does not decay by one rate differs between them"
    return [Finding("baseline_settings", "warn", what)]


def _same_protocol(rows: Sequence[Row], other: Sequence[Row], context: Context) -> None:
    now, then = _stage(rows, 0), _stage(other, 0)
    if now != then:
        scan = context.acquisition
        raise InputError(
            "baseline_protocol",
            "rates measured in two ways are not subtracted from one another",
            found=f"{now} now, {then} in session {other[0].session} of {other[0].subject}",
            expected="the same field and estimator",
            where=f"{scan.subject}, session {scan.session}",
            do="scan both with one protocol; state field_t where the files do not say",
        )


def _net(row: Row, source: _Source | None, context: Context, native: bool) -> Row:
    """The row less its level; without a value where the tissue has a level of its own and none is known."""
    # A region of a planar image has no volume: its own level before is all that can be taken off.
    planar = row.quantity == "signal" and row.volume_ml is None
    quantity = "signal" if planar else {"signal": LEVEL, f"delta_{RATE}": RATE}.get(row.quantity, row.quantity)
    level = None if source is None else source.level(row, quantity)
    if source is None or level is None or level.value is None:
        # Tissue glows of its own; it holds no activity and no fluorine.
        own_level = row.unit == "photons/s"
        flags = level.flags if level is not None else ("no_baseline",) if native or (own_level and source is not None) else ()
        row = replace(row, flag=tuple(dict.fromkeys((*row.flag, *flags))))
        return replace(row, value=None, sd_noise=None, sd_scale=None, uloq=None, cens=None) if native or level is not None else row
    volume = (row.volume_ml or 0.0) if row.quantity == "signal" and not planar else 1.0
    off = level.value * volume
    session_sd = source.in_unit(float(context.constants.get("session_sd_per_s", 0.0)), quantity) * volume
    value = None if row.value is None else row.value - off
    uloq = None if row.uloq is None else row.uloq - off
    shared = None if value is None else _shared_sd(row, value, quantity, source.rows)
    scale = None if shared is None else math.hypot(shared, level.sd * volume)
    noise = None if value is None or row.sd_noise is None else math.hypot(row.sd_noise, session_sd)
    method = f"{row.method}>{level.method}"
    return replace(row, value=value, uloq=uloq, sd_noise=noise, sd_scale=scale, method=method)


def _shared_sd(row: Row, net: float, quantity: str, rows: Sequence[Row]) -> float | None:
    """What a row's shared error is of its net value: a calibration's is a share of the difference, one of the organ's own stays."""
    cv = 0.0 if quantity == RATE else _scale_cv(rows, row.quantity)
    if cv is None or row.sd_scale is None or row.value is None or abs(row.sd_scale - cv * abs(row.value)) <= _SAME_CV * row.sd_scale:
        return None if cv is None else cv * abs(net)
    return row.sd_scale


def _scale_cv(rows: Sequence[Row], quantity: str) -> float | None:
    """The relative error that all values of a quantity share, as its largest value has it; None where it is not stated."""
    stated = [row for row in rows if row.quantity == quantity and row.value and row.sd_scale is not None]
    top = max(stated, key=lambda row: abs(row.value or 0.0), default=None)
    return None if top is None or top.sd_scale is None else top.sd_scale / abs(top.value or 1.0)


def _unmeasured(signals: Sequence[Row], context: Context, native: bool) -> list[Finding]:
    lost = sorted({row.organ for row in signals if "no_baseline" in row.flag})
    if native and lost:
        why = "nothing to take off" if context.corrections.background == "baseline" else "corrections.background is none"
        what = f"not specific: {why}, so what is label cannot be told in {', '.join(lost)}"
        return [Finding("no_baseline", "warn", f"{what}; scan the animal before the dose, or name a reference organ or a control group")]
    if context.corrections.background == "baseline" and not native and not any("baseline" in row.method for row in signals):
        return [Finding("no_baseline", "ok", "no scan before the dose: nothing was taken off")]
    if native and "session_sd_per_s" not in context.constants:
        what = "how much a tissue's own rate differs between sessions is not stated (session_sd_per_s): the interval holds noise alone"
        return [Finding("session_sd_missing", "warn", what)]
    return []
