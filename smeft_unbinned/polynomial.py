"""Quadratic forms in named Wilson coefficients: event ratios, yields and bins are all one of these.

A quantity that depends on the coefficients c (over Lambda^2, TeV^-2) up to 1/Lambda^4 is
q(c) = (1, c)^T G (1, c). Two storages of G share one interface:

- `Polynomial`: the packed upper triangle, over the monomials 1, c_i, c_i c_j (i <= j);
- `SumOfSquares`: factors F with G = F^T F, so that q >= 0 for every c (low rank).

Every function is written with the array API, so numpy arrays, torch tensors and jax tracers all pass.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, is_numpy_array

from .errors import InputError, check_name, nearest, repeated

Array: TypeAlias = Any
"""An array of any array-API library."""
Point: TypeAlias = "Mapping[str, Any] | Array"
"""Coefficients by name (absent means zero), or an array (..., n) in the order of `operators`."""


_NUMPY = array_namespace(np.empty(0))


def namespace(*arrays: Array) -> Any:
    """Return the array namespace of the arguments; a numpy array gives way to any other library's."""
    if all(type(a) is np.ndarray for a in arrays):
        return _NUMPY
    foreign = [a for a in arrays if hasattr(a, "dtype") and not isinstance(a, np.generic)]
    foreign = [a for a in foreign if not is_numpy_array(a)] or [np.empty(0)]
    return array_namespace(*foreign)


def convert(xp: Any, a: Array, dtype: Any = None) -> Array:
    """Return `a` as an array of namespace xp, untouched where it is one already (for autodiff)."""
    if not hasattr(a, "dtype") or isinstance(a, np.generic) or (is_numpy_array(a) and not is_numpy(xp)):
        return xp.asarray(a, dtype=dtype)
    return a if dtype is None or a.dtype == dtype else xp.astype(a, dtype)


def is_numpy(xp: Any) -> bool:
    """Return whether a namespace is that of numpy arrays."""
    return xp is _NUMPY


def _floating(a: Array) -> Array:
    """Return an array of floats; whole numbers would truncate what they are multiplied with."""
    a = a if hasattr(a, "dtype") and hasattr(a, "shape") else np.asarray(a, dtype=float)
    return a if namespace(a).isdtype(a.dtype, "real floating") else a * 1.0


def size(n: int) -> int:
    """Return the number of monomials of degree at most two in n coefficients."""
    return (n + 1) * (n + 2) // 2


@lru_cache(maxsize=256)
def packed_indices(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column in G of each monomial, (P,) each."""
    return np.triu_indices(n + 1)


@lru_cache(maxsize=64)
def _derivatives(n: int) -> np.ndarray:
    """Return the tensor that gives the derivatives of the monomials from (1, c), (n, P, n + 1)."""
    rows, columns = packed_indices(n)
    eye = np.eye(n + 1)
    first = (
        eye[rows][:, :, None] * eye[columns][:, None, :] + eye[columns][:, :, None] * eye[rows][:, None, :]
    )
    return np.asarray(first[:, 1:, :].transpose(1, 0, 2))


def homogeneous(c: Array) -> Array:
    """Return (1, c) for c of shape (..., n): shape (..., n + 1)."""
    xp = namespace(c)
    one = xp.ones_like(c[..., :1]) if c.shape[-1] else xp.ones((*c.shape[:-1], 1), dtype=c.dtype)
    return xp.concat([one, c], axis=-1)


def monomials(c: Array) -> Array:
    """Return the monomials 1, c_i, c_i c_j (i <= j): c (..., n) gives (..., P)."""
    xp = namespace(c)
    rows, columns = packed_indices(int(c.shape[-1]))
    x = homogeneous(c)
    return xp.take(x, xp.asarray(rows), axis=-1) * xp.take(x, xp.asarray(columns), axis=-1)


def monomial_gradient(c: Array) -> Array:
    """Return the derivatives of the monomials: c (..., n) gives (..., n, P)."""
    xp = namespace(c)
    x = homogeneous(c)
    return xp.tensordot(x, xp.asarray(_derivatives(int(c.shape[-1])), dtype=x.dtype), axes=([-1], [-1]))


def pack(matrix: Array) -> Array:
    """Return the packed coefficients (..., P) of symmetric matrices G (..., n + 1, n + 1)."""
    xp = namespace(matrix)
    n = int(matrix.shape[-1]) - 1
    rows, columns = packed_indices(n)
    flat = xp.reshape(matrix, (*matrix.shape[:-2], (n + 1) ** 2))
    twice = xp.asarray(np.where(rows == columns, 1.0, 2.0), dtype=flat.dtype)
    return xp.take(flat, xp.asarray(rows * (n + 1) + columns), axis=-1) * twice


def unpack(coefficients: Array) -> Array:
    """Return the symmetric matrices G (..., n + 1, n + 1) of packed coefficients (..., P)."""
    xp = namespace(coefficients)
    n = (math.isqrt(8 * int(coefficients.shape[-1]) + 1) - 3) // 2
    rows, columns = packed_indices(n)
    where = np.zeros((n + 1, n + 1), dtype=np.int64)
    where[rows, columns] = where[columns, rows] = np.arange(rows.size)
    half = xp.asarray(np.where(rows == columns, 1.0, 0.5), dtype=coefficients.dtype)
    flat = xp.take(coefficients * half, xp.asarray(where.reshape(-1)), axis=-1)
    return xp.reshape(flat, (*coefficients.shape[:-1], n + 1, n + 1))


def check_operators(operators: Iterable[str]) -> tuple[str, ...]:
    """Return the names as a tuple; raise InputError for a repeated or empty name."""
    if isinstance(operators, str):
        raise InputError(f"operators must be a sequence of names, got the single string {operators!r}")
    names = tuple(check_name(str(name)) for name in operators)
    twice = repeated(names)
    if twice or "" in names:
        raise InputError(f"operator names must be distinct and not empty; repeated: {twice or names}")
    return names


def as_point(c: Point, operators: Sequence[str]) -> Array:
    """Return coefficients as an array (..., n) in the order of `operators`.

    A mapping (or a pandas series) may leave operators out (they are zero) and hold arrays, which broadcast.
    Raises InputError for a name not in `operators` and for a last axis that is not n long.
    """
    if hasattr(c, "keys"):
        c = dict(c)
        for name in c:
            if name not in operators:
                known = ", ".join(operators)
                raise InputError(f"unknown operator {name!r}; known are {known}.{nearest(name, operators)}")
        xp = namespace(*c.values())
        values = [convert(xp, c.get(name, 0.0), xp.float64) for name in operators]
        return xp.stack(xp.broadcast_arrays(*values), axis=-1) if values else xp.zeros((0,))
    point = _floating(c)
    if point.ndim == 0 or point.shape[-1] != len(operators):
        raise InputError(
            f"coefficients of shape {tuple(point.shape)} do not fit {len(operators)} operators "
            f"({', '.join(operators)}); pass an array (..., {len(operators)}) or a mapping by name"
        )
    return point


class QuadraticForm(ABC):
    """A batch of quadratic forms in `operators`; subclasses choose the storage."""

    operators: tuple[str, ...]

    @property
    @abstractmethod
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch: (N,) for N events or bins, () for one quantity."""

    @abstractmethod
    def _value(self, x: Array) -> Array:
        """Return values for (1, c) of shape (..., n + 1): shape (..., *batch)."""

    @abstractmethod
    def _slope(self, x: Array) -> Array:
        """Return derivatives by c for (1, c) of shape (..., n + 1): shape (..., *batch, n)."""

    @abstractmethod
    def matrix(self) -> Array:
        """Return the symmetric matrices G, (*batch, n + 1, n + 1)."""

    @abstractmethod
    def substitute(self, operators: Sequence[str], matrix: Array) -> QuadraticForm:
        """Return the form in new coefficients c' with (1, c) = matrix @ (1, c'), matrix (n + 1, n' + 1)."""

    @abstractmethod
    def __getitem__(self, index: Any) -> QuadraticForm:
        """Return the part of the batch that `index` selects."""

    def __len__(self) -> int:
        return self.batch_shape[0]

    def evaluate(self, c: Point) -> Array:
        """Return the values at c (mapping by name or (..., n)): shape (..., *batch)."""
        return self._value(homogeneous(as_point(c, self.operators)))

    def gradient(self, c: Point) -> Array:
        """Return the derivatives by c at c (mapping or (..., n)): shape (..., *batch, n)."""
        return self._slope(homogeneous(as_point(c, self.operators)))

    def hessian(self, c: Point | None = None) -> Array:
        """Return the second derivatives, the same at every c: shape (*batch, n, n)."""
        return 2.0 * self.matrix()[..., 1:, 1:]

    def dense(self) -> Polynomial:
        """Return the same forms in packed storage."""
        return Polynomial(self.operators, pack(self.matrix()))

    def change_basis(self, operators: Sequence[str], transformation: Array) -> QuadraticForm:
        """Return the form in c' with c = T c', T of shape (n, n')."""
        t = np.asarray(transformation, dtype=float)
        names = check_operators(operators)
        if t.shape != (len(self.operators), len(names)):
            raise InputError(f"T must have shape {(len(self.operators), len(names))}, got {t.shape}")
        full = np.zeros((t.shape[0] + 1, t.shape[1] + 1))
        full[0, 0], full[1:, 1:] = 1.0, t
        return self.substitute(names, full)

    def align(self, operators: Sequence[str]) -> QuadraticForm:
        """Return the form over another list of operators that contains all of its own.

        Raises InputError when an operator would be lost; use `restrict` to drop operators.
        """
        names = check_operators(operators)
        lost = [name for name in self.operators if name not in names]
        if lost:
            raise InputError(f"aligning to ({', '.join(names)}) would drop {', '.join(lost)}; use restrict()")
        return self._select(names)

    def restrict(self, operators: Sequence[str]) -> QuadraticForm:
        """Return the form with every operator but these set to zero, in the order given."""
        names = check_operators(operators)
        for name in names:
            if name not in self.operators:
                raise InputError(f"unknown operator {name!r}.{nearest(name, self.operators)}")
        return self._select(names)

    def _select(self, names: tuple[str, ...]) -> QuadraticForm:
        if names == self.operators:
            return self
        same = [float(a == b) for a in self.operators for b in names]
        return self.change_basis(names, np.reshape(same, (len(self.operators), len(names))))


class Polynomial(QuadraticForm):
    """Quadratic forms stored as packed coefficients over 1, c_i, c_i c_j (i <= j).

    operators: n distinct names.
    coefficients: (..., P), P = (n + 1)(n + 2)/2, in the order of `numpy.triu_indices(n + 1)`; the entry
        of c_i c_j with i < j is the full coefficient of that monomial.
    Raises InputError when P does not fit n.
    """

    def __init__(self, operators: Sequence[str], coefficients: Array) -> None:
        self.operators = check_operators(operators)
        self.coefficients = _floating(coefficients)
        expected = size(len(self.operators))
        if self.coefficients.ndim == 0 or self.coefficients.shape[-1] != expected:
            raise InputError(
                f"{len(self.operators)} operators need {expected} coefficients on the last axis "
                f"(1, c_i, c_i c_j), got shape {tuple(self.coefficients.shape)}"
            )

    def __repr__(self) -> str:
        return f"Polynomial({', '.join(self.operators)}; batch {self.batch_shape})"

    @classmethod
    def from_matrix(cls, operators: Sequence[str], matrix: Array) -> Polynomial:
        """Build from symmetric matrices G (..., n + 1, n + 1)."""
        return cls(operators, pack(matrix))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return tuple(self.coefficients.shape[:-1])

    @property
    def constant(self) -> Array:
        """The values at the SM, shape (*batch)."""
        return self.coefficients[..., 0]

    @property
    def linear(self) -> Array:
        """The coefficients of c_i, shape (*batch, n)."""
        return self.coefficients[..., 1 : len(self.operators) + 1]

    def _value(self, x: Array) -> Array:
        xp = namespace(x, self.coefficients)
        m = monomials(convert(xp, x)[..., 1:])
        return xp.tensordot(m, convert(xp, self.coefficients, m.dtype), axes=([-1], [-1]))

    def _slope(self, x: Array) -> Array:
        xp = namespace(x, self.coefficients)
        m = monomial_gradient(convert(xp, x)[..., 1:])  # (..., n, P)
        out = xp.tensordot(m, convert(xp, self.coefficients, m.dtype), axes=([-1], [-1]))
        return xp.moveaxis(out, x.ndim - 1, -1)

    def matrix(self) -> Array:
        return unpack(self.coefficients)

    def dense(self) -> Polynomial:
        return self

    def substitute(self, operators: Sequence[str], matrix: Array) -> Polynomial:
        m = np.asarray(matrix, dtype=float)
        names = check_operators(operators)
        rows, columns = packed_indices(len(self.operators))
        product = m[rows][:, :, None] * m[columns][:, None, :]
        table = pack(0.5 * (product + product.swapaxes(1, 2)))  # (P, P')
        xp = namespace(self.coefficients)
        table = xp.asarray(table, dtype=self.coefficients.dtype)
        return Polynomial(names, xp.matmul(self.coefficients[..., None, :], table)[..., 0, :])

    def __getitem__(self, index: Any) -> Polynomial:
        return Polynomial(self.operators, self.coefficients[index])

    def __mul__(self, factor: Array) -> Polynomial:
        """Scale by a number or an array over the batch."""
        scale = factor if not hasattr(factor, "shape") or factor.ndim == 0 else factor[..., None]
        return Polynomial(self.operators, self.coefficients * scale)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Array) -> Polynomial:
        return self.__mul__(1.0 / divisor)

    def __add__(self, other: Polynomial) -> Polynomial:
        """Add over the union of both operator sets, by name."""
        names = self.operators + tuple(n for n in other.operators if n not in self.operators)
        a, b = self.align(names).dense(), other.align(names).dense()
        return Polynomial(names, a.coefficients + b.coefficients)

    def __sub__(self, other: QuadraticForm) -> Polynomial:
        """Subtract over the union of both operator sets, by name."""
        return self + -1.0 * other.dense()

    def sum(self, weights: Array | None = None) -> Polynomial:
        """Return the (weighted) sum over the first batch axis."""
        xp = namespace(self.coefficients)
        weights = xp.ones(self.batch_shape[0], dtype=self.coefficients.dtype) if weights is None else weights
        return Polynomial(self.operators, xp.tensordot(weights, self.coefficients, axes=([0], [0])))


class SumOfSquares(QuadraticForm):
    """Quadratic forms sum_k (F_k0 + F_k . c)^2: non-negative everywhere, R (n + 1) numbers each.

    operators: n distinct names.
    factors: (..., R, n + 1), rank R.
    """

    def __init__(self, operators: Sequence[str], factors: Array) -> None:
        self.operators = check_operators(operators)
        self.factors = _floating(factors)
        if self.factors.ndim < 2 or self.factors.shape[-1] != len(self.operators) + 1:
            raise InputError(
                f"{len(self.operators)} operators need factors of shape (..., rank, "
                f"{len(self.operators) + 1}), got {tuple(self.factors.shape)}"
            )

    def __repr__(self) -> str:
        rank = self.factors.shape[-2]
        return f"SumOfSquares({', '.join(self.operators)}; rank {rank}, batch {self.batch_shape})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return tuple(self.factors.shape[:-2])

    def _amplitudes(self, x: Array) -> tuple[Any, Array, Array]:
        xp = namespace(x, self.factors)
        x = convert(xp, x)
        factors = convert(xp, self.factors, x.dtype)
        return xp, factors, xp.tensordot(x, factors, axes=([-1], [-1]))

    def _value(self, x: Array) -> Array:
        xp, _, amplitudes = self._amplitudes(x)
        return xp.sum(amplitudes**2, axis=-1)

    def _slope(self, x: Array) -> Array:
        xp, factors, amplitudes = self._amplitudes(x)
        return 2.0 * xp.sum(amplitudes[..., None] * factors[..., 1:], axis=-2)

    def matrix(self) -> Array:
        xp = namespace(self.factors)
        return xp.matmul(xp.matrix_transpose(self.factors), self.factors)

    def substitute(self, operators: Sequence[str], matrix: Array) -> SumOfSquares:
        xp = namespace(self.factors)
        m = xp.asarray(np.asarray(matrix, dtype=float), dtype=self.factors.dtype)
        return SumOfSquares(operators, xp.matmul(self.factors, m))

    def __getitem__(self, index: Any) -> SumOfSquares:
        return SumOfSquares(self.operators, self.factors[index])
