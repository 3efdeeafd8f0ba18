"""The fitters for which there is an adapter: those of `plugins`, and those that other packages register.

An adapter is announced by an entry point of the group `smeft_unbinned.fitters` that names a `Fitter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from packaging.specifiers import SpecifierSet

from ..errors import InputError

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


def fitters() -> tuple[Fitter, ...]:
    """Return the fitters of all installed packages, sorted by name.

    Raises InputError for an entry point that cannot be loaded or names something else.
    """
    found = []
    for entry in metadata.entry_points(group=GROUP):
        try:
            fitter = entry.load()
        except Exception as error:
            raise InputError(
                f"the fitter {entry.name!r} ({entry.value}) cannot be loaded: {error}; repair or remove the "
                "package that registers it"
            ) from error
        if not isinstance(fitter, Fitter):
            raise InputError(
                f"the entry point {entry.name!r} ({entry.value}) of {GROUP} must name a "
                f"smeft_unbinned.fitters.Fitter, got {type(fitter).__name__}"
            )
        found.append(fitter)
    return tuple(sorted(found, key=lambda f: f.name))
