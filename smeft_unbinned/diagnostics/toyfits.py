"""Fits of many small toys: Newton's method on -2 log L, started at the truth and wherever it is low.

Coordinates are y = c/scale, with scale the half-widths of the expected intervals. A step is -|H|^-1 g with
the absolute eigenvalues of the Hessian H, so that it leads away from saddles, cut to a length of two and
halved until -2 log L falls. Both derivatives are closed forms, see `datasets.extended`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..datasets.extended import FLOOR, log_ratio
from ..polynomial import monomial_gradient, monomials, unpack

STEPS = 60
GOAL = 1e-7
"""Decrement of -2 log L that the next step promises, at which a fit has converged."""
_SOFTEST = 1e-3
_LONGEST = 2.0
_SADDLE = -1e-3
_MORE = 2


@dataclass(frozen=True, eq=False)
class Toy:
    """-2 log L of k events, relative to the SM: ratios (k, P), expected yield (P,), scale (n,)."""

    ratios: np.ndarray
    expected: np.ndarray
    scale: np.ndarray

    def values(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L at points y (S, n): shape (S,)."""
        m = monomials(y * self.scale)
        logs = log_ratio(self.ratios @ m.T).sum(axis=0)
        return np.asarray(2.0 * (m @ self.expected - self.expected[0]) - 2.0 * logs)

    def derivatives(self, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return -2 log L, its gradient (n,) and its Hessian (n, n) at one point y (n,)."""
        c = y * self.scale
        m, slope = monomials(c), monomial_gradient(c)
        r = self.ratios @ m
        above = r > FLOOR
        inverse = 1.0 / np.where(above, r, FLOOR)
        effective = self.expected - inverse @ self.ratios
        d = (self.ratios @ slope.T) * (above * inverse)[:, None]
        value = 2.0 * (m @ self.expected - self.expected[0]) - 2.0 * float(log_ratio(r).sum())
        hessian = 2.0 * (2.0 * unpack(effective)[1:, 1:] + d.T @ d)
        return float(value), 2.0 * slope @ effective * self.scale, hessian * np.outer(self.scale, self.scale)


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum: where (n,), -2 log L there, whether it has converged, and the Hessian (n, n)."""

    y: np.ndarray
    value: float
    converged: bool
    hessian: np.ndarray


def descend(toy: Toy, start: np.ndarray, free: np.ndarray) -> Minimum:
    """Return the minimum reached from y (n,) when only the coefficients of index `free` vary."""
    y = start.copy()
    value, gradient, hessian = toy.derivatives(y)
    kicked = False
    for _ in range(STEPS):
        g, h = gradient[free], hessian[np.ix_(free, free)]
        values, vectors = np.linalg.eigh(h)
        step = -(vectors / np.maximum(np.abs(values), _SOFTEST)) @ (vectors.T @ g)
        if -g @ step < GOAL:
            if values[0] >= _SADDLE or kicked:
                return Minimum(y, value, bool(values[0] >= _SADDLE), hessian)
            step, kicked = _off_the_saddle(toy, y, free, vectors[:, 0]), True
            y[free] += step
            value, gradient, hessian = toy.derivatives(y)
            continue
        step *= min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
        trial = y.copy()
        for _ in range(30):
            trial[free] = y[free] + step
            new = toy.derivatives(trial)
            if new[0] <= value + 1e-4 * float(g @ step):
                break
            step = 0.5 * step
        else:  # no descent to machine precision
            return Minimum(y, value, bool(-g @ step < 1e-4), hessian)
        y = trial
        value, gradient, hessian = new
    return Minimum(y, value, False, hessian)


def _off_the_saddle(toy: Toy, y: np.ndarray, free: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the step to the lower side of a saddle, along its falling direction."""
    trials = np.repeat(y[None], 2, axis=0)
    trials[0, free] += 0.5 * direction
    trials[1, free] -= 0.5 * direction
    return np.asarray(0.5 * direction * (1.0, -1.0)[int(np.argmin(toy.values(trials)))])


@dataclass(frozen=True, eq=False)
class ToyFit:
    """What a toy says about the true point.

    best: (n,) in units of the scale. joint: rise of -2 log L from the minimum to the true point.
    profiles: (n,), the same with all coefficients but one at their conditional minimum.
    errors: (n,), square roots of 2 H^-1 at the minimum, NaN where H is not positive.
    """

    best: np.ndarray
    joint: float
    profiles: np.ndarray
    errors: np.ndarray
    converged: bool


def fit(toy: Toy, true: np.ndarray, candidates: np.ndarray) -> ToyFit:
    """Fit a toy made at y = true (n,): freely, and with each coefficient fixed there in turn.

    candidates: (S, n) further starts, of which the lowest are taken.
    """
    n = len(true)
    everything = np.arange(n)
    minimum = _lowest(toy, true, candidates, everything)
    conditional = []
    for i in everything if n > 1 else ():
        starts = np.concatenate([candidates, minimum.y[None]])
        starts[:, i] = true[i]
        conditional.append(_lowest(toy, true, starts, np.delete(everything, i)))
    below = min(conditional, key=lambda m: m.value, default=minimum)
    if below.value < minimum.value - GOAL:
        minimum = min(minimum, descend(toy, below.y, everything), key=lambda m: m.value)
    at_truth = float(toy.values(true[None])[0])
    joint = at_truth - minimum.value
    profiles = [m.value - minimum.value for m in conditional] if n > 1 else [joint]
    converged = minimum.converged and all(m.converged for m in conditional)
    return ToyFit(minimum.y, joint, np.array(profiles), _errors(minimum.hessian), converged)


def _lowest(toy: Toy, true: np.ndarray, candidates: np.ndarray, free: np.ndarray) -> Minimum:
    """Return the lowest minimum reached from the true point and from the lowest other candidates."""
    found = [descend(toy, true, free)]
    if len(candidates):
        values = toy.values(candidates)
        for k in np.argsort(values):
            if len(found) > _MORE:
                break
            near = any(np.abs(candidates[k, free] - m.y[free]).max() < 0.5 for m in found)
            if not near:
                found.append(descend(toy, candidates[k], free))
    converged = [m for m in found if m.converged]
    return min(converged or found, key=lambda m: m.value)


def _errors(hessian: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(hessian)
    if values[0] <= 1e-6 * max(values[-1], 1e-300):
        return np.full(len(values), np.nan)
    return np.asarray(np.sqrt(2.0 * (vectors**2 / values).sum(axis=1)))
