"""The animal's organs as they lie under the camera: its own map, or an atlas laid along its outline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.atlas import read_atlas
from tracker.bli.matching import match_animals
from tracker.bli.pose import Lying, pose_body
from tracker.bli.surface import Body
from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap, Quantity, voxel_size_mm, voxel_volume_ml
from tracker.nifti.objects import beside
from tracker.study.model import Context

# Share of the outline that an animal's own map must lie on: a map in other coordinates lies beside it or across it.
_LEAST_COVERED = 0.5


@dataclass(frozen=True, slots=True)
class Inside:
    """``body``: organs in camera coordinates; ``volume_ml`` of each by name; ``method``: own map or atlas; and what was noted."""

    body: Body
    volume_ml: dict[str, float]
    method: str
    findings: tuple[Finding, ...]


def organs_inside(quantity: Quantity, context: Context) -> Inside:
    """The organs under the skin, in the camera's coordinates (x right, y down from the image's top left corner [mm]).

    From the label map that the acquisitions sheet names, which then is in the scan's own space (z away from the camera: with x right and
    y down that makes a right-handed frame, as NIfTI has it); else from the config's atlas, laid along the outline of the animal on the
    photograph with the posture the config states. An organ's border is as wrong as the map is.
    Raises `InputError`: ``depth_needs_organs`` with neither, ``posture_missing``, ``organs_not_under_animal``, and those of
    `match_animals`, `read_atlas` and `pose_body`.
    """
    silhouette = match_animals(quantity, context)
    if context.acquisition.organs is not None:
        return _own(context, silhouette.silhouette, quantity.grid)
    atlas = context.organs.atlas_labels, context.organs.atlas_names
    if atlas[0] is None or atlas[1] is None:
        what, do = "organs behind one another are told apart by where they lie, and nothing says so", "set organs: atlas in the config"
        raise InputError("depth_needs_organs", what, found="no organ map and no atlas", expected="one of them", do=f"{do}, or depth: none")
    posture = context.constants.get("posture")
    if posture is None:
        what = "an atlas must be laid on its back or its belly, and a photograph does not tell which"
        raise InputError("posture_missing", what, expected="bli.posture: prone or supine", do="say how animals lie under the camera")
    weight_g = context.acquisition.body_weight_g or context.subject.body_weight_g
    lying = Lying(posture, weight_g, str(context.constants.get("head", "")))
    posed = pose_body(read_atlas(atlas[0], atlas[1]).organ_map, silhouette.silhouette, quantity.grid, lying)
    body = Body(posed.labels, posed.names, posed.grid)
    return Inside(body, _volumes_ml(body), "atlas under the camera", posed.findings)


def _own(context: Context, silhouette: np.ndarray, grid: Grid) -> Inside:
    labels = context.acquisition.organs
    if labels is None:
        raise TypeError("no organ map")
    found = read_atlas(labels, beside(labels, ".tsv")).organ_map
    body = _in_camera_axes(found, labels.name)
    shadow = np.zeros(grid.shape[1:], bool)
    z, y, x = np.nonzero(body.labels > 0)
    points = body.grid.affine[:3, :3] @ np.stack([x, y, z]).astype(float) + body.grid.affine[:3, 3:]
    column, row = (np.rint((points[a] - grid.affine[a, 3]) / grid.affine[a, a]).astype(int) for a in (0, 1))
    inside = (column >= 0) & (column < shadow.shape[1]) & (row >= 0) & (row < shadow.shape[0])
    shadow[row[inside], column[inside]] = True
    covered = float((shadow & silhouette).sum()) / max(int(silhouette.sum()), 1)
    if covered < _LEAST_COVERED:
        raise InputError(
            "organs_not_under_animal",
            "the organ map does not lie where the photograph shows the animal",
            found=f"{covered:.0%} of the outline",
            expected=f"at least {_LEAST_COVERED:.0%}",
            where=labels.name,
            do="give the map in the scan's own space (x right and y down from the image's top left corner, z away from the camera)",
        )
    text = Finding("organs_under_camera", "ok", f"the animal's own organ map covers {covered:.0%} of its outline")
    return Inside(body, _volumes_ml(body), "own organs under the camera", (text,))


def _in_camera_axes(found: OrganMap, name: str) -> Body:
    """The map with its axes along the camera's; `InputError` for one that is oblique to them."""
    turn = found.grid.affine[:3, :3] / np.array(voxel_size_mm(found.grid)[::-1])
    whole = np.rint(turn)
    if np.abs(turn - whole).max() > 1e-3 or not (np.abs(whole).sum(axis=0) == 1).all():
        what, do = "the organ map is oblique to the camera", "resample it to axes along the image"
        raise InputError("organs_oblique", what, found=turn.round(3).tolist(), expected="axes along x, y, z", where=name, do=do)
    # Array axis (2 - k) runs along world axis order[k].
    order = np.abs(whole).argmax(axis=0)
    labels = np.asarray(found.labels).transpose([2 - int(np.flatnonzero(order == axis)[0]) for axis in (2, 1, 0)])
    columns = [int(np.flatnonzero(order == axis)[0]) for axis in (0, 1, 2)]
    affine = np.eye(4)
    affine[:3, :3] = np.diag([found.grid.affine[axis, columns[axis]] for axis in (0, 1, 2)])
    affine[:3, 3] = found.grid.affine[:3, 3]
    return Body(labels, found.names, Grid((labels.shape[0], labels.shape[1], labels.shape[2]), affine), up=-1)


def _volumes_ml(body: Body) -> dict[str, float]:
    counts = np.bincount(np.asarray(body.labels, np.int64).ravel(), minlength=max(body.names) + 1)
    voxel_ml = voxel_volume_ml(body.grid)
    return {name: float(counts[index]) * voxel_ml for index, name in body.names.items() if counts[index]}
