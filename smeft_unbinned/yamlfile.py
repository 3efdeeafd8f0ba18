"""YAML files written by hand: of limited size, no key given twice, and errors that say what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .errors import InputError, brief
from .inputfile import read_text

MAX_BYTES = 4 * 2**20
MAX_NODES = 100_000
"""Values of a file with all aliases written out, which nested ones multiply."""
MAX_DIGITS = 1000
"""Characters of a number; the time to read 1:1:1:..., base 60 in YAML, grows with their square."""


def read(file: Path, what: str) -> Any:
    """Return the content of a file; raise InputError, calling it `what`, where it is missing or no YAML."""
    text = read_text(file, what, MAX_BYTES, "YAML ")
    try:
        return parse(text)
    except ValueError as error:
        raise InputError(f"{file} is not a readable YAML {what}: {error}") from error


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]
    """YAML in which no mapping holds a key twice, and aliases do not multiply what a file holds."""

    _count = 0

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Count the nodes while they are read."""
        self._count += 1
        if self._count > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES:,} values")
        return super().resolve(kind, value, implicit)

    def construct_document(self, node: yaml.Node) -> Any:
        """Check the nodes before anything is made of them."""
        if _size(node, {}) > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES:,} values, all aliases written out")
        return super().construct_document(node)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node holds, aliases written out; refuse those of a node to itself."""
    if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
        raise ValueError(f"a number of {len(node.value):,} characters")
    if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
        raise ValueError(f"a text with a null byte in line {node.start_mark.line + 1}")
    if id(node) not in known:
        known[id(node)] = MAX_NODES + 1  # what an alias to itself would see
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
            parts = [part for pair in parts for part in pair]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _check_keys(node: yaml.MappingNode) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            line, same = key.start_mark.line + 1, (key.tag, key.value)
            if same in lines:
                raise ValueError(
                    f"key {brief(key.value)} is given twice, in lines {lines[same]} and {line}; keep one"
                )
            lines[same] = line


def parse(text: str) -> Any:
    """Return the content of a YAML text; ValueError for a key given twice and for any bad YAML."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
