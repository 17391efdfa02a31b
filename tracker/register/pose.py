"""How an animal lies in its scan as against another: every turn and flip of the axes, tried and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np

from tracker.errors import Finding
from tracker.image import Grid
from tracker.register.deform import Plan, bend, to_grid
from tracker.register.kernels import sample
from tracker.register.linear import agreement_at, content, fit
from tracker.register.metric import agreement
from tracker.register.pyramid import Picture, picture, shrink
from tracker.register.transform import Bend, Transform, index_matrix

# Voxels of about this many to the content's radius tell poses apart; more only cost time.
_COARSE, _BENT, _FINE = 6.0, 7.0, 14.0
_REFINED = 6
# A bend that takes up a curved back and no more: steps smoothed over 2.5 voxels, the whole over one.
_CURVED = Plan("mutual_information", steps=25, sd_step=2.5, sd_bend=1.0)
# Poses whose score comes this near the best are bent further, as registration would, until organs tell them apart.
_LOOSER, _FINALISTS = Plan("mutual_information", steps=40), 0.75
# Of the smaller animal this share must lie in the other before their insides can be compared.
_LEAST_SHARED = 0.7
# A lead of less than this share of the score may be noise: say so.
CLEAR_MARGIN = 0.02
_AXES = ("left-right", "back-belly", "tail-head")


@dataclass(frozen=True, slots=True)
class Pose:
    """One way to lie: ``turn`` 3 × 3 (signed permutation, fixed → moving RAS+), ``affine`` 4 × 4 after a coarse fit [mm].

    ``score`` is the mutual information as a share of the joint entropy, 0 to 1: of what lies in both animals after a smooth bend for the
    ones that were looked at closely, of all there else. ``mirrored``: a left hand would become a right one, which no animal does by
    lying differently.
    """

    name: str
    turn: np.ndarray
    affine: np.ndarray
    score: float
    mirrored: bool


@dataclass(frozen=True, slots=True)
class Poses:
    """All poses, best first, the lead of the first over the second as a share of its score, and what was noted."""

    ranked: tuple[Pose, ...]
    margin: float
    findings: tuple[Finding, ...]


def pose_name(turn: np.ndarray) -> str:
    """A pose in words.

    >>> pose_name(np.diag([-1, 1, 1])), pose_name(np.diag([-1, -1, 1]))
    ('left-right flipped', 'prone for supine (turned by 180° about tail-head)')
    """
    if (np.abs(turn) != np.eye(3)).any():
        return "axes exchanged: " + ", ".join(f"{'+' if row.sum() > 0 else '-'}{'RAS'[int(np.abs(row).argmax())]}" for row in turn)
    signs = np.diag(turn)
    flipped = [name for name, sign in zip(_AXES, signs, strict=True) if sign < 0]
    if len(flipped) == 2:
        kept = next(name for name, sign in zip(_AXES, signs, strict=True) if sign > 0)
        how = {"tail-head": "prone for supine", "back-belly": "feet first for head first"}
        return f"{how.get(kept, 'feet first for head first and prone for supine')} (turned by 180° about {kept})"
    if len(flipped) == 3:
        return "all three axes flipped"
    return f"{flipped[0]} flipped" if flipped else "as given"


def _turns() -> list[np.ndarray]:
    """All 48 signed permutations, the one as given first."""
    found = [np.eye(3)[list(order)] * np.array(signs)[:, None] for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
    return sorted(found, key=lambda turn: -float(np.trace(turn)))


def _begin(turn: np.ndarray, fixed: Picture, moving: Picture) -> np.ndarray:
    (centre, radius), (target, reach) = content(fixed), content(moving)
    start = np.eye(4)
    start[:3, :3] = turn * (reach / radius)
    start[:3, 3] = target - start[:3, :3] @ centre
    return start


def _nearest(affine: np.ndarray) -> np.ndarray:
    """The signed permutation nearest to an affine's turn: a fit begun at one pose may end at another."""
    u, _, v = np.linalg.svd(affine[:3, :3])
    return max(_turns(), key=lambda turn: float((turn * (u @ v)).sum()))


def _tried(start: np.ndarray, kind: str, pictures: tuple[Picture, Picture]) -> Pose:
    affine = fit(kind, "mutual_information", pictures, start, (15, 1e-5)).affine
    score, turn = agreement_at("mutual_information", pictures, affine), _nearest(affine)
    return Pose(pose_name(turn), turn.astype(int), affine, score, bool(np.linalg.det(turn) < 0))


def _inside(image: Picture) -> np.ndarray:
    """The animal without the air around it; its lungs are part of it."""
    from scipy.ndimage import binary_fill_holes

    return np.asarray(binary_fill_holes(np.nan_to_num(image.values) > image.background))


def _bent(affine: np.ndarray, levels: Sequence[tuple[Picture, Picture]], *, further: bool) -> tuple[np.ndarray, Grid]:
    """A smooth bend (z, y, x, 3) [voxels] on the last level's grid, coarse to fine; ``further``: less smooth at last."""
    field, grid = np.empty((0, 0, 0, 3), np.float32), levels[0][0].grid
    for pair in levels:
        new = pair[0].grid
        field = to_grid(field, grid, new) if field.size else np.zeros((*new.shape, 3), np.float32)
        field, _ = bend(_CURVED, pair, affine, field)
        grid = new
    return (bend(_LOOSER, levels[-1], affine, field)[0] if further else field), grid


def curved(fixed: np.ndarray, fixed_grid: Grid, moving: np.ndarray, moving_grid: Grid, affine: np.ndarray) -> Transform:
    """From a pose's ``affine`` on, the smooth bend that lays a curved back on another: where a finer registration is to begin.

    Fixed → moving RAS+ [mm], as `register`; mutual information. It leaves organs some millimetres off. Raises `InputError` as `register`.
    """
    pictures = picture(fixed, fixed_grid, "fixed"), picture(moving, moving_grid, "moving")
    radius = content(shrink(pictures[0], _spacing(pictures[0], 40)))[1]
    levels = [(shrink(pictures[0], radius / k), shrink(pictures[1], radius / k)) for k in (_BENT, _FINE)]
    field, grid = _bent(affine, levels, further=True)
    return Transform(affine, Bend(np.ascontiguousarray(field @ index_matrix(grid)[:3, :3].T.astype(np.float32)), grid))


def _closer(pose: Pose, levels: tuple[tuple[Picture, Picture], ...], *, further: bool) -> Pose:
    """The pose scored by the insides alone, after a smooth bend: how a back is curved must not decide which way an animal lies."""
    field, _ = _bent(pose.affine, levels, further=further)
    fixed, moving = levels[-1]
    matrix = np.linalg.inv(index_matrix(moving.grid)) @ pose.affine @ index_matrix(fixed.grid)
    warped = sample(moving.values, matrix, fixed.grid.shape, field, extend=moving.background)
    first, second = _inside(fixed), _inside(Picture(warped[..., 0], fixed.grid, moving.background))
    both = first & second & np.isfinite(warped[..., 0])
    smaller = min(float(np.count_nonzero(first)), float(np.count_nonzero(_inside(moving))) * _cells(moving, pose, fixed))
    shared = float(np.count_nonzero(both)) / max(smaller, 1.0)
    score = agreement("mutual_information", np.where(both, fixed.values, np.float32(np.nan)), warped).value if both.any() else 0.0
    return replace(pose, score=score * min(shared / _LEAST_SHARED, 1.0))


def _cells(moving: Picture, pose: Pose, fixed: Picture) -> float:
    """How many voxels of the fixed picture a voxel of the moving one takes up."""
    sizes = [abs(float(np.linalg.det(m[:3, :3]))) for m in (moving.grid.affine, pose.affine, fixed.grid.affine)]
    return sizes[0] / (sizes[1] * sizes[2])


def _ranked(poses: list[Pose]) -> list[Pose]:
    """Best first, each turn once."""
    best: dict[bytes, Pose] = {}
    for pose in sorted(poses, key=lambda p: -p.score):
        best.setdefault(pose.turn.tobytes(), pose)
    return list(best.values())


def best_pose(fixed: np.ndarray, fixed_grid: Grid, moving: np.ndarray, moving_grid: Grid) -> Poses:
    """The ways to lie, best first: 24 turns and their mirror images, each fitted coarsely and scored by mutual information.

    All 48 are fitted with shift, turn and size; the best six, and the eight that keep the axes, again, finer, with stretch and shear as
    well, then bent smoothly and scored by what lies inside both animals, the near ones once more with a freer bend. A best pose
    other than the one as given is a finding ``suspected_pose``; a mirrored one ``suspected_flip``; a lead below 2 % of the score
    ``pose_unclear``. Nothing is turned here. What looks the same from both sides cannot be told: the margin says how far apart the two
    best are, not how likely the best is right.
    Raises `InputError` as `register` does.
    """
    pictures = picture(fixed, fixed_grid, "fixed"), picture(moving, moving_grid, "moving")
    radius = content(shrink(pictures[0], _spacing(pictures[0], 40)))[1]
    coarse = shrink(pictures[0], radius / _COARSE), shrink(pictures[1], radius / _COARSE)
    first = _ranked([_tried(_begin(turn, *coarse), "similar", coarse) for turn in _turns()])
    fine = shrink(pictures[0], radius / _FINE), shrink(pictures[1], radius / _FINE)
    chosen = first[:_REFINED] + [p for p in first[_REFINED:] if (np.abs(p.turn) == np.eye(3)).all()]
    levels = (shrink(pictures[0], radius / _BENT), shrink(pictures[1], radius / _BENT)), fine
    near = _ranked([_closer(p, levels, further=False) for p in _ranked([_tried(p.affine, "affine", fine) for p in chosen])])
    last = [p for p in near if p.score >= _FINALISTS * near[0].score]
    again = [*_ranked([_closer(p, levels, further=True) for p in last]), *near[len(last) :]]
    done = {p.turn.tobytes() for p in again}
    rest = tuple(p for p in first if p.turn.tobytes() not in done)
    second = (*again[1:], *rest)[0]
    margin = 1 - second.score / again[0].score if again[0].score > 0 else 0.0
    return Poses((*again, *rest), float(margin), _noted(again[0], second, margin))


def _spacing(image: Picture, voxels: int) -> float:
    """Voxel size [mm] at which the longest axis has about so many voxels."""
    lengths = np.linalg.norm(image.grid.affine[:3, :3], axis=0) * np.array(image.grid.shape[::-1])
    return float(lengths.max() / voxels)


def _noted(best: Pose, second: Pose, margin: float) -> tuple[Finding, ...]:
    text = f"best: {best.name} ({best.score:.3f}); next: {second.name} ({margin:.1%} less)"
    found = [Finding("pose", "ok", text)] if best.name == "as given" else [Finding("suspected_pose", "warn", text)]
    if best.mirrored:
        found.append(Finding("suspected_flip", "warn", f"no animal is its own mirror image, yet the best match is: {best.name}"))
    if margin < CLEAR_MARGIN:
        found.append(Finding("pose_unclear", "warn", f"{best.name} and {second.name} differ by {margin:.1%} of the score only"))
    return tuple(found)
