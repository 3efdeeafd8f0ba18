"""Separate samples from events with truth: the training data of methods that know no weights per event.

Events of the sample at c are drawn with a probability proportional to their SM weight times the rate R(z|c),
or times the SM plus one kind of its terms, which is what decomposed training learns from (arXiv:2211.02058):

    linear 1 + sum_i c_i R_i,   quadratic 1 + sum_i c_i^2 R_ii,   cross 1 + sum_{i<j} c_i c_j R_ij.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, brief, nearest
from ..polynomial import Array, Polynomial, as_point, monomials
from .events import Events
from .samples import TERMS, Samples

Real = NDArray[np.float64]

_DRAW, _PART = 0xD4A3, 0x9A47
MAX_NEGATIVE = 0.01
"""Largest fraction of the rate that events of negative rate may take away, unless another is allowed."""


def draw_samples(
    events: Events,
    points: Sequence[Mapping[str, float]] | Array,
    size: int,
    seed: int,
    *,
    terms: str | Sequence[str] = "full",
    max_negative: float = MAX_NEGATIVE,
) -> Samples:
    """Draw unweighted samples of `size` events each, without truth, from events with truth.

    points: by name (absent operators are zero), or (B, n) in the order of `events.operators`, in TeV^-2. The
        SM comes first if it is not among them.
    terms: what the samples hold of the rate, one of TERMS for all of them or one per point; the SM sample is
        always "full".
    max_negative: events of negative rate, which single terms can have, are left out; the rate that they would
        subtract may be at most this fraction of the rest.

    Events are drawn with replacement. The weights of a sample are equal and sum to sigma(c) in pb of the
    terms that it holds, without the part of the events left out. Its metadata hold `terms`, `point` and
    `drawn`: the seed, how many of the drawn events are distinct, the effective number of events that they
    came from, and how many were left out.
    Raises InputError for events without truth, an unknown operator or terms, a point given twice or at which
    the terms vanish, and too large a negative rate, naming the point.
    """
    if size < 1:
        raise InputError(f"samples need a size of at least 1 event, got {size}")
    if not 0.0 <= max_negative < 1.0:
        raise InputError(f"max_negative must be zero or above and below 1, got {max_negative}")
    truth, sigma = _truth(events)
    rows, kinds = _plan(points, terms, truth.operators)
    drawn = [
        _draw(events, truth, sigma, row, kind, size, [seed, _DRAW, b], max_negative)
        for b, (row, kind) in enumerate(zip(rows, kinds, strict=True))
    ]
    return Samples(truth.operators, rows, tuple(drawn))


def draw_independent(
    events: Events,
    points: Sequence[Mapping[str, float]] | Array,
    size: int,
    seed: int,
    *,
    count: int,
    terms: str | Sequence[str] = "full",
    max_negative: float = MAX_NEGATIVE,
) -> tuple[Samples, ...]:
    """Draw `count` sets of samples from disjoint random parts of the events, so that no two share an event.

    Other arguments are those of `draw_samples`; every set has the cross sections of the whole. Raises
    InputError also for less than one set and for more sets than events.
    """
    if not 1 <= count <= len(events):
        raise InputError(f"{len(events)} events can be parted into 1 to {len(events)} sets, got {count}")
    truth, sigma = _truth(events)
    order = np.random.default_rng([seed, _PART]).permutation(len(events))
    sets = []
    for k, index in enumerate(np.array_split(order, count)):
        index = np.sort(index)
        weights = np.asarray(events.weights)[index]
        metadata = {**events.metadata, "part": {"number": k, "of": count, "seed": int(seed)}}
        part = Events(events.features.iloc[index], truth[index], weights, sigma, metadata)
        own = int(np.random.default_rng([seed, _PART, k]).integers(2**32))
        sets.append(draw_samples(part, points, size, own, terms=terms, max_negative=max_negative))
    return tuple(sets)


def _truth(events: Events) -> tuple[Polynomial, Polynomial]:
    """Return the truth of the events and sigma(c), both in the operators of the truth."""
    if events.truth is None or events.cross_section is None:
        raise InputError(
            "separate samples are drawn by the rate of each event: events need truth polynomials"
        )
    names = events.truth.operators
    missing = [name for name in names if name not in events.cross_section.operators]
    if missing:
        raise InputError(f"the cross section of the events does not know {', '.join(missing)}; restrict them")
    return events.truth, events.cross_section.restrict(names).dense()


def _plan(points: Any, terms: Any, operators: tuple[str, ...]) -> tuple[Real, list[str]]:
    """Return rows (B, n) and terms of the samples, the SM added in front if absent."""
    if isinstance(points, Mapping):
        raise InputError("points must be a sequence of points, got one mapping; put it into a list")
    given = [np.asarray(as_point(point, operators), dtype=float) for point in points]
    rows = np.array(given, dtype=float).reshape(len(given), len(operators))
    if not np.isfinite(rows).all():
        raise InputError(f"point {int(np.argwhere(~np.isfinite(rows))[0, 0])} is not finite")
    kinds = [terms] * len(rows) if isinstance(terms, str) else list(terms)
    if len(kinds) != len(rows):
        raise InputError(f"got {len(kinds)} terms for {len(rows)} points; give one for all, or one per point")
    for kind in kinds:
        if kind not in TERMS:
            raise InputError(
                f"unknown terms {brief(kind)}; known are {', '.join(TERMS)}.{nearest(str(kind), TERMS)}"
            )
    sm = np.array([not row.any() for row in rows], dtype=bool)
    if not sm.any():
        return np.concatenate([np.zeros((1, len(operators))), rows]), ["full", *kinds]
    shared = isinstance(terms, str)
    return rows, ["full" if at_sm and shared else kind for at_sm, kind in zip(sm, kinds, strict=True)]


def _mask(n: int, kind: str) -> NDArray[np.bool_]:
    """Return which of the packed monomials in n coefficients a sample of this kind holds, (P,)."""
    rows, columns = np.triu_indices(n + 1)
    held: NDArray[np.bool_] = {
        "full": np.ones(rows.size, dtype=bool),
        "linear": (rows == 0) & (columns > 0),
        "quadratic": (rows == columns) & (rows > 0),
        "cross": (rows > 0) & (rows < columns),
    }[kind]
    held[0] = True
    return held


def _draw(
    events: Events, truth: Polynomial, sigma: Polynomial, row: Real, kind: str, size: int,
    seed: list[int], max_negative: float,
) -> Events:  # fmt: skip
    point = {name: x for name, x in zip(truth.operators, row.tolist(), strict=True) if x}
    where = f"sample {seed[-1]} ({kind} at {point or 'the SM'})"
    held = np.asarray(monomials(row)) * _mask(len(row), kind)
    if kind != "full" and not held[1:].any():
        raise InputError(f"{where}: its terms vanish at this point, so that it would be the SM")
    rate = np.asarray(events.weights) * (np.asarray(truth.coefficients) @ held)
    negative = rate < 0
    lost, kept = -float(rate[negative].sum()), float(rate[~negative].sum())
    fraction = lost / kept if kept > 0 else np.inf
    if not fraction <= max_negative:
        raise InputError(
            f"{where}: {int(negative.sum())} of {len(rate)} events have a negative rate, which takes away "
            f"{fraction:.3g} of the rest (allowed are {max_negative:g}); choose smaller coefficients or a "
            "larger max_negative"
        )
    rate[negative] = 0.0
    index = np.random.default_rng(seed).choice(len(rate), size=size, p=rate / kept)
    total = float(sigma.coefficients @ held)
    if negative.any():
        total /= 1.0 - fraction
    drawn = {
        "seed": seed[0],
        "from_events": len(rate),
        "effective_events": kept**2 / float(np.sum(rate**2)),
        "distinct": int(np.unique(index).size),
        "left_out": int(negative.sum()),
        "left_out_fraction": fraction,
    }
    metadata = {**events.metadata, "terms": kind, "point": point, "drawn": drawn}
    return Events(events.features.iloc[index], None, np.full(size, total / size), None, metadata)
