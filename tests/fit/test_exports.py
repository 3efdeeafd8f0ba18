"""A result as SMEFiT, ArviZ and GetDist take it."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from smeft_unbinned import FitResult, InputError, Likelihood, minimise
from smeft_unbinned.fit.linear import solve


@pytest.fixture(scope="module")
def likelihood(make_linear) -> Likelihood:
    return Likelihood([make_linear(4, points=20)], ["cHW", "cHu"], dependent={"cHq3": {"cHW": -2.0}})


@pytest.fixture(scope="module")
def linear(likelihood: Likelihood) -> FitResult:
    return solve(likelihood, n_samples=4000, seed=1)


def test_smefit_gets_absolute_likelihoods(
    likelihood: Likelihood, linear: FitResult, make_unbinned, tmp_path: Path
) -> None:
    dataset = likelihood.datasets[0]
    place = [linear.best[n] for n in dataset.operators]
    linear.save_smefit(tmp_path / "fit_results.json")
    content = json.loads((tmp_path / "fit_results.json").read_text())
    residual = dataset.data - dataset.theory.evaluate(place)
    chi2 = residual @ np.linalg.solve(dataset.covariance, residual)
    assert content["max_loglikelihood"] == pytest.approx(-0.5 * chi2, rel=1e-10)
    assert content["free_parameters"] == ["cHW", "cHu"]
    assert set(content["samples"]) == set(content["best_fit_point"]) == {"cHW", "cHu", "cHq3"}
    np.testing.assert_allclose(content["samples"]["cHq3"], -2 * np.array(content["samples"]["cHW"]))
    residual = dataset.data - dataset.theory.coefficients[:, 0]
    sm = residual @ np.linalg.solve(dataset.covariance, residual)
    sampled = replace(linear, logz=-3.0, logz_error=0.1)
    sampled.save_smefit(tmp_path / "fit_results.json")
    assert json.loads((tmp_path / "fit_results.json").read_text())["logz"] == pytest.approx(-3.0 - 0.5 * sm)
    events = minimise(Likelihood([make_unbinned(2)]), levels=())  # no chi2: relative to the SM
    events.save_smefit(tmp_path / "fit_results.json")
    content = json.loads((tmp_path / "fit_results.json").read_text())
    assert content["max_loglikelihood"] == -0.5 * events.m2logl
    assert content["logz"] is None


def test_profiled_nuisances_are_at_their_minimum_in_what_smefit_gets(make_linear) -> None:
    from smeft_unbinned import GaussianDataset

    plain = make_linear(4, points=20)
    shifts = {"lumi": 0.3 * np.ones(20), "scale": np.linspace(-1, 1, 20)}
    with_nuisances = GaussianDataset(
        "n", plain.data, plain.theory, plain.covariance, basis="warsaw", nuisances=shifts
    )
    extra = sum(np.outer(s, s) for s in shifts.values())
    folded = GaussianDataset("n", plain.data, plain.theory, plain.covariance + extra, basis="warsaw")
    expected = minimise(Likelihood([folded]), levels=())
    total = expected.m2logl + sum(expected.provenance["sm_chi2"].values())
    for likelihood in (Likelihood([with_nuisances]), Likelihood([with_nuisances]).profiled()):
        found = minimise(likelihood, levels=())
        assert found.m2logl + sum(found.provenance["sm_chi2"].values()) == pytest.approx(total, rel=1e-8)


def test_binned_data_have_checksums(likelihood: Likelihood, make_linear) -> None:
    def sums(d) -> dict[str, str]:
        return minimise(Likelihood([d]), levels=()).provenance["datasets"]["linear"]["checksums"]

    one, same, other = sums(make_linear(4)), sums(make_linear(4)), sums(make_linear(5))
    assert one == same
    assert set(one) == {"data", "theory", "covariance"}
    assert all(one[k] != other[k] for k in one)


def test_arviz_gets_samples_and_statistics(likelihood: Likelihood, linear: FitResult) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arviz = pytest.importorskip("arviz", reason="the arviz extra is not installed")
    data = linear.to_arviz(likelihood)
    assert data.posterior.sizes["chain"] == 1
    assert set(data.posterior.data_vars) == {"cHW", "cHu", "cHq3"}
    np.testing.assert_array_equal(data.posterior["cHW"][0], linear.samples["cHW"])
    points = linear.samples[["cHW", "cHu"]].to_numpy()
    np.testing.assert_allclose(data.sample_stats["lp"][0], -0.5 * likelihood.m2logl(points), rtol=1e-10)
    assert data.posterior.attrs["method"] == "linear"
    assert data.posterior.attrs["seed"] == 1
    assert "smeft-unbinned" in json.loads(data.posterior.attrs["versions"])
    summary = arviz.summary(data, kind="stats", round_to="none")
    np.testing.assert_allclose(summary.loc["cHW", "sd"], linear.samples["cHW"].std(), rtol=1e-6)


def test_arviz_keeps_the_chains_of_nuts(linear: FitResult) -> None:
    pytest.importorskip("arviz", reason="the arviz extra is not installed")
    chains = np.arange(24.0).reshape(4, 6)  # (chain, draw)
    samples = pd.DataFrame({"cHW": [*chains.T.ravel(), 99.0], "cHu": 0.0})
    result = replace(linear, method="nuts", samples=samples, provenance={"chains": 4})
    np.testing.assert_array_equal(result.to_arviz().posterior["cHW"], chains)


def test_getdist_gets_names_ranges_and_log_likelihoods(
    likelihood: Likelihood, linear: FitResult, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("getdist", reason="the getdist extra is not installed")
    samples = linear.samples.assign(cHWB=0.5)
    box = {"cHW": [-3.0, 4.0], "cHu": [-np.inf, np.inf], "lumi": {"constraint": [0.0, 1.0]}}
    result = replace(linear, samples=samples, provenance={"prior": box})
    chain = result.to_getdist(likelihood)
    names = chain.getParamNames()
    assert names.list() == ["cHW", "cHu", "cHq3"]
    assert [p.isDerived for p in names.names] == [False, False, True]
    assert chain.ranges.getLower("cHW") == -3.0
    assert chain.ranges.getUpper("cHW") == 4.0
    assert chain.ranges.getUpper("cHu") is None
    np.testing.assert_allclose(chain.getMeans()[:2], linear.samples[["cHW", "cHu"]].mean(), rtol=1e-10)
    points = linear.samples[["cHW", "cHu"]].to_numpy()
    np.testing.assert_allclose(chain.loglikes, 0.5 * likelihood.m2logl(points), rtol=1e-10)
    lower, upper = stats.norm(linear.best["cHu"], linear.errors["cHu"]).interval(0.95)
    assert chain.confidence("cHu", 0.025) == pytest.approx(lower, abs=0.1 * linear.errors["cHu"])
    assert chain.confidence("cHu", 0.025, upper=True) == pytest.approx(upper, abs=0.1 * linear.errors["cHu"])


def test_results_without_samples_and_other_likelihoods_are_refused(
    likelihood: Likelihood, linear: FitResult, make_linear
) -> None:
    fit = minimise(likelihood, levels=())
    for export, extra in ((fit.to_arviz, "arviz"), (fit.to_getdist, "getdist")):
        pytest.importorskip(extra)
        with pytest.raises(InputError, match="takes posterior samples, and a result of 'minuit' has none"):
            export()
    other = Likelihood([make_linear(1, operators=("cHW", "cHd"))])
    with pytest.raises(InputError, match="no samples of cHd; give the likelihood of its fit"):
        linear.to_arviz(other)
