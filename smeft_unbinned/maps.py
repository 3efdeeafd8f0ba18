"""From the free parameters p, and curves m(p), to where a dataset is: A (p, m) + b."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .datasets.protocol import nuisances_of
from .errors import InputError, brief, nearest
from .rules import Monomial, Terms, finite

Evolution: TypeAlias = "Mapping[str, Mapping[str, Mapping[str, float]]]"
"""{dataset: {operator of the dataset: {coefficient of the fit: factor}}}."""


def check_evolution(given: Any, datasets: Sequence[Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the evolution with its factors as floats.

    Raises InputError for datasets that there are not, and for what is no mapping of names.
    """
    if not isinstance(given or {}, Mapping):
        raise InputError(f"evolution must be {{dataset: {{operator: {{name: factor}}}}}}, got {brief(given)}")
    names = [d.name for d in datasets]
    result = {}
    for dataset, rows in (given or {}).items():
        if dataset not in names:
            raise InputError(
                f"evolution is given for {dataset!r}, which is no dataset here.{nearest(dataset, names)}"
            )
        if not isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows.values()):
            raise InputError(
                f"the evolution of {dataset} must be {{operator: {{name: factor}}}}, got {brief(rows)}"
            )
        result[dataset] = {
            operator: {str(name): finite(f"{name} in {dataset}", x) for name, x in row.items()}
            for operator, row in rows.items()
        }
    return result


def coefficients_of(dataset: Any, evolution: Evolution) -> tuple[str, ...]:
    """Return the coefficients of the fit that a dataset depends on."""
    rows = evolution.get(dataset.name)
    if rows is None:
        return tuple(dataset.operators)
    used = [name for o in dataset.operators for name, factor in rows.get(o, {}).items() if factor]
    return tuple(dict.fromkeys(used))


class Rows:
    """Each coefficient and nuisance as a linear function of (p, m), by name.

    parameters: names of p. monomials: m. resolved: the dependent coefficients as polynomials in p.
    fixed: values by name; a name that is none of these is zero.
    """

    def __init__(
        self,
        parameters: Sequence[str],
        monomials: Sequence[Monomial],
        resolved: Mapping[str, Terms],
        fixed: Mapping[str, float],
    ) -> None:
        self._all: tuple[Monomial, ...] = (*(((n, 1),) for n in parameters), *monomials)
        self._resolved, self._fixed = resolved, fixed

    def of(self, name: str) -> tuple[np.ndarray, float]:
        """Return the factors of (p, m), and the constant."""
        terms = self._resolved.get(name)
        if terms is None:
            terms = {((name, 1),): 1.0, (): self._fixed.get(name, 0.0)}
        return np.array([terms.get(m, 0.0) for m in self._all]), terms.get((), 0.0)

    def at(self, dataset: Any, evolution: Evolution) -> tuple[np.ndarray, np.ndarray]:
        """Return A (k, n + M) and b (k,) of a dataset of k parameters."""
        rows = evolution.get(dataset.name)
        own = [{name: 1.0} if rows is None else rows.get(name, {}) for name in dataset.operators]
        combinations = [*own, *({name: 1.0} for name in nuisances_of(dataset))]
        a, b = np.zeros((len(combinations), len(self._all))), np.zeros(len(combinations))
        for i, combination in enumerate(combinations):
            for name, factor in combination.items():
                row, constant = self.of(name)
                a[i] += factor * row
                b[i] += factor * constant
        return a, b
