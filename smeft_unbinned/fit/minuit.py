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
from .provenance import provenance
from .result import FitResult


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
    names = likelihood.operators
    origin = np.array(as_point(start or {}, names), dtype=float)
    value = float(likelihood.m2logl(origin))
    if not np.isfinite(value):
        raise InputError(f"-2 log L is {value} at the start point {dict(zip(names, origin, strict=True))}; move it")
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
    covariance, messages = _covariance(likelihood, best)
    if not minuit.valid:
        messages.append(f"Minuit did not converge: edm {minuit.fmin.edm:.2g}, goal {minuit.fmin.edm_goal:.2g}")
    if count := likelihood.non_positive(best):
        messages.append(f"{count} events have a ratio that is not positive at the best fit")
    valid = bool(minuit.valid) and np.isfinite(covariance).all()

    def intervals(level: float) -> pd.DataFrame:
        return _minos(minuit, names, scale, level)

    stored = {}
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
        m2logl=float(minuit.fval or 0.0),
        valid=bool(valid),
        messages=tuple(messages),
        stored_intervals=stored,
        provenance=provenance(likelihood, ("iminuit", "numpy", "scipy"), strategy=strategy, start=dict(start or {})),
        interval_function=intervals if minuit.valid else None,
    )


def _descend(likelihood: Likelihood, origin: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the minimum that a trust-region Newton method reaches from the start, where H is positive.

    A likelihood with quadratic terms need not be convex at the start, and Minuit's own steps fail there.
    """
    found = optimize.minimize(
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
            scale[i] = _distance(likelihood, origin, i, name)
    return np.asarray(scale)


def _distance(likelihood: Likelihood, origin: np.ndarray, i: int, name: str) -> float:
    steps = 2.0 ** np.arange(-20, 40)
    points = np.repeat(origin[None], 2 * steps.size, axis=0)
    points[:, i] += np.concatenate([steps, -steps])
    change = np.abs(likelihood.m2logl(points) - likelihood.m2logl(origin)).reshape(2, -1).max(axis=0)
    reached = np.flatnonzero(change > 1.0)
    if reached.size == 0:
        raise InputError(
            f"no dataset constrains {name}: -2 log L does not depend on it; fix it or remove it from the fit"
        )
    return float(steps[reached[0]])


def _covariance(likelihood: Likelihood, best: np.ndarray) -> tuple[np.ndarray, list[str]]:
    hessian = likelihood.hessian(best)
    d = np.sqrt(np.abs(np.diag(hessian)))
    values, vectors = np.linalg.eigh(hessian / np.outer(d, d))
    if values[0] <= 1e-10:
        direction = vectors[:, 0] / d
        direction /= np.abs(direction).max()
        terms = zip(direction, likelihood.operators, strict=True)
        text = " ".join(f"{x:+.2g} {n}" for x, n in terms if abs(x) > 0.05)
        return np.full_like(hessian, np.nan), [f"no dataset constrains the direction {text}: a flat direction"]
    return 2.0 * np.linalg.inv(hessian), []


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
