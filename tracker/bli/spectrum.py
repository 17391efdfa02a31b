"""Which share of a reporter's photons a filter lets through, and at which wavelengths: what the light has lost colour for on its way.

A filter is not one wavelength: from 590 to 610 nm blood's absorption falls to a quarter, and from deep places only the red end arrives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tracker.bli.optics import LONGEST_NM, SHORTEST_NM
from tracker.errors import InputError


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Emission of a reporter: two halves of Gaussians that meet at ``peak_nm``; their standard deviations to the blue and the red [nm]."""

    peak_nm: float
    blue_sd_nm: float
    red_sd_nm: float


# At 37 °C firefly luciferase peaks at 612 nm, some 90 nm wide at half height: Zhao et al. 2005, J Biomed Opt 10:041210,
# doi:10.1117/1.2032388. The shape is drawn by us to that peak and width; the measured curve replaces it by config.
FIREFLY = Spectrum(612.0, 35.0, 42.0)


@dataclass(frozen=True, slots=True)
class Band:
    """What passes a filter: wavelengths that stand for pieces of it, and the share of all emitted photons in each piece."""

    name: str
    wavelengths_nm: tuple[float, ...]
    shares: tuple[float, ...]


def share_between(low_nm: float, high_nm: float, spectrum: Spectrum = FIREFLY) -> float:
    """Share of all emitted photons between two wavelengths [nm].

    >>> round(share_between(0, 612), 3), share_between(0, 5000)
    (0.455, 1.0)
    """
    return _below(high_nm, spectrum) - _below(low_nm, spectrum)


def _below(nm: float, spectrum: Spectrum) -> float:
    blue, red = spectrum.blue_sd_nm, spectrum.red_sd_nm
    width = blue if nm < spectrum.peak_nm else red
    return (blue + width * math.erf((nm - spectrum.peak_nm) / (width * math.sqrt(2.0)))) / (blue + red)


def filter_band(name: str, centre_nm: float, width_nm: float, transmission: float = 1.0, spectrum: Spectrum = FIREFLY) -> Band:
    """A band filter, rectangular from centre - width/2 to centre + width/2 [nm], in pieces of at most 10 nm.

    ``transmission`` is the filter's own, 1 where radiance is already corrected for it. Raises `InputError` ``filter_invalid`` for a width
    or transmission that is not positive, or a band that is not within 500 to 720 nm.

    >>> filter_band("620", 620, 20).wavelengths_nm
    (615.0, 625.0)
    """
    low, high = centre_nm - width_nm / 2, centre_nm + width_nm / 2
    if not (width_nm > 0 and transmission > 0 and low >= SHORTEST_NM and high <= LONGEST_NM):
        found = f"{centre_nm:g} nm ± {width_nm / 2:g} nm, transmission {transmission:g}"
        expected = f"within {SHORTEST_NM:g} to {LONGEST_NM:g} nm, width and transmission > 0"
        raise InputError("filter_invalid", "this filter cannot be used", found=found, expected=expected)
    return _band(name, low, high, 10.0, transmission, spectrum)


def open_band(spectrum: Spectrum = FIREFLY, name: str = "Open") -> Band:
    """No filter: all that is emitted from 500 to 720 nm; the rest (0.6 % of firefly's photons) counts as lost.

    >>> round(sum(open_band().shares), 2)
    0.99
    """
    # Below 580 nm nothing arrives but from the skin: coarse pieces do.
    return _joined(name, _band(name, SHORTEST_NM, 580.0, 40.0, 1.0, spectrum), _band(name, 580.0, LONGEST_NM, 20.0, 1.0, spectrum))


def _band(name: str, low: float, high: float, piece_nm: float, transmission: float, spectrum: Spectrum) -> Band:
    edges = np.linspace(low, high, math.ceil((high - low) / piece_nm - 1e-9) + 1)
    shares = tuple(transmission * share_between(float(a), float(b), spectrum) for a, b in pairwise(edges))
    return Band(name, tuple(float(m) for m in (edges[:-1] + edges[1:]) / 2), shares)


def _joined(name: str, one: Band, two: Band) -> Band:
    return Band(name, one.wavelengths_nm + two.wavelengths_nm, one.shares + two.shares)
