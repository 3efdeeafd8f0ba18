"""The fenced blocks of a page in their order, for the tests of the pages and for the newcomer's script.

A first line `# NAME.py` or `# NAME.yaml` makes a block the file of that name. A comment on the line before a
block says what a reader brings along, `<!-- data: FILE NAME -->`, FILE in the folder of sample data, or why
the tests of the pages leave the block out, `<!-- not run: REASON -->`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"^(?:<!-- (?P<key>data|not run): (?P<value>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"# (\w+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Block:
    """A block: language, text, and the line of the page on which the text begins, from 0.

    data: (file, name) of what has to be there, or None. left_out: why tests do not run it, or None.
    """

    language: str
    text: str
    line: int
    data: tuple[str, str] | None = None
    left_out: str | None = None

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, None for one that is none."""
        name = _NAME.match(self.text)
        return name.group(1) if name else None


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page in some languages, default all."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        if languages and match["language"] not in languages:
            continue
        data = left_out = None
        if match["key"] == "data":
            file, name = match["value"].split()
            data = (file, name)
        elif match["key"]:
            left_out = match["value"]
        line = text.count("\n", 0, match.start("text"))
        found.append(Block(match["language"], match["text"], line, data, left_out))
    return found
