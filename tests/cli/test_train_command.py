"""smeft-unbinned train: every choice of a method, parts, curves, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from smeft_unbinned import Estimator, Events, InputError, TrainSettings, plots
from smeft_unbinned.cli import main, method
from smeft_unbinned.cli.method import settings_of
from smeft_unbinned.estimators import checkpoint
from smeft_unbinned.estimators.losses import LOSSES
from smeft_unbinned.estimators.settings import AXES
from smeft_unbinned.events.separate import draw_samples

QUICK = ("--replicas", 3, "--epochs", 2, "--hidden", 8, "--no-plot")
PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.output.split())


def refuse(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    return " ".join(result.output.split())


def chosen(*arguments: str) -> TrainSettings:
    """The settings that a command line asks for."""
    parser = method.method_options(lambda **options: settings_of(options))
    return click.command()(parser).main(list(arguments), standalone_mode=False)


def mean_ratios(path: Path, events: Path) -> np.ndarray:
    return np.asarray(Estimator.load(path)(Events.load(events).features).coefficients)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("train") / "zh.events"
    arguments = ("generate", "ZH", "-n", "800", "--operators", "cHW,cHq3", "--seed", "2", "-o", str(path))
    assert CliRunner().invoke(main, arguments).exit_code == 0
    return path


@pytest.fixture(scope="module")
def whole(events: Path) -> Path:
    succeed(events, *QUICK, "-o", events.with_name("whole"))
    return events.with_name("whole")


def test_what_help_lists_is_what_there_is() -> None:
    text = succeed("--help")
    for axis, names in AXES.items():
        assert f"{axis} NAME" in text
        assert f"{', '.join(names)}." in text.replace("quadratic- classifier", "quadratic-classifier")


def test_what_help_says_of_truth_is_so() -> None:
    text = succeed("--help").replace("quadratic- classifier", "quadratic-classifier")
    start, middle = text.index("Losses for events with truth"), text.index("For separate samples too")
    end = text.index("A run that was interrupted")
    for name in LOSSES.own:
        part = text[start:middle] if LOSSES[name].needs_truth else text[middle:end]
        assert name in part.replace(",", " ").split()


def test_the_defaults_that_help_shows_are_those_of_the_settings() -> None:
    settings = TrainSettings()
    places = (settings, settings.ensemble, settings.backbone, settings.head)
    for name, shown in method.DEFAULTS.items():
        value = next(getattr(p, name) for p in places if hasattr(p, name))
        if name == "head":
            assert value.name == settings.loss.heads[0]
        elif name in AXES:
            assert value.name == shown
        elif name == "hidden":
            assert ",".join(map(str, value)) == shown
        else:
            assert value == shown, name


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys; from smeft_unbinned.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        (("--loss", "alices", "--set", "alpha=2", "--set", "draws=16"),
         {"loss": "alices", "alpha": 2, "draws": 16}),
        (("--loss", "decomposed", "--set", "positivity=relu"), {"loss": "decomposed", "positivity": "relu"}),
        (("--loss", "sally"), {"loss": "sally"}),
        (("--ensemble", "repulsive", "--set", "strength=0.5"), {"ensemble": "repulsive", "strength": 0.5}),
        (("--head", "morphing", "--set", "extra=3"), {"head": "morphing", "extra": 3}),
        (("--set", "minibatches=own", "--set", "schedule=one-cycle"),
         {"minibatches": "own", "schedule": "one-cycle"}),
        (("--set", "weight-decay=0"), {"weight_decay": 0}),
        (("--set", "hidden=16,32"), {"hidden": (16, 32)}),
        (("--hidden", "16", "--rank", "3"), {"hidden": (16,), "rank": 3}),
        (("--loss", "alices", "--prior", "cHW=0.5", "--prior", "cHq3=0.1", "--prior-shape", "uniform"),
         {"loss": "alices", "prior": {"cHW": 0.5, "cHq3": 0.1}, "prior_shape": "uniform"}),
        (("--replicas", "4", "--epochs", "7", "--patience", "3", "--batch", "64", "--learning-rate", "0.003",
          "--validation", "0.2", "--device", "cuda", "--seed", "9"),
         {"replicas": 4, "epochs": 7, "patience": 3, "batch": 64, "learning_rate": 0.003, "validation": 0.2,
          "device": "cuda", "seed": 9}),
    ],
)  # fmt: skip
def test_options_become_settings(arguments: tuple[str, ...], options: dict[str, Any]) -> None:
    assert chosen(*arguments) == TrainSettings.of(**options)
    assert TrainSettings(**json.loads(json.dumps(chosen(*arguments).manifest()))) == chosen(*arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--loss", "alise"), "unknown loss 'alise'; known are derivative, .*Did you mean 'alices?'"),
        (("--head", "square"), "unknown head 'square'.*Did you mean 'squares'"),
        (("--backbone", "x"), "unknown backbone"),
        (("--ensemble", "boot"), "unknown ensemble"),
        (("--loss", "sally", "--head", "squares"), "'sally' cannot train head 'squares'"),
        (("--loss", "sally", "--rank", "2"), "unknown setting 'rank'"),
        (("--set", "alhpa=1", "--loss", "alices"), "unknown setting 'alhpa'.*Did you mean 'alpha'"),
        (("--set", "alpha=much", "--loss", "alices"), "alpha takes a number, got 'much'; the default is 1.0"),
        (("--set", "alpha=NaN", "--loss", "alices"), "alpha takes a number, got 'NaN'"),
        (("--set", "draws=true", "--loss", "alice"), "draws takes a whole number, got True"),
        (("--set", "draws=2.5", "--loss", "alice"), "draws takes a whole number, got 2.5"),
        (("--set", "schedule=1"), "schedule takes a word, got 1"),
        (("--set", "schedule=flat"), "schedule is one of cosine, one-cycle"),
        (("--set", "hidden=16"), "hidden takes numbers separated by commas, got 16"),
        (("--set", "epochs"), "--set must read NAME=VALUE, got 'epochs'"),
        (("--set", "epochs=3", "--epochs", "3"), "epochs is given twice"),
        (("--set", "draws=3", "--set", "draws=3", "--loss", "alice"), "draws is given twice"),
        (("--hidden", "16,x"), "--hidden takes whole numbers separated by commas, got '16,x'"),
        (("--prior", "cHW"), "--prior must read NAME=NUMBER"),
        (("--replicas", "0"), "replicas must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        chosen(*arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "needs EVENTS"),
        (("e", "--task", "3"), "--task takes I/N, as 3/20"),
        (("e", "--task", "4/3"), "numbered from 1 to 3, got 4"),
        (("e", "--task", "1/99"), "an ensemble of 10 has 1 to 10 parts, got 99"),
        (("e", "--task", "1/2", "--collect", 2), "--task and --collect are different ways to train"),
        (("e", "--task", "1/2", "--executor", "local"), "--task and --executor are different"),
        (("e", "--task", "1/2", "--checkpoint", "c"), "with --task every part has a checkpoint"),
        (("e", "--task", "1/2", "--curves", "c"), "no --curves of its own; give it with --collect"),
        (("e", "--task", "1/2", "--ensemble", "repulsive"), "cannot be trained apart"),
        (("e", "--workers", 2), "go with --executor"),
        (("e", "--executor", "local", "--scheduler", "x"), "--scheduler goes with --executor dask"),
        (("--collect", 3), "parts 1, 2, 3 of 3 are missing: run train --task 1/3"),
        (("e", "--curves", "x"), "in use; choose another name"),
        (("nowhere",), "no such file: nowhere"),
        (("nowhere", "--loss", "carl", "--prior", "a=b"), "--prior must read"),
    ],
)
def test_calls_that_make_no_sense_are_refused(
    arguments: tuple[object, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refuse(*arguments, "-o", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_prior_names_what_is_trained(events: Path, tmp_path: Path) -> None:
    arguments = (events, *QUICK, "--loss", "alice", "--prior", "cHW=1", "-o", tmp_path / "m")
    assert "no width for cHq3" in refuse(*arguments)
    assert "names 'cHB', which is not trained" in refuse(*arguments, "--prior", "cHB=1")
    succeed(*arguments, "--prior", "cHq3=0.2")


def test_notes_and_cost_are_told(events: Path, tmp_path: Path) -> None:
    output = succeed(events, *QUICK, "--loss", "sally", "-o", tmp_path / "m")
    assert "3 networks (sally, linear, mlp), 6 features, cHW, cHq3; " in output
    assert " s, of processors " in output
    sample = Events.load(events)
    samples = draw_samples(sample, [{"cHW": 0.5}, {"cHq3": 0.1}], 200, seed=1)  # too few for sigma(c)
    samples.save(tmp_path / "samples")
    output = succeed(tmp_path / "samples", *QUICK, "--loss", "carl", "-o", tmp_path / "m")
    assert "note: not calibrated: " in output
    assert "does not have" not in output
    refused = refuse(tmp_path / "samples", *QUICK, "-o", tmp_path / "m")
    assert "needs the truth of every event, which separate samples do not have" in refused


def test_curves_are_written_as_a_table(events: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    succeed(events, *QUICK[:-1], "--curves", tmp_path / "c.csv", "-o", tmp_path / "m")
    table = pd.read_csv(tmp_path / "c.csv")
    assert list(table) == ["epoch", "member", "training", "validation"]
    history = Estimator.load(tmp_path / "m").metadata["history"]
    for (epoch, member), row in table.set_index(["epoch", "member"]).iterrows():
        for kind in ("training", "validation"):
            assert row[kind] == pytest.approx(history[epoch - 1][kind][member], rel=1e-12)
    assert len(table) == 6
    assert (tmp_path / "m.png").stat().st_size > 10_000


@pytest.mark.parametrize("task", [None, "1/3"])
def test_ctrl_c_says_where_to_go_on(
    task: str | None, events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, epochs = checkpoint.store, list[int]()

    def stopped(path: Path, state: Any, *others: Any) -> None:
        store(path, state, *others)
        epochs.append(state.epoch)
        if len(epochs) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "store", stopped)
    arguments = (events, *QUICK, *(("--task", task) if task else ()), "-o", tmp_path / "m")
    result = run(*arguments)
    assert result.exit_code == 130
    file = tmp_path / ("m.part-1-of-3.checkpoint" if task else "m.checkpoint")
    assert f"interrupted; what is done is in {file}: the same command goes on" in result.output
    assert file.exists()
    succeed(*arguments)
    assert epochs == [1, 2]  # the first epoch is not repeated
    monkeypatch.setattr(checkpoint, "store", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    result = run(events, *QUICK, "-o", tmp_path / "other")
    assert "interrupted; nothing is kept, the same command begins anew" in result.output


def test_tasks_are_collected_to_the_whole(events: Path, whole: Path, tmp_path: Path) -> None:
    target = ("-o", tmp_path / "m")
    output = succeed(events, *QUICK, "--task", "2/2", *target)
    assert "m.part-2-of-2: 2 networks" in output
    assert "part 1 of 2 is missing: run train --task 1/2" in refuse("--collect", 2, *target)
    succeed(events, *QUICK, "--task", "1/2", *target)
    assert "is finished; nothing to do" in succeed(events, *QUICK, "--task", "1/2", *target)
    assert "belongs to another training: epochs was 2, is 3" in refuse(
        events, *QUICK, "--task", "1/2", "--set", "seed=0", *target, "--epochs", 3
    )
    assert "with other settings: loss was" in refuse("--collect", 2, *QUICK, "--loss", "alice", *target)
    assert "with other settings: epochs was 2, is 7" in refuse("--collect", 2, "--epochs", 7, *target)
    output = succeed("--collect", 2, "--no-plot", "--hidden", 8, "--curves", tmp_path / "c.csv", *target)
    assert "3 networks" in output
    assert len(pd.read_csv(tmp_path / "c.csv")) == 6
    np.testing.assert_allclose(
        mean_ratios(tmp_path / "m", events), mean_ratios(whole, events), rtol=1e-5, atol=1e-5
    )
    text = CliRunner().invoke(main, ["inspect", str(tmp_path / "m.part-2-of-2"), "--json"]).output
    assert json.loads(text)["metadata"]["task"]["part"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "dask"])
def test_processes_train_the_same(executor: str, events: Path, whole: Path, tmp_path: Path) -> None:
    if executor == "dask":
        pytest.importorskip("distributed", reason="the dask extra is not installed")
    assert "3 networks" in succeed(
        events, *QUICK, "--executor", executor, "--workers", 2, "-o", tmp_path / "m"
    )
    np.testing.assert_allclose(
        mean_ratios(tmp_path / "m", events), mean_ratios(whole, events), rtol=1e-5, atol=1e-5
    )
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_workers_of_a_scheduler_train_the_same(events: Path, whole: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the dask extra is not installed")
    options = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        succeed(events, *QUICK, "--executor", "dask", "--scheduler", address, "-o", tmp_path / "m")
    np.testing.assert_allclose(
        mean_ratios(tmp_path / "m", events), mean_ratios(whole, events), rtol=1e-5, atol=1e-5
    )
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_dask_says_how_to_get_it(events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    output = refuse(events, *QUICK, "--executor", "dask", "-o", tmp_path / "m")
    assert "pip install 'smeft-unbinned[dask]'" in output


def drawn(history: list[dict[str, list[float]]], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The axes of a figure of training curves."""
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    kept: list[Any] = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: kept.append(figure) or path)
    plots.training_curves(history, Path("x.png"))
    (axes,) = kept[0].axes
    kept[0].canvas.draw()
    return axes


def test_falling_losses_have_a_logarithmic_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    history = [{"training": [1.0 / k, 2.0 / k], "validation": [1.5 / k, 2.0 / k]} for k in range(1, 11)]
    axes = drawn(history, monkeypatch)
    assert (axes.get_yscale(), axes.get_ylabel()) == ("log", "loss")
    lines = [line.get_ydata() for line in axes.get_lines()]
    assert len(lines) == 6  # two members and the mean, twice
    np.testing.assert_allclose(lines[2], [1.5 / k for k in range(1, 11)])


def test_losses_below_zero_have_a_linear_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    history = [{"training": [1.0 - 0.3 * k], "validation": [1.2 - 0.3 * k]} for k in range(8)]
    assert drawn(history, monkeypatch).get_yscale() == "linear"


def test_flat_losses_are_drawn_above_their_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    excess = [0.1, 0.01, 0.001, 0.0]
    history = [{"training": [0.69 + e, 0.7 + e], "validation": [0.71 + e, 0.7 + 2 * e]} for e in excess]
    axes = drawn(history, monkeypatch)
    assert axes.get_yscale() == "log"
    assert "excess" in axes.get_ylabel()
    lines = [np.asarray(line.get_ydata()) for line in axes.get_lines()]
    np.testing.assert_allclose(lines[0][:3], excess[:3], rtol=1e-6)
    assert np.isnan(lines[0][3])  # the minimum has no place on a logarithmic scale
    np.testing.assert_allclose(lines[5][:3], 1.5 * np.array(excess[:3]), rtol=1e-6)


def test_a_single_epoch_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn([{"training": [0.7], "validation": [0.69]}], monkeypatch).get_ylabel() == "loss"


def test_the_table_of_losses_on_the_page_is_complete() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    told = {row[0].strip("`"): row[1:] for row in rows}
    for name in LOSSES.own:
        loss = LOSSES[name]
        _, reference, truth, head = told[name]
        assert (truth == "yes") == loss.needs_truth, name
        assert head == f"`{loss.heads[0]}`", name
        documented = (sys.modules[loss.__module__].__doc__ or "").replace("\n", " ")
        assert all(number in documented for number in reference.replace(",", " ").split() if "." in number)
    for axis in AXES:
        assert set(AXES[axis].own) <= set(told), axis
