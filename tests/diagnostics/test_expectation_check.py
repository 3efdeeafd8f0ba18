"""The check of the mean of r, against quadrature and the likelihood itself."""

from __future__ import annotations

import known
import numpy as np
import pytest

from smeft_unbinned import Events, UnbinnedDataset
from smeft_unbinned.diagnostics import expectation, prepare
from smeft_unbinned.processes import toy, vh

POINT = np.array([[0.3, -0.2]])


def test_the_exact_ratio_passes_without_any_deviation() -> None:
    check = expectation(prepare(known.Known(), known.sample(3000, 1), 1000.0, 0))
    assert check.verdict == "pass"
    assert np.abs(check.tables["points"]["deviation_percent"]).max() < 1e-12
    assert len(check.tables["points"]) == 6 * 2 + 6


def test_a_biased_coefficient_deviates_as_quadrature_says() -> None:
    check = expectation(prepare(known.Known(known.biased), known.sample(20_000, 1), 5000.0, 0), POINT)
    rate = known.rate()
    expected = 10 * float(rate.linear @ POINT[0]) / float(rate.evaluate(POINT[0]))  # per cent
    row = check.tables["points"].iloc[0]
    assert abs(row["deviation_percent"] - expected) < 4 * row["error_percent"]
    assert row["error_percent"] < 0.1 * abs(expected)
    assert check.verdict == "fail"
    assert "calibrate" in check.sentence


def test_the_shift_is_what_calibration_does_to_the_likelihood() -> None:
    events, expected = known.sample(2000, 2), 400.0
    case = prepare(known.Known(known.biased), events, expected, 0)
    row = expectation(case, POINT).tables["points"].iloc[0]
    factor = 1 + row["deviation_percent"] / 100
    weights = np.full(2000, expected / 2000)
    nu = case.form.sum(weights)
    before = UnbinnedDataset("one", case.form, nu, weights).m2logl(POINT[0])
    ratios = case.form.evaluate(POINT[0]) / factor
    after = 2 * (nu.evaluate(POINT[0]) - nu.constant) - 2 * weights @ np.log(ratios)
    assert row["calibration_shift"] == pytest.approx(after - before, rel=1e-9)


def test_without_truth_the_error_is_that_of_the_mean() -> None:
    estimator = known.Known()
    pulls = []
    for seed in range(40):
        case = prepare(estimator, known.sample(1000, seed, truth=False), 1000.0, 0)
        check = expectation(case, POINT)
        pulls.append(check.tables["points"]["significance"].iloc[0])
        assert not check.numbers["paired_with_truth"]
    assert 0.6 < np.std(pulls) < 1.5
    assert abs(np.mean(pulls)) < 4 / np.sqrt(40)
    assert check.verdict == "warn"  # a thousand events cannot tell
    assert "too large to tell" in check.sentence


def test_labels_before_the_detector_serve_as_truth() -> None:
    estimator = known.Known(lambda frame: toy.ratio(frame["x"], smearing=0.5))
    estimator.features = ("x",)
    pulls = [
        expectation(
            prepare(estimator, toy.generate(2000, seed=s, smearing=0.5), 1000.0, 0), np.array([[0.5]])
        )
        .tables["points"]["significance"]
        .iloc[0]
        for s in range(40)
    ]
    assert 0.6 < np.std(pulls) < 1.5


def test_vh(zh_events: Events) -> None:
    operators = zh_events.operators
    estimator = known.Known.__new__(known.Known)
    estimator.operators, estimator.features = operators, tuple(zh_events.features.columns)
    estimator.rule = lambda frame: vh.truth(frame, operators=operators)
    assert expectation(prepare(estimator, zh_events, 1000.0, 0)).verdict == "pass"
    estimator.rule = lambda frame: known.scaled(vh.truth(frame, operators=operators), 1.1)
    assert expectation(prepare(estimator, zh_events, 1000.0, 0)).verdict == "fail"


def test_without_any_rate_it_is_not_applicable() -> None:
    case = prepare(known.Known(), known.sample(100, 1, truth=False, rated=False), 1000.0, 0)
    check = expectation(case)
    assert check.verdict == "not applicable"
    assert "cross section" in check.sentence
