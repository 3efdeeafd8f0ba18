"""The method for a likelihood: the exact solution, importance sampling, nested sampling, or gradients."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError, brief
from ..likelihood import Likelihood
from .box import all_bounds
from .laplace import laplace
from .linear import CUTS, is_quadratic, solve
from .minuit import minimise
from .nested import sample
from .nuts import nuts
from .options import Sampling, SamplingOptions
from .ranks import communicator, together
from .result import FitResult

if TYPE_CHECKING:
    from typing_extensions import Unpack

MANY = 30
"""Parameters above which gradients are worth more than the evidence."""
DRAWS = 10_000
"""Least draws by which importance sampling is judged, however few samples are asked for."""


def auto(
    likelihood: Likelihood,
    *,
    prefer: Literal["posterior", "best fit"] = "posterior",
    n_samples: int | None = None,
    nlive: int = 400,
    log_dir: str | os.PathLike[str] | None = None,
    **options: Unpack[SamplingOptions],
) -> FitResult:
    """Fit with the cheapest method that is right for the likelihood, and say which and why.

    Posterior: the exact solution (`solve`) where -2 log L is quadratic and the prior box does not cut into
    it; else importance sampling (`laplace`) if its effective sample size is good; else `nuts` for more than
    30 parameters where jax and blackjax are installed; else nested sampling (`sample`).
    Best fit: `solve` where -2 log L is quadratic, else `minimise`.

    n_samples: of all posteriors but nested sampling, default theirs; nlive, log_dir: of nested sampling.
    options: bounds, seed and progress, see `SamplingOptions`.
    Under mpiexec the first process chooses, and nested sampling alone is shared with the others.
    The reason is the first of `messages`, and `provenance["choice"]` lists the methods tried.
    Raises InputError as the method that is chosen.
    """
    if prefer not in ("posterior", "best fit"):
        raise InputError(f"prefer is 'posterior' or 'best fit', got {brief(prefer)}")
    if n_samples is not None and n_samples < 1:
        raise InputError(f"n_samples must be positive, got {n_samples}")
    chosen = Sampling(**options)
    own: dict[str, Any] = {"bounds": all_bounds(likelihood, chosen.bounds), "seed": chosen.seed}
    drawn = own if n_samples is None else {**own, "n_samples": n_samples}
    found, tried = together(communicator(), partial(_cheap, likelihood, prefer, drawn, chosen.progress))
    if found is not None:
        return found
    many, folder = len(likelihood.parameters), None if log_dir is None else Path(log_dir)
    result = sample(likelihood, **own, nlive=nlive, log_dir=folder, progress=chosen.progress)
    why = f"importance sampling is not enough for {many} parameters"
    if many > MANY:
        why += "; NUTS would be faster: pip install 'smeft-unbinned[nuts]'"
    return _said(result, tried, why)


def _cheap(
    likelihood: Likelihood, prefer: str, drawn: Mapping[str, Any], progress: bool
) -> tuple[FitResult | None, list[str]]:
    """Return the result of a method other than nested sampling, None where none is right, and those tried.

    drawn: options of all that draw samples.
    """
    tried: list[str] = []
    if is_quadratic(likelihood):
        result = solve(likelihood, **drawn)
        cut = next((m for m in result.messages if m.startswith(CUTS)), None)
        if cut is None or prefer == "best fit":
            return _said(result, tried, "-2 log L is quadratic in all parameters"), tried
        tried.append(f"linear: {cut}")
    if prefer == "best fit":
        why = "-2 log L is not quadratic, and a best fit was asked for"
        return _said(minimise(likelihood), tried, why), tried
    try:
        result = laplace(
            likelihood, **drawn, draws=max(DRAWS, 2 * drawn.get("n_samples", 0)), progress=progress
        )
        ess, draws = result.provenance["ess"], result.provenance["draws"]
        if result.valid:
            near = f"the posterior is near the Gaussians of its minima: effective {ess:.0f} of {draws} draws"
            return _said(result, tried, near), tried
        tried.append(f"laplace: {result.messages[0]}")
    except InputError as error:
        tried.append(f"laplace: {error}")
    many = len(likelihood.parameters)
    if many > MANY and all(importlib.util.find_spec(m) is not None for m in ("jax", "blackjax")):
        result = nuts(likelihood, **drawn, progress=progress)
        return _said(result, tried, f"{many} parameters, and importance sampling is not enough"), tried
    return None, tried


def _said(result: FitResult, tried: list[str], reason: str) -> FitResult:
    """Return the result with the reason of the choice in front of its messages and in its provenance."""
    choice = {"method": result.method, "reason": reason, "tried": tried}
    return replace(
        result,
        messages=(f"{result.method} chosen: {reason}", *result.messages),
        provenance={**result.provenance, "choice": choice},
    )
