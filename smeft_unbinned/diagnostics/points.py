"""Coefficient points at which the checks look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..polynomial import as_point
from .case import Case

LARGEST_SPREAD = 0.5
"""Relative spread of r over events up to which a point counts as visible and still well simulated."""


def as_points(points: Any, operators: Sequence[str]) -> np.ndarray:
    """Return points as an array (K, n): an array, a mapping by name, or a sequence of mappings.

    Raises InputError for unknown operators, a wrong length, and values that are not finite.
    """
    if isinstance(points, Mapping):
        points = [points]
    if isinstance(points, Sequence) and any(isinstance(p, Mapping) for p in points):
        points = np.array([np.asarray(as_point(p, operators), dtype=float) for p in points])
    array = np.atleast_2d(np.asarray(as_point(np.asarray(points, dtype=float), operators), dtype=float))
    if array.ndim != 2 or array.size == 0 or not np.isfinite(array).all():
        raise InputError(f"points must be finite, of shape (K, {len(operators)}) or mappings by name")
    return array


def title(point: np.ndarray, operators: Sequence[str]) -> str:
    """Return a point in words, "cHW=+0.12 cHq3=-0.03", or "SM"."""
    terms = [f"{name}={value:+.3g}" for name, value in zip(operators, point, strict=True) if value]
    return " ".join(terms) or "SM"


def alone(case: Case, factors: Sequence[float] = (1.0, -1.0)) -> np.ndarray:
    """Return points on the axes, at these multiples of the half-width of each coefficient, (K, n)."""
    return np.concatenate([np.diag(case.half_widths) * factor + 0.0 for factor in factors])


def joint(case: Case, count: int) -> np.ndarray:
    """Return random points of all coefficients, (count, n): normal, half-width/sqrt(n) each."""
    n = len(case.operators)
    unit = np.random.default_rng([case.seed, 11]).normal(size=(count, n))
    return np.asarray(unit * case.half_widths / np.sqrt(n))


def grid(case: Case) -> np.ndarray:
    """Return the default points: both ends of the interval of each coefficient, and two random ones."""
    points = alone(case)
    return points if len(case.operators) == 1 else np.concatenate([points, joint(case, 2)])


def visible(case: Case, points: np.ndarray) -> np.ndarray:
    """Return points (K, n) scaled up by powers of two while r spreads by at most LARGEST_SPREAD.

    At the end of an interval the effect on each event is small; shapes are compared where it is not.
    """
    known = case.truth if case.truth is not None else case.form
    scaled = points.copy()
    for k, point in enumerate(points):
        for _ in range(20):
            r = np.asarray(known.evaluate(2.0 * scaled[k]))
            mean = float(case.weights @ r)
            variance = float(case.weights @ (r - mean) ** 2)
            if not point.any() or mean <= 0 or variance > (LARGEST_SPREAD * mean) ** 2:
                break
            scaled[k] *= 2.0
    return scaled
