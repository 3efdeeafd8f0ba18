"""The extended likelihood of events or bins whose rates are quadratic forms in c.

-2 log L(c) + 2 log L(0) = 2 [nu(c) - nu(0)] - 2 sum_e w_e log[r_e(c)/r_e(0)]     (arXiv:1805.00020, eq. 1)

An event of an unbinned measurement and a bin of a Poisson histogram enter in the same way, so both kinds of
dataset are this one term: for a bin, r is its expected content relative to the SM and w its count. With
nuisance parameters theta the rates are those of `rates`. Without a background they factorise, so that events
enter through sum_e w_e log r_e(c) and the constant sums of w_e D_ek.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import FLOOR, LogSum, blocks, log_ratio
from ..errors import InputError, brief, nearest
from ..operators import DATASET_BASES
from ..polynomial import Array, Point, QuadraticForm, SumOfSquares, as_point, convert, is_numpy, namespace
from . import rates
from .conditional import Conditional
from .rates import Component, Modulated

__all__ = ["FLOOR", "ExtendedTerm", "log_ratio"]


def check_form(name: str, what: str, form: object) -> None:
    """Raise InputError for an argument of a dataset that is no quadratic form."""
    if not isinstance(form, QuadraticForm):
        raise InputError(
            f"dataset {name!r}: {what} must be a Polynomial or another quadratic form, got {brief(form)}; "
            "a number that does not depend on the coefficients is Polynomial((), [number])"
        )


class ExtendedTerm:
    """-2 log L of an extended likelihood.

    components: the signal, whose ratios are positive at the SM, in memory or in a mapped file, and then any
        backgrounds, whose rates and yields are added to it. The expected number of events nu(c) of each has
        batch () or (G,), of which the sum counts.
    weights: (N,) non-negative; 1 for observed events, fractional for an Asimov sample, counts for bins.
    threads: at most, for large datasets; None takes OMP_NUM_THREADS or the cores of the process.
    Raises InputError for shapes, operator sets or values that do not fit.
    """

    def __init__(
        self,
        name: str,
        components: Sequence[Component],
        weights: Array | None,
        basis: str,
        *,
        threads: int | None = None,
    ) -> None:
        self._components = tuple(components)
        signal, *backgrounds = self._components
        ratios, expected = signal.ratios, signal.expected
        if basis not in DATASET_BASES:
            raise InputError(
                f"dataset {name!r}: unknown basis {basis!r}; known are {', '.join(DATASET_BASES)}."
                + nearest(basis, DATASET_BASES)
            )
        check_form(name, "ratios", ratios)
        check_form(name, "expected", expected)
        self.name, self.basis, self.threads = str(name), basis, threads
        self.operators, self.ratios = ratios.operators, ratios
        if len(ratios.batch_shape) != 1 or len(expected.batch_shape) > 1:
            raise InputError(
                f"dataset {name!r}: ratios need one batch axis and expected none (or one, which is summed), "
                f"got {ratios.batch_shape} and {expected.batch_shape}"
            )
        self.backgrounds = tuple(backgrounds)
        n = ratios.batch_shape[0]
        for i, component in enumerate(self._components):
            rates.check_component(name, "the signal" if i == 0 else f"background {i}", component, n)
            self._check_operators(component)
        self.response, self.expected_response = signal.response, signal.expected_response
        self.expected = expected.align(self.operators).dense()
        self.nuisances = rates.names_of(self._components)
        self.parameters = (*self.operators, *self.nuisances)
        twice = [k for k in self.nuisances if k in self.operators]
        if twice:
            raise InputError(f"dataset {name!r}: {', '.join(twice)} cannot be both operator and nuisance")
        self.weights = np.ones(n) if weights is None else np.array(weights, dtype=float)
        unit = self._check(n)
        self._yield = rates.total_yield(self._components, self.operators, self.nuisances)
        self._matrix = self._yield.form.matrix()[0]
        self._set_up(unit and not self.backgrounds)
        self._zero = self._value(np.zeros(len(self.parameters)))

    def _check_operators(self, component: Component) -> None:
        extra = {*component.ratios.operators, *component.expected.operators} - set(self.operators)
        if extra:
            raise InputError(
                f"dataset {self.name!r}: expected yield depends on {', '.join(sorted(extra))}, which no "
                "ratio depends on; drop them with restrict()"
            )

    def _check(self, n: int) -> bool:
        """Refuse unusable numbers; return whether all ratios of the signal are 1 at the SM."""
        if self.weights.shape != (n,):
            raise InputError(f"dataset {self.name!r}: {n} ratios but weights of shape {self.weights.shape}")
        self._check_finite("weights", ~np.isfinite(self.weights))
        if np.any(self.weights < 0):
            raise InputError(
                f"dataset {self.name!r}: {np.sum(self.weights < 0)} negative weights; a likelihood needs "
                "weights >= 0, so unweight or resample the events first"
            )
        constant = np.zeros(n)
        unit = True
        for i, component in enumerate(self._components):
            finite, own = scan(component.ratios)
            self._check_finite("ratios" if i == 0 else f"ratios of background {i}", ~finite)
            constant += own
            unit = unit and (i > 0 or bool(np.all(own == 1.0)))
            self._check_finite(
                "expected yield", ~np.isfinite(component.expected.dense().coefficients).ravel()
            )
        expected = sum(float(np.sum(component.expected.dense().constant)) for component in self._components)
        if np.any(constant <= 0) or expected <= 0:
            raise InputError(
                f"dataset {self.name!r}: ratios and expected yield must be positive at the SM, got "
                f"{np.sum(constant <= 0)} ratios that are not and a yield of "
                f"{expected:g}; check the estimator and the luminosity"
            )
        return unit

    def _check_finite(self, what: str, bad: np.ndarray) -> None:
        where = np.flatnonzero(bad)
        if where.size:
            raise InputError(
                f"dataset {self.name!r}: {what} not finite in {where.size} of {bad.size} entries, "
                f"first in entry {where[0]}; remove or repair them"
            )

    def _set_up(self, unit: bool) -> None:
        """Choose how the events are summed: by logarithms of r alone, or of a mixture with responses."""
        pairs = [(c.ratios, c.response) for c in self._components]
        self._mixture: list[Modulated] | None = None
        self._shift = np.zeros((2, len(self.nuisances)))
        if len(pairs) > 1 and any(response is not None for _, response in pairs):
            self._mixture = [Modulated.of(form, r, self.operators, self.nuisances) for form, r in pairs]
        elif (response := pairs[0][1]) is not None:
            place = [self.nuisances.index(name) for name in response.names]
            self._shift[:, place] = self.weights @ response.linear, self.weights @ response.quadratic
        form = pairs[0][0]
        for other, _ in pairs[1:] if self._mixture is None else []:
            form = form.dense() + other.align(self.operators).dense()
        self._total = form
        self._sum = LogSum(form, self.weights, self.threads, unit)
        self._penalised = 0

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def penalised(self) -> int:
        """How many ratios that are not positive were met so far, over all points evaluated with numpy."""
        return self._sum.penalised + self._penalised

    def _split(self, p: Point) -> tuple[Any, Array, Array]:
        point = as_point(p, self.parameters)
        n = len(self.operators)
        return namespace(point), point[..., :n], point[..., n:]

    def _fast(self, xp: Any) -> bool:
        return self._mixture is None and is_numpy(xp)

    def _value(self, p: Point) -> Array:
        xp, c, theta = self._split(p)
        with np.errstate(over="ignore", invalid="ignore"):
            return 2.0 * (self._nu(xp, c, theta) - self._events(xp, c, theta))

    def _nu(self, xp: Any, c: Array, theta: Array) -> Array:
        """Return the expected number of events, (...)."""
        if self._fast(xp) and self._yield.linear is None:
            x = _flat(c)
            return np.sum((x @ self._matrix) * x, axis=1).reshape(c.shape[:-1])
        return xp.sum(rates.values([self._yield], c, theta), axis=-1)

    def _events(self, xp: Any, c: Array, theta: Array) -> Array:
        """Return sum_e w_e log(rate_e), (...)."""
        if self._fast(xp):
            return self._sum.value(_flat(c)).reshape(c.shape[:-1]) + self._linear(xp, theta)
        total = 0.0
        for terms, weights in self._parts(xp, c):
            r = rates.values(terms, c, theta)
            self._count(xp, r)
            total = total + xp.matmul(log_ratio(r), weights)
        return total + self._linear(xp, theta)

    def _linear(self, xp: Any, theta: Array) -> Array:
        first, second = (convert(xp, a, theta.dtype) for a in self._shift)
        return xp.sum(theta * (first + theta * second), axis=-1)

    def _parts(self, xp: Any, c: Array) -> Any:
        """Yield the terms of the rates and the weights of the events, for numpy in blocks, else whole."""
        terms = [Modulated(self._total)] if self._mixture is None else self._mixture
        points = max(int(np.prod(c.shape[:-1])), 1)
        step = max(len(self), 1)
        if is_numpy(xp):
            step = blocks.length(8, 8 * points * (len(self.parameters) + 2), 1)
        for start in range(0, max(len(self), 1), step):
            part = slice(start, start + step)
            blocks.unchanged(self.weights)
            yield [t.part(part) for t in terms], convert(xp, self.weights[part], c.dtype)

    def _count(self, xp: Any, r: Array) -> None:
        if is_numpy(xp):
            self._penalised += int(np.sum(r <= FLOOR))

    def m2logl(self, c: Point) -> Array:
        """Return -2 log L(c) + 2 log L(0): c mapping or (..., n + K), shape (...). Array API."""
        return self._value(c) - self._zero

    def gradient(self, c: Point) -> Array:
        """Return d(-2 log L), shape (..., n + K). Array API."""
        xp, c, theta = self._split(c)
        with np.errstate(over="ignore", invalid="ignore"):
            return 2.0 * (self._yield_slope(xp, c, theta) - self._events_slope(xp, c, theta))

    def value_and_gradient(self, c: Point) -> tuple[Array, Array]:
        """Return `m2logl` and `gradient` at once, in one pass over the events. numpy."""
        xp, point, theta = self._split(c)
        if not self._fast(xp):
            return self.m2logl(c), self.gradient(c)
        value, slope = self._sum.value_and_gradient(_flat(point))
        logs = value.reshape(point.shape[:-1]) + self._linear(xp, theta)
        nu = self._nu(xp, point, theta)
        full = self._with_theta(xp, slope.reshape(point.shape), theta)
        return 2.0 * (nu - logs) - self._zero, 2.0 * (self._yield_slope(xp, point, theta) - full)

    def _yield_slope(self, xp: Any, c: Array, theta: Array) -> Array:
        groups = xp.ones((*c.shape[:-1], len(self._yield.form)), dtype=c.dtype)
        return rates.slope([self._yield], groups, c, theta)

    def _with_theta(self, xp: Any, slope: Array, theta: Array) -> Array:
        first, second = (convert(xp, a, theta.dtype) for a in self._shift)
        return xp.concat([slope, first + 2.0 * theta * second], axis=-1)

    def _events_slope(self, xp: Any, c: Array, theta: Array) -> Array:
        """Return sum_e w_e d(log rate_e), (..., n + K)."""
        if self._fast(xp):
            return self._with_theta(xp, self._sum.gradient(_flat(c)).reshape(c.shape), theta)
        total = self._with_theta(xp, xp.zeros_like(c), theta)
        for terms, weights in self._parts(xp, c):
            r = rates.values(terms, c, theta)
            self._count(xp, r)
            total = total + rates.slope(terms, weights / xp.where(r > FLOOR, r, FLOOR), c, theta)
        return total

    def hessian(self, c: Point) -> Array:
        """Return d2(-2 log L), shape (..., n + K, n + K). Array API."""
        xp, c, theta = self._split(c)
        with np.errstate(over="ignore", invalid="ignore"):
            groups = xp.ones((*c.shape[:-1], len(self._yield.form)), dtype=c.dtype)
            nu = rates.curvature([self._yield], groups, c, theta)
            return 2.0 * (nu - self._events_curvature(xp, c, theta))

    def _events_curvature(self, xp: Any, c: Array, theta: Array) -> Array:
        """Return sum_e w_e d2(log rate_e), (..., n + K, n + K)."""
        n = len(self.operators)
        bend = 2.0 * convert(xp, np.diag(np.concatenate([np.zeros(n), self._shift[1]])), c.dtype)
        if self._fast(xp):
            out = np.zeros((*c.shape[:-1], *bend.shape)) + bend
            out[..., :n, :n] = self._sum.hessian(_flat(c)).reshape(*c.shape, n)
            return out
        total = bend
        for terms, weights in self._parts(xp, c):
            r = rates.values(terms, c, theta)
            inverse = 1.0 / xp.where(r > FLOOR, r, FLOOR)
            d = rates.slopes(terms, c, theta)
            h = xp.where(r > FLOOR, weights * inverse**2, xp.zeros_like(r))
            outer = xp.matmul(xp.matrix_transpose(d * h[..., None]), d)
            total = total + rates.curvature(terms, weights * inverse, c, theta) - outer
        return total

    def hvp(self, c: Point, v: Array) -> Array:
        """Return the Hessian at c times v (..., n + K), shape (..., n + K); for one component unformed."""
        xp, c, theta = self._split(c)
        v = np.broadcast_to(np.asarray(v, dtype=float), (*c.shape[:-1], len(self.parameters)))
        n = len(self.operators)
        if not self._fast(xp):
            return np.matmul(self.hessian(np.concatenate([c, theta], axis=-1)), v[..., None])[..., 0]
        groups = np.ones((*c.shape[:-1], len(self._yield.form)))
        nu = rates.curvature([self._yield], groups, c, theta)
        direction = _flat(v[..., :n])
        direction[:, 0] = 0.0
        logs = self._sum.hvp(_flat(c), direction).reshape(c.shape)
        logs = np.concatenate([logs, 2.0 * self._shift[1] * v[..., n:]], axis=-1)
        return np.asarray(2.0 * (np.matmul(nu, v[..., None])[..., 0] - logs))

    def conditional(self) -> ExtendedTerm | Conditional:
        """Return a dataset that depends on the nuisances like this one, if possible without its events."""
        if self._mixture is not None:
            return self
        return Conditional(self.name, self.basis, self.operators, self.nuisances, self._yield, self._shift)

    def non_positive(self, c: Point) -> int:
        """Return how many events of positive weight have a rate that is not positive at one point c."""
        xp, c, theta = self._split(np.asarray(as_point(c, self.parameters), dtype=float))
        found = 0
        for terms, weights in self._parts(xp, c):
            found += int(np.sum((rates.values(terms, c, theta) <= FLOOR) & (weights > 0)))
        return found


def _flat(c: Array) -> np.ndarray:
    """Return (1, c) for all points of a batch, (S, n + 1)."""
    count, n = int(np.prod(c.shape[:-1])), c.shape[-1]
    return np.concatenate([np.ones((count, 1)), np.asarray(c, dtype=float).reshape(count, n)], axis=1)


def scan(form: QuadraticForm) -> tuple[np.ndarray, np.ndarray]:
    """Return of each entry whether it is finite, (N,), and its value at the SM, (N,), read block by block."""
    array = form.factors if isinstance(form, SumOfSquares) else form.dense().coefficients
    finite, constant = np.ones(len(array), dtype=bool), np.ones(len(array))
    source = blocks.mapping(array) if array.nbytes > blocks.RESIDENT else None
    step = max(2**24 // max(array[:1].nbytes, 1), 1)
    for start in range(0, len(array), step):
        part = slice(start, start + step)
        rows = array[part]
        finite[part] = np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))
        first = rows[..., 0].astype(float)
        constant[part] = np.sum(first**2, axis=-1) if isinstance(form, SumOfSquares) else first
        if source is not None:
            blocks.release(array, part, source)
    return finite, constant
