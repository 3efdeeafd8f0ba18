"""Newton descent of -2 log L from several starts: with quadratic terms it can have several minima."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from ..errors import NonPositiveRatio
from ..likelihood import Likelihood

REACH = 2.0 ** np.arange(8)
"""Distances of the points at which the slope along each coefficient is looked at, in units of its scale."""
MOST = 12
"""Starts at most: those with the smallest -2 log L."""
_SAME = 1e-2


@dataclass(frozen=True)
class Scaled:
    """-2 log L with two derivatives in dimensionless coordinates y = c/scale."""

    likelihood: Likelihood
    scale: np.ndarray

    def value(self, y: np.ndarray) -> float:
        return float(self.likelihood.m2logl(y * self.scale))

    def gradient(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(self.likelihood.gradient(y * self.scale) * self.scale)

    def hessian(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(self.likelihood.hessian(y * self.scale) * np.outer(self.scale, self.scale))


def descend(function: Scaled, start: np.ndarray) -> np.ndarray:
    """Return the minimum that a trust-region Newton method reaches from a start.

    Where -2 log L falls without end and its derivatives are no longer finite, that is the start itself.
    """
    newton: Any = optimize.minimize
    try:
        found = newton(
            function.value, start, jac=function.gradient, hess=function.hessian, method="trust-exact",
            options={"gtol": 1e-6, "maxiter": 500},
        )  # fmt: skip
    except NonPositiveRatio:
        raise
    except (ValueError, np.linalg.LinAlgError):  # scipy's words for a matrix that is not finite
        return start
    return np.asarray(found.x)


def minima(function: Scaled, origin: np.ndarray) -> list[np.ndarray]:
    """Return the distinct minima reached from the origin and from every basin seen along one coefficient.

    Nuisance parameters have no starts of their own: their minimum is near that of their constraint.

    The smallest comes first. r = 1 + l c + q c^2 is one at c = -l/q again, so a second minimum is common, and
    so is a stationary origin between two minima where an operator does not interfere with the SM.
    """
    found: list[tuple[float, np.ndarray]] = []
    for start in [origin, *_starts(function, origin)]:
        y = descend(function, start)
        if not any(np.abs(y - other).max() < _SAME for _, other in found):
            found.append((function.value(y), y))
    return [y for _, y in sorted(found, key=lambda pair: pair[0])]


def _starts(function: Scaled, origin: np.ndarray) -> list[np.ndarray]:
    starts = []
    for i in range(len(function.likelihood.operators)):
        for sign in (1.0, -1.0):
            points = np.repeat(origin[None], len(REACH), axis=0)
            points[:, i] += sign * REACH
            slope = sign * np.asarray(function.likelihood.gradient(points * function.scale))[:, i]
            falls = np.flatnonzero((slope[:-1] < 0) & (slope[1:] > 0))
            starts += [0.5 * (points[k] + points[k + 1]) for k in falls if k > 0 or slope[0] < 0]
    starts.sort(key=function.value)
    values, vectors = np.linalg.eigh(function.hessian(origin))
    saddle = [origin + vectors[:, 0], origin - vectors[:, 0]] if values[0] < 0 else []
    return [*saddle, *starts[:MOST]]
