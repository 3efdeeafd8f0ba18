"""Monomials of degree two and more in the free parameters, with their derivatives, in any array library.

Dependent coefficients that are no linear functions are linear in the parameters and these: with
x = (p, m(p)) a dataset is at A x + b, and by the chain rule

    g_p = g_x + J^T g_m,    H_pp = (1, J)^T H_xx (1, J) + sum_k g_mk d2m_k/dp2,    J = dm/dp.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from .polynomial import Array, convert, homogeneous, namespace
from .rules import Monomial, degree


class Curves:
    """M monomials m(p) of named parameters p.

    parameters: names of p, in order. monomials: M of them, at least one.
    """

    def __init__(self, parameters: Sequence[str], monomials: Sequence[Monomial]) -> None:
        self.monomials = tuple(monomials)
        place = {name: i + 1 for i, name in enumerate(parameters)}
        most = max(map(degree, monomials))
        self._where = np.zeros((most, len(monomials)), dtype=np.int64)  # places in (1, p), 0 pads with ones
        for k, monomial in enumerate(monomials):
            factors = [place[name] for name, n in monomial for _ in range(n)]
            self._where[: len(factors), k] = factors
        self._slots = np.eye(len(parameters) + 1)[self._where][..., 1:]  # (degree, M, p)

    def _factors(self, p: Array) -> list[Array]:
        xp, x = namespace(p), homogeneous(p)
        return [xp.take(x, xp.asarray(row), axis=-1) for row in self._where]

    def values(self, p: Array) -> Array:
        """Return m(p), (..., M), at p (..., n)."""
        return _product(self._factors(p))

    def jacobian(self, p: Array) -> Array:
        """Return dm/dp, (..., M, n)."""
        xp, factors = namespace(p), self._factors(p)
        total = 0.0
        for j, slot in enumerate(self._slots):
            rest = _product([f for i, f in enumerate(factors) if i != j])
            total = total + rest[..., None] * convert(xp, slot, p.dtype)
        return total

    def curvature(self, p: Array, weights: Array) -> Array:
        """Return sum_k w_k d2m_k/dp2, (..., n, n), for weights (..., M)."""
        xp, factors = namespace(p), self._factors(p)
        slots = [convert(xp, slot, p.dtype) for slot in self._slots]
        total = 0.0
        for j, k in combinations(range(len(factors)), 2):
            rest = _product([weights, *(f for i, f in enumerate(factors) if i not in (j, k))])
            half = xp.matmul(xp.matrix_transpose(rest[..., None] * slots[j]), slots[k])
            total = total + half + xp.matrix_transpose(half)
        return total


def _product(factors: Sequence[Array]) -> Array:
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def gradient(slope: Array, jacobian: Array) -> Array:
    """Return the derivatives by p, (..., n), from those by (p, m), (..., n + M), and J (..., M, n)."""
    xp, n = namespace(slope), int(jacobian.shape[-1])
    return slope[..., :n] + xp.matmul(slope[..., None, n:], jacobian)[..., 0, :]


def hessian(matrix: Array, jacobian: Array, curvature: Array) -> Array:
    """Return the second derivatives by p, (..., n, n), from those by (p, m) and the term of the curvature."""
    xp, n = namespace(matrix), int(jacobian.shape[-1])
    mixed = xp.matmul(matrix[..., :n, n:], jacobian)
    own = xp.matmul(xp.matrix_transpose(jacobian), xp.matmul(matrix[..., n:, n:], jacobian))
    return matrix[..., :n, :n] + mixed + xp.matrix_transpose(mixed) + own + curvature
