"""Registration from beginning to end: start, linear, bend, and how good it came out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracker.errors import Finding, InputError
from tracker.image import Grid, voxel_size_mm
from tracker.register.deform import Plan, bend, determinants, to_grid
from tracker.register.kernels import sample
from tracker.register.linear import MIN_OVERLAP, content, fit
from tracker.register.metric import METRICS, agreement, information, joint_histogram
from tracker.register.pose import best_pose
from tracker.register.pyramid import Picture, picture, shrink, soften
from tracker.register.transform import Bend, Quality, Transform, bend_on_grid, index_matrix

Pair = tuple[Picture, Picture]
KINDS = ("rigid", "affine", "deformable")
STARTS = ("frame", "centres", "search")
# The finest level has at most this many voxels: with it memory stays below 1 GB whatever the scan.
_MOST_VOXELS = 6_000_000
# Linear parts gain nothing from finer voxels than this many in a scan.
_LINEAR_VOXELS = 1_000_000
_LITTLE_OVERLAP = 0.5
# At the finest voxels only details are left to find.
_LAST_STEPS = 5


@dataclass(frozen=True, slots=True)
class Options:
    """How to register.

    ``kind`` rigid (6 numbers), affine (12) or deformable (affine, then a bend); ``metric`` mutual_information for any two contrasts,
    correlation for scans of one contrast (linear part: Pearson's; bend: squared, in a cube around each voxel). ``start``: frame trusts
    both scans' coordinates, centres lays the contents' centres on one another, search also tries the 24 turns. ``spacing_mm`` the
    finest voxels used, None: the fixed scan's own, or what makes 6 million of them. ``jacobian`` the least and largest change of volume
    by the bend.
    """

    kind: str = "deformable"
    metric: str = "mutual_information"
    start: str = "frame"
    spacing_mm: float | None = None
    jacobian: tuple[float, float] = (0.2, 5.0)

    def __post_init__(self) -> None:
        for name, value, known in (("kind", self.kind, KINDS), ("metric", self.metric, METRICS), ("start", self.start, STARTS)):
            if value not in known:
                raise InputError("register_option", f"no such {name}", found=value, expected=" or ".join(known))
        if not 0 < self.jacobian[0] < 1 < self.jacobian[1]:
            raise InputError(
                "register_option", "the Jacobian's limits must lie on either side of 1", found=self.jacobian, expected="0 < low < 1 < high"
            )
        if self.spacing_mm is not None and not self.spacing_mm > 0:
            raise InputError("register_option", "a voxel size must be positive", found=self.spacing_mm, expected="> 0 mm")


def register(fixed: np.ndarray, fixed_grid: Grid, moving: np.ndarray, moving_grid: Grid, options: Options | None = None) -> Transform:
    """Where each point of the fixed scan lies in the moving one: `Transform`, fixed → moving RAS+ [mm].

    ``fixed``, ``moving`` (z, y, x), any unit, each on its own grid (voxels, extents and axes may differ, oblique ones too); NaN is outside.
    The same scans give the same numbers, whatever the number of processors. Raises `InputError`: ``register_shape``,
    ``register_too_thin``, ``register_no_content``, ``register_no_overlap``, ``register_option``.

    A good value does not say that organs agree: where the scans show no edge, the bend is only as smooth as it was told to be.

    >>> z, y, x = np.mgrid[:20, :20, :20]
    >>> ball = np.exp(-((x - 9.0) ** 2 / 40 + (y - 9.0) ** 2 / 20 + (z - 9.0) ** 2 / 30))
    >>> grid = Grid((20, 20, 20), np.eye(4))
    >>> found = register(ball, grid, np.roll(ball, 2, axis=2), grid, Options(kind="rigid", metric="correlation"))
    >>> round(float(found.affine[0, 3]))
    2
    """
    options = options or Options()
    pictures = picture(fixed, fixed_grid, "fixed"), picture(moving, moving_grid, "moving")
    affine, findings = _start(options, pictures, (fixed, moving))
    finest = max(options.spacing_mm or 0.0, _spacing(fixed_grid, _MOST_VOXELS))
    coarsest = max(finest, _spacing(fixed_grid, _LINEAR_VOXELS)) if options.kind != "deformable" else 2 * finest
    for spacing in _levels(coarsest, fixed_grid, 3):
        kind = "rigid" if options.kind == "rigid" else "affine"
        pair = soften(shrink(pictures[0], spacing)), soften(shrink(pictures[1], spacing))
        affine = fit(kind, options.metric, pair, affine).affine
    found = _bent(options, pictures, affine, finest) if options.kind == "deformable" else None
    quality = _quality(options.metric, pictures, Transform(affine, found), finest)
    return Transform(affine, found, quality, (*findings, _judged(quality)))


def _spacing(grid: Grid, most_voxels: int) -> float:
    """The voxel size [mm], enlarged until the grid has at most so many voxels."""
    size = voxel_size_mm(grid)
    volume = float(np.prod(size)) * np.prod(grid.shape, dtype=np.float64)
    return float(max(min(size), (volume / most_voxels) ** (1 / 3)))


def _levels(finest: float, grid: Grid, most: int) -> list[float]:
    """Voxel sizes [mm], coarse to fine, each half of the one before; the coarsest keeps 12 voxels on the longest axis."""
    longest = max(n * size for n, size in zip(grid.shape, voxel_size_mm(grid), strict=True))
    return [finest * 2**k for k in reversed(range(most)) if k == 0 or finest * 2**k <= longest / 12]


def _start(options: Options, pictures: Pair, scans: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, tuple[Finding, ...]]:
    fixed, moving = pictures
    affine = np.eye(4)
    if options.start == "search":
        poses = best_pose(scans[0], fixed.grid, scans[1], moving.grid)
        best = next(p for p in poses.ranked if not p.mirrored).affine
        if options.kind != "rigid":
            return best, poses.findings
        # A rigid fit must not keep the size and shear that the search found.
        u, _, v = np.linalg.svd(best[:3, :3])
        middle = content(fixed)[0]
        affine[:3, :3] = u @ v
        affine[:3, 3] = best[:3, :3] @ middle + best[:3, 3] - affine[:3, :3] @ middle
        return affine, poses.findings
    if options.start == "centres":
        affine[:3, 3] = content(moving)[0] - content(fixed)[0]
    return affine, ()


def _bent(options: Options, pictures: Pair, affine: np.ndarray, finest: float) -> Bend:
    plan = Plan(options.metric, jacobian=options.jacobian)
    field, grid = np.empty((0, 0, 0, 3), np.float32), pictures[0].grid
    for spacing in _levels(finest, pictures[0].grid, 4):
        pair = shrink(pictures[0], spacing), shrink(pictures[1], spacing)
        new = pair[0].grid
        field = to_grid(field, grid, new) if field.size else np.zeros((*new.shape, 3), np.float32)
        field, _ = bend(plan if spacing > finest else replace(plan, steps=_LAST_STEPS), pair, affine, field)
        grid = new
    vectors = field @ index_matrix(grid)[:3, :3].T.astype(np.float32)
    return Bend(np.ascontiguousarray(vectors), grid)


def _quality(metric: str, pictures: Pair, found: Transform, finest: float) -> Quality:
    spacing = max(finest, _spacing(pictures[0].grid, _LINEAR_VOXELS))
    fixed, moving = shrink(pictures[0], spacing), shrink(pictures[1], spacing)
    matrix = np.linalg.inv(index_matrix(moving.grid)) @ found.affine @ index_matrix(fixed.grid)
    field = bend_on_grid(found.bend, fixed.grid) if found.bend else None
    # Here the field of view counts, so that what is guessed outside it is no agreement.
    warped = sample(moving.values, matrix, fixed.grid.shape, field)
    now = agreement(metric, fixed.values, warped)
    joint = joint_histogram(fixed.values, warped)
    nat = information(joint)[0] if now.overlap else 0.0
    if found.bend is None:
        return Quality(metric, now.value, nat, now.overlap)
    det = determinants(bend_on_grid(found.bend, found.bend.grid))
    return Quality(metric, now.value, nat, now.overlap, float(det.min()), float(det.max()), float((det <= 0).mean()))


def _judged(quality: Quality) -> Finding:
    text = (
        f"{quality.metric} {quality.value:.3f}, mutual information {quality.mutual_information_nat:.3f} nat, overlap {quality.overlap:.0%}"
    )
    if quality.overlap < MIN_OVERLAP:
        do = "start from 'centres' or 'search', or check that both scans are of the same animal and region"
        raise InputError(
            "register_no_overlap", "the scans hardly overlap", found=f"{quality.overlap:.0%}", expected=f">= {MIN_OVERLAP:.0%}", do=do
        )
    bent = f", change of volume by the bend {quality.jacobian_min:.2f} to {quality.jacobian_max:.2f}, folded {quality.folded:.1%}"
    return Finding(
        "registration", "warn" if quality.overlap < _LITTLE_OVERLAP else "ok", text + (bent if quality.jacobian_min != 1 else "")
    )
