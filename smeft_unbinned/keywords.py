"""Options that several functions share: keywords at the call, one frozen dataclass with the defaults inside.

A group is a `TypedDict`, which describes the options and types the keywords of a call
(`**options: Unpack[Group]`), and beside it a dataclass with the same names, which holds the defaults and
refuses other names.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def take(kind: type[T], options: dict[str, Any]) -> T:
    """Return the dataclass `kind` made of those options that are fields of it, removed from `options`.

    What remains is for another group, made as `kind(**options)`, which raises TypeError naming an option that
    it does not know either.
    """
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: options.pop(name) for name in [*options] if name in names})
