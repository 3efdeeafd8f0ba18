"""Replica fits: the data fluctuated around themselves, each replica minimised; the best fits are the samples.

For data and predictions that are normally distributed and linear these samples follow the posterior of flat
priors. Where quadratic terms matter they do not (arXiv:2404.10056), which is why this is a comparison with
other programs rather than a way to intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..fit.minuit import minimise
from ..fit.provenance import caveats, nuisances_in, provenance
from ..fit.result import FitResult
from ..likelihood import Likelihood
from ..progress import progress_bar
from .coverage import fingerprint
from .fisher import fisher
from .lines import Lines, Run, RunOptions
from .objective import Objective, scales, starts
from .parts import joint_of
from .toyfit import lowest
from .toys import bootstrap

if TYPE_CHECKING:
    from typing_extensions import Unpack

FILE = "replicas.jsonl"
LOST = 0.01
"""Share of replicas without a converged fit above which the result is not valid."""
_STREAM = 61


def replica_fits(likelihood: Likelihood, n: int, **options: Unpack[RunOptions]) -> FitResult:
    """Return the best fits to n replicas of the data (`toys.bootstrap`) as the samples of a result.

    Nuisances are fitted too; the samples have a column per parameter. `best` is the fit of the data
    themselves. options: see `RunOptions`.
    Raises InputError for fewer than two replicas, data that have no minimum, and a folder of other settings.
    """
    run = Run(**options)
    if n < 2:
        raise InputError(f"at least two replicas are needed, got {n}")
    joint = joint_of(likelihood)
    whole = minimise(joint, levels=())
    best = np.array([whole.best[name] for name in joint.parameters])
    scale = scales(joint, fisher(joint, best), best)
    candidates = starts(Objective(joint, scale), best / scale, len(joint.operators))
    settings = {
        "kind": "replicas",
        "parameters": list(joint.parameters),
        "seed": run.seed,
        "best": (best / scale).tolist(),
        "datasets": [d.name for d in joint.datasets],
        "values": fingerprint(joint, best, scale),
    }
    with Lines(run.folder, FILE, settings) as lines, progress_bar(run.progress) as bar:
        task = bar.add_task("replicas", total=n, completed=sum(k < n for k in lines.done), note="")
        for number in range(n):
            if number not in lines.done:
                drawn = bootstrap(joint, np.random.default_rng([run.seed, _STREAM, number]))
                found = lowest(Objective(drawn, scale), best / scale, candidates, np.arange(len(best)))
                entry = {"best": (found.y * scale).tolist(), "converged": found.converged}
                lines.add(number, {**entry, "m2logl": found.value})
                bar.advance(task)
        entries = [lines.done[number] for number in range(n)]
    return _result(joint, whole, entries, n, run.seed)


def _result(
    joint: Likelihood, whole: FitResult, entries: list[dict[str, Any]], n: int, seed: int
) -> FitResult:
    good = [e["best"] for e in entries if e["converged"]]
    if len(good) < 2:
        raise InputError(f"only {len(good)} of {n} replicas have a minimum: {'; '.join(whole.messages)}")
    samples = pd.DataFrame(good, columns=list(joint.parameters))
    messages = [*whole.messages]
    if len(good) < n:
        messages.append(f"{n - len(good)} of {n} replicas have no minimum and are left out")
    return FitResult(
        method="replicas",
        best=dict(whole.best),
        covariance=samples.cov(),
        m2logl=whole.m2logl,
        valid=whole.valid and n - len(good) <= LOST * n,
        messages=tuple(dict.fromkeys([*messages, *caveats(joint)])),
        samples=samples,
        provenance=provenance(
            joint, ("iminuit", "numpy", "scipy"), seed=seed, replicas=n, converged=len(good)
        ),
        nuisances=tuple(name for name in nuisances_in(joint) if name in whole.best),
    )
