"""Rates that depend on coefficients and on nuisance parameters, and their sums.

    rate_e(c, theta) = sum_p r_pe(c) exp( sum_k theta_k D_pek + theta_k^2 D_pekk )

with one term p for the signal and one for each background (arXiv:1808.00973, arXiv:2406.19076). The entries e
are events, bins, or the groups of simulated events whose sum is the expected yield. Written with the array
API; arrays have the shape (..., E) for points (..., n + K).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..events.nuisance import Nuisances
from ..polynomial import Array, Polynomial, QuadraticForm, convert, homogeneous, namespace, unpack


@dataclass(frozen=True)
class Component:
    """One source of events: the signal, or a background.

    ratios: rate of each event relative to the one all ratios of the dataset refer to, batch (N,).
    expected: expected number of events, batch () or (G,); the groups are added.
    response: of the N events to nuisance parameters, or None.
    expected_response: of the groups, G rows or one; None takes every group as indifferent.
    """

    ratios: QuadraticForm
    expected: QuadraticForm
    response: Nuisances | None = None
    expected_response: Nuisances | None = None


class Modulated:
    """Quadratic forms in n operators, batch (E,), times the response to K nuisances, if any."""

    def __init__(
        self, form: QuadraticForm, linear: np.ndarray | None = None, quadratic: np.ndarray | None = None
    ) -> None:
        self.form, self.linear, self.quadratic = form, linear, quadratic

    @classmethod
    def of(
        cls, form: QuadraticForm, response: Nuisances | None, operators: Sequence[str], names: Sequence[str]
    ) -> Modulated:
        """Return the form over all operators and nuisances of a dataset."""
        form = form.align(operators)
        if response is None or not names:
            return cls(form)
        linear, quadratic = np.zeros((2, len(response), len(names)))
        place = [list(names).index(name) for name in response.names]
        linear[:, place], quadratic[:, place] = response.linear, response.quadratic
        return cls(form, linear, quadratic)

    def part(self, part: slice) -> Modulated:
        if self.linear is None or self.quadratic is None:
            return Modulated(self.form[part])
        return Modulated(self.form[part], self.linear[part], self.quadratic[part])

    def factor(self, theta: Array) -> Array:
        """Return exp(...), (..., E), or one."""
        if self.linear is None or self.quadratic is None:
            return 1.0
        xp, d, dd = self._responses(theta)
        return xp.exp(xp.matmul(theta, d.T) + xp.matmul(theta**2, dd.T))

    def change(self, theta: Array) -> tuple[Array, Array] | None:
        """Return the derivatives of the exponent by theta, (..., E, K), and half the second ones, (E, K)."""
        if self.linear is None or self.quadratic is None:
            return None
        _, d, dd = self._responses(theta)
        return d + 2.0 * theta[..., None, :] * dd, dd

    def _responses(self, theta: Array) -> tuple[Any, Array, Array]:
        xp = namespace(theta)
        return xp, convert(xp, self.linear, theta.dtype), convert(xp, self.quadratic, theta.dtype)

    def contracted(self, u: Array) -> Array:
        """Return sum_e u_e G_e, (..., n + 1, n + 1), for u (..., E)."""
        xp = namespace(u)
        return unpack(xp.matmul(u, convert(xp, self.form.dense().coefficients, u.dtype)))


def values(terms: Sequence[Modulated], c: Array, theta: Array) -> Array:
    """Return the rates, (..., E)."""
    return _add(t.form.evaluate(c) * t.factor(theta) for t in terms)


def slope(terms: Sequence[Modulated], u: Array, c: Array, theta: Array) -> Array:
    """Return sum_e u_e d(rate_e), (..., n + K), for u (..., E)."""
    xp = namespace(c)
    by_c, by_theta = [], [xp.zeros_like(theta)]
    for t in terms:
        scaled = u * t.factor(theta)
        by_c.append(2.0 * xp.matmul(t.contracted(scaled)[..., 1:, :], homogeneous(c)[..., None])[..., 0])
        if (change := t.change(theta)) is not None:
            weight = scaled * t.form.evaluate(c)
            by_theta.append(xp.matmul(weight[..., None, :], change[0])[..., 0, :])
    return xp.concat([_add(by_c), _add(by_theta)], axis=-1)


def slopes(terms: Sequence[Modulated], c: Array, theta: Array) -> Array:
    """Return d(rate_e), (..., E, n + K)."""
    xp = namespace(c)
    total = []
    for t in terms:
        factor = t.factor(theta)
        by_c = t.form.gradient(c) * (factor[..., None] if hasattr(factor, "shape") else factor)
        rate = (t.form.evaluate(c) * factor)[..., None]
        change = t.change(theta)
        by_theta = xp.zeros_like(rate) * theta[..., None, :] if change is None else rate * change[0]
        total.append(xp.concat([by_c, by_theta], axis=-1))
    return _add(total)


def curvature(terms: Sequence[Modulated], u: Array, c: Array, theta: Array) -> Array:
    """Return sum_e u_e d2(rate_e), (..., n + K, n + K), for u (..., E)."""
    xp = namespace(c)
    n, k = int(c.shape[-1]), int(theta.shape[-1])
    total = []
    for t in terms:
        scaled = u * t.factor(theta)
        cc = 2.0 * t.contracted(scaled)[..., 1:, 1:]
        change = t.change(theta)
        if change is None:
            mixed, tt = (
                xp.zeros((*cc.shape[:-2], n, k), dtype=cc.dtype),
                xp.zeros((*cc.shape[:-2], k, k), dtype=cc.dtype),
            )
        else:
            along, dd = change
            weighted = t.form.gradient(c) * scaled[..., None]
            mixed = xp.matmul(xp.matrix_transpose(weighted), along)
            rate = scaled * t.form.evaluate(c)
            bend = 2.0 * xp.matmul(rate, dd)
            tt = xp.matmul(xp.matrix_transpose(along * rate[..., None]), along)
            tt = tt + bend[..., None] * xp.eye(k, dtype=cc.dtype)
        upper = xp.concat([cc, mixed], axis=-1)
        lower = xp.concat([xp.matrix_transpose(mixed), tt], axis=-1)
        total.append(xp.concat([upper, lower], axis=-2))
    return _add(total)


def names_of(components: Iterable[Component]) -> tuple[str, ...]:
    """Return the nuisances that any part of the components responds to, in order."""
    found: dict[str, None] = {}
    for component in components:
        for response in (component.response, component.expected_response):
            found.update(dict.fromkeys(() if response is None else response.names))
    return tuple(found)


def check_component(name: str, what: str, component: Component, events: int) -> None:
    """Raise InputError where the parts of a component do not fit each other or the number of events."""
    for kind, form in (("ratios", component.ratios), ("expected", component.expected)):
        if not isinstance(form, QuadraticForm):
            raise InputError(
                f"dataset {name!r}: {kind} of {what} must be a Polynomial or another quadratic form, got "
                f"{type(form).__name__}; what does not depend on the coefficients is Polynomial((), (N, 1))"
            )
    if component.ratios.batch_shape != (events,) or len(component.expected.batch_shape) > 1:
        raise InputError(
            f"dataset {name!r}: {what} needs ratios of {events} events and an expected yield with at most "
            f"one batch axis, got {component.ratios.batch_shape} and {component.expected.batch_shape}"
        )
    groups = component.expected.batch_shape[0] if component.expected.batch_shape else 1
    for kind, response, rows in (
        ("response", component.response, (events,)),
        ("expected_response", component.expected_response, (groups, 1)),
    ):
        if response is not None and len(response) not in rows:
            raise InputError(
                f"dataset {name!r}: the {kind} of {what} has {len(response)} rows, expected {rows[0]}"
            )


def total_yield(components: Sequence[Component], operators: Sequence[str], names: Sequence[str]) -> Modulated:
    """Return all groups of the expected yields of all components as one batch."""
    coefficients: list[np.ndarray] = []
    linear: list[np.ndarray] = []
    quadratic: list[np.ndarray] = []
    for component in components:
        form = component.expected.align(operators).dense()
        rows = np.atleast_2d(np.asarray(form.coefficients, dtype=float))
        response = Modulated.of(form, component.expected_response, operators, names)
        coefficients.append(rows)
        for found, kept in ((response.linear, linear), (response.quadratic, quadratic)):
            found = np.zeros((1, len(names))) if found is None else found
            kept.append(np.broadcast_to(found, (len(rows), len(names))))
    form = Polynomial(operators, np.concatenate(coefficients))
    if not any(np.any(d) for d in (*linear, *quadratic)):
        return Modulated(Polynomial(operators, form.coefficients.sum(axis=0, keepdims=True)))
    return Modulated(form, np.concatenate(linear), np.concatenate(quadratic))


def _add(terms: Iterable[Array]) -> Array:
    first, *others = terms
    return sum(others, start=first)
