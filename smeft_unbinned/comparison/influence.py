"""Errors of comparisons from the statistics of the simulation.

All versions are made of the same events, whose fluctuations cancel in part in ratios of widths. What each
event does to -2 log L of a version is a closed form: with r and r_0 the ratios of the event at c and at the
point of the data, and N, N_0 the sums of w r and w r_0 over its bin, the derivative by its weight w is

    unbinned   2 [r - r_0 - r_0 log(r/r_0)]
    Poisson    2 [r - r_0 - r_0 log(N/N_0) - N_0 (r/N - r_0/N_0)]
    Gaussian   2 x (r - r_0) - x^2 r_0,   x = (N - N_0)/N_0

and that of the shape is the first less the second with all events in one bin. An end of an interval, where
-2 log L has a slope s, moves by -1/s of that, and the variance of anything is the sum over events of w^2
times the square of its derivative (the infinitesimal jackknife, a bootstrap with Poisson weights to first
order).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..datasets.extended import log_ratio
from .sample import Sample
from .versions import Version, effective_score

Real = NDArray[np.float64]


def influence(version: Version, sample: Sample, points: Real) -> Real:
    """Return d(-2 log L)/dw of every event at points (K, n), relative to the point of the data: (K, N)."""
    share = np.ones(len(sample.weights)) if version.share is None else version.share
    if version.terms == "linear":
        step = points - sample.at
        seen = step @ effective_score(version, sample).T
        own = step @ sample.score.T
        if version.kind == "shape":
            own = own - (own @ sample.weights / sample.weights.sum())[:, None]
        if not version.known:
            own = seen
        return np.asarray(share * (2.0 * own * seen - seen**2))
    r, r0 = np.asarray(sample.truth.evaluate(points)), np.asarray(sample.truth.evaluate(sample.at))
    if version.index is None:
        logs = log_ratio(np.asarray(version.form.evaluate(points)))
        logs = logs - log_ratio(np.asarray(version.form.evaluate(sample.at)))
        whole = 2.0 * (r - r0 - r0 * logs)
        if version.kind == "shape":
            one = np.zeros(len(r0), dtype=np.int64)
            whole = whole - _counted(r, r0, one, sample.weights)
        return np.asarray(whole)
    result = np.zeros_like(r)
    inside = version.index >= 0
    arguments = r[:, inside], r0[inside], version.index[inside], (sample.weights * share)[inside]
    result[:, inside] = (_normal if version.kind == "gaussian" else _counted)(*arguments)
    return np.asarray(share * result)


def _sums(r: Real, r0: Real, index: NDArray[np.int64], weights: Real) -> tuple[Real, Real]:
    """Return N (K, N_events) and N_0 (N_events,) of the bin of each event."""
    before = np.bincount(index, weights * r0)[index]
    after = np.stack([np.bincount(index, weights * row)[index] for row in r])
    return np.asarray(after, dtype=float), np.asarray(before, dtype=float)


def _counted(r: Real, r0: Real, index: NDArray[np.int64], weights: Real) -> Real:
    after, before = _sums(r, r0, index, weights)
    return np.asarray(2.0 * (r - r0 - r0 * np.log(after / before) - before * r / after + r0))


def _normal(r: Real, r0: Real, index: NDArray[np.int64], weights: Real) -> Real:
    after, before = _sums(r, r0, index, weights)
    x = after / before - 1.0
    return np.asarray(2.0 * x * (r - r0) - x**2 * r0)


def width_influence(version: Version, sample: Sample, ends: Real, slopes: Real, best: Real) -> Real:
    """Return the derivative of the width of a union of intervals by the weight of each event, (N,).

    ends: (K, n), the points at lower and upper ends in turn, on the profile. slopes: (K,), derivatives of
    -2 log L there along the coefficient of the intervals. best: (n,), where the version is lowest.
    """
    derivative = influence(version, sample, ends)
    if not version.known:
        derivative = derivative - influence(version, sample, best[None])
    signs = np.tile([-1.0, 1.0], len(ends) // 2)
    return np.asarray(-(signs / slopes) @ derivative)
