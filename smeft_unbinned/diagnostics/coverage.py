"""Coverage: how often intervals from the estimate contain the truth, in toys made at known coefficients.

A toy at c is a Poisson number of simulated events drawn with probabilities w R(c), R the truth of the events.
A label before the detector serves as well as the exact ratio, since x then has the density at c all the same.
The regions are those of Wilks' theorem (-2 log L risen by a quantile of chi2), and the same toys fitted with
the exact ratio tell whether that theorem holds at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..datasets.resampling import Source
from ..fit.descent import Scaled, minima
from ..polynomial import Polynomial
from ..progress import progress_bar
from ..statistics.binomial import coverage_of
from ..statistics.toyfit import pull_summary
from .case import Case, dataset, thin
from .points import joint, title
from .result import FAIL, PASS, WARN, Check, not_applicable, worst
from .toyfits import Toy, ToyFit, fit

NAME = "coverage"
LEVELS = (0.68, 0.95)
TOLERANCE = {0.68: 0.02, 0.95: 0.01}
"""Missing coverage that does not make the check fail, whatever its significance."""
JOINT = "all together"
KINDS = ("estimate", "exact")
SURE, SEEN = 0.003, 0.03
"""Probabilities, over all entries, of so low a coverage by chance: below, the check fails or warns."""
LOST = (0.01, 0.05)
"""Shares of toys without a converged fit, above which the check warns and fails."""
POOL = 5.0
"""Effective simulated events per expected one below which the check warns."""
_MINIMA_FROM, _RELEVANT = 5_000, 25.0


def coverage(
    case: Case,
    points: np.ndarray | None = None,
    *,
    toys: int = 200,
    truth: bool = True,
    progress: bool = False,
) -> Check:
    """Fit `toys` toys at each of the points (K, n), default the SM and two random ones.

    truth: whether to fit every toy with the exact ratio too, where the events carry it.
    """
    if toys < 1:
        return not_applicable(NAME, "no toys were asked for")
    if case.truth is None:
        return not_applicable(NAME, "toys are drawn by the truth of the events, and these carry none")
    if points is None:
        points = np.concatenate([np.zeros((1, len(case.operators))), joint(case, 2)])
    sources = [_source(case, case.truth, point) for point in points]
    if any(source is None for source in sources):
        return not_applicable(NAME, "some events have a negative rate, so that toys cannot be drawn")
    forms = {KINDS[0]: case.form, **({KINDS[1]: case.truth} if truth and case.exact else {})}
    expected = case.truth.sum(case.weights).coefficients * case.expected
    results: list[dict[str, Any]] = []
    pulls: list[dict[str, Any]] = []
    failed, total = 0, 0
    with progress_bar(progress) as bar:
        task = bar.add_task("coverage", total=len(points) * toys, note="")
        for k, (point, source) in enumerate(zip(points, sources, strict=True)):
            assert source is not None
            name = title(point, case.operators)
            bar.update(task, note=name)
            starts = {kind: _starts(case, form, point) for kind, form in forms.items()}
            fits: dict[str, list[ToyFit]] = {kind: [] for kind in forms}
            for number in range(toys):
                drawn = source.draw(np.random.default_rng([case.seed, 31, k, number]))
                for kind, form in forms.items():
                    toy = Toy(form.coefficients[drawn], expected, case.half_widths)
                    fits[kind].append(fit(toy, point / case.half_widths, starts[kind]))
                bar.advance(task)
            failed += sum(not f.converged for f in fits[KINDS[0]])
            total += toys
            results += _counts(name, fits, case.operators)
            pulls += _pulls(name, fits, point / case.half_widths, case)
    table = pd.DataFrame(results)
    least = min(source.effective for source in sources if source is not None)
    return _check(table, pd.DataFrame(pulls), failed, total, least / case.expected)


def _source(case: Case, truth: Polynomial, point: np.ndarray) -> Source | None:
    rates = case.weights * np.asarray(truth.evaluate(point))
    if np.any(rates < -1e-9 * np.abs(rates).max()) or not rates.sum() > 0:
        return None
    return Source.of(case.expected * np.maximum(rates, 0.0))


def _starts(case: Case, form: Polynomial, point: np.ndarray) -> np.ndarray:
    """Return starts (S, n) in half-widths: the minima of Asimov data at the point, and steps on each axis."""
    n, scale = len(point), case.half_widths
    true = point / scale
    starts = [true + sign * row for row in np.eye(n) for sign in (1.0, -1.0)] + [np.zeros(n)]
    index = thin(len(case.weights), _MINIMA_FROM, case.seed)
    assert case.truth is not None
    counts = np.maximum(case.weights[index] * np.asarray(case.truth[index].evaluate(point)), 0.0)
    weights = case.weights[index] / case.weights[index].sum()
    rate = case.truth[index].sum(weights)
    function = Scaled(dataset(form[index], rate, counts / case.weights[index].sum(), case.expected), scale)
    found = minima(function, true)
    lowest = function.value(found[0])
    starts += [y for y in found if function.value(y) - lowest < _RELEVANT]
    return np.array(starts)


def _counts(point: str, fits: dict[str, list[ToyFit]], operators: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per likelihood, region and level: counts over the toys whose fits all converged."""
    good = np.all([[f.converged for f in each] for each in fits.values()], axis=0)
    rows = []
    for kind, each in fits.items():
        rises = np.array([[*f.profiles, f.joint] for f, ok in zip(each, good, strict=True) if ok])
        regions = [*operators, JOINT] if len(operators) > 1 else list(operators)
        for i, region in enumerate(regions):
            dimension = len(operators) if region == JOINT else 1
            for level in LEVELS:
                inside = rises[:, i] <= stats.chi2.ppf(level, dimension) if len(rises) else np.zeros(0, bool)
                row = {"point": point, "likelihood": kind, "region": region, "level": level}
                counts = coverage_of(int(inside.sum()), len(inside), level)
                rows.append({**row, **counts, "_inside": inside})
    return rows


def _pulls(point: str, fits: dict[str, list[ToyFit]], true: np.ndarray, case: Case) -> list[dict[str, Any]]:
    rows = []
    for kind, each in fits.items():
        good = [f for f in each if f.converged]
        if not good:
            continue
        shift = np.array([f.best - true for f in good])
        errors = np.array([f.errors for f in good])
        for i, name in enumerate(case.operators):
            rows.append(
                {
                    "point": point,
                    "likelihood": kind,
                    "operator": name,
                    **pull_summary(shift[:, i] / errors[:, i]),
                    "mean_shift": float(shift[:, i].mean() * case.half_widths[i]),
                    "median_shift": float(np.median(shift[:, i]) * case.half_widths[i]),
                    "mean_shift_half_widths": float(shift[:, i].mean()),
                }
            )
    return rows


def _judge(table: pd.DataFrame) -> tuple[str, int, list[str]]:
    """Return the verdict on the estimate's entries, the row that stands for it, and what to say."""
    estimate, exact = (table[table["likelihood"] == kind].reset_index(drop=True) for kind in KINDS)
    entries = len(estimate)
    low, high = (np.minimum(1.0, entries * estimate[p].to_numpy()) for p in ("p_low", "p_high"))
    missing = estimate["level"].to_numpy() - estimate["coverage"].to_numpy()
    allowed = estimate["level"].map(TOLERANCE).to_numpy()
    alike_low = alike_high = np.zeros(entries, dtype=bool)
    if len(exact):
        pairs = list(zip(estimate["_inside"], exact["_inside"], strict=True))
        alike_low = (entries * exact["p_low"].to_numpy() < SEEN) & ~np.array([_less(a, b) for a, b in pairs])
        alike_high = (entries * exact["p_high"].to_numpy() < SEEN) & ~np.array(
            [_less(b, a) for a, b in pairs]
        )
    far = int(np.argmin(np.minimum(low, high)))
    if np.any(fails := (low < SURE) & (missing > allowed) & ~alike_low):
        return (
            FAIL,
            int(np.argmin(np.where(fails, low, 2.0))),
            ["intervals are too narrow or shifted: calibrate, train longer or on more events"],
        )
    if np.any(seen := (low < SEEN) & ~alike_low):
        return WARN, int(np.argmin(np.where(seen, low, 2.0))), ["this is low; repeat with more toys"]
    if np.any(seen := low < SEEN):
        return (
            WARN,
            int(np.argmin(np.where(seen, low, 2.0))),
            [
                "the exact ratio misses as often, so the estimate is not to blame: either chance, which more "
                "toys would show, or Wilks' theorem does not hold there and intervals need toys"
            ],
        )
    if np.any(seen := (high < SURE) & ~alike_high):
        return WARN, int(np.argmin(np.where(seen, high, 2.0))), ["intervals are wider than they need to be"]
    if np.any(high < SURE):
        return PASS, far, ["the exact ratio covers as much: Wilks' theorem does not hold there"]
    return PASS, far, []


def _check(table: pd.DataFrame, pulls: pd.DataFrame, failed: int, total: int, pool: float) -> Check:
    estimate = table[table["likelihood"] == KINDS[0]].reset_index(drop=True)
    verdict, k, messages = _judge(table)
    row = estimate.iloc[k]
    if failed:
        share = failed / total
        verdict = worst([verdict, FAIL if share > LOST[1] else WARN if share > LOST[0] else PASS])
        messages.append(f"{failed} of {total} toys did not converge and are not counted")
    if pool < POOL:
        verdict = worst([verdict, WARN])
        messages.append(f"only {pool:.1f} effective simulated events per expected one: use a larger sample")
    error = 0.5 * (row["upper"] - row["lower"])
    sentence = (
        f"the {row['level']:.0%} region of {row['region']} contains the truth in {row['coverage']:.1%} ± "
        f"{error:.1%} of {row['toys']} toys at {row['point']}, the entry farthest from nominal"
    )
    mine = pulls[pulls["likelihood"] == KINDS[0]] if len(pulls) else pulls
    numbers = {
        "toys_per_point": int(total / max(estimate["point"].nunique(), 1)),
        "not_converged": failed,
        "coverage": float(row["coverage"]),
        "level": float(row["level"]),
        "region": str(row["region"]),
        "point": str(row["point"]),
        "largest_mean_pull": float(mine["mean_pull"].abs().max()) if len(mine) else None,
        "effective_events_per_expected": float(pool),
    }
    tables = {"coverage": table.drop(columns="_inside"), "pulls": pulls}
    return Check(NAME, verdict, "; ".join([sentence, *messages]), numbers, tables)


def _less(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the first contains the truth significantly less often than the second, in the same toys."""
    only_second, only_first = int(np.sum(second & ~first)), int(np.sum(first & ~second))
    return bool(stats.binom.sf(only_second - 1, only_first + only_second, 0.5) < SURE)
