"""Coordinates in which -2 log L is minimised: dimensionless, and of about the same size in every direction.

`Scaled` divides each parameter by its own scale, `Affine` takes any linear map, the eigenbasis of the
curvature (`eigenbasis`) or the directions at a fixed coefficient, and `Boxed` keeps parameters inside ranges,
c = middle + half sin(y), with the exact derivatives of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import linalg

from ..likelihood import Likelihood

_FLOOR = 1e-10
"""Curvature over the largest one from which a direction has the length at which -2 log L changes by one."""
_RISE = (0.05, 20.0)
"""Rise of -2 log L between which a length counts as one standard deviation."""
_LENGTHS = 2.0 ** np.arange(-10, 21)


class Frame(Protocol):
    """-2 log L of m coordinates y, and the map to the n parameters c of the likelihood."""

    @property
    def likelihood(self) -> Likelihood:
        """Whose parameters these are coordinates of."""

    def point(self, y: np.ndarray) -> np.ndarray:
        """Return the parameters (..., n) at y (..., m)."""

    def inverse(self, c: np.ndarray) -> np.ndarray:
        """Return the coordinates (..., m) of parameters (..., n), of the nearest ones that have any."""

    def values(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L (...) at y (..., m)."""

    def gradient(self, y: np.ndarray) -> np.ndarray:
        """Return its first derivatives, (..., m)."""

    def hessian(self, y: np.ndarray) -> np.ndarray:
        """Return its second derivatives, (..., m, m)."""


@dataclass(frozen=True)
class Scaled:
    """-2 log L with two derivatives in dimensionless coordinates y = c/scale, scale (n,)."""

    likelihood: Likelihood
    scale: np.ndarray

    def point(self, y: np.ndarray) -> np.ndarray:
        """Return the parameters (..., n) at y (..., n)."""
        return np.asarray(y * self.scale)

    def inverse(self, c: np.ndarray) -> np.ndarray:
        """Return the coordinates (..., n) of parameters (..., n)."""
        return np.asarray(c / self.scale)

    def value(self, y: np.ndarray) -> float:
        """Return -2 log L at one point."""
        return float(self.likelihood.m2logl(y * self.scale))

    def values(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L (...) at y (..., n)."""
        return np.asarray(self.likelihood.m2logl(y * self.scale))

    def gradient(self, y: np.ndarray) -> np.ndarray:
        """Return the first derivatives (..., n)."""
        return np.asarray(self.likelihood.gradient(y * self.scale) * self.scale)

    def hessian(self, y: np.ndarray) -> np.ndarray:
        """Return the second derivatives (..., n, n)."""
        return np.asarray(self.likelihood.hessian(y * self.scale) * np.outer(self.scale, self.scale))


@dataclass(frozen=True)
class Affine:
    """-2 log L in coordinates y with c = origin + axes y; origin (n,), axes (n, m) of rank m <= n."""

    likelihood: Likelihood
    origin: np.ndarray
    axes: np.ndarray

    @cached_property
    def _back(self) -> np.ndarray:
        size = np.abs(self.axes).max(axis=1, initial=0.0)
        size = np.where(size > 0, size, 1.0)  # so that large and small parameters count alike
        return np.asarray(linalg.pinv(self.axes / size[:, None], rtol=1e-14) / size)

    def point(self, y: np.ndarray) -> np.ndarray:
        """Return the parameters (..., n) at y (..., m)."""
        return np.asarray(self.origin + y @ self.axes.T)

    def inverse(self, c: np.ndarray) -> np.ndarray:
        """Return the coordinates (..., m) of the parameters nearest to c (..., n)."""
        return np.asarray((c - self.origin) @ self._back.T)

    def values(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L (...) at y (..., m)."""
        return np.asarray(self.likelihood.m2logl(self.point(y)))

    def gradient(self, y: np.ndarray) -> np.ndarray:
        """Return the first derivatives (..., m)."""
        return np.asarray(self.likelihood.gradient(self.point(y)) @ self.axes)

    def hessian(self, y: np.ndarray) -> np.ndarray:
        """Return the second derivatives (..., m, m)."""
        return np.asarray(self.axes.T @ self.likelihood.hessian(self.point(y)) @ self.axes)


@dataclass(frozen=True)
class Ahead:
    """The same as `newton.minimise_over` takes it: one coordinate ahead, the others are minimised over."""

    frame: Affine

    @classmethod
    def of(cls, likelihood: Likelihood, origin: np.ndarray, axes: np.ndarray, k: int) -> Ahead:
        """Return coordinates along axes (n, m) from an origin (n,), number k first."""
        return cls(Affine(likelihood, origin, np.column_stack([axes[:, k], np.delete(axes, k, axis=1)])))

    def m2logl(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L (...) at y (..., m)."""
        return self.frame.values(y)

    def gradient(self, y: np.ndarray) -> np.ndarray:
        """Return its first derivatives, (..., m)."""
        return self.frame.gradient(y)

    def hessian(self, y: np.ndarray) -> np.ndarray:
        """Return its second derivatives, (..., m, m)."""
        return self.frame.hessian(y)


@dataclass(frozen=True)
class Boxed:
    """-2 log L in coordinates of which every value lies inside the ranges of the parameters.

    origin: (n,), values of the parameters that do not vary. free: indices (m,) of those that do.
    lower, upper: (m,), infinite where there is no range; there c = scale y, scale (m,). Elsewhere
    c = m + h sin(y s/h) with the middle m and half-width h of the range and s the smaller of the scale and h,
    so that a unit is about a scale.
    """

    likelihood: Likelihood
    origin: np.ndarray
    free: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, likelihood: Likelihood, box: np.ndarray, scale: np.ndarray) -> Boxed:
        """Return coordinates of all n parameters with ranges box (2, n)."""
        n = len(scale)
        return cls(likelihood, np.zeros(n), np.arange(n), box[0], box[1], scale)

    def without(self, i: int, value: float) -> Boxed:
        """Return coordinates in which the parameter of index i has a fixed value."""
        origin, kept = self.origin.copy(), self.free != i
        origin[i] = value
        return Boxed(
            self.likelihood, origin, self.free[kept], self.lower[kept], self.upper[kept], self.scale[kept]
        )

    @cached_property
    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        bounded = np.isfinite(self.lower) & np.isfinite(self.upper)
        low, high = (np.where(bounded, x, y) for x, y in ((self.lower, -1.0), (self.upper, 1.0)))
        half = 0.5 * (high - low)
        return bounded, 0.5 * (high + low), half, np.minimum(self.scale, half) / half

    def point(self, y: np.ndarray) -> np.ndarray:
        """Return the parameters (..., n) at y (..., m)."""
        bounded, middle, half, rate = self._parts
        inside = np.clip(middle + half * np.sin(np.where(bounded, y, 0.0) * rate), self.lower, self.upper)
        c = np.broadcast_to(self.origin, (*np.shape(y)[:-1], len(self.origin))).copy()
        c[..., self.free] = np.where(bounded, inside, y * self.scale)
        return c

    def inverse(self, c: np.ndarray) -> np.ndarray:
        """Return the coordinates (..., m) of parameters (..., n), moved to the ends of their ranges."""
        bounded, middle, half, rate = self._parts
        own = c[..., self.free]
        angle = np.arcsin(np.clip((own - middle) / half, -1.0, 1.0))
        return np.asarray(np.where(bounded, angle / rate, own / self.scale))

    def start(self, c: np.ndarray) -> np.ndarray:
        """Return the coordinates of parameters (..., n) for a descent: not at the very end of a range.

        There the slope by y vanishes whatever that of -2 log L is.
        """
        bounded, _, _, rate = self._parts
        y, edge = self.inverse(c), 0.49 * np.pi / rate
        return np.asarray(np.where(bounded, np.clip(y, -edge, edge), y))

    def _slopes(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return dc/dy and d2c/dy2, (..., m) each."""
        bounded, _, half, rate = self._parts
        angle = np.where(bounded, y, 0.0) * rate
        first = np.where(bounded, half * rate * np.cos(angle), self.scale)
        return first, np.where(bounded, -half * rate**2 * np.sin(angle), 0.0)

    def values(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L (...) at y (..., m)."""
        return np.asarray(self.likelihood.m2logl(self.point(y)))

    def gradient(self, y: np.ndarray) -> np.ndarray:
        """Return the first derivatives (..., m)."""
        slope = np.asarray(self.likelihood.gradient(self.point(y)))[..., self.free]
        return np.asarray(slope * self._slopes(y)[0])

    def hessian(self, y: np.ndarray) -> np.ndarray:
        """Return the second derivatives (..., m, m)."""
        c, (first, second) = self.point(y), self._slopes(y)
        rows = np.asarray(self.likelihood.hessian(c))[..., self.free, :][..., self.free]
        bent = np.asarray(self.likelihood.gradient(c))[..., self.free] * second
        return np.asarray(
            rows * first[..., :, None] * first[..., None, :] + bent[..., None] * np.eye(len(self.free))
        )


def eigenbasis(
    likelihood: Likelihood, centre: np.ndarray, scale: np.ndarray, free: np.ndarray | None = None
) -> Affine:
    """Return coordinates along the eigenvectors of the Hessian at a point, in standard deviations.

    The absolute values of the curvatures count. Where -2 log L does not change by about one at the distance
    that its curvature promises (a direction that is flat at linear order, or one far from its minimum), the
    unit is the distance at which it does.
    centre: (n,), the origin of the coordinates. scale: (n,), steps of single parameters. free: which
    of them vary, (n,); default all.
    """
    units = np.diag(scale) if free is None else np.diag(scale)[:, free]
    values, vectors = np.linalg.eigh(units.T @ likelihood.hessian(centre) @ units)
    size = np.maximum(np.abs(values), max(_FLOOR * float(np.abs(values).max(initial=0.0)), 1e-300))
    directions = units @ vectors
    axes = directions * np.sqrt(2.0 / size)
    here = float(likelihood.m2logl(centre))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rise = _rise(likelihood, centre, axes.T, here)
        for k in np.flatnonzero(~((rise > _RISE[0]) & (rise < _RISE[1]))):
            unit = directions[:, k]
            changed = _rise(likelihood, centre, _LENGTHS[:, None] * unit, here) > 1.0
            axes[:, k] = unit * (_LENGTHS[int(np.argmax(changed))] if changed.any() else 1.0)
    return Affine(likelihood, centre, axes)


def _rise(likelihood: Likelihood, centre: np.ndarray, steps: np.ndarray, here: float) -> np.ndarray:
    """Return the largest change of -2 log L at steps (K, n) to either side, infinite where not finite."""
    both = np.asarray(likelihood.m2logl(centre + np.concatenate([steps, -steps]))).reshape(2, -1)
    change = np.abs(both - here)
    return np.asarray(np.where(np.isfinite(change), change, np.inf).max(axis=0))
