"""Fits inside ranges of the parameters.

A minimum inside a range is found in coordinates that cannot leave it (`frames.Boxed`). Parameters that end at
the end of their range, where -2 log L would fall further outside, are then taken out of the fit: its
covariance is that at these values. The interval of a coefficient is that of the profile inside the ranges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy

from ..likelihood import Likelihood
from .frames import Affine, Boxed, Scaled
from .intervals import Branch
from .profile import interval_ends
from .trust import descend_all

_STEPS = 60
_AT = 1e-7
"""Part of the width of a range from its end at which a parameter lies there."""


def box_of(names: Sequence[str], bounds: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Return the ranges (2, n) of parameters, infinite where none is given."""
    pairs = [bounds.get(name, (-np.inf, np.inf)) for name in names]
    return np.array(pairs, dtype=float).reshape(-1, 2).T


def outside(names: Sequence[str], point: np.ndarray, bounds: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return what to say about the parameters whose ranges exclude a point (n,)."""
    values = dict(zip(names, point, strict=True))
    return [
        f"the prior range of {name}, ({low:g}, {high:g}), excludes the minimum at {values[name]:.4g}"
        for name, (low, high) in bounds.items()
        if name in values and not low <= values[name] <= high
    ]


def at_ends(likelihood: Likelihood, point: np.ndarray, box: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return which parameters (n,) lie at an end of their range with -2 log L falling outwards."""
    slope = np.asarray(likelihood.gradient(point)) * scale
    with np.errstate(invalid="ignore"):
        room = np.where(np.isfinite(box[1] - box[0]), _AT * (box[1] - box[0]), 0.0)
    low, high = point - box[0] <= room, box[1] - point <= room
    return np.asarray((low & (slope > 0)) | (high & (slope < 0)))


def polished(
    likelihood: Likelihood, point: np.ndarray, box: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a minimum (n,) with parameters exactly at the ends of their ranges, and which those are (n,)."""
    active = at_ends(likelihood, point, box, scale)
    point = np.where(active, np.where(point - box[0] <= box[1] - point, box[0], box[1]), point)
    if active.all():
        return point, active
    frame = Affine(likelihood, point, np.diag(scale)[:, ~active])
    found = descend_all(frame, np.zeros((1, int((~active).sum()))))
    moved = frame.point(found.points[0])
    inside = np.all((moved >= box[0]) & (moved <= box[1]))
    return (moved if inside and found.converged[0] else point), active


class BoundedProfile:
    """min over the other parameters, inside their ranges, of -2 log L, as a function of one of them.

    minima: points (K, n) from which the others start.
    """

    def __init__(
        self, likelihood: Likelihood, i: int, box: np.ndarray, scale: np.ndarray, minima: np.ndarray
    ) -> None:
        self.whole = Boxed.of(likelihood, box, scale)
        self.i, self.limits, self.minima = i, box[:, i], minima
        self._last = minima[:1]

    def __call__(self, value: float) -> float:
        """Return the profile at a value of the parameter."""
        frame = self.whole.without(self.i, value)
        if not len(frame.free):
            return float(frame.values(np.zeros(0)))
        found = descend_all(frame, frame.start(np.concatenate([self.minima, self._last])))
        best = int(np.argmin(found.values))
        self._last = frame.point(found.points[best : best + 1])
        return float(found.values[best])

    def end(self, best: float, sign: float, target: float, error: float) -> float:
        """Return where the profile reaches the target on one side of the best value: at most the range's end.

        NaN where there is no such value.
        """
        limit = float(self.limits[int(sign > 0)])
        inside, step = best, sign * error
        for _ in range(_STEPS):
            last = bool(sign * (inside + step - limit) >= 0)
            outside = limit if last else inside + step
            if self(outside) > target:
                return float(
                    scipy.optimize.brentq(lambda t: self(t) - target, inside, outside, xtol=1e-7 * error)
                )
            if last:
                return limit
            inside, step = outside, 1.6 * step
        return float("nan")


def bounded_intervals(
    function: Scaled, branches: Sequence[Branch], which: Sequence[int], target: float, box: np.ndarray
) -> np.ndarray:
    """Return the intervals (len(which), 2) around the best fit, in scaled coordinates, inside the ranges.

    branches: the minima inside the ranges, the best fit first. box: (2, n), in the units of the parameters.
    Where the profile without ranges stays inside them and there is one minimum only, it is the profile.
    """
    best, scale = branches[0], function.scale
    near = [b.point for b in branches if b.value < target]
    i, sign = np.repeat(np.asarray(which, dtype=int), 2), np.tile([-1.0, 1.0], len(which))
    ends = np.full(len(i), np.nan)
    if len(near) == 1 and not at_ends(function.likelihood, function.point(best.point), box, scale).any():
        found = interval_ends(function, best.point, best.covariance, i, sign, np.full(len(i), target))
        inside = np.all((found.points * scale >= box[0]) & (found.points * scale <= box[1]), axis=1)
        fine = found.connected & inside
        ends[fine] = found.points[np.arange(len(i)), i][fine]
    for k in np.flatnonzero(np.isnan(ends)):
        j = int(i[k])
        profile = BoundedProfile(function.likelihood, j, box, scale, np.array(near) * scale)
        error = float(np.sqrt(best.covariance[j, j] * (target - best.value)) * scale[j])
        ends[k] = profile.end(float(best.point[j] * scale[j]), float(sign[k]), target, error) / scale[j]
    return ends.reshape(-1, 2)
