"""A page of the report taken apart by the parser of the standard library, and what results are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

HOSTILE = "</script><img src=x onerror=alert(1)>"
"""What would run if any text of a file were taken for markup."""


@dataclass
class Page(HTMLParser):
    """tags: every element with its attributes. scripts: content by type. words: text outside."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    words: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = str(dict(attrs).get("type") or tag)
            assert self._inside not in self.scripts
            self.scripts[self._inside] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[self._inside] += data
        else:
            self.words += data

    @property
    def data(self) -> dict[str, Any]:
        """What the script draws."""
        content: dict[str, Any] = json.loads(self.scripts["application/json"])
        return content

    def fit(self, label: str) -> dict[str, Any]:
        """A set of intervals by its label."""
        (found,) = (f for f in self.data["fits"] if f["label"] == label)
        return dict(found)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def circle(radius: float) -> dict[str, list[float]]:
    """The points of a closed curve around the SM, by coefficient."""
    angle = np.linspace(0.0, 2.0 * np.pi, 41)
    return {"cHW": list(radius * np.cos(angle)), "cHq3": list(radius * np.sin(angle))}
