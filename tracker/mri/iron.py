"""From R2* to iron: the label's relaxivity, or what is known of it where nobody measured it.

A relaxivity measured on free particles in solution is not that of cells: inside cells r2 falls to a half or a fifteenth, and r2* moves
towards static dephasing (anionic maghemite and others at 7-17.6 T, doi:10.1002/mrm.22557). Only a phantom of labelled cells, at the
field of the study, gives the number to write into the config; without one the iron is good to a factor of a few.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from tracker.errors import Finding
from tracker.image import Conversion

# µg in one µmol of iron, and so µg/mL in one mmol/L: standard atomic weight, CIAAW 2021.
IRON_UG_PER_UMOL = 55.845
# CODATA 2022: magnetic constant [T m/A], gyromagnetic ratio of the proton [rad/s/T].
_MU0, _GAMMA = 1.256_637_061_27e-6, 2.675_221_8708e8
# Saturation magnetisation of iron oxides [A m²/kg of iron]: usual in SPIO, and the largest, that of bulk magnetite.
USUAL_MAGNETISATION, LARGEST_MAGNETISATION = 94.0, 127.0
# Log-normal whose part below the bound of the usual magnetisation has median 300 and 2.5 % of it below 60 /s per mmol/L.
_PRIOR = NormalDist(math.log(422.3347), 0.928790)
# Iron oxides in cells have tens to hundreds, and even ferritin more than this: what is less was divided by another unit.
_LEAST_RELAXIVITY = 1.0
# Above this relative sd of a divisor, value ± 1.96 sd is no longer an interval: 1/(1 - 1.96·0.3) is 2.4, 1/(1 + 1.96·0.3) is 0.63.
_LINEAR_CV = 0.3


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of a relaxivity that nobody measured: its ``median`` and 95 % interval ``low`` to ``high`` [1/s per mmol/L],
    and ``inverse_cv``, the relative standard deviation of 1/r2* about 1/``median``."""

    median: float
    low: float
    high: float
    inverse_cv: float


def sdr_bound_per_s_per_mmolar(magnetisation_a_m2_per_kg: float) -> float:
    """The largest relaxivity r2' that iron of this saturation magnetisation can have: static dephasing [1/s per mmol/L].

    r2' = 2π/(9√3) · µ0 · γ · M_Fe · Msat, with M_Fe = 0.055845 kg/mol: 7.567 · Msat. It holds for any packing and any field at which
    the magnetisation is saturated (above about 1 T). r2* also holds r2, which is small for clustered particles; free small particles
    stay far below. It says nothing of which value below the bound a label has.

    Source: Yablonskiy and Haacke 1994, doi:10.1002/mrm.1910320610.

    >>> [round(sdr_bound_per_s_per_mmolar(m)) for m in (70, 94, 127)]
    [530, 711, 961]
    """
    return 2 * math.pi / (9 * math.sqrt(3)) * _MU0 * _GAMMA * (IRON_UG_PER_UMOL / 1000) * magnetisation_a_m2_per_kg


def relaxivity_prior(magnetisation_a_m2_per_kg: float = USUAL_MAGNETISATION) -> Prior:
    """What published labels say of r2* in cells, cut off at static dephasing: median 300, 95 % of it in 60 to 678 /s per mmol/L.

    ln r2* is normal (mean ln 422.3, standard deviation 0.929) below `sdr_bound_per_s_per_mmolar`, and nothing lies above. With
    b = (ln bound - µ)/s: E[r2*^-k] = exp(-kµ + k²s²/2) · Φ(b + ks)/Φ(b), and so inverse_cv² = median²·E[r2*^-2] - 2·median·E[r2*^-1] + 1.
    The two parameters are solved for the usual magnetisation; another one cuts the same curve elsewhere.

    >>> prior = relaxivity_prior()
    >>> round(prior.median), round(prior.low), round(prior.high), round(prior.inverse_cv, 2)
    (300, 60, 678, 1.44)
    """
    bound, unit = math.log(sdr_bound_per_s_per_mmolar(magnetisation_a_m2_per_kg)), NormalDist()
    below, b = _PRIOR.cdf(bound), (bound - _PRIOR.mean) / _PRIOR.stdev
    low, median, high = (math.exp(_PRIOR.inv_cdf(share * below)) for share in (0.025, 0.5, 0.975))

    def inverse_moment(k: int) -> float:
        return math.exp(-k * _PRIOR.mean + (k * _PRIOR.stdev) ** 2 / 2) * unit.cdf(b + k * _PRIOR.stdev) / below

    return Prior(median, low, high, math.sqrt(median**2 * inverse_moment(2) - 2 * median * inverse_moment(1) + 1))


def conversion(constants: Mapping[str, Any]) -> tuple[Conversion, tuple[Finding, ...]]:
    """What turns a rate of the label [1/s] into iron [ug/mL], and what must be said of it. ``constants``: the config section ``mri``.

    C [mmol/L] = ΔR2*/r2*; iron [ug/mL] = 55.845 · C, so factor = 55.845 / r2*, scale_cv = sd(r2*)/r2*, None where r2* is stated
    without a standard deviation. Without a stated r2* the median of `relaxivity_prior` is taken, with its spread and the flag
    ``relaxivity_prior``.

    The whole rate is converted: what the tissue decays by itself is not iron and must be taken off first. It assumes that r2* is
    the same in every organ and does not change while cells divide or iron is handed to macrophages.

    >>> made, found = conversion({"relaxivity_per_s_per_mmolar": 200.0, "relaxivity_sd_per_s_per_mmolar": 20.0})
    >>> round(made.factor, 6), made.unit, made.scale_cv, found
    (0.279225, 'ug/mL', 0.1, ())
    """
    stated = constants.get("relaxivity_per_s_per_mmolar")
    magnetisation = constants.get("saturation_magnetisation_a_m2_per_kg")
    if stated is None:
        return _from_prior(relaxivity_prior(USUAL_MAGNETISATION if magnetisation is None else float(magnetisation)))
    r2star, sd = float(stated), constants.get("relaxivity_sd_per_s_per_mmolar")
    cv = None if sd is None else float(sd) / r2star
    findings = (*_above_bound(r2star, magnetisation), *_below_all(r2star), *_wide(cv))
    return Conversion(IRON_UG_PER_UMOL / r2star, "ug/mL", cv, f"iron by r2* {r2star:g}/s/mM"), findings


def _from_prior(prior: Prior) -> tuple[Conversion, tuple[Finding, ...]]:
    words = (
        f"no relaxivity in the config: r2* taken as {prior.median:.0f} /s per mmol/L, 95 % within {prior.low:.0f} to {prior.high:.0f}, so "
        f"iron lies between {prior.median / prior.high:.2g} and {prior.median / prior.low:.2g} times what is given; its sd_scale is no "
        "interval. Ratios between organs and times do not hang on it. Measure labelled cells: celltracker calibrate mri"
    )
    made = Conversion(
        IRON_UG_PER_UMOL / prior.median, "ug/mL", prior.inverse_cv, f"iron by prior r2* {prior.median:.0f}/s/mM", ("relaxivity_prior",)
    )
    return made, (Finding("relaxivity_prior", "warn", words),)


def _above_bound(r2star: float, magnetisation: float | None) -> list[Finding]:
    known = LARGEST_MAGNETISATION if magnetisation is None else float(magnetisation)
    bound = sdr_bound_per_s_per_mmolar(known)
    if r2star <= bound:
        return []
    whose = "the largest of iron oxides" if magnetisation is None else "as stated"
    words = (
        f"relaxivity {r2star:g} /s per mmol/L is above {bound:.0f}, static dephasing at a magnetisation of {known:g} A m2/kg ({whose}): "
        "no iron decays faster. Look at the phantom's concentrations and units, or at the field gradient across its voxels"
    )
    return [Finding("relaxivity_above_bound", "warn", words)]


def _below_all(r2star: float) -> list[Finding]:
    if r2star >= _LEAST_RELAXIVITY:
        return []
    words = f"relaxivity {r2star:.3g} /s per mmol/L is less than any iron label's: were the phantom's concentrations in umol/L or ug/L?"
    return [Finding("relaxivity_too_small", "warn", words)]


def _wide(cv: float | None) -> list[Finding]:
    if cv is None or cv <= _LINEAR_CV:
        return []
    words = f"the relaxivity's standard deviation is {100 * cv:.0f} % of it: iron ± 1.96 sd is no interval then, for it reaches further up"
    return [Finding("relaxivity_uncertain", "warn", words)]
