"""The size of a step of each parameter alone at which -2 log L changes by about one."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..likelihood import Likelihood

_NO_CURVATURE = 1e4
"""Rise of -2 log L at a distance where the curvature promises one, from which the latter is rounding."""


def scales(likelihood: Likelihood, origin: np.ndarray) -> np.ndarray:
    """Return the size of a one-sigma step of each coefficient alone, from the curvature at the start.

    Where the curvature is not positive (a purely quadratic dependence, say) the step is the distance at which
    -2 log L has changed by one, found by doubling.
    """
    diagonal = np.diag(likelihood.hessian(origin))
    scale = np.sqrt(2.0 / np.where(diagonal > 0, diagonal, np.inf))
    rise = likelihood.m2logl(origin + np.diag(scale)) - likelihood.m2logl(origin)  # one by the curvature
    for i, name in enumerate(likelihood.parameters):
        if scale[i] == 0 or diagonal[i] <= 1e-12 * max(diagonal.max(), 1e-300) or not rise[i] < _NO_CURVATURE:
            distance = _distance(likelihood, origin, np.eye(len(origin))[i], 2.0 ** np.arange(-20, 40))
            if distance is None:
                raise InputError(
                    f"no dataset constrains {name}: -2 log L does not depend on it; "
                    "fix it or remove it from the fit"
                )
            scale[i] = distance
    return np.asarray(scale)


def _distance(
    likelihood: Likelihood, origin: np.ndarray, direction: np.ndarray, steps: np.ndarray
) -> float | None:
    """Return the first of the steps along a direction at which -2 log L has changed by one, if any."""
    points = origin + np.concatenate([steps, -steps])[:, None] * direction
    change = np.abs(likelihood.m2logl(points) - likelihood.m2logl(origin)).reshape(2, -1).max(axis=0)
    reached = np.flatnonzero(change > 1.0)
    return float(steps[reached[0]]) if reached.size else None
