"""Growth: the coarse size g_i(x) of each coefficient's effect, by which labels are divided.

At high energy the labels of a SMEFT process span many orders of magnitude, and plain regression on them
diverges. A loss weighted by a positive function of x keeps its minimum, so the network learns r_i/g_i and
r_ij/(g_i g_j), which are of order one everywhere, and the prediction is multiplied back. log g_i is a fit of
half the logarithm of the quadratic label r_ii by a second-degree polynomial in the network inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_RIDGE = 1e-6


@dataclass(frozen=True)
class Growth:
    """The fit of log g.

    coefficients: (K, n) of the polynomial in D inputs, K = (D + 1)(D + 2)/2.
    lower, upper: (D,), the range of the inputs in training.
    """

    coefficients: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def fit(cls, inputs: np.ndarray, quadratic: np.ndarray, limit: int = 50_000) -> Growth:
        """Fit to inputs (N, D) and the diagonal quadratic labels (N, n); the first `limit` events suffice."""
        x, q = inputs[:limit], quadratic[:limit]
        floor = 1e-6 * np.median(np.abs(q), axis=0) + 1e-6 * np.mean(np.abs(q), axis=0)
        target = 0.5 * np.log(np.maximum(q, np.where(floor > 0, floor, 1.0)))
        lower, upper = inputs.min(axis=0), inputs.max(axis=0)
        design = _design(x)
        normal = design.T @ design + _RIDGE * len(x) * np.eye(design.shape[1])
        return cls(np.linalg.solve(normal, design.T @ target), lower, upper)

    def widened(self, inputs: np.ndarray) -> Growth:
        """Return the growth for the range of other inputs (N, D)."""
        return Growth(self.coefficients, inputs.min(axis=0), inputs.max(axis=0))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return g, (N, n) and positive; inputs outside the range seen in training count as on its edge."""
        return np.asarray(np.exp(_design(np.clip(inputs, self.lower, self.upper)) @ self.coefficients))


def _design(x: np.ndarray) -> np.ndarray:
    full = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    rows, columns = np.triu_indices(full.shape[1])
    return np.asarray(full[:, rows] * full[:, columns])


def from_samples(
    inputs: np.ndarray, kind: np.ndarray, weights: np.ndarray, points: np.ndarray, limit: int = 20_000
) -> Growth:
    """Estimate the growth from separate samples, by a coarse logistic regression of each against the SM's.

    inputs: (N, D); kind: (N,), 0 for the SM and b for a sample at points[b - 1]; weights: (N,);
    points: (B, n) in TeV^-2. At large r = (1 + g c)^2, log g = log(1 + r)/2 - log|c|; the mean over
    the samples in which the coefficient is not zero.
    """
    rows = np.flatnonzero(kind == 0)[:limit]
    seen = np.concatenate([np.flatnonzero(kind == b)[:limit] for b in range(len(points) + 1)])
    logs = np.zeros((len(points), len(seen)))
    for b in range(len(points)):
        other = np.flatnonzero(kind == b + 1)[:limit]
        used = np.concatenate([rows, other])
        # balanced classes: the regression gives log r up to the ratio of the totals, put back here
        balance = weights[other].mean() * np.sum(kind == b + 1) / (weights[rows].mean() * np.sum(kind == 0))
        w = np.concatenate([weights[rows] / weights[rows].sum(), weights[other] / weights[other].sum()])
        beta = _logistic(_design(inputs[used]), kind[used] == b + 1, w)
        logs[b] = _design(inputs[seen]) @ beta + np.log(balance)
    target = np.zeros((len(seen), points.shape[1]))
    for i, column in enumerate(points.T):
        on = column != 0
        effect = 0.5 * np.logaddexp(0.0, np.clip(logs[on], -20, 20)) - np.log(np.abs(column[on]))[:, None]
        target[:, i] = effect.mean(axis=0)
    return Growth.fit(inputs[seen], np.exp(2 * target), len(seen)).widened(inputs)


def _logistic(design: np.ndarray, label: np.ndarray, weights: np.ndarray, steps: int = 12) -> np.ndarray:
    """Return the coefficients (K,) of a ridge-regularised weighted logistic regression, by Newton steps."""
    beta = np.zeros(design.shape[1])
    for _ in range(steps):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -30, 30)))
        curvature = weights * np.maximum(p * (1 - p), 1e-4)
        hessian = (design * curvature[:, None]).T @ design + 1e-4 * np.eye(len(beta))
        step = np.linalg.solve(hessian, design.T @ (weights * (label - p)) - 1e-4 * beta)
        beta = beta + np.clip(step, -2.0, 2.0)
    return beta


def emphasised(weights: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """Return event weights of the loss, (N,), mean one: the events' own times the mean growth.

    A factor that depends on x alone moves no minimum. Without it the bulk of the events decides the fit, with
    the square of the growth the few in the tail; the growth itself, its geometric mean over the coefficients,
    was the best compromise for intervals of pp -> ZH.
    """
    product = weights * np.exp(np.log(growth).mean(axis=1))
    return np.asarray(product / product.mean())
