"""Organ rows without spill-over: a phantom blurred by another implementation comes back, and what cannot be undone is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.quantify.conftest import START
from tracker.errors import InputError
from tracker.image import FrameTimes, Quantity
from tracker.mouse import mouse_grid, mouse_labels
from tracker.quantify import quantify, unmixed_rows, wants_unmixing
from tracker.study.rows import Label

FWHM_MM = 1.6


def _blurred(image: np.ndarray, fwhm_mm: float, voxel_mm: float) -> np.ndarray:
    """By the Gaussian's transfer function in Fourier space, times that of a voxel: not the kernel that the code under test makes."""
    out = np.pad(image, 12).astype(float)
    for axis, n in enumerate(out.shape):
        f = np.fft.fftfreq(n, voxel_mm)
        transfer = np.exp(-2 * (np.pi * f * fwhm_mm / 2.354820045) ** 2) * np.sinc(f * voxel_mm)
        out = np.real(np.fft.ifft(np.fft.fft(out, axis=axis) * transfer.reshape([-1 if a == axis else 1 for a in range(3)]), axis=axis))
    return out[12:-12, 12:-12, 12:-12]


@pytest.fixture(scope="module")
def mouse():
    organs = mouse_labels(25.0, mouse_grid(25.0, 0.8))
    held = {label: 1.0 + (7 * label) % 11 for label in organs.names}
    table = np.zeros(max(held) + 1)
    table[list(held)] = list(held.values())
    return organs, {organs.names[label]: level for label, level in held.items()}, table[organs.labels]


def _quantity(organs, image: np.ndarray) -> Quantity:
    return Quantity(image[None].astype(np.float32), "Bq/mL", organs.grid, FrameTimes(START, (0.0,), (600.0,)), scale_cv=0.03)


def test_organ_means_come_back_from_the_blur(mouse, context):
    organs, held, image = mouse
    told = replace(context, constants={"psf_fwhm_mm": FWHM_MM, "spill_over": "gtm", "psf_fwhm_sd_percent": 5.0})
    quantity = _quantity(organs, _blurred(image, FWHM_MM, 0.8))
    rows = quantify(quantity, organs, told).rows
    result = unmixed_rows(quantity, organs, rows, told)
    raw = {r.organ: r.value for r in rows if r.quantity == "concentration"}
    found = {r.organ: r for r in result.rows if r.quantity == "concentration"}
    assert max(abs(raw[organ] / level - 1) for organ, level in held.items()) > 0.2
    for organ, level in held.items():
        # The kernel's own part of the voxel is an approximation: 2 % is what the issue asks for.
        assert found[organ].value == pytest.approx(level, rel=0.02), organ
        assert found[organ].method.endswith(">gtm") and "partial_volume" not in found[organ].flag
        assert found[organ].sd_scale > 0.03 * found[organ].value * 0.999
    signal = {r.organ: r for r in result.rows if r.quantity == "signal"}
    assert signal["liver"].value == pytest.approx(found["liver"].value * signal["liver"].volume_ml)


def test_measured_rows_and_inputs_stay(mouse, context):
    organs, _, image = mouse
    told = replace(context, constants={"psf_fwhm_mm": FWHM_MM, "spill_over": "gtm"})
    quantity = _quantity(organs, image)
    rows, before = quantify(quantity, organs, told).rows, quantity.values.copy()
    kept = list(rows)
    result = unmixed_rows(quantity, organs, rows, told)
    assert list(rows) == kept and (quantity.values == before).all()
    # Nobody said how well the width is known, so the scale's error is not known.
    assert all(r.sd_scale is None for r in result.rows)
    assert "fwhm_sd_missing" in [f.check for f in result.findings]


def test_width_by_nuclide_in_either_spelling(mouse, context):
    organs, _, image = mouse
    quantity = _quantity(organs, image)
    label = Label("zr", "radionuclide", "89Zr")
    by_table, by_number = (
        replace(context, label=label, constants={"psf_fwhm_mm": width, "spill_over": "gtm"}) for width in ({"Zr-89": 1.6, "18F": 1.2}, 1.6)
    )
    one, other = (unmixed_rows(quantity, organs, quantify(quantity, organs, told).rows, told).rows for told in (by_table, by_number))
    assert one == other
    missing = replace(by_table, constants={"psf_fwhm_mm": {"18F": 1.2}, "spill_over": "gtm"})
    with pytest.raises(InputError, match="fwhm_unknown"):
        unmixed_rows(quantity, organs, (), missing)


def test_gtm_without_a_width_is_asked_for(context):
    assert not wants_unmixing(context)
    with pytest.raises(InputError, match="fwhm_missing"):
        wants_unmixing(replace(context, constants={"spill_over": "gtm"}))
