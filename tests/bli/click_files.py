"""Click folders as a camera writes them, for tests of the reader: text by hand, counts from a radiance by the formula run forwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from tifffile import imwrite

from tracker.errors import Finding
from tracker.study.model import Context, Corrections, Organs
from tracker.study.rows import Acquisition, Dose, Label, Subject

START = datetime(2026, 3, 2, 11, 0, 5)
# A real camera's at 22.4 cm and f/1; the others are made up.
C = {(22.4, 1): 7.223e5, (22.4, 2): 2.9e6, (12.5, 1): 6.6e5, (12.5, 4): 2.213e7}
K = (1.0, 0.0, -2e-3, 0.0, 1e-6)
X0, Y0 = 0.4, -0.8
NAMES = (
    "Xavier Quillfeather",
    "Zoltan Umlautski",
    "Brunhilde Oakensworth",
    "Prof. Mbekwezibambe",
    "QFW_private_remark",
    "Kiskunfélegyházi",
)


@dataclass(frozen=True)
class Click:
    """One click folder: its settings, what to write and what to leave out. ``keys`` replaces values of the luminescent block (None: no
    such line)."""

    fov: float = 22.4
    f: float = 1
    binning: int = 8
    exposure_s: float = 40.0
    start: datetime = START
    emission: str = "Open"
    excitation: str = "Block"
    bias: float = 400.0
    dark: float = 3.0
    dark_exposure_s: float = 80.0
    dark_multiplier: int = 10
    dark_with_bias: bool = False
    gain: float = 1.2
    read_noise: float = 3.0
    multiplier: int = 1
    saturation: float | None = 61000
    seed: int = 1
    noise: bool = True
    bias_file: str = "readbiasonly"
    files: tuple[str, ...] = ("luminescent", "bias", "background", "photograph")
    corrected: np.ndarray | None = None
    corrected_words: str = "Radiance (Photons)"
    camera: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    rois: tuple[str, ...] = ()
    hits: tuple[tuple[int, int, float], ...] = ()
    eol: str = "\r\n"
    encoding: str = "latin-1"
    extra: str = ""
    graph: Mapping[str, str] = field(default_factory=dict)


def spots(shape: tuple[int, int], places: Iterable[tuple[float, float, float, float]], background: float = 0.0) -> np.ndarray:
    """Radiance (ny, nx): Gaussian spots (row, column, sd [pixels], peak) on a flat background."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.full(shape, background, float)
    for row, column, sd, peak in places:
        image += peak * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * sd**2))
    return image


def flat_by_hand(shape: tuple[int, int], fov: float) -> np.ndarray:
    """The flat field pixel by pixel: y0 counts upwards."""
    flat = np.empty(shape)
    px = fov / shape[1]
    for i in range(shape[0]):
        for j in range(shape[1]):
            x, up = (j + 0.5) * px - fov / 2, shape[0] * px / 2 - (i + 0.5) * px
            r = np.sqrt((x - X0) ** 2 + (up - Y0) ** 2)
            flat[i, j] = K[0] + K[1] * r + K[2] * r**2 + K[3] * r**3 + K[4] * r**4
    return flat


def counts_of(radiance: np.ndarray, click: Click) -> np.ndarray:
    """What the sensor counts (ny, nx), noise included, before it is stored."""
    light = radiance * click.exposure_s * click.binning**2 / C[click.fov, click.f] * flat_by_hand(radiance.shape, click.fov)
    dark = click.dark * click.exposure_s / click.dark_exposure_s
    rng = np.random.default_rng(click.seed)
    if click.noise:
        electrons = rng.poisson(np.maximum(light + dark, 0) * click.gain)
        counts = electrons / click.gain + rng.normal(0, click.read_noise, radiance.shape)
    else:
        counts = light + dark
    for row, column, height in click.hits:
        counts[row, column] += height
    return counts + click.bias


def write_click(folder: Path, radiance: np.ndarray, click: Click | None = None, **more: Any) -> Path:
    """Writes one click folder of this radiance [photons/s/cm2/sr] and gives its path."""
    click = replace(click or Click(), **more)
    folder.mkdir(parents=True)
    shape = radiance.shape
    rng = np.random.default_rng(click.seed + 1000)
    if "luminescent" in click.files:
        stored = np.clip(np.round(counts_of(radiance, click) * click.multiplier), 0, 65535)
        imwrite(folder / "luminescent.TIF", stored.astype(np.uint16))
    if "bias" in click.files:
        bias = click.bias + (rng.normal(0, click.read_noise, shape) if click.noise else 0)
        imwrite(folder / f"{click.bias_file}.TIF", np.round(bias * np.ones(shape)).astype(np.uint16))
    if "background" in click.files:
        dark = click.dark + (click.bias if click.dark_with_bias else 0) + (rng.normal(0, 0.3, shape) if click.noise else 0)
        stored = np.clip(np.round(dark * np.ones(shape) * click.dark_multiplier), 0, 65535)
        imwrite(folder / "background.TIF", stored.astype(np.uint16))
    if "photograph" in click.files:
        imwrite(folder / "photograph.TIF", np.kron(np.arange(shape[0] * shape[1]).reshape(shape) % 199, np.ones((4, 4))).astype(np.uint16))
    if click.corrected is not None:
        imwrite(folder / "luminescentFloatCorrected.TIF", click.corrected.astype(np.float32))
    (folder / "ClickInfo.txt").write_bytes(click.eol.join(info_lines(click)).encode(click.encoding))
    if click.rois or click.labels:
        (folder / "AnalyzedClickInfo.txt").write_bytes(click.eol.join(analysed_lines(click)).encode(click.encoding))
    return folder


def _block(name: str, file: str, keys: Mapping[str, str | None]) -> list[str]:
    return [f"*** {name}:\t{file}", *(f"{k}:\t{v}" for k, v in keys.items() if v is not None), ""]


def luminescent_keys(click: Click) -> dict[str, str | None]:
    seconds = (click.start - datetime(1904, 1, 1)) / timedelta(seconds=1)
    keys: dict[str, str | None] = {
        "Acquisition Date": click.start.strftime("%A, %B %d, %Y"),
        "Acquisition Time": click.start.strftime("%H:%M:%S"),
        "Acquisition Seconds": f"{seconds:.0f}",
        "Binning Factor": str(click.binning),
        "Luminescent Exposure (Seconds)": f"{click.exposure_s:g}",
        "Luminescent Exposure Units": "sec",
        "f Number": f"{click.f:g}",
        "Field of View": f"{click.fov:g}",
        "Read Bias Level": f"{click.bias:g}",
        "Emission filter": click.emission,
        "Excitation filter": click.excitation,
        "Cosmic": "0",
        "Background Corrected": "0",
        "Flat Field Corrected": "0",
    }
    if click.multiplier != 1:
        keys["Data Multiplier"] = str(click.multiplier)
    return keys | dict(click.keys)


def info_lines(click: Click) -> list[str]:
    """The lines of ClickInfo.txt."""
    camera: dict[str, str] = {"Camera System ID": "IVS123", "Camera Temperature": "-90"}
    if click.saturation is not None:
        camera["CCD Saturation Level"] = f"{click.saturation:g}"
    lines = ["###########", "# Living Image", *_block("ClickNumber", "XQ20260302110005", {"Living Image Version": "4.5"})]
    if "no block" not in click.files:
        lines += _block("luminescent image", "luminescent.TIF", luminescent_keys(click))
    if click.corrected is not None:
        own = {"Intensity Calibration": click.corrected_words} if click.corrected_words else {}
        lines += _block("luminescent float corrected image", "luminescentFloatCorrected.TIF", {"Binning Factor": str(click.binning), **own})
    lines += _block(f"{click.bias_file} image", f"{click.bias_file}.TIF", {"Binning Factor": str(click.binning), "Data Multiplier": "1"})
    lines += _block(
        "background image",
        "background.TIF",
        {
            "Data Multiplier": str(click.dark_multiplier),
            "Background Exposure (Seconds)": f"{click.dark_exposure_s:g}",
            "Binning Factor": str(click.binning),
        },
    )
    lines += _block("photographic image", "photograph.TIF", {"Binning Factor": "2", "Field of View": f"{click.fov:g}", "f Number": "8"})
    people = ("User", "Group", "Experiment", "Comment1", "Comment2", "Animal Number")
    lines += _block("User Label Name Set", "Living Image Universal", dict(zip(people, NAMES, strict=True)) | {"Luc Injection Time": ""})
    lines += _block("Camera System Info", "", camera | dict(click.camera))
    lines += ["# unit of the following: p/sec/cm2/sr"]
    lines += [f"Coef C-ccd at FOV {fov:g}, f{f:g}:\t{c:.4E}" for (fov, f), c in C.items()]
    for letter, fov in (("C", 12.5), ("D", 22.4)):
        lines += [f"Shelf Position {letter} FOV:\t{fov:g}"]
        lines += [
            f"Shelf Position {letter} FF5 f/{f:g} Coefs: k0,k1,k2,k3,k4,x0,y0:\t" + ",".join(f"{v:.6g}" for v in (*K, X0, Y0))
            for f in (1, 2, 4)
        ]
    lines += ["Spectral Filter 600:\t600, 20, 0.85, 0.9", "Spectral Filter 620:\t620, 20, 0.87, 0.9"]
    if click.graph:
        lines += _block("Graph Controls", "", dict(click.graph))
    return lines + ([click.extra] if click.extra else [])


def analysed_lines(click: Click) -> list[str]:
    """The lines of AnalyzedClickInfo.txt: the image's block again, labels typed later, regions."""
    lines = _block("luminescent image", "luminescent.TIF", luminescent_keys(click))
    lines += _block("User Label Name Set", "Living Image Universal", {"User": NAMES[0], "Comment1": NAMES[4], **click.labels})
    return [*lines, f"*** ROIs:\t{len(click.rois)} ROIs for this Click", *click.rois]


def roi_line(number: int, shape: str, x: float, y: float, w: float, h: float, label: str = "", more: str = "") -> str:
    """A region as the vendor writes it; lengths in its own pixels, 1920 across 22.4 cm."""
    return (
        f"ROI {number}:zColorIndex=1;ROI Type=Measurement;ColorTable=BlueRedGreen;Subject ROI=_none_;Subject ID={NAMES[1]};"
        f"Subject Label={NAMES[2]};Bkg ROI=_none_;LineSize=2.000000;Locked=0;PositionLocked=0;Shape={shape};Xc={x:.6f};Yc={y:.6f};"
        f"Width={w:.6f};Height={h:.6f};Angle=0.0000;{more}Label={label};cm per pixel=0.011666667;ROIColor=16711680;"
    )


def context_of(path: Path, **more: Any) -> Context:
    """What the stages know of one scan; ``more``: constants, acquired, luciferin, series, and fields of the subject."""
    given: dict[str, Any] = {"constants": {}, "acquired": None, "luciferin": START - timedelta(minutes=10), "series": ""} | more
    row = Acquisition(
        "m1", "d0", "bli", path, "m1_d0", label="luc", series=given["series"], acquired=given["acquired"], luciferin_time=given["luciferin"]
    )
    dose = Dose("m1", START - timedelta(days=1), "luc", 1e6, "iv")
    label = Label("luc", "reporter")
    return Context("study", row, Subject("m1", "mouse", 25.0), (dose,), label, dose.dose_time, given["constants"], Organs(), Corrections())


def statuses(findings: Iterable[Finding]) -> dict[str, str]:
    return {f.check: f.status for f in findings}


def reason(findings: Iterable[Finding], check: str) -> str:
    return "; ".join(f.reason for f in findings if f.check == check)


def flux(radiance: np.ndarray, fov: float) -> float:
    """Photons/s of an image (ny, nx): Σ L 4π a."""
    return float(np.nansum(radiance)) * 4 * np.pi * (fov / radiance.shape[1]) ** 2
