"""The Python examples of README.md and docs/ run as they stand, one file after the other from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if any(blocks(p, "python"))], ids=title)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": f"example of {page.name}"}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", [p for p in PAGES if any(blocks(p, "yaml"))], ids=title)
def test_runcards_are_valid(page: Path) -> None:
    for block in blocks(page, "yaml"):
        content = yaml.safe_load(block)
        if "datasets" in content and "coefficients" in content:
            Runcard.from_dict(content, source=page.name)


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert not missing
