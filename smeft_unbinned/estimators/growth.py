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

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return g, (N, n) and positive; inputs outside the range seen in training count as on its edge."""
        return np.asarray(np.exp(_design(np.clip(inputs, self.lower, self.upper)) @ self.coefficients))


def _design(x: np.ndarray) -> np.ndarray:
    full = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    rows, columns = np.triu_indices(full.shape[1])
    return np.asarray(full[:, rows] * full[:, columns])


def emphasised(weights: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """Return event weights of the loss, (N,), mean one: the events' own times the mean growth.

    A factor that depends on x alone moves no minimum. Without it the bulk of the events decides the fit, with
    the square of the growth the few in the tail; the growth itself, its geometric mean over the coefficients,
    was the best compromise for intervals of pp -> ZH.
    """
    product = weights * np.exp(np.log(growth).mean(axis=1))
    return np.asarray(product / product.mean())
