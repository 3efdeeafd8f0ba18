"""A dataset inside a program that jax compiles, as samplers do with a whole likelihood.

What such a program closes over becomes a part of it, and is copied several times while that is compiled. For
a small dataset this makes the fastest program. For a large one it takes seconds and four times the memory, so
that the program calls the engine instead, which reads the dataset where it is, on several threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets import PoissonDataset, UnbinnedDataset
from ..engine import FLOOR
from ..polynomial import Array, QuadraticForm, SumOfSquares, homogeneous, monomials, size

INLINE = 2**27
"""Bytes of a dataset up to which it becomes part of the program: 600,000 events in 6 coefficients, from where
the engine is about as fast (2 cores, jax 0.10)."""
GROUP = 8
"""Ratios whose product is formed before its logarithm is taken; it cannot overflow for ratios below 1e38."""


@dataclass(frozen=True)
class Traced:
    """-2 log L and its derivatives as functions of jax arrays (..., n): (...), (..., n) and (..., n, n)."""

    m2logl: Callable[[Array], Array]
    gradient: Callable[[Array], Array]
    hessian: Callable[[Array], Array]


def traced(dataset: UnbinnedDataset | PoissonDataset, term: Any, inline: int = INLINE) -> Any:
    """Return what stands for a term of a likelihood where jax traces it: its `m2logl` and derivatives.

    term: the dataset, or its profile over the nuisances, which takes numpy arrays and is traced where small.
    inline: bytes of a dataset up to which it becomes part of the program.
    """
    if _numbers(dataset) * 8 > inline:
        return _called(term, len(dataset.operators))
    if dataset.nuisances or dataset.backgrounds:
        return term
    return Traced(_written_out(dataset), dataset.gradient, dataset.hessian)


def _width(form: QuadraticForm) -> int:
    """Return how many numbers each of a batch of forms needs."""
    packed = size(len(form.operators))
    return min(packed, int(np.prod(form.factors.shape[1:]))) if isinstance(form, SumOfSquares) else packed


def _numbers(dataset: UnbinnedDataset | PoissonDataset) -> int:
    """Return how many numbers of the events of a dataset its traced functions close over."""
    forms = sum(_width(component.ratios) for component in (dataset, *dataset.backgrounds))
    return len(dataset) * (forms + 2 * len(dataset.nuisances) * (1 + len(dataset.backgrounds)))


def _written_out(dataset: UnbinnedDataset | PoissonDataset) -> Callable[[Array], Array]:
    """Return -2 log L in jax: events along the last axis, and few logarithms where all weights agree."""
    form, weights = dataset.ratios, dataset.weights
    expected = dataset.expected.coefficients.reshape(-1, size(len(dataset.operators))).sum(axis=0)
    logs_at_zero = weights @ np.log(form.evaluate(np.zeros(len(dataset.operators))))
    squares = isinstance(form, SumOfSquares) and form.factors[0].size == _width(form)
    rows = form.factors if isinstance(form, SumOfSquares) and squares else form.dense().coefficients[:, None]
    columns = np.moveaxis(np.asarray(rows, dtype=float), 0, -1)  # (rank, K, N)
    common = bool(np.all(weights == weights[0]))
    if common:  # whole groups, by events that always have a ratio of 1
        more = np.zeros((*columns.shape[:2], -len(dataset) % GROUP))
        more[0, 0] = 1.0
        columns = np.concatenate([columns, more], axis=-1)
        weights = weights[: columns.shape[-1] // GROUP]
    rank, events = columns.shape[0], columns.shape[-1]
    columns = columns.swapaxes(0, 1).reshape(-1, rank * events)

    def m2logl(c: Array) -> Array:
        from jax import numpy as jnp

        r = jnp.matmul(homogeneous(c) if squares else monomials(c), columns)
        if squares:
            r = jnp.sum(jnp.reshape(r, (*c.shape[:-1], rank, events)) ** 2, axis=-2)
        below, r = jnp.minimum(r - FLOOR, 0.0) / FLOOR, jnp.maximum(r, FLOOR)  # as in engine.log_ratio
        if common:
            r, below = math.prod(jnp.split(r, GROUP, axis=-1)), sum(jnp.split(below, GROUP, axis=-1))
        logs = jnp.matmul(jnp.log(r) + below, weights)
        nu = jnp.matmul(monomials(c), expected)
        return 2.0 * (nu - expected[0]) - 2.0 * (logs - logs_at_zero)

    return m2logl


def _called(term: Any, n: int) -> Traced:
    """Return functions of jax that call those of a term in numpy; values can be differentiated twice.

    n: how many coefficients the term has.
    """
    import jax
    from jax import numpy as jnp

    def call(function: Callable[[Array], Array], c: Array, *shape: int) -> Array:
        result = jax.ShapeDtypeStruct((*c.shape[:-1], *shape), c.dtype)
        return jax.pure_callback(
            lambda point: np.asarray(function(np.asarray(point))), result, c, vmap_method="expand_dims"
        )

    def hessian(c: Array) -> Array:
        return call(term.hessian, c, n, n)

    def by_gradient(at: tuple[Array], along: tuple[Array]) -> tuple[Array, Array]:
        return m2logl(*at), jnp.sum(gradient(*at) * along[0], axis=-1)

    def by_hessian(at: tuple[Array], along: tuple[Array]) -> tuple[Array, Array]:
        return gradient(*at), jnp.matmul(hessian(*at), along[0][..., None])[..., 0]

    m2logl: Any = jax.custom_jvp(lambda c: call(term.m2logl, c))
    m2logl.defjvp(by_gradient)
    gradient: Any = jax.custom_jvp(lambda c: call(term.gradient, c, n))
    gradient.defjvp(by_hessian)
    return Traced(m2logl, gradient, hessian)
