"""Closure: AUCs of equal, of different and of generated samples, and weighted histograms."""

from __future__ import annotations

import sys

import known
import numpy as np
import pytest
from scipy import stats

from smeft_unbinned import Events, InputError
from smeft_unbinned.diagnostics import closure, diagnose, prepare

pytest.importorskip("sklearn", reason="the trees extra is not installed")
POINT = np.array([[1.0, -1.0]])


def weighted_auc(score: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Probability that an event of the second kind scores above one of the first, by sorting."""
    order = np.argsort(score)
    below = np.cumsum(first[order]) - 0.5 * first[order]
    return float(np.sum(second[order] * below) / first.sum() / second.sum())


def test_the_same_density_gives_one_half() -> None:
    check = closure(prepare(known.Known(), known.sample(8000, 1), 1000.0, 0), POINT)
    assert check.verdict == "pass"
    assert abs(check.numbers["auc"] - 0.5) < 3 * check.numbers["null_spread"]
    row = check.tables["auc"].iloc[0]
    ranks = np.sqrt((1 / row["effective_estimate"] + 1 / row["effective_truth"]) / 12)
    assert row["rank_spread"] == pytest.approx(ranks)
    assert ranks <= row["null_spread"] * np.sqrt(3) < 2 * ranks
    assert abs(row["null_mean"] - 0.5) < 3 * row["null_spread"]


def test_an_estimate_without_any_effect_reaches_the_auc_of_the_exact_ratio() -> None:
    case = prepare(known.Known(known.no_effect), known.sample(20_000, 1), 1000.0, 0)
    check = closure(case, POINT)
    r = np.asarray(case.truth.evaluate(POINT[0]))
    best = weighted_auc(r, np.ones_like(r), r)  # Neyman and Pearson
    assert check.verdict == "fail"
    assert best > 0.6
    assert check.numbers["auc"] == pytest.approx(best, abs=0.02)
    assert check.numbers["histograms_p_value"] < 1e-6


def test_a_wrong_shape_fails() -> None:
    check = closure(prepare(known.Known(known.wrong_shape), known.sample(8000, 1), 1e3, 0), POINT)
    assert check.verdict == "fail"


def test_histograms_are_normalised_and_chi2_follows_its_distribution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["smeft_unbinned.diagnostics.closure"], "TREES", 1)
    values = []
    for seed in range(12):
        check = closure(prepare(known.Known(), known.sample(3000, seed), 1000.0, seed), POINT)
        bins = check.tables["histograms"].groupby("feature")[["estimate", "truth"]].sum()
        np.testing.assert_allclose(bins, 1.0)
        values += list(check.tables["chi2"]["p_value"])
    assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_a_generated_sample() -> None:
    events, point = known.sample(8000, 1, truth=False), {"a": 1.0, "b": -1.0}
    generated = [(point, known.sample_at(4000, POINT[0], 5))]
    good = closure(prepare(known.Known(), events, 1000.0, 0), generated=generated)
    assert abs(good.numbers["auc"] - 0.5) < 3 * good.numbers["null_spread"]
    bad = closure(prepare(known.Known(known.no_effect), _rated(events), 1000.0, 0), generated=generated)
    assert bad.verdict == "fail"
    assert closure(prepare(known.Known(), events, 1000.0, 0)).verdict == "not applicable"


def _rated(events: Events) -> Events:
    return Events(events.features, known.ratio(events.features))


def test_negative_ratios_are_cut_and_reported() -> None:
    case = prepare(known.Known(known.linear_only), known.sample(3000, 1), 1000.0, 0)
    check = closure(case, np.array([[-1.4, 0.0]]))
    r = known.linear_only(case.events.features).evaluate([-1.4, 0.0])
    share = -np.minimum(r, 0).sum() / np.abs(r).sum()
    assert check.numbers["negative_weight"] == pytest.approx(share)
    assert "was cut" in check.sentence


def test_features_of_few_values() -> None:
    rng = np.random.default_rng(1)
    frame = known.sample(3000, 1).features.assign(charge=rng.choice([-1.0, 1.0], 3000), one=1.0)
    estimator = known.Known()
    estimator.features = ("x", "y", "charge", "one")
    check = closure(prepare(estimator, Events(frame, known.ratio(frame)), 1000.0, 0), POINT)
    sizes = check.tables["histograms"].groupby("feature").size()
    assert sizes["charge"] == 2
    assert sizes["one"] == 1


def test_negative_weights_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    events = known.sample(200, 1)
    weights = np.where(np.arange(200) < 3, -0.1, 1.0)
    mixed = Events(events.features, events.truth, weights)
    assert closure(prepare(known.Known(), mixed, 1000.0, 0)).verdict == "not applicable"
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match=r"smeft-unbinned\[trees\]"):
        diagnose(known.Known(), events, checks=["closure"])
    report = diagnose(known.Known(), events, toys=0)
    assert report["closure"].verdict == "not applicable"


def test_it_is_repeatable() -> None:
    case = prepare(known.Known(), known.sample(400, 1), 1000.0, 4)
    first, second = (closure(case, POINT).tables["auc"] for _ in range(2))
    assert first.equals(second)
