"""The phantom's light: conservation, the analytic solutions of diffusion, and photons followed one by one.

Formulas are written out here; nothing of the code that turns images into organs is used.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from tracker.bli.phantom.body import Body, blocks, centres_mm, mouse_body, outside_neighbours, site, smooth
from tracker.bli.phantom.light import Light, light, mouse_light, organ_light, organ_source
from tracker.bli.phantom.montecarlo import escape
from tracker.bli.phantom.optics import (
    TISSUES,
    WAVELENGTHS_NM,
    absorption_per_mm,
    attenuation_per_mm,
    band_share,
    filter_bands,
    organ_tables,
    scattering_per_mm,
)
from tracker.errors import InputError
from tracker.image import Grid
from tracker.mouse import Superellipsoid, organ_shapes

# Φ ÷ outward flux at the surface, R = 0.493.
FLUENCE_PER_FLUX = 2 * (1 + 0.493) / (1 - 0.493)
WEIGHT_G = 25.0


def optics(tissue: str, nm: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Tables for a body of one tissue, with D [mm] and the attenuation [1/mm]."""
    absorbed, scattered = absorption_per_mm(TISSUES[tissue], nm), scattering_per_mm(TISSUES[tissue], nm)
    d_mm = 1 / (3 * (absorbed + scattered))
    return np.array([0.0, absorbed]), np.array([0.0, scattered]), d_mm, math.sqrt(absorbed / d_mm)


def escaping(d_mm: float, attenuation: float, depth_mm: float) -> float:
    """Share of the light of a plane (or, summed over the surface, a point) that leaves a half space: exact for the Robin boundary."""
    back = (d_mm * attenuation - 1 / FLUENCE_PER_FLUX) / (d_mm * attenuation + 1 / FLUENCE_PER_FLUX)
    return math.exp(-attenuation * depth_mm) * (1 + back) / (2 * d_mm * attenuation) / FLUENCE_PER_FLUX


# --- optics ----------------------------------------------------------------------------------------------------------

# Effective attenuation [1/mm] at 560, 580 … 660 nm, worked out apart from this code.
PUBLISHED = {
    "muscle": (2.95, 3.60, 0.700, 0.376, 0.271, 0.222),
    "liver": (11.2, 13.7, 2.25, 1.12, 0.802, 0.658),
    "lung": (6.74, 8.49, 1.79, 1.02, 0.758, 0.642),
    "kidney": (3.74, 4.21, 1.25, 0.741, 0.562, 0.471),
    "heart": (2.62, 3.03, 0.794, 0.463, 0.349, 0.293),
}


@pytest.mark.parametrize("tissue", PUBLISHED)
def test_attenuation_is_the_published(tissue: str) -> None:
    found = [attenuation_per_mm(TISSUES[tissue], nm) for nm in range(560, 680, 20)]
    # The table has two or three digits.
    assert found == pytest.approx(PUBLISHED[tissue], rel=6e-3)


def test_bands_share_all_light_and_redden_with_depth() -> None:
    assert sum(band_share(nm) for nm in WAVELENGTHS_NM) == pytest.approx(1.0, abs=1e-12)
    assert sum(share for _, share in filter_bands("Open")) == pytest.approx(1.0, abs=1e-12)
    # The published share above 600 nm is some six tenths.
    assert 0.55 < sum(band_share(nm) for nm in WAVELENGTHS_NM if nm > 610) + 0.5 * band_share(600) < 0.75
    passed = [organ_light(WEIGHT_G, 1.0, nm, "liver").escaped for nm in (580, 600, 620, 640, 660)]
    assert passed == sorted(passed)


def test_unknown_filter_and_wavelength_are_named() -> None:
    for wrong in ("GFP", "", "555"):
        with pytest.raises(InputError, match="phantom_wavelength"):
            filter_bands(wrong)
    with pytest.raises(InputError, match="phantom_wavelength"):
        absorption_per_mm(TISSUES["liver"], 800)


# --- surface ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [(8.0, 8.0, 8.0), (12.0, 9.0, 20.0)])
def test_slanting_surface_has_its_true_area(axes: tuple[float, float, float]) -> None:
    shape = Superellipsoid((0.0, 0.0, 0.0), axes, 2.0)
    size = 0.5
    n = [2 * math.ceil(a / size) + 5 for a in axes]
    affine = np.diag([size, size, size, 1.0])
    affine[:3, 3] = [-size * (k - 1) / 2 for k in n]
    grid = Grid((n[2], n[1], n[0]), affine)
    x, y, z = centres_mm(grid)
    labels = ((x / axes[0]) ** 2 + (y / axes[1]) ** 2 + (z / axes[2]) ** 2 <= 1).astype(np.int16)
    body = smooth(labels, {1: "all"}, grid, shape)
    # Area of an ellipsoid: Thomsen's formula, right to 1 %.
    p = 1.6075
    a, b, c = axes
    area = 4 * math.pi * ((a**p * b**p + a**p * c**p + b**p * c**p) / 3) ** (1 / p)
    assert body.open_faces.sum() * size**2 == pytest.approx(area, rel=0.02)
    # The steps themselves are a third to a half too large.
    assert outside_neighbours(labels > 0).sum() * size**2 > 1.3 * area
    assert body.depth_mm.max() <= size


# --- analytic solutions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tissue", "nm"), [("muscle", 660), ("muscle", 600), ("liver", 660), ("kidney", 640)])
@pytest.mark.parametrize("depth_mm", [1.125, 3.125])
def test_plane_source_in_a_slab(tissue: str, nm: int, depth_mm: float) -> None:
    """A column of voxels that is open at its two ends alone is a slab; a thick one is a half space."""
    size = 0.25
    absorption, scattering, d_mm, attenuation = optics(tissue, nm)
    body = blocks(np.ones((160, 1, 1), dtype=np.int16), {1: tissue}, size)
    body = replace(body, open_faces=outside_neighbours(body.labels > 0)[0].astype(float))
    source = np.zeros(body.labels.shape)
    source[int(depth_mm / size)] = size**2  # 1 photon/s/mm²
    found = light(body, absorption, scattering, source)
    # The source is a voxel thick: sinh(x)/x of half of it, and the grid is coarse by κh ≤ 0.5.
    assert found.outward[0, 0, 0] == pytest.approx(escaping(d_mm, attenuation, depth_mm), rel=0.02)


def test_point_source_in_a_half_space() -> None:
    """Light through the surface over a point, near it and beside it, by the exact Green's function."""
    size, depth_mm = 0.4, 3.0
    absorption, scattering, d_mm, attenuation = optics("liver", 660)
    body = blocks(np.ones((30, 61, 61), dtype=np.int16), {1: "liver"}, size)
    source = np.zeros(body.labels.shape)
    source[7, 30, 30] = 1.0  # its middle is 3.0 mm under the first slice's open faces
    found = light(body, absorption, scattering, source)
    # Summed over the surface a point is a plane. Some light leaves through the box's sides.
    assert found.outward[0].sum() * size**2 == pytest.approx(escaping(d_mm, attenuation, depth_mm), rel=0.03)

    length_mm = d_mm * FLUENCE_PER_FLUX

    def flux(rho_mm: float) -> float:
        """Source and image, less a line of sinks beyond the image: the exact Green's function of the Robin boundary."""

        def wave(beyond_mm: float) -> float:
            r = math.hypot(depth_mm + beyond_mm, rho_mm)
            return math.exp(-attenuation * r) / r

        sinks = quad(lambda s: math.exp(-s / length_mm) * wave(s), 0, np.inf)[0] / length_mm
        return (wave(0.0) - sinks) * 2 / (4 * math.pi * d_mm) / FLUENCE_PER_FLUX

    for columns in (0, 5, 10, 15):
        # Seven voxels below the surface a point is one voxel, and κh is 0.26.
        assert found.outward[0, 30, 30 + columns] == pytest.approx(flux(columns * size), rel=0.04), columns
    assert found.outward[0, 30, 30:46] == pytest.approx(found.outward[0, 30:46, 30], rel=1e-6)


def test_point_source_in_infinite_tissue() -> None:
    size = 0.5
    absorption, scattering, d_mm, attenuation = optics("muscle", 660)
    body = blocks(np.ones((61, 61, 61), dtype=np.int16), {1: "muscle"}, size)
    source = np.zeros(body.labels.shape)
    source[30, 30, 30] = 1.0
    found = light(body, absorption, scattering, source)
    for step in (6, 10, 14):
        r = step * size
        # e^(-κr) / 4πDr; the walls at 15 mm take a percent or two.
        assert found.fluence[30, 30, 30 + step] == pytest.approx(math.exp(-attenuation * r) / (4 * math.pi * d_mm * r), rel=0.05)
        diagonal = r * math.sqrt(2)
        expected = math.exp(-attenuation * diagonal) / (4 * math.pi * d_mm * diagonal)
        assert found.fluence[30, 30 + step, 30 + step] == pytest.approx(expected, rel=0.08)


def test_plane_source_across_a_border_of_two_tissues() -> None:
    """A slab of two tissues: flux is continuous at the border, so a plane's light splits as the one-dimensional solution says."""
    size = 0.1
    first, second = optics("muscle", 640), optics("liver", 640)
    labels = np.ones((400, 1, 1), dtype=np.int16)
    labels[200:] = 2
    body = blocks(labels, {1: "muscle", 2: "liver"}, size)
    body = replace(body, open_faces=np.zeros(labels.shape))
    source = np.zeros(labels.shape)
    source[150] = size**2
    tables = (np.array([0.0, first[0][1], second[0][1]]), np.array([0.0, first[1][1], second[1][1]]))
    fluence = light(body, *tables, source).fluence[:, 0, 0]
    away = 200 * size - 150.5 * size
    (d1, a1), (d2, a2) = first[2:], second[2:]
    through = 2 * d1 * a1 / (d1 * a1 + d2 * a2)
    far = np.arange(210, 250)
    expected = through * math.exp(-a1 * away) * np.exp(-a2 * ((far + 0.5) * size - 200 * size)) / (2 * d1 * a1)
    assert fluence[far] == pytest.approx(expected, rel=0.01)


# --- the mouse -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def body() -> Body:
    return mouse_body(WEIGHT_G, 0.7)


@pytest.mark.parametrize("organ", ["liver", "lung_left", "spleen", "rest"])
@pytest.mark.parametrize("nm", [560, 620, 700])
def test_every_photon_is_absorbed_or_comes_out(body: Body, organ: str, nm: int) -> None:
    found = organ_light(WEIGHT_G, 0.7, nm, organ)
    assert found.emitted == pytest.approx(1.0)
    assert found.absorbed + found.escaped == pytest.approx(found.emitted, rel=1e-8)
    assert (found.outward * body.open_faces).sum() * body.size_mm**2 == pytest.approx(found.escaped, rel=1e-12)
    assert found.fluence.min() >= -1e-12


def test_light_is_linear_in_its_source(body: Body) -> None:
    liver, spleen = organ_light(WEIGHT_G, 0.7, 640, "liver"), organ_light(WEIGHT_G, 0.7, 640, "spleen")
    both = mouse_light(WEIGHT_G, 0.7, 640, organ_source(body, {"liver": 3e6, "spleen": 5e9}))
    summed = 3e6 * liver.outward + 5e9 * spleen.outward
    # What iterations leave unsolved is 1e-11 of the source.
    assert both.outward == pytest.approx(summed, rel=1e-6, abs=5e9 * 1e-10)
    assert mouse_light(WEIGHT_G, 0.7, 640, np.zeros(body.labels.shape)).escaped == 0.0
    with pytest.raises(ValueError, match="outside"):
        mouse_light(WEIGHT_G, 0.7, 640, np.ones(body.labels.shape))


@pytest.mark.slow
def test_finer_voxels_give_the_same_light() -> None:
    for organ, nm in (("liver", 640), ("spleen", 660), ("lung_right", 660), ("kidney_left", 620)):
        coarse, fine = (organ_light(WEIGHT_G, size, nm, organ).escaped for size in (0.9, 0.6))
        # Organs of few voxels change their shape a little.
        assert coarse == pytest.approx(fine, rel=0.06), organ


def test_more_blood_less_light(body: Body) -> None:
    source = organ_source(body, {"liver": 1.0})
    less, more = (mouse_light(WEIGHT_G, 0.7, 640, source, blood=factor).escaped for factor in (0.7, 1.3))
    assert more < 0.75 * less


def _slices(by_column: np.ndarray) -> np.ndarray:
    """Sums over 8 rows across the body at a time."""
    n = len(by_column) // 8
    return by_column[: 8 * n].reshape(n, -1).sum(axis=1)


def _belly(body: Body, found: Light) -> np.ndarray:
    ventral = centres_mm(body.grid)[1] > 0
    return np.asarray((found.outward * body.open_faces * body.size_mm**2 * ventral).sum(axis=1))


@pytest.mark.parametrize(("organ", "nm"), [("liver", 660), ("kidney_left", 660), ("spleen", 640), ("lung_right", 680), ("", 640)])
def test_photons_followed_one_by_one_agree(organ: str, nm: int) -> None:
    """Monte Carlo with Fresnel's law on the smooth body, against diffusion with a mean reflection on voxels."""
    body = mouse_body(WEIGHT_G, 0.6)
    shape = organ_shapes(WEIGHT_G)["body"]
    assert isinstance(shape, Superellipsoid)
    index = next((n for n, name in body.names.items() if name == organ), 0)
    # Without an organ: a deposit some 4 mm under the skin of the belly; nearer to it diffusion does not hold.
    voxels = body.labels == index if index else site(body, (3.0, 6.0, -22.0), 1.0)
    photons = 12000
    followed = escape(body, shape, organ_tables(body.names, nm), voxels, photons, seed=5)
    solved = mouse_light(WEIGHT_G, 0.6, nm, voxels / voxels.sum())
    assert followed.absorbed + followed.escaped == pytest.approx(1.0, abs=0.003)  # roulette is fair on average
    # Diffusion itself is off by some percent where absorption is not small (lung: mua/mus' of a tenth); the rest is chance.
    assert solved.escaped == pytest.approx(followed.escaped, rel=0.10, abs=3 * math.sqrt(followed.escaped / photons))
    one, other = _slices(followed.belly), _slices(_belly(body, solved))
    bright = other > 0.1 * other.max()
    assert bright.sum() >= 2
    assert one[bright] == pytest.approx(other[bright], rel=0.15, abs=4 * math.sqrt(other.max() / photons))
