"""How tissue absorbs and scatters the reporter's light, and which share of that light a filter passes: the phantom's own tables.

    mua = S_B (x mua_HbO2 + (1-x) mua_Hb) + S_W mua_water        mus' = a λ^-b [1/mm, λ in nm]

S_B, x, S_W, a, b of tissues: Alexandrakis et al. 2005 (Phys Med Biol 50:4225, doi:10.1088/0031-9155/50/17/021; the paper prints Hb and HbO2
swapped). Haemoglobin: Prahl's compilation at 150 g/L, mua = 2.303 ε 150/64500 per cm. Water: Pope and Fry 1997 (Appl Opt 36:8710,
doi:10.1364/AO.36.008710). The spectrum is drawn by us: firefly luciferase at 37 °C peaks near 612 nm with a width of some 90 nm
(Zhao et al. 2005, J Biomed Opt 10:041210, doi:10.1117/1.2032388); it is no measured curve.

Nothing here is shared with the code that turns images into organs: an error must not cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracker.errors import InputError

# nm -> molar extinction of HbO2 and Hb [1/(cm M)], absorption of water [1/m].
_SPECTRA: dict[int, tuple[float, float, float]] = {
    540: (53236.0, 46592.0, 0.0474),
    560: (32613.2, 53788.0, 0.0619),
    570: (44496.0, 45072.0, 0.0695),
    580: (50104.0, 37020.0, 0.0896),
    590: (14400.8, 28324.4, 0.1351),
    600: (3200.0, 14677.2, 0.2224),
    610: (1506.0, 9443.6, 0.2644),
    620: (942.0, 6509.6, 0.2755),
    630: (610.0, 5148.8, 0.2916),
    640: (442.0, 4345.2, 0.3108),
    650: (368.0, 3750.12, 0.3400),
    660: (319.6, 3226.56, 0.4100),
    680: (277.6, 2407.92, 0.4650),
    700: (290.0, 1794.28, 0.6240),
    720: (348.0, 1325.88, 1.2310),
}
# Middles of the filters' bands, which lie side by side.
WAVELENGTHS_NM: tuple[int, ...] = tuple(range(540, 721, 20))
BAND_NM = 20.0
# Within these bands blood's absorption changes by up to six times: one wavelength does not stand for all of such a band.
_STEEP_NM = (580, 600, 620, 640)
OPEN = "Open"
# Share of internally reflected light at tissue against air, n = 1.4.
REFLECTION = 0.493
# Peak and standard deviations to the blue and to the red of the spectrum [nm].
_PEAK_NM, _BLUE_NM, _RED_NM = 612.0, 35.0, 42.0


@dataclass(frozen=True, slots=True)
class Tissue:
    """Volume share of blood, its oxygen saturation, volume share of water, and a, b of mus' = a λ^-b."""

    blood: float
    saturation: float
    water: float
    a: float
    b: float


TISSUES: dict[str, Tissue] = {
    "skin": Tissue(0.0033, 0.70, 0.50, 38.0, 0.53),
    "muscle": Tissue(0.07, 0.80, 0.50, 4e7, 2.82),
    "bone": Tissue(0.049, 0.80, 0.15, 35600.0, 1.47),
    "heart": Tissue(0.05, 0.75, 0.50, 10600.0, 1.43),
    "stomach": Tissue(0.01, 0.70, 0.80, 792.0, 0.97),
    "liver": Tissue(0.30, 0.75, 0.70, 629.0, 1.05),
    "kidney": Tissue(0.056, 0.75, 0.80, 41700.0, 1.51),
    "lung": Tissue(0.15, 0.85, 0.85, 68.4, 0.53),
}
# Organs of the mouse -> whose numbers they have. Brain, gut and bladder are in no row of the table: their neighbours' are taken.
ORGAN_TISSUE: dict[str, str] = {
    "brain": "muscle",
    "heart": "heart",
    "lung_left": "lung",
    "lung_right": "lung",
    "liver": "liver",
    "spleen": "liver",
    "stomach": "stomach",
    "gut": "stomach",
    "kidney_left": "kidney",
    "kidney_right": "kidney",
    "bladder": "stomach",
    "bone": "bone",
    "rest": "muscle",
}


def absorption_per_mm(tissue: Tissue, nm: int, blood: float = 1.0) -> float:
    """Absorption mua of a tissue [1/mm] at one of `WAVELENGTHS_NM`; ``blood`` is a factor on its share of blood.

    Raises InputError ``phantom_wavelength`` for a wavelength that is not in the table.
    """
    if nm not in _SPECTRA:
        raise InputError("phantom_wavelength", "no optical properties at this wavelength", found=nm, expected=WAVELENGTHS_NM)
    oxygenated, bare, water_per_m = _SPECTRA[nm]
    mixed = tissue.saturation * oxygenated + (1.0 - tissue.saturation) * bare
    # 2.303 ε c per cm with c = 150 g/L of 64500 g/mol, a tenth of it per mm.
    return blood * tissue.blood * 0.2303 * mixed * 150.0 / 64500.0 + tissue.water * water_per_m * 1e-3


def scattering_per_mm(tissue: Tissue, nm: float) -> float:
    """Reduced scattering mus' of a tissue [1/mm]."""
    return float(tissue.a * nm**-tissue.b)


def attenuation_per_mm(tissue: Tissue, nm: int) -> float:
    """Effective attenuation sqrt(3 mua (mua + mus')) [1/mm].

    >>> round(attenuation_per_mm(TISSUES["muscle"], 660), 3), round(attenuation_per_mm(TISSUES["liver"], 620), 2)
    (0.222, 1.12)
    """
    absorbed = absorption_per_mm(tissue, nm)
    return math.sqrt(3.0 * absorbed * (absorbed + scattering_per_mm(tissue, nm)))


def _below(nm: float) -> float:
    """Integral of the spectrum from the blue end to a wavelength, in units of its peak times sqrt(π/2) nm."""
    width = _BLUE_NM if nm < _PEAK_NM else _RED_NM
    return _BLUE_NM + width * math.erf((nm - _PEAK_NM) / (width * math.sqrt(2.0)))


def band_share(nm: int) -> float:
    """Share of the reporter's photons in the 20 nm about a wavelength; all of `WAVELENGTHS_NM` (530 to 730 nm) add up to 1.

    >>> round(sum(band_share(nm) for nm in WAVELENGTHS_NM), 12), max(WAVELENGTHS_NM, key=band_share)
    (1.0, 620)
    """
    half = BAND_NM / 2.0
    seen = _below(WAVELENGTHS_NM[-1] + half) - _below(WAVELENGTHS_NM[0] - half)
    return (_below(nm + half) - _below(nm - half)) / seen


def filter_bands(name: str) -> tuple[tuple[int, float], ...]:
    """Wavelengths and shares of the photons that a filter passes: ``Open`` all bands, a number of nm its own band alone.

    >>> [nm for nm, _ in filter_bands("620")]
    [610, 620, 630]
    """
    if name != OPEN and not (name.isdigit() and int(name) in WAVELENGTHS_NM):
        raise InputError("phantom_wavelength", "a filter the phantom does not have", found=name, expected=(OPEN, *WAVELENGTHS_NM))
    passed: dict[int, float] = {}
    for middle in WAVELENGTHS_NM if name == OPEN else (int(name),):
        pieces = {nm: _density(nm) * weight for nm, weight in ((middle - 10, 1), (middle, 2), (middle + 10, 1))}
        pieces = pieces if middle in _STEEP_NM else {middle: 1.0}
        for nm, piece in pieces.items():
            passed[nm] = passed.get(nm, 0.0) + band_share(middle) * piece / sum(pieces.values())
    return tuple(sorted(passed.items()))


def _density(nm: float) -> float:
    """The reporter's spectrum, 1 at its peak."""
    return math.exp(-(((nm - _PEAK_NM) / (_BLUE_NM if nm < _PEAK_NM else _RED_NM)) ** 2) / 2.0)


def organ_tables(names: dict[int, str], nm: int, blood: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """mua and mus' [1/mm] by index of an organ map (0, outside, holds 0), for organs of `tracker.mouse`."""
    absorbed, scattered = np.zeros(max(names) + 1), np.zeros(max(names) + 1)
    for index, organ in names.items():
        tissue = TISSUES[ORGAN_TISSUE[organ]]
        absorbed[index], scattered[index] = absorption_per_mm(tissue, nm, blood), scattering_per_mm(tissue, nm)
    return absorbed, scattered
