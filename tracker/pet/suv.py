"""What an SUV is normalised by: body weight, lean body mass in its variants, ideal body weight, body surface area.

The human formulas are refused for animals. Sources: Janmahasatian 2005 doi:10.2165/00003088-200544100-00004; James 1976 (DHSS/MRC);
Morgan 1994; Devine-type ideal weight as in Sugawara 1999 doi:10.1148/radiology.213.2.r99nv37521; Du Bois 1916
doi:10.1001/archinte.1916.00080130010002; collected in the IBSI SUV manual, arXiv 2410.13348.
"""

from __future__ import annotations

from collections.abc import Callable

from tracker.errors import InputError

_KINDS = {"": "BW", "BW": "BW", "LBM": "LBM", "LBMJAMES128": "LBMJAMES128", "LBMJANMA": "LBMJANMA", "IBW": "IBW", "BSA": "BSA"}
SPECIES = "human"


def _janmahasatian(weight_kg: float, height_cm: float, male: bool) -> float:
    bmi = weight_kg / (height_cm / 100) ** 2
    return 9270 * weight_kg / (6680 + 216 * bmi) if male else 9270 * weight_kg / (8780 + 244 * bmi)


def _james(weight_kg: float, height_cm: float, male: bool) -> float:
    square = (weight_kg / height_cm) ** 2
    return 1.10 * weight_kg - 128 * square if male else 1.07 * weight_kg - 148 * square


def _morgan(weight_kg: float, height_cm: float, male: bool) -> float:
    square = (weight_kg / height_cm) ** 2
    return 1.10 * weight_kg - 120 * square if male else 1.07 * weight_kg - 148 * square


def _ideal(weight_kg: float, height_cm: float, male: bool) -> float:
    return 48.0 + 1.06 * (height_cm - 152) if male else 45.5 + 0.91 * (height_cm - 152)


_MASSES: dict[str, Callable[[float, float, bool], float]] = {
    "LBMJANMA": _janmahasatian,
    "LBMJAMES128": _james,
    "LBM": _morgan,
    "IBW": _ideal,
}


def normaliser(suv_type: str, weight_kg: float | None, height_m: float | None, sex: str, species: str = SPECIES) -> float:
    """What concentration ÷ dose is multiplied by: a mass [g], or for BSA an area [cm²] (SUVbsa is in cm²/mL).

    ``suv_type`` as (0054,1006): BW (also empty), LBM (Morgan), LBMJAMES128, LBMJANMA, IBW, BSA. Sex ``O`` takes the mean of the two
    formulas, as the IBSI reference objects do. Raises `InputError` for an unknown type, a missing weight, height or sex, a human
    formula on an animal, or a formula outside its range (mass not positive).

    >>> normaliser("BW", 70.0, None, "")
    70000.0
    >>> round(normaliser("LBMJANMA", 70.0, 1.75, "M"))
    55857
    """
    kind = _KINDS.get(suv_type.upper())
    if kind is None:
        raise InputError(
            "suv_type_unknown", "SUVType is not one of DICOM's", found=repr(suv_type), expected=", ".join(k for k in _KINDS if k)
        )
    needed = {"PatientWeight": weight_kg} | ({} if kind == "BW" else {"PatientSize": height_m})
    missing = [name for name, value in needed.items() if not value]
    if missing or weight_kg is None:
        raise InputError(
            "suv_needs_" + "_".join(missing).lower(), f"SUV by {kind} needs {', '.join(missing)}", found="missing or 0", expected="> 0"
        )
    if kind == "BW":
        return weight_kg * 1000.0
    if height_m is None or species.lower() != SPECIES:
        raise InputError("suv_human_formula", f"SUV by {kind} is a human formula", found=species, expected=SPECIES, do="use body weight")
    height_cm = height_m * 100
    if kind == "BSA":
        return float(0.007184 * weight_kg**0.425 * height_cm**0.725 * 1e4)
    if sex not in ("M", "F", "O"):
        raise InputError("suv_needs_sex", f"SUV by {kind} needs PatientSex", found=repr(sex), expected="M, F or O")
    formula = _MASSES[kind]
    masses = [formula(weight_kg, height_cm, male) for male in (True, False) if sex == "O" or male == (sex == "M")]
    mass_kg = sum(masses) / len(masses)
    if mass_kg <= 0:
        raise InputError(
            "suv_formula_range", f"{kind} gives no positive mass", found=f"{weight_kg} kg, {height_cm} cm", expected="an adult's size"
        )
    return mass_kg * 1000.0
