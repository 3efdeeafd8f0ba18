"""The minima of -2 log L: with quadratic terms it can have many, far apart.

r = 1 + l c + q c^2 is one at c = -l/q again, so that along the line of a single coefficient, and along that
of the others adjusted to it, there are often two minima, and a stationary origin lies between two where an
operator does not interfere with the SM. From every minimum found such lines lead to others; random starts
look for those that no line reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.progress import Progress, TaskID

from ..likelihood import Likelihood
from .frames import Affine, Boxed, Frame, Scaled, eigenbasis
from .trust import chunked, descend_all, quiet

REACH = 2.0 ** np.arange(8)
"""Distances along a line at which the slope is looked at, in standard deviations."""
MOST = 24
"""Starts at most from the lines through one point: those with the smallest -2 log L."""
NEAR = 10.0
"""Height over the lowest minimum up to which the lines through a minimum are looked at."""
EXPLORED = 1
"""Further minima whose lines are looked at besides those of the lowest one."""
SAME = 1e-4
"""Barrier of -2 log L between two minima below which they are one."""
_CHORD = np.linspace(0.0, 1.0, 11)[1:-1]
_FLAT = 1e-5
_THERE = 1e-5
_DEPTH = 8
_SPREAD = 5.0
"""Random starts lie up to 2^5 standard deviations away, all distances alike on a logarithmic scale."""


@dataclass(frozen=True)
class Minima:
    """Distinct minima, lowest first: points (K, n) in the units of the parameters, -2 log L (K,), converged.

    endless: whether -2 log L fell without end from some start.
    """

    points: np.ndarray
    values: np.ndarray
    converged: np.ndarray
    endless: bool = False


class Search:
    """Collects the distinct minima of a likelihood.

    likelihood: of n parameters. origin: (n,), where the search begins. scale: (n,), steps of parameters.
    box: ranges (2, n), infinite where there is none, inside which the minima lie; None for no ranges at all.
    bar: of the progress, with its task.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        origin: np.ndarray,
        scale: np.ndarray,
        box: np.ndarray | None = None,
        bar: tuple[Progress, TaskID] | None = None,
    ) -> None:
        self.likelihood, self.origin, self.scale, self.box, self.bar = likelihood, origin, scale, box, bar
        self.points: list[np.ndarray] = []
        self.values: list[float] = []
        self.converged: list[bool] = []
        self.flat: list[bool] = []
        self.explored: list[np.ndarray] = []
        self.endless = False

    def run(self, starts: int, rng: np.random.Generator) -> None:
        """Search from the origin, from the lines through minima, and from random starts."""
        with quiet():
            self._run(starts, rng)

    def _run(self, starts: int, rng: np.random.Generator) -> None:
        here = Scaled(self.likelihood, self.scale)
        self.add(here, np.array([self.origin, *saddle_starts(here, self.origin)]))
        if not any(self.converged):
            lines = self._lines(self.origin, [np.diag(self.scale)])
            self.add(here, np.reshape(lines, (-1, len(self.origin))))
        self._explore(EXPLORED)
        if starts:
            lowest = self._lowest()
            frame = eigenbasis(self.likelihood, lowest, self.scale)
            drawn = self._inside(lowest, random_starts(frame, starts, rng))
            self.add(frame, drawn)
            self._explore(EXPLORED)

    def follow(self, points: np.ndarray) -> None:
        """Descend from points (B, n) near which minima are expected, and look nowhere else."""
        with quiet():
            self.add(Scaled(self.likelihood, self.scale), points)

    def deeper(self, point: np.ndarray) -> None:
        """Go on from a point (n,) that was found to lie lower than all minima so far."""
        with quiet():
            self.add(Scaled(self.likelihood, self.scale), point[None])
            self._explore(EXPLORED)

    def minima(self) -> Minima:
        """Return what was found so far."""
        order = np.argsort(self.values)
        return Minima(
            np.array(self.points)[order],
            np.array(self.values)[order],
            np.array(self.converged)[order],
            self.endless,
        )

    def add(self, frame: Frame, starts: np.ndarray) -> None:
        """Descend from starts (B, n) in the given coordinates, and keep the minima that are new."""
        if self.box is not None:
            frame = Boxed.of(self.likelihood, self.box, self.scale)
        if self.bar is not None:
            bar, task = self.bar
            bar.update(task, total=(bar.tasks[task].total or 0) + len(starts))
        y = frame.start(starts) if isinstance(frame, Boxed) else frame.inverse(starts)
        found = descend_all(frame, y, advance=self._advance)
        self.endless |= bool(found.endless.any())
        flat = found.flat < _FLAT
        y = settle(frame, found.points, found.converged & flat)
        points, values = frame.point(y), chunked(frame.values, y, 1024)
        for k in np.argsort(values):
            ok = bool(found.converged[k])
            if self.points and not ok:
                continue
            if ok and self.points and not any(self.converged):
                self.points, self.values, self.converged, self.flat = [], [], [], []
            if not any(self._one(points[k], values[k], flat[k], j) for j in range(len(self.points))):
                self.points.append(points[k])
                self.values.append(float(values[k]))
                self.converged.append(ok)
                self.flat.append(bool(flat[k]))

    def _advance(self) -> None:
        if self.bar is not None:
            bar, task = self.bar
            count = len(self.points)
            bar.update(task, advance=1, note=f"{count} minima" if count else "")

    def _one(self, c: np.ndarray, value: float, flat: bool, k: int) -> bool:
        """Whether a point is the minimum k that is known."""
        if abs(value - self.values[k]) > SAME:
            return False
        if np.abs((c - self.points[k]) / self.scale).max() < _THERE:
            return True
        depth = _DEPTH if flat and self.flat[k] else 0
        return joined(self.likelihood, self.scale, c, self.points[k], self.box, depth)

    def _lowest(self) -> np.ndarray:
        return self.points[int(np.argmin(self.values))]

    def _explore(self, most: int) -> None:
        """Look along the lines through the lowest minimum until it stays so, and through `most` others."""
        extra = 0
        while True:
            lowest = min(self.values)
            fresh = [
                k
                for k in np.argsort(self.values)
                if self.converged[k]
                and self.values[k] < lowest + NEAR
                and not any(np.array_equal(self.points[k], c) for c in self.explored)
            ]
            if not fresh or (extra == most and self.values[fresh[0]] > lowest + SAME):
                return
            k = fresh[0]
            extra += int(self.values[k] > lowest + SAME)
            c = self.points[k]
            self.explored.append(c)
            frame = eigenbasis(self.likelihood, c, self.scale)
            starts = self._lines(c, [np.diag(self.scale), profile_directions(frame)])
            if starts:
                self.add(frame, np.array(starts))

    def _lines(self, centre: np.ndarray, directions: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return points (n,) of the valleys that are seen along lines of directions (D, n) through a point.

        Nuisance parameters have no lines of their own: their minimum is near that of their constraint.
        """
        count = len(self.likelihood.operators)
        lines = np.concatenate([d[:count] for d in directions])
        starts = valleys(self.likelihood, centre, lines)
        if self.box is not None:
            starts = [c for c in starts if np.all((c >= self.box[0]) & (c <= self.box[1]))]
        if not starts:
            return []
        heights = chunked(self.likelihood.m2logl, np.array(starts), 1024)
        return [starts[k] for k in np.argsort(heights)[:MOST]]

    def _inside(self, centre: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return points (B, n) drawn towards the centre until they lie in the box."""
        if self.box is None:
            return points
        step = points - centre
        room = np.where(step > 0, self.box[1] - centre, np.where(step < 0, self.box[0] - centre, np.inf))
        share = np.abs(room) / np.maximum(np.abs(step), 1e-300)
        return np.asarray(centre + step * np.minimum(1.0, share.min(axis=1))[:, None])


def profile_directions(frame: Affine) -> np.ndarray:
    """Return by how much everything moves, (n, n), when one parameter does by its error, a row for each."""
    errors = np.linalg.norm(frame.axes, axis=1)
    return np.asarray(frame.axes @ frame.axes.T / errors[:, None])


def random_starts(frame: Affine, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return points (count, n), normal in the coordinates of the frame, with distances of all orders."""
    far = 2.0 ** rng.uniform(0.0, _SPREAD, size=(count, 1))
    return frame.point(far * rng.normal(size=(count, frame.axes.shape[1])))


def saddle_starts(function: Scaled, origin: np.ndarray) -> list[np.ndarray]:
    """Return points on either side of a point (n,) with negative curvature, none elsewhere."""
    values, vectors = np.linalg.eigh(function.hessian(function.inverse(origin)))
    step = function.point(vectors[:, 0])
    return [origin + step, origin - step] if values[0] < 0 else []


def valleys(likelihood: Likelihood, centre: np.ndarray, lines: np.ndarray) -> list[np.ndarray]:
    """Return points (n,) on lines (D, n) through a centre, about where -2 log L has a minimum on the line.

    The minimum next to the centre itself is left out, unless -2 log L falls from there.
    """
    starts: list[np.ndarray] = []
    both = np.concatenate([lines, -lines])
    with quiet():
        points = centre + REACH[:, None] * both[:, None]  # (2 D, R, n)
        slopes = chunked(likelihood.gradient, points.reshape(-1, len(centre)), 256).reshape(points.shape)
        along = np.einsum("drn,dn->dr", slopes, both)
    for rows, slope in zip(points, along, strict=True):
        falls = np.flatnonzero((slope[:-1] < 0) & (slope[1:] > 0))
        starts += [0.5 * (rows[k] + rows[k + 1]) for k in falls if k > 0 or slope[0] < 0]
    return starts


def settle(frame: Frame, points: np.ndarray, degenerate: np.ndarray) -> np.ndarray:
    """Return points (B, m) of which none has a lower value along its direction of vanishing curvature.

    A saddle whose negative curvature is lost in rounding, or of higher order, is left that way.
    degenerate: at which points (B,) the curvature vanishes.
    """
    points = points.copy()
    for k in np.flatnonzero(degenerate):
        vectors = np.linalg.eigh(frame.hessian(points[k]))[1]
        away = np.concatenate([REACH, -REACH, 1 / REACH, -1 / REACH])[:, None] * vectors[:, 0]
        with quiet():
            heights = frame.values(points[k] + away)
        lower = np.where(np.isfinite(heights), heights, np.inf)
        if lower.min() < float(frame.values(points[k])) - 1e-6:
            again = descend_all(frame, (points[k] + away[int(np.argmin(lower))])[None])
            if again.converged[0]:
                points[k] = again.points[0]
    return points


def joined(
    likelihood: Likelihood,
    scale: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    box: np.ndarray | None = None,
    depth: int = 0,
) -> bool:
    """Whether two minima (n,) of equal height are one: no barrier lies between them.

    depth: how often a chord with a barrier is halved, where the curvature vanishes at both minima and the way
    between them may be curved: from the middle -2 log L is followed down, at right angles to the chord, to a
    point of the valley, and the two halves are looked at in turn.
    """
    chord = a + _CHORD[:, None] * (b - a)
    high = float(np.max(np.asarray(likelihood.m2logl(np.stack([a, b])))))
    if float(np.max(np.asarray(likelihood.m2logl(chord)))) < high + SAME:
        return True
    if depth == 0:
        return False
    across = np.linalg.svd(((b - a) / scale)[None])[2][1:].T  # all directions but that of the chord
    frame = Affine(likelihood, 0.5 * (a + b), scale[:, None] * across)
    below = descend_all(frame, np.zeros((1, across.shape[1])))
    c = frame.point(below.points[0])
    if not below.converged[0] or abs(float(below.values[0]) - high) > SAME:
        return False
    if box is not None and not np.all((c >= box[0]) & (c <= box[1])):
        return False
    return all(joined(likelihood, scale, end, c, box, depth - 1) for end in (a, b))
