"""Intervals from -2 log L on a grid of one coefficient, for estimators that are no polynomials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, stats

Real = NDArray[np.float64]


def grid_intervals(
    grid: Real, values: Real, levels: tuple[float, ...] = (0.68, 0.95)
) -> dict[float, tuple[float, float]]:
    """Return by level the interval around the lowest point of a cubic spline of values (G,) at grid (G,).

    Ends are where -2 log L has risen by the quantile of chi2 with one degree of freedom; NaN where that is
    beyond the grid.
    """
    spline = interpolate.CubicSpline(grid, values)
    inner = [x for x in np.atleast_1d(spline.derivative().roots(extrapolate=False)) if np.isfinite(x)]
    best = min([*inner, float(grid[0]), float(grid[-1])], key=lambda x: float(spline(x)))
    found = {}
    for level in levels:
        height = float(spline(best)) + float(stats.chi2.ppf(level, 1))
        ends = np.atleast_1d(spline.solve(height, extrapolate=False))
        below, above = ends[ends < best], ends[ends > best]
        found[level] = (
            float(below.max()) if below.size else float("nan"),
            float(above.min()) if above.size else float("nan"),
        )
    return found
