"""An atlas as classes of tissue that each look alike: what a scan of it would show, first by guess, then as the scan itself has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracker.atlas.objects import Atlas
from tracker.atlas.tissues import AIR, BODY, SOFT, Tissue, tissue_of
from tracker.errors import Finding
from tracker.image import Grid, voxel_size_mm
from tracker.register.pyramid import picture
from tracker.register.transform import index_matrix

# Into how many steps of its own brightness the unnamed part of an atlas with an image is cut.
_STEPS = 6
# Muscle and skin around the organs, where an atlas has no body of its own [mm].
_SKIN_MM, _HULL_STEP_MM = 2.0, 0.8
# Voxels of a class fewer than this, or less than this share of it, say nothing of its middle.
_LEAST, _LEAST_SHARE = 8, 0.02
# How far a thin organ may lie beside its place before anything is bent [voxels].
_ASTRAY = 2


@dataclass(frozen=True, slots=True)
class Classes:
    """``labels`` (z, y, x) uint16 class of every voxel of the atlas on ``grid``, 0 is air; ``tissues`` of the classes by index.

    ``image`` (z, y, x) float32 what the atlas would look like, by guess or by its own intensities; ``bright`` whether bone is the
    brightest (True), the darkest (False) or not known to be either (None); ``filled`` whether the body had to be made up.
    """

    labels: np.ndarray
    grid: Grid
    tissues: tuple[Tissue, ...]
    image: np.ndarray
    bright: bool | None
    filled: bool


def classes_of(atlas: Atlas, contrast: str) -> tuple[Classes, tuple[Finding, ...]]:
    """The classes of an atlas for a scan of that contrast (ct, mr or other), and a finding for names that no word is known of.

    Every named organ is a class. Where the atlas has no body around its organs, their convex hull and 2 mm more are taken for it.
    Where it has an image, unnamed voxels and the body are cut into steps of brightness, so that bones or fat without a label count.
    """
    names = atlas.organ_map.names
    known = {index: tissue_of(name) for index, name in names.items()}
    labels = atlas.organ_map.labels.astype(np.uint16)
    tissues = [AIR] * (max([*names, int(labels.max(initial=0))]) + 1)
    for index, tissue in known.items():
        tissues[index] = tissue or SOFT
    unknown = sorted(names[index] for index, tissue in known.items() if tissue is None)
    what = f"no tissue is known for {', '.join(unknown)}: taken for soft tissue" if unknown else "every organ's tissue is known by its name"
    bare = not any(tissue is not None and tissue.kind == "body" for tissue in known.values())
    filled = bare and atlas.values is None
    labels = _with_body(labels, tissues, atlas.organ_map.grid) if filled else labels
    if atlas.values is not None:
        labels = _stepped(labels, tissues, atlas, bare)
        image = np.nan_to_num(np.asarray(atlas.values, np.float32), nan=float(np.nanmin(atlas.values)))
    else:
        image = np.array([t.ct_hu if contrast == "ct" else t.mr for t in tissues], np.float32)[labels]
    bright = {"ct": True, "mr": False}.get(contrast)
    made = Classes(labels, atlas.organ_map.grid, tuple(tissues), image, bright, filled)
    return made, (Finding("atlas_tissues", "warn" if unknown else "ok", what),)


def _with_body(labels: np.ndarray, tissues: list[Tissue], grid: Grid) -> np.ndarray:
    """The labels with one more, the body: what lies in the convex hull of the organs or within 2 mm of it, to half a millimetre."""
    step = [max(round(_HULL_STEP_MM / size), 1) for size in voxel_size_mm(grid)]
    coarse = _in_hull(labels[:: step[0], :: step[1], :: step[2]] > 0, index_matrix(grid)[:3, :3] * step)
    for axis, times in enumerate(step):
        coarse = np.repeat(coarse, times, axis=axis)
    whole = coarse[: labels.shape[0], : labels.shape[1], : labels.shape[2]]
    tissues.append(BODY)
    return np.where(whole & (labels == 0), len(tissues) - 1, labels).astype(np.uint16)


def _in_hull(inside: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Voxels in the convex hull of those given, or within the skin's width of it; ``axes`` (3, 3) voxel index → [mm]."""
    from scipy.spatial import ConvexHull

    # A facet's outside is where a · p + d > 0.
    facets = ConvexHull(np.argwhere(inside) @ axes.T).equations
    _, keep = np.unique(facets.round(4), axis=0, return_index=True)
    normal, offset = (facets[keep, :3] @ axes).astype(np.float32), facets[keep, 3].astype(np.float32)
    y, x = np.indices(inside.shape[1:]).reshape(2, -1).astype(np.float32)
    # As the facets of one plane of voxels differ by z alone, the rest of the sum is done once.
    across = np.outer(normal[:, 1], y) + np.outer(normal[:, 2], x) + offset[:, None]
    planes = [(across + z * normal[:, :1]).max(axis=0).reshape(inside.shape[1:]) <= _SKIN_MM for z in range(inside.shape[0])]
    return np.stack(planes)


def _stepped(labels: np.ndarray, tissues: list[Tissue], atlas: Atlas, bare: bool) -> np.ndarray:
    """The body cut into steps of the atlas's own brightness, each a class; of a ``bare`` atlas the body is what is brighter than air."""
    if atlas.values is None:
        return labels
    values = np.asarray(atlas.values, np.float32)
    body = np.isin(labels, [i for i, tissue in enumerate(tissues) if tissue.kind == "body"])
    if bare:
        shown = picture(values, atlas.organ_map.grid, "atlas's")
        body |= (labels == 0) & (np.nan_to_num(shown.values) > shown.background)
    body &= np.isfinite(values)
    if not body.any():
        return labels
    low, high = np.quantile(values[body], (0.01, 0.99))
    out = labels.copy()
    out[body] = len(tissues) + np.digitize(values[body], np.linspace(low, high, _STEPS + 1)[1:-1])
    tissues.extend([BODY] * _STEPS)
    return out


def class_means(values: np.ndarray, labels: np.ndarray, classes: Classes, rough: bool) -> np.ndarray:
    """How bright each class (k,) is in a scan (z, y, x): the median of its voxels with none but their like around them.

    ``labels`` the classes as they now lie in the scan. While they lie ``rough``, thin dark or bright tissue (lung, bone) is read from as
    many of the darkest or brightest voxels around its place as it has; else a spine beside its place would be taken for muscle. A
    class that the scan does not show gets the body's brightness, so that it draws nothing.
    """
    known = np.isfinite(values)
    middle = _middle(labels)
    out = np.full(len(classes.tissues), np.nan)
    for index in np.unique(labels[known]).tolist():
        own = (labels == index) & known
        count = int(np.count_nonzero(own))
        dark = _dark(classes, index) if rough else None
        if dark is not None:
            near = np.sort(values[_grown(own) & known & (labels > 0)])
            out[index] = np.median(near[:count] if dark else near[-count:])
            continue
        core = own & middle
        out[index] = np.median(values[core if np.count_nonzero(core) >= max(_LEAST, _LEAST_SHARE * count) else own])
    shown = np.array([t.kind == "body" for t in classes.tissues]) & np.isfinite(out)
    some = shown if shown.any() else np.isfinite(out) & (np.arange(out.size) > 0)
    return np.where(np.isfinite(out), out, np.median(out[some]) if some.any() else 0.0)


def _dark(classes: Classes, index: int) -> bool | None:
    kind = classes.tissues[index].kind
    if classes.bright is None or kind not in ("lung", "bone"):
        return None
    return kind == "lung" or not classes.bright


def _middle(labels: np.ndarray) -> np.ndarray:
    """Voxels whose six neighbours have the same label."""
    out = np.ones(labels.shape, bool)
    for axis in range(3):
        same = np.diff(labels, axis=axis) == 0
        before, after = [(0, 0)] * 3, [(0, 0)] * 3
        before[axis], after[axis] = (1, 0), (0, 1)
        out &= np.pad(same, before, constant_values=True) & np.pad(same, after, constant_values=True)
    return out


def _grown(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, iterations=_ASTRAY))
