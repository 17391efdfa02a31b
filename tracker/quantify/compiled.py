"""How loops over voxels are compiled, and where the machine code is kept."""

from __future__ import annotations

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
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        # numba raises this at decoration time when it finds no folder to keep the code in.
        return njit(nogil=True)(function)
