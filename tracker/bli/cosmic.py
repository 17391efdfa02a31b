"""Hits of cosmic rays on the sensor, found and replaced: single bright pixels that no lens could have made so sharp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Over the median of the neighbours, in standard deviations of the local noise; and over all but one neighbour, as a ratio.
_SIGMAS, _RATIO = 5.0, 4.0
# A pixel less the median of eight neighbours scatters more than the pixel alone: √(1 + π/2/8), in whole percent.
_OF_DIFFERENCE = 1.1
# A hit may run through two pixels: once the brighter one is gone, the other one stands alone.
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Cleaned:
    """``values`` (ny, nx) with hits replaced; ``hits`` (ny, nx) true where one was."""

    values: np.ndarray
    hits: np.ndarray


def replace_hits(net: np.ndarray, noise_counts: np.ndarray) -> Cleaned:
    """Counts (ny, nx), bias and dark off, with cosmic hits replaced by the median of their neighbours that are none.

    A hit is more than 5 standard deviations above the median of its eight neighbours (``noise_counts``, ny, nx: a pixel's noise at its
    neighbours' level), and more than four times all of them but one, through which its track may have gone. Light that comes out of an
    animal is spread over millimetres by tissue and lens and is kept, but a bare source much smaller than a pixel looks like a hit.

    >>> field = np.full((5, 5), 10.0)
    >>> field[2, 2] = 900.0
    >>> replace_hits(field, np.full((5, 5), 3.0)).values.max().item()
    10.0
    """
    from scipy.ndimage import median_filter

    values = np.array(net, dtype=np.float64)
    hits = np.zeros(values.shape, dtype=bool)
    noise = np.broadcast_to(noise_counts, values.shape)
    for _ in range(_ROUNDS):
        # Few pixels stand out at all: only of those the neighbours are looked at one by one.
        standing = ~hits & (values > median_filter(values, 3, mode="nearest") + (_SIGMAS - 1) * noise)
        places = np.argwhere(standing)
        around = _neighbours(np.where(hits, np.nan, values), places)
        # Largest but one of those that count: with fewer than two there is nothing to compare with.
        ranked = np.sort(np.where(np.isnan(around), -np.inf, around), axis=0)
        here, sd = values[standing], noise[standing]
        far = here > _median(around) + _SIGMAS * _OF_DIFFERENCE * sd
        new = places[far & (here > _RATIO * np.maximum(ranked[-2], sd)) & np.isfinite(ranked[-2])]
        if not len(new):
            break
        hits[tuple(new.T)] = True
        known = np.where(hits, np.nan, values)
        every = np.argwhere(hits)
        values[hits] = _median(_neighbours(known, every))
    return Cleaned(values, hits)


def _median(around: np.ndarray) -> np.ndarray:
    """Median over the first axis without NaN; 0 where there is nothing but NaN."""
    empty = np.isnan(around).all(axis=0)
    return np.asarray(np.nanmedian(np.where(empty, 0.0, around), axis=0))


def _neighbours(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The eight neighbours of each of n places (n, 2): (8, n), NaN beyond the border."""
    padded = np.pad(values, 1, constant_values=np.nan)
    steps = [(dy, dx) for dy in (0, 1, 2) for dx in (0, 1, 2) if (dy, dx) != (1, 1)]
    return np.stack([padded[places[:, 0] + dy, places[:, 1] + dx] for dy, dx in steps])
