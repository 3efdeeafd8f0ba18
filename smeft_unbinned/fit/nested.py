"""Posterior samples and evidence by nested sampling (UltraNest, arXiv:2101.09604), vectorised over points."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..constraints import ConstraintTerm, check_bounds
from ..errors import InputError, require
from ..likelihood import Likelihood
from ..storage import make_folder
from .minuit import minimise
from .prior import Prior
from .provenance import caveats, counters, met, nuisances_in, provenance, pulls
from .result import FitResult

PRIOR_SIGMAS = 8.0
"""Half-width of the default prior box in units of the Hesse errors."""
WORST = -1e100
FINISHED = "finished.json"
"""The result of a finished run in its folder: UltraNest would go on with other random numbers."""
PROBES = 4
"""Points along the diagonal of the box at which the likelihood is compared before a run is resumed."""


def sample(
    likelihood: Likelihood,
    *,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    nlive: int = 400,
    seed: int = 0,
    frac_remain: float = 0.01,
    max_calls: int | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> FitResult:
    """Sample the posterior with a flat prior of the coefficients in a box.

    Nuisance parameters are sampled along, a constrained one with its constraint as prior, so that the
    evidence is that of the data alone; `likelihood.profiled()` is sampled with them at their minimum.

    bounds: (lower, upper) by name, in TeV^-2 for coefficients; default those of the likelihood, and for the
        remaining ones eight Hesse errors around the best fit (recorded in the result). A nuisance without
        constraint needs a range, and one with a constraint is cut to it.
    nlive: live points; frac_remain: stop when the remainder holds this fraction of the evidence.
    seed: of the sampler, which draws from numpy's global generator; that generator is left as it was found.
    log_dir: folder of the sampler's own records, one subfolder for each fit and its settings, from which the
        same call resumes an interrupted run, or takes the result of a finished one; max_calls may differ.
    Raises InputError without UltraNest, for an empty range, for a nuisance without constraint and range, and
    when -2 log L is not finite anywhere.
    """
    ultranest = require("ultranest", "nested")
    if nlive < 1 or not 0 < frac_remain < 1 or not 0 <= seed < 2**32:
        raise InputError(
            f"nlive must be positive, frac_remain between 0 and 1, and seed between 0 and 2^32 - 1; "
            f"got {nlive}, {frac_remain} and {seed}"
        )
    names = likelihood.parameters
    prior = _prior(likelihood, {**likelihood.bounds, **(bounds or {})})
    before = counters(likelihood)

    def log_likelihood(c: np.ndarray) -> np.ndarray:
        value = -0.5 * _without_constraints(likelihood, c)
        slope = -1e10 * np.sum(np.abs(c), axis=-1)  # keeps even an undefined region sloping
        return np.where(np.isfinite(value), value, WORST + slope)

    start = float(likelihood.m2logl(prior.transform(np.full(len(names), 0.5))))
    if not np.isfinite(start):
        raise InputError(f"-2 log L is {start} in the centre of the prior box; check data and ranges")
    settings = {"nlive": nlive, "seed": seed, "frac_remain": frac_remain}
    folder = None
    if log_dir is not None:
        folder = str(make_folder(Path(log_dir) / _identity(likelihood, prior, settings)))
        if (Path(folder) / FINISHED).exists():
            return FitResult.load(Path(folder) / FINISHED)
    with _seeded(seed), _quiet(progress):
        sampler = ultranest.ReactiveNestedSampler(
            list(names),
            log_likelihood,
            transform=prior.transform,
            vectorized=True,
            log_dir=folder,
            resume="resume" if folder is not None else "overwrite",
            draw_multiple=True,
            ndraw_min=128,
        )
        outcome = sampler.run(
            min_num_live_points=nlive,
            frac_remain=frac_remain,
            max_ncalls=max_calls,
            show_status=progress,
            viz_callback=False,
        )
    result = _result(likelihood, outcome, prior, before, **settings)
    if folder is not None and max_calls is None:
        result.save(Path(folder) / FINISHED)
    return result


def _without_constraints(likelihood: Likelihood, c: np.ndarray) -> np.ndarray:
    """Return -2 log L (...) without the constraints of free nuisances, which are their prior."""
    value = np.asarray(likelihood.m2logl(c))
    if not likelihood.nuisances:
        return value
    term = ConstraintTerm({n: likelihood.constraints[n] for n in likelihood.nuisances})
    where = [likelihood.parameters.index(n) for n in term.parameters]
    return np.asarray(value - term.m2logl(c[..., where]))


def _identity(likelihood: Likelihood, prior: Prior, settings: Mapping[str, Any]) -> str:
    """Return a short hash of all that the run depends on: a record of any other run is not resumed.

    Binned datasets have no checksums, and options such as fixed coefficients are in none; the values of the
    likelihood at a few points of the box stand for them.
    """
    fractions = (np.arange(PROBES) + 0.5)[:, None] / PROBES
    points = prior.transform(np.repeat(fractions, len(prior.names), axis=1))
    values = np.asarray(likelihood.m2logl(points))
    content = {
        "parameters": list(likelihood.parameters),
        "prior": prior.record(),
        "datasets": provenance(likelihood, ())["datasets"],
        "values": [f"{value:.10g}" for value in values],
        **settings,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _prior(likelihood: Likelihood, bounds: Mapping[str, tuple[float, float]]) -> Prior:
    check_bounds(bounds, likelihood.parameters)
    constraints = {n: likelihood.constraints[n] for n in likelihood.nuisances}
    loose = [n for n, pair in constraints.items() if pair is None and n not in bounds]
    if loose:
        raise InputError(
            f"no prior is given for the nuisance {', '.join(loose)}: it has no constraint; give bounds"
        )
    missing = [name for name in likelihood.operators if name not in bounds]
    if missing:
        fit = minimise(likelihood, levels=())
        if not (fit.valid and np.isfinite(fit.errors).all()):
            raise InputError(
                f"no prior range is given for {', '.join(missing)} and none can be guessed "
                f"({'; '.join(fit.messages)}); give bounds"
            )
        half = PRIOR_SIGMAS * fit.errors
        bounds = {**{n: (fit.best[n] - half[n], fit.best[n] + half[n]) for n in missing}, **bounds}
    return Prior.of(likelihood.parameters, bounds, constraints)


def _best(likelihood: Likelihood, outcome: Mapping[str, Any]) -> np.ndarray:
    """Return the point of smallest -2 log L, for which the sampler did not look where a prior is Gaussian."""
    found = np.asarray(outcome["maximum_likelihood"]["point"])
    if not likelihood.nuisances:
        return found
    points = np.concatenate([found[None], np.asarray(outcome["samples"])])
    return np.asarray(points[np.argmin(np.asarray(likelihood.m2logl(points)))])


def _result(
    likelihood: Likelihood,
    outcome: Mapping[str, Any],
    prior: Prior,
    before: tuple[int, int],
    **settings: Any,
) -> FitResult:
    names = likelihood.parameters
    free = np.asarray(outcome["samples"])
    values = likelihood.coefficients(free)
    samples = pd.DataFrame({k: np.asarray(v) for k, v in values.items()})
    best = _best(likelihood, outcome)
    at_best = {k: float(v) for k, v in likelihood.coefficients(best).items()}
    messages = []
    if cut := prior.cut(free):
        messages.append(f"the prior box cuts into the posterior of {', '.join(cut)}; widen its range")
    ess = float(outcome["ess"])
    if ess < 100 * len(names):
        messages.append(f"the effective sample size is small ({ess:.0f}); raise nlive")
    if count := likelihood.non_positive(best):
        messages.append(f"{count} events have a ratio that is not positive at the best point")
    settings |= {"ncall": int(outcome["ncall"]), "ess": ess}
    settings["prior"] = prior.record()
    covariance = np.atleast_2d(np.cov(free.T))
    return FitResult(
        method="ultranest",
        best=at_best,
        covariance=pd.DataFrame(covariance, index=list(names), columns=list(names)),
        m2logl=float(likelihood.m2logl(best)),
        valid=not bool(outcome.get("insertion_order_MWW_test", {}).get("converged") is False),
        messages=(
            *messages,
            *pulls(likelihood, at_best),
            *met(likelihood, before),
            *caveats(likelihood),
        ),
        samples=samples,
        logz=float(outcome["logz"]),
        logz_error=float(outcome["logzerr"]),
        provenance=provenance(likelihood, ("ultranest", "numpy"), **settings),
        nuisances=tuple(n for n in nuisances_in(likelihood) if n in at_best),
    )


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, the only one UltraNest knows, and restore it afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


@contextlib.contextmanager
def _quiet(progress: bool) -> Iterator[None]:
    """Keep UltraNest's log to warnings unless asked, and take away the handlers that it leaves behind."""
    logger = logging.getLogger("ultranest")
    before, level = list(logger.handlers), logger.level

    def wanted(record: logging.LogRecord) -> bool:
        return record.levelno >= (logging.INFO if progress else logging.WARNING)

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
        logger.setLevel(level)
        for handler in [h for h in logger.handlers if h not in before]:
            logger.removeHandler(handler)
            handler.close()
