"""How a mouse lies under the camera, and what the camera sees of it.

Camera frame [mm]: x to the right and y down from the image's top left corner, z away from the camera; the stage is z = 0, a body has z < 0.
The camera looks straight down from far away: no perspective, and of each column of the body only its top is seen. The skin shines as
Lambert's law has it, L = J / π, the same in all directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tracker.bli.phantom.body import Body
from tracker.image import Grid, OrganMap
from tracker.mouse import Superellipsoid, mouse_labels, organ_shapes

# Camera axes (rows: x, y, z) in the body's frame (columns: the animal's right, ventral, head), head up in the image.
_LIES = {
    "supine": np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]),
    "prone": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}
# Each pixel is looked at in this many points along each side: of the camera, and of the finer photograph.
_POINTS, _FEW = 5, 2


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the middle of the trunk lies [mm, camera frame], how far the animal is turned counter-clockwise as seen, and on which side.

    ``lies``: ``supine`` shows the belly, ``prone`` the back. At 0° the head is up in the image.
    """

    x_mm: float
    y_mm: float
    angle_deg: float = 0.0
    lies: str = "supine"

    def __post_init__(self) -> None:
        if self.lies not in _LIES:
            raise ValueError(f"{self.lies!r} is not one of {tuple(_LIES)}")


def _body_shape(body_weight_g: float) -> Superellipsoid:
    shape = organ_shapes(body_weight_g)["body"]
    if not isinstance(shape, Superellipsoid):
        raise TypeError("the body is not the shape this phantom knows")
    return shape


def camera_from_body(body_weight_g: float, pose: Pose) -> np.ndarray:
    """4 × 4, from the body's frame (`tracker.mouse`) [mm] to the camera's; the animal touches the stage.

    >>> (camera_from_body(25.0, Pose(100.0, 50.0)) @ [0, 0, 10, 1])[:2].tolist()
    [100.0, 40.0]
    """
    turn = math.radians(pose.angle_deg)
    in_plane = np.array([[math.cos(turn), math.sin(turn), 0.0], [-math.sin(turn), math.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    matrix = np.eye(4)
    matrix[:3, :3] = in_plane @ _LIES[pose.lies]
    matrix[:3, 3] = pose.x_mm, pose.y_mm, -_body_shape(body_weight_g).axes_mm[1]
    return matrix


def posed_labels(body_weight_g: float, pose: Pose, voxel_mm: float) -> OrganMap:
    """The animal's organs in the camera frame: voxels (z, y, x) whose affine gives mm in that frame, x and y along the image's.

    The first slice is the one nearest to the camera; the grid holds the whole animal.
    """
    to_camera = camera_from_body(body_weight_g, pose)
    half = np.abs(to_camera[:3, :3]) @ np.array(_body_shape(body_weight_g).axes_mm)
    nx, ny, nz = (2 * math.ceil(h / voxel_mm) + 3 for h in half)
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = to_camera[:3, 3] - voxel_mm * (np.array([nx, ny, nz]) - 1) / 2
    there = Grid((nz, ny, nx), affine)
    return replace(mouse_labels(body_weight_g, Grid(there.shape, np.linalg.inv(to_camera) @ affine)), grid=there)


@dataclass(frozen=True, slots=True)
class View:
    """The camera's pixels: ``columns`` × ``columns`` over a square of ``fov_mm``."""

    columns: int
    fov_mm: float


def pixel_cm2(view: View) -> float:
    """Area of a pixel [cm²]."""
    return (view.fov_mm / view.columns / 10.0) ** 2


def _points_mm(view: View, box: tuple[slice, slice], points: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y [mm] of the points that are looked at in a part of the image; they broadcast to (y, x)."""
    step = view.fov_mm / view.columns / points
    y, x = ((np.arange(s.start * points, s.stop * points) + 0.5) * step for s in box)
    return x[None, :], y[:, None]


def image_box(body_weight_g: float, pose: Pose, view: View) -> tuple[slice, slice]:
    """The rows and columns of the image that an animal may be seen in; what lies outside the image is cut off."""
    half = np.abs(camera_from_body(body_weight_g, pose)[:2, :3]) @ np.array(_body_shape(body_weight_g).axes_mm)
    per_mm = view.columns / view.fov_mm
    bounds = [
        (math.floor((c - h) * per_mm) - 1, math.ceil((c + h) * per_mm) + 1) for c, h in zip((pose.y_mm, pose.x_mm), half[::-1], strict=True)
    ]
    rows, columns = (slice(min(max(a, 0), view.columns), max(min(b, view.columns), 0)) for a, b in bounds)
    return rows, columns


def _body_plane_mm(pose: Pose, x_mm: np.ndarray, y_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The animal's right and head coordinates [mm] of points of the image."""
    turn, east = math.radians(pose.angle_deg), 1.0 if pose.lies == "prone" else -1.0
    right, down = x_mm - pose.x_mm, y_mm - pose.y_mm
    along = math.cos(turn) * right - math.sin(turn) * down
    return east * along, -(math.sin(turn) * right + math.cos(turn) * down)


def height_mm(body_weight_g: float, pose: Pose, x_mm: np.ndarray, y_mm: np.ndarray) -> np.ndarray:
    """Height of the skin over the middle of the body [mm] under points of the image; NaN beside the animal."""
    shape = _body_shape(body_weight_g)
    a, b, c = shape.axes_mm
    right, head = _body_plane_mm(pose, x_mm, y_mm)
    left = 1.0 - np.abs(right / a) ** shape.exponent - np.abs(head / c) ** shape.exponent
    return np.where(left >= 0, b * np.maximum(left, 0.0) ** (1.0 / shape.exponent), np.nan)


def _top(body: Body, outward: np.ndarray, lies: str) -> tuple[np.ndarray, np.ndarray]:
    """Flux at the uppermost voxel of each column (z, x), and which columns have one."""
    inside = body.labels > 0
    # The array's second axis runs to the animal's back: its first voxel is the most ventral.
    first = inside.argmax(axis=1) if lies == "supine" else inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    return np.take_along_axis(outward, first[:, None, :], axis=1)[:, 0, :], np.asarray(inside.any(axis=1))


def seen(body_weight_g: float, body: Body, outward: np.ndarray, pose: Pose, view: View) -> np.ndarray:
    """Radiance image (y, x) [photons/s/cm²/sr] of one animal from the flux through its skin, 0 beside it.

    ``outward`` (z, y, x) is from `light`, on the voxels of ``body`` (`mouse_body`). A pixel's value is the mean over its area.
    """
    from scipy.ndimage import map_coordinates

    image = np.zeros((view.columns, view.columns))
    box = image_box(body_weight_g, pose, view)
    x_mm, y_mm = _points_mm(view, box, _POINTS)
    right, head = _body_plane_mm(pose, x_mm, y_mm)
    affine = body.grid.affine
    at = np.stack(np.broadcast_arrays((head - affine[2, 3]) / affine[2, 2], (right - affine[0, 3]) / affine[0, 0]))
    flux, there = _top(body, outward, pose.lies)
    # Linear between columns of the body; where some are beside it, between the others.
    amount = map_coordinates(np.where(there, flux, 0.0), at, order=1)
    weight = map_coordinates(there.astype(float), at, order=1)
    over = ~np.isnan(height_mm(body_weight_g, pose, x_mm, y_mm)) & (weight > 0)
    per_mm2 = np.where(over, amount / np.where(over, weight, 1.0), 0.0) / math.pi
    rows, columns = (s.stop - s.start for s in box)
    image[box] = 100.0 * per_mm2.reshape(rows, _POINTS, columns, _POINTS).mean(axis=(1, 3))
    return image


def lit(body_weight_g: float, pose: Pose, view: View) -> np.ndarray:
    """How bright the animal is on a photograph (y, x): the cosine between its skin and the light from above, 0 beside it."""
    image = np.zeros((view.columns, view.columns))
    box = image_box(body_weight_g, pose, view)
    x_mm, y_mm = _points_mm(view, box, _FEW)
    step = 0.1
    high = height_mm(body_weight_g, pose, x_mm, y_mm)
    east = height_mm(body_weight_g, pose, x_mm + step, y_mm)
    south = height_mm(body_weight_g, pose, x_mm, y_mm + step)
    slope2 = ((east - high) / step) ** 2 + ((south - high) / step) ** 2
    bright = np.where(np.isnan(high), 0.0, 1.0 / np.sqrt(1.0 + np.nan_to_num(slope2, nan=25.0)))
    rows, columns = (s.stop - s.start for s in box)
    image[box] = bright.reshape(rows, _FEW, columns, _FEW).mean(axis=(1, 3))
    return image
