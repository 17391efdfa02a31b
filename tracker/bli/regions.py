"""The regions of a planar image that are one animal's: the vendor's ROIs or shapes of our own by the sheet rois, else the whole animal.

Whose a region is, the sheet says: ROIs of a click folder seldom carry an animal's name, and their order means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from tracker.bli.matching import match_animals
from tracker.bli.rois import VendorRoi
from tracker.bli.shapes import Outline, area_shares, contour, ellipse, rectangle, share_inside, union_shares, wells
from tracker.errors import Finding, InputError
from tracker.image import Grid, OrganMap, Quantity, voxel_size_mm
from tracker.study.model import Context
from tracker.study.near import ask_near, listed
from tracker.study.rows import Roi

BODY, BACKGROUND = "body", "background"
# Words of the sheet and of the vendor for what is drawn the same way; the first two need one size only.
_ROUND, _ANGLED = ("circle", "ellipse", "oval"), ("square", "rectangle")
SHAPES = (*_ROUND, *_ANGLED)
_EVEN_SIDED = ("circle", "square")
# Share of the smaller of two regions that both may hold, where hand-drawn ones touch; more would count light twice.
_MOST_COMMON = 0.05
# Less than this beyond the image's edge is rounding of what was drawn on another grid.
_CUT = 1e-3
# Around an animal's outline: light that the lens and the vendor's warp of about a pixel put beside it.
_MARGIN_MM = 2.0


def regions(quantity: Quantity, context: Context, vendor_rois: Sequence[VendorRoi] = ()) -> OrganMap:
    """One animal's regions on a planar image, as `OrganMap` with ``shares``: which part of each pixel (1, ny, nx) is a region's, by area.

    Rows of ``context.rois`` with this subject: a row with ``x_mm`` is a shape of our own, any other names one of ``vendor_rois`` by its
    label (a well of a grid as ``label:B3``). Regions of one organ are joined, what two of them cover counts once. `body` may hold other
    regions; any two others must not share more than 5 % of the smaller. Without a row for an organ the animal on the photograph is the
    region `body`, with 2 mm to spare. An animal without a `background` row takes those that other animals of the image have, and says so.
    ``labels`` is for the eye: where two regions lie over one another it shows the smaller.
    Raises `InputError`: ``roi_unknown``, ``roi_ambiguous``, ``roi_incomplete``, ``roi_shape``, ``roi_outside_image``, ``rois_overlap``,
    ``rois_of_two_animals``, and those of `match_animals`. A region cut by the image's edge is a finding ``roi_cut``.
    """
    rows = _rows(context)
    outlines = {organ: [_outline(row, vendor_rois, context) for row in of_organ] for organ, of_organ in rows.items()}
    shares, findings = _drawn(outlines, quantity.grid, context)
    if all(organ == BACKGROUND for organ in shares):
        body, said = _body(quantity, context)
        shares, method = {BODY: body, **shares}, "regions:photograph"
        findings = (*said, *findings, *_unused(vendor_rois))
    else:
        method = "regions:sheet"
        _check_others(shares, vendor_rois, quantity.grid, context)
    _check_overlap(shares, context)
    names = dict(enumerate(shares, start=1))
    by_index = {n: shares[name][None] for n, name in names.items()}
    return OrganMap(
        _labels(by_index),
        names,
        quantity.grid,
        method,
        (*findings, *_turned(rows, vendor_rois), *_borrowed(rows, context)),
        shares=by_index,
    )


def _rows(context: Context) -> dict[str, list[Roi]]:
    """The animal's rows by organ, in the order of the sheet; of `background`, where it has none of its own, those of the others."""
    own = [row for row in context.rois if row.subject == context.subject.subject]
    if not any(row.organ.lower() == BACKGROUND for row in own):
        own += [row for row in context.rois if row.organ.lower() == BACKGROUND]
    found: dict[str, list[Roi]] = {}
    for row in own:
        found.setdefault(BACKGROUND if row.organ.lower() == BACKGROUND else row.organ, []).append(row)
    return found


def _borrowed(rows: Mapping[str, list[Roi]], context: Context) -> tuple[Finding, ...]:
    others = sorted({row.subject for row in rows.get(BACKGROUND, ()) if row.subject != context.subject.subject})
    if not others:
        return ()
    return (Finding("background_shared", "ok", f"no background region of its own: that of {listed(others)} in the same image"),)


def _outline(row: Roi, vendor_rois: Sequence[VendorRoi], context: Context) -> Outline:
    if row.x_mm is None and row.y_mm is None and row.width_mm is None:
        return _vendor_outline(row, vendor_rois, context)
    word = row.roi.strip().lower()
    where = f"rois: {row.subject}, {row.organ}, {row.roi}"
    if word not in SHAPES:
        what, do = "a region with a place needs a word for its shape", ask_near(word, SHAPES)
        raise InputError("roi_shape", what, found=row.roi, expected=", ".join(SHAPES), where=where, do=do)
    height_mm = row.height_mm if row.height_mm is not None or word not in _EVEN_SIDED else row.width_mm
    sizes = {"x_mm": row.x_mm, "y_mm": row.y_mm, "width_mm": row.width_mm, "height_mm": height_mm}
    missing = [name for name, value in sizes.items() if value is None]
    if row.x_mm is None or row.y_mm is None or row.width_mm is None or height_mm is None:
        do = "fill them in, or leave all of them empty and name the vendor's region"
        raise InputError(
            "roi_incomplete", "a shape lacks numbers", found=f"no {', '.join(missing)}", expected="all four", where=where, do=do
        )
    if word in _EVEN_SIDED and height_mm != row.width_mm:
        what, found = f"a {word} is as wide as high", f"{row.width_mm:g} × {height_mm:g} mm"
        raise InputError("roi_shape", what, found=found, expected="one size, or ellipse, or rectangle", where=where, do="correct the row")
    make = ellipse if word in _ROUND else rectangle
    return make((row.x_mm, row.y_mm), (row.width_mm, height_mm), row.angle_deg or 0.0)


def _vendor_outline(row: Roi, vendor_rois: Sequence[VendorRoi], context: Context) -> Outline:
    where = f"{context.acquisition.path.name}, rois: {row.subject}, {row.organ}"
    roi, well = _named(row.roi.strip(), vendor_rois, where)
    word, centre, size = roi.shape.strip().lower(), (roi.x_mm, roi.y_mm), (roi.width_mm, roi.height_mm)
    if word == "contour":
        if len(roi.points_mm) < 3:
            what, do = (
                "the points of this contour cannot be read",
                "draw it as a circle or square, or give a shape with x_mm, y_mm, width_mm",
            )
            raise InputError("roi_unreadable", what, found=f"{len(roi.points_mm)} points", expected="3 or more", where=where, do=do)
        return contour(roi.points_mm)
    if word == "grid" and well:
        cells = wells(centre, size, roi.angle_deg, (roi.rows, roi.columns))
        if well.upper() not in cells:
            raise InputError("roi_unknown", "the grid has no such well", found=well, expected=listed(cells), where=where)
        return cells[well.upper()]
    return (ellipse if word in _ROUND else rectangle)(centre, size, roi.angle_deg)


def _named(name: str, vendor_rois: Sequence[VendorRoi], where: str) -> tuple[VendorRoi, str]:
    """The one region of this label, and the well that the name asks for after a colon."""
    known = [roi.label.strip() for roi in vendor_rois]
    wanted, well = name, ""
    # A label may hold a colon itself.
    if name not in known:
        wanted, _, well = (part.strip() for part in name.partition(":"))
    found = [roi for roi in vendor_rois if roi.label.strip() == wanted]
    if not found:
        do = (
            ask_near(wanted, known)
            if known
            else "give a shape with x_mm, y_mm, width_mm, height_mm, or draw regions in the vendor's program"
        )
        raise InputError(
            "roi_unknown", "the image has no region of this name", found=name, expected=listed(known) or "none at all", where=where, do=do
        )
    if len(found) > 1:
        what, do = "several regions of the image have this name", "give each a name of its own in the vendor's program"
        raise InputError("roi_ambiguous", what, found=f"{len(found)} named {wanted}", expected="one", where=where, do=do)
    return found[0], well


def _turned(rows: Mapping[str, Sequence[Roi]], vendor_rois: Sequence[VendorRoi]) -> tuple[Finding, ...]:
    """A finding where it matters which way round the vendor's angle runs, which no published file says."""
    used = {row.roi.strip().partition(":")[0] for of_organ in rows.values() for row in of_organ if row.x_mm is None}
    turned = [r for r in vendor_rois if r.label.strip() in used and r.shape != "contour" and r.angle_deg % 90 and r.width_mm != r.height_mm]
    if not turned:
        return ()
    names = listed(f"{roi.label} ({roi.angle_deg:g}°)" for roi in turned)
    return (Finding("roi_turned", "warn", f"{names}: the angle is taken as counter-clockwise; check the outline on the picture"),)


def _drawn(outlines: Mapping[str, Sequence[Outline]], grid: Grid, context: Context) -> tuple[dict[str, np.ndarray], tuple[Finding, ...]]:
    """Shares by organ (ny, nx), and what the image's edge cuts."""
    shares: dict[str, np.ndarray] = {}
    findings: list[Finding] = []
    for organ, of_organ in outlines.items():
        for one in of_organ:
            inside = share_inside(one, area_shares(one, grid), grid)
            x, y = one.points_mm.mean(axis=0)
            if inside <= 0.0:
                size = f"{grid.shape[2] * grid.affine[0, 0]:.1f} × {grid.shape[1] * grid.affine[1, 1]:.1f} mm"
                do = "correct x_mm and y_mm: they are measured from the image's top left corner, to the right and down"
                raise InputError("roi_outside_image", f"a region of {organ} lies outside the image", found=f"{x:.1f}, {y:.1f} mm",
                                 expected=size, where=context.acquisition.path.name, do=do)  # fmt: skip
            if inside < 1 - _CUT:
                findings.append(Finding("roi_cut", "warn", f"{1 - inside:.1%} of a region of {organ} lies outside the image"))
        shares[organ] = union_shares(of_organ, grid)
    return shares, tuple(findings)


def _body(quantity: Quantity, context: Context) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """The animal on the photograph with a margin that ends halfway to its neighbours, (ny, nx)."""
    from scipy.ndimage import distance_transform_edt

    subject = context.subject.subject
    if context.rois and not context.beds and {row.subject for row in context.rois} != {subject}:
        what, do = "the sheet rois has regions of other animals in this image and none of this one", "add its rows, or rows of beds for all"
        raise InputError("rois_missing", what, found=listed(sorted({row.subject for row in context.rois})), expected=subject, do=do)
    matched = match_animals(quantity, context)
    labels, own = matched.animals.labels, matched.number
    _, high_mm, wide_mm = voxel_size_mm(quantity.grid)
    far_mm, index = distance_transform_edt(labels == 0, sampling=(high_mm, wide_mm), return_indices=True)
    near = (labels[tuple(index)] == own) & (far_mm <= _MARGIN_MM)
    others = matched.animals.shares.sum(axis=0) - matched.animals.shares[own - 1]
    body = np.where(near, 1.0, matched.animals.shares[own - 1])
    return np.clip(np.minimum(body, 1.0 - others), 0.0, 1.0), matched.findings


def _unused(vendor_rois: Sequence[VendorRoi]) -> tuple[Finding, ...]:
    if not vendor_rois:
        return ()
    reason = f"{len(vendor_rois)} region(s) drawn in the vendor's program are not used: no row of rois says whose they are"
    return (Finding("rois_unused", "warn", reason),)


def _common(one: np.ndarray, other: np.ndarray) -> float:
    """Which share of the smaller of two regions the other holds as well, at least: two half pixels need not meet."""
    both = float(np.maximum(one + other - 1.0, 0.0).sum())
    return both / max(min(float(one.sum()), float(other.sum())), 1e-12)


def _check_overlap(shares: Mapping[str, np.ndarray], context: Context) -> None:
    for one, other in combinations(shares, 2):
        if BODY in (one, other) and BACKGROUND not in (one, other):
            continue
        common = _common(shares[one], shares[other])
        if common > _MOST_COMMON:
            found, do = f"{common:.0%} of the smaller of {one} and {other}", "draw them apart; only body may hold other regions"
            what, where = "two regions overlap: their light would count twice", context.acquisition.path.name
            raise InputError("rois_overlap", what, found=found, expected=f"{_MOST_COMMON:.0%} at most", where=where, do=do)


def _check_others(shares: Mapping[str, np.ndarray], vendor_rois: Sequence[VendorRoi], grid: Grid, context: Context) -> None:
    """Regions of this animal against those of the others in the image."""
    for row in context.rois:
        if row.subject == context.subject.subject or row.organ.lower() == BACKGROUND:
            continue
        try:
            other = area_shares(_outline(row, vendor_rois, context), grid)
        except InputError:
            # What is wrong with another animal's row is said, and set aside, with that animal.
            continue
        for organ, own in shares.items():
            if (common := _common(own, other)) > _MOST_COMMON:
                found = f"{common:.0%} of the smaller of {context.subject.subject} {organ} and {row.subject} {row.organ}"
                what, do = "one region belongs to two animals", "correct the rows of rois"
                raise InputError("rois_of_two_animals", what, found=found, where=context.acquisition.path.name, do=do)


def _labels(shares: Mapping[int, np.ndarray]) -> np.ndarray:
    """Index of the region that fills at least half of a pixel; of several the smallest."""
    labels = np.zeros(next(iter(shares.values())).shape, np.int16)
    for index in sorted(shares, key=lambda n: -float(shares[n].sum())):
        labels[shares[index] >= 0.5] = index
    return labels
