"""smeft-unbinned responses: learned from MadMiner files against a closed form, choices, and refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import refuse, run

from smeft_unbinned import Events, InputError, ResponseEstimator, TrainSettings, train_responses
from smeft_unbinned.cli.responses import DEFAULTS
from smeft_unbinned.estimators import responses as learning
from smeft_unbinned.events import Nuisances, read_madminer, read_nuisances
from smeft_unbinned.events.nuisance_samples import effects, largest, one_sided, read_with_nuisances

h5py = pytest.importorskip("h5py", reason="the madminer extra is not installed")

SHIFT, NOISE = 0.3, 0.7
QUICK = ("--replicas", 2, "--hidden", 16, "--epochs", 30, "--batch", 128, "--seed", 3)


def write(path: Path, n: int = 3000, seed: int = 1, observables: tuple[str, ...] = ("x", "idle")) -> Path:
    """Write a MadMiner file of events x = z + noise, z ~ N(SHIFT theta, 1), of which z is not observed.

    The nuisance `shift` moves z both ways, `rate` multiplies the rate on one side only, by 1.02.
    """
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    frame = np.stack([z + NOISE * rng.normal(size=n), rng.normal(size=n)], axis=1)
    nominal = np.full(n, 1.0 / n)
    linear = 1.0 + 0.5 * np.abs(z)
    weights = [nominal, nominal * (1 + linear) ** 2, nominal * (1 - linear) ** 2]
    weights += [nominal * np.exp(s * SHIFT * z - SHIFT**2 / 2) for s in (1, -1)] + [1.02 * nominal]
    names = ["sm", "w1", "w2", "up", "down", "rate"]
    fields = {
        "parameters/names": np.array(["cHW"], dtype="S9"),
        "parameters/lha_blocks": np.array(["smeft"], dtype="S9"),
        "parameters/lha_ids": np.zeros(1, dtype=int),
        "parameters/max_power": np.full((1, 1), 2),
        "parameters/transforms": np.array([""], dtype="S9"),
        "benchmarks/names": np.array(names, dtype="S9"),
        "benchmarks/values": np.array([[0.0], [1.0], [-1.0], [0.0], [0.0], [0.0]]),
        "benchmarks/is_nuisance": np.array([0, 0, 0, 1, 1, 1]),
        "benchmarks/is_reference": np.array([1, 0, 0, 0, 0, 0]),
        "nuisance_parameters/names": np.array(["rate", "shift"], dtype="S9"),
        "nuisance_parameters/benchmark_positive": np.array(["rate", "up"], dtype="S9"),
        "nuisance_parameters/benchmark_negative": np.array(["", "down"], dtype="S9"),
        "observables/names": np.array(observables, dtype="S9"),
        "observables/definitions": np.array(["a", "b"], dtype="S9"),
        "samples/observations": frame,
        "samples/weights": np.stack(weights, axis=1),
    }
    with h5py.File(path, "w") as file:
        for key, value in fields.items():
            file.create_dataset(key, data=value)
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("responses") / "sample.h5")


def test_the_responses_of_what_is_observed_are_learned(sample: Path, tmp_path: Path) -> None:
    done = run("responses", sample, *QUICK, "-o", tmp_path / "r")
    assert done.exit_code == 0, done.output
    for words in ("shift", "rate", "error up", "effect", "below 1 something was learned", "2 networks"):
        assert words in done.output
    assert list(tmp_path.iterdir()) == [tmp_path / "r"]  # no checkpoint
    found = ResponseEstimator.load(tmp_path / "r")
    assert (found.names, found.one_sided, found.features) == (("rate", "shift"), ("rate",), ("x", "idle"))
    x = np.linspace(-2.0, 2.0, 9)
    response = found(pd.DataFrame({"x": x, "idle": 0.0}))
    np.testing.assert_allclose(response.linear[:, 1], SHIFT * x / (1 + NOISE**2), atol=0.06)
    np.testing.assert_allclose(response.linear[:, 0], np.log(1.02), rtol=1e-6)
    held = found.held_out().loc["shift"]
    np.testing.assert_allclose(held, NOISE**2 / (1 + NOISE**2), rtol=0.25)
    again = train_responses(
        read_madminer(sample), read_nuisances(sample), one_sided=("rate",), replicas=2, hidden=(16,),
        epochs=30, batch=128, seed=3,
    )  # fmt: skip
    for mine, same in zip(found.parameters, again.parameters, strict=True):
        np.testing.assert_array_equal(mine, same)


def test_choices_of_nuisances_and_features(sample: Path, tmp_path: Path) -> None:
    for options, names, features in (
        (("--largest", 1), ("shift",), ("x", "idle")),
        (("--nuisance", "rate", "--feature", "x"), ("rate",), ("x",)),
        (("--nuisance", "shift", "--nuisance", "rate", "--largest", 2), ("shift", "rate"), ("x", "idle")),
    ):
        target = tmp_path / "-".join(names)
        done = run("responses", sample, *options, "--replicas", 1, "--epochs", 1, "-o", target)
        assert done.exit_code == 0, done.output
        found = ResponseEstimator.load(target)
        assert (found.names, found.features) == (names, features)


def test_the_effect_is_the_mean_square_of_log_r(sample: Path) -> None:
    events, nuisances = read_with_nuisances([sample])
    found = effects(events, nuisances)
    both = np.stack([nuisances.log_ratio({"shift": s}) for s in (1.0, -1.0)])
    assert found["shift"] == pytest.approx(np.sqrt(np.mean(both**2)))
    assert found["shift"] == pytest.approx(np.sqrt(SHIFT**2 + SHIFT**4 / 4), rel=0.05)  # z ~ N(0, 1)
    assert found["rate"] == pytest.approx(np.log(1.02))
    assert one_sided(nuisances) == ("rate",)
    for count in (0, 3):
        with pytest.raises(InputError, match=f"largest {count} nuisances .* there are 2: rate, shift"):
            largest(events, nuisances, count)
    with pytest.raises(InputError, match="3000 events"):
        effects(events, nuisances[:5])
    weighted = Events(pd.DataFrame({"x": [0.0, 1.0]}), None, [3.0, 1.0])
    one = Nuisances(("a",), np.array([[0.0], [2.0]]), np.zeros((2, 1)))
    assert effects(weighted, one)["a"] == pytest.approx(1.0)


def test_samples_are_joined(sample: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more.h5", n=500, seed=2)
    events, nuisances = read_with_nuisances([sample, more])
    assert len(events) == len(nuisances) == 3500
    alone = read_madminer(more)
    np.testing.assert_array_equal(events.features.to_numpy()[3000:], alone.features.to_numpy())
    np.testing.assert_array_equal(np.asarray(events.weights)[3000:], alone.weights)
    np.testing.assert_array_equal(events.truth.coefficients[3000:], alone.truth.coefficients)
    np.testing.assert_array_equal(nuisances.linear[3000:], read_nuisances(more).linear)
    assert [file["name"] for file in events.metadata["files"]] == ["sample.h5", "more.h5"]
    done = run("responses", sample, more, "--replicas", 1, "--epochs", 1, "-o", tmp_path / "r")
    assert done.exit_code == 0, done.output
    assert ResponseEstimator.load(tmp_path / "r").metadata["events"]["count"] == 3500
    other = write(tmp_path / "other.h5", observables=("x", "busy"))
    assert "other.h5 and sample.h5 have different observables: x, busy and x, idle" in refuse(
        "responses", sample, other, "-o", tmp_path / "no"
    )
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nuisance", "shft"), "unknown nuisance parameter 'shft'; known are rate, shift. Did you mean"),
        (("--feature", "idel"), "unknown feature 'idel'; known are x, idle. Did you mean 'idle'?"),
        (("--largest", "3"), "the largest 3 nuisances are asked for, but there are 2"),
        (("--largest", "0"), "0 is not in the range x>=1"),
        (("--hidden", "8,b"), "--hidden takes whole numbers separated by commas, got '8,b'"),
        (("--epochs", "0"), "0 is not in the range x>=1"),
        (("--learning-rate", "-1"), "learning_rate"),
        (("--device", "abacus"), "abacus"),
        (("nowhere.h5",), "nowhere.h5: no such file"),
    ],
)
def test_bad_choices_are_refused(
    arguments: tuple[str, ...], words: str, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refuse("responses", sample, *arguments, "-o", "r")
    assert list(tmp_path.iterdir()) == []


def test_bad_files_are_refused(sample: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    assert "is not a readable HDF5 file" in refuse("responses", text, "-o", tmp_path / "r")
    before = sample.read_bytes()
    assert "in use; choose another name" in refuse("responses", sample, "-o", sample)
    assert sample.read_bytes() == before
    assert "given twice" in refuse("responses", sample, sample, "-o", tmp_path / "r")
    assert list(tmp_path.iterdir()) == [text]


def test_the_defaults_that_help_shows_are_those_of_the_training() -> None:
    settings = TrainSettings()
    for name, shown in DEFAULTS.items():
        value = learning.DEFAULTS.get(name, getattr(settings, name, None))
        assert shown == (",".join(map(str, value)) if isinstance(value, tuple) else value), name
    done = run("responses", "--help")
    assert "--largest N" in done.output
    assert "smeft-unbinned responses tth.h5 --nuisance mur" in done.output


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from smeft_unbinned.cli import main;"
        "CliRunner().invoke(main, ['responses', '--help']); CliRunner().invoke(main, ['export', '--help']);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr
