"""Weights of the events that stand for groups, such that -2 log L agrees at many points of the region.

With L_kg = log r_g(c_k), a the weights of the groups and s_k = sum_e w_e log r_e(c_k) over all events, the
weights p minimise

    sum_g [p_g log(p_g/a_g) - p_g + a_g] + |L p - s|^2/(2 lambda),

which makes them positive and close to a: calibration of survey weights (Deville and Sarndal, J. Am. Stat.
Assoc. 87 (1992) 376). The minimum is p_g = a_g exp(sum_k L_kg y_k), and y minimises a convex function of as
many variables as L has directions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
_STRENGTHS = (1e-2, 1e-4, 1e-6, 1e-8)
"""lambda in units of the square of what the residuals may be."""
_SUM = 10.0
"""How much more the sum of the weights counts than one residual."""
_RANK = 1e-13
_LARGEST = 30.0
_STEPS = 40


def calibrate(logs: Real, target: Real, base: Real, allowed: Real, held: NDArray[np.bool_]) -> Real:
    """Return positive weights (M,) whose sum is that of `base` (M,).

    logs: log r of M events at K points, (K, M). target: sum of the weighted log r of all events, (K,).
    allowed: size of a tolerable deviation at each point, (K,). held: points that are not used but decide on
    lambda, by their largest deviation in units of the allowed one.
    """
    unit = float(np.max(allowed))
    rows = np.concatenate([(logs * (unit / allowed)[:, None])[~held], np.full((1, len(base)), _SUM)])
    aims = np.concatenate([(target * unit / allowed)[~held], [_SUM * base.sum()]])
    size, directions, missing = _directions(rows * np.sqrt(base), aims - rows @ base)
    directions = directions / np.sqrt(base)[:, None]
    best, least, y = base, np.inf, np.zeros(len(size))
    for strength in _STRENGTHS:
        y = _newton(directions, base, missing, strength * unit**2 / size**2, y)
        weights = base * np.exp(np.clip(directions @ y, -_LARGEST, _LARGEST))
        weights *= base.sum() / weights.sum()
        worst = float(np.max(np.abs(logs[held] @ weights - target[held]) / allowed[held]))
        if not worst < least:
            break
        best, least = weights, worst
    return np.asarray(best)


def _directions(rows: Real, missing: Real) -> tuple[Real, Real, Real]:
    """Return singular values (D,), right singular vectors (M, D), and left ones @ missing / values (D,)."""
    wide = rows.shape[0] < rows.shape[1]
    values, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    kept = values > _RANK * values[-1]
    size, vectors = np.sqrt(values[kept]), vectors[:, kept]
    if wide:
        return size, rows.T @ vectors / size, vectors.T @ missing / size
    return size, vectors, (rows @ vectors).T @ missing / size**2


def _newton(directions: Real, base: Real, missing: Real, ridge: Real, y: Real) -> Real:
    """Return the minimum over y of base.[exp(x) - x] - missing.y + ridge.y^2/2 with x = directions @ y."""
    slope = directions.T @ base + missing

    def value(at: Real) -> float:
        x = np.clip(directions @ at, -_LARGEST, _LARGEST)
        return float(base @ np.exp(x) - slope @ at + 0.5 * ridge @ at**2)

    now = value(y)
    for _ in range(_STEPS):
        weights = base * np.exp(np.clip(directions @ y, -_LARGEST, _LARGEST))
        gradient = directions.T @ weights - slope + ridge * y
        curvature = (directions * weights[:, None]).T @ directions + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        gain, length = float(gradient @ step), 1.0
        while length > 1e-6 and not value(y - length * step) <= now - 1e-4 * length * gain:
            length *= 0.5
        if length <= 1e-6:
            break
        y = y - length * step
        now = value(y)
        if gain < 1e-12 * base.sum():
            break
    return y
