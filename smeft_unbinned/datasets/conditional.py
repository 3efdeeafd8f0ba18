"""What of an extended likelihood depends on its nuisances, where the rates of events factorise.

sum_e w_e log[ r_e(c) exp(...) ] is a function of c plus a quadratic one of theta. A search for the nuisances
at given c, as in profiling, therefore needs the expected yield and constant sums, and no event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..polynomial import Array, Point, as_point, convert, namespace
from . import rates
from .rates import Modulated


class Conditional:
    """-2 log L(c, theta) up to a function of c: 2 nu(c, theta) - 2 sum_k (theta_k A_k + theta_k^2 B_k).

    yields: the groups of nu. shift: A and B, (2, K), the weighted sums of the responses of events.
    """

    def __init__(
        self,
        name: str,
        basis: str,
        operators: Sequence[str],
        nuisances: Sequence[str],
        yields: Modulated,
        shift: np.ndarray,
    ) -> None:
        self.name, self.basis = name, basis
        self.operators, self.nuisances = tuple(operators), tuple(nuisances)
        self.parameters = (*self.operators, *self.nuisances)
        self._terms, self._shift = [yields], shift

    def _split(self, p: Point) -> tuple[Any, Array, Array, Array]:
        point = as_point(p, self.parameters)
        xp, n = namespace(point), len(self.operators)
        ones = xp.ones((*point.shape[:-1], len(self._terms[0].form)), dtype=point.dtype)
        return xp, point[..., :n], point[..., n:], ones

    def m2logl(self, c: Point) -> Array:
        """Return the value, shape (...)."""
        xp, c, theta, _ = self._split(c)
        first, second = (convert(xp, a, theta.dtype) for a in self._shift)
        nu = xp.sum(rates.values(self._terms, c, theta), axis=-1)
        return 2.0 * (nu - xp.sum(theta * (first + theta * second), axis=-1))

    def gradient(self, c: Point) -> Array:
        """Return the first derivatives, shape (..., n + K)."""
        xp, c, theta, ones = self._split(c)
        first, second = (convert(xp, a, theta.dtype) for a in self._shift)
        by_theta = first + 2.0 * theta * second
        return 2.0 * (
            rates.slope(self._terms, ones, c, theta) - xp.concat([xp.zeros_like(c), by_theta], axis=-1)
        )

    def hessian(self, c: Point) -> Array:
        """Return the second derivatives, shape (..., n + K, n + K)."""
        xp, c, theta, ones = self._split(c)
        bend = np.diag(np.concatenate([np.zeros(len(self.operators)), 2.0 * self._shift[1]]))
        return 2.0 * (rates.curvature(self._terms, ones, c, theta) - convert(xp, bend, c.dtype))
