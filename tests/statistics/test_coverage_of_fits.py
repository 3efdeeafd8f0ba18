"""Coverage: closed forms of linear data and of a count, resumed runs, toys with two minima."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from mixed_data import everything, linear
from scipy import stats

from smeft_unbinned import InputError, Likelihood, PoissonDataset, Polynomial, statistics
from smeft_unbinned.statistics import Experiment, asimov, coverage, fisher
from smeft_unbinned.statistics.objective import Objective, scales, starts
from smeft_unbinned.statistics.toyfit import fit


def test_linear_data_cover_exactly() -> None:
    """Every toy's profile is its squared pull, so the counts are those of normal numbers."""
    likelihood, point = linear(), {"cHW": 0.3, "cHq3": -1.0}
    toys = 400
    found = coverage(likelihood, point, toys, seed=5)
    assert found.toys["converged"].all()
    covariance = np.linalg.inv(fisher(likelihood).total)
    shift = found.toys[["cHW", "cHq3"]].to_numpy() - [0.3, -1.0]
    pulls = shift / np.sqrt(np.diag(covariance))
    table = found.table.set_index(["region", "level"])
    for level in (0.68, 0.95):
        for i, name in enumerate(("cHW", "cHq3")):
            inside = np.abs(pulls[:, i]) <= stats.norm.ppf(0.5 + level / 2)
            assert table.loc[(name, level), "coverage"] == pytest.approx(inside.mean())
        rise = np.einsum("ti,ij,tj->t", shift, fisher(likelihood).total, shift)
        together = table.loc[("all together", level), "coverage"]
        assert together == pytest.approx(np.mean(rise <= stats.chi2.ppf(level, 2)))
    assert found.table["p"].min() > 1e-3
    np.testing.assert_allclose(found.pulls["mean_pull"], 0.0, atol=4.0 / np.sqrt(toys))
    np.testing.assert_allclose(found.pulls["pull_spread"], 1.0, atol=4.0 / np.sqrt(2 * toys))


def test_a_count_covers_as_poisson_probabilities_say() -> None:
    """nu = 20 (1 + c): the interval holds c = 0 for a range of counts, whose probability is known."""
    d = PoissonDataset("n", Polynomial(("c",), np.array([[20.0, 20.0, 0.0]])))
    n = np.arange(0, 200)
    rise = 2 * (20.0 - n + np.where(n > 0, n * np.log(np.maximum(n, 1) / 20.0), 0.0))
    found = coverage(Likelihood([d]), toys=150, levels=(0.5, 0.9), seed=3)
    for row in found.table.itertuples():
        true = stats.poisson.pmf(n, 20.0)[rise <= stats.chi2.ppf(row.level, 1)].sum()
        assert row.coverage == pytest.approx(true, abs=4.5 * np.sqrt(true * (1 - true) / 150))
        assert row.lower < row.coverage < row.upper
    assert list(found.table["region"]) == ["c", "c"]


def test_all_data_together_cover() -> None:
    found = coverage(everything(), {"cHW": 0.1, "scale": 0.3}, toys=20, seed=1)
    assert found.toys["converged"].all()
    assert found.table["p"].min() > 1e-3
    assert list(found.pulls.index) == ["cHW", "cHq3", "shape", "scale", "rate"]
    np.testing.assert_allclose(found.pulls["mean_pull"], 0.0, atol=4.5 / np.sqrt(20))
    assert found.messages == ()


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = coverage(linear(), toys=12, seed=2)
    calls = []

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return fit(*arguments)  # type: ignore[arg-type]

    module = importlib.import_module("smeft_unbinned.statistics.coverage")  # the package has its function
    monkeypatch.setattr(module, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        coverage(linear(), toys=12, seed=2, folder=tmp_path / "new")
    file = tmp_path / "new" / "coverage.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6  # the settings and five toys
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])  # killed while it wrote
    again = coverage(linear(), toys=12, seed=2, folder=tmp_path / "new")
    assert len(calls) == 6 + 8
    np.testing.assert_array_equal(again.toys, whole.toys)
    more = coverage(linear(), toys=15, seed=2, folder=tmp_path / "new")
    assert len(calls) == 6 + 8 + 3
    np.testing.assert_array_equal(more.toys[:12], whole.toys)
    assert [json.loads(x)["number"] for x in file.read_text().splitlines()[1:]] == list(range(15))


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    coverage(linear(), toys=1, folder=tmp_path)
    with pytest.raises(InputError, match=r"made with other settings \(seed\)"):
        coverage(linear(), toys=1, seed=1, folder=tmp_path)
    with pytest.raises(InputError, match=r"other settings \(point"):
        coverage(linear(), {"cHW": 0.5}, toys=1, folder=tmp_path)
    with pytest.raises(InputError, match="other settings"):
        coverage(everything(), toys=1, folder=tmp_path)


def squared() -> Likelihood:
    """Bins whose content depends on c^2 and on d: two minima or one, depending on the toy."""
    yields = np.array([[50.0, 0.0, 1.0, 20.0, 0.0, 0.0], [80.0, 2.0, 20.0, 0.0, 0.0, 0.0]])
    return Likelihood([PoissonDataset("squared", Polynomial(("c", "d"), yields))])


def test_toys_with_two_minima_are_fitted_as_a_scan_says() -> None:
    likelihood = squared()
    expected = asimov(likelihood)
    scale = scales(expected, fisher(likelihood), np.zeros(2))
    c = np.array([scale[0], 0.0])
    assert 0.2 < float(expected.m2logl(c)) < 20.0  # not a distance that the vanishing curvature would give
    candidates = starts(Objective(expected, scale), np.zeros(2), 2)
    grid = np.linspace(-2.5, 2.5, 201)
    scan = np.stack(np.meshgrid(grid, 0.5 * grid, indexing="ij"), axis=-1)
    experiment, rng = Experiment(likelihood), np.random.default_rng(7)
    for _ in range(10):
        toy = experiment.draw(rng)
        found = fit(Objective(toy, scale), np.zeros(2), candidates)
        assert found.converged
        values = toy.m2logl(scan)
        assert found.value <= values.min() + 1e-6
        assert found.value == pytest.approx(values.min(), abs=0.1)
        assert found.profiles[0] == pytest.approx(values[100].min() - found.value, abs=0.1)
        assert found.profiles[1] == pytest.approx(values[:, 100].min() - found.value, abs=0.1)


def test_parabolas_need_no_further_starts() -> None:
    likelihood = linear()
    scale = scales(likelihood, fisher(likelihood), np.zeros(2))
    np.testing.assert_allclose(scale, fisher(likelihood).errors["marginal"])
    best = -np.linalg.solve(likelihood.hessian(np.zeros(2)), likelihood.gradient(np.zeros(2)))
    assert starts(Objective(likelihood, scale), best / scale, 2).shape == (0, 2)


def test_few_simulated_events_are_told() -> None:
    from mixed_data import simulated

    found = coverage(Likelihood([simulated(n=400, expected=200.0)]), toys=3)
    assert any("only 2.0 effective simulated events" in text for text in found.messages)


def test_refusals() -> None:
    with pytest.raises(InputError, match="at least one toy and one level, got 0"):
        coverage(linear(), toys=0)
    with pytest.raises(InputError, match="between 0 and 1, got 68"):
        coverage(linear(), levels=(68.0,))
    coefficients = np.zeros((3, 6))
    coefficients[:, :3] = [[5.0, 1.0, 2.0]] * 3
    d = PoissonDataset("n", Polynomial(("a", "b"), coefficients))
    with pytest.raises(InputError, match=r"no dataset constrains the direction a - 0\.5 b"):
        coverage(Likelihood([d]), toys=1)
    assert statistics.coverage is coverage
