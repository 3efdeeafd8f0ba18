"""Frozen dataclasses whose frames and mappings cannot be changed through what their fields return."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import pandas as pd


class _Kept:
    """A field that keeps a copy and shows a view, changes of which have no effect; None stays None."""

    def __init__(self, name: str, keep: Callable[[Any], Any], view: Callable[[Any], Any]) -> None:
        self._name, self._keep, self._view = name, keep, view

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self._name]
        return None if value is None else self._view(value)

    def __set__(self, instance: object, value: Any) -> None:
        instance.__dict__[self._name] = None if value is None else self._keep(value)


def protect(cls: type, frames: Iterable[str], mappings: Iterable[str]) -> None:
    """Make fields of a frozen dataclass give copies of frames, and read-only copies of mappings.

    The values are kept under the names of the fields in `__dict__`.
    """
    for name in frames:
        setattr(cls, name, _Kept(name, pd.DataFrame.copy, pd.DataFrame.copy))
    for name in mappings:
        setattr(
            cls,
            name,
            _Kept(name, lambda x: deepcopy(dict(x)), lambda x: MappingProxyType(deepcopy(x))),
        )
