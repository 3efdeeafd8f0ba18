"""Datasets of other events but the same yield, and what of nuisance parameters has to be kept.

Without backgrounds r(x|c, theta) = r(x|c) exp(sum_k theta_k D_k + theta_k^2 D_kk), so that events enter
-2 log L by sum_e w_e log r_e(c) and by the numbers sum_e w_e D_e alone. A compression that keeps the latter
changes -2 log L by the same at every theta.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..datasets import UnbinnedDataset
from ..events.nuisance import Nuisances
from ..likelihood import Likelihood
from ..polynomial import Polynomial, size
from .groups import Groups, average

Real = NDArray[np.float64]


class Profiled:
    """-2 log L of a dataset minimised over its nuisances, at the cost of -2 log L without them.

    Only the yield and the constant sums of responses depend on theta: what the minimum takes off is the same
    for the dataset whose events are merged into one, of ratio 1.
    """

    def __init__(self, dataset: UnbinnedDataset) -> None:
        self.operators = dataset.operators
        flat = np.eye(1, size(len(dataset.operators)))
        one = np.zeros(len(dataset), dtype=np.int64)
        total = np.array([dataset.weights.sum()])
        merged = Groups(one, total, np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
        self._all, self._yield = dataset, rebuild(dataset, flat, total, merged)
        self._profiled = Likelihood([self._yield]).profiled()

    def m2logl(self, c: Real) -> Real:
        """Return the minimum over the nuisances, zero at the SM: c (..., n), shape (...)."""
        at = at_nominal(self._all, c)
        change = self._profiled.m2logl(c) - self._yield.m2logl(at)
        return np.asarray(self._all.m2logl(at) + change)

    def gradient(self, c: Real) -> Real:
        """Return its first derivatives, (..., n)."""
        at, n = at_nominal(self._all, c), len(self.operators)
        change = (self._all.gradient(at) - self._yield.gradient(at))[..., :n]
        return np.asarray(self._profiled.gradient(c) + change)

    def hessian(self, c: Real) -> Real:
        """Return its second derivatives, (..., n, n)."""
        at, n = at_nominal(self._all, c), len(self.operators)
        change = (self._all.hessian(at) - self._yield.hessian(at))[..., :n, :n]
        return np.asarray(self._profiled.hessian(c) + change)


def bounding(dataset: UnbinnedDataset) -> Likelihood:
    """Return the function of the operators that bounds the region: -2 log L, minimised over nuisances."""
    return cast(Likelihood, Profiled(dataset)) if dataset.nuisances else Likelihood([dataset])


def at_nominal(dataset: UnbinnedDataset, points: Real) -> Real:
    """Return coefficients (..., n) followed by the K nuisances of a dataset at zero, (..., n + K)."""
    return np.concatenate([points, np.zeros((*points.shape[:-1], len(dataset.nuisances)))], axis=-1)


def rebuild(dataset: UnbinnedDataset, ratios: Real, weights: Real, groups: Groups) -> UnbinnedDataset:
    """Return the dataset with one event per group: packed ratios (G, P) and weights (G,).

    Groups of no weight are left out. An event gets the mean response of its group, shifted by what keeps
    sum_e w_e D_e of all events.
    """
    kept = weights > 0
    changes: dict[str, Any] = {"spread": None, "replicas": None}
    if (response := dataset.response) is not None:
        changes["response"] = Nuisances(
            response.names,
            _responses(dataset, groups, np.asarray(response.linear), weights)[kept],
            _responses(dataset, groups, np.asarray(response.quadratic), weights)[kept],
        )
    return dataset.replace(
        ratios=Polynomial(dataset.operators, ratios[kept]), weights=weights[kept], **changes
    )


def _responses(dataset: UnbinnedDataset, groups: Groups, values: Real, weights: Real) -> Real:
    mean = average(groups, dataset.weights, values)
    return np.asarray(mean + (dataset.weights @ values - weights @ mean) / weights.sum())
