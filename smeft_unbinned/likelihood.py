"""Likelihood: the sum of datasets, aligned by operator name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .datasets.protocol import Dataset
from .errors import InputError, brief, nearest
from .polynomial import Array, Point, as_point, check_operators, convert, namespace


class Likelihood:
    """-2 log L of independent datasets as a function of their common coefficients.

    datasets: terms in one basis, with distinct names.
    operators: the free coefficients, in order; default all, in the order in which the datasets bring them.
        Coefficients of the datasets that are neither here nor in `fixed` or `dependent` are zero.
    fixed: values of coefficients that do not vary, by name.
    dependent: coefficients that are linear combinations of free ones, {name: {free name: factor}}.
    bounds: prior ranges by name, (lower, upper) in TeV^-2, used by samplers.

    -2 log L is zero at the SM, where every coefficient, fixed ones included, is zero.
    Raises InputError for mixed bases, repeated names and operators that no dataset depends on.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        operators: Sequence[str] | None = None,
        *,
        fixed: Mapping[str, float] | None = None,
        dependent: Mapping[str, Mapping[str, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        if hasattr(datasets, "m2logl") or not isinstance(datasets, Iterable):
            raise InputError(
                f"datasets must be a list of datasets, got {brief(datasets)}; write Likelihood([dataset])"
            )
        self.datasets = tuple(datasets)
        if not self.datasets:
            raise InputError("a likelihood needs at least one dataset")
        for d in self.datasets:
            if not hasattr(d, "m2logl"):
                raise InputError(f"datasets must hold datasets only, got {brief(d)}; load it first")
        self._check_datasets()
        self.fixed = {name: _finite(name, value) for name, value in (fixed or {}).items()}
        self.dependent = {
            name: {free: _finite(name, factor) for free, factor in row.items()}
            for name, row in (dependent or {}).items()
        }
        known = tuple(dict.fromkeys(name for d in self.datasets for name in d.operators))
        bound = {*self.fixed, *self.dependent}
        self.operators = check_operators(
            [n for n in known if n not in bound] if operators is None else operators
        )
        self.basis = self.datasets[0].basis
        self._check_bound(known, strict=operators is None)
        self._check_operators(known)
        self._maps = [self._embedding(d.operators) for d in self.datasets]
        if not isinstance(bounds or {}, Mapping):
            raise InputError(f"bounds must be a mapping {{name: (lower, upper)}}, got {brief(bounds)}")
        self.bounds = dict(bounds or {})
        check_bounds(self.bounds, self.operators)

    def _check_datasets(self) -> None:
        names = [d.name for d in self.datasets]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise InputError(f"dataset names must be distinct; repeated: {', '.join(twice)}")
        bases = {d.name: d.basis for d in self.datasets}
        if len(set(bases.values())) > 1:
            listing = ", ".join(f"{n}: {b}" for n, b in bases.items())
            raise InputError(
                f"datasets are in different bases ({listing}); bring them to one with in_basis()"
            )

    def _check_bound(self, known: Sequence[str], strict: bool) -> None:
        """Refuse coefficients of two kinds, combinations of what is not free, and names without any effect.

        A card lists its free coefficients and may also list others at zero or without effect (not strict).
        """
        two = [n for n in (*self.operators, *self.dependent) if n in self.fixed]
        two += [n for n in self.operators if n in self.dependent]
        if two:
            raise InputError(f"{', '.join(two)} can only be one of free, fixed and dependent; choose one")
        for name, row in self.dependent.items():
            for free in row:
                if free not in self.operators:
                    raise InputError(
                        f"{name} is constrained by {free!r}, not a free coefficient."
                        + nearest(free, self.operators)
                    )
        for name in (*self.fixed, *self.dependent):
            if name not in known and (strict or self.fixed.get(name)):
                raise InputError(
                    f"{name} is fixed or dependent, but no dataset depends on it; {self._offer(name, known)}"
                )

    def _offer(self, names: str | Sequence[str], known: Sequence[str]) -> str:
        """Return the known operators, those that were left out when a dataset was loaded too, and hints."""
        names = [names] if isinstance(names, str) else names
        metadata = [
            m for m in (getattr(d, "metadata", {}) for d in self.datasets) if "translated_from" not in m
        ]
        left_out = {n for m in metadata for n in m.get("operators_set_to_zero", ())} - set(known)
        offered = sorted({*known, *left_out})
        hints = [
            f" {n} was left out when its dataset was loaded." if n in left_out else nearest(n, offered)
            for n in names
        ]
        return f"known operators are {', '.join(offered)}.{''.join(hints)}"

    def _check_operators(self, known: Sequence[str]) -> None:
        reached = {f for name in self.dependent if name in known for f in self.dependent[name]} | set(known)
        idle = [name for name in self.operators if name not in reached]
        if idle:
            raise InputError(
                f"no dataset constrains {', '.join(idle)}; {self._offer(idle, known)} "
                "Fix it or remove it from the fit."
            )
        if not self.operators:
            raise InputError("no free coefficient is left to fit")

    def _embedding(self, operators: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return A, b with c_dataset = A c_free + b."""
        a = np.zeros((len(operators), len(self.operators)))
        b = np.array([self.fixed.get(name, 0.0) for name in operators])
        for i, name in enumerate(operators):
            for free, factor in self.dependent.get(name, {name: 1.0}).items():
                if free in self.operators:
                    a[i, self.operators.index(free)] = factor
        return a, b

    def only(self, operators: Sequence[str]) -> Likelihood:
        """Return the likelihood in which just these coefficients vary and the other free ones are zero."""
        for name in operators:
            if name not in self.operators:
                raise InputError(f"{name!r} is not a free coefficient.{nearest(name, self.operators)}")
        bounds = {n: b for n, b in self.bounds.items() if n in operators}
        dependent = {
            name: {free: factor for free, factor in row.items() if free in operators}
            for name, row in self.dependent.items()
        }
        return Likelihood(self.datasets, operators, fixed=self.fixed, dependent=dependent, bounds=bounds)

    def _points(self, c: Point) -> tuple[Any, list[Array]]:
        point = as_point(c, self.operators)
        xp = namespace(point)
        maps = [(convert(xp, a.T, point.dtype), convert(xp, b, point.dtype)) for a, b in self._maps]
        return xp, [xp.matmul(point, a) + b for a, b in maps]

    def m2logl(self, c: Point) -> Array:
        """Return -2 log L(c) + 2 log L(0), shape (...)."""
        _, points = self._points(c)
        terms = [d.m2logl(p) for d, p in zip(self.datasets, points, strict=True)]
        return sum(terms[1:], start=terms[0])

    def terms(self, c: Point) -> dict[str, Array]:
        """Return the -2 log L of each dataset by name, shape (...) each."""
        _, points = self._points(c)
        return {d.name: d.m2logl(p) for d, p in zip(self.datasets, points, strict=True)}

    def gradient(self, c: Point) -> Array:
        """Return d(-2 log L)/dc, shape (..., n)."""
        xp, points = self._points(c)
        parts = zip(self.datasets, points, self._maps, strict=True)
        terms = [xp.matmul(d.gradient(p), convert(xp, a, p.dtype)) for d, p, (a, _) in parts]
        return sum(terms[1:], start=terms[0])

    def hessian(self, c: Point) -> Array:
        """Return d2(-2 log L)/dc2, shape (..., n, n)."""
        xp, points = self._points(c)
        parts = zip(self.datasets, points, self._maps, strict=True)
        terms = [
            convert(xp, a.T, p.dtype) @ convert(xp, d.hessian(p), p.dtype) @ convert(xp, a, p.dtype)
            for d, p, (a, _) in parts
        ]
        return sum(terms[1:], start=terms[0])

    def coefficients(self, c: Point) -> dict[str, Array]:
        """Return every coefficient by name at a point of the free ones: free, dependent and fixed."""
        point = as_point(c, self.operators)
        zero = 0.0 * point[..., 0]
        values: dict[str, Array] = {name: point[..., i] for i, name in enumerate(self.operators)}
        for name, row in self.dependent.items():
            values[name] = sum((factor * values[free] for free, factor in row.items()), start=zero)
        for name, value in self.fixed.items():
            values[name] = zero + value
        return values

    def non_positive(self, c: Point) -> int:
        """Return how many events have a ratio that is not positive at one point c, over all datasets."""
        _, points = self._points(c)
        counters = [getattr(d, "non_positive", None) for d in self.datasets]
        return sum(int(count(p)) for count, p in zip(counters, points, strict=True) if count is not None)


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise InputError(f"the value or factor of {name} must be a finite number, got {value!r}")
    return number


def check_bounds(bounds: Mapping[str, tuple[float, float]], operators: Sequence[str]) -> None:
    """Raise InputError for a range of an unknown coefficient, an empty one or one that is not finite."""
    for name, pair in bounds.items():
        if name not in operators:
            raise InputError(
                f"a range is given for {name!r}, not a free coefficient.{nearest(name, operators)}"
            )
        try:
            lower, upper = pair
            usable = bool(np.isfinite(lower) and np.isfinite(upper) and lower < upper)
        except (TypeError, ValueError):
            raise InputError(
                f"the prior range of {name} must be two numbers (lower, upper), got {brief(pair)}"
            ) from None
        if not usable:
            raise InputError(
                f"the prior range of {name} is empty or not finite: [{lower}, {upper}]; need min < max"
            )
