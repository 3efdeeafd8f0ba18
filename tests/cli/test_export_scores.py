"""export --binned on the command line: histograms of scores and classes, and generate --smear."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import refuse, run

from smeft_unbinned import Events, PoissonDataset, Runcard
from smeft_unbinned.scores import score_histogram

RATE = ("--luminosity", 3, "--efficiency", 0.1)


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scores")
    succeed("generate", "ZH", "-n", 2000, "--operators", "cHW,cHq3", "--seed", 1, "-o", path / "zh.events")
    return path


def test_a_histogram_of_the_score_is_fitted(folder: Path, tmp_path: Path) -> None:
    binned = ("--binned", "score", "--bins", 5, "--score-of", "cHq3", "--spacing", "information")
    output = succeed("export", folder / "zh.events", "--truth", *RATE, *binned, "-o", tmp_path / "s.dataset")
    assert "5 bins" in output
    dataset = PoissonDataset.load(tmp_path / "s.dataset")
    assert (dataset.name, len(dataset), dataset.operators) == ("binned", 5, ("cHW", "cHq3"))
    direct = score_histogram(
        "s", None, Events.load(folder / "zh.events"), 3.0, efficiency=0.1, bins=5, operators=["cHq3"],
        spacing="information",
    )  # fmt: skip
    np.testing.assert_array_equal(dataset.yields.coefficients, direct.yields.coefficients)
    assert "poisson dataset" in succeed("inspect", tmp_path / "s.dataset")
    manifest = json.loads(succeed("inspect", tmp_path / "s.dataset", "--json"))
    assert list(manifest["metadata"]["binning"]["inner_edges"]) == ["score_cHq3"]
    card = {
        "basis": "warsaw",
        "datasets": [{"name": "zh", "poisson": "s.dataset"}],
        "coefficients": {"cHq3": {"min": -1, "max": 1}},
    }
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card))
    assert "cHq3" in succeed("fit", tmp_path / "card.yaml")
    likelihood = Runcard.load(tmp_path / "card.yaml").likelihood()
    assert likelihood.m2logl({"cHq3": 0.1}) == pytest.approx(float(direct.m2logl({"cHq3": 0.1})))


def test_a_histogram_of_classes(folder: Path, tmp_path: Path) -> None:
    binned = ("--binned", "classes", "--class-at", "cHW=0.5", "--class-at", "cHW=-0.3,cHq3=0.1", "--bins", 3)
    toy = ("--data", "toy", "--seed", 4, "--at", "cHW=0.2", "--name", "zh")
    succeed("export", folder / "zh.events", "--truth", *RATE, *binned, *toy, "-o", tmp_path / "c")
    dataset = PoissonDataset.load(tmp_path / "c")
    assert dataset.name == "zh"
    assert dataset.metadata["binning"]["points"] == [{"cHW": 0.5}, {"cHW": -0.3, "cHq3": 0.1}]
    assert dataset.metadata["data"] == "toy"
    assert np.all(dataset.counts == np.round(dataset.counts))


def test_observed_data_through_a_model(folder: Path, tmp_path: Path) -> None:
    train = ("--replicas", 1, "--epochs", 2, "--hidden", 8, "--no-plot", "-o", tmp_path / "zh.model")
    succeed("train", folder / "zh.events", *train)
    model = ("--model", tmp_path / "zh.model", *RATE, "--binned", "score", "--score-of", "cHW")
    data = ("--data", "observed", "--yield-from", folder / "zh.events")
    succeed("export", folder / "zh.events", *model, *data, "-o", tmp_path / "d")
    dataset = PoissonDataset.load(tmp_path / "d")
    assert dataset.counts.sum() == 2000
    assert len(dataset) == 10
    message = refuse("export", folder / "zh.events", *model, "--data", "observed", "-o", tmp_path / "x")
    assert "--yield-from" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bins", 3), "--bins belongs to --binned score or classes"),
        (("--spacing", "rate"), "--spacing belongs to --binned"),
        (("--class-at", "cHW=1"), "--class-at belongs to --binned classes"),
        (("--binned", "score", "--class-at", "cHW=1"), "--class-at belongs to --binned classes"),
        (("--binned", "classes", "--score-of", "cHW"), "--score-of belongs to --binned score"),
        (("--binned", "classes"), "give --class-at"),
        (("--binned", "score", "--bins", 1), "x>=2"),
        (("--binned", "score"), "need a luminosity"),
        (("--binned", "classes", *RATE, "--class-at", "cHW"), "--class-at must read NAME=NUMBER"),
        (("--binned", "classes", *RATE, "--class-at", "cHw=1"), "Did you mean 'cHW'"),
        (("--binned", "score", *RATE, "--score-of", "cHq"), "Did you mean 'cHq3'"),
    ],
)
def test_refusals(folder: Path, tmp_path: Path, arguments: tuple[object, ...], words: str) -> None:
    assert words in refuse("export", folder / "zh.events", "--truth", *arguments, "-o", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_generate_smears(tmp_path: Path) -> None:
    card = tmp_path / "d.yaml"
    card.write_text("pt_z: {stochastic: 1.0, limits: [0, .inf]}\nphi_l: {absolute: 0.1, period: 6.3}\n")
    base = ("generate", "ZH", "-n", 400, "--operators", "cHW", "--seed", 3)
    succeed(*base, "-o", tmp_path / "exact")
    succeed(*base, "--smear", card, "-o", tmp_path / "once")
    succeed(*base, "--smear", card, "--copies", 5, "-o", tmp_path / "copies")
    exact, once, copies = (Events.load(tmp_path / name) for name in ("exact", "once", "copies"))
    assert not np.isclose(once.column("pt_z"), exact.column("pt_z")).any()
    np.testing.assert_array_equal(once.truth.coefficients, exact.truth.coefficients)
    outliers = copies.metadata["smearing"]["fractional"]["outliers"]
    assert len(copies) == 400 + 4 * outliers
    assert outliers == 4
    assert copies.weights.sum() == pytest.approx(exact.weights.sum())
    assert "--smear" in refuse(*base, "--copies", 2, "-o", tmp_path / "x")
    card.write_text("pt: {constant: 0.1}")
    assert "Did you mean 'pt_z'" in refuse(*base, "--smear", card, "-o", tmp_path / "x")
    assert "in use" in refuse(*base, "--smear", card, "-o", card)
    assert "d.yml" in refuse(*base, "--smear", tmp_path / "d.yml", "-o", tmp_path / "x")
    assert "pt_z: {stochastic" in succeed("generate", "--help")
