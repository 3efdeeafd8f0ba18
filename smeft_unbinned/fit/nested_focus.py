"""Coordinates in which a sampler looks mostly where the posterior is, with the prior and log Z unchanged.

Nested sampling shrinks the prior volume by 1/nlive per step, and many steps only lead from a wide prior box
to the posterior. Here the unit cube is mapped to the principal axes of the covariance at the minimum: most of
its volume to a core of about five standard deviations to each side, the rest to all that lies outside, up to
the corners of the prior box. With u of density one, c(u) has a density q(c), and what is sampled is

    Z = int L(c) pi(c) dc = int L(c(u)) pi(c(u))/q(c(u)) du,

so posterior and evidence are those of the prior pi, wherever the posterior lies; arXiv:1803.06387 divides
prior and likelihood anew in the same sense. Nothing is cut off; a core at the wrong place only costs time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..likelihood import Likelihood
from ..newton import join, minimise_over
from .frames import Ahead
from .prior import Prior
from .trust import quiet

REACH = 5.0
"""The core ends where -2 log L has risen by the square of this along an axis."""
OUTSIDE = 0.3
"""Fraction of the cube that is mapped to the outside of the core."""
WORTHWHILE = 1.0
"""Decrease of the log of the volume from which the core is used."""
LEAST_INSIDE = 0.1
"""Fraction of the core that has to lie inside the prior box."""
_STEPS = REACH * 2.0 ** (np.arange(-4, 17) / 4)
"""Distances along an axis, in standard deviations, at which -2 log L is looked at."""
_PROBES = 2000
_FOLLOWED = 4
"""Minima at most from which the valley along each axis is followed, the lowest ones."""
_ALONG = np.array([-1.0, -0.5, 0.5, 1.0]) * REACH
"""Where on an axis the others are adjusted to it, in standard deviations."""


@dataclass(frozen=True)
class Focus:
    """A map of the unit cube to p parameters that covers the support of a prior.

    centre: (p,). axes: (p, p), one principal axis per column, of the length of a standard deviation.
    knots: (p, 4), along each axis, in units of it: the lowest value, the ends of the core, the highest value.
    shares: (p, 3), the fraction of the cube that goes below the core, into it, and above it.
    """

    prior: Prior
    centre: np.ndarray
    axes: np.ndarray
    knots: np.ndarray
    shares: np.ndarray

    @classmethod
    def around(cls, prior: Prior, centre: np.ndarray, axes: np.ndarray, core: np.ndarray) -> Focus:
        """Return the map with a core (p, 2) of ends along each axis, cut to where the prior reaches."""
        ends = _extent(prior, centre, axes)
        core = np.clip(core, ends[:, :1], ends[:, 1:])
        rest = np.stack([core[:, 0] - ends[:, 0], ends[:, 1] - core[:, 1]], axis=1)
        outside = (1 - (1 - OUTSIDE) ** (1 / len(centre))) * (rest > 0) / 2
        shares = np.stack([outside[:, 0], 1 - outside.sum(axis=1), outside[:, 1]], axis=1)
        return cls(prior, centre, axes, np.column_stack([ends[:, 0], core, ends[:, 1]]), shares)

    def transform(self, u: np.ndarray) -> np.ndarray:
        """Return the parameters (..., p) at points u (..., p) of the unit cube."""
        start = np.cumsum(self.shares, axis=1) - self.shares
        piece = (u > start[:, 1]).astype(int) + (u > 1 - self.shares[:, 2])
        axis = np.arange(len(self.centre))
        low, width = self.knots[axis, piece], np.diff(self.knots)[axis, piece]
        with np.errstate(invalid="ignore", divide="ignore"):
            fraction = (u - start[axis, piece]) / self.shares[axis, piece]
        return np.asarray(self.centre + (low + fraction * width) @ self.axes.T)

    def log_weight(self, c: np.ndarray) -> np.ndarray:
        """Return log[pi(c)/q(c)] at points c (s, p), (s,); minus infinity outside the prior."""
        y = np.linalg.solve(self.axes, (c - self.centre).T).T
        piece = (y > self.knots[:, 1]).astype(int) + (y > self.knots[:, 2])
        core = np.log(self.shares[:, 1]) - np.log(np.diff(self.knots)[:, 1])
        with np.errstate(invalid="ignore", divide="ignore"):
            density = np.log(self.shares) - np.log(np.diff(self.knots))
        density = np.where(self.shares > 0, density, core[:, None])  # a point on the end, but for rounding
        log_q = density[np.arange(len(self.centre)), piece].sum(axis=1) - np.linalg.slogdet(self.axes)[1]
        return np.asarray(self.prior.log_density(c) - log_q)

    def outside(self, c: np.ndarray) -> float:
        """Return the fraction of points c (s, p) outside the core."""
        y = np.linalg.solve(self.axes, (c - self.centre).T).T
        return float(np.mean(((y < self.knots[:, 1]) | (y > self.knots[:, 2])).any(axis=1)))

    def gain(self) -> float:
        """Return by how much the log of the volume falls, minus infinity where the prior cuts too much."""
        rng = np.random.default_rng(0)
        u = self.shares[:, 0] + rng.random((_PROBES, len(self.centre))) * self.shares[:, 1]
        weight = self.log_weight(self.transform(u))
        inside = np.isfinite(weight)
        return -float(np.median(weight[inside])) if inside.mean() > LEAST_INSIDE else -np.inf

    def record(self) -> dict[str, Any]:
        """Return the numbers as JSON types, from which `read` makes the map again."""
        names = ("centre", "axes", "knots", "shares")
        return {name: getattr(self, name).tolist() for name in names}

    @classmethod
    def read(cls, prior: Prior, record: Mapping[str, Any]) -> Focus:
        """Return the map of a record and the prior."""
        names = ("centre", "axes", "knots", "shares")
        return cls(prior, **{name: np.array(record[name], dtype=float) for name in names})


def focus(
    likelihood: Likelihood, prior: Prior, minima: Sequence[np.ndarray], covariance: np.ndarray
) -> Focus | None:
    """Return the map around all minima (p,), the lowest first, inside the prior, or None if it is no gain.

    covariance: (p, p) at the lowest minimum.
    """
    if not np.isfinite(covariance).all() or np.linalg.eigvalsh(covariance)[0] <= 0:
        return None
    best = minima[0]
    if not np.isfinite(prior.log_density(best[None])[0]):
        return None
    sigma = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(sigma, sigma))
    if values[0] <= 0:
        return None
    axes = sigma[:, None] * vectors * np.sqrt(values)
    floor = float(likelihood.m2logl(best))
    core, followed = np.empty((len(best), 0)), 0
    for point in minima:
        rise = float(likelihood.m2logl(point)) - floor
        if rise < REACH**2 and np.isfinite(prior.log_density(point[None])[0]):
            place = np.linalg.solve(axes, point - best)
            spread = _reach(likelihood, prior, point, axes, floor)
            if followed < _FOLLOWED:
                spread = np.concatenate([spread, _valleys(likelihood, prior, point, axes, floor).T], axis=1)
                followed += 1
            core = np.concatenate([core, place[:, None] + spread], axis=1)
    result = Focus.around(prior, best, axes, np.stack([core.min(axis=1), core.max(axis=1)], axis=1))
    return result if result.gain() > WORTHWHILE else None


def _reach(
    likelihood: Likelihood, prior: Prior, point: np.ndarray, axes: np.ndarray, floor: float
) -> np.ndarray:
    """Return how far down and up each axis -2 log L stays below floor + REACH^2, (p, 2), in its units."""
    p, steps = len(point), np.concatenate([-_STEPS, _STEPS])
    points = (point + steps[:, None, None] * axes.T).reshape(-1, p)
    value = np.full(len(points), np.inf)
    inside = np.isfinite(prior.log_density(points))
    if inside.any():
        value[inside] = np.asarray(likelihood.m2logl(points[inside])) - floor
    low = (value < REACH**2 * (1 - 1e-6)).reshape(2, len(_STEPS), p)
    last = np.where(low.any(axis=1), len(_STEPS) - 1 - np.argmax(low[:, ::-1], axis=1), -1)  # (2, p)
    ends = _STEPS[np.minimum(last + 1, len(_STEPS) - 1)]
    return np.stack([-ends[0], ends[1]], axis=1)


def _valleys(
    likelihood: Likelihood, prior: Prior, point: np.ndarray, axes: np.ndarray, floor: float
) -> np.ndarray:
    """Return points (M, p), in coordinates from a minimum along the axes, of the valleys that begin there.

    A valley along an axis may bend away from it: the others are adjusted to the place on the axis. Only
    points inside the prior with -2 log L below floor + REACH^2 count.
    """
    found = [np.zeros((1, len(point)))]
    for k in range(len(point) if len(point) > 1 else 0):
        ahead = Ahead.of(likelihood, point, axes, k)
        with quiet():
            others, _ = minimise_over(ahead, _ALONG[:, None], np.zeros(len(point) - 1))
            y = join(_ALONG[:, None], others)
            low = ahead.m2logl(y) < floor + REACH**2 * (1 + 1e-6)
        inside = np.isfinite(prior.log_density(ahead.frame.point(y)))
        found.append(np.insert(others, k, _ALONG, axis=1)[low & inside])
    return np.concatenate(found)


def _extent(prior: Prior, centre: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return the lowest and highest value along each axis that occur in the support of the prior, (p, 2)."""
    inverse = np.linalg.inv(axes)
    lower, upper = (end - centre for end in prior.support())
    low = np.where(inverse > 0, inverse * lower, inverse * upper).sum(axis=1)
    high = np.where(inverse > 0, inverse * upper, inverse * lower).sum(axis=1)
    return np.stack([low, high], axis=1)
