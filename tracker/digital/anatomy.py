"""CT and MR of a digital mouse in any pose, bent and at any weight, as DICOM: what organs are drawn on and registered by.

Shapes are those of `tracker.mouse`, looked up point by point through `Placement`: no image is resampled, and nothing is shared with
what reads and registers scans.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid

from tracker.digital import dicom as shared
from tracker.image import Grid, OrganMap
from tracker.mouse import ORGANS, inside, organ_shapes

# Numbers [HU] of the mouse's tissues after a contrast agent for liver and blood; air is -1000, fat under the skin -100.
HOUNSFIELD = {
    "brain": 35.0, "heart": 110.0, "lung_left": -600.0, "lung_right": -600.0, "liver": 160.0, "spleen": 190.0, "stomach": 20.0, "gut": 10.0,
    "kidney_left": 90.0, "kidney_right": 90.0, "bladder": 5.0, "bone": 700.0, "rest": 45.0, "fat": -100.0,
}  # fmt: skip
# Signal of a T1-weighted MR scan.
SIGNAL = {
    "brain": 550.0, "heart": 300.0, "lung_left": 60.0, "lung_right": 60.0, "liver": 700.0, "spleen": 420.0, "stomach": 260.0, "gut": 480.0,
    "kidney_left": 620.0, "kidney_right": 620.0, "bladder": 200.0, "bone": 120.0, "rest": 400.0, "fat": 950.0,
}  # fmt: skip
# Body fat lies in the outer part of the body: where the body scaled by this is left.
_SKIN = 0.93


@dataclass(frozen=True, slots=True)
class Placement:
    """How an animal lies in the scanner: turned, shifted, and bent by waves of ``bend_mm``; ``matrix`` 3 × 3 for flips and half turns.

    It takes scanner RAS+ [mm] to the mouse's own frame.
    """

    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bend_mm: float = 0.0
    phase: float = 0.0
    matrix: np.ndarray = field(default_factory=lambda: np.eye(3))


def to_body(pose: Placement, points_mm: np.ndarray) -> np.ndarray:
    """Points (3, …) of the scanner in the mouse's own frame [mm]."""
    from scipy.spatial.transform import Rotation

    turn = pose.matrix @ Rotation.from_euler("xyz", pose.turn_deg, degrees=True).as_matrix()
    x, y, z = np.tensordot(turn, points_mm - np.reshape(pose.shift_mm, (3, *(1,) * (points_mm.ndim - 1))), 1)
    b, f, t = pose.bend_mm, pose.phase, 2 * np.pi
    return np.stack([
        x + b * np.sin(t * z / 60 + f),
        y + 0.8 * b * np.sin(t * z / 55 + 1 + f),
        z + 0.9 * b * np.sin(t * x / 45 + 2 * f),
    ])  # fmt: skip


def grid_points(grid: Grid) -> np.ndarray:
    """RAS+ [mm] of every voxel, (3, z, y, x)."""
    k, j, i = np.indices(grid.shape, dtype=np.float64)
    return np.stack([row[0] * i + row[1] * j + row[2] * k + row[3] for row in grid.affine[:3]])


def posed_labels(weight_g: float, grid: Grid, pose: Placement) -> OrganMap:
    """The organ map of a posed mouse: each voxel has the organ at its centre."""
    return OrganMap(_labels(weight_g, to_body(pose, grid_points(grid))), dict(enumerate(ORGANS, start=1)), grid, method="phantom")


def _labels(weight_g: float, body_mm: np.ndarray) -> np.ndarray:
    shapes = organ_shapes(weight_g)
    labels = np.where(inside(shapes["body"], *body_mm), len(ORGANS), 0).astype(np.int16)
    for n, name in enumerate(ORGANS[:-1], start=1):
        labels[inside(shapes[name], *body_mm)] = n
    return labels


def posed_fractions(weight_g: float, grid: Grid, pose: Placement, oversample: int = 2) -> np.ndarray:
    """Which share of each voxel an organ fills, float32 (organ, z, y, x), by ``oversample``³ points a voxel."""
    out = np.zeros((len(ORGANS), *grid.shape), np.float32)
    points = grid_points(grid)
    steps = (np.arange(oversample) + 0.5) / oversample - 0.5
    for dx in steps:
        for dy in steps:
            for dz in steps:
                move = grid.affine[:3, :3] @ [dx, dy, dz]
                labels = _labels(weight_g, to_body(pose, points + move[:, None, None, None]))
                for n in range(len(ORGANS)):
                    out[n] += labels == n + 1
    return out / np.float32(oversample**3)


def anatomy_image(weight_g: float, grid: Grid, pose: Placement, tissue: dict[str, float], *, air: float = 0.0) -> np.ndarray:
    """The values (z, y, x) of a scan without blur and noise: ``tissue`` by organ, with ``fat`` under the skin; ``air`` outside."""
    body_mm = to_body(pose, grid_points(grid))
    labels = _labels(weight_g, body_mm)
    image = np.array([air, *(tissue[name] for name in ORGANS)])[labels]
    skin = (labels == len(ORGANS)) & ~inside(organ_shapes(weight_g)["body"], *(body_mm / _SKIN))
    image[skin] = tissue["fat"]
    return np.asarray(image, np.float64)


@dataclass(frozen=True, slots=True)
class AnatomyScan:
    """How an anatomical scan is made and what its header says: ``modality`` CT or MR, ``blur_mm`` (sd) and ``noise`` (sd, in its unit).

    ``frame`` is the frame of reference UID; ``bed``: the animal lies on a curved plate of plastic.
    """

    modality: str = "CT"
    start: datetime = datetime(2026, 3, 2, 10, 0)
    frame: str = ""
    blur_mm: float = 0.5
    noise: float = 30.0
    seed: int = 0
    bed: bool = True


def scanned(weight_g: float, grid: Grid, pose: Placement, how: AnatomyScan) -> np.ndarray:
    """What the scanner gives (z, y, x): HU, or MR magnitude with Rician noise."""
    from scipy.ndimage import gaussian_filter

    is_ct = how.modality == "CT"
    image = anatomy_image(weight_g, grid, pose, HOUNSFIELD if is_ct else SIGNAL, air=-1000.0 if is_ct else 0.0)
    if how.bed and is_ct:
        _, y, _ = points = grid_points(grid)
        radius = np.hypot(points[0], y + 4.0)
        # Below the animal's belly (it lies prone), one millimetre thick, in the scanner's frame.
        image[(np.abs(radius - 19.0) < 0.6) & (y > 8.0)] = 60.0
    size = np.linalg.norm(grid.affine[:3, :3], axis=0)[::-1]
    image = gaussian_filter(image, how.blur_mm / size)
    rng = np.random.default_rng(how.seed)
    one = image + how.noise * rng.standard_normal(image.shape)
    return np.asarray(one if is_ct else np.hypot(one, how.noise * rng.standard_normal(image.shape)))


def write_anatomy(folder: Path, values: np.ndarray, grid: Grid, how: AnatomyScan, edit: Any = None) -> tuple[Path, ...]:
    """A classic series of ``values`` (z, y, x) in ``folder``, one file a slice; ``edit`` is called with every data set and its slice."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for z in range(grid.shape[0]):
        ds = _slice(values, grid, how, z)
        if edit is not None:
            edit(ds, z)
        paths.append(shared.save(ds, folder / f"{how.modality.lower()}{z:04d}.dcm"))
    return tuple(paths)


def _uid(how: AnatomyScan, *what: object) -> str:
    return str(generate_uid(entropy_srcs=[how.modality, how.start.isoformat(), str(how.seed), how.frame, *map(str, what)]))


def _slice(values: np.ndarray, grid: Grid, how: AnatomyScan, z: int) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage if how.modality == "CT" else MRImageStorage
    ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID = _uid(how, "file", z), _uid(how, "series"), _uid(how, "study")
    ds.FrameOfReferenceUID = how.frame or _uid(how, "frame")
    ds.PatientName = ds.PatientID = "phantom"
    ds.Modality, ds.Manufacturer = how.modality, "Digital Phantom"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if how.modality == "CT" else "M"]
    ds.SeriesNumber, ds.InstanceNumber = 7, z + 1
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = shared.date_da(how.start)
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = shared.time_tm(how.start)
    ds.PatientPosition = "HFP"
    spacing, slice_mm = shared.spacing_mm(grid)
    ds.PixelSpacing, ds.SliceThickness = spacing, slice_mm
    ds.ImageOrientationPatient, ds.ImagePositionPatient = shared.orientation_lps(grid), shared.position_lps(grid, z)
    ds.Rows, ds.Columns = grid.shape[1], grid.shape[2]
    intercept = -1024.0 if how.modality == "CT" else 0.0
    if how.modality == "CT":
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "-1024", "HU"
    shared.add_pixels(ds, np.clip(np.rint(values[z] - intercept), 0, 32767).astype("<i2"))
    return ds


def wide_grid(voxel_mm: float, *, size_mm: tuple[float, float, float] = (116.0, 40.0, 44.0), frame: str = "") -> Grid:
    """A grid of cubic voxels about the origin, ``size_mm`` along z, y, x, its axes as a DICOM axial series has them."""
    nz, ny, nx = (round(s / voxel_mm) for s in size_mm)
    affine = np.diag([-voxel_mm, -voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = voxel_mm / 2 * np.array([nx - 1, ny - 1, 1 - nz])
    return Grid((nz, ny, nx), affine, frame)
