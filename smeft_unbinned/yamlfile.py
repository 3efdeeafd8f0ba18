"""YAML files written by hand: of limited size, no key given twice, and errors that say what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .errors import InputError, brief, nearest

MAX_BYTES = 4 * 2**20


def read(file: Path, what: str) -> Any:
    """Return the content of a file; raise InputError, calling it `what`, where it is missing or no YAML."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise OSError(f"it is larger than {MAX_BYTES >> 20} MiB")
        return parse(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        raise InputError(f"no such {what}: {file}.{nearest(file.name, names)}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is not a readable YAML {what}: {error}") from error


class _Loader(yaml.SafeLoader):
    """YAML in which no mapping holds a key twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line, same = key.start_mark.line + 1, (key.tag, key.value)
                if same in lines:
                    raise ValueError(
                        f"key {brief(key.value)} is given twice, in lines {lines[same]} and {line}; keep one"
                    )
                lines[same] = line
        return node


def parse(text: str) -> Any:
    """Return the content of a YAML text; ValueError for a key given twice and for any bad YAML."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
