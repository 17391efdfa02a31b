"""How loops over voxels are compiled, where the machine code is kept, and how many processors there are to run it on."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as machine code that releases the interpreter's lock, kept for later runs wherever that is possible.

    numba keeps it beside the source; where that folder is read-only, in ``NUMBA_CACHE_DIR`` or the user's cache folder; where
    none of them can be written, the code is compiled again in each process (a second or two), never an error.
    Arithmetic is strict IEEE (no ``fastmath``), so that NaN is seen and results are the same on all processors of a kind.

    >>> compiled(lambda x: x + 1)(2)
    3
    """
    return _kept(function)


def compiled_unguarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with division by 0 as NumPy has it (inf or NaN) instead of an error: loops without that test are vectorised.

    >>> import numpy as np
    >>> bool(np.isinf(compiled_unguarded(lambda x: 1.0 / x)(0.0)))
    True
    """
    return _kept(function, error_model="numpy")


def _kept(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    try:
        made: Callable[..., Any] = njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:
        # numba raises this at decoration time when it finds no folder to keep the code in.
        made = njit(nogil=True, **options)(function)
    return made


def processors() -> int:
    """How many processors this process may use (a scheduler may have given it fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
