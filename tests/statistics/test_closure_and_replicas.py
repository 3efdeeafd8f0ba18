"""Closure tests, and replica fits of linear data against the closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mixed_data import counts, everything, linear, simulated

from smeft_unbinned import FitResult, InputError, Likelihood, minimise
from smeft_unbinned.statistics import closure, fisher, replica_fits

POINT = {"cHW": 0.25, "cHq3": -0.2, "scale": 0.3}


def test_asimov_data_give_their_point_back() -> None:
    found = closure(everything(), POINT)
    np.testing.assert_allclose(found.table["shift/error"], 0.0, atol=1e-3)
    assert found.mean_rise == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(found.table["truth"], [0.25, -0.2, 0.0, 0.3, 0.0])


def test_pseudo_experiments_rise_as_chi2() -> None:
    found = closure(linear(), {"cHW": 1.0}, level=1, toys=150, seed=4)
    assert found.p > 1e-3
    assert found.mean_rise == pytest.approx(2.0, abs=4 * np.sqrt(4 / 150))
    np.testing.assert_allclose(found.table["spread"], 1.0, atol=4 / np.sqrt(300))
    np.testing.assert_allclose(found.table["error"], fisher(linear()).errors["marginal"], rtol=1e-6)
    mixed = closure(everything(), POINT, level=1, toys=10)
    assert mixed.toys["converged"].all()
    assert mixed.p > 1e-3


def test_the_same_seed_gives_the_same_closure() -> None:
    one, two, other = (closure(linear(), level=1, toys=3, seed=s).toys for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_replicas_of_linear_data_have_the_covariance_of_the_fit(tmp_path: Path) -> None:
    likelihood, n = linear(), 600
    result = replica_fits(likelihood, n, seed=3)
    covariance = np.linalg.inv(fisher(likelihood).total)
    size = np.sqrt(np.diag(covariance))
    best = minimise(likelihood)
    assert result.method == "replicas"
    assert result.valid
    assert result.samples is not None
    mean = result.samples.mean()
    for i, name in enumerate(("cHW", "cHq3")):
        assert result.best[name] == pytest.approx(best.best[name])
        assert abs(mean[name] - best.best[name]) < 4 * size[i] / np.sqrt(n)
    scaled = result.covariance / np.outer(size, size)
    np.testing.assert_allclose(scaled, covariance / np.outer(size, size), atol=4.5 * np.sqrt(2 / n))
    limits = result.intervals(0.68)
    np.testing.assert_allclose((limits["upper"] - limits["lower"]) / (2 * 0.9945 * size), 1.0, atol=0.2)
    result.save(tmp_path / "replicas.json")
    assert FitResult.load(tmp_path / "replicas.json").best == result.best


def test_replicas_of_counts_and_events_have_about_the_errors_of_the_fit() -> None:
    toy = simulated().pseudo(np.random.default_rng(3), {"cHW": 0.2})
    likelihood = Likelihood([counts(), toy], constraints={"scale": (0.0, 0.5)})
    result, best = replica_fits(likelihood, 60, seed=1), minimise(likelihood)
    assert result.samples is not None
    assert list(result.samples) == ["cHW", "cHq3", "scale"]
    assert "scale" in result.nuisances
    for name in ("cHW", "cHq3", "scale"):
        assert 0.6 < result.errors[name] / best.errors[name] < 1.6


def test_replicas_go_on_where_they_were_stopped(tmp_path: Path) -> None:
    first = replica_fits(linear(), 4, seed=6, folder=tmp_path)
    lines = (tmp_path / "replicas.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "replicas.jsonl").write_text("".join(lines[:3]))
    again = replica_fits(linear(), 6, seed=6, folder=tmp_path)
    assert first.samples is not None
    assert again.samples is not None
    np.testing.assert_array_equal(first.samples, again.samples[:4])
    with pytest.raises(InputError, match=r"other settings \(seed\)"):
        replica_fits(linear(), 6, seed=7, folder=tmp_path)


def test_refusals() -> None:
    with pytest.raises(InputError, match="level must be 0 or 1 with at least two toys, got 2 and 100"):
        closure(linear(), level=2)
    with pytest.raises(InputError, match="at least two replicas are needed, got 1"):
        replica_fits(linear(), 1)
