"""Importance sampling around the minima of -2 log L: posterior samples and evidence from few calls.

The proposal is a mixture of slightly widened t distributions with the covariances 2 H^-1 of the minima. Where
it does not fit, it is adapted to its own weighted draws (population Monte Carlo, arXiv:0710.4242): shares,
means and covariances of its components move to the moments of the posterior, and it draws anew. How well
it fits is measured: the effective sample size of the weights and the shape of their tail (arXiv:1507.02646).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

from ..errors import InputError
from ..likelihood import Likelihood
from ..progress import Rate, progress_bar
from .box import all_bounds, inside, log_volume, make_prior
from .minuit import minimise
from .options import Sampling, SamplingOptions
from .prior import Prior
from .proposal import Proposal, effective_size, resample, tail_shape
from .provenance import counters, provenance
from .result import FitResult
from .sampled import OUTSIDE, sampled

if TYPE_CHECKING:
    from typing_extensions import Unpack

NEAR = 40.0
"""Rise of -2 log L up to which a minimum gets a component of the proposal."""
ROUNDS = 3
"""Rounds of draws at most: the first from the minima, further ones from adapted proposals."""
ENOUGH = 0.4
"""Effective share of draws with which a round is the last one."""
LEAST, LEAST_SHARE = 100.0, 0.01
"""Effective sample size, and its share of the draws, that a valid result needs."""
WORST_SHAPE, NO_TAIL = 0.7, 0.5
"""Largest shape of the tail of the weights; none matters where draws are this much effective."""
_BATCH = 256


def laplace(
    likelihood: Likelihood,
    *,
    n_samples: int = 5_000,
    draws: int | None = None,
    **options: Unpack[SamplingOptions],
) -> FitResult:
    """Sample a posterior that is nearly Gaussian, or a sum of such peaks, by importance sampling.

    The prior is that of `sample`: flat in a box, a constrained nuisance with its constraint as prior.

    n_samples: posterior samples of equal weight, drawn from the weighted ones with replacement.
    draws: evaluations of -2 log L per round, of one to three rounds; default twice n_samples.
    options: bounds, seed and progress, see `SamplingOptions`.
    `provenance` has "ess", Kish's effective sample size, "pareto_k", the shape of the tail of the weights,
    and "rounds", the effective sizes of all rounds. Below an ess of 100 or one percent of the draws, and
    with a shape above 0.7 unless half the draws are effective, the result is not valid, and a message names
    other methods. A peak that the minimiser did not find and no draw met is seen by none of these.
    Raises InputError where -2 log L has no positive curvature at its minimum, and for ranges as `sample`.
    """
    chosen = Sampling(**options)
    seed, draws = chosen.seed, 2 * n_samples if draws is None else draws
    if n_samples < 1 or draws < 10 or seed < 0:
        raise InputError(
            f"n_samples must be positive, draws at least 10 and seed not negative; got {n_samples}, {draws} "
            f"and {seed}"
        )
    before = counters(likelihood)
    ranges = all_bounds(likelihood, chosen.bounds)
    fit = minimise(likelihood, levels=())
    target = _Target(likelihood, make_prior(likelihood, ranges, fit), float(fit.m2logl))
    proposal = start(likelihood, fit, target.prior)
    rng = np.random.default_rng(seed)
    rounds: list[_Draws] = []
    with progress_bar(chosen.progress) as bar:
        for number in range(ROUNDS):
            rounds.append(_draw(target, proposal, rng, draws, bar, f"importance sampling {number + 1}"))
            if rounds[-1].ess >= ENOUGH * draws or number == ROUNDS - 1:
                break
            proposal = adapted(proposal, rounds[-1].points, rounds[-1].weights)
    used = max(rounds, key=lambda r: r.ess)
    return _result(likelihood, fit, target, used, rounds, rng, n_samples, seed, before)


@dataclass(frozen=True)
class _Target:
    """Log of data likelihood times prior, up to the constant `offset`, in batches."""

    likelihood: Likelihood
    prior: Prior
    lowest: float

    @property
    def offset(self) -> float:
        return log_volume(self.prior) - 0.5 * self.lowest

    def log_density(self, points: np.ndarray, bar: Progress, text: str) -> np.ndarray:
        """Return it at points (n, p), (n,): -inf outside of the ranges and where it is not finite."""
        values = np.full(len(points), -np.inf)
        allowed = np.flatnonzero(inside(self.prior, points))
        rate, task = Rate(), bar.add_task(text, total=allowed.size, note="")
        for first in range(0, allowed.size, _BATCH):
            batch = allowed[first : first + _BATCH]
            found = np.asarray(self.likelihood.m2logl(points[batch]))
            values[batch] = np.where(np.isfinite(found), -0.5 * (found - self.lowest), -np.inf)
            rate.add(batch.size)
            bar.update(task, advance=batch.size, note=str(rate))
        return values


@dataclass(frozen=True)
class _Draws:
    """Points (n, p), weights (n,) of mean one but for a factor exp(log_mean), best point, number of calls."""

    points: np.ndarray
    weights: np.ndarray
    log_mean: float
    best: np.ndarray
    calls: int

    @property
    def ess(self) -> float:
        return effective_size(self.weights)


def _draw(
    target: _Target, proposal: Proposal, rng: np.random.Generator, n: int, bar: Progress, text: str
) -> _Draws:
    points = proposal.draw(rng, n)
    values = target.log_density(points, bar, text)
    logs = values - proposal.log_density(points)
    best, calls = points[np.argmax(values)], int(inside(target.prior, points).sum())
    if not np.isfinite(logs).any():
        return _Draws(points, np.zeros(n), -np.inf, best, calls)
    weights = np.exp(logs - logs.max())
    log_mean = float(logs.max() + np.log(weights.mean()))
    return _Draws(points, weights / weights.mean(), log_mean, best, calls)


def start(likelihood: Likelihood, fit: FitResult, prior: Prior) -> Proposal:
    """Return the mixture around the lowest minimum of a fit and those in the box not far above it.

    Raises InputError where the lowest one has no covariance.
    """
    if not np.isfinite(fit.covariance.to_numpy()).all():
        raise InputError(
            "-2 log L has no positive curvature at its minimum, so there is no Gaussian to sample from "
            f"({'; '.join(fit.messages)}); use sample or nuts"
        )
    names = list(likelihood.parameters)
    points = [np.array([fit.best[n] for n in names])]
    covariances = [fit.covariance.to_numpy()]
    if fit.minima is not None:
        near = fit.minima[fit.minima["m2logl"] < fit.minima["m2logl"].min() + NEAR]
        others = near[names].to_numpy()[1:]
        for point in others[inside(prior, others)]:
            covariance = _covariance(likelihood, point)
            if covariance is not None:
                points.append(point)
                covariances.append(covariance)
    where, spread = np.array(points), np.array(covariances)
    logs = -0.5 * np.asarray(likelihood.m2logl(where)) + 0.5 * np.linalg.slogdet(spread)[1]
    shares = np.exp(logs - logs.max())
    return Proposal.around(where, spread, 0.9 * shares / shares.sum() + 0.1 / len(points))


def _covariance(likelihood: Likelihood, point: np.ndarray) -> np.ndarray | None:
    """Return 2 H^-1 at a point, or None where H is not positive definite."""
    hessian = np.asarray(likelihood.hessian(point))
    diagonal = np.diag(hessian)
    if not (np.isfinite(hessian).all() and (diagonal > 0).all()):
        return None
    scale = 1.0 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    if values[0] <= 1e-10:
        return None
    root = scale[:, None] * vectors / np.sqrt(values)
    return np.asarray(2.0 * root @ root.T)


def adapted(proposal: Proposal, points: np.ndarray, weights: np.ndarray) -> Proposal:
    """Return the proposal moved to the moments of weighted draws (n, p).

    Weights are cut at sqrt(n) times their mean, lest a few draws decide. A covariance is the mean of that of
    the draws and the old one, in proportion to the effective number of draws of the component and twice the
    number of parameters; a component with fewer draws stays as it is.
    """
    n, p = points.shape
    w = np.minimum(weights, np.sqrt(n) * weights.mean())
    if not w.sum() > 0:
        return proposal
    total = proposal.log_density(points)
    pairs = list(zip(proposal.components[::2], proposal.components[1::2], strict=True))
    locations, covariances, shares = [], [], []
    for component in pairs:
        logs = [c.log_density(points) + np.log(c.probability) for c in component]
        own = w * np.exp(np.logaddexp(*logs) - total)
        size = effective_size(own)
        location, covariance = component[0].location, component[0].root @ component[0].root.T
        if size > 2 * p:
            share = own / own.sum()
            location = share @ points
            away = points - location
            found = (away * share[:, None]).T @ away
            covariance = (size * found + 2 * p * covariance) / (size + 2 * p)
        locations.append(location)
        covariances.append(covariance)
        shares.append(max(own.sum() / w.sum(), 0.01))
    return Proposal.around(np.array(locations), np.array(covariances), np.array(shares))


def _result(
    likelihood: Likelihood, fit: FitResult, target: _Target, used: _Draws, rounds: list[_Draws],
    rng: np.random.Generator, n_samples: int, seed: int, before: tuple[int, int],
) -> FitResult:  # fmt: skip
    names, prior, n = list(likelihood.parameters), target.prior, len(used.weights)
    if not used.ess > 0:
        raise InputError(
            "the posterior vanishes at all draws around the minimum: the prior box excludes it; widen the "
            "ranges, or use sample"
        )
    share = used.weights / used.weights.sum()
    centre = share @ used.points
    away = used.points - centre
    covariance = (away * share[:, None]).T @ away
    free = used.points[resample(rng, used.weights, n_samples)]
    shape = tail_shape(used.weights)
    messages = []
    poor = used.ess < max(LEAST, LEAST_SHARE * n) or (shape > WORST_SHAPE and used.ess < NO_TAIL * n)
    if poor:
        messages.append(
            f"importance sampling is poor: effective sample size {used.ess:.0f} of {n} draws, tail of the "
            f"weights {shape:.2f} (below {WORST_SHAPE} is fine); the posterior is not near the Gaussians of "
            "the minima: use sample (ultranest) or nuts"
        )
    best = np.array([fit.best[name] for name in names])
    if not bool(inside(prior, best)):
        messages.append(OUTSIDE)
        best = used.best
    return sampled(
        likelihood,
        free,
        best,
        covariance,
        cut=prior.cut(free),
        messages=messages,
        before=before,
        method="laplace",
        valid=fit.valid and not poor,
        logz=used.log_mean + target.offset,
        logz_error=float(np.sqrt(max(1.0 / used.ess - 1.0 / n, 0.0))),
        minima=fit.minima,
        provenance=provenance(
            likelihood, ("numpy", "scipy", "iminuit"), seed=seed, n_samples=n_samples, draws=n,
            ess=used.ess, pareto_k=shape, rounds=[r.ess for r in rounds],
            ncall=sum(r.calls for r in rounds), prior=prior.record(),
        ),
    )  # fmt: skip
