"""Goodness of fit at a point: how probable data that agree no better with the prediction are.

- Binned measurements: chi2 = sum of d_i (V^-1 d)_i over their points, as in SMEFiT's reports, which adds up.
  Without toys p belongs to the chi2 of the measurement on its own, d^T (V_gg)^-1 d, since the shares of
  correlated measurements do not follow the chi2 distribution.
- Counts: the deviance 2 sum_b [nu_b - n_b + n_b log(n_b/nu_b)]; without toys p is that of chi2, which holds
  for large counts.
- Events: the value of -2 log L relative to the SM, for which toys alone give p. Only ratios to the SM are
  known of the density, so at the SM itself the value is zero and says nothing; what remains is the number of
  events, with the Poisson probability of one as far from nu(c).
- Constraints of nuisances: sum of ((theta - centre)/error)^2.

Toys are pseudo-experiments at the point. Without refit the point stays the same in all of them; with refit
the data and each toy get their own minimum, which is what p of a best fit needs: fitted coefficients make
every value smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ..datasets import GaussianDataset, PoissonDataset, UnbinnedDataset
from ..errors import InputError
from ..fit.result import FitResult
from ..likelihood import Likelihood
from ..polynomial import Point
from ..progress import progress_bar
from ..quantiles import chi2_tail
from .binomial import exceedance, two_sided
from .fisher import CONSTRAINTS, fisher
from .objective import Objective, scales, starts
from .parts import by_name, full_point, groups, joint_of, unique
from .toyfit import lowest
from .toys import Experiment

TOTAL, WITH_EVENTS = "total", "total with events"
FEW = 5.0
"""Expected count in a bin below which the chi2 distribution of a deviance is told to be an approximation."""
_STREAM = 59


@dataclass(frozen=True, eq=False)
class Goodness:
    """Agreement of data and prediction.

    point: by name. table: a row per measurement and in total: kind, value, points, per point, p, and the
    method of p. events: a row per unbinned dataset: events, their expected number, p. messages: what to know.
    toys: the values by toy, same columns as rows of the table, or None.
    """

    point: dict[str, float]
    table: pd.DataFrame
    events: pd.DataFrame
    messages: tuple[str, ...]
    toys: pd.DataFrame | None = None

    def __repr__(self) -> str:
        row = self.table.loc[TOTAL]
        return f"Goodness({row['value']:.4g} for {row['points']} points, p = {row['p']:.3g})"


def goodness(
    likelihood: Likelihood,
    at: FitResult | Point | None = None,
    *,
    toys: int = 0,
    refit: bool = False,
    seed: int = 0,
    source: Likelihood | None = None,
    progress: bool = False,
) -> Goodness:
    """Return chi2, deviances and -2 log L by measurement at a point or a best fit, with p-values.

    at: default the SM; mapping by name or in the order of the parameters. For a FitResult the p-value of the
        total without toys takes one degree of freedom per free parameter without constraint, if all data are
        binned or counted.
    toys: how many pseudo-experiments give p; 0 for those that have closed forms.
    refit: compare the values at the minimum of each toy with those at the minimum of the data.
    source: the same likelihood with simulated events where this one has observed ones. Toys made of the
        observed events themselves would agree with them by construction.
    Raises InputError for a result of other coefficients, a source of other datasets, and toys of observed
    events without a source.
    """
    joint = joint_of(likelihood)
    loose = [n for n in joint.nuisances if joint.constraints[n] is None]
    fitted = len(at.operators) + len(loose) if isinstance(at, FitResult) else 0
    point = _point(likelihood, at)
    if toys:
        experiment = _experiment(joint, source, point)
        place = _minimum(experiment) if refit else lambda data: point
        values = _values(joint, joint, place(joint))
        drawn = _draw(joint, experiment, place, toys, seed, progress)
    else:
        values, drawn = _values(joint, joint, point), None
    kinds = _kinds(joint)
    table = pd.DataFrame({"kind": [k for k, _ in kinds], "value": list(values.values())}, index=list(values))
    table["points"] = [n for _, n in kinds]
    messages: list[str] = []
    p, method = _closed_forms(joint, point, messages) if drawn is None else ({}, {})
    if drawn is not None:
        p = {name: exceedance(values[name], drawn[name].to_numpy()) for name in values}
        at_sm = [n for n, x in values.items() if table.loc[n, "kind"] == "events" and x == 0.0]
        p |= dict.fromkeys(at_sm, np.nan)
        method = dict.fromkeys(values, "toys, refitted" if refit else "toys")
    table["p"], table["method"] = pd.Series(p), pd.Series(method)
    table = _with_totals(table, drawn, fitted, messages)
    table.insert(3, "per point", table["value"] / table["points"].where(table["points"] > 0))
    return Goodness(by_name(joint.parameters, point), table, _events(joint, point), tuple(messages), drawn)


def _point(likelihood: Likelihood, at: FitResult | Point | None) -> np.ndarray:
    if not isinstance(at, FitResult):
        return full_point(likelihood, at)
    joint = joint_of(likelihood)
    missing = [name for name in joint.parameters if name not in at.best]
    if missing:
        raise InputError(
            f"the fit result has no value of {', '.join(missing)}; it is of another fit, take its own card"
        )
    return full_point(joint, {name: at.best[name] for name in joint.parameters})


def _kinds(joint: Likelihood) -> list[tuple[str, int]]:
    """Return kind and number of points of every row but the totals; events have none."""
    kinds: list[tuple[str, int]] = []
    for d in joint.datasets:
        if isinstance(d, GaussianDataset):
            kinds += [("binned", rows.stop - rows.start) for _, rows in groups(d)]
        else:
            kinds.append(("counts", len(d)) if isinstance(d, PoissonDataset) else ("events", 0))
    held = [n for n, pair in joint.constraints.items() if pair is not None and n in joint.nuisances]
    return kinds + ([(CONSTRAINTS, len(held))] if held else [])


def _values(joint: Likelihood, data: Likelihood, point: np.ndarray) -> dict[str, float]:
    """Return the values of all rows but the totals for the data of a likelihood that is like `joint`."""
    named: list[tuple[str, float]] = []
    places = data.dataset_points(point)
    for kind, d in zip(joint.datasets, data.datasets, strict=True):
        place = np.asarray(places[d.name])
        if isinstance(kind, GaussianDataset):
            assert isinstance(d, GaussianDataset)
            named += [(name, float(x)) for name, x in d.chi2_by_group(place).items()]
        elif isinstance(kind, PoissonDataset):
            assert isinstance(d, PoissonDataset)
            named.append((d.name, deviance(d.counts, d.contents(place))))
        else:
            named.append((d.name, float(d.m2logl(place))))
    theta = by_name(data.parameters, point)
    pairs = [(theta[n], p) for n, p in data.constraints.items() if p is not None and n in data.nuisances]
    if pairs:
        named.append((CONSTRAINTS, sum(((x - centre) / error) ** 2 for x, (centre, error) in pairs)))
    return dict(zip(unique([name for name, _ in named]), (x for _, x in named), strict=True))


def deviance(counts: np.ndarray, expected: np.ndarray) -> float:
    """Return 2 sum_b [nu_b - n_b + n_b log(n_b/nu_b)] of counts (B,) and their expectation (B,)."""
    logs = np.where(counts > 0, counts * np.log(np.where(counts > 0, counts, 1.0) / expected), 0.0)
    return float(2.0 * np.sum(expected - counts + logs))


def _closed_forms(
    joint: Likelihood, point: np.ndarray, messages: list[str]
) -> tuple[dict[str, float], dict[str, str]]:
    places, named = joint.dataset_points(point), []
    for d in joint.datasets:
        place = np.asarray(places[d.name])
        if isinstance(d, GaussianDataset):
            residual = d.data - np.asarray(d.prediction(place))
            for name, rows in groups(d):
                own = residual[rows] @ np.linalg.solve(d.covariance[rows, rows], residual[rows])
                named.append((name, float(chi2_tail(own, rows.stop - rows.start)), "chi2"))
        elif isinstance(d, PoissonDataset):
            nu = d.contents(place)
            named.append((d.name, float(chi2_tail(deviance(d.counts, nu), len(d))), "chi2, large counts"))
            if nu.min() < FEW:
                messages.append(f"{d.name}: bins with less than {FEW:g} expected events; take p from toys")
        else:
            named.append((d.name, np.nan, "needs toys"))
    names = unique([name for name, *_ in named])
    return (
        {name: p for name, (_, p, _) in zip(names, named, strict=True)},
        {name: how for name, (_, _, how) in zip(names, named, strict=True)},
    )


def _with_totals(
    table: pd.DataFrame, drawn: pd.DataFrame | None, fitted: int, messages: list[str]
) -> pd.DataFrame:
    events = table["kind"] == "events"
    whole = table[~events]
    value, points = float(whole["value"].sum()), int(whole["points"].sum())
    p, method = np.nan, "no points"
    if drawn is not None and points:
        p, method = (
            exceedance(value, drawn[list(whole.index)].sum(axis=1).to_numpy()),
            table["method"].iloc[0],
        )
    elif points:
        free = 0 if events.any() else fitted
        points_of_constraints = int(whole.loc[whole["kind"] == CONSTRAINTS, "points"].sum())
        dof = points - free - points_of_constraints * bool(fitted)
        p = float(chi2_tail(value, dof)) if dof > 0 else np.nan
        method = f"chi2, {dof} degrees of freedom"
        if fitted and events.any():
            messages.append(
                "binned and unbinned data are fitted together: p of the total takes no account of the "
                f"{fitted} fitted coefficients and is too large; take it from toys with refit"
            )
    rows = {TOTAL: ["all points", value, points, p, method]}
    if drawn is not None and events.any():
        every = float(table["value"].sum())
        rows[WITH_EVENTS] = ["all", every, 0, exceedance(every, drawn.sum(axis=1).to_numpy()), method]
    return pd.concat([table, pd.DataFrame.from_dict(rows, orient="index", columns=list(table.columns))])


def _events(joint: Likelihood, point: np.ndarray) -> pd.DataFrame:
    places, rows = joint.dataset_points(point), {}
    for d in joint.datasets:
        if isinstance(d, UnbinnedDataset):
            count, nu = float(d.weights.sum()), d.expected_count(np.asarray(places[d.name]))
            whole = round(count)
            p = two_sided(float(stats.poisson.cdf(whole, nu)), float(stats.poisson.sf(whole - 1, nu)))
            rows[d.name] = {"events": count, "expected": nu, "p": p if d.observed else np.nan}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["events", "expected", "p"])


def _experiment(joint: Likelihood, source: Likelihood | None, point: np.ndarray) -> Experiment:
    """Return what toys are drawn from; raise InputError where they cannot be or do not fit the data."""
    simulated = joint if source is None else joint_of(source)
    names = [[d.name for d in each.datasets] for each in (simulated, joint)]
    if names[0] != names[1] or simulated.parameters != joint.parameters:
        raise InputError(
            "source must be a likelihood of the same datasets in the same parameters, got "
            f"{', '.join(names[0])} in {', '.join(simulated.parameters)}"
        )
    observed = [d.name for d in simulated.datasets if isinstance(d, UnbinnedDataset) and d.observed]
    if observed:
        raise InputError(
            f"toys of {', '.join(observed)} cannot be made of the observed events, with which they agree by "
            "construction; pass source=, the same likelihood with simulated events (Asimov data), or toys=0"
        )
    return Experiment(simulated, point)


def _minimum(experiment: Experiment) -> Callable[[Likelihood], np.ndarray]:
    """Return a function that finds the minimum for data like those of an experiment."""
    point, expected = experiment.point, experiment.asimov()
    scale = scales(expected, fisher(experiment.likelihood, point), point)
    candidates = starts(Objective(expected, scale), point / scale, len(expected.operators))
    free = np.arange(len(point))
    return lambda data: lowest(Objective(data, scale), point / scale, candidates, free).y * scale


def _draw(
    joint: Likelihood,
    experiment: Experiment,
    place: Callable[[Likelihood], np.ndarray],
    toys: int,
    seed: int,
    progress: bool,
) -> pd.DataFrame:
    """Return the values of toys, each at its place, a row per toy."""
    rows = []
    with progress_bar(progress) as bar:
        task = bar.add_task("toys", total=toys, note="")
        for number in range(toys):
            drawn = experiment.draw(np.random.default_rng([seed, _STREAM, number]))
            rows.append(_values(joint, drawn, place(drawn)))
            bar.advance(task)
    return pd.DataFrame(rows)
