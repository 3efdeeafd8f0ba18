"""Likelihood: the sum of datasets, aligned by the names of coefficients and nuisance parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import is_numpy_array

from .constraints import ConstraintTerm, check_bounds, check_constraints, finite
from .datasets.protocol import Dataset, nuisances_of, parameters_of
from .errors import InputError, NonPositiveRatio, brief, nearest
from .polynomial import Array, Point, as_point, check_operators, convert, namespace

if TYPE_CHECKING:
    from .profiled import ProfiledLikelihood


class Likelihood:
    """-2 log L of independent datasets as a function of their common coefficients and nuisance parameters.

    datasets: terms in one basis, with distinct names.
    operators: the free coefficients, in order; default all, in the order in which the datasets bring them.
        Coefficients of the datasets that are neither here nor in `fixed` or `dependent` are zero.
    fixed: values of coefficients and nuisances that do not vary, by name.
    dependent: coefficients that are linear combinations of free ones, {name: {free name: factor}}.
    bounds: prior ranges by name, (lower, upper), in TeV^-2 for coefficients, used by samplers.
    constraints: (centre, error) of the Gaussian constraint of a nuisance by name, (0, 1) where it is not
        given, None for no constraint. The sum of ((theta - centre)/error)^2 is one more term of -2 log L.
    strict: raise NonPositiveRatio at any point where a ratio is not positive, in place of the penalty of the
        datasets; for numpy points, and at the cost of one more evaluation of the ratios.

    `parameters` are the free coefficients, `operators`, and then the free nuisances, `nuisances`: those of
    all datasets, and one name is one parameter wherever it occurs. A point is a mapping by name or an array
    (..., p) in the order of `parameters`.
    -2 log L is zero at the SM, where every coefficient and every nuisance, fixed ones included, is zero.
    Raises InputError for mixed bases, repeated names, operators that no dataset depends on, constraints of
    what is no nuisance, and a name that is an operator here and a nuisance there.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        operators: Sequence[str] | None = None,
        *,
        fixed: Mapping[str, float] | None = None,
        dependent: Mapping[str, Mapping[str, float]] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        constraints: Mapping[str, tuple[float, float] | None] | None = None,
        strict: bool = False,
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
        self.fixed = {name: finite(name, value) for name, value in (fixed or {}).items()}
        self.dependent = {
            name: {free: finite(name, factor) for free, factor in row.items()}
            for name, row in (dependent or {}).items()
        }
        known = tuple(dict.fromkeys(name for d in self.datasets for name in d.operators))
        every = tuple(dict.fromkeys(name for d in self.datasets for name in nuisances_of(d)))
        bound = {*self.fixed, *self.dependent}
        self.operators = check_operators(
            [n for n in known if n not in bound] if operators is None else operators
        )
        self.nuisances = tuple(n for n in every if n not in self.fixed)
        self.parameters = (*self.operators, *self.nuisances)
        self.constraints = check_constraints(constraints, every)
        self.strict = strict
        self.basis = self.datasets[0].basis
        self._check_kinds({*known, *self.operators, *self.dependent}, every)
        self._check_bound((*known, *every), strict=operators is None)
        self._check_operators(known)
        self._terms: tuple[Any, ...] = (
            *self.datasets,
            *([ConstraintTerm(self.constraints)] if every else []),
        )
        self._maps = [self._embedding(parameters_of(d)) for d in self._terms]
        if not isinstance(bounds or {}, Mapping):
            raise InputError(f"bounds must be a mapping {{name: (lower, upper)}}, got {brief(bounds)}")
        self.bounds = dict(bounds or {})
        check_bounds(self.bounds, self.parameters)

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

    def _check_kinds(self, coefficients: set[str], nuisances: Sequence[str]) -> None:
        """Refuse names that are coefficient and nuisance at once, and a dataset called as our own term."""
        both = [name for name in nuisances if name in coefficients]
        if both:
            raise InputError(
                f"{', '.join(both)} is a nuisance parameter of one dataset and an operator elsewhere; "
                "rename one of them"
            )
        if nuisances and ConstraintTerm.name in [d.name for d in self.datasets]:
            raise InputError(f"no dataset with nuisances may be called {ConstraintTerm.name!r}; rename it")

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
        """Return A, b with p_dataset = A p_free + b."""
        a = np.zeros((len(operators), len(self.parameters)))
        b = np.array([self.fixed.get(name, 0.0) for name in operators])
        for i, name in enumerate(operators):
            for free, factor in self.dependent.get(name, {name: 1.0}).items():
                if free in self.parameters:
                    a[i, self.parameters.index(free)] = factor
        return a, b

    def only(self, operators: Sequence[str]) -> Likelihood:
        """Return the likelihood in which of the free coefficients just these vary and the others are zero.

        Nuisances stay as they are.
        """
        for name in operators:
            if name not in self.operators:
                raise InputError(f"{name!r} is not a free coefficient.{nearest(name, self.operators)}")
        dependent = {
            name: {free: factor for free, factor in row.items() if free in operators}
            for name, row in self.dependent.items()
        }
        return Likelihood(
            self.datasets,
            operators,
            fixed=self.fixed,
            dependent=dependent,
            bounds={n: b for n, b in self.bounds.items() if n in operators or n in self.nuisances},
            constraints=self.constraints,
            strict=self.strict,
        )

    def conditional(self) -> Likelihood:
        """Return a likelihood that differs by a function of the coefficients alone, if possible a fast one.

        It serves searches for the nuisances at given coefficients.
        """
        new = copy(self)
        new._terms = tuple(d.conditional() if hasattr(d, "conditional") else d for d in self._terms)
        new.strict = False
        return new

    def profiled(self) -> ProfiledLikelihood:
        """Return -2 log L minimised over the nuisances at every point, a function of `operators` alone."""
        from .profiled import ProfiledLikelihood

        return ProfiledLikelihood(self)

    def _points(self, c: Point, check: bool = False) -> tuple[Any, list[Array]]:
        point = as_point(c, self.parameters)
        xp = namespace(point)
        maps = [(convert(xp, a.T, point.dtype), convert(xp, b, point.dtype)) for a, b in self._maps]
        points = [xp.matmul(point, a) + b for a, b in maps]
        if check and self.strict:
            self._check_positive(point, points)
        return xp, points

    def _check_positive(self, point: Array, points: Sequence[Array]) -> None:
        if not is_numpy_array(point):
            raise InputError("strict=True needs numpy points; leave it off for jax and torch")
        for d, rows in zip(self._terms, points, strict=True):
            count = getattr(d, "non_positive", None)
            if count is None:
                continue
            for i, row in enumerate(rows.reshape(-1, rows.shape[-1])):
                if number := int(count(row)):
                    where = point.reshape(-1, point.shape[-1])[i]
                    at = ", ".join(f"{n} = {x:g}" for n, x in zip(self.parameters, where, strict=True))
                    raise NonPositiveRatio(
                        f"dataset {d.name!r}: {number} events have a ratio that is not positive at {at}; "
                        "keep away from there, or leave strict off for a finite penalty"
                    )

    def m2logl(self, c: Point) -> Array:
        """Return -2 log L(p) + 2 log L(0), shape (...)."""
        _, points = self._points(c, check=True)
        terms = [d.m2logl(p) for d, p in zip(self._terms, points, strict=True)]
        return sum(terms[1:], start=terms[0])

    def terms(self, c: Point) -> dict[str, Array]:
        """Return the -2 log L of each dataset by name, shape (...) each.

        With nuisances there is the entry "constraints" too, the sum of ((theta - centre)/error)^2 less its
        value at theta = 0.
        """
        _, points = self._points(c, check=True)
        return {d.name: d.m2logl(p) for d, p in zip(self._terms, points, strict=True)}

    def gradient(self, c: Point) -> Array:
        """Return d(-2 log L)/dp, shape (..., p)."""
        xp, points = self._points(c, check=True)
        parts = zip(self._terms, points, self._maps, strict=True)
        terms = [xp.matmul(d.gradient(p), convert(xp, a, p.dtype)) for d, p, (a, _) in parts]
        return sum(terms[1:], start=terms[0])

    def hessian(self, c: Point) -> Array:
        """Return d2(-2 log L)/dp2, shape (..., p, p)."""
        xp, points = self._points(c, check=True)
        parts = zip(self._terms, points, self._maps, strict=True)
        terms = [
            convert(xp, a.T, p.dtype) @ convert(xp, d.hessian(p), p.dtype) @ convert(xp, a, p.dtype)
            for d, p, (a, _) in parts
        ]
        return sum(terms[1:], start=terms[0])

    def coefficients(self, c: Point) -> dict[str, Array]:
        """Return every coefficient and nuisance by name at a point: free, dependent and fixed."""
        point = as_point(c, self.parameters)
        zero = 0.0 * point[..., 0]
        values: dict[str, Array] = {name: point[..., i] for i, name in enumerate(self.parameters)}
        for name, row in self.dependent.items():
            values[name] = sum((factor * values[free] for free, factor in row.items()), start=zero)
        for name, value in self.fixed.items():
            values[name] = zero + value
        return values

    def non_positive(self, c: Point) -> int:
        """Return how many events have a ratio that is not positive at one point c, over all datasets."""
        _, points = self._points(c)
        counters = [getattr(d, "non_positive", None) for d in self._terms]
        return sum(int(count(p)) for count, p in zip(counters, points, strict=True) if count is not None)
