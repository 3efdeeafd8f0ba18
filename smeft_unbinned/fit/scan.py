"""Curves of -2 log L along one parameter, the others at their minimum, or the other coefficients at zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import InputError, brief
from ..likelihood import Likelihood
from ..progress import Rate, progress_bar
from .conditional import Conditional, conditional, known_minima
from .contour import contour
from .result import FitResult

__all__ = ["contour", "scan"]

KINDS = ("profile", "individual")
REACH = 3.5
"""How far a scan goes beyond the outermost minimum, in errors."""
_NEAR = 9.0
"""Height over the best fit up to which a minimum widens the scan."""
_LOWER = 1e-7


def scan(
    likelihood: Likelihood,
    name: str,
    points: int | Sequence[float] = 41,
    *,
    result: FitResult | None = None,
    kind: str = "profile",
    progress: bool = False,
) -> pd.DataFrame:
    """Return -2 log L along one parameter: columns value, m2logl, delta, converged, and the others by name.

    kind: "profile" has all other parameters at their minimum for each value. The search starts from every
        known minimum, moved along with the value, for all values at once, and from what was found at the
        neighbouring values, until nothing falls any more: a curve that belongs to another minimum in part is
        the lowest of all. "individual" has the other coefficients at zero, nuisances at their minimum.
    points: the values, in TeV^-2 for coefficients, or how many, equally spaced over 3.5 errors beyond the
        minima that lie within Delta = 9.
    result: the fit of the likelihood, with its minima; made here if it is not given. For "individual" that
        of `likelihood.only([name])`.
    m2logl is relative to the SM, and delta to the lowest value, of the curve and the known minima.
    Raises InputError for an unknown name or kind, and for values that are not finite.
    """
    if kind not in KINDS:
        raise InputError(f"kind is one of {', '.join(KINDS)}, got {brief(kind)}")
    if kind == "individual":
        likelihood = likelihood.only([name])
    result, minima = known_minima(likelihood, result)
    function = conditional(likelihood, [name], result)
    known = function.coordinates(minima)
    heights = function.m2logl(known)
    values = _values(points, function, known[heights < heights.min() + _NEAR])
    held = values[:, None] / function.scale[0]
    with progress_bar(progress) as bar:
        task, rate = bar.add_task(f"scan of {name}", total=len(known) + 1, note=""), Rate()
        others, lowest = np.zeros((len(held), len(function.others))), np.full(len(held), np.inf)
        converged = np.zeros(len(held), dtype=bool)
        state = (others, lowest, converged)
        for point in known:
            start = function.along(point, held, function.covariance(point))
            _improve(function, held, start, np.arange(len(held)), state)
            rate.calls = function.evaluations
            bar.update(task, advance=1, note=str(rate))
        _sweep(function, held, state)
        bar.update(task, advance=1)
    frame = pd.DataFrame({"value": values, "m2logl": lowest})
    frame["delta"] = lowest - min(lowest.min(), float(heights.min()))
    frame["converged"] = converged
    rest = pd.DataFrame(others * function.scale[1:], columns=list(function.others))
    frame = pd.concat([frame, rest], axis=1)
    frame.attrs |= {"name": name, "kind": kind}
    return frame


def _values(points: int | Sequence[float], function: Conditional, near: np.ndarray) -> np.ndarray:
    """Return the values to scan, sorted; near: minima (m, p) that have to be in the range."""
    if isinstance(points, (int, np.integer)):
        if points < 2:
            raise InputError(f"a scan needs at least two points, got {points}")
        ends = []
        for point in near:
            half = REACH * np.sqrt(function.covariance(point)[0, 0])
            ends += [point[0] - half, point[0] + half]
        return np.asarray(np.linspace(min(ends), max(ends), int(points)) * function.scale[0])
    values = np.array(points, dtype=float)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"the values of a scan must be finite numbers, got {brief(points)}")
    return np.unique(values)


State = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Others (B, p - 1), -2 log L (B,) and whether it is a minimum (B,) of all points; changed in place."""


def _improve(
    function: Conditional, held: np.ndarray, start: np.ndarray, where: np.ndarray, state: State
) -> np.ndarray:
    """Search from start (b, p - 1) at the points `where` (b,); return those that fell, (m,)."""
    others, lowest, converged = state
    theta, value, done = function.minimum(held[where], start)
    fell = value < lowest[where] - _LOWER
    others[where[fell]], lowest[where[fell]] = theta[fell], value[fell]
    converged[where[fell]] = done[fell]
    return np.asarray(where[fell])


def _sweep(function: Conditional, held: np.ndarray, state: State) -> None:
    """Search at every point from the minimum of its neighbours, and again beside those that fell."""
    if not function.others:
        return
    count = len(held)
    fresh = np.arange(count)
    for _ in range(count):
        fell = []
        for step in (-1, 1):
            source = fresh[(fresh + step >= 0) & (fresh + step < count)]
            if source.size:
                fell.append(_improve(function, held, state[0][source], source + step, state))
        fresh = np.unique(np.concatenate(fell)) if fell else fresh[:0]
        if not fresh.size:
            return
