"""What all commands share: --json, -v, exit codes, examples in --help, completion, and nothing coloured."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from smeft_unbinned.cli import COMMANDS, main
from smeft_unbinned.cli.completion import SHELLS
from smeft_unbinned.testing import toy_dataset


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A runcard of one small unbinned dataset."""
    toy_dataset(("cHW", "cHq3"), "warsaw").save(tmp_path / "toy.dataset")
    content = {
        "basis": "warsaw",
        "datasets": [{"name": "toy", "unbinned": "toy.dataset"}],
        "coefficients": {"cHW": {"min": -1, "max": 1}, "cHq3": None},
    }
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return tmp_path / "card.yaml"


def run(*arguments: object) -> click.testing.Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_with_an_example_and_the_common_options(name: str) -> None:
    context = click.Context(main)
    command = main.get_command(context, name)
    assert command is not None
    assert main.get_command(context, name) is command
    options = [option for p in command.params for option in p.opts]
    assert options.count("--json") == options.count("--verbose") == 1
    text = run(name, "--help").output
    assert "Example: " in text
    assert "\x1b" not in text
    described = [p for p in command.params if isinstance(p, click.Option)]
    assert all(p.help for p in described)


def test_all_that_a_command_tells_comes_as_json(card: Path) -> None:
    done = CliRunner().invoke(main, ["fit", str(card), "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["error"] is None
    table = told["tables"][0]
    assert table["columns"][:2] == ["", "best"]
    assert [row[0] for row in table["rows"]] == ["cHW", "cHq3"]
    assert all(Path(f["path"]).exists() for f in told["files"])
    assert any(line.startswith("-2 log L") for line in told["text"])
    again = run("fit", card).stdout
    assert "wrote" in again
    assert not again.lstrip().startswith("{")


def test_an_error_comes_as_json_too(card: Path) -> None:
    done = CliRunner().invoke(main, ["chi2", str(card.with_name("none.yaml")), "--json"])
    assert done.exit_code == 2
    assert "none.yaml" in json.loads(done.stdout)["error"]
    assert "none.yaml" in done.stderr


def test_a_fit_that_does_not_converge_ends_with_one(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from smeft_unbinned.cli import fit

    real = fit.fit
    monkeypatch.setattr(fit, "fit", lambda *a, **k: replace(real(*a, **k), valid=False))
    done = run("fit", card)
    assert done.exit_code == 1
    assert "did not converge" in done.output
    assert (card.parent / "results" / "card" / "fit_result.json").exists()


def test_verbose_logs_to_standard_error_and_leaves_the_loggers_alone(card: Path) -> None:
    logger = logging.getLogger("smeft_unbinned")
    before = list(logger.handlers), logger.level
    done = CliRunner().invoke(main, ["validate", str(card), "-vv"])
    assert done.exit_code == 0
    assert (list(logger.handlers), logger.level) == before


def test_no_colour_where_there_is_no_terminal(card: Path) -> None:
    code = "from smeft_unbinned.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "validate", str(card)],
        capture_output=True,
        env={**os.environ, "TERM": "xterm"},
    )
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_of_each_shell(shell: str) -> None:
    done = run("completion", shell)
    assert done.exit_code == 0
    assert "_SMEFT_UNBINNED_COMPLETE" in done.output


def test_completion_knows_commands_and_options() -> None:
    for words, expected in (("smeft-unbinned va", "validate"), ("smeft-unbinned fit --met", "--method")):
        environment = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        environment["_SMEFT_UNBINNED_COMPLETE"] = "bash_complete"
        done = CliRunner().invoke(main, [], prog_name="smeft-unbinned", env=environment)
        assert expected in done.output
