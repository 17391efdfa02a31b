"""What SUVs are normalised by: against the published formulas worked by hand, and refused where they do not apply."""

from __future__ import annotations

import pytest

from tracker.errors import InputError
from tracker.pet.suv import normaliser

KG, M, CM = 70.0, 1.75, 175.0
BMI = KG / M**2

MALE = {
    "LBM": 1.10 * KG - 120 * (KG / CM) ** 2,
    "LBMJAMES128": 1.10 * KG - 128 * (KG / CM) ** 2,
    "LBMJANMA": 9270 * KG / (6680 + 216 * BMI),
    "IBW": 48.0 + 1.06 * (CM - 152),
}
FEMALE = {
    "LBM": 1.07 * KG - 148 * (KG / CM) ** 2,
    "LBMJAMES128": 1.07 * KG - 148 * (KG / CM) ** 2,
    "LBMJANMA": 9270 * KG / (8780 + 244 * BMI),
    "IBW": 45.5 + 0.91 * (CM - 152),
}


@pytest.mark.parametrize("kind", MALE)
def test_masses_of_men_women_and_others(kind):
    assert normaliser(kind, KG, M, "M") == pytest.approx(MALE[kind] * 1000, rel=1e-12)
    assert normaliser(kind, KG, M, "F") == pytest.approx(FEMALE[kind] * 1000, rel=1e-12)
    # The IBSI reference objects of sex O take the mean of the two formulas.
    assert normaliser(kind, KG, M, "O") == pytest.approx((MALE[kind] + FEMALE[kind]) / 2 * 1000, rel=1e-12)


def test_known_figures():
    # Worked by hand for 70 kg and 175 cm: James 77 - 128 · 0.16 = 56.52 kg, Du Bois 1.8481 m² (the tables' 1.85 m²).
    assert normaliser("LBMJAMES128", KG, M, "M") == pytest.approx(56520)
    assert normaliser("IBW", KG, M, "M") == pytest.approx(72380)
    assert normaliser("BSA", KG, M, "") == pytest.approx(18481, abs=1)


@pytest.mark.parametrize("kind", ["", "BW", "bw"])
def test_body_weight_needs_no_more_than_the_weight_and_is_for_all_species(kind):
    assert normaliser(kind, 0.025, None, "", "mouse") == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("kind", "kg", "m", "sex", "species", "code"),
    [
        ("BW", None, M, "M", "human", "suv_needs_patientweight"),
        ("BW", 0.0, M, "M", "human", "suv_needs_patientweight"),
        ("LBM", KG, None, "M", "human", "suv_needs_patientsize"),
        ("BSA", None, None, "M", "human", "suv_needs_patientweight_patientsize"),
        ("LBM", KG, M, "", "human", "suv_needs_sex"),
        ("IBW", KG, M, "X", "human", "suv_needs_sex"),
        ("LBMJANMA", 0.025, 0.1, "F", "mouse", "suv_human_formula"),
        ("BSA", 0.025, 0.1, "F", "mouse", "suv_human_formula"),
        ("IBW", KG, 0.5, "F", "human", "suv_formula_range"),
        ("SUL", KG, M, "F", "human", "suv_type_unknown"),
    ],
)
def test_what_is_missing_or_does_not_apply_is_refused(kind, kg, m, sex, species, code):
    with pytest.raises(InputError) as raised:
        normaliser(kind, kg, m, sex, species)
    assert raised.value.code == code and raised.value.found and raised.value.expected
