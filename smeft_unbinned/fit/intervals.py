"""Profile intervals of many coefficients at once, from all minima that -2 log L is known to have.

Around every minimum that lies below the level there is an interval of a coefficient in which the profile,
followed from this minimum, is below the level. Where -2 log L is the lower of several branches the set below
the level is the union of these intervals: the one that is connected with the best fit is `connected`, all
pieces are `pieces`. Just outside of every end other branches are looked for (`beyond`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .beyond import beyond
from .frames import Scaled
from .profile import follow, interval_ends

_MARGIN = 1.5
"""Widths of the parabola at another minimum within which its interval may reach beyond a known one."""
Fallback = Callable[[int, float, float], float | None]
"""Another way to an end in scaled coordinates: index, sign, -2 log L to be reached."""


@dataclass(frozen=True)
class Branch:
    """A minimum in scaled coordinates: the point (n,), -2 log L there, and the covariance (n, n)."""

    point: np.ndarray
    value: float
    covariance: np.ndarray

    @classmethod
    def at(cls, function: Scaled, point: np.ndarray) -> Branch:
        """Return the branch of a minimum; a direction without curvature counts with the unit of length."""
        values, vectors = np.linalg.eigh(function.hessian(point))
        size = np.where(values > 1e-10 * max(float(values[-1]), 1.0), values, 2.0)
        return cls(point, function.value(point), np.asarray((vectors * (2.0 / size)) @ vectors.T))


def around(
    function: Scaled, branch: Branch, which: Sequence[int], target: float, fallback: Fallback | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the points of the ends around a minimum, (len(which), 2, n) in scaled coordinates.

    which: indices of coordinates. target: -2 log L at the ends. NaN where none is found; where the fallback
    finds one, only the coordinate itself is known. The second value is a point (n,) below the minimum, if one
    was met.
    """
    i, sign = np.repeat(np.asarray(which, dtype=int), 2), np.tile([-1.0, 1.0], len(which))
    found = interval_ends(function, branch.point, branch.covariance, i, sign, np.full(len(i), float(target)))
    points = np.where(found.connected[:, None], found.points, np.nan)
    for k in np.flatnonzero(~found.connected):
        end = follow(function, branch.point, branch.covariance, int(i[k]), float(sign[k]), target)
        if end is not None:
            points[k] = end
        elif fallback is not None:
            other = fallback(int(i[k]), float(sign[k]), target)
            points[k, i[k]] = np.nan if other is None else other
    return points.reshape(len(which), 2, -1), found.below(branch.value)


def ends_of(points: np.ndarray, which: Sequence[int]) -> np.ndarray:
    """Return the ends (len(which), 2) themselves, given their points as `around` returns them."""
    return np.asarray(points[np.arange(len(which)), :, np.asarray(which, dtype=int)])


def connected(
    function: Scaled, branches: Sequence[Branch], which: Sequence[int], target: float,
    fallback: Fallback | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    """Return the intervals (len(which), 2) that hold the best fit, the first branch.

    The intervals around other minima that overlap with it belong to it. Their ends are computed where the
    parabola there, made wider, reaches beyond what is known already. Second value as in `around`.
    """
    first = branches[0]
    points, lower = around(function, first, which, target, fallback)
    if lower is None:
        points = beyond(function, first.point, first.covariance, which, points, target)
    ends = ends_of(points, which)
    pieces: list[list[tuple[float, float]]] = [[] for _ in which]
    for branch in branches[1:]:
        if branch.value >= target:
            continue
        half = _MARGIN * np.sqrt((target - branch.value) * np.diag(branch.covariance))[list(which)]
        at = branch.point[list(which)]
        reach = (at - half < ends[:, 0]) | (at + half > ends[:, 1])
        more = [k for k in range(len(which)) if reach[k]]
        if not more:
            continue
        own, below = around(function, branch, [which[k] for k in more], target)
        lower = below if lower is None else lower
        for k, pair in zip(more, ends_of(own, [which[k] for k in more]), strict=True):
            if np.isfinite(pair).all():
                pieces[k].append((float(pair[0]), float(pair[1])))
    for k, found in enumerate(pieces):
        if np.isfinite(ends[k]).all():
            united = union([(float(ends[k, 0]), float(ends[k, 1])), *found])
            middle = branches[0].point[which[k]]
            ends[k] = next(pair for pair in united if pair[0] <= middle <= pair[1])
    return ends, lower


def pieces(function: Scaled, branches: Sequence[Branch], i: int, target: float) -> list[tuple[float, float]]:
    """Return the intervals of coordinate i in which the lowest branch is below the target, from low to high.

    An end that does not exist is infinite.
    """
    found = []
    for branch in branches:
        if branch.value < target:
            points = around(function, branch, [i], target)[0]
            low, high = beyond(function, branch.point, branch.covariance, [i], points, target)[0, :, i]
            found.append(
                (-np.inf if np.isnan(low) else float(low), np.inf if np.isnan(high) else float(high))
            )
    return union(found)


def union(intervals: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the union of intervals as disjoint ones, from low to high."""
    result: list[tuple[float, float]] = []
    for low, high in sorted(intervals):
        if result and low <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], high))
        else:
            result.append((low, high))
    return result
