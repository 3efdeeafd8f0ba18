"""Inside bilby: the contract, values, its nested sampler against ours, running, and what is refused."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bilby.core", reason="bilby is not installed")

import bilby
from bilby.core.likelihood import LikelihoodParameterError
from bilby.core.prior import PriorDict, Uniform
from bilby.core.sampler.base_sampler import Sampler
from fitter_runs import BOUND, assert_agrees, ours, problem, run_readme, running

from plugins.bilby import FITTER, UnbinnedLikelihood
from smeft_unbinned import InputError, Likelihood, UnbinnedDataset
from smeft_unbinned.testing import CHECKS, Adapter, Check, points, toy_dataset

NAMES = ("OpW", "O3pq", "Opui")
TRUTH = {"OpW": 0.1, "O3pq": -0.05, "Opui": 0.15}
"""Coefficients of the pseudo-data of the fit, TeV^-2."""


def saved(folder: Path, dataset: UnbinnedDataset) -> Path:
    path = folder / f"{dataset.name}.dataset"
    dataset.save(path)
    return path


class AsSampled:
    """-2 log L of values in the order of the priors, through the base class of bilby's samplers."""

    def __init__(self, likelihood: bilby.Likelihood, names: Sequence[str], folder: Path) -> None:
        priors = PriorDict({name: Uniform(-1e9, 1e9, name=name) for name in names})
        self.sampler = Sampler(
            likelihood, priors, outdir=str(folder), use_ratio=None, skip_import_verification=True
        )

    def __call__(self, values: np.ndarray) -> float:
        return -2.0 * self.sampler.log_likelihood(values)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("units", ["TeV^-2", "GeV^-2"])
def test_contract(check: Check, units: str, tmp_path: Path) -> None:
    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        likelihood = UnbinnedLikelihood(saved(tmp_path, dataset), names, units=units)
        return Adapter(AsSampled(likelihood, names, tmp_path), units)

    check(make, NAMES, "smefit")


def test_two_datasets_in_other_names_add_up(tmp_path: Path) -> None:
    first = toy_dataset(("cHW", "cHB", "cHu"), "warsaw")
    second = toy_dataset(("cHB", "cHd"), "warsaw", seed=5).replace(name="other")
    names = ("Opui", "OpB", "Opdi", "OpW")
    likelihoods = [
        UnbinnedLikelihood(saved(tmp_path, d), basis="smefit", units="GeV^-2") for d in (first, second)
    ]
    m2logl = AsSampled(bilby.core.likelihood.JointLikelihood(*likelihoods), names, tmp_path)
    expected = Likelihood([d.in_basis("smefit") for d in (first, second)])
    c, values = points(Adapter(m2logl, "GeV^-2"), len(names))
    found = np.array([m2logl(v) for v in values])
    reference = np.array([expected.m2logl(dict(zip(names, row, strict=True))) for row in c])
    assert np.abs(found - reference).max() <= 1e-10 * np.abs(reference).max()


def test_its_sampler_agrees_with_ours(tmp_path: Path) -> None:
    dataset = problem(NAMES, "smefit").asimov(TRUTH, dict.fromkeys(NAMES, 0.0))
    likelihood = UnbinnedLikelihood(saved(tmp_path, dataset))
    bilby.core.utils.random.seed(1)
    result = bilby.run_sampler(
        likelihood,
        likelihood.priors(dict.fromkeys(NAMES, (-BOUND, BOUND))),
        outdir=str(tmp_path / "out"),
        label="toy",
        sampler="dynesty",
        nlive=500,
        sample="unif",
        bound="multi",
        seed=1,
        check_point_plot=False,
    )
    reference = ours(dataset)
    assert_agrees(result.posterior[list(NAMES)], reference)
    assert reference.logz is not None
    for evidence in (result.log_evidence, result.log_bayes_factor):  # the SM takes the place of noise
        assert abs(evidence - reference.logz) < 3 * result.log_evidence_err
    record = json.loads((tmp_path / "out" / "toy_result.json").read_text(encoding="utf-8"))
    assert record["meta_data"]["likelihood"]["operators"] == list(NAMES)


def test_readme(tmp_path: Path) -> None:
    printed = run_readme("bilby", tmp_path)
    assert printed.count(" 95 % in ") == 3
    assert "Bayes factor to the SM" in printed


def test_fixed_coefficients_and_other_priors(tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "smefit")
    likelihood = UnbinnedLikelihood(saved(tmp_path, dataset), ("OpW", "O3pq"))
    priors = likelihood.priors({"OpW": (-1, 1)})
    assert (priors["OpW"].minimum, priors["OpW"].maximum) == (-1.0, 1.0)
    assert priors["OpW"].latex_label_with_unit == "OpW [TeV$^{-2}$]"
    priors["O3pq"] = 0.2
    priors.fill_priors()  # as run_sampler does
    sampler = Sampler(likelihood, priors, outdir=str(tmp_path), skip_import_verification=True)
    expected = -0.5 * float(dataset.m2logl({"OpW": 0.3, "O3pq": 0.2}))
    assert sampler.log_likelihood([0.3]) == pytest.approx(expected, rel=1e-12)
    assert likelihood.meta_data["set_to_zero"] == ["Opui"]


def test_nuisances_are_minimised_over(tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "smefit").with_luminosity(0.02)
    likelihood = UnbinnedLikelihood(saved(tmp_path, dataset))
    c = {"OpW": 0.3, "O3pq": -0.2, "Opui": 0.1}
    expected = -0.5 * float(Likelihood([dataset]).profiled().m2logl(c))
    copy = pickle.loads(pickle.dumps(likelihood))
    assert copy.log_likelihood(c) == likelihood.log_likelihood(c) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("scale", [None, 1000.0])
def test_running_to_the_scale_of_the_dataset(scale: float | None, tmp_path: Path) -> None:
    dataset = toy_dataset(NAMES, "smefit")
    if scale is not None:
        dataset = dataset.replace(metadata={})
    block, matrix = running(tmp_path)
    likelihood = UnbinnedLikelihood(saved(tmp_path, dataset), ("OpW", "OpB"), rge=block, scale=scale)
    there = matrix.values @ [0.3, -0.2]  # of OpB and OpW
    expected = -0.5 * float(dataset.m2logl({"O3pq": there[0], "OpW": there[1]}))
    assert likelihood.log_likelihood({"OpB": 0.3, "OpW": -0.2}) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"file": "no.dataset"}, "no.dataset"),
        ({"units": "GeV"}, "unknown units 'GeV'"),
        ({"basis": "smfit"}, "unknown basis 'smfit'"),
        ({"scale": -1.0}, "scale must be a positive number of GeV"),
        ({"names": ["OpWW"]}, "OpWW has no effect on toy, .*Did you mean 'OpW'"),
        ({"names": []}, "names is empty"),
        ({"names": ["OpW", "OpW"]}, "named twice: OpW"),
        ({"basis": "warsaw", "names": ["OpW"]}, "OpW has no effect on toy, which depends on cHW"),
        ({"rge": {"init_scale": 1000.0}}, "rge needs the names"),
        ({"rge": {"init_scale": 1000.0}, "names": ["cHW"], "basis": "warsaw"}, "in the basis smefit"),
        ({"rge": {"init_sacle": 1000.0}, "names": ["OpW"]}, "Did you mean 'init_scale'"),
    ],
)
def test_bad_input(options: dict[str, Any], match: str, tmp_path: Path) -> None:
    file = saved(tmp_path, toy_dataset(NAMES, "smefit"))
    with pytest.raises(InputError, match=match):
        UnbinnedLikelihood(**{"file": file, **options})


def test_running_without_a_scale_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, toy_dataset(NAMES, "smefit").replace(metadata={}))
    with pytest.raises(InputError, match="dataset toy has no scale; give the argument scale"):
        UnbinnedLikelihood(file, ["OpW"], rge=running(tmp_path)[0])


@pytest.mark.parametrize("bounds", [{"OpWW": (-1, 1)}, {"OpW": (1, -1)}, {"OpW": 1.0}])
def test_ranges_that_cannot_be_used_are_refused(bounds: dict[str, Any], tmp_path: Path) -> None:
    likelihood = UnbinnedLikelihood(saved(tmp_path, toy_dataset(NAMES, "smefit")))
    with pytest.raises(InputError, match="OpW"):
        likelihood.priors(bounds)


def test_a_coefficient_without_a_prior_is_refused(tmp_path: Path) -> None:
    likelihood = UnbinnedLikelihood(saved(tmp_path, toy_dataset(NAMES, "smefit")))
    with pytest.raises(LikelihoodParameterError, match="no value for O3pq, Opui; give a prior"):
        bilby.run_sampler(
            likelihood, likelihood.priors({"OpW": (-1, 1)}), outdir=str(tmp_path), sampler="dynesty"
        )
    with pytest.raises(LikelihoodParameterError, match="no value for OpW"):
        likelihood.log_likelihood()


def test_the_version_is_one_that_was_run() -> None:
    FITTER.require()
