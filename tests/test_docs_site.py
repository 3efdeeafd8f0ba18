"""The documentation site builds without a warning and needs no network; its links and formulas are whole."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import smeft_unbinned
from smeft_unbinned.cli import COMMANDS

pytest.importorskip("mkdocs", reason="the docs extra is not installed")
ROOT = Path(__file__).parents[1]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """A page of the site: identifiers, links, what a browser loads with it, texts of headings."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.headings: set[str] = set()
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[key] for key in ("id", "name") if key in values}
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.add(values["href"])
        if LOADED.get(tag) in values:
            self.loaded.add(values[LOADED[tag]])
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while tag in self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if {"code", "pre", "script", "style"} & set(self._open):
            return
        self.text.append(data)
        if {"h1", "h2", "h3", "h4"} & set(self._open):
            self.headings.add(data.strip())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {path: Page(path) for path in sorted(folder.rglob("*.html")) if path.name != "404.html"}


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        for address in page.loaded:
            parts = urlsplit(address)
            assert not parts.netloc, f"{path.name} loads {address}"
            assert (path.parent / unquote(parts.path)).exists(), (
                f"{path.name} loads {address}, which is not there"
            )


@pytest.mark.slow
def test_links_and_their_anchors_are_there(site: dict[Path, Page]) -> None:
    broken = []
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            there = target.exists() and (
                not parts.fragment or target not in site or unquote(parts.fragment) in site[target].ids
            )
            if not there and parts.fragment != "__skip":
                broken.append(f"{path.name}: {link}")
    assert not broken, "\n".join(broken)


@pytest.mark.slow
def test_formulas_are_drawn(site: dict[Path, Page]) -> None:
    for path, page in site.items():
        text = "".join(page.text)
        assert "\\(" not in text, path.name
        assert "\\[" not in text, path.name
        assert "$" not in text, path.name


@pytest.mark.slow
def test_every_public_name_is_described(site: dict[Path, Page]) -> None:
    described = set().union(*(page.headings for path, page in site.items() if path.parent.name == "api"))
    assert set(smeft_unbinned.__all__) - described == {"__version__"}


@pytest.mark.slow
def test_every_command_is_described(site: dict[Path, Page]) -> None:
    commands = next(page for path, page in site.items() if path.name == "commands.html")
    assert set(COMMANDS) <= commands.headings
