"""Pseudo-data from a sample of events: its weights at another point, and draws of them.

Events e of a simulated sample stand for w_e expected events of the SM. At a point p, coefficients and
nuisances, they stand for w_e r_e(p)/r_e(0), the weights of an Asimov sample at p; and a Poisson number of
copies of each, with these means, is pseudo-data. Both are exact where the simulated sample is, that is, with
many more simulated events than expected ones: the same event twice in one pseudo-experiment is no independent
second one.

Observed events follow an unknown point. To make pseudo-data of them takes a `reference`, a point they are
taken to represent, the best fit say; the pseudo-data then follow a density that is estimated from the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..engine import FLOOR, blocks
from ..errors import InputError
from ..polynomial import Point, as_point
from . import rates
from .extended import ExtendedTerm
from .rates import Modulated


@dataclass(frozen=True, eq=False)
class Source:
    """What pseudo-data at one point are drawn from.

    cumulative: probabilities of the N simulated events, summed, (N,). mean: expected number of events.
    effective: (sum w)^2/sum w^2, how many events of equal weight tell as much.
    """

    cumulative: np.ndarray
    mean: float
    effective: float

    @classmethod
    def of(cls, weights: np.ndarray) -> Source:
        """Return the source of events with these expected numbers (N,), not negative, not all zero."""
        cumulative = np.cumsum(weights)
        total = float(cumulative[-1])
        return cls(cumulative / total, total, float(weights.sum() ** 2 / np.sum(weights**2)))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return the indices of the events of one pseudo-experiment, a Poisson number of them."""
        count = int(rng.poisson(self.mean))
        found = np.searchsorted(self.cumulative, rng.random(count), side="right")
        return np.minimum(found, len(self.cumulative) - 1)


def _parts(term: ExtendedTerm) -> Iterator[tuple[slice, list[Modulated]]]:
    """Yield slices of the events and the terms of their rates, responses included."""
    terms = [Modulated.of(c.ratios, c.response, term.operators, term.nuisances) for c in term._components]
    step = blocks.length(8, 8 * (len(term.parameters) + 2) ** 2, 1)
    for start in range(0, len(term), step):
        part = slice(start, start + step)
        yield part, [t.part(part) for t in terms]


def _split(term: ExtendedTerm, p: Point) -> tuple[np.ndarray, np.ndarray]:
    point = np.asarray(as_point(p, term.parameters), dtype=float)
    return point[: len(term.operators)], point[len(term.operators) :]


def relative_rates(term: ExtendedTerm, p: Point, reference: Point | None = None) -> np.ndarray:
    """Return the rates of events or bins at p over those at a reference, default the SM: (N,), at least 0.

    p, reference: mapping by name or (n + K,). Raises InputError where a rate at the reference is not
        positive.
    """
    at, from_ = (
        _split(term, q) for q in (p, np.zeros(len(term.parameters)) if reference is None else reference)
    )
    ratio = np.empty(len(term))
    for part, terms in _parts(term):
        below = np.asarray(rates.values(terms, *from_))
        if np.any((below <= FLOOR) & (term.weights[part] > 0)):
            raise InputError(
                f"dataset {term.name!r}: some events have no positive rate at the reference point; choose "
                "another, the best fit say"
            )
        ratio[part] = np.maximum(np.asarray(rates.values(terms, *at)), 0.0) / np.maximum(below, FLOOR)
    return ratio


def information(term: ExtendedTerm, p: Point, weights: np.ndarray) -> np.ndarray:
    """Return sum_e w_e (d log r_e)(d log r_e)^T at p, (n + K, n + K): the Fisher information.

    weights: (N,), the expected number of events that each stands for at p. p: mapping by name or (n + K,).
    """
    c, theta = _split(term, p)
    total = np.zeros((len(term.parameters), len(term.parameters)))
    for part, terms in _parts(term):
        r = np.asarray(rates.values(terms, c, theta))
        slopes = np.asarray(rates.slopes(terms, c, theta))
        factor = np.where(r > FLOOR, weights[part] / np.maximum(r, FLOOR) ** 2, 0.0)
        total += (slopes * factor[:, None]).T @ slopes
    return total
