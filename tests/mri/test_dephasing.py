"""Background dephasing against voxels summed from small parts, and against the field of a deposit that must not enter it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tracker.errors import InputError
from tracker.image import Grid
from tracker.mri.dephasing import background_dephasing
from tracker.mri.header import MriHeader

TE_S = tuple(0.003 * k for k in range(1, 7))
SHAPE = (14, 24, 26)
Field = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def header(planar: bool | None, te_s: tuple[float, ...] = TE_S) -> MriHeader:
    return MriHeader(te_s, 1, None, "1H", 9.4, "classic", planar=planar)


def grid(shape: tuple[int, int, int] = SHAPE) -> Grid:
    return Grid(shape, np.diag([0.2, 0.2, 0.5, 1.0]))


def quadratic(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Field [Hz] at voxel coordinates; up to 60 Hz per slice and 15 Hz per voxel in the plane."""
    z, y, x = z - 6.5, y - 11.5, x - 12.5
    return 25 * z + 2.5 * z**2 - 6 * y + 0.2 * x * y - 0.25 * x**2 + 0.5 * z * x + 900


def body(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return (x**2 + y**2 < 0.8) & (np.abs(z) < 2)


def summed(field: Field, parts: tuple[int, int, int], te_s: tuple[float, ...] = TE_S, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Mean of exp(i 2π f TE) over ``parts`` sub-voxels along z, y, x: (echo, z, y, x), complex. No formula for dephasing is in it."""
    centres = np.meshgrid(*(np.arange(float(n)) for n in shape), indexing="ij")
    total = np.zeros((len(te_s), *shape), complex)
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in parts]
    for dz in steps[0]:
        for dy in steps[1]:
            for dx in steps[2]:
                f = field(centres[0] + dz, centres[1] + dy, centres[2] + dx)
                for k, t in enumerate(te_s):
                    total[k] += np.exp(2j * np.pi * f * t)
    return total / math.prod(parts)


def measured(whole: np.ndarray, rate_per_s: float, snr: float, seed: int = 0) -> np.ndarray:
    """Complex images of a textured body with noise of sigma 1 in each part."""
    rng = np.random.default_rng(seed)
    t = np.asarray(TE_S)[:, None, None, None]
    signal = snr * body() * (1 + 0.2 * np.sin(np.arange(SHAPE[2]))) * np.exp(-rate_per_s * t) * whole
    return signal + rng.normal(size=whole.shape) + 1j * rng.normal(size=whole.shape)


@pytest.mark.parametrize(("planar", "parts"), [(True, (16, 1, 1)), (False, (10, 6, 6))])
@pytest.mark.parametrize("snr", [20.0, 1000.0])
def test_share_left_is_that_of_summed_sub_voxels(planar: bool, parts: tuple[int, int, int], snr: float) -> None:
    whole = summed(quadratic, parts)
    y = measured(whole, 40.0, snr)
    left = background_dephasing(np.angle(y), np.abs(y), header(planar), grid())
    truth = np.abs(whole)
    seen = np.broadcast_to(body(), truth.shape) & (truth > 0.3)
    # Sums of 10 to 16 parts differ from the integral by less than 0.5 %; the fit's own share is to be within 2 %.
    assert np.abs(left - truth)[seen].max() < 0.02
    assert left.dtype == np.float32 and left.min() >= 0 and left.max() <= 1


def test_rate_comes_back_that_is_wrong_without() -> None:
    y = measured(summed(quadratic, (16, 1, 1)), 40.0, 400.0)
    left = background_dephasing(np.angle(y), np.abs(y), header(True), grid())
    inside = body() & (left[-1] > 0.3)

    def rate(magnitude: np.ndarray) -> np.ndarray:
        return -np.polyfit(TE_S, np.log(magnitude[:, inside]), 1)[0]

    plain, corrected = rate(np.abs(y)), rate(np.abs(y) / left)
    assert np.median(plain) > 45  # 40 /s in truth
    assert np.median(corrected) == pytest.approx(40.0, rel=0.02)
    # Voxel by voxel: noise is 0.6 /s here.
    assert np.quantile(np.abs(corrected - 40), 0.95) < 3


def dipole_hz(radius: float, surface_hz: float) -> Field:
    """Field outside (and, uniform zero, inside) a magnetised sphere at the middle of the grid, its moment along z; voxel coordinates."""

    def field(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        z, y, x = (z - 6.2) * 2.5, y - 12.3, x - 13.1
        r2 = np.maximum(z**2 + y**2 + x**2, 1e-9)
        return np.where(r2 > radius**2, surface_hz * (3 * z**2 / r2 - 1) * (radius**2 / r2) ** 1.5, 0.0)

    return field


@pytest.mark.parametrize("surface_hz", [100.0, 500.0])
def test_a_deposit_stays_in_the_rate(surface_hz: float) -> None:
    deposit = dipole_hz(2.0, surface_hz)
    alone = measured(summed(quadratic, (8, 3, 3)), 40.0, 50.0)
    both = measured(summed(lambda z, y, x: quadratic(z, y, x) + deposit(z, y, x), (8, 3, 3)), 40.0, 50.0)
    without, within = (background_dephasing(np.angle(y), np.abs(y), header(False), grid()) for y in (alone, both))
    inside = np.broadcast_to(body(), without.shape)
    assert np.abs(without - within)[inside].max() < 0.02
    # The deposit does take signal itself: at least half of a voxel's last echo somewhere.
    assert (np.abs(both)[-1] < 0.5 * np.abs(alone)[-1])[body()].any()


def test_no_gradient_takes_nothing() -> None:
    y = measured(summed(lambda z, y, x: np.full(z.shape, 137.0), (1, 1, 1)), 40.0, 30.0)
    assert background_dephasing(np.angle(y), np.abs(y), header(False), grid()).min() > 0.995


def test_any_offset_phase_and_gain_change_nothing() -> None:
    y = measured(summed(quadratic, (8, 1, 1)), 40.0, 50.0)
    turned = y * np.exp(1j * np.linspace(-2, 2, SHAPE[2]) ** 3)
    first = background_dephasing(np.angle(y), np.abs(y), header(True), grid())
    second = background_dephasing(np.angle(turned), 1e-4 * np.abs(turned), header(True), grid())
    assert np.abs(first - second).max() < 1e-4


def test_steep_gradients_do_not_wrap() -> None:
    # 100 Hz a slice over 3 ms is 0.3 of a turn; over the whole grid 4 turns.
    y = measured(summed(lambda z, y, x: 100 * z, (16, 1, 1)), 20.0, 50.0)
    left = background_dephasing(np.angle(y), np.abs(y), header(True), grid())
    assert left[1][body()] == pytest.approx(math.sin(math.pi * 0.6) / (math.pi * 0.6), abs=0.02)


def test_two_slices_and_uneven_echoes() -> None:
    shape, te_s = (2, 20, 20), (0.002, 0.006, 0.013)
    whole = summed(lambda z, y, x: 40 * z + y, (16, 1, 1), te_s, shape)
    left = background_dephasing(np.angle(whole), np.abs(whole), header(True, te_s), grid(shape))
    assert left == pytest.approx(np.abs(whole), abs=0.01)


def test_masked_and_non_finite_voxels_are_left_out() -> None:
    y = measured(summed(quadratic, (16, 1, 1)), 40.0, 100.0) * body()
    magnitude, phase = np.abs(y), np.angle(y)
    magnitude[:, 3, 4, 5], phase[2, 8, 9, 10] = np.nan, np.inf
    left = background_dephasing(phase, magnitude, header(True), grid())
    whole = np.abs(summed(quadratic, (16, 1, 1)))
    assert np.abs(left - whole)[np.broadcast_to(body(), whole.shape) & (whole > 0.3)].max() < 0.02


def test_what_cannot_be_known() -> None:
    y = measured(summed(quadratic, (1, 1, 1)), 40.0, 50.0)
    magnitude, phase = np.abs(y), np.angle(y)
    with pytest.raises(InputError, match="acquisition_kind_unknown"):
        background_dephasing(phase, magnitude, header(None), grid())
    with pytest.raises(InputError, match="dephasing_one_slice"):
        background_dephasing(phase[:, :1], magnitude[:, :1], header(True), grid((1, *SHAPE[1:])))
    with pytest.raises(InputError, match="too_few_echoes"):
        background_dephasing(phase[:1], magnitude[:1], header(True, TE_S[:1]), grid())
    with pytest.raises(InputError, match="shape_mismatch"):
        background_dephasing(phase, magnitude[:3], header(True), grid())
    with pytest.raises(InputError, match="field_unknown"):
        background_dephasing(phase, np.zeros_like(magnitude), header(True), grid())
