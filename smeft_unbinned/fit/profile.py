"""Ends of profile intervals: where min over the other coefficients of -2 log L has risen by Delta.

At the end of the interval of c_i the slope along every other coefficient vanishes and -2 log L is Delta above
the minimum: n equations for n coefficients, solved by Newton's method with our gradient and Hessian, from the
end in the quadratic approximation, for all ends at once. MINOS finds the same points from function values
alone, at a hundred times the cost.

That an end belongs to the minimum is checked on the curve between them whose tangents are those of the
profile at both: where -2 log L stays below the level on it, the two are connected. Where it does not, or
Newton's method fails, the profile is followed outwards step by step (`follow`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frames import Affine, Scaled
from .trust import chunked, descend_all, quiet

STEPS = 40
"""Newton steps at most."""
OVERSHOOT = 3.0
"""Rise of -2 log L over the one sought at which Newton's method may start."""
HALVINGS = 60
"""Halvings of a first step that is too long, at most."""
LONGEST = 1.0
"""Longest Newton step in units of the errors."""
_ENOUGH = 16
"""Newton steps here at most: what takes more is followed from the minimum instead."""
_STILL = 1e-7
_PATH = np.linspace(0.0, 1.0, 10)[1:-1]
_SLACK = 0.01
_FOLLOW = 60


@dataclass(frozen=True)
class Ends:
    """K ends in scaled coordinates: the points (K, n), NaN where none was found, and two flags (K,).

    connected: whether the end was seen to belong to its minimum. deepest: the point (n,) of least -2 log L on
    the ways to the ends, and the value there, None without any end.
    """

    points: np.ndarray
    connected: np.ndarray
    deepest: tuple[np.ndarray, float] | None = None

    def below(self, value: float) -> np.ndarray | None:
        """Return the deepest point if it lies below a value by more than rounding."""
        if self.deepest is None or self.deepest[1] > value - 1e-4:
            return None
        return self.deepest[0]


def interval_ends(
    function: Scaled, best: np.ndarray, covariance: np.ndarray, i: np.ndarray, sign: np.ndarray,
    target: np.ndarray,
) -> Ends:  # fmt: skip
    """Return the ends at which -2 log L, minimised over the others, reaches a target.

    best: the minimum (n,) in scaled coordinates; covariance: there, (n, n). i: coordinates, sign: of the
    side, target: -2 log L to be reached, above that of the minimum, (K,) each.
    """
    errors = np.sqrt(np.diag(covariance))
    delta = target - function.value(best)
    away = (sign * np.sqrt(delta) / errors[i])[:, None] * covariance[i]
    shorter = _shorter(function, best, away, target + (OVERSHOOT - 1.0) * delta)
    start = best + shorter[:, None] * away
    points, tangents = _newton(function, best, i, sign, target, start, shorter[:, None] * errors)
    connected, deepest = np.zeros(len(i), dtype=bool), None
    found = np.flatnonzero(np.isfinite(points[:, 0]))
    if found.size:
        regression = covariance[i[found]] / np.diag(covariance)[i[found], None]
        path = _curve(best, points[found], regression, tangents[found], i[found])
        flat = path.reshape(-1, len(best))
        heights = chunked(function.values, flat, 1024)
        deepest = flat[int(np.argmin(heights))], float(heights.min())
        heights = heights.reshape(len(found), -1)
        connected[found] = heights.max(axis=1) <= target[found] + _SLACK * delta[found]
    return Ends(points, connected, deepest)


def _curve(
    best: np.ndarray, ends: np.ndarray, first: np.ndarray, last: np.ndarray, i: np.ndarray
) -> np.ndarray:
    """Return points (K, S, n) on the cubic curves from a minimum to ends with given tangents d y/d y_i."""
    step = (ends - best)[np.arange(len(i)), i][:, None, None]
    t = _PATH[None, :, None]
    return np.asarray(
        (1 + 2 * t) * (1 - t) ** 2 * best + t**2 * (3 - 2 * t) * ends[:, None]
        + step * t * (1 - t) ** 2 * first[:, None] - step * t**2 * (1 - t) * last[:, None]
    )  # fmt: skip


def _shorter(function: Scaled, best: np.ndarray, away: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """Return by which powers of two to shorten steps (K, n) so that -2 log L stays below values (K,).

    At a minimum without curvature the quadratic approximation puts the end of the interval anywhere.
    """
    factor, open_ = np.ones(len(away)), np.arange(len(away))
    with quiet():
        for _ in range(HALVINGS):
            trial = best + factor[open_, None] * away[open_]
            high = ~(chunked(function.values, trial, 1024) <= highest[open_])
            open_ = open_[high]
            if not open_.size:
                return factor
            factor[open_] *= 0.5
    factor[open_] = 1.0
    return factor


def _newton(
    function: Scaled, best: np.ndarray, i: np.ndarray, sign: np.ndarray, target: np.ndarray,
    start: np.ndarray, errors: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the ends (K, n) that Newton's method finds, NaN for none, and d y/d y_i of the profile there.

    start: (K, n); errors: the sizes of a long step, (K, n).
    """
    y, open_ = start.copy(), np.arange(len(i))
    found, tangents = np.full_like(y, np.nan), np.full_like(y, np.nan)
    with quiet():
        for _ in range(_ENOUGH):
            if not open_.size:
                break
            at, rows, j = y[open_], np.arange(len(open_)), i[open_]
            slope = chunked(function.gradient, at, 256)
            curvature = chunked(function.hessian, at)
            residual, jacobian = slope.copy(), curvature.copy()
            residual[rows, j] = chunked(function.values, at, 1024) - target[open_]
            jacobian[rows, j] = slope
            step = solve_each(jacobian, residual)
            length = np.abs(step / errors[open_]).max(axis=1)
            finite = np.isfinite(length)
            y[open_] = at - step * np.minimum(1.0, LONGEST / np.maximum(length, 1e-300))[:, None]
            done = finite & (length < _STILL)
            for r in np.flatnonzero(done):
                k = open_[r]
                tangent = _tangent(curvature[r], j[r])
                outwards = sign[k] * slope[r, j[r]] > 0 and sign[k] * (y[k] - best)[j[r]] > 0
                if tangent is not None and outwards:
                    found[k], tangents[k] = y[k], tangent
            open_ = open_[finite & ~done]
    return found, tangents


def _tangent(curvature: np.ndarray, i: int) -> np.ndarray | None:
    """Return d y/d y_i of the minimum over the others, None where the others are at no minimum."""
    others = [k for k in range(len(curvature)) if k != i]
    tangent = np.zeros(len(curvature))
    tangent[i] = 1.0
    try:
        root = np.linalg.cholesky(curvature[np.ix_(others, others)])
    except np.linalg.LinAlgError:
        return None
    tangent[others] = -np.linalg.solve(root.T, np.linalg.solve(root, curvature[others, i]))
    return tangent


def solve_each(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return the solutions (K, n) of linear systems, NaN for a singular one."""
    if not len(matrices):
        return vectors
    try:
        return np.asarray(np.linalg.solve(matrices, vectors[..., None])[..., 0])
    except np.linalg.LinAlgError:
        if len(matrices) == 1:
            return np.full_like(vectors, np.nan)
        half = len(matrices) // 2
        return np.concatenate([solve_each(matrices[k], vectors[k]) for k in (slice(half), slice(half, None))])


def conditional(function: Scaled, covariance: np.ndarray, i: int, at: np.ndarray) -> Affine:
    """Return coordinates of all others at the value of c_i that a point (n,) in scaled coordinates has.

    They are in standard deviations at fixed c_i; covariance: (n, n), in scaled coordinates.
    """
    n = len(at)
    others = [k for k in range(n) if k != i]
    left = covariance - np.outer(covariance[i], covariance[i]) / covariance[i, i]
    values, vectors = np.linalg.eigh(left[np.ix_(others, others)])
    axes = np.zeros((n, n - 1))
    axes[others] = (
        vectors * np.sqrt(np.maximum(values, 1e-12 * max(float(values[-1]), 1e-300))) if others else 0
    )
    return Affine(function.likelihood, function.point(at), function.scale[:, None] * axes)


def follow(
    function: Scaled, best: np.ndarray, covariance: np.ndarray, i: int, sign: float, target: float
) -> np.ndarray | None:
    """Return the end (n,) that is reached from a minimum by following the profile outwards, None without end.

    Every step moves coordinate i, and the others on to their minimum from where they were.
    """
    error = float(np.sqrt(covariance[i, i]))
    height = function.value(best)
    inside, step = best, 0.25 * sign * error * min(1.0, np.sqrt(target - height))
    before: np.ndarray | None = None
    for _ in range(_FOLLOW):
        guess = inside + (step * covariance[i] / covariance[i, i] if before is None else before * step)
        outside, value = _lowest(function, covariance, i, guess)
        if not np.isfinite(value):
            step *= 0.25
        elif value >= target:
            return _between(function, best, covariance, i, sign, target, inside, outside)
        else:
            before = (outside - inside) / (outside - inside)[i]
            step, inside = 1.5 * step, outside
    return None


def _lowest(function: Scaled, covariance: np.ndarray, i: int, guess: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the minimum (n,) over the others at the value of coordinate i of a guess, and -2 log L there."""
    frame = conditional(function, covariance, i, guess)
    if not frame.axes.size:
        return guess, function.value(guess)
    found = descend_all(frame, np.zeros((1, frame.axes.shape[1])))
    if found.endless[0]:
        return guess, np.inf
    y = function.inverse(frame.point(found.points[0]))
    y[i] = guess[i]
    return y, float(found.values[0])


def _between(
    function: Scaled, best: np.ndarray, covariance: np.ndarray, i: int, sign: float, target: float,
    inside: np.ndarray, outside: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the end (n,) between a point below the target and one above it, both on the profile."""
    for _ in range(50):
        low, high = function.value(inside) - target, function.value(outside) - target
        share = np.clip(low / (low - high) if high > low else 0.5, 0.1, 0.9)
        guess = inside + share * (outside - inside)
        errors = np.maximum(np.abs(outside - inside), 1e-12 + np.abs(outside - inside)[i])
        end, _ = _newton(
            function, best, np.array([i]), np.array([sign]), np.array([target]), guess[None], errors[None]
        )
        if np.isfinite(end[0, 0]) and sign * inside[i] <= sign * end[0, i] <= sign * outside[i]:
            return np.asarray(end[0])
        middle, value = _lowest(function, covariance, i, guess)
        inside, outside = (middle, outside) if value < target else (inside, middle)
        if abs(outside[i] - inside[i]) < 1e-7 * (1.0 + abs(inside[i])):
            break
    return inside
