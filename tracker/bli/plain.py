"""A float TIFF's images as the header that the calibration reads, as if each were a click that is calibrated already."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tracker.bli.camera import Camera
from tracker.bli.header import BliHeader, Click, Corrected
from tracker.bli.settings import Settings
from tracker.bli.sidecar import Plain


def plain_header(plain: Plain, path: Path, order: np.ndarray) -> BliHeader:
    """The header of a sidecar's images in the given order; lens and binning are not stated."""
    field_cm = plain.pixel_mm * plain.values.shape[2] / 10
    clicks = tuple(
        Click(
            path.stem,
            path,
            Settings(
                start=plain.acquired,
                exposure_s=plain.exposure_s[i],
                field_of_view_cm=field_cm,
                binning=None,
                f_number=None,
                bias_level=None,
                multiplier=1.0,
                emission_nm=plain.emission_nm[i],
                emission_width_nm=0.0 if plain.emission_nm[i] == 0 else None,
                emission_transmission=None,
                excitation="",
                corrected=frozenset(),
            ),
            Camera(),
            None,
            Corrected(plain.values[i], plain.unit),
        )
        for i in order
    )
    return BliHeader(clicks, "sidecar", field_cm, saturation=plain.saturation)
