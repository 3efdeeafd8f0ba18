"""-2 log L of a likelihood in coordinates that suit the fits of many toys, and where its minima lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..directions import in_words
from ..errors import InputError
from ..likelihood import Likelihood
from .fisher import Fisher
from .flat import FLAT, free_directions
from .toyfit import Minimum, descend

STEPS = 2.0 ** np.arange(-1, 7)
"""Distances along each coordinate at which the shape of -2 log L is looked at, in units of the errors."""
RELEVANT = 25.0
"""Rise of -2 log L of another minimum over the lowest, up to which it may be the lowest of a toy."""
_PARABOLIC = 0.3
_SAME = 1e-2
_HALVINGS = 40
_DOUBLINGS = 2.0 ** np.arange(-30, 40)


@dataclass(frozen=True, eq=False)
class Objective:
    """-2 log L of a joint likelihood in y = p/scale, (n,); implements `toyfit.Function`."""

    likelihood: Likelihood
    scale: np.ndarray

    def values(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L at points y (S, n): shape (S,)."""
        return np.asarray(self.likelihood.m2logl(y * self.scale))

    def derivatives(self, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return -2 log L, its gradient (n,) and its Hessian (n, n) at one point y (n,)."""
        p, scale = y * self.scale, self.scale
        slope = np.asarray(self.likelihood.gradient(p)) * scale
        bend = np.asarray(self.likelihood.hessian(p)) * np.outer(scale, scale)
        return float(self.likelihood.m2logl(p)), slope, 0.5 * (bend + bend.T)


def scales(expected: Likelihood, fisher: Fisher, point: np.ndarray) -> np.ndarray:
    """Return the errors to be expected, (n,): a scale in which no direction is much softer than others.

    expected: the joint likelihood of Asimov data at the point (n,), fisher: the information there. Along a
    coefficient without information, which enters squared, it is where -2 log L has risen by one.
    Raises InputError for a direction along which -2 log L does not change at all, naming it.
    """
    total = np.array(fisher.total)
    free = free_directions(total)
    at = float(expected.m2logl(point))
    for row in free:
        points = point + np.concatenate([_DOUBLINGS, -_DOUBLINGS])[:, None] * row
        with np.errstate(over="ignore", invalid="ignore"):
            rise = np.abs(np.asarray(expected.m2logl(points)) - at).reshape(2, -1).max(axis=0)
        reached = np.flatnonzero(rise > 1.0)
        if not reached.size:
            raise InputError(
                f"no dataset constrains the direction {in_words(row, expected.parameters)}: -2 log L does "
                "not depend on it; fix one of these coefficients"
            )
        along = row / float(row @ row) / _DOUBLINGS[reached[0]]
        total += np.outer(along, along)
    d = 1.0 / np.sqrt(np.diag(total))
    values, vectors = np.linalg.eigh(total * np.outer(d, d))
    variances = (vectors**2 / np.maximum(values, FLAT)).sum(axis=1)
    return _within_reach(expected, point, np.diag(fisher.total), d * np.sqrt(variances))


def _within_reach(
    expected: Likelihood, point: np.ndarray, information: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Return a scale (n,) halved where -2 log L rises much more than its curvature: squared terms rule."""
    scale, at = scale.copy(), float(expected.m2logl(point))
    for _ in range(_HALVINGS):
        both = np.asarray(expected.m2logl(point + np.concatenate([np.diag(scale), -np.diag(scale)]))) - at
        far = both.reshape(2, -1).min(axis=0) > 4.0 * np.maximum(1.0, scale**2 * information)
        if not far.any():
            break
        scale[far] *= 0.5
    return scale


def starts(function: Objective, true: np.ndarray, coefficients: int) -> np.ndarray:
    """Return further starts (S, n) for the fits of toys whose expectation is minimal at `true` (n,).

    They are the further minima of the expectation up to `RELEVANT`, reached from basins along each
    coefficient, and steps of one error on either side of the truth along coefficients that are far from
    parabolic within
    it: where the expectation has one flat minimum, toys have two. None for a parabola.
    """
    bent: list[int] = []
    seeds: list[np.ndarray] = []
    at, _, bend = function.derivatives(true)
    for i in range(coefficients):
        points = np.repeat(true[None], 2 * len(STEPS), axis=0)
        points[: len(STEPS), i] += STEPS
        points[len(STEPS) :, i] -= STEPS
        rise = function.values(points) - at
        parabola = 0.5 * bend[i, i] * np.tile(STEPS, 2) ** 2
        near = np.tile(STEPS, 2) <= 1.0
        if np.any(np.abs(rise - parabola)[near] > _PARABOLIC * np.abs(rise)[near] + 1e-6):
            bent.append(i)
        for side in (slice(0, len(STEPS)), slice(len(STEPS), None)):
            values = np.concatenate([[0.0], rise[side]])
            dips = np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:])) + 1
            seeds += [points[side][k - 1] for k in dips]
    found: list[Minimum] = [descend(function, true, np.arange(len(true)))]
    for seed in seeds:
        m = descend(function, seed, np.arange(len(true)))
        if m.converged and not any(np.abs(m.y - other.y).max() < _SAME for other in found):
            found.append(m)
    least = min(m.value for m in found)
    others = [m.y for m in found[1:] if m.value - least < RELEVANT]
    steps = [true + sign * np.eye(len(true))[i] for i in bent for sign in (1.0, -1.0)]
    return np.array([*others, *steps], dtype=float).reshape(-1, len(true))
