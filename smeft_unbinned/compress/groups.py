"""Groups of events whose log r are close over the region, and the events that stand for them.

The coordinates of an event are the leading principal components of log r_e over points of the region. A
binary tree splits the groups with the largest within-group variance at their mean along their principal axis,
many at a time, until there are as many as asked for. Every step is one pass over the events, and nothing
depends on their order. Events that are the same stay together, and a group of them is as good as its events.

A group is represented by one of its own events, drawn by weight, that carries the weight of the group. The
average polynomial of a group would be wrong in second order: its logarithm exceeds the average one by half
the variance of log r, which draws the sample in, and weights cannot push it out again at its edge. Events
that are drawn have the right second moments on average, and ratios that are positive wherever they were. What
remains is the fluctuation of the draw, which `calibrate` takes out by the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..datasets import UnbinnedDataset
from ..engine import log_ratio
from ..polynomial import monomials, size

Real = NDArray[np.float64]
Whole = NDArray[np.int64]
_BLOCK = 16384
_SAME = 1e-20
"""Variance of the coordinates of a group whose events are the same but for rounding."""
_LEFT_OUT = 1e-4
"""Part of the variance of log r that the coordinates may leave out."""
_DIMENSIONS = 8


@dataclass(frozen=True)
class Groups:
    """A partition of N events in G groups.

    label: group of each event, (N,). weight: (G,). mean: of the coordinates, (G, d). axis: the principal one,
    (G, d). variance: along it, (G,).
    """

    label: Whole
    weight: Real
    mean: Real
    axis: Real
    variance: Real

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def exact(self) -> bool:
        """Whether every group holds events that are the same."""
        return bool(np.all(self.variance <= _SAME))


def blocks(dataset: UnbinnedDataset) -> Iterator[tuple[slice, Real]]:
    """Yield parts of the events and their packed ratios relative to the SM in double precision, (B, P)."""
    for start in range(0, len(dataset.weights), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(dataset.weights)))
        yield part, packed(dataset, part)


def packed(dataset: UnbinnedDataset, index: slice | Whole) -> Real:
    """Return the packed ratios of some events relative to the SM in double precision, (B, P)."""
    coefficients = np.asarray(dataset.ratios[index].dense().coefficients, dtype=float)
    return np.asarray(coefficients / coefficients[:, :1])


def coordinates(dataset: UnbinnedDataset, points: Real) -> Real:
    """Return the principal components of log r over points (K, n), (N, d) with d at most 8.

    Distances are root mean squares over the points.
    """
    m, weights = monomials(points), np.asarray(dataset.weights)
    first, second = np.zeros(len(m)), np.zeros((len(m), len(m)))
    for part, coefficients in blocks(dataset):
        logs, w = log_ratio(coefficients @ m.T), weights[part]
        first += w @ logs
        second += (logs * w[:, None]).T @ logs
    mean = first / weights.sum()
    values, vectors = np.linalg.eigh(second / weights.sum() - np.outer(mean, mean))
    kept = np.cumsum(values.clip(0.0)) > _LEFT_OUT * values.clip(0.0).sum()
    d = min(max(1, int(np.sum(kept))), _DIMENSIONS)
    basis = vectors[:, -d:] / np.sqrt(len(m))
    out = np.empty((len(weights), d))
    for part, coefficients in blocks(dataset):
        out[part] = (log_ratio(coefficients @ m.T) - mean) @ basis
    return out


def whole(x: Real, weights: Real, alone: Whole | None = None) -> Groups:
    """Return all events, at coordinates (N, d) and with weights (N,), as one group, but some (K,) alone.

    Of the latter, events that are the same stay together.
    """
    label = np.zeros(len(x), dtype=np.int64)
    if alone is None or not len(alone):
        return _groups(label, 1, x, weights)
    distinct, which = np.unique(np.round(x[alone], 12), axis=0, return_inverse=True)
    label[alone] = 1 + which.reshape(-1)
    return _groups(label, 1 + len(distinct), x, weights)


def split(groups: Groups, x: Real, weights: Real, count: int) -> Groups:
    """Return a refinement in `count` groups, fewer where only groups of events that are the same are left."""
    while len(groups) < count:
        error = groups.weight * np.where(groups.variance > _SAME, groups.variance, 0.0)
        chosen = np.argsort(-error, kind="stable")[: min(count - len(groups), (len(groups) + 1) // 2)]
        chosen = chosen[error[chosen] > 0]
        if not chosen.size:
            break
        new = np.full(len(groups), -1)
        new[chosen] = len(groups) + np.arange(chosen.size)
        moving = np.flatnonzero(new[groups.label] >= 0)
        old = groups.label[moving]
        above = np.einsum("ed,ed->e", x[moving] - groups.mean[old], groups.axis[old]) > 0
        label = groups.label.copy()
        label[moving[above]] = new[old[above]]
        groups = _groups(label, len(groups) + chosen.size, x, weights)
    return groups


def _groups(label: Whole, count: int, x: Real, weights: Real) -> Groups:
    total = np.asarray(np.bincount(label, weights, count), dtype=float)
    safe = np.where(total > 0, total, 1.0)
    mean = np.stack([np.bincount(label, weights * column, count) for column in x.T], axis=-1) / safe[:, None]
    columns = [np.ascontiguousarray(column) - mean[label, i] for i, column in enumerate(x.T)]
    covariance = np.empty((count, len(columns), len(columns)))
    for i, a in enumerate(columns):
        weighted = weights * a
        for j in range(i, len(columns)):
            moment = np.bincount(label, weighted * columns[j], count) / safe
            covariance[:, i, j] = covariance[:, j, i] = moment
    values, vectors = np.linalg.eigh(covariance)
    return Groups(label, total, mean, vectors[:, :, -1], values[:, -1].clip(0.0))


def average(groups: Groups, weights: Real, values: Real) -> Real:
    """Return the weighted means over each group of values (N, K) of its events, (G, K)."""
    safe = np.where(groups.weight > 0, groups.weight, 1.0)
    columns = [np.bincount(groups.label, weights * column, len(groups)) for column in values.T]
    return np.reshape(columns, (values.shape[1], len(groups))).T / safe[:, None]


def means(dataset: UnbinnedDataset, groups: Groups) -> Real:
    """Return the mean polynomial of each group, packed and relative to the SM, (G, P)."""
    weights, total = np.asarray(dataset.weights), np.zeros((len(groups), size(len(dataset.operators))))
    for part, coefficients in blocks(dataset):
        label, w = groups.label[part], weights[part]
        columns = [np.bincount(label, w * column, len(groups)) for column in coefficients.T]
        total += np.stack(columns, axis=-1)
    mean = total / np.where(groups.weight > 0, groups.weight, 1.0)[:, None]
    mean[groups.weight <= 0] = np.eye(1, mean.shape[1])  # of no weight
    return np.asarray(mean)


def draw(groups: Groups, x: Real, weights: Real, rng: np.random.Generator) -> Whole:
    """Return one event of each group, drawn by weight, (G,); an event of no weight is never drawn.

    The events of a group are in the order of their positions along its axis, not in that of the data.
    """
    position = np.einsum("ed,ed->e", x - groups.mean[groups.label], groups.axis[groups.label])
    order = np.lexsort((position, groups.label))
    sorted_label, running = groups.label[order], np.cumsum(weights[order])
    end = np.searchsorted(sorted_label, np.arange(len(groups)), side="right")
    start = np.searchsorted(sorted_label, np.arange(len(groups)), side="left")
    before = np.where(start > 0, running[start - 1], 0.0)
    mark = before + rng.uniform(size=len(groups)) * (running[end - 1] - before)
    return np.asarray(order[np.clip(np.searchsorted(running, mark, side="right"), start, end - 1)])
