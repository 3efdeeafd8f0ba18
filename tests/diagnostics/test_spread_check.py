"""The spread of an ensemble whose members are known."""

from __future__ import annotations

import known
import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Events, Polynomial
from smeft_unbinned.diagnostics import prepare, spread

SCATTER = (-0.04, -0.01, 0.01, 0.04)


def one_coefficient(frame: pd.DataFrame) -> Polynomial:
    x = frame["x"].to_numpy()
    return Polynomial(("a",), np.stack([np.ones_like(x), x, np.zeros_like(x)], axis=1))


def linear_events() -> Events:
    frame = pd.DataFrame({"x": np.tile([-0.125, 0.125], 32), "y": 0.0})  # binary fractions: no rounding
    return Events(frame, one_coefficient(frame))


def test_members_with_scaled_linear_terms() -> None:
    """log r = (1 + e) c x for small c, and intervals of half-width 1/(1 + e) around zero."""
    estimator = known.Known(one_coefficient, SCATTER)
    case = prepare(estimator, linear_events(), 1e5, 0)
    check = spread(case)
    deviation = np.std(SCATTER, ddof=1)
    np.testing.assert_allclose(check.tables["log_ratios"]["relative"], deviation, rtol=0.01)
    ends = check.tables["ends"].iloc[0]
    half = 1 / (1 + np.array(SCATTER))
    assert ends["relative"] == pytest.approx(half.std(ddof=1) / (2 * half.mean()), rel=0.02)
    assert check.verdict == "pass"
    assert check.numbers["members"] == 4


def test_members_that_disagree_fail() -> None:
    estimator = known.Known(known.ratio, (-0.5, -0.2, 0.3, 0.6))
    check = spread(prepare(estimator, known.sample(2000, 1), 1000.0, 0))
    assert check.verdict == "fail"
    assert "more members" in check.sentence


def test_a_member_that_cannot_be_fitted_is_counted() -> None:
    estimator = known.Known(one_coefficient, (-1.0, 0.0, 0.01))  # the first does not depend on a
    case = prepare(estimator, linear_events(), 1e5, 0)
    check = spread(case)
    assert check.numbers["failed_fits"] == 1
    assert check.verdict == "warn"
    assert "1 of 3 members gave no interval" in check.sentence


def test_one_member_is_not_applicable() -> None:
    check = spread(prepare(known.Known(scatter=(0.0,)), known.sample(100, 1), 100.0, 0))
    assert check.verdict == "not applicable"


def test_without_truth_and_with_negative_weights() -> None:
    events = known.sample(1000, 1, truth=False)
    check = spread(prepare(known.Known(), events, 300.0, 0))
    assert check.verdict == "pass"
    assert check.numbers["interval_end_relative"] == pytest.approx(0.0, abs=1e-9)
    weights = np.where(np.arange(1000) < 3, -0.1, 1.0) * events.weights
    mixed = Events(events.features, None, weights, events.cross_section)
    assert "negative weights" in spread(prepare(known.Known(), mixed, 300.0, 0)).sentence
