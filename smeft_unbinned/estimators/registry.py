"""The entries of an axis of choice: found by name, described in JSON types, rebuilt from them.

An entry is a frozen dataclass with a class attribute `name`; its fields are its options. A new one is one
file and one line in the registry of its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

import numpy as np

from ..errors import InputError, brief, nearest

T = TypeVar("T")


def choose(axis: str, registry: Mapping[str, type[T]], value: object) -> T:
    """Return the entry that a name, a manifest ({"name": ..., option: ...}) or an entry itself stands for.

    Raises InputError for an unknown name or option, naming the known ones.
    """
    known = tuple(registry.values())
    if isinstance(value, known):
        return value
    options = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in registry:
        raise InputError(
            f"unknown {axis} {brief(name)}; known are {', '.join(registry)}.{nearest(str(name), registry)}"
        )
    entry = registry[name]
    for option in options:
        if option not in option_names(entry):
            raise InputError(
                f"{axis} {name!r} has no option {option!r}; it has "
                f"{', '.join(option_names(entry)) or 'none'}.{nearest(option, option_names(entry))}"
            )
    return entry(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})


def check_count(name: str, value: object, least: int = 1) -> None:
    """Refuse what is not a whole number of at least so much."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} must be a whole number, got {brief(value)}")
    if value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")


def option_names(entry: Any) -> tuple[str, ...]:
    """Return the names of the options of an entry or its class."""
    return tuple(f.name for f in fields(entry))


def manifest(entry: Any) -> dict[str, Any]:
    """Return name and options of an entry as JSON types, numbers of numpy as plain ones."""
    return {"name": entry.name, **{k: _plain(v) for k, v in asdict(entry).items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value
