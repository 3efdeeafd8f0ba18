"""Minimisation by Minuit with our gradient, and profile intervals by MINOS.

Minuit sees dimensionless coordinates, c_i divided by its error in the quadratic approximation at the start,
so that coefficients of any size converge alike. It gets no limits and no fixed parameters (those are taken
out before), because an analytic second derivative together with either gives wrong errors silently.
The covariance is 2 H^-1 with our own Hessian H of -2 log L at the minimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from iminuit import Minuit
from scipy import optimize

from ..errors import InputError
from ..likelihood import Likelihood
from ..polynomial import as_point
from .provenance import caveats, provenance
from .result import FitResult, check_level


def minimise(
    likelihood: Likelihood,
    *,
    start: Mapping[str, float] | None = None,
    levels: Sequence[float] = (0.68, 0.95),
    strategy: int = 1,
) -> FitResult:
    """Return the best fit, its covariance, and profile (MINOS) intervals at the given levels.

    start: coefficients in TeV^-2 where the search begins; default the SM.
    levels: confidence levels whose intervals are stored; others are computed on demand.
    Raises InputError when -2 log L is not finite at the start and when a direction is not constrained at all.
    A fit that does not converge comes back with valid=False and the reason in `messages`.
    """
    for level in levels:
        check_level(level)
    names = likelihood.operators
    origin = np.array(as_point(start or {}, names), dtype=float)
    value = float(likelihood.m2logl(origin))
    if not np.isfinite(value):
        at = ", ".join(f"{n} = {x:g}" for n, x in zip(names, origin, strict=True))
        raise InputError(f"-2 log L is {value} at the start point ({at}); choose another start")
    scale = _scales(likelihood, origin)
    minuit = Minuit(
        lambda x: float(likelihood.m2logl(x * scale)),
        _descend(likelihood, origin, scale) / scale,
        grad=lambda x: likelihood.gradient(x * scale) * scale,
        name=names,
    )
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.strategy = strategy
    minuit.migrad(ncall=20_000)
    best = np.array(minuit.values) * scale
    covariance, flat, messages = _covariance(likelihood, best, scale)
    if not minuit.valid:
        edm, goal = minuit.fmin.edm, minuit.fmin.edm_goal
        messages.append(f"Minuit did not converge: edm {edm:.2g}, goal {goal:.2g}")
    if count := likelihood.non_positive(best):
        messages.append(f"{count} events have a ratio that is not positive at the best fit")

    def intervals(level: float) -> pd.DataFrame:
        return _minos(minuit, names, scale, level)

    stored: dict[float, pd.DataFrame] = {}
    if minuit.valid:
        stored = {float(level): intervals(level) for level in levels}
        for level, frame in stored.items():
            failed = [str(n) for n in frame.index[frame.isna().any(axis=1)]]
            if failed:
                messages.append(f"MINOS found no {level:.0%} interval for {', '.join(failed)}")
    return FitResult(
        method="minuit",
        best={k: float(v) for k, v in likelihood.coefficients(best).items()},
        covariance=pd.DataFrame(covariance, index=list(names), columns=list(names)),
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
    )


def _descend(likelihood: Likelihood, origin: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the minimum that a trust-region Newton method reaches from the start, where H is positive.

    A likelihood with quadratic terms need not be convex at the start, and Minuit's own steps fail there.
    """
    newton: Any = optimize.minimize
    found = newton(
        lambda x: float(likelihood.m2logl(x * scale)),
        origin / scale,
        jac=lambda x: likelihood.gradient(x * scale) * scale,
        hess=lambda x: likelihood.hessian(x * scale) * np.outer(scale, scale),
        method="trust-exact",
        options={"gtol": 1e-6, "maxiter": 500},
    )
    return np.asarray(found.x * scale)


def _scales(likelihood: Likelihood, origin: np.ndarray) -> np.ndarray:
    """Return the size of a one-sigma step of each coefficient alone, from the curvature at the start.

    Where the curvature is not positive (a purely quadratic dependence, say) the step is the distance at which
    -2 log L has changed by one, found by doubling.
    """
    diagonal = np.diag(likelihood.hessian(origin))
    scale = np.sqrt(2.0 / np.where(diagonal > 0, diagonal, np.inf))
    for i, name in enumerate(likelihood.operators):
        if scale[i] == 0 or diagonal[i] <= 1e-12 * max(diagonal.max(), 1e-300):
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
    least = np.sqrt(2.0) / scale
    d = np.sqrt(np.abs(np.diag(hessian)))
    d = np.where(d > 1e-6 * least, d, least)
    values, vectors = np.linalg.eigh(hessian / np.outer(d, d))
    if values[0] > 1e-10:
        return 2.0 * np.linalg.inv(hessian), False, []
    direction = vectors[:, 0] / d
    flat = _distance(likelihood, best, direction, 2.0 ** np.arange(-10, 11)) is None
    direction /= direction[np.argmax(np.abs(direction))]
    terms = zip(direction, likelihood.operators, strict=True)
    text = " ".join(f"{x:+.2g} {n}" for x, n in terms if abs(x) > 0.05)
    if flat:
        message = f"no dataset constrains the direction {text}: a flat direction; fix one of these"
    else:
        message = f"the curvature vanishes along {text}: no covariance there, use the profile intervals"
    return np.full_like(hessian, np.nan), flat, [message]


def _minos(minuit: Minuit, names: Sequence[str], scale: np.ndarray, level: float) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(names):
        try:
            minuit.minos(name, cl=level)
        except RuntimeError:  # Minuit gives up: no interval, said in the result
            rows[name] = {"lower": np.nan, "upper": np.nan}
            continue
        error = minuit.merrors[name]
        lower = error.lower if error.lower_valid else np.nan
        upper = error.upper if error.upper_valid else np.nan
        rows[name] = {
            "lower": (minuit.values[name] + lower) * scale[i],
            "upper": (minuit.values[name] + upper) * scale[i],
        }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["lower", "upper"])
    frame.attrs["method"] = "profile (MINOS)"
    return frame
