"""-2 log L of the small toys of the coverage check, in the form that `statistics.toyfit` fits.

Both derivatives are closed forms, see `datasets.extended`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..datasets.extended import FLOOR, log_ratio
from ..polynomial import monomial_gradient, monomials, unpack
from ..statistics.toyfit import ToyFit, descend, fit

__all__ = ["Toy", "ToyFit", "descend", "fit"]


@dataclass(frozen=True, eq=False)
class Toy:
    """-2 log L of k events, relative to the SM: ratios (k, P), expected yield (P,), scale (n,)."""

    ratios: np.ndarray
    expected: np.ndarray
    scale: np.ndarray

    def values(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L at points y (S, n): shape (S,)."""
        m = monomials(y * self.scale)
        logs = log_ratio(self.ratios @ m.T).sum(axis=0)
        return np.asarray(2.0 * (m @ self.expected - self.expected[0]) - 2.0 * logs)

    def derivatives(self, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return -2 log L, its gradient (n,) and its Hessian (n, n) at one point y (n,)."""
        c = y * self.scale
        m, slope = monomials(c), monomial_gradient(c)
        r = self.ratios @ m
        above = r > FLOOR
        inverse = 1.0 / np.where(above, r, FLOOR)
        effective = self.expected - inverse @ self.ratios
        d = (self.ratios @ slope.T) * (above * inverse)[:, None]
        value = 2.0 * (m @ self.expected - self.expected[0]) - 2.0 * float(log_ratio(r).sum())
        hessian = 2.0 * (2.0 * unpack(effective)[1:, 1:] + d.T @ d)
        return float(value), 2.0 * slope @ effective * self.scale, hessian * np.outer(self.scale, self.scale)
