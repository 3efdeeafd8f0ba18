"""Following a curve of constant -2 log L in the plane of two parameters, the others at their minimum."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import InputError
from ..newton import join
from .conditional import Conditional

RAYS = 8
STEP = 0.1
"""Length of a step along a curve, over the radius of the curve of a quadratic function."""
MOST = 4000
"""Points of one curve at most."""
_CLOSE = 1e-7
_ONE = 1e-4
"""Distance, in errors, below which two minima of the others are one."""
_CORNER = 0.02
"""Length of a step, over the longest, below which there is a corner."""
_SAME = 0.3
"""Distance, in steps, below which a point is on a curve."""
_TURN, _CALM = 0.5, 0.15
"""Angles between successive points above which a step is shortened and below which the next is longer."""
_LONGEST = 60
"""Steps along a ray, each a fifth longer than the one before."""


Place = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A point on the curve (2,), the minima of the others there (k, p - 2), the lowest first, and the slope in
coordinates of axes (2,)."""


class Plane:
    """The profile of two parameters over a level delta above the lowest of the known minima.

    function: held are the two parameters. known: (m, p), minima in its coordinates.
    `inside` lists the minima below the level.
    """

    def __init__(self, function: Conditional, known: np.ndarray, delta: float) -> None:
        heights = function.m2logl(known)
        self.function, self.radius = function, float(np.sqrt(delta))
        self.level = float(heights.min()) + delta
        self.inside = [int(k) for k in np.argsort(heights) if heights[k] < self.level]
        self.known = known
        self._covariances = {k: function.covariance(known[k]) for k in self.inside}
        self.axes = {k: _principal(c[:2, :2]) for k, c in self._covariances.items()}

    def curves(self, tell: Callable[[int], None]) -> list[np.ndarray]:
        """Return the closed curves (n, 2) that rays from the minima meet; tell: called with points so far.

        Raises InputError where a region has no end.
        """
        found: list[tuple[np.ndarray, np.ndarray]] = []  # the curve and the axes in which it was followed
        for index in self.inside:
            if _enclosed(self.known[index, :2], [curve for curve, _ in found]):
                continue
            starts, axes = self.rays(index)
            for point, theta in starts:
                place = self.onto(point, theta[None], axes)
                if place is None or any(self._on(place[0], *pair) for pair in found):
                    continue
                found.append((self.follow(place, axes, tell), axes))
        if not found:
            raise InputError(f"found no point on the contour of {' and '.join(self.function.held)}")
        return [curve for curve, _ in found]

    def _on(self, point: np.ndarray, curve: np.ndarray, axes: np.ndarray) -> bool:
        """Return whether a point (2,) lies on a curve (n, 2), by its distance from the chords."""
        steps = np.linalg.solve(axes, (curve - point).T).T
        along = np.diff(steps, axis=0)
        share = -np.sum(steps[:-1] * along, axis=1) / np.sum(along**2, axis=1).clip(1e-300)
        nearest = steps[:-1] + share.clip(0, 1)[:, None] * along
        return bool(np.linalg.norm(nearest, axis=1).min() < _SAME * STEP * self.radius)

    def _starts(self, points: np.ndarray) -> list[np.ndarray]:
        """Return where the others (B, p - 2) may be at points (B, 2) by each of several minima."""
        several = self.inside if len(self.inside) > 1 else []
        return [self.function.along(self.known[k], points, self._covariances[k]) for k in several]

    def profile(self, points: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the height over the level (B,) and the others (B, p - 2) at points (B, 2).

        theta: (B, p - 2), where the search begins, besides the minima.
        """
        starts = np.stack([theta, *self._starts(points)])
        held = np.broadcast_to(points, (len(starts), *points.shape)).reshape(-1, 2)
        others, value, _ = self.function.minimum(held, starts.reshape(len(held), -1))
        value = value.reshape(len(starts), -1)
        best = np.argmin(np.where(np.isfinite(value), value, np.inf), axis=0)
        where = np.arange(len(points))
        return value[best, where] - self.level, others.reshape(*value.shape, -1)[best, where]

    def branches(self, point: np.ndarray, near: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the height over the level at a point (2,), and the minima of the others there, lowest first.

        near: (k, p - 2), where these may be; what ends in the same minimum becomes one, (j, p - 2).
        """
        others, value, _ = self.function.minimum(np.repeat(point[None], len(near), axis=0), near)
        order = [k for k in np.argsort(value) if np.isfinite(value[k])]
        kept: list[int] = []
        for k in order:
            if not any(np.abs(others[k] - others[j]).max(initial=0.0) < _ONE for j in kept):
                kept.append(int(k))
        if not kept:
            return float("nan"), near[:1]
        return float(value[kept[0]]) - self.level, others[kept]

    def rays(self, index: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Return points (2,) and others (p - 2,) near the curve, where rays from a minimum first pass it.

        Also axes (2, 2) at the minimum, so long that rays along them pass the curve after `radius` of them.
        Raises InputError when not one of the rays does.
        """
        centre, angles = self.known[index], 2 * np.pi * np.arange(RAYS) / RAYS
        away = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ self.axes[index].T
        theta = np.repeat(centre[None, 2:], RAYS, axis=0)
        below, radius, width = np.full(RAYS, -np.inf), 0.0, 0.25 * self.radius
        found: list[tuple[np.ndarray, np.ndarray]] = []
        reach, open_ = np.zeros(RAYS), np.arange(RAYS)
        for _ in range(_LONGEST):
            points = centre[:2] + (radius + width) * away[open_]
            height, others = self.profile(points, theta[open_])
            for n in np.flatnonzero(height >= 0):
                before = below[open_[n]]
                share = 0.5 if not np.isfinite(before) else -before / (height[n] - before)
                reach[open_[n]] = radius + share * width
                found.append((centre[:2] + reach[open_[n]] * away[open_[n]], others[n]))
            theta[open_], below[open_] = others, height
            open_ = open_[height < 0]
            radius, width = radius + width, 1.2 * width
            if not open_.size:
                break
        if not found:
            raise InputError(
                f"the region of {' and '.join(self.function.held)} has no end: -2 log L does not rise enough "
                "in any direction; choose a lower level, or fix what no dataset constrains"
            )
        along = np.array([reach[[k, k + RAYS // 2]].max() for k in (0, RAYS // 4)])
        return found, self.axes[index] * np.where(along > 0, along, self.radius) / self.radius

    def onto(self, point: np.ndarray, near: np.ndarray, axes: np.ndarray) -> Place | None:
        """Return the place on the curve near a point (2,); None where the search does not end on the curve.

        near: (k, p - 2), where the minima of the others may be, that of the curve first. axes: (2, 2), whose
        columns are unit steps.
        """
        start, looked = point, False
        for _ in range(20):
            height, lowest = self.branches(point, near[:1])
            if abs(height) < _CLOSE * self.radius**2:  # on the branch that was followed
                fresh = [] if looked else self._starts(point[None])
                height, near = self.branches(point, np.concatenate([lowest, near[1:], *fresh]))
                looked = True
            else:
                near = np.concatenate([lowest, near[1:]])
            slope = self.function.gradient(join(point, near[0]))[:2] @ axes
            steep = float(slope @ slope)
            if not (np.isfinite(height) and np.isfinite(steep) and steep > 0):
                return None
            if abs(height) < _CLOSE * self.radius**2:
                return point, near, slope
            move = -height / steep * slope
            longest = 0.5 * self.radius
            point = point + axes @ (move * min(1.0, longest / max(float(np.linalg.norm(move)), 1e-300)))
            if np.linalg.norm(np.linalg.solve(axes, point - start)) > 2 * self.radius:
                return None
        return None

    def _beyond(self, here: Place, axes: np.ndarray, longest: float) -> Place | None:
        """Return a place around a corner, where the region of another minimum of the others begins.

        There the curve may turn by more than a right angle, which steps along the old direction do not pass.
        """
        at, near, _ = here
        held = np.repeat(at[None], len(near), axis=0)
        heights = self.function.m2logl(join(held, near)) - self.level
        slopes = self.function.gradient(join(held, near))[:, :2] @ axes
        for k in range(1, len(near)):
            steep = float(np.linalg.norm(slopes[k]))
            if not heights[k] < 4 * _CORNER * longest * steep:
                continue
            order = [k, *(j for j in range(len(near)) if j != k)]
            along = _tangent(slopes[k])
            for step in longest * 0.5 ** np.arange(6):
                place = self.onto(at + axes @ (step * along), near[order], axes)
                if place is not None:
                    moved = np.linalg.solve(axes, place[0] - at)
                    if 0.5 * step < moved @ along < 2 * step and _angle(along, _tangent(place[2])) < _TURN:
                        return place
        return None

    def follow(self, here: Place, axes: np.ndarray, tell: Callable[[int], None]) -> np.ndarray:
        """Return the closed curve (n, 2) through a place on it; tell: called with the points so far.

        axes: (2, 2), as in `onto`. Raises InputError when the curve does not close.
        """
        first, forward = here[0], _tangent(here[2])
        longest = STEP * self.radius
        curve, step, tiny = [first], longest, _CORNER * longest
        while len(curve) < MOST and step > 1e-3 * tiny:
            at, near, slope = here
            tangent = _tangent(slope)
            trial = self.onto(at + axes @ (step * tangent), near, axes)
            smooth, turn = False, np.inf
            if trial is not None:
                turn = _angle(tangent, _tangent(trial[2]))
                length = float(np.linalg.norm(np.linalg.solve(axes, trial[0] - at)))
                smooth = turn < _TURN and 0.5 * step < length < 2 * step
            if not smooth and step < tiny:
                trial = self._beyond(here, axes, longest)
                smooth, step, turn = trial is not None, max(step, tiny) if trial else step, np.inf
            back = np.linalg.solve(axes, first - at)
            closes = len(curve) > 3 and np.linalg.norm(back) <= 1.5 * step and back @ tangent > 0
            if closes and (tangent @ forward > 0 or step <= tiny):
                return np.array([*curve, first])
            if trial is None or not smooth:
                step *= 0.5
                continue
            here = trial
            curve.append(trial[0])
            tell(len(curve))
            step = min(1.4 * step, longest) if turn < _CALM else step
        raise InputError(
            f"the contour of {' and '.join(self.function.held)} does not close after {len(curve)} points; "
            "choose a lower level"
        )


def _enclosed(point: np.ndarray, curves: Sequence[np.ndarray]) -> bool:
    """Return whether a point (2,) lies inside an odd number of closed curves (n, 2)."""
    crossings = 0
    for curve in curves:
        a, b = curve[:-1] - point, curve[1:] - point
        over = (a[:, 1] > 0) != (b[:, 1] > 0)
        a, b = a[over], b[over]
        crossings += int(np.sum(a[:, 0] - a[:, 1] * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1]) > 0))
    return crossings % 2 == 1


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle between two directions (2,), in [0, pi]."""
    return float(np.arccos(np.clip(a @ b, -1, 1)))


def _principal(covariance: np.ndarray) -> np.ndarray:
    """Return the principal axes of a covariance (2, 2), one error long, as columns."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 1e-12 * values[-1])))


def _tangent(slope: np.ndarray) -> np.ndarray:
    """Return the direction (2,) along the curve, with the region on its left."""
    return np.asarray(np.array([-slope[1], slope[0]]) / np.linalg.norm(slope))
