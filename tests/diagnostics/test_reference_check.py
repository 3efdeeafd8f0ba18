"""The reference variation: exact ratios pass, a ratio that is right only in the mean does not."""

from __future__ import annotations

import known
import numpy as np
import pytest

from smeft_unbinned import InputError
from smeft_unbinned.diagnostics import expectation, prepare, reference

A, B = np.array([0.6, -0.5]), np.array([-0.5, 0.6])


def test_exact_ratios_pass() -> None:
    check = reference(prepare(known.Known(), known.sample(3000, 1), 1000.0, 0))
    assert check.verdict == "pass"
    assert np.abs(check.tables["pairs"]["deviation_percent"]).max() < 1e-10


def test_the_right_mean_is_not_enough() -> None:
    case = prepare(known.Known(known.wrong_shape), known.sample(20_000, 3), 1000.0, 0)
    assert abs(expectation(case).numbers["significance"]) < 3  # the shape is all that is wrong
    check = reference(case)
    assert check.verdict == "fail"
    assert "reference" in check.sentence


def test_the_deviation_of_independent_ratios() -> None:
    case = prepare(known.Known(known.wrong_shape), known.sample(50_000, 3), 1000.0, 0)
    row = reference(case, np.array([[A, B]])).tables["pairs"].iloc[0]
    exact = known.ratio(case.events.features)
    quotient = float(np.mean(exact.evaluate(A) / exact.evaluate(B)))  # independent of the truth at b
    expected = 100 * (quotient * known.rate().evaluate(B) / known.rate().evaluate(A) - 1)
    assert row["deviation_percent"] == pytest.approx(expected, abs=4 * row["error_percent"])


def test_generated_samples_replace_truth() -> None:
    events = known.sample(3000, 1, truth=False)
    generated = [({"a": B[0], "b": B[1]}, known.sample_at(20_000, B, 7))]
    case = prepare(known.Known(), events, 100.0, 0)
    check = reference(case, generated=generated)
    assert check.verdict in ("pass", "warn")
    assert np.abs(check.tables["pairs"]["significance"]).max() < 4
    wrong = reference(prepare(known.Known(known.biased), events, 2000.0, 0), generated=generated)
    assert wrong.verdict == "fail"
    assert reference(case).verdict == "not applicable"


def test_events_without_a_ratio_at_b_are_reported() -> None:
    case = prepare(known.Known(known.linear_only), known.sample(3000, 1), 1000.0, 0)
    far = np.array([[[0.1, 0.0], [-1.0, 0.0]]])
    check = reference(case, far)
    share = float(np.mean(known.linear_only(case.events.features).evaluate(far[0, 1]) <= 0))
    assert share > 0.01
    assert check.verdict == "fail"
    assert "was left out" in check.sentence


def test_two_estimators() -> None:
    case = prepare(known.Known(), known.sample(5000, 1), 1000.0, 0)
    assert reference(case, other=known.Known()).numbers["difference_to_other"] == 0
    check = reference(case, other=known.Known(known.wrong_shape))
    assert check.verdict == "fail"
    assert check.numbers["difference_to_other"] == pytest.approx(np.sqrt(2), rel=0.1)  # independent
    other = known.Known()
    other.operators = ("a",)
    with pytest.raises(InputError, match="lacks b"):
        reference(case, other=other)
