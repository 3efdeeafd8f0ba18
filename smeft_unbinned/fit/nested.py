"""Posterior samples and evidence by nested sampling (UltraNest, arXiv:2101.09604), vectorised over points."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..constraints import ConstraintTerm
from ..errors import InputError, require
from ..inputfile import fitting, read_json
from ..likelihood import Likelihood
from ..storage import make_folder, write_text
from . import nested_run
from .identity import identity
from .nested_focus import Focus
from .nested_prior import search
from .nested_run import Settings
from .options import Nested, NestedOptions
from .prior import Prior
from .provenance import counters, provenance
from .ranks import communicator, together
from .result import FitResult
from .sampled import sampled

if TYPE_CHECKING:
    from typing_extensions import Unpack

MANY = 15
"""Parameters above which steps replace draws from a region around the live points."""
FINISHED = "finished.json"
"""The result of a finished run in its folder: UltraNest would go on with other random numbers."""
COORDINATES = "coordinates.json"
"""The coordinates of the sampler in the folder of a run."""
PROBES = 4
"""Points along the diagonal of the box at which the likelihood is compared before a run is resumed."""
_OUTSIDE, _UNDEFINED = -1e20, -1e40
"""Log-likelihoods outside the prior box, and where -2 log L is not finite; both fall off from there."""


@dataclass(frozen=True)
class _Plan:
    """What is settled before the first point is drawn, in one process for all."""

    prior: Prior
    focus: Focus | None
    reason: str
    messages: tuple[str, ...]
    folder: Path | None
    finished: FitResult | None


def sample(
    likelihood: Likelihood,
    *,
    nlive: int = 400,
    frac_remain: float = 0.01,
    max_calls: int | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    **options: Unpack[NestedOptions],
) -> FitResult:
    """Sample the posterior with a flat prior of the coefficients in a box.

    Nuisance parameters are sampled along, a constrained one with its constraint as prior, so that the
    evidence is that of the data alone; `likelihood.profiled()` is sampled with them at their minimum.
    Under mpiexec all processes evaluate, the first one writes, and each gets the same result.

    nlive: live points; frac_remain: stop when the remainder holds this fraction of the evidence.
    max_calls: stop after about this many evaluations of -2 log L.
    log_dir: folder of the sampler's own records, one subfolder for each fit and its settings, from which the
        same call resumes an interrupted run, or takes the result of a finished one; max_calls may differ.
    options: bounds, seed, progress, rotate, step_sampler and steps, see `NestedOptions`. The sampler draws
        from numpy's global generator, which is left as it was found. The bar shows calls, their rate, log Z,
        what remains of it and the time left.
    Raises InputError without UltraNest, for an empty range, for a nuisance without constraint and range, when
    -2 log L is not finite anywhere, and (with `rotate`) for a prior that excludes the minimum so far that
    even its best point is ten standard deviations off.
    """
    chosen = Nested(**options)
    seed, steps = chosen.seed, chosen.steps
    require("ultranest", "nested")
    if nlive < 1 or not 0 < frac_remain < 1 or not 0 <= seed < 2**32:
        raise InputError(
            f"nlive must be positive, frac_remain between 0 and 1, and seed between 0 and 2^32 - 1; "
            f"got {nlive}, {frac_remain} and {seed}"
        )
    names, comm = likelihood.parameters, communicator()
    walks = len(names) > MANY if chosen.step_sampler is None else chosen.step_sampler
    if steps is not None and (steps < 1 or not walks):
        raise InputError(f"steps must be positive and belong to a step sampler; got {steps}")
    settings = Settings(nlive, seed, frac_remain, max_calls, (steps or 2 * len(names)) if walks else 0)
    before = counters(likelihood)
    plan = together(comm, partial(_plan, likelihood, chosen.bounds or {}, settings, chosen.rotate, log_dir))
    if plan.finished is not None:
        return plan.finished
    outcome = nested_run.run(
        names,
        _log_likelihood(likelihood, plan),
        (plan.focus or plan.prior).transform,
        settings,
        plan.folder,
        comm,
        chosen.progress,
    )

    def finish() -> FitResult:
        result = _result(likelihood, outcome, plan, before, settings)
        if plan.folder is not None and max_calls is None:
            result.save(plan.folder / FINISHED)
        return result

    return together(comm, finish)


def _plan(
    likelihood: Likelihood,
    bounds: Mapping[str, tuple[float, float]],
    settings: Settings,
    rotate: bool,
    log_dir: str | os.PathLike[str] | None,
) -> _Plan:
    """Return prior, coordinates, and the folder of the run with what it holds already."""
    found = search(likelihood, {**likelihood.bounds, **bounds}, rotate)
    prior = found.prior
    start = float(likelihood.m2logl(prior.transform(np.full(len(prior.names), 0.5))))
    if not np.isfinite(start):
        raise InputError(f"-2 log L is {start} in the centre of the prior box; check data and ranges")
    if log_dir is None:
        return _Plan(prior, *found.coordinates(), None, None)
    content = {**asdict(settings), "max_calls": None, "rotate": rotate, "prior": prior.record()}
    diagonal = (np.arange(PROBES) + 0.5)[:, None] / PROBES * np.ones(len(prior.names))
    folder = make_folder(Path(log_dir) / identity(likelihood, prior.transform(diagonal), **content))
    if (folder / FINISHED).exists():
        return _Plan(prior, None, "", (), folder, FitResult.load(folder / FINISHED))
    file = folder / COORDINATES
    if not file.exists():
        focus, reason, messages = found.coordinates()
        record = None if focus is None else focus.record()
        write_text(file, json.dumps({"focus": record, "reason": reason, "messages": list(messages)}))
    kept = read_json(file, "record of coordinates")
    with fitting(file, "record of coordinates"):
        focus = None if kept["focus"] is None else Focus.read(prior, kept["focus"])
        return _Plan(prior, focus, kept["reason"], tuple(kept["messages"]), folder, None)


def _log_likelihood(likelihood: Likelihood, plan: _Plan) -> Callable[[np.ndarray], np.ndarray]:
    """Return what the sampler maximises, of points (s, p): the log-likelihood, weighted for its coordinates.

    Where it is not defined it is low, finite and sloping, so that the sampler finds its way out.
    """
    prior, focus = plan.prior, plan.focus

    def value(c: np.ndarray) -> np.ndarray:
        weight = np.zeros(len(c)) if focus is None else focus.log_weight(c)
        result = _OUTSIDE * (1 + prior.distance(c))
        inside = np.isfinite(weight)
        if inside.any():
            found = -0.5 * _without_constraints(likelihood, c[inside]) + weight[inside]
            slope = _UNDEFINED * (1 + prior.distance_from_centre(c[inside]))
            result[inside] = np.where(np.isfinite(found), found, slope)
        return result

    return value


def _without_constraints(likelihood: Likelihood, c: np.ndarray) -> np.ndarray:
    """Return -2 log L (s,) without the constraints of free nuisances, which are their prior."""
    value = np.asarray(likelihood.m2logl(c))
    return value - _constraints(likelihood, c) if likelihood.nuisances else value


def _constraints(likelihood: Likelihood, c: np.ndarray) -> np.ndarray:
    """Return the part of -2 log L (s,) that the constraints of free nuisances are."""
    term = ConstraintTerm({n: likelihood.constraints[n] for n in likelihood.nuisances})
    where = [likelihood.parameters.index(n) for n in term.parameters]
    return np.asarray(term.m2logl(c[..., where]))


def _best(likelihood: Likelihood, outcome: Mapping[str, Any], plan: _Plan) -> np.ndarray:
    """Return the visited point of smallest -2 log L; the sampler saw it with weights, without constraints."""
    visited = outcome["weighted_samples"]
    points, value = np.asarray(visited["points"]), -2.0 * np.asarray(visited["logl"])
    if plan.focus is not None:
        value += 2.0 * plan.focus.log_weight(points)
    if likelihood.nuisances:
        value += _constraints(likelihood, points)
    return np.asarray(points[np.argmin(np.where(np.isfinite(value), value, np.inf))])


def _result(
    likelihood: Likelihood,
    outcome: Mapping[str, Any],
    plan: _Plan,
    before: tuple[int, int],
    settings: Settings,
) -> FitResult:
    free, best = np.asarray(outcome["samples"]), _best(likelihood, outcome, plan)
    ess, messages = float(outcome["ess"]), list(plan.messages)
    if ess < 100 * len(plan.prior.names):
        messages.append(f"the effective sample size is small ({ess:.0f}); raise nlive")
    kept = {k: v for k, v in asdict(settings).items() if k not in ("max_calls", "steps") or v}
    kept |= {"ncall": int(outcome["ncall"]), "ess": ess, "prior": plan.prior.record()}
    kept["coordinates"] = {"kind": "prior box", "reason": plan.reason}
    if plan.focus is not None:
        kept["coordinates"] = {"kind": "principal axes", **plan.focus.record()}
        kept["coordinates"]["samples_outside_core"] = plan.focus.outside(free)
    return sampled(
        likelihood,
        free,
        best,
        np.atleast_2d(np.cov(free.T)),
        cut=plan.prior.cut(free),
        messages=messages,
        before=before,
        method="ultranest",
        valid=not bool(outcome.get("insertion_order_MWW_test", {}).get("converged") is False),
        logz=float(outcome["logz"]),
        logz_error=float(outcome["logzerr"]),
        provenance=provenance(likelihood, ("ultranest", "numpy"), **kept),
    )
