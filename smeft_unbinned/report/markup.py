"""HTML: every text that comes from files passes through here, where it is escaped."""

from __future__ import annotations

import hashlib
import html
import math
import re
from collections.abc import Iterable

import pandas as pd

NARROW = re.compile(r"[^A-Za-z0-9._-]+")


def text(value: object) -> str:
    """Return text for HTML, also inside quoted attributes."""
    return html.escape(str(value), quote=True)


def slug(name: str) -> str:
    """Return a name for files and identifiers; a changed one carries a mark, so that names stay distinct."""
    clean = NARROW.sub("_", name).strip("._-")[:60]
    return clean if clean == name else f"{clean}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".strip("-")


def number(value: object, digits: int = 4) -> str:
    """Return a cell of a table: numbers shortened, with a true minus; nothing for a missing one."""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        return f"{value:.{digits}g}".replace("-", "−")
    return text(value)


def table(frame: pd.DataFrame, caption: str) -> str:
    """Return a table with headers of rows and columns; the index is the first column, unless it counts."""
    numbered = isinstance(frame.index, pd.RangeIndex)
    shown = frame if numbered else frame.reset_index()
    head = "".join(f'<th scope="col">{text(c)}</th>' for c in shown.columns)
    body = "".join(_row(cells) for cells in shown.itertuples(index=False, name=None))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(cells: tuple[object, ...]) -> str:
    first, *rest = cells
    data = "".join(f"<td{'' if isinstance(x, str) else ' class=n'}>{number(x)}</td>" for x in rest)
    return f'<tr><th scope="row">{number(first)}</th>{data}</tr>'


def paragraphs(sentences: Iterable[str]) -> str:
    """Return sentences as one paragraph."""
    joined = " ".join(text(s) for s in sentences)
    return f"<p>{joined}</p>" if joined else ""


def items(lines: Iterable[str], kind: str = "") -> str:
    """Return a list, empty where there is nothing to list."""
    rows = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<ul class="{kind}">{rows}</ul>' if rows else ""


def details(summary: str, content: str) -> str:
    """Return content that is folded away."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>" if content else ""
