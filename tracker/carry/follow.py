"""Two sessions of one animal laid on one another: how it lies, then a bend, both ways."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracker.carry.seen import Seen, greys, reduced
from tracker.errors import Finding, InputError
from tracker.register import Options, Poses, Transform, best_pose, carry_values, chain, curved, register
from tracker.register.pose import CLEAR_MARGIN


@dataclass(frozen=True, slots=True)
class Followed:
    """``transform`` from this session to the one with organs, ``back`` the other way, found on its own; ``findings`` of both."""

    transform: Transform
    back: Transform
    findings: tuple[Finding, ...]


def follow(fixed: Seen, moving: Seen) -> Followed:
    """How an animal's session ``fixed`` lies in its session ``moving``: pose, affine, bend; and back again, for how sure that is.

    Of 48 ways to lie the best is begun at. One that differs clearly from the one as given is a finding ``suspected_pose`` and is used.
    Raises `InputError` ``mirrored_sessions`` where the mirror image fits better: left and right organs would be exchanged.
    That both sessions are of one animal cannot be told from this: animals of one size look alike.
    """
    fixed, moving = reduced(fixed), reduced(moving)
    poses = best_pose(greys(fixed), fixed.grid, greys(moving), moving.grid)
    begin, noted = _begin(poses)
    metric = "correlation" if fixed.contrast == moving.contrast != "other" else "mutual_information"
    there = _from(fixed, moving, begin, metric)
    back = _from(moving, fixed, np.linalg.inv(begin), metric)
    return Followed(there, back, (*noted, *there.findings))


def _from(fixed: Seen, moving: Seen, begin: np.ndarray, metric: str) -> Transform:
    """`register`, begun at an affine (fixed → moving [mm]) and the smooth bend of a curved back, which finer steps alone do not find.

    The moving scan is brought there first, and then registered; both steps together are looked up at once.
    """
    first = curved(greys(fixed), fixed.grid, greys(moving), moving.grid, begin)
    near = carry_values(greys(moving), moving.grid, first, fixed.grid)
    second = register(greys(fixed), fixed.grid, near, fixed.grid, Options(metric=metric))
    both = chain([second, first], fixed.grid)
    return replace(both, quality=second.quality, findings=second.findings)


def _begin(poses: Poses) -> tuple[np.ndarray, tuple[Finding, ...]]:
    """Where to begin, and what to say of it. Poses are scored before any bend: a bend makes the wrong hand fit almost as well."""
    best = poses.ranked[0]
    proper = next(p for p in poses.ranked if not p.mirrored)
    lead = 1 - proper.score / best.score if best.score > 0 else 0.0
    if best.mirrored and lead > CLEAR_MARGIN:
        what = "one of two sessions is a mirror image of the other: left and right organs would be exchanged"
        found = f"{best.name}, better by {lead:.1%} than {proper.name}"
        do = "find out which export or conversion flipped an axis, and export it again"
        raise InputError("mirrored_sessions", what, found=found, expected="the same hand in both", do=do)
    given = next((p for p in poses.ranked if p.name == "as given"), proper)
    if proper.name == "as given" or given.score >= (1 - CLEAR_MARGIN) * proper.score:
        unclear = tuple(f for f in poses.findings if f.check == "pose_unclear")
        return given.affine, (Finding("pose", "ok", f"as given ({given.score:.3f}; best of all {best.name}, {best.score:.3f})"), *unclear)
    reason = f"{proper.name}, better by {1 - given.score / proper.score:.1%} than as given; registered from there"
    return proper.affine, (Finding("suspected_pose", "warn", f"the sessions lie otherwise: {reason}. Was a position entered wrongly?"),)
