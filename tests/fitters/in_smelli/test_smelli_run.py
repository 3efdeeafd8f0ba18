"""Inside smelli: the contract, values, running, its own grid and minimum against ours, what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

# a submodule, because the folder of these tests would do as a package of that name
pytest.importorskip("smelli.classes", reason="smelli is not installed")

import smelli
from fitter_runs import assert_agrees, ours, problem, run_readme
from grids import samples_of, span
from wilson import Wilson
from wilson.run.smeft import SMEFT

from plugins.flavio import add_unbinned
from plugins.smelli import FITTER, GlobalLikelihood
from smeft_unbinned import InputError, UnbinnedDataset
from smeft_unbinned.operators import to_wcxf
from smeft_unbinned.testing import CHECKS, Adapter, Check, toy_dataset

SCALE = 1000.0
"""Of the toy datasets, GeV."""
EEWW, FAST = "likelihood_eeww.yaml", "fast_likelihood_leptons.yaml"


def added(folder: Path, dataset: UnbinnedDataset, **options: float) -> str:
    path = folder / f"{dataset.name}.dataset"
    dataset.save(path)
    return add_unbinned(path, replace=True, **options)


def alone(*names: str, **options: object) -> GlobalLikelihood:
    """Return the likelihood of datasets, without measurements of smelli and with fixed CKM elements."""
    return GlobalLikelihood(unbinned=names, **{"include_likelihoods": [], "fix_ckm": True, **options})


def m2logl(likelihood: GlobalLikelihood, values: Mapping[str, complex], scale: float = SCALE) -> float:
    return -2.0 * float(likelihood.parameter_point(dict(values), scale).log_likelihood_global())


def m2logl_of_array(values: np.ndarray, likelihood: GlobalLikelihood, names: Sequence[str]) -> float:
    return m2logl(likelihood, dict(zip(names, values.tolist(), strict=True)))


@pytest.mark.parametrize("check", CHECKS)
def test_contract(check: Check, tmp_path: Path) -> None:
    def make(dataset: UnbinnedDataset, names: Sequence[str]) -> Adapter:
        likelihood = alone(added(tmp_path, dataset))
        return Adapter(partial(m2logl_of_array, likelihood=likelihood, names=names), "GeV^-2")

    check(make, ("phiW", "phiB", "phiWB"), "wcxf")


def test_two_datasets_add_up_beside_measurements(tmp_path: Path) -> None:
    first = toy_dataset(("cHW", "cHq3"), "warsaw")
    second = toy_dataset(("cHd", "cHW"), "warsaw", seed=5).replace(name="other")
    names = [added(tmp_path, d) for d in (first, second)]
    both = GlobalLikelihood(unbinned=names, include_likelihoods=[EEWW], fix_ckm=True)
    theirs = smelli.GlobalLikelihood(include_likelihoods=[EEWW], fix_ckm=True)
    rng = np.random.default_rng(2)
    for _ in range(20):
        c = dict(zip(("cHW", "cHq3", "cHd"), rng.uniform(-1, 1, 3), strict=True))
        values = to_wcxf(c, "warsaw")
        found = both.parameter_point(values, SCALE).log_likelihood_dict()
        expected = [
            -0.5 * float(first.m2logl({"cHW": c["cHW"], "cHq3": c["cHq3"]})),
            -0.5 * float(second.m2logl({"cHW": c["cHW"], "cHd": c["cHd"]})),
        ]
        assert [found[name] for name in names] == pytest.approx(expected, rel=1e-10)
        binned = theirs.parameter_point(values, SCALE).log_likelihood_dict()[EEWW]
        assert found[EEWW] == pytest.approx(binned, rel=1e-10)
        assert found["global"] == pytest.approx(sum(expected) + binned, rel=1e-10)


@pytest.mark.parametrize("accuracy", ["leadinglog", "integrate"])
def test_running_is_that_of_wilson(accuracy: str, tmp_path: Path) -> None:
    names = ("phiW", "phiq3_11", "phiu_11", "uG_33")
    dataset = toy_dataset(names, "wcxf")
    likelihood = alone(added(tmp_path, dataset, scale=400.0))
    values = {"phiW": 3e-7, "phiq3_11": -2e-7, "qu8_1133": 4e-7, "uB_33": 1e-7}
    high = Wilson(values, 5000.0, "SMEFT", "Warsaw")
    there = SMEFT(high.wc).run(400.0, accuracy=accuracy).dict
    expected = float(dataset.m2logl({n: float(np.real(there.get(n, 0.0))) * 1e6 for n in names}))
    if accuracy == "leadinglog":  # which smelli makes wilson's default
        assert m2logl(likelihood, values, 5000.0) == pytest.approx(expected, rel=1e-10)
    high.set_option("smeft_accuracy", accuracy)
    found = -2.0 * likelihood.parameter_point(high).log_likelihood_global()
    assert found == pytest.approx(expected, rel=1e-10)


def test_ckm_elements_may_be_fitted_too(tmp_path: Path) -> None:
    dataset = toy_dataset(("phiW",), "wcxf")
    likelihood = alone(added(tmp_path, dataset), fix_ckm=False)
    assert m2logl(likelihood, {"phiW": 2e-7}) == pytest.approx(
        float(dataset.m2logl({"phiW": 0.2})), rel=1e-10
    )


def test_its_minimum_and_its_grid_agree_with_ours(tmp_path: Path) -> None:
    names, truth = ("phiW", "phiB"), {"phiW": 0.1, "phiB": -0.05}
    dataset = problem(names, "wcxf").asimov(truth, dict.fromkeys(names, 0.0))
    reference = ours(dataset)
    observable = added(tmp_path, dataset)
    likelihood = alone(observable)

    def coefficients(x: float, y: float) -> dict[str, float]:
        return {"phiW": 1e-6 * x, "phiB": 1e-6 * y}

    (x_min, x_max), (y_min, y_max) = (span(reference, name) for name in names)
    data = likelihood.plot_data_2d(coefficients, SCALE, x_min, x_max, y_min, y_max, steps=45)
    assert_agrees(samples_of(data[observable], names), reference)
    np.testing.assert_array_equal(data[observable]["z"], data["global"]["z"])
    for best in likelihood.chi2_min(coefficients, SCALE, plotdata=data).values():
        assert dict(zip(names, best["coords_min"], strict=True)) == pytest.approx(truth, abs=1e-3)
        assert best["z_min"] == pytest.approx(float(dataset.m2logl(truth)), abs=1e-3)


def universal(x: float, y: float) -> dict[str, float]:
    """Return a point; not a closure, because processes get it."""
    return to_wcxf({"cHW": x, "cHu": y}, "warsaw")


def test_processes_find_the_dataset(tmp_path: Path) -> None:
    name = added(tmp_path, toy_dataset(("cHW", "cHu"), "warsaw"))
    likelihood = alone(name)
    one, two = (
        likelihood.plot_data_2d(universal, SCALE, -0.1, 0.1, -0.1, 0.1, steps=3, threads=threads)[name]["z"]
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert np.ptp(one) > 0.0


def test_readme(tmp_path: Path) -> None:
    printed = run_readme("smelli", tmp_path)
    assert "best fit: cHu = " in printed
    assert (tmp_path / "example" / "contours.png").stat().st_size > 10_000


def test_p_values_are_withheld(tmp_path: Path) -> None:
    name = added(tmp_path, toy_dataset(("phiW",), "wcxf"))
    likelihood = alone(name, include_likelihoods=[EEWW], custom_likelihoods={"own": [name]})
    point = likelihood.parameter_point({"phiW": 1e-7}, SCALE)
    values = point.pvalue_dict()
    assert {k for k, v in values.items() if np.isnan(v)} == {name, "custom_own", "global"}
    theirs = smelli.GlobalLikelihood(include_likelihoods=[EEWW], fix_ckm=True)
    expected = theirs.parameter_point({"phiW": 1e-7}, SCALE).pvalue_dict()[EEWW]
    assert values[EEWW] == pytest.approx(expected, rel=1e-10)
    assert point.log_likelihood_dict()["custom_own"] == point.log_likelihood_dict()[name]


def test_without_datasets_nothing_changes() -> None:
    ours_, theirs = (
        kind(include_likelihoods=[EEWW], fix_ckm=True).parameter_point({"W": 1e-7}, SCALE)
        for kind in (GlobalLikelihood, smelli.GlobalLikelihood)
    )
    assert ours_.log_likelihood_dict() == theirs.log_likelihood_dict()
    assert ours_.pvalue_dict() == theirs.pvalue_dict()


def test_the_table_of_observables_has_the_dataset(tmp_path: Path) -> None:
    dataset = toy_dataset(("phiW",), "wcxf")
    name = added(tmp_path, dataset)
    point = alone(name, include_likelihoods=[EEWW]).parameter_point({"phiW": 1e-7}, SCALE)
    row = point.obstable(sort_by="pull SM").loc[name]
    assert row["theory"] == pytest.approx(float(dataset.m2logl({"phiW": 0.1})), rel=1e-10)
    assert abs(row["pull SM"]) == pytest.approx(abs(row["theory"]) ** 0.5, rel=1e-10)


def test_a_file_of_its_own_may_list_it(tmp_path: Path) -> None:
    dataset = toy_dataset(("phiW",), "wcxf")
    name = added(tmp_path, dataset)
    path = tmp_path / "likelihood_own.yaml"
    path.write_text(f'observables: ["{name}"]\ninclude_measurements: ["{name}"]\n', encoding="utf-8")

    class Own(smelli.GlobalLikelihood):
        _fast_likelihoods_yaml_fixckm: tuple[str, ...] = ()
        _likelihoods_yaml = (str(path),)

    found = Own(fix_ckm=True).parameter_point({"phiW": 1e-7}, SCALE).log_likelihood_dict()
    assert found[str(path)] == pytest.approx(-0.5 * float(dataset.m2logl({"phiW": 0.1})), rel=1e-10)


def test_fast_likelihoods_are_refused(tmp_path: Path) -> None:
    name = added(tmp_path, toy_dataset(("phiW",), "wcxf"))
    path = tmp_path / "fast_likelihood_own.yaml"
    path.write_text(
        f'name: own\nobservables: ["{name}"]\ninclude_measurements: ["{name}"]\n', encoding="utf-8"
    )

    class Own(GlobalLikelihood):
        _fast_likelihoods_yaml_fixckm = (str(path),)
        _likelihoods_yaml: tuple[str, ...] = ()

    with pytest.raises(
        InputError, match=r"fast_likelihood_own.yaml is a FastLikelihood.* give that in the arg"
    ):
        Own(fix_ckm=True)


def test_real_fast_likelihoods_stay(tmp_path: Path) -> None:
    dataset = toy_dataset(("phiW",), "wcxf")
    name = added(tmp_path, dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of flavio, about its measurements
        likelihood = alone(name, include_likelihoods=[FAST])
    found = likelihood.parameter_point({"phiW": 1e-7}, SCALE).log_likelihood_dict()
    assert set(found) == {name, FAST, "global"}
    assert found[name] == pytest.approx(-0.5 * float(dataset.m2logl({"phiW": 0.1})), rel=1e-10)


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"unbinned: 'toy.dataset' is no dataset that was added to flavio; give"
    ):
        GlobalLikelihood(unbinned=["toy.dataset"])
    with pytest.raises(InputError, match=r"unbinned: 'R\(ee->WW\)' is no dataset"):
        GlobalLikelihood(unbinned="R(ee->WW)")
    name = added(tmp_path, toy_dataset(("phiW",), "wcxf"))
    with pytest.raises(InputError, match="coefficients of SMEFT, got eft='WET'"):
        GlobalLikelihood(eft="WET", unbinned=[name])
    with pytest.raises(InputError, match=r"made with real coefficients, got uG_33 = 0\+2e-07j"):
        m2logl(alone(added(tmp_path, toy_dataset(("uG_33",), "wcxf"))), {"uG_33": 2e-7j})


def test_the_version_is_one_that_was_run() -> None:
    FITTER.require()
