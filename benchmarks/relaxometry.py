"""R2* against scipy, tedana, NumPy and the classical estimators on the same data: bias and scatter, then speed, in turn, in one run.

python benchmarks/relaxometry.py [--voxels 1000000] [--repeats 5] [--accuracy 20000]

tedana is a peer only, in an environment of its own (pip install tedana): it and what it needs are under LGPL and GPL.
Peers that take seconds for a few thousand voxels are timed on some of them, and scaled.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# Noise of the images. Not 1: tedana adds 1 to every value before its logarithm, which is nothing in images as scanners write them.
SIGMA = 100.0
TIMES_S = np.arange(1, 9) * 3e-3
# True R2* [1/s] and SNR of the first table of the design.
CELLS = ((30, 30), (100, 30), (250, 30), (250, 100), (500, 100), (500, 30), (800, 100))
Peer = Callable[[np.ndarray], np.ndarray]


def simulate(s0: np.ndarray, rate: np.ndarray, seed: int) -> np.ndarray:
    """Rician magnitudes (echo, voxel) float32; ``s0`` in units of the noise."""
    rng = np.random.default_rng(seed)
    signal = s0 * np.exp(-TIMES_S[:, None] * rate)
    real = signal + rng.standard_normal(signal.shape)
    return (SIGMA * np.hypot(real, rng.standard_normal(signal.shape))).astype(np.float32)


def ours(name: str) -> Peer:
    from tracker.mri.header import Noise
    from tracker.mri.relaxometry import fit

    noise = Noise(sigma=SIGMA, coils=1, source="config")
    return lambda y: fit(name, y[:, None, None, :], TIMES_S, noise).r2star_per_s[0, 0]


def loglinear(y: np.ndarray) -> np.ndarray:
    """Ordinary least squares of ln y."""
    centred = TIMES_S - TIMES_S.mean()
    return -(centred @ np.log(np.maximum(y, 1e-6))) / (centred @ centred)


def numpy_weighted(y: np.ndarray) -> np.ndarray:
    """Weighted log-linear fit as one would write it in NumPy."""
    w, log, t = y * y, np.log(np.maximum(y, 1e-6)), TIMES_S[:, None].astype(np.float32)
    sw, swt, swtt, swl, swtl = w.sum(0), (w * t).sum(0), (w * t * t).sum(0), (w * log).sum(0), (w * t * log).sum(0)
    return -(sw * swtl - swt * swl) / (sw * swtt - swt * swt)


def scipy_loop(y: np.ndarray) -> np.ndarray:
    from scipy.optimize import curve_fit

    def model(t: np.ndarray, s0: float, rate: float) -> np.ndarray:
        return s0 * np.exp(-rate * t)

    start = loglinear(y)
    found = np.full(y.shape[1], np.nan)
    for voxel in range(y.shape[1]):
        with contextlib.suppress(RuntimeError):
            found[voxel] = curve_fit(model, TIMES_S, y[:, voxel], p0=(y[0, voxel], start[voxel]))[0][1]
    return found


def tedana_peers() -> dict[str, Peer]:
    """tedana's two estimators, all echoes used, one processor (its default); nothing where it is not installed."""
    if not find_spec("tedana"):
        return {}
    from tedana.decay import fit_loglinear, fit_monoexponential

    def run(function: Callable[..., tuple], y: np.ndarray) -> np.ndarray:
        data, mask = np.ascontiguousarray(y.T[:, :, None], np.float64), np.full(y.shape[1], y.shape[0])
        # It draws a progress bar.
        with Path(os.devnull).open("w") as nothing, contextlib.redirect_stderr(nothing):
            return 1000.0 / function(data, TIMES_S * 1000, mask, report=False)[0]

    return {"tedana log-linear": lambda y: run(fit_loglinear, y), "tedana monoexponential": lambda y: run(fit_monoexponential, y)}


def peers() -> dict[str, tuple[Peer, int]]:
    """Each peer and on how many voxels it is timed at most."""
    many, few, fewer = 1 << 30, 2000, 200
    found: dict[str, tuple[Peer, int]] = {
        "ours, second moment": (ours("second_moment"), many),
        "ours, ARLO": (ours("arlo"), many),
        "ours, weighted log-linear": (ours("weighted_loglinear"), many),
        "numpy weighted log-linear": (numpy_weighted, many),
        "numpy log-linear": (loglinear, many),
        "scipy curve_fit": (scipy_loop, few),
    }
    for name, peer in tedana_peers().items():
        found[name] = (peer, many if "log" in name else fewer)
    if len(found) == 6:
        print("tedana: skipped, not installed (pip install tedana, in an environment of its own)")
    return found


def accuracy(n: int) -> None:
    """Bias of the median and root mean square error [%]; voxels without a number count as above all others in the median."""
    print(f"\nmedian bias % (RMSE %) of R2*, {n} voxels a column (loops: 2000), 8 echoes of 3 to 24 ms, Rician; R2*max = ln(SNR/3)/6 ms")
    print(f"{'R2* [1/s] / SNR / R2*max':28s}" + "".join(f"{f'{r}/{s}/{np.log(s / 3) / 6e-3:.0f}':>17s}" for r, s in CELLS))
    data = [simulate(np.full(n, snr), np.full(n, rate), i) for i, (rate, snr) in enumerate(CELLS)]
    for name, (peer, few) in peers().items():
        row = ""
        for (rate, _), y in zip(CELLS, data, strict=True):
            found = peer(y[:, : max(few, 2000)])
            bias = 100 * (np.median(np.where(np.isnan(found), np.inf, found)) / rate - 1)
            seen = found[np.isfinite(found)]
            rmse = 100 * np.sqrt(np.mean((seen / rate - 1) ** 2)) if seen.size > 0.5 * found.size else np.nan
            row += f"{'above limit' if np.isinf(bias) else f'{bias:+.1f} ({rmse:.1f})':>17s}"
        print(f"{name:28s}{row}")


def roofline(y: np.ndarray, repeats: int) -> float:
    """Seconds to read the magnitudes once, by their sum, on one processor."""
    taken = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        y.sum()
        taken.append(time.perf_counter() - start)
    return min(taken)


def speed(n: int, repeats: int) -> None:
    rng = np.random.default_rng(0)
    y = simulate(rng.uniform(15, 100, n), np.exp(rng.uniform(np.log(30), np.log(300), n)), 1)
    all_peers = peers()
    seconds = {name: np.zeros(repeats) for name in all_peers}
    for peer, _ in all_peers.values():
        peer(y[:, :500])  # compiles and imports
    for repeat in range(repeats):
        for name, (peer, most) in all_peers.items():
            part = np.ascontiguousarray(y[:, :most])
            start = time.perf_counter()
            peer(part)
            seconds[name][repeat] = (time.perf_counter() - start) * n / part.shape[1]
    print(f"\n{n} voxels of 8 echoes, SNR 15 to 100, R2* 30 to 300 /s; {repeats} runs in turn; ratio = peer / ours, median (min to max)")
    for name, times in seconds.items():
        ratio = times / seconds["ours, second moment"]
        print(
            f"{name:28s} {np.median(times):9.3f} s {n / np.median(times) / 1e6:9.4f} M voxels/s (best {n / times.min() / 1e6:.4f})"
            f"   {np.median(ratio):9.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        )
    read = roofline(y, repeats)
    share = 100 * read / seconds["ours, second moment"].min()
    print(f"reading {y.nbytes / 1e6:.0f} MB once: {read:.4f} s ({y.nbytes / read / 1e9:.0f} GB/s), {share:.0f} % of our time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voxels", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--accuracy", type=int, default=20_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # peers overflow and fail to converge where the signal is gone: that is their result
    accuracy(options.accuracy)
    speed(options.voxels, options.repeats)


if __name__ == "__main__":
    main()
