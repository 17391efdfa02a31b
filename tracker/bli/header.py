"""What the reader hands to the calibration: of each image the frames it needs, and what both say of how it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from tracker.bli.camera import Camera
from tracker.bli.settings import Settings
from tracker.errors import Finding

RADIANCE, EFFICIENCY, COUNTS = "photons/s/cm2/sr", "photons/s/cm2/sr/(uW/cm2)", "counts"


@dataclass(frozen=True, slots=True)
class Raw:
    """Counts of one image with what is to come off them, all in counts of this image's pixels (ny, nx).

    ``bias`` and ``dark`` are arrays, or one number for all pixels; ``saturated`` where the sensor or the file was full; ``limit`` the
    counts at which that is. ``summed``: how many of the sensor's superpixels one pixel sums up (1 as read).
    """

    counts: np.ndarray
    bias: np.ndarray | float
    dark: np.ndarray | float
    saturated: np.ndarray
    limit: float
    how: str
    summed: int = 1


@dataclass(frozen=True, slots=True)
class Corrected:
    """The vendor's corrected image (ny, nx) and its ``unit``: one of `RADIANCE`, `EFFICIENCY`, `COUNTS`, or empty where not stated."""

    values: np.ndarray
    unit: str


@dataclass(frozen=True, slots=True)
class Click:
    """One image: settings, camera, counts and the vendor's corrected image, where they are there; ``name`` is its folder's."""

    name: str
    path: Path
    settings: Settings
    camera: Camera
    raw: Raw | None
    corrected: Corrected | None
    per_count: float | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class BliHeader:
    """A scan's images in the order of their times. ``source``: ``counts``, ``corrected`` or ``sidecar``: what the scan's values are.

    ``photograph`` (ny, nx): its mean over each pixel of the images, or None; ``luciferin`` the time that was typed into the labels, on
    the day of the scan; ``field_of_view_cm`` across the columns. ``saturation`` a sidecar's, in its unit; ``background`` the image of a
    fluorescence scan through the background's excitation filter.
    """

    images: tuple[Click, ...]
    source: str
    field_of_view_cm: float
    photograph: np.ndarray | None = None
    luciferin: datetime | None = None
    saturation: float | None = None
    background: Click | None = None
