"""What is noted about a fit of an atlas."""

from __future__ import annotations

import numpy as np

from tracker.atlas.bend import Bent, seen
from tracker.atlas.classes import Classes
from tracker.errors import Finding, InputError
from tracker.image import voxel_volume_ml
from tracker.register import Quality, Transform, jacobian, mutual_information
from tracker.register.kernels import sample
from tracker.register.pyramid import Picture
from tracker.register.transform import index_matrix

# Mostly soft tissue with some fat and bone [g/mL].
BODY_G_PER_ML = 1.05
# Body volume by weight: fur, a tail or paws that the atlas has not and air in the lungs come to less than this.
WEIGHT_SHARE = 0.25
# Below this scan and atlas hardly know one another; fits that came out well have 0.8 and more.
LEAST_CORRELATION = 0.6
CUT_SHARE = 0.1
# What the darkest tenth of a CT in HU may have on average: air, with some plastic.
_HU_AIR = (-1100.0, -850.0)


def contrast_of(scan: Picture, contrast: str) -> tuple[str, Finding]:
    """The contrast to use, and a finding ``atlas_contrast``: a CT whose darkest voxels are not air's -1000 HU is not in HU."""
    known = scan.values[np.isfinite(scan.values)]
    if contrast != "ct" or not known.size:
        return contrast, Finding("atlas_contrast", "ok", f"contrast {contrast}: brightness of tissues read from the scan")
    # The mean of the darkest tenth: padding beyond the field of view is darker still and counts as air.
    darkest = float(np.maximum(known[known <= np.quantile(known, 0.1)], -1000.0).mean())
    if _HU_AIR[0] <= darkest <= _HU_AIR[1]:
        return "ct", Finding("atlas_contrast", "ok", f"CT in HU: the darkest tenth of the voxels have {darkest:.0f}")
    what = f"the CT is not in HU, or shows no air: its darkest tenth of the voxels have {darkest:.0f}; treated as of unknown contrast"
    return "other", Finding("atlas_contrast", "warn", what)


def quality_of(found: Bent, transform: Transform) -> tuple[Quality, Finding]:
    """How well scan and bent atlas agree: Pearson's correlation of their brightness, mutual information, the bend's changes of volume."""
    scan, look = found.scan, found.look
    atlas = found.atlas
    matrix = np.linalg.inv(index_matrix(atlas.grid)) @ transform.affine @ index_matrix(scan.grid)
    warped = sample(atlas.values, matrix, scan.grid.shape, found.field)[..., 0]
    one, two = seen(scan.values, look), seen(warped, look)
    both = np.isfinite(one) & np.isfinite(two)
    overlap = float(both.sum() / max(np.isfinite(one).sum(), 1))
    if overlap == 0.0:
        do = "check that the scan shows the animal that the atlas is of, and its contrast"
        raise InputError("register_no_overlap", "atlas and scan have no voxel in common", found="0%", do=do)
    value = float(np.corrcoef(one[both], two[both])[0, 1])
    det = jacobian(Transform(np.eye(4), transform.bend))
    nat = mutual_information(one, two)
    quality = Quality("correlation", value, nat, overlap, float(det.min()), float(det.max()), float((det <= 0).mean()))
    text = f"correlation {value:.3f}, mutual information {nat:.3f} nat, change of volume by the bend {det.min():.2f} to {det.max():.2f}"
    return quality, Finding("atlas_fit", "ok" if value >= LEAST_CORRELATION else "warn", text)


def field_finding(body: np.ndarray) -> Finding:
    """Whether the field of view cuts the animal off: then fewer borders hold the atlas, and its pose is less sure. ``body`` as fitted."""
    if is_cut(body > 0):
        return Finding("atlas_field", "warn", "the scan does not show the whole animal: look at the fit before using it")
    return Finding("atlas_field", "ok", "the scan shows the whole animal")


def weight_finding(scan: Picture, body: np.ndarray, classes: Classes, body_weight_g: float | None) -> Finding:
    """The fitted body's volume at 1.05 g/mL beside the weight; ``warn`` from a quarter off. ``body`` the classes as they lie in the scan.

    Nothing is judged where the field cuts the animal off, or the atlas has no outline of its own.
    """
    volume_ml = float(np.count_nonzero(body) * voxel_volume_ml(scan.grid))
    text = f"the fitted body has {volume_ml:.1f} mL"
    if body_weight_g is None or classes.filled or is_cut(body > 0):
        why = "no weight given" if body_weight_g is None else "the animal is cut off by the field, or the atlas has no outline"
        return Finding("atlas_body_weight", "ok", f"{text}, not compared: {why}")
    share = volume_ml * BODY_G_PER_ML / body_weight_g - 1
    text += f", at {BODY_G_PER_ML} g/mL {share:+.0%} of the {body_weight_g:g} g stated"
    return Finding("atlas_body_weight", "warn" if abs(share) > WEIGHT_SHARE else "ok", text)


def is_cut(inside: np.ndarray) -> bool:
    """Whether a body goes on beyond the field: at a face it covers a tenth or more of its own largest section along that axis."""
    for axis in range(3):
        sections = inside.sum(axis=tuple(a for a in range(3) if a != axis))
        if max(sections[0], sections[-1]) >= CUT_SHARE * max(int(sections.max()), 1):
            return True
    return False
