"""What a likelihood consumes: anything with a name, operators, and -2 log L with two derivatives."""

from __future__ import annotations

from typing import Protocol

from ..polynomial import Array, Point


class Dataset(Protocol):
    """One term of a likelihood. -2 log L is zero at the SM, c in TeV^-2 (mapping or (..., n))."""

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
