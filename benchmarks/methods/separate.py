"""Separate samples for the methods that need them, of a given number of events in all."""

from __future__ import annotations

import numpy as np
from common import Real, truth_of

from smeft_unbinned import Events
from smeft_unbinned.events.samples import Samples
from smeft_unbinned.events.separate import draw_samples
from smeft_unbinned.polynomial import unpack

NEGATIVE = 0.002
"""Largest part of the rate that events of negative rate take away in a sample of single terms."""
LARGEST = 10.0
"""Largest coefficient of such a sample, in units of the one that doubles the rate."""


def separate_samples(pool: Events, kind: str, reach: Real, events: int, seed: int) -> Samples:
    """Return samples drawn from the pool that share `events` events evenly, the SM's among them.

    kind: "full", samples at +reach and -reach of every coefficient alone and +reach of every pair, enough for
    the quadratic dependence; "terms", one sample per linear, quadratic and cross term, at coefficients that
    double the rate as far as it stays positive. reach: (n,) in TeV^-2.
    """
    points, terms = _full(reach) if kind == "full" else _single(pool)
    return draw_samples(pool, points, events // (len(points) + 1), seed, terms=terms, max_negative=0.01)


def _full(reach: Real) -> tuple[Real, list[str]]:
    n = len(reach)
    unit = np.eye(n)
    pairs = [unit[i] + unit[j] for i in range(n) for j in range(i + 1, n)]
    points = np.array([*unit, *-unit, *pairs]) * reach
    return points, ["full"] * len(points)


def _single(pool: Events) -> tuple[Real, list[str]]:
    matrix, n = unpack(truth_of(pool).coefficients), len(pool.operators)
    w = np.asarray(pool.weights) / np.sum(np.asarray(pool.weights))
    rows, terms = [], []
    for i in range(n):
        factor = _factor(2.0 * matrix[:, 0, i + 1], w)
        rows.append(factor * np.eye(n)[i])
        terms.append("linear")
        factor = _factor(matrix[:, i + 1, i + 1], w)
        rows.append(np.sqrt(abs(factor)) * np.eye(n)[i])
        terms.append("quadratic")
        for j in range(i):
            factor = _factor(2.0 * matrix[:, i + 1, j + 1], w)
            size = np.sqrt(abs(factor))
            rows.append(size * np.eye(n)[i] + np.sign(factor) * size * np.eye(n)[j])
            terms.append("cross")
    return np.array(rows), terms


def _factor(term: Real, weights: Real) -> float:
    """Return f so that 1 + f R doubles the rate if that keeps it positive, else the largest; R (N,)."""
    mean, spread = float(weights @ term), float(np.sqrt(weights @ term**2))
    if spread == 0.0:
        return 1.0
    sign = 1.0 if mean >= 0 else -1.0
    largest = min(1.0 / abs(mean) if mean else np.inf, LARGEST / spread)
    for size in np.geomspace(largest, 1e-4 * largest, 80):
        rate = weights * (1.0 + sign * size * term)
        if -rate[rate < 0].sum() <= NEGATIVE * rate[rate > 0].sum():
            return float(sign * size)
    return float(sign * 1e-4 * largest)
