"""Times the label statistics against scipy, NumPy and SimpleITK: in turn, in one run; prints the ratio and the memory they need.

python benchmarks/label_statistics.py [--size 512] [--repeats 5] [--organs 100]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def make(size: int, n_organs: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise (float32) and a map (uint16) of round organs, each voxel with the nearest of ``n_organs`` points, within a ball."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(0)
    points = rng.standard_normal((n_organs, 3))
    points *= 0.45 * rng.random((n_organs, 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    tree = cKDTree((points + 0.5) * size)
    labels = np.zeros((size, size, size), np.uint16)
    y, x = np.mgrid[:size, :size]
    for z in range(size):
        inside = (x - size / 2) ** 2 + (y - size / 2) ** 2 + (z - size / 2) ** 2 < (0.5 * size) ** 2
        labels[z][inside] = 1 + tree.query(np.stack([np.full(inside.sum(), z), y[inside], x[inside]], axis=1))[1]
    values = rng.standard_normal(labels.shape, dtype=np.float32)
    values += 100
    return values, labels


def ours(values: np.ndarray, labels: np.ndarray, organs: list[int]) -> np.ndarray:
    from tracker.quantify import label_statistics

    return label_statistics(values, labels, organs).mean


def ours_one_thread(values: np.ndarray, labels: np.ndarray, organs: list[int]) -> np.ndarray:
    from tracker.quantify import label_statistics

    return label_statistics(values, labels, organs, threads=1).mean


def scipy_mean_sd(values: np.ndarray, labels: np.ndarray, organs: list[int]) -> np.ndarray:
    from scipy import ndimage

    ndimage.standard_deviation(values, labels, organs)
    return np.asarray(ndimage.mean(values, labels, organs))


def scipy_mean_sd_min_max(values: np.ndarray, labels: np.ndarray, organs: list[int]) -> np.ndarray:
    from scipy import ndimage

    ndimage.minimum(values, labels, organs)
    ndimage.maximum(values, labels, organs)
    return scipy_mean_sd(values, labels, organs)


def bincount(values: np.ndarray, labels: np.ndarray, organs: list[int]) -> np.ndarray:
    """Number, sum and sum of squares in chunks of one slice (no extremes)."""
    sums = np.zeros((3, max(organs) + 1))
    for value, label in zip(values, labels, strict=True):
        flat, weight = label.ravel(), value.ravel().astype(np.float64)
        for i, w in enumerate((None, weight, weight * weight)):
            sums[i] += np.bincount(flat, w, minlength=sums.shape[1])
    return (sums[1] / sums[0])[organs]


def simpleitk(values: np.ndarray, labels: np.ndarray, organs: list[int]) -> np.ndarray:
    import SimpleITK as sitk

    reader = sitk.LabelStatisticsImageFilter()
    reader.SetUseHistograms(False)
    reader.Execute(sitk.GetImageFromArray(values), sitk.GetImageFromArray(labels))
    return np.array([reader.GetMean(organ) for organ in organs])


def peak_memory_share(size: int, n_organs: int) -> float:
    """What our pass needs beyond its inputs, as a share of them: resident high-water mark of a process of its own."""
    code = (
        "import resource, sys; sys.path.insert(0, sys.argv[1]); import numpy as np; from tracker.quantify import label_statistics\n"
        "size, k = int(sys.argv[2]), int(sys.argv[3]); shape = (size,) * 3\n"
        "def small(): label_statistics(np.ones((2, 2, 2), np.float32), np.ones((2, 2, 2), np.uint16), [1])\n"
        "small(); values = np.ones(shape, np.float32); labels = np.ones(shape, np.uint16)\n"
        "labels[:] = 1 + np.arange(size, dtype=np.uint16) * k // size\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "label_statistics(values, labels, list(range(1, k + 1)))\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print((after - before) * 1024 / (values.nbytes + labels.nbytes))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(ROOT), str(size), str(n_organs)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--organs", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    values, labels = make(options.size, options.organs)
    organs = list(range(1, options.organs + 1))
    peers: list[Callable[..., np.ndarray]] = [ours, ours_one_thread, bincount, scipy_mean_sd, scipy_mean_sd_min_max]
    if find_spec("SimpleITK"):
        peers.append(simpleitk)
    else:
        print("simpleitk: skipped, SimpleITK is not installed (pip install SimpleITK)")
    truth = ours(values, labels, organs)  # also compiles
    seconds = {peer.__name__: np.zeros(options.repeats) for peer in peers}
    for repeat in range(options.repeats):
        for peer in peers:
            start = time.perf_counter()
            found = peer(values, labels, organs)
            seconds[peer.__name__][repeat] = time.perf_counter() - start
            # scipy's mean of float32 is summed in float64; SimpleITK's too.
            np.testing.assert_allclose(found, truth, rtol=1e-6)
    print(f"{options.size}³ voxels, {options.organs} organs, {options.repeats} runs in turn; ratio = peer / ours, median (min to max)")
    for name, times in seconds.items():
        ratio = times / seconds["ours"]
        print(f"{name:24s} {np.median(times):8.3f} s   {np.median(ratio):7.2f} ({ratio.min():.2f} to {ratio.max():.2f})")
    print(f"memory of ours beyond its inputs: {100 * peak_memory_share(options.size, options.organs):.1f} % of them")


if __name__ == "__main__":
    main()
