"""Silhouettes on a photograph judged and divided: is this one animal, and where would two that touch be cut apart?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

# What one trunk's area may be as a share of the weight's, how much of its convex hull it fills, and its length by its width.
_LEAST_AREA, _MOST_AREA = 0.45, 1.9
_LEAST_SOLID = 0.8
_LONGEST = 6.0
# In girths: how much of the image's edge an animal may lie against; more is the stage's own rim.
_MOST_RIM = 1.6
# Above this area, or below this share of its hull, a silhouette may be several animals.
_SUSPECT_AREA, _SUSPECT_SOLID = 1.4, 0.9
# In girths: radius of the disc that tells dents from bulges, and the least distance of two dents.
_DISC, _APART = 0.25, 0.3
# Share of that disc that lies inside at a dent; a straight border has 0.5.
_DENT = 0.58
_MOST_DENTS = 18
_HULL_WEIGHT = 3.0
_LARGE_REST = 0.5
# Share of a cut that lies inside the part: it may graze the border where it begins.
_CUT_INSIDE = 0.95


@dataclass(frozen=True, slots=True)
class Body:
    """One animal's trunk: ``mask`` in a ``box`` of the image, and how unlike an animal it is (0: just like one)."""

    box: tuple[slice, slice]
    mask: np.ndarray
    cost: float


@dataclass(frozen=True, slots=True)
class Size:
    """What an animal's trunk should measure on the image, in pixels: its area, and its girth."""

    area: float
    girth: float


def bodies(mask: np.ndarray, size: Size) -> list[Body]:
    """The animals in a mask (ny, nx) without tails and limbs; parts that are no animal are left out.

    A connected part that is too large or too dented for one animal is cut between two dents of its border so that at least one of the
    two pieces is an animal, again and again; of all cuts the one whose piece is most like one counts. Dents are where a disc about the
    border lies more inside than outside: between two heads, between two rumps, at a nose cone.
    """
    from scipy.ndimage import find_objects, label

    rim = np.ones_like(mask)
    rim[1:-1, 1:-1] = False
    parts, _ = label(mask)
    found: list[Body] = []
    for n, box in enumerate(find_objects(parts), start=1):
        found += [Body(box, piece, cost) for piece, cost in _animals_in(parts[box] == n, rim[box], size)]
    return found


def _animals_in(part: np.ndarray, rim: np.ndarray, size: Size) -> list[tuple[np.ndarray, float]]:
    found, todo = [], [part]
    while todo:
        one = todo.pop()
        if one.sum() < _LEAST_AREA * size.area:
            continue
        cost = _cost(one, rim, size)
        cut = _best_cut(one, rim, size, cost) if _suspect(one, rim, size) else None
        if cut is not None:
            found.append((cut[0], _cost(cut[0], rim, size)))
            todo.append(cut[1])
        elif np.isfinite(cost):
            found.append((one, cost))
    return found


def _cost(part: np.ndarray, rim: np.ndarray, size: Size) -> float:
    """How unlike one animal a part is: |ln| of its area over the weight's + 3 × what it lacks of its convex hull; inf for none."""
    area = float(part.sum()) / size.area
    if not _LEAST_AREA <= area <= _MOST_AREA or (part & rim).sum() > _MOST_RIM * size.girth:
        return np.inf
    solid, long = _form(part)
    if solid < _LEAST_SOLID or long > _LONGEST:
        return np.inf
    return abs(float(np.log(area))) + _HULL_WEIGHT * (1 - solid)


def _suspect(part: np.ndarray, rim: np.ndarray, size: Size) -> bool:
    """Whether a part may be more than one animal."""
    large = part.sum() > _SUSPECT_AREA * size.area or (part & rim).sum() > _MOST_RIM * size.girth
    return bool(large or _form(part)[0] < _SUSPECT_SOLID)


def _form(part: np.ndarray) -> tuple[float, float]:
    """Share of its convex hull that a part fills, and how many times it is longer than wide."""
    from scipy.spatial import ConvexHull, QhullError

    places = np.argwhere(part)
    width, length = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(places.T)), 1e-9))
    # A row's ends span its hull; a pixel is a square, not its centre.
    rows = np.flatnonzero(part.any(axis=1))
    first, last = part[rows].argmax(axis=1), part.shape[1] - part[rows][:, ::-1].argmax(axis=1)
    corners = np.concatenate([np.stack([rows + dy, x], axis=1) for dy in (0, 1) for x in (first, last)])
    try:
        hull = float(ConvexHull(corners).volume)
    except QhullError:
        return 0.0, np.inf
    return len(places) / hull, float(length / width)


def _best_cut(part: np.ndarray, rim: np.ndarray, size: Size, whole: float) -> tuple[np.ndarray, np.ndarray] | None:
    """A piece that is one animal, and the rest, by the best cut; None where no cut gives more than the part as it is."""
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for p, q in combinations(_dents(part, size.girth), 2):
        for one, other in _pieces(part, p, q):
            cost = _cost(one, rim, size)
            if not np.isfinite(cost):
                continue
            # A rest that is no animal (a nose cone, the stage's rim) costs as much as a poor one; a large one will be cut again.
            total = cost + (_LARGE_REST if other.sum() > _SUSPECT_AREA * size.area else min(_cost(other, rim, size), 1.0))
            if best is None or total < best[0]:
                best = total, one, other
    return None if best is None or best[0] / 2 >= whole else (best[1], best[2])


def _dents(part: np.ndarray, girth: float) -> list[tuple[int, int]]:
    """Places (y, x) on a part's border where it is dented most, the deepest first, no two near each other."""
    from scipy.ndimage import binary_erosion
    from scipy.signal import fftconvolve
    from skimage.morphology import disk

    disc = disk(max(2, round(_DISC * girth))).astype(float)
    padded = np.pad(part, disc.shape[0] // 2, mode="edge").astype(float)
    share = fftconvolve(padded, disc / disc.sum(), mode="valid")
    border = part & ~binary_erosion(part, border_value=1)
    places = np.argwhere(border & (share > _DENT))
    places = places[np.argsort(-share[tuple(places.T)], kind="stable")]
    kept: list[tuple[int, int]] = []
    for y, x in places.tolist():
        if len(kept) < _MOST_DENTS and all((y - v) ** 2 + (x - u) ** 2 > (_APART * girth) ** 2 for v, u in kept):
            kept.append((y, x))
    return kept


def _pieces(part: np.ndarray, p: tuple[int, int], q: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Both ways round, the two pieces that a straight cut from p to q leaves; none where it leaves the part or does not divide it."""
    from scipy.ndimage import label
    from skimage.draw import line

    y, x = line(*p, *q)
    if part[y, x].mean() < _CUT_INSIDE:
        return []
    rest = part.copy()
    rest[y, x] = False
    # A line of pixels that touch at corners divides what is joined along edges.
    parts, n = label(rest)
    if n < 2:
        return []
    sizes = np.bincount(parts.ravel())[1:]
    first, second = (int(i) + 1 for i in np.argsort(-sizes, kind="stable")[:2])
    one, other = parts == first, parts == second
    return [(one, other), (other, one)]
