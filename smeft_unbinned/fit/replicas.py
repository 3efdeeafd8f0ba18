"""Fits of all networks of an ensemble at once: how far a result moves from network to network.

A likelihood is made of the mean (or median) polynomial of M networks. Here each network has one of its own,
see `networks`, and minima and interval ends of all M are found together by Newton's method. The spread of the
M results is the uncertainty of one network; that of their mean is smaller by about sqrt(M), as far as the
networks are independent. What all networks have in common, a training sample or inputs that lack something,
is in neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..datasets.protocol import Dataset
from ..errors import InputError, brief
from ..likelihood import Likelihood
from ..newton import minimise_over
from ..quantiles import chi2_quantile
from .minuit import minimise, scales
from .network_ends import Scaled, interval_ends
from .networks import ReplicaLikelihood
from .provenance import counters, met
from .result import FitResult, check_level

OF = ("network", "mean")
"""Whose uncertainty is added to a result: that of a single network, or of the mean of all."""
_STILL = 1e-6
"""Slope, and negative curvature, in units of the errors, below which a point is a minimum."""
_NO_CURVATURE = 1e-10
"""Curvature over the largest one, in units of the errors, from which a direction may be flat."""
_FAR = 2.0 ** np.arange(-10, 11)
"""Distances at which such a direction is looked at."""


@dataclass(frozen=True, eq=False)
class ReplicaFits:
    """The fits of M networks; coefficients in TeV^-2, nuisances in their own units.

    best: (M, p), a row per network and a column per free parameter. m2logl: (M,), relative to the SM.
    converged: (M,). ends: (M, 2 p) by level, columns (parameter, "lower" or "upper"), NaN where not found.
    messages: which networks did not converge or have no interval, and what else is worth knowing.
    datasets: names of those whose networks these are.
    """

    best: pd.DataFrame
    m2logl: pd.Series
    converged: pd.Series
    ends: Mapping[float, pd.DataFrame]
    messages: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    @property
    def members(self) -> int:
        """Number of networks."""
        return len(self.best)

    @property
    def network_covariance(self) -> pd.DataFrame:
        """Covariance (p, p) of the best fits over the networks that converged: that of a single network."""
        return self.best[self.converged].cov()

    @property
    def mean_covariance(self) -> pd.DataFrame:
        """Covariance (p, p) of the fit of the mean of M independent networks, to first order: 1/M of that."""
        return self.network_covariance / int(self.converged.sum())

    def band(self, level: float = 0.95, confidence: float = 0.68) -> pd.DataFrame:
        """Return between what the interval ends of single networks lie, a row per parameter.

        Columns lower, upper: medians over the networks. Columns lower_from, lower_to, upper_from, upper_to
        enclose the central share `confidence` of them. Networks without an end do not count.
        Raises InputError for a level without ends and for a confidence outside (0, 1).
        """
        check_level(level)
        check_level(confidence)
        found = [frame for stored, frame in self.ends.items() if abs(stored - level) < 1e-9]
        if not found:
            have = ", ".join(f"{x:g}" for x in self.ends) or "none"
            raise InputError(
                f"no ends at level {level:g} (have: {have}); ask for it in fit_replicas(levels=...)"
            )
        shares = {"": 0.5, "_from": 0.5 - 0.5 * confidence, "_to": 0.5 + 0.5 * confidence}
        rows = {
            f"{end}{suffix}": found[0].xs(end, axis=1, level=1).quantile(share)
            for end in ("lower", "upper")
            for suffix, share in shares.items()
        }
        return pd.DataFrame(rows).loc[list(self.best.columns)]


def fit_replicas(
    likelihood: Likelihood | Sequence[Dataset],
    result: FitResult | None = None,
    *,
    levels: Sequence[float] = (0.68, 0.95),
) -> ReplicaFits:
    """Return the fits of every network of an ensemble, with profile intervals at the given levels.

    likelihood: or its datasets, see `ReplicaLikelihood`.
    result: the fit of the central polynomials, where all searches begin; default `minimise(likelihood)`.
        Every network is followed in this minimum; others that -2 log L may have are not looked for.
    Raises InputError where `ReplicaLikelihood` does, and for a central fit that did not converge.
    """
    for level in levels:
        check_level(level)
    networks = ReplicaLikelihood(likelihood if isinstance(likelihood, Likelihood) else Likelihood(likelihood))
    central, names = networks.likelihood, list(networks.parameters)
    result = minimise(central, levels=()) if result is None else result
    missing = [name for name in names if name not in result.best]
    if not result.valid or missing:
        why = f"it has no {', '.join(missing)}" if missing else "it did not converge"
        raise InputError(
            f"the networks are fitted around the result of their mean, but {why}; {_said(result)}"
        )
    start = np.array([result.best[name] for name in names])
    index = np.arange(networks.members)
    everything = networks.of(index)
    before = counters(everything)
    scaled = Scaled(networks, scales(central, start))
    y, found = minimise_over(scaled, index[:, None].astype(float), start / scaled.scale)
    at = np.column_stack([index, y])
    value, curvature = scaled.m2logl(at), scaled.hessian(at)[:, 1:, 1:]
    still = np.abs(scaled.gradient(at)).max(axis=1) < _STILL  # at a minimum without curvature, say
    still &= np.linalg.eigvalsh(curvature)[:, 0] > -_STILL
    flat = _flat(scaled, y, value, curvature)
    converged = (found | still) & ~flat
    frame = pd.DataFrame(y * scaled.scale, columns=names)
    frame.index.name = "network"
    lost, free = index[~converged & ~flat], index[flat]
    messages = [_which(lost, "that did not converge and are left out")] if len(lost) else []
    messages += [_which(free, "that leave a direction unconstrained and are left out")] if len(free) else []
    bad = [m for m in range(len(index)) if networks.of([m]).non_positive(frame.to_numpy()[m])]
    messages += [_which(bad, "with ratios that are not positive at their best fit")] if bad else []
    deltas = chi2_quantile(np.array(levels, dtype=float), 1)
    limits = interval_ends(scaled, y, value, converged, deltas) * scaled.scale[:, None]
    columns = pd.MultiIndex.from_product([names, ["lower", "upper"]])
    ends: dict[float, pd.DataFrame] = {}
    for level, rows in zip(levels, limits, strict=True):
        ends[float(level)] = pd.DataFrame(rows.reshape(len(rows), -1), index=frame.index, columns=columns)
        for i, name in enumerate(names):
            lost = index[converged & np.isnan(rows[:, i]).any(axis=1)]
            messages += [_which(lost, f"without a {level:.0%} interval of {name}")] if len(lost) else []
    return ReplicaFits(
        best=frame,
        m2logl=pd.Series(value, index=frame.index),
        converged=pd.Series(converged, index=frame.index),
        ends=ends,
        messages=(*messages, *met(everything, before)),
        datasets=networks.datasets,
    )


def _flat(function: Scaled, y: np.ndarray, lowest: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """Return which networks, (M,), have a direction at their minimum along which -2 log L hardly changes."""
    values, axes = np.linalg.eigh(curvature)
    flat = np.zeros(len(y), dtype=bool)
    steps = np.concatenate([_FAR, -_FAR])[:, None]
    for m in np.flatnonzero(values[:, 0] <= _NO_CURVATURE * values[:, -1]):
        points = y[m] + steps * axes[m, :, 0]
        rise = function.m2logl(np.column_stack([np.full(len(points), m), points])) - lowest[m]
        flat[m] = np.abs(rise).max() < 1.0
    return flat


def _which(networks: Sequence[int] | np.ndarray, what: str) -> str:
    numbers = ", ".join(str(m) for m in networks[:10])
    more = f" and {len(networks) - 10} more" if len(networks) > 10 else ""
    return f"networks {what}: {numbers}{more}"


def _said(result: FitResult) -> str:
    return "; ".join(result.messages) or "fit the same likelihood first"


def with_network_uncertainty(result: FitResult, fits: ReplicaFits, *, of: str = "network") -> FitResult:
    """Return the result with the covariance of the networks added to its own, and bands of its intervals.

    of: "network" adds the covariance of single networks, "mean" that of their mean, which is 1/M of it.
    `provenance["network"]` holds what was added and the bands by level, see `network_bands`; the intervals
    stay those of the central polynomial. Raises InputError for another choice, for fits of other parameters,
    for fewer than two networks that converged, and for a result that has their uncertainty already.
    """
    if of not in OF:
        raise InputError(f"the uncertainty is of one of {', '.join(OF)}, got {brief(of)}")
    names = list(result.covariance.index)
    missing = [name for name in names if name not in fits.best.columns]
    if missing or "network" in result.provenance:
        why = f"no {', '.join(missing)}" if missing else "been added already"
        raise InputError(f"the fits of the networks have {why}; fit the likelihood of this result")
    count = int(fits.converged.sum())
    if count < 2:
        raise InputError(f"only {count} of {fits.members} networks converged: {'; '.join(fits.messages)}")
    added = (fits.network_covariance if of == "network" else fits.mean_covariance).loc[names, names]
    share = np.sqrt(pd.Series(np.diag(added), index=names)) / result.errors
    whose = "a single network" if of == "network" else f"the mean of {count} networks"
    largest = f", at most {share.max():.2g} of the error of {share.idxmax()}" if share.notna().any() else ""
    record = {
        "networks": fits.members,
        "converged": count,
        "datasets": list(fits.datasets),
        "added": of,
        "parameters": names,
        "covariance": added.to_numpy().tolist(),
        "bands": {f"{x:.10g}": fits.band(x).loc[names].to_dict("index") for x in fits.ends},
    }
    return replace(
        result,
        covariance=result.covariance + added,
        messages=(*result.messages, f"the covariance includes that of {whose}{largest}", *fits.messages),
        provenance={**result.provenance, "network": record},
    )


def network(likelihood: Likelihood, result: FitResult, *, of: str = "network") -> FitResult:
    """Return the result with the uncertainty of the networks: `fit_replicas`, `with_network_uncertainty`."""
    return with_network_uncertainty(result, fit_replicas(likelihood, result), of=of)


def network_bands(result: FitResult) -> dict[float, pd.DataFrame]:
    """Return by level the frames of `ReplicaFits.band` that a result, or its file, holds; none without."""
    bands = result.provenance.get("network", {}).get("bands", {})
    return {float(x): pd.DataFrame.from_dict(rows, orient="index", dtype=float) for x, rows in bands.items()}
