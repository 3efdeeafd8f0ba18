"""The points at which a compression is made to agree: a sample of the region, with -2 log L of all events."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..datasets import UnbinnedDataset
from ..errors import InputError
from ..likelihood import Likelihood
from . import groups as gr
from .rebuild import at_nominal, bounding, rebuild
from .region import bottoms, explore, guess, scales, values
from .tips import tips

Real = NDArray[np.float64]
FEATURES = 64
"""Points of the region at which events are compared."""
_STAND_IN = 4000
"""Groups of the dataset that stands in for all events."""
_CHECKED = 64
_ROUNDS = 6
_AGREE = 0.1
"""|change of -2 log L| by the stand-in, as a part of the rise, with which its region is the right one."""
_MARGIN = 1.1
"""Rise of the sample over that of the region."""
_AT_MINIMUM = 0.1
"""What deviation is allowed at the minimum, relative to the edge of the region."""
_HELD = 4
"""One point out of this many is not used for the weights but checks them."""


@dataclass(frozen=True)
class Sample:
    """Points (K, n) of the region and a little beyond.

    value: -2 log L of all events, nuisances at zero, (K,). allowed: the deviation that is allowed there, one
    at the edge of the region and less inside, (K,). held: points that only check the weights, (K,).
    lowest: the minimum of -2 log L. rise: where the region ends. best: the minima (J, n). slope: the first
    and second derivatives of sum_e w_e log r_e there, for steps (n,) of about one standard deviation,
    (J, n + n n).
    """

    points: Real
    value: Real
    allowed: Real
    held: NDArray[np.bool_]
    lowest: float
    rise: float
    best: Real
    slope: Real
    step: Real

    def __len__(self) -> int:
        return len(self.points)

    @property
    def limit(self) -> float:
        """-2 log L at the end of the sample, a little beyond the region."""
        return self.lowest + _MARGIN * self.rise

    def log_sum(self, dataset: UnbinnedDataset) -> Real:
        """Return sum_e w_e log r_e(c) of all events, (K,)."""
        nu = np.asarray(dataset.expected.evaluate(self.points)).reshape(len(self), -1).sum(axis=1)
        sm = float(np.sum(dataset.expected.evaluate(np.zeros(self.points.shape[1]))))
        return np.asarray(nu - sm - 0.5 * self.value)


def draw_sample(dataset: UnbinnedDataset, rise: float, rng: np.random.Generator) -> tuple[Sample, Likelihood]:
    """Return points that fill the region of a dataset around all minima, and a cheap stand-in for it.

    A dataset of some thousand group means stands in for all events. Its groups are of events that are close
    over the region of the stand-in before, the first over the ellipsoid in second order around the SM.
    Raises InputError where this does not settle.
    """
    function = bounding(dataset)
    scale = scales(function)
    points = guess(function, scale, rise, FEATURES, rng)
    count = 1500 + 400 * len(scale)
    for _ in range(_ROUNDS):
        x = gr.coordinates(dataset, points[:FEATURES])
        groups = gr.split(gr.whole(x, dataset.weights), x, dataset.weights, _STAND_IN)
        cheap = bounding(rebuild(dataset, gr.means(dataset, groups), groups.weight, groups))
        region = explore(cheap, scale, _MARGIN * rise, count, rng)
        points = region.points
        change = values(cheap, points[:_CHECKED]) - values(function, points[:_CHECKED])
        if np.abs(change).max() < _AGREE * rise:
            value, allowed = _measured(dataset, points, region.lowest, rise)
            held = np.arange(len(points)) % _HELD == 0
            best, step = bottoms(function, scale, region.best), 0.1 * np.ptp(points, axis=0)
            slope = _derivatives(dataset, best, step)
            sample = Sample(points, value, allowed, held, region.lowest, rise, best, slope, step)
            more = np.concatenate([region.best, tips(cheap, scale, region, rise)])
            return extended(dataset, sample, more), cheap
    raise InputError(
        f"dataset {dataset.name!r}: the region in which -2 log L is within {rise:g} of its minimum was not "
        "found; lower the rise, or use the dataset as it is"
    )


def extended(dataset: UnbinnedDataset, sample: Sample, points: Real, allowed: float | None = None) -> Sample:
    """Return the sample with more points (K, n), none of them held.

    allowed: the deviation that is allowed there, in place of what follows from -2 log L.
    """
    value, part = _measured(dataset, points, sample.lowest, sample.rise)
    part = part if allowed is None else np.full(len(points), allowed)
    return replace(
        sample,
        points=np.concatenate([sample.points, points]),
        value=np.concatenate([sample.value, value]),
        allowed=np.concatenate([sample.allowed, part]),
        held=np.concatenate([sample.held, np.zeros(len(points), dtype=bool)]),
    )


def _derivatives(dataset: UnbinnedDataset, points: Real, step: Real) -> Real:
    """Return first and second derivatives of sum_e w_e log r_e by c/step at points (J, n), (J, n + n n)."""
    n, at = len(step), at_nominal(dataset, points)
    yields = dataset.expected.dense()
    first = np.asarray(yields.gradient(points)).reshape(len(points), -1, n).sum(axis=1)
    first = first - 0.5 * np.asarray(dataset.gradient(at))[:, :n]
    second = np.asarray(yields.hessian()).reshape(-1, n, n).sum(axis=0)
    second = second - 0.5 * np.asarray(dataset.hessian(at))[:, :n, :n]
    both = [first * step, (second * np.outer(step, step)).reshape(len(points), -1)]
    return np.concatenate(both, axis=1)


def _measured(dataset: UnbinnedDataset, points: Real, lowest: float, rise: float) -> tuple[Real, Real]:
    """Return -2 log L of all events at points (K, n), nuisances at zero, and what is allowed there, (K,)."""
    if not len(points):
        return np.zeros(0), np.zeros(0)
    value = values(dataset, at_nominal(dataset, points))
    heights = values(bounding(dataset), points) if dataset.nuisances else value
    part = np.clip((heights - lowest) / rise, 0.0, None)
    return value, np.asarray(_AT_MINIMUM + (1 - _AT_MINIMUM) * part)
