"""Closure tests: does a fit of data made at known coefficients give these back?

Level 0: the data are the expectation, without fluctuations: the best fit is the truth. Level 1: the data are
pseudo-experiments: the rise of -2 log L from the best fit to the truth follows chi2 with as many degrees of
freedom as there are coefficients (Wilks' theorem; not where -2 log L is far from a parabola).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import InputError
from ..likelihood import Likelihood
from ..polynomial import Point
from ..progress import progress_bar
from .fisher import fisher
from .objective import Objective, scales, starts
from .parts import full_point, joint_of
from .toyfit import errors, lowest
from .toys import Experiment

_STREAM = 67


@dataclass(frozen=True, eq=False)
class Closure:
    """What the fits of data made at `point` found.

    table: a row per parameter: truth, best (mean over toys at level 1), error of one fit, shift = best -
        truth, in errors of one fit, and at level 1 the spread of the shifts in these errors.
    toys: a row per fit: rise of -2 log L from the best fit to the truth, whether it converged, best values.
    mean_rise: over fits; at level 1 close to the number of free coefficients, `expected_rise`.
    p: Kolmogorov-Smirnov probability of the rises under chi2, NaN at level 0.
    """

    point: Mapping[str, float]
    level: int
    table: pd.DataFrame
    toys: pd.DataFrame
    mean_rise: float
    expected_rise: int
    p: float

    def __repr__(self) -> str:
        return f"Closure(level {self.level}, {len(self.toys)} fits, mean rise {self.mean_rise:.4g})"


def closure(
    likelihood: Likelihood,
    c: Point | None = None,
    *,
    level: int = 0,
    toys: int = 100,
    seed: int = 0,
    reference: Point | None = None,
    progress: bool = False,
) -> Closure:
    """Fit Asimov data at c (level 0) or pseudo-experiments (level 1), and compare with c, default the SM.

    toys: fits at level 1. reference: see `toys.Experiment`. Nuisances are fitted with the coefficients.
    Raises InputError for another level, fewer than two toys, a direction that nothing constrains, and what
    `Experiment` refuses.
    """
    if level not in (0, 1) or toys < 2:
        raise InputError(f"level must be 0 or 1 with at least two toys, got {level} and {toys}")
    joint = joint_of(likelihood)
    base = None if reference is None else full_point(likelihood, reference)
    experiment = Experiment(joint, full_point(likelihood, c), base)
    true, expected = experiment.point, experiment.asimov()
    scale = scales(expected, fisher(joint, true, reference=base), true)
    candidates = starts(Objective(expected, scale), true / scale, len(joint.operators))
    rows, sizes = [], []
    count = toys if level else 1
    with progress_bar(progress) as bar:
        task = bar.add_task("closure", total=count, note="")
        for number in range(count):
            rng = np.random.default_rng([seed, _STREAM, number])
            function = Objective(experiment.draw(rng) if level else expected, scale)
            found = lowest(function, true / scale, candidates, np.arange(len(true)))
            rise = float(function.values((true / scale)[None])[0]) - found.value
            rows.append([rise, found.converged, *(found.y * scale)])
            sizes.append(errors(found.hessian) * scale)
            bar.advance(task)
    frame = pd.DataFrame(rows, columns=["rise", "converged", *joint.parameters])
    good = frame["converged"].to_numpy(dtype=bool)
    return _closure(experiment, level, frame, good, np.array(sizes))


def _closure(
    experiment: Experiment, level: int, frame: pd.DataFrame, good: np.ndarray, sizes: np.ndarray
) -> Closure:
    names, true = list(experiment.values), experiment.point
    best = frame.loc[good, names].to_numpy(dtype=float)
    each = (best - true) / sizes[good]
    nothing = np.full(len(true), np.nan)
    table = pd.DataFrame(
        {
            "truth": true,
            "best": best.mean(axis=0) if len(best) else nothing,
            "error": np.median(sizes[good], axis=0) if len(best) else nothing,
        },
        index=names,
    )
    table["shift"] = table["best"] - table["truth"]
    table["shift/error"] = table["shift"] / table["error"]
    if level:
        table["spread"] = each.std(axis=0) if len(best) else nothing
    rises = frame.loc[good, "rise"].to_numpy()
    p = (
        float(stats.kstest(rises, "chi2", args=(len(names),)).pvalue)
        if level and len(rises)
        else float("nan")
    )
    mean = float(rises.mean()) if len(rises) else float("nan")
    return Closure(experiment.values, level, table, frame, mean, len(names), p)
