"""Times the regional spread matrix against blurs of the whole volume with scipy, and PETPVC: in turn, in one run; prints the ratio.

python benchmarks/gtm.py [--repeats 5] [--fwhm-mm 1.6]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHAPE = (256, 128, 128)
VOXEL_MM = 0.4
ORGANS = list(range(1, 13))
SD_PER_FWHM = 1 / 2.354820045


def affine() -> np.ndarray:
    made = np.diag([-VOXEL_MM, -VOXEL_MM, VOXEL_MM, 1.0])
    made[:3, 3] = VOXEL_MM * np.array([63.5, 63.5, -127.5])
    return made


def mouse() -> np.ndarray:
    """The mouse's 12 organs, without the rest of its body."""
    from tracker.image import Grid
    from tracker.mouse import mouse_labels

    labels = mouse_labels(25.0, Grid(SHAPE, affine())).labels
    return np.where(labels > 12, 0, labels).astype(np.int16)


def full() -> np.ndarray:
    """12 regions that fill the field, each voxel with the nearest of 12 points: the worst that a map can be."""
    from scipy.spatial import cKDTree

    points = np.random.default_rng(0).random((12, 3)) * SHAPE
    nearest = cKDTree(points).query(np.indices(SHAPE).reshape(3, -1).T)[1]
    return np.asarray(1 + nearest.reshape(SHAPE)).astype(np.int16)


def ours(labels: np.ndarray, fwhm_mm: float) -> np.ndarray:
    from tracker.image import Grid
    from tracker.spillover import spread_matrix

    return spread_matrix(labels, ORGANS, Grid(SHAPE, affine()), fwhm_mm).matrix


def scipy_whole_volume(labels: np.ndarray, fwhm_mm: float) -> np.ndarray:
    """PETPVC's formula, w_ij = Σ (h * p_i) p_j / Σ (h * p_i), every shape blurred over the whole volume (float32, sampled kernel)."""
    from scipy import ndimage

    matrix = np.empty((len(ORGANS), len(ORGANS)))
    for i, organ in enumerate(ORGANS):
        blurred = ndimage.gaussian_filter((labels == organ).astype(np.float32), fwhm_mm * SD_PER_FWHM / VOXEL_MM, mode="constant")
        matrix[i] = ndimage.sum_labels(blurred, labels, ORGANS) / blurred.sum(dtype=float)
    return matrix


def petpvc(labels: np.ndarray, fwhm_mm: float) -> None:
    """Its own command on files made beforehand (`petpvc_files`): reading and writing counts, as it does for who uses it."""
    folder = petpvc_files(labels)
    width = [part for axis in "xyz" for part in (f"-{axis}", str(fwhm_mm))]
    files = ["-i", str(folder / "image.nii"), "-m", str(folder / "mask.nii"), "-o", str(folder / "out.nii")]
    subprocess.run(["petpvc", *files, "--pvc", "GTM", *width], check=True, capture_output=True)


_FOLDERS: dict[int, tempfile.TemporaryDirectory[str]] = {}


def petpvc_files(labels: np.ndarray) -> Path:
    """An image and a 4-D mask of the regions and of what is in none of them; written once for each map."""
    if id(labels) not in _FOLDERS:
        import nibabel as nib

        made = _FOLDERS[id(labels)] = tempfile.TemporaryDirectory()
        masks = np.stack([organ == labels.T for organ in [0, *ORGANS] if (labels == organ).any()], axis=-1).astype(np.float32)
        nib.save(nib.Nifti1Image(masks, affine()), Path(made.name) / "mask.nii")
        nib.save(nib.Nifti1Image(labels.T.astype(np.float32), affine()), Path(made.name) / "image.nii")
    return Path(_FOLDERS[id(labels)].name)


def run(name: str, labels: np.ndarray, fwhm_mm: float, repeats: int) -> None:
    peers: list[Callable[[np.ndarray, float], np.ndarray | None]] = [ours, scipy_whole_volume]
    if shutil.which("petpvc"):
        petpvc_files(labels)
        peers.append(petpvc)
    truth = ours(labels, fwhm_mm)  # also compiles
    seconds = {peer.__name__: np.zeros(repeats) for peer in peers}
    for repeat in range(repeats):
        for peer in peers:
            start = time.perf_counter()
            found = peer(labels, fwhm_mm)
            seconds[peer.__name__][repeat] = time.perf_counter() - start
            if found is not None:
                # The sampled kernel is narrower by 1/12 voxel², 1.4 % at 4 voxels a width; at the field's edge the formulas part as well.
                inside = name == "mouse"
                np.testing.assert_allclose(found, truth, atol=0.01 if inside else 0.1)
    print(f"{name}: 12 regions of 128 × 128 × 256, FWHM {fwhm_mm} mm, voxels {VOXEL_MM} mm; ratio = peer / ours, median (min to max)")
    for called, times in seconds.items():
        ratio = times / seconds["ours"]
        low, middle, high = times.min(), np.median(times), times.max()
        figures = f"{middle:8.3f} s ({low:.3f} to {high:.3f})   {np.median(ratio):7.1f} ({ratio.min():.1f} to {ratio.max():.1f})"
        print(f"  {called:20s} {figures}")
    if "petpvc" not in seconds:
        print("  petpvc               skipped, there is no petpvc command (conda install conda-forge::petpvc)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--fwhm-mm", type=float, default=1.6)
    options = parser.parse_args()
    for make in (mouse, full):
        run(make.__name__, make(), options.fwhm_mm, options.repeats)


if __name__ == "__main__":
    main()
