"""The case that all checks look at: an estimator and simulated events, its ratios evaluated once.

Sums over events use weights that add up to one, and rates are relative to the SM: sigma(c)/sigma(0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import optimize

from ..datasets import UnbinnedDataset
from ..datasets.extended import log_ratio
from ..errors import InputError
from ..events import Events
from ..likelihood import Likelihood
from ..polynomial import Polynomial, QuadraticForm

HALF = 3.841458820694124
"""Rise of -2 log L at the end of a 95 % interval of one coefficient."""


class Ratios(Protocol):
    """What the checks need of an estimator."""

    @property
    def operators(self) -> tuple[str, ...]:
        """Names of the n coefficients."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that a prediction needs."""

    def __call__(self, features: pd.DataFrame) -> QuadraticForm:
        """Return the ratios, batch (N,)."""

    def replicas(self, features: pd.DataFrame) -> QuadraticForm:
        """Return the ratios of every member, batch (M, N)."""


@dataclass(frozen=True, eq=False)
class Case:
    """An estimator on a sample of N simulated SM events.

    form: its ratios, batch (N,). truth: those of the events over the same operators, or None.
    exact: whether `truth` is r(x|c) itself; otherwise it is a label whose mean at x is r(x|c).
    weights: (N,), sum one. rate: sigma(c)/sigma(0), summed over these events where they carry truth.
    target: sigma(c)/sigma(0) as the sample states it. Both are None where unknown.
    expected: SM events that the measurement expects. seed: of every random choice.
    half_widths: (n,), those of the 95 % interval of each coefficient alone, for Asimov data at the SM.
    """

    estimator: Ratios
    events: Events
    form: Polynomial
    truth: Polynomial | None
    exact: bool
    weights: np.ndarray
    rate: Polynomial | None
    target: Polynomial | None
    expected: float
    seed: int
    half_widths: np.ndarray

    @property
    def operators(self) -> tuple[str, ...]:
        return self.form.operators

    @property
    def features(self) -> pd.DataFrame:
        """The features that the estimator uses, (N, F)."""
        return self.events.features[list(self.estimator.features)]

    @property
    def blind(self) -> list[str]:
        """Features of the events that the estimator does not use."""
        return [name for name in map(str, self.events.features) if name not in self.estimator.features]


def prepare(estimator: Ratios, events: Events, expected: float, seed: int) -> Case:
    """Evaluate the estimator on the events.

    Raises InputError for missing features, operators that the events do not know, a sample without positive
    total weight, predictions that are not finite, and an operator without any effect.
    """
    if not (np.isfinite(expected) and expected > 0):
        raise InputError(f"the expected number of events must be positive and finite, got {expected}")
    missing = [name for name in estimator.features if name not in events.features]
    if missing:
        raise InputError(
            f"the estimator needs {', '.join(missing)}, which these events lack; they have "
            f"{', '.join(map(str, events.features))}: read or generate them with the features of the training"
        )
    form = estimator(events.features).dense()
    names = form.operators
    if form.batch_shape != (len(events),):
        raise InputError(f"the estimator returns batch {form.batch_shape}, expected ({len(events)},)")
    bad = int(np.sum(~np.isfinite(form.coefficients).all(axis=1)))
    if bad:
        raise InputError(f"the estimate is not finite in {bad} of {len(events)} events; train it again")
    weights = np.asarray(events.weights)
    if not weights.sum() > 0:
        raise InputError(
            f"the weights of the events sum to {weights.sum():g}; they must sum to more than zero"
        )
    weights = weights / weights.sum()
    truth = _truth(events, names)
    target = _relative(events.cross_section, names)
    rate = target if truth is None else truth.sum(weights)
    exact = truth is not None and not str(events.metadata.get("truth", "")).startswith("label")
    known = truth if exact and truth is not None else form
    own = known.sum(weights) if rate is None or exact else rate
    widths = [_half_width(known, own, name, weights, expected) for name in names]
    return Case(
        estimator, events, form, truth, exact, weights, rate, target, float(expected), int(seed),
        np.array(widths),
    )  # fmt: skip


def _truth(events: Events, names: tuple[str, ...]) -> Polynomial | None:
    if events.truth is None:
        return None
    unknown = [name for name in names if name not in events.truth.operators]
    if unknown:
        raise InputError(
            f"the estimator depends on {', '.join(unknown)}, which the truth of these events does not know; "
            "use events with all of its operators"
        )
    truth = events.truth.restrict(names).dense()
    off = float(np.abs(truth.constant - 1.0).max())
    if off > 1e-6:
        raise InputError(f"the truth must be relative to the SM, but differs from 1 there by {off:.2g}")
    return truth


def _relative(sigma: Polynomial | None, names: tuple[str, ...]) -> Polynomial | None:
    if sigma is None or any(name not in sigma.operators for name in names):
        return None
    return sigma.restrict(names).dense() / float(sigma.constant)


def dataset(form: QuadraticForm, rate: QuadraticForm, weights: np.ndarray, expected: float) -> Likelihood:
    """Return the likelihood of Asimov data: weights (N,) of sum one, `expected` SM events."""
    counts = expected * weights
    return Likelihood([UnbinnedDataset("asimov", form, rate.dense() * expected, counts)])


def _half_width(form: Polynomial, rate: Polynomial, name: str, weights: np.ndarray, expected: float) -> float:
    """Return half the distance of the points on both sides of the SM at which -2 log L has risen by 3.84."""
    ratios, yields = form.restrict([name]).dense(), rate.restrict([name]).dense()

    def rise(c: np.ndarray) -> np.ndarray:
        logs = log_ratio(ratios.evaluate(c[:, None])) - log_ratio(ratios.constant)
        growth = yields.evaluate(c[:, None]) - yields.constant
        return np.asarray(2.0 * expected * (growth - logs @ weights))

    linear, square = ratios.coefficients[:, 1], ratios.coefficients[:, 2]
    fisher = expected * np.abs(weights) @ linear**2
    quartic = expected * np.abs(weights) @ square**2
    sizes = [s for s in (2 / np.sqrt(fisher) if fisher else 0, 2 / quartic**0.25 if quartic else 0) if s > 0]
    if not sizes:
        raise InputError(f"the estimate does not depend on {name} at all; leave it out when training")
    steps = min(sizes) * 2.0 ** np.arange(-6.0, 16.0, 0.5)
    ends = []
    for sign in (1.0, -1.0):
        above = np.flatnonzero(rise(sign * steps) > HALF)
        if above.size and above[0] > 0:
            near, far = steps[above[0] - 1], steps[above[0]]
            ends.append(optimize.brentq(lambda c: float(rise(np.array([sign * c]))[0]) - HALF, near, far))  # noqa: B023
        elif above.size:
            ends.append(steps[0])
    return float(np.mean(ends)) if ends else float(min(sizes))


def non_positive(form: QuadraticForm, weights: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the share of SM rate at which the ratio is not positive at each of K points, (K,)."""
    values = np.asarray(form.evaluate(points))
    return np.asarray((values <= 0) @ np.abs(weights) / np.abs(weights).sum())


def thin(count: int, most: int, seed: int) -> np.ndarray:
    """Return the indices of at most so many of N events, chosen at random, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, 77]).choice(count, size=most, replace=False))


def effective(weights: np.ndarray) -> float:
    """Return the effective number of events of weights (N,), or 0 without any."""
    square = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / square if square > 0 else 0.0
