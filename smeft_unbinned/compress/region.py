"""The region that matters: where -2 log L lies within a given distance of its minimum, in all operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..datasets import Dataset
from ..errors import InputError
from ..fit.descent import Scaled, descend, minima
from ..likelihood import Likelihood

Real = NDArray[np.float64]
_WALKERS = 1024
_STEPS = 60
_LENGTHS = (0.3, 0.7, 1.0, 1.5)
_FAR = 2.0**30
_CHUNK = 1024


@dataclass(frozen=True)
class Region:
    """lowest: the minimum of -2 log L. best: the minima inside, (J, n). points: a sample of it, (K, n)."""

    lowest: float
    best: Real
    points: Real


def principal_axes(points: Real) -> Real:
    """Return the axes of the spread of points (K, n), a standard deviation long, in columns, (n, n)."""
    variance, vectors = np.linalg.eigh(np.atleast_2d(np.cov(points.T)))
    return np.asarray(vectors * np.sqrt(np.maximum(variance, 1e-12 * variance[-1])))


def values(function: Dataset | Likelihood, points: Real) -> Real:
    """Return -2 log L at many points (K, n), in parts that bound the memory, (K,)."""
    parts = [function.m2logl(points[i : i + _CHUNK]) for i in range(0, len(points), _CHUNK)]
    return np.concatenate([np.asarray(part, dtype=float) for part in parts])


def scales(function: Likelihood) -> Real:
    """Return the distance from the SM at which -2 log L changes by about one, of each operator alone, (n,).

    Raises InputError for an operator that -2 log L does not depend on.
    """
    n = len(function.operators)
    diagonal = np.diag(function.hessian(np.zeros(n)))
    scale = np.sqrt(2.0 / np.where(diagonal > 0, diagonal, np.inf))
    for i, name in enumerate(function.operators):
        axis = np.eye(n)[i]
        change = np.abs(values(function, np.outer((scale[i], -scale[i]), axis)))
        if 0.05 < change.max() < 20.0:
            continue
        steps = 2.0 ** np.arange(-30, 31)
        change = np.abs(values(function, np.outer(np.concatenate([steps, -steps]), axis)))
        reached = np.flatnonzero(change.reshape(2, -1).max(axis=0) > 1.0)
        if not reached.size:
            raise InputError(
                f"-2 log L does not depend on {name}, and the region to be kept has no end; take {name} out "
                "with restrict()"
            )
        scale[i] = steps[reached[0]]
    return np.asarray(scale)


def guess(function: Likelihood, scale: Real, rise: float, count: int, rng: np.random.Generator) -> Real:
    """Return points (count, n) that fill the ellipsoid in which -2 log L rises by `rise` to second order."""
    n = len(scale)
    curvature, vectors = np.linalg.eigh(function.hessian(np.zeros(n)) * np.outer(scale, scale))
    z = rng.normal(size=(count, n))
    z *= rng.uniform(size=(count, 1)) ** (1 / n) / np.linalg.norm(z, axis=1, keepdims=True)
    return np.asarray(z * np.sqrt(2 * rise / np.maximum(np.abs(curvature), 1e-2)) @ vectors.T * scale)


def explore(
    function: Likelihood, scale: Real, rise: float, count: int, rng: np.random.Generator, inner: float = 0.5
) -> Region:
    """Return the minima of -2 log L, and `count` points that fill the region around all of them.

    The points are those of an ensemble of walkers with uniform density below minimum + rise, started at every
    minimum; the part `inner` of them is moved towards the nearest minimum by a random factor.
    Raises InputError where -2 log L does not rise enough in some direction.
    """
    scaled = Scaled(function, scale)
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # in a trust region that has shrunk to nothing at a minimum
        found = np.array(minima(scaled, np.zeros(len(scale))))
    heights = values(function, found * scale)
    lowest = float(heights.min())
    limit = lowest + rise
    found = found[heights < limit]
    _check_end(scaled, found, limit)
    collected = _walk(scaled, _start(scaled, found, limit, rise, rng), limit, rng)
    chosen = collected[rng.permutation(len(collected))[:count]]
    moved = chosen[: int(inner * len(chosen))]
    nearest = found[np.argmin(((moved[:, None] - found) ** 2).sum(axis=-1), axis=1)]
    closer = nearest + rng.uniform(size=(len(moved), 1)) * (moved - nearest)
    if len(moved):
        inside = values(function, closer * scale) < limit
        moved[inside] = closer[inside]
    return Region(lowest, found * scale, chosen * scale)


def bottoms(function: Likelihood, scale: Real, starts: Real) -> Real:
    """Return the minima of -2 log L that are reached from points (J, n), (J, n)."""
    with np.errstate(over="ignore", invalid="ignore"):  # in a trust region that has shrunk to nothing
        return np.array([descend(Scaled(function, scale), c / scale) * scale for c in starts])


def _start(scaled: Scaled, found: Real, limit: float, rise: float, rng: np.random.Generator) -> Real:
    """Return positions of the walkers around the minima, each drawn in until it lies below the limit."""
    n, home = found.shape[1], np.arange(_WALKERS) % len(found)
    away = rng.normal(size=(_WALKERS, n))
    away *= rng.uniform(size=(_WALKERS, 1)) / np.linalg.norm(away, axis=1, keepdims=True)
    for j, y in enumerate(found):
        curvature, vectors = np.linalg.eigh(scaled.hessian(y))
        width = np.sqrt(2 * rise / np.maximum(curvature, 1e-3 * max(float(curvature[-1]), 1e-3)))
        away[home == j] = away[home == j] * width @ vectors.T
    for _ in range(60):
        outside = values(scaled.likelihood, (found[home] + away) * scaled.scale) >= limit
        if not outside.any():
            break
        away[outside] *= 0.5
    return np.asarray(found[home] + away)


def _check_end(scaled: Scaled, found: Real, limit: float) -> None:
    for y in found:
        vectors = np.linalg.eigh(scaled.hessian(y))[1].T
        ends = np.concatenate([y + _FAR * vectors, y - _FAR * vectors])
        inside = values(scaled.likelihood, ends * scaled.scale) < limit
        if inside.any():
            direction = vectors[int(np.argmax(inside)) % len(vectors)] * scaled.scale
            terms = zip(direction / np.abs(direction).max(), scaled.likelihood.operators, strict=True)
            text = " ".join(f"{x:+.2g} {name}" for x, name in terms if abs(x) > 0.01)
            raise InputError(
                f"-2 log L does not rise far enough along {text}, and the region to be kept has no end; take "
                "an operator out with restrict()"
            )


def _walk(scaled: Scaled, walkers: Real, limit: float, rng: np.random.Generator) -> Real:
    """Return positions of walkers whose density becomes uniform below the limit.

    A step of one half of the walkers is along the difference of two of the other half, so that the steps have
    the shape of the region.
    """
    kept, half = [], len(walkers) // 2
    for step in range(_STEPS):
        order = rng.permutation(len(walkers))
        for move, other in ((order[:half], order[half:]), (order[half:], order[:half])):
            difference = walkers[rng.choice(other, half)] - walkers[rng.choice(other, half)]
            proposal = walkers[move] + rng.choice(_LENGTHS, size=(half, 1)) * difference
            inside = values(scaled.likelihood, proposal * scaled.scale) < limit
            walkers[move[inside]] = proposal[inside]
        if step >= _STEPS // 2:
            kept.append(walkers.copy())
    return np.concatenate(kept)
