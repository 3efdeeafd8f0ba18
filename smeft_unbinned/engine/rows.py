"""The two storages of event ratios as blocks for the linear algebra library.

x = (1, c) stands for a point, with S points at a time, and r_e = x^T G_e x:

- `Dense`: packed coefficients (N, P), so that r is one product with the monomials of the points;
- `LowRank`: factors (N, R, n + 1), so that r = sum_k a_k^2 with the amplitudes a_k = F_k x.

A sum sum_e u_e G_e is never formed per event: the products of a block with u (B, S) are accumulated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..polynomial import Polynomial, QuadraticForm, SumOfSquares, packed_indices, unpack

Floats: TypeAlias = NDArray[Any]
FEW = 4
"""Points up to which rows of single precision are multiplied as they are, and not converted first."""
WIDE = 24
"""Columns from which a sum over each row is faster than the product with a vector of the algebra library."""
PACKED = 2**19
"""Bytes of single precision that are multiplied at once: the library copies them, which should stay close."""


class Rows(ABC):
    """N quadratic forms, evaluated in blocks of B; x and v have shape (S, n + 1), u has shape (B, S)."""

    array: Floats
    """The numbers as they are stored, events first."""

    @property
    def width(self) -> int:
        """Numbers per event."""
        return int(np.prod(self.array.shape[1:]))

    @property
    def rank(self) -> int:
        """Products per event and point from which r is made."""
        return 1

    def block(self, part: slice, points: int) -> Floats:
        """Return the rows of a part, in double precision unless only a few points are to be evaluated."""
        rows = self.array[part]
        return rows if rows.dtype == np.float64 or points <= FEW else rows.astype(np.float64)

    @abstractmethod
    def columns(self, x: Floats, v: Floats | None = None) -> Floats:
        """Return what rows are multiplied with at x, or for the derivative along v, (columns, S)."""

    @abstractmethod
    def values(self, rows: Floats, columns: Floats, out: Floats) -> tuple[Floats, Floats]:
        """Return r (B, S) of a block, and the products with the columns; out (B * rank, S) may be used."""

    @abstractmethod
    def along(self, rows: Floats, at: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Return the derivative of r along v, (B, S), and the products with the columns of v."""

    @abstractmethod
    def slope(self, rows: Floats, at: Floats, u: Floats) -> Floats:
        """Return an accumulator of sum_e u_e G_e x, to be summed over blocks."""

    @abstractmethod
    def finish_slope(self, total: Floats, x: Floats) -> Floats:
        """Return sum_e u_e dr_e/dc, (S, n), from summed accumulators."""

    @abstractmethod
    def curvature(self, rows: Floats, u: Floats) -> Floats:
        """Return an accumulator of sum_e u_e G_e, to be summed over blocks."""

    @abstractmethod
    def finish_curvature(self, total: Floats) -> Floats:
        """Return sum_e u_e d2r_e/dc2, (S, n, n), from summed accumulators."""

    @abstractmethod
    def slopes(self, rows: Floats, at: Floats, x: Floats) -> Floats:
        """Return dr/dc of every event, (n, S, B)."""


class Dense(Rows):
    """Packed coefficients (N, P) in single or double precision.

    unit: every constant is 1 and need not be read.
    """

    def __init__(self, form: Polynomial, unit: bool = False) -> None:
        self.array = form.coefficients
        self.n = len(form.operators)
        self.unit = unit

    def columns(self, x: Floats, v: Floats | None = None) -> Floats:
        i, j = packed_indices(self.n)
        x = x.T
        if v is None:
            return np.asarray(x[i] * x[j])
        v = v.T
        return np.asarray(x[i] * v[j] + v[i] * x[j])

    def values(self, rows: Floats, columns: Floats, out: Floats) -> tuple[Floats, Floats]:
        if not self.unit or columns.shape[1] > FEW:
            return _product(rows, columns, out), rows
        r = _product(rows[:, 1:], columns[1:], out)
        r += 1.0
        return r, rows

    def along(self, rows: Floats, at: Floats, columns: Floats) -> tuple[Floats, Floats]:
        return _product(rows, columns), rows

    def slope(self, rows: Floats, at: Floats, u: Floats) -> Floats:
        return np.asarray(u.T @ _double(rows))

    def finish_slope(self, total: Floats, x: Floats) -> Floats:
        return np.asarray(2.0 * (unpack(total)[:, 1:] @ x[:, :, None])[..., 0])

    def curvature(self, rows: Floats, u: Floats) -> Floats:
        return self.slope(rows, rows, u)

    def finish_curvature(self, total: Floats) -> Floats:
        return np.asarray(2.0 * unpack(total)[:, 1:, 1:])

    def slopes(self, rows: Floats, at: Floats, x: Floats) -> Floats:
        if len(x) > FEW:  # then it pays to unpack G, (n, n + 1, B): n^2 products per point instead of n^3
            place, scale = _unpacking(self.n)
            g = np.take(_double(rows).T, place, axis=0) * scale[:, :, None]
            return np.asarray(np.matmul(x, g))
        unit = np.eye(self.n + 1)[1:]
        columns = np.stack([self.columns(x, np.broadcast_to(e, x.shape)) for e in unit])  # (n, P, S)
        product = columns.swapaxes(1, 2).reshape(-1, self.width) @ _double(rows).T
        return product.reshape(self.n, len(x), len(rows))


class LowRank(Rows):
    """Factors (N, R, n + 1) in single or double precision."""

    def __init__(self, form: SumOfSquares) -> None:
        self.array = form.factors

    @property
    def rank(self) -> int:
        return int(self.array.shape[1])

    def columns(self, x: Floats, v: Floats | None = None) -> Floats:
        return np.ascontiguousarray((x if v is None else v).T)

    def values(self, rows: Floats, columns: Floats, out: Floats) -> tuple[Floats, Floats]:
        a = self._amplitudes(rows, columns, out)
        return np.einsum("brs,brs->bs", a, a), a

    def along(self, rows: Floats, at: Floats, columns: Floats) -> tuple[Floats, Floats]:
        b = self._amplitudes(rows, columns)
        return 2.0 * np.einsum("brs,brs->bs", at, b), b

    def _amplitudes(self, rows: Floats, columns: Floats, out: Floats | None = None) -> Floats:
        """Return F x, (B, R, S)."""
        flat = _product(rows.reshape(-1, rows.shape[-1]), columns, out)
        return flat.reshape(*rows.shape[:2], -1)

    def slope(self, rows: Floats, at: Floats, u: Floats) -> Floats:
        weighted = (at * u[:, None]).reshape(-1, u.shape[1])
        return np.asarray(weighted.T @ _double(rows).reshape(-1, rows.shape[-1]))

    def finish_slope(self, total: Floats, x: Floats) -> Floats:
        return np.asarray(2.0 * total[:, 1:])

    def curvature(self, rows: Floats, u: Floats) -> Floats:
        flat = _double(rows).reshape(-1, rows.shape[-1])
        repeated = np.repeat(u.T, rows.shape[1], axis=1)
        return np.stack([(flat * w[:, None]).T @ flat for w in repeated])

    def finish_curvature(self, total: Floats) -> Floats:
        return np.asarray(2.0 * total[:, 1:, 1:])

    def slopes(self, rows: Floats, at: Floats, x: Floats) -> Floats:
        return np.asarray(2.0 * np.einsum("brs,bri->isb", at, rows[:, :, 1:], optimize=True))


def _unpacking(n: int) -> tuple[Floats, Floats]:
    """Return where 2 G_ij stands in the packed coefficients, and its factor; (n, n + 1), without i = 0."""
    i, j = packed_indices(n)
    place, scale = np.zeros((n + 1, n + 1), dtype=np.intp), np.ones((n + 1, n + 1))
    place[i, j] = place[j, i] = np.arange(i.size)
    np.fill_diagonal(scale, 2.0)
    return place[1:], scale[1:]


def rows_of(form: QuadraticForm, unit: bool = False) -> Rows:
    """Return the blocks of a batch (N,) of quadratic forms; unit: all of them are 1 at c = 0."""
    return LowRank(form) if isinstance(form, SumOfSquares) else Dense(form.dense(), unit)


def _double(rows: Floats) -> Floats:
    return rows if rows.dtype == np.float64 else rows.astype(np.float64)


def _product(rows: Floats, columns: Floats, out: Floats | None = None) -> Floats:
    """Return rows (B, P) times columns (P, S), (B, S) in double precision.

    Rows of single precision are multiplied with the columns split in two parts of single precision each, so
    that the rounding of the columns, common to all events, does not add up.
    """
    out = np.empty((len(rows), columns.shape[1])) if out is None else out[: len(rows)]
    points = columns.shape[1]
    if rows.dtype == np.float64:
        if points > 1:
            return np.matmul(rows, columns, out=out)
        if rows.shape[1] < WIDE:  # the product with a vector is faster than with a matrix of one column
            np.matmul(rows, columns[:, 0], out=out[:, 0])
        else:
            np.einsum("bp,p->b", rows, columns[:, 0], out=out[:, 0])
        return out
    upper = columns.astype(rows.dtype)
    both = np.concatenate([upper, (columns - upper).astype(rows.dtype)], axis=1)
    step = max(PACKED // (rows.itemsize * rows.shape[1]), 1)
    for start in range(0, len(rows), step):
        parts = rows[start : start + step] @ both
        np.add(parts[:, :points], parts[:, points:], out=out[start : start + step], dtype=np.float64)
    return out
