"""How far each organ's border may be off: what the scan shows of it, and what is known where it shows nothing.

Of an organ: s² = f² + ⟨1 / (I / b + 1 / p²)⟩ + ⟨d²⟩, means over its border.

I [1/mm²] is the information of the scan there (`tracker.atlas.bend`: how sharply the misfit grows when the border moves, over the variance
of what else moves it), made weaker by b and joined with a prior of p, which is all that is left where the scan shows nothing. d is
how far, along the border's normal, two fits from other starts come out beside it (`tracker.atlas.again`). f is what is left anyway.

f and p are published: lungs, the sharpest of borders, came out 0.18 mm off on average and spleens, which native CT hardly shows,
0.72 ± 0.42 mm in 45 mice (Wang 2012, doi:10.1109/TMI.2011.2165294); a mean distance of a is a normal sd of 1.25 a. b is our own:
neighbouring windows share their noise, and an atlas's shape is not the animal's. With it the sum is right on digital mice without
further factors (docs/decisions/0007).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracker.atlas.bend import Bent
from tracker.atlas.tissues import tissue_of
from tracker.image import voxel_volume_ml
from tracker.register.kernels import blur

FLOOR_MM, PRIOR_MM = 0.22, 1.0
_WEAKER = 10.0


def boundary_sd_mm(found: Bent, beside: tuple[np.ndarray, ...], labels: np.ndarray, names: Mapping[int, str]) -> dict[int, float]:
    """The sd [mm] of the border of every organ of ``names``; ``labels`` (z, y, x) of the fitted atlas on the voxels of ``found.scan``.

    ``beside``: by how far other fits lie beside it, each (z, y, x, 3) [mm]. Raises nothing; it cannot know what no fit has found.
    The body's border is the one to the air: its borders with organs are theirs. An organ too small for these voxels has the prior.
    """
    size_mm = 1000 * voxel_volume_ml(found.scan.grid)
    information = found.last.information / np.float32(size_mm ** (2 / 3))
    variance = 1 / (information / _WEAKER + 1 / PRIOR_MM**2)
    out = {}
    for index, name in names.items():
        tissue = tissue_of(name)
        own = labels == index
        border = _next_to(own, labels == 0) if tissue is not None and tissue.kind == "body" else _next_to(own, ~own)
        if not border.any():
            out[index] = float(np.hypot(FLOOR_MM, PRIOR_MM))
            continue
        across = _normals(own, border)
        moved = np.mean([((one[border] * across).sum(axis=1) ** 2).mean() for one in beside])
        out[index] = float(np.sqrt(FLOOR_MM**2 + variance[border].mean() + moved))
    return out


def _next_to(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Voxels of ``one`` with one of ``other`` among the six around them."""
    from scipy.ndimage import binary_dilation

    return np.asarray(one & binary_dilation(other))


def _normals(own: np.ndarray, border: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) across the border of an organ at its voxels of ``border``."""
    slopes = np.gradient(blur(own[..., None].astype(np.float32), 1.0)[..., 0])
    across = np.stack([slope[border] for slope in slopes], axis=1)
    return np.asarray(across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6))
