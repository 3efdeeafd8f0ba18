"""What is found out about a likelihood before it is sampled: the prior, and where its minima are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from ..constraints import check_bounds
from ..errors import InputError, NonPositiveRatio
from ..likelihood import Likelihood
from .minuit import minimise
from .nested_focus import Focus, focus
from .prior import Prior
from .result import FitResult

PRIOR_SIGMAS = 8.0
"""Half-width of the default prior box in units of the Hesse errors."""
HOPELESS = 10.0
"""Standard deviations that the best point inside the prior may be off the minimum."""


@dataclass
class Search:
    """The prior of a likelihood, and on demand the coordinates in which to sample it."""

    likelihood: Likelihood
    prior: Prior
    rotate: bool
    fit: FitResult | None

    def coordinates(self) -> tuple[Focus | None, str, tuple[str, ...]]:
        """Return the map of the unit cube, or None and the reason why there is none, and messages.

        Raises InputError for a prior that excludes the minimum by more than HOPELESS standard deviations.
        """
        if not self.rotate:
            return None, "rotate is off", ()
        if self.fit is None:
            try:
                self.fit = minimise(self.likelihood, levels=())
            except (InputError, NonPositiveRatio) as error:
                return None, f"no minimum: {error}", ()
        names = self.likelihood.parameters
        covariance = self.fit.covariance.to_numpy()
        best = np.array([self.fit.best[n] for n in names])
        minima = [best]
        if self.fit.minima is not None:
            minima += list(self.fit.minima[list(names)].to_numpy()[1:])
        if not np.isfinite(self.prior.log_density(best[None])[0]):
            message = _excluded(self.likelihood, self.prior, minima) if self.fit.valid else ()
            return None, "the minimum is outside the prior", message
        found = focus(self.likelihood, self.prior, minima, covariance)
        return found, "" if found else "principal axes would be no gain", ()


def search(likelihood: Likelihood, bounds: Mapping[str, tuple[float, float]], rotate: bool) -> Search:
    """Return the prior in the given ranges by name, and where none is given, in those around the best fit.

    Raises InputError for ranges that are empty or of no parameter, and where one is needed and not given.
    """
    check_bounds(bounds, likelihood.parameters)
    constraints = {n: likelihood.constraints[n] for n in likelihood.nuisances}
    loose = [n for n, pair in constraints.items() if pair is None and n not in bounds]
    if loose:
        raise InputError(
            f"no prior is given for the nuisance {', '.join(loose)}: it has no constraint; give bounds"
        )
    missing = [name for name in likelihood.operators if name not in bounds]
    fit = None
    if missing:
        fit = minimise(likelihood, levels=())
        if not (fit.valid and np.isfinite(fit.errors).all()):
            raise InputError(
                f"no prior range is given for {', '.join(missing)} and none can be guessed "
                f"({'; '.join(fit.messages)}); give bounds"
            )
        half = PRIOR_SIGMAS * fit.errors
        bounds = {**{n: (fit.best[n] - half[n], fit.best[n] + half[n]) for n in missing}, **bounds}
    return Search(likelihood, Prior.of(likelihood.parameters, bounds, constraints), rotate, fit)


def _excluded(likelihood: Likelihood, prior: Prior, minima: Sequence[np.ndarray]) -> tuple[str, ...]:
    """Return what to say about a prior without the minimum; InputError if nothing near it is left."""
    best = minima[0]
    value = float(likelihood.m2logl(best))
    lower, upper = prior.support()
    scale = upper - lower
    least = np.inf
    search: Any = scipy.optimize.minimize
    for point in [*minima, (lower + upper) / 2]:
        found = search(
            lambda y: float(likelihood.m2logl(y * scale)) - value,
            np.clip(point, lower, upper) / scale,
            jac=lambda y: np.asarray(likelihood.gradient(y * scale)) * scale,
            method="L-BFGS-B",
            bounds=list(zip(lower / scale, upper / scale, strict=True)),
        )
        least = min(least, float(found.fun))
    names = [n for n, x, a, b in zip(prior.names, best, lower, upper, strict=True) if not a <= x <= b]
    where = "; ".join(
        f"{n} is {best[i]:.4g} there and its range [{lower[i]:.4g}, {upper[i]:.4g}]"
        for i, n in enumerate(prior.names)
        if n in names
    )
    if least > HOPELESS**2:
        raise InputError(
            f"the prior excludes the minimum of -2 log L: {where}; the best point inside is higher by "
            f"{least:.3g}, more than {HOPELESS:g} standard deviations; widen the range of {', '.join(names)}"
        )
    return (f"the minimum of -2 log L is outside the prior: {where}; the best inside is {least:.2g} higher",)
