"""Prior of a likelihood as a normalised density: what turns -2 log L into an integrand of the evidence.

The constraint of a nuisance is a term of -2 log L, less its value at theta = 0. As a prior it is a normalised
Gaussian, cut to the range of the nuisance if there is one. So, inside the ranges,

    log(L_data(p) prior(p)) = -(-2 log L(p))/2 + `log_volume`,

with the same evidence as that of nested sampling, in which constraints are priors.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import special

from ..constraints import check_bounds
from ..errors import InputError
from ..likelihood import Likelihood
from .prior import Prior
from .result import FitResult

SIGMAS = 8.0
"""Half-width of a range that nobody gave, in errors of the fit around its best point."""


def all_bounds(
    likelihood: Likelihood, bounds: Mapping[str, tuple[float, float]] | None
) -> dict[str, tuple[float, float]]:
    """Return the ranges of the likelihood, replaced where others are given; InputError as `check_bounds`."""
    if not isinstance(bounds or {}, Mapping):
        raise InputError(f"bounds must be a mapping {{name: (lower, upper)}}, got {bounds!r}")
    ranges = {**likelihood.bounds, **(bounds or {})}
    check_bounds(ranges, likelihood.parameters)
    return ranges


def make_prior(
    likelihood: Likelihood, bounds: Mapping[str, tuple[float, float]], fit: FitResult | None = None
) -> Prior:
    """Return the prior: flat in the ranges, constraints of nuisances as Gaussians.

    fit: around whose best point coefficients without a range get one of eight errors to each side; without
        it, they stay without a range. Raises InputError where neither gives one.
    """
    constraints = {n: likelihood.constraints[n] for n in likelihood.nuisances}
    loose = [n for n, pair in constraints.items() if pair is None and n not in bounds]
    if loose and fit is not None:
        raise InputError(
            f"no prior is given for the nuisance {', '.join(loose)}: it has no constraint; give bounds"
        )
    missing = [n for n in likelihood.operators if n not in bounds]
    if missing and fit is not None:
        half = SIGMAS * fit.errors
        if not np.isfinite(half[missing]).all():
            raise InputError(
                f"no prior range is given for {', '.join(missing)} and none can be guessed "
                f"({'; '.join(fit.messages)}); give bounds"
            )
        bounds = {**{n: (fit.best[n] - half[n], fit.best[n] + half[n]) for n in missing}, **bounds}
    return Prior.of(likelihood.parameters, bounds, constraints)


def log_volume(prior: Prior) -> float:
    """Return what to add to -(-2 log L)/2 for log(data likelihood x prior); -inf without ranges."""
    flat = prior.flat
    total = -float(np.sum(np.log((prior.upper - prior.lower)[flat])))
    pull = prior.centre[~flat] / prior.error[~flat]
    total -= float(np.sum(0.5 * pull**2 + np.log(np.sqrt(2 * np.pi) * prior.error[~flat])))
    low, high = (
        special.ndtr((x - prior.centre)[~flat] / prior.error[~flat]) for x in (prior.lower, prior.upper)
    )
    return total - float(np.sum(np.log(high - low)))


def inside(prior: Prior, points: np.ndarray) -> np.ndarray:
    """Return which points (n, p) lie in all ranges, (n,)."""
    return np.asarray(np.all((points >= prior.lower) & (points <= prior.upper), axis=-1))


def outside_share(prior: Prior, best: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return the probability outside the range of each parameter, (p,), of a Gaussian without the ranges."""
    return np.asarray(
        special.ndtr((prior.lower - best) / errors) + special.ndtr((best - prior.upper) / errors)
    )
