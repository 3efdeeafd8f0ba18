"""Closure: SM events reweighted by r(x|c) must look like events at c, to a classifier and to the eye.

The sample is split into halves, one weighted by the estimate and one by the truth, so that the classifier
compares independent events. Weights are normalised: it judges shapes, the expectation judges the rate.
Without any difference the area under its ROC curve (AUC) is 0.5; its spread then is found by exchanging the
labels of events at random, which keeps every weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import require
from ..events import Events
from ..polynomial import as_point
from ..progress import progress_bar
from .case import Case, effective, thin
from .points import alone, joint, title, visible
from .result import FAIL, PASS, WARN, Check, not_applicable

NAME = "closure"
EXCESS, SEEN = 0.01, 3.0
"""AUC over 0.5, and its significance, from which on the check fails."""
MOST, SPLITS, NULLS, TREES, BINS, CODES = 50_000, 3, 6, 40, 12, 128
_UNLIKELY = 1e-3
Generated = Sequence[tuple[Mapping[str, float], Events]]
Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Features (N, F), weights (N,), and 1 where an event stands for the truth (N,)."""


def closure(
    case: Case,
    points: np.ndarray | None = None,
    *,
    generated: Generated | None = None,
    progress: bool = False,
) -> Check:
    """Train classifiers between events weighted by the estimate and events at c, at points (K, n).

    generated: samples generated at some c, each with its point, used in place of the truth of the events.
    Raises InputError where scikit-learn is missing.
    """
    require("sklearn", "trees")
    if not generated and case.truth is None:
        return not_applicable(NAME, "needs events with truth, or samples generated at other points")
    if np.any(case.weights < 0):
        return not_applicable(NAME, "events with negative weights cannot train the classifier; unweight them")
    if points is None:
        points = visible(case, np.concatenate([alone(case, (1.0,))[:6], joint(case, 1)]))
        points = points[:1] if len(case.operators) == 1 else points
    if generated:
        points = np.array([np.asarray(as_point(c, case.operators), dtype=float) for c, _ in generated])
    rows, bins, clipped = [], [], 0.0
    with progress_bar(progress) as bar:
        task = bar.add_task("closure", total=len(points) * (SPLITS + NULLS), note="")
        for k, point in enumerate(points):
            name = title(point, case.operators)
            bar.update(task, note=name)
            scores: dict[str, list[float]] = {"auc": [], "null": []}
            for turn in range(SPLITS):
                sample, lost = _sample(case, point, turn, generated[k][1] if generated else None)
                clipped = max(clipped, lost)
                scores["auc"].append(_auc(sample, case.seed + turn))
                bar.advance(task)
                if turn == 0:
                    first = sample
            for exchanged in _exchanged(first, NULLS, case.seed):
                scores["null"].append(_auc(exchanged, case.seed))
                bar.advance(task)
            rows.append({"point": name, **_row(scores, first)})
            bins.append(_histograms(first, list(case.estimator.features), name))
    return _check(
        _judged(pd.DataFrame(rows), 1 if generated else SPLITS), pd.concat(bins, ignore_index=True), clipped
    )


def _sample(case: Case, point: np.ndarray, turn: int, generated: Events | None) -> tuple[Sample, float]:
    """Return the events of both classes, and which share of the estimate's weight is negative and cut."""
    names = list(case.estimator.features)
    rng = np.random.default_rng([case.seed, 21, turn])
    index = thin(len(case.weights), MOST, case.seed)
    features, weights = case.features.to_numpy(float)[index], case.weights[index]
    estimate = weights * np.asarray(case.form[index].evaluate(point))
    lost = float(-np.minimum(estimate, 0).sum() / np.abs(estimate).sum())
    estimate = np.maximum(estimate, 0.0)
    if generated is not None:
        chosen = thin(len(generated), MOST, case.seed)
        more, truth = generated.features[names].to_numpy(float)[chosen], np.asarray(generated.weights)[chosen]
        is_truth = np.repeat([0, 1], [len(features), len(more)])
        return (
            np.concatenate([features, more]),
            _normalised(np.concatenate([estimate, np.maximum(truth, 0.0)]), is_truth),
            is_truth,
        ), lost
    assert case.truth is not None  # the caller has checked
    is_truth = rng.permutation(np.arange(len(features)) % 2)
    truth = np.maximum(weights * np.asarray(case.truth[index].evaluate(point)), 0.0)
    return (features, _normalised(np.where(is_truth, truth, estimate), is_truth), is_truth), lost


def _normalised(weights: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return weights (N,) of which each class has half of N."""
    sums = np.bincount(label, weights, minlength=2)
    return np.asarray(weights * (0.5 * len(weights) / sums)[label])


def _exchanged(sample: Sample, count: int, seed: int) -> Iterator[Sample]:
    features, weights, label = sample
    rng = np.random.default_rng([seed, 22])
    for _ in range(count):
        mixed = rng.permutation(label)
        yield features, _normalised(weights, mixed), mixed


def _auc(sample: Sample, seed: int) -> float:
    """Return the weighted AUC of boosted trees, each half of the events judged by the trees of the other."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    features, weights, label = sample
    codes = np.stack([_codes(column) for column in features.T], axis=1)
    fold = np.random.default_rng([seed, 23]).permutation(np.arange(len(label)) % 2)
    scores = []
    for part in (0, 1):
        train, test = fold != part, fold == part
        trees = HistGradientBoostingClassifier(
            max_iter=TREES, max_leaf_nodes=8, min_samples_leaf=50, early_stopping=False, random_state=seed
        )
        trees.fit(codes[train], label[train], sample_weight=weights[train])
        guess = trees.predict_proba(codes[test])[:, 1]
        scores.append(roc_auc_score(label[test], guess, sample_weight=weights[test]))
    return float(np.mean(scores))


def _codes(values: np.ndarray) -> np.ndarray:
    """Return the quantile that each of N values lies in: all that trees look at, and far faster for them."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, CODES + 1)[1:-1]))
    return np.asarray(np.searchsorted(edges, values), dtype=float)


def _row(scores: Mapping[str, list[float]], sample: Sample) -> dict[str, float]:
    """Return the mean AUC, the spread that ranks of fixed scores would have, and the one under the null."""
    sizes = [effective(sample[1][sample[2] == k]) for k in (0, 1)]
    ranks = float(np.sqrt(sum(1.0 / s for s in sizes) / 12.0))
    return {
        "auc": float(np.mean(scores["auc"])),
        "null_mean": float(np.mean(scores["null"])),
        "null_rms": float(np.sqrt(np.mean((np.array(scores["null"]) - 0.5) ** 2))),
        "rank_spread": ranks,
        "effective_estimate": sizes[0],
        "effective_truth": sizes[1],
    }


def _judged(aucs: pd.DataFrame, independent: int) -> pd.DataFrame:
    """Add the spread under the null of the mean over so many independent splits, and significances.

    It is the one of ranks of fixed scores, times a factor common to all points.
    """
    factor = float(np.sqrt(np.mean((aucs["null_rms"] / aucs["rank_spread"]) ** 2)))
    spread = aucs["rank_spread"] * max(1.0, factor) / np.sqrt(independent)
    return aucs.assign(null_spread=spread, significance=(aucs["auc"] - 0.5) / spread)


def _histograms(sample: Sample, names: list[str], point: str) -> pd.DataFrame:
    """Return one row per feature and bin: both contents of sum one, errors, and (difference/error)^2."""
    features, weights, label = sample
    frames = []
    for j, name in enumerate(names):
        x = features[:, j]
        edges = np.unique(np.quantile(x, np.linspace(0, 1, BINS + 1)))
        if len(edges) < 3:  # a feature of one or two values: a bin for each
            edges = np.unique([x.min(), 0.5 * (x.min() + x.max()), x.max()])
        place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, max(len(edges) - 2, 0))
        size = max(len(edges) - 1, 1)
        columns: dict[str, Any] = {"point": point, "feature": name, "bin": np.arange(size)}
        columns |= {"lower": edges[:size], "upper": edges[-size:]}
        variance = np.zeros(size)
        for k, kind in enumerate(("estimate", "truth")):
            w = np.where(label == k, weights, 0.0)
            w = w / w.sum()
            columns[kind] = np.bincount(place, w, minlength=size)
            columns[f"{kind}_error"] = np.sqrt(np.bincount(place, w**2, minlength=size))
            variance += columns[f"{kind}_error"] ** 2
        gap = columns["estimate"] - columns["truth"]
        columns["chi2"] = np.where(variance > 0, gap**2 / np.where(variance > 0, variance, 1.0), 0.0)
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _check(aucs: pd.DataFrame, bins: pd.DataFrame, clipped: float) -> Check:
    sums = bins.groupby(["point", "feature"], sort=False)["chi2"].agg(["sum", "size"]).reset_index()
    sums["p_value"] = stats.chi2.sf(sums["sum"], np.maximum(sums["size"] - 1, 1))
    least = sums.iloc[int(sums["p_value"].argmin())]
    unlikely = float(min(1.0, least["p_value"] * len(sums)))
    excess, significance = aucs["auc"].to_numpy() - 0.5, aucs["significance"].to_numpy()
    fails, warns = (significance > SEEN) & (excess > EXCESS), significance > SEEN
    vague = bool(aucs["null_spread"].max() > EXCESS)
    row = aucs.iloc[int(np.argmax(excess + 1e3 * warns + 1e6 * fails))]
    sentence = f"AUC {row['auc']:.4f} ± {row['null_spread']:.4f} (0.5 is perfect) at {row['point']}"
    verdict = PASS
    if fails.any():
        verdict = FAIL
        sentence += ": trees tell reweighted events from true ones; train longer, or look at the histograms"
    elif warns.any():
        verdict = WARN
        sentence += ": a difference is seen, but a small one"
    elif unlikely < _UNLIKELY:
        verdict = WARN
        sentence += (
            f"; but the histograms of {least['feature']} differ (p = {unlikely:.1g}) at {least['point']}"
        )
    elif vague:
        verdict = WARN
        sentence += f": the events are too few to see an excess of {EXCESS}; use more"
    if clipped > 0:
        verdict = WARN if verdict == PASS and clipped > EXCESS else verdict
        sentence += f"; {clipped:.2%} of the weight is negative and was cut"
    numbers = {
        "auc": float(row["auc"]),
        "null_spread": float(row["null_spread"]),
        "significance": float(row["significance"]),
        "point": str(row["point"]),
        "histograms_p_value": unlikely,
        "negative_weight": clipped,
    }
    return Check(NAME, verdict, sentence, numbers, {"auc": aucs, "chi2": sums, "histograms": bins})
