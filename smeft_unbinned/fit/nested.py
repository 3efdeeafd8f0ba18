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

from ..errors import InputError, require
from ..likelihood import Likelihood, check_bounds
from ..storage import make_folder
from .minuit import minimise
from .provenance import caveats, provenance
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
    """Sample the posterior with a flat prior in a box.

    bounds: (lower, upper) in TeV^-2 by name; default those of the likelihood, and for the remaining ones
        eight Hesse errors around the best fit (recorded in the result).
    nlive: live points; frac_remain: stop when the remainder holds this fraction of the evidence.
    seed: of the sampler, which draws from numpy's global generator; that generator is left as it was found.
    log_dir: folder of the sampler's own records, one subfolder for each fit and its settings, from which the
        same call resumes an interrupted run, or takes the result of a finished one; max_calls may differ.
    Raises InputError without UltraNest, for an empty range, and when -2 log L is not finite anywhere.
    """
    ultranest = require("ultranest", "nested")
    if nlive < 1 or not 0 < frac_remain < 1 or not 0 <= seed < 2**32:
        raise InputError(
            f"nlive must be positive, frac_remain between 0 and 1, and seed between 0 and 2^32 - 1; "
            f"got {nlive}, {frac_remain} and {seed}"
        )
    names = likelihood.operators
    box = _box(likelihood, {**likelihood.bounds, **(bounds or {})})
    lower, width = box[:, 0], box[:, 1] - box[:, 0]

    def log_likelihood(c: np.ndarray) -> np.ndarray:
        value = -0.5 * np.asarray(likelihood.m2logl(c))
        slope = -1e10 * np.sum(np.abs(c), axis=-1)  # keeps even an undefined region sloping
        return np.where(np.isfinite(value), value, WORST + slope)

    start = float(likelihood.m2logl(lower + 0.5 * width))
    if not np.isfinite(start):
        raise InputError(f"-2 log L is {start} in the centre of the prior box; check data and ranges")
    settings = {"nlive": nlive, "seed": seed, "frac_remain": frac_remain}
    folder = None
    if log_dir is not None:
        folder = str(make_folder(Path(log_dir) / _identity(likelihood, box, settings)))
        if (Path(folder) / FINISHED).exists():
            return FitResult.load(Path(folder) / FINISHED)
    with _seeded(seed), _quiet(progress):
        sampler = ultranest.ReactiveNestedSampler(
            list(names),
            log_likelihood,
            transform=lambda u: lower + u * width,
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
    result = _result(likelihood, outcome, box, **settings)
    if folder is not None and max_calls is None:
        result.save(Path(folder) / FINISHED)
    return result


def _identity(likelihood: Likelihood, box: np.ndarray, settings: Mapping[str, Any]) -> str:
    """Return a short hash of all that the run depends on: a record of any other run is not resumed.

    Binned datasets have no checksums, and options such as fixed coefficients are in none; the values of the
    likelihood at a few points of the box stand for them.
    """
    fractions = (np.arange(PROBES) + 0.5)[:, None] / PROBES
    values = np.asarray(likelihood.m2logl(box[:, 0] + fractions * (box[:, 1] - box[:, 0])))
    content = {
        "operators": list(likelihood.operators),
        "box": box.tolist(),
        "datasets": provenance(likelihood, ())["datasets"],
        "values": [f"{value:.10g}" for value in values],
        **settings,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _box(likelihood: Likelihood, bounds: Mapping[str, tuple[float, float]]) -> np.ndarray:
    check_bounds(bounds, likelihood.operators)
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
    return np.array([bounds[name] for name in likelihood.operators], dtype=float)


def _result(
    likelihood: Likelihood, outcome: Mapping[str, Any], box: np.ndarray, **settings: Any
) -> FitResult:
    names = likelihood.operators
    free = np.asarray(outcome["samples"])
    values = likelihood.coefficients(free)
    samples = pd.DataFrame({k: np.asarray(v) for k, v in values.items()})
    best = np.asarray(outcome["maximum_likelihood"]["point"])
    messages = []
    near_edge = (np.quantile(free, [0.005, 0.995], axis=0).T - box) * [1, -1] / np.ptp(box, axis=1)[:, None]
    cut = [n for n, edge in zip(names, near_edge, strict=True) if edge.min() < 0.005]
    if cut:
        messages.append(f"the prior box cuts into the posterior of {', '.join(cut)}; widen its range")
    ess = float(outcome["ess"])
    if ess < 100 * len(names):
        messages.append(f"the effective sample size is small ({ess:.0f}); raise nlive")
    if count := likelihood.non_positive(best):
        messages.append(f"{count} events have a ratio that is not positive at the best point")
    settings |= {"ncall": int(outcome["ncall"]), "ess": ess}
    settings["prior"] = {n: [float(a), float(b)] for n, (a, b) in zip(names, box, strict=True)}
    covariance = np.atleast_2d(np.cov(free.T))
    return FitResult(
        method="ultranest",
        best={k: float(v) for k, v in likelihood.coefficients(best).items()},
        covariance=pd.DataFrame(covariance, index=list(names), columns=list(names)),
        m2logl=float(likelihood.m2logl(best)),
        valid=not bool(outcome.get("insertion_order_MWW_test", {}).get("converged") is False),
        messages=(*messages, *caveats(likelihood)),
        samples=samples,
        logz=float(outcome["logz"]),
        logz_error=float(outcome["logzerr"]),
        provenance=provenance(likelihood, ("ultranest", "numpy"), **settings),
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
