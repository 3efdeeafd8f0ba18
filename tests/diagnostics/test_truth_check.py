"""The comparison with exact ratios, against closed forms."""

from __future__ import annotations

import known
import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Events, InputError, Polynomial
from smeft_unbinned.diagnostics import (
    accuracy,
    coefficient_accuracy,
    interval_accuracy,
    prepare,
    truth_check,
)
from smeft_unbinned.processes import toy

POINTS = np.array([[0.2, 0.1], [-0.3, 0.2], [0.0, 0.0]])


def test_log_ratios_with_a_known_error() -> None:
    events = known.sample(4000, 1)
    exact = np.log(events.truth.evaluate(POINTS))
    noise = np.random.default_rng(2).choice([-0.02, 0.02], size=exact.shape[1])
    noise -= noise.mean()
    table = accuracy(exact + 0.01 + noise, events.truth, events.weights, POINTS)
    np.testing.assert_allclose(table["bias"], 0.01, rtol=1e-10)
    np.testing.assert_allclose(table["spread"], noise.std(), rtol=1e-10)
    np.testing.assert_allclose(table["mse"], 0.01**2 + noise.var(), rtol=1e-10)
    np.testing.assert_allclose(table["variance"][:2], exact.var(axis=1)[:2], rtol=1e-10)
    assert table["relative_mse"][2] == np.inf  # log r is zero at the SM, the estimate is not
    with pytest.raises(InputError, match="do not fit"):
        accuracy(exact[:2], events.truth, events.weights, POINTS)
    with pytest.raises(InputError, match="do not fit"):
        accuracy(exact, events.truth, events.weights[:-1], POINTS)


def test_forms_and_their_log_ratios_agree() -> None:
    events = known.sample(500, 1)
    form = known.biased(events.features)
    a = accuracy(form, events.truth, 7.0 * events.weights, POINTS)
    b = accuracy(np.log(form.evaluate(POINTS)), events.truth, events.weights, POINTS)
    pd.testing.assert_frame_equal(a, b)


def test_coefficients() -> None:
    events = known.sample(5000, 1)
    table = coefficient_accuracy(known.biased(events.features), events.truth, events.weights)
    linear = events.truth.linear
    expected = 1 - 0.01 * (linear**2).mean(axis=0) / linear.var(axis=0)
    np.testing.assert_allclose(table["r2"][:2], expected)
    np.testing.assert_allclose(table["r2"][2:], 1.0)
    assert list(table["coefficient"]) == ["a", "b", "a*a", "a*b", "b*b"]
    constant = Polynomial(("a",), np.tile([1.0, 0.0, 0.5], (len(events), 1)))
    assert coefficient_accuracy(constant, constant, events.weights)["r2"].isna().all()


def test_exact_intervals_are_the_same() -> None:
    events = known.sample(3000, 1)
    table = interval_accuracy(known.ratio(events.features), events, 500.0)
    assert list(table["fit"]) == ["one at a time"] * 2 + ["all together"] * 2
    np.testing.assert_allclose(table["width_ratio"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(table["shift"], 0.0, atol=1e-6)


def test_a_purely_linear_ratio_has_intervals_in_closed_form() -> None:
    rng = np.random.default_rng(3)
    x = rng.choice([-0.1, 0.1], size=20_000)
    x -= x.mean()
    coefficients = np.stack([np.ones_like(x), x, np.zeros_like(x)], axis=1)
    events = Events(pd.DataFrame({"x": x}), Polynomial(("a",), coefficients))
    expected = 1e4
    steeper = Polynomial(("a",), coefficients * [1.0, 1.25, 0.0])
    row = interval_accuracy(steeper, events, expected).iloc[0]
    half = np.sqrt(3.841459 / (expected * x.var()))  # -2 log L = N c^2 E[x^2] for small c
    assert 0.5 * (row["exact_upper"] - row["exact_lower"]) == pytest.approx(half, rel=2e-3)
    assert row["width_ratio"] == pytest.approx(1 / 1.25, rel=2e-3)
    shifted = Polynomial(("a",), coefficients + [0.0, 1e-4, 0.0])
    row = interval_accuracy(shifted, events, expected).iloc[0]
    shift = 1e-4 / x.var()  # the slope of the likelihood at the SM over its curvature
    assert row["shift"] == pytest.approx(shift / half, rel=0.02)
    assert row["shift_sigma"] == pytest.approx(shift / half * 1.959964 / 0.994458, rel=0.02)


def test_verdicts() -> None:
    events = known.sample(5000, 1)
    good = truth_check(prepare(known.Known(), events, 500.0, 0))
    assert good.verdict == "pass"
    bad = truth_check(prepare(known.Known(known.biased), events, 500.0, 0))
    assert bad.verdict == "fail"
    assert "interval" in bad.sentence
    assert len(bad.tables["points"]) == 8


def test_labels_and_missing_truth_are_not_compared() -> None:
    estimator = known.Known(lambda frame: toy.ratio(frame["x"], smearing=0.5))
    estimator.features = ("x",)
    check = truth_check(prepare(estimator, toy.generate(500, seed=1, smearing=0.5), 1000.0, 0))
    assert check.verdict == "not applicable"
    assert "label" in check.sentence
    assert truth_check(prepare(known.Known(), known.sample(100, 1, truth=False), 9.0, 0)).verdict == (
        "not applicable"
    )
    with pytest.raises(InputError, match="exact truth"):
        interval_accuracy(known.ratio(known.sample(9, 1).features), known.sample(9, 1, truth=False), 5.0)


def test_negative_weights_leave_the_intervals_out() -> None:
    events = known.sample(500, 1)
    weights = np.where(np.arange(500) < 5, -0.1, 1.0) * events.weights
    mixed = Events(events.features, events.truth, weights)
    check = truth_check(prepare(known.Known(), mixed, 500.0, 0))
    assert check.verdict == "pass"
    assert "weights are negative" in check.sentence
