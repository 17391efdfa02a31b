"""How loops over voxels are compiled, and how they are spread over processors without changing the result."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit

# Below this many output numbers starting threads costs more than it gains.
WORTH_THREADS = 1 << 19
# Volumes are cut into this many slabs whatever the number of threads: sums then do not depend on that number.
SLABS = 16


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as machine code that releases the interpreter's lock, kept for later runs wherever that is possible.

    Arithmetic is strict IEEE (no ``fastmath``), so that NaN is seen and results are the same on all processors of a kind.

    >>> compiled(lambda x: x + 1)(2)
    3
    """
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        # numba raises this at decoration time when it finds no folder to keep the code in.
        return njit(nogil=True, error_model="numpy")(function)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
