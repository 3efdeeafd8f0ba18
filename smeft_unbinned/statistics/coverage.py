"""Coverage: how often the intervals of a fit contain the truth, in pseudo-experiments made at a known point.

An interval of one coefficient is where the profile of -2 log L, minimised over everything else, lies within a
quantile of chi2 above its minimum (Wilks' theorem), so it contains the truth if the profile does there. The
joint region of all coefficients is judged likewise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..fit.result import check_level
from ..likelihood import Likelihood
from ..polynomial import Point
from ..progress import progress_bar
from ..quantiles import chi2_quantile
from .binomial import coverage_of, two_sided
from .fisher import fisher
from .lines import Lines, Run, RunOptions
from .objective import Objective, scales, starts
from .parts import full_point, joint_of
from .toyfit import ToyFit, fit, pull_summary
from .toys import Experiment

if TYPE_CHECKING:
    from typing_extensions import Unpack

JOINT = "all together"
FILE = "coverage.jsonl"
POOL = 5.0
"""Effective simulated events per expected one below which the repetition of events is told."""
_STREAM = 53


@dataclass(frozen=True, eq=False)
class Coverage:
    """What came of the toys at one point.

    point: the truth by name. levels: nominal ones.
    table: a row per coefficient, and for all together, and level: toys, coverage with its 68 % Wilson
        interval `lower`, `upper`, and p, the probability of a coverage as far from nominal by chance.
    pulls: a row per parameter: mean of (best - truth)/error with its error, spread, and mean shift (TeV^-2).
    toys: a row per toy: best values, -2 log L there, whether the fit converged. Those that did not are not
        counted, but told in `messages`.
    """

    point: Mapping[str, float]
    levels: tuple[float, ...]
    table: pd.DataFrame
    pulls: pd.DataFrame
    toys: pd.DataFrame
    messages: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Coverage({len(self.toys)} toys, {len(self.pulls)} parameters, levels {self.levels})"


def coverage(
    likelihood: Likelihood,
    c: Point | None = None,
    toys: int = 1000,
    levels: Sequence[float] = (0.68, 0.95),
    *,
    reference: Point | None = None,
    **options: Unpack[RunOptions],
) -> Coverage:
    """Fit pseudo-experiments at c, all datasets fluctuated together, and count which intervals contain c.

    c: the true point, default the SM: mapping by name or in the order of the parameters, in TeV^-2.
    reference: see `toys.Experiment`. options: see `RunOptions`.
    Raises InputError for fewer than one toy, a level outside (0, 1), a direction that nothing constrains, a
    folder of other settings, and what `Experiment` refuses.
    """
    run = Run(**options)
    for level in levels:
        check_level(level)
    if toys < 1 or not levels:
        raise InputError(f"coverage needs at least one toy and one level, got {toys} and {list(levels)}")
    joint = joint_of(likelihood)
    base = None if reference is None else full_point(likelihood, reference)
    experiment = Experiment(joint, full_point(likelihood, c), base)
    true, names, k = experiment.point, joint.parameters, len(joint.operators)
    expected = experiment.asimov()
    scale = scales(expected, fisher(joint, true, reference=base), true)
    candidates = starts(Objective(expected, scale), true / scale, k)
    settings = {
        "kind": "coverage", "parameters": list(names), "point": true.tolist(), "seed": run.seed,
        "datasets": [d.name for d in joint.datasets], "values": fingerprint(expected, true, scale),
    }  # fmt: skip
    with Lines(run.folder, FILE, settings) as lines, progress_bar(run.progress) as bar:
        task = bar.add_task("coverage", total=toys, completed=sum(n < toys for n in lines.done), note="")
        for number in range(toys):
            if number in lines.done:
                continue
            drawn = experiment.draw(np.random.default_rng([run.seed, _STREAM, number]))
            found = fit(Objective(drawn, scale), true / scale, candidates, k)
            lines.add(number, _entry(found, scale))
            bar.advance(task)
        entries = [lines.done[number] for number in range(toys)]
    return _summary(joint, experiment, entries, tuple(float(x) for x in levels))


def fingerprint(expected: Likelihood, true: np.ndarray, scale: np.ndarray) -> list[float]:
    """Return what tells one likelihood from another: -2 log L one error from the truth on each axis."""
    return [float(x) for x in expected.m2logl(true + np.diag(scale)) - expected.m2logl(true)]


def _entry(found: ToyFit, scale: np.ndarray) -> dict[str, Any]:
    errors = (found.errors * scale).tolist()
    return {
        "best": (found.best * scale).tolist(),
        "errors": [x if np.isfinite(x) else None for x in errors],
        "m2logl": found.value,
        "profiles": found.profiles.tolist(),
        "joint": found.joint,
        "converged": found.converged,
    }


def _summary(
    joint: Likelihood, experiment: Experiment, entries: list[dict[str, Any]], levels: tuple[float, ...]
) -> Coverage:
    names, operators = list(joint.parameters), list(joint.operators)
    good = [e for e in entries if e["converged"]]
    best = np.array([e["best"] for e in entries], dtype=float).reshape(-1, len(names))
    errors = np.array([e["errors"] for e in entries], dtype=float).reshape(-1, len(names))
    frame = pd.DataFrame(best, columns=names)
    frame["m2logl"] = [e["m2logl"] for e in entries]
    frame["converged"] = [bool(e["converged"]) for e in entries]
    ok = frame["converged"].to_numpy()
    pulls = {
        name: {
            **pull_summary((best[ok, i] - experiment.point[i]) / errors[ok, i]),
            "mean_shift": float(np.mean(best[ok, i]) - experiment.point[i]) if ok.any() else np.nan,
        }
        for i, name in enumerate(names)
    }
    messages = []
    if len(good) < len(entries):
        messages.append(f"{len(entries) - len(good)} of {len(entries)} fits did not converge: not counted")
    if (pool := experiment.pool()) < POOL:
        messages.append(
            f"only {pool:.1f} effective simulated events stand for each expected one: toys repeat events, "
            "and fluctuate less than real data; use a larger sample or a lower luminosity"
        )
    return Coverage(
        experiment.values, levels, _table(good, operators, levels),
        pd.DataFrame.from_dict(pulls, orient="index"), frame, tuple(messages),
    )  # fmt: skip


def _table(good: list[dict[str, Any]], operators: list[str], levels: tuple[float, ...]) -> pd.DataFrame:
    rises = np.array([[*e["profiles"], e["joint"]] for e in good]).reshape(len(good), len(operators) + 1)
    regions = [*operators, JOINT] if len(operators) > 1 else operators
    rows = []
    for i, region in enumerate(regions):
        dimension = len(operators) if region == JOINT else 1
        for level in levels:
            inside = int(np.sum(rises[:, i] <= chi2_quantile(level, dimension)))
            counts = coverage_of(inside, len(good), level)
            p = two_sided(counts.pop("p_low"), counts.pop("p_high"))
            rows.append({"region": region, "level": level, **counts, "p": p})
    return pd.DataFrame(rows)
