"""Is an organ as large as it can be in an animal of this weight? An atlas that missed, or a contour of something else, shows here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracker.errors import Finding
from tracker.quantify.density import name_words
from tracker.quantify.plan import Organ
from tracker.study.model import Context

_SOURCE = "Brown et al. 1997, doi:10.1177/074823379701300401"
# Percent of body weight, both sides of a pair together: Brown's means for each species.
_PERCENT = {
    "mouse": {"brain": 1.65, "heart": 0.50, "kidney": 1.67, "liver": 5.49, "lung": 0.73, "spleen": 0.35, "stomach": 0.60},
    "rat": {"brain": 0.57, "heart": 0.33, "kidney": 0.73, "liver": 3.66, "lung": 0.50, "spleen": 0.20, "stomach": 0.46},
}
# Up to this many times as large or as small is plausible. Brown's own ranges are within 1.5 but for the spleen (2.2); blood in the
# heart, strain and fasting come on top. A spleen grows with any challenge, a lung's mass hangs on its air, a stomach's on its filling.
_FACTOR, _WIDE_FACTOR = 2.0, 4.0
_WIDE = {"lung", "spleen", "stomach"}
_PAIRED, _SIDES = {"lung", "kidney"}, {"left", "right", "l", "r"}


@dataclass(frozen=True, slots=True)
class _Found:
    """One organ of the table, from one entry of the map or two sides of a pair: its mass [g], and what the table has for as many sides."""

    kind: str
    names: tuple[str, ...]
    mass_g: float
    expected_g: float


def volume_findings(organs: Sequence[Organ], context: Context) -> list[Finding]:
    """Organs whose mass is not plausible for species and body weight (``organ_volume`` warn); those that are, named in one ``ok``.

    Mass = volume × the config's density, beside the published share of body weight; up to twice as large or small passes, four
    times for lung, spleen and stomach. Only whole organs with a name of the table are looked at (kidneys, left_kidney, Liver), none
    that the field cuts; the weight is the scan's day's, else the sheet's. Of a species that is in no table, or where no name is, an
    ``ok`` says that nothing was checked. A plausible volume does not say that the organ is in its place.

    Brown et al. 1997, Toxicol Ind Health 13:407, doi:10.1177/074823379701300401.
    """
    species = context.subject.species.lower()
    table = _PERCENT.get(species)
    if table is None:
        return [
            Finding("organ_volume_unchecked", "ok", f"no table of organ masses for {context.subject.species}: volumes were not checked")
        ]
    weight_g = context.acquisition.body_weight_g or context.subject.body_weight_g
    found = _found(organs, {kind: percent / 100.0 * weight_g for kind, percent in table.items()})
    if not found:
        return [
            Finding("organ_volume_unchecked", "ok", f"no whole organ has a name of {', '.join(sorted(table))}: volumes were not checked")
        ]
    odd = [one for one in found if not 1 / _factor(one.kind) <= one.mass_g / one.expected_g <= _factor(one.kind)]
    findings = [Finding("organ_volume", "warn", _words(one, species, weight_g)) for one in odd]
    fine = [name for one in found if one not in odd for name in one.names]
    if fine:
        findings.append(Finding("organ_volume", "ok", f"plausible for a {species} of {weight_g:.4g} g ({_SOURCE}): {', '.join(fine)}"))
    return findings


def _factor(kind: str) -> float:
    return _WIDE_FACTOR if kind in _WIDE else _FACTOR


def _words(one: _Found, species: str, weight_g: float) -> str:
    factor, ratio = _factor(one.kind), one.mass_g / one.expected_g
    usual = f"{ratio:.2g} times what a {species} of {weight_g:.4g} g has ({one.expected_g:.3g} g; {_SOURCE})"
    return (
        f"{' and '.join(one.names)}: {one.mass_g:.3g} g, {usual}; plausible is {1 / factor:.2g} to {factor:.2g} times: check the organ map"
    )


def _found(organs: Sequence[Organ], expected_g: dict[str, float]) -> list[_Found]:
    found = []
    for kind, whole_g in expected_g.items():
        whole, sides = [], []
        for organ in organs:
            words = set(name_words(organ.name))
            if organ.measurable and organ.mass_g is not None and kind in words:
                side = words - {kind}
                if not side:
                    whole.append(organ)
                elif kind in _PAIRED and len(side) == 1 and side <= _SIDES:
                    sides.append(organ)
        found += [_Found(kind, (organ.name,), organ.mass_g or 0.0, whole_g) for organ in whole]
        if sides:
            total_g = sum(organ.mass_g or 0.0 for organ in sides)
            found.append(_Found(kind, tuple(organ.name for organ in sides), total_g, whole_g * min(len(sides), 2) / 2))
    return found
