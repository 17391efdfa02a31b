"""Conjugate gradients on a grid of voxels with six neighbours each, as one compiled loop on one processor: the same sums on any machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracker.compiled import compiled


@compiled
def solve(neighbour: Any, through: Any, right: Any, unsolved: float, most: int) -> Any:
    """x of x_i - Σ_k through_ik x_neighbour(i,k) = right_i, and the iterations it took; -1 where ``most`` did not suffice.

    ``neighbour`` (n, 6) are numbers of unknowns, ``through`` (n, 6) the symmetric factors, 0 where there is no neighbour. Stops when the
    residual is ``unsolved`` of the right side.
    """
    n = right.size
    x, residual, way, moved = np.zeros(n), right.copy(), right.copy(), np.zeros(n)
    left = 0.0
    for i in range(n):
        left += right[i] * right[i]
    stop = left * unsolved * unsolved
    for done in range(most):
        if left <= stop:
            return x, done
        curve = 0.0
        for i in range(n):
            value = way[i]
            for k in range(6):
                value -= through[i, k] * way[neighbour[i, k]]
            moved[i] = value
            curve += value * way[i]
        step, before, left = left / curve, left, 0.0
        for i in range(n):
            x[i] += step * way[i]
            residual[i] -= step * moved[i]
            left += residual[i] * residual[i]
        turn = left / before
        for i in range(n):
            way[i] = residual[i] + turn * way[i]
    return x, -1
