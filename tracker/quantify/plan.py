"""What is the same for all frames of a scan: its organs, their size and place, and what must be said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap, voxel_volume_ml
from tracker.quantify.density import density_g_per_ml
from tracker.quantify.peak import Sphere, sphere, sphere_radius_mm
from tracker.quantify.sites import Sites, find_sites
from tracker.quantify.statistics import label_statistics
from tracker.study.model import Context

# PERCIST's sphere, Wahl 2009, doi:10.2967/jnumed.108.057307; for people only.
HUMAN_PEAK_SPHERE_ML = 1.0
# Largest distance [voxels] between the two grids' places for the same voxel.
_GRID_TOLERANCE = 0.1
# Below this many voxels (a 3 × 3 × 3 cube) an organ counts as small where the config does not say how sharp the scanner is.
_FEW_VOXELS = 27


@dataclass(frozen=True, slots=True)
class Organ:
    """One organ of the map. ``volume_ml`` and ``mass_g`` of all its voxels; ``measurable`` False where it is empty or cut."""

    name: str
    n: int
    volume_ml: float | None
    mass_g: float | None
    measurable: bool
    flag: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Organs with their label numbers, bounding boxes (k, 3, 2) and noise sites; the peak's ``ball``, None for no peak; findings."""

    organs: tuple[Organ, ...]
    wanted: np.ndarray
    box: np.ndarray
    sites: Sites
    ball: Sphere | None
    findings: tuple[Finding, ...]


def make_plan(organ_map: OrganMap, context: Context) -> Plan:
    """The organs of a map with size, mass and flags, in the order of their labels. Raises `InputError` as `quantify` says."""
    names = _names(organ_map.names)
    labels, wanted = organ_map.labels, np.array(list(names), np.int64)
    # The map as its own image: counts and boxes are all that is read from it.
    found = label_statistics(labels, labels, list(names))
    organs, findings = [], []
    for i, name in enumerate(names.values()):
        cut = bool(found.at_edge[i])
        small = bool(found.n[i]) and not cut and "psf_fwhm_mm" not in context.constants and int(found.n[i]) < _FEW_VOXELS
        organs.append(_organ(name, int(found.n[i]), cut, small, organ_map.grid, context.organs.density_g_per_ml))
        findings += _organ_findings(organs[-1])
    ball, peak_findings = _ball(organ_map.grid, context)
    sites = find_sites(labels, wanted, found.n, found.box)
    return Plan(tuple(organs), wanted, found.box, sites, ball, (*findings, *peak_findings))


def _names(names: Mapping[int, str]) -> dict[int, str]:
    """Label → name without 0, by label; two labels of one name would count as one organ with half its signal."""
    organs = {int(label): name for label, name in sorted(names.items()) if label != 0}
    folded = [name.lower() for name in organs.values()]
    twice = sorted({name for name in organs.values() if folded.count(name.lower()) > 1})
    if twice:
        raise InputError("duplicate_organ", "two labels have the same name", found=twice, expected="one label a name", do="rename or merge")
    if not organs:
        raise InputError("no_organs", "the organ map names no organ", expected="a name for each label", do="add the table of names")
    return organs


def _organ(name: str, n: int, cut: bool, small: bool, grid: Grid, densities: Mapping[str, float]) -> Organ:
    flag = ("empty_organ",) if n == 0 else ("outside_fov",) if cut else ("partial_volume",) if small else ()
    volume = n * voxel_volume_ml(grid) if n else None
    density = density_g_per_ml(name, densities)
    mass = None if volume is None or density is None else volume * density
    return Organ(name, n, volume, mass, n > 0 and not cut, flag)


def _organ_findings(organ: Organ) -> list[Finding]:
    reasons = {
        "empty_organ": "has a name but no voxel in the organ map: no value",
        "outside_fov": "touches the edge of the field of view and may be cut: no value",
        "partial_volume": "has under 27 voxels: its boundary is most of it, and spill-over is not corrected",
    }
    findings = [Finding(flag, "warn", f"{organ.name} {reasons[flag]}") for flag in organ.flag]
    if organ.n and organ.mass_g is None:
        findings.append(Finding("no_density", "warn", f"{organ.name} has no density in the config and no default: no mass"))
    return findings


def _ball(grid: Grid, context: Context) -> tuple[Sphere | None, list[Finding]]:
    volume_ml = context.organs.peak_sphere_ml
    if volume_ml is None and context.subject.species.lower() == "human":
        volume_ml = HUMAN_PEAK_SPHERE_ML
    if volume_ml is None:
        why = f"no peak sphere is usual for {context.subject.species}: no concentration_peak; set organs: peak_sphere_ml to have it"
        return None, [Finding("peak_sphere_unset", "ok", why)]
    return sphere(grid, sphere_radius_mm(volume_ml)), []


def check_grids(image: Grid, organs: Grid, shape: tuple[int, ...], label_shape: tuple[int, ...]) -> None:
    """Raises `InputError` (``grid_mismatch``) unless image and organ map have one shape and every corner lies within 0.1 voxel."""
    if not tuple(image.shape) == tuple(organs.shape) == tuple(shape) == tuple(label_shape):
        _refuse(f"shapes (z, y, x) {tuple(label_shape)}", f"{tuple(shape)} as the image")
    last = np.array(image.shape[::-1]) - 1
    corners = np.array([[*(last * bits), 1.0] for bits in np.ndindex(2, 2, 2)])
    apart_mm = np.linalg.norm((corners @ (image.affine - organs.affine).T)[:, :3], axis=1).max()
    voxel_mm = np.linalg.norm(image.affine[:3, :3], axis=0).min()
    if not apart_mm <= _GRID_TOLERANCE * voxel_mm:
        _refuse(f"{apart_mm:.3g} mm between the same voxel's places", f"at most {_GRID_TOLERANCE * voxel_mm:.3g} mm")


def _refuse(found: str, expected: str) -> None:
    what = "the organ map is not on the image's grid"
    raise InputError("grid_mismatch", what, found=found, expected=expected, do="draw the organs on this scan, or resample the map to it")
