"""smeft-unbinned fit --replicas: covariance and bands of the networks, against a fit of each by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import refuse, run

from smeft_unbinned import FitResult, InputError, Likelihood, SumOfSquares, UnbinnedDataset, minimise
from smeft_unbinned.cli import fit
from smeft_unbinned.fit.replicas import network_bands

NAMES = ("cHW", "cHq3")
NETWORKS = 4


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory, make_ratios: Callable[..., SumOfSquares]) -> Path:
    """A runcard of one dataset with the ratios of four networks, which scatter around each other."""
    path = tmp_path_factory.mktemp("networks")
    rng = np.random.default_rng(5)
    factors = make_ratios(1, 400, NAMES).factors
    scatter = 0.02 * rng.normal(size=(NETWORKS, *factors.shape)) + 0.02 * rng.normal(size=(NETWORKS, 1, 1, 3))
    scatter[..., 0] = 0.0
    networks = SumOfSquares(NAMES, factors + scatter)
    mean = networks.dense()
    central = type(mean)(NAMES, mean.coefficients.mean(axis=0))
    dataset = UnbinnedDataset("zh", central, central.sum(), replicas=networks)
    dataset.save(path / "zh.dataset")
    dataset.replace(replicas=None).save(path / "plain.dataset")
    content = {
        "basis": "warsaw",
        "datasets": [{"name": "zh", "unbinned": "zh.dataset"}],
        "coefficients": {name: {"min": -1.0, "max": 1.0} for name in NAMES},
    }
    (path / "card.yaml").write_text(yaml.safe_dump(content))
    content["datasets"] = [{"name": "zh", "unbinned": "plain.dataset"}]
    (path / "plain.yaml").write_text(yaml.safe_dump(content))
    return path / "card.yaml"


def test_the_covariance_and_the_bands_are_those_of_single_fits(card: Path, tmp_path: Path) -> None:
    done = run("fit", card, "--replicas", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    assert "the covariance includes that of a single network" in " ".join(done.output.split())
    for words in ("single networks: ends of 68% intervals", "ends of 95% intervals", "upper_from"):
        assert words in done.output
    dataset = UnbinnedDataset.load(card.parent / "zh.dataset")
    fits = [minimise(Likelihood([dataset.replica(m)], NAMES)) for m in range(NETWORKS)]
    best = np.array([[f.best[name] for name in NAMES] for f in fits])
    plain = minimise(Likelihood([dataset], NAMES))
    found = FitResult.load(tmp_path / "fit_result.json")
    np.testing.assert_allclose(
        found.covariance.loc[list(NAMES), list(NAMES)], plain.covariance + np.cov(best.T), rtol=1e-4
    )
    ends = np.array([f.intervals(0.95).loc["cHW", "lower"] for f in fits])
    band = network_bands(found)[0.95].loc["cHW"]
    assert band["lower"] == pytest.approx(np.median(ends), rel=1e-4)
    np.testing.assert_allclose(band[["lower_from", "lower_to"]], np.quantile(ends, [0.16, 0.84]), rtol=1e-4)
    np.testing.assert_allclose(found.intervals(0.95), plain.intervals(0.95), rtol=1e-6)
    smefit = json.loads((tmp_path / "fit_results.json").read_text())
    assert set(smefit["best_fit_point"]) == set(NAMES)


def test_without_the_option_nothing_is_added(card: Path, tmp_path: Path) -> None:
    for options in ((), ("--no-replicas",)):
        done = run("fit", card, *options, "-o", tmp_path)
        assert done.exit_code == 0, done.output
        assert "single networks" not in done.output
        assert network_bands(FitResult.load(tmp_path / "fit_result.json")) == {}


def test_a_posterior_takes_the_networks_too(card: Path, tmp_path: Path) -> None:
    pytest.importorskip("ultranest", reason="the nested extra is not installed")
    options = ("--method", "ultranest", "--nlive", 50, "--replicas")
    done = run("fit", card, *options, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    found = FitResult.load(tmp_path / "out" / "fit_result.json")
    record = found.provenance["network"]
    assert record["converged"] == NETWORKS
    samples = np.cov(np.array([found.samples[name] for name in NAMES]))
    added = np.array(record["covariance"])
    np.testing.assert_allclose(found.covariance, samples + added, rtol=0.05)


def test_datasets_without_networks_are_refused_before_the_fit(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(fit, "fit", never)
    for method in ("minuit", "ultranest"):
        message = refuse(
            "fit", card.parent / "plain.yaml", "--replicas", "--method", method, "-o", tmp_path / "out"
        )
        assert "no dataset holds replicas (zh); export an ensemble with replicas=True" in message
    assert list(tmp_path.iterdir()) == []


def test_networks_that_fail_leave_the_result_without(
    card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InputError("only 1 of 4 networks converged")

    monkeypatch.setattr(fit, "network", fail)
    message = refuse("fit", card, "--replicas", "-o", tmp_path)
    assert "only 1 of 4 networks converged. The result without the networks is in" in message
    assert FitResult.load(tmp_path / "fit_result.json").valid
