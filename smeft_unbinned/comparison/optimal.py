"""Edges of bins that keep as much Fisher information as bins in these features can.

Bins b with yields nu_b and slopes l_b, vectors over the coefficients, hold the information
I = sum_b l_b l_b^T/nu_b, out of I_0 = sum_e w_e s_e s_e^T of the single events. The edges maximise
tr(I_0^-1 I), the sum over coefficients of the share that is kept, which does not depend on the basis of the
coefficients. It is a sum over bins, so that the best edges among fine candidates follow by dynamic
programming: the best k bins below a candidate are the best k - 1 below another, and the bin between the two.
With several features each is optimised in turn with the edges of the others held, until nothing changes. That
may end at a local maximum: it starts from bins of equal content, the best bins of each feature alone, and
random ones, and the best end is taken.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

CANDIDATES = 120
"""Fine bins of equal weight per feature, between which edges may lie."""
ROUNDS = 10
RANDOM = 6
"""Random starts with several features."""


def optimal_edges(
    features: Mapping[str, Real], score: Real, weights: Real, n: int, candidates: int = CANDIDATES
) -> dict[str, tuple[float, ...]]:
    """Return the n - 1 inner edges by feature, increasing; fewer where a feature has fewer values.

    features: values (N,) by name. score: (N, k), d log r/dc of each event at the SM. weights: (N,), positive.
    """
    information = (score * weights[:, None]).T @ score
    values, vectors = np.linalg.eigh(information)
    kept = values > 1e-12 * values[-1]
    white = score @ (vectors[:, kept] / np.sqrt(values[kept]))  # tr(I_0^-1 I) is then a sum of squares
    fine = {name: _fine_edges(column, weights, candidates) for name, column in features.items()}
    place = {name: np.searchsorted(fine[name], column, side="right") for name, column in features.items()}
    even = {name: _even(len(fine[name]) + 1, n) for name in features}
    none = np.zeros(len(weights), dtype=np.int64)
    alone = {
        name: best_cuts(place[name], none, white, weights, len(fine[name]) + 1, n)[0] for name in features
    }
    cuts = alone
    if len(features) > 1:
        rng = np.random.default_rng(0)
        starts = [
            even,
            alone,
            *({f: _random(rng, len(x) + 1, n) for f, x in fine.items()} for _ in range(RANDOM)),
        ]
        cuts = max(
            (_in_turn(start, place, white, weights, fine, n) for start in starts), key=lambda end: end[1]
        )[0]
    return {name: tuple(float(fine[name][k - 1]) for k in cuts[name]) for name in features}


def _in_turn(
    start: Mapping[str, NDArray[np.int64]],
    place: Mapping[str, NDArray[np.int64]],
    white: Real,
    weights: Real,
    fine: Mapping[str, Real],
    n: int,
) -> tuple[dict[str, NDArray[np.int64]], float]:
    """Return the cuts that no feature alone can improve, from `start`, and what they keep."""
    cuts, kept = dict(start), 0.0
    for _ in range(ROUNDS):
        before = dict(cuts)
        for name in cuts:
            others = np.zeros(len(weights), dtype=np.int64)
            for other in cuts:
                if other != name:
                    others = others * (len(cuts[other]) + 1) + np.searchsorted(
                        cuts[other], place[other], side="right"
                    )
            cuts[name], kept = best_cuts(place[name], others, white, weights, len(fine[name]) + 1, n)
        if all(np.array_equal(before[name], cuts[name]) for name in cuts):
            break
    return cuts, kept


def best_cuts(
    place: NDArray[np.int64], others: NDArray[np.int64], white: Real, weights: Real, fine: int, n: int
) -> tuple[NDArray[np.int64], float]:
    """Return the n - 1 fine bins at which coarse ones begin that maximise sum |l_b|^2/nu_b, and that sum.

    place: fine bin of each event (N,), below `fine`. others: its cell in all other features (N,).
    white: (N, k), slopes per unit of weight.
    """
    n = min(n, fine)
    cells = int(others.max()) + 1
    flat = others * fine + place
    size = (cells, fine)
    rate = np.bincount(flat, weights, cells * fine).reshape(size)
    slopes = [np.bincount(flat, weights * column, cells * fine).reshape(size) for column in white.T]
    sums = [np.concatenate([np.zeros((cells, 1)), np.cumsum(x, axis=1)], axis=1) for x in (rate, *slopes)]
    gain = np.zeros((fine + 1, fine + 1))  # of the bin from i to j
    for start in range(fine):
        nu, *parts = (x[:, start + 1 :] - x[:, start : start + 1] for x in sums)
        square = sum(part**2 for part in parts)
        gain[start, start + 1 :] = np.sum(square / np.where(nu > 0, nu, np.inf), axis=0)
    gain[np.tril_indices(fine + 1)] = -np.inf
    best, came = gain[0], np.zeros((n, fine + 1), dtype=np.int64)
    for k in range(1, n):
        total = best[:, None] + gain
        came[k], best = total.argmax(axis=0), total.max(axis=0)
    cuts, end = [], fine
    for k in range(n - 1, 0, -1):
        end = int(came[k, end])
        cuts.append(end)
    return np.array(cuts[::-1], dtype=np.int64), float(best[fine])


def _fine_edges(column: Real, weights: Real, count: int) -> Real:
    """Return inner edges of fine bins of about equal weight, increasing."""
    order = np.argsort(column, kind="stable")
    total = np.cumsum(weights[order])
    wanted = np.searchsorted(total, total[-1] * np.arange(1, count) / count)
    edges = np.unique(column[order][wanted])
    return np.asarray(edges[edges > column.min()])


def _even(fine: int, n: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, fine, min(n, fine) + 1)[1:-1].astype(np.int64))


def _random(rng: np.random.Generator, fine: int, n: int) -> NDArray[np.int64]:
    return np.sort(rng.choice(np.arange(1, fine), min(n, fine) - 1, replace=False))
