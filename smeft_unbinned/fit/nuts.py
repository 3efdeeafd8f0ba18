"""Gradient-based sampling with NUTS (arXiv:1111.4246) through blackjax, for many coefficients.

-2 log L is traced by jax in double precision. Chains run side by side, in coordinates in which the posterior
is near a standard normal (`unbounded`), so that step sizes of order one fit from 1 to 100 parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, require
from ..likelihood import Likelihood
from .box import all_bounds, inside, make_prior
from .chains import Run, run_chains, split_rhat
from .minuit import minimise
from .options import Sampling, SamplingOptions
from .prior import Prior
from .provenance import counters, provenance
from .result import FitResult
from .sampled import OUTSIDE, sampled
from .unbounded import Coordinates

if TYPE_CHECKING:
    from typing_extensions import Unpack

GOOD_RHAT, WORST_RHAT = 1.01, 1.05
"""R-hat above the first is worth a message, above the second the result is not valid."""
LEAST_ESS = 100.0
WORST_DIVERGENT = 0.01


def nuts(
    likelihood: Likelihood,
    *,
    n_samples: int = 4_000,
    warmup: int = 1_000,
    chains: int = 4,
    **options: Unpack[SamplingOptions],
) -> FitResult:
    """Sample the posterior with the no-U-turn sampler; the evidence is not computed.

    The prior of coefficients is flat in their range, and without any limit where they have none.
    Constraints of nuisances are their prior. Every dataset must be traceable by jax, as those of this package
    are.

    n_samples: posterior samples of all chains together; warmup: steps before them, by which each chain finds
        its step size and the variances of its coordinates.
    chains: that start from different points, and from different minima where there are several
        in the ranges.
    options: bounds, seed and progress, see `SamplingOptions`. Results of one seed agree between machines as
        far as jax does.
    `provenance` has "rhat" (rank-normalised, split, arXiv:1903.08008), "ess" by parameter, "divergences" and
    "gradients", the number of gradients of -2 log L. R-hat above 1.05, an effective sample size below 100 or
    more than 1 % of divergent steps make the result invalid.
    Raises InputError without blackjax, for empty ranges, and for a dataset that jax cannot trace.
    """
    jax, blackjax = require("jax", "nuts"), require("blackjax", "nuts")
    chosen = Sampling(**options)
    seed = chosen.seed
    if min(n_samples, warmup, chains) < 1 or n_samples < 4 * chains or not 0 <= seed < 2**32:
        raise InputError(
            "nuts needs at least 4 samples per chain, a step of warm-up, and a seed between 0 and 2^32 - 1; "
            f"got n_samples {n_samples}, warmup {warmup}, chains {chains}, seed {seed}"
        )
    before = counters(likelihood)
    prior = make_prior(likelihood, all_bounds(likelihood, chosen.bounds))
    fit = minimise(likelihood, levels=())
    names = list(likelihood.parameters)
    best = np.array([fit.best[n] for n in names])
    place = Coordinates.at(prior.lower, prior.upper, best, np.asarray(likelihood.hessian(best)))
    minima = best[None] if fit.minima is None else fit.minima[names].to_numpy()
    minima = minima[inside(prior, minima)] if inside(prior, minima).any() else best[None]
    starts = place.backward(minima[np.arange(chains) % len(minima)])
    moved = starts + np.random.default_rng(seed).normal(size=starts.shape)
    starts = np.where(inside(prior, place.forward(moved)[0])[:, None], moved, starts)
    with _float64(jax):
        run = run_chains(
            _log_density(jax, likelihood, place, prior),
            starts,
            seed=seed,
            warmup=warmup,
            steps=-(-n_samples // chains),
            progress=chosen.progress,
        )
        c = place.forward(run.points)[0]
        effective = np.asarray(blackjax.diagnostics.effective_sample_size(jax.numpy.asarray(c)))
    return _result(likelihood, fit, prior_record=prior.record(), cut=prior.cut, allowed=inside(prior, best),
                   c=c, run=run, ess=effective, n_samples=n_samples, before=before,
                   settings={"seed": seed, "warmup": warmup, "chains": chains})  # fmt: skip


def _float64(jax: Any) -> AbstractContextManager[Any]:
    """Return a context in which jax computes in double precision, whatever holds outside of it."""
    enable = getattr(jax, "enable_x64", None)
    if enable is None:
        from jax import experimental

        enable = experimental.enable_x64
    context: AbstractContextManager[Any] = enable(True)
    return context


def _log_density(jax: Any, likelihood: Likelihood, place: Coordinates, prior: Prior) -> Callable[[Any], Any]:
    """Return the log of the posterior density of z (p,), -inf outside the ranges and where not finite."""
    xp = jax.numpy

    def log_density(z: Any) -> Any:
        c, jacobian = place.forward(z)
        value = jacobian - 0.5 * likelihood.m2logl(c)
        allowed = xp.all((c >= prior.lower) & (c <= prior.upper)) & xp.isfinite(value)
        return xp.where(allowed, value, -xp.inf)

    start = jax.numpy.zeros(len(likelihood.parameters))
    try:
        jax.eval_shape(jax.grad(log_density), start)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError, TypeError) as error:
        listing = ", ".join(d.name for d in likelihood.datasets)
        raise InputError(
            f"jax cannot trace -2 log L of the datasets {listing} ({type(error).__name__}): their m2logl "
            "must use the array API only; use sample or laplace"
        ) from error
    return log_density


def _result(
    likelihood: Likelihood, fit: FitResult, *, prior_record: dict[str, Any],
    cut: Callable[[np.ndarray], list[str]], allowed: bool | np.ndarray, c: np.ndarray, run: Run,
    ess: np.ndarray, n_samples: int, before: tuple[int, int], settings: dict[str, Any],
) -> FitResult:  # fmt: skip
    names, rhat = list(likelihood.parameters), split_rhat(run.points)
    rhat = np.maximum(rhat, split_rhat(c))
    free = c.swapaxes(0, 1).reshape(-1, len(names))[:n_samples]
    share = run.divergences / (c.shape[0] * c.shape[1])
    messages = []
    valid = rhat.max() < WORST_RHAT and ess.min() >= LEAST_ESS and share <= WORST_DIVERGENT
    if rhat.max() > GOOD_RHAT:
        worst = ", ".join(names[i] for i in np.argsort(-rhat)[:5] if rhat[i] > GOOD_RHAT)
        messages.append(
            f"chains disagree: R-hat up to {rhat.max():.3f} ({worst}); raise warmup and n_samples"
        )
    if ess.min() < LEAST_ESS:
        messages.append(f"the effective sample size is small ({ess.min():.0f}); raise n_samples")
    if run.divergences:
        messages.append(f"{run.divergences} steps diverged, {share:.1%} of all; raise warmup")
    best = np.array([fit.best[n] for n in names])
    if not allowed:
        messages.append(OUTSIDE)
        best = free[np.argmin(np.asarray(likelihood.m2logl(free)))]
    return sampled(
        likelihood,
        free,
        best,
        np.atleast_2d(np.cov(free.T)),
        cut=cut(free),
        messages=messages,
        before=before,
        method="nuts",
        valid=bool(valid),
        minima=fit.minima,
        provenance=provenance(
            likelihood, ("blackjax", "jax", "numpy"), **settings, n_samples=n_samples,
            rhat=dict(zip(names, rhat.tolist(), strict=True)),
            ess=dict(zip(names, ess.tolist(), strict=True)),
            divergences=run.divergences, gradients=run.gradients, step_sizes=run.step_sizes,
            prior=prior_record,
        ),
    )  # fmt: skip
