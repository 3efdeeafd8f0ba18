"""The fitters for which there is an adapter: those of `plugins`, and those that other packages register.

An adapter is announced by an entry point of the group `smeft_unbinned.fitters` that names a `Fitter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import Any

from packaging.specifiers import SpecifierSet

from ..errors import InputError
from ..extensions import Registry

GROUP = "smeft_unbinned.fitters"
"""Group of the entry points."""


@dataclass(frozen=True)
class Fitter:
    """A program that takes datasets as terms of its likelihood.

    name: of the entry point, lower case. title: one line. package: its distribution on PyPI. versions: those
    that are known to work, a version specifier. install: the command. snippet: what to write to use a
    dataset, with {file} for the path. page: where more is explained, a path or an address.
    """

    name: str
    title: str
    package: str
    versions: str
    install: str
    snippet: str
    page: str

    @property
    def version(self) -> str | None:
        """The version that is installed, None without one."""
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return None

    @property
    def works(self) -> bool:
        """Whether a version that is known to work is installed."""
        version = self.version
        return version is not None and SpecifierSet(self.versions).contains(version, prereleases=True)

    def with_file(self, file: str) -> str:
        """Return the snippet for a file."""
        return self.snippet.replace("{file}", file)

    def require(self) -> None:
        """Raise InputError where the fitter is absent or of a version that is not known to work."""
        version = self.version
        if version is None:
            raise InputError(f"{self.package} is not installed; install it with {self.install}")
        if not self.works:
            raise InputError(
                f"{self.package} {version} is installed, but the adapter works with {self.versions}; "
                f"install one of these with {self.install}"
            )


def _fault(found: Any, name: str) -> str:
    if not isinstance(found, Fitter):
        return f"must name a smeft_unbinned.fitters.Fitter, got {type(found).__name__}"
    return "" if found.name == name else f"calls itself {found.name!r}; its name must be {name!r}"


FITTERS: Registry[Fitter] = Registry("fitter", GROUP, _fault)


def fitters() -> tuple[Fitter, ...]:
    """Return the fitters of all installed packages, sorted by name.

    Raises InputError for an entry point that cannot be loaded or names something else.
    """
    return tuple(FITTERS.values())
