"""Diffuse light: closed forms against integrals, limits, and a radial solution by finite volumes made here."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_banded

from tracker.bli.diffusion import (
    escape_share,
    escape_share_extrapolated,
    extrapolation_mm,
    path_fluence,
    sphere_fluence,
    sphere_fluence_by_paths,
    surface_fluence,
    surface_fluence_extrapolated,
    surface_gain,
)
from tracker.bli.optics import FLUENCE_PER_FLUX, TISSUES, Optics, attenuation_per_mm, diffusion_mm, tissue_optics

MUSCLE = tissue_optics(TISSUES["muscle"], 640.0)
LIVER = tissue_optics(TISSUES["liver"], 640.0)
STOMACH = tissue_optics(TISSUES["stomach"], 640.0)


def over_the_skin(fluence: object, depth: float, optics: Optics) -> float:
    """All the light that comes out: ∫ J 2πρ dρ, by the trapezoid rule on a grid that is dense above the source."""
    away = depth * np.sinh(np.linspace(0.0, 6.0, 4001))
    return float(np.trapezoid(fluence(np.full_like(away, depth), away, optics) / FLUENCE_PER_FLUX * 2 * np.pi * away, away))


@pytest.mark.parametrize("depth", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("optics", [MUSCLE, LIVER], ids=["muscle", "liver"])
def test_light_through_the_skin_adds_up_to_the_closed_form(depth: float, optics: Optics) -> None:
    # Two ways to one number: an integral over images and over the skin, and the plane problem's formula. Quadratures: 0.5 %.
    assert over_the_skin(surface_fluence, depth, optics) == pytest.approx(float(escape_share(depth, optics)), rel=5e-3)
    outside = float(escape_share_extrapolated(depth, optics))
    assert over_the_skin(surface_fluence_extrapolated, depth, optics) == pytest.approx(outside, rel=5e-3)


def test_nothing_is_lost_where_nothing_is_absorbed() -> None:
    clear = Optics(np.array(1e-9), np.array(1.0))
    assert float(escape_share(3.0, clear)) == pytest.approx(1.0, abs=2e-3)


def test_the_two_boundaries_differ_as_stated() -> None:
    red = tissue_optics(TISSUES["muscle"], 660.0)
    assert float(escape_share_extrapolated(3.0, red) / escape_share(3.0, red)) == pytest.approx(0.88, abs=0.01)


def test_the_gain_has_its_limits() -> None:
    # The plane wave's 2 k zb/(1 + k zb) far above the source, and no boundary to speak of (2) right above it.
    for k in (0.3, 1.0, 3.0):
        assert float(surface_gain(np.array(k), np.array(500.0), np.array(1.0))) == pytest.approx(2 * k / (1 + k), rel=0.01)
    assert float(surface_gain(np.array(1.0), np.array(1e-4), np.array(1.0))) == pytest.approx(2.0, rel=0.01)


def radial(radius: float, within: Optics, around: Optics) -> tuple[np.ndarray, np.ndarray]:
    """r and Φ of a sphere in another tissue by finite volumes in shells of 0.02 mm out to 60 mm, where Φ is 0."""
    step, n = 0.02, 3000
    edge = step * np.arange(n + 1)
    r = edge[:-1] + step / 2
    inside = r < radius
    d = np.where(inside, diffusion_mm(within), diffusion_mm(around))
    mua = np.where(inside, within.absorption_per_mm, around.absorption_per_mm)
    volume = 4 / 3 * np.pi * np.diff(edge**3)
    through = 4 * np.pi * edge[1:-1] ** 2 / step * 2 / (1 / d[1:] + 1 / d[:-1])
    bands = np.zeros((3, n))
    bands[1] = mua * volume
    bands[1, :-1] += through
    bands[1, 1:] += through
    bands[0, 1:] = bands[2, :-1] = -through
    return r, solve_banded((1, 1), bands, np.where(inside, volume, 0.0) / volume[inside].sum())


@pytest.mark.parametrize("within", [LIVER, STOMACH], ids=["liver", "stomach"])
def test_sphere_in_another_tissue_is_the_radial_solution(within: Optics) -> None:
    r, fluence = radial(4.0, within, MUSCLE)
    for distance in (4.5, 6.0, 12.0):
        # Shells of 0.02 mm: errors of 1e-3.
        assert float(sphere_fluence(4.0, distance, within, MUSCLE)) == pytest.approx(float(np.interp(distance, r, fluence)), rel=5e-3)


def test_straight_ways_are_exact_in_one_tissue() -> None:
    free = np.exp(-attenuation_per_mm(MUSCLE) * 5.0) / (4 * np.pi * diffusion_mm(MUSCLE) * 5.0)
    assert float(path_fluence(5.0, np.array([2.0, 3.0]), (MUSCLE, MUSCLE))) == pytest.approx(float(free))
    exact = float(sphere_fluence(3.0, 5.0, MUSCLE, MUSCLE))
    assert float(sphere_fluence_by_paths(3.0, 5.0, MUSCLE, MUSCLE)) == pytest.approx(exact, rel=1e-4)


def test_straight_ways_miss_what_the_other_tissue_does() -> None:
    # Liver: too dark by a fifth to a third; stomach, which absorbs less than what is around it: too bright by a half.
    for distance in (6.0, 8.0, 11.0):
        assert 0.6 < float(sphere_fluence_by_paths(5.0, distance, LIVER, MUSCLE) / sphere_fluence(5.0, distance, LIVER, MUSCLE)) < 0.85
        assert 1.3 < float(sphere_fluence_by_paths(5.0, distance, STOMACH, MUSCLE) / sphere_fluence(5.0, distance, STOMACH, MUSCLE)) < 1.6


def test_layers_in_line_with_the_light() -> None:
    # A plane of liver below a plane of muscle, far from the source: the plane problem's transmission 2 Z/(Z1+Z2), here within 15 %
    # for a point's light that is nearly plane.
    ways = np.array([8.0, 8.0])
    k1, k2 = float(attenuation_per_mm(LIVER)), float(attenuation_per_mm(MUSCLE))
    z1, z2 = float(diffusion_mm(LIVER)) * k1, float(diffusion_mm(MUSCLE)) * k2
    plane = np.exp(-8 * k1 - 8 * k2) / (2 * np.pi * (z1 + z2) * (8 / k1 + 8 / k2))
    assert float(path_fluence(16.0, ways, (LIVER, MUSCLE))) == pytest.approx(plane, rel=0.15)


def test_extrapolation_length_of_muscle_is_some_3_mm() -> None:
    assert 2.5 < float(extrapolation_mm(MUSCLE)) < 4.0
