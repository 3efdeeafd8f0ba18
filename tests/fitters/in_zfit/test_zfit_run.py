"""Inside zfit: the contract, values, its minimisers and errors against ours, sums, running, refusals."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

os.environ.setdefault("ZFIT_DISABLE_TF_WARNINGS", "1")  # without it the import warns of that
pytest.importorskip("zfit.loss", reason="zfit is not installed")

import zfit
from fitter_runs import BOUND, assert_agrees, ours, problem, run_readme, running

import plugins
from plugins.zfit import FITTER, UnbinnedLoss, parameters
from smeft_unbinned import InputError, Likelihood, UnbinnedDataset
from smeft_unbinned.fit import minimise
from smeft_unbinned.fitters.term import IN_TEV
from smeft_unbinned.testing import CHECKS, Adapter, Check, points, toy_dataset

NAMES = ("OpW", "O3pq", "Opui")
TRUTH = {"OpW": 0.1, "O3pq": -0.05, "Opui": 0.15}
"""Coefficients of the pseudo-data of the fits, TeV^-2."""
UNIT = pytest.mark.parametrize("units", ["TeV^-2", "GeV^-2"])


def saved(folder: Path, dataset: UnbinnedDataset) -> Path:
    path = folder / f"{dataset.name}.dataset"
    dataset.save(path)
    return path


def shifted() -> UnbinnedDataset:
    """Return the problem with its minimum at the truth."""
    return problem(NAMES, "smefit").asimov(TRUTH, dict.fromkeys(NAMES, 0.0))


def free(names: Sequence[str], units: str = "TeV^-2", bound: float = BOUND) -> list[Any]:
    return parameters(dict.fromkeys(names, (-bound / IN_TEV[units], bound / IN_TEV[units])))


def at(params: Sequence[Any], values: Sequence[float]) -> None:
    for param, value in zip(params, values, strict=True):
        param.set_value(value)


@pytest.mark.parametrize("check", CHECKS)
@UNIT
def test_contract(check: Check, units: str, tmp_path: Path) -> None:
    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        params = free(names, units, bound=10.0)
        loss = UnbinnedLoss(saved(tmp_path, dataset), params, units=units)

        def m2logl(values: np.ndarray) -> float:
            return 2.0 * float(loss.value(params=dict(zip(names, values, strict=True))))

        def gradient(values: np.ndarray) -> np.ndarray:
            at(params, values)
            return 2.0 * np.asarray(loss.gradient(params))

        return Adapter(m2logl, units, gradient, pickles=False)  # zfit has no processes of its own

    check(make, NAMES, "smefit")


@UNIT
def test_derivatives_by_the_parameters_asked_for(units: str, tmp_path: Path) -> None:
    dataset, params = shifted(), free(NAMES, units)
    loss = UnbinnedLoss(saved(tmp_path, dataset), params, units=units)
    c = np.array([0.3, -0.2, 0.1])
    at(params, c / IN_TEV[units])
    some = [params[2], params[0]]
    gradient = 0.5 * dataset.gradient(c)[[2, 0]] * IN_TEV[units]
    hessian = 0.5 * dataset.hessian(c)[np.ix_([2, 0], [2, 0])] * IN_TEV[units] ** 2
    assert np.allclose(loss.gradient(some), gradient, rtol=1e-10)
    assert np.allclose(loss.hessian(some), hessian, rtol=1e-10)
    value, first, second = loss.value_gradient_hessian(some)
    assert float(value) == pytest.approx(0.5 * float(dataset.m2logl(c)), rel=1e-12)
    assert np.allclose(first, gradient, rtol=1e-10)
    assert np.allclose(second, hessian, rtol=1e-10)


MINIMISERS = {
    "minuit": lambda: zfit.minimize.Minuit(gradient="zfit", tol=1e-8),
    "minuit without derivatives": lambda: zfit.minimize.Minuit(tol=1e-8),
    "trust region with second derivatives": lambda: zfit.minimize.ScipyTrustConstr(hessian="zfit", tol=1e-8),
    "bfgs": lambda: zfit.minimize.ScipyBFGS(tol=1e-8),
}


@pytest.mark.parametrize("minimiser", MINIMISERS)
@UNIT
def test_its_minimisers_find_our_minimum(minimiser: str, units: str, tmp_path: Path) -> None:
    dataset = shifted()
    loss = UnbinnedLoss(saved(tmp_path, dataset), free(NAMES, units), units=units)
    result = MINIMISERS[minimiser]().minimize(loss)
    assert result.valid
    reference = minimise(Likelihood([dataset]))
    sigma = np.sqrt(np.diag(reference.covariance))
    best = np.array([result.params[n]["value"] * IN_TEV[units] for n in NAMES])
    assert np.abs((best - [reference.best[n] for n in NAMES]) / sigma).max() < 1e-3
    assert 2.0 * result.fmin == pytest.approx(float(dataset.m2logl(dict(reference.best))), abs=1e-5)


def test_its_errors_agree_with_ours(tmp_path: Path) -> None:
    dataset = shifted()
    params = free(NAMES)
    loss = UnbinnedLoss(saved(tmp_path, dataset), params)
    result = zfit.minimize.Minuit(gradient="zfit", tol=1e-8).minimize(loss)
    reference = minimise(Likelihood([dataset]), levels=(0.6826894921370859,))  # what 2 x 0.5 is
    sigma = np.sqrt(np.diag(reference.covariance))
    for method in ("minuit_hesse", "hesse_np"):
        errors = [x["error"] for x in result.hesse(method=method, name=method).values()]
        assert np.allclose(errors, sigma, rtol=2e-3)
    covariance = np.asarray(result.covariance(method="hesse_np"))
    assert np.allclose(covariance, reference.covariance, rtol=1e-3, atol=1e-3 * sigma.min() ** 2)
    profile, _ = result.errors(params, method="minuit_minos")
    ends = reference.intervals(0.6826894921370859)
    for param in params:
        found = [float(result.params[param]["value"]) + profile[param][end] for end in ("lower", "upper")]
        assert np.allclose(found, ends.loc[param.name, ["lower", "upper"]], atol=2e-3 * sigma.max())


def test_its_gaussian_agrees_with_our_posterior(tmp_path: Path) -> None:
    dataset, params = shifted(), free(NAMES)
    result = zfit.minimize.Minuit(gradient="zfit").minimize(UnbinnedLoss(saved(tmp_path, dataset), params))
    best = [float(result.params[param]["value"]) for param in params]
    draws = np.random.default_rng(1).multivariate_normal(best, result.covariance(params), size=20_000)
    assert_agrees(pd.DataFrame(draws, columns=list(NAMES)), ours(dataset))


def test_a_parameter_that_does_not_float_stays(tmp_path: Path) -> None:
    dataset, params = shifted(), free(NAMES)
    loss = UnbinnedLoss(saved(tmp_path, dataset), params)
    params[1].set_value(0.2)
    params[1].floating = False
    result = zfit.minimize.Minuit(gradient="zfit", tol=1e-8).minimize(loss)
    reference = minimise(Likelihood([dataset], fixed={"O3pq": 0.2}))
    for name in ("OpW", "Opui"):
        assert result.params[name]["value"] == pytest.approx(reference.best[name], abs=1e-5)
    assert float(params[1]) == 0.2


def test_two_datasets_in_other_names_add_up(tmp_path: Path) -> None:
    first = toy_dataset(("cHW", "cHB", "cHu"), "warsaw")
    second = toy_dataset(("cHB", "cHd"), "warsaw", seed=5).replace(name="other")
    names, units = ("Opui", "OpB", "Opdi", "OpW"), "GeV^-2"
    params = free(names, units)
    some = {"basis": "smefit", "units": units}
    loss = UnbinnedLoss(saved(tmp_path, first), [params[0], params[1], params[3]], **some)
    loss = loss + UnbinnedLoss(saved(tmp_path, second), params[1:3], **some)
    expected = Likelihood([d.in_basis("smefit") for d in (first, second)])
    c = points(Adapter(loss.value), len(names))[0]
    found, slopes = [], []
    for row in c:
        at(params, row / IN_TEV[units])
        found.append(2.0 * float(loss.value()))
        slopes.append(2.0 * np.asarray(loss.gradient(params)))
    named = [dict(zip(names, row, strict=True)) for row in c]
    reference = np.array([expected.m2logl(x) for x in named])
    assert np.abs(np.array(found) - reference).max() <= 1e-10 * np.abs(reference).max()
    place = [expected.operators.index(name) for name in names]
    gradients = np.array([expected.gradient(x)[place] for x in named]) * IN_TEV[units]
    assert np.abs(np.array(slopes) - gradients).max() <= 1e-10 * np.abs(gradients).max()


def test_a_dataset_and_a_pdf_add_up(tmp_path: Path) -> None:
    dataset, params = shifted(), free(NAMES)
    loss = UnbinnedLoss(saved(tmp_path, dataset), params)
    axis = zfit.Space("x", -10.0, 10.0)
    mean = zfit.Parameter("mean", 0.5, -5.0, 5.0)
    x = np.random.default_rng(0).normal(1.0, 1.0, size=400)
    gauss = zfit.loss.UnbinnedNLL(zfit.pdf.Gauss(mean, 1.0, obs=axis), zfit.Data(x, obs=axis))
    # a chi2 of zfit, which counts half
    pull = zfit.loss.SimpleLoss(lambda p: ((p[0] - 0.3) / 0.05) ** 2, [params[0]], errordef=1.0)
    total = loss + gauss + pull
    result = zfit.minimize.Minuit(gradient="zfit", tol=1e-8).minimize(total)
    assert result.params["mean"]["value"] == pytest.approx(x.mean(), abs=1e-4)
    at([*params, mean], [*TRUTH.values(), x.mean()])
    errors = result.hesse(method="hesse_np")
    assert errors[mean]["error"] == pytest.approx(1.0 / 20.0, rel=1e-3)
    second = 0.5 * dataset.hessian([float(p) for p in params])
    second[0, 0] += 1.0 / 0.05**2
    assert np.allclose(total.hessian(params), second, rtol=1e-5, atol=1e-4 * second.max())
    where = {n: float(result.params[n]["value"]) for n in NAMES}
    at(params, list(where.values()))
    slope = np.asarray(dataset.gradient(where)) + [2.0 * (where["OpW"] - 0.3) / 0.05**2, 0.0, 0.0]
    assert np.abs(slope / np.sqrt(np.diag(second))).max() < 1e-2


def test_nuisances_are_minimised_over(tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "smefit").with_luminosity(0.02)
    loss = UnbinnedLoss(saved(tmp_path, dataset), free(NAMES))
    c = {"OpW": 0.3, "O3pq": -0.2, "Opui": 0.1}
    expected = float(Likelihood([dataset]).profiled().m2logl(c))
    assert 2.0 * float(loss.value(params=c)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("scale", [None, 1000.0])
def test_running_to_the_scale_of_the_dataset(scale: float | None, tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "smefit")
    if scale is not None:
        dataset = dataset.replace(metadata={})
    block, matrix = running(tmp_path)
    loss = UnbinnedLoss(saved(tmp_path, dataset), free(("OpW", "OpB")), rge=block, scale=scale)
    there = matrix.values @ [0.3, -0.2]  # of OpB and OpW
    expected = 0.5 * float(dataset.m2logl({"O3pq": there[0], "OpW": there[1]}))
    assert float(loss.value(params={"OpB": 0.3, "OpW": -0.2})) == pytest.approx(expected, rel=1e-12)


def test_parameters() -> None:
    inside, outside = parameters({"OpW": (-2e-6, 1e-6), "O3pq": (1.0, 3.0)})
    assert (float(inside), float(inside.lower), float(inside.upper)) == (0.0, -2e-6, 1e-6)
    assert float(inside.stepsize) == pytest.approx(3e-8)
    assert float(outside) == 2.0


def test_readme(tmp_path: Path) -> None:
    printed = run_readme("zfit", tmp_path)
    assert printed.count(" TeV^-2") == 3


def test_the_python_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("zh_14tev", "zh_fcc")):
        saved(tmp_path, toy_dataset(("OpW", "O3pq"), "smefit", seed=seed).replace(name=name))
    text = (Path(str(plugins.__path__[0])) / "zfit" / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(compile(block, "README.md", "exec"), space)
    assert set(space["profile"][0][space["coefficients"][0]]) >= {"lower", "upper"}
    assert np.allclose(space["term"].gradient(space["best"].x), 0.0, atol=1e-4)
    log_p = space["log_probability"](np.array([[0.1, 0.2], [0.1, 2.0]]))
    assert log_p[0] == pytest.approx(-0.5 * float(space["term"].m2logl([0.1, 0.2])))
    assert log_p[1] == -np.inf


@pytest.mark.parametrize(
    ("names", "options", "match"),
    [
        (NAMES, {"file": "no.dataset"}, "no.dataset"),
        (NAMES, {"units": "GeV"}, "unknown units 'GeV'"),
        (NAMES, {"basis": "smfit"}, "unknown basis 'smfit'"),
        (NAMES, {"scale": -1.0}, "scale must be a positive number of GeV"),
        (("OpWW",), {}, "OpWW has no effect on toy, .*Did you mean 'OpW'"),
        ((), {}, "params is empty"),
        (("OpW",), {"basis": "warsaw"}, "OpW has no effect on toy, which depends on cHW"),
        (("cHW",), {"rge": {"init_scale": 1000.0}, "basis": "warsaw"}, "in the basis smefit, got warsaw"),
        (("OpW",), {"rge": {"init_sacle": 1000.0}}, "Did you mean 'init_scale'"),
    ],
)
def test_bad_input(names: Sequence[str], options: dict[str, Any], match: str, tmp_path: Path) -> None:
    file = saved(tmp_path, toy_dataset(NAMES, "smefit"))
    with pytest.raises(InputError, match=match):
        UnbinnedLoss(**{"file": file, "params": free(names), **options})


def test_other_bad_input(tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "smefit")
    file, params = saved(tmp_path, dataset), free(NAMES)
    with pytest.raises(InputError, match="named twice: OpW"):
        UnbinnedLoss(file, free(("OpW",)) * 2)
    composed = zfit.ComposedParameter("O3pq", lambda a: 2 * a, params=[params[0]])
    for other in (composed, "OpW", 0.5):
        with pytest.raises(InputError, match="expected independent parameters of zfit"):
            UnbinnedLoss(file, [params[0], other])
    loss = UnbinnedLoss(file, params)
    with pytest.raises(InputError, match="expected a loss of zfit, got 1"):
        loss + 1
    with pytest.raises(InputError, match="different parameters of one name"):
        loss + UnbinnedLoss(file, free(NAMES))
    for bounds in ({"OpW": (1, -1)}, {"OpW": 1.0}):
        with pytest.raises(InputError, match="OpW"):
            parameters(bounds)  # type: ignore[arg-type]
    bare = saved(tmp_path, dataset.replace(metadata={}))
    with pytest.raises(InputError, match="has no scale; give the argument scale"):
        UnbinnedLoss(bare, params[:1], rge=running(tmp_path)[0])


def test_the_version_is_one_that_was_run() -> None:
    FITTER.require()
