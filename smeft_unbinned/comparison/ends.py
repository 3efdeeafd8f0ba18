"""Ends of intervals with the points at which they are reached, for profiles and for parabolas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..fit.beyond import beyond
from ..fit.design import Design
from ..fit.frames import Scaled
from ..fit.intervals import Branch, around
from ..fit.scales import scales
from ..likelihood import Likelihood
from ..quantiles import chi2_quantile

Real = NDArray[np.float64]
_FLAT = 1e-11
"""Eigenvalue of the scaled Fisher matrix below which a direction is flat."""
_PART = 1e-6


@dataclass(frozen=True, eq=False)
class Piece:
    """One interval of a coefficient: its ends, in TeV^-2, infinite where there is none.

    points: (2, p), all parameters at the two ends, NaN where there is none. slopes: (2,), of -2 log L there.
    """

    lower: float
    upper: float
    points: Real
    slopes: Real


def profile_pieces(
    likelihood: Likelihood, minima: Real, names: Sequence[str], level: float
) -> dict[str, list[Piece]]:
    """Return by name the pieces in which the profile -2 log L is within Delta of its minimum.

    minima: (m, p), all that is known of them. The profile is followed to both sides from each that is low
    enough, and what overlaps is one piece.
    """
    values = np.asarray(likelihood.m2logl(minima))
    target = float(values.min() + chi2_quantile(level, 1))
    function = Scaled(likelihood, scales(likelihood, minima[int(values.argmin())]))
    which = [likelihood.parameters.index(name) for name in names]
    found: dict[str, list[Piece]] = {name: [] for name in names}
    for c in minima[values < target]:
        branch = Branch.at(function, function.inverse(c))
        points = around(function, branch, which, target)[0]
        points = function.point(beyond(function, branch.point, branch.covariance, which, points, target))
        flat: Real = points.reshape(-1, points.shape[-1])
        slopes: Real = np.full(flat.shape, np.nan)
        there = np.isfinite(flat).all(axis=1)
        if there.any():
            slopes[there] = np.asarray(likelihood.gradient(flat[there]))
        for name, i, pair, slope in zip(names, which, points, slopes.reshape(points.shape), strict=True):
            low, high = pair[:, i]
            low, high = (-np.inf if np.isnan(low) else low), (np.inf if np.isnan(high) else high)
            found[name].append(Piece(float(low), float(high), pair, slope[:, i]))
    return {name: united(pieces) for name, pieces in found.items()}


def united(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces with those that overlap joined, from low to high."""
    result: list[Piece] = []
    for piece in sorted(pieces, key=lambda p: p.lower):
        last = result[-1] if result else None
        if last is None or piece.lower > last.upper:
            result.append(piece)
        elif piece.upper > last.upper:
            points = np.stack([last.points[0], piece.points[1]])
            slopes = np.array([last.slopes[0], piece.slopes[1]])
            result[-1] = Piece(last.lower, piece.upper, points, slopes)
    return result


@dataclass(frozen=True, eq=False)
class Solution:
    """Of a linear problem: the best point (p,), its covariance (p, p), which parameters are known (p,)."""

    best: Real
    covariance: Real
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, problem: Design) -> Solution:
        """Return the solution of smallest length where directions have no information."""
        scale = np.where(problem.scale > 0, problem.scale, 1.0)
        left, singular, axes = np.linalg.svd(problem.matrix / scale, full_matrices=False)
        kept = singular**2 > _FLAT * max(float(singular[0]) ** 2, 1e-300)
        inverse = 1.0 / singular[kept]
        root = axes[kept].T * inverse / scale[:, None]
        best = root @ (left.T[kept] @ problem.target)
        known = np.abs((axes[kept] ** 2).sum(axis=0) - 1.0) < _PART
        return cls(best, root @ root.T, known)


def parabola_pieces(
    problem: Design, names: Sequence[str], level: float
) -> tuple[Real, dict[str, list[Piece]]]:
    """Return the best point (p,) of a linear problem, and by name its one interval, exactly.

    A coefficient that takes part in a direction without information has an infinite one.
    """
    solution, rise = Solution.of(problem), float(chi2_quantile(level, 1))
    result = {}
    for name in names:
        i = problem.names.index(name)
        error = float(np.sqrt(solution.covariance[i, i]))
        if not solution.known[i]:
            nowhere = np.full((2, len(solution.best)), np.nan)
            result[name] = [Piece(-np.inf, np.inf, nowhere, np.full(2, np.nan))]
            continue
        step = np.sqrt(rise) * solution.covariance[i] / error
        points, slope = np.stack([solution.best - step, solution.best + step]), 2.0 * np.sqrt(rise) / error
        low, high = points[:, i]
        result[name] = [Piece(float(low), float(high), points, np.array([-slope, slope]))]
    return solution.best, result


def ellipse(problem: Design, pair: tuple[str, str], level: float, count: int = 129) -> Real | None:
    """Return points (count, 2) of the contour of two parameters of a linear problem, None without one."""
    solution, place = Solution.of(problem), [problem.names.index(name) for name in pair]
    if not solution.known[place].all():
        return None
    root = np.linalg.cholesky(solution.covariance[np.ix_(place, place)])
    angle = np.linspace(0.0, 2.0 * np.pi, count)
    circle = np.stack([np.cos(angle), np.sin(angle)]) * np.sqrt(float(chi2_quantile(level, 2)))
    return np.asarray(solution.best[place] + (root @ circle).T)
