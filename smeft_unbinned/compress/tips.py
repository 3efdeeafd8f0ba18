"""The tips of the region: the largest and the smallest value of each operator below several heights.

They are the ends of the profile intervals of a fit, and a random sample of a region of many dimensions comes
near none of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from ..likelihood import Likelihood
from .region import Region, principal_axes, values

Real = NDArray[np.float64]
_HEIGHTS = (0.04, 0.16, 0.36, 0.64, 1.0)
"""Parts of the rise: 1, 2, 3, 4 and 5 standard deviations for a rise of 25."""
_OPTIONS = {"maxiter": 60, "ftol": 1e-6}


def tips(function: Likelihood, scale: Real, region: Region, rise: float) -> Real:
    """Return points (10 n, n) at the tips, found by ascent from the extreme points of the sample."""
    heights = values(function, region.points) - region.lowest
    axes = scale[:, None] * principal_axes(region.points / scale)
    best = region.best[0]
    found = []
    for height in np.multiply(rise, _HEIGHTS):
        inside = np.concatenate([region.points[heights < height], region.best[:1]])
        for i in range(len(scale)):
            for sign in (1.0, -1.0):
                start = inside[np.argmax(sign * inside[:, i])]
                found.append(extreme(function, axes, best, start, i, sign, region.lowest + height))
    return np.array(found)


def extreme(
    function: Likelihood, axes: Real, best: Real, start: Real, i: int, sign: float, limit: float
) -> Real:
    """Return where c_i is largest (sign 1) or smallest (-1) with -2 log L below the limit, or the start."""
    direction = sign * axes[i] / np.linalg.norm(axes[i])
    bound = {
        "type": "ineq",
        "fun": lambda y: limit - float(function.m2logl(best + axes @ y)),
        "jac": lambda y: -axes.T @ np.asarray(function.gradient(best + axes @ y)),
    }
    slsqp: Any = scipy.optimize.minimize
    first = np.linalg.solve(axes, start - best)
    found = slsqp(
        lambda y: -float(direction @ y),
        first,
        jac=lambda y: -direction,
        constraints=bound,
        method="SLSQP",
        options=_OPTIONS,
    )
    end = best + axes @ found.x
    usable = np.isfinite(end).all() and float(function.m2logl(end)) < limit + 0.1
    return np.asarray(end if usable else start)
