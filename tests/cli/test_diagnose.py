"""smeft-unbinned diagnose: lines, files and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run

from smeft_unbinned import Events, cli

pytest.importorskip("torch", reason="the train extra is not installed")
CHECKS = ("--checks", "positivity,expectation,coverage", "--toys", 8)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "COMMANDS", tuple(dict.fromkeys((*cli.COMMANDS, "diagnose"))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events and a model that has hardly been trained."""
    path = tmp_path_factory.mktemp("diagnose")
    generate = ("generate", "ZH", "-n", 1500, "--operators", "cHW,cHq3", "--seed", 1)
    assert run(*generate, "-o", path / "zh.events").exit_code == 0
    train = ("--replicas", 2, "--epochs", 1, "--hidden", 4, "--no-plot", "-o", path / "zh.model")
    assert run("train", path / "zh.events", *train).exit_code == 0
    return path


def test_one_line_per_check_and_files(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "zh.model", folder / "zh.events", *CHECKS, "--luminosity", 300)
    result = run("diagnose", *arguments, "--efficiency", 0.01, "--at", "cHW=0.1", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    for name in ("positivity", "expectation", "coverage"):
        assert sum(f" {name}: " in line for line in result.output.splitlines()) == 1
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [check["name"] for check in content["checks"]] == ["positivity", "expectation", "coverage"]
    assert content["settings"]["points"] == ["cHW=+0.1"]
    assert content["settings"]["toys"] == 8
    rate = Events.load(folder / "zh.events").cross_section.constant
    assert content["settings"]["expected_events"] == pytest.approx(300 * 1000 * 0.01 * rate)
    assert (tmp_path / "out" / "report.txt").exists()


def test_strict_fails_with_code_one(folder: Path, tmp_path: Path) -> None:
    arguments = (
        "diagnose",
        folder / "zh.model",
        folder / "zh.events",
        "--checks",
        "truth",
        "--expected",
        1e6,
    )
    assert run(*arguments, "-o", tmp_path / "a").exit_code == 0
    result = run(*arguments, "--strict", "-o", tmp_path / "b")
    assert result.exit_code == 1
    assert "fail  truth: " in result.output
    assert (tmp_path / "b" / "report.json").exists()


def test_a_second_estimator(folder: Path, tmp_path: Path) -> None:
    arguments = ("diagnose", folder / "zh.model", folder / "zh.events", "--checks", "reference")
    result = run(*arguments, "--compare", folder / "zh.model", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "differ from the other estimator's by 0.00" in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--checks", "none"), "unknown check 'none'"),
        (("--luminosity", 1, "--expected", 2), "either --luminosity or --expected"),
        (("--efficiency", 0.5), "needs --luminosity"),
        (("--at", "cHW"), "--at must read NAME=NUMBER"),
        (("--at", "cXX=1"), "unknown operator 'cXX'"),
        (("--expected", "-1"), "--expected must be a finite number above zero"),
    ],
)
def test_mistakes(folder: Path, tmp_path: Path, options: tuple[object, ...], words: str) -> None:
    result = run("diagnose", folder / "zh.model", folder / "zh.events", *options, "-o", tmp_path / "out")
    assert result.exit_code == 2, (result.output, result.exception)
    assert words in " ".join(result.output.split())
