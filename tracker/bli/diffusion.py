"""Diffuse light from a point to the skin: Green's functions in closed form or by one quadrature.

    ∇·(D ∇Φ) - mua Φ = -S      D = 1/(3 (mua + mus'))      in one endless tissue Φ = S e^{-k r}/(4π D r), k = mueff

At the skin the partial-current condition holds: outward flux J = Φ/FLUENCE_PER_FLUX, or Φ = zb ∂Φ/∂depth with zb = 2D (1+R)/(1-R). The
extrapolated boundary (Φ = 0 at zb outside) is its first order. zb is some 3 mm in muscle, as deep as what is looked for, and there the
two differ: in light from 3 mm in muscle at 660 nm by 10 %. The exact one is used; the other is here to compare with the literature.

Diffusion is wrong within some 1/mus' (1 mm) of the source and the skin, and where mua is not small against mus' (liver below 600 nm).

Haskell et al. 1994, J Opt Soc Am A 11:2727, doi:10.1364/JOSAA.11.002727. Skin that is curved is taken as its tangent plane where light
leaves it: Ripoll et al. 2001, Phys Rev E 64:051917, doi:10.1103/PhysRevE.64.051917.
"""

from __future__ import annotations

import numpy as np

from tracker.bli.optics import FLUENCE_PER_FLUX, Optics, attenuation_per_mm, diffusion_mm

# The integral over images beyond the skin: places in units of zb, dense near the skin, where exp(-l/zb) counts.
_L_STEPS, _L_END = 400, 14.0


def extrapolation_mm(optics: Optics) -> np.ndarray:
    """zb = 2D (1+R)/(1-R) [mm]: how far outside the skin the fluence's tangent reaches 0."""
    return FLUENCE_PER_FLUX * diffusion_mm(optics)


def surface_gain(attenuation: np.ndarray, distance: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Fluence at the skin of a half-space ÷ that of an endless tissue at the same distance.

    Q = 2 - 2 ∫ e^{-l} e^{-k (r(l) - r)} r/r(l) dl, r(l)² = r² + 2 r c l + l²: the source's mirror image, and a line of sinks behind it.
    All in units of zb: ``attenuation`` k zb, ``distance`` r/zb > 0, ``cosine`` between the way to the source and the inward normal;
    arrays that broadcast. 2 right above the source, 2kzb/(1 + kzb) far above it, small for light that grazes the skin.

    >>> round(float(surface_gain(np.array(1.0), np.array(200.0), np.array(1.0))), 2)
    1.0
    """
    k, r, c = (np.asarray(a, float) for a in (attenuation, distance, cosine))
    u = (np.arange(_L_STEPS) + 0.5) / _L_STEPS
    total = np.zeros(np.broadcast(k, r, c).shape)
    for place, piece in zip(_L_END * u**3, 3.0 * _L_END * u**2 / _L_STEPS, strict=True):
        image = np.sqrt(r * r + 2.0 * r * c * place + place * place)
        total += piece * np.exp(-place - k * (image - r)) * r / image
    return np.asarray(2.0 - 2.0 * total)


def surface_fluence(depth_mm: np.ndarray, away_mm: np.ndarray, optics: Optics) -> np.ndarray:
    """Fluence at the skin [1/mm²] per photon/s from a point ``depth_mm`` (> 0) deep, ``away_mm`` from the place right above it.

    Outward flux there is Φ/FLUENCE_PER_FLUX [1/mm²], and its radiance, in all directions, J/π.
    """
    depth, away = np.asarray(depth_mm, float), np.asarray(away_mm, float)
    r, zb = np.hypot(depth, away), extrapolation_mm(optics)
    free = np.exp(-attenuation_per_mm(optics) * r) / (4.0 * np.pi * diffusion_mm(optics) * r)
    return np.asarray(free * surface_gain(attenuation_per_mm(optics) * zb, r / zb, depth / r))


def surface_fluence_extrapolated(depth_mm: np.ndarray, away_mm: np.ndarray, optics: Optics) -> np.ndarray:
    """The same by the extrapolated boundary: [e^{-k r1}/r1 - e^{-k r2}/r2]/(4πD), r1² = d² + ρ², r2² = (d + 2zb)² + ρ²."""
    depth, away = np.asarray(depth_mm, float), np.asarray(away_mm, float)
    k, near, far = attenuation_per_mm(optics), np.hypot(depth, away), np.hypot(depth + 2.0 * extrapolation_mm(optics), away)
    return np.asarray((np.exp(-k * near) / near - np.exp(-k * far) / far) / (4.0 * np.pi * diffusion_mm(optics)))


def escape_share(depth_mm: np.ndarray | float, optics: Optics) -> np.ndarray:
    """Share of a point's photons that leave through a flat skin ``depth_mm`` above it: F(d) = e^{-k d}/(1 + k zb).

    All of them where nothing is absorbed. Refracted light and what a camera sees of it are not in this.

    >>> from tracker.bli.optics import TISSUES, tissue_optics
    >>> round(float(escape_share(5.0, tissue_optics(TISSUES["muscle"], 660))), 3)
    0.174
    """
    k = attenuation_per_mm(optics)
    return np.asarray(np.exp(-k * depth_mm) / (1.0 + k * extrapolation_mm(optics)))


def escape_share_extrapolated(depth_mm: np.ndarray | float, optics: Optics) -> np.ndarray:
    """The same by the extrapolated boundary: e^{-k d} (1 - e^{-2 k zb})/(2 D k)/FLUENCE_PER_FLUX."""
    k = attenuation_per_mm(optics)
    through = (1.0 - np.exp(-2.0 * k * extrapolation_mm(optics))) / (2.0 * diffusion_mm(optics) * k)
    return np.asarray(np.exp(-k * depth_mm) * through / FLUENCE_PER_FLUX)


def sphere_fluence(radius_mm: float, distance_mm: float, within: Optics, around: Optics) -> np.ndarray:
    """Fluence [1/mm²] at ``distance_mm`` from the middle of a sphere that emits 1 photon/s evenly, in another, endless tissue: exact.

    Within Φ = 1/(V mua) + B sinh(k1 r)/r, around it Φ = C e^{-k2 r}/r; Φ and D ∂Φ/∂r are the same on both sides of the border.
    """
    a, k1, k2 = radius_mm, attenuation_per_mm(within), attenuation_per_mm(around)
    volume = 4.0 / 3.0 * np.pi * a**3
    inward, outward = diffusion_mm(within) * (k1 * a / np.tanh(k1 * a) - 1.0), diffusion_mm(around) * (1.0 + k2 * a)
    at_border = a / (volume * within.absorption_per_mm) / (1.0 + outward / inward)
    return np.asarray(at_border * np.exp(-k2 * (distance_mm - a)) / distance_mm)


def sphere_fluence_by_paths(radius_mm: float, distance_mm: float, within: Optics, around: Optics) -> np.ndarray:
    """The same as `path_fluence` has it, each of the sphere's points along its straight way to the place it is seen from.

    What it differs from `sphere_fluence` by is what straight ways miss: light that goes round, and comes back from, another tissue.
    """
    cosines, weights = np.polynomial.legendre.leggauss(24)
    total = np.zeros(np.shape(within.absorption_per_mm))
    for place, radial in zip((cosines + 1.0) / 2.0 * radius_mm, weights * radius_mm / 2.0, strict=True):
        r = np.sqrt(distance_mm**2 + place**2 - 2.0 * distance_mm * place * cosines)
        along = (distance_mm * place * cosines - place**2) / r
        inside = np.minimum(np.sqrt(along**2 + radius_mm**2 - place**2) - along, r)
        for one, length, weight in zip(r, inside, weights, strict=True):
            ways = np.array([length, one - length])
            total += 2.0 * np.pi * radial * place**2 * weight * path_fluence(float(one), ways, (within, around))
    return total / (4.0 / 3.0 * np.pi * radius_mm**3)


def path_fluence(distance_mm: float, ways_mm: np.ndarray, tissues: tuple[Optics, ...]) -> np.ndarray:
    """Fluence [1/mm²] per photon/s at the end of a straight way through layers of tissue, the first around the source, the last the end's.

    Φ = e^{-Σ k_i L_i} / (2π (Z_1 + Z_n) Σ L_i/K_i),  K_i = sqrt(k_i² + 1/r²),  Z_i = D_i K_i

    (D, derived) k_i L_i: attenuation along the way. Σ L_i/K_i: how wide the light spreads. 2 sqrt(Z_1 Z_n)/(Z_1 + Z_n): what passes the
    borders; 1/r stands for the light's slope across the way, which counts close to the source. Exactly e^{-kr}/(4πDr) in one tissue.
    """
    attenuations = [attenuation_per_mm(tissue) for tissue in tissues]
    steep = [np.sqrt(k**2 + 1.0 / distance_mm**2) for k in attenuations]
    lost = sum(k * way for k, way in zip(attenuations, ways_mm, strict=True))
    spread = sum(way / k for k, way in zip(steep, ways_mm, strict=True))
    ends = diffusion_mm(tissues[0]) * steep[0] + diffusion_mm(tissues[-1]) * steep[-1]
    return np.asarray(np.exp(-lost) / (2.0 * np.pi * ends * spread))
