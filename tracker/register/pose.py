"""How an animal lies in its scan as against another: every turn and flip of the axes, tried and scored."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from tracker.errors import Finding
from tracker.image import Grid
from tracker.register.linear import agreement_at, content, fit
from tracker.register.pyramid import Picture, picture, shrink

# Voxels of about this many to the content's radius tell poses apart; more only cost time.
_COARSE, _FINE = 6.0, 14.0
_REFINED = 6
# A lead of less than this share of the score may be noise: say so.
CLEAR_MARGIN = 0.02
_AXES = ("left-right", "back-belly", "tail-head")


@dataclass(frozen=True, slots=True)
class Pose:
    """One way to lie: ``turn`` 3 × 3 (signed permutation, fixed → moving RAS+), ``affine`` 4 × 4 after a coarse fit [mm].

    ``score`` is the mutual information there as a share of the joint entropy, 0 to 1. ``mirrored``: a left hand would become a right
    one, which no animal does by lying differently.
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


def _ranked(poses: list[Pose]) -> list[Pose]:
    """Best first, each turn once."""
    best: dict[bytes, Pose] = {}
    for pose in sorted(poses, key=lambda p: -p.score):
        best.setdefault(pose.turn.tobytes(), pose)
    return list(best.values())


def best_pose(fixed: np.ndarray, fixed_grid: Grid, moving: np.ndarray, moving_grid: Grid) -> Poses:
    """The ways to lie, best first: 24 turns and their mirror images, each fitted coarsely and scored by mutual information.

    All 48 are fitted with shift, turn and size; the best six, and the one as given, again, finer, with stretch and shear as well, and only
    these are ranked against one another. A best pose other than the one as given is a finding ``suspected_pose``; a mirrored one
    ``suspected_flip``; a lead below 2 % of the score ``pose_unclear``. Nothing is turned here. What
    looks the same from both sides cannot be told: the margin says how far apart the two best are, not how likely the best is right.
    Raises `InputError` as `register` does.
    """
    pictures = picture(fixed, fixed_grid, "fixed"), picture(moving, moving_grid, "moving")
    radius = content(shrink(pictures[0], _spacing(pictures[0], 40)))[1]
    coarse = shrink(pictures[0], radius / _COARSE), shrink(pictures[1], radius / _COARSE)
    first = _ranked([_tried(_begin(turn, *coarse), "similar", coarse) for turn in _turns()])
    fine = shrink(pictures[0], radius / _FINE), shrink(pictures[1], radius / _FINE)
    chosen = first[:_REFINED] + [p for p in first[_REFINED:] if p.name == "as given"]
    again = _ranked([_tried(p.affine, "affine", fine) for p in chosen])
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
