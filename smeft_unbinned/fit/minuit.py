"""Minimisation by Minuit with our gradient, and profile intervals.

Newton's method descends from several starts (`descent`), and Minuit confirms the best minimum. Both see
dimensionless coordinates, c_i divided by its error in the quadratic approximation at the start, so that
coefficients of any size converge alike. Minuit gets no limits and no fixed parameters (those are taken out
before), because an analytic second derivative together with either gives wrong errors silently.
The covariance is 2 H^-1 with our own Hessian H of -2 log L at the minimum. Profile intervals are solved for
with both derivatives (`profile`), and by MINOS where that fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from iminuit import Minuit
from scipy import stats

from ..errors import InputError
from ..likelihood import Likelihood
from ..polynomial import as_point
from .descent import Scaled, minima
from .profile import end_near, interval_end
from .provenance import caveats, counters, met, nuisances_in, provenance, pulls
from .result import FitResult, check_level

_NO_CURVATURE = 1e4
"""Rise of -2 log L at a distance where the curvature promises one, from which the latter is rounding."""


def minimise(
    likelihood: Likelihood,
    *,
    start: Mapping[str, float] | None = None,
    levels: Sequence[float] = (0.68, 0.95),
    strategy: int = 0,
) -> FitResult:
    """Return the best fit, its covariance, and profile intervals at the given levels.

    Nuisance parameters are fitted with the coefficients; `likelihood.profiled()` takes them out of the fit.

    start: coefficients in TeV^-2, and nuisances, where the search begins; default the SM. Further starts lie
        where -2 log L falls again along one coefficient; other minima found are named in `messages`.
    levels: confidence levels whose intervals are stored; others are computed on demand. An interval is the
        connected one around the best fit.
    Raises InputError when -2 log L is not finite at the start and when a direction is not constrained at all.
    A fit that does not converge comes back with valid=False and the reason in `messages`.
    """
    for level in levels:
        check_level(level)
    names, before = likelihood.parameters, counters(likelihood)
    origin = np.array(as_point(start or {}, names), dtype=float)
    value = float(likelihood.m2logl(origin))
    if not np.isfinite(value):
        at = ", ".join(f"{n} = {x:g}" for n, x in zip(names, origin, strict=True))
        raise InputError(f"-2 log L is {value} at the start point ({at}); choose another start")
    scale = scales(likelihood, origin)
    function = Scaled(likelihood, scale)
    found = minima(function, origin / scale)
    minuit = Minuit(function.value, found[0], grad=function.gradient, name=names)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.strategy = strategy
    minuit.migrad(ncall=20_000)
    best = np.array(minuit.values) * scale
    covariance, flat, messages = _covariance(likelihood, best, scale)
    if not minuit.valid:
        edm, goal = minuit.fmin.edm, minuit.fmin.edm_goal
        messages.append(f"Minuit did not converge: edm {edm:.2g}, goal {goal:.2g}")
    if np.isfinite(covariance).all():  # else the minima form a valley, not points
        messages += _others(function, found, max([*levels, 0.95]))
    if count := likelihood.non_positive(best):
        messages.append(f"{count} events have a ratio that is not positive at the best fit")

    def intervals(level: float) -> pd.DataFrame:
        return _intervals(function, minuit, covariance, level, found[1:])

    stored: dict[float, pd.DataFrame] = {}
    if minuit.valid:
        stored = {float(level): intervals(level) for level in levels}
        for level, table in stored.items():
            failed = [str(n) for n in table.index[table.isna().any(axis=1)]]
            if failed:
                messages.append(f"found no {level:.0%} interval for {', '.join(failed)}")
    values = {k: float(v) for k, v in likelihood.coefficients(best).items()}
    frame = pd.DataFrame(covariance, index=list(names), columns=list(names))
    errors = pd.Series(np.sqrt(np.diag(frame)), index=frame.index)
    messages += [*pulls(likelihood, values, errors), *met(likelihood, before)]
    return FitResult(
        method="minuit",
        best=values,
        covariance=frame,
        m2logl=float(likelihood.m2logl(best)),
        valid=bool(minuit.valid) and not flat,
        messages=(*messages, *caveats(likelihood)),
        stored_intervals=stored,
        provenance=provenance(
            likelihood,
            ("iminuit", "numpy", "scipy"),
            strategy=strategy,
            start={n: float(x) for n, x in zip(names, origin, strict=True)},
        ),
        interval_function=intervals if minuit.valid else None,
        nuisances=tuple(n for n in nuisances_in(likelihood) if n in values),
    )


def _others(function: Scaled, found: list[np.ndarray], level: float) -> list[str]:
    """Return what to say about further minima that an interval at this level would have to reach."""
    rise = [function.value(y) - function.value(found[0]) for y in found[1:]]
    near = [y for y, r in zip(found[1:], rise, strict=True) if r < stats.chi2.ppf(level, 1)]
    if not near:
        return []
    point = near[0] * function.scale
    terms = zip(function.likelihood.parameters, point, strict=True)
    text = ", ".join(f"{n} = {x:.3g}" for n, x in terms)
    return [
        f"{len(near)} more minima within {level:.0%}, the lowest at {text} "
        f"(-2 log L higher by {rise[0]:.2g}): an interval is the connected one around the best fit"
    ]


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


def _covariance(
    likelihood: Likelihood, best: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, bool, list[str]]:
    """Return the covariance at the minimum, whether a direction is flat, and what is to be said about it.

    Without positive curvature the covariance is NaN. That alone is no flat direction: with -2 log L of fourth
    order (an operator that enters only squared, in Asimov data) profile intervals are as good as ever.
    """
    hessian = likelihood.hessian(best)
    if not np.isfinite(hessian).all():
        message = "-2 log L falls without end: its second derivatives where the search ended are not finite"
        return np.full_like(hessian, np.nan), True, [message]
    least = np.sqrt(2.0) / scale
    d = np.sqrt(np.abs(np.diag(hessian)))
    d = np.where(d > 1e-4 * least, d, least)
    values, vectors = np.linalg.eigh(hessian / np.outer(d, d))
    if values[0] > 1e-10:
        return 2.0 * np.linalg.inv(hessian), False, []
    direction = vectors[:, 0] / d
    flat = _distance(likelihood, best, direction, 2.0 ** np.arange(-10, 11)) is None
    direction /= direction[np.argmax(np.abs(direction))]
    terms = zip(direction, likelihood.parameters, strict=True)
    text = " ".join(f"{x:+.2g} {n}" for x, n in terms if abs(x) > 0.05)
    if flat:
        message = f"no dataset constrains the direction {text}: a flat direction; fix one of these"
    else:
        message = f"the curvature vanishes along {text}: no covariance there, use the profile intervals"
    return np.full_like(hessian, np.nan), flat, [message]


def _intervals(
    function: Scaled, minuit: Minuit, covariance: np.ndarray, level: float, others: Sequence[np.ndarray]
) -> pd.DataFrame:
    """Return the profile intervals at a level: columns lower and upper, NaN where none is found.

    The lowest -2 log L at a given coefficient may lie near another minimum than the best fit; an interval
    around such a minimum that overlaps with the one around the best fit is part of it.
    """
    best, scale = np.array(minuit.values), function.scale
    scaled = covariance / np.outer(scale, scale)
    if not np.isfinite(scaled).all():  # no curvature somewhere: start from the sizes of single coefficients
        scaled, others = np.eye(len(scale)), ()
    delta = float(stats.chi2.ppf(level, 1))
    rows: dict[str, list[float]] = {}
    for i, name in enumerate(function.likelihood.parameters):
        ends = [interval_end(function, best, scaled, i, sign, delta) for sign in (-1.0, 1.0)]
        if None in ends:
            near = _minos(minuit, name, level)
            polished = [
                None if y is None else end_near(function, best, i, sign, delta, y)
                for y, sign in zip(near, (-1.0, 1.0), strict=True)
            ]
            ends = [
                next((y for y in choices if y is not None), None)
                for choices in zip(ends, polished, near, strict=True)
            ]
        joined = [np.nan if end is None else end for end in ends]
        for lower, upper in sorted(_around(function, best, others, i, delta)):
            if lower <= joined[1] and upper >= joined[0]:
                joined = [min(lower, joined[0]), max(upper, joined[1])]
        rows[name] = [end * scale[i] for end in joined]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["lower", "upper"])
    frame.attrs["method"] = "profile likelihood"
    return frame


def _around(
    function: Scaled, best: np.ndarray, others: Sequence[np.ndarray], i: int, delta: float
) -> list[tuple[float, float]]:
    """Return the intervals of one coefficient around other minima, at a height delta above the best one."""
    found = []
    for y in others:
        rest = delta - (function.value(y) - function.value(best))
        hessian = function.hessian(y)
        if rest <= 0 or np.linalg.eigvalsh(hessian)[0] <= 0:
            continue
        lower, upper = (
            interval_end(function, y, 2.0 * np.linalg.inv(hessian), i, sign, rest) for sign in (-1.0, 1.0)
        )
        if lower is not None and upper is not None:
            found.append((lower, upper))
    return found


def _minos(minuit: Minuit, name: str, level: float) -> list[float | None]:
    minuit.strategy = 1
    try:
        minuit.minos(name, cl=level)
    except RuntimeError:  # Minuit gives up: no interval, said in the result
        return [None, None]
    error, value = minuit.merrors[name], minuit.values[name]
    lower = value + error.lower if error.lower_valid else None
    return [lower, value + error.upper if error.upper_valid else None]
