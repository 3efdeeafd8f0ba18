"""A process in two features with everything in closed form or by quadrature, and estimators of it.

x and y are standard normal at the SM, and r = (1 + a g/2 + b h/2)^2 + (a/5)^2 + (b/5)^2 with bounded g(x) and
h(y): positive, dominated by the interference, and with rates that Gauss-Hermite quadrature gives exactly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from smeft_unbinned import Events, Polynomial, QuadraticForm, SumOfSquares

OPERATORS = ("a", "b")
Rule = Callable[[pd.DataFrame], QuadraticForm]


def g(x: np.ndarray) -> np.ndarray:
    return np.tanh(x) + 0.4


def h(y: np.ndarray) -> np.ndarray:
    return 0.8 * np.tanh(2 * y) - 0.2


def ratio(frame: pd.DataFrame) -> Polynomial:
    """The exact ratio at the points of a frame, batch (N,)."""
    x, y = frame["x"].to_numpy(), frame["y"].to_numpy()
    factors = np.zeros((len(frame), 3, 3))
    factors[:, 0] = np.stack([np.ones_like(x), 0.5 * g(x), 0.5 * h(y)], axis=1)
    factors[:, 1, 1] = factors[:, 2, 2] = 0.2
    return SumOfSquares(OPERATORS, factors).dense()


def rate() -> Polynomial:
    """sigma(c)/sigma(0) by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    x, y = (axis.ravel() for axis in np.meshgrid(nodes, nodes, indexing="ij"))
    return ratio(pd.DataFrame({"x": x, "y": y})).sum(np.outer(weights, weights).ravel())


def sample(n: int, seed: int, truth: bool = True, rated: bool = True) -> Events:
    """n SM events of weight 1/n, with truth or without, with the rate of the process or without."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "y": rng.normal(size=n)})
    exact = ratio(frame) if truth else None
    return Events(frame, exact, np.full(n, 1 / n), rate() if rated else None, {"process": "known"})


def sample_at(n: int, point: np.ndarray, seed: int) -> Events:
    """About n events generated at a point by acceptance and rejection, without truth."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(4 * n, 2)), columns=["x", "y"])
    r = ratio(frame).evaluate(point)
    kept = frame[rng.random(len(frame)) < r / r.max()].head(n)
    return Events(kept, None, np.full(len(kept), 1 / len(kept)))


class Known:
    """An estimator that follows a rule, with members that scale its linear terms by 1 + scatter."""

    def __init__(self, rule: Rule = ratio, scatter: tuple[float, ...] = (0.0, 0.0)) -> None:
        self.rule, self.scatter = rule, scatter
        self.operators = rule(pd.DataFrame({"x": [0.0], "y": [0.0]})).operators
        self.features = ("x", "y")
        self.metadata = {"method": "known"}

    def __call__(self, features: pd.DataFrame) -> QuadraticForm:
        return self.rule(features)

    def predict(self, features: pd.DataFrame) -> tuple[Polynomial, np.ndarray]:
        form = self.rule(features).dense()
        return form, np.zeros_like(form.coefficients)

    def replicas(self, features: pd.DataFrame) -> Polynomial:
        parts = [scaled(self.rule(features).dense(), 1 + e).coefficients for e in self.scatter]
        return Polynomial(self.operators, np.stack(parts))


def scaled(form: Polynomial, factor: float) -> Polynomial:
    """The same form with its linear coefficients multiplied."""
    n = len(form.operators)
    factors = np.ones(form.coefficients.shape[-1])
    factors[1 : n + 1] = factor
    return Polynomial(form.operators, form.coefficients * factors)


def biased(frame: pd.DataFrame) -> Polynomial:
    """Linear coefficients 10 % too large."""
    return scaled(ratio(frame), 1.1)


def linear_only(frame: pd.DataFrame) -> Polynomial:
    form = ratio(frame)
    coefficients = form.coefficients.copy()
    coefficients[:, 3:] = 0.0
    return Polynomial(OPERATORS, coefficients)


def wrong_shape(frame: pd.DataFrame) -> Polynomial:
    """The ratio of another event each: right in the mean over SM events, and wrong everywhere else."""
    return ratio(frame.apply(lambda column: np.roll(column.to_numpy(), 1)))


def no_effect(frame: pd.DataFrame) -> Polynomial:
    coefficients = np.zeros((len(frame), 6))
    coefficients[:, 0] = 1.0
    return Polynomial(OPERATORS, coefficients)
