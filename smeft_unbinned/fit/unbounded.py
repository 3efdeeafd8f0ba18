"""Coordinates for gradient-based sampling: without bounds, and near a standard normal posterior.

A parameter whose range (l, h) is near is c = l + (h - l)/(1 + exp(-v)), any other is c = v: a range that is
far away is never met, and bent coordinates make correlated coefficients harder to sample. The sampler
sees z with v = centre + root z, where root root^T is the covariance of v at the minimum. A range counts there
as a Gaussian of its variance (h - l)^2/12: directions which only the ranges confine have a scale too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..polynomial import Array, convert, namespace
from .proposal import factor

FAR = 6.0
"""Standard deviations beyond which the end of a range is far away."""
_EDGE = 0.02
_LEAST = 1e-12


@dataclass(frozen=True)
class Coordinates:
    """The map from z (..., p) to parameters c (..., p).

    lower, upper: (p,), infinite where there is no range, or a far one.
    centre: (p,), root: (p, p), lower triangular.
    """

    lower: np.ndarray
    upper: np.ndarray
    centre: np.ndarray
    root: np.ndarray

    @classmethod
    def at(cls, lower: np.ndarray, upper: np.ndarray, point: np.ndarray, hessian: np.ndarray) -> Coordinates:
        """Return the coordinates for a minimum (p,) of -2 log L with second derivatives (p, p).

        Ranges further away than `FAR` standard deviations are left to the density.
        Curvature that is not positive counts by its size. Ranges may exclude the minimum.
        """
        bounded = np.isfinite(lower) & np.isfinite(upper)
        width = np.where(bounded, upper - lower, np.inf)
        middle = np.where(bounded, 0.5 * (np.where(bounded, lower, 0) + np.where(bounded, upper, 0)), 0.0)
        inverse = 12.0 / width**2
        precision = 0.5 * hessian
        scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(precision)), inverse) + np.finfo(float).tiny)
        values, axes = np.linalg.eigh((precision + np.diag(inverse)) * np.outer(scale, scale))
        values = np.maximum(np.abs(values), _LEAST)
        covariance = scale[:, None] * ((axes / values) @ axes.T) * scale
        mean = point + covariance @ (inverse * (middle - point))
        distance = np.minimum(mean - lower, upper - mean) / np.sqrt(np.diag(covariance))
        bounded = bounded & (distance < FAR)
        lower, upper = np.where(bounded, lower, -np.inf), np.where(bounded, upper, np.inf)
        low, high = np.where(bounded, lower, 0.0), np.where(bounded, upper, 1.0)
        fraction = np.clip((mean - low) / (high - low), _EDGE, 1 - _EDGE)
        centre = np.where(bounded, np.log(fraction / (1 - fraction)), mean)
        slope = np.where(bounded, 1.0 / ((high - low) * fraction * (1 - fraction)), 1.0)  # dv/dc
        return cls(lower, upper, centre, factor(covariance * np.outer(slope, slope)))

    @property
    def bounded(self) -> np.ndarray:
        """Which parameters have a range nearby, (p,)."""
        return np.asarray(np.isfinite(self.lower) & np.isfinite(self.upper))

    def forward(self, z: Array) -> tuple[Array, Array]:
        """Return c (..., p), and the log of |det dc/dz| up to a constant (...); any array library."""
        xp = namespace(z)
        centre, root = convert(xp, self.centre, z.dtype), convert(xp, self.root, z.dtype)
        v = centre + xp.matmul(z, root.T)
        if not self.bounded.any():
            return v, xp.zeros_like(v[..., 0])
        bounded = xp.asarray(self.bounded)
        low = convert(xp, np.where(self.bounded, self.lower, 0.0), z.dtype)
        width = convert(xp, np.where(self.bounded, self.upper - self.lower, 1.0), z.dtype)
        size = xp.abs(v)
        small = xp.exp(-size)
        fraction = xp.where(v > 0, 1.0 / (1.0 + small), small / (1.0 + small))
        slope = xp.where(bounded, -size - 2.0 * xp.log1p(small), 0.0 * v)
        return xp.where(bounded, low + width * fraction, v), xp.sum(slope, axis=-1)

    def backward(self, c: np.ndarray) -> np.ndarray:
        """Return z (..., p) of parameters c (..., p); those outside of their range are moved into it."""
        low, high = (np.where(self.bounded, x, y) for x, y in ((self.lower, 0.0), (self.upper, 1.0)))
        fraction = np.clip((c - low) / (high - low), 1e-3, 1 - 1e-3)
        v = np.where(self.bounded, np.log(fraction / (1 - fraction)), c)
        return np.asarray(np.linalg.solve(self.root, (v - self.centre)[..., None])[..., 0])
