"""What each pixel sees of the light of each organ: the spread operator of diffuse light in a body of several tissues.

Light of a voxel reaches a point of the skin as `diffusion.path_fluence` says for the tissues on the straight way between them; there
the skin is its tangent plane (`diffusion.surface_gain`); it leaves in all directions alike (Lambert). An organ's column is the sum over
its voxels, times what straight ways miss in a sphere of the organ's size, where the exact answer is known.

Against a finite-volume solution in the digital mouse (600 to 660 nm) the light of an organ in front is right to some 10 %, of one behind
others to some 30 % (tests/bli/test_tomography.py). What is near the skin on a scale of 1 mm is not known to diffusion at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tracker.bli.diffusion import extrapolation_mm, sphere_fluence, sphere_fluence_by_paths, surface_gain
from tracker.bli.optics import (
    BLOOD_SD_LN,
    BODY_TISSUE,
    FLUENCE_PER_FLUX,
    TISSUES,
    Optics,
    attenuation_per_mm,
    diffusion_mm,
    tissue_optics,
    tissues_of,
)
from tracker.bli.spectrum import Band
from tracker.bli.surface import Body, Pixels, Skin, Upright, upright, visible_skin
from tracker.bli.ways import COSINES, DISTANCES, LONGEST_MM, REACH_MM, SHORTEST_MM, light
from tracker.compiled import processors
from tracker.errors import Finding, InputError

# Factors on all blood that the operator is made for; between them ln W is quadratic in ln S_B.
BLOOD_FACTORS = tuple(math.exp(step * 1.5 * BLOOD_SD_LN) for step in (-1, 0, 1))
# Voxels are joined to one source in blocks whose edge is at most this share of their distance to the skin, and twice that in a
# region of more than so many mL, which is all about and shows nothing of it. From far away 4 × 4 × 4
# voxels are one source.
_BLOCK, _LARGE_ML, _PARENT = 0.45, 5.0, 4


@dataclass(frozen=True, slots=True)
class SpreadOperator:
    """Radiance [photons/s/cm²/sr] of each pixel per photon/s that an organ emits evenly from all its voxels.

    ``matrix`` (blood, band, pixel, organ), for the factors ``blood`` on all tissues' blood; ``bands``, ``organs`` names; ``covered``
    (pixel,): share of the pixel that the body covers; ``hidden`` (organ,): by how many e-folds the light that is seen of an organ was
    weakened, in the mean, by other organs on its way: what straight ways are least right about.
    """

    matrix: np.ndarray
    blood: tuple[float, ...]
    bands: tuple[str, ...]
    organs: tuple[str, ...]
    covered: np.ndarray
    hidden: np.ndarray
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where light starts: ``sources`` and the ``blocks`` they are in, rows of x, y, z, edge [mm], share of the organ, organ, first source.

    The last block is no block but the end of the sources.
    """

    blocks: np.ndarray
    sources: np.ndarray


@dataclass(frozen=True, slots=True)
class _Media:
    """Tissues t, the body's own first, over w wavelengths and blood factors: ``attenuation`` and ``diffusion`` (t, w), ``steep``
    (distance, t, w) sqrt(k² + 1/r²), ``gain`` (distance, cosine, w) of the skin.
    """

    attenuation: np.ndarray
    diffusion: np.ndarray
    steep: np.ndarray
    gain: np.ndarray


def spread_operator(body: Body, pixels: Pixels, bands: Sequence[Band], blood: Sequence[float] = BLOOD_FACTORS) -> SpreadOperator:
    """The radiance of each pixel per photon/s emitted in each organ, for each band and factor on the blood of all tissues.

    L = 100 · Φ/(FLUENCE_PER_FLUX π) [photons/s/cm²/sr per photon/s], Φ [1/mm²] at the skin. Organs are those of ``body.names`` that have a
    voxel, in the order of their index; their light is spread evenly over their voxels. A pixel's value is the mean over its area.

    The camera's blur and focus, perspective, fur, and light that comes back from the stage are not in it. Raises `InputError` as
    `surface.upright`, and ``organ_unnamed``, ``wavelength_outside``.
    """
    standing = upright(body)
    skin = visible_skin(standing, pixels)
    indices = _indices(body)
    organs = tuple(body.names[index] for index in indices)
    tissues, findings = tissues_of(organs)
    kinds = (BODY_TISSUE, *sorted(set(tissues) - {BODY_TISSUE}))
    nm = sorted({wavelength for band in bands for wavelength in band.wavelengths_nm})
    optics = [_stacked([tissue_optics(TISSUES[kind], np.array(nm), factor) for factor in blood]) for kind in kinds]
    medium = np.array([kinds.index(tissue) for tissue in tissues])
    sources = _sources(standing, indices, skin)
    fluence, hidden = _fluence(standing, skin, sources, (indices, medium), _media(optics))
    fluence *= _sphere_factors(standing, indices, medium, optics, _gaps(sources, skin, len(organs)))
    # (skin point, organ, blood × wavelength) → (blood, band, pixel, organ).
    share = np.array([[dict(zip(band.wavelengths_nm, band.shares, strict=True)).get(w, 0.0) for w in nm] for band in bands])
    matrix = np.zeros((len(blood), len(bands), pixels.x_mm.size, len(organs)))
    coloured = fluence.reshape(len(skin.pixel), len(organs), len(blood), len(nm)) @ share.T
    np.add.at(matrix.transpose(2, 3, 0, 1), skin.pixel, coloured * skin.weight[:, None, None, None])
    covered = np.bincount(skin.pixel, skin.weight, pixels.x_mm.size)
    return SpreadOperator(
        matrix * 100.0 / (FLUENCE_PER_FLUX * np.pi), tuple(blood), tuple(b.name for b in bands), organs, covered, hidden, findings
    )


def _indices(body: Body) -> list[int]:
    there = [int(index) for index in np.unique(body.labels) if index > 0]
    unnamed = [index for index in there if index not in body.names]
    if unnamed:
        raise InputError("organ_unnamed", "the posed body has labels without a name", found=unnamed, do="name each label, or set it to 0")
    return there


def _stacked(optics: Sequence[Optics]) -> Optics:
    """Blood factors one after the other, each over all wavelengths."""
    return Optics(*(np.concatenate([getattr(o, name) for o in optics]) for name in ("absorption_per_mm", "scattering_per_mm")))


def _media(optics: Sequence[Optics]) -> _Media:
    attenuation, diffusion = np.stack([attenuation_per_mm(o) for o in optics]), np.stack([diffusion_mm(o) for o in optics])
    r = np.geomspace(SHORTEST_MM, LONGEST_MM, DISTANCES)[:, None, None]
    zb = extrapolation_mm(optics[0])
    # The gain is smooth: an eighth of the distances is computed.
    coarse = surface_gain(attenuation[0] * zb, r[::8] / zb, np.linspace(0.0, 1.0, COSINES)[None, :, None])
    weight = (np.arange(DISTANCES) % 8 / 8.0)[:, None, None]
    low = np.arange(DISTANCES) // 8
    gain = coarse[low] * (1.0 - weight) + coarse[np.minimum(low + 1, len(coarse) - 1)] * weight
    return _Media(attenuation, diffusion, np.sqrt(attenuation**2 + 1.0 / r**2), gain)


def _sources(body: Upright, indices: Sequence[int], skin: Skin) -> _Sources:
    """Voxels of organs as points: blocks of 1, 2³ or 4³ of them, by their distance to the skin that is seen."""
    blocks: list[np.ndarray] = []
    sources: list[np.ndarray] = []
    for number, index in enumerate(indices):
        voxels = np.argwhere(body.labels == index)[:, ::-1]
        large = len(voxels) * np.prod(body.size_mm) > 1000.0 * _LARGE_ML
        room = (2.0 if large else 1.0) * _BLOCK * _away_mm(body.origin_mm + voxels * body.size_mm, skin) / body.size_mm.mean()
        smallest = 2 if large else 1
        edge = 2 ** np.clip(np.log2(np.maximum(room, 1.0)), math.log2(smallest), math.log2(_PARENT)).astype(np.int64)
        parent = np.ravel_multi_index((*(voxels // _PARENT).T,), body.labels.shape[::-1])
        own = np.ravel_multi_index((edge, *(voxels // edge[:, None]).T), (_PARENT + 1, *body.labels.shape[::-1]))
        # Sorted by parent, so that each has its sources side by side.
        order = np.lexsort((own, parent))
        voxels, edge, parent, own = voxels[order], edge[order], parent[order], own[order]
        starts = np.flatnonzero(np.diff(parent, prepend=-1) | np.diff(own, prepend=-1))
        outer = np.flatnonzero(np.diff(parent, prepend=-1))
        first = sum(map(len, sources)) + np.searchsorted(starts, outer)
        sources.append(_rows(body, voxels, starts, (edge[starts], number, np.zeros(len(starts)))))
        blocks.append(_rows(body, voxels, outer, (np.full(len(outer), _PARENT), number, first)))
    end = np.zeros((1, 7))
    end[0, 6] = sum(map(len, sources))
    return _Sources(np.concatenate([*blocks, end]), np.concatenate(sources))


def _rows(body: Upright, voxels: np.ndarray, starts: np.ndarray, rest: tuple[np.ndarray, int, np.ndarray]) -> np.ndarray:
    edge, organ, first = rest
    count = np.diff(starts, append=len(voxels))
    places = body.origin_mm + np.add.reduceat(voxels, starts, axis=0) / count[:, None] * body.size_mm
    return np.column_stack([places, edge * body.size_mm.mean(), count / len(voxels), np.full(len(starts), organ), first])


def _away_mm(points_mm: np.ndarray, skin: Skin) -> np.ndarray:
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(skin.points_mm).query(points_mm)[0]) if len(skin.points_mm) else np.full(len(points_mm), REACH_MM)


def _fluence(
    body: Upright, skin: Skin, sources: _Sources, organs: tuple[Sequence[int], np.ndarray], media: _Media
) -> tuple[np.ndarray, np.ndarray]:
    indices, medium = organs
    table = np.zeros(int(body.labels.max()) + 1, np.uint8)
    table[list(indices)] = medium
    tissue = table[np.maximum(body.labels, 0)]
    out = np.zeros((len(skin.points_mm), len(indices), media.attenuation.shape[1]))
    hidden = np.zeros((*out.shape[:2], 1))
    given = (sources.blocks, sources.sources, medium, tissue, body.origin_mm, body.size_mm)
    tables = (media.attenuation, media.diffusion, media.steep, media.gain)

    def some(part: np.ndarray) -> None:
        found, weakened = np.zeros((part.size, *out.shape[1:])), np.zeros((part.size, *hidden.shape[1:]))
        light(skin.points_mm[part], skin.normals[part], *given, *tables, found, weakened)
        out[part], hidden[part] = found, weakened

    with ThreadPoolExecutor(processors()) as pool:
        list(pool.map(some, np.array_split(np.arange(len(out)), max(4 * processors(), 1))))
    seen = out[..., out.shape[2] // 2].sum(axis=0)
    return out, np.divide(hidden.sum(axis=(0, 2)), seen, out=np.zeros(len(indices)), where=seen > 0)


def _gaps(sources: _Sources, skin: Skin, n_organs: int) -> np.ndarray:
    """How far each organ's nearest parts (its first twentieth) are from the skin that is seen [mm]."""
    away, organ = _away_mm(sources.sources[:, :3], skin), sources.sources[:, 5]
    return np.array([np.clip(np.quantile(away[organ == number], 0.05), 0.5, 10.0) for number in range(n_organs)])


def _sphere_factors(body: Upright, indices: Sequence[int], medium: np.ndarray, optics: Sequence[Optics], gaps: np.ndarray) -> np.ndarray:
    """(organ, w) what the sum over straight ways has to be multiplied by in a sphere of the organ's radius 3V/S, seen from its gap."""
    factors = np.ones((len(indices), optics[0].absorption_per_mm.size))
    for number, index in enumerate(indices):
        if medium[number] != 0:
            radius = _radius_mm(body.labels == index, body.size_mm)
            seen = radius + gaps[number], optics[medium[number]], optics[0]
            factors[number] = sphere_fluence(radius, *seen) / sphere_fluence_by_paths(radius, *seen)
    return factors


def _radius_mm(mask: np.ndarray, size_mm: np.ndarray) -> float:
    """3V/S of a shape; the faces of its voxels have, all directions alike, 1.5 times its true surface."""
    surface = 0.0
    for axis in range(3):
        padded = np.pad(mask, [(int(a == axis), int(a == axis)) for a in range(3)])
        surface += np.count_nonzero(np.diff(padded.astype(np.int8), axis=axis)) * float(np.prod(size_mm)) / size_mm[2 - axis]
    return 3.0 * float(np.count_nonzero(mask)) * float(np.prod(size_mm)) / (surface / 1.5)
