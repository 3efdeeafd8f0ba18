"""Fits of one or two coefficients at a time: values, files, resuming, SMEFiT's layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smeft_unbinned import FitResult, InputError, Likelihood, minimise
from smeft_unbinned.fit import methods, single
from smeft_unbinned.fit.single import individual, pairwise


@pytest.fixture(scope="module")
def likelihood(make_linear) -> Likelihood:
    return Likelihood([make_linear(6)])


def test_individual_fits_of_a_linear_measurement(likelihood: Likelihood) -> None:
    dataset = likelihood.datasets[0]
    inverse = np.linalg.inv(dataset.covariance)
    residual = dataset.data - dataset.theory.coefficients[:, 0]
    for method in ("minuit", "linear"):
        found = individual(likelihood, method)
        assert list(found) == [(n,) for n in likelihood.operators]
        for i, name in enumerate(likelihood.operators):
            slope = dataset.theory.coefficients[:, 1 + i]
            variance = 1 / (slope @ inverse @ slope)
            best = variance * (slope @ inverse @ residual)
            assert found[name].best[name] == pytest.approx(best, rel=1e-6)
            assert found[name].errors[name] == pytest.approx(np.sqrt(variance), rel=1e-6)
            limits = found.intervals(0.95).loc[name]
            np.testing.assert_allclose(
                limits - best, np.array([-1, 1]) * 1.959964 * np.sqrt(variance), rtol=1e-5
            )
    table = found.table((0.9,))
    assert list(table.columns) == ["best", "error", "90% lower", "90% upper", "m2logl"]
    assert list(table.index) == list(likelihood.operators)


def test_pairs_are_those_of_the_likelihood_of_two(likelihood: Likelihood) -> None:
    found = pairwise(likelihood, names=["cHW", "cHu", "cHq3"])
    assert list(found) == [("cHW", "cHu"), ("cHW", "cHq3"), ("cHu", "cHq3")]
    direct = minimise(likelihood.only(["cHW", "cHu"]))
    np.testing.assert_allclose(found["cHW", "cHu"].covariance, direct.covariance)
    frame = found.intervals(0.95)
    assert frame.index.names == ["fit", "name"]
    np.testing.assert_allclose(frame.loc[("cHW cHu", "cHu")], direct.intervals(0.95).loc["cHu"])


def test_rules_lose_what_is_not_fitted(make_unbinned) -> None:
    likelihood = Likelihood(
        [make_unbinned(2)], ["cHW", "cHu"], dependent={"cHq3": {"cHW": 0.5, "cHu": 2.0}}, fixed={}
    )
    found = individual(likelihood, names=["cHW"], levels=())["cHW"]
    direct = minimise(Likelihood([make_unbinned(2)], ["cHW"], dependent={"cHq3": {"cHW": 0.5}}), levels=())
    assert found.best["cHW"] == pytest.approx(direct.best["cHW"], rel=1e-8)
    assert found.best["cHq3"] == pytest.approx(0.5 * found.best["cHW"])


def test_nuisances_are_fitted_along(make_linear) -> None:
    from smeft_unbinned import GaussianDataset

    d = make_linear(4)
    shift = np.linspace(-1, 1, len(d))
    split = GaussianDataset("n", d.data, d.theory, d.covariance, basis="warsaw", nuisances={"scale": shift})
    folded = GaussianDataset("n", d.data, d.theory, d.covariance + np.outer(shift, shift), basis="warsaw")
    a, b = (individual(Likelihood([x])) for x in (split, folded))
    np.testing.assert_allclose(a.intervals(0.68), b.intervals(0.68), rtol=1e-6)
    assert "scale" in a["cHW"].parameters


def test_results_are_stored_one_by_one_and_taken_again(
    likelihood: Likelihood, make_linear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(part: Likelihood, method: str, **options: object) -> FitResult:
        calls.append(part.operators)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return methods.fit(part, method, **options)

    monkeypatch.setattr(single, "fit", counted)
    with pytest.raises(KeyboardInterrupt):
        individual(likelihood, folder=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["cHW.json"]
    found = individual(likelihood, folder=tmp_path)
    assert calls == [("cHW",), ("cHq3",), ("cHq3",), ("cHu",)]
    again = individual(likelihood, folder=tmp_path)
    assert len(calls) == 4
    assert again.table().equals(found.table())
    (tmp_path / "cHu.json").write_text("{}")  # another program's
    individual(likelihood, folder=tmp_path)
    assert calls[4:] == [("cHu",)]
    individual(likelihood, folder=tmp_path, levels=(0.9,))  # other options
    individual(Likelihood([make_linear(7)]), folder=tmp_path)  # other data
    assert len(calls) == 5 + 3 + 3
    assert FitResult.load(tmp_path / "cHW.json").best["cHW"] != pytest.approx(found["cHW"].best["cHW"])


def test_smefit_gets_one_file_for_all_single_fits(likelihood: Likelihood, tmp_path: Path) -> None:
    found = individual(likelihood, "linear", n_samples=50)
    (path,) = found.save_smefit(tmp_path)
    content = json.loads(path.read_text())
    assert path.name == "fit_results.json"
    assert content["single_parameter_fits"] is True
    assert content["free_parameters"] == list(likelihood.operators)
    sm = found["cHW"].provenance["sm_chi2"]["linear"]
    for name in likelihood.operators:
        assert content["samples"][name] == found[name].samples[name].to_list()
        assert content["best_fit_point"][name] == found[name].best[name]
        assert content["max_loglikelihood"][name] == pytest.approx(-0.5 * (found[name].m2logl + sm))
    assert set(content["logz"]) == set(likelihood.operators)
    pairs = pairwise(likelihood, "linear", names=["cHW", "cHu"], n_samples=50).save_smefit(tmp_path)
    assert [p.name for p in pairs] == ["fit_results_cHW_cHu.json"]


def test_a_fit_that_is_not_possible_is_named_and_others_go_on(make_linear) -> None:
    d = make_linear(6)
    theory = d.theory.coefficients.copy()
    theory[:, 2] = 0.0
    idle = type(d)("i", d.data, type(d.theory)(d.operators, theory), d.covariance, basis="warsaw")
    found = individual(Likelihood([idle]))
    assert list(found) == [("cHW",), ("cHu",)]
    assert "no dataset constrains cHq3" in found.failed[("cHq3",)]
    with pytest.raises(TypeError):
        found.failed["x"] = ""  # type: ignore[index]
    broken = single.PartialFits({("cHW",): replace(found["cHW"], valid=False)})
    assert broken.table().empty
    assert broken.intervals().empty


def test_two_minima_give_unions_of_intervals(tmp_path: Path) -> None:
    from smeft_unbinned import GaussianDataset, Polynomial

    theory = Polynomial(["cHW"], [[0.0, 0.5, 8.0]])  # 8 c^2 + 0.5 c = 7.5 at two points
    likelihood = Likelihood([GaussianDataset("g", [7.5], theory, np.eye(1), basis="warsaw")])
    found = individual(likelihood, folder=tmp_path, levels=(0.68, 0.95))
    again = individual(likelihood, folder=tmp_path, levels=(0.68, 0.95))
    for level, z in ((0.68, 0.994458), (0.95, 1.959964)):
        ends = [np.roots([8.0, 0.5, -7.5 + s]) for s in (-z, z)]
        expected = np.sort(np.array(ends).ravel()).reshape(2, 2)
        for fits in (found, again):
            np.testing.assert_allclose(fits.intervals(level, "union").loc["cHW"], expected, rtol=1e-5)
    with pytest.raises(
        InputError, match=r"unions at level 0.5 are not in this result \(stored: 0.68, 0.95\)"
    ):
        found["cHW"].intervals(0.5, "union")


def test_unknown_methods_options_and_names_are_refused(likelihood: Likelihood) -> None:
    with pytest.raises(
        InputError, match=r"the method is one of auto, minuit.*got 'minuits'. Did you mean 'minuit'"
    ):
        individual(likelihood, "minuits")
    with pytest.raises(InputError, match=r"'chw' is not a free coefficient. Did you mean 'cHW'"):
        individual(likelihood, names=["chw"])
    with pytest.raises(InputError, match="method 'linear' has no option 'nlive'"):
        methods.fit(likelihood, "linear", nlive=5)
