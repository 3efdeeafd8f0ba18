"""The Python examples of README.md and docs/ run as they stand, each file from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from smeft_unbinned.runcard import Runcard

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(page: Path, language: str) -> Iterator[str]:
    """Yield the fenced blocks of a language, each behind so many empty lines that its line numbers hold."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(rf"(?ms)^```{language}\n(.*?)^```", text):
        yield "\n" * text.count("\n", 0, match.start(1)) + match.group(1)


def title(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", [p for p in PAGES if any(blocks(p, "python"))], ids=title)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "yaml"):
        if card := re.match(
            r"\s*# (\w+\.yaml)\n", block
        ):  # a first line that is a file name makes it that file
            (tmp_path / card.group(1)).write_text(block, encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": f"example of {page.name}"}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", [p for p in PAGES if any(blocks(p, "yaml"))], ids=title)
def test_runcards_are_valid(page: Path) -> None:
    for block in blocks(page, "yaml"):
        content = yaml.safe_load(block)
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
