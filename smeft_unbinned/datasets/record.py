"""YAML and JSON files of numbers, read field by field, with errors that name both."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from ..errors import InputError, nearest
from ..inputfile import check_regular

Vector: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

MAX_BYTES = 64 * 2**20
"""Files larger than this are refused."""

_MERGE_KEY = re.compile(r"<<\s*:")
_DECIMAL = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?")
"""A number that every reader of YAML 1.1 takes as one; the full rules are slow to match."""
_NUMBERS = {int, float}
_INVALID = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    yaml.YAMLError,
)
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*:[0-9]")
"""A number in base 60 as YAML 1.1 has them; the time to read a long one grows with its square."""
_LONG = 100
_HUGE = 1e100
"""Numbers so large that their squares might overflow count as infinite."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, quicker to see that text is a number."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0] and _DECIMAL.fullmatch(value):
            return "tag:yaml.org,2002:float"
        if kind is yaml.ScalarNode and implicit[0] and len(value) > _LONG and _BASE_60.match(value):
            return "tag:yaml.org,2002:str"
        return super().resolve(kind, value, implicit)


class Record:
    """The mapping that a file holds.

    path: of the file. fields: the mapping. inside: what to put before the name of a field, "LO/".
    Every method raises InputError, naming file and field, for what is missing or not of the kind asked for.
    """

    def __init__(self, path: Path, fields: Any, inside: str = "") -> None:
        self.path, self.inside = path, inside
        if not isinstance(fields, Mapping):
            raise InputError(f"{path}: expected a mapping of fields{inside}, found {type(fields).__name__}")
        self.fields = fields

    def error(self, name: str, problem: str) -> InputError:
        """Return the error that a field has a problem, to be raised."""
        return InputError(f"{self.path}: field {self.inside + name!r} {problem}")

    def get(self, name: str) -> Any:
        """Return a field as it is."""
        if name not in self.fields:
            raise self.error(name, f"is missing.{nearest(name, map(str, self.fields))}")
        return self.fields[name]

    def count(self, name: str, least: int) -> int:
        """Return a whole number that is not below `least`."""
        value = self.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            found = value if isinstance(value, int) else type(value).__name__
            raise self.error(name, f"must be a whole number of at least {least}, found {found}")
        return value

    def _refuse(self, name: str, value: Any) -> None:
        if type(value) not in _NUMBERS:
            hint = "; YAML reads 1e-3 as text, write 1.0e-3" if isinstance(value, str) else ""
            found = repr(value[:40]) if isinstance(value, str) else type(value).__name__
            raise self.error(name, f"must hold numbers, found {found}{hint}")
        if not _finite([value]):
            raise self.error(
                name, f"must be finite, found {value if isinstance(value, float) else 'too much'}"
            )

    def _list(self, name: str, value: Any, length: int, what: str) -> list[Any]:
        items = value if isinstance(value, list) else [value]
        if len(items) != length:
            raise self.error(name, f"must have {length} {what}, found {len(items)}")
        return items

    def row(self, name: str, value: Any, n: int) -> list[float]:
        """Return the n finite numbers that a value of the field holds; it may be bare where n is 1."""
        items = self._list(name, value, n, "numbers (one per data point)")
        if not (_NUMBERS.issuperset(map(type, items)) and _finite(items)):
            for item in items:
                self._refuse(name, item)
        return items

    def vector(self, name: str, n: int) -> Vector:
        """Return n numbers; a bare number where n is 1."""
        return np.array(self.row(name, self.get(name), n), dtype=float)

    def table(self, name: str, rows: int, n: int) -> Vector:
        """Return rows x n numbers; one bare row where rows is 1, bare numbers where n is 1."""
        value = self.get(name)
        if rows == 1 and isinstance(value, list) and not (value and isinstance(value[0], list)):
            value = [value]
        lines = self._list(name, value, rows, "rows")
        return np.array([self.row(name, line, n) for line in lines], dtype=float).reshape(rows, n)

    def words(self, name: str, n: int, known: Sequence[str] = ()) -> tuple[str, ...]:
        """Return n strings, each one of `known` if that is given."""
        items = self._list(name, self.get(name), n, "entries (one per systematic)")
        for item in items:
            if not isinstance(item, str) or (known and item not in known):
                wanted = f"one of {', '.join(known)}" if known else "text"
                found = repr(item[:40]) if isinstance(item, str) else type(item).__name__
                raise self.error(name, f"holds {found}, expected {wanted}.{nearest(found, known)}")
        return tuple(items)


def _finite(values: Sequence[float]) -> bool:
    try:
        return all(map(math.isfinite, values)) and (not values or max(map(abs, values)) < _HUGE)
    except OverflowError:  # whole numbers beyond the range of floats
        return False


def read_yaml(path: Path) -> Record:
    """Read a YAML file; raise InputError where it is missing, too large or no mapping."""
    return _open(path, _parse_yaml)


def read_json(path: Path) -> Record:
    """Read a JSON file; raise InputError where it is missing, too large, or holds a field twice."""
    return _open(path, _parse_json)


def _open(path: Path, parse: Callable[[str], Any]) -> Record:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size} bytes, more than the {MAX_BYTES} that are read; split it")
        return Record(path, parse(check_regular(path, "file").read_text(encoding="utf-8")))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except _INVALID as error:
        raise InputError(f"{path} is not valid {path.suffix[1:].upper()}: {error}") from error


def _parse_yaml(text: str) -> Any:
    if _MERGE_KEY.search(text):  # merge keys copy, so that nested ones grow without bound
        raise yaml.YAMLError("merge keys (<<:) are not supported")
    return yaml.load(text, Loader=_Loader)


def _parse_json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"field {next(n for n in names if names.count(n) > 1)!r} is given twice")
        return fields

    return json.loads(text, object_pairs_hook=once)
