"""How docstrings become pages: lines `name: text` about arguments as a list, signs as they stand.

A line that begins with the name of an argument or attribute and a colon describes it, and goes on in lines
that are indented or begin in lower case. Brackets, stars and the like mean nothing in docstrings, but much in
Markdown.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

SIGNS = re.compile(r"`[^`]*`|([\[\]<>*_])")
ENTRY = re.compile(r"^(?P<names>\w+(?:(?:, | and )\w+)*): (?P<text>.*)$")


class Arguments(griffe.Extension):
    """Format the docstrings of functions and classes."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Use the names of the arguments."""
        _format(func, {parameter.name for parameter in func.parameters})

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Use the names of the attributes, and of the arguments of __init__."""
        names = {name for name, member in cls.members.items() if member.is_attribute}
        init = cls.members.get("__init__")
        if isinstance(init, griffe.Function):
            names |= {parameter.name for parameter in init.parameters}
        _format(cls, names)


def _format(documented: griffe.Object, names: set[str]) -> None:
    if documented.docstring is not None:
        documented.docstring.value = listed(documented.docstring.value, names)


def listed(text: str, names: set[str]) -> str:
    """Return the text with each description of one of the names as an entry of a list, signs escaped."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        entry = ENTRY.match(line)
        if entry and set(re.split(r", | and ", entry["names"])) <= names:
            if not inside:
                lines.append("")
            lines.append(f"- **{escaped(entry['names'])}**: {escaped(entry['text'])}")
            inside = True
        elif inside and line and not line.startswith(" ") and not line[0].islower():
            lines += ["", escaped(line)]
            inside = False
        else:
            inside = inside and bool(line)
            code = line.startswith("    ") and not inside
            lines.append(line if code else escaped(line))
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Return the text with a backslash before signs of Markdown outside of code."""
    return SIGNS.sub(lambda match: f"\\{match[1]}" if match[1] else match[0], text)
