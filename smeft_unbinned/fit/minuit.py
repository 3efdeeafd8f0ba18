"""Minimisation: Newton's method from many starts, confirmed by Minuit, and profile intervals.

A trust-region Newton method (`trust`) descends from systematic and random starts (`minima`), and Minuit
confirms the best minimum. Minuit sees the eigenbasis of the curvature there, in standard deviations, so that
coefficients of any size and correlation converge alike. It gets no limits and no fixed parameters (those are
taken out before), because an analytic second derivative together with either gives wrong errors silently.
The covariance is 2 H^-1 with our own Hessian H of -2 log L at the minimum. Profile intervals are solved for
with both derivatives (`profile`), and by MINOS where that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InputError, nearest
from ..likelihood import Likelihood
from ..polynomial import as_point
from ..progress import progress_bar
from .best import Best
from .bounded import box_of
from .minima import Search
from .options import MinimumOptions, MinimumSearch
from .provenance import caveats, counters, met, nuisances_in, provenance, pulls
from .result import FitResult, check_level
from .rough import rough
from .scales import scales

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["minimise", "scales"]

_AGAIN = 3
"""Times at most that the fit starts again from a lower value met on the way to an interval's end."""


def minimise(
    likelihood: Likelihood,
    *,
    levels: Sequence[float] = (0.68, 0.95),
    intervals: bool | Sequence[str] = True,
    progress: bool = False,
    **options: Unpack[MinimumOptions],
) -> FitResult:
    """Return the best fit, its covariance, and profile intervals at the given levels.

    Nuisance parameters are fitted with the coefficients; `likelihood.profiled()` takes them out of the fit.

    levels: confidence levels whose intervals are stored; others are computed on demand. An interval is the
        connected one around the best fit; `disjoint_intervals` gives all pieces.
    intervals: False for none, or the names of the parameters that get one (rows of the others hold NaN).
    progress: show a bar.
    options: start, starts, seed, strategy and bounded, see `MinimumOptions`.

    `minima` of the result lists every distinct minimum, lowest first: parameters and "m2logl".
    Raises InputError when -2 log L is not finite at the start, when nothing depends on a coefficient, and for
    an unknown name in `intervals`. A fit that does not converge comes back with valid=False and the reason in
    `messages`.
    """
    for level in levels:
        check_level(level)
    chosen = MinimumSearch(**options)
    names, before = likelihood.parameters, counters(likelihood)
    wanted = _wanted(names, intervals)
    box = box_of(names, likelihood.bounds) if chosen.bounded and likelihood.bounds else None
    origin = np.array(as_point(chosen.start or {}, names), dtype=float)
    if box is not None:
        origin = np.clip(origin, box[0], box[1])
    value = float(likelihood.m2logl(origin))
    if not np.isfinite(value):
        at = ", ".join(f"{n} = {x:g}" for n, x in zip(names, origin, strict=True))
        raise InputError(f"-2 log L is {value} at the start point ({at}); choose another start")
    scale = scales(likelihood, origin)
    with progress_bar(progress) as bar:
        task = bar.add_task("minima", total=0, note="")
        search = _search(likelihood, (origin, scale, box, (bar, task)), chosen.starts, chosen.seed)
        for _ in range(_AGAIN):
            fit = Best(likelihood, search.minima(), scale, box, chosen.strategy)
            stored, lower = {}, None
            step = bar.add_task("intervals", total=len(levels), note="")
            for level in levels if wanted and fit.valid else ():
                stored[float(level)], lower = fit.intervals(level, wanted)
                bar.advance(step)
                if lower is not None:
                    break
            if lower is None:
                break
            search.deeper(lower)
    messages = fit.messages(max([*levels, 0.95]))
    for level, table in stored.items():
        failed = [n for n in wanted if table.loc[n].isna().any() and n not in fit.free_of]
        if failed:
            messages.append(f"found no {level:.0%} interval for {', '.join(failed)}")
    best = {k: float(v) for k, v in likelihood.coefficients(fit.best).items()}
    frame = pd.DataFrame(fit.covariance, index=list(names), columns=list(names))
    errors = pd.Series(np.sqrt(np.diag(frame)), index=frame.index)
    messages += [*pulls(likelihood, best, errors), *met(likelihood, before)]
    return FitResult(
        method="minuit",
        best=best,
        covariance=frame,
        m2logl=fit.value,
        valid=fit.valid and not fit.flat,
        messages=(*messages, *caveats(likelihood)),
        stored_intervals=stored,
        provenance=provenance(
            likelihood,
            ("iminuit", "numpy", "scipy"),
            strategy=chosen.strategy,
            start={n: float(x) for n, x in zip(names, origin, strict=True)},
            starts=chosen.starts,
            seed=chosen.seed,
            bounded=chosen.bounded,
        ),
        interval_function=(lambda level: fit.intervals(level, wanted or names)[0]) if fit.valid else None,
        nuisances=tuple(n for n in nuisances_in(likelihood) if n in best),
        minima=fit.table(),
    )


def _search(likelihood: Likelihood, place: tuple[Any, ...], starts: int, seed: int) -> Search:
    """Return a search that has found the minima, first with few events where there are many.

    place: what a Search takes besides the likelihood.
    """
    few = rough(likelihood)
    search = Search(few, *place)
    search.run(starts, np.random.default_rng(seed))
    if few is likelihood:
        return search
    whole = Search(likelihood, *place)
    whole.follow(search.minima().points)
    if not whole.minima().converged.any():
        whole.run(starts, np.random.default_rng(seed))
    return whole


def _wanted(names: Sequence[str], intervals: bool | Sequence[str]) -> tuple[str, ...]:
    if isinstance(intervals, bool):
        return tuple(names) if intervals else ()
    chosen = (intervals,) if isinstance(intervals, str) else tuple(intervals)
    for name in chosen:
        if name not in names:
            raise InputError(
                f"{name!r} in intervals is not a free parameter of the fit.{nearest(name, names)}"
            )
    return tuple(n for n in names if n in chosen)
