"""Frames read when they are needed: a dask stack with one chunk a frame, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def lazy_frames(load: Callable[[int], np.ndarray], frames: int, shape: Sequence[int]) -> Any:
    """A dask array (t, z, y, x), float32, whose frame t is ``load(t)`` at the moment it is computed."""
    import dask.array as da
    from dask.delayed import delayed as later

    # Not «pure»: a pure task is named by a digest of all it holds, here every header of the series.
    delayed = later(load, pure=False, traverse=False)
    return da.stack([da.from_delayed(delayed(t), tuple(shape), np.float32) for t in range(frames)])
