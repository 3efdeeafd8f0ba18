"""What is chosen by name and loaded when it is asked for: entries of this package, and those of others.

Another package announces an entry by an entry point in the group of its registry:

    [project.entry-points."smeft_unbinned.losses"]
    mine = "my_package.my_loss:Mine"

Entries of this package are written down the same way, in `catalogue`, so that names are known without
importing what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, TypeVar, cast

from .errors import InputError

T = TypeVar("T")
Fault = Callable[[Any, str], str]
"""Says what is wrong with what an entry point gave, under its name, or returns an empty string."""


def announced(group: str) -> Sequence[metadata.EntryPoint]:
    """Return the entry points of a group, of all installed packages."""
    return tuple(metadata.entry_points(group=group))


class Registry(Mapping[str, T]):
    """Entries by name, those of this package first.

    kind: what an entry is, for messages. group: of the entry points. own: name -> "module" or
    "module:attribute" of the entries of this package. fault: what is wrong with an entry of another. The
    attribute `own` holds the names of this package alone.

    Looking one up raises KeyError for a name that is not known, and InputError, naming the package that
    registers it, for an entry that cannot be loaded or used, and for a name that several have.
    """

    def __init__(self, kind: str, group: str, fault: Fault, own: Mapping[str, str] | None = None) -> None:
        self.kind, self.group, self.fault = kind, group, fault
        self._own = [metadata.EntryPoint(name, value, group) for name, value in (own or {}).items()]
        self.own = tuple(own or ())

    def __getitem__(self, name: str) -> T:
        entries = [*self._own, *announced(self.group)]
        if name not in [entry.name for entry in entries]:
            raise KeyError(name)
        entry, *others = [e for e in entries if e.name.lower() == str(name).lower()]
        if others:
            raise InputError(
                f"several packages have a {self.kind} {name!r}: {'; '.join(map(_place, (entry, *others)))}; "
                "rename or remove all but one"
            )
        return cast("T", entry.load() if entry in self._own else self._loaded(entry))

    def __iter__(self) -> Iterator[str]:
        others = sorted(entry.name for entry in announced(self.group))
        return iter(dict.fromkeys([*(entry.name for entry in self._own), *others]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in list(iter(self))

    def _loaded(self, entry: metadata.EntryPoint) -> Any:
        where = f"the {self.kind} {entry.name!r} ({_place(entry)})"
        try:
            found = entry.load()
            fault = self.fault(found, entry.name)
        except Exception as error:
            raise InputError(
                f"{where} cannot be loaded: {error}; repair or remove the package that registers it"
            ) from error
        if fault:
            raise InputError(f"{where} {fault}; repair or remove the package that registers it")
        return found


def _place(entry: metadata.EntryPoint) -> str:
    """Return what an entry point names, and the package that registers it."""
    return f"{entry.value} of {entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
