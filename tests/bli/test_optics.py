"""Optics of tissue: the published table again, what blood and water do, and what is refused or said."""

from __future__ import annotations

import numpy as np
import pytest

from tracker.bli.optics import (
    FLUENCE_PER_FLUX,
    TISSUES,
    attenuation_per_mm,
    diffusion_mm,
    haemoglobin_per_mm,
    tissue_of,
    tissue_optics,
    tissues_of,
)
from tracker.bli.spectrum import FIREFLY, Spectrum, filter_band, open_band, share_between
from tracker.errors import InputError
from tracker.mouse import ORGANS

# Effective attenuation [1/mm] at 560 to 660 nm, computed by hand from the paper's table for the project's design; three digits.
TABLE = {
    "muscle": (2.95, 3.60, 0.700, 0.376, 0.271, 0.222),
    "liver": (11.2, 13.7, 2.25, 1.12, 0.802, 0.658),
    "lung": (6.74, 8.49, 1.79, 1.02, 0.758, 0.642),
    "kidney": (3.74, 4.21, 1.25, 0.741, 0.562, 0.471),
    "heart": (2.62, 3.03, 0.794, 0.463, 0.349, 0.293),
}


@pytest.mark.parametrize("tissue", TABLE)
def test_attenuation_is_the_tables(tissue: str) -> None:
    found = attenuation_per_mm(tissue_optics(TISSUES[tissue], np.arange(560.0, 661.0, 20.0)))
    # Half a unit in the third digit.
    np.testing.assert_allclose(found, TABLE[tissue], rtol=5e-3)


def test_haemoglobin_between_the_tables_wavelengths() -> None:
    # Prahl's own values at wavelengths that the module's table leaves out: ln-linear between its neighbours is right to 7 %.
    left_out = {572: (49172.0, 43340.0), 586: (26600.4, 32851.6), 598: (4504.4, 17058.4), 616: (1110.0, 7344.8), 634: (512.4, 4730.8)}
    for nm, molar in left_out.items():
        for found, extinction in zip(haemoglobin_per_mm(nm), molar, strict=True):
            assert float(found) == pytest.approx(0.2303 * 150 / 64500 * extinction, rel=0.07 if nm > 590 else 0.12), nm


def test_blood_is_a_factor_on_blood_alone() -> None:
    liver = TISSUES["liver"]
    once, twice, none = (tissue_optics(liver, 640.0, blood) for blood in (1.0, 2.0, 0.0))
    water = none.absorption_per_mm
    assert float(twice.absorption_per_mm - water) == pytest.approx(2 * float(once.absorption_per_mm - water))
    assert 0 < float(water) < 0.01 * float(once.absorption_per_mm)
    assert float(once.scattering_per_mm) == float(twice.scattering_per_mm) == pytest.approx(629 * 640**-1.05)


def test_diffusion_length_and_boundary() -> None:
    optics = tissue_optics(TISSUES["muscle"], 660.0)
    assert float(diffusion_mm(optics)) == pytest.approx(1 / (3 * float(optics.absorption_per_mm + optics.scattering_per_mm)))
    # n = 1.4: R = 0.493 makes (1+R)/(1-R) = 2.945.
    assert pytest.approx(2 * 2.945, rel=1e-3) == FLUENCE_PER_FLUX


def test_every_organ_of_the_mouse_has_a_tissue() -> None:
    assert all(tissue_of(organ) for organ in ORGANS)
    assert (tissue_of("Kidney_right"), tissue_of("gut"), tissue_of("brain")) == ("kidney", "stomach", "muscle")


def test_an_unknown_organ_is_muscle_and_said() -> None:
    tissues, findings = tissues_of(["liver", "pouch", "shell"])
    assert tissues == ("liver", "muscle", "muscle")
    assert [f.check for f in findings] == ["tissue_unknown"] and "pouch, shell" in findings[0].reason
    assert tissues_of(["liver"])[1] == ()


@pytest.mark.parametrize("nm", [480.0, 800.0, np.array([600.0, 750.0])])
def test_wavelengths_without_a_table_are_refused(nm: float) -> None:
    with pytest.raises(InputError, match="wavelength_outside"):
        tissue_optics(TISSUES["liver"], nm)


# --- the reporter's spectrum ------------------------------------------------------------------------------------------------------


def test_spectrum_is_whole_and_has_its_peak() -> None:
    assert share_between(0, 5000) == pytest.approx(1.0)
    pieces = [share_between(nm - 1, nm + 1) for nm in range(540, 720)]
    assert 540 + int(np.argmax(pieces)) == 612
    half = [nm for nm, piece in zip(range(540, 720), pieces, strict=True) if piece > max(pieces) / 2]
    # Zhao 2005: some 90 nm wide.
    assert half[-1] - half[0] == pytest.approx(90, abs=3)


def test_shares_are_the_integral_of_the_curve() -> None:
    nm = np.arange(400.0, 900.0, 0.01)
    curve = np.exp(-0.5 * ((nm - 612) / np.where(nm < 612, 35.0, 42.0)) ** 2)
    inside = (nm >= 650) & (nm < 670)
    assert share_between(650, 670) == pytest.approx(curve[inside].sum() / curve.sum(), rel=1e-3)


def test_filters_side_by_side_make_the_open_band() -> None:
    filters = [filter_band(str(nm), nm, 20) for nm in range(510, 711, 20)]
    assert sum(sum(f.shares) for f in filters) == pytest.approx(sum(open_band().shares))
    assert 1 - sum(open_band().shares) == pytest.approx(0.006, abs=0.002)


def test_transmission_and_own_spectrum() -> None:
    full, half = filter_band("a", 620, 20), filter_band("a", 620, 20, transmission=0.5)
    np.testing.assert_allclose(half.shares, np.array(full.shares) / 2)
    red = Spectrum(680.0, 35.0, 42.0)
    assert sum(filter_band("a", 680, 20, spectrum=red).shares) > 3 * sum(filter_band("a", 680, 20, spectrum=FIREFLY).shares)


@pytest.mark.parametrize(
    ("centre", "width", "transmission"), [(620, 0, 1), (505, 20, 1), (715, 20, 1), (620, 20, 0), (float("nan"), 20, 1)]
)
def test_impossible_filters_are_refused(centre: float, width: float, transmission: float) -> None:
    with pytest.raises(InputError, match="filter_invalid"):
        filter_band("x", centre, width, transmission)
