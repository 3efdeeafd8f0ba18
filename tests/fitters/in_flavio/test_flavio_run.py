"""Inside flavio: the contract, values, running, its own minimiser and grid against ours, what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# a submodule, because the folder of these tests would do as a package of that name
pytest.importorskip("flavio.statistics", reason="flavio is not installed")

import flavio
from fitter_runs import assert_agrees, ours, problem, run_readme
from flavio.math.optimize import minimize_robust
from flavio.plots import likelihood_contour_data
from flavio.statistics.likelihood import FastLikelihood, Likelihood
from grids import samples_of, span
from wilson import Wilson, wcxf
from wilson.run.smeft import SMEFT

from plugins.flavio import FITTER, UnbinnedDistribution, add_unbinned
from smeft_unbinned import InputError, UnbinnedDataset
from smeft_unbinned import Likelihood as OurLikelihood
from smeft_unbinned.operators import to_wcxf
from smeft_unbinned.testing import CHECKS, Adapter, Check, toy_dataset

SCALE = 1000.0
"""Of the toy datasets, GeV."""
PAR = flavio.default_parameters.get_central_all()


def added(folder: Path, dataset: UnbinnedDataset, name: str | None = None, **options: Any) -> str:
    path = folder / f"{dataset.name}.dataset"
    dataset.save(path)
    return add_unbinned(path, name, **{"replace": True, **options})


def point(values: Mapping[str, complex], scale: float = SCALE, basis: str = "Warsaw") -> Wilson:
    """Return a point from WCxf coefficients in GeV^-2."""
    return Wilson(dict(values), scale, "SMEFT", basis)


def m2logl(likelihood: Likelihood, values: Mapping[str, complex], scale: float = SCALE) -> float:
    return -2.0 * float(likelihood.log_likelihood(PAR, point(values, scale)))


def m2logl_of_array(values: np.ndarray, likelihood: Likelihood, names: Sequence[str]) -> float:
    return m2logl(likelihood, dict(zip(names, values.tolist(), strict=True)))


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Check, tmp_path: Path) -> None:
    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        likelihood = Likelihood(observables=[added(tmp_path, dataset)])
        return Adapter(partial(m2logl_of_array, likelihood=likelihood, names=names), "GeV^-2")

    check(make, ("phiW", "phiB", "phiWB"), "wcxf")


def test_two_datasets_in_other_names_add_up(tmp_path: Path) -> None:
    first = toy_dataset(("cHW", "cHq3", "cll"), "warsaw")
    second = toy_dataset(("OpqMi", "O3pq", "O81qq", "OtG"), "smefit", seed=5).replace(name="other")
    likelihood = Likelihood(observables=[added(tmp_path, first), added(tmp_path, second)])
    rng = np.random.default_rng(2)
    found, expected = [], []
    for _ in range(20):
        a = dict(zip(("cHW", "cll"), rng.uniform(-1, 1, 2), strict=True))
        b = dict(zip(second.operators, rng.uniform(-1, 1, 4), strict=True))
        # in the common symmetry phiq3 of the third generation is cHq3 in one, and not there in the other
        values = {**to_wcxf({**a, "cHq3": b["O3pq"]}, "warsaw"), **to_wcxf(b, "smefit")}
        found.append(m2logl(likelihood, values))
        expected.append(float(first.m2logl({**a, "cHq3": b["O3pq"]}) + second.m2logl(b)))
    assert np.abs(np.subtract(found, expected)).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("accuracy", ["integrate", "leadinglog"])
def test_running_is_that_of_wilson(accuracy: str, tmp_path: Path) -> None:
    names = ("phiW", "phiq3_11", "phiu_11", "uG_33")
    dataset = toy_dataset(names, "wcxf")
    likelihood = Likelihood(observables=[added(tmp_path, dataset, scale=400.0)])
    values = {"phiW": 3e-7, "phiq3_11": -2e-7, "qu8_1133": 4e-7, "uB_33": 1e-7}
    high = point(values, 5000.0)
    high.set_option("smeft_accuracy", accuracy)
    there = SMEFT(point(values, 5000.0).wc).run(400.0, accuracy=accuracy).dict
    assert any(abs(np.imag(there.get(name, 0.0))) > 0.0 for name in names), (
        "running makes phases, which are dropped"
    )
    by_hand = {name: float(np.real(there.get(name, 0.0))) * 1e6 for name in names}
    expected = float(dataset.m2logl(by_hand))
    assert -2.0 * float(likelihood.log_likelihood(PAR, high)) == pytest.approx(expected, rel=1e-10)
    without = float(dataset.m2logl({"phiW": 0.3, "phiq3_11": -0.2}))
    assert abs(expected - without) > 1e-2 * abs(without)


def test_the_sm_is_zero(tmp_path: Path) -> None:
    name = added(tmp_path, toy_dataset(("phiW",), "wcxf"))
    assert flavio.sm_prediction(name) == 0.0
    wilson = flavio.WilsonCoefficients()
    likelihood = Likelihood(observables=[name])
    assert likelihood.log_likelihood(PAR, wilson) == 0.0
    wilson.set_initial({"phiW": 1e-7}, SCALE, eft="SMEFT", basis="Warsaw")
    expected = -0.5 * float(toy_dataset(("phiW",), "wcxf").m2logl({"phiW": 0.1}))
    assert likelihood.log_likelihood(PAR, wilson) == pytest.approx(expected, rel=1e-12)
    assert flavio.np_prediction(name, wilson) == pytest.approx(-2.0 * expected, rel=1e-12)


def test_another_basis_of_smeft_is_translated(tmp_path: Path) -> None:
    dataset = toy_dataset(("phiW", "phiq3_11", "phiq3_33"), "wcxf")
    likelihood = Likelihood(observables=[added(tmp_path, dataset)])
    values = {"phiq3_33": 3e-7, "phiW": 2e-7}
    up = Wilson(values, SCALE, "SMEFT", "Warsaw up")
    there = up.wc.translate(
        "Warsaw", parameters={**up.parameters, **{n: PAR[n] for n in ("Vus", "Vcb", "Vub", "gamma")}}
    )
    by_hand = {name: float(np.real(there[name])) * 1e6 for name in dataset.operators}
    assert by_hand["phiq3_11"] != 0.0
    found = -2.0 * float(likelihood.log_likelihood(PAR, up))
    assert found == pytest.approx(float(dataset.m2logl(by_hand)), rel=1e-10)


def test_its_minimum_and_its_grid_agree_with_ours(tmp_path: Path) -> None:
    names, truth = ("phiW", "phiB"), {"phiW": 0.1, "phiB": -0.05}
    dataset = problem(names, "wcxf").asimov(truth, dict.fromkeys(names, 0.0))
    reference = ours(dataset)
    likelihood = Likelihood(observables=[added(tmp_path, dataset)])

    def log_l(c: Sequence[float]) -> float:
        return -0.5 * m2logl(likelihood, {n: 1e-6 * float(x) for n, x in zip(names, c, strict=True)})

    best = minimize_robust(lambda c: -2.0 * log_l(c), np.zeros(2))
    assert best.success
    assert dict(zip(names, best.x, strict=True)) == pytest.approx(truth, abs=1e-3)
    assert best.fun == pytest.approx(float(dataset.m2logl(truth)), abs=1e-3)
    low, high = zip(*(span(reference, name) for name in names), strict=True)
    data = likelihood_contour_data(log_l, low[0], high[0], low[1], high[1], steps=45)
    assert_agrees(samples_of(data, names), reference)


def test_readme(tmp_path: Path) -> None:
    printed = run_readme("flavio", tmp_path)
    assert "best fit: cHW = " in printed
    assert (tmp_path / "example" / "contours.png").stat().st_size > 10_000


def test_broken_flavour_symmetry_is_told_once(tmp_path: Path) -> None:
    dataset = toy_dataset(("cHW", "cHq3"), "warsaw")
    likelihood = Likelihood(observables=[added(tmp_path, dataset)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m2logl(likelihood, to_wcxf({"cHW": 0.1, "cHq3": 0.2}, "warsaw"), 3000.0)
        m2logl(likelihood, {"phiW": 1e-7, "phiu_11": 1e-7})  # no entry that the symmetry ties to those read
    with pytest.warns(
        UserWarning, match=r"reads phiW, phiq3_11, which makes phiq3_22 = 2e-07, but the point has 0"
    ):
        found = m2logl(likelihood, {"phiq3_11": 2e-7})
    assert found == pytest.approx(float(dataset.m2logl({"cHq3": 0.2})), rel=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m2logl(likelihood, {"phiq3_11": 2e-7})
    other = Likelihood(observables=[added(tmp_path, dataset)])
    with pytest.warns(UserWarning, match=r"makes phiq3_33 = 0, but the point has 3e-07"):
        assert m2logl(other, {"phiq3_33": 3e-7}) == 0.0


def test_imaginary_parts_are_refused(tmp_path: Path) -> None:
    likelihood = Likelihood(observables=[added(tmp_path, toy_dataset(("uG_33", "phiW"), "wcxf"))])
    with pytest.raises(InputError, match=r"made with real coefficients, got uG_33 = 1e-07\+2e-07j"):
        m2logl(likelihood, {"uG_33": 1e-7 + 2e-7j})
    expected = m2logl(likelihood, {"phiW": 1e-7})
    assert (
        m2logl(likelihood, {"phiW": 1e-7, "uphi_33": 1e-7j}) == expected
    )  # the dataset does not depend on it


def test_coefficients_of_another_theory_are_refused(tmp_path: Path) -> None:
    likelihood = Likelihood(observables=[added(tmp_path, toy_dataset(("phiW",), "wcxf"))])
    with pytest.raises(InputError, match="depends on coefficients of SMEFT, got those of WET"):
        likelihood.log_likelihood(PAR, Wilson({"C9_bsmumu": 1.0}, 4.8, "WET", "flavio"))


def test_fast_likelihoods_are_refused(tmp_path: Path) -> None:
    names = [added(tmp_path, toy_dataset(("phiW",), "wcxf")), "mu_Zh(h->cc)"]
    fast = FastLikelihood("fast", observables=names, nuisance_parameters=["m_h"])
    with pytest.raises(InputError, match="no Gaussian pseudo-measurement, as FastLikelihood makes them"):
        fast.make_measurement(N=2, Nexp=10)


def test_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    first, second = toy_dataset(("phiW",), "wcxf"), toy_dataset(("phiB",), "wcxf", seed=7)
    name = added(tmp_path, first, "one of two")
    with pytest.raises(
        InputError, match="added to flavio as 'one of two' already; give another name, or replace"
    ):
        added(tmp_path, second, name, replace=False)
    other = added(tmp_path, second, "two of two", replace=False)
    both = Likelihood(observables=[name, other])
    expected = float(first.m2logl({"phiW": 0.1}) + second.m2logl({"phiB": 0.2}))
    assert m2logl(both, {"phiW": 1e-7, "phiB": 2e-7}) == pytest.approx(expected, rel=1e-10)
    for theirs in ("mu_Zh(h->bb)", flavio.Observable["mu_Zh(h->bb)"].get_measurements()[0]):
        with pytest.raises(InputError, match="flavio has its own"):
            added(tmp_path, second, theirs)


def test_its_measurement_is_a_distribution_like_others(tmp_path: Path) -> None:
    name = added(tmp_path, toy_dataset(("phiW",), "wcxf"))
    distribution = flavio.combine_measurements(name)
    assert isinstance(distribution, UnbinnedDistribution)
    assert distribution.logpdf([3.0]) == [-1.5]
    assert distribution.delta_logpdf(3.0) == distribution.logpdf(3.0) == -1.5
    assert distribution.logpdf(np.inf) == -np.inf
    assert "distribution: unbinned" in flavio.Measurement[name].get_yaml()


def test_nuisances_are_minimised_over(tmp_path: Path) -> None:
    dataset = toy_dataset(("phiW", "phiB"), "wcxf").with_luminosity(0.02)
    likelihood = Likelihood(observables=[added(tmp_path, dataset)])
    expected = float(OurLikelihood([dataset]).profiled().m2logl(np.array([0.3, -0.2])))
    assert m2logl(likelihood, {"phiW": 3e-7, "phiB": -2e-7}) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("dataset", "options", "match"),
    [
        (
            toy_dataset(("phiW",), "wcxf").replace(metadata={}),
            {},
            "dataset toy has no scale.*give the argument",
        ),
        (toy_dataset(("phiW",), "wcxf"), {"scale": -1.0}, "scale must be a positive number of GeV"),
        (
            toy_dataset(("phiWW",), "wcxf"),
            {},
            "'phiWW' is no coefficient of WCxf's Warsaw. Did you mean 'phiW'",
        ),
        (toy_dataset(("phiq1_21",), "wcxf"), {}, "'phiq1_21' is no coefficient of WCxf's Warsaw"),
        (toy_dataset(("a", "b"), "unknown"), {}, "basis 'unknown' cannot be translated"),
        (toy_dataset(("cOwn",), "warsaw"), {}, "no coefficient of toy is known in the Warsaw basis: cOwn"),
    ],
)
def test_bad_input(dataset: UnbinnedDataset, options: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=match):
        added(tmp_path, dataset, **options)


def test_a_file_that_is_absent_is_refused() -> None:
    with pytest.raises(InputError, match=r"no/such\.dataset"):
        add_unbinned("no/such.dataset")


def test_all_entries_that_can_be_read_are_those_of_wilson() -> None:
    from smeft_unbinned.operators_table import DEFINITIONS, forward

    entries = {entry for basis in DEFINITIONS for entry in forward(basis)}
    assert entries <= set(wcxf.Basis["SMEFT", "Warsaw"].all_wcs)


def test_the_version_is_one_that_was_run() -> None:
    FITTER.require()
