"""Prints the peak memory and time of registering, and of laying an atlas on, a scan of 512³ voxels; each in a process of its own.

python benchmarks/registration_memory.py [--size 512] [--what atlas register]

The scan is the digital mouse (0.2 mm voxels at 512) in float32; a scan of that size alone is 0.5 GB, its labels another 0.25 GB.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def _scan(size: int, shift_mm: float) -> tuple[np.ndarray, object]:
    """The mouse in HU, painted slab by slab so that making it costs no more than it."""
    from tracker.image import Grid
    from tracker.mouse import inside, organ_shapes

    voxel_mm = 102.4 / size
    affine = np.diag([-voxel_mm, -voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = voxel_mm * (size - 1) / 2 * np.array([1, 1, -1])
    values, rng = np.full((size, size, size), -1000.0, np.float32), np.random.default_rng(0)
    across = affine[0, 3] - voxel_mm * np.arange(size)
    for z in range(size):
        points = across[None, :] + shift_mm, across[:, None], affine[2, 3] + voxel_mm * z
        for name, shape in reversed(organ_shapes(25.0).items()):
            hu = {"body": 0.0, "bone": 500.0, "lung_left": -500.0, "lung_right": -500.0}.get(name, 60.0)
            values[z][inside(shape, *points)] = hu
        values[z] += 20 * rng.standard_normal((size, size), np.float32)
    return values, Grid((size, size, size), affine)


def _one(what: str, size: int) -> None:
    from tracker.atlas import Atlas, fit_atlas
    from tracker.mouse import mouse_grid, mouse_labels
    from tracker.register import Options, register

    fixed, grid = _scan(size, 0.0)
    moving = _scan(size, 1.0)[0] if what == "register" else None
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    if moving is None:
        fit_atlas(fixed, grid, "ct", Atlas(mouse_labels(25.0, mouse_grid(25.0, 0.4))))  # type: ignore[arg-type]
    else:
        register(fixed, grid, moving, grid, Options(metric="correlation"))  # type: ignore[arg-type]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{what:9s} {size}³: {peak / 2**20:.2f} GB at most, {before / 2**20:.2f} GB before; {time.perf_counter() - start:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--what", nargs="+", choices=("atlas", "register"), default=["atlas", "register"])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    for what in given.what:
        if given.here:
            _one(what, given.size)
            continue
        command = [sys.executable, "-P", __file__, "--here", "--size", str(given.size), "--what", what]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


if __name__ == "__main__":
    main()
