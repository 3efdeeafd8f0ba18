"""The extended likelihood of events or bins whose rates are quadratic forms in c.

-2 log L(c) + 2 log L(0) = 2 [nu(c) - nu(0)] - 2 sum_e w_e log[r_e(c)/r_e(0)]     (arXiv:1805.00020, eq. 1)

An event of an unbinned measurement and a bin of a Poisson histogram enter in the same way, so both kinds of
dataset are this one term: for a bin, r is its expected content relative to the SM and w its count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import InputError, brief, nearest
from ..operators import DATASET_BASES
from ..polynomial import (
    Array,
    Point,
    Polynomial,
    QuadraticForm,
    as_point,
    convert,
    monomial_gradient,
    monomials,
    namespace,
    unpack,
)

FLOOR = 1e-10
"""Ratios at or below this have no logarithm worth the name: log r continues linearly from here down."""
_BLOCK = 8192


def log_ratio(r: Array) -> Array:
    """Return log r above FLOOR and its tangent at FLOOR below.

    A ratio that turns negative thus costs a large, finite, sloping amount in -2 log L, which minimisers and
    samplers walk away from; `ExtendedTerm.non_positive` counts such events. Array API, any shape.
    """
    xp = namespace(r)
    safe = xp.where(r > FLOOR, r, xp.ones_like(r))
    return xp.where(r > FLOOR, xp.log(safe), (r - FLOOR) / FLOOR + float(np.log(FLOOR)))


def check_form(name: str, what: str, form: object) -> None:
    """Raise InputError for an argument of a dataset that is no quadratic form."""
    if not isinstance(form, QuadraticForm):
        raise InputError(
            f"dataset {name!r}: {what} must be a Polynomial or another quadratic form, got {brief(form)}; "
            "a number that does not depend on the coefficients is Polynomial((), [number])"
        )


class ExtendedTerm:
    """-2 log L of an extended likelihood.

    ratios: quadratic forms with batch (N,), positive at the SM.
    expected: nu(c), the expected number of events, no batch.
    weights: (N,) non-negative; 1 for observed events, fractional for an Asimov sample, counts for bins.
    Raises InputError for shapes, operator sets or values that do not fit.
    """

    def __init__(
        self, name: str, ratios: QuadraticForm, expected: QuadraticForm, weights: Array | None, basis: str
    ) -> None:
        if basis not in DATASET_BASES:
            raise InputError(
                f"dataset {name!r}: unknown basis {basis!r}; known are {', '.join(DATASET_BASES)}."
                + nearest(basis, DATASET_BASES)
            )
        check_form(name, "ratios", ratios)
        check_form(name, "expected", expected)
        self.name, self.basis = str(name), basis
        self.operators = ratios.operators
        self.ratios: Polynomial = ratios.dense()
        if len(ratios.batch_shape) != 1 or len(expected.batch_shape) != 0:
            raise InputError(
                f"dataset {name!r}: ratios need one batch axis and expected none, "
                f"got {ratios.batch_shape} and {expected.batch_shape}"
            )
        if set(expected.operators) - set(self.operators):
            extra = ", ".join(sorted(set(expected.operators) - set(self.operators)))
            raise InputError(
                f"dataset {name!r}: expected yield depends on {extra}, which no ratio depends on; "
                "drop them with restrict()"
            )
        self.expected: Polynomial = expected.align(self.operators).dense()
        n = ratios.batch_shape[0]
        self.weights = np.ones(n) if weights is None else np.array(weights, dtype=float)
        self._check(n)
        self._zero = self._value(np.zeros(len(self.operators)))

    def _check(self, n: int) -> None:
        if self.weights.shape != (n,):
            raise InputError(f"dataset {self.name!r}: {n} ratios but weights of shape {self.weights.shape}")
        named = {"ratios": self.ratios.coefficients, "weights": self.weights}
        for what, values in {**named, "expected yield": self.expected.coefficients[None]}.items():
            bad = np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
            if bad.size:
                raise InputError(
                    f"dataset {self.name!r}: {what} not finite in {bad.size} of {len(values)} entries, "
                    f"first in entry {bad[0]}; remove or repair them"
                )
        if np.any(self.weights < 0):
            raise InputError(
                f"dataset {self.name!r}: {np.sum(self.weights < 0)} negative weights; a likelihood needs "
                "weights >= 0, so unweight or resample the events first"
            )
        if np.any(self.ratios.constant <= 0) or float(self.expected.constant) <= 0:
            raise InputError(
                f"dataset {self.name!r}: ratios and expected yield must be positive at the SM, got "
                f"{np.sum(self.ratios.constant <= 0)} ratios that are not and a yield of "
                f"{float(self.expected.constant):g}; check the estimator and the luminosity"
            )

    def __len__(self) -> int:
        return len(self.weights)

    def _blocks(self, xp: Any, dtype: Any) -> Iterator[tuple[Array, Array]]:
        """Yield coefficients and weights, for numpy in blocks that stay in the cache, otherwise whole."""
        step = _BLOCK if xp.__name__.endswith("numpy") and "jax" not in xp.__name__ else max(len(self), 1)
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            yield convert(xp, self.ratios.coefficients[part], dtype), convert(xp, self.weights[part], dtype)

    def _value(self, point: Array) -> Array:
        xp = namespace(point)
        m = monomials(point)
        total = 2.0 * xp.matmul(m, convert(xp, self.expected.coefficients, m.dtype))
        for coefficients, weights in self._blocks(xp, m.dtype):
            r = xp.matmul(m, coefficients.T)
            total = total - 2.0 * xp.matmul(log_ratio(r), weights)
        return total

    def m2logl(self, c: Point) -> Array:
        """Return -2 log L(c) + 2 log L(0): c mapping or (..., n) in TeV^-2, shape (...). Array API."""
        return self._value(as_point(c, self.operators)) - self._zero

    def gradient(self, c: Point) -> Array:
        """Return d(-2 log L)/dc, shape (..., n). Array API."""
        point = as_point(c, self.operators)
        xp = namespace(point)
        m = monomials(point)
        effective = xp.zeros_like(m) + convert(xp, self.expected.coefficients, m.dtype)
        for coefficients, weights in self._blocks(xp, m.dtype):
            r = xp.matmul(m, coefficients.T)
            effective = effective - xp.matmul(weights / xp.where(r > FLOOR, r, FLOOR), coefficients)
        return 2.0 * xp.matmul(monomial_gradient(point), effective[..., None])[..., 0]

    def hessian(self, c: Point) -> Array:
        """Return d2(-2 log L)/dc2, shape (..., n, n). numpy."""
        point = np.asarray(as_point(c, self.operators), dtype=float)
        n = len(self.operators)
        if point.ndim > 1:
            rows = [self.hessian(p) for p in point.reshape(-1, n)]
            return np.array(rows, dtype=float).reshape(*point.shape, n)
        m, slope = monomials(point), monomial_gradient(point)
        effective = self.expected.coefficients.copy()
        outer = np.zeros((n, n))
        for coefficients, weights in self._blocks(np, float):
            r = coefficients @ m
            above = r > FLOOR
            inverse = 1.0 / np.where(above, r, FLOOR)
            effective -= (weights * inverse) @ coefficients
            d = coefficients @ slope.T
            outer += (d * (weights * above * inverse**2)[:, None]).T @ d
        return np.asarray(2.0 * (2.0 * unpack(effective)[1:, 1:] + outer))

    def non_positive(self, c: Point) -> int:
        """Return how many events of positive weight have a ratio that is not positive at one point c."""
        return int(np.sum((self.ratios.evaluate(c) <= FLOOR) & (self.weights > 0)))
