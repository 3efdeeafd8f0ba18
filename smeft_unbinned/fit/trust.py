"""Newton's method in a trust region, for many starts at once.

Every step minimises the quadratic approximation inside a ball (J. J. More and D. C. Sorensen, SIAM J. Sci.
Stat. Comput. 4 (1983) 553). Where the curvature is negative the step leads down along it, so that the method
does not end at a saddle. Hessians, eigenvalues and steps of all starts are computed together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .frames import Frame

STEPS = 500
"""Steps at most."""
CHUNK = 32
"""Points at most whose Hessians are computed in one call."""
CLOSE = 1e-6
"""Predicted fall of -2 log L from which on full steps are taken without a look at it, which is rounding."""
TOLERANCE = 1e-13
"""Predicted fall at which a point has converged; the step is taken still."""
_FLAT = 1e-11
"""Curvature over the largest one that may be rounding."""
_FIRST, _LONGEST, _SHORTEST = 1.0, 1e6, 1e-14
_FAR = 1e12
_BISECTIONS = 64


@dataclass(frozen=True)
class Descent:
    """Where B descents ended: points (B, m), -2 log L there (B,), and what the points are (B,).

    converged: at a minimum, the gradient zero and no curvature negative, to rounding.
    endless: -2 log L falls without end, or its derivatives are not finite any more; the point is the start.
    flat: the smallest curvature there over the largest one, which counts as one at least, (B,).
    """

    points: np.ndarray
    values: np.ndarray
    converged: np.ndarray
    endless: np.ndarray
    flat: np.ndarray


def quiet() -> np.errstate:
    """Return a context for -2 log L at points that may lie anywhere; what is not finite there is noticed."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def chunked(function: Callable[[np.ndarray], Any], points: np.ndarray, size: int = CHUNK) -> np.ndarray:
    """Return the function of points (B, m), computed for at most `size` of them at a time."""
    parts = [np.asarray(function(points[i : i + size])) for i in range(0, max(len(points), 1), size)]
    return np.concatenate(parts)


def descend_all(function: Frame, starts: np.ndarray, *, advance: Callable[[], None] | None = None) -> Descent:
    """Follow -2 log L down from starts (B, m) to a minimum each.

    advance: called once for every descent that has ended.
    """
    with quiet():
        return _Search(function, np.array(starts, dtype=float), advance).run()


class _Search:
    """The state of B descents."""

    def __init__(self, function: Frame, starts: np.ndarray, advance: Callable[[], None] | None) -> None:
        self.function, self.starts, self.advance = function, starts, advance
        self.y = starts.copy()
        count, m = starts.shape
        self.f = chunked(function.values, starts, 1024)
        self.slope, self.size = np.zeros((count, m)), np.ones((count, m))
        self.axes = np.zeros((count, m, m))
        self.radius = np.full(count, _FIRST)
        self.open = np.ones(count, dtype=bool)
        self.converged, self.endless = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)

    def run(self) -> Descent:
        self._look(np.arange(len(self.y)))
        for _ in range(STEPS):
            index = np.flatnonzero(self.open)
            if not index.size:
                break
            self._step(index)
        self.y[self.endless] = self.starts[self.endless]
        if self.endless.any():
            self.f[self.endless] = chunked(self.function.values, self.y[self.endless], 1024)
        flat = self.size[:, 0] / np.maximum(self.size[:, -1], 1.0)
        return Descent(self.y, self.f, self.converged, self.endless, flat)

    def _look(self, index: np.ndarray) -> None:
        """Take the derivatives at the points of these descents."""
        if not index.size:
            return
        slope = chunked(self.function.gradient, self.y[index], 8 * CHUNK)
        curvature = chunked(self.function.hessian, self.y[index])
        bad = ~(np.isfinite(slope).all(axis=1) & np.isfinite(curvature).all(axis=(1, 2)))
        bad |= ~np.isfinite(self.f[index]) | (np.abs(self.y[index]).max(axis=1) > _FAR)
        self.endless[index[bad]] = True
        self._close(index[bad])
        good = index[~bad]
        self.size[good], self.axes[good] = np.linalg.eigh(curvature[~bad])
        self.slope[good] = np.einsum("bij,bi->bj", self.axes[good], slope[~bad])

    def _close(self, index: np.ndarray) -> None:
        ended = index[self.open[index]]
        self.open[ended] = False
        if self.advance is not None:
            for _ in ended:
                self.advance()

    def _step(self, index: np.ndarray) -> None:
        size, slope, radius = self.size[index], self.slope[index], self.radius[index]
        largest = np.abs(size).max(axis=1)
        convex = size[:, 0] >= -_FLAT * np.maximum(largest, 1.0)
        size = np.where(convex[:, None], np.maximum(size, (_FLAT * largest + 1e-300)[:, None]), size)
        step = ball(size, slope, radius)
        length = np.linalg.norm(step, axis=1)
        predicted = -(slope * step + 0.5 * size * step**2).sum(axis=1)
        inside = convex & (length < radius * (1 - 1e-9))
        blind = inside & (predicted < CLOSE)
        done = blind & (predicted < TOLERANCE)
        trial = self.y[index] + np.einsum("bij,bj->bi", self.axes[index], step)
        value = chunked(self.function.values, trial, 1024)
        fall = self.f[index] - value
        ratio = np.where(np.isfinite(value), fall / np.where(predicted > 0, predicted, 1.0), -1.0)
        taken = np.isfinite(value) & ((ratio > 1e-4) | blind)
        poor, good = ~blind & ~(ratio >= 0.25), (ratio > 0.75) & ~inside
        self.radius[index[poor]] = 0.25 * length[poor]
        self.radius[index[good]] = np.minimum(3.0 * radius[good], _LONGEST * _FIRST)
        moved = index[taken]
        self.y[moved], self.f[moved] = trial[taken], value[taken]
        self.converged[index[done]] = True
        self._close(index[done])
        self._look(moved[self.open[moved]])
        short = self.radius[index] < _SHORTEST * (1.0 + np.abs(self.y[index]).max(axis=1))
        self.endless[index[~taken & short & ~np.isfinite(value)]] = True
        self._close(index[~taken & short])


def ball(size: np.ndarray, slope: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return the steps (B, m) that minimise slope . s + sum of size s^2/2 with |s| <= radius.

    size: curvatures along the axes of the coordinates, rising, (B, m). slope: (B, m). radius: (B,).
    """
    with quiet():
        return _ball(size, slope, radius)


def _ball(size: np.ndarray, slope: np.ndarray, radius: np.ndarray) -> np.ndarray:
    least = np.maximum(0.0, -size[:, 0])

    def step(shift: np.ndarray) -> np.ndarray:
        divisor = size + shift[:, None]
        return np.where(slope == 0, 0.0, -slope / np.where(divisor > 0, divisor, 1e-300))

    low, high = least.copy(), least + np.linalg.norm(slope, axis=1) / radius + 1e-300
    inside = (size[:, 0] > 0) & (np.linalg.norm(step(low), axis=1) <= radius)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        longer = np.linalg.norm(step(middle), axis=1) > radius
        low, high = np.where(longer, middle, low), np.where(longer, high, middle)
    found = step(np.where(inside, 0.0, high))
    rest = radius**2 - (found**2).sum(axis=1)
    hard = (size[:, 0] < 0) & (rest > 1e-6 * radius**2)  # no slope along the axis of negative curvature
    side = np.where(found[:, 0] < 0, -1.0, 1.0)
    along = np.sqrt(np.maximum(rest + found[:, 0] ** 2, 0.0))
    found[hard, 0] = (side * along)[hard]
    return np.asarray(found)
