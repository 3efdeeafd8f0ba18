"""Coverage: nominal for exact ratios, the known exception at a boundary, and failures of an estimate."""

from __future__ import annotations

import known
import numpy as np
import pytest

from smeft_unbinned import Events
from smeft_unbinned.diagnostics import coverage, prepare
from smeft_unbinned.processes import toy
from smeft_unbinned.statistics import toyfit

POINTS = np.array([[0.0, 0.0], [0.15, -0.1]])


def test_exact_ratios_are_nominal() -> None:
    check = coverage(
        prepare(known.Known(), known.sample(20_000, 1), 1000.0, 3), POINTS, toys=250, truth=False
    )
    table = check.tables["coverage"]
    assert check.verdict == "pass"
    assert check.numbers["not_converged"] == 0
    assert len(table) == 2 * 3 * 2
    error = np.sqrt(table["level"] * (1 - table["level"]) / 250)
    assert np.all(np.abs(table["coverage"] - table["level"]) < 3.3 * error)
    assert np.all((table["lower"] < table["coverage"]) & (table["coverage"] < table["upper"]))
    pulls = check.tables["pulls"]
    assert np.all(np.abs(pulls["mean_pull"]) < 4 * pulls["mean_pull_error"])
    np.testing.assert_allclose(pulls["pull_spread"], 1.0, atol=0.15)


def test_a_biased_estimate_fails_and_the_exact_one_beside_it_does_not() -> None:
    case = prepare(known.Known(known.biased), known.sample(20_000, 1), 500.0, 3)
    check = coverage(case, POINTS, toys=80)
    assert check.verdict == "fail"
    assert check.numbers["coverage"] < check.numbers["level"] - 0.1
    table = check.tables["coverage"]
    exact = table[table["likelihood"] == "exact"]
    error = np.sqrt(exact["level"] * (1 - exact["level"]) / 80)
    assert np.all(np.abs(exact["coverage"] - exact["level"]) < 3.5 * error)


def test_at_a_boundary_the_exact_ratio_covers_more() -> None:
    """theta enters squared: at zero, half of the toys have their minimum there, and 68 % become 84 %."""
    estimator = known.Known(lambda frame: toy.ratio(frame["x"]))
    estimator.features = ("x",)
    case = prepare(estimator, toy.generate(20_000, seed=1), 1000.0, 3)
    check = coverage(case, np.zeros((1, 1)), toys=300)
    table = check.tables["coverage"].set_index(["likelihood", "level"])["coverage"]
    for kind in ("estimate", "exact"):
        assert abs(table[kind, 0.68] - 0.84) < 4 * np.sqrt(0.84 * 0.16 / 300)
        assert abs(table[kind, 0.95] - 0.975) < 4 * np.sqrt(0.975 * 0.025 / 300)
    assert check.verdict == "pass"
    assert "Wilks" in check.sentence
    assert coverage(case, np.zeros((1, 1)), toys=300, truth=False).verdict == "warn"


def test_labels_before_the_detector_make_toys_too() -> None:
    estimator = known.Known(lambda frame: toy.ratio(frame["x"], smearing=0.5))
    estimator.features = ("x",)
    case = prepare(estimator, toy.generate(40_000, seed=1, smearing=0.5), 1000.0, 3)
    check = coverage(case, np.array([[0.4]]), toys=300)
    assert check.verdict == "pass"
    assert set(check.tables["coverage"]["likelihood"]) == {"estimate"}


def test_toys_without_a_fit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toyfit, "STEPS", 1)
    check = coverage(prepare(known.Known(), known.sample(5000, 1), 500.0, 3), POINTS, toys=10, truth=False)
    assert check.numbers["not_converged"] > 0
    assert check.verdict == "fail"
    assert "did not converge" in check.sentence


def test_a_small_pool_is_told() -> None:
    check = coverage(prepare(known.Known(), known.sample(900, 1), 500.0, 3), POINTS[:1], toys=5, truth=False)
    assert check.verdict in ("warn", "fail")
    assert "larger sample" in check.sentence
    assert check.numbers["effective_events_per_expected"] == pytest.approx(900 / 500)


def test_the_same_seed_gives_the_same_toys() -> None:
    events = known.sample(5000, 1)
    tables = [
        coverage(prepare(known.Known(), events, 300.0, seed), POINTS, toys=10).tables["pulls"]
        for seed in (1, 1, 2)
    ]
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])


def test_where_toys_cannot_be_made() -> None:
    events = known.sample(300, 1)
    negative = Events(events.features, events.truth, np.where(np.arange(300) < 3, -0.1, 1.0))
    assert coverage(prepare(known.Known(), negative, 100.0, 0)).verdict == "not applicable"
    assert coverage(prepare(known.Known(), known.sample(99, 1, truth=False), 9.0, 0)).verdict == (
        "not applicable"
    )
    assert coverage(prepare(known.Known(), events, 100.0, 0), toys=0).verdict == "not applicable"
