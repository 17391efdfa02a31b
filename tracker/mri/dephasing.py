"""How much signal a background gradient of the field takes from each voxel: never from the cells' own field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from tracker.errors import InputError
from tracker.image import Grid
from tracker.mri.header import MriHeader

# A field made outside of the body is smooth inside of it: third order follows shims and air around the animal, not a deposit.
_ORDER = 3
_MAX_PAIRS = 20_000
_ITERATIONS = 15
# A turn [rad] that changes no share of signal by 1e-5.
_SETTLED_RAD = 1e-6
# Tukey's constant: 95 % efficient for Gaussian errors, blind to what is 4.7 standard errors off.
_TUKEY = 4.685
_PAIRS_PER_TERM = 10


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Neighbours along one axis: ``place`` (pair, 3) index of the first, ``turn`` its phase turn to the next [rad], ``weight`` 0 to 1."""

    axis: int
    place: np.ndarray
    turn: np.ndarray
    weight: np.ndarray


def background_dephasing(phase_rad: np.ndarray, magnitude: np.ndarray, header: MriHeader, grid: Grid) -> np.ndarray:
    """F (echo, z, y, x), 0 to 1, float32: the share of each echo's signal that a smooth background field leaves in a voxel.

    F(TE) = Π |sin(π Δf TE) / (π Δf TE)|, Δf [Hz] the difference of the field's frequency across the voxel: along all three axes of a 3D
    acquisition, across the slice (axis z) of a 2D one (`MriHeader.planar`). The slice is taken as a rectangle as wide as the slices
    are apart: with gaps between slices F comes out too small.

    The field is a polynomial of third order in space whose differences between neighbouring voxels are fitted to the phase turned from
    one echo to the next, Σ y_(j+1) ȳ_j over the shortest echo gap. Products of complex numbers need no unwrapping while neighbours
    differ by less than half a turn. Pairs are weighted by their magnitude and, against outliers, by Tukey's function. A deposit of
    labelled cells makes a field of voxels' size that the polynomial cannot follow: what the cells do to the signal stays in R2*.

    ``phase_rad``, ``magnitude`` (echo, z, y, x): one repeat. Does not tell what is sharper than third order (air in gut and lung).
    Below 0.3, F says that the echo is lost, not how much is left (fits leave such echoes out).

    Errors: ``acquisition_kind_unknown`` (2D or 3D), ``dephasing_one_slice``, ``too_few_echoes``, ``shape_mismatch``, ``field_unknown`` (too
    little signal). Sources: Fernández-Seara & Wehrli 2000,
    doi:10.1002/1522-2594(200009)44:3<358::AID-MRM3>3.0.CO;2-I; Yablonskiy et al. 2013, Magn Reson Med 70:1283.

    >>> head = MriHeader((0.004, 0.008), 1, None, "1H", 9.4, "classic", planar=True)
    >>> field_hz = np.arange(8.0)[:, None, None] * 30 * np.ones((8, 8, 8))
    >>> phase = np.angle(np.exp(2j * np.pi * field_hz * np.array([0.004, 0.008])[:, None, None, None]))
    >>> left = background_dephasing(phase, np.ones_like(phase), head, Grid((8, 8, 8), np.eye(4)))
    >>> [round(float(share), 3) for share in left[:, 0, 0, 0]], float(np.sinc(30 * 0.008).round(3))
    ([0.976, 0.908], 0.908)
    """
    axes = _dephasing_axes(header, magnitude, phase_rad, grid)
    gap_s, turned = _turned(phase_rad, magnitude, header)
    orders = tuple(min(_ORDER, n - 1) for n in grid.shape)
    field = _fit_field([_neighbours(turned, axis) for axis in range(3) if grid.shape[axis] > 1], orders, grid.shape) / (2 * math.pi * gap_s)
    left = np.ones(magnitude.shape, np.float32)
    for axis in axes:
        across_hz = _difference(field, axis, grid.shape)
        for echo, time_s in enumerate(header.echo_times_s):
            left[echo] *= np.abs(np.sinc(across_hz * time_s))
    return left


def _dephasing_axes(header: MriHeader, magnitude: np.ndarray, phase_rad: np.ndarray, grid: Grid) -> tuple[int, ...]:
    n_echoes = len(header.echo_times_s)
    if phase_rad.shape != magnitude.shape or magnitude.shape != (n_echoes, *grid.shape):
        found = f"phase {phase_rad.shape}, magnitude {magnitude.shape}, {n_echoes} echo times, grid {grid.shape}"
        raise InputError(
            "shape_mismatch",
            "phase, magnitude, echo times and grid do not belong together",
            found=found,
            expected="the same echoes and grid",
        )
    if n_echoes < 2:
        raise InputError(
            "too_few_echoes",
            "a field needs the phase of two echoes",
            found=n_echoes,
            expected="2 or more",
            do="set mri: b0_correction: none",
        )
    if header.planar is None:
        raise InputError(
            "acquisition_kind_unknown",
            "whether slices were excited one by one (2D) or as a slab (3D) is not said, and dephasing differs",
            found="nothing",
            expected="MRAcquisitionType 2D or 3D",
            do="add MRAcquisitionType to the sidecar, or set mri: b0_correction: none",
        )
    if grid.shape[0] < 2:
        do = "set mri: b0_correction: none"
        raise InputError(
            "dephasing_one_slice", "the gradient across the slice cannot be seen in one slice", found="1 slice", expected="2 or more", do=do
        )
    return (0,) if header.planar else tuple(axis for axis in range(3) if grid.shape[axis] > 1)


def _turned(phase_rad: np.ndarray, magnitude: np.ndarray, header: MriHeader) -> tuple[float, np.ndarray]:
    """The shortest echo gap [s], and Σ y_(j+1) ȳ_j (z, y, x) over the gaps that are as short."""
    gaps = np.diff(header.echo_times_s)
    finite = np.isfinite(magnitude).all(axis=0) & np.isfinite(phase_rad).all(axis=0)
    total = np.zeros(magnitude.shape[1:], np.complex128)
    for j in np.flatnonzero(gaps < 1.01 * gaps.min()):
        size, phase = (np.where(finite, pair, 0).astype(np.float64) for pair in (magnitude[j : j + 2], phase_rad[j : j + 2]))
        total += size[0] * size[1] * np.exp(1j * (phase[1] - phase[0]))
    return float(gaps.min()), total


def _neighbours(turned: np.ndarray, axis: int) -> _Pairs:
    """Pairs along ``axis``, thinned evenly to those with signal: bright ones count alike, so that a coil's near side does not rule."""
    here, there = (np.moveaxis(turned, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
    # |turned| is a magnitude squared.
    fainter = np.minimum(np.abs(here), np.abs(there))
    whole = 0.25 * float(np.quantile(np.abs(turned)[turned != 0], 0.95)) if (turned != 0).any() else 0.0
    index = np.flatnonzero(fainter > 0.1 * whole)
    index = index[:: max(1, math.ceil(index.size / _MAX_PAIRS))]
    place = np.stack(np.unravel_index(index, fainter.shape), axis=1).astype(np.float64)
    turn = np.angle(there.ravel()[index] * np.conj(here.ravel()[index]))
    # The moved axis goes back to where it came from.
    order = np.argsort([axis, *(a for a in range(3) if a != axis)])
    return _Pairs(axis, place[:, order], turn, np.minimum(fainter.ravel()[index] / max(whole, np.finfo(float).tiny), 1.0))


def _powers(orders: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Exponents (z, y, x) of the terms, without the constant, which no gradient sees."""
    return [p for p in product(*(range(n + 1) for n in orders)) if 0 < sum(p) <= _ORDER]


def _unit(index: np.ndarray, n: int) -> np.ndarray:
    """Voxel index as -1 to 1 over the grid, so that the terms are of one size."""
    return np.asarray(2 * index / max(n - 1, 1) - 1)


def _terms(place: np.ndarray, powers: list[tuple[int, ...]], shape: tuple[int, int, int]) -> np.ndarray:
    """Value of each term (place, term)."""
    unit = [_unit(place[:, axis], n) for axis, n in enumerate(shape)]
    return np.stack([unit[0] ** a * unit[1] ** b * unit[2] ** c for a, b, c in powers], axis=1)


def _fit_field(pairs: list[_Pairs], orders: tuple[int, ...], shape: tuple[int, int, int]) -> np.ndarray:
    """Coefficients (z, y, x powers) of the phase turned in one echo gap [rad], by reweighted least squares on neighbours' differences."""
    powers = _powers(orders)
    if sum(p.turn.size for p in pairs) < _PAIRS_PER_TERM * len(powers) or any(p.turn.size == 0 for p in pairs):
        found = f"{sum(p.turn.size for p in pairs)} pairs of neighbours with signal"
        expected = f"{_PAIRS_PER_TERM * len(powers)} or more"
        raise InputError(
            "field_unknown",
            "too little signal to see the background field",
            found=found,
            expected=expected,
            do="set mri: b0_correction: none",
        )
    design = np.concatenate([_terms(p.place + np.eye(3)[p.axis], powers, shape) - _terms(p.place, powers, shape) for p in pairs])
    turn, weight = np.concatenate([p.turn for p in pairs]), np.concatenate([p.weight for p in pairs])
    # The mean turn along each axis first: what is left is then small, and wraps about the prediction, not about zero.
    start = np.concatenate([np.full(p.turn.size, np.angle(np.sum(p.weight * np.exp(1j * p.turn)))) for p in pairs])
    predicted, coefficients = start, np.zeros(len(powers))
    for _ in range(_ITERATIONS):
        off = np.angle(np.exp(1j * (turn - predicted)))
        scale = max(1.4826 * _weighted_median(np.abs(off), weight), 1e-9)
        trust = weight * np.maximum(1 - (off / (_TUKEY * scale)) ** 2, 0) ** 2
        normal = design.T @ (trust[:, None] * design)
        # A term that these voxels cannot tell from others gets the smallest share: lstsq does not fail where it is not seen.
        coefficients = np.linalg.lstsq(normal, design.T @ (trust * (predicted + off)), rcond=1e-10)[0]
        before, predicted = predicted, design @ coefficients
        if np.abs(predicted - before).max() < _SETTLED_RAD:
            break
    tensor = np.zeros(tuple(n + 1 for n in orders))
    for power, value in zip(powers, coefficients, strict=True):
        tensor[power] = value
    return tensor


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _difference(field: np.ndarray, axis: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Difference of the polynomial across each voxel along ``axis`` (z, y, x): its slope times one voxel."""
    from numpy.polynomial.polynomial import polyder, polygrid3d

    slope = polyder(field, axis=axis) * 2 / (shape[axis] - 1)
    z, y, x = (_unit(np.arange(n), n) for n in shape)
    return np.asarray(polygrid3d(z, y, x, slope))
