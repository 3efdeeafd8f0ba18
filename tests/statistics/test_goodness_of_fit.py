"""chi2, deviances and their probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from mixed_data import binned, counts, everything, forms, linear, simulated
from scipy import stats

from smeft_unbinned import InputError, Likelihood, PoissonDataset, Polynomial, UnbinnedDataset, minimise
from smeft_unbinned.statistics import asimov, goodness
from smeft_unbinned.statistics.goodness import deviance

POINT = {"cHW": 0.2, "cHq3": -0.1}


def test_chi2_of_measurements_and_in_total() -> None:
    d = binned(nuisances=False)
    table = goodness(Likelihood([d]), POINT).table
    residual, inverse = d.data - d.theory.evaluate(POINT), np.linalg.inv(d.covariance)
    each = residual * (inverse @ residual)
    assert list(table.index) == ["first", "second", "total"]
    np.testing.assert_allclose(table["value"], [each[:3].sum(), each[3:].sum(), each.sum()])
    np.testing.assert_allclose(table["per point"], table["value"] / [3, 4, 7])
    assert table.loc["total", "p"] == pytest.approx(stats.chi2.sf(each.sum(), 7))
    own = residual[:3] @ np.linalg.solve(d.covariance[:3, :3], residual[:3])
    assert table.loc["first", "p"] == pytest.approx(stats.chi2.sf(own, 3))


def test_a_fit_takes_degrees_of_freedom() -> None:
    likelihood = linear()
    result = minimise(likelihood)
    row = goodness(likelihood, result).table.loc["total"]
    assert row["method"] == "chi2, 5 degrees of freedom"
    assert row["p"] == pytest.approx(stats.chi2.sf(row["value"], 5))
    assert row["value"] == pytest.approx(float(likelihood.datasets[0].chi2(np.zeros(2))) + result.m2logl)  # type: ignore[attr-defined]


def test_counts_have_a_deviance() -> None:
    likelihood = Likelihood([counts()], fixed={"scale": 0.0})
    nu, n = counts().yields.evaluate(POINT), counts().counts
    twice = 2 * (stats.poisson.logpmf(n, n) - stats.poisson.logpmf(n, nu)).sum()
    row = goodness(likelihood, POINT).table.loc["counts"]
    assert row["value"] == pytest.approx(twice)
    assert row["p"] == pytest.approx(stats.chi2.sf(twice, 4))
    assert deviance(np.array([0.0, 2.0]), np.array([1.5, 2.0])) == pytest.approx(3.0)


def test_few_counts_are_told() -> None:
    d = PoissonDataset("few", Polynomial(("c",), np.array([[1.0, 1.0, 0.0]])), np.array([2.0]))
    assert "less than 5 expected events" in goodness(Likelihood([d])).messages[0]


def test_toys_agree_with_chi2_and_refits_with_its_degrees_of_freedom() -> None:
    likelihood = linear()
    result = minimise(likelihood)
    plain = goodness(likelihood, result, toys=400, seed=1)
    assert plain.toys is not None
    whole = plain.toys.sum(axis=1)
    assert stats.kstest(whole, "chi2", args=(7,)).pvalue > 1e-3
    assert plain.table.loc["total", "p"] == pytest.approx(
        (1 + (whole >= plain.table.loc["total", "value"]).sum()) / 401
    )
    refitted = goodness(likelihood, {}, toys=400, seed=1, refit=True)
    assert refitted.toys is not None
    assert stats.kstest(refitted.toys.sum(axis=1), "chi2", args=(5,)).pvalue > 1e-3
    assert refitted.table.loc["total", "value"] == pytest.approx(plain.table.loc["total", "value"])


def test_events_need_toys_and_have_a_number() -> None:
    source = Likelihood([simulated(), binned(nuisances=False)])
    toy = source.datasets[0].pseudo(np.random.default_rng(0), POINT)  # type: ignore[attr-defined]
    data = source.with_datasets([toy, source.datasets[1]])
    closed = goodness(data, POINT)
    assert np.isnan(closed.table.loc["events", "p"])
    count, nu = toy.weights.sum(), float(toy.expected.evaluate(POINT))
    p = 2 * min(stats.poisson.cdf(count, nu), stats.poisson.sf(count - 1, nu))
    row = closed.events.loc["events"]
    assert (row["events"], row["expected"]) == (count, pytest.approx(nu))
    assert row["p"] == pytest.approx(min(1.0, p))
    with pytest.raises(InputError, match="toys of events cannot be made of the observed events"):
        goodness(data, POINT, toys=5)
    found = goodness(data, POINT, toys=30, source=source)
    assert found.toys is not None
    value = float(toy.m2logl(POINT))
    assert found.table.loc["events", "value"] == pytest.approx(value)
    assert found.table.loc["events", "p"] == pytest.approx((1 + (found.toys["events"] >= value).sum()) / 31)
    assert "total with events" in found.table.index
    at_sm = goodness(data, toys=5, source=source).table.loc["events"]
    assert at_sm["value"] == 0.0
    assert np.isnan(at_sm["p"])
    fitted = goodness(data, minimise(data))
    assert "no account of the 2 fitted coefficients" in fitted.messages[0]


def test_constraints_are_a_row() -> None:
    likelihood = everything()
    point = {"scale": 1.1, "shape": -0.6}
    table = goodness(likelihood, point).table
    expected = ((1.1 - 0.3) / 0.8) ** 2 + (0.6 / 1.2) ** 2
    assert table.loc["constraints", "value"] == pytest.approx(expected)
    assert table.loc["constraints", "points"] == 3
    exact = asimov(likelihood, POINT)
    assert goodness(exact, POINT).table.loc["total", "value"] == pytest.approx(0.0, abs=1e-9)


def test_refusals() -> None:
    ratios = forms(1, 30)
    other = Likelihood([UnbinnedDataset("other", ratios, ratios.dense().sum())])
    with pytest.raises(InputError, match="source must be a likelihood of the same datasets"):
        goodness(linear(), toys=2, source=other)
    one = Likelihood([PoissonDataset("n", Polynomial(("c",), np.array([[20.0, 9.0, 0.0]])))])
    with pytest.raises(InputError, match="no value of cHW, cHq3"):
        goodness(linear(), minimise(one))
