"""Weighted and unweighted events from a proposal density, for any process.

Points are a named tuple of columns, each (N,); a proposer draws them and knows their SM weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
P = TypeVar("P", bound=tuple[Real, ...])

_CHUNK = 20_000


class Proposer(Protocol[P]):
    """A proposal density and the rate that it imitates."""

    def sample(self, n: int, rng: np.random.Generator) -> tuple[P, Real]:
        """Draw n points; also returns the reciprocal of their proposal density, (N,)."""

    def weights(self, points: P, inverse: Real) -> Real:
        """SM weights in pb, (N,): their mean over proposals is the cross section."""


@dataclass(frozen=True)
class Sample(Generic[P]):
    """Points with weights in pb (weighted) or with equal weights, and how they came about."""

    points: P
    weights: Real | None
    estimate: float  # Monte Carlo cross section, pb
    error: float  # its standard error, pb
    efficiency: float  # accepted over proposed; 1 for weighted events
    proposals: int


def chunks(n: int) -> Iterator[int]:
    """Sizes that add up to n."""
    for start in range(0, n, _CHUNK):
        yield min(_CHUNK, n - start)


def in_chunks(points: P, function: Callable[[P], Real]) -> Real:
    """A function of points (N,), its result (N, ...), of a part of the points at a time."""
    starts = range(0, len(points[0]), _CHUNK)
    return np.concatenate([function(_take(points, slice(start, start + _CHUNK))) for start in starts])


def median(values: Real, weights: Real) -> float:
    """Weighted median of values (N,)."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])


def _join(parts: list[P]) -> P:
    return _like(parts[0], [np.concatenate(columns) for columns in zip(*parts, strict=True)])


def _take(points: P, index: NDArray[np.bool_] | slice) -> P:
    return _like(points, [column[index] for column in points])


def _like(points: P, columns: list[Real]) -> P:
    kind: Any = type(points)  # a named tuple takes its columns one by one
    result: P = kind(*columns)
    return result


def weighted(
    n: int, proposer: Proposer[P], rng: np.random.Generator, report: Callable[[int], None]
) -> Sample[P]:
    """n importance-sampled points; the weights sum to the Monte Carlo estimate of the cross section.

    `report` is called with the number of finished points.
    """
    parts, weights = [], []
    for size in chunks(n):
        points, inverse = proposer.sample(size, rng)
        parts.append(points)
        weights.append(proposer.weights(points, inverse))
        report(sum(part.size for part in weights))
    w = np.concatenate(weights)
    error = float(w.std() / np.sqrt(n))
    return Sample(_join(parts), w / n, float(w.mean()), error, 1.0, n)


def unweighted(
    n: int, proposer: Proposer[P], rng: np.random.Generator, report: Callable[[int], None]
) -> Sample[P]:
    """n points distributed as the SM rate, by accept-reject.

    A proposal is accepted when weight/uniform exceeds the largest weight seen in the whole run; when that
    grows, the points accepted so far are thinned again. So no event is ever accepted with a probability above
    one. `report` is called with the number of accepted points.
    """
    parts: list[P] = []
    scores: list[Real] = []
    largest, accepted, proposals = 0.0, 0, 0
    total, total2 = 0.0, 0.0
    while accepted < n:
        points, inverse = proposer.sample(_CHUNK, rng)
        w = proposer.weights(points, inverse)
        score = w / (1.0 - rng.random(w.size))
        proposals += w.size
        total, total2 = total + float(w.sum()), total2 + float((w * w).sum())
        if float(w.max()) > largest:
            largest = float(w.max())
            keep = [s > largest for s in scores]
            parts = [_take(p, k) for p, k in zip(parts, keep, strict=True)]
            scores = [s[k] for s, k in zip(scores, keep, strict=True)]
        parts.append(_take(points, score > largest))
        scores.append(score[score > largest])
        accepted = sum(s.size for s in scores)
        report(min(accepted, n))
    mean = total / proposals
    error = float(np.sqrt(max(total2 / proposals - mean**2, 0.0) / proposals))
    points = _take(_join(parts), slice(0, n))
    return Sample(points, None, mean, error, accepted / proposals, proposals)
