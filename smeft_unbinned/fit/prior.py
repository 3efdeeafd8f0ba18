"""The prior of a sampled fit: flat in a range, or the Gaussian constraint of a nuisance parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ..constraints import Constraint

_EDGE = 1e-15
"""Fractions closer to 0 or 1 count as this far from them, so that a normal quantile is finite."""


@dataclass(frozen=True)
class Prior:
    """Independent priors of p parameters.

    names: (p,). lower, upper: (p,), the ranges; infinite for a constraint without one.
    centre, error: (p,), of Gaussian constraints, NaN where the prior is flat.
    """

    names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    centre: np.ndarray
    error: np.ndarray

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        bounds: Mapping[str, tuple[float, float]],
        constraints: Mapping[str, Constraint | None],
    ) -> Prior:
        """Return the prior: a constraint where there is one, cut to a range where there is one too."""
        ranges = np.array([bounds.get(n, (-np.inf, np.inf)) for n in names], dtype=float).reshape(-1, 2)
        pairs = np.array([constraints.get(n) or (np.nan, np.nan) for n in names], dtype=float).reshape(-1, 2)
        return cls(tuple(names), ranges[:, 0], ranges[:, 1], pairs[:, 0], pairs[:, 1])

    @property
    def flat(self) -> np.ndarray:
        """Which priors are flat, (p,)."""
        return np.asarray(np.isnan(self.error))

    def transform(self, u: np.ndarray) -> np.ndarray:
        """Return the parameters (..., p) at fractions u (..., p) of their prior probability."""
        values = np.empty(np.shape(u))
        f, g = self.flat, ~self.flat
        values[..., f] = self.lower[f] + u[..., f] * (self.upper - self.lower)[f]
        if g.any():
            low, high = (special.ndtr((x - self.centre)[g] / self.error[g]) for x in (self.lower, self.upper))
            fraction = np.clip(low + u[..., g] * (high - low), _EDGE, 1 - _EDGE)
            values[..., g] = self.centre[g] + self.error[g] * special.ndtri(fraction)
        return values

    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest values, (p,) each, that `transform` gives: both are finite."""
        low, high = (np.full(len(self.names), end) for end in (0.0, 1.0))
        return self.transform(low), self.transform(high)

    def log_density(self, c: np.ndarray) -> np.ndarray:
        """Return the log of the normalised density at points c (s, p), (s,); minus infinity outside."""
        inside = np.all((c >= self.lower) & (c <= self.upper), axis=-1)
        f, g = self.flat, ~self.flat
        value = np.full(len(c), -np.sum(np.log((self.upper - self.lower)[f])))
        if g.any():
            low, high = (special.ndtr((x - self.centre)[g] / self.error[g]) for x in (self.lower, self.upper))
            z = (c[:, g] - self.centre[g]) / self.error[g]
            value += np.sum(-0.5 * z**2 - np.log(np.sqrt(2 * np.pi) * self.error[g] * (high - low)), axis=1)
        return np.where(inside, value, -np.inf)

    def distance(self, c: np.ndarray) -> np.ndarray:
        """Return how far points c (s, p) are outside, (s,): the sum over parameters in units of widths."""
        lower, upper = self.support()
        beyond = np.maximum(lower - c, 0) + np.maximum(c - upper, 0)
        return np.asarray(np.sum(beyond / (upper - lower), axis=-1))

    def distance_from_centre(self, c: np.ndarray) -> np.ndarray:
        """Return how far points c (s, p) are from the centre, (s,): the sum in units of the width."""
        lower, upper = self.support()
        return np.asarray(np.sum(np.abs(c - (lower + upper) / 2) / (upper - lower), axis=-1))

    def cut(self, samples: np.ndarray) -> list[str]:
        """Return the parameters whose range cuts into their samples (s, p)."""
        found = []
        for i, name in enumerate(self.names):
            width = self.upper[i] - self.lower[i]
            low, high = np.quantile(samples[:, i], [0.005, 0.995])
            least = min(low - self.lower[i], self.upper[i] - high)
            if np.isfinite(width) and least < 0.015 * width:  # 0.005 of it in a flat posterior
                found.append(name)
        return found

    def record(self) -> dict[str, Any]:
        """Return [lower, upper] by name, or {constraint: [centre, error]} and the range if there is one."""
        result: dict[str, Any] = {}
        for i, name in enumerate(self.names):
            box = [float(self.lower[i]), float(self.upper[i])]
            if self.flat[i]:
                result[name] = box
            else:
                result[name] = {"constraint": [float(self.centre[i]), float(self.error[i])]}
                result[name] |= {"range": box} if np.isfinite(box).any() else {}
        return result
