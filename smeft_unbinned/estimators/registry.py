"""The entries of an axis of choice: found by name, described in JSON types, rebuilt from them.

An entry is a frozen dataclass with a class attribute `name`; its fields are its options. A new one is one
file and one line in `catalogue`, or an entry point in a package of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar, cast

import numpy as np

from ..errors import InputError, brief, nearest
from ..extensions import Registry

T = TypeVar("T")
_FROM = "from"
"""Key of a manifest; no field can have that name."""


def choose(axis: str, registry: Registry[type[T]], value: object) -> T:
    """Return the entry that a name, a manifest ({"name": ..., option: ...}) or an entry itself stands for.

    Raises InputError for an unknown name or option, naming the known ones, and the package that a manifest
    has its entry from.
    """
    if not registry.fault(type(value), getattr(value, "name", "")):
        return cast("T", value)
    options = dict(value) if isinstance(value, Mapping) else {"name": value}
    name, package = options.pop("name", None), options.pop(_FROM, None)
    if not isinstance(name, str) or name not in registry:
        where = f", which is of {brief(package)}: install that package" if package else ""
        raise InputError(
            f"unknown {axis} {brief(name)}{where}; known are {', '.join(registry)}."
            + nearest(str(name), registry)
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
    """Return name and options of an entry as JSON types, numbers of numpy as plain ones.

    An entry that is not of this package names the module that it is from.
    """
    package = type(entry).__module__.split(".")[0]
    origin = {} if package == __name__.split(".")[0] else {_FROM: package}
    return {"name": entry.name, **origin, **{k: _plain(v) for k, v in asdict(entry).items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value
