"""Inside cobaya: the contract, values, its own sampler against ours, running, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("cobaya.model", reason="cobaya is not installed")

from cobaya.log import LoggedError
from cobaya.model import Model, get_model
from cobaya.run import run
from cobaya.theory import Theory
from fitter_runs import BOUND, assert_agrees, ours, problem, run_readme, running

from plugins.cobaya import FITTER, Unbinned
from smeft_unbinned import Likelihood, UnbinnedDataset
from smeft_unbinned.testing import CHECKS, Adapter, Check, points, toy_dataset

NAMES = ("OpW", "O3pq", "Opui")


def info(
    names: Sequence[str], likelihoods: dict[str, dict[str, Any]], bound: float = 1e9, **options: Any
) -> dict[str, Any]:
    """Return an input with flat priors and datasets, as a YAML file gives it."""
    return {
        "likelihood": {
            name: {"class": "plugins.cobaya.Unbinned", **keys} for name, keys in likelihoods.items()
        },
        "params": {n: {"prior": {"min": -bound, "max": bound}, "ref": 0.0, "proposal": 0.02} for n in names},
        "stop_at_error": True,
        **options,
    }


def saved(folder: Path, dataset: UnbinnedDataset) -> str:
    path = folder / f"{dataset.name}.dataset"
    dataset.save(path)
    return str(path)


TRUTH = {"OpW": 0.1, "O3pq": -0.05, "Opui": 0.15}
"""Coefficients of the pseudo-data of the fits, TeV^-2."""


def measured() -> UnbinnedDataset:
    """Return the common problem with data as expected at the truth, where -2 log L then has its minimum."""
    return problem(NAMES, "smefit").asimov(TRUTH, dict.fromkeys(NAMES, 0.0))


def m2logl(model: Model, values: np.ndarray) -> float:
    """Return -2 log L of values in the order of the sampled parameters, as a sampler asks for it."""
    return -2.0 * float(model.logposterior(values, cached=False).loglike)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("units", ["TeV^-2", "GeV^-2"])
def test_contract(check: Check, units: str, tmp_path: Path) -> None:
    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        model = get_model(info(names, {"toy": {"file": saved(tmp_path, dataset), "units": units}}))
        return Adapter(lambda values: m2logl(model, values), units, pickles=False)

    check(make, NAMES, "smefit")


def test_two_datasets_in_other_names_add_up(tmp_path: Path) -> None:
    first = toy_dataset(("cHW", "cHB", "cHu"), "warsaw")
    second = toy_dataset(("cHB", "cHd"), "warsaw", seed=5).replace(name="other")
    names = ("Opui", "OpB", "Opdi", "OpW")
    entries = {
        d.name: {"file": saved(tmp_path, d), "basis": "smefit", "units": "GeV^-2"} for d in (first, second)
    }
    model = get_model(info(names, entries))
    expected = Likelihood([d.in_basis("smefit") for d in (first, second)])
    c, values = points(Adapter(lambda v: 0.0, "GeV^-2"), len(names))
    found = np.array([m2logl(model, v) for v in values])
    reference = np.array([expected.m2logl(dict(zip(names, row, strict=True))) for row in c])
    assert np.abs(found - reference).max() <= 1e-10 * np.abs(reference).max()
    model.logposterior(values[0])
    chi2 = model.loglikes(dict(zip(names, values[0], strict=True)), as_dict=True)[0]
    assert -2 * chi2["other"] == pytest.approx(
        float(second.m2logl({"cHB": c[0, 1], "cHd": c[0, 2]})), rel=1e-10
    )


def test_its_sampler_agrees_with_ours(tmp_path: Path) -> None:
    dataset = measured()
    entries = {"toy": {"file": saved(tmp_path, dataset)}}
    sampler = {"mcmc": {"seed": 1, "Rminus1_stop": 0.003, "learn_every": "100d"}}
    _, done = run(info(NAMES, entries, BOUND, sampler=sampler), output=False)
    table = done.samples(skip_samples=0.3).data
    samples = table.loc[table.index.repeat(table["weight"].astype(int)), list(NAMES)]
    assert_agrees(pd.DataFrame(samples), ours(dataset))


def test_its_minimiser_finds_our_minimum(tmp_path: Path) -> None:
    dataset = measured()
    entries = {"toy": {"file": saved(tmp_path, dataset)}}
    minimize = {"minimize": {"seed": 1, "ignore_prior": True, "override_bobyqa": {"rhoend": 1e-5}}}
    _, done = run(info(NAMES, entries, BOUND, sampler=minimize), output=False)
    found = done.products()["minimum"]
    assert float(found["chi2"]) == pytest.approx(float(dataset.m2logl(TRUTH)), abs=1e-3)
    assert {n: float(found[n]) for n in NAMES} == pytest.approx(TRUTH, abs=2e-3)  # a twentieth of the errors


def test_readme(tmp_path: Path) -> None:
    printed = run_readme("cobaya", tmp_path)
    assert "The run has converged" in printed
    assert printed.count("(95 %)") == 3


def test_a_coefficient_may_depend_on_others_or_come_from_a_theory(tmp_path: Path) -> None:
    class Model(Theory):
        """One coupling g with OpW = g^2."""

        params = {"g": None, "OpW": {"derived": True}}  # noqa: RUF012

        def calculate(self, state: dict[str, Any], want_derived: bool = True, **values: Any) -> None:
            state["derived"] = {"OpW": values["g"] ** 2}

    dataset = toy_dataset(NAMES, "smefit")
    card = info(("g",), {"toy": {"file": saved(tmp_path, dataset), "coefficients": ["OpW", "O3pq"]}}, 1.0)
    card["params"]["O3pq"] = {"value": "lambda g: -3 * g", "derived": False}
    card["theory"] = {"uv": {"external": Model}}
    model = get_model(card)
    expected = float(dataset.m2logl({"OpW": 0.04, "O3pq": -0.6}))
    assert m2logl(model, np.array([0.2])) == pytest.approx(expected, rel=1e-12)


def test_nuisances_are_minimised_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = toy_dataset(NAMES, "smefit").with_luminosity(0.02)
    model = get_model(info(NAMES, {"toy": {"file": saved(tmp_path, dataset)}}))
    c = np.array([0.3, -0.2, 0.1])
    expected = float(Likelihood([dataset]).profiled().m2logl(c))
    assert m2logl(model, c) == pytest.approx(expected, rel=1e-10)
    assert "minimised over its nuisances" in caplog.text


@pytest.mark.parametrize("scale", [None, 1000.0])
def test_running_to_the_scale_of_the_dataset(scale: float | None, tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "smefit")
    if scale is not None:
        dataset = dataset.replace(metadata={})
    block, matrix = running(tmp_path)
    names = ("OpW", "OpB")
    entry = {"file": saved(tmp_path, dataset), "rge": block, "scale": scale}
    model = get_model(info(names, {"toy": entry}))
    there = matrix.values @ [0.3, -0.2]  # of OpB and OpW
    expected = float(dataset.m2logl({"O3pq": there[0], "OpW": there[1]}))
    assert m2logl(model, np.array([-0.2, 0.3])) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"file": "no.dataset"}, "no.dataset"),
        ({"file": 3}, "file must be the path of a dataset, got 3"),
        ({"units": "GeV"}, "unknown units 'GeV'"),
        ({"basis": "smfit"}, "unknown basis 'smfit'"),
        ({"basiss": "smefit"}, "basiss"),
        ({"scale": -1.0}, "scale must be a positive number of GeV"),
        ({"coefficients": ["OpWW"]}, "'OpWW' has no effect. Did you mean 'OpW'"),
        ({"coefficients": ["OpW", "O3pq", "Opui"]}, "Opui"),
        ({"basis": "warsaw"}, "no parameter has an effect on toy, which depends on cHW"),
        ({"rge": {"init_scale": 1000.0}, "basis": "warsaw"}, "rge needs coefficients in the basis smefit"),
        ({"rge": {"init_sacle": 1000.0}}, "Did you mean 'init_scale'"),
    ],
)
def test_bad_input(options: dict[str, Any], match: str, tmp_path: Path) -> None:
    file = saved(tmp_path, toy_dataset(NAMES, "smefit"))
    with pytest.raises(LoggedError, match=match):
        get_model(info(("OpW", "O3pq"), {"toy": {"file": file, **options}}))


def test_a_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, toy_dataset(NAMES, "smefit"))
    with pytest.raises(LoggedError, match="O3qp"):
        get_model(info(("OpW", "O3qp"), {"toy": {"file": file}}))


def test_a_dataset_that_no_parameter_moves_is_refused(tmp_path: Path) -> None:
    first = toy_dataset(("OpW",), "smefit")
    second = toy_dataset(("Opui",), "smefit").replace(name="other")
    entries = {d.name: {"file": saved(tmp_path, d)} for d in (first, second)}
    with pytest.raises(LoggedError, match="no parameter has an effect on other, which depends on Opui"):
        get_model(info(("OpW",), entries))


def test_running_without_a_scale_is_refused(tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "smefit").replace(metadata={})
    entry = {"file": saved(tmp_path, dataset), "rge": running(tmp_path)[0]}
    with pytest.raises(LoggedError, match="dataset toy has no scale; give the option scale"):
        get_model(info(("OpW",), {"toy": entry}))


def test_the_version_is_one_that_was_run() -> None:
    FITTER.require()
    assert Unbinned.get_qualified_class_name() == "plugins.cobaya.Unbinned"
