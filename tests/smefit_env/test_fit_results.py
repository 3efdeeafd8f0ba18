"""Results as SMEFiT's own code loads them for its reports."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from smefit_reference import NLO, OPERATORS, folders

from smeft_unbinned import FitResult, Likelihood, Runcard, minimise
from smeft_unbinned.cli.fit_report import save_card
from smeft_unbinned.fit.linear import solve
from smeft_unbinned.fit.single import individual

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("smefit", reason="runs where SMEFiT is installed")
    from smefit.analyze.coefficients_utils import compute_confidence_level
    from smefit.chi2 import compute_chi2
    from smefit.fit_manager import FitManager

pytestmark = pytest.mark.filterwarnings("ignore")
if folders() is None:
    pytest.skip("set SMEFT_UNBINNED_DATA to the folder with smefit_database", allow_module_level=True)


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Switch jax to double precision, as SMEFiT's command line does."""
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(scope="module", params=[False, True], ids=["linear", "quadratic"])
def card(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card with a dependent coefficient."""
    path = tmp_path_factory.mktemp("card") / "card.yaml"
    coefficients: dict[str, object] = {name: {"min": -20.0, "max": 20.0} for name in OPERATORS}
    coefficients["OtZ"] = {"constrain": [{"OtG": 0.5}], "min": -20.0, "max": 20.0}
    content = {
        "datasets": NLO, "coefficients": coefficients, "use_quad": request.param, "use_t0": True,
        "use_theory_covmat": True, **{k: str(v) for k, v in (folders() or {}).items()},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(content))
    return path


def reported(card: Path, folder: Path, result: FitResult) -> FitManager:
    """Save a result as the command line does, and load it as `smefit R` does."""
    folder.mkdir()
    result.save_smefit(folder / "fit_results.json")
    save_card(Runcard.load(card), card, folder)
    fit = FitManager(folder.parent, folder.name)
    fit.load_results()
    return fit


def check(fit: FitManager, result: FitResult) -> None:
    names = sorted(n for n in result.best if n not in result.nuisances)
    assert list(fit.results["samples"].columns) == names
    assert list(fit.results["best_fit_point"].columns) == names
    assert fit.results["free_parameters"] == list(result.operators)
    fit.load_datasets()
    point = fit.results["best_fit_point"].iloc[0]
    chi2 = compute_chi2(fit.datasets, point, fit.config["use_quad"], False)
    assert fit.results["max_loglikelihood"] == pytest.approx(-0.5 * float(chi2), rel=1e-9)
    assert fit.smeft_predictions_best_fit.shape == (1, fit.datasets.Commondata.size)


def test_a_minimised_result(card: Path, tmp_path: Path) -> None:
    result = minimise(Runcard.load(card).likelihood(), levels=())
    fit = reported(card, tmp_path / "fit", result)
    check(fit, result)
    assert fit.n_replica == 1
    assert fit.results["logz"] is None
    np.testing.assert_allclose(fit.results["samples"]["OtZ"], 0.5 * fit.results["samples"]["OtG"])


def test_a_sampled_result_gives_the_bounds_of_the_report(card: Path, tmp_path: Path) -> None:
    import pandas as pd

    likelihood = Runcard.load(card).likelihood()
    if Runcard.load(card).use_quad:
        from smeft_unbinned.fit.laplace import laplace

        result = laplace(likelihood, n_samples=500, seed=1)
    else:
        result = solve(likelihood, n_samples=500, seed=1)
    fit = reported(card, tmp_path / "fit", result)
    check(fit, result)
    assert fit.n_replica == 500
    if result.logz is not None:
        sm = sum(result.provenance["sm_chi2"].values())
        assert fit.results["logz"] == pytest.approx(result.logz - 0.5 * sm)
    groups = pd.Series({("all", n): n for n in result.best})
    bounds = compute_confidence_level(fit.results["samples"], groups, True)
    drawn = result.samples
    assert drawn is not None
    for name in result.best:
        ends = [float(bounds[("all", name)][0][f"{side}68"]) for side in ("low", "high")]
        np.testing.assert_allclose(ends, drawn[name].quantile([0.16, 0.84]), rtol=1e-9)


def test_nuisances_are_left_out(card: Path, tmp_path: Path) -> None:
    loaded = Runcard.load(card).likelihood()
    binned = loaded.datasets[0]
    shift = 0.1 * np.sqrt(np.diag(binned.covariance))
    with_nuisance = type(binned)(
        "n", binned.data, binned.theory, binned.covariance, basis=binned.basis, nuisances={"lumi": shift}
    )
    result = minimise(
        Likelihood(
            [with_nuisance], loaded.operators, dependent=loaded.dependent, constraints={"lumi": (0, 1)}
        ),
        levels=(),
    )
    assert result.nuisances == ("lumi",)
    fit = reported(card, tmp_path / "fit", result)
    assert "lumi" not in fit.results["samples"]
    assert "lumi" not in fit.results["free_parameters"]


def test_single_parameter_fits(card: Path, tmp_path: Path) -> None:
    found = individual(Runcard.load(card).likelihood(), "laplace", n_samples=300, seed=2)
    folder = tmp_path / "single"
    folder.mkdir()
    found.save_smefit(folder)
    save_card(Runcard.load(card), card, folder, single_parameter_fits=True)
    fit = FitManager(tmp_path, "single")
    fit.load_results()
    assert list(fit.results["samples"].columns) == sorted(name for (name,) in found)
    assert fit.n_replica == 300
    for (name,), result in found.items():
        assert fit.results["best_fit_point"][name][0] == result.best[name]
