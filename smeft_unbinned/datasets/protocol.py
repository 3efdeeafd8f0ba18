"""What a likelihood consumes: anything with a name, operators, and -2 log L with two derivatives."""

from __future__ import annotations

from typing import Protocol

from ..polynomial import Array, Point


class Dataset(Protocol):
    """One term of a likelihood. -2 log L is zero at the SM, c in TeV^-2 (mapping or (..., n)).

    A dataset may also have `nuisances`, the names of K nuisance parameters, and `parameters`, the operators
    followed by the nuisances. Points are then mappings by name or (..., n + K), -2 log L holds no constraint
    of the nuisances, and it is zero where they and the coefficients are.
    """

    name: str
    operators: tuple[str, ...]
    basis: str

    def m2logl(self, c: Point) -> Array:
        """Return -2 log L(c) + 2 log L(0), shape (...)."""

    def gradient(self, c: Point) -> Array:
        """Return its first derivatives, shape (..., n)."""

    def hessian(self, c: Point) -> Array:
        """Return its second derivatives, shape (..., n, n)."""

    def in_basis(self, target: str) -> Dataset:
        """Return the same data as a function of the coefficients of another basis."""


def nuisances_of(dataset: object) -> tuple[str, ...]:
    """Return the names of the nuisance parameters of a dataset, () for one that knows none."""
    return tuple(getattr(dataset, "nuisances", ()))
