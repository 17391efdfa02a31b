"""What lies under the camera: mice with light in their organs → radiance and photograph, filter by filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from tracker.bli.phantom.body import Body, mouse_body, site
from tracker.bli.phantom.light import mouse_light, organ_source
from tracker.bli.phantom.optics import OPEN, WAVELENGTHS_NM, filter_bands
from tracker.bli.phantom.options import PHOTOGRAPH, Camera, columns, fov_mm
from tracker.bli.phantom.pose import Pose, View, lit, seen


@dataclass(frozen=True, slots=True)
class Deposit:
    """Cells in one place: ``centre_mm`` in the body's frame (`tracker.mouse`), all voxels within ``radius_mm``."""

    flux_ph_per_s: float
    centre_mm: tuple[float, float, float]
    radius_mm: float = 1.0


@dataclass(frozen=True, slots=True)
class Mouse:
    """One animal of the image: ``flux_ph_per_s`` [photons/s] emitted in each organ, evenly; ``deposits`` on top.

    ``glow`` [photons/s/cm²/sr]: what the skin shines by itself, in the open image; a filter sees its share of the band's width.
    ``blood`` is a factor on the blood of all tissues.
    """

    body_weight_g: float
    pose: Pose
    flux_ph_per_s: Mapping[str, float] = field(default_factory=dict)
    deposits: tuple[Deposit, ...] = ()
    glow: float = 0.0
    blood: float = 1.0


def view_of(camera: Camera) -> View:
    """The camera's binned pixels over its field of view."""
    return View(columns(camera), fov_mm(camera))


def source_of(mouse: Mouse, body: Body) -> np.ndarray:
    """What each voxel emits [photons/s], all colours together."""
    return _source(body, tuple(mouse.flux_ph_per_s.items()), mouse.deposits)


def _source(body: Body, flux_ph_per_s: tuple[tuple[str, float], ...], deposits: tuple[Deposit, ...]) -> np.ndarray:
    source = organ_source(body, dict(flux_ph_per_s))
    for one in deposits:
        voxels = site(body, one.centre_mm, one.radius_mm)
        source[voxels] += one.flux_ph_per_s / voxels.sum()
    return source


@lru_cache(maxsize=32)
def _outward(
    body_weight_g: float, voxel_mm: float, nm: int, blood: float, held: tuple[tuple[tuple[str, float], ...], tuple[Deposit, ...]]
) -> np.ndarray:
    """Flux through the skin (z, y, x) if all of an animal's light had one wavelength: a filter's band is part of the open image too."""
    source = _source(mouse_body(body_weight_g, voxel_mm), *held)
    return mouse_light(body_weight_g, voxel_mm, nm, source, blood).outward if source.any() else source


def radiance(mice: Sequence[Mouse], camera: Camera, emission: str, voxel_mm: float = 0.7) -> np.ndarray:
    """The image (y, x) [photons/s/cm²/sr] that a perfect camera sees through a filter; bodies in voxels of ``voxel_mm``.

    Open is the sum over the bands of the reporter's spectrum, each with its own tissue optics.
    """
    view, bands = view_of(camera), filter_bands(emission)
    image = np.zeros((view.columns, view.columns))
    for mouse in mice:
        held = (tuple(mouse.flux_ph_per_s.items()), mouse.deposits)
        through = [share * _outward(mouse.body_weight_g, voxel_mm, nm, mouse.blood, held) for nm, share in bands]
        image += seen(mouse.body_weight_g, mouse_body(mouse.body_weight_g, voxel_mm), sum(through[1:], through[0]), mouse.pose, view)
        # The body's own glow is white: a filter passes its band's share of the whole range.
        if mouse.glow:
            passed = 1.0 if emission == OPEN else 1.0 / len(WAVELENGTHS_NM)
            image += mouse.glow * passed * (lit(mouse.body_weight_g, mouse.pose, view) > 0)
    return image


def brightness(mice: Sequence[Mouse], camera: Camera) -> np.ndarray:
    """The photograph's brightness (960, 960), 0 to 1."""
    view = View(PHOTOGRAPH, fov_mm(camera))
    shown = np.zeros((PHOTOGRAPH, PHOTOGRAPH))
    for mouse in mice:
        shown = np.maximum(shown, lit(mouse.body_weight_g, mouse.pose, view))
    return shown
