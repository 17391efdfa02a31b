"""What the methods text says of relaxation rates and of the iron in them, from the table's quantities, flags and methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracker.report.summary import ordered
from tracker.table import Row

_SIGNAL = (
    "R2* [1/s] is how fast the signal of a multi-echo gradient-echo scan falls with echo time, S(TE) = S0·exp(−R2*·TE), fitted in each "
    "voxel; an organ has the mean of its voxels"
)
# What a method's first part ends in -> how the rate was fitted.
_ESTIMATORS = {
    "second_moment": "Fitted were squared magnitudes less what noise adds to them, E[M²] = S² + 2Nσ² (N receive channels, noise σ), so "
    "that the noise floor does not make fast decay look slow (second moment; Feng 2013, Magn Reson Med 70:1765).",
    "arlo": "Fitted by auto-regression on linear operations (ARLO; Pei 2015, Magn Reson Med 73:843), which leaves the noise floor in: "
    "fast decay reads too low.",
    "weighted_loglinear": "Fitted was a line to the logarithm of the magnitudes, weighted by their squares, which leaves the noise floor "
    "in: fast decay reads too low.",
    "complex fit": "Fitted were the complex images, whose noise has no floor.",
}
_GRADIENT = "with background gradient"
_BACKGROUND_GRADIENT = (
    "The decay that a smooth background field adds across a voxel was taken out by a model fitted to the scan's phase, in which the "
    "field of the cells themselves has no part."
)
_QUANTITIES = {
    "delta_r2star": "ΔR2* is an organ's R2* less its R2* without label",
    "hypointense_volume": "Hypointense volume is the volume of the organ's voxels that at one echo are darker than a reference organ's "
    "mean by a stated number of its standard deviations. It grows with field, echo time and voxel size, and holds all that is dark: air, "
    "blood and bone too.",
    "cells_focal": "Cells in dense deposits are hypointense volume, less that before the dose, times cells per volume from a calibration "
    "at the same field, echo time and voxel size; such volumes followed the number of cells where relaxation rates did not "
    "(500 to 7500 cells at 4.7 T, PubMed 20734153).",
}
_IRON = (
    "Iron is taken from the rate: concentration [µg/mL] = 55.845 · ΔR2*/r2*, with the relaxivity r2* [1/s per mmol/L], and the amount "
    "[µg] is that times the organ's volume. Negative values are kept, since cutting them off would raise every sum."
)
_LOWER_BOUND = (
    "Voxels that decay too fast for two echoes above the noise, R2* > ln(S0/3σ)/TE2, count with the least they must hold; such an "
    "organ's value is a lower bound (flag saturated, cens −1, the bound in uloq). A void says how much iron there is at least."
)
_ALL_LABEL = (
    "All change of R2* is taken for label: air, bleeding, oedema and the oxygen of blood change it too, and iron that cells lost or that "
    "other cells took up looks the same. r2* is taken to be the same in every organ and at every time."
)
_PRIOR = (
    "The relaxivity r2* was not measured for these cells: a prior from published labels is used (flag relaxivity_prior), cut off at static "
    "dephasing, r2′ = 2π/(9√3)·µ0·γ·M (Yablonskiy and Haacke 1994, doi:10.1002/mrm.1910320610). Iron and cells are good to a factor of "
    "about three; their ratios between organs and times do not hang on it."
)
_NO_BASELINE = (
    "Where nothing says what an organ's R2* is without label (flag no_baseline), no label is given: the tissue's own tens of 1/s would "
    "count as iron."
)


def rate_sentences(rows: Sequence[Row]) -> tuple[str, ...]:
    """Sentences on how rates were measured and made iron; none for a table without them."""
    present = {row.quantity for row in rows}
    found = _measured(rows) if "r2star" in present else []
    if "delta_r2star" in present:
        found.append(f"{_QUANTITIES['delta_r2star']}{_sources(rows)}.")
    if _iron(rows):
        found.append(_IRON + _relaxivities(rows))
    if any(row.cens == -1 and (row.quantity == "r2star" or row.unit.startswith("ug")) for row in rows):
        found.append(_LOWER_BOUND)
    return (*found, *(_QUANTITIES[name] for name in ("hypointense_volume", "cells_focal") if name in present))


def rate_assumptions(rows: Sequence[Row]) -> tuple[str, ...]:
    """Sentences on what was taken for granted where a rate became label."""
    flags = {flag for row in rows if row.unit in ("1/s", "ug", "ug/mL") for flag in row.flag}
    told = ((_iron(rows), _ALL_LABEL), ("relaxivity_prior" in flags, _PRIOR), ("no_baseline" in flags, _NO_BASELINE))
    return tuple(text for holds, text in told if holds)


def _iron(rows: Iterable[Row]) -> bool:
    return any(row.quantity == "label_amount" and row.unit == "ug" for row in rows)


def _parts(rows: Iterable[Row], quantity: str) -> list[str]:
    """The different parts of the methods of a quantity that has a value or a bound."""
    return list(ordered(part for r in rows if r.quantity == quantity and r.cens is not None for part in r.method.split(">")))


def _measured(rows: Sequence[Row]) -> list[str]:
    ways = ordered(part for part in _parts(rows, "r2star") if part.startswith("R2*"))
    found = [_SIGNAL + (f" ({'; '.join(ways)})." if ways else ".")]
    found += [text for name, text in _ESTIMATORS.items() if any(way.removesuffix(f" {_GRADIENT}").endswith(f"by {name}") for way in ways)]
    return [*found, _BACKGROUND_GRADIENT] if any(way.endswith(_GRADIENT) for way in ways) else found


def _sources(rows: Sequence[Row]) -> str:
    """Where the rates without label are from, in the words of the methods."""
    parts = _parts(rows, "delta_r2star")
    told = (
        ("baseline of", "the animal's own scan before the dose"),
        ("reference organ", "a reference organ of the same scan"),
        ("controls", "the mean of the control group"),
    )
    found = [text for start, text in told if any(part.startswith(start) for part in parts)]
    which = " (the method column says which)" if len(found) > 1 else ""
    return f", taken from {' or '.join(found)}{which}" if found else ""


def _relaxivities(rows: Sequence[Row]) -> str:
    used = [part.removeprefix("iron by ") for part in _parts(rows, "label_amount") if part.startswith("iron by ")]
    return f" Relaxivity: {', '.join(used)}." if used else ""
