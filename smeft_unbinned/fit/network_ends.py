"""Ends of profile intervals of all networks at once, by Newton's method on whole batches.

The equations are those of `profile`: the slope along every other coefficient vanishes, and -2 log L has risen
by Delta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..likelihood import Likelihood
from ..polynomial import Array
from .networks import ReplicaLikelihood
from .profile import HALVINGS, LONGEST, OVERSHOOT, STEPS, solve_each

Floats = NDArray[Any]
_CLOSE = 1e-5
"""Newton step, in errors, that is the last: what is left after it is the square of that."""


@dataclass(frozen=True)
class Scaled:
    """-2 log L_m in dimensionless coordinates y = p/scale: functions of (K, 1 + p), network m and then y.

    In this form `newton` minimises it; the derivatives by m count as zero.
    """

    networks: ReplicaLikelihood
    scale: Floats

    def _at(self, c: Array) -> tuple[Likelihood, Floats]:
        return self.networks.of(c[:, 0].astype(np.intp)), c[:, 1:] * self.scale

    def m2logl(self, c: Array) -> Array:
        likelihood, p = self._at(c)
        return likelihood.m2logl(p)

    def gradient(self, c: Array) -> Array:
        likelihood, p = self._at(c)
        return np.pad(likelihood.gradient(p) * self.scale, ((0, 0), (1, 0)))

    def hessian(self, c: Array) -> Array:
        likelihood, p = self._at(c)
        return np.pad(likelihood.hessian(p) * np.outer(self.scale, self.scale), ((0, 0), (1, 0), (1, 0)))


def interval_ends(
    function: Scaled, best: Floats, lowest: Floats, converged: Floats, deltas: Floats
) -> Floats:
    """Return the ends (L, M, p, 2) of profile intervals in scaled coordinates, NaN where none is found.

    best: minima (M, p), in scaled coordinates. lowest: -2 log L there, (M,). converged: (M,), without which
    there are no ends. deltas: rises of -2 log L, (L,).
    """
    members, p = best.shape
    ends = np.full((len(deltas), members, p, 2), np.nan)
    kept = np.flatnonzero(converged)
    if not ends[:, kept].size:
        return ends
    curvature = function.hessian(np.column_stack([kept, best[kept]]))[:, 1:, 1:]
    covariance = np.empty_like(curvature)
    for k, matrix in enumerate(curvature):  # no curvature somewhere: start from sizes of single coefficients
        values = np.linalg.eigvalsh(matrix)
        covariance[k] = 2.0 * np.linalg.inv(matrix) if values[0] > 1e-10 * values[-1] else np.eye(p)
    axes = (range(len(deltas)), range(len(kept)), range(p), range(2))
    level, which, i, side = (a.ravel() for a in np.meshgrid(*axes, indexing="ij"))
    m = kept[which]
    ends[level, m, i, side] = _solve_ends(
        function, m, best[m], covariance[which], lowest[m], i, 2.0 * side - 1.0, deltas[level]
    )
    return ends


def _solve_ends(
    function: Scaled, networks: Floats, best: Floats, covariance: Floats, lowest: Floats, i: Floats,
    sign: Floats, delta: Floats,
) -> Floats:  # fmt: skip
    """Return y_i at K ends, those of coordinate i on the side `sign` at rises `delta`, (K,) each.

    networks: of each end, (K,). best, covariance, lowest: its minimum, (K, p), (K, p, p), (K,).
    """
    rows = np.arange(len(best))
    errors = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    away = (sign * np.sqrt(delta) / errors[rows, i])[:, None] * covariance[rows, :, i]
    highest = lowest + OVERSHOOT * delta
    shorter, open_ = np.ones(len(best)), rows
    for _ in range(HALVINGS):
        trial = best[open_] + shorter[open_, None] * away[open_]
        fine = function.m2logl(np.column_stack([networks[open_], trial])) <= highest[open_]
        open_ = open_[~fine]
        if not open_.size:
            break
        shorter[open_] *= 0.5
    y, errors, open_ = best + shorter[:, None] * away, shorter[:, None] * errors, rows
    found = np.full(len(best), np.nan)
    for _ in range(STEPS):
        at = np.column_stack([networks[open_], y[open_]])
        slope, curvature = function.gradient(at)[:, 1:], function.hessian(at)[:, 1:, 1:]
        k, j = np.arange(len(open_)), i[open_]
        residual, jacobian = slope.copy(), curvature.copy()
        residual[k, j] = function.m2logl(at) - (lowest + delta)[open_]
        jacobian[k, j] = slope
        step = solve_each(jacobian, residual)
        length = np.abs(step / errors[open_]).max(axis=1)
        finite = np.isfinite(length)
        y[open_[finite]] -= (step * np.minimum(1.0, LONGEST / np.maximum(length, 1e-300))[:, None])[finite]
        done = finite & (length < _CLOSE)
        right = done & (sign[open_] * slope[k, j] > 0) & (sign[open_] * (y - best)[open_, j] > 0)
        for r in np.flatnonzero(right):  # the others must be at a minimum
            others = np.delete(np.delete(curvature[r], j[r], axis=0), j[r], axis=1)
            right[r] = others.size == 0 or np.linalg.eigvalsh(others)[0] > 0
        found[open_[right]] = y[open_[right], j[right]]
        open_ = open_[finite & ~done]
        if not open_.size:
            break
    return found
