"""Contours of two parameters: of the profile likelihood, and of the density of posterior samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from ..errors import InputError, brief
from ..likelihood import Likelihood
from ..progress import Rate, progress_bar
from ..quantiles import chi2_quantile
from .conditional import conditional, known_minima
from .level_curves import level_curves
from .result import FitResult, check_level
from .trace import Plane

KINDS = ("profile", "posterior")
_SAMPLES = 20_000
_GRID = 81


def contour(
    likelihood: Likelihood,
    a: str,
    b: str,
    levels: Sequence[float] = (0.68, 0.95),
    *,
    result: FitResult | None = None,
    kind: str = "profile",
    progress: bool = False,
) -> dict[float, list[pd.DataFrame]]:
    """Return by level the closed curves around the region of two parameters.

    A region may have several curves: islands around further minima, and holes. Each curve is a frame of the
    columns a and b whose last row is the first one again.

    kind "profile": -2 log L, with the other parameters at their minimum, is higher than at the best fit by
        the quantile of chi2 with two degrees of freedom (5.99 at 95%). The curve is followed from where eight
        rays from each known minimum meet it; points are moved along the gradient until they lie on it.
    kind "posterior": the region of highest density that holds the fraction of the samples, by a Gaussian
        kernel estimate; its smoothing widens a curve by about n^(-1/3)/2, 2% for 10,000 samples.
    result: the fit of the likelihood, with its minima or samples; one by `minimise` is made for a profile.
    Raises InputError for unknown names, a level outside (0, 1), a result without samples for "posterior", and
    where a region is not bounded.
    """
    for level in levels:
        check_level(level)
    if kind not in KINDS:
        raise InputError(f"kind is one of {', '.join(KINDS)}, got {brief(kind)}")
    if a == b:
        raise InputError(f"a contour needs two different parameters, got {a} twice")
    if kind == "posterior":
        return {float(x): _posterior(result, a, b, float(x)) for x in levels}
    result, minima = known_minima(likelihood, result)
    function = conditional(likelihood, [a, b], result)
    known = function.coordinates(minima)
    found: dict[float, list[pd.DataFrame]] = {}
    with progress_bar(progress) as bar:
        task, rate = bar.add_task(f"contour of {a}, {b}", total=None, note=""), Rate()

        def tell(points: int) -> None:
            rate.calls = function.evaluations
            bar.update(task, note=f"{points} points, {rate}")

        for level in levels:
            plane = Plane(function, known, float(chi2_quantile(level, 2)))
            curves = plane.curves(tell)
            found[float(level)] = [pd.DataFrame(c * function.scale[:2], columns=[a, b]) for c in curves]
    return found


def _posterior(result: FitResult | None, a: str, b: str, level: float) -> list[pd.DataFrame]:
    samples = None if result is None else result.samples
    if samples is None:
        raise InputError("a posterior contour needs a result with samples; fit with laplace or ultranest")
    for name in (a, b):
        if name not in samples or samples[name].nunique() < 2:
            raise InputError(
                f"the result has no samples of {name!r} that vary; it has {', '.join(map(str, samples))}"
            )
    points = samples[[a, b]].to_numpy(float)
    points = points[:: max(1, -(-len(points) // _SAMPLES))].T
    density = scipy.stats.gaussian_kde(points)
    pad = 4 * np.sqrt(np.diag(density.covariance))[:, None]
    x, y = np.linspace(points.min(axis=1) - pad[:, 0], points.max(axis=1) + pad[:, 0], _GRID).T
    grid = np.stack(np.meshgrid(x, y, indexing="ij"))
    z = density(grid.reshape(2, -1)).reshape(_GRID, _GRID)
    threshold = float(np.quantile(density(points[:, : _GRID * _GRID]), 1 - level))
    return [pd.DataFrame(curve, columns=[a, b]) for curve in level_curves(x, y, z, threshold)]
