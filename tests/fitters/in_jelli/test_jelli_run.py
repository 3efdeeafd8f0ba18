"""Inside jelli: the contract, values, a fit with its functions against ours, running, and what is refused."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

with warnings.catch_warnings():
    # a C extension of wilson crashes the interpreter where warnings of its import are errors
    warnings.simplefilter("ignore")
    pytest.importorskip("jelli.core", reason="jelli is not installed")

import jax
from fitter_runs import assert_agrees, ours, problem, run_readme
from jelli import CustomBasis, GlobalLikelihood, ObservableSector
from jelli.core.compiled_likelihood import CompiledLikelihood
from scipy.optimize import minimize
from wilson import Wilson

import plugins
from plugins.jelli import FITTER, UnbinnedLikelihood
from plugins.jelli.example.make import pdfxf, popxf
from smeft_unbinned import InputError, Likelihood, UnbinnedDataset
from smeft_unbinned.fit import minimise
from smeft_unbinned.testing import CHECKS, Adapter, Check, points, toy_dataset

NAMES = ("phiW", "phiB", "phiWB")
TRUTH = {"phiW": 0.1, "phiB": -0.05, "phiWB": 0.15}
"""Coefficients of the pseudo-data of the fits, TeV^-2."""
SCALE = 1000.0
"""Of the toy datasets, GeV."""
OTHER = "phiD"
"""What the observable of jelli depends on, none of the coefficients of the tests at its scale."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("jelli")
    (folder / "rho.json").write_text(json.dumps(popxf("rho", {OTHER: 1e5}, SCALE)))
    (folder / "measured.json").write_text(json.dumps(pdfxf("rho", 1.0, 0.1)))
    GlobalLikelihood.load(str(folder))
    yield folder
    for name in ObservableSector.get_all_names():
        del ObservableSector._observable_sectors[name]


@pytest.fixture(scope="module")
def whole(data: Path) -> Any:
    return GlobalLikelihood("SMEFT", "Warsaw", include_observable_sectors=["rho"])


def compiled(whole: Any, names: Sequence[str] = NAMES) -> CompiledLikelihood:
    return whole.get_compiled_likelihood([(name, "R") for name in names], "global")


def saved(folder: Path, dataset: UnbinnedDataset) -> Path:
    path = folder / f"{dataset.name}.dataset"
    dataset.save(path)
    return path


def shifted() -> UnbinnedDataset:
    """Return the problem with its minimum at the truth."""
    return problem(NAMES, "wcxf").asimov(TRUTH, dict.fromkeys(NAMES, 0.0))


def added(
    likelihood: CompiledLikelihood, before: CompiledLikelihood, scale: float = SCALE
) -> Callable[[Any], float]:
    """Return -2 log L of what was added to a likelihood, as a function of values at a scale in GeV."""
    value, without = (x.negative_log_likelihood_value() for x in (likelihood, before))
    return lambda values: 2.0 * float(value(values, scale) - without(values, scale))


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Check, whole: Any, tmp_path: Path) -> None:
    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        before = compiled(whole, names)
        likelihood = UnbinnedLikelihood(before, saved(tmp_path, dataset))
        slope, without = (x.negative_log_likelihood_grad() for x in (likelihood, before))

        def gradient(values: np.ndarray) -> np.ndarray:
            return 2.0 * np.asarray(slope(values, SCALE) - without(values, SCALE))

        # compiled functions of jax cannot be pickled, and jelli has no processes
        return Adapter(added(likelihood, before), "GeV^-2", gradient, pickles=False)

    check(make, NAMES, "wcxf")


def test_derivatives_and_its_observables_add_up(whole: Any, tmp_path: Path) -> None:
    dataset, names = shifted(), (*NAMES, OTHER)
    likelihood = UnbinnedLikelihood(compiled(whole, names), saved(tmp_path, dataset))
    c = np.array([0.3, -0.2, 0.1, 0.4])
    at = (1e-6 * c, SCALE)
    pull = 1e5 * 1e-6 * 0.4 / 0.1  # of its observable, 1 + 1e5 GeV^2 c against 1 +- 0.1
    value, gradient = likelihood.negative_log_likelihood_value_and_grad()(*at)
    there = compiled(whole, names).negative_log_likelihood_value()(*at)
    assert float(there) == pytest.approx(0.5 * pull**2, rel=1e-6)
    assert float(value - there) == pytest.approx(0.5 * float(dataset.m2logl(c[:3])), rel=1e-12)
    slope = [*(0.5 * dataset.gradient(c[:3])), pull * 1e5 * 1e-6 / 0.1]
    assert np.allclose(gradient, 1e6 * np.array(slope), rtol=1e-6)
    second = np.zeros((4, 4))
    second[:3, :3], second[3, 3] = 0.5 * dataset.hessian(c[:3]), (1e5 * 1e-6 / 0.1) ** 2
    assert np.allclose(1e-12 * likelihood.negative_log_likelihood_hessian()(*at), second, rtol=1e-6)
    covariance = 1e12 * np.asarray(likelihood.asymptotic_covariance()(*at))
    assert np.allclose(covariance, np.linalg.inv(second), rtol=1e-5, atol=1e-8)


def fitted(likelihood: CompiledLikelihood) -> tuple[np.ndarray, np.ndarray]:
    """Return the best fit and the covariance of jelli's functions, in TeV^-2."""
    function = likelihood.negative_log_likelihood_value_and_grad()

    def in_tev(c: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = function(1e-6 * c, SCALE)
        return float(value), 1e-6 * np.asarray(gradient)

    best = minimize(in_tev, np.zeros(len(likelihood.par_list)), jac=True, options={"gtol": 1e-7}).x
    return best, 1e12 * np.asarray(likelihood.asymptotic_covariance()(1e-6 * best, SCALE))


def test_a_fit_with_its_functions_finds_our_minimum(whole: Any, tmp_path: Path) -> None:
    dataset = shifted()
    best, covariance = fitted(UnbinnedLikelihood(compiled(whole), saved(tmp_path, dataset)))
    reference = minimise(Likelihood([dataset]))
    sigma = np.sqrt(np.diag(reference.covariance))
    assert np.abs((best - [reference.best[n] for n in NAMES]) / sigma).max() < 1e-5
    assert np.allclose(covariance, reference.covariance, rtol=1e-5, atol=1e-5 * sigma.min() ** 2)


def test_a_chain_of_its_likelihood_agrees_with_ours(whole: Any, tmp_path: Path) -> None:
    dataset = shifted()
    likelihood = UnbinnedLikelihood(compiled(whole), saved(tmp_path, dataset))
    best, covariance = fitted(likelihood)
    value, rng = likelihood.negative_log_likelihood_value(), np.random.default_rng(1)
    steps = rng.multivariate_normal(np.zeros(3), 2.0 * covariance, size=20_000)
    here, chain = best, []
    log_l = -float(value(1e-6 * here, SCALE))
    for step, luck in zip(steps, np.log(rng.uniform(size=len(steps))), strict=True):
        there = -float(value(1e-6 * (here + step), SCALE))
        if luck < there - log_l:
            here, log_l = here + step, there
        chain.append(here)
    assert_agrees(pd.DataFrame(chain, columns=list(NAMES)), ours(dataset))


def test_two_datasets_in_other_names_add_up(whole: Any, tmp_path: Path) -> None:
    first = toy_dataset(("cHW", "cHB", "cHu"), "warsaw")
    second = toy_dataset(("OpB", "Opdi"), "smefit", seed=5).replace(name="other")
    names = ("phiu_11", "phiB", "phid_11", "phiW")
    before = compiled(whole, names)
    likelihood = UnbinnedLikelihood(before, saved(tmp_path, first))
    m2logl = added(UnbinnedLikelihood(likelihood, saved(tmp_path, second)), before)
    c, values = points(Adapter(m2logl, "GeV^-2"), len(names))
    found = np.array([m2logl(v) for v in values])
    expected = first.m2logl(c[:, [3, 1, 0]]) + second.m2logl(c[:, [1, 2]])
    assert np.abs(found - expected).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("basis", ["Warsaw", "Warsaw up"])
@pytest.mark.parametrize(("above", "at"), [(5000.0, 1000.0), (3000.0, 400.0), (400.0, 1000.0)])
def test_running_is_that_of_wilson(above: float, at: float, basis: str, data: Path, tmp_path: Path) -> None:
    dataset = problem((*NAMES, "phiq1_33"), "wcxf")
    whole = GlobalLikelihood("SMEFT", basis, include_observable_sectors=["rho"])
    c = {"phiW": 1e-7, "uW_33": 5e-7, "phiWB": -3e-7, "uG_33": 5e-7, "phiBox": 5e-7, "phiq1_33": 3e-7}
    before = compiled(whole, tuple(c))
    likelihood = UnbinnedLikelihood(before, saved(tmp_path, dataset), scale=at)
    found = added(likelihood, before, above)(np.array([*c.values()]))
    there = Wilson(c, above, "SMEFT", basis).match_run(at, "SMEFT", "Warsaw").dict
    expected = float(dataset.m2logl({n: 1e6 * complex(there[n]).real for n in dataset.operators}))
    unrun = float(dataset.m2logl({n: 1e6 * c.get(n, 0.0) for n in dataset.operators}))
    # rgevolve runs linearly about the SM, and is interpolated between scales
    assert abs(found - expected) < 0.1 * abs(expected - unrun)


def test_what_runs_into_a_dataset_and_what_does_not(whole: Any, tmp_path: Path) -> None:
    file = saved(tmp_path, toy_dataset(("phiW", "phiB"), "wcxf"))
    before = whole.get_compiled_likelihood([("uW_33", "R"), ("uW_33", "I"), ("llphiphi_11", "R")], "global")
    likelihood = UnbinnedLikelihood(before, file)
    assert likelihood.term.used == ("phiW", "phiB")
    slopes = likelihood.negative_log_likelihood_grad()
    real, imaginary, other_sector = np.abs(slopes(np.array([1e-7, 0.0, 0.0]), 5000.0))
    assert real > 1e3 * imaginary
    assert other_sector == 0.0
    # at the scale of the dataset nothing mixes, above and below what the matrices reach there is no value
    assert not np.any(slopes(np.array([1e-7, 0.0, 0.0]), SCALE)[:3])
    value = likelihood.negative_log_likelihood_value()
    assert np.isnan([float(value(np.zeros(3), scale)) for scale in (50.0, 2e6)]).all()


def test_jax_transforms(whole: Any, tmp_path: Path) -> None:
    dataset = shifted()
    likelihood = UnbinnedLikelihood(compiled(whole), saved(tmp_path, dataset))
    c = np.random.default_rng(1).uniform(-1.0, 1.0, size=(5, 3))
    value = jax.jit(jax.vmap(likelihood.negative_log_likelihood_value(), in_axes=(0, None)))
    before = float(compiled(whole).negative_log_likelihood_value()(np.zeros(3), SCALE))
    assert np.allclose(2.0 * (value(1e-6 * c, SCALE) - before), dataset.m2logl(c), rtol=1e-10)
    by_scale = likelihood.negative_log_likelihood_grad(argnums=1)
    step = 0.1
    ends = [value(1e-6 * c[:1], 1500.0 + s)[0] for s in (-step, step)]
    expected = float(ends[1] - ends[0]) / (2 * step)
    assert float(by_scale(1e-6 * c[0], 1500.0)) == pytest.approx(expected, rel=1e-5)


def test_nuisances_are_minimised_over(whole: Any, tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "wcxf").with_luminosity(0.02)
    before = compiled(whole)
    likelihood = UnbinnedLikelihood(before, saved(tmp_path, dataset))
    c = np.array([0.3, -0.2, 0.1])
    profiled = Likelihood([dataset]).profiled()
    assert added(likelihood, before)(1e-6 * c) == pytest.approx(float(profiled.m2logl(c)), rel=1e-10)
    slope = likelihood.negative_log_likelihood_grad()(1e-6 * c, SCALE)
    assert np.allclose(2e-6 * np.asarray(slope), profiled.gradient(c), rtol=1e-8)
    second = likelihood.negative_log_likelihood_hessian()(1e-6 * c, SCALE)
    assert np.allclose(2e-12 * np.asarray(second), profiled.hessian(c), rtol=1e-6)


@pytest.fixture
def custom(tmp_path: Path) -> Iterator[Any]:
    """Yield a likelihood in a basis of our own, at the scale of the datasets."""
    CustomBasis("ours", ["OpW", "O3pq", "Opui"])
    observable = popxf("rate", {"Opui": 0.1}, SCALE)
    observable["metadata"]["basis"] = {"custom": {"name": "ours"}}
    folder = tmp_path / "custom"
    folder.mkdir()
    (folder / "rate.json").write_text(json.dumps(observable))
    (folder / "measured.json").write_text(json.dumps(pdfxf("rate", 1.0, 0.1)))
    with pytest.warns(UserWarning, match="RG evolution matrices for the custom basis"):
        GlobalLikelihood.load(str(folder))
    yield GlobalLikelihood(custom_basis="ours")
    del ObservableSector._observable_sectors["rate"]


def test_a_custom_basis_at_one_scale(custom: Any, tmp_path: Path) -> None:
    dataset = toy_dataset(("OpW", "O3pq", "Opui"), "smefit")
    file, before = saved(tmp_path, dataset), compiled(custom, ("O3pq", "OpW"))
    likelihood = UnbinnedLikelihood(before, file, basis="smefit", units="TeV^-2")
    expected = float(dataset.m2logl({"O3pq": 0.3, "OpW": -0.2}))
    assert added(likelihood, before)(np.array([0.3, -0.2])) == pytest.approx(expected, rel=1e-10)
    assert likelihood.term.set_to_zero == ("Opui",)
    with pytest.raises(InputError, match="custom basis 'ours'; give the arguments basis and units"):
        UnbinnedLikelihood(before, file, basis="smefit")
    with pytest.raises(InputError, match=r"at 1000 GeV and no running .* has the scale 500 GeV"):
        UnbinnedLikelihood(before, file, basis="smefit", units="TeV^-2", scale=500.0)
    other = saved(tmp_path, toy_dataset(("OpW", "O3pq"), "smefit"))
    with pytest.raises(InputError, match="none of Opui_R moves toy"):
        UnbinnedLikelihood(compiled(custom, ("Opui",)), other, basis="smefit", units="TeV^-2")


def test_readme(tmp_path: Path) -> None:
    assert run_readme("jelli", tmp_path).count(" TeV^-2 at 5000 GeV") == 3


def test_the_python_of_the_readme(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("zh_14tev", "zh_fcc")):
        saved(tmp_path, toy_dataset(("phiW", "phiB"), "wcxf", seed=seed).replace(name=name))
    (tmp_path / "data").symlink_to(data)
    text = (Path(str(plugins.__path__[0])) / "jelli" / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for block in [
        *re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL),
        FITTER.with_file("zh_fcc.dataset"),
    ]:
        exec(compile(block, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.split("\n")) >= 2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"file": "no.dataset"}, "no.dataset"),
        ({"compiled": "global"}, "expected a compiled likelihood, got 'global'"),
        ({"basis": "smefit"}, "SMEFT Warsaw, whose names are those of wcxf .* basis 'smefit'"),
        ({"units": "TeV^-2"}, "in GeV.-2; got .* units 'TeV.-2', leave them out"),
        ({"scale": -1.0}, "scale must be a positive number of GeV"),
        ({"scale": 10.0}, r"between 91\.1876 and 1e\+06 GeV, but the dataset has the scale 10 GeV"),
    ],
)
def test_bad_input(options: dict[str, Any], match: str, whole: Any, tmp_path: Path) -> None:
    file = saved(tmp_path, toy_dataset(NAMES, "wcxf"))
    with pytest.raises(InputError, match=match):
        UnbinnedLikelihood(**{"compiled": compiled(whole), "file": file, **options})


def test_other_bad_input(whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = saved(tmp_path, toy_dataset(NAMES, "wcxf").replace(name="bare", metadata={}))
    with pytest.raises(InputError, match="dataset bare has no scale; give the argument scale"):
        UnbinnedLikelihood(compiled(whole), bare)
    file = saved(tmp_path, toy_dataset(NAMES, "wcxf"))
    with pytest.raises(
        InputError, match="none of llphiphi_11_R moves toy, which depends on phiW, phiB, phiWB"
    ):
        UnbinnedLikelihood(compiled(whole, ("llphiphi_11",)), file)
    monkeypatch.setattr(whole, "eft", "WET")
    with pytest.raises(InputError, match="in WET Warsaw, but datasets need coefficients of the SMEFT"):
        UnbinnedLikelihood(compiled(whole), file)


def test_single_precision_is_refused(whole: Any, tmp_path: Path) -> None:
    likelihood = UnbinnedLikelihood(compiled(whole), saved(tmp_path, toy_dataset(NAMES, "wcxf")))
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(InputError, match="must be float64, got float32"):
            likelihood.negative_log_likelihood_value(precompiled=False)(np.zeros(3), SCALE)
    finally:
        jax.config.update("jax_enable_x64", True)


def test_the_version_is_one_that_was_run() -> None:
    FITTER.require()
