"""Ends of profile intervals: where min over the other coefficients of -2 log L has risen by Delta.

At the end of the interval of c_i the slope along every other coefficient vanishes and -2 log L is Delta above
the minimum: n equations for n coefficients, solved by Newton's method with our gradient and Hessian, from the
end in the quadratic approximation. MINOS finds the same points from function values alone, at a hundred times
the cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize

from .descent import Scaled

STEPS = 40
"""Newton steps at most."""
OVERSHOOT = 3.0
"""Rise of -2 log L over the one sought at which Newton's method may start."""
HALVINGS = 60
"""Halvings of a first step that is too long, at most."""
LONGEST = 1.0
"""Longest Newton step in units of the errors."""


def interval_end(
    function: Scaled, best: np.ndarray, covariance: np.ndarray, i: int, sign: float, delta: float
) -> float | None:
    """Return y_i at one end of its interval, or None where Newton's method finds no minimum of the others.

    best: the minimum (n,) in scaled coordinates; covariance: there, (n, n); sign: of the side.
    """
    errors = np.sqrt(np.diag(covariance))
    away = sign * np.sqrt(delta) * covariance[:, i] / errors[i]
    shorter = _shorter(function, best, away, function.value(best) + OVERSHOOT * delta)
    return _newton(function, best, i, sign, delta, best + shorter * away, shorter * errors)


def end_near(
    function: Scaled, best: np.ndarray, i: int, sign: float, delta: float, near: float
) -> float | None:
    """Return y_i at one end of its interval from a value close to it, with the others at their minimum there.

    For minima that a quadratic approximation does not describe: MINOS comes close to the end, not onto it.
    """
    others = [k for k in range(len(best)) if k != i]

    def point(z: np.ndarray) -> np.ndarray:
        y = best.copy()
        y[i], y[others] = near, z
        return y

    start = point(best[others])
    if others:
        newton: Any = optimize.minimize
        found = newton(
            lambda z: function.value(point(z)), best[others], method="trust-exact",
            jac=lambda z: function.gradient(point(z))[others],
            hess=lambda z: function.hessian(point(z))[np.ix_(others, others)],
        )  # fmt: skip
        start = point(found.x)
    return _newton(function, best, i, sign, delta, start, np.abs(start - best) + abs(near - best[i]))


def _newton(
    function: Scaled, best: np.ndarray, i: int, sign: float, delta: float, y: np.ndarray, errors: np.ndarray
) -> float | None:
    """Return y_i where Newton's method ends from a start y, None where that is no end of the interval.

    errors: the size of a long step, (n,).
    """
    lowest = function.value(best)
    for _ in range(STEPS):
        slope, curvature = function.gradient(y), function.hessian(y)
        residual, jacobian = slope.copy(), curvature.copy()
        residual[i], jacobian[i] = function.value(y) - lowest - delta, slope
        try:
            step = np.linalg.solve(jacobian, residual)
        except np.linalg.LinAlgError:
            return None
        length = np.abs(step / errors).max()
        if not np.isfinite(length):
            return None
        y = y - step * min(1.0, LONGEST / max(length, 1e-300))
        if length < 1e-7:
            return float(y[i]) if _is_end(function, y, best, i, sign) else None
    return None


def _shorter(function: Scaled, best: np.ndarray, away: np.ndarray, highest: float) -> float:
    """Return by which power of two to shorten a step so that -2 log L stays below a value.

    At a minimum without curvature the quadratic approximation puts the end of the interval anywhere.
    """
    for k in range(HALVINGS):
        if function.value(best + 0.5**k * away) <= highest:
            return float(0.5**k)
    return 1.0


def _is_end(function: Scaled, y: np.ndarray, best: np.ndarray, i: int, sign: float) -> bool:
    """Whether y lies on the right side and the others are at a minimum, with -2 log L rising outwards."""
    others = np.delete(np.delete(function.hessian(y), i, axis=0), i, axis=1)
    rises = sign * function.gradient(y)[i] > 0
    return bool(
        rises and sign * (y[i] - best[i]) > 0 and (others.size == 0 or np.linalg.eigvalsh(others)[0] > 0)
    )
