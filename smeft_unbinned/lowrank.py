"""Low rank: dense quadratic forms as sums of squares of the smallest rank within a tolerance.

With G the matrix of a form, q(c) = (1, c)^T G (1, c), g = G_0i and the Schur complement of its first entry,

    q(c) = (G_00 + g . c)^2 / G_00 + c^T S c,     S = G_ij - g g^T / G_00.

The first square holds the constant and the linear terms exactly. What is left is a form in c alone, and its
eigenvectors, in coefficients of order one, are the other squares: the largest are kept, the smallest dropped,
and negative ones, which no sum of squares has, are set to zero and counted. A truncated eigendecomposition
has the smallest spectral norm of the difference among all forms of its rank (Eckart and Young), so that no
lower rank of the remainder does better in that norm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, nearest
from .polynomial import Polynomial, QuadraticForm, SumOfSquares, unpack

__all__ = ["LowRankReport", "to_sum_of_squares"]

Real = NDArray[np.float64]

_NUMBERS = 1 << 21
"""Entries of the matrices of one block of events, which bounds the memory."""


@dataclass(frozen=True)
class LowRankReport:
    """What a conversion did. Changes of a form are relative to its size: see `to_sum_of_squares`.

    events: number of forms N. rank: number of squares R. mean_rank: squares that an event needs, on average.
    tolerance: the one applied, at least the rounding of the numbers that came in.
    scale: half the width of the box of each coefficient, TeV^-2.
    dropped: bound on the largest change by the directions left out, at most the tolerance unless `max_rank`
        cut further.
    negative: events with negative directions beyond the tolerance, which were set to zero.
    lowest: most negative eigenvalue over the size, zero where there is none.
    clipped, mean_clipped: bound on the change by setting negative directions to zero: the largest of all
        events, and the mean over the `negative` ones.
    """

    events: int
    rank: int
    mean_rank: float
    tolerance: float
    scale: dict[str, float]
    dropped: float
    negative: int
    lowest: float
    clipped: float
    mean_clipped: float

    @property
    def faithful(self) -> bool:
        """Whether every event is within the tolerance in the whole box."""
        return self.negative == 0 and self.dropped <= self.tolerance

    def manifest(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        text = (
            f"{self.events} forms of rank {self.rank} (mean {self.mean_rank:.3g}); directions left out "
            f"change them by {self.dropped:.2g} of their size at most (tolerance {self.tolerance:.2g})"
        )
        if self.negative:
            text += (
                f"; {self.negative} had negative directions, set to zero, which changes them by "
                f"{self.clipped:.2g} at most, {self.mean_clipped:.2g} on average"
            )
        return text


def to_sum_of_squares(
    form: QuadraticForm,
    *,
    tolerance: float = 1e-6,
    scale: Mapping[str, float] | ArrayLike | None = None,
    max_rank: int | None = None,
) -> tuple[SumOfSquares, LowRankReport]:
    """Return the forms as sums of squares of the smallest common rank within the tolerance, and a report.

    form: any batch, in memory or mapped from a file, float32 or float64; it is read in blocks, and the
        factors (*batch, R, n + 1) come out in its precision.
    scale: s_i > 0 in TeV^-2, by name or (n,) in the order of the operators. Default 1/sqrt(mean G_ii/G_00)
        over the batch: there the square of a coefficient typically doubles the rate. For a coefficient
        whose squares all vanish the linear term takes their place.
    tolerance: the size of a form is Q = G_00 + sum_i s_i^2 |G_ii|, its mean over the corners c_i = +-s_i of
        the box where all G_ii >= 0. For events without negative directions, and for every c,
        |q_new(c) - q(c)| <= tolerance Q max_i (c_i/s_i)^2. It is raised to the rounding of the input,
        2 (n + 1) epsilon.
    max_rank: at most so many squares, even where the tolerance needs more; the report says what that costs.

    Constant and linear terms of every form stay exactly what they are, so that a ratio stays 1 at the SM.
    An event uses as many of the R squares as it needs itself, the others are zero.
    Raises InputError for a form that is not positive and finite at c = 0, naming the event.
    """
    n, names = len(form.operators), form.operators
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise InputError(f"the tolerance must be zero or above and finite, got {tolerance}")
    if max_rank is not None and max_rank < 1:
        raise InputError(f"max_rank must be at least 1, for the constant and linear terms; got {max_rank}")
    flat, shape = _flat(form)
    dtype = flat.coefficients.dtype if isinstance(flat, Polynomial) else flat.factors.dtype
    applied = max(float(tolerance), 2.0 * (n + 1) * float(np.finfo(dtype).eps))
    box = _default_scale(flat) if scale is None else _given_scale(scale, names)
    limit = n if max_rank is None else min(n, max_rank - 1)
    factors = np.zeros((len(flat), 1, n + 1), dtype=dtype)
    kept, tally = 0, _Tally()
    for part, matrices in _blocks(flat):
        first, rest, needed = _decompose(matrices, box, applied, limit, tally)
        most = int(needed.max(initial=0))
        if most > kept:
            factors = _widened(factors, most - kept)
            kept = most
        factors[part, 0] = first
        factors[part, 1 : most + 1] = rest[:, :most]
    report = LowRankReport(
        events=len(flat),
        rank=kept + 1,
        mean_rank=1.0 + tally.squares / max(len(flat), 1),
        tolerance=applied,
        scale=dict(zip(names, box.tolist(), strict=True)),
        dropped=tally.dropped,
        negative=tally.negative,
        lowest=tally.lowest,
        clipped=tally.clipped,
        mean_clipped=tally.sum_clipped / max(tally.negative, 1),
    )
    return SumOfSquares(names, factors.reshape(*shape, kept + 1, n + 1)), report


@dataclass
class _Tally:
    """What is counted on the way over the blocks."""

    squares: int = 0
    dropped: float = 0.0
    negative: int = 0
    lowest: float = 0.0
    clipped: float = 0.0
    sum_clipped: float = 0.0


def _decompose(
    matrices: Real, box: Real, tolerance: float, limit: int, tally: _Tally
) -> tuple[Real, Real, NDArray[np.int64]]:
    """Return the first square (B, n + 1), the others (B, n, n + 1), zero where not needed, and their number.

    matrices: (B, n + 1, n + 1). box: (n,). limit: at most so many others.
    """
    n, root = len(box), np.sqrt(matrices[:, 0, 0])
    first = np.concatenate([root[:, None], matrices[:, 0, 1:] / root[:, None]], axis=1)
    inner = matrices[:, 1:, 1:]
    size = matrices[:, 0, 0] + np.abs(np.diagonal(inner, axis1=1, axis2=2)) @ box**2
    schur = (inner - first[:, 1:, None] * first[:, None, 1:]) * np.outer(box, box) / size[:, None, None]
    values, vectors = np.linalg.eigh(schur)
    values, vectors = values[:, ::-1], np.swapaxes(vectors, 1, 2)[:, ::-1]  # largest first, one a row
    reach = np.abs(vectors).sum(axis=2) ** 2  # largest (v . u)^2 for |u_i| <= 1
    left = _bound(np.maximum(values, 0.0), reach)
    clipped = _bound(np.maximum(-values[:, ::-1], 0.0), reach[:, ::-1])[:, 0]
    needed = np.minimum((left[:, :n] > tolerance).sum(axis=1), limit)
    used = np.arange(n) < needed[:, None]
    amplitude = np.sqrt(np.where(used, np.maximum(values, 0.0), 0.0) * size[:, None])
    rest = np.zeros((len(matrices), n, n + 1))
    rest[:, :, 1:] = amplitude[:, :, None] * vectors / box
    bad = clipped > tolerance
    tally.squares += int(needed.sum())
    tally.dropped = max(tally.dropped, float(left[np.arange(len(left)), needed].max(initial=0.0)))
    tally.negative += int(bad.sum())
    tally.lowest = min(tally.lowest, float(values.min(initial=0.0)))
    tally.clipped = max(tally.clipped, float(clipped.max(initial=0.0)))
    tally.sum_clipped += float(clipped[bad].sum())
    return first, rest, needed


def _bound(values: Real, reach: Real) -> Real:
    """Return bounds (B, n + 1) on the sum over j >= k of values_j (v_j . u)^2 in the box |u_i| <= 1.

    values: (B, n), zero or above and falling with j. reach: (B, n), of each direction by itself. The sum is
    at most that of the single ones, and at most the largest value times the longest |u|^2, which is n.
    """
    tails = np.cumsum((values * reach)[:, ::-1], axis=1)[:, ::-1]
    bounds = np.minimum(tails, values.shape[1] * values)
    return np.concatenate([bounds, np.zeros((len(values), 1))], axis=1)


def _flat(form: QuadraticForm) -> tuple[Polynomial | SumOfSquares, tuple[int, ...]]:
    """Return the forms with one batch axis, and the shape of the batch that they came in."""
    shape, n = form.batch_shape, len(form.operators)
    if isinstance(form, SumOfSquares):
        return SumOfSquares(
            form.operators, np.asanyarray(form.factors).reshape(-1, *form.factors.shape[-2:])
        ), shape
    dense = form.dense()
    width = (n + 1) * (n + 2) // 2
    return Polynomial(form.operators, np.asanyarray(dense.coefficients).reshape(-1, width)), shape


def _blocks(form: Polynomial | SumOfSquares) -> Iterator[tuple[slice, Real]]:
    """Yield parts of the batch with their matrices (B, n + 1, n + 1), in double precision."""
    n = len(form.operators)
    step = max(1, _NUMBERS // (n + 1) ** 2)
    for start in range(0, len(form), step):
        part = slice(start, start + step)
        if isinstance(form, Polynomial):
            matrices = unpack(np.asarray(form.coefficients[part], dtype=float))
        else:
            factors = np.asarray(form.factors[part], dtype=float)
            matrices = np.swapaxes(factors, 1, 2) @ factors
        bad = ~(matrices[:, 0, 0] > 0) | ~np.isfinite(matrices).all(axis=(1, 2))
        if bad.any():
            event = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"event {start + event}: a form that is {matrices[event, 0, 0]:g} at c = 0 has no sum of "
                "squares with its linear terms; the constant must be positive, as the 1 of a ratio, and all "
                "coefficients finite. Leave such events out"
            )
        yield part, matrices


def _default_scale(form: Polynomial | SumOfSquares) -> Real:
    """Return 1/sqrt(mean G_ii/G_00), (n,); where all vanish the linear terms stand in, then 1."""
    n = len(form.operators)
    square, slope = np.zeros(n), np.zeros(n)
    for _, matrices in _blocks(form):
        relative = matrices / matrices[:, :1, :1]
        square += np.abs(np.diagonal(relative, axis1=1, axis2=2)[:, 1:]).sum(axis=0)
        slope += (relative[:, 0, 1:] ** 2).sum(axis=0)
    size = np.where(square > 0, square, slope) / max(len(form), 1)
    return np.asarray(1.0 / np.sqrt(np.where(size > 0, size, 1.0)))


def _given_scale(scale: Mapping[str, float] | ArrayLike, names: tuple[str, ...]) -> Real:
    if isinstance(scale, Mapping):
        for name in scale:
            if name not in names:
                raise InputError(
                    f"scale: unknown operator {name!r}; known are {', '.join(names)}.{nearest(name, names)}"
                )
        missing = [name for name in names if name not in scale]
        if missing:
            raise InputError(f"scale lacks {', '.join(missing)}: it needs a width for every operator")
        values = np.array([float(scale[name]) for name in names])
    else:
        values = np.asarray(scale, dtype=float)
    if values.shape != (len(names),) or not (np.isfinite(values) & (values > 0)).all():
        raise InputError(
            f"scale must give a positive width in TeV^-2 for each of {', '.join(names)}, got {scale!r}"
        )
    return values


def _widened(factors: np.ndarray, more: int) -> np.ndarray:
    """Return factors (N, R, n + 1) with more squares, which are zero."""
    n, rank, width = factors.shape
    wide = np.zeros((n, rank + more, width), dtype=factors.dtype)
    wide[:, :rank] = factors
    return wide
