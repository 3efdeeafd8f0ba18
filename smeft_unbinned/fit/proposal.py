"""Proposal of importance sampling: a mixture of multivariate t distributions around minima, and diagnostics.

Each component is drawn as location + root (z / sqrt(g/nu)), z standard normal, g chi squared with nu degrees
of freedom. Most of the probability is in t distributions with many degrees of freedom, whose efficiency for a
Gaussian target is 0.93 in 50 dimensions; the rest has heavy tails, which keep weights bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.linalg import solve_triangular

HEAVY = 0.15
"""Probability of the components with heavy tails, of `HEAVY_DEGREES` degrees of freedom."""
HEAVY_DEGREES = 5.0


@dataclass(frozen=True)
class Component:
    """One t distribution: location (p,), lower triangular root (p, p) of its scale, and its probability."""

    location: np.ndarray
    root: np.ndarray
    degrees: float
    probability: float

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n points, (n, p)."""
        z = rng.normal(size=(n, self.location.size))
        z /= np.sqrt(rng.chisquare(self.degrees, size=(n, 1)) / self.degrees)
        return np.asarray(self.location + z @ self.root.T)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return the log of the density at points (n, p), (n,)."""
        p, nu = self.location.size, self.degrees
        y = solve_triangular(self.root, (points - self.location).T, lower=True)
        norm = special.gammaln((nu + p) / 2) - special.gammaln(nu / 2) - p / 2 * np.log(nu * np.pi)
        norm -= np.sum(np.log(np.diag(self.root)))
        return np.asarray(norm - (nu + p) / 2 * np.log1p(np.sum(y**2, axis=0) / nu))


@dataclass(frozen=True)
class Proposal:
    """A mixture of components, whose probabilities sum to one."""

    components: tuple[Component, ...]

    @classmethod
    def around(cls, locations: np.ndarray, covariances: np.ndarray, shares: np.ndarray) -> Proposal:
        """Return the mixture around locations (k, p) with covariances (k, p, p) and shares (k,)."""
        parts = []
        for location, covariance, share in zip(locations, covariances, shares / np.sum(shares), strict=True):
            root = factor(covariance)
            parts.append(Component(location, root, 10.0 + 2.0 * location.size, (1 - HEAVY) * share))
            parts.append(Component(location, root, HEAVY_DEGREES, HEAVY * share))
        return cls(tuple(parts))

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Return n points (n, p), independent draws in the order of the components."""
        probabilities = np.array([c.probability for c in self.components])
        numbers = rng.multinomial(n, probabilities / probabilities.sum())
        return np.concatenate([c.draw(rng, k) for c, k in zip(self.components, numbers, strict=True)])

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return the log of the density at points (n, p), (n,)."""
        parts = [c.log_density(points) + np.log(c.probability) for c in self.components]
        return np.asarray(special.logsumexp(parts, axis=0))


def factor(covariance: np.ndarray) -> np.ndarray:
    """Return the lower triangular root of a covariance (p, p), scaled to ones on the diagonal in between."""
    scale = np.sqrt(np.diag(covariance))
    return np.asarray(np.linalg.cholesky(covariance / np.outer(scale, scale)) * scale[:, None])


def effective_size(weights: np.ndarray) -> float:
    """Return Kish's effective sample size (sum w)^2 / sum w^2; 0 where all weights vanish."""
    square = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / square if square > 0 else 0.0


def tail_shape(weights: np.ndarray) -> float:
    """Return the shape k of a generalised Pareto distribution fitted to the largest weights (n,).

    Above 0.7 the mean of weights cannot be trusted (arXiv:1507.02646); -inf where there is no tail to fit.
    The largest min(n/5, 3 sqrt(n)) are used, and the estimator of Zhang and Stephens (2009) with the weak
    prior of that paper.
    """
    n = weights.size
    count = int(min(0.2 * n, 3 * np.sqrt(n)))
    if count < 5:
        return -np.inf
    ordered = np.sort(weights)
    x = ordered[-count:] - ordered[-count - 1]
    x = x[x > 0]
    m = x.size
    if m < 5:
        return -np.inf
    candidates = 30 + int(np.sqrt(m))
    quartile = x[int(m / 4 + 0.5) - 1]
    theta = 1 / x[-1] + (1 - np.sqrt(candidates / (np.arange(1, candidates + 1) - 0.5))) / (3 * quartile)
    shapes = np.mean(np.log1p(-theta[:, None] * x), axis=1)
    profile = m * (np.log(-theta / shapes) - shapes - 1)
    best = float(special.softmax(profile) @ theta)
    shape = float(np.mean(np.log1p(-best * x)))
    return float((m * shape + 5.0) / (m + 10.0))


def resample(rng: np.random.Generator, weights: np.ndarray, n: int) -> np.ndarray:
    """Return n indices with equal weights, by systematic resampling, in random order."""
    edges = np.cumsum(weights / np.sum(weights))
    chosen = np.searchsorted(edges, (np.arange(n) + rng.random()) / n)
    return rng.permutation(np.minimum(chosen, weights.size - 1))
