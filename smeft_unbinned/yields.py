"""Expected events as a function of coefficients and nuisances, from simulated events in groups.

The direct sum over N simulated events with weights w_e, ratio polynomials R_e and responses D_e, D2_e,

    nu(c, theta) = sum_e w_e R_e(c) exp( sum_k theta_k D_ek + theta_k^2 D2_ek ),

is replaced by one over G groups of events whose responses and ratios are alike,

    nu(c, theta) = sum_g nu_g(c) exp( sum_k theta_k d_gk + theta_k^2 dd_gk ),

with nu_g = sum of w R over the group, d_g the weighted mean of D, and dd_g that of D2 plus half the weighted
variance of D: the cumulants of the group to second order in each theta_k. Left out are

- covariances of different nuisances in a group, theta_k theta_l cov(D_k, D_l): the response is diagonal;
- the covariance of R(c) with D in a group, which vanishes at c = 0;
- third and higher orders in theta.

All fall with the size of a group, the slower the more directions events differ in. The sum is exact at
theta = 0 for any c, and at c = 0 to first order in theta. It is one over the simulated events, and has their
statistical error.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .events import Events, Nuisances
from .polynomial import Point, Polynomial, as_point, unpack

__all__ = ["direct_yield", "group", "yields"]

Real = NDArray[np.float64]
Whole = NDArray[np.int64]

LEADING = 8
"""Coefficients by whose effect events are told apart."""
_BLOCK = 1 << 13


def yields(
    events: Events, nuisances: Nuisances, scale: float = 1.0, *, groups: int = 200
) -> tuple[Polynomial, Nuisances]:
    """Return nu_g(c), batch (G,), and the responses of the groups, G rows; G is at most `groups`.

    events: simulated events with truth, N of them; weights in pb. nuisances: their responses, N rows.
    scale: expected events per pb: luminosity in 1/pb times all efficiencies.
    groups: how many; with at least N every event is a group, and the sum is the direct one.
    Raises InputError for events without truth, another number of responses, a scale that is not positive and
    fewer than one group.
    """
    truth = _checked(events, nuisances)
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"the scale, expected events per pb, must be positive and finite, got {scale}")
    if groups < 1:
        raise InputError(f"the number of groups must be at least 1, got {groups}")
    weights = np.asarray(events.weights) * scale
    if groups >= len(events):
        return truth * weights, nuisances
    members = group(events, nuisances, groups)
    coefficients = np.empty((len(members), truth.coefficients.shape[1]))
    linear, quadratic = (np.empty((len(members), len(nuisances.names))) for _ in range(2))
    for g, index in enumerate(members):
        w = weights[index]
        coefficients[g] = w @ truth.coefficients[index]
        share = w / w.sum() if w.any() else np.full(len(w), 1.0 / len(w))
        d = nuisances.linear[index]
        linear[g] = share @ d
        quadratic[g] = share @ (nuisances.quadratic[index] + 0.5 * (d - linear[g]) ** 2)
    return Polynomial(truth.operators, coefficients), Nuisances(nuisances.names, linear, quadratic)


def direct_yield(
    events: Events, nuisances: Nuisances, c: Point, theta: Point, scale: float = 1.0
) -> np.ndarray:
    """Return the direct sum over events at c (..., n) and theta (..., K), by name or in order: shape (...).

    Arguments otherwise as for `yields`. Raises InputError for unknown names.
    """
    truth = _checked(events, nuisances)
    points = np.asarray(as_point(c, truth.operators), dtype=float)
    shifts = np.asarray(as_point(theta, nuisances.names), dtype=float)
    shape = np.broadcast_shapes(points.shape[:-1], shifts.shape[:-1])
    points = np.broadcast_to(points, (*shape, points.shape[-1])).reshape(-1, points.shape[-1])
    shifts = np.broadcast_to(shifts, (*shape, shifts.shape[-1])).reshape(-1, shifts.shape[-1])
    total = np.zeros(len(points))
    for start in range(0, len(events), _BLOCK):
        part = slice(start, start + _BLOCK)
        response = shifts @ nuisances.linear[part].T + shifts**2 @ nuisances.quadratic[part].T  # (D, B)
        rates = np.asarray(truth[part].evaluate(points)) * np.exp(response)
        total += scale * (rates @ np.asarray(events.weights)[part])
    return total.reshape(shape)


def group(events: Events, nuisances: Nuisances, groups: int) -> list[Whole]:
    """Return the numbers of the events in each group: at most `groups`, fewer where events are the same.

    The largest group, by the spread of its events, is cut in two at its mean along the axis of largest
    spread, until there are enough. The spread is that of the responses and of log(1 + R) with each of the
    leading coefficients at plus and minus its size 1/sqrt(mean R_ii), each of the two scaled to unit total
    variance; leading are the LEADING ones of largest spread. Events count with their rate in the box of these
    sizes, so that the tail which rules at large c is resolved too.
    Events of positive and of negative weight are never in one group.
    """
    truth = _checked(events, nuisances)
    weights = np.asarray(events.weights)
    x, rate = _coordinates(truth, nuisances, np.abs(weights))
    order = 0
    heap: list[tuple[float, int, Whole, Real]] = []
    done: list[Whole] = []
    for side in (weights >= 0, weights < 0):
        index = np.flatnonzero(side)
        if index.size:
            heapq.heappush(heap, _node(x, rate, index, order))
            order += 1
    while heap and len(heap) + len(done) < groups:
        spread, _, index, above = heapq.heappop(heap)
        if spread == 0.0:
            done.append(index)
            continue
        for part in (index[above <= 0], index[above > 0]):
            order += 1
            heapq.heappush(heap, _node(x, rate, part, order))
    return done + [entry[2] for entry in sorted(heap, key=lambda entry: entry[1])]


def _node(x: Real, rate: Real, index: Whole, order: int) -> tuple[float, int, Whole, Real]:
    """Return minus the spread of a group along its main axis, a number, its events, and where they lie there.

    The spread is zero where the group cannot be cut.
    """
    part, w = x[index], rate[index]
    total = float(w.sum())
    w = w / total if total > 0 else np.full(len(w), 1.0 / len(w))
    centred = part - w @ part
    values, vectors = np.linalg.eigh((centred * w[:, None]).T @ centred)
    along = centred @ vectors[:, -1]
    cut = len(index) > 1 and values[-1] > 1e-24 and bool((along > 0).any()) and bool((along <= 0).any())
    return (-float(values[-1]) * max(total, 1e-300) if cut else 0.0), order, index, along


def _coordinates(truth: Polynomial, nuisances: Nuisances, weights: Real) -> tuple[Real, Real]:
    """Return where events lie, (N, 2 K + 2 n) with n at most LEADING, and what they count, (N,)."""
    n = len(truth.operators)
    diagonal = np.empty((len(weights), n + 1))
    for start in range(0, len(weights), _BLOCK):
        part = slice(start, start + _BLOCK)
        diagonal[part] = np.diagonal(unpack(truth.coefficients[part]), axis1=1, axis2=2)
    share = weights / weights.sum() if weights.any() else np.full(len(weights), 1.0 / len(weights))
    linear = np.asarray(truth.linear)
    size = share @ np.abs(diagonal[:, 1:])
    size = np.where(size > 0, size, share @ linear**2)
    step = 1.0 / np.sqrt(np.where(size > 0, size, 1.0))
    first, second = linear * step, diagonal[:, 1:] * step**2
    sides = (diagonal[:, :1] + first + second, diagonal[:, :1] - first + second)
    logs = [np.log1p(np.maximum(side, 0.0)) for side in sides]
    if n > LEADING:
        spread_of = sum(share @ (log - share @ log) ** 2 for log in logs)
        leading = np.sort(np.argsort(-np.asarray(spread_of), kind="stable")[:LEADING])
        logs = [log[:, leading] for log in logs]
    blocks = [np.concatenate([nuisances.linear, nuisances.quadratic], axis=1), np.concatenate(logs, axis=1)]
    scaled = []
    for block in blocks:
        centred = block - share @ block
        spread = float(np.sqrt((share @ centred**2).sum()))
        scaled.append(centred / spread if spread > 1e-12 else np.zeros_like(centred))
    return np.concatenate(scaled, axis=1), weights * (np.abs(diagonal[:, 0]) + np.abs(second).sum(axis=1))


def _checked(events: Events, nuisances: Nuisances) -> Polynomial:
    if events.truth is None:
        raise InputError("yields need events with truth polynomials, from which nu(c) is summed")
    if len(nuisances) != len(events):
        raise InputError(
            f"there are responses of {len(nuisances)} events for {len(events)} events; they must be those of "
            "the same events, in the same order"
        )
    return events.truth
