"""The text files of a click folder, line by line: blocks, keys and spellings of Living Image 4."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tracker.bli.phantom.optics import BAND_NM, WAVELENGTHS_NM
from tracker.bli.phantom.options import (
    CHIP,
    FLATS,
    SHELVES,
    STOPS,
    Camera,
    ClickOptions,
    VendorRoi,
    coefficient,
    fov_mm,
)

# Names of days and months must not follow the machine's language.
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
_EPOCH = datetime(1904, 1, 1)
_PER_SECOND = {"sec": 1.0, "min": 1.0 / 60.0, "msec": 1000.0}


def _line(key: str, value: object) -> str:
    return f"{key}:\t{value}"


def _date(moment: datetime) -> str:
    return f"{_DAYS[moment.weekday()]}, {_MONTHS[moment.month - 1]} {moment.day:02d}, {moment.year}"


def _moment(start: datetime) -> list[str]:
    return [
        _line("Acquisition Date", _date(start)),
        _line("Acquisition Time", start.strftime("%H:%M:%S")),
        _line("Acquisition Seconds", int((start - _EPOCH).total_seconds())),
    ]


def _luminescent(camera: Camera, options: ClickOptions) -> list[str]:
    return [
        _line("*** luminescent image", "luminescent.TIF"),
        *_moment(options.start),
        _line("Image Units", "counts"),
        _line("Binning Factor", camera.binning),
        _line("Luminescent Exposure (Seconds)", f"{camera.exposure_s * _PER_SECOND[options.exposure_unit]:.9g}"),
        _line("Luminescent Exposure Units", options.exposure_unit),
        _line("f Number", camera.f_number),
        _line("Field of View", f"{SHELVES[camera.shelf][0]:g}"),
        _line("Read Bias Level", f"{camera.bias_level:.1f}"),
        _line("Emission filter", options.emission),
        _line("Excitation filter", options.excitation),
        _line("Data Multiplier", 1),
        _line("Cosmic", 0),
        *(_line(f"{what} Corrected", 0) for what in ("Read Bias", "Dark Charge", "Flat Field", "Cosmic Ray")),
    ]


def _corrected(camera: Camera, options: ClickOptions) -> list[str]:
    return [
        _line("*** luminescentFloatCorrected image", "luminescentFloatCorrected.TIF"),
        *_moment(options.start),
        _line("Image Units", "photons/sec/cm^2/sr"),
        _line("Intensity Calibration", "Radiance (Photons)"),
        _line("Binning Factor", camera.binning),
        _line("Field of View", f"{SHELVES[camera.shelf][0]:g}"),
        *(_line(f"{what} Corrected", 1) for what in ("Read Bias", "Dark Charge", "Flat Field", "Cosmic Ray")),
    ]


def _electronics(camera: Camera, options: ClickOptions) -> list[str]:
    lines = []
    for name in ("readbiasonly", "readbias") if options.bias_files != "missing" else ():
        lines += [
            _line(f"*** {name} image", f"{name}.TIF"),
            _line("Binning Factor", camera.binning),
            _line("Read Bias Level", f"{camera.bias_level:.1f}"),
            _line("Demand Temperature", "-90.0"),
            _line("Measured Temperature", "-90.1"),
            _line("Data Multiplier", options.bias_multiplier),
        ]
    if options.dark_file != "missing":
        lines += [
            _line("*** background image", "background.TIF"),
            _line("Binning Factor", camera.binning),
            _line("Background Exposure (Seconds)", f"{options.dark_s:g}"),
            _line("Read Bias Subtracted", int(not options.dark_holds_bias)),
            _line("Data Multiplier", options.dark_multiplier),
        ]
    return lines


def _photograph(camera: Camera, options: ClickOptions) -> list[str]:
    return [
        _line("*** photograph image", "photograph.TIF"),
        *_moment(options.start),
        _line("Binning Factor", 2),
        _line("f Number", 8),
        _line("Field of View", f"{SHELVES[camera.shelf][0]:g}"),
        _line("Photographic Exposure (Seconds)", "0.2"),
    ]


def _system(options: ClickOptions) -> list[str]:
    lines = [
        "*** Camera System Info:",
        "# The numbers below belong to the camera and not to this image.",
        _line("Camera System", "Digital phantom"),
        _line("CCD Saturation Level", 61000),
        *(_line(f"Shelf Position {letter} FOV", f"{fov_cm:g}") for letter, (fov_cm, _) in SHELVES.items()),
    ]
    if options.with_coefficients:
        lines.append(_line("Coef C-ccd Units", "p/sec/cm2/sr"))
        lines += [
            _line(f"Coef C-ccd at FOV {fov_cm:g}, f{stop}", f"{factor * less:.6e}")
            for fov_cm, factor in SHELVES.values()
            for stop, less in STOPS.items()
        ]
    for letter in SHELVES if options.with_flat else ():
        numbers = ",".join(f"{k:.6g}" for k in FLATS[letter])
        lines += [_line(f"Shelf Position {letter} FF5 f/{stop} Coefs", numbers) for stop in STOPS]
    lines += [_line(f"Spectral Filter {nm}", f"{nm}, {BAND_NM:g}, {options.transmission:g}, 1") for nm in WAVELENGTHS_NM]
    return lines


def _labels(options: ClickOptions) -> list[str]:
    return [
        _line("*** User Label Name Set", "Living Image Universal"),
        _line("User", options.user),
        _line("Group", options.user.split()[-1] if options.user else ""),
        _line("Experiment", options.experiment),
        _line("Comment1", options.comment),
        _line("Comment2", ""),
        _line("Animal Number", options.animal_numbers),
        _line("Luc Injection Time", options.luciferin_time),
    ]


def _rois(camera: Camera, rois: Sequence[VendorRoi]) -> list[str]:
    """Regions in pixels of the chip from the image's top left corner."""
    cm_per_pixel = fov_mm(camera) / 10.0 / CHIP
    lines = ["*** ROIs:", _line("cm per pixel", f"{cm_per_pixel:.9g}")]
    for n, roi in enumerate(rois, start=1):
        pixels = [v / 10.0 / cm_per_pixel for v in (roi.x_mm, roi.y_mm, roi.width_mm, roi.height_mm)]
        numbers = ";".join(f"{key}={value:.6f}" for key, value in zip(("Xc", "Yc", "Width", "Height"), pixels, strict=True))
        ends = f"Angle={roi.angle_deg:g};Label={roi.label};Subject ID={roi.subject};cm per pixel={cm_per_pixel:.9g}"
        lines.append(f"ROI {n}:\tShape={roi.shape};{numbers};{ends}")
    return lines


def click_text(name: str, camera: Camera, options: ClickOptions) -> list[str]:
    """The lines of ``ClickInfo.txt``."""
    return [
        _line("*** ClickNumber", name),
        _line("ClickInfoType", "SingleClick"),
        *_labels(options),
        *_luminescent(camera, options),
        *(_corrected(camera, options) if options.corrected else ()),
        *_electronics(camera, options),
        *(_photograph(camera, options) if options.photograph else ()),
        *_system(options),
    ]


def analyzed_text(name: str, camera: Camera, options: ClickOptions) -> list[str]:
    """The lines of ``AnalyzedClickInfo.txt``: the same, what was drawn later, and how the picture was shown."""
    per_count = coefficient(camera) / (camera.exposure_s * camera.binning**2)
    lines = [line.replace("SingleClick", "SingleClickAnalysis") for line in click_text(name, camera, options)]
    shown = ["*** Graph Controls:", _line("Calibration Value Per Count", f"{per_count:.6e}")]
    return lines + shown + (_rois(camera, options.rois) if options.rois else [])


def sequence_text(name: str, clicks: Sequence[str]) -> list[str]:
    """The lines of ``SequenceInfo.txt``."""
    numbers = [_line(f"ClickNumber {n}", click) for n, click in enumerate(clicks, start=1)]
    return [_line("*** SequenceInfo", name), _line("Sequence", name), _line("Number of Clicks", len(clicks)), *numbers]
