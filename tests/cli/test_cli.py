"""The command line: the whole path on a small sample, and every kind of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from commands import refuse, run

from smeft_unbinned.cli import COMMANDS

TRAIN = ("--replicas", "2", "--epochs", "4", "--hidden", "16", "--no-plot")
RATE = ("--luminosity", 300, "--efficiency", 0.01)


def succeed(*arguments: object) -> str:
    """Call, expect exit code 0, return what was printed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with events, a model, a dataset and a runcard, made by the command line itself."""
    path = tmp_path_factory.mktemp("cli")
    succeed("generate", "ZH", "-n", 3000, "--operators", "cHW,cHq3", "--seed", 1, "-o", path / "zh.events")
    succeed("train", path / "zh.events", *TRAIN, "-o", path / "zh.model")
    model = ("--model", path / "zh.model", *RATE)
    succeed("export", path / "zh.events", *model, "--name", "zh", "-o", path / "zh.dataset")
    card = {
        "result_ID": "zh",
        "basis": "warsaw",
        "datasets": [{"name": "ZH_13TeV_STXS"}, {"name": "zh_14tev", "unbinned": "zh.dataset"}],
        "coefficients": {"cHW": {"min": -1.0, "max": 1.0}, "cHq3": {"min": -0.2, "max": 0.2}},
    }
    (path / "card.yaml").write_text(yaml.safe_dump(card))
    return path


def test_help_of_every_command() -> None:
    assert all(name in succeed("--help") for name in COMMANDS)
    for name in COMMANDS:
        assert "Example:" in succeed(name, "--help") or name in ("demo", "inspect")


def test_training_leaves_no_checkpoint_behind(folder: Path) -> None:
    assert not (folder / "zh.model.checkpoint").exists()


def test_fit_writes_both_results(folder: Path) -> None:
    output = succeed("fit", folder / "card.yaml")
    assert "cHq3" in output
    content = json.loads((folder / "results" / "zh" / "fit_results.json").read_text())
    assert set(content["best_fit_point"]) == {"cHW", "cHq3"}
    assert json.loads((folder / "results" / "zh" / "fit_result.json").read_text())["valid"] is True


def test_fit_by_nested_sampling(folder: Path, tmp_path: Path) -> None:
    output = succeed(
        "fit", folder / "card.yaml", "--method", "ultranest", "--nlive", 60, "-o", tmp_path / "out"
    )
    assert "log Z" in output
    samples = json.loads((tmp_path / "out" / "fit_results.json").read_text())["samples"]
    assert len(samples["cHW"]) == len(samples["cHq3"]) > 100


def test_compare_makes_table_and_figure(folder: Path, tmp_path: Path) -> None:
    content = {
        "events": str(folder / "zh.events"), "model": str(folder / "zh.model"), "luminosity": 300,
        "efficiency": 0.01, "schemes": [{"bins": {"pt_z": [75, 150, 250, float("inf")]}, "name": "bins"}],
        "contours": "none", "global": str(folder / "rest.yaml"),
    }  # fmt: skip
    rest = {
        "basis": "warsaw",
        "datasets": [{"name": "ZH_13TeV_STXS"}],
        "coefficients": {name: {"min": -1.0, "max": 1.0} for name in ("cHW", "cHq3")},
    }
    (folder / "rest.yaml").write_text(yaml.safe_dump(rest))
    (tmp_path / "compare.yaml").write_text(yaml.safe_dump(content))
    succeed("compare", tmp_path / "compare.yaml", "-o", tmp_path / "cmp")
    table = pd.read_csv(tmp_path / "cmp" / "intervals.csv")
    assert set(table["version"]) == {"exact", "shape only", "network", "bins"}
    assert set(table["global"]) == {False, True}
    assert (tmp_path / "cmp" / "intervals_quadratic.png").stat().st_size > 10_000
    assert (tmp_path / "cmp" / "intervals_quadratic_global.png").stat().st_size > 10_000


def test_inspect_shows_kind_and_manifest(folder: Path) -> None:
    assert "unbinned dataset" in succeed("inspect", folder / "zh.dataset")
    manifest = json.loads(succeed("inspect", folder / "zh.model", "--json"))
    assert manifest["kind"] == "estimator"
    assert manifest["metadata"]["settings"]["ensemble"] == {"name": "bootstrap", "replicas": 2}


def test_observed_data_need_a_yield(folder: Path, tmp_path: Path) -> None:
    arguments = ("export", folder / "zh.events", "--model", folder / "zh.model", "--data", "observed")
    assert "--yield-from" in refuse(*arguments, "-o", tmp_path / "x")
    succeed(*arguments, "--yield-from", folder / "zh.events", "--luminosity", 300, "-o", tmp_path / "x")


def test_demo_on_a_small_scale(tmp_path: Path) -> None:
    output = succeed(
        "demo", "-o", tmp_path, "--events", 4000, "--asimov", 2000, "--replicas", 1, "--epochs", 8
    )
    assert "95% intervals" in output
    for name in (
        "intervals.png",
        "intervals.pdf",
        "intervals.csv",
        "card.yaml",
        "zh_14tev.dataset",
        "zh.model",
    ):
        assert (tmp_path / name).stat().st_size > 0
    exact = pd.read_csv(tmp_path / "intervals.csv").query("version == 'exact' and fit == 'one at a time'")
    assert exact["lower"].lt(0).all()
    assert exact["upper"].gt(0).all()
    succeed("fit", tmp_path / "card.yaml")


@pytest.mark.parametrize("process", ["WH", "ttbar", "toy"])
def test_every_process_can_be_trained_and_fitted(process: str, tmp_path: Path) -> None:
    events = tmp_path / "events"
    succeed("generate", process, "-n", 600, "--seed", 2, "-o", events)
    succeed(
        "train", events, "--replicas", 1, "--epochs", 2, "--hidden", 16, "--no-plot", "-o", tmp_path / "model"
    )
    succeed("export", events, "--model", tmp_path / "model", "--luminosity", 10, "-o", tmp_path / "dataset")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "nowhere.yaml"), "no such runcard"),
        (("inspect", "nowhere.dataset"), "no such file"),
        (("generate", "ZH", "-n", "10", "--operators", "chq_3", "-o", "x"), "Did you mean 'cHq3'"),
        (("generate", "ZH", "-n", "0", "-o", "x"), "at least"),
        (("generate", "ZH", "-n", "10", "-o", "no/such/folder/x"), "does not exist"),
        (("generate", "tt", "-o", "x"), "not one of"),
        (("events", "nowhere.lhe", "-o", "x"), "nowhere.lhe"),
    ],
)
def test_refusals(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refuse(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_operator_in_a_card_is_named(folder: Path) -> None:
    card = yaml.safe_load((folder / "card.yaml").read_text())
    card["coefficients"]["cHq33"] = {"min": -1, "max": 1}
    (folder / "bad.yaml").write_text(yaml.safe_dump(card))
    message = refuse("fit", folder / "bad.yaml")
    assert "cHq33" in message
    assert "Did you mean 'cHq3'" in message


def test_a_damaged_dataset_is_refused_by_fit(folder: Path, tmp_path: Path) -> None:
    content = bytearray((folder / "zh.dataset").read_bytes())
    content[-3] ^= 1
    (tmp_path / "zh.dataset").write_bytes(content)
    (tmp_path / "card.yaml").write_text((folder / "card.yaml").read_text())
    assert "checksum mismatch" in refuse("fit", tmp_path / "card.yaml")
    (tmp_path / "zh.dataset").write_bytes(content[:-100])
    assert "truncated" in refuse("fit", tmp_path / "card.yaml")
    assert not (tmp_path / "results").exists()


def test_training_goes_on_from_its_checkpoint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smeft_unbinned.estimators import checkpoint

    keep, calls = checkpoint.store, []

    def killed(*arguments: object) -> None:
        keep(*arguments)  # type: ignore[arg-type]
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    arguments = ("train", folder / "zh.events", *TRAIN, "-o", tmp_path / "zh.model")
    monkeypatch.setattr(checkpoint, "store", killed)
    assert run(*arguments).exit_code == 130
    assert not (tmp_path / "zh.model").exists()
    monkeypatch.undo()
    succeed(*arguments)
    one, two = (json.loads(succeed("inspect", p / "zh.model", "--json")) for p in (folder, tmp_path))
    assert one["checksums"] == two["checksums"]
