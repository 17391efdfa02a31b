"""Number, sum, mean, variance, extremes and bounding box of every organ in one pass over a volume."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tracker.compiled import compiled, processors
from tracker.errors import InputError

# The volume is cut into this many slabs whatever the number of threads: results then do not depend on that number.
_SLABS = 16
# Below this many voxels starting threads costs more than it gains.
_VOXELS_WORTH_THREADS = 1 << 20
# The table from label to organ has an entry for each label up to the largest: 4 MB at this limit.
LARGEST_LABEL = (1 << 20) - 1

_N, _NAN, _INF = range(3)
_SHIFT, _SUM, _SQUARES, _LOW, _HIGH = range(5)


@dataclass(frozen=True, slots=True)
class LabelStatistics:
    """Statistics of each organ, arrays of length k in the order of ``labels``.

    ``n`` finite voxels; ``n_nan`` NaN voxels, left out of all else; ``sum``; ``mean``; ``squares`` = Σ (v - mean)²; ``low``, ``high``
    extremes (NaN where n is 0, as is ``mean``). ``box`` (k, 3, 2): first and one past the last voxel of the organ along z, y, x, NaN
    voxels included ((0, 0) for an empty organ); ``at_edge``: whether the organ touches the first or last voxel of any axis.
    """

    labels: np.ndarray
    n: np.ndarray
    n_nan: np.ndarray
    sum: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray
    box: np.ndarray
    at_edge: np.ndarray


@compiled
def _slab(values, labels, table, first, last, counts, moments, boxes):  # type: ignore[no-untyped-def]
    """One slab: runs of equal labels along x are summed in registers. Returns how many voxels have a label that is not in the table.

    Four lanes, as one sum would wait for its own last addition; written out, so that the order of additions is fixed; and in one
    function, as a call a run would cost more than the run. Where a voxel is not finite the sum is not: `_careful_slab` does it again.
    """
    n_unknown = 0
    for z in range(first, last):
        for y in range(labels.shape[1]):
            mark, row, stop = labels[z, y], values[z, y], 0
            while stop < mark.size:
                start, label, stop = stop, mark[stop], stop + 1
                while stop + 2 <= mark.size and (mark[stop] == label) & (mark[stop + 1] == label):
                    stop += 2
                stop += 1 if stop < mark.size and mark[stop] == label else 0
                organ = table[label] if 0 <= label < table.size else -2
                if organ < 0:
                    n_unknown += stop - start if organ == -2 else 0
                    continue
                shift = moments[organ, _SHIFT] if counts[organ, _N] else np.float64(row[start])
                t0 = t1 = t2 = t3 = q0 = q1 = q2 = q3 = 0.0
                l0 = l1 = l2 = l3 = h0 = h1 = h2 = h3 = np.float64(row[start])
                x = start
                while x + 4 <= stop:
                    v0, v1, v2, v3 = np.float64(row[x]), np.float64(row[x + 1]), np.float64(row[x + 2]), np.float64(row[x + 3])
                    l0, l1, l2, l3 = v0 if v0 < l0 else l0, v1 if v1 < l1 else l1, v2 if v2 < l2 else l2, v3 if v3 < l3 else l3
                    h0, h1, h2, h3 = v0 if v0 > h0 else h0, v1 if v1 > h1 else h1, v2 if v2 > h2 else h2, v3 if v3 > h3 else h3
                    v0, v1, v2, v3 = v0 - shift, v1 - shift, v2 - shift, v3 - shift
                    t0, t1, t2, t3 = t0 + v0, t1 + v1, t2 + v2, t3 + v3
                    q0, q1, q2, q3 = q0 + v0 * v0, q1 + v1 * v1, q2 + v2 * v2, q3 + v3 * v3
                    x += 4
                while x < stop:
                    v0, x = np.float64(row[x]), x + 1
                    l0, h0, v0 = v0 if v0 < l0 else l0, v0 if v0 > h0 else h0, v0 - shift
                    t0, q0 = t0 + v0, q0 + v0 * v0
                l0, l2, h0, h2 = l1 if l1 < l0 else l0, l3 if l3 < l2 else l2, h1 if h1 > h0 else h0, h3 if h3 > h2 else h2
                l0, h0 = l2 if l2 < l0 else l0, h2 if h2 > h0 else h0
                counts[organ, _N] += stop - start
                moments[organ, _SHIFT] = shift
                moments[organ, _SUM] += (t0 + t1) + (t2 + t3)
                moments[organ, _SQUARES] += (q0 + q1) + (q2 + q3)
                moments[organ, _LOW] = l0 if l0 < moments[organ, _LOW] else moments[organ, _LOW]
                moments[organ, _HIGH] = h0 if h0 > moments[organ, _HIGH] else moments[organ, _HIGH]
                box = boxes
                box[organ, 0, 0], box[organ, 0, 1] = min(z, box[organ, 0, 0]), max(z + 1, box[organ, 0, 1])
                box[organ, 1, 0], box[organ, 1, 1] = min(y, box[organ, 1, 0]), max(y + 1, box[organ, 1, 1])
                box[organ, 2, 0], box[organ, 2, 1] = min(start, box[organ, 2, 0]), max(stop, box[organ, 2, 1])
    return n_unknown


@compiled
def _careful_slab(values, labels, table, first, last, counts, moments):  # type: ignore[no-untyped-def]
    """Counts and moments of one slab voxel by voxel: NaN and infinite ones are counted and left out of the sums."""
    for z in range(first, last):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                label = labels[z, y, x]
                organ = table[label] if 0 <= label < table.size else -2
                if organ < 0:
                    continue
                value = np.float64(values[z, y, x])
                if value - value != 0.0:
                    counts[organ, _NAN if value != value else _INF] += 1
                    continue
                if counts[organ, _N] == 0:
                    moments[organ, _SHIFT] = value
                distance = value - moments[organ, _SHIFT]
                counts[organ, _N] += 1
                moments[organ, _SUM] += distance
                moments[organ, _SQUARES] += distance * distance
                moments[organ, _LOW] = min(moments[organ, _LOW], value)
                moments[organ, _HIGH] = max(moments[organ, _HIGH], value)


def label_statistics(values: np.ndarray, labels: np.ndarray, wanted: Sequence[int], threads: int | None = None) -> LabelStatistics:
    """Statistics of each wanted label of a volume, one pass, nothing copied (but arrays of foreign byte order).

    ``values`` (z, y, x) of any real type, ``labels`` the same shape, integers; label 0 means none and is skipped unless wanted.
    Sums are float64 of distances from a voxel of the organ, merged slab by slab with Chan's formula, so that the variance is right
    to n·2⁻⁵³ however far the values lie from 0; the result repeats bit for bit and does not depend on ``threads``.

    Raises `InputError`: ``shape_mismatch``, ``labels_not_integers``, ``label_out_of_range``, ``unnamed_label`` (a label other than 0
    that is not wanted), ``infinite_voxel`` (inside a wanted organ). A NaN is counted and left out; it never counts as 0.

    Reference: Chan, Golub, LeVeque 1983, doi:10.1080/00031305.1983.10483115.

    >>> one = label_statistics(np.array([[[1.0, 3.0, 9.0]]]), np.array([[[1, 1, 0]]]), [1])
    >>> int(one.n[0]), float(one.mean[0]), float(one.squares[0])
    (2, 2.0, 2.0)
    """
    values, labels = _plain(values), _plain(labels)
    _check(values, labels, wanted)
    order = _fastest_last(labels)
    values_view, labels_view = values.transpose(order), labels.transpose(order)
    partials, n_unknown = _all_slabs(values_view, labels_view, _table(wanted), len(wanted), threads)
    if n_unknown:
        _refuse_unnamed(labels, wanted)
    counts, moments, boxes = _merge(partials)
    if counts[:, _INF].any():
        _refuse_infinite(values, labels, [wanted[int(i)] for i in np.flatnonzero(counts[:, _INF])])
    back = np.argsort(order)
    return _result(wanted, counts, moments, boxes[:, back], labels.shape)


def _plain(array: np.ndarray) -> np.ndarray:
    """The array as one that numba takes: no subclass, native byte order, no bool or half precision; a view wherever that is possible."""
    array = np.asarray(array)
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check(values: np.ndarray, labels: np.ndarray, wanted: Sequence[int]) -> None:
    if values.shape != labels.shape or values.ndim != 3:
        raise InputError("shape_mismatch", "image and organ map differ in shape", found=labels.shape, expected=values.shape)
    if labels.dtype.kind not in "iu":
        raise InputError("labels_not_integers", "an organ map holds integers", found=labels.dtype, expected="an integer type")
    wrong = [label for label in wanted if not 0 <= label <= LARGEST_LABEL]
    if wrong:
        raise InputError("label_out_of_range", "label cannot be used", found=wrong, expected=f"0 to {LARGEST_LABEL}", do="renumber")
    if len(set(wanted)) != len(wanted):
        raise ValueError(f"labels are named twice: {list(wanted)}")


def _fastest_last(labels: np.ndarray) -> tuple[int, ...]:
    """Axes with the one along which neighbours lie closest in memory last, so that Fortran order is walked in its own order too."""
    return tuple(sorted(range(3), key=lambda axis: -abs(labels.strides[axis])))


def _table(wanted: Sequence[int]) -> np.ndarray:
    """Label → organ index; -1 for none, -2 for a label that nobody named."""
    table = np.full(max([*wanted, 0]) + 1, -2, np.int32)
    table[0] = -1
    table[list(wanted)] = np.arange(len(wanted))
    return table


Partials = tuple[np.ndarray, np.ndarray, np.ndarray]


def _all_slabs(values: np.ndarray, labels: np.ndarray, table: np.ndarray, n_organs: int, threads: int | None) -> tuple[Partials, int]:
    """Partial sums of every slab, first axis the slab, and the number of voxels with an unnamed label."""
    edges = np.linspace(0, labels.shape[0], min(_SLABS, max(labels.shape[0], 1)) + 1).astype(int)
    n_slabs = len(edges) - 1
    counts, moments = np.zeros((n_slabs, n_organs, 3), np.int64), np.zeros((n_slabs, n_organs, 5))
    boxes = np.zeros((n_slabs, n_organs, 3, 2), np.int64)
    boxes[..., 0] = max(labels.shape)

    def one(slab: int) -> int:
        count, moment, ends = counts[slab], moments[slab], (int(edges[slab]), int(edges[slab + 1]))
        moment[:, _LOW], moment[:, _HIGH] = np.inf, -np.inf
        n_unknown = int(_slab(values, labels, table, *ends, count, moment, boxes[slab]))
        if not np.isfinite(moment[:, _SUM]).all():
            count[:], moment[:] = 0, 0.0
            moment[:, _LOW], moment[:, _HIGH] = np.inf, -np.inf
            _careful_slab(values, labels, table, *ends, count, moment)
        return n_unknown

    n_threads = 1 if labels.size < _VOXELS_WORTH_THREADS else threads or processors()
    if n_threads == 1:
        return (counts, moments, boxes), sum(map(one, range(n_slabs)))
    with ThreadPoolExecutor(n_threads) as pool:
        return (counts, moments, boxes), sum(pool.map(one, range(n_slabs)))


def _merge(partials: Partials) -> Partials:
    """Slabs joined in their order. Moments come out as shift = mean, sum = Σ v, squares = Σ (v - mean)², low, high."""
    counts, moments, boxes = partials
    n, mean, squares = np.zeros(counts.shape[1]), np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    for count, moment in zip(counts[..., _N], moments, strict=True):
        some = np.maximum(count, 1)
        slab_mean = moment[:, _SHIFT] + moment[:, _SUM] / some
        slab_squares = np.maximum(moment[:, _SQUARES] - moment[:, _SUM] ** 2 / some, 0.0)
        total = n + count
        step = np.where(count > 0, slab_mean - mean, 0.0)
        squares += slab_squares + step**2 * n * count / np.maximum(total, 1)
        mean += step * count / np.maximum(total, 1)
        n = total
    totals = (counts[..., _N] * moments[..., _SHIFT] + moments[..., _SUM]).sum(axis=0)
    merged = np.stack([mean, totals, squares, moments[..., _LOW].min(axis=0), moments[..., _HIGH].max(axis=0)], axis=1)
    joined = np.stack([boxes[..., 0].min(axis=0), boxes[..., 1].max(axis=0)], axis=-1)
    return counts.sum(axis=0), merged, joined


def _result(wanted: Sequence[int], counts: np.ndarray, moments: np.ndarray, boxes: np.ndarray, shape: tuple[int, ...]) -> LabelStatistics:
    there = counts.sum(axis=1) > 0
    boxes = np.where(there[:, None, None], boxes, 0)
    n = counts[:, _N]
    edge = there & ((boxes[..., 0] == 0) | (boxes[..., 1] == np.array(shape))).any(axis=1)
    mean, total, squares, low, high = moments.T
    empty = n == 0
    mean, low, high = (np.where(empty, np.nan, one) for one in (mean, low, high))
    return LabelStatistics(np.array(wanted, np.int64), n, counts[:, _NAN], total, mean, squares, low, high, boxes, edge)


def _refuse_unnamed(labels: np.ndarray, wanted: Sequence[int]) -> None:
    unnamed = sorted(set(np.unique(labels).tolist()) - set(wanted) - {0})
    raise InputError(
        "unnamed_label",
        "the organ map has labels without a name",
        found=unnamed[:20],
        expected=f"only 0 and {sorted(wanted)[:20]}",
        do="name each label in the table beside the map, or set it to 0",
    )


def _refuse_infinite(values: np.ndarray, labels: np.ndarray, organs: list[int]) -> None:
    where = np.argwhere(np.isinf(values) & (labels == organs[0]))
    raise InputError(
        "infinite_voxel",
        "the image is infinite inside an organ",
        found=f"{len(where)} voxels",
        expected="finite values or NaN",
        where=f"label {organs[0]}, first voxel (z, y, x) = {tuple(where[0].tolist())}",
        do="calibrate or export the scan again",
    )
