"""Bundles with an estimator: from features to -2 log L, and which estimators go with which dataset."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from smeft_unbinned import (
    Component,
    Estimator,
    Events,
    InputError,
    Polynomial,
    UnbinnedDataset,
    export,
    train,
)
from smeft_unbinned.cli import main
from smeft_unbinned.graphs import ESTIMATOR, EVENTS, LIKELIHOOD, MANIFEST, check_bundle, to_bundle

pytest.importorskip("onnx", reason="the onnx extra is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")


@pytest.fixture(scope="module")
def sample(zh_events: Events) -> Events:
    return zh_events[:800]


@pytest.fixture(scope="module")
def folder(sample: Events, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, the events, and the dataset of these events with this model, as files."""
    path = tmp_path_factory.mktemp("bundle")
    train(sample, hidden=(8, 6), replicas=3, epochs=2, seed=1).save(path / "zh.model")
    sample.save(path / "zh.events")
    estimator = Estimator.load(path / "zh.model")
    export(estimator, sample, luminosity=0.4, name="zh").save(path / "zh.dataset")
    return path


@pytest.fixture(scope="module")
def estimator(folder: Path) -> Estimator:
    return Estimator.load(folder / "zh.model")


@pytest.fixture(scope="module")
def dataset(folder: Path) -> UnbinnedDataset:
    return UnbinnedDataset.load(folder / "zh.dataset")


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_from_features_to_the_likelihood(
    dataset: UnbinnedDataset, estimator: Estimator, sample: Events, tmp_path: Path
) -> None:
    to_bundle(dataset, tmp_path / "b", estimator)
    content = json.loads((tmp_path / "b" / MANIFEST).read_text(encoding="utf-8"))
    features = sample.features[[entry["name"] for entry in content["features"]]].to_numpy(float)
    (coefficients,) = session(tmp_path / "b" / ESTIMATOR).run(None, {"features": features})
    stored, weights = session(tmp_path / "b" / EVENTS).run(["coefficients", "weights"], {})
    np.testing.assert_allclose(coefficients, stored, rtol=1e-4, atol=1e-4 * np.abs(stored).max())
    likelihood = session(tmp_path / "b" / LIKELIHOOD)
    for c in np.random.default_rng(2).normal(0.0, 0.3, (10, 3)):
        given = {"weights": weights, "c": c}
        exact = likelihood.run(["m2logl"], {"coefficients": stored, **given})[0]
        learned = likelihood.run(["m2logl"], {"coefficients": coefficients, **given})[0]
        wanted = dataset.m2logl(c)
        np.testing.assert_allclose(exact, wanted, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(learned, wanted, rtol=1e-4, atol=1e-4)
    found = check_bundle(tmp_path / "b", dataset, estimator, sample.features, seed=3)
    assert found.likelihood < 1e-14
    assert found.network is not None
    assert found.network < 5e-6


def test_the_check_sees_another_network(
    dataset: UnbinnedDataset, estimator: Estimator, sample: Events, tmp_path: Path
) -> None:
    calibration = estimator.calibration.copy()
    calibration[:, 1:] *= 1.01  # all but the constant, in which -2 log L does not depend on a factor
    to_bundle(dataset, tmp_path / "b", estimator.calibrated(calibration))
    found = check_bundle(tmp_path / "b", dataset, estimator, sample.features)
    assert found.likelihood < 1e-14
    assert found.network is not None
    assert found.network > 1e-4


def test_the_manifest_knows_the_features(
    dataset: UnbinnedDataset, estimator: Estimator, tmp_path: Path
) -> None:
    to_bundle(dataset, tmp_path / "b", estimator.noted("a note"), members=True)
    content = json.loads((tmp_path / "b" / MANIFEST).read_text(encoding="utf-8"))
    units = {entry["name"]: entry["unit"] for entry in content["features"]}
    assert tuple(units) == estimator.features
    assert units == {
        "m_zh": "GeV", "y_zh": "1", "cos_theta_star": "1", "cos_theta_l": "1", "phi_l": "rad", "pt_z": "GeV",
    }  # fmt: skip
    assert content["luminosity_fb-1"] == 0.4
    assert content["energy_GeV"] == 14000.0
    assert content["files"][ESTIMATOR]["outputs"]["replicas"] == [3, "N", 10]
    assert content["notes"][-1] == "a note"
    assert not [note for note in content["notes"] if ESTIMATOR in note]


def test_where_ratios_may_differ_is_noted(estimator: Estimator, sample: Events, tmp_path: Path) -> None:
    def notes(name: str, dataset: UnbinnedDataset) -> str:
        to_bundle(dataset, tmp_path / name, estimator)
        return " ".join(json.loads((tmp_path / name / MANIFEST).read_text(encoding="utf-8"))["notes"])

    truth = notes("truth", export(None, sample, luminosity=0.4))
    assert "where the ratios of events.onnx come from: the truth of simulated events" in truth
    median = notes("median", export(estimator, sample, luminosity=0.4, central="median"))
    assert "the median over networks in events.onnx, their mean in estimator.onnx" in median
    unknown = export(estimator, sample, luminosity=0.4)
    unknown.metadata = {}
    assert "come from: not recorded; those of estimator.onnx may differ" in notes("unknown", unknown)


def test_what_does_not_belong_together_is_refused(
    dataset: UnbinnedDataset, estimator: Estimator, sample: Events, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="depends on cHW, cHq3, the model on cHW, cHq3, cHWtil; give"):
        to_bundle(dataset.restrict(["cHW", "cHq3"]), tmp_path / "b", estimator)
    other = replace(estimator, metadata={**estimator.metadata, "checksums": {"calibration": "0"}})
    with pytest.raises(InputError, match="exported with another model"):
        to_bundle(dataset, tmp_path / "b", other)
    flat = Component(Polynomial((), np.ones((800, 1))), Polynomial((), [5.0]))
    with pytest.raises(InputError, match="has backgrounds, of which the model knows nothing"):
        to_bundle(dataset.replace(backgrounds=[flat]), tmp_path / "b", estimator)
    assert list(tmp_path.iterdir()) == []


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.mark.parametrize("checked", [False, True])
def test_the_command(folder: Path, tmp_path: Path, checked: bool) -> None:
    options = ("--check", folder / "zh.events") if checked else ("-n", 500)
    result = run(
        "onnx", folder / "zh.model", "--dataset", folder / "zh.dataset", *options, "-o", tmp_path / "b"
    )
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "estimator.onnx, events.onnx, likelihood.onnx, manifest.json; 800 events of cHW" in text
    found = dict(re.findall(r"largest relative difference (.*?): (\S+)", text))
    on = "on 800 events" if checked else "on 500 random events"
    assert float(found[on]) < 1e-5
    assert float(found["of -2 log L from coefficients"]) < 1e-14
    assert float(found["of -2 log L from features"]) < 1e-5


def test_other_features_are_refused_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    events = Events.load(folder / "zh.events")
    Events(events.features.drop(columns="pt_z")).save(tmp_path / "few.events")
    files = (folder / "zh.model", "--dataset", folder / "zh.dataset", "--check", tmp_path / "few.events")
    result = run("onnx", *files, "-o", tmp_path / "b")
    assert result.exit_code == 2
    assert "needs feature 'pt_z'" in result.output
    assert not (tmp_path / "b").exists()
