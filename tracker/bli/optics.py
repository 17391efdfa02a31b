"""How living tissue absorbs and scatters visible light: by organ name and wavelength.

    mua = S_B (x mua_HbO2 + (1-x) mua_Hb) + S_W mua_water      mus' = a λ^-b      mua_Hb = 0.2303 ε 150/64500      [1/mm, λ in nm]

Tissues: Alexandrakis et al. 2005, Phys Med Biol 50:4225, doi:10.1088/0031-9155/50/17/021 (the paper prints Hb and HbO2 swapped).
Haemoglobin: S. Prahl's compilation (omlc.org, after Gratzer and Kollias), 150 g/L of 64 500 g/mol. Water: Pope and Fry 1997, Appl Opt
36:8710, doi:10.1364/AO.36.008710. Which tissue an organ is that the table does not hold is our choice (`tissue_of`).

The share of blood S_B is what is known least, and what attenuation depends on most: every function takes a factor on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding, InputError

# nm, molar extinction of HbO2 and of Hb [1/(cm M)]. Closer where the curve falls by a factor of three in 10 nm.
_HAEMOGLOBIN = np.array(
    [
        (500, 20932.8, 20862.0),
        (510, 20035.2, 25773.6),
        (520, 24202.4, 31589.6),
        (530, 39956.8, 39036.4),
        (540, 53236.0, 46592.0),
        (550, 43016.0, 53412.0),
        (560, 32613.2, 53788.0),
        (564, 33915.6, 50572.0),
        (570, 44496.0, 45072.0),
        (576, 55540.0, 40092.0),
        (580, 50104.0, 37020.0),
        (584, 34639.6, 34332.8),
        (590, 14400.8, 28324.4),
        (594, 7678.8, 22574.8),
        (600, 3200.0, 14677.2),
        (604, 2128.0, 12567.6),
        (610, 1506.0, 9443.6),
        (620, 942.0, 6509.6),
        (630, 610.0, 5148.8),
        (640, 442.0, 4345.2),
        (650, 368.0, 3750.12),
        (660, 319.6, 3226.56),
        (670, 294.0, 2795.12),
        (680, 277.6, 2407.92),
        (690, 276.0, 2051.96),
        (700, 290.0, 1794.28),
        (710, 314.0, 1540.48),
        (720, 348.0, 1325.88),
    ]
)
# nm, absorption of pure water [1/m].
_WATER = np.array(
    [
        (500, 0.0204),
        (520, 0.0409),
        (540, 0.0474),
        (560, 0.0619),
        (580, 0.0896),
        (600, 0.2224),
        (620, 0.2755),
        (640, 0.3108),
        (660, 0.4100),
        (680, 0.4650),
        (700, 0.6240),
        (720, 1.2310),
    ]
)
SHORTEST_NM, LONGEST_NM = float(_HAEMOGLOBIN[0, 0]), float(_HAEMOGLOBIN[-1, 0])
# Share of diffuse light that is reflected inwards at tissue (n = 1.4) against air; Haskell et al. 1994, doi:10.1364/JOSAA.11.002727.
REFLECTION = 0.493
# Fluence just inside the surface ÷ flux through it.
FLUENCE_PER_FLUX = 2.0 * (1.0 + REFLECTION) / (1.0 - REFLECTION)
# Standard deviation of ln(S_B), the same factor for all of an animal's tissues.
BLOOD_SD_LN = 0.3


@dataclass(frozen=True, slots=True)
class Tissue:
    """Volume share of blood, its oxygen saturation, volume share of water, and a [1/mm], b of mus' = a λ^-b."""

    blood: float
    saturation: float
    water: float
    a: float
    b: float


TISSUES: Mapping[str, Tissue] = {
    "skin": Tissue(0.0033, 0.70, 0.50, 38.0, 0.53),
    "muscle": Tissue(0.07, 0.80, 0.50, 4e7, 2.82),
    "bone": Tissue(0.049, 0.80, 0.15, 35600.0, 1.47),
    "heart": Tissue(0.05, 0.75, 0.50, 10600.0, 1.43),
    "stomach": Tissue(0.01, 0.70, 0.80, 792.0, 0.97),
    "liver": Tissue(0.30, 0.75, 0.70, 629.0, 1.05),
    "kidney": Tissue(0.056, 0.75, 0.80, 41700.0, 1.51),
    "lung": Tissue(0.15, 0.85, 0.85, 68.4, 0.53),
}
# What all is embedded in that has no row of its own.
BODY_TISSUE = "muscle"
# First letters of an organ's name → its tissue. The paper gives spleen the liver's numbers; brain, gut, bladder and tumour are our choice.
_BY_NAME: tuple[tuple[tuple[str, ...], str], ...] = (
    (("lung",), "lung"),
    (("liver", "spleen"), "liver"),
    (("kidney",), "kidney"),
    (("heart",), "heart"),
    (("stomach", "gut", "bowel", "intestine", "colon", "caecum", "cecum", "bladder", "gallbladder"), "stomach"),
    (("bone", "spine", "skull", "skeleton", "femur", "tibia", "pelvis", "rib"), "bone"),
    (("skin", "fat", "adipose"), "skin"),
    (("rest", "body", "muscle", "brain", "tumour", "tumor", "subcutaneous", "site", "thymus", "pancreas"), "muscle"),
)


@dataclass(frozen=True, slots=True)
class Optics:
    """Absorption mua and reduced scattering mus' [1/mm]; numbers or arrays of one shape."""

    absorption_per_mm: np.ndarray
    scattering_per_mm: np.ndarray


def haemoglobin_per_mm(wavelength_nm: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Absorption of whole blood (150 g/L) with all of its haemoglobin oxygenated, and with none [1/mm].

    Between the table's wavelengths ln ε is linear. Raises `InputError` ``wavelength_outside`` beyond 500 to 720 nm.

    >>> [round(float(value), 3) for value in haemoglobin_per_mm(660)]
    [0.171, 1.728]
    """
    nm = _checked_nm(wavelength_nm)
    per_mm = 0.2303 * 150.0 / 64500.0
    oxygenated, bare = (np.exp(np.interp(nm, _HAEMOGLOBIN[:, 0], np.log(_HAEMOGLOBIN[:, k]))) * per_mm for k in (1, 2))
    return oxygenated, bare


def tissue_optics(tissue: Tissue, wavelength_nm: np.ndarray | float, blood: float = 1.0) -> Optics:
    """Absorption and reduced scattering of a tissue [1/mm] at wavelengths [nm]; ``blood`` is a factor on its share of blood.

    Formulas and sources as in the module's text. Raises `InputError` ``wavelength_outside``.

    >>> round(float(attenuation_per_mm(tissue_optics(TISSUES["liver"], 620))), 2)
    1.12
    """
    nm = _checked_nm(wavelength_nm)
    oxygenated, bare = haemoglobin_per_mm(nm)
    water = np.interp(nm, _WATER[:, 0], _WATER[:, 1]) * 1e-3
    absorbed = blood * tissue.blood * (tissue.saturation * oxygenated + (1.0 - tissue.saturation) * bare) + tissue.water * water
    return Optics(absorbed, tissue.a * nm**-tissue.b)


def attenuation_per_mm(optics: Optics) -> np.ndarray:
    """Effective attenuation mueff = sqrt(3 mua (mua + mus')) [1/mm]: diffuse light falls as exp(-mueff r)/r."""
    absorbed = optics.absorption_per_mm
    return np.asarray(np.sqrt(3.0 * absorbed * (absorbed + optics.scattering_per_mm)))


def diffusion_mm(optics: Optics) -> np.ndarray:
    """Diffusion length D = 1/(3 (mua + mus')) [mm]."""
    return np.asarray(1.0 / (3.0 * (optics.absorption_per_mm + optics.scattering_per_mm)))


def tissue_of(organ: str) -> str | None:
    """Name in `TISSUES` of the tissue an organ is made of, by the start of its name; None for one that is not known.

    >>> tissue_of("Lung_left"), tissue_of("spleen"), tissue_of("pouch")
    ('lung', 'liver', None)
    """
    name = organ.lower()
    return next((tissue for starts, tissue in _BY_NAME if name.startswith(starts)), None)


def tissues_of(organs: Iterable[str]) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Tissue of each organ, in their order, and a finding on those that nothing is known of and that are taken as muscle.

    >>> tissues_of(["liver", "pouch"])[0]
    ('liver', 'muscle')
    """
    organs = tuple(organs)
    unknown = [organ for organ in organs if tissue_of(organ) is None]
    findings = (Finding("tissue_unknown", "warn", f"optics of muscle taken for {', '.join(unknown)}"),) if unknown else ()
    return tuple(tissue_of(organ) or BODY_TISSUE for organ in organs), findings


def _checked_nm(wavelength_nm: np.ndarray | float) -> np.ndarray:
    nm = np.asarray(wavelength_nm, float)
    if not bool(((nm >= SHORTEST_NM) & (nm <= LONGEST_NM)).all()):
        expected = f"{SHORTEST_NM:g} to {LONGEST_NM:g} nm"
        raise InputError("wavelength_outside", "no optical properties of tissue at this wavelength", found=wavelength_nm, expected=expected)
    return nm
