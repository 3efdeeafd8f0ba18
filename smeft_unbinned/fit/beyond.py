"""Ends of profile intervals behind which the profile falls below the level again, on another branch.

At given c_i, -2 log L can have several minima over the other coefficients, also where it has one minimum in
all. The end that is reached by following one of them is too early if another one is lower there. Others are
looked for just outside of every end, from the ends of all coefficients, which lie all around the region.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..likelihood import Likelihood
from ..newton import join, minimise_over
from .frames import Ahead, Scaled
from .profile import follow
from .rough import rough
from .trust import quiet

OUTSIDE = 0.02
"""Distance outside of an end at which others are looked for, over that from the minimum."""
MANY, FEW = 8, 2
"""Searches of an end begin at all known ends; with more coefficients, at the few of the smallest -2 log L."""
_AGAIN = 3
_APART = 0.05
"""Distance in scaled coordinates between minima that are two."""
_DOUBT = 2.0
"""Rise over the minimum, relative, by which a few events may be wrong about the height of a branch."""


def beyond(
    function: Scaled, best: np.ndarray, covariance: np.ndarray, which: Sequence[int], points: np.ndarray,
    target: float,
) -> np.ndarray:  # fmt: skip
    """Return the points of the ends, (len(which), 2, n), moved outwards where another branch is lower.

    best: the minimum (n,) in scaled coordinates; covariance: there, (n, n). points: of the ends that were
    found by following one branch, NaN where there is none. target: -2 log L at the ends.
    """
    points, rows = points.copy(), list(range(len(which)))
    if len(best) < 2:
        return points
    few = rough(function.likelihood)
    for _ in range(_AGAIN):
        flat = points.reshape(-1, len(best))
        known = flat[np.isfinite(flat).all(axis=1)]
        moved = []
        for row in rows:
            i = which[row]
            for side in (0, 1):
                if not np.isfinite(points[row, side]).all():
                    continue
                other = _other(function, few, best, i, points[row, side], known, target)
                end = (
                    None if other is None else follow(function, other, covariance, i, 2.0 * side - 1, target)
                )
                if end is not None:
                    points[row, side] = end
                    moved.append(row)
        if not moved:
            break
        rows = moved
    return points


def _other(
    function: Scaled, few: Likelihood, best: np.ndarray, i: int, end: np.ndarray, known: np.ndarray,
    target: float,
) -> np.ndarray | None:  # fmt: skip
    """Return a point (n,) just outside of an end (n,) of c_i, but below the target, on another branch."""
    outside = end[i] + OUTSIDE * (end[i] - best[i])
    starts = known.copy()
    starts[:, i] = outside
    if len(best) > MANY:
        starts = starts[np.argsort(np.asarray(few.m2logl(starts * function.scale)))[:FEW]]
    own = end.copy()
    own[i] = outside
    found, values = _minima(few, function.scale, i, outside, np.concatenate([own[None], starts]))
    apart = np.abs(found - found[0]).max(axis=1) > _APART
    values = np.where(apart & np.isfinite(values), values, np.inf)
    lowest = int(np.argmin(values))
    if few is function.likelihood:
        return found[lowest] if values[lowest] < target - 1e-6 else None
    height = float(few.m2logl(found[0] * function.scale))
    if not values[lowest] < height + _DOUBT * (target - function.value(best)):
        return None
    found, values = _minima(function.likelihood, function.scale, i, outside, found[[lowest]])
    return found[0] if values[0] < target - 1e-6 else None


def _minima(
    likelihood: Likelihood, scale: np.ndarray, i: int, held: float, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return minima (B, n) over all but coordinate i, which is held, from starts (B, n), and heights (B,)."""
    ahead = Ahead.of(likelihood, np.zeros(len(scale)), np.diag(scale), i)
    at = np.full((len(starts), 1), held)
    with quiet():
        others, _ = minimise_over(ahead, at, np.delete(starts, i, axis=1))
        heights = ahead.m2logl(join(at, others))
    return np.insert(others, i, held, axis=1), heights
