"""Likelihood: the sum of datasets, aligned by the names of coefficients and nuisance parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import is_numpy_array

from . import curves
from .combination import Combination, CombinationOptions
from .constraints import Constraint, ConstraintTerm, check_bounds, check_constraints
from .datasets.overlap import check_overlap
from .datasets.protocol import Dataset, nuisances_of
from .errors import InputError, NonPositiveRatio, brief, nearest
from .maps import Rows, check_evolution, coefficients_of
from .polynomial import Array, Point, as_point, check_operators, convert, namespace
from .rules import Rule, compact, degree, finite, names_in, normal, resolve

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .profiled import ProfiledLikelihood


class Likelihood:
    """-2 log L of independent datasets as a function of their common coefficients and nuisance parameters.

    datasets: terms in one basis, with distinct names.
    operators: the free coefficients, in order; default all, in the order in which the datasets bring them.
        Coefficients of the datasets that are neither here nor in `fixed` or `dependent` are zero.
    fixed: values of coefficients and nuisances that do not vary, by name.
    dependent: coefficients that are functions of others, {name: {other: factor}} for linear combinations and
        {name: ((factor, ((other, power), ...)), ...)} for sums of products. The others may be free, fixed or
        dependent.
    bounds: prior ranges by name, (lower, upper), in TeV^-2 for coefficients, used by samplers.
    constraints: (centre, error) of the Gaussian constraint of a nuisance by name, (0, 1) where it is not
        given, None for no constraint. The sum of ((theta - centre)/error)^2 is one more term of -2 log L.
    strict: raise NonPositiveRatio at any point where a ratio is not positive, in place of the penalty of the
        datasets; for numpy points, and at the cost of one more evaluation of the ratios.
    options: evolution, for datasets in coefficients at another scale, and allow_overlap, for those made of
        the same events, see `CombinationOptions`.

    `parameters` are the free coefficients, `operators`, and then the free nuisances, `nuisances`: those of
    all datasets, and one name is one parameter wherever it occurs. A point is a mapping by name or an array
    (..., p) in the order of `parameters`.
    -2 log L is zero at the SM, where every coefficient and every nuisance, fixed ones included, is zero.
    `linear_rules` is False where a dependent coefficient is no linear function of the free ones, constants
    allowed. `notes` holds what a user should know about how the likelihood was made.
    Raises InputError for mixed bases, repeated names, the same events in two datasets, operators that no
    dataset depends on, rules that contradict each other or go in circles, constraints of what is no nuisance,
    and a name that is an operator here and a nuisance there.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        operators: Sequence[str] | None = None,
        *,
        fixed: Mapping[str, float] | None = None,
        dependent: Mapping[str, Rule] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        constraints: Mapping[str, tuple[float, float] | None] | None = None,
        strict: bool = False,
        **options: Unpack[CombinationOptions],
    ) -> None:
        combination = Combination(**options)
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
        self.allow_overlap = combination.allow_overlap
        check_overlap(self.datasets, self.allow_overlap)
        self.fixed = {name: finite(name, value) for name, value in (fixed or {}).items()}
        self.evolution = check_evolution(combination.evolution, self.datasets)
        known = tuple(dict.fromkeys(n for d in self.datasets for n in coefficients_of(d, self.evolution)))
        every = tuple(dict.fromkeys(name for d in self.datasets for name in nuisances_of(d)))
        bound = {*self.fixed, *(dependent or {})}
        self.operators = check_operators(
            [n for n in known if n not in bound] if operators is None else operators
        )
        self._check_two_kinds(dependent or {})
        values = {n: x for n, x in self.fixed.items() if n not in every}
        self._resolved = resolve(dependent or {}, values, self.operators)
        self.dependent: dict[str, Rule] = {n: normal(n, rule) for n, rule in (dependent or {}).items()}
        self.nuisances = tuple(n for n in every if n not in self.fixed)
        self.parameters = (*self.operators, *self.nuisances)
        self.constraints = check_constraints(constraints, every)
        self.strict = strict
        self.notes: tuple[str, ...] = ()
        self.basis = self.datasets[0].basis
        self._check_kinds({*known, *self.operators, *self.dependent}, every)
        self._check_effect((*known, *every), strict=operators is None)
        self._check_operators(known)
        self._terms: tuple[Any, ...] = (
            *self.datasets,
            *([ConstraintTerm(self.constraints)] if every else []),
        )
        found = dict.fromkeys(m for terms in self._resolved.values() for m in terms if degree(m) > 1)
        self.linear_rules = not found
        self._curves = curves.Curves(self.parameters, tuple(found)) if found else None
        rows = Rows(self.parameters, tuple(found), self._resolved, self.fixed)
        self._maps = [rows.at(d, self.evolution) for d in self._terms]
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

    def _check_two_kinds(self, dependent: Iterable[str]) -> None:
        """Refuse coefficients of two kinds."""
        two = [n for n in (*self.operators, *dependent) if n in self.fixed]
        two += [n for n in self.operators if n in dependent]
        if two:
            raise InputError(f"{', '.join(two)} can only be one of free, fixed and dependent; choose one")

    def _check_effect(self, known: Sequence[str], strict: bool) -> None:
        """Refuse names without any effect.

        A card lists its free coefficients and may also list others at zero or without effect (not strict).
        """
        named = {other for name, rule in self.dependent.items() for other in names_in(rule)}
        for name in (*self.fixed, *self.dependent):
            if name not in (*known, *named) and (strict or self.fixed.get(name)):
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
        reached = {
            free
            for name, terms in self._resolved.items()
            if name in known
            for monomial in terms
            for free, _ in monomial
        } | set(known)
        idle = [name for name in self.operators if name not in reached]
        if idle:
            raise InputError(
                f"no dataset constrains {', '.join(idle)}; {self._offer(idle, known)} "
                "Fix it or remove it from the fit."
            )
        if not self.operators:
            raise InputError("no free coefficient is left to fit")

    def _with(
        self,
        datasets: Sequence[Dataset],
        operators: Sequence[str],
        dependent: Mapping[str, Rule],
        constraints: Mapping[str, Constraint | None],
    ) -> Likelihood:
        rules = {other for rule in dependent.values() for other in names_in(rule)}
        used = {
            *rules,
            *(n for d in datasets for n in (*coefficients_of(d, self.evolution), *nuisances_of(d))),
        }
        names = [d.name for d in datasets]
        overlaps = [[n for n in group if n in names] for group in self.allow_overlap]
        new = Likelihood(
            datasets,
            operators,
            fixed={n: x for n, x in self.fixed.items() if n in used},
            dependent=dependent,
            bounds={n: b for n, b in self.bounds.items() if n in operators or n in self.nuisances},
            constraints=constraints,
            strict=self.strict,
            evolution=self.evolution,
            allow_overlap=[group for group in overlaps if len(group) > 1],
        )
        new.fixed, new.notes = dict(self.fixed), self.notes  # with those that rules have used up
        return new

    def only(self, operators: Sequence[str]) -> Likelihood:
        """Return the likelihood in which of the free coefficients just these vary and the others are zero.

        Nuisances stay as they are. Raises InputError for a name that is not free, and for one that acts in
        products with others alone.
        """
        for name in operators:
            if name not in self.operators:
                raise InputError(f"{name!r} is not a free coefficient.{nearest(name, self.operators)}")
        kept = {
            name: {m: f for m, f in terms.items() if all(free in operators for free, _ in m)}
            for name, terms in self._resolved.items()
        }
        acting = {free for terms in kept.values() for m in terms for free, _ in m}
        acting.update(n for d in self.datasets for n in coefficients_of(d, self.evolution))
        if lost := [name for name in operators if name not in acting]:
            raise InputError(
                f"no dataset constrains {', '.join(lost)}: it acts only in products with coefficients that "
                "are zero here; fit it together with those"
            )
        dependent = {name: compact(terms) for name, terms in kept.items()}
        return self._with(self.datasets, operators, dependent, self.constraints)

    def with_datasets(
        self, datasets: Sequence[Dataset], constraints: Mapping[str, Constraint | None] | None = None
    ) -> Likelihood:
        """Return the likelihood of other data in the same parameters, rules and bounds.

        datasets: with the nuisances of those here between them. A dataset that is to see evolved
            coefficients has the name of the one that it replaces.
        constraints: of all nuisances, default those here.
        """
        return self._with(
            datasets, self.operators, self.dependent, self.constraints if constraints is None else constraints
        )

    def jacobians(self, c: Point) -> dict[str, np.ndarray]:
        """Return by dataset the derivatives of its own parameters by those of the likelihood, (k, p) each.

        c: one point.
        """
        point, p = np.asarray(as_point(c, self.parameters), dtype=float), len(self.parameters)
        bend = None if self._curves is None else np.asarray(self._curves.jacobian(point))
        return {
            d.name: np.asarray(a[:, :p] if bend is None else a[:, :p] + a[:, p:] @ bend)
            for d, (a, _) in zip(self.datasets, self._maps, strict=False)
        }

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

    def _points(self, c: Point, check: bool = False) -> tuple[Any, Array, list[Array]]:
        point = as_point(c, self.parameters)
        xp = namespace(point)
        x = point if self._curves is None else xp.concat([point, self._curves.values(point)], axis=-1)
        maps = [(convert(xp, a.T, x.dtype), convert(xp, b, x.dtype)) for a, b in self._maps]
        points = [xp.matmul(x, a) + b for a, b in maps]
        if check and self.strict:
            self._check_positive(point, points)
        return xp, point, points

    def dataset_points(self, c: Point) -> dict[str, Array]:
        """Return where each dataset is at a point, by name: (..., k) in the order of its own parameters."""
        *_, points = self._points(c)
        return {d.name: p for d, p in zip(self.datasets, points, strict=False)}

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
        *_, points = self._points(c, check=True)
        terms = [d.m2logl(p) for d, p in zip(self._terms, points, strict=True)]
        return sum(terms[1:], start=terms[0])

    def terms(self, c: Point) -> dict[str, Array]:
        """Return the -2 log L of each dataset by name, shape (...) each.

        With nuisances there is the entry "constraints" too, the sum of ((theta - centre)/error)^2 less its
        value at theta = 0.
        """
        *_, points = self._points(c, check=True)
        return {d.name: d.m2logl(p) for d, p in zip(self._terms, points, strict=True)}

    def _slope(self, xp: Any, points: Sequence[Array]) -> Array:
        parts = zip(self._terms, points, self._maps, strict=True)
        terms = [xp.matmul(d.gradient(p), convert(xp, a, p.dtype)) for d, p, (a, _) in parts]
        return sum(terms[1:], start=terms[0])

    def gradient(self, c: Point) -> Array:
        """Return d(-2 log L)/dp, shape (..., p)."""
        xp, point, points = self._points(c, check=True)
        slope = self._slope(xp, points)
        return slope if self._curves is None else curves.gradient(slope, self._curves.jacobian(point))

    def hessian(self, c: Point) -> Array:
        """Return d2(-2 log L)/dp2, shape (..., p, p)."""
        xp, point, points = self._points(c, check=True)
        parts = zip(self._terms, points, self._maps, strict=True)
        terms = [
            convert(xp, a.T, p.dtype) @ convert(xp, d.hessian(p), p.dtype) @ convert(xp, a, p.dtype)
            for d, p, (a, _) in parts
        ]
        matrix = sum(terms[1:], start=terms[0])
        if self._curves is None:
            return matrix
        weights = self._slope(xp, points)[..., len(self.parameters) :]
        return curves.hessian(matrix, self._curves.jacobian(point), self._curves.curvature(point, weights))

    def coefficients(self, c: Point) -> dict[str, Array]:
        """Return every coefficient and nuisance by name at a point: free, dependent and fixed."""
        point = as_point(c, self.parameters)
        zero = 0.0 * point[..., 0]
        values: dict[str, Array] = {name: point[..., i] for i, name in enumerate(self.parameters)}
        for name, terms in self._resolved.items():
            values[name] = zero
            for monomial, factor in terms.items():
                part = zero + factor
                for free, power in monomial:
                    part = part * values[free] ** power
                values[name] = values[name] + part
        for name, value in self.fixed.items():
            values[name] = zero + value
        return values

    def non_positive(self, c: Point) -> int:
        """Return how many events have a ratio that is not positive at one point c, over all datasets."""
        *_, points = self._points(c)
        counters = [getattr(d, "non_positive", None) for d in self._terms]
        return sum(int(count(p)) for count, p in zip(counters, points, strict=True) if count is not None)
