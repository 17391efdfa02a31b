"""The flat field of a click: how much of the light from each place on the stage the lens passes on."""

from __future__ import annotations

import numpy as np

from tracker.bli.camera import Flat
from tracker.errors import InputError


def flat_field(flat: Flat, shape: tuple[int, int], pixel_cm: float) -> np.ndarray:
    """Share of the light that is passed on, (ny, nx) float64, about 1 near the middle; radiance is divided by it.

    flat(r) = k0 + k1 r + k2 r² + k3 r³ + k4 r⁴, r [cm] the distance on the stage from the point (x0, y0). The file counts y0 upwards
    from the middle of the field, rows run down: the point lies at the column of x0 and the row of -y0, which is what brings the outer
    animals of a real image to the maker's own values. Raises `InputError` (``bad_flat_field``) where it is not above 0 everywhere.

    >>> flat_field(Flat((1.0, 0.0, -0.01, 0.0, 0.0), 0.0, 0.0), (1, 3), 2.0).round(3).tolist()
    [[0.96, 1.0, 0.96]]
    """
    ny, nx = shape
    x = (np.arange(nx) + 0.5 - nx / 2) * pixel_cm
    y = (np.arange(ny) + 0.5 - ny / 2) * pixel_cm
    r = np.hypot(x[None, :] - flat.x0_cm, y[:, None] + flat.y0_cm)
    field = np.polynomial.polynomial.polyval(r, flat.k)
    if not (np.isfinite(field).all() and field.min() > 0):
        raise InputError("bad_flat_field", "the flat field is not above 0 everywhere", found=f"least value {float(field.min()):.3g}",
                         expected="about 1", do="copy the ClickInfo.txt the camera wrote")  # fmt: skip
    return np.asarray(field)
