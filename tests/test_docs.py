"""The examples of README.md and docs/ run as they stand, each page from top to bottom; links lead on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from doc_blocks import Block, blocks

from smeft_unbinned.cli import main
from smeft_unbinned.runcard import Runcard

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]
OURS = [page for page in PAGES if "plugins" not in page.parts]  # those of fitters run where the fitter is
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
COMMAND = re.compile(r"(?<!install )smeft-unbinned +([a-z]\w*)([^`\n;|>]*)")


def title(page: Path) -> str:
    return str(page.relative_to(ROOT))


def marked(page: Path) -> Any:
    return pytest.param(page, marks=pytest.mark.slow) if blocks(page, "bash") else page


@pytest.mark.parametrize("page", [marked(p) for p in OURS if blocks(p, "python", "bash")], ids=title)
def test_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "python", "yaml"):
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": f"example of {page.name}"}
    for block in blocks(page, "python", "bash"):
        if block.left_out:
            continue
        if block.data:
            file, name = block.data
            shutil.copy(request.getfixturevalue("data_root") / file, tmp_path / name)
        if block.language == "bash":
            run_shell(block, page)
        else:
            exec(compile("\n" * block.line + block.text, str(page), "exec"), namespace)


def run_shell(block: Block, page: Path) -> None:
    """Run a block of commands, with the scripts of this environment, until one fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{page.name}, line {block.line + 1}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_commands_and_their_options_exist(page: Path) -> None:
    """Also in blocks that do not run, where a cluster or a fitter is needed, and within sentences."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    context = click.Context(main)
    for name, rest in COMMAND.findall(text):
        command = main.get_command(context, name)
        assert command is not None, f"there is no command {name}"
        known = {option for p in command.get_params(context) for option in (*p.opts, *p.secondary_opts)}
        used = set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest.split(" -- ")[0]))
        assert used <= known, f"{name} has no {', '.join(sorted(used - known))}"


@pytest.mark.parametrize("page", [p for p in OURS if blocks(p, "yaml")], ids=title)
def test_runcards_are_valid(page: Path) -> None:
    for block in blocks(page, "yaml"):
        content = yaml.safe_load(block.text)
        if "datasets" in content and "coefficients" in content:
            Runcard.from_dict(content, source=page.name)


def test_every_key_of_a_runcard_is_described() -> None:
    text = (ROOT / "docs" / "runcard.md").read_text(encoding="utf-8")
    missing = [
        field.name
        for field in fields(Runcard)
        if field.name not in ("folder", "content") and f"| `{field.name}` |" not in text
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [
        link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()
    ]
    assert not missing
