"""How an image is taken and what its folder is to say: camera, exposure, and every trap a real folder may hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

# Columns of the camera's chip, and of the photograph.
CHIP, PHOTOGRAPH = 1920, 960
# Shelf -> field of view [cm]; photons/s/cm²/sr for one unbinned count/s at f/1.
SHELVES: dict[str, tuple[float, float]] = {"A": (3.9, 9.461e5), "B": (6.5, 8.517e5), "C": (12.5, 7.689e5), "D": (22.4, 7.223e5)}
# How much less light comes through a stop than at f/1.
STOPS: dict[int, float] = {1: 1.0, 2: 3.921, 4: 15.64, 8: 61.83}
# Shelf -> k0..k4 of the flat field, and its middle x0, y0 [cm]: y0 counts upwards, against the rows of the image.
FLATS: dict[str, tuple[float, ...]] = {
    "A": (1.0, 0.0008, -2.1e-3, 0.0, 0.0, 0.05, -0.07),
    "B": (1.0, 0.0011, -1.9e-3, 1e-5, 0.0, 0.11, -0.13),
    "C": (1.0, 0.0009, -1.6e-3, 2e-5, -1.2e-6, 0.22, -0.31),
    "D": (1.0, 0.0012, -1.1e-3, 2e-5, -1.1e-6, 0.35, -0.48),
}
BINNINGS = (1, 2, 4, 8, 16)
# What a file of a folder looks like after it was saved anew by another program.
RESAVED = 65534


@dataclass(frozen=True, slots=True)
class Camera:
    """Setting and electronics: ``shelf`` A to D, ``f_number``, ``binning``, ``exposure_s``.

    ``electrons_per_count``: None for no shot noise; ``read_noise_electrons`` of a binned pixel. ``bias_level`` [counts] with a slope over
    the chip of ``bias_slope`` from side to side; ``dark_counts_per_s`` of a binned pixel; ``clip_counts``: no pixel holds more.
    ``cosmic_hits``: how many pixels are hit.
    """

    shelf: str = "D"
    f_number: int = 1
    binning: int = 8
    exposure_s: float = 40.0
    electrons_per_count: float | None = 1.6
    read_noise_electrons: float = 6.0
    bias_level: float = 412.0
    bias_slope: float = 6.0
    dark_counts_per_s: float = 0.02
    clip_counts: int = 61000
    cosmic_hits: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for value, known in ((self.shelf, tuple(SHELVES)), (self.f_number, tuple(STOPS)), (self.binning, BINNINGS)):
            if value not in known:
                raise ValueError(f"{value!r} is not one of {known}")


@dataclass(frozen=True, slots=True)
class VendorRoi:
    """A region as the vendor's program stores it, here in mm from the top left corner of the image: middle, width, height, angle.

    ``shape``: Circle, Square, Contour, Grid. ``label`` and ``subject`` are often empty.
    """

    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float
    shape: str = "Circle"
    angle_deg: float = 0.0
    label: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ClickOptions:
    """What a click folder says and which of its files are there or spoilt.

    ``emission``: Open or nm; ``excitation``: Block for bioluminescence; ``transmission``: of all filters, which weakens filtered images.
    ``newline``, ``encoding`` of the text files. ``exposure_unit``: sec, min or msec, which the number is then in.
    ``analyzed``: the second text file with ``rois`` is there. ``corrected``: the vendor's corrected image is there, warped by
    ``warp_mm``. ``bias_files``, ``dark_file``: "good", "missing", "constant" (65534). ``dark_multiplier``,
    ``bias_multiplier``: what stored frames were multiplied with. ``dark_holds_bias``: the dark frame was not freed of its bias.
    ``user``, ``comment``: people's names that must not leave the reader; ``animal_numbers``, ``experiment``, ``luciferin_time``: too.
    ``with_flat``, ``with_coefficients``: false leaves them out of the text. ``photograph``: false leaves it out.
    ``byteorder``: "<" or ">" of the image files. ``dark_s``: exposure of the dark frame.
    """

    start: datetime = datetime(2026, 3, 2, 10, 10)
    emission: str = "Open"
    excitation: str = "Block"
    transmission: float = 1.0
    newline: str = "\r\n"
    encoding: str = "latin-1"
    exposure_unit: str = "sec"
    analyzed: bool = True
    rois: tuple[VendorRoi, ...] = ()
    corrected: bool = False
    warp_mm: float = 0.6
    bias_files: str = "good"
    dark_file: str = "good"
    dark_multiplier: int = 10
    bias_multiplier: int = 1
    dark_holds_bias: bool = False
    dark_s: float = 60.0
    user: str = "Mme. Élodie Exemple"
    comment: str = "Untersuchung: J. Müßig"
    experiment: str = "digital"
    animal_numbers: str = ""
    luciferin_time: str = ""
    with_flat: bool = True
    with_coefficients: bool = True
    photograph: bool = True
    byteorder: Literal["<", ">"] = "<"

    def __post_init__(self) -> None:
        kept = ("good", "missing", "constant")
        for value, known in ((self.bias_files, kept), (self.dark_file, kept), (self.exposure_unit, ("sec", "min", "msec"))):
            if value not in known:
                raise ValueError(f"{value!r} is not one of {known}")


def coefficient(camera: Camera) -> float:
    """Radiance [photons/s/cm²/sr] of one unbinned count per second."""
    return SHELVES[camera.shelf][1] * STOPS[camera.f_number]


def fov_mm(camera: Camera) -> float:
    """Width of the field of view [mm]."""
    return SHELVES[camera.shelf][0] * 10.0


def columns(camera: Camera) -> int:
    """Pixels across an image of this binning."""
    return CHIP // camera.binning


def counts_per_radiance(camera: Camera) -> float:
    """Counts in a binned pixel in the middle of the field for a radiance of 1 photon/s/cm²/sr: t b² / C."""
    return camera.exposure_s * camera.binning**2 / coefficient(camera)
