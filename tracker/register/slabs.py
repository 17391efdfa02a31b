"""How loops over voxels are spread over processors without changing the result."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tracker.compiled import processors

# Below this many output numbers starting threads costs more than it gains.
WORTH_THREADS = 1 << 19
# Volumes are cut into this many slabs whatever the number of threads: sums then do not depend on that number.
SLABS = 16


def slab_edges(n: int, size: int) -> list[tuple[int, int]]:
    """First and one past the last of ``n`` planes of each slab, by how many numbers there are and not by how many processors.

    >>> slab_edges(3, 1 << 20)
    [(0, 1), (1, 2), (2, 3)]
    """
    k = min(SLABS, n) if size >= WORTH_THREADS else 1
    return [(i * n // k, (i + 1) * n // k) for i in range(k)]


def in_slabs(kernel: Callable[..., None], n: int, *args: Any) -> None:
    """Calls ``kernel(*args, slab, first, last)`` for every slab of ``n`` planes; each call writes its own part of the outputs."""
    edges = slab_edges(n, max(a.size for a in args if isinstance(a, np.ndarray)))
    jobs = [(*args, i, first, last) for i, (first, last) in enumerate(edges)]
    # The first call alone, so that only one thread compiles.
    kernel(*jobs[0])
    threads = min(processors(), len(jobs) - 1)
    if threads <= 1:
        for job in jobs[1:]:
            kernel(*job)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda job: kernel(*job), jobs[1:]):
            pass
