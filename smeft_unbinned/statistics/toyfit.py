"""Fits of many toys: Newton's method on -2 log L, started where the minimum is expected and wherever it is
low.

Coordinates are y = c/scale, with scale about the errors to be expected. A step is -|H|^-1 g with the absolute
eigenvalues of the Hessian H, so that it leads away from saddles, cut to a length of two and halved until
-2 log L falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

STEPS = 60
GOAL = 1e-7
"""Decrement of -2 log L that the next step promises, at which a fit has converged."""
_SOFTEST = 1e-3
_LONGEST = 2.0
_SADDLE = -1e-3
_MORE = 2
_PARABOLIC = 0.2


class Function(Protocol):
    """-2 log L of one toy in n scaled coordinates."""

    def values(self, y: np.ndarray) -> np.ndarray:
        """Return -2 log L at points y (S, n): shape (S,)."""

    def derivatives(self, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return -2 log L, its gradient (n,) and its Hessian (n, n) at one point y (n,)."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum: where (n,), -2 log L there, whether it has converged, and the Hessian (n, n)."""

    y: np.ndarray
    value: float
    converged: bool
    hessian: np.ndarray


def descend(toy: Function, start: np.ndarray, free: np.ndarray) -> Minimum:
    """Return the minimum reached from y (n,) when only the coordinates of index `free` vary."""
    y = start.copy()
    value, gradient, hessian = toy.derivatives(y)
    kicked = False
    for _ in range(STEPS):
        g, h = gradient[free], hessian[np.ix_(free, free)]
        if not (np.isfinite(g).all() and np.isfinite(h).all()):
            break
        values, vectors = np.linalg.eigh(h)
        step = -(vectors / np.maximum(np.abs(values), _SOFTEST)) @ (vectors.T @ g)
        if -g @ step < GOAL:
            if not values.size or values[0] >= _SADDLE or kicked:
                return Minimum(y, value, bool(not values.size or values[0] >= _SADDLE), hessian)
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


def _off_the_saddle(toy: Function, y: np.ndarray, free: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the step to the lower side of a saddle, along its falling direction."""
    trials = np.repeat(y[None], 2, axis=0)
    trials[0, free] += 0.5 * direction
    trials[1, free] -= 0.5 * direction
    return np.asarray(0.5 * direction * (1.0, -1.0)[int(np.argmin(toy.values(trials)))])


@dataclass(frozen=True, eq=False)
class ToyFit:
    """What a toy says about the true point, in k coefficients and n - k nuisances after them.

    best: (n,) in units of the scale. value: -2 log L there.
    joint: rise of -2 log L from the minimum to the true coefficients, minimised over the nuisances.
    profiles: (k,), the same with one coefficient at its true value and everything else at its minimum.
    errors: (n,), square roots of 2 H^-1 at the minimum, NaN where H is not positive.
    """

    best: np.ndarray
    value: float
    joint: float
    profiles: np.ndarray
    errors: np.ndarray
    converged: bool


def fit(toy: Function, true: np.ndarray, candidates: np.ndarray, coefficients: int | None = None) -> ToyFit:
    """Fit a toy made at y = true (n,): freely, and with each coefficient fixed there in turn.

    candidates: (S, n) further starts, of which the lowest are taken; none for a -2 log L with one minimum.
    coefficients: how many of the coordinates, the first ones, are coefficients; default all. The others are
        nuisances, free everywhere.
    """
    n = len(true)
    k = n if coefficients is None else coefficients
    everything = np.arange(n)
    minimum = lowest(toy, true, candidates, everything)
    conditional = []
    for i in range(k) if n > 1 else ():
        starts = np.concatenate([candidates, minimum.y[None], true[None]]) if len(candidates) else candidates
        starts[:, i] = true[i]
        conditional.append(lowest(toy, _conditional(minimum, true, i), starts, np.delete(everything, i)))
    below = min(conditional, key=lambda m: m.value, default=minimum)
    if below.value < minimum.value - GOAL:
        minimum = min(minimum, descend(toy, below.y, everything), key=lambda m: m.value)
    converged = minimum.converged and all(m.converged for m in conditional)
    if k < n:
        start = minimum.y.copy()
        start[:k] = true[:k]
        at_truth = descend(toy, start, everything[k:])
        joint, converged = at_truth.value - minimum.value, converged and at_truth.converged
    else:
        joint = float(toy.values(true[None])[0]) - minimum.value
    profiles = [m.value - minimum.value for m in conditional] if n > 1 else [joint]
    return ToyFit(minimum.y, minimum.value, joint, np.array(profiles), errors(minimum.hessian), converged)


def _conditional(minimum: Minimum, true: np.ndarray, i: int) -> np.ndarray:
    """Return where the others are to be expected with coordinate i at its true value: the parabola's minimum.

    Where the Hessian does not tell, that is the true point.
    """
    others = np.delete(np.arange(len(true)), i)
    h = minimum.hessian
    try:
        np.linalg.cholesky(h[np.ix_(others, others)])
        shift = np.linalg.solve(h[np.ix_(others, others)], h[others, i]) * (minimum.y[i] - true[i])
    except np.linalg.LinAlgError:
        return true
    y = true.copy()
    y[others] = minimum.y[others] + np.clip(shift, -_LONGEST, _LONGEST)
    return y


def lowest(toy: Function, first: np.ndarray, candidates: np.ndarray, free: np.ndarray) -> Minimum:
    """Return the lowest minimum reached from a first start (n,) and from the lowest candidates (S, n)."""
    found = [descend(toy, first, free)]
    if len(candidates):
        values = toy.values(candidates)
        for k in np.argsort(values):
            if len(found) > _MORE:
                break
            if not any(_of_basin(m, candidates[k], values[k], free) for m in found):
                found.append(descend(toy, candidates[k], free))
    converged = [m for m in found if m.converged]
    return min(converged or found, key=lambda m: m.value)


def _of_basin(m: Minimum, y: np.ndarray, value: float, free: np.ndarray) -> bool:
    """Whether y (n,) is near a minimum, or -2 log L there is what the parabola of the minimum says."""
    away = (y - m.y)[free]
    if np.abs(away).max(initial=0.0) < 0.5:
        return True
    rise = 0.5 * float(away @ m.hessian[np.ix_(free, free)] @ away)
    return m.converged and abs(value - m.value - rise) < _PARABOLIC * (rise + 0.5)


def errors(hessian: np.ndarray) -> np.ndarray:
    """Return the square roots of the diagonal of 2 H^-1, (n,), NaN for an H (n, n) that is not positive."""
    if not np.isfinite(hessian).all():
        return np.full(len(hessian), np.nan)
    values, vectors = np.linalg.eigh(hessian)
    if values[0] <= 1e-6 * max(values[-1], 1e-300):
        return np.full(len(values), np.nan)
    return np.asarray(np.sqrt(2.0 * (vectors**2 / values).sum(axis=1)))


def pull_summary(pulls: np.ndarray) -> dict[str, float]:
    """Return mean, its error, and spread of the finite ones of pulls (T,)."""
    pulls = pulls[np.isfinite(pulls)]
    nothing = {"mean_pull": np.nan, "mean_pull_error": np.nan, "pull_spread": np.nan}
    if not pulls.size:
        return nothing
    spread = float(pulls.std())
    return {
        "mean_pull": float(pulls.mean()),
        "mean_pull_error": spread / pulls.size**0.5,
        "pull_spread": spread,
    }
