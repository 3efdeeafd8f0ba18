"""Minima of -2 log L in given coordinates: Newton's method from one start, or from those on all lines."""

from __future__ import annotations

import numpy as np

from .frames import Scaled
from .minima import REACH, saddle_starts, valleys
from .trust import descend_all

__all__ = ["MOST", "REACH", "Scaled", "descend", "minima"]
MOST = 12
"""Starts at most: those with the smallest -2 log L."""
_SAME = 1e-2


def descend(function: Scaled, start: np.ndarray) -> np.ndarray:
    """Return the minimum that a trust-region Newton method reaches from a start.

    Where -2 log L falls without end and its derivatives are no longer finite, that is the start itself.
    """
    return np.asarray(descend_all(function, np.asarray(start)[None]).points[0])


def minima(function: Scaled, origin: np.ndarray) -> list[np.ndarray]:
    """Return the distinct minima reached from the origin and from every basin seen along one coefficient.

    The smallest comes first. See `minima.Search` for one that also looks from other places.
    """
    centre = function.point(origin)
    lines = np.diag(function.scale)[: len(function.likelihood.operators)]
    starts = valleys(function.likelihood, centre, lines)
    starts = sorted(starts, key=lambda c: float(function.likelihood.m2logl(c)))[:MOST]
    every = np.array([centre, *saddle_starts(function, centre), *starts])
    ended = descend_all(function, function.inverse(every))
    found: list[tuple[float, np.ndarray]] = []
    for value, y in zip(ended.values, ended.points, strict=True):
        if not any(np.abs(y - other).max() < _SAME for _, other in found):
            found.append((float(value), y))
    return [y for _, y in sorted(found, key=lambda pair: pair[0])]
