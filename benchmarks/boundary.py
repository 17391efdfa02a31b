"""Times the boundary's error on the mouse phantom against plain numpy and scipy doing the same draws; prints the ratio.

python benchmarks/boundary.py [--repeats 2] [--sd-mm 0.2]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHAPE = (256, 128, 128)
VOXEL_MM = 0.4
DRAWS = 32
# The peer takes seconds for each: it makes fewer, and its time is scaled up.
PEER_DRAWS = 4
FWHM_MM = 1.2


def mouse():
    """128 × 128 × 256 voxels, 12 organs and the rest of the body."""
    from tracker.image import Grid
    from tracker.mouse import mouse_labels

    affine = np.diag([-VOXEL_MM, -VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = VOXEL_MM * np.array([63.5, 63.5, -127.5])
    return mouse_labels(25.0, Grid(SHAPE, affine))


def plain(values: np.ndarray, labels: np.ndarray, sd_mm: float) -> np.ndarray:
    """The same model with whole arrays, one organ at a time in its own box; the means' sd (k,).

    Distances for the normal, one smooth field an organ and draw, shares by interpolation of each organ's shape.
    """
    from scipy import ndimage

    random, found = np.random.default_rng(0), []
    for organ, box in enumerate(ndimage.find_objects(labels), start=1):
        margin = int(np.ceil(3.5 * sd_mm / VOXEL_MM)) + 2
        own = tuple(slice(max(s.start - margin, 0), min(s.stop + margin, n)) for s, n in zip(box, SHAPE, strict=True))
        shape, image = (labels[own] == organ).astype(np.float32), values[own]
        smooth = (3 * shape.sum() / (4 * np.pi)) ** (1 / 3) / np.sqrt(2)
        noise_sd = (4 * np.pi * smooth**2) ** 0.75
        depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(shape) - ndimage.distance_transform_edt(1 - shape), 1.0)
        normal = -np.stack(np.gradient(depth))
        normal /= np.maximum(np.linalg.norm(normal, axis=0), 1e-6)
        places, mean, changes = np.indices(shape.shape).astype(np.float32), image[shape > 0].mean(), []
        for _ in range(PEER_DRAWS):
            # Filtered with room around it: a periodic box would be one with itself.
            field = noise_sd * ndimage.gaussian_filter(
                random.standard_normal([n + int(4 * smooth) for n in shape.shape]), smooth, mode="wrap"
            )
            inside = field[tuple(slice(n) for n in shape.shape)]
            step = np.sqrt(0.5) * (random.standard_normal(3)[:, None, None, None] + inside * normal) * sd_mm / VOXEL_MM
            moved = ndimage.map_coordinates(shape, places - step, order=1, mode="nearest")
            changes.append((moved * image).sum() / moved.sum() - mean)
        found.append(np.sqrt(np.mean(np.square(changes))))
    return np.array(found)


def main() -> None:
    from tracker.quantify.border import find_borders
    from tracker.quantify.boundary import boundary_sd, draws
    from tracker.quantify.boundary_unmixed import boundary_sd_unmixed, mixed_borders
    from tracker.quantify.statistics import label_statistics
    from tracker.spillover import spread_matrix, unmix

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--sd-mm", type=float, default=0.2)
    options = parser.parse_args()
    from dataclasses import replace

    from scipy.ndimage import gaussian_filter

    organs = mouse()
    labels = sorted(organs.names)
    organs = replace(organs, boundary_sd_mm=dict.fromkeys(labels, options.sd_mm))
    held = np.append(0.0, 1.0 + (7 * np.arange(1, 14)) % 11)
    values = gaussian_filter(held[organs.labels], FWHM_MM / 2.3548 / VOXEL_MM).astype(np.float32)
    found = label_statistics(values, organs.labels, labels)
    spread = spread_matrix(organs.labels, labels, organs.grid, FWHM_MM)
    true = unmix(found.mean, np.zeros((13, 13)), spread).means

    def ours() -> np.ndarray:
        borders = find_borders(organs.labels, np.array(labels), organs.boundary_sd_mm, organs.grid)
        return boundary_sd(values, borders, found.mean, found.n).mean

    def undone() -> np.ndarray:
        return boundary_sd_unmixed(values, mixed_borders(organs, spread), found.mean, true).mean

    draws()
    ours(), undone()  # compile
    seconds: dict[str, list[float]] = {"ours": [], "numpy_scipy": [], "spill_over_undone": []}
    for _ in range(options.repeats):
        for name, work in (
            ("ours", ours),
            ("numpy_scipy", lambda: plain(values, organs.labels, options.sd_mm)),
            ("spill_over_undone", undone),
        ):
            start = time.perf_counter()
            answer = work()
            seconds[name].append((time.perf_counter() - start) * (DRAWS / PEER_DRAWS if name == "numpy_scipy" else 1))
            if name == "numpy_scipy":
                # Other draws: a standard deviation from four is good to a third, the mean of 13 organs' to a tenth.
                np.testing.assert_allclose(np.mean(answer / ours()), 1.0, atol=0.3)
    print(f"12 organs and the rest, 128 × 128 × 256, sd {options.sd_mm} mm, {DRAWS} draws; ratio = peer / ours, median (min to max)")
    for name, times in seconds.items():
        ratio = np.array(times) / np.array(seconds["ours"])
        seen = f"{np.median(times):8.3f} s ({min(times):.3f} to {max(times):.3f})"
        print(f"  {name:18s} {seen}   {np.median(ratio):7.1f} ({ratio.min():.1f} to {ratio.max():.1f})")


if __name__ == "__main__":
    main()
