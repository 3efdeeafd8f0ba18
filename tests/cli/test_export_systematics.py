"""smeft-unbinned export: nuisance parameters, low rank and precision, as the calls in Python make them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import refuse, run

from smeft_unbinned import (
    Events,
    ResponseEstimator,
    SumOfSquares,
    UnbinnedDataset,
    export,
    train_responses,
    with_responses,
)
from smeft_unbinned.events import Nuisances

RATE = ("--truth", "--luminosity", 300, "--efficiency", 0.01)
PYTHON = {"luminosity": 300.0, "efficiency": 0.01}


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, zh_events: Events) -> Path:
    """Events, and responses of them to an energy scale."""
    path = tmp_path_factory.mktemp("systematics")
    events = zh_events[:1000]
    events.save(path / "zh.events")
    scale = 0.05 * np.log(events.column("pt_z") / 100)[:, None]
    true = Nuisances(("scale",), scale, np.zeros_like(scale))
    train_responses(events, true, replicas=2, hidden=(8,), epochs=3, seed=1).save(path / "zh.responses")
    return path


def test_responses_and_luminosity_are_those_of_python(folder: Path, tmp_path: Path) -> None:
    lumi = ("--luminosity-uncertainty", 0.017, "--luminosity-name", "LUMI")
    responses = ("--responses", folder / "zh.responses", "--groups", 20)
    output = succeed("export", folder / "zh.events", *RATE, *responses, *lumi, "-o", tmp_path / "d")
    assert "nuisances scale, LUMI" in output
    found = UnbinnedDataset.load(tmp_path / "d")
    events, learned = Events.load(folder / "zh.events"), ResponseEstimator.load(folder / "zh.responses")
    same = export(None, events, **PYTHON, responses=learned, groups=20).with_luminosity(0.017, "LUMI")
    assert found.nuisances == same.nuisances == ("scale", "LUMI")
    assert found.expected.batch_shape[0] <= 21
    p = np.random.default_rng(1).normal(size=(5, 5)) * [0.05, 0.02, 0.05, 1.0, 1.0]
    np.testing.assert_allclose(found.m2logl(p), same.m2logl(p), rtol=1e-12)
    # the yield at one standard deviation of the luminosity, by hand
    rise = np.sum(np.asarray(found.expected.constant) * found.expected_response.ratio({"LUMI": 1.0}))
    assert rise == pytest.approx(1.017 * np.sum(found.expected.constant), rel=1e-12)
    assert f"{np.sum(found.expected.constant):.4g} expected at the SM" in output


def test_the_default_name_of_the_luminosity(folder: Path, tmp_path: Path) -> None:
    succeed("export", folder / "zh.events", *RATE, "--luminosity-uncertainty", 0.02, "-o", tmp_path / "d")
    assert UnbinnedDataset.load(tmp_path / "d").nuisances == ("luminosity",)


def test_observed_events_take_the_yield_of_simulated_ones(folder: Path, tmp_path: Path) -> None:
    events, learned = Events.load(folder / "zh.events"), ResponseEstimator.load(folder / "zh.responses")
    Events(events.features[:50], events.truth[:50], None, None, events.metadata).save(tmp_path / "observed")
    options = ("--data", "observed", "--yield-from", folder / "zh.events")
    options += ("--responses", folder / "zh.responses", "--groups", 30)
    from smeft_unbinned import train

    train(events, replicas=2, epochs=1, hidden=(8,), seed=1).save(tmp_path / "model")
    rate = ("--model", tmp_path / "model", *RATE[1:])
    succeed("export", tmp_path / "observed", *rate, *options, "-o", tmp_path / "d")
    found = UnbinnedDataset.load(tmp_path / "d")
    np.testing.assert_allclose(found.response.linear, learned(events.features[:50]).linear, rtol=1e-5)
    succeed("export", tmp_path / "observed", *rate, *options[:-4], "-o", tmp_path / "plain")
    plain = UnbinnedDataset.load(tmp_path / "plain")
    same = with_responses(plain, learned(events.features[:50]), events, learned(events.features), groups=30)
    np.testing.assert_allclose(found.expected.coefficients, same.expected.coefficients, rtol=1e-9)
    assert float(np.sum(found.expected.constant)) == pytest.approx(float(plain.expected.constant))


def test_low_rank_and_precision_are_told_and_recorded(folder: Path, tmp_path: Path) -> None:
    succeed("export", folder / "zh.events", *RATE, "-o", tmp_path / "dense")
    options = ("--low-rank", 1e-3, "--precision", "float32")
    output = succeed("export", folder / "zh.events", *RATE, *options, "-o", tmp_path / "d")
    dense, found = (UnbinnedDataset.load(tmp_path / name) for name in ("dense", "d"))
    assert isinstance(found.ratios, SumOfSquares)
    assert found.ratios.factors.dtype == np.float32
    record = found.metadata["low_rank"]
    assert record["rank"] == found.ratios.factors.shape[1]
    assert record["tolerance"] == 1e-3
    assert f"sums of squares: 1000 forms of rank {record['rank']}" in output
    assert f"-2 log L changes by {found.metadata['precision']['largest_change']:.2g} at most" in output
    box = np.array([record["scale"][name] for name in dense.operators])
    c = np.random.default_rng(2).uniform(-1, 1, (20, 3)) * box
    true = dense.ratios.dense().evaluate(c)
    size = 1 + np.abs(np.stack([np.diag(m)[1:] for m in dense.ratios.dense().matrix()])) @ box**2
    assert np.all(np.abs(found.ratios.evaluate(c) - true) <= (1e-3 + 1e-5) * size)
    assert found.metadata["notes"] == dense.metadata["notes"]  # faithful


def test_negative_directions_are_noted(folder: Path, tmp_path: Path) -> None:
    events = Events.load(folder / "zh.events")
    coefficients = events.truth.coefficients.copy()
    coefficients[:7, 4] = -np.abs(coefficients[:7, 4]) - 1.0  # the square of the first operator
    truth = type(events.truth)(events.operators, coefficients)
    Events(events.features, truth, events.weights).save(tmp_path / "bad.events")
    output = succeed("export", tmp_path / "bad.events", *RATE, "--low-rank", 1e-4, "-o", tmp_path / "d")
    found = UnbinnedDataset.load(tmp_path / "d").metadata
    assert found["low_rank"]["negative"] == 7
    assert "7 had negative directions, set to zero" in output
    assert any("7 had negative directions" in text for text in found["notes"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--low-rank", 1e-4), "--low-rank belong"),
        (("--precision", "float32"), "--precision belong"),
        (("--luminosity-uncertainty", 0.1, "--responses", "r"), "--responses and --luminosity-uncertainty"),
    ],
)
def test_histograms_take_none_of_it(
    options: tuple[object, ...], words: str, folder: Path, tmp_path: Path
) -> None:
    message = refuse(
        "export", folder / "zh.events", *RATE, "--binned", "score", *options, "-o", tmp_path / "d"
    )
    assert words in message
    assert "belong to unbinned datasets; leave them or --binned out" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--groups", 10), "--groups goes with --responses"),
        (("--luminosity-name", "LUMI"), "--luminosity-name goes with --luminosity-uncertainty"),
        (("--luminosity-uncertainty", 1.7), "between 0 and 1, as 0.017 for 1.7 %, got 1.7"),
        (("--luminosity-uncertainty", "nan"), "between 0 and 1"),
        (("--luminosity-uncertainty", 0.1, "--luminosity-name", "cHW"), "cHW"),
        (("--low-rank", "-1"), "--low-rank must be a finite number above zero"),
        (("--precision", "float8"), "'float8' is not one of"),
        (("--responses", "nowhere"), "no such file: nowhere"),
        (("--responses", "EVENTS"), "holds 'events', expected 'response estimator'"),
        (("--responses", "RESPONSES", "--groups", 0), "0 is not in the range x>=1"),
        (
            ("--responses", "RESPONSES", "--luminosity-uncertainty", 0.1, "--luminosity-name", "scale"),
            "an uncertainty between 0 and 1 of a new name is needed, got 0.1 and 'scale'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    options: tuple[object, ...],
    words: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"EVENTS": folder / "zh.events", "RESPONSES": folder / "zh.responses"}
    options = tuple(places.get(str(option), option) for option in options)
    assert words in refuse("export", folder / "zh.events", *RATE, *options, "-o", "d")
    assert list(tmp_path.iterdir()) == []


def test_events_without_truth_or_features_are_refused(folder: Path, tmp_path: Path) -> None:
    events = Events.load(folder / "zh.events")
    Events(events.features[["pt_z"]], events.truth, events.weights).save(tmp_path / "few.events")
    options = ("--responses", folder / "zh.responses", "-o", tmp_path / "d")
    assert "feature" in refuse("export", tmp_path / "few.events", *RATE, *options)
    assert not (tmp_path / "d").exists()
